//! Which adapters are taken, and that others plug in.

use agents::adapter::{
    Adapter, CONTRACT, Capabilities, Reading, Readings, Report, Surface, Version,
};
use agents::generic::Generic;
use agents::program::Program;
use agents::registry::{Refused, Registry};
use agents::screen::Screen;
use engine::words::{Confidence, Source, State};
use serde_json::Value;

/// An adapter that exists in this test only.
struct Mock {
    agent: &'static str,
    version: Version,
}

impl Adapter for Mock {
    fn agent(&self) -> &str {
        self.agent
    }

    fn name(&self) -> &str {
        "mock-adapter"
    }

    fn version(&self) -> Version {
        self.version
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { event_driven: true, ..Capabilities::default() }
    }

    fn recognises(&self, program: &Program<'_>) -> bool {
        program.file() == "mock"
    }

    fn hears(&self, event: &str, _payload: &Value) -> Report {
        match event {
            "done" => Report::claiming(State::Completed, "task_completed"),
            _ => Report::ignored(),
        }
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let busy = surface.title.starts_with("busy").then(|| {
            Reading::claiming(State::Running, "active", Confidence::High, "busy in the title")
        });
        Readings::from([(Source::Title, busy.unwrap_or_default())])
    }
}

fn mock(agent: &'static str) -> Box<dyn Adapter> {
    Box::new(Mock { agent, version: CONTRACT })
}

#[test]
fn tc_046_a_mock_plugs_in_like_the_others() {
    let mut registry = Registry::built_in();
    registry.register(mock("mock")).unwrap();
    let program = Program { name: "mock", path: "/opt/mock", arguments: &[] };
    let adapter = registry.recognise(&program).unwrap();
    assert_eq!(adapter.agent(), "mock");
    assert_eq!(adapter.hears("done", &Value::Null).claim.unwrap().state, State::Completed);
    let screen = Screen::default();
    let surface = Surface { version: None, title: "busy", screen: &screen };
    assert_eq!(adapter.reads(&surface)[&Source::Title].mark, "busy in the title");
}

#[test]
fn an_agent_has_one_adapter() {
    let refused = Registry::built_in().register(mock("claude")).unwrap_err();
    let (agent, by) = ("claude".to_owned(), "claude-hook".to_owned());
    assert_eq!(refused, Refused::Taken { agent, by });
}

#[test]
fn tc_047_a_minor_version_is_taken_and_another_major_one_refused() {
    let mut registry = Registry::empty();
    for (major, minor, taken) in [(1, 7, true), (0, 1, false), (2, 0, false)] {
        let version = Version { major, minor };
        let result = registry.register(Box::new(Mock { agent: "mock", version }));
        let name = "mock-adapter".to_owned();
        assert_eq!(
            result,
            if taken { Ok(()) } else { Err(Refused::OtherContract { name, version }) }
        );
    }
}

#[test]
fn a_described_agent_stands_beside_the_built_in_ones() {
    let text = "agent = \"aider\"\nprograms = [\"aider\"]\n";
    let mut registry = Registry::built_in();
    registry.register(Box::new(Generic::parse(text).unwrap())).unwrap();
    let arguments = ["python3".to_owned(), "/opt/bin/aider".to_owned()];
    let program = Program { name: "aider", path: "/usr/bin/python3.11", arguments: &arguments };
    assert_eq!(registry.recognise(&program).map(Adapter::agent), Some("aider"));
}

#[test]
fn the_names_of_agents_and_adapters_are_distinct_words() {
    let registry = Registry::built_in();
    let names: Vec<&str> = registry.iter().map(Adapter::name).collect();
    let agents: Vec<&str> = registry.iter().map(Adapter::agent).collect();
    assert_eq!(agents, ["claude", "codex", "gemini", "copilot", "cursor", "opencode"]);
    let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
}
