//! A model that does what the prompt tells it: a server on loopback that speaks the wire formats of
//! the real agents, so that they run without a network, an account or chance.
//!
//! What it does stands in the prompt, as `{{verb arguments}}`; [`script`] has the verbs. It keeps
//! nothing between requests but how often it refused, so an agent that was restarted goes on where
//! its own history says. What it did, and when, can be asked: that is what a test knows to be true.

mod asked;
mod script;
mod server;
mod tools;
mod wire;

mod anthropic;
mod chat;
mod gemini;
mod responses;

pub use server::{ModelServer, Moment, What};

#[cfg(test)]
mod tests;
