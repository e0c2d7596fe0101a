//! The observer: one task for each target, which finds its tmux server and says what it sees.
//!
//! Edge and level together. Hints (tmux's notifications, written terminals, ended processes) say
//! where to look *now*; regular looks say what is true whatever was missed. Both end in the same
//! comparison with the last sight, and only differences are reported.
//!
//! Reading order: [`life`] finds a server and chooses how to speak with it, [`watch`] is the loop
//! while there is one, [`look`] and [`ask`] are what it does. [`schedule`], [`bursts`], [`facts`],
//! [`picture`] and [`server`] are pure. docs/design/observer.md tells what is seen when, and at what cost.

mod life;
mod watch;

mod ask;
mod look;
mod told;

mod bursts;
mod errand;
mod facts;
mod gate;
mod picture;
mod reading;
mod recognise;
mod schedule;
pub(crate) mod server;
mod status;
mod surveys;
mod wires;

mod context;
mod hub;
mod line;
mod link;
mod reach;
mod reporter;
mod trouble;

use std::sync::Arc;

use engine::target::{ServerFacts, TargetRow};
use tmux::arg::ArgError;
use tmux::hub::Hub;
use tokio::sync::watch as orders;
use tokio::task::JoinHandle;

pub(crate) use line::nonce;
pub(crate) use reach::{NoAnswer, Reach};
pub(crate) use reporter::Desk;
pub use reporter::{Closed, Reporter};
pub use trouble::{FORKED, POLLED, TOO_MANY_PANES};

use crate::adapters::Roster;
use crate::clock::Clock;
use crate::config::ObserverConfig;
use crate::sentinel::Sentinel;
use crate::targets::Target;
use context::{Context, Ears, Ordered, Orders};
use life::Life;
use schedule::Pace;

/// What every observer of one daemon is given.
#[derive(Debug)]
pub struct Given<'a> {
    pub sentinel: &'a Sentinel,
    pub clock: Clock,
    /// The id in our session's name, out of `a-z`, `0-9` and `-`.
    pub installation: &'a str,
    pub config: &'a ObserverConfig,
    pub roster: &'a Arc<Roster>,
}

/// A running observer. Dropping it ends the observation, in the background.
#[derive(Debug)]
pub struct Observer {
    orders: orders::Sender<Orders>,
    reach: Reach,
    task: JoinHandle<Option<ServerFacts>>,
}

impl Observer {
    /// Starts to observe a target. Call it on the thread that never ends: what the observer starts
    /// dies with the thread.
    pub fn spawn(
        row: &TargetRow,
        target: Target,
        reporter: impl Reporter,
        given: &Given<'_>,
    ) -> Result<Self, ArgError> {
        let Given { sentinel, clock, installation, config, roster } = given;
        let hub = Hub::new(installation)?;
        let (sender, receiver) = orders::channel(Orders::default());
        let (speaker, heard) = orders::channel(None);
        let ears = Ears::of(&target, sentinel);
        let target = Arc::new(target);
        let reach = Reach { target: Arc::clone(&target), speaker: heard };
        let cx = Context {
            id: row.target.clone(),
            ears,
            target,
            speaker,
            roster: Arc::clone(roster),
            reporter,
            clock: *clock,
            orders: Ordered::new(receiver),
            failing: row.health != engine::words::Health::Ok,
            limit: None,
            limit_told: None,
        };
        let pace = Pace {
            active_ms: config.scan_active.as_ms(),
            idle_ms: config.scan_idle.as_ms(),
            full_ms: config.scan_full.as_ms(),
        };
        let life = Life::new(cx, hub, pace, row.server.clone());
        Ok(Self { orders: sender, reach, task: tokio::spawn(life.run()) })
    }

    /// Looks at everything now, and tries again now whatever waits for a better time.
    pub fn rescan(&self) {
        self.orders.send_modify(|orders| orders.rescans += 1);
    }

    /// The same for somebody who asks for it: it waits for no turn of others.
    pub fn connect(&self) {
        self.reach.target.hurry();
        self.rescan();
    }

    /// The way to the server, for whoever acts there.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Leaves the server and ends; returns when both are done, with the server that was seen last. Its
    /// successor has to know it: the starts of processes are counted from when that was first read.
    pub async fn stop(self) -> Option<ServerFacts> {
        self.orders.send_modify(|orders| orders.stop = true);
        self.task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an observer failed");
            None
        })
    }
}
