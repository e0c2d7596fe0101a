//! tmux's own configuration: a status segment, a key and a popup, between two lines of ours.

use std::path::{Path, PathBuf};

use agents::setup::{Before, SettingsFile};
use api::ErrorCode;

use crate::failure::Failure;

/// What it is called on the command line.
pub(crate) const NAME: &str = "tmux";

pub(super) const REMARK: &str =
    "Running servers know nothing of it yet. Load it there with: tmux source-file PATH";

/// The lines between which everything is ours.
const BEGIN: &str = "# >>> qd: written by `qd setup tmux`, taken away by `qd setup --undo tmux`";
const END: &str = "# <<< qd";

/// The configuration of the user's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TmuxConf {
    pub(super) path: PathBuf,
    /// The `qd` that the lines run.
    program: String,
}

impl TmuxConf {
    /// The file that tmux reads: `~/.tmux.conf` where it is there, because tmux looks there first;
    /// else the one in the configuration folder, if it or its folder is there.
    pub(super) fn find(program: &str) -> Result<Self, Failure> {
        let set =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
        let home = set("HOME").ok_or_else(|| {
            Failure::new(ErrorCode::BadRequest, "HOME is not set")
                .with_hint("Set HOME to an absolute path.")
        })?;
        let classic = home.join(".tmux.conf");
        let config = set("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let newer = config.join("tmux/tmux.conf");
        let path = if classic.exists() || !config.join("tmux").is_dir() { classic } else { newer };
        Ok(Self { path, program: program.to_owned() })
    }

    pub(super) fn at(&self, path: &Path) -> Self {
        Self { path: path.to_owned(), program: self.program.clone() }
    }

    pub(super) fn merge(&self, files: &[SettingsFile]) -> Vec<String> {
        files.iter().map(|file| self.merged(file.text.as_deref().unwrap_or_default())).collect()
    }

    fn merged(&self, text: &str) -> String {
        let block = self.block();
        if let Some(place) = block_of(text) {
            return [&text[..place.start], &block, &text[place.end..]].concat();
        }
        let gap = match text {
            "" => "",
            _ if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        [text, gap, &block].concat()
    }

    fn block(&self) -> String {
        // A command line for `sh`, inside of a text for tmux.
        let shell = format!("'{}'", self.program.replace('\'', r"'\''"));
        let text = |command: &str| {
            let escaped = command.replace('\\', r"\\").replace('"', "\\\"").replace('$', "\\$");
            format!("\"{escaped}\"")
        };
        // What tmux expands itself has its own escape.
        let bar = text(&format!("#({} bar) ", shell.replace('#', "##").replace('%', "%%")));
        let popup = text(&format!("{shell}; printf 'Enter closes this. '; read -r _"));
        format!(
            "{BEGIN}\n\
             # Who waits for you, at the right of the status line, once however often this is read.\n\
             if-shell -F \"#{{m:* bar)*,#{{status-right}}}}\" \"\" {{ set -ga status-right {bar} }}\n\
             # prefix + Q: the overview, in a popup.\n\
             bind-key Q display-popup -E -w 80% -h 80% {popup}\n\
             {END}\n"
        )
    }
}

/// The files without our lines.
pub(super) fn remove(files: &[SettingsFile], before: &[Before]) -> Vec<Option<String>> {
    let removed = |(file, before): (&SettingsFile, &Before)| {
        let text = file.text.as_deref()?;
        let Some(place) = block_of(text) else { return Some(text.to_owned()) };
        // The blank line before it came with it.
        let head = text[..place.start].strip_suffix("\n\n").map_or(place.start, |it| it.len() + 1);
        let rest = [&text[..head], &text[place.end..]].concat();
        match before {
            Before::Absent if rest.is_empty() => None,
            Before::Text(original) if original.trim_end() == rest.trim_end() => {
                Some(original.clone())
            }
            Before::Absent | Before::Text(_) | Before::Unknown => Some(rest),
        }
    };
    files.iter().zip(before).map(removed).collect()
}

/// Where our lines are, from the first to the last of them.
fn block_of(text: &str) -> Option<std::ops::Range<usize>> {
    let marker = BEGIN.split(':').next().unwrap_or(BEGIN);
    let start = line_that(text, 0, |line| line.starts_with(marker))?;
    let end = line_that(text, start, |line| line.trim_end() == END)?;
    let length = text[end..].find('\n').map_or(text.len() - end, |it| it + 1);
    Some(start..end + length)
}

/// The beginning of the first line behind a place that is as wanted.
fn line_that(text: &str, from: usize, wanted: impl Fn(&str) -> bool) -> Option<usize> {
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        if wanted(line) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf() -> TmuxConf {
        TmuxConf { path: "/h/.tmux.conf".into(), program: "/opt/it's #1/$qd".into() }
    }

    fn file(text: Option<&str>) -> Vec<SettingsFile> {
        vec![SettingsFile { path: "/h/.tmux.conf".into(), text: text.map(str::to_owned) }]
    }

    #[test]
    fn our_lines_come_once_and_go_without_a_trace() {
        for text in
            [None, Some(""), Some("set -g mouse on\n"), Some("set -g mouse on"), Some("a\n\n")]
        {
            let once = conf().merge(&file(text)).remove(0);
            assert_eq!(conf().merge(&file(Some(&once))).remove(0), once);
            assert!(once.starts_with(text.unwrap_or_default()));
            let before = text.map_or(Before::Absent, |text| Before::Text(text.to_owned()));
            let undone = remove(&file(Some(&once)), &[before]).remove(0);
            assert_eq!(undone.as_deref(), text);
        }
    }

    #[test]
    fn lines_of_the_user_around_ours_stay() {
        let once = conf().merge(&file(Some("a\n"))).remove(0);
        let grown = format!("{once}b\n");
        let undone = remove(&file(Some(&grown)), &[Before::Text("a\n".into())]).remove(0);
        assert_eq!(undone.as_deref(), Some("a\nb\n"));
    }

    #[test]
    fn an_older_block_is_replaced_in_its_place() {
        let old = "a\n# >>> qd: older\nold\n# <<< qd\nb\n";
        let text = conf().merge(&file(Some(old))).remove(0);
        assert!(
            text.starts_with("a\n# >>> qd: written") && text.ends_with("# <<< qd\nb\n"),
            "{text}"
        );
        assert!(!text.contains("older"));
    }
}
