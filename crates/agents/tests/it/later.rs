//! The part of the corpus that was recorded after the rules were frozen: looks at panes and
//! sequences of hooks, as `./x test agents --record` writes them. The labels come from the scene
//! that was played.

use std::fs;
use std::path::{Path, PathBuf};

use agents::redact;
use agents::screen::Screen;
use serde_json::Value;

use crate::corpus::{Truth, entries, name_of, root, rows};

/// What was recorded of one version of one agent.
pub(crate) struct Later {
    pub(crate) agent: String,
    pub(crate) version: String,
    /// The day on which it was recorded.
    pub(crate) day: String,
    pub(crate) looks: Vec<Look>,
    pub(crate) scenes: Vec<Scene>,
    folder: PathBuf,
}

/// What a pane was and showed at a moment of which the truth is certain.
pub(crate) struct Look {
    pub(crate) case: String,
    pub(crate) truth: Truth,
    pub(crate) title: String,
    pub(crate) screen: Screen,
}

/// What came in one scene, in its order.
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

pub(crate) struct Step {
    pub(crate) ms: i64,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// Somebody looked: the number of the look, and whether a hook had told what is true.
    Look(usize, bool),
    Event {
        name: String,
        /// As an adapter hears it: without secrets.
        payload: Value,
        /// Nothing while the truth may have been changing, or where no hook tells of it.
        truth: Option<Truth>,
    },
}

pub(crate) fn later() -> Vec<Later> {
    let mut all = Vec::new();
    for agent in entries(root()) {
        for version in entries(&agent) {
            let folder = version.join("later");
            if folder.exists() {
                all.push(Later::of(name_of(&agent), name_of(&version), folder));
            }
        }
    }
    all
}

impl Later {
    fn of(agent: String, version: String, folder: PathBuf) -> Self {
        let day = fs::read_to_string(folder.join("recorded")).unwrap().trim().to_owned();
        let looks: Vec<Look> =
            rows(&folder.join("looks.tsv")).iter().map(|row| look(&folder, row)).collect();
        let payloads = fs::read_to_string(folder.join("payloads.jsonl")).unwrap();
        let heard = |line: &str| redact::payload_and_value(line).ok().and_then(|it| it.1);
        let payloads: Vec<Value> =
            payloads.lines().map(|line| heard(line).unwrap_or_default()).collect();
        let mut scenes: Vec<Scene> = Vec::new();
        for row in rows(&folder.join("sequences.tsv")) {
            let step = step(&row, &looks, &payloads);
            match scenes.last_mut() {
                Some(scene) if scene.name == row[0] => scene.steps.push(step),
                Some(_) | None => {
                    scenes.push(Scene { name: row[0].clone(), steps: vec![step] });
                }
            }
        }
        Self { agent, version, day, looks, scenes, folder }
    }
}

fn look(folder: &Path, row: &[String]) -> Look {
    let number = |at: usize| row[at].parse::<u32>().unwrap();
    let text = fs::read(folder.join("screens").join(format!("{}.txt", row[0]))).unwrap();
    let screen = Screen::from_capture(&text, number(2), number(3));
    let cursor = (row[5] == "1").then(|| (number(6), number(7)));
    Look {
        case: row[0].clone(),
        truth: Truth::parse(&row[1]),
        title: row[8..].join("\t"),
        screen: Screen { alternate: row[4] == "1", cursor, ..screen },
    }
}

fn step(row: &[String], looks: &[Look], payloads: &[Value]) -> Step {
    let [_, ms, event, what, truth, told] = row else { panic!("{row:?}") };
    let what = if event == "look" {
        What::Look(looks.iter().position(|look| look.case == *what).unwrap(), told == "hook")
    } else {
        let judged = truth != "?" && told == "hook";
        let payload = payloads[what.parse::<usize>().unwrap()].clone();
        let truth = judged.then(|| Truth::parse(truth));
        What::Event { name: event.clone(), payload, truth }
    };
    Step { ms: ms.parse().unwrap(), what }
}

#[test]
fn every_later_record_has_a_label_and_none_tells_of_a_machine() {
    for later in later() {
        let mut files: Vec<String> =
            entries(&later.folder.join("screens")).iter().map(|it| name_of(it)).collect();
        let mut labelled: Vec<String> =
            later.looks.iter().map(|look| format!("{}.txt", look.case)).collect();
        files.sort();
        labelled.sort();
        assert_eq!(files, labelled, "{}", later.agent);
        let screens = entries(&later.folder.join("screens"));
        let tables = ["looks.tsv", "sequences.tsv", "payloads.jsonl"];
        for path in screens.into_iter().chain(tables.map(|name| later.folder.join(name))) {
            let text = fs::read_to_string(&path).unwrap();
            for trace in ["qdt-", "/root/", "\"/tmp/"] {
                assert!(!text.contains(trace), "{} has {trace}", path.display());
            }
        }
    }
}
