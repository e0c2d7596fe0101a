//! The API over HTTP/1.1, on a Unix socket and, where that is wanted, over TCP: one file for each resource of the table of routes.
//!
//! Reading order: [`server`] accepts, [`wire`] carries the bytes, [`respond`] sees one request through, [`router`] finds its
//! handler, and [`access`] decides who gets to it; [`to_api`] and [`from_api`] are the only translation between what the engine knows
//! and what the API promises; [`problem`] is everything that can go wrong.

pub mod app;
pub mod config;
pub mod server;

mod access;
mod browser;
mod doorman;
mod guests;
mod secret;

mod leftover;
mod respond;
mod router;
mod wire;

mod agent;
pub mod from_api;
pub(crate) mod to_api;

mod extract;
mod lists;
mod page;
pub(crate) mod problem;

mod actions;
mod adapters;
mod approvals;
mod events;
mod health;
mod hooks;
mod panes;
mod replies;
mod resolve;
mod runtimes;
mod sessions;
mod shutdown;
mod targets;
mod tokens;
mod watch;
mod windows;

/// The daemon's version, which is the client's if both were built together.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
