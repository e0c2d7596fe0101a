//! Where things are. `QD_HOME` moves everything together; otherwise the XDG folders decide.
//!
//! Debug builds use folders of their own, so that developing the daemon never touches the one
//! that runs somebody's agents.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder name under the XDG folders.
const FOLDER: &str = if cfg!(debug_assertions) { "quarterdeck-debug" } else { "quarterdeck" };

/// Every place the daemon reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The folder that holds the state; 0700.
    pub home: PathBuf,
    pub socket: PathBuf,
    pub database: PathBuf,
    pub lock: PathBuf,
    pub spool: PathBuf,
    /// Texts that wait to be sent.
    pub outbox: PathBuf,
    /// Sockets of the connections to other machines.
    pub routes: PathBuf,
    /// Of which waits somebody was told.
    pub notified: PathBuf,
    /// What a daemon leaves for the next one of what it saw.
    pub trail: PathBuf,
    pub logs: PathBuf,
    pub config: PathBuf,
}

/// Why the places cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    #[error("neither QD_HOME nor HOME is set")]
    NoHome,
    #[error("{variable} is not an absolute path: `{}`", path.display())]
    Relative { variable: &'static str, path: PathBuf },
}

impl Paths {
    /// Finds the places by a look-up in the environment.
    pub fn find(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, PathsError> {
        let folder = |variable: &'static str| match env(variable).filter(|it| !it.is_empty()) {
            Some(text) => match PathBuf::from(text) {
                path if path.is_absolute() => Ok(Some(path)),
                // A folder of the desktop's that is not named from the root counts as none.
                _ if variable.starts_with("XDG_") => Ok(None),
                path => Err(PathsError::Relative { variable, path }),
            },
            None => Ok(None),
        };
        let config = folder("QD_CONFIG")?;
        if let Some(home) = folder("QD_HOME")? {
            let config = config.unwrap_or_else(|| home.join("config.toml"));
            return Ok(Self::under(&home, home.join("qd.sock"), config));
        }
        let user = folder("HOME")?;
        let below = |variable, rest: &str| -> Result<PathBuf, PathsError> {
            match (folder(variable)?, &user) {
                (Some(base), _) => Ok(base.join(FOLDER)),
                (None, Some(user)) => Ok(user.join(rest).join(FOLDER)),
                (None, None) => Err(PathsError::NoHome),
            }
        };
        let home = below("XDG_STATE_HOME", ".local/state")?;
        let config = match config {
            Some(config) => config,
            None => below("XDG_CONFIG_HOME", ".config")?.join("config.toml"),
        };
        let socket = match folder("XDG_RUNTIME_DIR")?.filter(|runtime| runtime.is_dir()) {
            Some(runtime) => runtime.join(FOLDER).join("qd.sock"),
            None => home.join("qd.sock"),
        };
        Ok(Self::under(&home, socket, config))
    }

    /// The places of this process's environment.
    pub fn of_this_process() -> Result<Self, PathsError> {
        Self::find(|variable| std::env::var_os(variable))
    }

    /// Where the socket can be now: a runtime folder goes with the last session of its user, and
    /// then there is only the state folder.
    pub fn socket_now(&self) -> PathBuf {
        let folder = self.socket.parent();
        let base = folder.filter(|it| *it != self.home).and_then(Path::parent);
        match base {
            Some(base) if !base.is_dir() => self.home.join("qd.sock"),
            Some(_) | None => self.socket.clone(),
        }
    }

    fn under(home: &Path, socket: PathBuf, config: PathBuf) -> Self {
        Self {
            home: home.to_owned(),
            socket,
            database: home.join("qd.db"),
            lock: home.join("qd.lock"),
            spool: home.join("spool"),
            notified: home.join("qd.notified"),
            trail: home.join("qd.trail"),
            outbox: home.join("outbox"),
            routes: home.join("routes"),
            logs: home.join("logs"),
            config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Result<Paths, PathsError> {
        Paths::find(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn qd_home_moves_everything_together() {
        let paths =
            find(&[("QD_HOME", "/q"), ("HOME", "/h"), ("XDG_RUNTIME_DIR", "/tmp")]).unwrap();
        assert_eq!(paths.socket, Path::new("/q/qd.sock"));
        assert_eq!(paths.database, Path::new("/q/qd.db"));
        assert_eq!(paths.config, Path::new("/q/config.toml"));
    }

    #[test]
    fn the_socket_falls_back_to_the_state_folder() {
        let with = find(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/tmp")]).unwrap();
        assert_eq!(with.socket, Path::new("/tmp").join(FOLDER).join("qd.sock"));
        let gone = find(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/not/there")]).unwrap();
        assert_eq!(gone.socket, Path::new("/h/.local/state").join(FOLDER).join("qd.sock"));
        assert_eq!(gone.database, with.database);
    }

    #[test]
    fn a_runtime_folder_that_goes_away_leaves_the_state_folder() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let paths = find(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", run.to_str().unwrap())]).unwrap();
        assert_eq!(paths.socket_now(), run.join(FOLDER).join("qd.sock"));
        std::fs::remove_dir(&run).unwrap();
        assert_eq!(paths.socket_now(), paths.home.join("qd.sock"));
        let moved = find(&[("QD_HOME", "/not/there/q")]).unwrap();
        assert_eq!(moved.socket_now(), moved.socket, "QD_HOME keeps everything together");
    }

    #[test]
    fn relative_folders_and_no_home_are_refused() {
        assert!(matches!(find(&[("QD_HOME", "x")]), Err(PathsError::Relative { .. })));
        assert!(matches!(find(&[]), Err(PathsError::NoHome)));
    }
}
