//! Actions: `POST /v1/actions/{attach,send,view-output,kill}`, what became of them, and taking one
//! back that was not begun.
//!
//! Every request names itself by a `request_ref`. The same request under the same name is the same
//! action, however often it is sent: it is carried out at most once, and answered alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::error_code::ErrorCode;
use crate::limits::{
    ACTION_KEYS_MAX, ACTIONS_LISTED_MAX, BUSY_TIMEOUT_MS_MAX, OUTPUT_LINES_MAX,
    REFERENCE_BYTES_MAX, REQUEST_REF_BYTES_MAX, SEND_TEXT_BYTES_MAX,
};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::reference::RuntimeId;
use crate::settings::parse_time;
use crate::timestamp::Timestamp;
use crate::words::{SchemaVersion, State};

words! {
    /// What an action does.
    pub enum ActionType {
        /// Shows a pane to whoever attaches to its session next.
        Attach = "attach",
        /// Types into a pane.
        Send = "send",
        /// Reads what a pane shows.
        ViewOutput = "view-output",
        /// Interrupts or signals what runs in a pane.
        Kill = "kill",
        /// Answers an approval.
        Respond = "respond",
    }
}

words! {
    /// How far an action is.
    pub enum ResultCode {
        /// Nothing of its outcome is known yet.
        Pending = "pending",
        /// It was done.
        Completed = "completed",
        /// It reached the process that was meant, and nothing proves that it was taken.
        NotConfirmed = "not_confirmed",
        /// A check said no; nothing was done.
        Refused = "refused",
        /// It could not be done; nothing was done.
        Failed = "failed",
        /// Somebody took it back before it was begun; nothing was done.
        Cancelled = "cancelled",
        /// It may have been done.
        Unknown = "unknown",
    }
}

words! {
    /// What happens to a send while the agent takes no prompt. Other programs take any text.
    pub enum IfBusy {
        /// It is refused.
        Refuse = "refuse",
        /// The answer waits until the agent took it.
        Wait = "wait",
        /// It is answered at once and kept, also over a restart, until the agent takes it.
        Queue = "queue",
    }
}

words! {
    /// How something is ended.
    pub enum KillMode {
        /// By the key that interrupts, typed into the pane.
        Key = "key",
        /// By a signal to the runtime's own process.
        Signal = "signal",
    }
}

words! {
    /// A signal that a process can be sent.
    pub enum KillSignal {
        /// Interrupts.
        Int = "INT",
        /// Asks to end.
        Term = "TERM",
        /// Ends at once.
        Kill = "KILL",
    }
}

