//! What every part of one observer needs: whom to tell, what time it is, what it was ordered.

use std::sync::Arc;
use std::time::Duration;

use engine::ids::TargetId;
use engine::input::Observation;
use engine::target::Trouble;
use engine::time::{MonoMs, Now};
use tokio::sync::watch;

use super::link::Speaker;
use super::reporter::{Closed, Reporter};
use crate::adapters::Roster;
use crate::clock::Clock;
use crate::sentinel::{Hint, Lookout, Sentinel};
use crate::targets::Target;

/// What the observer was told to do, by those who hold its handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub rescans: u64,
    pub stop: bool,
}

/// An order that has not been followed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Rescan,
    Stop,
}

/// Where orders come from.
pub(super) struct Ordered {
    receiver: watch::Receiver<Orders>,
}

impl Ordered {
    pub(super) fn new(receiver: watch::Receiver<Orders>) -> Self {
        Self { receiver }
    }

    /// The next order. Nobody who could give one is an order to stop.
    pub(super) async fn next(&mut self) -> Order {
        match self.receiver.changed().await {
            Ok(()) if !self.receiver.borrow_and_update().stop => Order::Rescan,
            Ok(()) | Err(_) => Order::Stop,
        }
    }

    /// Waits until told to stop; other orders are settled by what is being done anyway.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Order::Stop {}
    }
}

/// The context of one observer.
pub(super) struct Context<R> {
    pub target: Arc<Target>,
    pub roster: Arc<Roster>,
    pub id: TargetId,
    pub reporter: R,
    pub clock: Clock,
    pub ears: Ears,
    pub orders: Ordered,
    /// Where others find the connection, while there is one.
    pub speaker: watch::Sender<Option<Speaker>>,
    /// Failures were reported since the target last answered.
    pub failing: bool,
    /// What is limited although the target works, and what this observer last said about that: what
    /// another one said may stand there still.
    pub limit: Option<Trouble>,
    pub limit_told: Option<Option<Trouble>>,
}

impl<R: Reporter> Context<R> {
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(super) async fn report(&self, sight: Observation) -> Result<(), Closed> {
        self.reporter.report(&self.id, sight).await
    }

    /// Says that the target did not answer, or not as it should.
    pub(super) async fn failed(&mut self, trouble: Trouble) -> Result<(), Closed> {
        self.failed_by(trouble, 1).await
    }

    /// The same for what counts for several failures.
    pub(super) async fn failed_by(&mut self, trouble: Trouble, weight: u32) -> Result<(), Closed> {
        self.failing = true;
        tracing::info!(target_id = %self.id, code = trouble.code, message = trouble.message,
            "a target failed");
        self.report(Observation::Failed { trouble, weight }).await
    }

    /// Says what is limited, if that is news.
    pub(super) async fn tell_limit(&mut self, limit: Option<Trouble>) -> Result<(), Closed> {
        if self.limit_told.as_ref() == Some(&limit) {
            return Ok(());
        }
        self.limit_told = Some(limit.clone());
        self.report(Observation::Limited { trouble: limit }).await
    }

    /// Waits until `due`.
    pub(super) fn until(&self, due: MonoMs) -> tokio::time::Sleep {
        let ms = due.0.saturating_sub(self.now().mono.0).max(0);
        tokio::time::sleep(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }
}

/// Where hints come from; deaf where the target has no events or they cannot be had.
pub(super) struct Ears {
    pub lookout: Option<Lookout>,
    /// Whether output on terminals is told.
    pub terminals: bool,
}

impl Ears {
    pub(super) fn of(target: &Target, sentinel: &Sentinel) -> Self {
        let wanted = target.capabilities().events || target.capabilities().pidfd;
        let lookout = wanted.then(|| sentinel.lookout()).and_then(|lookout| {
            lookout
                .inspect_err(|error| tracing::warn!(%error, "no kernel events for a target"))
                .ok()
        });
        let terminals = target.capabilities().events && sentinel.sees_terminals();
        Self { terminals: terminals && lookout.is_some(), lookout }
    }

    /// Waits for hints. Nothing is lost when the wait is given up.
    pub(super) async fn hints(&mut self) -> Vec<Hint> {
        match &mut self.lookout {
            Some(lookout) => lookout.hints().await,
            None => std::future::pending().await,
        }
    }
}

/// `length` with up to a quarter more or less, so that many who wait do not come back at once.
pub(super) fn jittered(length: Duration) -> Duration {
    let [first, second, ..] = crate::ids::random_bytes();
    let share = f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX);
    length.mul_f64(0.75 + share / 2.0)
}
