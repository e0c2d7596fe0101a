//! Copilot's dialogs: what they show of a request.

use crate::block;
use crate::body::{self, Body, Reason};
use crate::dialog::{Keys, Manner};

pub(super) const ASKING: Manner = Manner { selector: '❯', keys: Keys::Arrows, body };

/// Columns between a line's sign and its text.
const GAP: usize = 3;

fn body(lines: &[&str], _width: usize) -> Body {
    let parts = lines.split(|line| line.trim().is_empty()).filter(|part| !part.is_empty());
    match parts.collect::<Vec<_>>()[..] {
        [title, changed, asks] if title[0].trim() == "Edit file" => change(changed, asks),
        [told, [asks]] if asks.trim() == "Do you want to run this command?" => block::framed(told)
            .map_or(Body::Other, |command| Body::Command { command, reason: Reason::Apart }),
        _ => Body::Other,
    }
}

fn change(changed: &[&str], asks: &[&str]) -> Body {
    let asks: String = asks.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let path = asks.strip_prefix("Do you want to edit ").and_then(|path| path.strip_suffix('?'));
    let changed = changed.iter().map(|line| line.strip_prefix(' ').unwrap_or(line));
    match (path, body::rows(changed, true, GAP)) {
        (Some(path), Some(rows)) => Body::Change { path: path.to_owned(), rows },
        (Some(_) | None, _) => Body::Other,
    }
}
