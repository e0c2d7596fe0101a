//! What a scan asks for: the variables of each kind of row, and their types.
//!
//! Each variable costs the server about as much as any other (0.5 to 2.5 µs for each pane), except
//! the current command and path, which ask the kernel (5 to 10 µs): hence three rows for a pane.
//!
//! What may stand in a value, seen on 3.3a and tested in `tests/it/formats.rs`:
//!
//! | value | control bytes, tab, newline | else |
//! |---|---|---|
//! | session name | printed form: `\033`, `\t`, `\n`; `$` before a letter as `\$` | `:` and `.` become `_` |
//! | window name | raw when given to `new-window -n`, printed form when renamed | UTF-8 |
//! | title | none: a program's lose them, a user's with them is refused | UTF-8 |
//! | path | raw | any bytes but NUL; empty for the moment of an exec |
//! | command | raw, within the name | the shell, or `tmux`, until the program has started |
//!
//! None is shortened: 1,000 characters come whole.

use crate::{
    arg::{Arg, ClientName},
    command::{Command, Verb},
    format::Var,
    ids::{PaneId, SessionId, WindowId},
    scan::{Fields, ScanError},
};

/// One kind of row. Its variables stand once, in the order in which `read` takes them.
pub trait Row: Sized {
    #[doc(hidden)]
    const SHAPE: Shape;

    /// The command that prints one record for each row, in `format`.
    #[doc(hidden)]
    fn list(format: Arg) -> Command;

    #[doc(hidden)]
    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError>;
}

/// The variables of a row: those without blanks first, then those that may hold anything.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub(crate) plain: &'static [Var],
    pub(crate) free: &'static [Var],
}

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub session: SessionId,
    pub created: u64,
    /// When somebody last typed into it or attached, in whole seconds.
    pub activity: u64,
    /// How many clients show it.
    pub attached: u32,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    pub pid: u32,
    pub created: u64,
    pub control_mode: bool,
    pub flags: ClientFlags,
    /// `None` for a client on its way in or out.
    pub session: Option<SessionId>,
    /// `None` for a name that cannot be a target.
    pub name: Option<ClientName>,
}

/// The flags of a client that matter to us, out of the list that tmux prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFlags {
    /// Its size does not count for the windows it shows.
    pub ignore_size: bool,
    /// It is sent no output of panes.
    pub no_output: bool,
    /// It is sent text beyond ASCII as it is.
    pub utf8: bool,
}

impl ClientFlags {
    fn read(list: &str) -> ClientFlags {
        let has = |flag: &str| list.split(',').any(|word| word == flag);
        ClientFlags {
            ignore_size: has("ignore-size"),
            no_output: has("no-output"),
            utf8: has("UTF-8"),
        }
    }
}

/// What the server says of itself, beyond what every scan proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRow {
    pub version: String,
    pub socket_path: Vec<u8>,
}

/// What a control client learns about itself and the server, right after it attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GreetingRow {
    pub session: SessionId,
    pub client_pid: u32,
    pub control_mode: bool,
    pub flags: ClientFlags,
    pub session_name: String,
    pub version: String,
    pub socket_path: Vec<u8>,
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

const FULL: [Var; 20] = [
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
    Var("pane_index"),
    Var("pane_tty"),
    Var("pane_dead_status"),
    Var("pane_dead_signal"),
    Var("pane_in_mode"),
    Var("alternate_on"),
    Var("window_zoomed_flag"),
    Var("history_size"),
];

