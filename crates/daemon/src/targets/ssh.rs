//! The words of our `ssh`: the user's own program and configuration, with what must hold said first.
//!
//! `ssh` takes the first value that it finds for an option, so ours stand before the user's. One
//! process holds the connection; the others go through its socket and never make one of their own.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::knock::Door;
use super::quote;
use super::route::Ssh;

/// What each `ssh` of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Makes the connection and holds it.
    Holds,
    /// Goes through the one that is there.
    Shares,
}

/// What holds for every `ssh` of a connection: nothing of the user's configuration may run another
/// program there or here, or forward anything.
const ALWAYS: &[&str] = &[
    "RemoteCommand=none",
    "RequestTTY=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "ControlPersist=no",
    // A path is dead after two of these without an answer.
    "ServerAliveInterval=3",
    "ServerAliveCountMax=2",
];

/// Nobody is there who could be asked.
const UNATTENDED: &str = "BatchMode=yes";

/// What holds for one with a terminal, which makes a connection of its own for a person.
const WITH_TERMINAL: &[&str] = &[
    "RemoteCommand=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "ControlMaster=no",
];

/// The words up to the host, whose command is a script.
pub(super) fn words(
    ssh: &Ssh,
    role: Role,
    socket: &Path,
    connect: Duration,
    script: &[u8],
) -> Vec<OsString> {
    let mut words = vec![OsString::from("ssh"), OsString::from("-T")];
    let mut option = |text: OsString| words.extend([OsString::from("-o"), text]);
    option(UNATTENDED.into());
    ALWAYS.iter().for_each(|text| option(text.into()));
    option(format!("StrictHostKeyChecking={}", strictness(ssh)).into());
    option(format!("ConnectTimeout={}", connect.as_secs().max(1)).into());
    option(match role {
        Role::Holds => "ControlMaster=yes".into(),
        Role::Shares => "ControlMaster=no".into(),
    });
    option(control_path(socket).into());
    if role == Role::Shares {
        // Where the connection is gone, none is made in its place.
        option("ProxyCommand=false".into());
    }
    ssh.options.iter().for_each(|text| option(text.into()));
    words.extend(place(ssh).into_iter().map(OsString::from));
    words.push(quote::for_any_shell(script).into());
    words
}

/// The words that hold a connection in a person's terminal, which `ssh` asks there for what it
/// needs. Others go through its socket.
pub(super) fn holding_words(ssh: &Ssh, socket: &Path) -> Vec<String> {
    let mut words = ["ssh", "-N", "-T"].map(str::to_owned).to_vec();
    let strictness = format!("StrictHostKeyChecking={}", strictness(ssh));
    let ours = ["BatchMode=no".to_owned(), strictness, "ControlMaster=yes".to_owned()];
    let options = ALWAYS.iter().map(|text| (*text).to_owned()).chain(ours);
    let options = options.chain([control_path(socket)]).chain(ssh.options.iter().cloned());
    words.extend(options.flat_map(|text| ["-o".to_owned(), text]));
    words.extend(place(ssh));
    words
}

/// The words that ask `ssh` where it would connect to.
pub(super) fn resolving_words(ssh: &Ssh) -> Vec<OsString> {
    let options = ssh.options.iter().flat_map(|text| ["-o".to_owned(), text.clone()]);
    let words = ["ssh", "-G"].map(str::to_owned).into_iter().chain(options).chain(place(ssh));
    words.map(OsString::from).collect()
}

/// The host and port in its answer, unless another program or host leads there.
pub(super) fn door(told: &str) -> Option<Door> {
    let setting = |name: &str| {
        let mut lines = told.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(word, _)| word.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let led = |name: &&str| setting(name).is_some_and(|value| value != "none");
    if ["proxycommand", "proxyjump"].iter().any(led) {
        return None;
    }
    Some((setting("hostname")?.to_owned(), setting("port")?.parse().ok()?))
}

/// The words that end whoever holds a connection at this socket.
pub(super) fn end_words(socket: &Path) -> Vec<OsString> {
    let path = control_path(socket);
    let words = ["ssh", "-F", "/dev/null", "-o", &path, "-O", "exit", "--", "nowhere"];
    words.map(OsString::from).to_vec()
}

fn control_path(socket: &Path) -> String {
    // `%` begins a word of ssh's own.
    format!("ControlPath={}", socket.to_string_lossy().replace('%', "%%"))
}

/// The words for a person's terminal.
pub(super) fn terminal_words(ssh: &Ssh, script: &[u8]) -> Vec<String> {
    let mut words = vec!["ssh".to_owned(), "-t".to_owned()];
    let strictness = format!("StrictHostKeyChecking={}", strictness(ssh));
    let options = WITH_TERMINAL.iter().map(|text| (*text).to_owned());
    for text in options.chain([strictness]).chain(ssh.options.iter().cloned()) {
        words.extend(["-o".to_owned(), text]);
    }
    words.extend(place(ssh));
    words.push(quote::for_any_shell(script));
    words
}

fn strictness(ssh: &Ssh) -> &'static str {
    if ssh.accept_new { "accept-new" } else { "yes" }
}

