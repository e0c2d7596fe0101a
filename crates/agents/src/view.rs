//! A screen as the rules of adapters look at it: its lines of text from the bottom up, the rules
//! drawn across it, menus, and what a rule concludes.
//!
//! Whatever an agent or its model prints stands above what the agent's own interface draws at the
//! bottom. So every rule begins there, and looks upwards only as far as the structure leads it.

use engine::words::{Confidence, Detail, State};

use crate::adapter::{Reading, Surface};
use crate::payload;
use crate::screen::{Line, Screen};

/// Lines below which nobody looks for a menu or a composer: the interface is never taller.
const REACH: usize = 60;

/// The lines of a screen, without empty ones at the bottom.
pub(crate) struct View {
    lines: Vec<String>,
    /// The pane has room below them.
    pub(crate) room_below: bool,
}

impl View {
    pub(crate) fn of(screen: &Screen) -> Self {
        let mut lines: Vec<String> = screen.lines.iter().map(Line::text).collect();
        for line in &mut lines {
            line.truncate(line.trim_end().len());
        }
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1);
        let room_below = lines.len() > end;
        lines.truncate(end);
        Self { lines, room_below }
    }

    /// The same without the frame that stands around every line.
    pub(crate) fn unframed(&self, from: usize, frame: char) -> Self {
        let inner = |line: &String| {
            let line = line.trim();
            let line = line.strip_prefix(frame).unwrap_or(line);
            line.strip_suffix(frame).unwrap_or(line).trim_end().to_owned()
        };
        let lines = self.lines.get(from..).unwrap_or_default().iter().map(inner).collect();
        Self { lines, room_below: self.room_below }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// A line; empty above and below the screen.
    pub(crate) fn line(&self, at: usize) -> &str {
        self.lines.get(at).map_or("", String::as_str)
    }

    pub(crate) fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// Some lines as one, however the pane's width broke them.
    pub(crate) fn joined(&self, from: usize, to: usize) -> String {
        let lines = self.lines.get(from.min(to)..to.min(self.len())).unwrap_or_default();
        let words = lines.iter().flat_map(|line| line.split_whitespace());
        words.collect::<Vec<_>>().join(" ")
    }

    /// The first line of the paragraph that a line belongs to: no blank line stands between.
    pub(crate) fn paragraph(&self, within: usize) -> usize {
        let blank = self.lines.get(..within).unwrap_or_default().iter().rposition(String::is_empty);
        blank.map_or(0, |at| at + 1)
    }

    /// The last paragraph, as one line.
    pub(crate) fn closing(&self) -> String {
        self.joined(self.paragraph(self.len().saturating_sub(1)), self.len())
    }

    /// The last line before `end` that is not empty.
    pub(crate) fn above(&self, end: usize) -> Option<usize> {
        self.find_above(end, |line| !line.is_empty())
    }

    /// The last line before `end` that fits.
    pub(crate) fn find_above(&self, end: usize, fits: impl Fn(&str) -> bool) -> Option<usize> {
        let reach = end.saturating_sub(REACH);
        (reach..end.min(self.len())).rev().find(|at| fits(self.line(*at)))
    }

    /// The last menu of numbered answers, one of which `selector` points at.
    pub(crate) fn menu(&self, selector: char) -> Option<Menu> {
        let numbered = |line: &str| number_of(line.trim_start()).is_some();
        let selected = |line: &str| {
            let rest = line.trim_start().strip_prefix(selector);
            rest.is_some_and(|rest| number_of(rest.trim_start()).is_some())
        };
        let chosen = self.find_above(self.len(), selected)?;
        let number = |at: usize| {
            let line = self.line(at).trim_start();
            number_of(line.strip_prefix(selector).unwrap_or(line).trim_start())
        };
        // Other answers stand above and below it, each with its number in the row.
        let mut first = chosen;
        while let Some(above) = self.find_above(first, numbered) {
            if number(above).map(|it| it + 1) != number(first) {
                break;
            }
            first = above;
        }
        let mut last = chosen;
        while let Some(next) = (last + 1..self.len()).find(|at| numbered(self.line(*at))) {
            if number(last).map(|it| it + 1) != number(next) {
                break;
            }
            last = next;
        }
        (first < last).then_some(Menu { first, last })
    }
}

/// Where numbered answers stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Menu {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// The number that begins an answer: `1. Yes`.
fn number_of(line: &str) -> Option<u32> {
    let (number, rest) = line.split_once('.')?;
    let short = (1..=2).contains(&number.len()) && rest.starts_with(' ');
    number.parse().ok().filter(|_| short)
}

/// Whether a line is drawn across the pane.
pub(crate) fn is_rule(line: &str) -> bool {
    line.trim_start().starts_with("────")
}