impl Row for PanePulse {
    const SHAPE: Shape = Shape { plain: &PULSE, free: &[] };

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
    const SHAPE: Shape = Shape { plain: &BRIEF, free: &[] };

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

impl Row for PaneRow {
    const SHAPE: Shape = Shape {
        plain: &FULL,
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

impl Row for SessionRow {
    const SHAPE: Shape = Shape {
        plain: &[
            Var("session_id"),
            Var("session_created"),
            Var("session_activity"),
            Var("session_attached"),
        ],
        free: &[Var("session_name")],
    };

    fn list(format: Arg) -> Command {
        Command::new(Verb::ListSessions).option("-F", format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(SessionRow {
            session: fields.parsed()?,
            created: fields.parsed()?,
            activity: fields.parsed()?,
            attached: fields.parsed()?,
            name: fields.text()?,
        })
    }
}

impl Row for ClientRow {
    const SHAPE: Shape = Shape {
        plain: &[
            Var("client_pid"),
            Var("client_created"),
            Var("client_control_mode"),
            Var("client_flags"),
            Var("session_id"),
        ],
        free: &[Var("client_name")],
    };

    fn list(format: Arg) -> Command {
        Command::new(Verb::ListClients).option("-F", format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(ClientRow {
            pid: fields.parsed()?,
            created: fields.parsed()?,
            control_mode: fields.flag()?,
            flags: ClientFlags::read(fields.plain()?),
            session: fields.optional()?,
            name: ClientName::read(&fields.text()?),
        })
    }
}

impl Row for ServerRow {
    const SHAPE: Shape = Shape { plain: &[], free: &[Var("version"), Var("socket_path")] };

    fn list(format: Arg) -> Command {
        Command::print(format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(ServerRow { version: fields.text()?, socket_path: fields.bytes()? })
    }
}

impl Row for GreetingRow {
    const SHAPE: Shape = Shape {
        plain: &[
            Var("session_id"),
            Var("client_pid"),
            Var("client_control_mode"),
            Var("client_flags"),
        ],
        free: &[Var("session_name"), Var("version"), Var("socket_path")],
    };

    fn list(format: Arg) -> Command {
        Command::new(Verb::DisplayMessage).flag("-p").arg(format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(GreetingRow {
            session: fields.parsed()?,
            client_pid: fields.parsed()?,
            control_mode: fields.flag()?,
            flags: ClientFlags::read(fields.plain()?),
            session_name: fields.text()?,
            version: fields.text()?,
            socket_path: fields.bytes()?,
        })
    }
}

impl Row for OriginRow {
    const SHAPE: Shape =
        Shape { plain: &[Var("pane_id"), Var("session_id")], free: &[Var("pane_start_command")] };

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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(vars: &[Var]) -> Vec<&'static str> {
        vars.iter().map(|Var(name)| *name).collect()
    }

    #[test]
    fn everything_about_a_pane_begins_with_the_cheap_facts() {
        assert_eq!(names(&FULL[..BRIEF.len()]), names(&BRIEF));
        assert_eq!(names(PaneBrief::SHAPE.plain), names(&BRIEF));
    }

    #[test]
    fn no_row_asks_for_a_variable_twice() {
        for shape in [
            PaneRow::SHAPE,
            PaneBrief::SHAPE,
            PanePulse::SHAPE,
            SessionRow::SHAPE,
            ClientRow::SHAPE,
            ServerRow::SHAPE,
            GreetingRow::SHAPE,
            OriginRow::SHAPE,
        ] {
            let mut all = [names(shape.plain), names(shape.free)].concat();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{all:?}");
        }
    }

    #[test]
    fn what_may_hold_anything_is_never_among_the_tabs() {
        let hostile = [
            "pane_current_command",
            "pane_current_path",
            "pane_title",
            "session_name",
            "window_name",
            "client_name",
            "socket_path",
            "pane_start_command",
        ];
        for shape in [PaneRow::SHAPE, SessionRow::SHAPE, ClientRow::SHAPE, OriginRow::SHAPE] {
            assert!(names(shape.plain).iter().all(|name| !hostile.contains(name)));
        }
    }

    #[test]
    fn flags_are_whole_words() {
        let flags = ClientFlags::read("attached,no-outputs,ignore-size");
        assert_eq!((flags.ignore_size, flags.no_output, flags.utf8), (true, false, false));
    }
}
