//! The corpus of the fuzz target of the spool, replayed through the very check that it makes.

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/checks/record.rs"]
mod check;

#[test]
fn every_spool_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/record");
    let mut inputs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check::check(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "the corpus is missing");
}
