//! Every bound of the store, by name, with what happens at it.

/// How long a commit waits for somebody else's lock on the database before it gives up.
pub const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Prepared statements a connection keeps; the least used one is prepared anew.
pub(crate) const STATEMENTS_MAX: usize = 64;
/// Pages of 4,096 bytes that the writing connection keeps in memory.
pub(crate) const CACHE_PAGES: u32 = 1_000;
/// Pages in the write-ahead log after which they are carried over into the database.
pub(crate) const LOG_PAGES_MAX: i32 = 2_000;
/// Rows at the end of the journal that are proven before the first answer.
pub(crate) const TAIL_ROWS: u64 = 1_000;
/// Readers that verify a database at once, where there are as many processors.
pub(crate) const WORKERS_MAX: usize = 8;
/// Pieces for each of them that the journal is cut into, so that all end at the same time.
pub(crate) const STRETCHES: u64 = 6;
/// Attempts to have all of them begin between the same two commits of a daemon that goes on.
pub(crate) const MOMENTS_MAX: usize = 100;
/// How long the anchor may be ahead of its copy on the disk.
pub const ANCHOR_SYNC_MS: i64 = 1_000;
/// Room kept back on the disk, so that a full one does not stop the daemon. On a small disk an
/// eighth of it; if that is less than the minimum, none.
pub(crate) const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
pub(crate) const RESERVE_BYTES_MIN: u64 = 256 * 1024;
/// How often it is tried to keep that room again.
pub(crate) const RESERVE_RETRY_MS: i64 = 10_000;
/// Rows of one kind that one step of retention forgets, and steps that one run takes; the rest
/// waits for the next run.
pub(crate) const RETAIN_ROWS_MAX: i64 = 1_000;
pub(crate) const RETAIN_SLICES_MAX: usize = 8;
/// How far the wall clock may stray from the steady one between two runs of retention.
pub(crate) const CLOCK_JUMP_MS: u64 = 10 * 60 * 1_000;
/// How far from where it was last believed the wall clock may be found after a start or a jump, as
/// on a machine that was off over a long weekend, and still be believed.
pub(crate) const CLOCK_ABSENCE_MS: u64 = 4 * 24 * 60 * 60 * 1_000;
/// For how long a doubted clock has to run steadily until it is believed.
pub(crate) const CLOCK_PROBATION_MS: i64 = 24 * 60 * 60 * 1_000;
/// How far the clock goes on before the database is told again where it is believed.
pub(crate) const CLOCK_NOTE_MS: u64 = 12 * 60 * 60 * 1_000;
/// Damaged databases that are kept; one more is refused rather than one deleted.
pub(crate) const ASIDE_MAX: u32 = 99;