/// The fields of every request, and those of one kind behind them.
macro_rules! action_requests {
    ($( $(#[doc = $about:literal])+ $name:ident { $($(#[$meta:meta])* $field:ident: $kind:ty,)* } )+) => { $(
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The version of this format.
            #[serde(default)]
            pub schema_version: SchemaVersion,
            /// The name of this request, by which a repetition is recognised; best a UUIDv7.
            #[schemars(length(min = 1, max = REQUEST_REF_BYTES_MAX))]
            pub request_ref: String,
            /// The runtime or pane, as a reference or as a person types it.
            #[serde(rename = "ref")]
            pub reference: String,
            /// Only if this very runtime lives there.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub if_runtime: Option<String>,
            /// Only if this runs in the foreground, as `current_cmd` tells it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub if_command: Option<String>,
            /// Only if it is in this state.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub if_state: Option<State>,
            /// Only if what is known of it changed within this time, such as `5s`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub if_updated_within: Option<String>,
            /// Skips `if_state` and `if_updated_within`; who it is, is checked all the same.
            #[serde(default)]
            pub force_stale: bool,
            $($(#[$meta])* pub $field: $kind,)*
        }

        impl $name {
            /// The fields that every request has.
            #[must_use]
            pub fn common(&self) -> Common<'_> {
                Common {
                    request_ref: &self.request_ref,
                    reference: &self.reference,
                    if_runtime: self.if_runtime.as_deref(),
                    if_command: self.if_command.as_deref(),
                    if_state: self.if_state,
                    if_updated_within: self.if_updated_within.as_deref(),
                    force_stale: self.force_stale,
                }
            }
        }
    )+ };
}

action_requests! {
    /// Asks to show a pane: it becomes the one that its session shows.
    AttachRequest {
        /// Whoever attaches may only look.
        #[serde(default)]
        read_only: bool,
    }

    /// Asks to type into a pane: a text, then keys.
    SendRequest {
        /// Typed as it is. Of control characters it may hold tabs and newlines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Keys by tmux's names, such as `C-c` or `Escape`, pressed behind the text.
        #[serde(default)]
        keys: Vec<String>,
        /// Presses Enter at the end.
        #[serde(default)]
        enter: bool,
        /// Has the text pasted in brackets where the program asked for them, so that a newline in
        /// it does not end a line.
        #[serde(default)]
        paste: bool,
        /// What happens while the agent takes no prompt; refused if absent.
        #[serde(default = "refused")]
        if_busy: IfBusy,
        /// How long it may wait for that, such as `10m`; 10 minutes or, queued, a day if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        busy_timeout: Option<String>,
    }

    /// Asks what a pane shows.
    ViewOutputRequest {
        /// The last so many lines, what scrolled off included; 200 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = OUTPUT_LINES_MAX))]
        lines: Option<u32>,
        /// What is on the screen now instead, and nothing above it.
        #[serde(default)]
        screen: bool,
        /// With colours and attributes, as escape sequences.
        #[serde(default)]
        ansi: bool,
        /// The action of an earlier look at this runtime, with which this one goes on. It is answered
        /// as that action, and no action of its own is stored: the guards are those of the first
        /// look. Looks are kept for a while; `E_REF_NOT_FOUND` asks for a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goes_on: Option<String>,
    }

    /// Asks to interrupt or to signal what runs in a pane.
    KillRequest {
        /// By key or by signal; by key if absent.
        #[serde(default = "by_key")]
        mode: KillMode,
        /// Which signal; `INT` if absent, and nothing else by key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<KillSignal>,
        /// All processes below it too; by signal only.
        #[serde(default)]
        tree: bool,
    }
}

const fn refused() -> IfBusy {
    IfBusy::Refuse
}

const fn by_key() -> KillMode {
    KillMode::Key
}

/// Lines that are shown if the request does not say how many.
pub const OUTPUT_LINES_DEFAULT: u32 = 200;

/// The fields that every request has.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// The name of the request.
    pub request_ref: &'a str,
    /// The runtime or pane.
    pub reference: &'a str,
    /// Only if this very runtime lives there.
    pub if_runtime: Option<&'a str>,
    /// Only if this runs in the foreground.
    pub if_command: Option<&'a str>,
    /// Only if it is in this state.
    pub if_state: Option<State>,
    /// Only if what is known of it changed within this time.
    pub if_updated_within: Option<&'a str>,
    /// Skips the guards about state and age.
    pub force_stale: bool,
}

impl Common<'_> {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        check_request_ref(self.request_ref)?;
        if self.reference.len() > REFERENCE_BYTES_MAX {
            let problem = format!("has at most {REFERENCE_BYTES_MAX} bytes");
            return Err(FieldError::new("ref", problem));
        }
        if let Some(Err(error)) = self.if_runtime.map(str::parse::<RuntimeId>) {
            return Err(FieldError::new("if_runtime", format!("is none: {error}")));
        }
        self.updated_within_ms().map(|_| ())
    }

    /// The time of `if_updated_within`.
    pub fn updated_within_ms(&self) -> Result<Option<i64>, FieldError> {
        let Some(text) = self.if_updated_within else { return Ok(None) };
        let ms = parse_time(text).and_then(|ms| i64::try_from(ms).ok());
        let problem = || FieldError::new("if_updated_within", "is a time such as `500ms` or `5s`");
        ms.map(Some).ok_or_else(problem)
    }
}

/// Looks at the name of a request.
pub(crate) fn check_request_ref(request_ref: &str) -> Result<(), FieldError> {
    if request_ref.is_empty() || request_ref.len() > REQUEST_REF_BYTES_MAX {
        let problem = format!("has 1 to {REQUEST_REF_BYTES_MAX} bytes");
        return Err(FieldError::new("request_ref", problem));
    }
    if request_ref.chars().any(char::is_control) {
        return Err(FieldError::new("request_ref", "holds a control character"));
    }
    Ok(())
}

