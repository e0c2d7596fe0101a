//! Takes records in: binds each to a pane, and waits until its event is committed.

use std::sync::Arc;

use agents::record::{Payload, Record};
use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Acceptance, Input, Refusal, Reply};
use engine::signal::Signal;
use tokio::sync::watch;

use super::batch::Line;
use super::binding::{self, Bound, Machine};
use super::intake;
use super::tally::Tally;
use crate::adapters::Roster;
use crate::deck::{Answer, Deck, Fault};
use crate::lookout::Lookout;
use crate::targets::Target;

/// Payloads of more bytes than this are cleaned away from the main thread.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// Where a spool lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// On this machine: its records are about any of its servers.
    Here,
    /// On a target somewhere else: its records are about that target and no other.
    There { id: TargetId, target: Arc<Target> },
}

impl Place {
    fn id(&self) -> Option<TargetId> {
        match self {
            Self::Here => None,
            Self::There { id, .. } => Some(id.clone()),
        }
    }
}

/// What records are taken in with.
#[derive(Clone, Debug)]
pub(super) struct Taking {
    pub(super) place: Place,
    pub(super) deck: Deck,
    pub(super) lookout: Lookout,
    pub(super) adapters: watch::Receiver<Arc<Roster>>,
    pub(super) tally: watch::Sender<Tally>,
}

/// Nobody decides any more.
pub(super) struct Ended;

/// What became of some lines.
pub(super) enum Taken {
    All,
    /// What begins here could not be stored, and may be a moment later.
    Before(u64),
}

impl Taking {
    /// Adds to what was counted.
    pub(super) fn count(&self, more: &Tally) {
        self.tally.send_if_modified(|tally| tally.add(more));
    }

    /// Hands lines to the deck, in their order, and waits until they are committed.
    pub(super) async fn hand_over(&self, begin: u64, lines: Vec<Line>) -> Result<Taken, Ended> {
        let mut tally = Tally::default();
        let roster = Arc::clone(&self.adapters.borrow());
        let mut found = Vec::with_capacity(lines.len());
        let mut line_begin = begin;
        for line in lines {
            match line.record {
                Err(why) => tally.unread(why),
                Ok(record) => match self.bind(&record, &roster) {
                    Some(bound) => found.push((line_begin, record, bound)),
                    None => tally.found_no_pane(&record.agent.to_lowercase()),
                },
            }
            line_begin = line.end;
        }
        let begins: Vec<(u64, String)> =
            found.iter().map(|(begin, record, _)| (*begin, record.agent.to_lowercase())).collect();
        let inputs = inputs(found, self.place.id(), roster).await;
        let answers = self.deck.ask_all(inputs).await;
        let mut taken = Taken::All;
        for ((begin, agent), answer) in begins.into_iter().zip(answers).rev() {
            match settle(answer, &agent, &mut tally) {
                Settling::Done => {}
                Settling::Later => taken = Taken::Before(begin),
                Settling::Never => return Err(Ended),
            }
        }
        self.count(&tally);
        Ok(taken)
    }

    fn bind(&self, record: &Record, roster: &Roster) -> Option<Bound> {
        let machine = match &self.place {
            Place::Here => Machine::here(roster),
            Place::There { id, target } => Machine::there(roster, id, target),
        };
        self.lookout.read(|follower| binding::bind(record, follower, &machine))
    }
}

/// What to do about a record after its answer.
enum Settling {
    Done,
    Later,
    Never,
}

fn settle(answer: Answer, agent: &str, tally: &mut Tally) -> Settling {
    match answer {
        Ok(settled) => match settled.reply {
            Reply::Accepted(Acceptance::Bound { .. } | Acceptance::Pending { .. }) => {
                tally.taken += 1;
            }
            Reply::Accepted(Acceptance::Duplicate { .. } | Acceptance::Void)
            | Reply::Done
            | Reply::Target(_)
            | Reply::Action(_) => tally.repeated += 1,
        },
        Err(Fault::Refused(Refusal::InboxFull) | Fault::Store(_)) => return Settling::Later,
        Err(Fault::Refused(Refusal::EventIdConflict(_) | Refusal::DedupeConflict(_))) => {
            tally.repeated += 1;
        }
        // The target went away since we looked.
        Err(Fault::Refused(
            Refusal::TargetUnknown(_)
            | Refusal::RuntimeUnknown(_)
            | Refusal::RuntimeStale(_)
            | Refusal::TargetExists(_)
            | Refusal::TooManyTargets
            | Refusal::SameServer { .. }
            | Refusal::ActionConflict { .. }
            | Refusal::TooManyActions
            | Refusal::ActionUnknown(_)
            | Refusal::TooLate { .. }
            | Refusal::Forbidden(_)
            | Refusal::TooManyAdapters
            | Refusal::TokenExists(_)
            | Refusal::TokenUnknown(_)
            | Refusal::TooManyTokens,
        )) => tally.found_no_pane(agent),
        Err(Fault::Stopping) => return Settling::Never,
    }
    Settling::Done
}

/// The inputs of records. Cleaning a long payload takes long, and others wait for this thread.
async fn inputs(
    found: Vec<(u64, Record, Bound)>,
    there: Option<TargetId>,
    roster: Arc<Roster>,
) -> Vec<(Actor, Input)> {
    let bytes = |record: &Record| match &record.payload {
        Payload::Whole(bytes) => bytes.len(),
        Payload::None | Payload::Cut { .. } => 0,
    };
    let bytes: usize = found.iter().map(|(_, record, _)| bytes(record)).sum();
    let uid = rustix::process::geteuid().as_raw();
    let all = move || {
        let one = |(_, record, bound)| input((uid, there.as_ref()), record, bound, &roster);
        found.into_iter().map(one).collect()
    };
    if bytes <= SMALL_BYTES_MAX {
        return all();
    }
    // What broke the cleaning once would break it again, so it is not tried again.
    tokio::task::spawn_blocking(all).await.unwrap_or_else(|error| {
        tracing::error!(%error, "payloads could not be cleaned; their records are lost");
        Vec::new()
    })
}

/// Whoever wrote to a spool that is only ours speaks as us; the hook's parent is who it was.
fn input(
    (uid, there): (u32, Option<&TargetId>),
    record: Record,
    bound: Bound,
    roster: &Roster,
) -> (Actor, Input) {
    let pid = record.chain.first().map(|it| it.pid);
    let event_id = intake::event_id(&record.id, there);
    let signal = Signal { event_id, ..intake::signal(record, bound, roster) };
    (Actor::Client { uid, pid }, Input::Spooled(Box::new(signal)))
}
