//! What decides and remembers: the engine alone with a past in memory, or the real ledger.

use std::sync::Arc;

use engine::Engine;
use engine::engine::Tables;
use engine::event::{Actor, Event};
use engine::input::{Decision, Input};
use engine::settings::Settings;
use engine::time::Now;
use engine::trail::Trail;
use store::{Change, CommitError, Outcome};

use super::memory::Memory;

/// An engine and what it rests on.
pub(crate) trait Mind {
    fn engine(&self) -> &Engine;

    /// Decides inputs in one transaction; what it returns is committed.
    fn transact(
        &mut self,
        now: Now,
        inputs: Vec<(Actor, Input)>,
    ) -> Result<Vec<Outcome>, CommitError>;
}

/// An engine whose journal is a number and whose past is kept in memory.
#[derive(Debug)]
pub(crate) struct Bare {
    engine: Engine,
    past: Memory,
    seq: u64,
}

impl Bare {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings), past: Memory::default(), seq: 0 }
    }

    /// Loses what is volatile: the engine is made anew from the rows a store would hold.
    pub(crate) fn crash(&mut self, stored: Tables, trail: &Trail, now: Now) {
        self.engine = Engine::restore(*self.engine.settings(), stored, now);
        self.engine.take_up(trail, now);
    }

    fn decide(&mut self, now: Now, actor: &Actor, input: &Input, outcome: &mut Outcome) {
        let Decision { events, effects, notes, then, reply } =
            self.engine.decide(now, input, &self.past);
        for event in events {
            self.commit(now, actor, event, outcome);
        }
        for note in &notes {
            self.engine.note(now, note);
        }
        outcome.effects.extend(effects);
        outcome.notes.extend(notes);
        outcome.result = reply;
        for input in &then {
            let mut following = Outcome {
                changes: Vec::new(),
                effects: Vec::new(),
                notes: Vec::new(),
                result: Ok(engine::input::Reply::Done),
            };
            self.decide(now, actor, input, &mut following);
            outcome.changes.append(&mut following.changes);
            outcome.effects.append(&mut following.effects);
            outcome.notes.append(&mut following.notes);
        }
    }

    fn commit(&mut self, now: Now, actor: &Actor, event: Event, outcome: &mut Outcome) {
        self.past.remember(&event);
        self.engine.apply(&event);
        self.seq += 1;
        let (seq, at, actor) = (self.seq, now.wall, actor.clone());
        outcome.changes.push(Arc::new(Change { seq, at, actor, event }));
    }
}

impl Mind for Bare {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn transact(
        &mut self,
        now: Now,
        inputs: Vec<(Actor, Input)>,
    ) -> Result<Vec<Outcome>, CommitError> {
        let mut outcomes = Vec::with_capacity(inputs.len());
        for (actor, input) in inputs {
            let mut outcome = Outcome {
                changes: Vec::new(),
                effects: Vec::new(),
                notes: Vec::new(),
                result: Ok(engine::input::Reply::Done),
            };
            self.decide(now, &actor, &input, &mut outcome);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}
