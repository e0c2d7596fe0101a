//! What is known about agents: how they are recognised, the words and the records in which they
//! report, what their titles and screens mean, and what must never be kept of what they say. Pure,
//! and the only crate with vendors' names.

pub mod adapter;
pub mod composer;
pub mod dialog;
pub mod launch;
pub mod program;
pub mod registry;
pub mod release;
pub mod reply;
pub mod screen;
pub mod setup;

mod claude;
mod codex;
mod copilot;
mod cursor;
mod gemini;
pub mod generic;
mod opencode;

mod asking;
mod block;
mod body;
mod payload;
mod tail;
pub mod tally;
mod view;

pub mod record;
pub mod redact;
pub mod spool;
pub mod vocabulary;
