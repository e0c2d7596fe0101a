//! Every bound of the engine, by name, with what happens at it.

/// Panes of one target; the rest of a longer list is left out and the target says so.
pub const PANES_PER_TARGET_MAX: usize = 20_000;
/// Bytes of a session, window or command name; longer ones are cut at a character.
pub const NAME_BYTES_MAX: usize = 4_096;
/// Bytes of a title or path; longer ones are cut at a character.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Events that wait to be bound; one more is refused as overload.
pub const PENDING_EVENTS_MAX: usize = 10_000;
/// Bytes of an event's type, dedupe key and ids; longer ones are refused.
pub const EVENT_KEY_BYTES_MAX: usize = 512;
/// Bytes of an event's redacted payload.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Targets; one more is refused.
pub const TARGETS_MAX: usize = 256;

/// Sessions of an agent's whose last word is kept for each source of a runtime.
pub const SESSIONS_HEARD_MAX: usize = 4;

/// Adapters that were turned on or off; one more is refused.
pub const ADAPTERS_MAX: usize = 256;

/// Actions of which more may become known; one more is refused as overload.
pub const OPEN_ACTIONS_MAX: usize = 1_024;
/// The same in one pane.
pub const OPEN_ACTIONS_PER_PANE_MAX: usize = 16;
/// Acts in one pane of which nobody heard the answer: the next one waits until a look has told what
/// became of one, because a pane keeps the traces of no more than these and the next.
pub const UNSETTLED_ACTIONS_PER_PANE_MAX: usize = 3;
/// How long what was seen counts for an action that waits for others in its pane.
pub const SNAPSHOT_TTL_MS: i64 = 30_000;
/// How long a prompt may take that is pasted, looked at and sent with a key of its own.
pub const PROMPT_MS: i64 = 6_000;
/// The pauses before a prompt is tried again that found something else in the composer: doubled
/// each time, from the first to the longest.
pub const RETRY_FIRST_MS: i64 = 500;
pub const RETRY_MS_MAX: i64 = 16_000;
/// How long a prompt waits for its agent, at most and if nothing is said.
pub const PATIENCE_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1_000;
pub const WAIT_MS: i64 = 10 * 60 * 1_000;
pub const QUEUE_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long an act may take. The server that acts refuses it afterwards, to the second.
pub const ACT_MS: i64 = 2_000;
/// A text longer than this may take longer than that to get there, by a second for so many bytes.
pub const TEXT_BYTES_SOON: u64 = 4 * 1024;
pub const TEXT_BYTES_PER_S: u64 = 4 * 1024;

/// Bytes of a request that is to be approved; longer ones are cut, and told how long they are.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024;
/// Answers that an approval offers, and bytes of one; further ones can be given in the terminal.
pub const OFFERS_MAX: usize = 16;
pub const OFFER_BYTES_MAX: usize = 512;
/// Parts of one question that are answered together, and options of each. One with more of either,
/// or with a longer text, is left to the agent's own terminal.
pub const PARTS_MAX: usize = 8;
pub const PART_OPTIONS_MAX: usize = 16;
pub const PART_BYTES_MAX: usize = 2 * 1024;
/// Approvals that wait in one runtime; further ones are answered in the terminal.
pub const APPROVALS_PER_RUNTIME_MAX: usize = 32;
/// How long an approval can be answered.
pub const APPROVAL_TTL_MS: i64 = 24 * 60 * 60 * 1_000;

/// A process that replaces itself this soon after its start is still starting: `sh -c` handing
/// over to its command is not a new life.
pub const STARTUP_EXEC_MS: i64 = 1_000;
/// Output this soon after a signal belongs to what the signal reported (a dialog being drawn).
pub const SETTLE_MS: i64 = 2_000;
/// How long after a hook's request it may take until it is known whether the hook waits.
pub const HOOK_ARRIVAL_MS: i64 = 3_000;
/// How long after an answer it may turn out that another one was taken.
pub const CONTRADICTION_MS: i64 = 10_000;
/// How late a reading may be of what was written down, to count for when that was. What is read later
/// than that was so all the while, and is confirmed by the reading.
pub const READ_LATE_MS: i64 = 10_000;
/// In what unit the time of an output is told by those who did not hear it.
pub const OUTPUT_UNIT_MS: i64 = 1_000;
/// Silence after which a burst of output is over.
pub const BURST_QUIET_MS: i64 = 3_000;
/// While a burst lasts, its last activity is journalled this often.
pub const BURST_REPORT_MS: i64 = 60_000;
/// Changes of nothing but the title that are journalled at once; after these, one each refill. A
/// program that works may turn a spinner in its title for hours.
pub const TITLE_BURST: u32 = 8;
pub const TITLE_REFILL_MS: i64 = 20_000;
/// The same for the command, which somebody has to type: a whole session of quick commands is
/// journalled at once, a loop that starts programs for ever is not.
pub const COMMAND_BURST: u32 = 32;
pub const COMMAND_REFILL_MS: i64 = 2_000;

/// Tokens at once. One more is refused until another is revoked.
pub const TOKENS_MAX: usize = 64;
/// A token's use is journalled this often: it is told when it was used last, to this length.
pub const TOKEN_USE_MS: i64 = 300_000;

/// How long an event may have lain in the spool and still count for the time it was written
/// down; an older one counts as one of then.
pub const SPOOLED_MS_MAX: i64 = 12 * 60 * 60 * 1_000;

/// A wall clock that falls behind by more than this was set back. Two clocks that are read one after
/// the other differ by less.
pub const CLOCK_STEP_MS_MIN: i64 = 100;

/// Cuts `text` to at most `max` bytes without splitting a character.
pub fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
}
