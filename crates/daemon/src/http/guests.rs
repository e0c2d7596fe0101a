//! Those who come over TCP: nobody vouches for them, so each holds little until it shows a token
//! that counts, and nothing any more once that token does not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::ids::TokenId;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::app::App;
use super::watch::HangUp;

/// Connections at once that have shown no token that counts. One more ends the oldest of them, so
/// whoever opens many keeps out nobody but others like it.
const STRANGERS_MAX: usize = 32;
/// How often it is looked whether the time of a token is over.
const GLANCE: Duration = Duration::from_secs(5);

/// The connections over TCP that have shown no token yet, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<VecDeque<Arc<Notify>>>>);

impl Strangers {
    /// One more, who may have to go for the next.
    pub(super) fn welcome(&self, hang_up: &HangUp) -> Guest {
        let mut waiting = self.lock();
        waiting.push_back(Arc::clone(&hang_up.0));
        if waiting.len() > STRANGERS_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.notify_one();
        }
        let hang_up = Arc::clone(&hang_up.0);
        Guest { strangers: self.clone(), hang_up, token: Mutex::default() }
    }

    fn forget(&self, hang_up: &Arc<Notify>) {
        self.lock().retain(|it| !Arc::ptr_eq(it, hang_up));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection over TCP.
#[derive(Debug)]
pub(crate) struct Guest {
    strangers: Strangers,
    hang_up: Arc<Notify>,
    /// The token that it showed last.
    token: Mutex<Option<TokenId>>,
}

impl Guest {
    /// It showed a token that counts.
    pub(super) fn know_by(&self, token: &TokenId) {
        self.strangers.forget(&self.hang_up);
        *self.lock() = Some(token.clone());
    }

    /// Waits until the token that it showed counts no more: what it still reads ends then.
    pub(super) async fn turned_out(&self, app: &App) {
        let mut publications = app.lookout.publications();
        loop {
            // Whether it was news or only time that passed: it is looked at again.
            let news = timeout(GLANCE, publications.changed()).await;
            if news.is_ok_and(|changed| changed.is_err()) {
                return std::future::pending().await;
            }
            let token = self.lock().clone();
            if token.is_some_and(|token| !app.counts(&token)) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<TokenId>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.strangers.forget(&self.hang_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether somebody is hung up on.
    fn is_ended(call: &HangUp) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { timeout(Duration::ZERO, call.0.notified()).await.is_ok() })
    }

    #[test]
    fn s_30_one_stranger_too_many_ends_the_oldest_and_never_a_known_one() {
        let strangers = Strangers::default();
        let calls: Vec<HangUp> = (0..=STRANGERS_MAX + 1).map(|_| HangUp::default()).collect();
        let mut guests: Vec<Guest> =
            calls[..STRANGERS_MAX].iter().map(|it| strangers.welcome(it)).collect();
        guests[0].know_by(&TokenId::new("tk-1"));
        guests.push(strangers.welcome(&calls[STRANGERS_MAX]));
        assert!(!is_ended(&calls[0]) && !is_ended(&calls[1]), "there is room for as many again");
        guests.push(strangers.welcome(&calls[STRANGERS_MAX + 1]));
        assert!(is_ended(&calls[1]) && !is_ended(&calls[0]) && !is_ended(&calls[2]));
        drop(guests);
        assert!(strangers.lock().is_empty());
    }
}
