//! Which process is at the other end of a TCP connection on this machine, as far as its kernel
//! tells. Nobody vouches for it as a Unix socket does: a process can hide what it has open, and is
//! then unknown.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Who holds the far end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// The user who opened it.
    pub uid: Option<u32>,
    /// The processes that have it open, where they may be looked into.
    pub pids: Vec<u32>,
}

/// Who holds the far end of the connection between two addresses of this machine.
pub fn holders(ours: SocketAddr, theirs: SocketAddr) -> Holders {
    let table = if ours.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    // Read whole: what is left out would be a connection without a holder.
    let table = fs::read_to_string(table).unwrap_or_default();
    match table.lines().find_map(|line| far_end(line, ours, theirs)) {
        Some((uid, inode)) => Holders { uid: Some(uid), pids: with_open(inode) },
        None => Holders::default(),
    }
}

/// User and inode of a row of the kernel's table, if it is the far end of that connection.
fn far_end(line: &str, ours: SocketAddr, theirs: SocketAddr) -> Option<(u32, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let ends = (address(fields.next()?)?, address(fields.next()?)?);
    if ends != (theirs, ours) {
        return None;
    }
    // State, queues, timer, retransmissions; then the user, a timeout and the inode.
    let uid = fields.nth(4)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((uid, inode))
}

/// An address as the kernel writes it: words of 32 bits as they lie in memory, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The processes that have a socket open.
fn with_open(inode: u64) -> Vec<u32> {
    // A connection that nobody has open any more has none.
    if inode == 0 {
        return Vec::new();
    }
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            has_open(&entry.path(), &wanted).then_some(pid)
        })
        .collect()
}

fn has_open(process: &Path, wanted: &str) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files
        .into_iter()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_process_behind_a_connection_is_found_by_its_two_addresses() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(place) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, theirs) = listener.accept().unwrap();
            let found = holders(server.local_addr().unwrap(), theirs);
            assert_eq!(found.uid, Some(rustix::process::getuid().as_raw()), "{place}");
            assert_eq!(found.pids, [std::process::id()], "{place}");
            drop(client);
        }
    }

    #[test]
    fn a_connection_that_is_not_there_has_no_holder() {
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(holders(nobody, nobody), Holders::default());
        for line in ["", "  sl  local_address rem_address", "0: 0100007F:1F90 XX", "0: 01:1 02:2"] {
            assert_eq!(far_end(line, nobody, nobody), None, "{line:?}");
        }
    }
}
