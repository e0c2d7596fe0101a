//! Approvals: what agents ask somebody to decide, and the answers.
//!
//! An answer names the fingerprint of what it is meant for. It is accepted once, by the first who
//! gives it; everybody later is told who that was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::actions::check_request_ref;
use crate::error::FieldError;
use crate::limits::{
    ANSWERED_OPTIONS_MAX, ANSWERED_PARTS_MAX, APPROVAL_MESSAGE_BYTES_MAX, APPROVALS_LISTED_MAX,
    REFERENCE_BYTES_MAX, REQUEST_REF_BYTES_MAX,
};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

words! {
    /// What kind of decision is asked for.
    pub enum ApprovalKind {
        /// To do something.
        Permission = "permission",
        /// To go on by a plan.
        Plan = "plan",
        /// To choose, or to say something.
        Question = "question",
    }
}

words! {
    /// How far an approval is.
    pub enum ApprovalState {
        /// Somebody has to answer.
        Waiting = "waiting",
        /// An answer was accepted and is on its way.
        Answering = "answering",
        /// It was answered through an action.
        Answered = "answered",
        /// Somebody answered in the agent's own terminal.
        AnsweredInTerminal = "answered_in_terminal",
        /// The agent asks something else instead.
        Replaced = "replaced",
        /// Nobody answered in time.
        Expired = "expired",
        /// The runtime ended.
        Gone = "gone",
    }
}

words! {
    /// What is answered.
    pub enum Choice {
        /// Yes, this once.
        Approve = "approve",
        /// Yes, and the like of it for the agent's present session.
        ApproveSession = "approve_session",
        /// Yes, and the like of it from now on.
        ApproveAlways = "approve_always",
        /// No.
        Deny = "deny",
        /// One of a question's options.
        Option = "option",
    }
}

words! {
    /// Why what is asked can be answered in the agent's own terminal alone.
    pub enum TerminalOnly {
        /// It asks several things at once.
        SeveralQuestions = "several_questions",
        /// It takes several answers at once.
        SeveralAnswers = "several_answers",
    }
}

words! {
    /// How an answer would reach the agent now.
    pub enum Delivery {
        /// Its own hook waits for it.
        Reply = "reply",
        /// By keys, typed into its dialog.
        Keys = "keys",
    }
}

/// The fields of every answer.
macro_rules! answers {
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
            $($(#[$meta])* pub $field: $kind,)*
            /// The answer.
            pub choice: Choice,
            /// Which of a question's options, counted from 1.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub option: Option<u32>,
            /// Where a question has `parts`, in place of `option`: of each part, in their order,
            /// which of its options, counted from 1.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub picks: Vec<Vec<u32>>,
            /// What the agent is told with a denial, where it takes a word.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub message: Option<String>,
        }

    )+ };
}

answers! {
    /// An answer to the approval that the path names.
    AnswerRequest {
        /// The fingerprint of what was seen and is answered.
        fingerprint: String,
    }

    /// An answer to an approval.
    RespondRequest {
        /// The approval; or else `ref`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval_id: Option<String>,
        /// The runtime or pane in which exactly one approval waits when this arrives, as a
        /// reference or as a person types it.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// The fingerprint of what was seen and is answered. Only with `ref` it may be left out:
        /// the answer then is to the one that waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    }
}

impl AnswerRequest {
    /// The same, as an action.
    #[must_use]
    pub fn to(self, approval_id: String) -> RespondRequest {
        let Self { schema_version, request_ref, fingerprint, choice, option, picks, message } =
            self;
        RespondRequest {
            schema_version,
            request_ref,
            approval_id: Some(approval_id),
            reference: None,
            fingerprint: Some(fingerprint),
            choice,
            option,
            picks,
            message,
        }
    }
}

impl RespondRequest {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        check_request_ref(&self.request_ref)?;
        match (&self.approval_id, &self.reference) {
            (Some(_), None) if self.fingerprint.is_none() => {
                return Err(FieldError::new("fingerprint", "goes with `approval_id`"));
            }
            (Some(_), None) => {}
            (None, Some(reference)) if reference.len() > REFERENCE_BYTES_MAX => {
                let problem = format!("has at most {REFERENCE_BYTES_MAX} bytes");
                return Err(FieldError::new("ref", problem));
            }
            (None, Some(_)) => {}
            (Some(_), Some(_)) | (None, None) => {
                return Err(FieldError::new("approval_id", "is there, or `ref`, and not both"));
            }
        }
        check_options(self.choice, self.option, &self.picks)?;
        check(self.choice, self.message.as_deref())
    }
}

fn check_options(
    choice: Choice,
    option: Option<u32>,
    picks: &[Vec<u32>],
) -> Result<(), FieldError> {
    if picks.len() > ANSWERED_PARTS_MAX || picks.iter().any(|it| it.len() > ANSWERED_OPTIONS_MAX) {
        let problem = format!(
            "names at most {ANSWERED_PARTS_MAX} parts, and {ANSWERED_OPTIONS_MAX} options of each"
        );
        return Err(FieldError::new("picks", problem));
    }
    if option.is_some() && !picks.is_empty() {
        return Err(FieldError::new("picks", "is there, or `option`, and not both"));
    }
    if choice != Choice::Option && !picks.is_empty() {
        return Err(FieldError::new("picks", "goes with the choice `option` and no other"));
    }
    if (choice == Choice::Option) != (option.is_some() || !picks.is_empty()) {
        return Err(FieldError::new("option", "goes with the choice `option` and no other"));
    }
    Ok(())
}

