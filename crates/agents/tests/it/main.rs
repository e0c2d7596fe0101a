//! Tests of the adapters through their public interface: recorded agents, and whatever else a
//! pane may show.

#![expect(clippy::unwrap_used, reason = "a test fails loudly on anything unexpected")]

mod accuracy;
mod composers;
mod corpus;
mod dialogs;
mod fuzzed;
mod hostile;
mod later;
mod narrow;
mod quoting;
mod recognition;
mod registry;
mod reports;
mod screens;
mod sequences;
mod setup;
mod shown;
mod spool;
mod status;

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
