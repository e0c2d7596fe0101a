//! Hooks of another machine that wait for an answer there.
//!
//! Such a hook made a door beside the spool, which its record names. Over the connection it is told
//! again and again that somebody may still answer, and is handed the answer; told nothing any more,
//! it goes away by itself and leaves its agent's dialog. docs/design/approvals.md says how.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agents::record::{Payload, Record};
use agents::reply::{self, Hold};
use engine::approval::ApprovalRow;
use engine::ids::EventId;
use engine::words::Choice;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::replies::{Delivery, Letter};
use crate::targets::Target;
use crate::targets::tether::Aside;
use crate::vigil::{Attendance, Turn, Vigil};

/// How often a hook is told that somebody may still answer. It goes away after 8 s without a word.
/// One that hides its agent's dialog is all that says that somebody is asked, so that it is gone has
/// to be noticed sooner.
const fn beat(hold: Hold) -> Duration {
    match hold {
        Hold::Beside => Duration::from_secs(3),
        Hold::Instead => Duration::from_secs(1),
    }
}
/// How long after a cut a hook may be found waiting still.
const RETURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a hook may take to fetch what was laid at its door, and how often that is looked at.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1_500);
const FETCH_PAUSE: Duration = Duration::from_millis(40);
/// Hooks of one target that are attended to at once. Others ask in their agents' terminals.
const ATTENDED_MAX: usize = 64;

/// The hooks of one target that wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    vigil: Vigil,
    /// The connection there, while there is one.
    line: Arc<watch::Sender<Option<Aside>>>,
    target: Arc<Target>,
    /// The records whose hooks are attended to.
    attended: Arc<Mutex<BTreeSet<String>>>,
}

/// A hook that says that it waits.
#[derive(Debug)]
pub(super) struct Waiting {
    record: String,
    /// What its door is called.
    name: String,
    agent: String,
    hold: Hold,
    payload: Value,
}

/// What came of attending to a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It waits no more.
    Over,
    /// The connection was cut; it may be waiting still.
    Cut,
}

impl Waiting {
    /// What a record says of its hook, where that can be answered.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let pid = record.waits?;
        let agent = record.agent.to_lowercase();
        let hold = reply::hold(&agent, &record.event)?;
        let Payload::Whole(payload) = &record.payload else { return None };
        let payload = serde_json::from_slice(payload).ok()?;
        let name = format!("{}-{pid}", record.id);
        Some(Self { record: record.id.clone(), name, agent, hold, payload })
    }

    /// The id of its record.
    pub(super) fn record(&self) -> &str {
        &self.record
    }

    fn choices(&self) -> Vec<Choice> {
        reply::sayable(&self.agent, &self.payload)
    }
}

impl Doors {
    pub(super) fn new(vigil: Vigil, target: Arc<Target>) -> Self {
        let line = Arc::new(watch::Sender::new(None));
        Self { vigil, line, target, attended: Arc::default() }
    }

    /// There is a connection, or none any more.
    pub(super) fn connected(&self, line: Option<Aside>) {
        self.line.send_replace(line);
    }

    /// Attends to a hook whose record was taken in as this event.
    pub(super) fn attend(&self, waiting: Waiting, event: EventId) {
        {
            let mut attended = self.attended();
            if attended.len() >= ATTENDED_MAX || !attended.insert(waiting.record.clone()) {
                return;
            }
        }
        let doors = self.clone();
        tokio::spawn(async move {
            doors.keep(&waiting, &event).await;
            doors.attended().remove(&waiting.record);
        });
    }

