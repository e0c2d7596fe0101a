//! What panes showed, from the executor to whoever asked, and for a while to whoever asks again.
//!
//! It is in memory only: what a pane shows may be anything, and the database keeps none of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::ids::ActionId;

use crate::observer::Reach;

/// Screens that are kept; the oldest goes first.
const SCREENS_MAX: usize = 16;

/// What one pane showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) text: String,
    pub(crate) lines: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The place of its first line among all that the pane holds.
    pub(crate) first_line: u64,
    pub(crate) history: u32,
    pub(crate) history_limit: u32,
    pub(crate) cursor_row: u32,
    pub(crate) alternate: bool,
}

/// One look, and the way to look again.
#[derive(Clone, Debug)]
struct Entry {
    action: ActionId,
    screen: Arc<Screen>,
    reach: Reach,
}

/// The last screens, by action. The lock is here because handlers may move between threads; it is
/// never held across an `await`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    screens: Arc<Mutex<VecDeque<Entry>>>,
}

impl Shown {
    pub(crate) fn put(&self, action: &ActionId, screen: Screen, reach: Reach) {
        let mut screens = self.lock();
        if screens.len() >= SCREENS_MAX {
            screens.pop_front();
        }
        screens.push_back(Entry { action: action.clone(), screen: Arc::new(screen), reach });
    }

    pub(crate) fn get(&self, action: &ActionId) -> Option<Arc<Screen>> {
        self.lock().iter().find(|it| it.action == *action).map(|it| Arc::clone(&it.screen))
    }

    /// The way to the server of a look that is to go on, which is kept with the latest from now on.
    pub(super) fn way(&self, action: &ActionId) -> Option<Reach> {
        let mut screens = self.lock();
        let at = screens.iter().position(|it| it.action == *action)?;
        let entry = screens.remove(at)?;
        let reach = entry.reach.clone();
        screens.push_back(entry);
        Some(reach)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.screens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
