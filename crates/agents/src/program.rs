//! Processes, as far as they tell which program runs in them.

/// One process, as the kernel shows it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its short name: 15 bytes at most, and some agents set it to anything.
    pub name: &'a str,
    /// Where its program lies; empty where that cannot be seen.
    pub path: &'a str,
    pub arguments: &'a [String],
}

/// Programs that run a script which is the real program. Shells are not among them: what a shell
/// runs is a wrapper, and the agent is its child.
const INTERPRETERS: &[&str] = &["node", "nodejs", "bun", "deno", "ruby", "perl"];

/// Programs that run scripts too, and of which a script may be all that there is of an agent.
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "fish"];

/// Whether a program of this name is a shell.
#[must_use]
pub fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name)
}

/// Their options that take the next argument.
const VALUED: &[&str] =
    &["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "-W", "-X", "-I"];

/// Their options after which there is no script.
const SCRIPTLESS: &[&str] = &["-e", "--eval", "-p", "--print", "-c", "-m", "-", "-i"];

impl<'a> Program<'a> {
    /// The last part of a path.
    pub fn file_of(path: &str) -> &str {
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Where its program lies, also after an update put another file in its place.
    pub fn path(&self) -> &'a str {
        self.path.strip_suffix(" (deleted)").unwrap_or(self.path)
    }

    /// The file name of its program. Where the program cannot be seen, the name it runs under,
    /// if it calls itself the same.
    pub fn file(&self) -> &'a str {
        if !self.path.is_empty() {
            return Self::file_of(self.path());
        }
        let called = self.arguments.first().map_or("", |argument| Self::file_of(argument));
        if called == self.name { self.name } else { "" }
    }

    /// The script that it runs, if it is an interpreter.
    pub fn script(&self) -> Option<&'a str> {
        let at = self.script_index()?;
        self.arguments.get(at).map(String::as_str)
    }

    /// The script that it runs, if it is an interpreter or a shell.
    pub(crate) fn any_script(&self) -> Option<&'a str> {
        let runs = is_interpreter(self.file()) || is_shell(self.file());
        let at = runs.then(|| self.first_operand())??;
        self.arguments.get(at).map(String::as_str)
    }

    /// What follows its own name, or its script's.
    pub fn words(&self) -> &'a [String] {
        let first = self.script_index().unwrap_or(0) + 1;
        self.arguments.get(first..).unwrap_or_default()
    }

    /// Whether its first word is one of these, which make it do something else than usual.
    pub(crate) fn is_told_to(&self, commands: &[&str]) -> bool {
        self.words().first().is_some_and(|word| commands.contains(&word.as_str()))
    }

    /// Whether it runs a script of this name, or of this package of npm's.
    pub(crate) fn runs_script(&self, name: &str, package: &str) -> bool {
        self.script().is_some_and(|script| {
            let file = Self::file_of(script);
            let stem = ["", ".js", ".mjs", ".cjs", ".py"];
            stem.iter().any(|end| file.strip_suffix(end) == Some(name))
                || lies_in(script, &format!("node_modules/{package}"))
        })
    }

    fn script_index(&self) -> Option<usize> {
        is_interpreter(self.file()).then(|| self.first_operand())?
    }

    /// The first argument that is no option, if it is a script.
    fn first_operand(&self) -> Option<usize> {
        let mut at = 1;
        loop {
            let argument = self.arguments.get(at)?.as_str();
            if SCRIPTLESS.contains(&argument) {
                return None;
            }
            if VALUED.contains(&argument) {
                at += 1;
            } else if !argument.starts_with('-') {
                return Some(at);
            }
            at += 1;
        }
    }
}

fn is_interpreter(file: &str) -> bool {
    INTERPRETERS.contains(&file) || file.starts_with("python")
}

/// Whether `folder` is among the folders above a file.
pub(crate) fn lies_in(path: &str, folder: &str) -> bool {
    format!("/{path}").contains(&format!("/{folder}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(path: &str, arguments: &[&str]) -> Option<String> {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        let program = Program { name: "MainThread", path, arguments: &arguments };
        program.script().map(str::to_owned)
    }

    #[test]
    fn a_script_is_the_first_argument_that_belongs_to_no_option() {
        let found = script("/usr/bin/node", &["node", "--inspect", "-r", "x", "/bin/tool", "a"]);
        assert_eq!(found.as_deref(), Some("/bin/tool"));
        assert_eq!(script("/usr/bin/python3.11", &["python3", "tool"]).as_deref(), Some("tool"));
        assert_eq!(script("/usr/bin/node", &["node", "-e", "tool"]), None);
        assert_eq!(script("/usr/bin/node", &["node"]), None);
        assert_eq!(script("/bin/bash", &["bash", "tool"]), None, "a shell's script is a wrapper");
        assert_eq!(script("/bin/grep", &["grep", "tool"]), None);
    }

    #[test]
    fn a_program_that_was_replaced_by_an_update_keeps_its_name() {
        let program = Program { name: "a", path: "/opt/tool (deleted)", arguments: &[] };
        assert_eq!(program.file(), "tool");
    }

    #[test]
    fn an_unseen_program_is_known_by_a_name_that_it_also_calls_itself() {
        let arguments = ["/opt/tool".to_owned()];
        let program = |name| Program { name, path: "", arguments: &arguments };
        assert_eq!(program("tool").file(), "tool");
        assert_eq!(program("MainThread").file(), "");
    }
}
