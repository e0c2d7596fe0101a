//! Answers to approvals: by the hook that waits, else by keys in the dialog that shows the request.
//!
//! No key is pressed unless the dialog on the screen is the one of the request, and the tmux
//! server checks lines of it in the same command that presses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agents::adapter::{Adapter, Reading, Surface};
use agents::dialog::Press;
use agents::reply::{self, Hold, Reply};
use agents::screen::Screen;
use engine::action::{Act, ActionRow, Failure, Outcome};
use engine::approval::ApprovalRow;
use engine::event::Actor;
use engine::ids::{AgentType, ApprovalId};
use engine::input::Input;
use engine::signal::Signal;
use engine::state::Claim;
use engine::words::{
    ActionProblem, Bearing, Choice, Confidence, Detail, Proof, Source, State, reason,
};
use tmux::act::{self, Objection, Said, Typing};

use super::Executors;
use crate::adapters;
use crate::follower::Follower;
use crate::observer::Reach;
use crate::replies::Delivery;

/// How long the agent may take to go on.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it is waited for what contradicts an answer that seems to have been taken, before it is
/// told as taken: who sits at the terminal may have been first.
const DOUBT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The same where the state speaks for the answer, and only what was done could speak against it.
const LIKELY_TIMEOUT: Duration = Duration::from_millis(400);

/// Whose answer an agent took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// Somebody gave another one before.
    Otherwise,
    /// Nothing tells one from the other.
    Unclear,
}

/// What an action answers, and how.
struct Given<'a> {
    approval: &'a ApprovalId,
    choice: Choice,
    option: Option<u32>,
    picks: &'a [Vec<u32>],
    has_message: bool,
}

fn given(row: &ActionRow) -> Option<Given<'_>> {
    match &row.act {
        Act::Respond { approval, choice, option, picks, message, .. } => Some(Given {
            approval,
            choice: *choice,
            option: *option,
            picks,
            has_message: message.is_some(),
        }),
        Act::Attach { .. }
        | Act::Send { .. }
        | Act::ViewOutput { .. }
        | Act::KillByKey
        | Act::KillBySignal { .. } => None,
    }
}

impl Given<'_> {
    /// Whether the agent's turn is over with it: a no without a word is one to all of it.
    fn ends_turn(&self) -> bool {
        self.choice == Choice::Deny && !self.has_message
    }
}

/// What an action has come to whose answer was given.
fn told(verdict: Verdict, proof: Proof) -> Outcome {
    match verdict {
        Verdict::Taken => Outcome::Done(proof),
        Verdict::Otherwise => {
            let message = "somebody answered otherwise in the terminal first";
            refused(ActionProblem::ApprovalClosed, message)
        }
        Verdict::Unclear => Outcome::NotConfirmed {
            proof,
            message: "the answer was given, and nothing tells that it was the one that counted"
                .to_owned(),
        },
    }
}

/// Whether nobody is asked any more.
fn is_over(follower: &Follower, approval: &ApprovalId) -> bool {
    follower.approval(approval).is_none_or(|it| it.left || !it.is_live())
}

/// The connection ended between the answer and the word that it was taken.
fn cut_off() -> Outcome {
    let message = "the connection was cut while the answer was on its way to the agent's hook; what \
        became of it is told here once it is known";
    Outcome::Unanswered { message: message.to_owned() }
}

fn refused(problem: ActionProblem, message: impl Into<String>) -> Outcome {
    Outcome::Refused(Failure::new(problem, message))
}

