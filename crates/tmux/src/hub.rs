//! Our own small session, to which the control client is attached.
//!
//! A control client needs a session. On one of the user's it would be seen, would clear its alerts
//! and could throttle its programs; so each installation has a session of its own while it is
//! connected: one window, one pane that sleeps, no status line, gone with its client.
//!
//! The life of a connection:
//!
//! 1. [`Hub::precheck`]: on some servers creating any session is fatal; then use forked commands.
//! 2. A scan of the sessions: nothing but hubs means that there is nobody to watch for.
//! 3. [`Hub::create_tied`] or [`Hub::create`], by a forked `tmux`. A hub that is there already is
//!    fine; [`Hub::restore`] where a hook of the user's has renamed it since.
//! 4. [`Hub::attach`], by the `tmux` that stays. Once [`crate::exchange::Exchanges`] has seen it
//!    attached, [`Hub::handshake`] and [`Hub::verify`].
//! 5. [`Hub::end_with_client`], where the client surely dies with us and the hub is not tied.
//! 6. [`crate::upkeep`] on each hint that somebody came into the hub or left the server.
//! 7. [`Hub::leave`], or kill the client process. Never just close its pipes: a client with unread
//!    bytes then stays for ever and wedges the server's end.

use thiserror::Error;

use crate::{
    arg::{Arg, ArgError, LIFELINE, OwnName},
    command::{Batch, Command, Verb},
    format::{Format, Nonce, Var},
    ids::{PaneId, SessionId},
    rows::{GreetingRow, OriginRow},
    scan::{Scan, Scanned},
    version::{Version, VersionError},
};

/// Every hub's name begins like this, whichever installation it belongs to.
const PREFIX: &str = "_qd-";

/// What sleeps in the hub: as long as a signed 32-bit count of seconds, which every `sleep` takes.
const SLEEP: [&str; 2] = ["sleep", "2147483647"];

/// What sleeps in a hub that is tied to us.
const SHELL: [&str; 2] = ["sh", "-c"];

/// What our session is like, whatever the user's global options say.
const OPTIONS: [(&str, &str); 3] =
    [("destroy-unattached", "off"), ("detach-on-destroy", "on"), ("status", "off")];

/// Flags for a `tmux` that we fork for one batch: text as UTF-8, and never start a server.
pub const FORKED_FLAGS: [&str; 2] = ["-u", "-N"];

/// Flags for the `tmux` that stays: the same, in control mode.
pub const CONTROL_FLAGS: [&str; 3] = ["-u", "-N", "-C"];

/// Whether a session belongs to some `qd`, this one or another; such are in no answer.
pub fn is_hub_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|id| OwnName::new(PREFIX, id).is_ok())
}

/// The hub of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    name: OwnName,
}

/// What the handshake proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub session: SessionId,
    pub client_pid: u32,
    pub version: Version,
    pub socket_path: Vec<u8>,
}

/// The far end is not the client that we started. Kill it and do not use control mode.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    #[error("the handshake was answered {count} times")]
    Answers { count: usize },
    #[error("the client is attached to {name:?} instead of our own session")]
    OtherSession { name: String },
    #[error("the client has not the flags it was started with")]
    Flags,
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error("tmux {0} is too old")]
    TooOld(Version),
}

impl Hub {
    /// `installation` is out of `a-z`, `0-9` and `-`.
    pub fn new(installation: &str) -> Result<Hub, ArgError> {
        OwnName::new(PREFIX, installation).map(|name| Hub { name })
    }

    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Asks what [`may_create`] wants to know.
    pub fn precheck() -> Batch {
        let option = Arg::word("window-size");
        Batch::from(Command::new(Verb::ShowOptions).flag("-gwv").arg(option))
    }

    /// Creates the session, detached. tmux refuses if it is there: see [`is_already_there`].
    ///
    /// Only beside another session. A server that was told to end has none any more but takes the
    /// commands of clients that came before; a session created then would keep it alive for ever,
    /// out of everybody's reach. The refusal is that of [`crate::scan::is_empty_server`].
    ///
    /// The pane's program is given as separate words, so no shell runs in it. The options stand in
    /// the same batch: with the user's global `destroy-unattached` a detached session would not
    /// live until the next one.
    pub fn create(&self) -> Batch {
        self.create_with(SLEEP.into_iter().fold(self.new_session(), Command::flag))
    }

