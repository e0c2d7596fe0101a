//! Claude's dialogs: what they show of a request.

use crate::block::Block;
use crate::body::{self, Body, Reason};
use crate::dialog::{Keys, Manner};

pub(super) const ASKING: Manner = Manner { selector: '❯', keys: Keys::Digits, body };

/// What a command's dialog says where its request does not say why.
const NO_REASON: &str = "Run shell command";
/// Columns before a command and behind it.
const COMMAND_MARGIN: usize = 3;

fn body(lines: &[&str], width: usize) -> Body {
    let Some(at) = lines.iter().position(|line| !line.trim().is_empty()) else {
        return Body::Other;
    };
    let (title, rest) = (lines[at].trim(), &lines[at + 1..]);
    match title {
        "Bash command" => command(rest, width),
        "Edit file" | "Overwrite file" => change(rest, true),
        "Create file" => change(rest, false),
        title if title.starts_with('☐') => {
            Body::Text { text: Block::new(rest.iter().copied(), 0, width) }
        }
        title if title.contains("Claude's plan") => {
            let ruled = rest.split(|line| is_dashed(line)).nth(1).unwrap_or_default();
            Body::Text { text: Block::new(ruled.iter().copied(), 1, width.saturating_sub(2)) }
        }
        _ => Body::Other,
    }
}

/// The command stands farther in than what the dialog says itself.
fn command(lines: &[&str], width: usize) -> Body {
    let is_in = |line: &str| line.chars().take(COMMAND_MARGIN).all(|c| c == ' ');
    let end = lines.iter().position(|line| !is_in(line)).unwrap_or(lines.len());
    if lines[end..].iter().any(|line| is_in(line) && !line.trim().is_empty()) {
        return Body::Other;
    }
    let width = width.saturating_sub(2 * COMMAND_MARGIN);
    let command = Block::new(lines[..end].iter().copied(), COMMAND_MARGIN, width);
    Body::Command { command, reason: Reason::Last(NO_REASON) }
}

/// The file, and between two dashed lines what becomes of it.
fn change(lines: &[&str], signed: bool) -> Body {
    let mut parts = lines.split(|line| is_dashed(line));
    let (Some(path), Some(changed), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return Body::Other;
    };
    let path: String = path.iter().map(|line| line.trim()).collect();
    match body::rows(changed.iter().copied(), signed, 0) {
        Some(rows) => Body::Change { path, rows },
        None => Body::Other,
    }
}

fn is_dashed(line: &str) -> bool {
    line.trim().starts_with("╌╌╌")
}
