//! Black-box tests: the built `qd` against a real tmux on private sockets, over the real wire.
//!
//! `docs/design/tests.md` says which test covers which id of the catalogue.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, its helpers too")]

mod deck;

mod access;
mod actions;
mod actions_crash;
mod adapters;
mod agents;
mod answers_killed;
mod approvals;
mod cancel;
mod catalogue;
mod command_line;
mod config;
mod described;
mod events;
mod faults;
mod from_agents;
mod held;
mod hooks;
mod hostile;
mod hub;
mod identity;
mod lifecycle;
mod listing;
mod load;
mod machines;
mod machines_answers;
mod machines_clocks;
mod machines_install;
mod machines_keys;
mod machines_many;
mod machines_noise;
mod machines_terminal;
mod machines_texts;
mod machines_told;
mod machines_unseen;
mod notify;
mod outer_shell;
mod plugin;
mod prompts;
mod quoted;
mod resilience;
mod reused;
mod routes;
mod secrets;
mod setup;
mod store;
mod target_test;
mod targets;
mod tcp;
mod topology;
mod traces;
mod waiting;
mod watch;
mod wrong_pane;

/// A file that is not listed above would be compiled by nobody and pass for ever.
#[test]
fn no_test_file_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        let declared = listed.contains(&format!("\nmod {module};\n"));
        assert!(module == "main" || declared, "tests/it/{name} is not listed in main.rs");
    }
}