fn check(choice: Choice, message: Option<&str>) -> Result<(), FieldError> {
    let Some(message) = message else { return Ok(()) };
    if choice != Choice::Deny {
        return Err(FieldError::new("message", "goes with the choice `deny` and no other"));
    }
    if message.is_empty() || message.len() > APPROVAL_MESSAGE_BYTES_MAX {
        let problem = format!("has 1 to {APPROVAL_MESSAGE_BYTES_MAX} bytes");
        return Err(FieldError::new("message", problem));
    }
    if message.chars().any(|it| it.is_control() && !matches!(it, '\t' | '\n')) {
        return Err(FieldError::new("message", "holds a control character"));
    }
    Ok(())
}

/// What an approval is known by in a watch stream.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct ApprovalIdentity {
    /// Its id.
    pub approval_id: String,
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalItem {
    /// Its id.
    pub approval_id: String,
    /// How far it is.
    pub state: ApprovalState,
    /// What kind of decision it is.
    pub kind: ApprovalKind,
    /// The agent that asks.
    pub agent_type: Option<String>,
    /// The agent's own session.
    pub agent_session: Option<String>,
    /// The target's name.
    pub target: String,
    /// The tmux session that the pane is in, while it is there.
    pub session_name: Option<String>,
    /// tmux's id of the pane.
    pub pane_id: String,
    /// The runtime.
    pub runtime_id: String,
    /// What wants to be used, as the agent names it.
    pub tool: Option<String>,
    /// The command, the change, the plan or the question, without secrets. It was written by a
    /// model: it may hold anything.
    pub request: String,
    /// The length of all of it, of which `request` may be the beginning.
    pub request_bytes: u64,
    /// The agent's own word on why.
    pub purpose: Option<String>,
    /// Where the agent works.
    pub directory: Option<String>,
    /// What may be answered.
    pub offers: Vec<OfferItem>,
    /// Why only a denial can be given here, if that is so.
    #[serde(default)]
    pub terminal_only: Option<TerminalOnly>,
    /// Where one option is not the whole answer: what is asked together, to be answered at once by
    /// `picks`, while `terminal_only` is null. Without secrets; it was written by a model.
    #[serde(default)]
    pub parts: Vec<PartItem>,
    /// What an answer has to name.
    pub fingerprint: String,
    /// Who told of it: `hook`, or `screen`.
    pub source: String,
    /// How an answer would reach the agent; null once it waits no more.
    pub delivery: Option<Delivery>,
    /// When it was asked.
    pub opened_at: Timestamp,
    /// When it can no longer be answered.
    pub expires_at: Timestamp,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
    /// What was decided, where that is known.
    pub outcome: Option<Choice>,
    /// Whose answer was accepted.
    pub answered_by: Option<String>,
    /// The action that is the record of it.
    pub action_id: Option<String>,
}

/// One possible answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferItem {
    /// The answer.
    pub choice: Choice,
    /// Of a question's options, which.
    pub option: Option<u32>,
    /// As the agent writes it.
    pub label: String,
}

/// One of several questions that are asked together, or one that takes several answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartItem {
    /// The question.
    pub question: String,
    /// Whether more than one of its options may be chosen.
    pub several: bool,
    /// What may be chosen, counted from 1.
    pub options: Vec<PartOptionItem>,
}

/// What may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartOptionItem {
    /// As the agent writes it.
    pub label: String,
    /// The agent's word on what it means.
    pub about: Option<String>,
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The approval.
    pub approval: ApprovalItem,
}

/// Approvals, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalList {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The approvals.
    pub items: Vec<ApprovalItem>,
}

/// Which approvals to list: those that wait, if nothing else is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalsQuery {
    /// Only those of the runtime or pane that a reference means.
    pub reference: Option<String>,
    /// Those in this state.
    pub state: Option<ApprovalState>,
    /// Those in any state.
    pub all: bool,
    /// How many at most, the newest of them; 100 if not given.
    pub limit: Option<u32>,
}

/// Approvals that are listed if the query does not say how many.
pub const APPROVALS_LISTED_DEFAULT: u32 = 100;

