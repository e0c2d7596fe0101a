//! Starting the daemon on demand, and what its errors mean to the user.

use std::error::Error;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use api::ErrorCode;
use client::{ClientError, Starter};
use daemon::config::ConfigError;
use daemon::journal::OpenError;
use daemon::lifecycle::{self, LifecycleError};
use daemon::paths::Paths;
use daemon::run::RunError;

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
        lifecycle::start_detached(&program).map_err(|error| {
            if is_held(&self.paths.lock) {
                ClientError::new(ErrorCode::DaemonRunning, "another daemon is starting")
            } else {
                lifecycle_error(&error)
            }
        })
    }
}

/// Whether a daemon lives that has not signed its lock yet.
fn is_held(lock: &Path) -> bool {
    let Ok(file) = File::open(lock) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
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
    ClientError::new(code, with_causes(error))
}

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
        LifecycleError::NotASocket(_) => ClientError::new(ErrorCode::SocketOccupied, message),
        LifecycleError::SocketPathTooLong(_) => ClientError::new(ErrorCode::BadRequest, message)
            .with_hint("Choose a shorter place with QD_HOME."),
        LifecycleError::Io { .. } => ClientError::new(ErrorCode::DaemonUnreachable, message)
            .with_hint("Look at the permissions and the room on that disk."),
        LifecycleError::StartFailed(_) => ClientError::new(ErrorCode::DaemonUnreachable, message)
            .with_hint("`qd doctor` says what is wrong; `qd daemon run` shows a start."),
    }
}

/// A configuration that is not taken, as a command tells it.
pub(crate) fn config_error(error: &ConfigError) -> ClientError {
    ClientError::new(ErrorCode::ConfigInvalid, with_causes(error))
        .with_hint("Correct it there; `qd config check` tells whether it is right.")
}

/// A message with everything that led to it.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        parts.push(error.to_string());
        cause = error.source();
    }
    // A transparent error says the same as its cause.
    parts.dedup();
    parts.join(": ")
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
    fn a_lock_is_held_only_while_somebody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qd.lock");
        assert!(!is_held(&path), "there is none");
        let file = File::create(&path).unwrap();
        assert!(!is_held(&path));
        file.lock().unwrap();
        assert!(is_held(&path));
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
