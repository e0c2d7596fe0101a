//! The shell that stays on another machine answers alike, whichever shell that is.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use testkit::process::command;
use testkit::skipped;

use crate::shells::SHELLS;

/// What it runs.
const LINE: &str = include_str!("../../src/targets/far/line.sh");
const MARK: &str = "qd-mark";

struct Line {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Line {
    fn start(shell: &[&str], home: &Path) -> Option<Self> {
        let mut child = command(shell[0])
            .args(&shell[1..])
            .args(["-c", LINE, "sh", MARK, "tmux", "-L", "none", ""])
            .env("HOME", home)
            .env("TZ", "UTC0")
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let words = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut line = Self { child, words, answers };
        assert!(line.next().starts_with("hello "));
        Some(line)
    }

    fn say(&mut self, words: &str) {
        writeln!(self.words.as_mut().unwrap(), "{words}").unwrap();
    }

    fn read(&mut self) -> String {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "it ended");
        line
    }

    /// The rest of the next line of its own.
    fn next(&mut self) -> String {
        loop {
            let line = self.read();
            if let Some(said) = line.strip_prefix(MARK) {
                return said.trim().to_owned();
            }
        }
    }

    fn ask(&mut self, word: &str, more: &str) -> String {
        self.say(&format!("{word} 1 {more}"));
        assert_eq!(self.next(), format!("begin {word} 1"));
        let mut answer = String::new();
        while !answer.ends_with(&format!("\n{MARK} end\n")) {
            answer.push_str(&self.read());
        }
        answer.truncate(answer.len() - format!("\n{MARK} end\n").len());
        answer
    }

    /// Waits until it tells this.
    fn tells(&mut self, what: &str) {
        let wanted = format!("stirred {what}");
        while self.next() != wanted {}
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.words.take());
        self.child.wait().ok();
    }
}

fn on_every_shell(look: impl Fn(&mut Line, &Path) + Sync) {
    std::thread::scope(|scope| {
        for shell in SHELLS {
            let look = &look;
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let home = folder.path().canonicalize().unwrap();
                match Line::start(shell, &home) {
                    Some(mut line) => look(&mut line, &home),
                    None => skipped(&format!("there is no {}", shell[0])),
                }
            });
        }
    });
}

