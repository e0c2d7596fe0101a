//! Files that `qd` puts into the user's folders, each marked, so that it can take them away again
//! and never touches one that somebody else wrote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use api::ErrorCode;
use clap::ValueEnum;

use crate::commands::completions::Shell;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::text::Text;

/// What stands in every such file, behind the sign of a comment.
const MARK: &str = "Written by qd; `qd uninstall` removes it.";

/// A file that may be one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) path: PathBuf,
}

impl Installed {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where a shell looks for completions.
    pub(crate) fn completions(shell: Shell) -> Result<Self, Failure> {
        let path = match shell {
            Shell::Bash => data()?.join("bash-completion/completions/qd"),
            Shell::Zsh => data()?.join("zsh/site-functions/_qd"),
            Shell::Fish => below("XDG_CONFIG_HOME", ".config")?.join("fish/completions/qd.fish"),
        };
        Ok(Self { path })
    }

    /// The folder in which man looks for pages.
    pub(crate) fn manual() -> Result<PathBuf, Failure> {
        Ok(data()?.join("man/man1"))
    }

    fn is_ours(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|text| text.contains(MARK))
    }
}

fn data() -> Result<PathBuf, Failure> {
    below("XDG_DATA_HOME", ".local/share")
}

fn below(variable: &str, rest: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute())
    };
    set(variable).or_else(|| Some(set("HOME")?.join(rest))).ok_or_else(|| {
        Failure::new(ErrorCode::BadRequest, format!("neither {variable} nor HOME is set"))
            .with_hint("Set HOME to an absolute path.")
    })
}

/// Writes a file of ours, and says so.
pub(crate) fn write(console: &Console, file: &Installed, text: &str) -> Result<(), Failure> {
    let path = file.path.display();
    if file.path.exists() && !file.is_ours() {
        return Err(Failure::new(ErrorCode::Forbidden, format!("{path} was not written by qd"))
            .with_hint("Look at it, and move it away."));
    }
    let make = || {
        if let Some(folder) = file.path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file.path, marked(&file.path, text))
    };
    make().map_err(|error: io::Error| {
        Failure::new(ErrorCode::Internal, format!("cannot write {path}: {error}"))
            .with_hint("Look at the permissions and the room on that disk.")
    })?;
    console.done(console.terminal.line(format!("Wrote {path}.")));
    Ok(())
}

/// The text with the mark behind its first line, which may have to stay the first.
fn marked(path: &Path, text: &str) -> String {
    let comment = if path.extension().is_some_and(|it| it == "1") { ".\\\"" } else { "#" };
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    format!("{first}\n{comment} {MARK}\n{rest}")
}

/// Takes away every file of ours, and says which.
pub(crate) fn remove_all() -> Result<Vec<Text>, Failure> {
    let mut files = Vec::new();
    for shell in Shell::value_variants() {
        files.push(Installed::completions(*shell)?);
    }
    let pages = fs::read_dir(Installed::manual()?).into_iter().flatten().flatten();
    let pages = pages.map(|entry| entry.path()).filter(|path| {
        path.file_name().and_then(|it| it.to_str()).is_some_and(|name| name.starts_with("qd"))
    });
    files.extend(pages.map(Installed::at));
    let mut said = Vec::new();
    for file in files.iter().filter(|file| file.is_ours()) {
        let path = file.path.display();
        fs::remove_file(&file.path).map_err(|error| {
            Failure::new(ErrorCode::Internal, format!("cannot remove {path}: {error}"))
                .with_hint("Remove it by hand, then repeat this.")
        })?;
        said.push(Text::plain(format!("Removed {path}.")));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_a_comment_behind_the_first_line() {
        let script = marked(Path::new("/x/_qd"), "#compdef qd\nrest\n");
        assert_eq!(script, format!("#compdef qd\n# {MARK}\nrest\n"));
        let page = marked(Path::new("/x/qd.1"), ".TH qd\ntext\n");
        assert_eq!(page, format!(".TH qd\n.\\\" {MARK}\ntext\n"));
    }

    #[test]
    fn a_file_without_the_mark_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let file = Installed::at(folder.path().join("qd"));
        assert!(!file.is_ours());
        fs::write(&file.path, "mine").unwrap();
        assert!(!file.is_ours());
        fs::write(&file.path, marked(&file.path, "ours\n")).unwrap();
        assert!(file.is_ours());
    }
}
