//! The corpora of the fuzz targets, replayed through the very checks that the targets make.

#![expect(clippy::unwrap_used, reason = "a test may fail where it likes, in its helpers too")]

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/checks/envelope.rs"]
mod envelope;
#[path = "../../../../fuzz/checks/reference.rs"]
mod reference;

/// Runs `check` on every input of a corpus.
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(corpus);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "the corpus is missing");
}

#[test]
fn every_reference_of_the_corpus_holds() {
    replay("reference", reference::check);
}

#[test]
fn every_envelope_of_the_corpus_holds() {
    replay("envelope", envelope::check);
}