    /// The same, so that the session ends with us however we end: its pane reads from a pipe that
    /// only process `pid` holds open, as its descriptor `fd`. For a server on our own host.
    ///
    /// [`Hub::end_with_client`] does as much with a risk: while a killed client is being given up,
    /// tmux destroys the session under it, and what it does for any other client that leaves in
    /// the same moment is a use after free. A pane that ends is an end that tmux is made for. It
    /// comes a second after ours, because a session that goes while a control client introduces
    /// itself, which may be our own, crashes the server too.
    pub fn create_tied(&self, pid: u32, fd: u32) -> Batch {
        let session = SHELL.into_iter().fold(self.new_session(), Command::flag);
        self.create_with(session.arg(Arg::lifeline(pid, fd))).then(
            Command::new(Verb::SetOption)
                .flag("-w")
                .option("-t", Arg::exactly(&self.name))
                .flag("remain-on-exit")
                .flag("off"),
        )
    }

    fn new_session(&self) -> Command {
        Command::new(Verb::NewSession)
            .flag("-dP")
            .option("-F", Arg::format(&Format::new().plain(&[&[Var("session_id")]])))
            .option("-s", Arg::own_name(&self.name))
            .option("-n", Arg::word("qd"))
            .option("-x", Arg::number(80))
            .option("-y", Arg::number(24))
            .option("-c", Arg::word("/"))
    }

    fn create_with(&self, session: Command) -> Batch {
        let create = Batch::from(Command::new(Verb::HasSession)).then(session);
        OPTIONS.into_iter().fold(create, |batch, (name, value)| batch.then(self.set(name, value)))
    }

    /// Makes a session that [`created`] told of what it was meant to be. A hook of the user's may have
    /// given it another name in the moment it was made, and then nothing behind that was done. The name
    /// comes last: it is what shows that all of it is done.
    pub fn restore(&self, session: SessionId) -> Batch {
        let set = |(name, value)| {
            Command::new(Verb::SetOption).target_session(session).flag(name).flag(value)
        };
        let [first, second, third] = OPTIONS.map(set);
        Batch::from(first).then(second).then(third).then(self.rename(session))
    }

    /// Attaches, as the arguments behind [`CONTROL_FLAGS`].
    ///
    /// `no-output` keeps a slow or stopped reader from freezing the user's programs; neither a size
    /// nor `read-only` is ever given.
    pub fn attach(&self) -> Batch {
        let attach = Command::new(Verb::AttachSession)
            .option("-t", Arg::exactly(&self.name))
            .option("-f", Arg::word("ignore-size,no-output"));
        Batch::from(attach)
    }

    /// The first question over a new control connection.
    pub fn handshake(nonce: Nonce) -> Scan<GreetingRow> {
        Scan::all(nonce)
    }

    /// Whether the answer comes from the client that we meant to start.
    pub fn verify(&self, greeting: &Scanned<GreetingRow>) -> Result<Connection, HandshakeError> {
        let [row] = greeting.rows.as_slice() else {
            return Err(HandshakeError::Answers { count: greeting.rows.len() });
        };
        if row.session_name != self.name() {
            return Err(HandshakeError::OtherSession { name: row.session_name.clone() });
        }
        let flags = row.flags;
        if !(row.control_mode && flags.ignore_size && flags.no_output && flags.utf8) {
            return Err(HandshakeError::Flags);
        }
        let version: Version = row.version.parse()?;
        if !version.is_supported() {
            return Err(HandshakeError::TooOld(version));
        }
        Ok(Connection {
            session: row.session,
            client_pid: row.client_pid,
            version,
            socket_path: row.socket_path.clone(),
        })
    }

    /// Makes the session end with its client.
    ///
    /// Only where the client process dies with us: with its pipes closed but the process alive,
    /// this option crashes the server at the next command.
    pub fn end_with_client(&self) -> Batch {
        Batch::from(self.set("destroy-unattached", "on"))
    }

    /// Asks whether the session is there, whatever it is called by now; tmux refuses where it is not.
    pub fn is_there(session: SessionId) -> Batch {
        Batch::from(Command::new(Verb::HasSession).target_session(session))
    }

