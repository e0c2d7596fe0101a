//! The observers of all targets: started, hurried and stopped by the deck's effects.

use std::io;

use engine::input::Effect;

use crate::clock::Clock;
use crate::config::Config;
use crate::deck::Deck;

/// Placeholder until the observer lands.
pub struct Observers;

impl Observers {
    pub fn start(_: Deck, _: Clock, _: &str, _: &Config) -> io::Result<Self> {
        Ok(Self)
    }

    pub fn carry_out(&mut self, effect: Effect) {
        drop(effect);
    }

    pub fn forgotten(&mut self) {}

    pub fn configure(&mut self, _: &Config) {}

    pub async fn stop(self) {}
}
