//! Dialogs as they stand on a screen: what they ask, and which keys answer them.
//!
//! Only the structure at the bottom of the screen is believed, and only where the rules that
//! conclude a state from it are sure of it. A key is pressed for a request only if the dialog
//! shows that request, and with lines of the dialog in the guard of the act.

use engine::approval::Asking;
use engine::words::{ApprovalKind, Choice, State, TerminalOnly};

use crate::body::Body;
use crate::redact;
use crate::view::{Menu, Seen, View};

/// Characters of a line that go into a guard; the rest may be cut off by the pane.
const PHRASE_CHARS_MAX: usize = 60;
/// Fewer say nothing.
const PHRASE_CHARS_MIN: usize = 3;
/// Lines of a dialog that go into a guard: from its beginning, and from its end.
const GUARDED_LINES: [usize; 2] = [20, 8];

/// How an agent takes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// The number of the answer.
    Digits,
    /// The letter that stands behind the answer, in brackets.
    Letters,
    /// Up and down to the answer, and Enter.
    Arrows,
}

/// A dialog that stands on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// What it asks, as far as it shows.
    pub asking: Asking,
    body: Body,
    rows: Vec<Row>,
    selected: usize,
    keys: Keys,
    lines: Vec<String>,
}

/// One answer of its menu.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    number: u32,
    label: String,
    choice: Option<Choice>,
}

/// What answers a dialog, and what has to be visible for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// Keys by tmux's names.
    pub keys: Vec<String>,
    /// Stretches of single lines of the dialog.
    pub visible: Vec<String>,
    /// Whole lines of it, as far as letters and digits stand in them.
    pub lines: Vec<String>,
}

/// What kind of decision a rule of the screen saw somebody asked for.
fn kind(seen: &Seen) -> Option<ApprovalKind> {
    match (seen.state, seen.reason) {
        (State::WaitingApproval, "approval_requested") => Some(ApprovalKind::Permission),
        (State::WaitingApproval, "plan") => Some(ApprovalKind::Plan),
        (State::WaitingInput, "question") => Some(ApprovalKind::Question),
        _ => None,
    }
}

/// The inside of a frame that ends with the last line of the screen.
pub(crate) fn framed(view: &View) -> Option<View> {
    let bottom = view.len().checked_sub(1)?;
    let margin = |line: &str| line.len() - line.trim_start().len();
    let top = view.find_above(bottom, |line| {
        line.trim_start().starts_with('╭') && margin(line) == margin(view.line(bottom))
    })?;
    Some(view.unframed(top + 1, '│'))
}

/// How an agent's dialogs are read.
pub(crate) struct Manner {
    /// What points at an answer.
    pub(crate) selector: char,
    pub(crate) keys: Keys,
    /// What the lines above the answers show of the request.
    pub(crate) body: fn(lines: &[&str], width: usize) -> Body,
}

/// The dialog whose text begins at `top`, in a pane of so many columns.
pub(crate) fn read(
    seen: &Seen,
    view: &View,
    top: usize,
    width: u32,
    manner: &Manner,
) -> Option<Dialog> {
    let kind = kind(seen)?;
    let menu = view.menu(manner.selector)?;
    let head: Vec<&str> = (top..menu.first).map(|at| view.line(at)).collect();
    let text = head.iter().map(|line| line.trim()).filter(|line| !undrawn(line).is_empty());
    let text: Vec<&str> = text.collect();
    let (mut rows, selected) = rows(view, menu, manner.selector, kind)?;
    let terminal_only = several(kind, &text, &rows);
    if terminal_only.is_some() {
        rows.iter_mut().for_each(|row| row.choice = None);
    }
    let asked = redact::text(&text.join("\n"));
    let mut asking = Asking::new(kind, "", &asked);
    for row in &rows {
        if let Some(choice) = row.choice.filter(|it| *it != Choice::Deny) {
            asking = asking.offering(choice, &row.label);
        }
    }
    asking = asking.offering(Choice::Deny, deny_label(&rows));
    asking.terminal_only = terminal_only;
    // However the width of the pane sets its words in lines, it is the same request.
    asking.request_sha256 = Asking::new(kind, "", &undrawn(&asked)).request_sha256;
    let body = (manner.body)(&head, usize::try_from(width).unwrap_or_default());
    let dialog = Dialog { asking, body, rows, selected, keys: manner.keys, lines: guarded(&text) };
    (!dialog.lines.is_empty()).then_some(dialog)
}