    /// Ends the session, whatever it is called by now; the client follows with `%exit`.
    pub fn leave_as(session: SessionId) -> Batch {
        Batch::from(Command::new(Verb::KillSession).target_session(session))
    }

    /// Gives the session its name back.
    pub(crate) fn rename(&self, session: SessionId) -> Command {
        let rename = Command::new(Verb::RenameSession).target_session(session);
        rename.arg(Arg::own_name(&self.name))
    }

    /// Ends the session by its name, where it is not known as which session it runs.
    pub fn leave(&self) -> Batch {
        let target = Arg::exactly(&self.name);
        Batch::from(Command::new(Verb::KillSession).option("-t", target))
    }

    fn set(&self, option: &'static str, value: &'static str) -> Command {
        Command::new(Verb::SetOption)
            .option("-t", Arg::exactly(&self.name))
            .flag(option)
            .flag(value)
    }
}

/// Reads the answer to [`Hub::precheck`]: whether creating a session leaves the server alive.
///
/// With `window-size manual` as the global default, every release before 3.7 dereferences a window
/// that is not there yet.
pub fn may_create(precheck: &[u8], version: &Version) -> bool {
    !(version.global_manual_size_crashes() && precheck.trim_ascii() == b"manual")
}

/// Reads what [`Hub::create`] printed: the session that was made, if one was.
pub fn created(output: &[u8]) -> Option<SessionId> {
    std::str::from_utf8(output).ok()?.lines().find_map(|line| line.parse().ok())
}

/// Whether [`Hub::create`] was refused because the session exists.
pub fn is_already_there(reason: &str) -> bool {
    reason.contains("duplicate session")
}

/// Whether a pane keeps a hub that process `pid` has tied to itself.
pub fn is_tied_to(pid: u32, pane: &OriginRow) -> bool {
    pane.start_command.contains(&format!("{LIFELINE}{pid}/"))
}

