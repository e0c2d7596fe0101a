//! Prompts: what is typed into an agent's composer, and the proof that the agent took it.
//!
//! A prompt takes two commands, because agents take an Enter that comes right behind a paste for a
//! part of it. Each is guarded by itself: beside the process, the cursor has to stand where it stood
//! when the screen was looked at, so whoever types in between is not mixed with. Between the two the
//! screen is read again, and Enter is pressed only where the composer shows this text and nothing
//! else. `docs/design/actions.md` has what a crash at each point leaves.

use std::sync::Arc;
use std::time::Duration;

use agents::adapter::Adapter;
use agents::composer::{Composer, Manner, letters};
use engine::action::{Act, ActionRow, Failure, Outcome, TextFacts};
use engine::ids::AgentType;
use engine::time::{Stamp, WallMs};
use engine::words::{ActionProblem, Phase, Proof, State, Step};
use sha2::{Digest, Sha256};
use tmux::act::{self, Objection, Said, Sight, Stage, Typing};
use tmux::arg::Key;

use super::Executors;
use super::tmux::{expected, nonce, not_tried, refused};
use crate::adapters::{self, Roster};
use crate::observer::Reach;

/// Looks at a composer that does not show yet what was pasted, or that moved just then.
const LOOKS_MAX: u32 = 12;
/// The pause between them.
const LOOK_PAUSE: Duration = Duration::from_millis(60);
/// How long a proof is waited for after Enter.
const PROOF_MS: i64 = 3_000;
/// How much longer, once the composer is empty, the agent's own word is waited for.
const WORD_MS: i64 = 250;
/// Keys that take a draft of ours away at once; a longer one is left.
const CLEARING_KEYS_MAX: usize = 64;
/// Actions in which it is looked for what we put into a composer last.
const RECENT_ACTIONS: u32 = 16;

/// What is to be typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) text: Option<&'a TextFacts>,
    pub(super) keys: &'a [String],
}

/// A composer, and how the pane looked when it was seen.
struct Seen {
    composer: Option<Composer>,
    sight: Sight,
}

/// One prompt on its way.
struct Prompt<'a> {
    executors: &'a Executors,
    row: &'a ActionRow,
    reach: &'a Reach,
    roster: Arc<Roster>,
    agent: &'a AgentType,
    manner: Manner,
    wanted: &'a Wanted<'a>,
    steps: &'a mut Vec<Step>,
}

impl Executors {
    /// Types into an agent's composer, and looks whether it was taken.
    pub(super) async fn prompt(
        &self,
        row: &ActionRow,
        reach: &Reach,
        agent: &AgentType,
        wanted: &Wanted<'_>,
        steps: &mut Vec<Step>,
    ) -> Outcome {
        let roster = Arc::clone(&self.adapters.borrow());
        let manner = roster.get(agent.as_str()).map_or(Manner::CAREFUL, Adapter::manner);
        let executors = self;
        let mut prompt = Prompt { executors, row, reach, roster, agent, manner, wanted, steps };
        prompt.run().await.unwrap_or_else(|outcome| outcome)
    }

    /// What is known of a prompt whose trace was found later, up to a step of it.
    pub(super) fn traced(&self, row: &ActionRow, stage: Stage) -> Outcome {
        let Some(agent) = row.snapshot.agent.as_ref().filter(|_| row.has_two_steps()) else {
            return Outcome::Done(Proof::Trace);
        };
        let message = match stage {
            Stage::Keys if self.word_since(row, row.requested.wall).is_some() => {
                return Outcome::Done(Proof::Trace);
            }
            Stage::Keys => {
                format!("`{agent}` got the text and its keys, and nobody saw it take them")
            }
            Stage::Deed | Stage::Cleared => {
                format!("the text is in the composer of `{agent}`; its keys were not pressed")
            }
        };
        Outcome::NotConfirmed { proof: Proof::Trace, message }
    }

    /// The agent's own word that it began to work since then.
    fn word_since(&self, row: &ActionRow, since: WallMs) -> Option<Proof> {
        self.lookout.read(|follower| {
            let evidence = follower.engine().evidence(&row.runtime)?;
            let began = |(source, heard): &(engine::words::Source, &engine::state::Heard)| {
                source.is_deterministic()
                    && heard.claim.state == State::Running
                    && heard.order.effective >= since
            };
            let word = evidence.heads().find(began)?;
            Some(if word.0.is_reading() { Proof::Started } else { Proof::Submitted })
        })
    }

    fn now(&self) -> Stamp {
        self.lookout.clock().now().stamp()
    }
}

