//! Hooks that wait for the answer to what their agent asks: for how long each may, and what is told
//! of it meanwhile. Whether it asks over our socket or waits on another machine makes no difference.

use std::sync::Arc;
use std::time::Duration;

use agents::reply::Hold;
use engine::approval::ApprovalRow;
use engine::event::Actor;
use engine::ids::{ApprovalId, EventId};
use engine::input::Input;
use engine::signal::Signal;
use engine::state::Claim;
use engine::words::{Bearing, Choice, Confidence, Source, State, reason};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::config::HoldWhen;
use crate::deck::Deck;
use crate::http::config::ConfigInUse;
use crate::lookout::Lookout;
use crate::replies::{AWAY_MAX, Held, Letter};

/// How long a record may take from the spool to an approval.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it is waited whether somebody is asked still, after it seemed that nobody is.
const DOUBT: Duration = Duration::from_millis(500);
/// How often at least it is told that a hook still waits which hides its agent's dialog.
const VOUCH: Duration = Duration::from_secs(10);
/// How soon it is told that one hook still waits after the agent showed that it works on.
const RETURN: Duration = Duration::from_secs(1);
/// How often a hook that hides its agent's dialog looks without news: time passes, and settings
/// change.
const GLANCE: Duration = Duration::from_millis(500);
/// How much later than it can be away for good a hook is looked for.
const MARGIN: Duration = Duration::from_millis(10);

/// Watches over hooks that wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Vigil {
    deck: Deck,
    lookout: Lookout,
    clock: Clock,
    config: watch::Receiver<Arc<ConfigInUse>>,
}

/// How it is known that a hook still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// What it asks breaks off with it.
    Told,
    /// It was there when the turn began.
    AskedFor,
}

/// How old that may be where something else contradicts it.
const FRESH: Duration = Duration::from_millis(100);

/// One hook that waits.
#[derive(Debug)]
pub(crate) struct Sitting {
    vigil: Vigil,
    asked: ApprovalRow,
    hold: Hold,
    held: Held,
    attendance: Attendance,
    /// When it was last told that it waits.
    vouched: Instant,
    /// Dropped when it waits no more.
    _here: oneshot::Sender<()>,
}

/// What came of waiting for a while.
#[derive(Debug)]
pub(crate) enum Turn {
    Answer(Letter),
    /// Nobody can answer any more, or may.
    Over,
    /// Nothing yet.
    Still,
}

impl Vigil {
    pub(crate) fn new(
        deck: Deck,
        lookout: Lookout,
        clock: Clock,
        config: watch::Receiver<Arc<ConfigInUse>>,
    ) -> Self {
        Self { deck, lookout, clock, config }
    }

    /// The approval that a hook's record opened, once the record was read.
    pub(crate) async fn arrived(&self, event: &EventId) -> Option<ApprovalRow> {
        let mut publications = self.lookout.publications();
        let until = Instant::now() + ARRIVAL_TIMEOUT;
        loop {
            if let Some(row) = self.opened_by(event) {
                return Some(row);
            }
            timeout_at(until, publications.changed()).await.ok()?.ok()?;
        }
    }

    /// Lets the hook wait that told of this and can give these answers; nothing where it may not.
    pub(crate) async fn sit(
        &self,
        asked: ApprovalRow,
        (hold, attendance): (Hold, Attendance),
        choices: Vec<Choice>,
    ) -> Option<Sitting> {
        if !self.may_wait(hold, &asked) {
            return None;
        }
        let held = self.lookout.replies().hold(&asked.approval, &asked.pane, hold, choices);
        if hold == Hold::Instead {
            held_back(&self.deck, &asked.approval, true).await;
        }
        Some(Sitting {
            vouched: Instant::now(),
            _here: self.told_of(&asked.approval),
            vigil: self.clone(),
            asked,
            hold,
            held,
            attendance,
        })
    }

    /// Tells whoever watches approvals that a hook waits now, and once it is away for good, however
    /// it came to that: a request that breaks off is just dropped.
    fn told_of(&self, approval: &ApprovalId) -> oneshot::Sender<()> {
        let (lookout, deck, approval) = (self.lookout.clone(), self.deck.clone(), approval.clone());
        lookout.hooks_moved();
        let (here, left) = oneshot::channel();
        tokio::spawn(async move {
            left.await.ok();
            tokio::time::sleep(AWAY_MAX + MARGIN).await;
            lookout.hooks_moved();
            if !lookout.replies().is_waiting(&approval) {
                held_back(&deck, &approval, false).await;
            }
        });
        here
    }

    fn opened_by(&self, event: &EventId) -> Option<ApprovalRow> {
        self.lookout
            .read(|follower| follower.engine().approvals().find(|row| row.event == *event).cloned())
    }

    /// Whether an answer may still come.
    async fn is_asked(&self, asked: &ApprovalRow) -> bool {
        let is_live = || {
            self.lookout.read(|follower| {
                let row = follower.engine().approval(&asked.approval)?;
                (row.event == asked.event).then(|| row.is_live())
            })
        };
        if is_live() == Some(true) {
            return true;
        }
        let mut publications = self.lookout.publications();
        let until = Instant::now() + DOUBT;
        while let Some(is_live) = is_live() {
            if is_live {
                return true;
            }
            if timeout_at(until, publications.changed()).await.is_err() {
                return false;
            }
        }
        false
    }

