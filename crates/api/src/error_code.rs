//! Every way in which a request or a command can be refused or fail.
//!
//! One table holds, for each code, its spelling, its HTTP status, the exit code
//! of `qd`, its meaning and the default hint. `docs/reference/errors.md` is
//! generated from it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::exit_code::ExitCode;
use crate::words::{UnknownWord, word_schema};

/// Turns the table below into the enum and its lookups.
macro_rules! error_codes {
    ($(
        $(#[doc = $meaning:literal])+
        $variant:ident = $code:literal, $status:literal, $exit:ident, $hint:literal;
    )+) => {
        /// The code of an error: what went wrong, for programs.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum ErrorCode {
            $( $(#[doc = $meaning])+ #[serde(rename = $code)] $variant, )+
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Every spelling, in the order of the table.
            pub const WORDS: &'static [&'static str] = &[$($code),+];

            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The HTTP status of an answer that carries it.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// How `qd` exits when it ends on it.
            #[must_use]
            pub const fn exit_code(self) -> ExitCode {
                match self { $(Self::$variant => ExitCode::$exit),+ }
            }

            /// What it means, for the reference page.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii()),+ }
            }

            /// What to do next, unless the place that raises it knows better.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),+ }
            }
        }
    };
}

error_codes! {
    /// The reference has none of the known forms.
    RefInvalid = "E_REF_INVALID", 400, Usage,
        "Name a pane as %12 or session:window.pane; `qd list panes` shows them.";
    /// The session in the reference is not percent-encoded UTF-8.
    RefInvalidEncoding = "E_REF_INVALID_ENCODING", 400, Usage,
        "Write each special character of the session name as %XX, a blank as %20.";
    /// Nothing fits the reference.
    RefNotFound = "E_REF_NOT_FOUND", 404, NotFound,
        "See what there is with `qd list panes`.";
    /// More than one thing fits the reference; nothing was done.
    RefAmbiguous = "E_REF_AMBIGUOUS", 409, Conflict,
        "Use the full reference of one of the candidates in the details.";
    /// The runtime that was named has ended, or its pane holds another one.
    RuntimeStale = "E_RUNTIME_STALE", 409, Conflict,
        "Look the pane up again: another process lives in it now.";
    /// A condition that the request named does not hold.
    PreconditionFailed = "E_PRECONDITION_FAILED", 409, Conflict,
        "Look at the current state and decide again.";
    /// The snapshot on which the request rests is too old.
    SnapshotExpired = "E_SNAPSHOT_EXPIRED", 409, Conflict,
        "Repeat the request; a new snapshot is taken.";
    /// The same key came before with other content.
    IdempotencyConflict = "E_IDEMPOTENCY_CONFLICT", 409, Conflict,
        "Use a new key for new content; repeat the old content to get its result.";
    /// The watch cursor is malformed.
    CursorInvalid = "E_CURSOR_INVALID", 400, Usage,
        "Pass a cursor as a frame printed it, or none for a fresh snapshot.";
    /// The watch cursor points at changes that are no longer kept.
    CursorExpired = "E_CURSOR_EXPIRED", 410, Conflict,
        "Start again without a cursor; the first frame is a full snapshot.";
    /// The process id that a signal would need is not known.
    PidUnavailable = "E_PID_UNAVAILABLE", 400, Failure,
        "Send a key instead of a signal.";
    /// Nothing that is typed reaches the pane's process now: the pane is in a mode, its input is
    /// off, or it is synchronized with others.
    PaneBlocked = "E_PANE_BLOCKED", 409, Conflict,
        "Leave copy mode, or switch the pane's input on, and repeat it with a new request reference.";
    /// The agent takes no prompt now.
    AgentBusy = "E_AGENT_BUSY", 409, Conflict,
        "Wait until it is idle: `qd watch` shows when.";
    /// It reached the process that was meant, and nothing proves that it was taken.
    NotConfirmed = "E_NOT_CONFIRMED", 502, Failure,
        "Look at the pane with `qd view-output` before it is sent again.";
    /// The approval waits for no answer any more.
    ApprovalClosed = "E_APPROVAL_CLOSED", 409, Conflict,
        "`qd approvals --all` shows how it ended; nothing was answered.";
    /// Somebody else's answer to the approval was first.
    ApprovalAnswered = "E_APPROVAL_ANSWERED", 409, Conflict,
        "The details say who answered and what; nothing else was answered.";
    /// What is asked is not what the answer was meant for.
    ApprovalChanged = "E_APPROVAL_CHANGED", 409, Conflict,
        "Look at what is asked now, with `qd approvals` or in the pane, and answer that.";
    /// What is asked cannot be answered so.
    ChoiceNotOffered = "E_CHOICE_NOT_OFFERED", 409, Conflict,
        "`qd approvals` shows the answers that are offered; the terminal takes the others.";
    /// Somebody took it back before it was begun; nothing was done.
    Cancelled = "E_CANCELLED", 409, Conflict,
        "`qd history` says who took it back; ask again with a new request reference.";
    /// It is on its way or has its outcome, and can no longer be taken back.
    TooLate = "E_TOO_LATE", 409, Conflict,
        "The details say how far it is; `qd history` shows what came of it.";
    /// It was cut off before it was done; nothing was done.
    Interrupted = "E_INTERRUPTED", 503, Failure,
        "Ask again with a new request reference.";
    /// The target does not answer.
    TargetUnreachable = "E_TARGET_UNREACHABLE", 502, Failure,
        "See why with `qd target list`, then `qd target connect NAME`.";
    /// Somebody disconnected the target.
    TargetDisconnected = "E_TARGET_DISCONNECTED", 502, Failure,
        "It is left alone until `qd target connect NAME`.";
    /// Nobody has looked at the target yet since it was added or connected, or the daemon started.
    TargetUnseen = "E_TARGET_UNSEEN", 502, Failure,
        "Wait for the first look, or see how far it comes with `qd target test NAME`.";
    /// The request is malformed, or a field of it is out of bounds.
    BadRequest = "E_BAD_REQUEST", 400, Usage,
        "Correct what the message names; `qd help` and docs/reference/api.md show what is expected.";
    /// The request's body is longer than any request may be.
    BodyTooLarge = "E_BODY_TOO_LARGE", 413, Usage,
        "Send less: the limit is in the details.";
    /// The path exists, but not with this method.
    MethodNotAllowed = "E_METHOD_NOT_ALLOWED", 405, Usage,
        "The Allow header lists the methods of this path.";
    /// There is no such path.
    RouteNotFound = "E_ROUTE_NOT_FOUND", 404, Usage,
        "docs/reference/api.md lists every path.";
    /// Whoever asks may not do this.
    Forbidden = "E_FORBIDDEN", 403, Failure,
        "Ask as the user who runs the daemon, over its own socket.";
    /// It comes over TCP and bears no token that counts.
    Unauthenticated = "E_UNAUTHENTICATED", 401, Failure,
        "Make a token with `qd token create` on the daemon's machine, and send it as a bearer token.";
    /// Too many requests came over TCP without a token that counts.
    TooManyFailures = "E_TOO_MANY_FAILURES", 429, Failure,
        "Wait as long as `Retry-After` says; a token that counts is served meanwhile.";
    /// The request was made for another host than the one that is listened on.
    Misdirected = "E_MISDIRECTED", 421, Failure,
        "Ask the address of `api.listen` as it stands there, or `localhost` with its port.";
    /// A web page of another origin asks.
    CrossOrigin = "E_CROSS_ORIGIN", 403, Failure,
        "Other sites have no access; ask from a program, or from the daemon's own pages.";
    /// The body says that it is something else than JSON.
    MediaType = "E_MEDIA_TYPE", 415, Usage,
        "Send JSON, with `Content-Type: application/json`.";
    /// There is a token of that name already.
    TokenExists = "E_TOKEN_EXISTS", 409, Conflict,
        "Choose another name, or revoke that one with `qd token revoke NAME`.";
    /// There is no token of that name or id.
    TokenNotFound = "E_TOKEN_NOT_FOUND", 404, NotFound,
        "See the tokens with `qd token list`.";
    /// Something failed inside the daemon that should not have.
    Internal = "E_INTERNAL", 500, Failure,
        "See `qd daemon logs`, and report what it says.";
    /// Client and daemon are of different versions and the client is the older.
    Version = "E_VERSION", 409, Conflict,
        "Use the `qd` that runs the daemon, or stop it with `qd daemon stop` first.";
    /// There is no room left on the disk that holds the database.
    StoreFull = "E_STORE_FULL", 507, Failure,
        "Make room on the disk; nothing that was answered before is lost.";
    /// The database cannot be written to.
    StoreReadOnly = "E_STORE_READ_ONLY", 503, Failure,
        "Reading still works; `qd doctor` says why writing does not. A damaged database is replaced \
         with `qd daemon stop` and `qd journal rebuild`.";
    /// It is not known whether the request was carried out.
    OutcomeUnknown = "E_OUTCOME_UNKNOWN", 500, Failure,
        "Repeat it with the same key: it is carried out at most once.";
    /// There is a target of that name already.
    TargetExists = "E_TARGET_EXISTS", 409, Conflict,
        "Choose another name, or remove the target with `qd target remove NAME`.";
    /// The program is none that could run on the target, or none to be copied.
    ProgramUnfit = "E_PROGRAM_UNFIT", 412, Conflict,
        "`./x build` makes one that is linked statically; --program names another.";
    /// There is no target of that name.
    TargetNotFound = "E_TARGET_NOT_FOUND", 404, NotFound,
        "See the targets with `qd target list`.";
    /// Another target leads to the same tmux server already.
    TargetDuplicateServer = "E_TARGET_DUPLICATE_SERVER", 409, Conflict,
        "Use that target, or name another socket.";
    /// This target cannot be removed.
    TargetProtected = "E_TARGET_PROTECTED", 409, Conflict,
        "The default target stays; other targets can be removed.";
    /// No adapter has that name, and none is for an agent of it.
    AdapterNotFound = "E_ADAPTER_NOT_FOUND", 404, NotFound,
        "See the adapters with `qd adapter list`.";
    /// The adapter was made for another contract.
    AdapterIncompatible = "E_ADAPTER_INCOMPATIBLE", 412, Conflict,
        "Bring its file up to this contract; `qd adapter list` names the place.";
    /// There are as many of these as the daemon keeps.
    LimitReached = "E_LIMIT_REACHED", 409, Conflict,
        "Remove one that is no longer needed; the limit is in the details.";
    /// The daemon has more to do than it accepts at once.
    Overloaded = "E_OVERLOADED", 503, Failure,
        "Wait a moment and repeat the request.";
    /// The daemon is about to end.
    ShuttingDown = "E_SHUTTING_DOWN", 503, DaemonUnreachable,
        "Repeat the request; the next command starts a new daemon.";
    /// The configuration file has a mistake.
    ConfigInvalid = "E_CONFIG_INVALID", 400, Failure,
        "`qd config check` shows the line; the last good configuration stays in use.";
    /// No daemon answers at the socket, and none could be started.
    DaemonUnreachable = "E_DAEMON_UNREACHABLE", 503, DaemonUnreachable,
        "See `qd daemon status` and `qd daemon logs`.";
    /// Another daemon of this user runs already.
    DaemonRunning = "E_DAEMON_RUNNING", 409, Conflict,
        "Use the one that runs, or stop it with `qd daemon stop`.";
    /// Something that is no socket stands where the socket should be.
    SocketOccupied = "E_SOCKET_OCCUPIED", 409, Conflict,
        "Move that file away, or choose another place with QD_HOME.";
    /// It took longer than it was allowed to.
    Timeout = "E_TIMEOUT", 504, Timeout,
        "See with `qd doctor` what is slow, then repeat it.";
    /// It destroys something and nobody confirmed it.
    ConfirmationRequired = "E_CONFIRMATION_REQUIRED", 400, Usage,
        "Repeat it with --yes if you mean it.";
    /// This version cannot do that yet.
    Unsupported = "E_UNSUPPORTED", 501, Failure,
        "See `qd help` for what this version can do.";
    /// The journal does not prove itself: something changed it from outside.
    JournalCorrupt = "E_JOURNAL_CORRUPT", 500, Failure,
        "`qd journal verify` names the first bad row; what is proven is kept.";
    /// The database was written by a newer version.
    DbNewer = "E_DB_NEWER", 500, Failure,
        "Use the newer `qd`, or another QD_HOME; nothing was changed.";
    /// The database cannot be read.
    DbUnreadable = "E_DB_UNREADABLE", 500, Failure,
        "`qd doctor` says what is wrong with it; it is set aside, never deleted.";
    /// tmux is not installed, or too old.
    TmuxUnusable = "E_TMUX_UNUSABLE", 500, Failure,
        "Install tmux 3.3 or later; `qd doctor` says what was found.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ErrorCode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        known.ok_or_else(|| UnknownWord::new(text, Self::WORDS))
    }
}

