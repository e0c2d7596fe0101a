//! What is known about agents: how they are recognised, the words and the records in which they
//! report, what their titles and screens mean, and what must never be kept of what they say. Pure,
//! and the only crate with vendors' names.

pub mod adapter;
pub mod record;
pub mod redact;
pub mod screen;
pub mod spool;
pub mod vocabulary;