    /// Whether the hook may wait now. One that hides its agent's dialog would keep whoever sits
    /// there from answering.
    fn may_wait(&self, hold: Hold, asked: &ApprovalRow) -> bool {
        let now = self.clock.now();
        if hold == Hold::Beside {
            return now.wall < asked.expires_at;
        }
        let config = self.config.borrow().config.approvals;
        let attached = || {
            self.lookout.read(|follower| {
                let engine = follower.engine();
                let Some(pane) = engine.pane(&asked.pane) else { return true };
                let target = &asked.pane.target;
                let shown = pane.facts.sessions().filter_map(|it| engine.session(target, it));
                shown.into_iter().any(|session| session.attached > 0)
            })
        };
        now.since(asked.opened) < config.hold_max.as_ms()
            && match config.hold {
                HoldWhen::Always => true,
                HoldWhen::Never => false,
                HoldWhen::Detached => !attached(),
            }
    }

    /// Whether it is shown that somebody is waited for.
    fn shows_waiting(&self, asked: &ApprovalRow) -> bool {
        self.lookout.read(|follower| {
            let row = follower.engine().pane_of(&asked.runtime);
            row.is_none_or(|row| row.state.state.bearing() == Bearing::Waiting)
        })
    }

    /// How long after the last time it is told again that a hook still waits: often enough that
    /// nobody stops believing it, and soon where the agent shows what it does beside it.
    fn vouching(&self, asked: &ApprovalRow) -> Duration {
        if !self.shows_waiting(asked) {
            return RETURN;
        }
        let counts = self.config.borrow().config.state.stale_ttl.as_ms() / 2;
        VOUCH.min(Duration::from_millis(u64::try_from(counts).unwrap_or_default()))
    }

    /// Tells the engine that somebody is still asked. The agent's screen, which shows no dialog
    /// meanwhile, never would; and where another request was answered, it shows work.
    async fn vouch(&self, asked: &ApprovalRow) {
        let shown = self.lookout.read(|follower| {
            let row = follower.engine().pane_of(&asked.runtime)?;
            Some(row.state.clone())
        });
        let Some(shown) = shown else { return };
        let (state, reason) = match shown.state.bearing() {
            Bearing::Waiting => (shown.state, shown.reason.clone()),
            Bearing::Busy | Bearing::Rest | Bearing::Open => {
                (State::WaitingApproval, reason::APPROVAL_REQUESTED.to_owned())
            }
        };
        let (now, approval) = (self.clock.now().wall, &asked.approval);
        let keys = (format!("held-{approval}-{}", now.0), format!("held:{approval}:{}", now.0));
        let claim = Claim { state, reason, confidence: Confidence::High };
        let signal = Signal {
            claim: Some(claim),
            expects_version: Some(shown.version),
            ..Signal::own("approval-held".to_owned(), Source::Hook, keys, &asked.runtime, now)
        };
        // The next one makes up for it.
        if let Err(error) = self.deck.ask(Actor::Daemon, Input::Signalled(Box::new(signal))).await {
            tracing::debug!(%approval, %error, "a hook that waits was not told of");
        }
    }
}

impl Sitting {
    /// Waits for an answer, or for the end of waiting, but only so long.
    pub(crate) async fn turn(&mut self, until: Instant) -> Turn {
        let begun = Instant::now();
        loop {
            if let Some(letter) = self.held.fetch() {
                return Turn::Answer(letter);
            }
            let vigil = &self.vigil;
            if !vigil.is_asked(&self.asked).await || !vigil.may_wait(self.hold, &self.asked) {
                return self.held.fetch().map_or(Turn::Over, Turn::Answer);
            }
            if Instant::now() >= until {
                return Turn::Still;
            }
            if self.hold == Hold::Instead && self.vouched.elapsed() >= vigil.vouching(&self.asked) {
                let is_known = self.attendance == Attendance::Told || begun.elapsed() < FRESH;
                if !is_known && !vigil.shows_waiting(&self.asked) {
                    // The agent may have broken off, and its hook with it.
                    return Turn::Still;
                }
                vigil.vouch(&self.asked).await;
                self.vouched = Instant::now();
            }
            let glance = match self.hold {
                Hold::Beside => until,
                Hold::Instead => until.min(Instant::now() + GLANCE),
            };
            // Whether it was news or only time that passed: everything is looked at again.
            timeout_at(glance, self.held.stirred()).await.ok();
        }
    }
}

/// Tells the engine that a hook hides a dialog, or does no longer: requests that are hidden stand
/// side by side, and what the agent shows beside them answers none.
async fn held_back(deck: &Deck, approval: &ApprovalId, waits: bool) {
    let input = Input::Held { approval: approval.clone(), waits };
    if let Err(error) = deck.ask(Actor::Daemon, input).await {
        tracing::debug!(%approval, %error, "a hook that waits was not told of");
    }
}
