//! Every bound of the wire, in one place.
//!
//! A client may rely on these: what is longer or more than stated here is
//! refused with the error named beside it, never cut and never guessed at.

/// Longest body of any request; longer ones answer `E_BODY_TOO_LARGE`.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Longest query string; longer ones answer `E_BAD_REQUEST`.
pub const QUERY_BYTES_MAX: usize = 32 * 1024;

/// Most key-value pairs in a query string; more answer `E_BAD_REQUEST`.
pub const QUERY_PAIRS_MAX: usize = 256;

/// Most items in one page of a list, also when the query names no limit.
pub const PAGE_ITEMS_MAX: u32 = 1_000;

/// Longest page token; longer ones answer `E_BAD_REQUEST`.
pub const PAGE_TOKEN_BYTES_MAX: usize = 512;

/// Most sort keys in one query; more answer `E_BAD_REQUEST`.
pub const SORT_KEYS_MAX: usize = 4;

/// Longest name of a target.
pub const TARGET_NAME_BYTES_MAX: usize = 64;

/// Longest tmux socket name or path in a request.
pub const TMUX_SOCKET_BYTES_MAX: usize = 1_024;

/// Longest session name, decoded; room for 1,000 characters of four bytes.
pub const SESSION_NAME_BYTES_MAX: usize = 4_096;

/// Longest reference or selector; room for a session name of full length,
/// each byte percent-encoded, and the parts around it.
pub const REFERENCE_BYTES_MAX: usize = 16 * 1024;

/// Shortest runtime id that a `runtime:` reference accepts.
pub const RUNTIME_ID_BYTES_MIN: usize = 16;

/// Longest runtime id that a `runtime:` reference accepts.
pub const RUNTIME_ID_BYTES_MAX: usize = 128;

/// Shortest prefix of a runtime id that a person may type for the whole.
pub const RUNTIME_PREFIX_BYTES_MIN: usize = 4;

/// Most candidates named in the details of `E_REF_AMBIGUOUS`.
pub const CANDIDATES_MAX: usize = 20;

/// Longest watch cursor.
pub const CURSOR_BYTES_MAX: usize = 128;

/// Longest stream id within a cursor.
pub const STREAM_ID_BYTES_MAX: usize = 64;

/// Longest client-given event id.
pub const EVENT_ID_BYTES_MAX: usize = 128;

/// Longest event type.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// Longest dedupe key.
pub const DEDUPE_KEY_BYTES_MAX: usize = 256;

/// Longest event id of the source's own.
pub const SOURCE_EVENT_ID_BYTES_MAX: usize = 256;

/// Longest agent name.
pub const AGENT_TYPE_BYTES_MAX: usize = 64;

/// Largest raw payload of an event, in bytes of its text.
pub const RAW_PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// Most lines of one answer to a shutdown, a config or a health request that
/// list findings; the rest are counted, not listed.
pub const WARNINGS_MAX: usize = 100;