#[test]
fn files_are_found_and_read_alike_by_every_shell() {
    on_every_shell(|line, home| {
        let user = home.metadata().unwrap().uid();
        let folder = home.join("a [b] $(c) 'd");
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        for name in ["x-1.log", "x-2.log", "y"] {
            fs::write(path(name), "one\ntwo\n").unwrap();
        }
        for old in ["x-1.log", "y"] {
            fs::File::open(path(old)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        symlink(path("y"), path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
        let pattern = path("x-*.log").replace('[', "[[]");
        let found = format!("{}\n{}\n", path("x-2.log"), path("x-1.log"));
        assert_eq!(line.ask("matching", &pattern), found);
        assert_eq!(line.ask("matching", &path("z*").replace('[', "[[]")), "");
        let read = |line: &mut Line, part: &str, name: &str| {
            line.ask("file", &format!("{user} {part} {}", path(name)))
        };
        for (part, text) in [
            ("0 100", "one\ntwo\n"),
            ("0 2", "on"),
            ("3 100", "\ntwo\n"),
            ("end 3", "wo\n"),
            ("99 3", ""),
        ] {
            // Not every `ls` tells fractions.
            let said = read(line, part, "y").replacen(".000000000", "", 1);
            assert_eq!(said, format!("file 8 1970-01-01 00:00:00 +0000\n{text}"), "{part}");
        }
        for other in ["link", "pipe", "."] {
            assert_eq!(read(line, "0 100", other), "other\n", "{other}");
        }
        assert_eq!(read(line, "0 100", "none"), "absent\n");
        let foreign = format!("{} 0 100 {}", user + 1, path("y"));
        assert_eq!(line.ask("file", &foreign), format!("foreign {user}\n"));
        let nearest = line.ask("nearest", &path("none/at/all"));
        assert_eq!(Path::new(&nearest), folder);
    });
}

#[test]
fn a_process_is_asked_for_what_it_holds_and_what_it_was_told_by_every_shell() {
    on_every_shell(|line, home| {
        let (held, beside) = (home.join("held-1"), home.join("beside"));
        fs::write(&held, "").unwrap();
        fs::write(&beside, "").unwrap();
        let mut child = command("cat")
            .env("OTHER", "\nHOME=/wrong\nTOKEN=x")
            .env("HOME", "/the home/of=it")
            .stdin(Stdio::piped())
            .stdout(fs::File::options().write(true).open(&held).unwrap())
            .spawn()
            .unwrap();
        let pid = child.id();
        let beginning = home.join("held-");
        let said = line.ask("held", &format!("{pid} {}", beginning.display()));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.ends_with(&format!("-> {}\n", held.display())), "{said}");
        let said = line.ask("origin", &format!("{pid} HOME"));
        let user = Path::new(&format!("/proc/{pid}")).metadata().unwrap().uid().to_string();
        assert_eq!(said.split_whitespace().nth(2), Some(user.as_str()));
        assert_eq!(said.lines().nth(1), Some("/the home/of=it"), "{said}");
        assert!(!said.contains("TOKEN") && !said.contains("wrong"), "{said}");
        let said = line.ask("origin", &format!("{pid} NONE"));
        assert_eq!(said.lines().nth(1).unwrap_or_default(), "");
        drop(child.stdin.take());
        child.wait().unwrap();
    });
}

#[test]
fn what_changes_is_told_by_every_shell_as_long_as_it_is_watched() {
    on_every_shell(|line, home| {
        let folder = home.join("a [b] *");
        fs::create_dir(&folder).unwrap();
        let (file, other) = (folder.join("file"), home.join("other"));
        fs::write(&file, "1").unwrap();
        fs::write(&other, "1").unwrap();
        for path in [&folder, &file, &other] {
            line.say(&format!("watch {}", path.display()));
        }
        line.tells(&format!("+ {}", file.display()));
        line.say(&format!("unwatch {}", other.display()));
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        // The same length, and the same time as far as anybody says.
        fs::write(&file, "2").unwrap();
        fs::File::open(&file).unwrap().set_modified(modified).unwrap();
        line.tells(&format!("+ {}", file.display()));
        fs::remove_file(&file).unwrap();
        line.tells(&format!("- {}", file.display()));
        fs::write(folder.join("new"), "").unwrap();
        line.tells(&format!("+ {}", folder.display()));
        line.say("rest");
        line.say("are you there");
        while line.next() != "are you there" {}
    });
}

#[test]
fn an_answer_for_a_hook_is_laid_down_whole_or_not_at_all() {
    on_every_shell(|line, home| {
        let spool = home.join(".local/state/quarterdeck/spool");
        fs::create_dir_all(&spool).unwrap();
        // Its hook is this process.
        let name = format!("1-{}", std::process::id());
        let door = spool.join(format!("wait-{name}"));
        assert!(command("mkfifo").arg(&door).status().unwrap().success());
        let _open = fs::File::options().read(true).write(true).open(&door).unwrap();
        let mut give = |text: &str| {
            line.say(&format!("door {name} give 7 {text}"));
            assert_eq!(line.next(), format!("begin door {name} give 7"));
            let found = line.read();
            assert_eq!(line.next(), "end");
            found.trim().to_owned()
        };
        // Another word came in the middle of it.
        assert_eq!(give("14 {\"yes\":"), "gone");
        let answer = spool.join(format!("wait-{name}.answer"));
        assert!(!answer.exists());
        let whole = "{\"yes\": \"n\u{f6}\"}";
        assert_eq!(give(&format!("{} {whole}", whole.len())), "given");
        assert_eq!(fs::read_to_string(answer).unwrap(), format!("{whole}\n"));
        fs::remove_dir_all(&spool).unwrap();
    });
}
