//! Acts inside a tmux server, and looks whether they were done.

use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use engine::action::{Act, ActionRow, Failure, Outcome};
use engine::words::{ActionProblem, Proof};
use tmux::act::{self, Expected, Look, Objection, Said, Trace, Typing, Visit};
use tmux::arg::Key;
use tmux::capture::{Capture, Captured};
use tmux::format::Nonce;
use tmux::version::Version;

use super::Executors;
use super::shown::Screen as Excerpt;
use crate::observer::{NoAnswer, Reach, server};
use crate::targets::failure::TmuxFailure;
use crate::targets::obstacle::Obstacle;

/// How long an answer is waited for.
pub(super) const ANSWER_TIMEOUT: Duration =
    Duration::from_millis(engine::limits::ACT_MS.unsigned_abs());
/// The pauses between looks: soon at first, then rarely, for as long as a server gives no answer.
const LOOK_PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];
/// How often a server is looked at with the short pause.
const HURRIED_LOOKS: u32 = 20;
/// Most bytes of what a pane shows that are handed out; the older lines are left out.
const SHOWN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why an act is not even tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTried {
    #[error("it is not known which tmux server it is for")]
    Server,
    #[error("the pane has no place any more")]
    Place,
    #[error(transparent)]
    Act(#[from] act::ActError),
    #[error(transparent)]
    Key(#[from] tmux::arg::NotAKey),
}

impl Executors {
    /// Acts, and tells what became of it. Without an answer it looks until there is one.
    pub(super) async fn touch(&self, row: &ActionRow, reach: &Reach) -> Outcome {
        let act = match self.compose(row, reach) {
            Ok(act) => act,
            Err(error) => return not_tried(&error),
        };
        let done = self.ask(row, reach, &act).await;
        // Whoever still has the command has no text any more.
        self.outbox.forget(&row.action);
        match done {
            Ok(Said::Done) => Outcome::Done(Proof::Answer),
            Ok(Said::Refused(objection)) => refused(row, objection),
            Err(outcome) => outcome,
        }
    }

    /// Has one command carried out. Where it is not answered, it looks until it is known what became
    /// of the whole act.
    pub(super) async fn ask(
        &self,
        row: &ActionRow,
        reach: &Reach,
        act: &act::Act,
    ) -> Result<Said, Outcome> {
        let answer = match act.load() {
            Some(buffer) => {
                let text = self.outbox.read(&row.action).unwrap_or_default();
                let limits = (self.left(row), ANSWER_TIMEOUT);
                reach.act_with(buffer, text.as_bytes(), act.batch(), limits).await
            }
            None => reach.act(act.batch(), ANSWER_TIMEOUT).await,
        };
        match answer {
            Ok(output) => match act.read(&output) {
                Ok(said) => Ok(said),
                Err(error) => {
                    tracing::warn!(action = %row.action, %error, "an answer makes no sense");
                    Err(self.look(row, reach).await)
                }
            },
            Err(error @ (NoAnswer::NotAsked(_) | NoAnswer::NotLoaded(_))) => {
                if matches!(error, NoAnswer::NotLoaded(_)) {
                    self.sweep(row, reach).await;
                }
                let failure = Failure::new(ActionProblem::TargetUnreachable, error.to_string());
                Err(Outcome::Failed(failure))
            }
            Err(error @ (NoAnswer::Unheard(_) | NoAnswer::Timeout(_))) => {
                tracing::info!(action = %row.action, %error, "an act was not answered");
                if matches!(error, NoAnswer::Timeout(_)) {
                    self.report(row, unanswered(), Vec::new()).await;
                }
                Err(self.look(row, reach).await)
            }
        }
    }

    fn compose(&self, row: &ActionRow, reach: &Reach) -> Result<act::Act, NotTried> {
        let (nonce, expected) = (nonce(row).ok_or(NotTried::Server)?, expected(row)?);
        match &row.act {
            Act::Send { text, keys, paste, .. } => {
                let text = text.as_ref().map(|_| self.pasted(row, reach, *paste));
                let keys = keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?;
                let version = self.version(row).ok_or(NotTried::Server)?;
                let typing = Typing { text, keys, ..Typing::default() };
                Ok(act::Act::typing(nonce, expected, &typing, &version)?)
            }
            Act::KillByKey => {
                let typing = Typing { keys: vec![Key::interrupt()], ..Typing::default() };
                let version = self.version(row).ok_or(NotTried::Server)?;
                Ok(act::Act::typing(nonce, expected, &typing, &version)?)
            }
            Act::Attach { .. }
            | Act::ViewOutput { .. }
            | Act::KillBySignal { .. }
            | Act::Respond { .. } => {
                let place = self.lookout.read(|follower| {
                    follower.engine().pane(&row.pane).map(|pane| pane.facts.place())
                });
                let place = place.ok_or(NotTried::Place)?;
                let visit = Visit {
                    session: tmux::ids::SessionId(place.session.0),
                    window: tmux::ids::WindowId(place.window.0),
                };
                Ok(act::Act::visit(nonce, expected, &visit)?)
            }
        }
    }

    /// The text of an action, where the server reads it.
    pub(super) fn pasted(&self, row: &ActionRow, reach: &Reach, bracketed: bool) -> act::Pasted {
        let text = if reach.target.capabilities().shared {
            let path = self.outbox.path(&row.action);
            act::Text::File(path.as_os_str().as_bytes().to_vec())
        } else {
            act::Text::Loaded
        };
        act::Pasted { text, bracketed }
    }

    /// Looks until it is known what became of an act, or that nobody can tell.
    pub(super) async fn look(&self, row: &ActionRow, reach: &Reach) -> Outcome {
        let (Some(act), Ok(expected)) = (nonce(row), expected(row)) else {
            let message = "it is not known which tmux server it was for";
            return Outcome::Unknown { message: message.to_owned() };
        };
        let mut looks = 0;
        let outcome = loop {
            let look = Look::new(fresh(), act, expected.clone());
            let look = if row.has_two_steps() { look.with_keys() } else { look };
            let trace = match reach.fork(&look.batch(), ANSWER_TIMEOUT).await {
                Ok(output) => look.read(&output).ok(),
                // The way there is cut, and will be there again or be given up.
                Err(NoAnswer::NotAsked(TmuxFailure::Unreached(Obstacle::NotConnected))) => None,
                Err(NoAnswer::NotAsked(_) | NoAnswer::NotLoaded(_)) => Some(Trace::Gone),
                Err(NoAnswer::Timeout(_)) => {
                    self.report(row, unanswered(), Vec::new()).await;
                    None
                }
                Err(NoAnswer::Unheard(_)) => None,
            };
            match trace {
                Some(Trace::Done(stage)) => break self.traced(row, stage),
                Some(Trace::NotDone) => break interrupted(row),
                Some(Trace::Gone) => {
                    let message = "its tmux server or its pane is gone, so nothing can tell";
                    break Outcome::Unknown { message: message.to_owned() };
                }
                Some(Trace::NotYet) | None => {
                    let pause = usize::from(looks >= HURRIED_LOOKS);
                    looks += 1;
                    tokio::time::sleep(LOOK_PAUSES[pause]).await;
                }
            }
        };
        self.sweep(row, reach).await;
        outcome
    }

    /// Takes away what is left there of a text.
    async fn sweep(&self, row: &ActionRow, reach: &Reach) {
        if let Some(sweep) = nonce(row).and_then(|act| act::sweep(act).ok()) {
            // There is nothing to take away where the act was done or refused.
            reach.fork(&sweep, ANSWER_TIMEOUT).await.ok();
        }
    }

    /// How long it is until it is too late for an action.
    fn left(&self, row: &ActionRow) -> Duration {
        let now_ms = self.lookout.clock().now().wall.0;
        let until_ms = row.until_s.unwrap_or(0).saturating_mul(1_000);
        Duration::from_millis(until_ms.saturating_sub(now_ms.unsigned_abs()))
    }

    /// Reads what a pane shows.
    pub(super) async fn view(
        &self,
        row: &ActionRow,
        reach: &Reach,
        lines: Option<u32>,
        ansi: bool,
    ) -> Outcome {
        match self.capture(row, reach, lines, ansi).await {
            Ok(seen) => {
                self.shown.put(&row.action, excerpt(&seen, lines), reach.clone());
                Outcome::Done(Proof::Answer)
            }
            Err(outcome) => outcome,
        }
    }

    /// Looks once more at what an action looked at; nothing if its look is not kept any more.
    pub(crate) async fn view_again(
        &self,
        row: &ActionRow,
        lines: Option<u32>,
        ansi: bool,
    ) -> Option<Result<Excerpt, Outcome>> {
        let reach = self.shown.way(&row.action)?;
        let seen = self.capture(row, &reach, lines, ansi).await;
        Some(seen.map(|seen| excerpt(&seen, lines)))
    }

    /// The screen of the pane, if it is still the one that was seen.
    pub(super) async fn capture(
        &self,
        row: &ActionRow,
        reach: &Reach,
        lines: Option<u32>,
        ansi: bool,
    ) -> Result<Captured, Outcome> {
        let unreachable = |message: String| {
            Outcome::Failed(Failure::new(ActionProblem::TargetUnreachable, message))
        };
        let unknown = || unreachable(NotTried::Server.to_string());
        let expected = expected(row).map_err(|_| unknown())?;
        let version = self.version(row).ok_or_else(unknown)?;
        let capture = Capture::new(fresh(), expected.pane, &version, reach.is_controlled());
        let mut capture = capture.map_err(|_| unknown())?;
        if let Some(lines) = lines {
            capture = capture.with_history(lines);
        }
        if !ansi {
            capture = capture.without_attributes();
        }
        let output = reach.act(&capture.batch(), ANSWER_TIMEOUT).await;
        let output = output.map_err(|error| unreachable(error.to_string()))?;
        match capture.read(&output) {
            Ok(Some(seen)) if seen.server != expected.server => {
                Err(refused(row, Objection::Server))
            }
            Ok(Some(seen)) if seen.pid != expected.pid => Err(refused(row, Objection::Process)),
            Ok(Some(seen)) => Ok(seen),
            Ok(None) => Err(refused(row, Objection::Pane)),
            Err(error) => Err(unreachable(error.to_string())),
        }
    }

    pub(super) fn version(&self, row: &ActionRow) -> Option<Version> {
        self.lookout.read(|follower| {
            let server = follower.engine().target(&row.pane.target)?.server.as_ref()?;
            server.version.parse().ok()
        })
    }
}

/// What is handed out of a screen with so many of the lines above it.
fn excerpt(seen: &Captured, lines: Option<u32>) -> Excerpt {
    let (text, count) = last_lines(&seen.text, lines);
    let captured_from = seen.history.saturating_sub(lines.unwrap_or(0));
    // What is empty at the end is not counted: it is left out in any case.
    let whole = seen.text.trim_ascii_end();
    let breaks =
        whole.iter().filter(|byte| **byte == b'\n').count() + usize::from(!whole.is_empty());
    let left_out = u32::try_from(breaks).unwrap_or(u32::MAX).saturating_sub(count);
    Excerpt {
        text,
        lines: count,
        width: seen.width,
        height: seen.height,
        first_line: u64::from(captured_from) + u64::from(left_out),
        history: seen.history,
        history_limit: seen.history_limit,
        cursor_row: seen.sight.row,
        alternate: seen.alternate,
    }
}

/// The last lines that are not empty, and how many they are.
fn last_lines(text: &[u8], most: Option<u32>) -> (String, u32) {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches(['\n', ' ']);
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let mut bytes = 0;
    let mut kept: Vec<&str> = text
        .rsplit('\n')
        .take(most)
        .take_while(|line| {
            bytes += line.len() + 1;
            bytes <= SHOWN_BYTES_MAX
        })
        .collect();
    kept.reverse();
    let count = if text.is_empty() { 0 } else { u32::try_from(kept.len()).unwrap_or(u32::MAX) };
    let mut shown = kept.join("\n");
    if count > 0 {
        shown.push('\n');
    }
    (shown, count)
}

pub(super) fn nonce(row: &ActionRow) -> Option<Nonce> {
    u64::from_str_radix(&row.snapshot.nonce, 16).ok().map(|it| Nonce::from_random(it.to_be_bytes()))
}

fn fresh() -> Nonce {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&crate::ids::random_bytes()[..8]);
    Nonce::from_random(bytes)
}

pub(super) fn expected(row: &ActionRow) -> Result<Expected, NotTried> {
    let seen = &row.snapshot;
    Ok(Expected {
        server: server::instance_of(&seen.boot).ok_or(NotTried::Server)?,
        pane: tmux::ids::PaneId(row.pane.pane.0),
        pid: seen.pane_pid,
        command: seen.command.clone(),
        until: row.until_s.ok_or(NotTried::Server)?,
    })
}

/// It was cut off. What is queued waits on, because nothing was done.
fn interrupted(row: &ActionRow) -> Outcome {
    let message = "it was cut off, and the tmux server will not do it any more";
    if row.is_queued() {
        return Outcome::Busy { message: message.to_owned() };
    }
    Outcome::Failed(Failure::new(ActionProblem::Interrupted, message))
}

pub(super) fn not_tried(error: &NotTried) -> Outcome {
    Outcome::Failed(Failure::new(ActionProblem::TargetUnreachable, error.to_string()))
}

fn unanswered() -> Outcome {
    let message = "the tmux server gives no answer; it is told here once it does";
    Outcome::Unanswered { message: message.to_owned() }
}

/// What the server's objection means to whoever asked.
pub(super) fn refused(row: &ActionRow, objection: Objection) -> Outcome {
    let stale = |message: String| Failure::new(ActionProblem::RuntimeStale, message);
    let blocked = |message: &str| Failure::new(ActionProblem::PaneBlocked, message);
    let failed =
        |message: &str| Outcome::Failed(Failure::new(ActionProblem::TargetUnreachable, message));
    let pane = row.pane.pane;
    Outcome::Refused(match objection {
        Objection::Server => stale("another tmux server answers there now".to_owned()),
        Objection::Pane => stale(format!("pane {pane} is gone")),
        Objection::Process => stale(format!("pane {pane} holds another process, or a dead one")),
        Objection::Command { now } => {
            let seen = &row.snapshot.command;
            stale(format!("`{now}` is in the foreground of pane {pane} now, no longer `{seen}`"))
        }
        Objection::Mode => blocked("the pane is in a mode, such as copy mode"),
        Objection::InputOff => blocked("the pane's input is switched off"),
        Objection::Synchronized => blocked("what is typed there is copied into other panes"),
        Objection::Moved => blocked("it does not look any more as it did a moment ago"),
        Objection::Late => return failed("the tmux server came to it too late"),
        Objection::Passing => return failed("something was in the way for a moment"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_end_where_the_text_does() {
        let text = b"one\ntwo\n\nthree\n\n   \n\n";
        assert_eq!(last_lines(text, None), ("one\ntwo\n\nthree\n".to_owned(), 4));
        assert_eq!(last_lines(text, Some(2)), ("\nthree\n".to_owned(), 2));
        assert_eq!(last_lines(text, Some(1)), ("three\n".to_owned(), 1));
        assert_eq!(last_lines(b"\n\n\n", Some(5)), (String::new(), 0));
    }
}
