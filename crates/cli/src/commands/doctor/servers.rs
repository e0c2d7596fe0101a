//! tmux servers that run here and are not watched, and sockets that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use api::targets::TargetItem;
use api::words::TargetKind;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;

use crate::commands::doctor::{Check, Verdict};

/// The kernel's list of Unix sockets.
const SOCKETS: &str = "/proc/net/unix";

/// The flag of a socket on which somebody listens.
const LISTENING: u32 = 0x0001_0000;

/// What is watched already.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    names: BTreeSet<String>,
    sockets: BTreeSet<PathBuf>,
    /// The folder that tmux keeps this user's sockets in.
    folder: PathBuf,
    /// Whether the targets could be asked for.
    known: bool,
}

impl Watched {
    pub(super) fn new(
        targets: Option<Vec<TargetItem>>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let base = env("TMUX_TMPDIR").filter(|it| !it.is_empty()).unwrap_or_else(|| "/tmp".into());
        let folder = real(&Path::new(&base).join(format!("tmux-{}", geteuid().as_raw())));
        let known = targets.is_some();
        let mut watched = Self { folder, known, ..Self::default() };
        if !known {
            // The default target will be there, and mean this one.
            watched.sockets.insert(watched.folder.join("default"));
        }
        for target in targets.unwrap_or_default() {
            watched.names.insert(target.name.to_string());
            if target.kind == TargetKind::Local
                && let Some(server) = &target.server
            {
                watched.sockets.insert(real(Path::new(&server.socket)));
            }
            if target.kind == TargetKind::Local && !target.connection_ref.is_empty() {
                // A name stands for a socket in tmux's folder, a path for itself.
                watched.sockets.insert(real(&watched.folder.join(&target.connection_ref)));
            }
        }
        watched
    }
}

/// A socket on which, by all appearances, a tmux server listens or once listened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Server {
    socket: PathBuf,
    /// Whose it is, as far as can be seen.
    uid: Option<u32>,
    listens: bool,
}

pub(super) fn checks(watched: &Watched) -> Vec<Check> {
    let listening = listening(&fs::read_to_string(SOCKETS).unwrap_or_default());
    let mut servers: BTreeSet<Server> = listening
        .iter()
        .filter(|(_, path)| is_tmux_socket(path))
        .map(|(_, path)| seen(path))
        .collect();
    servers.extend(of_own_processes(&listening));
    let heard: BTreeSet<PathBuf> = listening.into_values().map(|path| real(&path)).collect();
    servers.extend(unlisted_sockets(watched, &heard));
    let servers = servers.into_iter().filter(|it| !watched.sockets.contains(&it.socket));
    let mut names = watched.names.clone();
    let checks: Vec<Check> = servers.map(|it| check(&it, watched, &mut names)).collect();
    if checks.is_empty() {
        let message = "no others than those that are watched";
        return vec![Check::new("tmux servers", Verdict::Ok, message)];
    }
    checks
}

fn check(server: &Server, watched: &Watched, names: &mut BTreeSet<String>) -> Check {
    let shown = server.socket.display().to_string();
    if !server.listens {
        let message = format!("{shown} is stale: its server is gone");
        return Check::new("tmux servers", Verdict::Note, message)
            .hint(format!("rm {}", quoted(&shown)));
    }
    let name = free_name(server, names);
    let add = format!("qd target add {name} --kind local --tmux-socket {}", quoted(&shown));
    names.insert(name);
    let us = geteuid().as_raw();
    match server.uid.filter(|uid| *uid != us) {
        Some(uid) => {
            let message = format!(
                "one of another user's (uid {uid}) runs at {shown}; he has to let you in first, \
                 with tmux's server-access and the permissions of that socket"
            );
            Check::new("tmux servers", Verdict::Note, message).hint(add)
        }
        None => {
            let unsure = if watched.known { "" } else { ", unless a target leads there" };
            let message = format!("one runs unwatched at {shown}{unsure}");
            Check::new("tmux servers", Verdict::Note, message).hint(add)
        }
    }
}

/// The listening sockets that have a path, by inode.
fn listening(table: &str) -> BTreeMap<u64, PathBuf> {
    // Num RefCount Protocol Flags Type St Inode Path; the path may hold blanks.
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        let inode: u64 = fields.nth(2)?.parse().ok()?;
        let path = line.find(" /").and_then(|at| line.get(at + 1..))?;
        (flags & LISTENING != 0).then(|| (inode, PathBuf::from(path)))
    };
    table.lines().filter_map(line).collect()
}

/// Whether it lies where tmux puts its sockets: `tmux-<uid>/<name>`.
fn is_tmux_socket(path: &Path) -> bool {
    owner_by_folder(path).is_some()
}

/// Folders of other users cannot be looked into, but their name says whose they are.
fn owner_by_folder(path: &Path) -> Option<u32> {
    path.parent()?.file_name()?.to_str()?.strip_prefix("tmux-")?.parse().ok()
}

fn seen(path: &Path) -> Server {
    let uid = fs::metadata(path).ok().map(|found| found.uid()).or_else(|| owner_by_folder(path));
    Server { socket: real(path), uid, listens: true }
}

/// Servers of ours that listen elsewhere, as `tmux -S` has it, found by their processes.
fn of_own_processes(listening: &BTreeMap<u64, PathBuf>) -> Vec<Server> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let servers = processes.filter(|entry| {
        fs::read_to_string(entry.path().join("comm"))
            .is_ok_and(|name| name.trim() == "tmux: server")
    });
    let handles = servers.filter_map(|entry| fs::read_dir(entry.path().join("fd")).ok()).flatten();
    let targets = handles.flatten().filter_map(|handle| fs::read_link(handle.path()).ok());
    let inode = |target: PathBuf| {
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
    };
    targets.filter_map(inode).filter_map(|it| listening.get(&it)).map(|path| seen(path)).collect()
}

