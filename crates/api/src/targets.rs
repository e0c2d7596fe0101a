//! Targets: `GET` and `POST /v1/targets`, connect and remove.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::limits::{
    SSH_OPTIONS_MAX, TARGET_WORD_BYTES_MAX, TARGET_WORDS_MAX, TMUX_SOCKET_BYTES_MAX,
};
use crate::list::List;
use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{Health, ObserverMode, SchemaVersion, TargetKind};

/// The answer of the targets' list.
pub type TargetList = List<TargetItem>;

/// What a target is known by.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct TargetIdentity {
    /// Its name.
    pub target: TargetName,
}

/// One target and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetItem {
    /// What it is known by.
    pub identity: TargetIdentity,
    /// Its name.
    pub name: TargetName,
    /// Its id, which outlives a change of name.
    pub target_id: String,
    /// How it is reached.
    pub kind: TargetKind,
    /// What leads to it, without any secret: a socket name or path, a host,
    /// a command; empty for this user's default tmux server.
    pub connection_ref: String,
    /// How programs are started there; null for a server on this machine.
    pub route: Option<TargetRoute>,
    /// Whether it is the target that is meant when none is named.
    pub is_default: bool,
    /// Whether it can be relied on.
    pub health: Health,
    /// Why not, or what is limited, as a code; null while all is well.
    pub health_reason: Option<String>,
    /// The same for people.
    pub health_message: Option<String>,
    /// The tmux server there; null while none runs or none was seen.
    pub server: Option<TmuxServer>,
    /// How that server is being observed.
    pub observer_mode: ObserverMode,
    /// When it last answered.
    pub last_seen_at: Option<Timestamp>,
    /// How many milliseconds its clock was ahead of this machine's when that
    /// was last seen, negative for behind; null for this machine, and where it
    /// is not known.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
    /// When something in this item changed last.
    pub updated_at: Timestamp,
    /// What there is on it.
    pub counts: TargetCounts,
}

/// How programs are started on a target that is not on this machine. Never a
/// secret: what proves who we are stays where `ssh` keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRoute {
    /// The command to which a program and its arguments are appended.
    pub command: Option<Vec<String>>,
    /// The same with a terminal.
    pub attach_command: Option<Vec<String>>,
    /// The host for `ssh`.
    pub ssh_target: Option<String>,
    /// The options that `ssh` is given.
    pub ssh_options: Vec<String>,
    /// Whether the key of a host that is not known is taken.
    pub accept_new: bool,
    /// The tmux program there; null for the first in its path.
    pub tmux: Option<String>,
    /// The socket there; null for the default one.
    pub tmux_socket: Option<String>,
}

/// One life of a tmux server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TmuxServer {
    /// What tells this life from any other.
    pub boot_id: String,
    /// Its process.
    pub pid: u32,
    /// Its version, such as `3.3a`.
    pub version: String,
    /// The path of its socket.
    pub socket: String,
    /// When it started, if that is known.
    pub started_at: Option<Timestamp>,
}

/// What there is on a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetCounts {
    /// Its sessions.
    pub sessions: u64,
    /// Its windows.
    pub windows: u64,
    /// Its panes.
    pub panes: u64,
    /// Its panes in which an agent was recognised.
    pub agents: u64,
    /// Its panes that need somebody.
    pub needs_action: u64,
}

/// The answer about one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The target.
    pub target: TargetItem,
}

/// What a person's terminal has to run so that `ssh` can ask there for what
/// only a person knows. The daemon goes through that connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetTerminal {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The program and its arguments. It holds the connection for as long as
    /// it runs.
    pub command: Vec<String>,
    /// The socket at which it listens once it has been let in.
    pub socket: String,
    /// Whether one holds a connection there already.
    pub held: bool,
}

