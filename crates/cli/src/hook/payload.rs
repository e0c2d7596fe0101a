//! The payload from standard input, however much comes, and whether or not it ends.

use std::io;
use std::time::Duration;

use agents::record::{PAYLOAD_BYTES_MAX, Payload};
use daemon::clock::Clock;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::isatty;

/// How long an agent may say nothing before what it said is taken to be all.
const QUIET_MS_MAX: i64 = 1_000;
/// How long it may go on. What is too long to keep is still read to its end within this time, so
/// that the agent can write all of it.
const READING_MS_MAX: i64 = 4_000;
const CHUNK_BYTES: usize = 64 * 1024;

/// A payload that came whole.
pub(super) fn given(bytes: &[u8]) -> Payload {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Payload::Cut { bytes: bytes.len() as u64 };
    }
    Payload::Whole(bytes.to_vec())
}

/// What stands on standard input. A terminal there means that a person tries the command.
pub(super) fn read(clock: &Clock) -> Payload {
    let input = io::stdin();
    if isatty(&input) {
        return Payload::None;
    }
    let began = clock.now().mono.0;
    let (mut kept, mut bytes) = (Vec::<u8>::new(), 0_u64);
    // Room that is not cleared: most payloads are short, and what nobody writes to costs nothing.
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    while clock.now().mono.0 - began < READING_MS_MAX && ready(&input) {
        chunk.clear();
        match rustix::io::read(&input, spare_capacity(&mut chunk)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => break,
            Ok(length) => {
                bytes += length as u64;
                let room = PAYLOAD_BYTES_MAX.saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..length.min(room)]);
            }
        }
    }
    match bytes {
        0 => Payload::None,
        all if all > PAYLOAD_BYTES_MAX as u64 => Payload::Cut { bytes },
        _ => Payload::Whole(kept),
    }
}

/// Waits until there is something to read, or nothing any more.
fn ready(input: &io::Stdin) -> bool {
    let limit = Duration::from_millis(QUIET_MS_MAX.unsigned_abs());
    let limit = Timespec::try_from(limit).ok();
    let mut waiting = [PollFd::new(input, PollFlags::IN)];
    poll(&mut waiting, limit.as_ref()).is_ok_and(|ready| ready > 0)
}