/// Sockets in tmux's folder of this user whose paths the kernel does not name: nobody listens
/// there, or a server whose socket was moved.
fn unlisted_sockets(watched: &Watched, heard: &BTreeSet<PathBuf>) -> Vec<Server> {
    // Without the kernel's list nobody can tell dead from alive.
    if !Path::new(SOCKETS).exists() {
        return Vec::new();
    }
    let entries = fs::read_dir(&watched.folder).into_iter().flatten().flatten();
    let sockets = entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_socket()));
    let paths = sockets.map(|entry| real(&entry.path())).filter(|path| !heard.contains(path));
    let server = |socket: PathBuf| Server { listens: !is_refused(&socket), ..seen(&socket) };
    paths.map(server).collect()
}

/// Whether nobody takes connections there. A queue that is full is somebody's.
fn is_refused(socket: &Path) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    connect_at_once(socket).is_err_and(|error| refused(&error))
}

/// Connects without waiting: a server that hangs takes nobody.
fn connect_at_once(socket: &Path) -> io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let own = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(own, &SocketAddrUnix::new(socket)?)?)
}

/// The path without links, where it can be followed.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A name for the target that is not taken: the socket's own, or whose it is.
fn free_name(server: &Server, taken: &BTreeSet<String>) -> String {
    let own = server.socket.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let plain: String = own
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .take(32)
        .collect();
    let plain = plain.trim_start_matches(['-', '.']).trim_end_matches(".sock").to_owned();
    let name = match (plain.as_str(), server.uid) {
        ("" | "default", Some(uid)) => format!("user-{uid}"),
        ("" | "default", None) => "other".to_owned(),
        _ => plain,
    };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name)
}

/// The path as a shell takes it literally.
fn quoted(path: &str) -> String {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@:".contains(c));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_listening_sockets_with_a_path_are_read() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            ffff9c: 00000002 00000000 00010000 0001 01 11 /tmp/tmux-1000/default\n\
            ffff9d: 00000002 00000000 00010000 0001 01 12 /tmp/tmux-1001/with blanks\n\
            ffff9e: 00000003 00000000 00000000 0001 03 13 /tmp/tmux-1000/default\n\
            ffff9f: 00000002 00000000 00010000 0001 01 14 @abstract\n\
            ffffa0: 00000002 00000000 00010000 0001 01 15\n\
            broken\n";
        let found: Vec<_> = listening(table).into_values().collect();
        let expected = ["/tmp/tmux-1000/default", "/tmp/tmux-1001/with blanks"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn a_socket_is_tmuxs_by_its_folder_which_also_says_whose_it_is() {
        assert_eq!(owner_by_folder(Path::new("/tmp/tmux-1001/x")), Some(1001));
        for other in ["/tmp/tmux/x", "/tmp/tmux-me/x", "/tmux-1001", "/run/dbus"] {
            assert!(!is_tmux_socket(Path::new(other)), "{other}");
        }
    }

    fn server(socket: &str, uid: Option<u32>, listens: bool) -> Server {
        Server { socket: socket.into(), uid, listens }
    }

    fn told(server: &Server) -> Check {
        let watched = Watched { known: true, ..Watched::default() };
        check(server, &watched, &mut BTreeSet::from(["build".to_owned()]))
    }

    #[test]
    fn an_unwatched_server_comes_with_the_command_that_adds_it() {
        let us = geteuid().as_raw();
        let check = told(&server("/tmp/x y/it's.sock", Some(us), true));
        let command = r"qd target add it-s --kind local --tmux-socket '/tmp/x y/it'\''s.sock'";
        assert_eq!(check.hint, command);
        let taken = told(&server("/tmp/tmux-1000/build", Some(us), true));
        assert!(taken.hint.starts_with("qd target add build-2 "), "{}", taken.hint);
    }

    #[test]
    fn another_users_server_and_a_stale_socket_are_named_as_such() {
        let other = told(&server("/tmp/tmux-4711/default", Some(4711), true));
        assert!(other.message.contains("uid 4711"), "{}", other.message);
        assert!(other.hint.starts_with("qd target add user-4711 "), "{}", other.hint);
        let stale = told(&server("/tmp/tmux-0/old", None, false));
        assert!(stale.message.contains("stale"), "{}", stale.message);
    }

    #[test]
    fn what_is_watched_is_not_offered_again() {
        let base = tempfile::tempdir().unwrap();
        let env = |name: &str| (name == "TMUX_TMPDIR").then(|| base.path().into());
        let watched = Watched::new(None, env);
        fs::create_dir_all(&watched.folder).unwrap();
        let watched = Watched::new(None, env);
        let _default = UnixListener::bind(watched.folder.join("default")).unwrap();
        let _live = UnixListener::bind(watched.folder.join("live")).unwrap();
        drop(UnixListener::bind(watched.folder.join("dead")).unwrap());
        let said: Vec<String> = checks(&watched).into_iter().map(|it| it.message).collect();
        let about = |name: &str| {
            let path = watched.folder.join(name).display().to_string();
            said.iter().find(|it| it.contains(&path))
        };
        assert_eq!(about("default"), None, "{said:?}");
        assert!(about("live").unwrap().contains("unwatched"), "{said:?}");
        assert!(about("dead").unwrap().contains("stale"), "{said:?}");
    }
}