impl SendRequest {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        self.common().check()?;
        if let Some(text) = &self.text {
            check_text(text)?;
        }
        if self.keys.len() > ACTION_KEYS_MAX {
            return Err(FieldError::new("keys", format!("are at most {ACTION_KEYS_MAX}")));
        }
        if self.text.is_none() && self.keys.is_empty() && !self.enter {
            return Err(FieldError::new("text", "is missing, and so are `keys` and `enter`"));
        }
        self.busy_timeout_ms().map(|_| ())
    }

    /// The time of `busy_timeout`.
    pub fn busy_timeout_ms(&self) -> Result<Option<i64>, FieldError> {
        let wrong = |problem: String| FieldError::new("busy_timeout", problem);
        let Some(text) = &self.busy_timeout else { return Ok(None) };
        if self.if_busy == IfBusy::Refuse {
            return Err(wrong("needs `if_busy` to be `wait` or `queue`".to_owned()));
        }
        let ms = parse_time(text).filter(|ms| (1..=BUSY_TIMEOUT_MS_MAX).contains(ms));
        let ms = ms.and_then(|ms| i64::try_from(ms).ok());
        let days = BUSY_TIMEOUT_MS_MAX / (24 * 60 * 60 * 1_000);
        let problem = || wrong(format!("is a time such as `10m`, and at most {days} days"));
        ms.map(Some).ok_or_else(problem)
    }
}

/// A text that arrives as it is and can end no bracketed paste. An empty one is as good as none,
/// and none was meant.
fn check_text(text: &str) -> Result<(), FieldError> {
    if text.is_empty() || text.len() > SEND_TEXT_BYTES_MAX {
        let problem = format!("has 1 to {SEND_TEXT_BYTES_MAX} bytes, not {}", text.len());
        return Err(FieldError::new("text", problem));
    }
    let control = |it: &(usize, char)| it.1.is_control() && !matches!(it.1, '\t' | '\n');
    match text.char_indices().find(control) {
        None => Ok(()),
        Some((at, character)) => {
            let problem = format!(
                "holds the control character U+{:04X} at byte {at}; only tab and newline are typed, \
                 and keys are named in `keys`",
                u32::from(character)
            );
            Err(FieldError::new("text", problem))
        }
    }
}