/// The lines of a dialog that must still stand there when a key is pressed: all of them, if they
/// are not too many.
fn guarded(text: &[&str]) -> Vec<String> {
    let telling = text.iter().filter(|line| line.chars().any(char::is_alphanumeric));
    let lines: Vec<String> = telling.map(|line| (*line).to_owned()).collect();
    let [first, last] = GUARDED_LINES;
    match lines.len().checked_sub(last) {
        Some(tail) if tail > first => [&lines[..first], &lines[tail..]].concat(),
        Some(_) | None => lines,
    }
}

/// Why one key is not the whole answer to a question: it has boxes to tick, or tabs with more of it.
fn several(kind: ApprovalKind, text: &[&str], rows: &[Row]) -> Option<TerminalOnly> {
    let ticked = |row: &Row| row.label.starts_with('[') && row.label.chars().nth(2) == Some(']');
    let tabs = |line: &&str| line.starts_with('←') && line.ends_with('→');
    match kind {
        ApprovalKind::Question if rows.iter().any(ticked) => Some(TerminalOnly::SeveralAnswers),
        ApprovalKind::Question if text.first().is_some_and(tabs) => {
            Some(TerminalOnly::SeveralQuestions)
        }
        ApprovalKind::Permission | ApprovalKind::Plan | ApprovalKind::Question => None,
    }
}

fn deny_label(rows: &[Row]) -> &str {
    let row = rows.iter().find(|row| row.choice == Some(Choice::Deny));
    row.map_or("No", |row| row.label.as_str())
}

fn rows(view: &View, menu: Menu, selector: char, kind: ApprovalKind) -> Option<(Vec<Row>, usize)> {
    let (mut rows, mut selected) = (Vec::<Row>::new(), None);
    for at in menu.first..=menu.last {
        let line = view.line(at).trim();
        let bare = line.strip_prefix(selector).map(str::trim_start);
        let numbered = bare.unwrap_or(line).split_once(". ");
        let number = numbered.and_then(|(number, _)| number.parse::<u32>().ok());
        let next = rows.last().map_or(1, |row| row.number + 1);
        match (number, numbered) {
            (Some(number), Some((_, label))) if number == next || rows.is_empty() => {
                if bare.is_some() {
                    selected = Some(rows.len());
                }
                rows.push(Row { number, label: label.trim().to_owned(), choice: None });
            }
            // A label that the pane's width broke goes on; below an option stands what it means.
            _ if kind != ApprovalKind::Question => {
                if let Some(row) = rows.last_mut() {
                    row.label.push(' ');
                    row.label.push_str(line);
                }
            }
            _ => {}
        }
    }
    for row in &mut rows {
        row.choice = match kind {
            ApprovalKind::Question => is_option(&row.label).then_some(Choice::Option),
            ApprovalKind::Permission | ApprovalKind::Plan => choice_of(&row.label),
        };
        row.label = redact::text(&row.label);
    }
    Some((rows, selected?))
}

/// Whether a question's answer is chosen by pressing it, and not typed.
fn is_option(label: &str) -> bool {
    let typed = ["Type something", "Chat about this", "Enter a custom value"];
    !typed.iter().any(|words| label.starts_with(words))
}

/// What an answer means, by its words.
fn choice_of(label: &str) -> Option<Choice> {
    let label = label.to_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| label.starts_with(word));
    let says = |words: &[&str]| words.iter().any(|word| label.contains(word));
    if begins(&["no", "reject", "deny"]) {
        Some(Choice::Deny)
    } else if !begins(&["yes", "allow", "approve", "proceed"]) {
        None
    } else if says(&["this session", "auto-accept", "bypass"]) {
        Some(Choice::ApproveSession)
    } else if says(&["always", "don't ask again", "don’t ask again"]) {
        Some(Choice::ApproveAlways)
    } else {
        Some(Choice::Approve)
    }
}

