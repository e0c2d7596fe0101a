//! What tests stand on: a private world per test with its own home, sockets, tmux servers and
//! daemon, a small blocking HTTP client, a scripted model, and waiting with a bound. Only ever a
//! dev-dependency.
//!
//! Linux and macOS differ in one thing here: without `/proc` the check for processes left behind
//! finds nothing.

mod daemon;
mod env;
mod far_clock;
mod http;
mod key_agent;
mod link;
pub mod model;
mod orphans;
mod output;
pub mod process;
pub mod sim;
mod sshd;
mod terminal;
mod tmux;
pub mod wait;

pub use self::tmux::Tmux;
pub use daemon::Daemon;
pub use env::TestEnv;
pub use far_clock::FarClock;
pub use http::{Http, Next, Reply, Stream};
pub use key_agent::KeyAgent;
pub use link::Link;
pub use output::{Invocation, Output, Running};
pub use process::Signal;
pub use sshd::Sshd;
pub use terminal::{Terminal, TerminalTaker};

/// Says that a test proved nothing here, past the capturing of a test's output.
pub fn skipped(why: &str) {
    use std::io::Write;
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED {name}: {why}").ok();
}
