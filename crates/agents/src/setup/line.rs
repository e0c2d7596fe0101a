//! The command line of an installed hook: harmless wherever it runs and whatever became of `qd`,
//! and known again by its mark.

/// The version of what is written into settings files. It rises when the line or the set of events
/// changes, so that whoever has an older one is told.
pub const VERSION: u32 = 1;

/// What the mark begins with; the version follows.
const MARK: &str = "qd-hook-";

/// Runs the program if it is there, and otherwise takes the payload off the agent's hands, which
/// could fail on a pipe that nobody reads. Nothing but the program's own answer comes out, and the
/// end is always well. No variable has a name: some agents put their environment in the place of
/// what looks like one.
const SCRIPT: &str =
    "exec 2>/dev/null; [ -x \"$0\" ] && \"$0\" hook \"$@\" || cat >/dev/null; exit 0' ";

/// A hook's command line, taken apart.
///
/// Agents hand it to a shell, some to the user's own, which may know nothing of `sh`'s grammar. So
/// it is one plain command with quoted words, and the grammar is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookLine {
    pub version: u32,
    /// The path of `qd`.
    pub program: String,
    pub agent: String,
    pub event: String,
}

impl HookLine {
    /// The line as this version writes it.
    pub fn new(program: &str, agent: &str, event: &str) -> Self {
        let [program, agent, event] = [program, agent, event].map(str::to_owned);
        Self { version: VERSION, program, agent, event }
    }

    pub fn render(&self) -> String {
        let Self { version, program, agent, event } = self;
        format!("/bin/sh -c ': {MARK}{version}; {SCRIPT}{} {agent} {event}", quoted(program))
    }

    /// Whether a process that was called so is the shell that runs such a line's script for a hook
    /// of this agent and event.
    pub fn is_run_by(arguments: &[String], agent: &str, event: &str) -> bool {
        let [_, option, script, _, as_agent, as_event, ..] = arguments else { return false };
        let marked = script.strip_prefix(": ").is_some_and(|text| text.starts_with(MARK));
        option == "-c" && marked && (as_agent.as_str(), as_event.as_str()) == (agent, event)
    }

    /// What a file that is ours as a whole begins with, behind the sign of a comment.
    pub(crate) fn mark(&self) -> String {
        let Self { version, program, agent, event } = self;
        format!(" {MARK}{version}; {} {agent} {event}", quoted(program))
    }

    /// The line in a settings file, if it is one of ours, of whichever version.
    pub fn read(command: &str) -> Option<Self> {
        let (_, marked) = command.split_once(&format!(" {MARK}"))?;
        let (version, rest) = marked.split_once(';')?;
        // Each version's script ends so.
        let words = rest.split_once(" exit 0' ").map_or(rest.trim_start(), |(_, words)| words);
        let (program, rest) = unquoted(words)?;
        let mut words = rest.split_whitespace();
        Some(Self {
            version: version.parse().ok()?,
            program,
            agent: words.next()?.to_owned(),
            event: words.next()?.to_owned(),
        })
    }
}

/// One word for any shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The first word as it was before [`quoted`], and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('\'') {
        let (word, rest) = text.split_once(' ')?;
        return Some((word.to_owned(), rest));
    }
    let mut word = String::new();
    let mut rest = &text[1..];
    loop {
        let (part, after) = rest.split_once('\'')?;
        word.push_str(part);
        match after.strip_prefix(r"\''") {
            Some(more) => {
                word.push('\'');
                rest = more;
            }
            None => return Some((word, after.strip_prefix(' ')?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_again_whatever_the_path() {
        for program in ["/usr/bin/qd", "/a b/it's/qd", "/home/ü/'/qd", "/q$d/\"x\"/qd"] {
            let line = HookLine::new(program, "claude", "Stop");
            assert_eq!(HookLine::read(&line.render()), Some(line), "{program}");
        }
    }

    #[test]
    fn the_shell_of_a_line_is_known_by_what_it_was_called_with() {
        let called = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let script = ": qd-hook-1; exec 2>/dev/null; exit 0";
        let own = called(&["/bin/sh", "-c", script, "/opt/qd", "claude", "Stop"]);
        assert!(HookLine::is_run_by(&own, "claude", "Stop"));
        assert!(!HookLine::is_run_by(&own, "claude", "PermissionRequest"));
        let around = HookLine::new("/opt/qd", "claude", "Stop").render();
        for other in [
            &["sh", "-c", around.as_str()][..],
            &["sh", "-c", "echo {} | qd hook claude Stop", "/opt/qd", "claude", "Stop"],
            &["claude"],
            &[],
        ] {
            assert!(!HookLine::is_run_by(&called(other), "claude", "Stop"), "{other:?}");
        }
    }

    #[test]
    fn a_line_of_another_version_is_ours_too() {
        let line = "sh -c ': qd-hook-7; anything; exit 0' /opt/qd codex Stop and more";
        let found = HookLine::read(line).unwrap();
        assert_eq!((found.version, found.program.as_str()), (7, "/opt/qd"));
    }

    #[test]
    fn nothing_in_it_looks_like_a_variable_of_the_environment() {
        let line = HookLine::new("/opt/qd", "gemini", "Stop").render();
        let named = |it: &str| it.starts_with(|c: char| c.is_alphabetic() || "_{".contains(c));
        assert!(!line.split('$').skip(1).any(named), "{line}");
    }

    #[test]
    fn other_peoples_commands_are_not_ours() {
        for command in ["qd-hook-1", "echo qd hook claude Stop", "x qd-hook-x; /qd a b", ""] {
            assert_eq!(HookLine::read(command), None, "{command}");
        }
    }
}
