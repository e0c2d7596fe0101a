//! What every handler can reach.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::error_code::ErrorCode;
use api::shutdown::ShutdownReason;
use api::timestamp::Timestamp;
use engine::event::Actor;
use engine::ids::{TargetId, TokenId};
use engine::input::Input;
use engine::time::Now;
use store::Finding;
use tokio::sync::watch;

use super::config::ConfigInUse;
use super::doorman::Doorman;
use super::problem::Problem;
use super::to_api::timestamp;
use crate::adapters::Roster;
use crate::clock::Clock;
use crate::deck::{Deck, Settled};
use crate::executors::{Executors, Outbox, Shown};
use crate::follower::Follower;
use crate::ids::Ids;
use crate::lookout::Lookout;
use crate::spool::afar::Clocks;
use crate::spool::tally::Tally;
use crate::standing::Standing;
use crate::targets::keys::Keys;
use crate::targets::masters::Masters;
use crate::vigil::Vigil;

/// How long a change may take until nobody waits for it any more.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the daemon listens over TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    /// None while it does not.
    pub(crate) address: Option<SocketAddr>,
    /// Why it does not although it should.
    pub(crate) problem: Option<String>,
}

/// What does not change about a daemon while it runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The id of this installation.
    pub instance_id: String,
    /// Where it listened first.
    pub socket: PathBuf,
    pub database: PathBuf,
    /// When the daemon started.
    pub started: Now,
}

/// The daemon, as its handlers know it.
#[derive(Debug)]
pub struct App {
    pub(crate) deck: Deck,
    pub(crate) lookout: Lookout,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) facts: Facts,
    pub(crate) config: watch::Receiver<Arc<ConfigInUse>>,
    /// What became of what stood in the spool.
    pub(crate) spool: watch::Receiver<Tally>,
    /// How far the clocks of other machines are off.
    clocks: watch::Receiver<Clocks>,
    /// The adapters in use.
    adapters: watch::Receiver<Arc<Roster>>,
    /// Where it listens now.
    socket: watch::Sender<PathBuf>,
    /// Texts on their way to a pane, and what panes showed.
    pub(crate) outbox: Option<Outbox>,
    pub(crate) shown: Shown,
    /// Who comes without a token, and how often.
    pub(super) doorman: Doorman,
    /// Where it listens beside its socket, and what is in the way of that.
    outside: watch::Sender<Outside>,
    /// Whoever acts, for looks that are no acts of their own.
    pub(crate) executors: Option<Executors>,
    /// What was found when the database was opened.
    pub(crate) notices: Vec<Finding>,
    /// Whether somebody asked the daemon to end.
    stop: watch::Sender<Option<ShutdownReason>>,
    /// The agents that connections to other machines ask for keys.
    keys: Arc<Keys>,
    /// Those connections that people hold in terminals.
    masters: Masters,
}

impl App {
    pub fn new(
        deck: Deck,
        lookout: Lookout,
        clock: Clock,
        facts: Facts,
        config: watch::Receiver<Arc<ConfigInUse>>,
    ) -> Self {
        let ids = Ids::new(clock);
        let socket = watch::Sender::new(facts.socket.clone());
        let stop = watch::Sender::new(None);
        let spool = watch::Sender::default().subscribe();
        let adapters = watch::Sender::default().subscribe();
        let (outbox, shown, executors) = (None, Shown::default(), None);
        Self {
            deck,
            lookout,
            clock,
            ids,
            facts,
            config,
            spool,
            clocks: watch::Sender::default().subscribe(),
            adapters,
            outbox,
            shown,
            notices: Vec::new(),
            doorman: Doorman::new(),
            outside: watch::Sender::default(),
            executors,
            socket,
            stop,
            keys: Arc::default(),
            masters: Masters::default(),
        }
    }

    /// The same, with a spool that somebody reads.
    pub(crate) fn with_spool(self, spool: watch::Receiver<Tally>) -> Self {
        Self { spool, ..self }
    }

