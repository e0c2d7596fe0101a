//! The trail on the disk: what the next daemon has to know of this one's looks.
//!
//! It is one line in a file of its own, written over in place and never synced. A daemon that is
//! killed leaves it as it was; a machine that goes down takes the tmux servers with it, and the
//! trail means nothing any more.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use engine::time::MonoMs;
use engine::trail::Trail;

/// How often it is written while nothing but the time of the last look changes.
const INTERVAL_MS: i64 = 1_000;

/// Where a daemon leaves its trail.
#[derive(Debug)]
pub(crate) struct TrailFile {
    /// `None` if it cannot be written: the next daemon doubts more then.
    file: Option<File>,
    left: Trail,
    left_at: MonoMs,
}

impl TrailFile {
    /// The trail that the last daemon left, and the place for this one's.
    pub(crate) fn open(path: &Path) -> (Trail, Self) {
        let left = read(path);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file
            .inspect_err(|error| tracing::warn!(%error, "no trail is left for the next daemon"))
            .ok();
        (left.clone(), Self { file, left, left_at: MonoMs(i64::MIN) })
    }

    /// Whether enough time has passed to write it again.
    pub(crate) fn is_due(&self, now: MonoMs) -> bool {
        now.0.saturating_sub(self.left_at.0) >= INTERVAL_MS
    }

    /// Leaves a trail, if it is another one.
    pub(crate) fn leave(&mut self, trail: Trail, now: MonoMs) {
        self.left_at = now;
        if trail == self.left {
            return;
        }
        let Ok(mut line) = serde_json::to_vec(&trail) else { return };
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(&line, 0).and_then(|()| file.set_len(length))
        {
            tracing::debug!(%error, "the trail was not written");
        }
        self.left = trail;
    }
}

/// What was left. Where that is nothing, or no trail, nothing is known of earlier looks.
fn read(path: &Path) -> Trail {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Trail::default(),
        Err(error) => {
            tracing::warn!(%error, "the last daemon's trail cannot be read");
            return Trail::default();
        }
    };
    // A longer line may have stood there before.
    let line = text.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| {
        tracing::warn!(%error, "the last daemon's trail is not one");
        Trail::default()
    })
}

#[cfg(test)]
mod tests {
    use engine::ids::TargetId;
    use engine::time::WallMs;
    use engine::trail::Track;

    use super::*;

    fn trail(seen: i64) -> Trail {
        let track = Track { seen: Some(WallMs(seen)), failing: None };
        Trail { targets: [(TargetId::new("tg-1"), track)].into() }
    }

    #[test]
    fn the_next_daemon_reads_what_the_last_one_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qd.trail");
        let (nothing, mut file) = TrailFile::open(&path);
        assert_eq!(nothing, Trail::default());
        file.leave(trail(1_700_000_000_000), MonoMs(5));
        file.leave(trail(7), MonoMs(2_000));
        assert_eq!(TrailFile::open(&path).0, trail(7), "a shorter line leaves nothing behind it");
        assert!(!file.is_due(MonoMs(2_500)) && file.is_due(MonoMs(3_000)));
    }

    #[test]
    fn what_is_no_trail_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qd.trail");
        fs::write(&path, "{\"targets\":").unwrap();
        assert_eq!(TrailFile::open(&path).0, Trail::default());
    }
}
