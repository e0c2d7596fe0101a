//! Whether tmux is there and new enough.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::commands::doctor::{Check, Verdict};

/// The oldest tmux that is watched.
const OLDEST: (u32, u32) = (3, 3);

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(5);

/// How much of its answer is read.
const ANSWER_BYTES_MAX: u64 = 1_024;

/// The program that every daemon looks for where nothing else is set.
const USUAL: &str = "tmux";

/// `config` is the file that names another program, if one is named.
pub(super) fn tmux(program: &str, config: &Path) -> Check {
    let Some(path) = find(program) else {
        if program != USUAL {
            let message = format!("`{program}`, which `observer.tmux` names, is not there");
            let hint = format!("Correct `observer.tmux` in {}", config.display());
            return Check::new("tmux", Verdict::Failed, message).hint(hint);
        }
        return Check::new("tmux", Verdict::Failed, format!("`{program}` is not installed"))
            .hint("Install tmux 3.3 or later, for example: apt-get install tmux");
    };
    let shown = path.display();
    let Some(said) = version_of(&path) else {
        return Check::new("tmux", Verdict::Failed, format!("{shown} does not say its version"))
            .hint(format!("See what it says: {shown} -V"));
    };
    match number(&said) {
        Some(found) if found < OLDEST => {
            let message = format!("{said} at {shown} is too old; 3.3 or later is needed");
            Check::new("tmux", Verdict::Failed, message).hint("Install a newer tmux.")
        }
        Some(_) => Check::new("tmux", Verdict::Ok, format!("{said} at {shown}")),
        None => {
            let message = format!("{said} at {shown} has no version that is known");
            Check::new("tmux", Verdict::Warning, message).hint("It is treated as the newest.")
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// What the program says for `-V`, in one line; nothing if it takes too long.
fn version_of(program: &Path) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the doctor looks at the program itself")]
    let mut child = Command::new(program)
        .arg("-V")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut left = PATIENCE;
    while child.try_wait().ok()?.is_none() {
        let Some(rest) = left.checked_sub(STEP) else {
            child.kill().ok();
            child.wait().ok();
            return None;
        };
        left = rest;
        std::thread::sleep(STEP);
    }
    let mut said = String::new();
    child.stdout.take()?.take(ANSWER_BYTES_MAX).read_to_string(&mut said).ok()?;
    said.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// The version in `tmux 3.3a`, `tmux next-3.6`, `tmux openbsd-7.4`; a build from the source may
/// have none.
fn number(said: &str) -> Option<(u32, u32)> {
    let word = said.strip_prefix("tmux ")?;
    let word = word.strip_prefix("next-").unwrap_or(word);
    let (major, rest) = word.split_once('.')?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((major.parse().ok()?, rest.get(..digits)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn checked(script: &str) -> Check {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tmux");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        tmux(path.to_str().unwrap(), Path::new("/c.toml"))
    }

    #[test]
    fn versions_are_read_in_every_spelling() {
        for (said, expected) in [
            ("tmux 3.3a", Some((3, 3))),
            ("tmux 3.10", Some((3, 10))),
            ("tmux next-3.6", Some((3, 6))),
            ("tmux 2.9", Some((2, 9))),
            ("tmux master", None),
            ("screen 4.9", None),
            ("tmux 3.", None),
        ] {
            assert_eq!(number(said), expected, "{said}");
        }
    }

    #[test]
    fn a_tmux_that_is_missing_mute_or_too_old_fails() {
        assert_eq!(checked("echo tmux 3.3a").verdict, Verdict::Ok);
        assert_eq!(checked("echo tmux master").verdict, Verdict::Warning);
        let old = checked("echo tmux 3.2a");
        assert_eq!(old.verdict, Verdict::Failed);
        assert!(old.message.contains("3.2a") && old.message.contains("3.3"), "{old:?}");
        assert_eq!(checked("exit 1").verdict, Verdict::Failed);
        let absent = tmux("/not/there/tmux", Path::new("/c.toml"));
        assert_eq!(absent.verdict, Verdict::Failed);
        assert_eq!(absent.hint, "Correct `observer.tmux` in /c.toml", "the setting is the cause");
        assert_eq!(tmux("no-such-program-anywhere", Path::new("/c.toml")).verdict, Verdict::Failed);
    }
}
