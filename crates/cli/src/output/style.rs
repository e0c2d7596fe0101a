//! What is shown in which colour, in one place.

use anstyle::{AnsiColor, Style};
use api::words::{DisplayCategory, Health, State};

/// The head of a column or of a group.
pub(crate) const TITLE: Style = Style::new().bold();

/// What matters less.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// What went wrong.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();

/// What somebody should look at.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();

/// Something to type.
pub(crate) const COMMAND: Style = AnsiColor::Cyan.on_default();

pub(crate) const fn of_state(state: State) -> Style {
    match state {
        State::Error => ERROR,
        State::WaitingApproval | State::WaitingInput => WARNING,
        State::Running => GOOD,
        State::Completed => COMMAND,
        State::Idle => Style::new(),
        State::Unknown => QUIET,
    }
}

pub(crate) const fn of_category(category: DisplayCategory) -> Style {
    match category {
        DisplayCategory::Attention => WARNING,
        DisplayCategory::Running => GOOD,
        DisplayCategory::Idle => Style::new(),
        DisplayCategory::Unmanaged | DisplayCategory::Unknown => QUIET,
    }
}

pub(crate) const fn of_health(health: Health) -> Style {
    match health {
        Health::Ok => GOOD,
        Health::Degraded => WARNING,
        Health::Down => ERROR,
    }
}
