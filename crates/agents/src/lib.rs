//! What is known about agents: the words in which they report, and what must never be kept of
//! what they say. Pure, and the only crate with vendors' names.

pub mod redact;
pub mod vocabulary;
