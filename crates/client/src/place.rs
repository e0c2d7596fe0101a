//! Where the daemon is to be found. Its own `paths` follow the same rules; a test of the command
//! line, which sees both crates, holds them together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use api::ErrorCode;

use crate::error::ClientError;
use crate::holder::Holder;

/// The folder name under the XDG folders; debug builds keep to themselves.
const FOLDER: &str = if cfg!(debug_assertions) { "quarterdeck-debug" } else { "quarterdeck" };

/// What leads to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The socket that the environment leads to.
    pub socket: PathBuf,
    /// The lock beside the database, in which a daemon says where its socket really is. A socket
    /// that was named outright has none.
    pub lock: Option<PathBuf>,
}

impl Place {
    /// Finds the place by a look-up in the environment: `QD_HOME` moves everything together;
    /// otherwise the socket is in the runtime folder, or below the state folder where there is
    /// none.
    pub fn find(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, ClientError> {
        if let Some(home) = folder(&env, "QD_HOME")? {
            return Ok(Self::under(&home, home.join("qd.sock")));
        }
        let state = state_folder(&env)?;
        let socket = match folder(&env, "XDG_RUNTIME_DIR")?.filter(|runtime| runtime.is_dir()) {
            Some(runtime) => runtime.join(FOLDER).join("qd.sock"),
            None => state.join("qd.sock"),
        };
        Ok(Self::under(&state, socket))
    }

    /// The place in the environment of this process.
    pub fn of_this_process() -> Result<Self, ClientError> {
        Self::find(|variable| std::env::var_os(variable))
    }

    /// A socket that somebody named outright.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), lock: None }
    }

    /// Who holds the lock, as far as the lock says.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.lock.as_deref().and_then(Holder::read)
    }

    /// The sockets to try: the one that the environment leads to, then the one that the daemon
    /// wrote into its lock. They differ where one of the two has no runtime folder, as in cron.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = PathBuf> {
        // The lock is only looked at when it is needed.
        let other = std::iter::once_with(|| self.holder().map(|holder| holder.socket));
        let other = other.flatten().filter(|socket| *socket != self.socket);
        std::iter::once(self.socket.clone()).chain(other)
    }

    fn under(home: &Path, socket: PathBuf) -> Self {
        Self { socket, lock: Some(home.join("qd.lock")) }
    }
}

/// The folder that holds the state: database, lock, spool.
pub fn state_folder(env: &impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ClientError> {
    if let Some(home) = folder(env, "QD_HOME")? {
        return Ok(home);
    }
    match (folder(env, "XDG_STATE_HOME")?, folder(env, "HOME")?) {
        (Some(state), _) => Ok(state.join(FOLDER)),
        (None, Some(home)) => Ok(home.join(".local/state").join(FOLDER)),
        (None, None) => Err(homeless()),
    }
}

/// A folder that a variable names, if it names one.
fn folder(
    env: &impl Fn(&str) -> Option<OsString>,
    variable: &str,
) -> Result<Option<PathBuf>, ClientError> {
    let Some(text) = env(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(Some(path));
    }
    // A folder of the desktop's that is not named from the root counts as none.
    if variable.starts_with("XDG_") {
        return Ok(None);
    }
    let message = format!("{variable} is not an absolute path: `{}`", path.display());
    Err(ClientError::new(ErrorCode::BadRequest, message).with_hint("Give it from the root: /..."))
}

fn homeless() -> ClientError {
    ClientError::new(ErrorCode::BadRequest, "neither QD_HOME nor HOME is set")
        .with_hint("Set one of them; that is where the daemon and its database live.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Result<Place, ClientError> {
        Place::find(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn qd_home_moves_socket_and_lock_together() {
        let place = find(&[("QD_HOME", "/q"), ("HOME", "/h"), ("XDG_RUNTIME_DIR", "/tmp")]);
        let expected = Place { socket: "/q/qd.sock".into(), lock: Some("/q/qd.lock".into()) };
        assert_eq!(place, Ok(expected));
        let state = state_folder(&|name: &str| (name == "QD_HOME").then(|| "/q".into()));
        assert_eq!(state.as_deref(), Ok(Path::new("/q")));
    }

    #[test]
    fn without_a_runtime_folder_the_socket_is_below_the_state_folder() {
        let state = Path::new("/h/.local/state").join(FOLDER);
        let here = find(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/tmp")]).unwrap();
        assert_eq!(here.socket, Path::new("/tmp").join(FOLDER).join("qd.sock"));
        for runtime in ["", "/not/there"] {
            let gone = find(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", runtime)]).unwrap();
            assert_eq!(gone.socket, state.join("qd.sock"));
            assert_eq!(gone.lock, here.lock, "one database, one lock");
        }
    }

    #[test]
    fn a_relative_folder_and_no_home_are_refused() {
        let relative = find(&[("QD_HOME", "deck")]).unwrap_err();
        assert_eq!(relative.code, ErrorCode::BadRequest);
        assert!(relative.message.contains("QD_HOME"), "{relative}");
        assert!(find(&[]).is_err());
    }

    #[test]
    fn the_lock_adds_the_socket_it_names() {
        let home = tempfile::tempdir().unwrap();
        let lock = home.path().join("qd.lock");
        let place = Place { socket: "/a/qd.sock".into(), lock: Some(lock.clone()) };
        assert_eq!(place.sockets().collect::<Vec<_>>(), [Path::new("/a/qd.sock")]);
        std::fs::write(&lock, r#"{"pid":7,"socket":"/b/qd.sock"}"#).unwrap();
        let sockets: Vec<_> = place.sockets().collect();
        assert_eq!(sockets, [Path::new("/a/qd.sock"), Path::new("/b/qd.sock")]);
        std::fs::write(&lock, r#"{"pid":7,"socket":"/a/qd.sock"}"#).unwrap();
        assert_eq!(place.sockets().count(), 1, "the same one is tried once");
    }
}
