//! The end of the whole world: nothing breaks any more, and soon everything has to be right.

use engine::Engine;
use engine::event::Actor;
use engine::ids::PaneKey;
use engine::input::Input;

use super::super::check::{Checked, violated};
use super::super::site::Site;
use super::super::spool::Spool;
use super::super::{sight, view};
use super::{Move, Whole};

/// How long before the end something lands with us once more.
const GUESTS_MS: i64 = 75_000;
/// How long nothing breaks before everything has to be right.
const HEALING_MS: i64 = 100_000;

/// What still happens meanwhile.
const HEALING: &[(u32, Move)] = &[
    (16, Move::Observe),
    (2, Move::Deliver),
    (2, Move::Follow),
    (2, Move::Watch),
    (1, Move::Read),
    (4, Move::Errand),
];

impl Whole {
    /// Nothing breaks any more: within about a minute everything is as it is.
    pub(super) fn heal(&mut self) -> Checked {
        self.healing = true;
        self.disk.let_go();
        self.clock.drift(0);
        for site in &mut self.sites {
            if let Some(road) = &mut site.road {
                road.calm();
            }
            if let Some(tmux) = &mut site.tmux {
                tmux.go_on(&mut site.host, &self.clock);
            }
            site.settle(&self.clock);
        }
        while self.daemon.is_none() {
            self.start()?;
        }
        for index in 0..self.sites.len() {
            self.add_target(index)?;
        }
        let until = self.clock.true_ms() + HEALING_MS;
        let mut guests_due = true;
        while self.clock.true_ms() < until {
            if guests_due && until - self.clock.true_ms() < GUESTS_MS {
                // Also what lands with us now has to be gone in the end. A pane raises no
                // notification; the look at everything, once a minute, finds it.
                guests_due = false;
                (0..self.sites.len()).for_each(|index| self.trespass(index));
            }
            let pause = self.rng.between(1, 400);
            self.clock.advance(pause);
            (0..self.sites.len()).for_each(|index| self.travel(index));
            if self.is_due() {
                self.tick()?;
            }
            let next = self.rng.weighted(HEALING);
            self.step(next)?;
        }
        self.hand_in(1_000)?;
        self.read_out()?;
        (0..self.sites.len()).try_for_each(|index| self.tell_the_truth(index))?;
        while self.is_due() {
            self.tick()?;
        }
        self.judge()
    }

    /// I9: an agent that plainly shows what it does is shown so, whatever was said before and
    /// whatever the clock showed then.
    fn tell_the_truth(&mut self, index: usize) -> Checked {
        let site = &self.sites[index];
        let Some(tmux) = &site.tmux else { return Ok(()) };
        let target = site.target.clone();
        for (pane, doing, sight) in self.agents.tell_all(&target, &tmux.server, &site.host) {
            let key = PaneKey::new(&target, pane);
            let row = |whole: &Self| whole.checker.follower.pane(&key).cloned();
            let input = Input::Observed { target: target.clone(), sight };
            self.feed(vec![(Actor::Observer, input)])?;
            if let Some(row) = row(self)
                && row.runtime.is_some()
                && row.facts.agent.is_some()
                && row.state.state != doing
            {
                return violated("I9", format!("{key:?} shows {:?} of {doing}", row.state));
            }
        }
        Ok(())
    }

    /// I2: of what hooks wrote down every whole record was handed over, whoever died meanwhile.
    fn read_out(&mut self) -> Checked {
        for index in 0..self.spools.len() {
            self.spools[index].close();
            while self.spools[index].read(&mut self.rng).is_some() {
                self.follow_spool(index)?;
                while self.daemon.is_none() {
                    self.start()?;
                }
            }
        }
        match self.spools.iter().find_map(Spool::owes) {
            Some(event) => violated("I2", format!("{event} was written down and never taken in")),
            None => Ok(()),
        }
    }

    /// Everything has to be right now.
    pub(super) fn judge(&mut self) -> Checked {
        let Some(daemon) = &self.daemon else { return violated("I10", "no daemon runs") };
        let engine = daemon.books.ledger.engine();
        self.checker.check_fold(engine)?;
        self.checker.check_states(engine, self.clock.now(), self.moment())?;
        self.checker.acknowledged_are_kept()?;
        self.checker.deeds.all_attended(|action| self.executors.attends(action))?;
        for (site, observer) in self.sites.iter().zip(&daemon.observers) {
            check_view(engine, site)?;
            // Without a control connection nobody looks after our session.
            if observer.as_ref().is_some_and(|it| it.client().is_some()) {
                site.check_hub()?;
            }
        }
        let as_of = daemon.books.ledger.as_of();
        for watcher in &mut self.watchers {
            watcher.cut();
            watcher.resume(&daemon.books.journal, &daemon.follower, as_of, &self.rows)?;
            watcher.agrees(&self.checker.follower)?;
        }
        self.disk.verify()?;
        self.tally.digest = self.checker.digest();
        self.crash(None);
        self.disk.verify()?;
        self.start()
    }
}

/// I10: what is shown is what is there.
fn check_view(engine: &Engine, site: &Site) -> Checked {
    let server = site.tmux.as_ref().map(|tmux| &tmux.server);
    view::check(engine, &site.target, server, &site.host)?;
    let row = engine.target(&site.target);
    let boot = server.filter(|it| !it.is_empty()).map(|it| sight::boot_id(it, &site.host));
    let known = row.and_then(|row| row.server.as_ref()).map(|it| it.boot.clone());
    if known != boot {
        return violated(
            "I10",
            format!("{} is known as {row:?}, its server is {boot:?}", site.name),
        );
    }
    Ok(())
}
