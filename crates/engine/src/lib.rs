//! The engine decides. It is pure: what happened goes in, what is now true and what is to be done
//! comes out. It has no clock, no file, no process, no randomness, and it cannot fail half-way.
//!
//! Reading order: the words and rows ([`words`], [`pane`], [`state`], [`target`], [`signal`]),
//! what can happen ([`input`]) and what it makes true ([`event`]), then [`engine`] itself with
//! one module for each kind of input.

pub mod ids;
pub mod limits;
pub mod settings;
pub mod time;
pub mod words;

pub mod access;
pub mod action;
pub mod adapter;
pub mod approval;
pub mod caption;
pub mod event;
pub mod input;
pub mod pane;
pub mod past;
pub mod signal;
pub mod state;
pub mod target;

pub mod engine;
pub mod explain;
pub mod trail;

mod acting;
mod approving;
mod ask;
mod cancelling;
mod hear;
mod observe;
pub mod tick;

pub use engine::Engine;