impl Executors {
    /// Delivers an answer, and waits for the agent to go on.
    pub(super) async fn respond(&self, row: &ActionRow, reach: &Reach) -> Outcome {
        let Some(given) = given(row) else {
            return refused(ActionProblem::Internal, "it is no answer");
        };
        let Some(asked) = self.approval(given.approval) else {
            return refused(ActionProblem::ApprovalClosed, "nobody is asked any more");
        };
        let agent = asked.agent.as_ref().map_or("", AgentType::as_str);
        if given.has_message && !reply::takes_word(agent, asked.asking.kind) {
            let message = "its agent takes no word with a denial of a question";
            return refused(ActionProblem::ChoiceNotOffered, message);
        }
        if let Some(hold) = self.lookout.replies().ready_for(given.approval, given.choice) {
            let message = self.outbox.read(&row.action);
            let (choice, option) = (given.choice, given.option);
            let reply = Reply { choice, option, picks: given.picks.to_vec(), message };
            match self.lookout.replies().give(given.approval, reply).await {
                Delivery::Taken => return self.taken(row, reach, &given, hold).await,
                Delivery::Unknown => {
                    self.report(row, cut_off(), Vec::new()).await;
                    return self.settle_response(row, reach, PROOF_TIMEOUT).await;
                }
                Delivery::Not => {}
            }
        }
        self.press(row, reach, &given, &asked).await
    }

    /// A hook took the answer. Where the dialog stands beside it, somebody may have been first.
    async fn taken(
        &self,
        row: &ActionRow,
        reach: &Reach,
        given: &Given<'_>,
        hold: Hold,
    ) -> Outcome {
        match hold {
            // Its dialog was never drawn, and nothing else tells that it goes on.
            Hold::Instead => {
                self.tell_answered(row, Confidence::High).await;
                Outcome::Done(Proof::Reply)
            }
            Hold::Beside => self.proven(row, reach, given, Proof::Reply).await,
        }
    }

    /// Tells the engine that nobody is asked any more, whoever said before that somebody is; where
    /// that was heard otherwise meanwhile, it is known better.
    async fn tell_answered(&self, row: &ActionRow, confidence: Confidence) {
        let waits = self.lookout.read(|follower| {
            let pane = follower.engine().pane_of(&row.runtime)?;
            (pane.state.state.bearing() == Bearing::Waiting).then_some(pane.state.version)
        });
        if waits.is_none() {
            return;
        }
        let claim = Claim { state: State::Running, reason: reason::ACTIVE.to_owned(), confidence };
        let at = self.lookout.clock().now().wall;
        let keys = (format!("answered-{}", row.action), format!("answered:{}", row.action));
        let event_type = "approval-answered".to_owned();
        let signal = Signal {
            action_id: Some(row.action.to_string()),
            claim: Some(claim),
            details: BTreeMap::from([(Detail::Ask, String::new())]),
            expects_version: waits,
            ..Signal::own(event_type, Source::Hook, keys, &row.runtime, at)
        };
        let told = self.deck.ask(Actor::Daemon, Input::Signalled(Box::new(signal))).await;
        if let Err(error) = told {
            tracing::debug!(action = %row.action, %error, "an answered hook was not told of");
        }
    }

    /// Presses the keys that answer the dialog, if it is the one of the request.
    async fn press(
        &self,
        row: &ActionRow,
        reach: &Reach,
        given: &Given<'_>,
        asked: &ApprovalRow,
    ) -> Outcome {
        if given.has_message {
            let message = "no hook waits, and the dialog takes no word with a denial";
            return refused(ActionProblem::ChoiceNotOffered, message);
        }
        if given.choice == Choice::Option
            && let Some(only) = asked.asking.terminal_only
        {
            let message = format!(
                "{}, no hook waits that can take them, and its dialog takes them from nobody but \
                 whoever sits at the terminal",
                only.why()
            );
            return refused(ActionProblem::ChoiceNotOffered, message);
        }
        let press = match self.dialog(row, reach, asked).await {
            Ok(Some(dialog)) if dialog.shows(&asked.asking) => {
                dialog.press(given.choice, given.option)
            }
            Ok(Some(_) | None) => {
                let message = "the pane shows no dialog that is certain to be of this request";
                return refused(ActionProblem::ApprovalChanged, message);
            }
            Err(outcome) => return outcome,
        };
        let Some(Press { keys, visible, lines }) = press else {
            let message = "the dialog in the pane does not offer this answer";
            return refused(ActionProblem::ChoiceNotOffered, message);
        };
        let keys = keys.iter().map(|key| key.parse()).collect::<Result<_, _>>();
        let Ok(keys) = keys else {
            return refused(ActionProblem::Internal, "the dialog names a key that is none");
        };
        let typing = Typing { keys, visible, lines, ..Typing::default() };
        let act = match self.typing(row, &typing) {
            Ok(act) => act,
            Err(error) => return refused(ActionProblem::TargetUnreachable, error.to_string()),
        };
        match self.ask(row, reach, &act).await {
            Ok(Said::Done) => self.proven(row, reach, given, Proof::Answer).await,
            Ok(Said::Refused(Objection::Passing)) => {
                let message = "the dialog changed before it could be answered";
                refused(ActionProblem::ApprovalChanged, message)
            }
            Ok(Said::Refused(objection)) => super::tmux::refused(row, objection),
            Err(Outcome::Done(proof)) => self.proven(row, reach, given, proof).await,
            Err(outcome) => outcome,
        }
    }

