//! How files read: an opening that says what they are, a length one can hold
//! in mind, and no leftovers.

use super::Finding;
use crate::tree::{SourceFile, Tree};

/// The longest file, in production lines.
const FILE_LINES_MAX: usize = 800;
/// The longest function, from its first line to its last.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are longer, each with the length it must not exceed. The list
/// only ever gets shorter.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Texts that do not belong into finished code, and what to do instead. They
/// are written in two parts so that this file does not hold them.
const LEFTOVERS: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "do it now, or file an issue"),
    (concat!("todo", "!("), "nothing is left to be done later"),
    (concat!("unimplemented", "!("), "nothing is left to be done later"),
    (concat!("#[", "allow("), "say #[expect(lint, reason = \"...\")]"),
    (concat!("#![", "allow("), "say #![expect(lint, reason = \"...\")]"),
];

/// Words that say nothing about what a type or a file is.
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Service", "Util", "Utils"];
/// Files in which such a word is the thing's own name, and why.
const OWN_NAMES: &[(&str, &str)] =
    &[("crates/daemon/src/service.rs", "systemd and launchd are service managers")];
const EMPTY_FILES: &[&str] = &["/utils.rs", "/util.rs", "/helpers.rs", "/misc.rs", "/common.rs"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.files.iter().flat_map(check_whitespace).collect();
    for file in tree.with_extension("rs") {
        findings.extend(check_opening(file));
        findings.extend(check_file_length(file));
        findings.extend(check_functions(file, LONG_FUNCTIONS));
        findings.extend(check_leftovers(file));
        findings.extend(check_names(file));
    }
    findings
}

fn check_whitespace(file: &SourceFile) -> Vec<Finding> {
    let mut findings: Vec<Finding> = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(index, _)| Finding::at(&file.path, index + 1, "ends in whitespace"))
        .collect();
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::whole(&file.path, "does not end in a newline"));
    }
    findings
}

fn check_opening(file: &SourceFile) -> Option<Finding> {
    let opens = file.text.starts_with("//! ") || file.text.starts_with("#!/");
    (!opens).then(|| Finding::at(&file.path, 1, "does not open with `//!` and what it is"))
}

fn check_file_length(file: &SourceFile) -> Option<Finding> {
    let length = file.production_lines().count();
    let problem = || format!("{length} lines of code, at most {FILE_LINES_MAX}: split it by noun");
    (length > FILE_LINES_MAX).then(|| Finding::whole(&file.path, problem()))
}

fn check_functions(file: &SourceFile, exceptions: &[(&str, &str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<(usize, &str)> = file.production_lines().collect();
    for (index, (number, line)) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let length = function_length(lines[index..].iter().map(|(_, line)| *line));
        let listed = exceptions.iter().find(|(path, it, _)| *path == file.path && *it == name);
        let limit = listed.map_or(FUNCTION_LINES_MAX, |(_, _, length)| *length);
        if length > limit {
            let problem = format!("`{name}` has {length} lines, at most {limit}");
            findings.push(Finding::at(&file.path, *number, problem));
        }
    }
    findings
}

/// The length of the function that begins with the first of the lines. The
/// code is formatted: a body ends at the first `}` as far left as it began, and
/// a head without a body at a `;`.
fn function_length<'a>(mut lines: impl Iterator<Item = &'a str>) -> usize {
    let Some(first) = lines.next() else { return 0 };
    if first.ends_with(['}', ';']) {
        return 1;
    }
    let margin = first.len() - first.trim_start().len();
    let ends = |line: &str| {
        let rest = line.get(margin..).filter(|_| line.trim_start().len() + margin == line.len());
        rest.is_some_and(|rest| rest == "}" || (!rest.starts_with('}') && rest.ends_with(';')))
    };
    lines.position(ends).map_or(0, |rest| rest + 2)
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        let (word, tail) = rest.split_once(' ')?;
        match word {
            "fn" => break rest = tail,
            "pub" | "pub(crate)" | "pub(super)" | "const" | "async" | "unsafe" | "extern"
            | "\"C\"" => rest = tail,
            _ => return None,
        }
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

fn check_leftovers(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (text, instead) in LEFTOVERS {
            if line.contains(text) {
                findings.push(Finding::at(&file.path, index + 1, format!("`{text}`: {instead}")));
            }
        }
    }
    findings
}