impl Prompt<'_> {
    async fn run(&mut self) -> Result<Outcome, Outcome> {
        let (mut sight, holds_ours) = self.ready().await?;
        if self.wanted.text.is_some() {
            if self.text().is_none() {
                let message = "the text that was kept for it is gone";
                return Err(Outcome::Failed(Failure::new(ActionProblem::Interrupted, message)));
            }
            let pasted = self.executors.pasted(self.row, self.reach, true);
            self.type_in(Stage::Deed, &mut sight, (Some(pasted), Vec::new())).await?;
            self.steps.push(Step::TextTyped);
            sight = self.filled().await?;
        }
        let Some(last) = self.wanted.keys.last() else {
            return Ok(Outcome::Done(Proof::Composer));
        };
        let submits = last == Key::enter().as_str() && (self.wanted.text.is_some() || holds_ours);
        let begun = self.executors.now();
        self.press(sight).await?;
        self.steps.push(Step::KeysPressed);
        Ok(if submits { self.proof(begun).await } else { Outcome::Done(Proof::Answer) })
    }

    /// Waits until the composer can take the prompt, and tells whether it holds a text of ours that
    /// the keys are for. Nothing has been done to it when this fails.
    async fn ready(&mut self) -> Result<(Sight, bool), Outcome> {
        let busy = |message: &str| Err(Outcome::Busy { message: message.to_owned() });
        let mut cleared = false;
        for _ in 0..LOOKS_MAX {
            let seen = self.look().await?;
            let draft = match seen.composer {
                // It is being drawn without the text that was just taken out.
                None if cleared => {
                    tokio::time::sleep(LOOK_PAUSE).await;
                    continue;
                }
                None => return busy("it shows no composer that is known"),
                Some(Composer::Empty) => return Ok((seen.sight, false)),
                Some(Composer::Draft(draft)) => draft,
            };
            if !self.is_ours(&draft).await {
                return busy("something that was not sent stands in its composer");
            }
            if self.wanted.text.is_none() {
                return Ok((seen.sight, true));
            }
            if cleared {
                // It needs a moment to show that it is empty.
                tokio::time::sleep(LOOK_PAUSE).await;
                continue;
            }
            cleared = self.clear(&draft, seen.sight).await?;
        }
        busy("a text that was put there before does not go away")
    }

    /// Takes a text of ours out of the composer, unless it moved.
    async fn clear(&mut self, draft: &str, sight: Sight) -> Result<bool, Outcome> {
        let presses = 2 * draft.lines().count().max(1) - 1;
        if presses > CLEARING_KEYS_MAX {
            let message = "a long text that was put there before stands in its composer";
            return Err(Outcome::Busy { message: message.to_owned() });
        }
        let keys = vec![self.manner.clear_line.to_owned(); presses];
        let done = self.command(Stage::Cleared, sight, (None, keys)).await?;
        if matches!(done, Said::Done) {
            self.left_modes(sight);
            self.steps.push(Step::DraftCleared);
            return Ok(true);
        }
        Ok(false)
    }

    /// Types, after another look where the pane moved since the last.
    async fn type_in(
        &mut self,
        stage: Stage,
        sight: &mut Sight,
        what: (Option<act::Pasted>, Vec<String>),
    ) -> Result<(), Outcome> {
        for _ in 0..LOOKS_MAX {
            match self.command(stage, *sight, what.clone()).await? {
                Said::Done => {
                    self.left_modes(*sight);
                    return Ok(());
                }
                Said::Refused(Objection::Moved | Objection::Passing) => {
                    *sight = self.ready().await?.0;
                }
                Said::Refused(objection) => return Err(refused(self.row, objection)),
            }
        }
        let message = "it does not stand still long enough to be typed into";
        Err(Outcome::Busy { message: message.to_owned() })
    }

    /// Waits until the composer shows the text that was pasted.
    async fn filled(&mut self) -> Result<Sight, Outcome> {
        tokio::time::sleep(Duration::from_millis(self.manner.enter_after_ms)).await;
        let mut why = "its composer does not show it";
        for _ in 0..LOOKS_MAX {
            let seen = self.look().await.map_err(|outcome| self.left_behind(&outcome))?;
            why = match seen.composer {
                Some(Composer::Draft(draft)) if self.shows(&draft) => return Ok(seen.sight),
                Some(Composer::Draft(_)) => "its composer shows something else too",
                Some(Composer::Empty) => "its composer does not show it",
                None => "no composer is shown any more",
            };
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Err(self.not_pressed(why))
    }

    /// Presses the keys behind the text, if nothing moved since it was seen in the composer.
    async fn press(&mut self, mut sight: Sight) -> Result<(), Outcome> {
        let keys = self.wanted.keys.to_vec();
        if self.wanted.text.is_none() {
            return self.type_in(Stage::Deed, &mut sight, (None, keys)).await;
        }
        for _ in 0..LOOKS_MAX {
            let said = self.command(Stage::Keys, sight, (None, keys.clone())).await;
            match said.map_err(|outcome| self.left_behind(&outcome))? {
                Said::Done => return Ok(()),
                Said::Refused(Objection::Moved | Objection::Passing) => {
                    sight = self.filled().await?;
                }
                Said::Refused(objection) => {
                    let outcome = refused(self.row, objection);
                    return Err(self.left_behind(&outcome));
                }
            }
        }
        Err(self.not_pressed("its composer does not stand still"))
    }

    /// What came of Enter: the agent's own word that it took the prompt, or that it stands in the
    /// composer no longer.
    async fn proof(&mut self, since: Stamp) -> Outcome {
        let mut emptied_at: Option<Stamp> = None;
        loop {
            if let Some(proof) = self.executors.word_since(self.row, since.wall) {
                return Outcome::Done(proof);
            }
            let now = self.executors.now();
            let seen = self.look().await.ok().and_then(|seen| seen.composer);
            match (emptied_at, &seen) {
                (None, Some(Composer::Empty)) => emptied_at = Some(now),
                (Some(at), _) if now.mono >= at.plus(WORD_MS) => {
                    return Outcome::Done(Proof::Composer);
                }
                (None | Some(_), _) => {}
            }
            if now.mono >= since.plus(PROOF_MS) {
                let why = match seen {
                    Some(Composer::Draft(_)) => "the text still stands in its composer",
                    Some(Composer::Empty) => return Outcome::Done(Proof::Composer),
                    None => "no composer is shown any more",
                };
                let message =
                    format!("Enter was pressed, and nothing proved that it was taken: {why}");
                return Outcome::NotConfirmed { proof: Proof::Answer, message };
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// One guarded command of this prompt.
    async fn command(
        &self,
        stage: Stage,
        sight: Sight,
        (text, keys): (Option<act::Pasted>, Vec<String>),
    ) -> Result<Said, Outcome> {
        let (Some(nonce), Some(version)) = (nonce(self.row), self.executors.version(self.row))
        else {
            return Err(not_tried(&super::tmux::NotTried::Server));
        };
        let expected = expected(self.row).map_err(|error| not_tried(&error))?;
        let keys = keys.iter().map(|key| key.parse()).collect::<Result<Vec<Key>, _>>();
        let keys = keys.map_err(|error| not_tried(&error.into()))?;
        let typing = Typing { text, keys, sight: Some(sight), ..Typing::default() };
        let act = act::Act::typing(stage.nonce(nonce), expected, &typing, &version);
        let act = act.map_err(|error| not_tried(&error.into()))?;
        self.executors.ask(self.row, self.reach, &act).await
    }

    async fn look(&self) -> Result<Seen, Outcome> {
        let captured = self.executors.capture(self.row, self.reach, None, true).await?;
        let screen = adapters::screen(&captured);
        let adapter = self.roster.get(self.agent.as_str());
        let composer = adapter.and_then(|adapter| adapter.composer(&screen));
        Ok(Seen { composer, sight: captured.sight })
    }

    fn left_modes(&mut self, sight: Sight) {
        if sight.modes > 0 {
            self.steps.push(Step::ModeLeft);
        }
    }

    /// The text as it is kept for the server to read.
    fn text(&self) -> Option<String> {
        std::fs::read_to_string(self.executors.outbox.path(&self.row.action)).ok()
    }

    /// Whether a draft is the text of this prompt, as far as it is shown, and nothing else.
    fn shows(&self, draft: &str) -> bool {
        let text = self.text().unwrap_or_default();
        let shown = letters(draft);
        self.manner.is_folded(draft) || !shown.is_empty() && letters(&text).contains(&shown)
    }

    /// Whether a draft is what we put into this composer last.
    async fn is_ours(&self, draft: &str) -> bool {
        let hash = engine::ids::hex(&Sha256::digest(letters(draft)));
        let query = store::ActionsQuery {
            runtime: Some(self.row.runtime.clone()),
            before: Some(self.row.action.to_string()),
            limit: RECENT_ACTIONS,
            ..store::ActionsQuery::default()
        };
        let recent =
            self.executors.lookout.in_journal(move |journal| journal.actions(&query)).await;
        let Some(Ok(recent)) = recent else { return false };
        let put = recent.into_iter().find_map(|row| match row.act {
            Act::Send { text: Some(text), .. } if reached(row.phase) => Some(text.letters_sha256),
            Act::Send { .. }
            | Act::Attach { .. }
            | Act::ViewOutput { .. }
            | Act::KillByKey
            | Act::Respond { .. }
            | Act::KillBySignal { .. } => None,
        });
        put.is_some_and(|put| put == hash)
    }

    fn not_pressed(&self, why: &str) -> Outcome {
        let message = format!("the text was typed, and {why}: its keys were not pressed");
        Outcome::NotConfirmed { proof: Proof::Answer, message }
    }

    /// What an obstacle means once the text is in the composer. What became of the whole, where a
    /// later look had to tell, stays what that said.
    fn left_behind(&self, outcome: &Outcome) -> Outcome {
        match outcome {
            Outcome::Refused(Failure { problem, message }) => {
                self.not_pressed(&format!("{problem}: {message}"))
            }
            Outcome::Failed(Failure { problem: ActionProblem::TargetUnreachable, message })
            | Outcome::Busy { message } => self.not_pressed(message),
            Outcome::Done(_)
            | Outcome::NotConfirmed { .. }
            | Outcome::Failed(_)
            | Outcome::Unknown { .. }
            | Outcome::Unanswered { .. } => outcome.clone(),
        }
    }
}

/// Whether a text may be in the pane that ended so.
fn reached(phase: Phase) -> bool {
    match phase {
        Phase::Completed | Phase::NotConfirmed | Phase::Unknown => true,
        Phase::Pending | Phase::Refused | Phase::Failed | Phase::Cancelled => false,
    }
}
