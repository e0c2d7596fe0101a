//! What acts and answers come to: the invariants I3 to I5, on what the journal tells of them and on
//! what the made-up processes truly received.
//!
//! | id | what must hold |
//! |---|---|
//! | I3 | one request is one action; no part of it is done twice; it ends once, as what happened |
//! | I4 | what is typed or signalled reaches the process that its action named |
//! | I5 | nothing is decided but by an answer to just this request, once, while it waited |

use std::collections::{BTreeMap, BTreeSet};

use engine::Engine;
use engine::action::{Act, ActionRow};
use engine::approval::{ApprovalRow, Asked, Asking};
use engine::ids::{ActionId, ApprovalId, BootId, RuntimeId};
use engine::input::{Refusal, Reply, Request};
use engine::limits;
use engine::pane::{PaneRow, ProcessIdentity};
use engine::signal::EventRow;
use engine::time::Now;
use engine::words::{ActionKind, ApprovalState, Choice, Phase};

use super::check::{Checked, violated};

/// What of an action reaches a pane by a command of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// All of it, or the text of a prompt.
    Deed,
    /// The keys behind the text of a prompt.
    Keys,
}

/// What a process received.
#[derive(Clone, Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) action: &'a ActionId,
    pub(crate) part: Part,
    pub(crate) boot: BootId,
    /// Who received it: the pane's own process, or the one that was signalled.
    pub(crate) process: ProcessIdentity,
}

/// Who lived where an action goes when it was asked for.
#[derive(Clone, Debug)]
struct Meant {
    boot: BootId,
    pane: ProcessIdentity,
    /// The agent's process, or the pane's where there is none.
    own: ProcessIdentity,
}

/// One action: as it was told last, and what of it was done.
#[derive(Clone, Debug)]
struct Known {
    row: ActionRow,
    meant: Option<Meant>,
    done: BTreeSet<Part>,
}

/// Everything that the journal told of acts and approvals, and what was received.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    acts: BTreeMap<ActionId, Known>,
    names: BTreeMap<(ActionKind, String), ActionId>,
    approvals: BTreeMap<ApprovalId, ApprovalRow>,
    /// What agents told to have done, by runtime.
    told_done: BTreeSet<(RuntimeId, String)>,
    /// The action by which an agent was given an answer, by request.
    given: BTreeMap<String, ActionId>,
}

impl Deeds {
    /// Takes one row that tells of an action; `view` is what was known before it.
    pub(crate) fn take(&mut self, row: &ActionRow, view: &Engine) -> Checked {
        let id = &row.action;
        let before = self.acts.get(id).map(|known| known.row.clone());
        match &before {
            None => self.begin(row, view)?,
            Some(before) if !before.is_open() => {
                return violated("I3", format!("{id} goes on after it was {}", before.phase));
            }
            Some(before) if nature(before) != nature(row) => {
                return violated("I3", format!("{id} became another action"));
            }
            Some(before) if before.phase == Phase::Unknown && row.is_open() => {
                return violated("I3", format!("{id} is told as open a second time"));
            }
            Some(_) => {}
        }
        if row.is_under_way() {
            if before.is_some_and(|before| before.is_under_way()) {
                return violated("I3", format!("{id} is handed out twice"));
            }
            self.check_turn(row)?;
        }
        if !row.is_open() {
            self.check_end(row)?;
        }
        if let Some(known) = self.acts.get_mut(id) {
            known.row = row.clone();
            // While it waited, the agent of this same life may have been recognised.
            let lives = view.pane_of(&row.runtime).filter(|_| row.is_open());
            if let (Some(meant), Some(pane)) = (&mut known.meant, lives) {
                meant.own = own_process(pane);
            }
        }
        Ok(())
    }

    fn begin(&mut self, row: &ActionRow, view: &Engine) -> Checked {
        let name = (row.act.kind(), row.request_ref.clone());
        if let Some(other) = self.names.insert(name, row.action.clone()) {
            return violated("I3", format!("{} and {other} are one request", row.action));
        }
        let meant = view.pane_of(&row.runtime).map(|pane| Meant {
            boot: pane.boot.clone(),
            pane: pane.facts.process,
            own: own_process(pane),
        });
        let known = Known { row: row.clone(), meant, done: BTreeSet::new() };
        self.acts.insert(row.action.clone(), known);
        Ok(())
    }