    fn attended(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.attended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a hook waiting over as many connections as it takes.
    async fn keep(&self, waiting: &Waiting, event: &EventId) {
        let asked = self.vigil.arrived(event).await;
        if let Some(asked) = &asked {
            self.target.asks(asked.pane.pane);
        }
        let mut beat = 0;
        while let Some(line) = self.line().await {
            let mut door = Door { line: &line, waiting, beat: &mut beat };
            let Some(asked) = &asked else { return door.let_go().await };
            if self.sit(&mut door, asked).await == Fate::Over {
                return;
            }
        }
    }

    /// The connection there, or the next if that comes soon.
    async fn line(&self) -> Option<Aside> {
        let mut lines = self.line.subscribe();
        let is_whole = |line: &Option<Aside>| line.as_ref().is_some_and(|line| !line.is_over());
        let whole = timeout(RETURN_TIMEOUT, lines.wait_for(is_whole)).await.ok()?.ok()?;
        whole.clone()
    }

    /// Keeps a hook waiting over one connection.
    async fn sit(&self, door: &mut Door<'_>, asked: &ApprovalRow) -> Fate {
        match door.still().await {
            None => return Fate::Cut,
            Some(Seen::Waits | Seen::Lies) => {}
            Some(Seen::Gone) => return Fate::Over,
        }
        let Waiting { hold, .. } = *door.waiting;
        let choices = door.waiting.choices();
        let Some(mut sitting) =
            self.vigil.sit(asked.clone(), (hold, Attendance::AskedFor), choices).await
        else {
            door.let_go().await;
            return Fate::Over;
        };
        loop {
            match sitting.turn(Instant::now() + beat(hold)).await {
                Turn::Answer(letter) => return door.hand(letter).await,
                Turn::Over => {
                    door.let_go().await;
                    return Fate::Over;
                }
                Turn::Still => {}
            }
            match door.still().await {
                None => return Fate::Cut,
                Some(Seen::Waits | Seen::Lies) => {}
                Some(Seen::Gone) => return Fate::Over,
            }
        }
    }
}

/// The door of one hook, over one connection.
struct Door<'a> {
    line: &'a Aside,
    waiting: &'a Waiting,
    /// Counts what was said at it: no two questions are the same.
    beat: &'a mut u64,
}

/// What was found at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Its hook waits.
    Waits,
    /// An answer lies there that was not fetched yet.
    Lies,
    Gone,
}

impl Door<'_> {
    /// Says something at the door; nothing where no answer came.
    async fn say(&mut self, verb: &str, more: &str) -> Option<String> {
        *self.beat += 1;
        let words = format!("door {} {verb} {}", self.waiting.name, self.beat);
        let said = self.line.ask(&words, more).await?;
        Some(String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// Says that somebody may still answer, and looks.
    async fn still(&mut self) -> Option<Seen> {
        Some(match self.say("still", "").await?.as_str() {
            "waits" => Seen::Waits,
            "lies" => Seen::Lies,
            _other => Seen::Gone,
        })
    }

    /// Lets the hook go: nobody will answer.
    async fn let_go(&mut self) {
        // Told nothing, it goes away by itself.
        self.say("end", "").await;
    }

    /// Hands over an answer, and tells what became of it.
    async fn hand(&mut self, letter: Letter) -> Fate {
        let Waiting { agent, payload, .. } = self.waiting;
        let Some(text) = reply::printed(agent, payload, &letter.reply) else {
            letter.became(Delivery::Not);
            return Fate::Over;
        };
        let given = format!(" {} {text}", text.len());
        let Some(laid) = self.say("give", &given).await else { return Fate::Cut };
        if laid != "given" {
            letter.became(Delivery::Not);
            return Fate::Over;
        }
        let until = Instant::now() + FETCH_TIMEOUT;
        while Instant::now() < until {
            match self.still().await {
                None => return Fate::Cut,
                Some(Seen::Lies) => sleep(FETCH_PAUSE).await,
                Some(Seen::Waits | Seen::Gone) => {
                    letter.became(Delivery::Taken);
                    return Fate::Over;
                }
            }
        }
        // What can still be taken back was never fetched, and never will be.
        let Some(back) = self.say("back", "").await else { return Fate::Cut };
        letter.became(if back == "back" { Delivery::Not } else { Delivery::Taken });
        Fate::Over
    }
}

#[cfg(test)]
mod tests {
    use engine::time::WallMs;

    use super::*;

    fn record() -> Record {
        Record {
            id: "0123456789abcdef".to_owned(),
            agent: "Claude".to_owned(),
            event: "PermissionRequest".to_owned(),
            at: WallMs(0),
            tmux: None,
            pane: None,
            chain: Vec::new(),
            cwd: None,
            waits: Some(77),
            payload: Payload::Whole(b"{}".to_vec()),
        }
    }

    #[test]
    fn only_a_hook_that_waits_and_can_be_answered_is_attended_to() {
        let waiting = Waiting::of(&record()).unwrap();
        assert_eq!((waiting.name.as_str(), waiting.hold), ("0123456789abcdef-77", Hold::Beside));
        assert_eq!(waiting.choices(), [Choice::Approve, Choice::Deny]);
        let none = |record: Record| assert!(Waiting::of(&record).is_none());
        none(Record { waits: None, ..record() });
        none(Record { event: "Stop".to_owned(), ..record() });
        none(Record { agent: "gemini".to_owned(), ..record() });
        none(Record { payload: Payload::Cut { bytes: 300_000 }, ..record() });
        none(Record { payload: Payload::Whole(b"{".to_vec()), ..record() });
    }
}
