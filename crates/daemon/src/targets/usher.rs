//! The usher: lets our control client into a server with everything it says of itself at once.
//!
//! Left to itself it would say that in three writes, and a server of tmux 3.6 or older that has
//! something to tell between them, or loses the client there, ends (see [`tmux::introduction`]). So
//! the client connects to a door of ours, and goes in when its introduction is complete. What is said
//! later passes through unread; in control mode that is next to nothing, because questions and
//! answers have pipes of their own.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tempfile::TempDir;
use tmux::introduction::{Heard, Parcel, hear};
use tokio::io::{Interest, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::folder::for_socket;

const READ_BYTES: usize = 16 * 1024;
/// Descriptors that may come with one read; a client sends two in all.
const DESCRIPTORS_MAX: usize = 4;

/// One door, for one client. Dropping it closes both ends of the connection.
#[derive(Debug)]
pub(super) struct Usher {
    folder: TempDir,
    at_work: JoinHandle<()>,
}

impl Usher {
    /// Opens a door to the server on this socket, in a folder that only we can write to.
    pub(super) fn open(folder: &Path, server: PathBuf) -> io::Result<Self> {
        let folder = for_socket(folder)?;
        let listener = UnixListener::bind(door(&folder))?;
        let at_work = tokio::spawn(async move {
            if let Err(error) = lead(listener, &server).await {
                tracing::debug!(%error, "a control client was not let in");
            }
        });
        Ok(Self { folder, at_work })
    }

    /// The socket that the client is to connect to.
    pub(super) fn door(&self) -> PathBuf {
        door(&self.folder)
    }

    /// Closes the connection, and is back when that is done.
    pub(super) async fn close(mut self) {
        self.at_work.abort();
        if let Err(error) = (&mut self.at_work).await
            && error.is_panic()
        {
            tracing::error!(%error, "an usher failed");
        }
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        self.at_work.abort();
    }
}

fn door(folder: &TempDir) -> PathBuf {
    folder.path().join("d")
}

async fn lead(listener: UnixListener, server: &Path) -> io::Result<()> {
    let mut server = UnixStream::connect(server).await?;
    let (mut client, _) = listener.accept().await?;
    drop(listener);
    let mut descriptors = VecDeque::new();
    for parcel in introduction(&client, &mut descriptors).await? {
        let descriptor = if parcel.with_descriptor { descriptors.pop_front() } else { None };
        hand_over(&server, &parcel.bytes, descriptor).await?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// What a client says of itself, in the order in which it is to be said. Whoever speaks otherwise is
/// passed on as he is.
async fn introduction(
    client: &UnixStream,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<Vec<Parcel>> {
    let mut said = Vec::new();
    loop {
        let read = client.async_io(Interest::READABLE, || receive(client, &mut said, descriptors));
        if read.await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match hear(&said) {
            Heard::Part => {}
            Heard::Whole(parcels) => return Ok(parcels),
            Heard::Foreign => {
                tracing::warn!("this tmux introduces itself in a way that is not known");
                return Ok(vec![Parcel { bytes: said, with_descriptor: !descriptors.is_empty() }]);
            }
        }
    }
}

fn receive(
    client: &UnixStream,
    said: &mut Vec<u8>,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; READ_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let read = recvmsg(client, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    said.extend_from_slice(&bytes[..read.bytes]);
    Ok(read.bytes)
}

/// Writes all of it, the descriptor with its first byte.
async fn hand_over(
    server: &UnixStream,
    mut bytes: &[u8],
    mut descriptor: Option<OwnedFd>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let writing = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let borrowed = descriptor.as_ref().map(|it| [it.as_fd()]);
            if let Some(borrowed) = &borrowed {
                control.push(SendAncillaryMessage::ScmRights(borrowed));
            }
            let slices = [IoSlice::new(bytes)];
            Ok(sendmsg(server, &slices, &mut control, SendFlags::NOSIGNAL)?)
        };
        let written = server.async_io(Interest::WRITABLE, writing).await?;
        bytes = &bytes[written..];
        descriptor = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::targets::process::{Ending, Environment, Program, start_control};

    /// What a server reads, one read after the other, until a client has introduced itself.
    async fn read_by_a_server(server: UnixListener) -> (Vec<Vec<u8>>, usize) {
        let (client, _) = server.accept().await.unwrap();
        let (mut reads, mut descriptors) = (Vec::new(), VecDeque::new());
        loop {
            let mut read = Vec::new();
            client
                .async_io(Interest::READABLE, || receive(&client, &mut read, &mut descriptors))
                .await
                .unwrap();
            assert!(!read.is_empty(), "the client went away");
            reads.push(read);
            if matches!(hear(&reads.concat()), Heard::Whole(_)) {
                return (reads, descriptors.len());
            }
        }
    }

    #[tokio::test]
    async fn a_server_reads_who_is_a_control_client_with_the_end_of_the_introduction() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let server = UnixListener::bind(&socket).unwrap();
        let usher = Usher::open(folder.path(), socket).unwrap();
        let door = usher.door().into_os_string();
        let words = ["tmux", "-u", "-N", "-C", "-S"].map(OsString::from);
        let words = words.into_iter().chain([door, OsString::from("attach-session")]).collect();
        let environment = Environment::of_this_process();
        let program = Program { words, environment: &environment, ending: Ending::Kill };
        let client = start_control(&program, Some(usher)).unwrap();
        let (mut reads, descriptors) = read_by_a_server(server).await;
        assert_eq!(descriptors, 2);
        reads.pop();
        let (said, mut at) = (reads.concat(), 0);
        while let Some([kind, _, _, _, low, high]) = said.get(at..).and_then(<[u8]>::first_chunk) {
            // What a client says first by itself: its flags, short and long.
            assert!(![100, 111].contains(kind), "{reads:?}");
            at += usize::from(u16::from_le_bytes([*low, *high]));
        }
        client.kill().await;
    }
}