/// The host as words. Whatever it is called, it is no option.
fn place(ssh: &Ssh) -> Vec<String> {
    let Place { user, host, port } = Place::of(&ssh.target);
    let mut words = Vec::new();
    if let Some(user) = user {
        words.extend(["-l".to_owned(), user.to_owned()]);
    }
    if let Some(port) = port {
        words.extend(["-p".to_owned(), port.to_owned()]);
    }
    words.extend(["--".to_owned(), host.to_owned()]);
    words
}

/// The parts of `[USER@]HOST[:PORT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(target: &'a str) -> Self {
        let (user, rest) = match target.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, target),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                Some(_) | None => (rest, None),
            },
        };
        Self { user, host, port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(target: &str) -> Ssh {
        let options = vec!["IdentityFile=/k".to_owned(), "ForwardAgent=yes".to_owned()];
        Ssh { target: target.to_owned(), options, accept_new: false }
    }

    fn text(role: Role) -> String {
        let second = Duration::from_millis(400);
        let words = words(&ssh("u@h:22"), role, Path::new("/r/%h"), second, b"x");
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn ours_come_before_the_users_and_the_host_is_no_option() {
        let text = text(Role::Holds);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(at("ForwardAgent=no") < at("ForwardAgent=yes"));
        assert!(at("-o IdentityFile=/k") < at("-l u -p 22 -- h exec sh -c"));
        at("ConnectTimeout=1 ");
        at("ControlMaster=yes");
        at("ControlPath=/r/%%h");
        at("StrictHostKeyChecking=yes");
        assert!(!text.contains("ProxyCommand"), "the user's own way there is used: {text}");
    }

    #[test]
    fn a_host_is_knocked_at_where_ssh_itself_would_connect_to() {
        let words = resolving_words(&ssh("u@h:22"));
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let said = words.join(" ");
        assert_eq!(said, "ssh -G -o IdentityFile=/k -o ForwardAgent=yes -l u -p 22 -- h");
        let told = "user u\nhostname 10.0.0.7\nport 2222\nproxyusefdpass no\n";
        assert_eq!(door(told), Some(("10.0.0.7".to_owned(), 2_222)));
        assert_eq!(door(&format!("{told}proxycommand none\n")), door(told));
        assert_eq!(door(&format!("{told}proxyjump gate\n")), None);
        assert_eq!(door("ssh: Could not resolve\n"), None);
    }

    #[test]
    fn one_that_holds_a_connection_in_a_terminal_asks_there_and_obeys_all_else() {
        let words = holding_words(&ssh("u@h:22"), Path::new("/r/%h")).join(" ");
        assert!(words.starts_with("ssh -N -T -o RemoteCommand=none"), "{words}");
        assert!(words.ends_with("-o ForwardAgent=yes -l u -p 22 -- h"), "{words}");
        let ours = "BatchMode=no -o StrictHostKeyChecking=yes -o ControlMaster=yes";
        assert!(words.contains(&format!("{ours} -o ControlPath=/r/%%h")), "{words}");
        assert!(words.contains("-o ForwardAgent=no") && words.contains("ControlPersist=no"));
    }

    #[test]
    fn whoever_shares_a_connection_never_makes_one() {
        assert!(text(Role::Shares).contains("ControlMaster=no -o ControlPath=/r/%%h"));
        assert!(text(Role::Shares).contains("-o ProxyCommand=false"));
    }

    #[test]
    fn a_place_has_a_user_a_host_and_a_port() {
        let place = |target| {
            let Place { user, host, port } = Place::of(target);
            format!("{user:?} {host} {port:?}")
        };
        assert_eq!(place("h"), "None h None");
        assert_eq!(place("u@h"), r#"Some("u") h None"#);
        assert_eq!(place("a@b@h:2"), r#"Some("a@b") h Some("2")"#);
        assert_eq!(place("u@[::1]:22"), r#"Some("u") ::1 Some("22")"#);
        assert_eq!(place("fe80::1"), "None fe80::1 None");
    }
}
