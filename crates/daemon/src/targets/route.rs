//! Routes: how a target that is not reached directly is reached, as it is stored.
//!
//! The engine and the store keep a route as a text that they compare and never read.

use serde::{Deserialize, Serialize};

/// The way to a tmux server somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub way: Way,
    /// The tmux program there, where it is not the first in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmux: Option<String>,
    /// The socket there, as a name or a path; none for the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// What starts a program there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Way {
    /// A command to which a program and its arguments are appended.
    Command {
        words: Vec<String>,
        /// The same for a program that needs a terminal; none where there is no such command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attach: Option<Vec<String>>,
    },
    /// The user's own `ssh`.
    Ssh(Ssh),
}

/// What `ssh` is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// `[USER@]HOST[:PORT]`; the host may be an alias of the user's configuration.
    pub target: String,
    /// Options that the user added, each `KEY=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The user said that the key of a host which is not known is to be taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_new: bool,
}

impl Route {
    /// Reads a stored route.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text that is stored.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// What leads there, for people.
    pub fn name(&self) -> String {
        match &self.way {
            Way::Command { words, .. } => words.join(" "),
            Way::Ssh(ssh) => ssh.target.clone(),
        }
    }

    /// What lets everybody in who goes the same way, whoever they are there.
    pub fn door(&self) -> String {
        match &self.way {
            Way::Command { words, .. } => words.join("\0"),
            Way::Ssh(ssh) => ssh.target.rsplit('@').next().unwrap_or_default().to_owned(),
        }
    }

    /// The tmux program there.
    pub fn tmux(&self) -> &str {
        self.tmux.as_deref().unwrap_or("tmux")
    }

    /// The words that choose the server.
    pub fn socket_words(&self) -> [&str; 2] {
        match self.socket.as_deref() {
            None => ["-L", "default"],
            Some(path) if path.starts_with('/') => ["-S", path],
            Some(name) => ["-L", name],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(socket: Option<&str>) -> Route {
        let words = ["docker", "exec", "-i", "box"].map(str::to_owned).to_vec();
        let way = Way::Command { words, attach: None };
        Route { way, tmux: None, socket: socket.map(str::to_owned) }
    }

    #[test]
    fn a_route_is_stored_in_one_form_and_read_again() {
        let text = command(None).to_text().unwrap();
        assert_eq!(text, r#"{"way":{"command":{"words":["docker","exec","-i","box"]}}}"#);
        assert_eq!(Route::parse(&text).unwrap(), command(None));
        assert!(Route::parse(r#"{"way":{"command":{"words":[]}},"more":1}"#).is_err());
        let ssh = Ssh { target: "u@h:22".to_owned(), options: Vec::new(), accept_new: true };
        let route = Route { way: Way::Ssh(ssh), tmux: Some("/opt/tmux".to_owned()), socket: None };
        let text = route.to_text().unwrap();
        assert_eq!(
            text,
            r#"{"way":{"ssh":{"target":"u@h:22","accept_new":true}},"tmux":"/opt/tmux"}"#
        );
        assert_eq!(Route::parse(&text).unwrap(), route);
    }

    #[test]
    fn whoever_goes_to_one_host_goes_through_one_door() {
        let door = |target: &str| {
            let ssh = Ssh { target: target.to_owned(), options: Vec::new(), accept_new: false };
            Route { way: Way::Ssh(ssh), tmux: None, socket: None }.door()
        };
        assert_eq!(door("host:22"), door("somebody@host:22"));
        assert_ne!(door("host:22"), door("host:23"));
        assert_eq!(command(None).door(), command(Some("work")).door());
        assert_ne!(command(None).door(), door("docker"));
    }

    #[test]
    fn a_server_is_chosen_by_name_or_by_path() {
        assert_eq!(command(None).socket_words(), ["-L", "default"]);
        assert_eq!(command(Some("work")).socket_words(), ["-L", "work"]);
        assert_eq!(command(Some("/run/s")).socket_words(), ["-S", "/run/s"]);
    }
}