/// A target to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetCreate {
    /// Its name.
    pub name: TargetName,
    /// How it is reached.
    pub kind: TargetKind,
    /// The name of a tmux socket there (as `tmux -L` takes it) or the absolute
    /// path of one (`tmux -S`); the default server if absent.
    #[serde(default)]
    pub tmux_socket: Option<String>,
    /// For `ssh`: `[USER@]HOST[:PORT]`; the host may be an alias of `ssh`'s own
    /// configuration.
    #[serde(default)]
    pub ssh_target: Option<String>,
    /// For `ssh`: options, each `KEY=VALUE`, of those that are allowed.
    #[serde(default)]
    pub ssh_options: Vec<String>,
    /// For `ssh`: take the key of the host if none is known.
    #[serde(default)]
    pub accept_new: bool,
    /// For `command`: the words to which a program and its arguments are
    /// appended, such as `["docker", "exec", "-i", "box"]`.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// For `command`: the same with a terminal, such as
    /// `["docker", "exec", "-it", "box"]`; nobody can attach without it.
    #[serde(default)]
    pub attach_command: Option<Vec<String>>,
    /// The tmux program there, as an absolute path; the first in its path if
    /// absent.
    #[serde(default)]
    pub tmux: Option<String>,
}

impl TargetCreate {
    /// A local target.
    pub fn local(name: TargetName, tmux_socket: Option<String>) -> Self {
        Self {
            name,
            kind: TargetKind::Local,
            tmux_socket,
            ssh_target: None,
            ssh_options: Vec::new(),
            accept_new: false,
            command: None,
            attach_command: None,
            tmux: None,
        }
    }

    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        self.check_kind()?;
        self.check_socket()?;
        if let Some(tmux) = &self.tmux {
            check_tmux(tmux)?;
        }
        if let Some(target) = &self.ssh_target {
            check_ssh_target(target)?;
        }
        check_ssh_options(&self.ssh_options)?;
        for (field, words) in [("command", &self.command), ("attach_command", &self.attach_command)]
        {
            if let Some(words) = words {
                check_words(field, words)?;
            }
        }
        Ok(())
    }

    /// Each kind has what leads there, and nothing of another kind.
    fn check_kind(&self) -> Result<(), FieldError> {
        let given = [
            ("ssh_target", TargetKind::Ssh, self.ssh_target.is_some()),
            ("ssh_options", TargetKind::Ssh, !self.ssh_options.is_empty()),
            ("accept_new", TargetKind::Ssh, self.accept_new),
            ("command", TargetKind::Command, self.command.is_some()),
            ("attach_command", TargetKind::Command, self.attach_command.is_some()),
        ];
        let astray = given.into_iter().find(|(_, kind, given)| *given && *kind != self.kind);
        if let Some((field, kind, _)) = astray {
            return Err(FieldError::new(field, format!("is for targets of kind `{kind}`")));
        }
        let missing = |field| Err(FieldError::new(field, "is missing".to_owned()));
        match self.kind {
            TargetKind::Ssh if self.ssh_target.is_none() => missing("ssh_target"),
            TargetKind::Command if self.command.is_none() => missing("command"),
            TargetKind::Local if self.tmux.is_some() => {
                let problem = "is a setting for this machine: `observer.tmux`".to_owned();
                Err(FieldError::new("tmux", problem))
            }
            TargetKind::Local | TargetKind::Ssh | TargetKind::Command => Ok(()),
        }
    }

    fn check_socket(&self) -> Result<(), FieldError> {
        let Some(socket) = &self.tmux_socket else { return Ok(()) };
        let problem = if socket.is_empty() {
            "is empty; leave it out for the default server".to_owned()
        } else if socket.len() > TMUX_SOCKET_BYTES_MAX {
            format!("has at most {TMUX_SOCKET_BYTES_MAX} bytes")
        } else if socket.chars().any(char::is_control) {
            "holds no control characters".to_owned()
        } else if !socket.starts_with('/') && (socket.contains('/') || socket.starts_with('-')) {
            "is a plain socket name, or a path from the root".to_owned()
        } else {
            return Ok(());
        };
        Err(FieldError::new("tmux_socket", problem))
    }
}

fn check_tmux(tmux: &str) -> Result<(), FieldError> {
    let problem = if tmux.len() > TMUX_SOCKET_BYTES_MAX {
        format!("has at most {TMUX_SOCKET_BYTES_MAX} bytes")
    } else if tmux.chars().any(char::is_control) {
        "holds no control characters".to_owned()
    } else if !tmux.starts_with('/') {
        "is a path from the root".to_owned()
    } else {
        return Ok(());
    };
    Err(FieldError::new("tmux", problem))
}

