//! A secret in every field of every recorded payload of every agent: nothing of it gets further
//! than the spool.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::wait;

use crate::deck::{self, deck};

/// What is looked for afterwards; it stands in every secret.
const MARK: &str = "zQ7mark";

/// Secrets as people have them: by their form, and by the name beside them.
fn secrets() -> [String; 4] {
    [
        format!("ghp_{MARK}abcdefghijklmnopqrstuvwxyz012"),
        format!("password={MARK}hunter2"),
        format!("sk-ant-api03-{MARK}abcdefghijklmnopqrstuvwxyzABCDEFGH"),
        format!("Authorization: Bearer {MARK}.abcdefghijklmnop.qrstuvwx"),
    ]
}

/// Puts a secret behind each text of a payload, whatever its key.
fn taint(value: &mut Value, secret: &str) {
    match value {
        Value::String(text) => *text = format!("{text} {secret}"),
        Value::Array(items) => items.iter_mut().for_each(|it| taint(it, secret)),
        Value::Object(fields) => fields.values_mut().for_each(|it| taint(it, secret)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Each recorded hook: the agent, its event, what it was given.
fn recorded() -> Vec<(String, String, Value)> {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../agents/tests/corpus"));
    let below = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().map(|it| it.unwrap().path()).collect()
    };
    let mut found = Vec::new();
    for folder in below(corpus).iter().flat_map(|agent| below(agent)) {
        let agent = folder.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        for file in below(&folder.join("hooks")) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let event = name.split('.').next().unwrap().to_owned();
            let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let payload = record.get_mut("payload").map(Value::take).unwrap_or(record);
            found.push((agent.clone(), event, payload));
        }
    }
    found
}

/// Files below a folder in which the mark stands, apart from the spool's own.
fn marked(folder: &Path, spool: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() && path != spool {
            found.extend(marked(&path, spool));
        } else if entry.file_type().unwrap().is_file() {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn ag_29_a_secret_in_every_field_of_every_agents_payloads_is_nowhere() {
    let env = deck();
    env.configure("[log]\nlevel = \"trace\"\n");
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec sh");
    deck::listed(daemon.api(), &pane);
    let mut script = String::new();
    let mut count = 0;
    for (agent, event, payload) in recorded() {
        for secret in secrets() {
            let mut payload = payload.clone();
            taint(&mut payload, &secret);
            let file = env.path(&format!("payload-{count}"));
            fs::write(&file, payload.to_string()).unwrap();
            let (qd, file) = (env.qd_program().display(), file.display());
            // Beside the others: a request for permission waits for its answer.
            writeln!(script, "{qd} hook {agent} {event} < {file} &").unwrap();
            count += 1;
        }
    }
    assert!(count > 300, "only {count} payloads");
    let file = env.path("all-hooks");
    fs::write(&file, script).unwrap();
    env.tmux().type_line(&pane, &format!(". {}", file.display()));
    wait::until("all are taken in", || {
        let taken = env.sqlite("SELECT count(*) FROM events WHERE event_id LIKE 'hook-%'");
        (taken.trim().parse() == Ok(count)).then_some(())
    });
    let runtime = deck::runtime_of(&deck::listed(daemon.api(), &pane));
    let paths = ["/v1/panes", "/v1/sessions", "/v1/windows", "/v1/health", "/v1/actions"];
    let explained = format!("/v1/runtimes/{runtime}/explain");
    for path in paths.into_iter().chain([explained.as_str()]) {
        let answer = daemon.api().get(path).text();
        assert!(!answer.contains(MARK), "{path}: {answer}");
    }
    for command in [&["ls"][..], &["explain", &pane], &["history"], &["doctor"]] {
        let said = env.qd(command);
        assert!(!said.stdout.contains(MARK), "qd {}: {}", command.join(" "), said.stdout);
    }
    daemon.stop();
    assert_eq!(marked(&env.home(), &env.home().join("spool")), Vec::<PathBuf>::new());
}
