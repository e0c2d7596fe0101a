//! The executors' stand-in: what the engine hands out is done in small steps, and the daemon may die
//! between any two.
//!
//! What a tmux server was told outlives the daemon that told it. The server checks what the product
//! has it check (itself, pane and process, foreground command, the time) and leaves its trace on the
//! pane; a daemon that starts looks for it. How the product spells that command is for the tests of
//! `tmux::act` and for the wrong-pane machine.

use std::collections::{BTreeMap, BTreeSet};

use engine::action::{Act, ActionRow, Failure, Outcome};
use engine::approval::Asking;
use engine::ids::{ActionId, EventId, TargetId};
use engine::input::{Effect, Input};
use engine::pane::ProcessIdentity;
use engine::words::{ActionProblem, Choice, Proof};

use super::Violation;
use super::check::Checked;
use super::clock::Clock;
use super::deeds::{Deeds, Delivery, Part};
use super::fake::host::Host;
use super::fake::server::Server;
use super::questions::Questions;
use super::rng::Rng;
use super::sight;
use super::tally::Tally;
use super::voices::Voices;

/// A tmux server as whoever acts reaches it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct There<'a> {
    pub(crate) server: &'a Server,
    pub(crate) host: &'a Host,
    /// It answers nobody now.
    pub(crate) hung: bool,
}

/// Everything that a step depends on or tells.
pub(crate) struct With<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) clock: &'a Clock,
    pub(crate) deeds: &'a mut Deeds,
    pub(crate) questions: &'a mut Questions,
    pub(crate) voices: &'a mut Voices,
    pub(crate) tally: &'a mut Tally,
    /// Targets that nothing gets to now.
    pub(crate) cut: BTreeSet<TargetId>,
}

/// An action on its way.
#[derive(Clone, Debug)]
struct Errand {
    row: ActionRow,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Begun,
    /// The server was told this part, under this number.
    Told(Part, u64),
    /// It is looked what became of it.
    Looking,
    /// This is to be reported.
    Over(Outcome),
}

/// A command that a server was told.
#[derive(Clone, Debug)]
struct Command {
    number: u64,
    row: ActionRow,
    part: Part,
    /// The way there was cut behind it: it is there, and nobody hears what is said to it.
    is_left: bool,
}

/// A pane of one life of a server.
type Place = (TargetId, u32, i64, u32);

#[derive(Debug, Default)]
pub(crate) struct Executors {
    errands: Vec<Errand>,
    pipes: Vec<Command>,
    /// What servers said to what they were told: whether it was done.
    answers: BTreeMap<u64, bool>,
    traces: BTreeMap<Place, BTreeSet<(String, Part)>>,
    told: u64,
}

impl Executors {
    /// Begins with what the engine wants done.
    pub(crate) fn take(&mut self, effect: &Effect) {
        let (row, stage) = match effect {
            Effect::Act(row) => (row, Stage::Begun),
            Effect::Settle(row) => (row, Stage::Looking),
            Effect::Observe(_)
            | Effect::Forget(_)
            | Effect::Leave(_)
            | Effect::Rescan(_)
            | Effect::Connect(_) => return,
        };
        self.errands.push(Errand { row: (**row).clone(), stage });
    }

