//! Every bound of the wire, in one place.
//!
//! A client may rely on these: what is longer or more than stated here is
//! refused with the error named beside it, never cut and never guessed at.

/// One bound, for the reference page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The name of its constant.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What it bounds, and what happens at it.
    pub about: &'static str,
}

/// Declares each bound as a constant and as a row of [`ALL`].
macro_rules! limits {
    ($( $(#[doc = $about:literal])+ $name:ident: $kind:ty = $value:expr; )+) => {
        $( $(#[doc = $about])+ pub const $name: $kind = $value; )+

        /// Every bound, in the order of this file.
        pub const ALL: &[Limit] = &[$(
            Limit { name: stringify!($name), value: $name as u64, about: concat!($($about),+) },
        )+];
    };
}

limits! {
    /// Longest body of any request; longer ones answer `E_BODY_TOO_LARGE`.
    BODY_BYTES_MAX: usize = 1024 * 1024;

    /// Longest body of a request to send, with a text of full length and its escapes.
    SEND_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

    /// Longest text that is sent at once; longer ones answer `E_BAD_REQUEST`.
    SEND_TEXT_BYTES_MAX: usize = 1024 * 1024;

    /// Most keys in one request; more answer `E_BAD_REQUEST`.
    ACTION_KEYS_MAX: usize = 64;

    /// Longest name of a request.
    REQUEST_REF_BYTES_MAX: usize = 128;

    /// Most lines of a pane in one answer; more answer `E_BAD_REQUEST`.
    OUTPUT_LINES_MAX: u32 = 10_000;

    /// Most actions in one answer; more answer `E_BAD_REQUEST`.
    ACTIONS_LISTED_MAX: u32 = 500;

    /// Longest word that goes with a denial; longer ones answer `E_BAD_REQUEST`.
    APPROVAL_MESSAGE_BYTES_MAX: usize = 4_096;

    /// Parts of a question that one answer names; more answer `E_BAD_REQUEST`.
    ANSWERED_PARTS_MAX: usize = 8;

    /// Options that an answer names of one part; more answer `E_BAD_REQUEST`.
    ANSWERED_OPTIONS_MAX: usize = 16;

    /// Most approvals in one answer; more answer `E_BAD_REQUEST`.
    APPROVALS_LISTED_MAX: u32 = 500;

    /// Longest head of a request; a longer one answers `E_BAD_REQUEST` and ends the connection.
    HEAD_BYTES_MAX: usize = 64 * 1024;

    /// Most header fields of a request; more answer `E_BAD_REQUEST` and end the connection.
    HEAD_FIELDS_MAX: usize = 100;

    /// Longest query string; longer ones answer `E_BAD_REQUEST`.
    QUERY_BYTES_MAX: usize = 32 * 1024;

    /// Most key-value pairs in a query string; more answer `E_BAD_REQUEST`.
    QUERY_PAIRS_MAX: usize = 256;

    /// Most items in one page of a list, also when the query names no limit.
    PAGE_ITEMS_MAX: u32 = 1_000;

    /// Longest page token; longer ones answer `E_BAD_REQUEST`.
    PAGE_TOKEN_BYTES_MAX: usize = 8_192;

    /// Most sort keys in one query; more answer `E_BAD_REQUEST`.
    SORT_KEYS_MAX: usize = 4;

    /// Longest name of a target.
    TARGET_NAME_BYTES_MAX: usize = 64;

    /// Longest tmux socket name or path in a request: a Unix socket's path has no more room.
    TMUX_SOCKET_BYTES_MAX: usize = 107;

    /// Most words in a command that leads to a target.
    TARGET_WORDS_MAX: usize = 64;

    /// Longest word of such a command, longest host, longest option.
    TARGET_WORD_BYTES_MAX: usize = 4_096;

    /// Most options of `ssh` for one target.
    SSH_OPTIONS_MAX: usize = 32;

    /// Longest session name, decoded; room for 1,000 characters of four bytes.
    SESSION_NAME_BYTES_MAX: usize = 4_096;

    /// Longest reference or selector; room for a session name of full length,
    /// each byte percent-encoded, and the parts around it.
    REFERENCE_BYTES_MAX: usize = 16 * 1024;

    /// Shortest runtime id that a `runtime:` reference accepts.
    RUNTIME_ID_BYTES_MIN: usize = 16;

    /// Longest runtime id that a `runtime:` reference accepts.
    RUNTIME_ID_BYTES_MAX: usize = 128;

    /// Shortest prefix of a runtime id that a person may type for the whole.
    RUNTIME_PREFIX_BYTES_MIN: usize = 4;

    /// Most candidates named in the details of `E_REF_AMBIGUOUS`.
    CANDIDATES_MAX: usize = 20;

    /// Longest name of a token; longer ones answer `E_BAD_REQUEST`.
    TOKEN_NAME_BYTES_MAX: usize = 64;

    /// Most tokens at once; one more answers `E_LIMIT_REACHED`.
    TOKENS_MAX: usize = 64;

    /// Longest watch cursor.
    CURSOR_BYTES_MAX: usize = 128;

    /// Longest stream id within a cursor.
    STREAM_ID_BYTES_MAX: usize = 64;

    /// Longest client-given event id.
    EVENT_ID_BYTES_MAX: usize = 128;

    /// Longest event type.
    EVENT_TYPE_BYTES_MAX: usize = 128;

    /// Longest dedupe key.
    DEDUPE_KEY_BYTES_MAX: usize = 256;

    /// Longest event id of the source's own.
    SOURCE_EVENT_ID_BYTES_MAX: usize = 256;

    /// Longest agent name.
    AGENT_TYPE_BYTES_MAX: usize = 64;

    /// Largest raw payload of an event, in bytes of its text.
    RAW_PAYLOAD_BYTES_MAX: usize = 256 * 1024;
}

/// How long a token counts where nobody says how long.
pub const TOKEN_LIFE_MS_DEFAULT: u64 = 30 * 24 * 60 * 60 * 1_000;
/// The longest that a token counts.
pub const TOKEN_LIFE_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// The longest that a prompt waits for its agent.
pub const BUSY_TIMEOUT_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1_000;
