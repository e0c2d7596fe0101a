//! The corpus of the fuzz target, replayed through the very check that the target makes.

use std::{fs, path::Path};

#[path = "../../../../fuzz/checks/control.rs"]
mod control;

#[test]
fn every_input_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/control");
    let mut inputs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        control::check(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "the corpus is missing");
}