    /// The dialog that stands in the pane now.
    async fn dialog(
        &self,
        row: &ActionRow,
        reach: &Reach,
        asked: &ApprovalRow,
    ) -> Result<Option<agents::dialog::Dialog>, Outcome> {
        let dialog = |agent: &dyn Adapter, screen: &Screen| agent.dialog(screen);
        Ok(self.shown(row, reach, asked, dialog).await?.flatten())
    }

    /// Whether the pane shows that its agent waits for somebody, also where the dialog is one of
    /// which nothing more is known.
    async fn waits(
        &self,
        row: &ActionRow,
        reach: &Reach,
        asked: &ApprovalRow,
    ) -> Result<bool, Outcome> {
        let waits = |agent: &dyn Adapter, screen: &Screen| {
            let readings = agent.reads(&Surface { version: None, title: "", screen });
            readings.get(&Source::Screen).is_some_and(Reading::waits)
                || agent.dialog(screen).is_some()
        };
        Ok(self.shown(row, reach, asked, waits).await?.unwrap_or(false))
    }

    /// What the pane shows now to the adapter of its agent, where there is one.
    async fn shown<T>(
        &self,
        row: &ActionRow,
        reach: &Reach,
        asked: &ApprovalRow,
        look: impl FnOnce(&dyn Adapter, &Screen) -> T + Send,
    ) -> Result<Option<T>, Outcome> {
        let screen = adapters::screen(&self.capture(row, reach, None, true).await?);
        let roster = Arc::clone(&self.adapters.borrow());
        let agent = asked.agent.as_ref().and_then(|agent| roster.get(agent.as_str()));
        Ok(agent.map(|agent| look(agent, &screen)))
    }

    /// Waits until nobody is asked any more, and tells whether that is this answer's doing.
    async fn proven(
        &self,
        row: &ActionRow,
        reach: &Reach,
        given: &Given<'_>,
        proof: Proof,
    ) -> Outcome {
        let over = |follower: &Follower| is_over(follower, given.approval);
        let over = self.until(PROOF_TIMEOUT, over).await;
        if !over && let Some(asked) = self.approval(given.approval) {
            return match self.waits(row, reach, &asked).await {
                Ok(false) => {
                    // Nothing else may ever take back that somebody is waited for.
                    self.tell_answered(row, Confidence::Medium).await;
                    let verdict = if given.ends_turn() { Verdict::Unclear } else { Verdict::Taken };
                    told(verdict, proof)
                }
                Ok(true) => Outcome::NotConfirmed {
                    proof,
                    message: "the answer was given, and the dialog still stands".to_owned(),
                },
                Err(_) => Outcome::NotConfirmed {
                    proof,
                    message: "the answer was given, and the pane tells nothing of it".to_owned(),
                },
            };
        }
        told(self.verdict(row, given).await, proof)
    }

