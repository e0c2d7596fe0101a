//! Dialogs that somebody prints: in a shell, and above the composer of an agent. Whatever they look
//! like, nobody is waited for.

use std::fs;
use std::path::Path;

use serde_json::Value;
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck};

/// Prompts that are printed at least.
const PROMPTS_MIN: usize = 200;
/// Shells that print them.
const PANES: usize = 8;
/// Forms that are printed above a composer too.
const ABOVE: usize = 4;
/// The size of the recorded screens, and room for a text above one.
const SIZE: [&str; 4] = ["-x", "120", "-y", "100"];

/// A recorded screen: which agent's it is, and as it was painted.
struct Recorded {
    agent: String,
    text: String,
}

/// The recorded screens that are labelled as wanted: by the scene that brought them about.
fn recorded(wanted: impl Fn(&str, &str) -> bool) -> Vec<Recorded> {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../agents/tests/corpus"));
    let below = |folder: &Path| fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut found = Vec::new();
    for folder in below(corpus).flat_map(|agent| below(&agent).collect::<Vec<_>>()) {
        let agent = folder.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let labels = fs::read_to_string(folder.join("labels.tsv")).unwrap();
        for line in labels.lines().filter(|line| line.starts_with("screen\t")) {
            let fields: Vec<&str> = line.split('\t').collect();
            if wanted(fields[1], fields[2]) {
                let file = folder.join(format!("screens/{}.txt", fields[1]));
                let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
                found.push(Recorded { agent: agent.clone(), text });
            }
        }
    }
    found
}

/// What people do to a prompt that they print; the first of these are likely above a composer.
fn forms(screen: &str) -> Vec<String> {
    let plain = strip(screen.trim_end());
    let lines: Vec<&str> = plain.lines().collect();
    let each = |begin: &str| lines.iter().map(|line| format!("{begin}{line}\n")).collect();
    let last = |count: usize| lines[lines.len().saturating_sub(count)..].join("\n");
    let numbered = lines.iter().enumerate().map(|(at, line)| format!("{at:>4}  {line}\n"));
    vec![
        plain.clone(),
        each("  "),
        format!("● {}", plain.trim_start()),
        last(10),
        each("> "),
        each("+ "),
        each("- "),
        each("│ "),
        numbered.collect(),
        last(5),
        last(20),
    ]
}

/// A text without what colours it.
fn strip(painted: &str) -> String {
    let mut plain = String::new();
    let mut rest = painted;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        rest = &rest[at + end + 1..];
    }
    plain + rest
}

/// Panes that print each of some texts, one after the other, and wait at the end.
struct Printer<'a> {
    env: &'a TestEnv,
    panes: Vec<String>,
}

impl<'a> Printer<'a> {
    fn new(env: &'a TestEnv) -> Self {
        Self { env, panes: Vec::new() }
    }

    /// Starts a pane that prints these texts: a shell, or what looks like an agent in `node`.
    /// Between two texts it leaves as much time as the deck takes to look at what is printed.
    fn start(&mut self, name: &str, agent: Option<&str>, texts: &[String]) {
        let folder = self.env.path(&format!("texts-{name}"));
        fs::create_dir_all(&folder).unwrap();
        for (number, text) in texts.iter().enumerate() {
            fs::write(folder.join(format!("{number:04}")), text).unwrap();
        }
        let program = agent.unwrap_or(name);
        self.env.script(
            program,
            &format!(
                "#!/bin/sh\nfor text in {0}/*; do printf '\\033[H\\033[2J'; cat \"$text\"; \
                 sleep 0.5; done\ntouch {0}.done\nwhile read -r line; do :; done\n",
                folder.display()
            ),
        );
        let bin = self.env.path("bin");
        let (node, script) = (bin.join("node"), bin.join(program));
        let run = match agent {
            Some(_) => format!("exec {} {}", node.display(), script.display()),
            None => format!("exec {}", script.display()),
        };
        let mut arguments = vec!["new-session", "-d", "-P", "-F", "#{pane_id}", "-s", name];
        arguments.extend(SIZE);
        arguments.push(&run);
        self.panes.push(self.env.tmux().ok(&arguments));
    }

    /// Watches until all have printed everything; gives every item in which somebody is surely
    /// waited for.
    fn watch(&self, daemon: &Daemon, names: &[String]) -> Vec<Value> {
        let waits = |it: &Value| {
            it["confidence"] == "high" && deck::text(it, "state").starts_with("waiting")
        };
        let (mut watch, snapshot) = deck::Watch::panes(daemon.api());
        let items = snapshot["items"].as_array().unwrap().iter();
        let mut seen: Vec<Value> = items.filter(|it| waits(it)).cloned().collect();
        let is_done = || names.iter().all(|it| self.env.path(&format!("texts-{it}.done")).exists());
        let bound = std::time::Duration::from_secs(120);
        let done = wait::within(bound, || {
            let pause = std::time::Duration::from_millis(200);
            while watch.next_within(pause).is_ok() {}
            is_done().then_some(())
        });
        assert!(done.is_some(), "everything is printed within {bound:?}");
        let upserts = watch.changes.iter().filter(|(_, it)| it["op"] == "upsert");
        seen.extend(upserts.map(|(_, it)| it["item"].clone()).filter(|it| waits(it)));
        seen
    }
}

#[test]
fn s_11_prompts_that_cat_prints_into_panes_wait_for_nobody() {
    let env = deck();
    // An interpreter, as far as its name tells: it runs scripts.
    fs::copy("/bin/sh", env.path("bin/node")).unwrap();
    let dialogs = recorded(|_, truth| truth.starts_with("waiting"));
    let texts: Vec<String> = dialogs.iter().flat_map(|it| forms(&it.text)).collect();
    assert!(texts.len() >= PROMPTS_MIN, "only {} prompts", texts.len());
    let mut printer = Printer::new(&env);
    let mut names = Vec::new();
    let share = texts.len().div_ceil(PANES);
    for (number, texts) in texts.chunks(share).enumerate() {
        let name = format!("shell{number}");
        printer.start(&name, None, texts);
        names.push(name);
    }
    // The same above the composer of the agent whose dialog it is, in a pane where it runs.
    let composers = recorded(|case, _| case == "idle-after-reply");
    let mut agents = 0;
    for composer in &composers {
        let of = |it: &&Recorded| it.agent == composer.agent;
        let texts: Vec<String> = dialogs
            .iter()
            .filter(of)
            .flat_map(|it| forms(&it.text).into_iter().take(ABOVE))
            .map(|text| format!("{}\u{1b}[0m\n\n{}", text.trim_end(), composer.text.trim()))
            .collect();
        let name = format!("agent-{}", composer.agent);
        printer.start(&name, Some(&composer.agent), &texts);
        names.push(name);
        agents += texts.len();
    }
    assert!(agents > 50, "{agents}");
    let daemon = env.daemon();
    for pane in &printer.panes {
        deck::listed(daemon.api(), pane);
    }
    let waiting = printer.watch(&daemon, &names);
    assert!(waiting.is_empty(), "{waiting:#?}");
    // They were looked at: what stands there at the end is read.
    for (name, pane) in names.iter().zip(&printer.panes) {
        let Some(agent) = name.strip_prefix("agent-") else { continue };
        deck::pane_where(daemon.api(), pane, &format!("{agent} is idle"), |it| {
            it["agent_type"] == agent && it["state"] == "idle"
        });
    }
}
