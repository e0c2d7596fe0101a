//! The crate against a real tmux, and against what one said earlier.
//!
//! Everything that talks to a live server goes through [`lab`]. With `QD_RECORD` set to a folder,
//! the scenes leave their transcripts there (see `tests/record.sh`).

#![expect(clippy::unwrap_used, reason = "a test may fail where it likes, in its helpers too")]

mod lab;
mod transcript;

mod corpus;
mod escaping;
mod formats;
mod hub;
mod printed;
mod replay;
mod scenes;
mod traps;