fn check_words(field: &'static str, words: &[String]) -> Result<(), FieldError> {
    let problem = if words.is_empty() || words.first().is_some_and(String::is_empty) {
        "names no program".to_owned()
    } else if words.len() > TARGET_WORDS_MAX {
        format!("has at most {TARGET_WORDS_MAX} words")
    } else if words.iter().any(|word| word.len() > TARGET_WORD_BYTES_MAX) {
        format!("has words of at most {TARGET_WORD_BYTES_MAX} bytes")
    } else if words.iter().any(|word| word.contains('\0')) {
        "holds a zero byte".to_owned()
    } else {
        return Ok(());
    };
    Err(FieldError::new(field, problem))
}

/// A host can be called much, but nothing that a program could take for an option or a shell for
/// more than a word.
fn check_ssh_target(target: &str) -> Result<(), FieldError> {
    let (user, place) = match target.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, target),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some(""))),
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) | None => (place, None),
        },
    };
    let plain = |text: &str, more: &[u8]| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(known)
    };
    let problem = if target.len() > TARGET_WORD_BYTES_MAX {
        format!("has at most {TARGET_WORD_BYTES_MAX} bytes")
    } else if !plain(host, b"._-:%") {
        "is a host, or USER@HOST, HOST:PORT, USER@HOST:PORT".to_owned()
    } else if user.is_some_and(|user| !plain(user, b"._-+@\\")) {
        "has a user's name that cannot be one".to_owned()
    } else if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        "has a port that cannot be one".to_owned()
    } else {
        return Ok(());
    };
    Err(FieldError::new("ssh_target", problem))
}

/// The options of `ssh` that a target may have: where keys are, how the host is found, with what it
/// is spoken to. None of them runs a program, forwards anything or trusts a host.
pub const SSH_OPTIONS: &[&str] = &[
    "AddressFamily",
    "BindAddress",
    "BindInterface",
    "CertificateFile",
    "Ciphers",
    "Compression",
    "ConnectionAttempts",
    "GSSAPIAuthentication",
    "GlobalKnownHostsFile",
    "HostKeyAlgorithms",
    "HostKeyAlias",
    "HostName",
    "IPQoS",
    "IdentitiesOnly",
    "IdentityAgent",
    "IdentityFile",
    "KexAlgorithms",
    "MACs",
    "NumberOfPasswordPrompts",
    "Port",
    "PreferredAuthentications",
    "ProxyJump",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAuthentication",
    "RekeyLimit",
    "TCPKeepAlive",
    "User",
    "UserKnownHostsFile",
];

