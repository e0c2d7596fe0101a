//! Every bound of the client, in one place.

use std::time::Duration;

/// How long a daemon that was just started may take until it answers.
pub const READY_MAX: Duration = Duration::from_secs(5);

/// How long an answer may take; connecting to an unreachable target is the slowest of them.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The same for a question that changes nothing: it is answered out of the daemon's memory, or by
/// one look at its database.
pub const LOOK_MAX: Duration = Duration::from_secs(10);

/// How long a daemon that was asked to end may take until its process is gone.
pub const EXIT_MAX: Duration = Duration::from_secs(10);

/// The largest answer that is read; a page of the longest items stays far below.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest line of a watch stream; a snapshot is one line.
pub const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The largest lock file that is read; it holds a pid and a path.
pub const LOCK_BYTES_MAX: u64 = 16 * 1024;

/// How many pages of one list are followed; no deck has that many panes.
pub const PAGES_MAX: usize = 1_000;

/// The first pause between two tries to reach a daemon that is just starting.
pub const READY_PAUSE_MIN: Duration = Duration::from_millis(2);

/// The longest pause between two such tries.
pub const READY_PAUSE_MAX: Duration = Duration::from_millis(50);

/// The first pause before a lost watch stream is tried again.
pub const WATCH_PAUSE_MIN: Duration = Duration::from_millis(25);

/// The longest pause between two such tries.
pub const WATCH_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a lost daemon may come back by itself (a service unit restarts it) before a watcher
/// has one started.
pub const WATCH_GRACE: Duration = Duration::from_secs(1);

/// The same for a daemon that makes room for a newer one.
pub const UPGRADE_GRACE: Duration = Duration::from_secs(10);
