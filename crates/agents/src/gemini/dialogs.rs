//! Gemini's dialogs: what they show of a request.

use crate::block;
use crate::body::{Body, Reason};
use crate::dialog::{Keys, Manner};

pub(super) const ASKING: Manner = Manner { selector: '●', keys: Keys::Digits, body };

fn body(lines: &[&str], _width: usize) -> Body {
    let title = lines.first().map(|line| line.trim()).unwrap_or_default();
    match block::framed(lines) {
        Some(command) if title.starts_with("? Shell ") => {
            Body::Command { command, reason: Reason::Apart }
        }
        Some(_) | None => Body::Other,
    }
}
