//! Targets and their health: two counters, one window, no opinion about transports.

use serde::{Deserialize, Serialize};

use crate::ids::{BootId, TargetId};
use crate::settings::Settings;
use crate::time::{Now, Stamp, WallMs};
use crate::trail::Failing;
use crate::words::{Health, TargetKind};

/// A place with a tmux server, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRow {
    pub target: TargetId,
    pub name: String,
    pub kind: TargetKind,
    /// How to reach it; never a secret. For local targets the socket, empty for the default one.
    pub connection_ref: String,
    pub is_default: bool,
    pub health: Health,
    /// Why it is not `ok`, or what is limited although it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The tmux server that was last seen there, while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFacts>,
    pub last_seen_at: Option<WallMs>,
    pub updated_at: WallMs,
}

impl TargetRow {
    /// Whether somebody disconnected it, so that it is left alone until it is connected again.
    pub fn is_disconnected(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.code == DISCONNECTED)
    }

    /// Whether nobody has looked at it yet since it was added or connected, or the daemon started.
    pub fn is_unseen(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.code == UNSEEN)
    }

    /// Whether a first look at it may be long in coming: one of this machine answers, or fails,
    /// before anybody could ask.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.kind != TargetKind::Local
    }
}

/// What stands in place of a trouble while a target is left alone on purpose.
const DISCONNECTED: &str = "E_TARGET_DISCONNECTED";

/// What stands in place of a trouble while nobody has looked at a target yet.
const UNSEEN: &str = "E_TARGET_UNSEEN";

/// A code for machines and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub code: String,
    pub message: String,
}

impl Trouble {
    pub(crate) fn disconnected() -> Self {
        let message = "somebody disconnected it, and it is left alone until it is connected again";
        Self { code: DISCONNECTED.to_owned(), message: message.to_owned() }
    }

    /// Nobody has looked at a target since this.
    pub(crate) fn unseen(since: &str) -> Self {
        let message = format!("nobody has looked at it yet since {since}");
        Self { code: UNSEEN.to_owned(), message }
    }
}

/// One life of a tmux server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    pub boot: BootId,
    pub pid: u32,
    pub version: String,
    pub socket: String,
    pub started_at: WallMs,
    pub mode: ObserverMode,
}

/// How the observer speaks with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObserverMode {
    /// One persistent control-mode client.
    Control,
    /// A forked command per scan, because control mode failed.
    Forked,
}

/// The running count behind a target's health. Volatile, but for what a
/// [`Trail`](crate::trail::Trail) keeps of it over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    failures: u32,
    window_opened: Option<Stamp>,
    successes: u32,
    topology_seen: bool,
    /// Something that was written down there is still to come.
    behind: bool,
    /// When it last failed, until it has recovered.
    failed_at: Option<Stamp>,
}

/// How a look at a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    Answered,
    Failed,
}

/// What happened to a target, as far as its health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// A probe or command was answered.
    Answered,
    /// A complete topology was fetched.
    Topology,
    /// What was written down there meanwhile is still to come.
    Behind,
    /// It is here.
    CaughtUp,
    /// A probe or command failed; one that a keep-alive ended counts for several.
    Failed { weight: u32 },
}

impl Pulse {
    /// Counts one beat and says what the health of a target with this row is now.
    pub(crate) fn beat_of(
        &mut self,
        row: &TargetRow,
        beat: Beat,
        now: Now,
        settings: &Settings,
    ) -> Health {
        // What never failed has nothing to recover from: one complete look is enough.
        let answers = if row.is_unseen() { 1 } else { settings.recovery_probes };
        let settings = Settings { recovery_probes: answers, ..*settings };
        self.beat(row.health, beat, now, &settings)
    }

    /// Counts one beat and says what the health is now.
    pub fn beat(&mut self, health: Health, beat: Beat, now: Now, settings: &Settings) -> Health {
        match beat {
            Beat::Answered => self.successes = self.successes.saturating_add(1),
            Beat::Topology => {
                self.successes = self.successes.saturating_add(1);
                self.topology_seen = true;
            }
            Beat::Behind => {
                self.behind = true;
                return health;
            }
            Beat::CaughtUp => self.behind = false,
            Beat::Failed { weight } => return self.fail(health, weight, now, settings),
        }
        if health == Health::Ok {
            self.failures = 0;
            self.window_opened = None;
            return Health::Ok;
        }
        let recovers = self.topology_seen && self.successes >= settings.recovery_probes;
        if recovers && !self.behind {
            *self = Self::default();
            return Health::Ok;
        }
        health
    }