/// Our own pane among all panes: the one in the hub that was started to sleep.
pub fn own_pane(hub: SessionId, panes: &[OriginRow]) -> Option<PaneId> {
    let sleeps = |command: &str| command.contains(SLEEP[1]) || command.contains(LIFELINE);
    let ours = |row: &&OriginRow| row.session == hub && sleeps(&row.start_command);
    panes.iter().filter(ours).map(|row| row.pane).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rows::ClientFlags, scan::ServerInstance};

    fn hub() -> Hub {
        Hub::new("a1").unwrap()
    }

    fn line(batch: &Batch) -> String {
        String::from_utf8(batch.control_line().unwrap()).unwrap()
    }

    fn greeting(change: impl FnOnce(&mut GreetingRow)) -> Scanned<GreetingRow> {
        let mut row = GreetingRow {
            session: SessionId(3),
            client_pid: 77,
            control_mode: true,
            flags: ClientFlags { ignore_size: true, no_output: true, utf8: true },
            session_name: "_qd-a1".into(),
            version: "3.3a".into(),
            socket_path: b"/tmp/tmux-0/default".to_vec(),
        };
        change(&mut row);
        Scanned { server: ServerInstance { pid: 1, start_time: 2 }, rows: vec![row] }
    }

    #[test]
    fn a_tied_hub_reads_from_its_maker_and_leaves_nothing_dead_behind() {
        let line = String::from_utf8(hub().create_tied(7, 9).control_line().unwrap()).unwrap();
        assert!(line.contains(r#"sh -c "cat /proc/7/fd/9; exec sleep 1" ; "#), "{line}");
        assert!(line.contains("remain-on-exit off"), "{line}");
        let started = |start_command: &str| OriginRow {
            pane: PaneId(4),
            session: SessionId(2),
            start_command: start_command.to_owned(),
        };
        let pane = started(r#"sh -c "cat /proc/7/fd/9; exec sleep 1""#);
        assert!(is_tied_to(7, &pane) && !is_tied_to(70, &pane));
        assert_eq!(own_pane(SessionId(2), &[pane]), Some(PaneId(4)));
        assert!(!is_tied_to(7, &started("sleep 2147483647")));
    }

    #[test]
    fn only_names_of_the_shape_we_give_are_hubs() {
        for name in ["_qd-a1", "_qd-0", "_qd-0f3c-77"] {
            assert!(is_hub_name(name), "{name}");
        }
        for name in ["_qd", "_qd-", "_qd-My work", "x_qd-a1", "_QD-a1", "_qd-a1\n", "qd-a1", ""] {
            assert!(!is_hub_name(name), "{name:?}");
        }
        assert!(is_hub_name(hub().name()));
    }

    #[test]
    fn the_hub_is_created_detached_with_a_pane_that_no_shell_runs_in() {
        assert_eq!(
            line(&hub().create()),
            "has-session ; new-session -dP -F \"#{session_id}\" -s \"_qd-a1\" -n qd -x 80 -y 24 -c \"/\" sleep 2147483647 ; \
             set-option -t \"=_qd-a1:\" destroy-unattached off ; \
             set-option -t \"=_qd-a1:\" detach-on-destroy on ; \
             set-option -t \"=_qd-a1:\" status off\n"
        );
    }

    #[test]
    fn a_session_that_was_renamed_as_it_was_made_is_made_ours_again() {
        let session = created(b"a hook says\n$12\n").unwrap();
        assert_eq!(
            line(&hub().restore(session)),
            "set-option -t \"\\04412\" destroy-unattached off ; \
             set-option -t \"\\04412\" detach-on-destroy on ; set-option -t \"\\04412\" status off ; \
             rename-session -t \"\\04412\" \"_qd-a1\"\n"
        );
        assert_eq!(created(b""), None);
        assert_eq!(created(b"x$12\n"), None);
    }

    #[test]
    fn attaching_names_the_whole_session_and_asks_for_no_output() {
        let argv = hub().attach().argv().unwrap();
        let argv: Vec<_> = argv.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
        assert_eq!(argv, ["attach-session", "-t", "=_qd-a1:", "-f", "ignore-size,no-output"]);
        assert_eq!(line(&hub().leave()), "kill-session -t \"=_qd-a1:\"\n");
    }

    #[test]
    fn the_handshake_proves_session_flags_and_version() {
        let connection = hub().verify(&greeting(|_| ())).unwrap();
        assert_eq!((connection.session, connection.client_pid), (SessionId(3), 77));
        assert_eq!(connection.version.as_str(), "3.3a");

        let other = greeting(|row| row.session_name = "_qd-a11".into());
        let name = "_qd-a11".to_owned();
        assert_eq!(hub().verify(&other), Err(HandshakeError::OtherSession { name }));

        let unlike: [fn(&mut GreetingRow); 4] = [
            |row| row.control_mode = false,
            |row| row.flags.no_output = false,
            |row| row.flags.ignore_size = false,
            |row| row.flags.utf8 = false,
        ];
        for change in unlike {
            assert_eq!(hub().verify(&greeting(change)), Err(HandshakeError::Flags));
        }
        let old = greeting(|row| row.version = "3.2a".into());
        assert!(matches!(hub().verify(&old), Err(HandshakeError::TooOld(_))));
        let odd = greeting(|row| row.version = "screen".into());
        assert!(matches!(hub().verify(&odd), Err(HandshakeError::Version(_))));
        let mut twice = greeting(|_| ());
        twice.rows.push(twice.rows[0].clone());
        assert_eq!(hub().verify(&twice), Err(HandshakeError::Answers { count: 2 }));
    }

    #[test]
    fn no_session_is_created_where_that_would_kill_the_server() {
        for (precheck, version, may) in [
            ("latest\n", "3.3a", true),
            ("manual\n", "3.3a", false),
            ("manual\n", "3.6b", false),
            ("manual\n", "3.7", true),
        ] {
            let version = version.parse().unwrap();
            assert_eq!(may_create(precheck.as_bytes(), &version), may, "{precheck} {version}");
        }
    }

    #[test]
    fn our_own_pane_is_the_sleeping_one_in_the_hub() {
        let row = |pane, session, start_command: &str| OriginRow {
            pane: PaneId(pane),
            session: SessionId(session),
            start_command: start_command.into(),
        };
        let panes = [
            row(1, 0, "sleep 2147483647"),
            row(4, 3, "vim"),
            row(5, 3, "sleep 2147483647"),
            row(6, 3, ""),
        ];
        assert_eq!(own_pane(SessionId(3), &panes), Some(PaneId(5)));
        assert_eq!(own_pane(SessionId(9), &panes), None);
    }
}