impl JsonSchema for ErrorCode {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        word_schema(
            "The code of an error: what went wrong, for programs.",
            Self::ALL.iter().map(|code| (code.as_str(), code.meaning())),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What origins 1.19 fixes for the codes it names.
    const ORIGIN_CODES: [(&str, u16); 12] = [
        ("E_REF_INVALID", 400),
        ("E_REF_INVALID_ENCODING", 400),
        ("E_REF_NOT_FOUND", 404),
        ("E_REF_AMBIGUOUS", 409),
        ("E_RUNTIME_STALE", 409),
        ("E_PRECONDITION_FAILED", 409),
        ("E_SNAPSHOT_EXPIRED", 409),
        ("E_IDEMPOTENCY_CONFLICT", 409),
        ("E_CURSOR_INVALID", 400),
        ("E_CURSOR_EXPIRED", 410),
        ("E_PID_UNAVAILABLE", 400),
        ("E_TARGET_UNREACHABLE", 502),
    ];

    #[test]
    fn tc_053_the_twelve_codes_of_the_origin_keep_their_status() {
        for (text, status) in ORIGIN_CODES {
            assert_eq!(text.parse::<ErrorCode>().unwrap().http_status(), status, "{text}");
        }
    }

    #[test]
    fn tc_053_every_code_is_distinct_and_says_what_to_do() {
        let distinct: BTreeSet<_> = ErrorCode::WORDS.iter().collect();
        assert_eq!(distinct.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            let text = code.as_str();
            assert!(text.starts_with("E_"), "{text}");
            assert!((400..600).contains(&code.http_status()), "{text}");
            assert_ne!(code.exit_code(), ExitCode::Ok, "{text}");
            assert!(code.meaning().ends_with('.') && code.meaning().len() > 20, "{text}");
            assert!(code.hint().ends_with('.') && code.hint().len() > 20, "{text}");
            assert_eq!(serde_json::to_value(code).unwrap(), text);
        }
    }
}
