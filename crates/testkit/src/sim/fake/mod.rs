//! A tmux server and the machine it runs on, made up: what it holds, what users do to it, and the
//! bytes it would say.

pub(crate) mod act;
mod client;
mod command;
mod format;
pub(crate) mod host;
pub(crate) mod notice;
pub(crate) mod server;
pub(crate) mod tmux;
mod values;

#[cfg(test)]
mod transcripts;