    /// An action is handed out: alone in its pane, and an answer only while it is waited for.
    fn check_turn(&self, row: &ActionRow) -> Checked {
        let beside = |it: &&Known| {
            it.row.action != row.action
                && it.row.pane == row.pane
                && it.row.is_under_way()
                && it.row.act.is_exclusive()
        };
        if row.act.is_exclusive()
            && let Some(other) = self.acts.values().find(beside)
        {
            return violated("I3", format!("{} overtakes {}", row.action, other.row.action));
        }
        let Act::Respond { approval, fingerprint, choice, option, picks, .. } = &row.act else {
            return Ok(());
        };
        let Some(asked) = self.approvals.get(approval) else {
            return violated("I5", format!("{} answers what nobody asked", row.action));
        };
        let mine = asked.answer.as_ref().is_some_and(|answer| answer.action == row.action);
        let waits = match asked.state {
            ApprovalState::Waiting => true,
            ApprovalState::Answering => mine,
            ApprovalState::Answered
            | ApprovalState::AnsweredInTerminal
            | ApprovalState::Replaced
            | ApprovalState::Expired
            | ApprovalState::Gone => false,
        };
        let fits = *fingerprint == asked.fingerprint
            && asked.runtime == row.runtime
            && asked.asking.misfit(*choice, *option, picks).is_none();
        if !waits || !fits || row.by.may_be_agent() {
            let detail = format!("{} by {} is an answer to {asked:?}", row.action, row.by);
            return violated("I5", detail);
        }
        Ok(())
    }

    /// An action ended: what is told of it is what happened.
    fn check_end(&self, row: &ActionRow) -> Checked {
        let done = self.acts.get(&row.action).map(|known| known.done.clone()).unwrap_or_default();
        let reaches = row.act.kind() != ActionKind::ViewOutput;
        let honest = match row.phase {
            Phase::Pending => false,
            Phase::Completed | Phase::NotConfirmed => !reaches || done.contains(&Part::Deed),
            Phase::Refused | Phase::Failed | Phase::Cancelled => done.is_empty(),
            Phase::Unknown => true,
        };
        if honest {
            return Ok(());
        }
        violated("I3", format!("{} is told as {}, and was done: {done:?}", row.action, row.phase))
    }

    /// A process received a part of an action; gives whether it was another one under the same
    /// number, which the tmux server cannot tell apart.
    pub(crate) fn deliver(&mut self, it: &Delivery<'_>) -> Result<bool, super::Violation> {
        let Some(known) = self.acts.get_mut(it.action) else {
            return violated("I4", format!("something was typed that no action names: {it:?}"));
        };
        if !known.done.insert(it.part) {
            return violated("I3", format!("{it:?} was done twice"));
        }
        if !known.row.is_open() && known.row.phase != Phase::Unknown {
            let detail = format!("{it:?} was done after it was told as {}", known.row.phase);
            return violated("I3", detail);
        }
        let Some(meant) = &known.meant else {
            return violated("I4", format!("{it:?} named a runtime that did not live"));
        };
        let signalled = known.row.act.kind() == ActionKind::Kill && it.process.pid == meant.own.pid;
        let same = it.process.same_process(&meant.pane)
            || signalled && it.process.same_process(&meant.own);
        let came_round = it.process.pid == meant.pane.pid && !same;
        if it.boot != meant.boot || !same && !came_round {
            return violated("I4", format!("{it:?} reached another process than {meant:?}"));
        }
        Ok(came_round)
    }

    /// Whether an approval is to just this.
    pub(crate) fn asks(&self, approval: &ApprovalId, shown: &Asking) -> bool {
        self.approvals.get(approval).is_some_and(|it| it.asking.deed() == shown.deed())
    }

    /// An agent was given an answer.
    pub(crate) fn decide(&mut self, row: &ActionRow, request: &str, fingerprint: &str) -> Checked {
        if let Some(other) = self.given.insert(request.to_owned(), row.action.clone()) {
            let detail = format!("{request} was answered by {other} and by {}", row.action);
            return violated("I5", detail);
        }
        let Act::Respond { approval, fingerprint: meant, .. } = &row.act else {
            return violated("I5", format!("{} decides and is no answer", row.action));
        };
        let asked = self.approvals.get(approval);
        let accepted = asked.and_then(|asked| asked.answer.as_ref());
        if meant == fingerprint && accepted.is_some_and(|answer| answer.action == row.action) {
            return Ok(());
        }
        violated("I5", format!("{request} was decided by {row:?}, which answers {asked:?}"))
    }

    /// Takes one row that tells of an approval.
    pub(crate) fn take_approval(&mut self, row: &ApprovalRow) -> Checked {
        let before = self.approvals.insert(row.approval.clone(), row.clone());
        if let Some(before) = &before {
            if !before.is_open() || !may_follow(before, row) {
                let detail = format!("{} was {before:?} and becomes {row:?}", row.approval);
                return violated("I5", detail);
            }
            if before.asking.deed() == row.asking.deed() && before.fingerprint != row.fingerprint {
                return violated("I5", format!("{} asks something else", row.approval));
            }
        }
        let was = before.and_then(|before| before.outcome);
        let is_yes = |choice: Choice| choice != Choice::Deny;
        if row.outcome.is_some_and(is_yes) && row.outcome != was && !self.is_permitted(row) {
            return violated("I5", format!("nobody permitted {row:?}"));
        }
        Ok(())
    }

    /// Whether somebody said yes to it, or it is known to have been done.
    fn is_permitted(&self, row: &ApprovalRow) -> bool {
        let answer = row.answer.as_ref();
        let action = answer.and_then(|answer| self.acts.get(&answer.action));
        let answered = action.is_some_and(|known| {
            known.row.phase == Phase::Completed && known.done.contains(&Part::Deed)
        });
        let (runtime, deed) = (row.runtime.clone(), row.asking.deed());
        answered && answer.map(|it| it.choice) == row.outcome
            || self.told_done.contains(&(runtime, deed))
    }

