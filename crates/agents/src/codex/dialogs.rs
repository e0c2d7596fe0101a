//! Codex' dialogs: what they show of a request.

use crate::block::Block;
use crate::body::{Body, Reason};
use crate::dialog::{Keys, Manner};

pub(super) const ASKING: Manner = Manner { selector: '›', keys: Keys::Letters, body };

/// Columns before the dialog's text, and behind it.
const MARGIN: usize = 2;
/// How the first line of a command begins.
const PROMPT: &str = "  $ ";

fn body(lines: &[&str], width: usize) -> Body {
    let title = lines.iter().map(|line| line.trim()).find(|line| !line.is_empty());
    match title.unwrap_or_default() {
        "Would you like to run the following command?" => command(lines, width),
        "Would you like to make the following edits?" => file(lines),
        _ => Body::Other,
    }
}

/// All that follows the first prompt is the command: what stands before it cannot hold one.
fn command(lines: &[&str], width: usize) -> Body {
    let Some(at) = lines.iter().position(|line| line.starts_with(PROMPT)) else {
        return Body::Other;
    };
    let first = lines[at].strip_prefix(PROMPT).unwrap_or_default();
    let rest = lines[at + 1..].iter().map(|line| line.strip_prefix("  ").unwrap_or(line));
    let command = Block::new([first].into_iter().chain(rest), 0, width.saturating_sub(2 * MARGIN));
    Body::Command { command, reason: Reason::Apart }
}

/// What it does to the file is told in the session above, and not by the dialog.
fn file(lines: &[&str]) -> Body {
    let told = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).skip(1);
    let mut paths = Vec::new();
    for line in told {
        match line.split_once(": ") {
            Some(("Destination", path)) => paths.push(path),
            Some(("Description" | "Environment" | "Reason", _)) => {}
            Some(_) | None => return Body::Other,
        }
    }
    match paths[..] {
        [path] => Body::File { path: path.to_owned() },
        _ => Body::Other,
    }
}