fn check_names(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if EMPTY_FILES.iter().any(|name| file.path.ends_with(name)) {
        findings.push(Finding::whole(&file.path, "is named after nothing"));
    }
    if OWN_NAMES.iter().any(|(path, _)| *path == file.path) {
        return findings;
    }
    for (number, line) in file.code_lines() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let declares = |word: &str| matches!(word, "struct" | "enum" | "trait" | "type");
        let Some(name) = words.find(|word| declares(word)).and_then(|_| words.next()) else {
            continue;
        };
        if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
            let problem = format!("`{name}` says what it is called, not what it is");
            findings.push(Finding::at(&file.path, number, problem));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(text: &str) -> SourceFile {
        SourceFile::planted("crates/a/src/b.rs", text)
    }

    fn function_of(lines: usize) -> String {
        let body = "        step();\n".repeat(lines - 2);
        format!("impl A {{\n    pub(crate) const fn long(&self) {{\n{body}    }}\n}}\n")
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert!(check_opening(&planted("//! A thing.\n")).is_none());
        assert!(check_opening(&planted("use std::fmt;\n")).is_some());
        assert!(check_opening(&planted("//!\n")).is_some());
    }

    #[test]
    fn a_function_is_measured_from_first_line_to_last() {
        assert!(check_functions(&planted(&function_of(FUNCTION_LINES_MAX)), &[]).is_empty());
        let found = check_functions(&planted(&function_of(FUNCTION_LINES_MAX + 1)), &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "crates/a/src/b.rs:2: `long` has 71 lines, at most 70");
    }

    #[test]
    fn a_listed_function_may_be_as_long_as_listed_and_no_longer() {
        let exceptions = [("crates/a/src/b.rs", "long", 80)];
        assert!(check_functions(&planted(&function_of(80)), &exceptions).is_empty());
        assert_eq!(check_functions(&planted(&function_of(81)), &exceptions).len(), 1);
    }

    #[test]
    fn a_head_without_a_body_ends_where_it_ends() {
        let length = |text: &str| function_length(text.lines());
        assert_eq!(length("    fn a();\n    fn b() {\n    }\n"), 1);
        assert_eq!(length("    fn a(\n        b: u8,\n    ) -> u8;\n    fn c() {\n    }\n"), 3);
        assert_eq!(length("fn a() -> u8\nwhere\n    u8: Copy,\n{\n    1\n}\n"), 6);
    }

    #[test]
    fn functions_are_recognised_by_their_head() {
        assert_eq!(function_name("    pub(crate) async fn run_all(self) {"), Some("run_all"));
        assert_eq!(function_name("fn list<T>() {"), Some("list"));
        assert_eq!(function_name("    let fn_name = 1;"), None);
        assert_eq!(function_name("// fn a() {"), None);
    }

    #[test]
    fn a_file_is_measured_without_its_tests() {
        let long = "//! A.\n".to_owned() + &"const A: u8 = 0;\n".repeat(FILE_LINES_MAX);
        assert!(check_file_length(&planted(&long)).is_some());
        let tests = "//! A.\n#[cfg(test)]\nmod tests {\n".to_owned()
            + &"    const A: u8 = 0;\n".repeat(FILE_LINES_MAX)
            + "}\n";
        assert!(check_file_length(&planted(&tests)).is_none());
    }

    #[test]
    fn leftovers_are_found_in_comments_and_code() {
        let text = format!("// {}: later\n{})\n", LEFTOVERS[0].0, LEFTOVERS[1].0);
        assert_eq!(check_leftovers(&planted(&text)).len(), 2);
        let text = format!("{}dead_code)]\n", LEFTOVERS[3].0);
        assert_eq!(check_leftovers(&planted(&text)).len(), 1);
    }

    #[test]
    fn whitespace_at_the_end_is_found() {
        let lines: Vec<_> =
            check_whitespace(&planted("a \nb\nc\t\nd")).into_iter().map(|it| it.line).collect();
        assert_eq!(lines, [Some(1), Some(3), None]);
    }

    #[test]
    fn empty_names_are_found() {
        assert_eq!(check_names(&planted("pub(crate) struct TaskManager {\n")).len(), 1);
        assert_eq!(check_names(&planted("struct Managers;\nfn manager() {}\n")).len(), 0);
        assert_eq!(check_names(&SourceFile::planted("crates/a/src/utils.rs", "")).len(), 1);
    }
}