    /// The daemon died. What it wrote into a pipe is read there, or was not written.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        self.errands.clear();
        self.answers.clear();
        self.pipes.retain(|_| rng.permille(600));
    }

    /// The way to a target was cut. What it was told is there, or never comes; what it said may be
    /// lost as well.
    pub(crate) fn lose(&mut self, target: &TargetId, rng: &mut Rng) {
        self.pipes.retain_mut(|command| {
            let is_its = command.row.pane.target == *target;
            command.is_left |= is_its;
            !is_its || rng.permille(600)
        });
        for errand in self.errands.iter().filter(|it| it.row.pane.target == *target) {
            if let Stage::Told(_, number) = errand.stage
                && rng.permille(500)
            {
                self.answers.remove(&number);
            }
        }
    }

    /// Whether somebody is at an action.
    pub(crate) fn attends(&self, action: &ActionId) -> bool {
        self.errands.iter().any(|errand| errand.row.action == *action)
    }

    /// Servers work off what they were told, before anything becomes of the clock.
    pub(crate) fn drain<'a>(
        &mut self,
        with: &mut With<'_>,
        reach: &impl Fn(&TargetId) -> Option<There<'a>>,
    ) -> Checked {
        while !self.pipes.is_empty() {
            self.serve(0, with, reach)?;
        }
        Ok(())
    }

    /// One thing happens: a server does what it was told, or an errand goes on. Gives what is to be
    /// reported; it is reported again until [`Self::reported`].
    pub(crate) fn step<'a>(
        &mut self,
        with: &mut With<'_>,
        reach: &impl Fn(&TargetId) -> Option<There<'a>>,
    ) -> Result<Option<Input>, Violation> {
        if !self.pipes.is_empty() && with.rng.permille(500) {
            let index = with.rng.below(self.pipes.len());
            let Command { row, is_left, .. } = &self.pipes[index];
            let hung = reach(&row.pane.target).is_some_and(|it| it.hung);
            if !hung && (*is_left || !with.cut.contains(&row.pane.target)) {
                self.serve(index, with, reach)?;
            }
            return Ok(None);
        }
        if self.errands.is_empty() {
            return Ok(None);
        }
        let index = with.rng.below(self.errands.len());
        let errand = self.errands[index].clone();
        let there = reach(&errand.row.pane.target);
        let stage = match errand.stage {
            Stage::Begun => self.begin(&errand.row, there, with)?,
            Stage::Told(part, number) => self.hear(&errand.row, part, number, there, with),
            Stage::Looking => self.look(&errand.row, there, with),
            Stage::Over(outcome) => {
                let (action, steps) = (errand.row.action, Vec::new());
                return Ok(Some(Input::Acted { action, outcome, steps }));
            }
        };
        self.errands[index].stage = stage;
        Ok(None)
    }

    /// A report was stored.
    pub(crate) fn reported(&mut self, input: &Input) {
        let Input::Acted { action, outcome, .. } = input else { return };
        let is_it = |it: &Errand| it.row.action == *action && matches!(it.stage, Stage::Over(_));
        let Some(index) = self.errands.iter().position(is_it) else { return };
        if matches!(outcome, Outcome::Unanswered { .. }) {
            self.errands[index].stage = Stage::Looking;
        } else {
            self.errands.remove(index);
        }
    }

    fn begin(
        &mut self,
        row: &ActionRow,
        there: Option<There<'_>>,
        with: &mut With<'_>,
    ) -> Result<Stage, Violation> {
        let there = there.filter(|_| !with.cut.contains(&row.pane.target));
        let Some(there) = there else {
            return Ok(over_failed(ActionProblem::TargetUnreachable));
        };
        match &row.act {
            Act::ViewOutput { .. } => Ok(Stage::Over(Outcome::Done(Proof::Answer))),
            Act::KillBySignal { .. } => {
                let process = row.snapshot.process;
                let lives = there.host.identity(process.pid);
                if !lives.is_some_and(|it| it.same_process(&process)) {
                    return Ok(over_refused(ActionProblem::RuntimeStale));
                }
                // The number of a process means one on this machine, whatever server it is below.
                deliver(row, Part::Deed, row.snapshot.process, with)?;
                Ok(Stage::Over(Outcome::Done(Proof::Signal)))
            }
            Act::Respond { choice, .. } => self.respond(row, *choice, &there, with),
            Act::Send { .. } if row.snapshot.agent.is_some() && with.rng.permille(250) => {
                let message = "somebody's draft".to_owned();
                Ok(Stage::Over(Outcome::Busy { message }))
            }
            Act::Send { .. } | Act::Attach { .. } | Act::KillByKey => {
                Ok(self.tell(row, Part::Deed))
            }
        }
    }

    /// An answer goes to the hook that waits, else by keys into the dialog of just that request.
    fn respond(
        &mut self,
        row: &ActionRow,
        choice: Choice,
        there: &There<'_>,
        with: &mut With<'_>,
    ) -> Result<Stage, Violation> {
        let Some(shown) = with.questions.shown(&row.pane.target, row.pane.pane.0, there) else {
            return Ok(over_refused(ActionProblem::ApprovalChanged));
        };
        if !is_meant(row, &shown.asking, with.deeds) {
            return Ok(over_refused(ActionProblem::ApprovalChanged));
        }
        if !shown.hook_waits {
            return Ok(self.tell(row, Part::Deed));
        }
        let event = shown.event.clone();
        let Some(pane) = there.server.panes.get(&row.pane.pane.0) else {
            return Ok(over_refused(ActionProblem::ApprovalChanged));
        };
        let process = there.host.identity(pane.pid).unwrap_or_default();
        deliver(row, Part::Deed, process, with)?;
        decide(row, choice, &event, with)?;
        Ok(Stage::Over(Outcome::Done(Proof::Reply)))
    }

    fn tell(&mut self, row: &ActionRow, part: Part) -> Stage {
        self.told += 1;
        let row = row.clone();
        self.pipes.push(Command { number: self.told, row, part, is_left: false });
        Stage::Told(part, self.told)
    }

    /// What a server said, or did not.
    fn hear(
        &mut self,
        row: &ActionRow,
        part: Part,
        number: u64,
        there: Option<There<'_>>,
        with: &mut With<'_>,
    ) -> Stage {
        let is_cut = with.cut.contains(&row.pane.target);
        let said = if is_cut { None } else { self.answers.remove(&number) };
        match (said, part) {
            (Some(true), Part::Deed) if row.has_two_steps() => self.tell(row, Part::Keys),
            (Some(true), _) if with.rng.permille(100) => not_confirmed(),
            (Some(true), _) => Stage::Over(Outcome::Done(Proof::Answer)),
            (Some(false), Part::Deed) => over_refused(ActionProblem::RuntimeStale),
            (Some(false), Part::Keys) => not_confirmed(),
            (None, _) if !is_cut && there.is_none_or(|there| boot_differs(row, &there)) => {
                let message = "its server is gone".to_owned();
                Stage::Over(Outcome::Unknown { message })
            }
            (None, _) if is_past(row, with.clock) => {
                let message = "the server does not answer".to_owned();
                Stage::Over(Outcome::Unanswered { message })
            }
            (None, _) => Stage::Told(part, number),
        }
    }

    /// Looks what became of an act that was begun by whoever was there before.
    fn look(&mut self, row: &ActionRow, there: Option<There<'_>>, with: &mut With<'_>) -> Stage {
        if !row.is_issued() {
            return over_failed(ActionProblem::Interrupted);
        }
        let unknown = || Stage::Over(Outcome::Unknown { message: "nothing tells".to_owned() });
        match &row.act {
            Act::ViewOutput { .. } => return over_failed(ActionProblem::Interrupted),
            Act::KillBySignal { .. } => return unknown(),
            Act::Attach { .. } | Act::Send { .. } | Act::KillByKey | Act::Respond { .. } => {}
        }
        if with.cut.contains(&row.pane.target) {
            return Stage::Looking;
        }
        let Some(there) = there else { return unknown() };
        let pane = there.server.panes.get(&row.pane.pane.0);
        let stays = pane.is_some_and(|it| it.pid == row.snapshot.pane_pid && it.dead.is_none());
        if boot_differs(row, &there) || !stays {
            return unknown();
        }
        if there.hung {
            return Stage::Looking;
        }
        let traces = self.traces.get(&place(row, there.server));
        let left = |part| traces.is_some_and(|it| it.contains(&(row.snapshot.nonce.clone(), part)));
        let past = is_past(row, with.clock);
        match (left(Part::Keys), left(Part::Deed)) {
            (true, _) if with.rng.permille(500) => not_confirmed(),
            (true, _) => Stage::Over(Outcome::Done(Proof::Trace)),
            (false, true) if !row.has_two_steps() => Stage::Over(Outcome::Done(Proof::Trace)),
            (false, true) if past => not_confirmed(),
            (false, false) if past => {
                let asked = with.questions.shown(&row.pane.target, row.pane.pane.0, &there);
                let is_answer = matches!(row.act, Act::Respond { .. });
                // A hook may have taken it, unless the dialog still stands.
                if is_answer && !asked.is_some_and(|shown| is_meant(row, &shown.asking, with.deeds))
                {
                    unknown()
                } else if row.is_queued() {
                    // Nothing was done, so it waits on.
                    Stage::Over(Outcome::Busy { message: "it was cut off".to_owned() })
                } else {
                    over_failed(ActionProblem::Interrupted)
                }
            }
            (false, _) => Stage::Looking,
        }
    }

    /// A server does what it was told, if what it checks still holds.
    fn serve<'a>(
        &mut self,
        index: usize,
        with: &mut With<'_>,
        reach: &impl Fn(&TargetId) -> Option<There<'a>>,
    ) -> Checked {
        let Command { number, row, part, is_left } = self.pipes.remove(index);
        let Some(there) = reach(&row.pane.target).filter(|there| !boot_differs(&row, there)) else {
            return Ok(());
        };
        let shown = with.questions.shown(&row.pane.target, row.pane.pane.0, &there);
        let dialog = shown.filter(|shown| is_meant(&row, &shown.asking, with.deeds));
        let event = dialog.map(|shown| shown.event.clone());
        let answers = match row.act {
            Act::Respond { .. } => event.is_some(),
            Act::Attach { .. }
            | Act::Send { .. }
            | Act::ViewOutput { .. }
            | Act::KillByKey
            | Act::KillBySignal { .. } => true,
        };
        let seen = sight::pane(there.server, there.host, row.pane.pane.0);
        let holds = seen.filter(|facts| {
            facts.process.pid == row.snapshot.pane_pid
                && !facts.dead
                && (!facts.in_mode || row.has_two_steps())
                && facts.command == row.snapshot.command
                && answers
                && !is_past(&row, with.clock)
        });
        if !is_left {
            self.answers.insert(number, holds.is_some());
        }
        let Some(facts) = holds else { return Ok(()) };
        deliver(&row, part, facts.process, with)?;
        let trace = (row.snapshot.nonce.clone(), part);
        self.traces.entry(place(&row, there.server)).or_default().insert(trace);
        if let (Act::Respond { choice, .. }, Some(event)) = (&row.act, event) {
            return decide(&row, *choice, &event, with);
        }
        Ok(())
    }
}

