//! Asks the daemon: a typed client of API v1 over its Unix socket.
//!
//! [`Client`] finds the daemon, has one started where there is none, greets it with its version,
//! and turns answers into the types of `api`. [`Watch`] follows a watch stream through restarts of
//! the daemon. Neither prints anything, and neither knows how a daemon is started: whoever owns
//! the binary brings a [`Starter`].

pub mod limits;

mod error;
pub mod place;

mod holder;
mod remote;
mod stopped;
mod trust;

mod connection;
mod exit;
mod starter;

mod answer;
mod client;

mod backoff;
mod watch;

pub use answer::Answer;
pub use client::{Ask, Client};
pub use error::ClientError;
pub use holder::Holder;
pub use place::{Place, state_folder};
pub use remote::Remote;
pub use starter::Starter;
pub use stopped::is_stopped;
pub use watch::{Frame, FrameKind, Pause, Step, Watch};

#[cfg(test)]
mod fake;
