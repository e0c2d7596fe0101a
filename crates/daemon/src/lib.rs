//! The daemon acts. It is the only crate with processes, files, sockets and a clock; what it does
//! with them the engine has decided.
//!
//! Reading order: [`run`] is the daemon's life and wires everything to the one loop, the [`deck`].
//! [`observer`] sees through [`targets`] and the [`sentinel`]; [`follower`] and [`lookout`] are
//! what [`http`] and the watch streams read.

pub mod adapters;
pub mod clock;
pub mod config;
pub mod ids;
pub mod journal;
pub mod lifecycle;
pub mod log;
pub mod paths;
pub mod service;

pub mod deck;
pub mod run;

mod executors;

pub mod descriptors;
mod file_watch;
mod identity;
mod notify;
mod observers;
mod outside;
mod presence;
mod replies;

pub mod observer;
pub mod sentinel;
mod spool;
mod sys;
pub mod targets;
mod trail;
mod vigil;

pub mod follower;
pub mod http;
pub mod lookout;
pub mod standing;
mod view;
mod watch;