    /// The same, with what is told of the clocks of other machines, and what connections to these
    /// have in common.
    pub(crate) fn with_far(
        self,
        clocks: watch::Receiver<Clocks>,
        (keys, masters): (&Arc<Keys>, &Masters),
    ) -> Self {
        Self { clocks, keys: Arc::clone(keys), masters: masters.clone(), ..self }
    }

    /// How many milliseconds the clock of a target was ahead of ours when that was last seen.
    pub(super) fn clock_offset_ms(&self, target: &TargetId) -> Option<i64> {
        self.clocks.borrow().get(target).copied()
    }

    /// The same, with what was found when the database was opened.
    pub(crate) fn with_notices(self, notices: Vec<Finding>) -> Self {
        Self { notices, ..self }
    }

    /// The same, with the adapters in use.
    pub(crate) fn with_adapters(self, adapters: watch::Receiver<Arc<Roster>>) -> Self {
        Self { adapters, ..self }
    }

    pub(super) fn masters(&self) -> &Masters {
        &self.masters
    }

    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The adapters in use now.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.adapters.borrow())
    }

    /// The daemon listens elsewhere from now on.
    pub(crate) fn moved_to(&self, socket: PathBuf) {
        self.socket.send_replace(socket);
    }

    /// Where the daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.borrow().clone()
    }

    /// The same, with somebody who acts.
    pub(crate) fn with_executors(self, executors: Executors, outbox: Outbox, shown: Shown) -> Self {
        Self { executors: Some(executors), outbox: Some(outbox), shown, ..self }
    }

    /// Where tokens are served.
    pub(crate) fn outside(&self) -> Outside {
        self.outside.borrow().clone()
    }

    pub(crate) fn set_outside(&self, outside: Outside) {
        self.outside.send_replace(outside);
    }

    /// Whether a token still counts.
    pub(super) fn counts(&self, token: &TokenId) -> bool {
        self.read(|follower, now| {
            let row = follower.engine().token(token);
            row.is_some_and(|row| !self.doorman.is_over(row, now))
        })
    }

    /// Tells whoever runs the daemon when it is asked to end.
    pub fn stop_requests(&self) -> watch::Receiver<Option<ShutdownReason>> {
        self.stop.subscribe()
    }

    pub(crate) fn request_stop(&self, reason: ShutdownReason) {
        self.stop.send_if_modified(|asked| asked.replace(reason).is_none());
    }

    pub(crate) fn now(&self) -> Timestamp {
        timestamp(self.clock.now().wall)
    }

    /// Looks at what is known, as of now.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Follower, Now) -> R) -> R {
        let now = self.clock.now();
        self.lookout.read(|follower| look(follower, now))
    }

    /// Whoever watches over hooks that wait.
    pub(super) fn vigil(&self) -> Vigil {
        let (deck, lookout) = (self.deck.clone(), self.lookout.clone());
        Vigil::new(deck, lookout, self.clock, self.config.clone())
    }

    /// Whether changes are stored.
    pub(crate) fn standing(&self) -> Standing {
        self.lookout.standing()
    }

    /// Refuses a change while nothing is stored. Asked before anything is looked up: what a damaged
    /// store does not show is not therefore unknown.
    pub(crate) fn writable(&self) -> Result<(), Problem> {
        match self.standing() {
            Standing::Writable | Standing::Failing { .. } => Ok(()),
            Standing::ReadOnly(why) => Err(Problem::new(ErrorCode::StoreReadOnly, why)),
        }
    }

    /// Has an input carried out, and waits until it is committed and can be read.
    pub(crate) async fn ask(&self, actor: Actor, input: Input) -> Result<Settled, Problem> {
        match tokio::time::timeout(COMMIT_TIMEOUT, self.deck.ask(actor, input)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let message = "the change was not confirmed in time";
                Err(Problem::new(ErrorCode::OutcomeUnknown, message))
            }
        }
    }
}
