//! Turns at connecting: of all targets, only a few connect at once.
//!
//! To connect costs an exchange of keys here and there and a login. A laptop that wakes has all its
//! targets to connect again in the same moment. So each waits for its turn, in the order in which
//! they came, and has it until its connection is made or has failed, or for a bounded time: nobody
//! waits for a host that does not answer. Whoever took longer than its turn waits with those like
//! it for the next ones, and these never have all of them.
//!
//! Somebody who asks for a connection waits for nobody's turn: there are few of them, and they look
//! at the screen.
//!
//! A host drops those who come all at once, and a busy one takes long to let anybody in. So of the
//! targets behind one [`Door`] only a few are ever between their first byte and their login,
//! however long that takes: what makes one of them wait makes the others wait as well.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// How many have a turn at once.
const AT_ONCE_MAX: usize = 4;
/// How many of these took longer than their last one.
const LATE_AT_ONCE_MAX: usize = 2;
/// How long a turn lasts. A connection that takes longer goes on without it.
const TURN_MAX: Duration = Duration::from_secs(2);

/// The turns of all targets.
#[derive(Debug)]
pub(crate) struct Turns {
    /// All queues are fair: who came first is first.
    all: Semaphore,
    late: Semaphore,
    /// By what they are called, as long as a target is behind them.
    doors: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// What several targets are let in by: a host, or what leads somewhere.
type Door = Arc<Semaphore>;

/// One who takes turns.
#[derive(Debug)]
pub(super) struct Guest {
    door: Door,
    late: AtomicBool,
    /// Somebody asked for its connection, and no attempt has begun since.
    hurried: AtomicBool,
    hurry: Notify,
}

impl Guest {
    /// Its next connection, or the one that waits for its turn, waits for none.
    pub(super) fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
        self.hurry.notify_waiters();
    }

    /// It is connected: whoever asked has what they asked for.
    pub(super) fn calm(&self) {
        self.hurried.store(false, Ordering::Release);
    }

    /// Waits until somebody asks, and takes it upon itself.
    async fn asked_for(&self) {
        loop {
            // Before the question, so that nobody who asks in between goes unheard.
            let hurry = self.hurry.notified();
            if self.hurried.swap(false, Ordering::AcqRel) {
                return;
            }
            hurry.await;
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Semaphore::new(AT_ONCE_MAX),
            late: Semaphore::new(LATE_AT_ONCE_MAX),
            doors: Mutex::default(),
        }
    }
}

impl Turns {
    /// One more target behind the door of this name.
    pub(super) fn guest(&self, door: String) -> Guest {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.retain(|_, door| door.strong_count() > 0);
        let known = doors.get(&door).and_then(Weak::upgrade);
        let shared = known.unwrap_or_else(|| Arc::new(Semaphore::new(AT_ONCE_MAX)));
        doors.insert(door, Arc::downgrade(&shared));
        Guest {
            door: shared,
            late: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            hurry: Notify::new(),
        }
    }

    /// A turn, and for who was late a place among those like it.
    async fn turn(&self, guest: &Guest) -> [Option<SemaphorePermit<'_>>; 2] {
        let among_late = match guest.late.load(Ordering::Relaxed) {
            true => self.late.acquire().await.ok(),
            false => None,
        };
        [self.all.acquire().await.ok(), among_late]
    }

