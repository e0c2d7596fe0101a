//! What the door remembers from one request to the next: how many came without a token that counts,
//! and until when, by the steady clock, each token does.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::access::TokenRow;
use engine::ids::TokenId;
use engine::time::{MonoMs, Now};

/// Requests without a token that counts which are told so one after the other.
const FAILURES_AT_ONCE: i64 = 20;
/// From then on one in this time; the others are told to wait.
pub(super) const FAILURE_MS: i64 = 1_000;
/// Denials that are journalled one after the other.
const DENIALS_AT_ONCE: i64 = 50;
/// From then on one in this time, with the count of the others.
const DENIAL_MS: i64 = 10_000;

#[derive(Debug)]
pub(crate) struct Doorman(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    failures: Allowance,
    denials: Allowance,
    /// Denials since the last that was journalled.
    unrecorded: u64,
    /// When each token that was shown ends, even if somebody sets the wall clock back.
    ends: BTreeMap<TokenId, MonoMs>,
}

impl Doorman {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Memory {
            failures: Allowance::new(FAILURES_AT_ONCE, FAILURE_MS),
            denials: Allowance::new(DENIALS_AT_ONCE, DENIAL_MS),
            unrecorded: 0,
            ends: BTreeMap::new(),
        }))
    }

    /// Counts a request without a token that counts; `false` if there were too many.
    pub(super) fn fails(&self, now: MonoMs) -> bool {
        self.lock().failures.take(now)
    }

    /// Counts a denial. Gives how many went by since the last that was journalled, if this one is to
    /// be.
    pub(super) fn denies(&self, now: MonoMs) -> Option<u64> {
        let mut memory = self.lock();
        if memory.denials.take(now) {
            return Some(std::mem::take(&mut memory.unrecorded));
        }
        memory.unrecorded = memory.unrecorded.saturating_add(1);
        None
    }

    /// Whether the time of a token is over, by either clock.
    pub(super) fn is_over(&self, row: &TokenRow, now: Now) -> bool {
        let left = row.expires_at.0.saturating_sub(now.wall.0);
        let end = MonoMs(now.mono.0.saturating_add(left));
        let mut memory = self.lock();
        let known = memory.ends.entry(row.token.clone()).or_insert(end);
        *known = (*known).min(end);
        *known <= now.mono
    }

    /// Forgets the tokens that are not there any more.
    pub(super) fn keep(&self, is_known: impl Fn(&TokenId) -> bool) {
        self.lock().ends.retain(|token, _| is_known(token));
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many at once, and then one in a time.
#[derive(Debug)]
struct Allowance {
    at_once: i64,
    each_ms: i64,
    /// When all of it is there again.
    whole_at: i64,
}

impl Allowance {
    fn new(at_once: i64, each_ms: i64) -> Self {
        Self { at_once, each_ms, whole_at: i64::MIN }
    }

    fn take(&mut self, now: MonoMs) -> bool {
        let whole_at = self.whole_at.max(now.0).saturating_add(self.each_ms);
        let is_there = whole_at.saturating_sub(now.0) <= self.at_once * self.each_ms;
        if is_there {
            self.whole_at = whole_at;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use engine::time::WallMs;
    use engine::words::TokenScope;

    use super::*;

    #[test]
    fn failures_are_told_at_once_up_to_a_number_and_then_one_by_one() {
        let doorman = Doorman::new();
        let told = |now: i64, tries: i64| (0..tries).filter(|_| doorman.fails(MonoMs(now))).count();
        assert_eq!(told(0, 1_000), 20);
        assert_eq!(told(FAILURE_MS - 1, 1_000), 0);
        assert_eq!(told(FAILURE_MS, 1_000), 1);
        assert_eq!(told(5 * FAILURE_MS, 1_000), 4);
        assert_eq!(told(1_000 * FAILURE_MS, 1_000), 20, "a long rest gives no more than at first");
    }

    #[test]
    fn denials_that_are_not_journalled_are_counted_in_the_next_that_is() {
        let doorman = Doorman::new();
        let first: Vec<_> = (0..50).map(|_| doorman.denies(MonoMs(0))).collect();
        assert_eq!(first, [Some(0); 50]);
        assert_eq!([(); 7].map(|()| doorman.denies(MonoMs(1))), [None; 7]);
        assert_eq!(doorman.denies(MonoMs(DENIAL_MS)), Some(7));
        assert_eq!(doorman.denies(MonoMs(2 * DENIAL_MS)), Some(0));
    }

    #[test]
    fn s_07_a_token_ends_by_both_clocks() {
        let row = TokenRow {
            token: TokenId::new("tk-1"),
            name: "a".to_owned(),
            scope: TokenScope::Read,
            hash: String::new(),
            created_at: WallMs(0),
            expires_at: WallMs(10_000),
            last_used_at: None,
            revoked_at: None,
        };
        let doorman = Doorman::new();
        let at = |wall, mono| doorman.is_over(&row, Now { wall: WallMs(wall), mono: MonoMs(mono) });
        assert!(!at(1_000, 0));
        assert!(!at(9_999, 8_999));
        assert!(!at(5_000, 8_999), "the wall clock was set back");
        assert!(at(5_001, 9_000), "which makes no token count longer");
        assert!(Doorman::new().is_over(&row, Now { wall: WallMs(10_000), mono: MonoMs(0) }));
        doorman.keep(|_| false);
        assert!(!at(5_002, 9_001), "one that is forgotten begins anew");
    }
}
