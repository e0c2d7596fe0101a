//! Taking back what was asked for and not begun, such as a prompt that waits for its agent.
//!
//! The engine hands an act out in the step in which it decides that its turn has come, so what it
//! has not handed out nobody has begun: an action is either cancelled or done, never both.

use crate::acting::ended;
use crate::action::{Act, ActionRow, Failure};
use crate::engine::Engine;
use crate::event::Actor;
use crate::ids::ActionId;
use crate::input::{Decision, Input, Refusal, Reply};
use crate::past::Past;
use crate::time::Now;
use crate::words::{ActionProblem, FromAgents, Phase};

impl Engine {
    /// Ends an action that waits. Asked again, it is the same end.
    pub(crate) fn cancel(
        &self,
        now: Now,
        action: &ActionId,
        by: &Actor,
        past: &dyn Past,
    ) -> Decision {
        let known = self.actions.get(action).cloned();
        let Some(mut row) = known.or_else(|| past.action(action)) else {
            return Decision::refuse(Refusal::ActionUnknown(action.clone()));
        };
        if let Some(why) = self.keeps_from(by, &row) {
            return Decision::refuse(Refusal::Forbidden(why));
        }
        if row.phase == Phase::Cancelled {
            return Decision { reply: Ok(Reply::Action(Box::new(row))), ..Decision::default() };
        }
        if !row.waits() {
            return Decision::refuse(Refusal::TooLate { action: row.action, phase: row.phase });
        }
        let message = format!("it was taken back before it was begun, by {by}");
        row.cancelled_by = Some(by.clone());
        let then = vec![Input::Resumed(row.pane.clone())];
        let end = (Phase::Cancelled, Failure::new(ActionProblem::Cancelled, message));
        Decision { then, ..ended(row, end, now) }
    }

    /// Why somebody below an agent does not take this back; nothing for everybody else. What a
    /// person has waiting may be what is to stop the agent.
    fn keeps_from(&self, by: &Actor, row: &ActionRow) -> Option<&'static str> {
        if !by.may_be_agent() {
            return None;
        }
        if let Act::Respond { .. } = row.act {
            return Some("agents take back no answer to an approval");
        }
        match self.settings.from_agents {
            FromAgents::All => None,
            FromAgents::None => Some("agents take nothing back"),
            FromAgents::Agents if row.by.may_be_agent() => None,
            FromAgents::Agents => Some("agents take back what agents asked for, and nothing else"),
        }
    }
}