/// The words of a text, without what is drawn around them.
fn undrawn(text: &str) -> String {
    let drawn = |c: char| matches!(c, '\u{2500}'..='\u{257f}');
    let plain: String = text.chars().filter(|c| !drawn(*c)).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The longest stretch of a line in which no character means anything to tmux.
fn phrase(line: &str) -> String {
    let inert = |c: char| c.is_alphanumeric() || " ./_-❯›●".contains(c);
    let stretches = line.split(|c| !inert(c)).map(str::trim);
    let longest = stretches.max_by_key(|it| it.chars().count()).unwrap_or_default();
    longest.chars().take(PHRASE_CHARS_MAX).collect::<String>().trim_end().to_owned()
}

impl Dialog {
    /// Whether it is the dialog of a request that was told of: by a hook, or as it stood before.
    pub fn shows(&self, asking: &Asking) -> bool {
        if asking.kind != self.asking.kind {
            return false;
        }
        if asking.request_sha256 == self.asking.request_sha256 {
            return true;
        }
        self.body.is(asking) && (asking.kind != ApprovalKind::Question || self.offers(asking))
    }

    /// Whether its options are those of a question, each in its place.
    fn offers(&self, asking: &Asking) -> bool {
        let shown = self.rows.iter().filter(|row| row.choice == Some(Choice::Option));
        let told = asking.offers.iter().filter(|offer| offer.choice == Choice::Option);
        shown.map(|row| row.label.as_str()).eq(told.map(|offer| offer.label.as_str()))
    }

    /// What to press for an answer; nothing where it does not offer it.
    pub fn press(&self, choice: Choice, option: Option<u32>) -> Option<Press> {
        let (mut visible, lines) = (Vec::new(), self.lines.clone());
        if choice == Choice::Deny {
            return Some(Press { keys: vec!["Escape".to_owned()], visible, lines });
        }
        let nth = option.map_or(Some(0), |option| usize::try_from(option.checked_sub(1)?).ok())?;
        let fits = |(_, row): &(usize, &Row)| row.choice == Some(choice);
        let (at, row) = self.rows.iter().enumerate().filter(fits).nth(nth)?;
        let letter = || {
            let letter = row.label.strip_suffix(')')?.rsplit_once('(')?.1;
            (letter.chars().count() == 1).then(|| vec![letter.to_owned()])
        };
        let keys = match self.keys {
            Keys::Digits if row.number <= 9 => Some(vec![row.number.to_string()]),
            Keys::Letters => letter(),
            Keys::Digits | Keys::Arrows => None,
        };
        let keys = keys.unwrap_or_else(|| {
            // Enter takes what is selected: that it is this one must still be so.
            let selected = &self.rows[self.selected];
            visible.extend(
                Some(phrase(&selected.label)).filter(|it| it.chars().count() >= PHRASE_CHARS_MIN),
            );
            let (step, steps) = if at < self.selected {
                ("Up", self.selected - at)
            } else {
                ("Down", at - self.selected)
            };
            let steps = std::iter::repeat_n(step.to_owned(), steps);
            steps.chain(["Enter".to_owned()]).collect()
        });
        Some(Press { keys, visible, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_words_and_a_wider_grant_is_never_the_plain_one() {
        let check = |label: &str, expected: Option<Choice>| {
            assert_eq!(choice_of(label), expected, "{label}");
        };
        check("Yes", Some(Choice::Approve));
        check("Yes, proceed (y)", Some(Choice::Approve));
        check("Allow once", Some(Choice::Approve));
        check("Yes, and manually approve edits", Some(Choice::Approve));
        check("Yes, and auto-accept edits", Some(Choice::ApproveSession));
        check("Yes, allow all edits during this session (shift+tab)", Some(Choice::ApproveSession));
        check("Allow for this session", Some(Choice::ApproveSession));
        check("Yes, and always allow access to a/ from this project", Some(Choice::ApproveAlways));
        check("Yes, and don't ask again for `touch` in this repo", Some(Choice::ApproveAlways));
        check("No, and tell Codex what to do differently (esc)", Some(Choice::Deny));
        check("Modify with external editor", None);
    }

    #[test]
    fn nothing_in_a_guard_means_anything_to_tmux() {
        assert_eq!(phrase("touch made && echo #{pid} made-it"), "touch made");
        assert_eq!(phrase("Do you want to proceed?"), "Do you want to proceed");
        assert_eq!(phrase("$(x) #[fg=red]"), "red");
        assert_eq!(phrase(&"x".repeat(100)).len(), PHRASE_CHARS_MAX);
    }
}
