//! The spool: what hooks wrote down while we were there, and while we were not.
//!
//! The [`reader`] is at work as long as the daemon is. It finds the [`files`] of the spool, takes
//! what is new in them as [`batch`]es of records, lets [`intake`] make a signal of each, hands the
//! signals to the deck, and moves the [`cursor`] once they are committed. What was taken in is
//! deleted soon after: a payload in the spool is as the agent sent it, secrets included.
//!
//! `docs/design/spool.md` says why nothing is lost and nothing is taken in twice.

pub(crate) mod afar;
pub(crate) mod binding;
pub(crate) mod intake;
pub(crate) mod reader;
pub(crate) mod tally;

mod batch;
mod cursor;
mod files;
mod folder;
mod running;
mod taking;

pub(crate) use running::Running;