/// Something reaches a process.
fn deliver(row: &ActionRow, part: Part, process: ProcessIdentity, with: &mut With<'_>) -> Checked {
    let boot = row.snapshot.boot.clone();
    let delivery = Delivery { action: &row.action, part, boot, process };
    with.tally.count("act done");
    if with.deeds.deliver(&delivery)? {
        with.tally.count("done to another process of the same number");
    }
    Ok(())
}

/// An agent takes an answer.
fn decide(row: &ActionRow, choice: Choice, event: &EventId, with: &mut With<'_>) -> Checked {
    let Some(question) = with.questions.get(event) else { return Ok(()) };
    let (request, fingerprint) = (event.to_string(), question.asking.fingerprint(&row.runtime));
    with.deeds.decide(row, &request, &fingerprint)?;
    with.tally.count("answer given");
    with.questions.decide(with.rng, event, choice, with.clock, with.voices);
    Ok(())
}

/// Whether a dialog is the one of the request that an action answers.
fn is_meant(row: &ActionRow, shown: &Asking, deeds: &Deeds) -> bool {
    match &row.act {
        Act::Respond { approval, .. } => deeds.asks(approval, shown),
        Act::Attach { .. }
        | Act::Send { .. }
        | Act::ViewOutput { .. }
        | Act::KillByKey
        | Act::KillBySignal { .. } => false,
    }
}

/// Whether the server does it no more, by its clock.
fn is_past(row: &ActionRow, clock: &Clock) -> bool {
    let until = row.until_s.and_then(|it| i64::try_from(it).ok()).unwrap_or(0);
    clock.wall_seconds() >= until
}

fn boot_differs(row: &ActionRow, there: &There<'_>) -> bool {
    sight::boot_id(there.server, there.host) != row.snapshot.boot
}

fn place(row: &ActionRow, server: &Server) -> Place {
    (row.pane.target.clone(), server.pid, server.started_ns, row.pane.pane.0)
}

fn over_refused(problem: ActionProblem) -> Stage {
    Stage::Over(Outcome::Refused(Failure::new(problem, "so it is")))
}

fn over_failed(problem: ActionProblem) -> Stage {
    Stage::Over(Outcome::Failed(Failure::new(problem, "so it is")))
}

fn not_confirmed() -> Stage {
    let message = "nothing proves it".to_owned();
    Stage::Over(Outcome::NotConfirmed { proof: Proof::Answer, message })
}