impl ViewOutputRequest {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        self.common().check()?;
        match self.lines {
            Some(0) => Err(FieldError::new("lines", "is at least 1")),
            Some(lines) if lines > OUTPUT_LINES_MAX => {
                Err(FieldError::new("lines", format!("is at most {OUTPUT_LINES_MAX}")))
            }
            Some(_) if self.screen => {
                Err(FieldError::new("lines", "does not go with `screen`, which has its own"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl KillRequest {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        self.common().check()?;
        match (self.mode, self.signal) {
            (KillMode::Key, Some(KillSignal::Term | KillSignal::Kill)) => {
                Err(FieldError::new("signal", "is INT by key; others need mode `signal`"))
            }
            (KillMode::Key, _) if self.tree => Err(FieldError::new("tree", "needs mode `signal`")),
            (KillMode::Key | KillMode::Signal, _) => Ok(()),
        }
    }
}

/// One action, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The action's id.
    pub action_id: String,
    /// How far it is.
    pub result_code: ResultCode,
    /// When its outcome was known; null while it is not.
    pub completed_at: Option<Timestamp>,
    /// The action.
    pub action: ActionItem,
    /// What the pane showed, for `view-output`; null for others, and once it is no longer kept.
    pub output: Option<OutputItem>,
    /// Where to attach, for `attach`.
    pub attach: Option<AttachItem>,
}

/// One action, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionItem {
    /// Its id.
    pub action_id: String,
    /// What it does.
    pub action_type: ActionType,
    /// The name of its request.
    pub request_ref: String,
    /// How far it is.
    pub result_code: ResultCode,
    /// Why it was not done, or why that is not known.
    pub error_code: Option<ErrorCode>,
    /// The same for people.
    pub message: Option<String>,
    /// How it is known that it was done: `answer`, `trace`, `signal`, `reply`, `submitted`, `started`
    /// or `composer`.
    pub proof: Option<String>,
    /// What was done in the pane, in order: `mode_left`, `draft_cleared`, `text_typed`,
    /// `keys_pressed`.
    #[serde(default)]
    pub steps: Vec<String>,
    /// The target's name.
    pub target: String,
    /// tmux's id of the pane.
    pub pane_id: String,
    /// The runtime.
    pub runtime_id: String,
    /// Who asked: `client:uid=...,pid=...`.
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When its outcome was known.
    pub completed_at: Option<Timestamp>,
    /// Who took it back, if somebody did; spelled as `requested_by`.
    #[serde(default)]
    pub cancelled_by: Option<String>,
    /// What was to be done: of a text only its length, hash and redacted beginning.
    pub detail: serde_json::Value,
    /// What was seen when it was decided.
    pub snapshot: SnapshotItem,
}

/// What was seen when an action was decided, and checked again when it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotItem {
    /// Its id.
    pub snapshot_id: String,
    /// The life of the tmux server.
    pub server_boot_id: String,
    /// The pane's own process.
    pub pane_pid: u32,
    /// The runtime's own process, which a signal goes to: the agent's, where there is one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The agent, if it was one.
    #[serde(default)]
    pub agent_type: Option<String>,
    /// What ran in the foreground.
    pub current_cmd: String,
    /// The state it was in.
    pub state: State,
    /// The version of that state.
    pub state_version: u64,
    /// When the pane was last seen.
    pub observed_at: Timestamp,
    /// When this counts no more.
    pub expires_at: Timestamp,
}

/// What a pane showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputItem {
    /// The lines, each with its newline: hostile, and with escape sequences if they were asked for.
    pub text: String,
    /// How many lines.
    pub lines: u32,
    /// Columns of the pane.
    pub width: u32,
    /// Rows of the pane.
    pub height: u32,
    /// The place of the first of the lines among all that the pane holds, counted from 0. It is the
    /// same in each look until the pane gives up its oldest lines, which it does a tenth of
    /// `history_limit` at a time.
    #[serde(default)]
    pub first_line: u64,
    /// How many lines have scrolled off the screen, of those that the pane holds. They do not change
    /// any more.
    #[serde(default)]
    pub history_lines: u64,
    /// How many of these it holds at most.
    #[serde(default)]
    pub history_limit: u64,
    /// The row of the cursor on the screen, counted from 0.
    #[serde(default)]
    pub cursor_row: u32,
    /// Whether a program has the whole screen for itself, such as an editor: what it shows there
    /// never scrolls off.
    #[serde(default)]
    pub alternate_screen: bool,
}

/// How a terminal gets to the pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachItem {
    /// The tmux server's socket.
    pub socket: String,
    /// The process of that server.
    pub server_pid: u32,
    /// tmux's id of the session.
    pub session_id: String,
    /// Whoever attaches may only look.
    pub read_only: bool,
    /// The words of the program that goes there, for a server that is not on this machine.
    pub command: Option<Vec<String>>,
}

/// Actions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionList {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The actions.
    pub items: Vec<ActionItem>,
    /// Who was turned away since the last of these actions, or before the first, newest first; at most as
    /// many as there may be actions.
    #[serde(default)]
    pub denied: Vec<DeniedItem>,
    /// Where to go on, as `before`; null at the end.
    pub next_before: Option<String>,
}

/// Somebody who asked for what they may not have. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeniedItem {
    /// Where it stands in the journal.
    pub journal_seq: u64,
    /// When it was.
    pub at: Timestamp,
    /// Who it was.
    pub requested_by: String,
    /// The runtime of the agent below which they run, if it is one of a pane.
    pub runtime_id: Option<String>,
    /// What was asked for, by the name of the operation; `unknown` where it is none.
    pub operation: String,
    /// Why not.
    pub error_code: String,
    /// How many more were turned away before it, of whom only this number is kept.
    pub unrecorded: u64,
}

/// The events that bear an action's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionEvents {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The action.
    pub action_id: String,
    /// Its events, oldest first.
    pub items: Vec<ActionEventItem>,
}

/// One event that bears an action's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionEventItem {
    /// The event's id.
    pub event_id: String,
    /// The runtime it is about.
    pub runtime_id: String,
    /// What happened, such as `action.send`.
    pub event_type: String,
    /// Who reported it.
    pub source: String,
    /// When it happened.
    pub event_time: Timestamp,
    /// When it arrived.
    pub ingested_at: Timestamp,
    /// The journal's row that holds it.
    pub journal_seq: u64,
}

/// Which actions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionsQuery {
    /// Only those of the runtime or pane that a reference means.
    pub reference: Option<String>,
    /// Only those that were asked for before this one.
    pub before: Option<String>,
    /// How many at most; 50 if not given.
    pub limit: Option<u32>,
}

