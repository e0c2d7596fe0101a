//! The corpus: what was recorded of real agents, with what was true at that moment. The labels
//! come from the scenario that made the record, never from an adapter.

use std::fs;
use std::path::{Path, PathBuf};

use agents::adapter::{Adapter, Reading, Report, Surface};
use agents::registry::Registry;
use agents::screen::Screen;
use engine::state::Claim;
use engine::words::{Source, State};
use serde_json::Value;

/// Columns of the recorded screens.
pub(crate) const WIDTH: u32 = 120;

/// What was recorded of one version of one agent.
pub(crate) struct Recording {
    pub(crate) agent: String,
    pub(crate) version: String,
    folder: PathBuf,
    pub(crate) cases: Vec<Case>,
}

/// One record with its label.
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) truth: Truth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Screen,
    Title,
    Hook,
}

/// What is true; several claims where the source cannot tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truth(pub(crate) Vec<(State, String)>);

impl Truth {
    /// `-` and `unknown` hold nothing: whatever is definite is wrong. A state without a reason is
    /// true with any.
    pub(crate) fn parse(text: &str) -> Self {
        let claim = |part: &str| {
            let (state, reason) = part.split_once('/').unwrap_or((part, ""));
            (State::parse(state).unwrap(), reason.to_owned())
        };
        let nothing = matches!(text, "-" | "unknown");
        Self(if nothing { Vec::new() } else { text.split('|').map(claim).collect() })
    }

    pub(crate) fn allows_state(&self, state: State) -> bool {
        self.0.iter().any(|(true_state, _)| *true_state == state)
    }

    pub(crate) fn allows(&self, claim: &Claim) -> bool {
        // To say that nothing is known yet is no state.
        let nothing = self.0.is_empty() && claim.state == State::Unknown;
        nothing || self.allows_reason(claim.state, &claim.reason)
    }

    pub(crate) fn allows_reason(&self, state: State, reason: &str) -> bool {
        let fits = |wanted: &str| wanted.is_empty() || wanted == reason;
        self.0.iter().any(|(true_state, wanted)| *true_state == state && fits(wanted))
    }
}

/// One event of a recorded sequence.
pub(crate) struct Step {
    pub(crate) ms: i64,
    pub(crate) event: String,
    pub(crate) payload: Value,
    /// Nothing where the truth at this moment is not known.
    pub(crate) truth: Option<Truth>,
}

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"))
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

pub(crate) fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

pub(crate) fn recordings() -> Vec<Recording> {
    let mut all = Vec::new();
    for agent in entries(root()) {
        for folder in entries(&agent) {
            let case = |row: Vec<String>| {
                let kind = match row[0].as_str() {
                    "screen" => Kind::Screen,
                    "title" => Kind::Title,
                    "hook" => Kind::Hook,
                    other => panic!("{other}"),
                };
                Case { kind, name: row[1].clone(), truth: Truth::parse(&row[2]) }
            };
            let cases = rows(&folder.join("labels.tsv")).into_iter().map(case).collect();
            let (agent, version) = (name_of(&agent), name_of(&folder));
            all.push(Recording { agent, version, folder, cases });
        }
    }
    all
}

impl Recording {
    pub(crate) fn screen(&self, name: &str) -> Screen {
        Screen::from_capture(self.screen_text(name).as_bytes(), WIDTH, 40)
    }

    pub(crate) fn screen_text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join("screens").join(format!("{name}.txt"))).unwrap()
    }

    pub(crate) fn payload(&self, name: &str) -> Value {
        let path = self.folder.join("hooks").join(format!("{name}.json"));
        let mut record: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for field in ["payload", "argv_json"] {
            if let Some(inner) = record.get_mut(field) {
                record = inner.take();
            }
        }
        record
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(move |case| case.kind == kind)
    }

    pub(crate) fn sequence(&self) -> Vec<Step> {
        let step = |row: Vec<String>| Step {
            ms: row[0].parse().unwrap(),
            event: row[1].clone(),
            payload: self.payload(&row[2]),
            truth: (row[3] != "?").then(|| Truth::parse(&row[3])),
        };
        rows(&self.folder.join("sequence.tsv")).into_iter().map(step).collect()
    }

    /// What the agent's adapter hears in a recorded event.
    pub(crate) fn heard(&self, adapter: &dyn Adapter, case: &Case) -> Report {
        let event = case.name.split('.').next().unwrap();
        // A bus event is told by its own type.
        let payload = self.payload(&case.name);
        let dotted = ["event.", "plugin.", "tool.", "chat."];
        let whole = dotted.iter().any(|start| case.name.starts_with(start));
        let bus = payload.get("type").and_then(Value::as_str);
        let event = match bus {
            Some(kind) if whole => kind,
            Some(_) | None if whole => &case.name,
            Some(_) | None => event,
        };
        adapter.hears(event, &payload)
    }
}

/// What one source reads of a screen and a title.
pub(crate) fn read(
    registry: &Registry,
    agent: &str,
    version: Option<&str>,
    (title, screen): (&str, &Screen),
    source: Source,
) -> Option<Reading> {
    let surface = Surface { version, title, screen };
    registry.get(agent).unwrap().reads(&surface).remove(&source)
}

#[test]
fn every_record_has_a_label() {
    for recording in recordings() {
        for (kind, folder, end) in
            [(Kind::Screen, "screens", ".txt"), (Kind::Hook, "hooks", ".json")]
        {
            let files = entries(&recording.folder.join(folder));
            let mut files: Vec<String> =
                files.iter().map(|it| name_of(it).trim_end_matches(end).to_owned()).collect();
            files.sort();
            let mut labelled: Vec<String> = recording.of(kind).map(|it| it.name.clone()).collect();
            labelled.sort();
            assert_eq!(files, labelled, "{} {folder}", recording.agent);
        }
    }
}
