//! What panes showed, from the executor to whoever asked, and for a while to whoever asks again.
//!
//! It is in memory only: what a pane shows may be anything, and the database keeps none of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use engine::ids::ActionId;

/// Screens that are kept; the oldest goes first.
const SCREENS_MAX: usize = 16;

/// What one pane showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) text: String,
    pub(crate) lines: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

type Entry = (ActionId, Arc<Screen>);

/// The last screens, by action. The lock is here because handlers may move between threads; it is
/// never held across an `await`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    screens: Arc<Mutex<VecDeque<Entry>>>,
}

impl Shown {
    pub(crate) fn put(&self, action: &ActionId, screen: Screen) {
        let mut screens = self.screens.lock().unwrap_or_else(PoisonError::into_inner);
        if screens.len() >= SCREENS_MAX {
            screens.pop_front();
        }
        screens.push_back((action.clone(), Arc::new(screen)));
    }

    pub(crate) fn get(&self, action: &ActionId) -> Option<Arc<Screen>> {
        let screens = self.screens.lock().unwrap_or_else(PoisonError::into_inner);
        screens.iter().find(|(of, _)| of == action).map(|(_, screen)| Arc::clone(screen))
    }
}
