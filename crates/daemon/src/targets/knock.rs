//! Knocking at a host that answers nobody: a connection is opened and closed again, and nothing is
//! said.
//!
//! An `ssh` without an answer gives up after seconds, and the pauses between attempts grow. A knock
//! costs next to nothing, so two each second tell soon that a host is back. It only has the next
//! attempt made sooner: what a knock is answered by may be somebody else, and then the attempt fails
//! as it would have.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::obstacle::Obstacle;

/// The time from one knock to the next: at first, and when nobody answered for some minutes.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// How many knocks come at the shorter one.
const EARLY: u32 = 600;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many addresses of a host are knocked at.
const ADDRESSES_MAX: usize = 4;

/// The host and port that are knocked at.
pub(super) type Door = (String, u16);

#[derive(Debug, Default)]
pub(super) struct Knocks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Present while attempts to connect fail because nobody answers.
    round: Option<Round>,
    /// The last attempt was made because of a knock.
    answered: bool,
}

/// Knocks since the host was last connected.
#[derive(Debug, Default)]
struct Round {
    /// It answered nobody when it was last tried.
    shut: bool,
    made: u32,
    due: Option<Instant>,
    /// Where to knock, once it is known, if anywhere.
    door: Option<Option<Door>>,
    addresses: Vec<SocketAddr>,
}

impl Round {
    /// Reckons with an answer, or with none; says whether it tells something new.
    fn heard(&mut self, open: bool) -> bool {
        let opened = open && self.shut;
        self.shut = !open;
        opened
    }

    fn begin(&mut self, now: Instant) {
        self.due = Some(now + PAUSES[usize::from(self.made >= EARLY)]);
        self.made = self.made.saturating_add(1);
    }
}

impl State {
    /// An attempt failed, or the connection ended.
    fn failed(&mut self, why: &Obstacle) {
        let misled = std::mem::take(&mut self.answered);
        match why {
            // One that was made because of a knock and fails all the same shows that knocks tell
            // nothing, until one is not answered.
            Obstacle::NotListening { .. } | Obstacle::NoSuchHost { .. } => {
                self.round.get_or_insert_default().shut = !misled;
            }
            // It may be there, and only its shell be silent.
            Obstacle::Silent => {
                self.round.get_or_insert_default();
            }
            Obstacle::HostKeyUnknown { .. }
            | Obstacle::HostKeyChanged { .. }
            | Obstacle::Denied { .. }
            | Obstacle::NotConnected
            | Obstacle::GivenUp
            | Obstacle::Stuck
            | Obstacle::Babble
            | Obstacle::Ended { .. }
            | Obstacle::NoShell { .. }
            | Obstacle::Late { .. }
            | Obstacle::NoProgram { .. }
            | Obstacle::Misused { .. } => self.round = None,
        }
    }
}