    /// Whose answer it was, now that nobody is asked any more. What was done was permitted, and a
    /// turn that was broken off was not. A no without a word ends the turn wherever it is taken, so
    /// where the turn goes on, or ends by itself, nobody can say that it was.
    async fn verdict(&self, row: &ActionRow, given: &Given<'_>) -> Verdict {
        let known = |follower: &Follower| {
            follower.approval(given.approval).is_none_or(|it| it.outcome.is_some())
        };
        let works = |follower: &Follower| {
            let pane = follower.engine().pane_of(&row.runtime);
            pane.is_some_and(|pane| pane.state.state.bearing() == Bearing::Busy)
        };
        let is_no = given.choice == Choice::Deny;
        if given.ends_turn() {
            self.until(PROOF_TIMEOUT, |follower| known(follower) || !works(follower)).await;
        }
        // What was permitted and done may be told a little later than that the turn is over.
        let doubt = if is_no || !self.lookout.read(works) { DOUBT_TIMEOUT } else { LIKELY_TIMEOUT };
        self.until(doubt, known).await;
        let outcome = self.approval(given.approval).and_then(|it| it.outcome);
        match outcome {
            Some(known) if known.differs_from(given.choice) => Verdict::Otherwise,
            Some(_) => Verdict::Taken,
            None if given.ends_turn() => Verdict::Unclear,
            None => Verdict::Taken,
        }
    }

    /// Finds out what became of an answer that a daemon before this one, or one over a connection
    /// that was cut, may have begun to give. An agent that took it may need `limit` to show that.
    pub(super) async fn settle_response(
        &self,
        row: &ActionRow,
        reach: &Reach,
        limit: Duration,
    ) -> Outcome {
        let Some(given) = given(row) else {
            return refused(ActionProblem::Internal, "it is no answer");
        };
        match self.look(row, reach).await {
            Outcome::Done(proof) => self.proven(row, reach, &given, proof).await,
            // No key was pressed.
            Outcome::Failed(failure) => {
                if self.until(limit, |follower| is_over(follower, given.approval)).await {
                    let message = "it was cut off meanwhile, and nobody is asked any more";
                    return Outcome::Unknown { message: message.to_owned() };
                }
                // A hook may have taken it, unless the dialog stands that it was to answer.
                let hooked = |it: &ApprovalRow| it.source == Source::Hook;
                if let Some(asked) = self.approval(given.approval).filter(hooked)
                    && !self.still_shows(row, reach, &asked).await
                {
                    let message = "it was cut off meanwhile, and the dialog is not there any more";
                    return Outcome::Unknown { message: message.to_owned() };
                }
                Outcome::Failed(failure)
            }
            outcome @ (Outcome::NotConfirmed { .. }
            | Outcome::Refused(_)
            | Outcome::Busy { .. }
            | Outcome::Unknown { .. }
            | Outcome::Unanswered { .. }) => outcome,
        }
    }

    /// Whether the dialog of just this request stands in the pane.
    async fn still_shows(&self, row: &ActionRow, reach: &Reach, asked: &ApprovalRow) -> bool {
        let dialog = self.dialog(row, reach, asked).await.ok().flatten();
        dialog.is_some_and(|dialog| dialog.shows(&asked.asking))
    }

    fn approval(&self, approval: &ApprovalId) -> Option<ApprovalRow> {
        self.lookout.read(|follower| follower.approval(approval).cloned())
    }

    /// Waits until something holds; `false` if it did not in time.
    async fn until(&self, limit: Duration, holds: impl Fn(&Follower) -> bool) -> bool {
        let mut publications = self.lookout.publications();
        let waiting = async {
            while !self.lookout.read(&holds) {
                if publications.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(false)
    }

    fn typing(&self, row: &ActionRow, typing: &Typing) -> Result<act::Act, super::tmux::NotTried> {
        let nonce = super::tmux::nonce(row).ok_or(super::tmux::NotTried::Server)?;
        let version = self.version(row).ok_or(super::tmux::NotTried::Server)?;
        Ok(act::Act::typing(nonce, super::tmux::expected(row)?, typing, &version)?)
    }
}
