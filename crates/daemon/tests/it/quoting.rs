//! What is sent to a machine behind a login shell arrives byte by byte, whichever shell that is.

use std::fs;

use daemon::targets::quote::{for_any_shell, with_arguments};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};
use testkit::{process, skipped};

/// Login shells, with what makes each take a line.
const SHELLS: &[&[&str]] = &[
    &["sh", "-c"],
    &["dash", "-c"],
    &["bash", "-c"],
    &["busybox", "sh", "-c"],
    &["ksh", "-c"],
    &["zsh", "-c"],
    &["fish", "--no-config", "-c"],
    &["csh", "-f", "-c"],
    &["tcsh", "-f", "-c"],
];

/// Texts that mean more than themselves to one shell or another.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "'",
    "\"",
    "\\",
    "\\\\",
    "\\'",
    "a\\",
    "!",
    "!!",
    "!$",
    "\n",
    "a\nb",
    "\n\n",
    "\r",
    "\t",
    "~",
    "~root",
    "*",
    "?",
    "[a]",
    "{a,b}",
    "$HOME",
    "${x}",
    "$((1+1))",
    "$(id)",
    "`id`",
    "#",
    "#(id)",
    "a # b",
    ";",
    "&&",
    "||",
    "|",
    ">x",
    "<x",
    "&",
    "^",
    "%1",
    "%s",
    "=ls",
    "-n",
    "-e",
    "--",
    "\u{1f980} 日本語 é",
    "\u{7f}",
];

/// Runs a line as `sshd` would, and gives what it printed.
fn run(shell: &[&str], line: &str) -> Vec<u8> {
    let mut command = process::command(shell[0]);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
    let output = command.args(&shell[1..]).arg(line).output().unwrap();
    assert!(output.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether these words arrive as they are.
fn arrive(shell: &[&str], words: &[Vec<u8>]) -> bool {
    let script = with_arguments(r#"printf '%s\0' "$@""#, words.iter().map(Vec::as_slice));
    let wanted: Vec<u8> = words.iter().flat_map(|word| [word.as_slice(), b"\0"].concat()).collect();
    run(shell, &for_any_shell(&script)) == wanted
}

/// The shells that this machine has; whatever is missing is said aloud.
fn installed() -> Vec<&'static [&'static str]> {
    let is_there = |shell: &&&[&str]| {
        let found = ["/bin", "/usr/bin", "/usr/local/bin"]
            .iter()
            .any(|folder| fs::metadata(format!("{folder}/{}", shell[0])).is_ok());
        if !found {
            skipped(&format!("{} is not installed", shell[0]));
        }
        found
    };
    SHELLS.iter().filter(is_there).copied().collect()
}

#[test]
fn s_15_what_is_sent_through_any_login_shell_arrives_as_it_is() {
    let every_byte: Vec<u8> = (1..=u8::MAX).collect();
    let mut words: Vec<Vec<u8>> = HOSTILE.iter().map(|text| text.as_bytes().to_vec()).collect();
    words.push(every_byte);
    words.push(b"x".repeat(10_000));
    for shell in installed() {
        assert!(arrive(shell, &words), "{shell:?}");
    }
}

#[test]
fn s_15_random_bytes_arrive_through_any_login_shell() {
    let words = vec(vec(1..=u8::MAX, 0..40), 1..6);
    for shell in installed() {
        let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
        runner
            .run(&words, |words| {
                proptest::prop_assert!(arrive(shell, &words), "{shell:?}");
                Ok(())
            })
            .unwrap();
    }
}
