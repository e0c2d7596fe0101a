//! What a daemon leaves for the next one of what is true but not journalled: when its targets were
//! last seen, and how often they failed since.
//!
//! Only a look confirms anything. A daemon that is started again and again, and never gets to see a
//! target, must neither keep old states fresh nor forget that the target does not answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, TargetMemory};
use crate::ids::TargetId;
use crate::pane::PaneRow;
use crate::target::Pulse;
use crate::time::{Now, Stamp, WallMs};
use crate::words::{Source, State};

/// The trail of all targets. It is kept outside of the journal, and what is lost of it only makes
/// the next daemon doubt more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    pub targets: BTreeMap<TargetId, Track>,
}

/// The trail of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// When each of its panes had been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<WallMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
}

/// Failures that were counted and not yet recovered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    pub failures: u32,
    /// When the first of them was.
    pub since: WallMs,
}

impl Engine {
    pub fn trail(&self) -> Trail {
        let track = |memory: &TargetMemory| {
            let panes = self.panes_of(&memory.row.target).map(|pane| pane.row.last_seen);
            // Of a target that nobody has looked at yet the rows alone tell.
            let seen = memory.heard_until().map(|heard| panes.min().unwrap_or(heard));
            Track { seen: seen.map(|it| it.wall), failing: memory.pulse.failing() }
        };
        let tracks = self.targets.iter().map(|(target, memory)| (target.clone(), track(memory)));
        Trail { targets: tracks.collect() }
    }

    /// Goes on from where the last daemon's trail ends.
    ///
    /// A definite state that is stored held when its target was last seen, for until then the
    /// claim would have been found stale. Nothing confirms it later than that: it has what is left
    /// of `stale_ttl` to be confirmed again.
    pub fn take_up(&mut self, trail: &Trail, now: Now) {
        for (target, track) in &trail.targets {
            let seen = track.seen.map(|wall| now.earlier(wall, i64::MAX));
            if let Some(memory) = self.targets.get_mut(target) {
                memory.taken_up = seen;
                memory.row.last_seen_at = memory.row.last_seen_at.max(track.seen);
                memory.pulse = Pulse::resumed(track.failing, now);
            }
            let Some(seen) = seen else { continue };
            self.panes_of_mut(target).for_each(|memory| confirm(&mut memory.row, seen));
        }
    }
}

fn confirm(row: &mut PaneRow, seen: Stamp) {
    row.last_seen = row.last_seen.max(seen);
    let shown = (row.state.state, row.state.source.is_some_and(Source::is_reading));
    if let ((State::Running, false), Some(printed)) = (shown, &mut row.last_activity) {
        // Of a burst that lasts only the beginning is stored.
        printed.mono = printed.mono.max(seen.mono);
    }
}
