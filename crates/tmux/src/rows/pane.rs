//! Rows about panes.

use crate::{
    arg::Arg,
    command::{Command, Verb},
    format::Var,
    ids::{PaneId, SessionId, WindowId},
    rows::{Row, Shape},
    scan::{Fields, ScanError},
};

/// Everything about one pane.
///
/// A pane of a window that is linked into two sessions has two rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneRow {
    pub brief: PaneBrief,
    pub pane_index: u32,
    pub tty: String,
    /// Set once tmux knows it, which may be later than `dead`, or never; see
    /// [`Version::exit_status_can_stick`](crate::version::Version::exit_status_can_stick).
    pub dead_status: Option<i32>,
    /// A number on Linux, a name elsewhere.
    pub dead_signal: Option<String>,
    pub in_mode: bool,
    pub alternate_on: bool,
    pub zoomed: bool,
    pub history_size: u64,
    pub command: String,
    pub session_name: String,
    pub window_name: String,
    /// Bytes, for a path need not be UTF-8.
    pub path: Vec<u8>,
    pub title: String,
}

/// The least that tells whether anything happened in a pane: for while nothing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanePulse {
    pub pane: PaneId,
    pub pid: Option<u32>,
    pub dead: bool,
    pub bell: bool,
    /// As in [`PaneBrief`].
    pub window_activity: u64,
}

/// The facts that are cheap to ask for often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneBrief {
    pub pane: PaneId,
    pub window: WindowId,
    pub session: SessionId,
    /// The process tmux started in the pane; `None` where there is none.
    pub pid: Option<u32>,
    pub dead: bool,
    pub width: u32,
    pub height: u32,
    pub bell: bool,
    /// When any pane of the window last wrote, in whole seconds of the server's clock.
    pub window_activity: u64,
    pub pane_active: bool,
    pub window_active: bool,
    pub window_index: u32,
}

/// The brief facts, and what else can change without tmux telling anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneGlance {
    pub brief: PaneBrief,
    pub pane_index: u32,
    pub in_mode: bool,
    pub zoomed: bool,
    pub title: String,
}

/// How a pane was started, to tell our own from what landed beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRow {
    pub pane: PaneId,
    pub session: SessionId,
    pub start_command: String,
}

const PULSE: [Var; 5] = [
    Var("pane_id"),
    Var("pane_pid"),
    Var("pane_dead"),
    Var("window_bell_flag"),
    Var("window_activity"),
];

const BRIEF: [Var; 12] = [
    Var("pane_id"),
    Var("window_id"),
    Var("session_id"),
    Var("pane_pid"),
    Var("pane_dead"),
    Var("pane_width"),
    Var("pane_height"),
    Var("window_bell_flag"),
    Var("window_activity"),
    Var("pane_active"),
    Var("window_active"),
    Var("window_index"),
];

/// What a full row has beyond the brief one.
const DETAIL: [Var; 8] = [
    Var("pane_index"),
    Var("pane_tty"),
    Var("pane_dead_status"),
    Var("pane_dead_signal"),
    Var("pane_in_mode"),
    Var("alternate_on"),
    Var("window_zoomed_flag"),
    Var("history_size"),
];

/// What a glance has beyond the brief row.
const GLANCE: [Var; 3] = [Var("pane_index"), Var("pane_in_mode"), Var("window_zoomed_flag")];

impl Row for PanePulse {
    const SHAPE: Shape = Shape { plain: &[&PULSE], free: &[] };

    fn list(format: Arg) -> Command {
        PaneBrief::list(format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(PanePulse {
            pane: fields.parsed()?,
            pid: process(fields)?,
            dead: fields.flag()?,
            bell: fields.flag()?,
            window_activity: fields.parsed()?,
        })
    }
}

/// tmux shows a pane without a process as 0 or -1.
fn process(fields: &mut Fields<'_>) -> Result<Option<u32>, ScanError> {
    Ok(u32::try_from(fields.parsed::<i64>()?).ok().filter(|&pid| pid > 0))
}

impl Row for PaneBrief {
    const SHAPE: Shape = Shape { plain: &[&BRIEF], free: &[] };

    fn list(format: Arg) -> Command {
        Command::new(Verb::ListPanes).flag("-a").option("-F", format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(PaneBrief {
            pane: fields.parsed()?,
            window: fields.parsed()?,
            session: fields.parsed()?,
            pid: process(fields)?,
            dead: fields.flag()?,
            width: fields.parsed()?,
            height: fields.parsed()?,
            bell: fields.flag()?,
            window_activity: fields.parsed()?,
            pane_active: fields.flag()?,
            window_active: fields.flag()?,
            window_index: fields.parsed()?,
        })
    }
}

impl Row for PaneGlance {
    const SHAPE: Shape = Shape { plain: &[&BRIEF, &GLANCE], free: &[Var("pane_title")] };

    fn list(format: Arg) -> Command {
        PaneBrief::list(format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(PaneGlance {
            brief: PaneBrief::read(fields)?,
            pane_index: fields.parsed()?,
            in_mode: fields.flag()?,
            zoomed: fields.flag()?,
            title: fields.text()?,
        })
    }
}

impl Row for PaneRow {
    const SHAPE: Shape = Shape {
        plain: &[&BRIEF, &DETAIL],
        free: &[
            Var("pane_current_command"),
            Var("session_name"),
            Var("window_name"),
            Var("pane_current_path"),
            Var("pane_title"),
        ],
    };

    fn list(format: Arg) -> Command {
        PaneBrief::list(format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(PaneRow {
            brief: PaneBrief::read(fields)?,
            pane_index: fields.parsed()?,
            tty: fields.plain()?.to_owned(),
            dead_status: fields.optional()?,
            dead_signal: fields.optional()?,
            in_mode: fields.flag()?,
            alternate_on: fields.flag()?,
            zoomed: fields.flag()?,
            history_size: fields.parsed()?,
            command: fields.text()?,
            session_name: fields.text()?,
            window_name: fields.text()?,
            path: fields.bytes()?,
            title: fields.text()?,
        })
    }
}

impl Row for OriginRow {
    const SHAPE: Shape = Shape {
        plain: &[&[Var("pane_id"), Var("session_id")]],
        free: &[Var("pane_start_command")],
    };

    fn list(format: Arg) -> Command {
        PaneBrief::list(format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(OriginRow {
            pane: fields.parsed()?,
            session: fields.parsed()?,
            start_command: fields.text()?,
        })
    }
}

impl PaneRow {
    /// Prints the same record for one pane; an empty one if there is no such pane.
    pub(crate) fn show(pane: PaneId, format: Arg) -> Command {
        Command::new(Verb::DisplayMessage).flag("-p").target_pane(pane).arg(format)
    }
}