impl Knocks {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, why: &Obstacle) {
        self.lock().failed(why);
    }

    pub(super) fn connected(&self) {
        *self.lock() = State::default();
    }

    /// Waits until a host that answered nobody answers; for ever where attempts fail for another
    /// reason, or none did. `door` says where to knock, if that can be done.
    pub(super) async fn answered<F>(&self, door: impl Fn() -> F)
    where
        F: Future<Output = Option<Door>>,
    {
        let Some(door) = self.door(door).await else { return std::future::pending().await };
        // An answer may take longer than the next knock.
        let mut knocking = JoinSet::new();
        loop {
            let Some(due) = self.lock().round.as_ref().map(|round| round.due) else { break };
            tokio::select! {
                biased;
                Some(open) = knocking.join_next() => {
                    let mut state = self.lock();
                    let Some(round) = &mut state.round else { break };
                    if round.heard(matches!(open, Ok(true))) {
                        state.answered = true;
                        return;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)) => {
                    self.in_round(|round| round.begin(Instant::now()));
                    let addresses = self.addresses(&door).await;
                    knocking.spawn(async move {
                        timeout(PATIENCE, knock(addresses)).await.unwrap_or(false)
                    });
                }
            }
        }
        std::future::pending::<()>().await;
    }

    fn in_round(&self, change: impl FnOnce(&mut Round)) {
        if let Some(round) = &mut self.lock().round {
            change(round);
        }
    }

    /// Where to knock, as far as it is known or `find` tells, while there is a reason to.
    async fn door<F>(&self, find: impl Fn() -> F) -> Option<Door>
    where
        F: Future<Output = Option<Door>>,
    {
        let known = self.lock().round.as_ref()?.door.clone();
        if let Some(door) = known {
            return door;
        }
        let door = find().await;
        self.in_round(|round| round.door = Some(door.clone()));
        door
    }

    /// The addresses behind that door; none while its name leads nowhere.
    async fn addresses(&self, (host, port): &Door) -> Vec<SocketAddr> {
        let known = self.lock().round.as_ref().map_or(Vec::new(), |it| it.addresses.clone());
        if !known.is_empty() {
            return known;
        }
        let Ok(Ok(found)) = timeout(PATIENCE, lookup_host((host.as_str(), *port))).await else {
            return known;
        };
        let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
        self.in_round(|round| round.addresses.clone_from(&found));
        found
    }
}

/// Whether anybody takes a connection at one of these.
async fn knock(addresses: Vec<SocketAddr>) -> bool {
    let mut knocking: JoinSet<bool> = JoinSet::new();
    for address in addresses {
        knocking.spawn(async move { TcpStream::connect(address).await.is_ok() });
    }
    while let Some(open) = knocking.join_next().await {
        if matches!(open, Ok(true)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn not_listening() -> Obstacle {
        Obstacle::NotListening { said: String::new() }
    }

    /// How often somebody knocked within this time, and whether that told something new.
    async fn knocks(knocks: &Knocks, port: u16, within: Duration) -> bool {
        let door = || async move { Some(("127.0.0.1".to_owned(), port)) };
        timeout(within, knocks.answered(door)).await.is_ok()
    }

    /// A port that nobody has.
    async fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn a_host_that_answers_again_is_told_once() {
        let port = free_port().await;
        let it = Knocks::default();
        let short = Duration::from_millis(20);
        assert!(!knocks(&it, port, short).await, "no attempt failed");
        it.failed(&not_listening());
        assert!(!knocks(&it, port, short).await, "nobody answers");
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        assert!(knocks(&it, port, PAUSES[0] * 5).await, "it does");
        it.failed(&not_listening());
        assert!(!knocks(&it, port, PAUSES[0] + short).await, "whoever answers is another");
        drop(listener);
        assert!(!knocks(&it, port, PAUSES[0] + short).await, "nobody answers");
        let _listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        it.connected();
        assert!(!knocks(&it, port, short).await, "it is connected");
    }

    #[test]
    fn what_lets_nobody_in_for_another_reason_is_not_knocked_at() {
        let mut state = State::default();
        state.failed(&not_listening());
        assert!(state.round.as_ref().is_some_and(|round| round.shut));
        state.failed(&Obstacle::Denied { said: String::new() });
        assert!(state.round.is_none());
        // A shell that says nothing may be behind a door that opens.
        state.failed(&Obstacle::Silent);
        assert!(state.round.as_ref().is_some_and(|round| !round.shut));
        assert!(!state.round.as_mut().unwrap().heard(true), "it was open before");
        assert!(!state.round.as_mut().unwrap().heard(false));
        assert!(state.round.as_mut().unwrap().heard(true));
    }

    #[test]
    fn who_is_away_for_long_is_knocked_at_less_often() {
        let (mut round, now) = (Round::default(), Instant::now());
        for made in 0..EARLY + 2 {
            round.begin(now);
            let pause = PAUSES[usize::from(made >= EARLY)];
            assert_eq!(round.due, Some(now + pause), "after {made}");
        }
    }
}
