//! Starting the daemon on demand, and what its errors mean to the user.

use std::io;
use std::path::PathBuf;

use api::ErrorCode;
use api::error::{ErrorDetail, with_causes};
use client::{ClientError, Starter};
use daemon::config::ConfigError;
use daemon::journal::OpenError;
use daemon::lifecycle::{self, LifecycleError, detached};
use daemon::paths::Paths;
use daemon::run::RunError;

/// What to do where too few descriptors are granted.
pub(crate) const MORE_DESCRIPTORS: &str =
    "Allow more open files, with `ulimit -n 1024`, and repeat it.";

/// Starts this very program as a daemon that outlives us.
pub(crate) struct Detached {
    paths: Paths,
}

impl Detached {
    pub(crate) const fn new(paths: Paths) -> Self {
        Self { paths }
    }
}

impl Starter for Detached {
    fn start(&self) -> Result<(), ClientError> {
        let program = this_program()?;
        lifecycle::start_detached(&program).map_err(|error| why(&self.paths, &error))
    }
}

/// Why no daemon was started. One that runs may answer in a moment, which its code says.
fn why(paths: &Paths, error: &LifecycleError) -> ClientError {
    match lifecycle::holder(paths) {
        Some(holder) => {
            let (pid, socket) = (holder.pid, holder.socket.display());
            let message = format!("a daemon runs (pid {pid}) and does not answer at {socket}");
            ClientError::new(ErrorCode::DaemonRunning, message).with_hint(
                "`qd daemon stop` ends it, which loses nothing; the next command starts another.",
            )
        }
        None if lifecycle::is_held(paths) => {
            ClientError::new(ErrorCode::DaemonRunning, "another daemon is starting")
        }
        None => lifecycle_error(error),
    }
}

/// Tells whoever started this daemon, in one line, why it does not run.
pub(crate) fn tell_starter(error: &ClientError) {
    let ClientError { code, message, details, hint } = error.clone();
    let detail = ErrorDetail { code, message, details, hint };
    let line = serde_json::to_string(&detail).unwrap_or_else(|_| error.message.clone());
    // A starter that is gone has nobody to tell.
    drop(detached::sorry(&line));
}

/// What a daemon told its starter instead of starting.
fn told_by_child(line: &str) -> Option<ClientError> {
    serde_json::from_str::<ErrorDetail>(line).ok().map(ClientError::from)
}

/// The program that is running, for being run again.
pub(crate) fn this_program() -> Result<PathBuf, ClientError> {
    let program = std::env::current_exe().map_err(|error| {
        ClientError::new(ErrorCode::Internal, format!("cannot tell where qd is: {error}"))
    })?;
    // One that was replaced on the disk while it runs is still reachable this way.
    let running = PathBuf::from("/proc/self/exe");
    Ok(if !program.exists() && running.exists() { running } else { program })
}

/// An error that kept the daemon from running, as a command tells it.
pub(crate) fn run_error(error: &RunError) -> ClientError {
    match error {
        RunError::Lifecycle(error) => lifecycle_error(error),
        RunError::Config(error) => config_error(error),
        RunError::Store(error) => store_error(error),
        RunError::Journal(_) => ClientError::new(ErrorCode::DbUnreadable, with_causes(error)),
        RunError::System(_, cause) if is_out_of_descriptors(cause) => {
            ClientError::new(ErrorCode::DaemonUnreachable, with_causes(error))
                .with_hint(MORE_DESCRIPTORS)
        }
        RunError::System(..) => ClientError::new(ErrorCode::Internal, with_causes(error)),
    }
}

/// A database that cannot be opened, as a command tells it.
pub(crate) fn store_error(error: &OpenError) -> ClientError {
    let code = match error {
        OpenError::Newer { .. } => ErrorCode::DbNewer,
        OpenError::Fault { .. } if error.is_full() => ErrorCode::StoreFull,
        OpenError::Absent { .. } | OpenError::Foreign { .. } | OpenError::Fault { .. } => {
            ErrorCode::DbUnreadable
        }
        OpenError::OldSqlite { .. } => ErrorCode::Internal,
    };
    let told = ClientError::new(code, with_causes(error));
    match error {
        OpenError::Foreign { .. } => told.with_hint(IN_THE_WAY),
        OpenError::Newer { .. }
        | OpenError::Absent { .. }
        | OpenError::Fault { .. }
        | OpenError::OldSqlite { .. } => told,
    }
}

/// What to do about something that has the name of something of ours.
pub(crate) const IN_THE_WAY: &str =
    "Something else stands there: move it away, or choose another place with QD_HOME.";

