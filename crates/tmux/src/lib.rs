//! Speaks tmux: bytes in, typed messages out, and commands that cannot be built from raw text.
//!
//! Pure by construction: no files, sockets, processes, clocks or randomness. Whoever owns the pipes
//! hands bytes to [`control::Parser`], hands its replies to [`exchange::Exchanges`], and reads the
//! answers with [`scan::Scan`]. What is sent is always a [`command::Batch`].

pub mod ids;
pub mod limits;
pub mod version;

pub mod notification;

pub mod control;

pub mod arg;
pub mod command;
pub mod exchange;
pub mod introduction;

pub mod act;
pub mod capture;
pub mod format;
pub mod rows;
pub mod scan;
pub mod subscription;

pub mod hub;
pub mod upkeep;