    /// A count that goes on where another ended.
    pub(crate) fn resumed(failing: Option<Failing>, now: Now) -> Self {
        let failures = failing.map_or(0, |it| it.failures);
        let window_opened = failing.map(|it| now.earlier(it.since, i64::MAX));
        Self { failures, window_opened, ..Self::default() }
    }

    /// The count of a target that is looked at as if for the first time.
    pub(crate) fn begun_anew(&self) -> Self {
        Self { failed_at: self.failed_at, ..Self::default() }
    }

    /// The failures that were counted and not yet recovered from.
    pub(crate) fn failing(&self) -> Option<Failing> {
        let since = self.window_opened.filter(|_| self.failures > 0)?.wall;
        Some(Failing { failures: self.failures, since })
    }

    pub(crate) fn failed_at(&self) -> Option<Stamp> {
        self.failed_at
    }

    fn fail(&mut self, health: Health, weight: u32, now: Now, settings: &Settings) -> Health {
        self.successes = 0;
        self.topology_seen = false;
        self.failed_at = Some(now.stamp());
        let expired =
            self.window_opened.is_none_or(|opened| now.since(opened) > settings.down_window_ms);
        if expired {
            self.failures = 0;
            self.window_opened = Some(now.stamp());
        }
        self.failures = self.failures.saturating_add(weight.max(1));
        match health {
            Health::Down => Health::Down,
            Health::Ok | Health::Degraded if self.failures >= settings.down_failures => {
                Health::Down
            }
            Health::Ok | Health::Degraded => Health::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MonoMs;

    const FAIL: Beat = Beat::Failed { weight: 1 };

    /// Feeds beats at given moments and returns the health after each.
    fn healths(beats: &[(i64, Beat)]) -> Vec<Health> {
        let (mut pulse, mut health) = (Pulse::default(), Health::Ok);
        let settings = Settings::default();
        let mut step = |&(at, beat): &(i64, Beat)| {
            let now = Now { wall: WallMs(at), mono: MonoMs(at) };
            health = pulse.beat(health, beat, now, &settings);
            health
        };
        beats.iter().map(&mut step).collect()
    }

    #[test]
    fn the_first_failure_degrades_and_the_third_within_the_window_is_down() {
        use Health::{Degraded, Down};
        assert_eq!(healths(&[(0, FAIL), (1_000, FAIL), (2_000, FAIL)]), [Degraded, Degraded, Down]);
        assert_eq!(healths(&[(0, FAIL), (1, FAIL), (30_000, FAIL)])[2], Down, "the edge counts");
        assert_eq!(healths(&[(0, FAIL), (1, FAIL), (30_001, FAIL)])[2], Degraded, "a new window");
    }

    #[test]
    fn a_connection_that_keep_alive_ended_counts_as_three() {
        assert_eq!(healths(&[(0, Beat::Failed { weight: 3 })]), [Health::Down]);
    }

    #[test]
    fn recovery_needs_two_answers_in_a_row_and_a_topology() {
        use Beat::{Answered, Topology};
        use Health::{Degraded, Ok};
        assert_eq!(healths(&[(0, FAIL), (1, Answered), (2, Answered)])[2], Degraded);
        assert_eq!(healths(&[(0, FAIL), (1, Topology)])[1], Degraded);
        assert_eq!(healths(&[(0, FAIL), (1, Answered), (2, Topology)])[2], Ok);
        let broken = [(0, FAIL), (1, Topology), (2, FAIL), (3, Answered), (4, Answered)];
        assert_eq!(healths(&broken)[4], Degraded, "a failure in between starts over");
    }

    #[test]
    fn what_is_still_to_come_holds_a_recovery_up() {
        use Beat::{Answered, Behind, CaughtUp, Topology};
        use Health::{Degraded, Ok};
        let late = [(0, FAIL), (1, Behind), (2, Topology), (3, Answered), (4, CaughtUp)];
        assert_eq!(healths(&late)[1..], [Degraded, Degraded, Degraded, Ok]);
        let soon = [(0, FAIL), (1, Behind), (2, CaughtUp), (3, Topology), (4, Answered)];
        assert_eq!(healths(&soon)[2..], [Degraded, Degraded, Ok]);
        assert_eq!(healths(&[(0, Behind), (1, Answered)]), [Ok, Ok], "it makes nothing worse");
    }

    #[test]
    fn answers_of_a_healthy_target_forget_old_failures() {
        let beats = [(0, FAIL), (1, Beat::Answered), (2, Beat::Topology), (3, FAIL), (4, FAIL)];
        assert_eq!(healths(&beats)[4], Health::Degraded);
    }
}