/// Whether a text begins with a braille character, as the spinners of several agents do.
pub(crate) fn spins(text: &str) -> bool {
    text.starts_with(|c| matches!(c, '\u{2801}'..='\u{28ff}'))
}

/// Whether a text can be a line of keys: words and arrows, and no prompt of a shell behind them.
pub(crate) fn is_keys(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " ·+/↑↓←→⇆()-,".contains(c);
    text.contains(" to ") && text.chars().all(plain)
}

/// Whether the text tells that a limit of use was reached.
pub(crate) fn is_limit(text: &str) -> bool {
    let text = text.to_lowercase();
    const MARKS: &[&str] =
        &["rate limit", "rate_limit", "usage limit", "quota", "too many requests", " 429"];
    MARKS.iter().any(|mark| text.contains(mark)) || text.starts_with("429")
}

/// The reason of a failed turn, by what the agent says about it.
pub(crate) fn failure(text: &str) -> &'static str {
    if is_limit(text) { "rate_limited" } else { "api_error" }
}

/// What a rule saw on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) reason: &'static str,
    pub(crate) mark: &'static str,
    /// The rule was made from a recorded screen and its mark cannot be text of the model's.
    pub(crate) sure: bool,
    /// What is asked, if somebody is asked.
    pub(crate) ask: String,
}

impl Seen {
    pub(crate) fn new(state: State, reason: &'static str, mark: &'static str) -> Self {
        Self { state, reason, mark, sure: true, ask: String::new() }
    }

    /// The rule rests on less than a recording, or on words alone.
    pub(crate) fn unsure(self) -> Self {
        Self { sure: false, ..self }
    }

    pub(crate) fn asking(self, ask: &str) -> Self {
        Self { ask: payload::short(ask), ..self }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::WaitingApproval | State::WaitingInput)
    }
}

/// A dialog that is there and fits no rule: somebody has to answer something.
pub(crate) fn some_dialog(mark: &'static str) -> Seen {
    Seen::new(State::WaitingInput, "dialog_open", mark).unsure()
}

/// The reading of a screen, as sure as the corpus allows for the agent's version.
pub(crate) fn screen_reading(
    covered: &[&str],
    surface: &Surface<'_>,
    seen: Option<&Seen>,
) -> Reading {
    let Some(seen) = seen else { return Reading::silent("no mark that is known") };
    let covered = surface.version.is_some_and(|version| covered.contains(&version));
    let confidence = if covered && seen.sure { Confidence::High } else { Confidence::Medium };
    let mut reading = Reading::claiming(seen.state, seen.reason, confidence, seen.mark);
    // Where nobody is waited for, an empty text takes the last question away.
    if !seen.is_waiting() || !seen.ask.is_empty() {
        reading.details.insert(Detail::Ask, seen.ask.clone());
    }
    reading
}

/// The reading of a title that says that somebody is waited for. What for, only the screen shows.
pub(crate) fn waiting_title(seen: Option<&Seen>, mark: &'static str) -> Reading {
    let dialog = seen.filter(|seen| seen.is_waiting());
    let (state, reason) = dialog
        .map_or((State::WaitingApproval, "approval_requested"), |seen| (seen.state, seen.reason));
    Reading::claiming(state, reason, Confidence::High, mark)
}

/// The reading of a title that says that nothing goes on, unless the screen shows what does.
pub(crate) fn resting_title(seen: Option<&Seen>, mark: &'static str) -> Reading {
    match seen.map(|seen| seen.state) {
        Some(State::WaitingApproval | State::WaitingInput | State::Running | State::Unknown) => {
            Reading::silent(mark)
        }
        Some(State::Error | State::Completed | State::Idle) | None => {
            Reading::claiming(State::Idle, engine::words::reason::IDLE, Confidence::High, mark)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> View {
        View::of(&Screen::from_capture(text.as_bytes(), 80, 24))
    }

    #[test]
    fn a_menu_is_numbered_answers_with_one_selected() {
        assert_eq!(view("1. a\n> 2. b\n  3. c\n").menu('>'), Some(Menu { first: 0, last: 2 }));
        assert_eq!(view("> 1. a\n     more\n  2. b\n").menu('>'), Some(Menu { first: 0, last: 2 }));
        assert_eq!(view("1. a\n2. b\n").menu('>'), None, "none is selected");
        assert_eq!(view("> 1. a\n").menu('>'), None, "one answer is no choice");
        assert_eq!(view("> 1. a\n  3. c\n").menu('>'), None, "the numbers are no row");
        assert_eq!(view("> 2026. a\n  2027. b\n").menu('>'), None);
    }

    #[test]
    fn the_closing_paragraph_is_one_line_however_it_was_broken() {
        assert_eq!(view("a\n\n  b\n  c\n\n\n").closing(), "b c");
        assert_eq!(view("").closing(), "");
    }
}
