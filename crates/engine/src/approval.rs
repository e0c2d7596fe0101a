//! Approvals: what an agent asks somebody to decide, until it is decided, and by whom it was.
//!
//! An approval is a consequence of events: it opens with the report or the screen that asks, and
//! ends with whatever shows that nobody is asked any more. `docs/design/approvals.md` has the
//! states as a table; [`crate::approving`] is that table as code.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::Actor;
use crate::ids::{ActionId, AgentType, ApprovalId, EventId, PaneKey, RuntimeId, hex};
use crate::limits;
use crate::time::{MonoMs, Stamp, WallMs};
use crate::words::{ApprovalKind, ApprovalState, Choice, Source, TerminalOnly};

/// What an event tells of a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Somebody is asked for this.
    For(Box<Asking>),
    /// What had this [deed](Asking::deed) was done, so it was permitted.
    Done { deed: String },
}

/// What somebody is asked, as exactly as its source tells it and without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    pub kind: ApprovalKind,
    /// What wants to be used, as the agent names it; empty where that is not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tool: String,
    /// The command, the change, the plan or the question; cut where it is too long to keep.
    pub request: String,
    /// Its length before that, and the hash of all of it.
    pub request_bytes: u64,
    pub request_sha256: String,
    /// The agent's own word on why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// What may be answered. Never the widest grant first.
    pub offers: Vec<Offer>,
    /// The agent's thread that asks, where it is not the one in the pane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asker: Option<String>,
    /// What of it a dialog shows; nothing where no dialog can be held against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// Why only a denial can be given elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_only: Option<TerminalOnly>,
    /// Its dialog is not drawn while the hook that told of it waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// What a request is, for whoever compares it with the dialog that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A command, as it is.
    Command,
    /// A file, and what is taken out of it and put there.
    Edit,
    /// A file, and all that it will hold.
    Write,
    /// A file, and the lines of a diff.
    Diff,
    /// A patch that names its files.
    Patch,
    Plan,
    Question,
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub choice: Choice,
    /// As the agent writes it, or as the choice is called.
    pub label: String,
}

impl Asking {
    pub fn new(kind: ApprovalKind, tool: impl Into<String>, request: &str) -> Self {
        let mut kept = request.to_owned();
        limits::cut(&mut kept, limits::REQUEST_BYTES_MAX);
        Self {
            kind,
            tool: tool.into(),
            request: kept,
            request_bytes: request.len() as u64,
            request_sha256: hex(&Sha256::digest(request.as_bytes())),
            purpose: String::new(),
            directory: String::new(),
            offers: Vec::new(),
            asker: None,
            form: None,
            terminal_only: None,
            hidden: false,
        }
    }

    #[must_use]
    pub fn offering(mut self, choice: Choice, label: &str) -> Self {
        let mut label = label.to_owned();
        limits::cut(&mut label, limits::OFFER_BYTES_MAX);
        if self.offers.len() < limits::OFFERS_MAX {
            self.offers.push(Offer { choice, label });
        }
        self
    }

    /// What it is that is done once it is permitted, for recognising it.
    pub fn deed(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.tool.as_str(), &self.request_sha256] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(&hash.finalize())
    }

    /// What an answer has to be meant for: everything that decides whether one wants it.
    pub fn fingerprint(&self, runtime: &RuntimeId) -> String {
        let asker = self.asker.as_deref().unwrap_or_default();
        let parts = [
            runtime.as_str(),
            self.kind.as_str(),
            &self.tool,
            &self.request_sha256,
            &self.directory,
            asker,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(&hash.finalize())
    }

    /// Whether it can be answered so. A question's options are counted from 1.
    pub fn offers(&self, choice: Choice, option: Option<u32>) -> bool {
        let mut offered = self.offers.iter().filter(|offer| offer.choice == choice);
        match (choice, option) {
            (Choice::Option, Some(nth)) => nth
                .checked_sub(1)
                .and_then(|nth| usize::try_from(nth).ok())
                .is_some_and(|nth| offered.nth(nth).is_some()),
            (_, Some(_)) => false,
            (_, None) => offered.next().is_some(),
        }
    }
}

