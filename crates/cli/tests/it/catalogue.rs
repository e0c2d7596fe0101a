//! The page that says which test covers which id tells the truth.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The names of all test functions below a folder.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|it| it != "target") {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap().replace("#[tokio::test]", "#[test]");
            let after = text.split("#[test]").skip(1);
            let named = after.filter_map(|it| it.split_once("fn ")?.1.split_once('('));
            names.extend(named.map(|(name, _)| name.trim().to_owned()));
            // Those that a list makes once for each way to reach a target.
            let lists = text.split("on_every_").skip(1).filter_map(|it| {
                let (_, listed) = it.split_once("!(")?;
                Some(listed.split_once(");")?.0)
            });
            let listed = lists.flat_map(|list| list.split(',')).map(str::trim);
            let is_name = |it: &&str| it.contains('_') && !it.contains(char::is_whitespace);
            names.extend(listed.filter(is_name).map(str::to_owned));
        }
    }
}

/// Whether a test says in its name for which id it stands, such as `tc_019_...`.
fn carries_an_id(name: &str) -> bool {
    let mut parts = name.split('_');
    let kind = parts.next().unwrap_or_default();
    let number = parts.next().unwrap_or_default();
    matches!(kind, "tc" | "f" | "r" | "s" | "ag")
        && number.len() >= 2
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn the_page_names_every_test_that_carries_an_id_and_no_test_that_is_not_there() {
    let mut names = BTreeSet::new();
    for folder in ["crates", "xtask", "bench"] {
        tests_below(&Path::new(ROOT).join(folder), &mut names);
    }
    let page = fs::read_to_string(Path::new(ROOT).join("docs/design/tests.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2);
    let is_test =
        |it: &&str| it.contains('_') && it.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
    let named: BTreeSet<_> =
        quoted.filter(is_test).filter(|it| it.bytes().all(|b| !b.is_ascii_uppercase())).collect();
    let gone: Vec<_> = named.iter().filter(|it| !names.contains(**it)).collect();
    assert!(gone.is_empty(), "docs/design/tests.md names tests that are not there: {gone:#?}");
    let left_out: Vec<_> =
        names.iter().filter(|it| carries_an_id(it) && !named.contains(it.as_str())).collect();
    assert!(left_out.is_empty(), "docs/design/tests.md leaves out {left_out:#?}");
}
