//! What a dialog shows of the request that it stands for, and whether it is a certain one.
//!
//! A hook tells a request whole, a dialog as far as it shows it. An answer may be pressed for the
//! one only where the other is known to be the same: what is seen is compared letter by letter, and
//! where that cannot be done the answer is left to whoever sits at the terminal.

use engine::approval::{Asking, Form};

use crate::block::Block;
use crate::redact;

/// What stands between the beginning of a dialog and its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A command, and behind it why.
    Command { command: Block, reason: Reason },
    /// A file, and lines of it as they are and will be.
    Change { path: String, rows: Vec<Row> },
    /// A file, and not what becomes of it.
    File { path: String },
    /// A text to agree to, or to answer.
    Text { text: Block },
    /// Nothing that could be compared.
    Other,
}

/// Where a dialog shows why a command is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// In a place of its own, which is not looked at.
    Apart,
    /// In a last line of the command's own place; this one if none is told.
    Last(&'static str),
}

/// One line of a file that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) sign: Sign,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Kept,
    Removed,
    Added,
}

impl Sign {
    pub(crate) fn of(sign: char) -> Option<Self> {
        match sign {
            ' ' => Some(Self::Kept),
            '-' => Some(Self::Removed),
            '+' => Some(Self::Added),
            _ => None,
        }
    }
}

impl Body {
    /// Whether it is what a hook's request asks for, as far as the dialog shows that.
    pub(crate) fn is(&self, asking: &Asking) -> bool {
        if asking.request_bytes != asking.request.len() as u64 {
            return false;
        }
        let request = asking.request.as_str();
        match (self, asking.form) {
            (Self::Command { command, reason }, Some(Form::Command)) => match reason {
                Reason::Apart => command.is(request),
                Reason::Last(usual) => {
                    let told = asking.purpose.trim();
                    let told = if told.is_empty() { usual } else { told };
                    // In several lines it could not be told from the command.
                    !told.contains('\n') && command.is(&format!("{request}\n{told}"))
                }
            },
            (Self::Change { path, rows }, Some(Form::Edit)) => {
                names(path, request, asking).is_some_and(|changed| is_edit(rows, changed))
            }
            (Self::Change { path, rows }, Some(Form::Write)) => {
                names(path, request, asking).is_some_and(|content| is_content(rows, content))
            }
            (Self::Change { path, rows }, Some(Form::Diff)) => {
                names(path, request, asking).is_some_and(|diff| is_diff(rows, diff))
            }
            (Self::File { path }, Some(Form::Patch)) => patched(request)
                .is_some_and(|file| absolute(file, asking) == absolute(path, asking)),
            (Self::Text { text }, Some(Form::Plan)) => text.is(request),
            (Self::Text { text }, Some(Form::Question)) => {
                text.is(request.lines().next().unwrap_or_default())
            }
            (
                Self::Command { .. }
                | Self::Change { .. }
                | Self::File { .. }
                | Self::Text { .. }
                | Self::Other,
                _,
            ) => false,
        }
    }
}

/// What follows the file of a request, if a dialog names that file.
fn names<'a>(shown: &str, request: &'a str, asking: &Asking) -> Option<&'a str> {
    let (path, rest) = request.split_once('\n')?;
    (absolute(path, asking) == absolute(shown, asking)).then_some(rest)
}

/// A path from the root on, as far as names alone say.
fn absolute(path: &str, asking: &Asking) -> Vec<String> {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", asking.directory),
    };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

/// The one file of a patch.
fn patched(patch: &str) -> Option<&str> {
    let heads = patch.lines().filter_map(|line| line.strip_prefix("*** "));
    let mut heads = heads.filter(|head| !matches!(*head, "Begin Patch" | "End Patch"));
    let (only, more) = (heads.next()?, heads.next());
    let (_, path) = only.split_once(" File: ")?;
    more.is_none().then_some(path)
}

/// The lines with some signs, as one text.
fn text(rows: &[Row], not: Sign) -> String {
    let lines = rows.iter().filter(|row| row.sign != not).map(|row| row.text.trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines of a file as several agents draw them: `12 +text`, or `12 text` without signs, and
/// below it what had no room in a line, with the number left out. Nothing where a line is none.
pub(crate) fn rows<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    signed: bool,
    gap: usize,
) -> Option<Vec<Row>> {
    let mut rows = Vec::<Row>::new();
    // The column of the sign, or of the text.
    let mut column = usize::MAX;
    for line in lines.into_iter().filter(|line| !line.trim().is_empty()) {
        let margin = line.chars().take_while(|c| *c == ' ').count();
        let digits: String = line.chars().skip(margin).take_while(char::is_ascii_digit).collect();
        let begins = !digits.is_empty() && margin < column;
        if begins {
            column = margin + digits.len() + 1;
        }
        let mut rest = line.chars().skip(column);
        let sign = if signed { Sign::of(rest.next().unwrap_or(' '))? } else { Sign::Added };
        let text: String = rest.skip(if signed { gap } else { 0 }).collect();
        match rows.last_mut() {
            _ if begins => rows.push(Row { number: digits.parse().ok()?, sign, text }),
            Some(row) if margin >= column && row.sign == sign => row.text.push_str(&text),
            Some(_) | None => return None,
        }
    }
    Some(rows)
}

/// Whether putting one text for another makes of the lines as they are those that they will be.
fn is_edit(rows: &[Row], changed: &str) -> bool {
    let of = |sign: char| {
        let lines = changed.lines().filter_map(|line| line.strip_prefix(sign));
        lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    let (old, new) = (of('-'), of('+'));
    if old.is_empty() {
        return false;
    }
    let (before, after) =
        (redacted(&text(rows, Sign::Added)), redacted(&text(rows, Sign::Removed)));
    before != after
        && (before.replacen(&old, &new, 1) == after || before.replace(&old, &new) == after)
}

/// Whether each line that will be there is that of the content.
fn is_content(rows: &[Row], content: &str) -> bool {
    let lines: Vec<&str> =
        content.lines().map(|line| line.strip_prefix('+').unwrap_or(line).trim_end()).collect();
    let is_there = |row: &Row| {
        let line = row.number.checked_sub(1).and_then(|at| lines.get(at));
        line.is_some_and(|line| *line == redacted(row.text.trim_end()))
    };
    let mut stays = rows.iter().filter(|row| row.sign != Sign::Removed);
    // One that is made is shown from its first line to its last.
    let is_new = rows.iter().all(|row| row.sign == Sign::Added);
    !rows.is_empty() && stays.all(is_there) && (!is_new || rows.len() == lines.len())
}

/// Whether it takes away and adds the lines of a diff, in its order.
fn is_diff(rows: &[Row], diff: &str) -> bool {
    let told = diff.lines().skip_while(|line| !line.starts_with("@@")).filter_map(|line| {
        let sign = Sign::of(line.chars().next()?).filter(|sign| *sign != Sign::Kept)?;
        Some((sign, line[1..].trim_end().to_owned()))
    });
    let shown = rows.iter().filter(|row| row.sign != Sign::Kept);
    let shown = shown.map(|row| (row.sign, redacted(row.text.trim_end())));
    !rows.is_empty() && told.eq(shown)
}

fn redacted(text: &str) -> String {
    redact::text(text)
}