    /// Takes one event that may tell that something was done.
    pub(crate) fn hear(&mut self, row: &EventRow) {
        if let Some(Asked::Done { deed }) = &row.signal.asked {
            self.told_done.insert((row.runtime.clone(), deed.clone()));
        }
    }

    /// What somebody was told who asked for something, against what the journal says.
    pub(crate) fn answered(
        &self,
        asked: &Request,
        result: &Result<Reply, Refusal>,
        engine: &Engine,
        now: Now,
    ) -> Checked {
        match (asked, result) {
            (Request::Act(asked), Ok(Reply::Action(row))) => {
                let name = (asked.act.kind(), asked.request_ref.clone());
                if self.names.get(&name) != Some(&row.action)
                    || row.fingerprint != asked.fingerprint
                {
                    return violated("I3", format!("{asked:?} is answered with {row:?}"));
                }
                // What was accepted just now waited no longer than it may.
                let Act::Respond { approval, .. } = &asked.act else { return Ok(()) };
                let late = engine.approval(approval).filter(|it| {
                    it.answer.as_ref().is_some_and(|answer| answer.action == asked.action)
                        && it.state == ApprovalState::Answering
                        && it.opened.plus(limits::APPROVAL_TTL_MS) <= now.mono
                });
                match late {
                    Some(late) => violated("I5", format!("an answer came too late for {late:?}")),
                    None => Ok(()),
                }
            }
            (Request::Act(asked), Err(Refusal::ActionConflict { action, .. })) => {
                let known = self.acts.get(action);
                match known.filter(|known| known.row.fingerprint == asked.fingerprint) {
                    Some(_) => violated("I3", format!("{asked:?} is refused as another")),
                    None => Ok(()),
                }
            }
            (Request::Cancel { action, .. }, Ok(Reply::Action(row))) => {
                let known = self.acts.get(action).map(|known| known.row.phase);
                if row.phase == Phase::Cancelled && known == Some(Phase::Cancelled) {
                    return Ok(());
                }
                violated("I3", format!("{action} is told as taken back and is {known:?}"))
            }
            (
                Request::Act(_)
                | Request::Cancel { .. }
                | Request::AddTarget { .. }
                | Request::RemoveTarget { .. }
                | Request::ConnectTarget { .. }
                | Request::DisconnectTarget { .. }
                | Request::SetAdapter(_)
                | Request::CreateToken(_)
                | Request::RevokeToken { .. }
                | Request::UseToken(_)
                | Request::Deny(_),
                _,
            ) => Ok(()),
        }
    }

    /// I3: whatever is under way has somebody who is at it.
    pub(crate) fn all_attended(&self, attends: impl Fn(&ActionId) -> bool) -> Checked {
        let left = |it: &&Known| it.row.is_under_way() && !attends(&it.row.action);
        match self.acts.values().find(left) {
            Some(known) => violated("I3", format!("nobody is at {:?}", known.row)),
            None => Ok(()),
        }
    }
}

/// The process of whatever lives in a pane: the agent, where one is recognised.
fn own_process(pane: &PaneRow) -> ProcessIdentity {
    pane.facts.agent.as_ref().map_or(pane.facts.process, |agent| agent.process)
}

/// What of an action never changes.
fn nature(row: &ActionRow) -> (&str, &str, &RuntimeId, &Act, &str) {
    (&row.request_ref, &row.fingerprint, &row.runtime, &row.act, &row.snapshot.nonce)
}

/// The table of `docs/design/approvals.md`, column by column.
fn may_follow(before: &ApprovalRow, row: &ApprovalRow) -> bool {
    use ApprovalState::{
        Answered, AnsweredInTerminal, Answering, Expired, Gone, Replaced, Waiting,
    };
    match (before.state, row.state) {
        (Waiting, Waiting | Answering | AnsweredInTerminal | Replaced | Expired | Gone)
        | (Answering, Waiting | Answering | Answered | AnsweredInTerminal | Gone)
        | (Answered, Answered | AnsweredInTerminal)
        | (AnsweredInTerminal, AnsweredInTerminal | Waiting)
        | (Replaced, Replaced)
        | (Expired, Expired)
        | (Gone, Gone) => true,
        (Waiting, Answered)
        | (Answering, Replaced | Expired)
        | (Answered, Waiting | Answering | Replaced | Expired | Gone)
        | (AnsweredInTerminal, Answering | Answered | Replaced | Expired | Gone)
        | (Replaced, Waiting | Answering | Answered | AnsweredInTerminal | Expired | Gone)
        | (Expired, Waiting | Answering | Answered | AnsweredInTerminal | Replaced | Gone)
        | (Gone, Waiting | Answering | Answered | AnsweredInTerminal | Replaced | Expired) => false,
    }
}
