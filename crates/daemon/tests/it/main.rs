//! The daemon from outside: over its socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod http_world;

mod http_reads;
mod http_watch;
