//! Tests of the engine through its public interface, with a memory in place of the store.

#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    reason = "a test looks for one kind of event and fails loudly on anything else"
)]

mod access;
mod actions;
mod adapters;
mod approvals;
mod cancelling;
mod health;
mod identity;
mod inbox;
mod ordering;
mod readings;
mod states;
mod volatile;
mod world;

#[test]
fn no_test_file_is_forgotten() {
    let listed = include_str!("main.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || listed.contains(&format!("mod {module};")), "{name}");
    }
}