impl Query for ApprovalsQuery {
    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::one("ref", ParameterKind::Text, "Of the pane or runtime that this means."),
            Parameter::one(
                "state",
                ParameterKind::Words(ApprovalState::WORDS),
                "In this state; `waiting` is the default.",
            ),
            Parameter::one("all", ParameterKind::Flag, "In any state."),
            Parameter::one(
                "limit",
                ParameterKind::Number { min: 1, max: APPROVALS_LISTED_MAX },
                "How many approvals at most.",
            ),
        ]
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        match name {
            "ref" => self.reference = Some(query::text(name, value, REFERENCE_BYTES_MAX)?),
            "state" => self.state = Some(query::word(name, value)?),
            "all" => self.all = query::flag(name, value)?,
            _ => {
                let limit = value.parse().ok().filter(|it| (1..=APPROVALS_LISTED_MAX).contains(it));
                let problem = format!("is a number from 1 to {APPROVALS_LISTED_MAX}");
                self.limit = Some(limit.ok_or_else(|| QueryError::value(name, problem))?);
            }
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let reference = self.reference.clone().map(|it| ("ref", it));
        let state = self.state.map(|it| ("state", it.to_string()));
        let all = self.all.then(|| ("all", "true".to_owned()));
        let limit = self.limit.map(|it| ("limit", it.to_string()));
        [reference, state, all, limit].into_iter().flatten().collect()
    }
}

/// A hook asks whether what it reported was answered meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplyRequest {
    /// The id of the record that it wrote.
    pub record_id: String,
    /// The agent whose hook it is.
    pub agent: String,
    /// The event that it was run for.
    pub event: String,
    /// What it can tell its agent; any other answer is given by keys.
    #[serde(default)]
    pub choices: Vec<Choice>,
}

words! {
    /// What a hook is told.
    pub enum ReplyStatus {
        /// This is the answer.
        Answered = "answered",
        /// None yet: ask again.
        Wait = "wait",
        /// None comes, or none may be waited for: print nothing and end.
        End = "end",
    }
}

/// What a hook is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// What it is to do.
    pub status: ReplyStatus,
    /// The answer.
    pub choice: Option<Choice>,
    /// Which of a question's options, counted from 1.
    pub option: Option<u32>,
    /// Of each part of a question, which of its options, counted from 1.
    #[serde(default)]
    pub picks: Vec<Vec<u32>>,
    /// What the agent is told with a denial.
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(more: &str) -> Result<AnswerRequest, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"request_ref":"r","fingerprint":"f",{more}}}"#))
    }

    #[test]
    fn an_answer_says_neither_more_nor_less_than_its_choice_takes() {
        let field = |more: &str| {
            answer(more).unwrap().to("ap-1".to_owned()).check().map_err(|error| error.field)
        };
        assert_eq!(field(r#""choice":"approve""#), Ok(()));
        assert_eq!(field(r#""choice":"deny","message":"not so""#), Ok(()));
        assert_eq!(field(r#""choice":"option","option":2"#), Ok(()));
        assert_eq!(field(r#""choice":"option","picks":[[1],[2,3]]"#), Ok(()));
        assert_eq!(field(r#""choice":"option","option":1,"picks":[[1]]"#).unwrap_err(), "picks");
        assert_eq!(field(r#""choice":"deny","picks":[[1]]"#).unwrap_err(), "picks");
        let many = format!(r#""choice":"option","picks":[{}[1]]"#, "[1],".repeat(8));
        assert_eq!(field(&many).unwrap_err(), "picks");
        assert_eq!(field(r#""choice":"option""#).unwrap_err(), "option");
        assert_eq!(field(r#""choice":"approve","option":1"#).unwrap_err(), "option");
        assert_eq!(field(r#""choice":"approve","message":"x""#).unwrap_err(), "message");
        assert_eq!(field(r#""choice":"deny","message":"\u001b[2J""#).unwrap_err(), "message");
        assert!(answer(r#""choice":"yes""#).is_err());
    }

    #[test]
    fn s_12_an_answer_without_a_fingerprint_is_none() {
        let text = r#"{"request_ref":"r","choice":"approve"}"#;
        assert!(serde_json::from_str::<AnswerRequest>(text).is_err());
    }

    #[test]
    fn s_12_an_answer_by_reference_may_leave_the_fingerprint_to_the_daemon_and_one_by_id_may_not() {
        let field = |more: &str| {
            let text = format!(r#"{{"request_ref":"r","choice":"approve",{more}}}"#);
            let request: RespondRequest = serde_json::from_str(&text).unwrap();
            request.check().map_err(|error| error.field)
        };
        assert_eq!(field(r#""ref":"%1""#), Ok(()));
        assert_eq!(field(r#""ref":"%1","fingerprint":"f""#), Ok(()));
        assert_eq!(field(r#""approval_id":"ap-1","fingerprint":"f""#), Ok(()));
        assert_eq!(field(r#""approval_id":"ap-1""#).unwrap_err(), "fingerprint");
        assert_eq!(field(r#""approval_id":"ap-1","ref":"%1""#).unwrap_err(), "approval_id");
        assert_eq!(field(r#""option":1,"fingerprint":"f""#).unwrap_err(), "approval_id");
    }

    #[test]
    fn a_query_reads_back() {
        let query = ApprovalsQuery::parse("ref=%251&state=expired&limit=5").unwrap();
        assert_eq!(query.state, Some(ApprovalState::Expired));
        assert_eq!(ApprovalsQuery::parse(&query.to_query_string()), Ok(query));
        assert!(ApprovalsQuery::parse("limit=0").is_err());
    }
}
