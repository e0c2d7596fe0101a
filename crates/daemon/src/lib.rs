//! The daemon acts. It is the only crate with processes, files, sockets and a clock; what it does
//! with them the engine has decided.
//!
//! Reading order: [`deck`] is the one loop; [`run`] wires everything to it.

pub mod clock;
pub mod config;
pub mod ids;
pub mod lifecycle;
pub mod log;
pub mod paths;

pub mod deck;

pub mod follower;
pub mod http;
pub mod lookout;
mod view;
mod watch;

mod config_watch;
mod identity;
mod observers;
pub mod run;
pub mod service;
