//! Everything that goes on while a fault happens: panes churn, clients post, a watcher follows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::TestEnv;

use crate::chance::Chance;
use crate::churn::{self, Panes};
use crate::clients::Clients;
use crate::watcher::Watcher;

const CLIENTS: usize = 3;

/// What moves, and what it remembers.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) clients: Clients,
    pub(crate) watcher: Watcher,
    panes: Panes,
    stop: AtomicBool,
    turns: std::sync::atomic::AtomicU64,
}

/// Ends what moves, also when the one who plays panics.
struct Halt<'a>(&'a AtomicBool);

impl Drop for Halt<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Plays while everything moves; afterwards nothing does.
    pub(crate) fn around<R>(
        &self,
        env: &TestEnv,
        chance: &mut Chance,
        play: impl FnOnce(&mut Chance) -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        self.stop.store(false, Ordering::Relaxed);
        // Keys are used once, in however many turns.
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let api = env.api();
        thread::scope(|scope| {
            let _halt = Halt(&self.stop);
            let own = chance.branch();
            scope.spawn(|| churn::run(&env.tmux(), &self.panes, own, &self.stop));
            for number in 0..CLIENTS {
                let (own, api) = (chance.branch(), api.clone());
                let name = format!("t{turn}c{number}");
                scope.spawn(move || self.clients.run(&api, &name, &self.panes, own, &self.stop));
            }
            scope.spawn(|| self.watcher.run(&api, &self.stop));
            play(chance)
        })
    }

    /// Lets only the watcher go on, and plays.
    pub(crate) fn calm<R>(
        &self,
        env: &TestEnv,
        play: impl FnOnce() -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        self.stop.store(false, Ordering::Relaxed);
        let api = env.api();
        thread::scope(|scope| {
            let _halt = Halt(&self.stop);
            scope.spawn(|| self.watcher.run(&api, &self.stop));
            play()
        })
    }
}