/// An error of the daemon's life, as a command tells it.
pub(crate) fn lifecycle_error(error: &LifecycleError) -> ClientError {
    let message = with_causes(error);
    match error {
        LifecycleError::Running(holder) => ClientError::new(ErrorCode::DaemonRunning, message)
            .with_detail("pid", holder.pid)
            .with_detail("socket", holder.socket.display().to_string())
            .with_detail("version", holder.version.clone()),
        LifecycleError::Locked(_) => ClientError::new(ErrorCode::DaemonRunning, message),
        LifecycleError::Foreign(_) => ClientError::new(ErrorCode::Forbidden, message)
            .with_hint("Choose a place of your own with QD_HOME."),
        LifecycleError::Shared(_) => ClientError::new(ErrorCode::Forbidden, message)
            .with_hint("Name a folder in QD_HOME that is only for this; it is made if need be."),
        LifecycleError::NotASocket(_) => ClientError::new(ErrorCode::SocketOccupied, message),
        LifecycleError::NotAFile(_) => {
            ClientError::new(ErrorCode::DaemonUnreachable, message).with_hint(IN_THE_WAY)
        }
        LifecycleError::SocketPathTooLong(_) => ClientError::new(ErrorCode::BadRequest, message)
            .with_hint("Choose a shorter place with QD_HOME."),
        LifecycleError::Io { source, .. } if is_occupied(source) => {
            ClientError::new(ErrorCode::DaemonUnreachable, message).with_hint(IN_THE_WAY)
        }
        LifecycleError::Io { .. } => ClientError::new(ErrorCode::DaemonUnreachable, message)
            .with_hint("Look at the permissions and the room on that disk."),
        LifecycleError::StartFailed(line) => told_by_child(line).unwrap_or_else(|| {
            ClientError::new(ErrorCode::DaemonUnreachable, message)
                .with_hint("`qd doctor` says what is wrong; `qd daemon run` shows a start.")
        }),
    }
}

/// Whether something failed because this process may open no more.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error
        .raw_os_error()
        .is_some_and(|it| [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error).contains(&it))
}

/// Whether a folder could not be made because a file has its name, or that of one above it.
fn is_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory)
}

/// A configuration that is not taken, as a command tells it.
pub(crate) fn config_error(error: &ConfigError) -> ClientError {
    ClientError::new(ErrorCode::ConfigInvalid, with_causes(error))
        .with_hint("Correct it there; `qd config check` tells whether it is right.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_032_a_second_daemon_is_a_conflict_that_names_the_first() {
        let holder = lifecycle::Holder {
            pid: 41,
            socket: "/run/qd.sock".into(),
            version: "0.1.0".to_owned(),
        };
        let error = run_error(&RunError::Lifecycle(LifecycleError::Running(holder)));
        assert_eq!(error.code, ErrorCode::DaemonRunning);
        assert_eq!(error.code.exit_code(), api::ExitCode::Conflict);
        assert!(error.message.contains("41"), "{error}");
        assert_eq!(error.details["pid"], 41);
    }

    #[test]
    fn who_runs_and_does_not_answer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().as_os_str().to_owned();
        let paths = Paths::find(|name| (name == "QD_HOME").then(|| home.clone())).unwrap();
        let failed = LifecycleError::StartFailed("it ended".to_owned());
        assert_eq!(why(&paths, &failed).code, ErrorCode::DaemonUnreachable);
        let mut lock = lifecycle::Lock::take(&paths).unwrap();
        assert_eq!(why(&paths, &failed).message, "another daemon is starting");
        let (pid, socket) = (std::process::id(), paths.socket.clone());
        lock.sign(&lifecycle::Holder { pid, socket, version: "1".to_owned() }).unwrap();
        let told = why(&paths, &failed);
        assert_eq!(told.code, ErrorCode::DaemonRunning);
        assert!(told.message.contains(&pid.to_string()), "{told}");
        assert!(told.hint.contains("qd daemon stop"), "{told}");
    }

    #[test]
    fn what_keeps_a_daemon_from_starting_is_told_by_its_own_code_and_hint() {
        let said = ErrorDetail {
            code: ErrorCode::DbNewer,
            message: "too\nnew".to_owned(),
            details: serde_json::Map::new(),
            hint: "Use a newer one.".to_owned(),
        };
        let line = serde_json::to_string(&said).unwrap();
        assert!(!line.contains('\n'), "it is one line");
        let told = lifecycle_error(&LifecycleError::StartFailed(line));
        assert_eq!((told.code, &*told.message), (ErrorCode::DbNewer, "too\nnew"));
        assert_eq!(told.hint, "Use a newer one.");
        let broken = lifecycle_error(&LifecycleError::StartFailed("{".to_owned()));
        assert_eq!(broken.code, ErrorCode::DaemonUnreachable);
    }

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let path = PathBuf::from("/qd");
        let io = LifecycleError::Io { what: "cannot open the lock", path, source };
        let told = run_error(&RunError::Lifecycle(io)).message;
        assert_eq!(told, "cannot open the lock /qd: permission denied");
    }

    #[test]
    fn client_and_daemon_agree_where_the_daemon_is() {
        let runtime = std::env::temp_dir().display().to_string();
        let runtime = runtime.as_str();
        for variables in [
            &[("QD_HOME", "/q"), ("HOME", "/h"), ("XDG_RUNTIME_DIR", runtime)][..],
            &[("HOME", "/h"), ("XDG_RUNTIME_DIR", runtime)],
            &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/not/there")],
            &[("HOME", "/h"), ("XDG_RUNTIME_DIR", ""), ("QD_HOME", "")],
            &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")],
            &[("XDG_STATE_HOME", "/s")],
            &[("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "/c")],
            &[("QD_HOME", "relative")],
            &[],
        ] {
            let env = |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| std::ffi::OsString::from(value))
            };
            // Only the daemon also needs to know where its configuration is.
            let theirs = Paths::find(|name| match name {
                "XDG_CONFIG_HOME" => env(name).or_else(|| Some("/c".into())),
                _ => env(name),
            });
            let ours = client::Place::find(env);
            let theirs = theirs.ok().map(|it| (it.socket, Some(it.lock)));
            assert_eq!(ours.ok().map(|it| (it.socket, it.lock)), theirs, "{variables:?}");
        }
    }
}
