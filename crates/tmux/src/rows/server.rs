//! Rows about the server, its sessions and its clients.

use crate::{
    arg::{Arg, ClientName},
    command::{Command, Verb},
    format::Var,
    ids::{PaneId, SessionId, WindowId},
    rows::{Row, Shape},
    scan::{Fields, ScanError},
};

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
    /// The server ends once nobody is attached to it. About the server, and the same in every row.
    pub server_ends_unattached: bool,
    /// `None` for a name that cannot be a target.
    pub name: Option<ClientName>,
    /// The name of the session it showed before; empty for none.
    pub last_session: String,
}

/// What a client shows now, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerRow {
    pub control_mode: bool,
    pub window: WindowId,
    /// The active pane of that window.
    pub pane: PaneId,
    /// Only the active pane is shown.
    pub zoomed: bool,
    /// The path of its terminal; empty for one that has none.
    pub terminal: String,
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

impl Row for SessionRow {
    const SHAPE: Shape = Shape {
        plain: &[&[
            Var("session_id"),
            Var("session_created"),
            Var("session_activity"),
            Var("session_attached"),
        ]],
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
        plain: &[&[
            Var("client_pid"),
            Var("client_created"),
            Var("client_control_mode"),
            Var("client_flags"),
            Var("session_id"),
            Var("exit-unattached"),
        ]],
        free: &[Var("client_name"), Var("client_last_session")],
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
            server_ends_unattached: fields.flag()?,
            name: ClientName::read(&fields.text()?),
            last_session: fields.text()?,
        })
    }
}

impl Row for ViewerRow {
    const SHAPE: Shape = Shape {
        plain: &[&[
            Var("client_control_mode"),
            Var("window_id"),
            Var("pane_id"),
            Var("window_zoomed_flag"),
        ]],
        free: &[Var("client_tty")],
    };

    fn list(format: Arg) -> Command {
        Command::new(Verb::ListClients).option("-F", format)
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError> {
        Ok(ViewerRow {
            control_mode: fields.flag()?,
            window: fields.parsed()?,
            pane: fields.parsed()?,
            zoomed: fields.flag()?,
            terminal: fields.text()?,
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
        plain: &[&[
            Var("session_id"),
            Var("client_pid"),
            Var("client_control_mode"),
            Var("client_flags"),
        ]],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_whole_words() {
        let flags = ClientFlags::read("attached,no-outputs,ignore-size");
        assert_eq!((flags.ignore_size, flags.no_output, flags.utf8), (true, false, false));
    }
}