/// One approval, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRow {
    pub approval: ApprovalId,
    pub pane: PaneKey,
    pub runtime: RuntimeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentType>,
    /// The agent's own session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub asking: Asking,
    pub fingerprint: String,
    /// Who told of it, by which event.
    pub source: Source,
    pub event: EventId,
    pub opened: Stamp,
    pub expires_at: WallMs,
    pub state: ApprovalState,
    /// The answer that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    /// What was decided, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Choice>,
    /// While an answer is on its way: nobody is asked any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<WallMs>,
    /// The dialog that a screen showed while only this was asked, by the hash of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialog: Option<String>,
    /// Nothing more can become known of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
}

/// Who answered what, by which action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub action: ActionId,
    pub by: Actor,
    pub choice: Choice,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<u32>,
    pub at: WallMs,
}

impl ApprovalRow {
    /// Whether it can be answered.
    pub fn is_waiting(&self) -> bool {
        self.state == ApprovalState::Waiting
    }

    /// Whether it waits for an answer, or for what becomes of one.
    pub fn is_live(&self) -> bool {
        matches!(self.state, ApprovalState::Waiting | ApprovalState::Answering)
    }

    /// Whether more may become known of it.
    pub fn is_open(&self) -> bool {
        !self.settled
    }

    /// When it can no longer be answered, or told anything about.
    pub(crate) fn expiry(&self) -> MonoMs {
        self.opened.plus(limits::APPROVAL_TTL_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(request: &str) -> Asking {
        Asking::new(ApprovalKind::Permission, "Bash", request)
    }

    #[test]
    fn s_12_a_fingerprint_is_of_everything_that_decides_whether_one_wants_it() {
        let runtime = RuntimeId::new("rt-1");
        let one = asking("rm a");
        let mut others = vec![asking("rm b"), Asking { tool: "Run".to_owned(), ..one.clone() }];
        others.push(Asking { directory: "/".to_owned(), ..one.clone() });
        others.push(Asking { asker: Some("sub".to_owned()), ..one.clone() });
        others.push(Asking { kind: ApprovalKind::Plan, ..one.clone() });
        for other in &others {
            assert_ne!(one.fingerprint(&runtime), other.fingerprint(&runtime), "{other:?}");
        }
        assert_ne!(one.fingerprint(&runtime), one.fingerprint(&RuntimeId::new("rt-2")));
        let relabelled = one.clone().offering(Choice::Deny, "No");
        assert_eq!(one.fingerprint(&runtime), relabelled.fingerprint(&runtime));
    }

    #[test]
    fn s_13_what_is_too_long_to_keep_still_counts_to_its_last_byte() {
        let long = "x".repeat(limits::REQUEST_BYTES_MAX);
        let (one, other) = (asking(&format!("{long}a")), asking(&format!("{long}b")));
        assert_eq!((&one.request, one.request_bytes), (&other.request, other.request_bytes));
        assert_ne!(one.deed(), other.deed());
        assert_ne!(one.fingerprint(&RuntimeId::new("r")), other.fingerprint(&RuntimeId::new("r")));
    }

    #[test]
    fn options_are_counted_from_one_and_only_those_that_are_there_can_be_chosen() {
        let question = asking("Which?").offering(Choice::Option, "a").offering(Choice::Option, "b");
        let offered = |nth| question.offers(Choice::Option, nth);
        assert_eq!([Some(0), Some(1), Some(2), Some(3)].map(offered), [false, true, true, false]);
        assert!(!question.offers(Choice::Approve, None));
        assert!(!question.clone().offering(Choice::Deny, "No").offers(Choice::Deny, Some(1)));
    }
}