/// Actions that are listed if the query does not say how many.
pub const ACTIONS_LISTED_DEFAULT: u32 = 50;

impl Query for ActionsQuery {
    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::one("ref", ParameterKind::Text, "Of the pane or runtime that this means."),
            Parameter::one(
                "before",
                ParameterKind::Text,
                "Asked for before the action of this id.",
            ),
            Parameter::one(
                "limit",
                ParameterKind::Number { min: 1, max: ACTIONS_LISTED_MAX },
                "How many actions at most.",
            ),
        ]
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        match name {
            "ref" => self.reference = Some(query::text(name, value, REFERENCE_BYTES_MAX)?),
            "before" => self.before = Some(query::text(name, value, REQUEST_REF_BYTES_MAX)?),
            _ => {
                let limit = value.parse().ok().filter(|it| (1..=ACTIONS_LISTED_MAX).contains(it));
                let problem = format!("is a number from 1 to {ACTIONS_LISTED_MAX}");
                self.limit = Some(limit.ok_or_else(|| QueryError::value(name, problem))?);
            }
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let text = |name, value: &Option<String>| value.clone().map(|value| (name, value));
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let texts = [text("ref", &self.reference), text("before", &self.before), limit];
        texts.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(more: &str) -> Result<SendRequest, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"request_ref":"r","ref":"%1"{more}}}"#))
    }

    #[test]
    fn s_17_a_text_holds_nothing_that_could_end_a_paste() {
        for (text, fine) in [
            (r"ls -l\n", true),
            (r"a\tb", true),
            (r"\u001b[201~", false),
            (r"\u009b201~", false),
            (r"a\r", false),
            (r"\u0000", false),
            (r"\u007f", false),
            ("", false),
        ] {
            let request = send(&format!(r#","text":"{text}""#)).unwrap();
            assert_eq!(request.check().is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn a_request_without_anything_to_type_is_refused() {
        assert_eq!(send("").unwrap().check().unwrap_err().field, "text");
        assert!(send(r#","enter":true"#).unwrap().check().is_ok());
        assert!(send(r#","keys":["C-c"]"#).unwrap().check().is_ok());
        assert!(send(r#","txt":"x""#).is_err(), "an unknown field is refused");
    }

    #[test]
    fn guards_are_checked_before_anything_is_done() {
        let field = |more: &str| send(more).unwrap().check().unwrap_err().field;
        assert_eq!(field(r#","enter":true,"if_runtime":"short""#), "if_runtime");
        assert_eq!(field(r#","enter":true,"if_updated_within":"soon""#), "if_updated_within");
        let timed = send(r#","enter":true,"if_updated_within":"5s""#).unwrap();
        assert_eq!(timed.common().updated_within_ms(), Ok(Some(5_000)));
    }

    #[test]
    fn a_key_sends_no_other_signal_than_an_interrupt() {
        let kill = |more: &str| {
            let text = format!(r#"{{"request_ref":"r","ref":"%1"{more}}}"#);
            serde_json::from_str::<KillRequest>(&text).unwrap().check()
        };
        assert!(kill("").is_ok());
        assert!(kill(r#","signal":"INT""#).is_ok());
        assert_eq!(kill(r#","signal":"TERM""#).unwrap_err().field, "signal");
        assert_eq!(kill(r#","tree":true"#).unwrap_err().field, "tree");
        assert!(kill(r#","mode":"signal","signal":"KILL","tree":true"#).is_ok());
    }

    #[test]
    fn tc_028_lines_are_bounded_on_both_sides() {
        let view = |more: &str| {
            let text = format!(r#"{{"request_ref":"r","ref":"%1"{more}}}"#);
            serde_json::from_str::<ViewOutputRequest>(&text).unwrap().check()
        };
        assert!(view("").is_ok());
        assert!(view(r#","lines":1"#).is_ok());
        assert!(view(&format!(r#","lines":{OUTPUT_LINES_MAX}"#)).is_ok());
        assert!(view(r#","lines":0"#).is_err());
        assert!(view(&format!(r#","lines":{}"#, OUTPUT_LINES_MAX + 1)).is_err());
        assert!(view(r#","lines":5,"screen":true"#).is_err());
    }
}