fn check_ssh_options(options: &[String]) -> Result<(), FieldError> {
    let bad = |problem: String| Err(FieldError::new("ssh_options", problem));
    if options.len() > SSH_OPTIONS_MAX {
        return bad(format!("has at most {SSH_OPTIONS_MAX} options"));
    }
    for option in options {
        let Some((key, value)) = option.split_once('=') else {
            return bad(format!("has options of the form KEY=VALUE, not `{option}`"));
        };
        if !SSH_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            return bad(format!("may not hold `{key}`; allowed are {}", SSH_OPTIONS.join(", ")));
        }
        let long = option.len() > TARGET_WORD_BYTES_MAX;
        if long || value.is_empty() || value.chars().any(char::is_control) {
            return bad(format!("has a value for `{key}` that cannot be one"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(json: &str) -> Result<TargetCreate, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn unknown_fields_and_words_are_refused_by_name() {
        assert!(create(r#"{"name":"b","kind":"local"}"#).is_ok());
        let error = create(r#"{"name":"b","kind":"ssh","ssh_host":"h"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `ssh_host`"), "{error}");
        assert!(create(r#"{"name":"b","kind":"docker"}"#).is_err());
        assert!(create(r#"{"name":"a/b","kind":"local"}"#).is_err());
        assert!(create(r#"{"name":"b","kind":"local","name":"c"}"#).is_err());
    }

    #[test]
    fn a_socket_is_a_plain_name_or_an_absolute_path() {
        let with =
            |socket: &str| TargetCreate::local("b".parse().unwrap(), Some(socket.to_owned()));
        for good in ["other", "a b", "/tmp/tmux-1000/other", "#(id)"] {
            assert_eq!(with(good).check(), Ok(()), "{good}");
        }
        let long = "/".repeat(TMUX_SOCKET_BYTES_MAX + 1);
        for bad in ["", "../x", "a/b", "-L", "a\nb", long.as_str()] {
            assert_eq!(with(bad).check().unwrap_err().field, "tmux_socket", "{bad}");
        }
    }

    fn ssh(target: &str) -> TargetCreate {
        let local = TargetCreate::local("b".parse().unwrap(), None);
        TargetCreate { kind: TargetKind::Ssh, ssh_target: Some(target.to_owned()), ..local }
    }

    #[test]
    fn each_kind_has_what_leads_there_and_nothing_of_another() {
        let field = |create: TargetCreate| create.check().map_err(|error| error.field);
        let local = || TargetCreate::local("b".parse().unwrap(), None);
        let words = |words: &[&str]| Some(words.iter().map(|it| (*it).to_owned()).collect());
        let command = |command| TargetCreate { kind: TargetKind::Command, command, ..local() };
        assert_eq!(field(command(words(&["docker", "exec", "-i", "box"]))), Ok(()));
        assert_eq!(field(command(None)), Err("command"));
        assert_eq!(field(command(words(&[]))), Err("command"));
        assert_eq!(field(command(words(&["a\0"]))), Err("command"));
        assert_eq!(field(TargetCreate { command: words(&["a"]), ..local() }), Err("command"));
        assert_eq!(field(TargetCreate { command: words(&["a"]), ..ssh("h") }), Err("command"));
        assert_eq!(field(TargetCreate { accept_new: true, ..local() }), Err("accept_new"));
        assert_eq!(field(TargetCreate { ssh_target: None, ..ssh("h") }), Err("ssh_target"));
        let tmux = |tmux: &str| TargetCreate { tmux: Some(tmux.to_owned()), ..ssh("h") };
        assert_eq!(field(tmux("/opt/bin/tmux")), Ok(()));
        assert_eq!(field(tmux("tmux; id")), Err("tmux"));
    }

    #[test]
    fn s_24_what_could_be_an_option_or_more_than_a_word_is_no_host() {
        for good in
            ["h", "u@h", "h:22", "u@h.example:2222", "[::1]:22", "::1", "a\\b@h", "fe80::1%eth0"]
        {
            assert_eq!(ssh(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "-oProxyCommand=id",
            "u@-oProxyCommand=id",
            "-l@h",
            "h;id",
            "h id",
            "h\nid",
            "$(id)",
            "h:0",
            "h:99999",
            "h:x",
            "[::1]x",
            "@h",
            "u@",
            "`id`",
            "h|id",
            "h&",
        ] {
            assert_eq!(ssh(bad).check().unwrap_err().field, "ssh_target", "{bad:?}");
        }
    }

    #[test]
    fn s_24_no_option_of_ssh_runs_a_program_or_trusts_a_host() {
        let with = |option: &str| {
            TargetCreate { ssh_options: vec![option.to_owned()], ..ssh("h") }.check()
        };
        for good in ["IdentityFile=~/.ssh/build key", "proxyjump=jump", "Port=22"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in [
            "ProxyCommand=id",
            "LocalCommand=id",
            "KnownHostsCommand=id",
            "StrictHostKeyChecking=no",
            "ForwardAgent=yes",
            "SendEnv=*",
            "SetEnv=A=b",
            "Include=/x",
            "PKCS11Provider=/x.so",
            "SecurityKeyProvider=/x.so",
            "RemoteCommand=id",
            "LocalForward=1 h:2",
            "Tunnel=yes",
            "ControlPath=/x",
            "Match=exec id",
            "BatchMode=no",
            "XAuthLocation=/x",
            "IdentityFile",
            "IdentityFile=",
            "IdentityFile=a\nProxyCommand id",
            " ProxyJump=x",
            "",
        ] {
            assert_eq!(with(bad).unwrap_err().field, "ssh_options", "{bad:?}");
        }
    }
}
