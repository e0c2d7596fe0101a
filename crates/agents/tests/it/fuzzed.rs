//! The inputs of the fuzz targets, replayed.

use std::path::Path;

#[path = "../../../../fuzz/checks/report.rs"]
mod report;
#[path = "../../../../fuzz/checks/screen.rs"]
mod screen;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn the_corpus_of_reports_holds() {
    replay("report", report::check);
}

#[test]
fn the_corpus_of_screens_holds() {
    replay("screen", screen::check);
}