    /// Waits for a turn, unless somebody asks for this connection, and connects in it. Giving up gives the place in the queue, or the turn, to
    /// the next.
    pub(super) async fn connect<T>(&self, guest: &Guest, connecting: impl Future<Output = T>) -> T {
        // Nobody closes them, so there is always a turn to come. Who waits at a door keeps nobody
        // elsewhere from a turn.
        let _at_door = guest.door.acquire().await.ok();
        let turn = tokio::select! {
            biased;
            () = guest.asked_for() => None,
            turn = self.turn(guest) => Some(turn),
        };
        let mut connecting = pin!(connecting);
        let connected = timeout(TURN_MAX, &mut connecting).await;
        guest.late.store(connected.is_err(), Ordering::Relaxed);
        drop(turn);
        match connected {
            Ok(connected) => connected,
            Err(_) => connecting.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// What was seen of those who connect.
    #[derive(Debug, Default)]
    struct Seen {
        /// Who connects, and began less than a turn ago.
        have_a_turn: BTreeSet<usize>,
        most: usize,
        /// In their order, with when they began.
        begun: Vec<(usize, Duration)>,
    }

    impl Seen {
        fn begins(&mut self, who: usize, when: Duration) {
            self.have_a_turn.insert(who);
            self.most = self.most.max(self.have_a_turn.len());
            self.begun.push((who, when));
        }
    }

    /// Connects, and is seen doing it; `takes` is how long that is.
    async fn connect(seen: &Mutex<Seen>, (who, takes): (usize, Duration), start: Instant) {
        seen.lock().unwrap().begins(who, start.elapsed());
        sleep(takes.min(TURN_MAX)).await;
        seen.lock().unwrap().have_a_turn.remove(&who);
        sleep(takes.saturating_sub(TURN_MAX)).await;
    }

    /// Lets all of them come in this order, at once, and connect once for each of these times.
    async fn run(all: Vec<Vec<u64>>) -> (Seen, Duration) {
        let (turns, seen) = (Arc::new(Turns::default()), Arc::new(Mutex::new(Seen::default())));
        let start = Instant::now();
        let tasks = all.into_iter().enumerate().map(|(who, times)| {
            let (turns, seen) = (Arc::clone(&turns), Arc::clone(&seen));
            tokio::spawn(async move {
                let guest = turns.guest(who.to_string());
                for ms in times {
                    let takes = Duration::from_millis(ms);
                    turns.connect(&guest, connect(&seen, (who, takes), start)).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let seen = Arc::into_inner(seen).unwrap().into_inner().unwrap();
        (seen, start.elapsed())
    }

    fn in_a_stopped_clock<T>(work: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
    }

    proptest! {
        #[test]
        fn never_more_than_a_few_connect_at_once_and_who_came_first_is_first(
            times in prop::collection::vec(0_u64..6_000, 1..40),
        ) {
            let all = times.iter().map(|ms| vec![*ms]).collect();
            let (seen, _) = in_a_stopped_clock(run(all));
            prop_assert!(seen.most <= AT_ONCE_MAX, "{seen:?}");
            let order: Vec<usize> = seen.begun.iter().map(|(who, _)| *who).collect();
            prop_assert_eq!(order, (0..times.len()).collect::<Vec<_>>());
            // However long the others take, each of them has a bounded part of anybody's wait.
            for (nth, (_, began)) in seen.begun.iter().enumerate() {
                let turns = u32::try_from(nth / AT_ONCE_MAX).unwrap();
                prop_assert!(*began <= TURN_MAX * turns, "the {nth}th waited {began:?}");
            }
        }

        #[test]
        fn however_they_come_and_fail_the_bound_holds(
            all in prop::collection::vec(prop::collection::vec(0_u64..30_000, 1..6), 1..24),
        ) {
            let (seen, _) = in_a_stopped_clock(run(all));
            prop_assert!(seen.most <= AT_ONCE_MAX, "{seen:?}");
        }
    }

    #[test]
    fn a_door_that_takes_long_is_passed_by_a_few_at_once_and_is_no_others_delay() {
        in_a_stopped_clock(async {
            let turns = Arc::new(Turns::default());
            let inside = Arc::new(Mutex::new((0, 0)));
            let guests: Vec<_> = (0..AT_ONCE_MAX * 4)
                .map(|_| {
                    let (turns, inside) = (Arc::clone(&turns), Arc::clone(&inside));
                    tokio::spawn(async move {
                        let guest = turns.guest("host".to_owned());
                        let connecting = async {
                            {
                                let mut inside = inside.lock().unwrap();
                                inside.0 += 1;
                                inside.1 = inside.1.max(inside.0);
                            }
                            sleep(TURN_MAX * 5).await;
                            inside.lock().unwrap().0 -= 1;
                        };
                        turns.connect(&guest, connecting).await;
                    })
                })
                .collect();
            sleep(TURN_MAX + TURN_MAX / 2).await;
            let (start, other) = (Instant::now(), turns.guest("another".to_owned()));
            turns.connect(&other, async {}).await;
            assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
            for guest in guests {
                guest.await.unwrap();
            }
            assert_eq!(*inside.lock().unwrap(), (0, AT_ONCE_MAX));
            drop(other);
            turns.guest("new".to_owned());
            assert_eq!(turns.doors.lock().unwrap().len(), 1, "doors without targets are forgotten");
        });
    }

    #[test]
    fn hosts_that_hang_for_ever_leave_turns_to_those_that_answer() {
        in_a_stopped_clock(async {
            let turns = Arc::new(Turns::default());
            for nth in 0..40 {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move {
                    let guest = turns.guest(nth.to_string());
                    guest.late.store(true, Ordering::Relaxed);
                    loop {
                        turns.connect(&guest, async { sleep(TURN_MAX * 3).await }).await;
                    }
                });
            }
            sleep(TURN_MAX * 5).await;
            let guest = turns.guest("answers".to_owned());
            for _ in 0..10 {
                let start = Instant::now();
                turns.connect(&guest, sleep(Duration::from_millis(100))).await;
                let took = start.elapsed();
                assert!(took < TURN_MAX / 2, "{took:?}");
            }
        });
    }

    /// As many that hang for ever as there are, all behind a door of this name or each behind its own.
    fn hang(turns: &Arc<Turns>, count: usize, door: Option<&'static str>) {
        for nth in 0..count {
            let turns = Arc::clone(turns);
            tokio::spawn(async move {
                let guest = turns.guest(door.map_or_else(|| nth.to_string(), str::to_owned));
                loop {
                    turns.connect(&guest, sleep(TURN_MAX * 3)).await;
                }
            });
        }
    }

    #[test]
    fn who_is_asked_for_waits_for_no_turn_and_the_next_time_like_the_others() {
        in_a_stopped_clock(async {
            let turns = Arc::new(Turns::default());
            hang(&turns, 40, None);
            sleep(TURN_MAX / 4).await;
            let guest = Arc::new(turns.guest("wanted".to_owned()));
            guest.late.store(true, Ordering::Relaxed);
            let connect = |guest: &Arc<Guest>| {
                let (turns, guest, start) = (Arc::clone(&turns), Arc::clone(guest), Instant::now());
                let waited = async move { turns.connect(&guest, async { start.elapsed() }).await };
                tokio::spawn(waited)
            };
            guest.hurry();
            assert!(connect(&guest).await.unwrap().is_zero(), "asked for before it came");
            guest.late.store(true, Ordering::Relaxed);
            let waits = connect(&guest);
            sleep(TURN_MAX / 4).await;
            assert!(!waits.is_finished(), "nobody asks for it this time");
            guest.hurry();
            assert_eq!(waits.await.unwrap(), TURN_MAX / 4, "asked for while it waits");
            guest.hurry();
            guest.calm();
            assert!(!connect(&guest).await.unwrap().is_zero(), "it has what was asked for");
        });
    }

    #[test]
    fn at_a_door_who_is_asked_for_waits_like_the_others() {
        in_a_stopped_clock(async {
            let turns = Arc::new(Turns::default());
            hang(&turns, AT_ONCE_MAX, Some("host"));
            sleep(TURN_MAX / 4).await;
            let (guest, start) = (turns.guest("host".to_owned()), Instant::now());
            guest.hurry();
            turns.connect(&guest, async {}).await;
            assert!(start.elapsed() > TURN_MAX * 2, "{:?}", start.elapsed());
        });
    }

    #[test]
    fn who_gives_up_leaves_its_place_to_the_next() {
        in_a_stopped_clock(async {
            let turns = Turns::default();
            let guest = turns.guest("host".to_owned());
            for _ in 0..AT_ONCE_MAX * 3 {
                let connecting = turns.connect(&guest, std::future::pending::<()>());
                assert!(timeout(TURN_MAX / 4, connecting).await.is_err());
            }
            let start = Instant::now();
            turns.connect(&guest, async {}).await;
            assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
        });
    }

    #[test]
    fn what_takes_longer_than_its_turn_is_finished_all_the_same() {
        in_a_stopped_clock(async {
            let turns = Turns::default();
            let guest = turns.guest("host".to_owned());
            let long = async {
                sleep(TURN_MAX * 9).await;
                7
            };
            assert_eq!(turns.connect(&guest, long).await, 7);
            assert!(guest.late.load(Ordering::Relaxed));
            turns.connect(&guest, async {}).await;
            assert!(!guest.late.load(Ordering::Relaxed), "once in time, it is like the others");
        });
    }
}
