//! Captions: what a pane may change all the time while nothing happens, and how often that is worth
//! a row of the journal.

use crate::limits;
use crate::time::{MonoMs, Now, Stamp};

/// What may change all the time while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caption {
    Title,
    /// The command, and perhaps the title with it.
    Command,
}

/// How many more changes of its captions a pane may journal now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captions {
    title: Budget,
    command: Budget,
    /// The listed caption is newer than the journalled one.
    owed: Option<Caption>,
}

/// What is left of a number of changes that refills with time.
#[derive(Clone, Copy, Debug)]
struct Budget {
    burst: u32,
    refill_ms: i64,
    left: u32,
    refilled: Option<Stamp>,
}

impl Default for Captions {
    fn default() -> Self {
        Self {
            title: Budget::new(limits::TITLE_BURST, limits::TITLE_REFILL_MS),
            command: Budget::new(limits::COMMAND_BURST, limits::COMMAND_REFILL_MS),
            owed: None,
        }
    }
}

impl Captions {
    fn budget(&self, caption: Caption) -> &Budget {
        match caption {
            Caption::Title => &self.title,
            Caption::Command => &self.command,
        }
    }

    /// Whether a change of this one may be journalled at once.
    pub(crate) fn allow(&self, caption: Caption, now: Now) -> bool {
        self.budget(caption).available(now) > 0
    }

    /// When an owed caption may be journalled.
    pub(crate) fn due(&self) -> Option<MonoMs> {
        let budget = self.budget(self.owed?);
        Some(budget.refilled?.plus(budget.refill_ms))
    }

    /// A change is listed that is not journalled yet.
    pub(crate) fn owe(&mut self, caption: Option<Caption>) {
        self.owed = caption.or(self.owed);
    }

    /// The pane is journalled, with a change of `caption` if there is one.
    pub(crate) fn journalled(&mut self, caption: Option<Caption>, at: Stamp) {
        match caption.or(self.owed) {
            Some(Caption::Title) => self.title.spend(at),
            Some(Caption::Command) => self.command.spend(at),
            None => {}
        }
        self.owed = None;
    }
}

impl Budget {
    fn new(burst: u32, refill_ms: i64) -> Self {
        Self { burst, refill_ms, left: burst, refilled: None }
    }

    /// What is left now, refilled by the time that passed.
    fn available(&self, now: Now) -> u32 {
        let since = self.refilled.map_or(0, |at| now.since(at));
        let gained = u32::try_from(since / self.refill_ms).unwrap_or(u32::MAX);
        self.left.saturating_add(gained).min(self.burst)
    }

    fn spend(&mut self, at: Stamp) {
        let now = Now { wall: at.wall, mono: at.mono };
        self.left = self.available(now).saturating_sub(1);
        self.refilled = Some(at);
    }
}
