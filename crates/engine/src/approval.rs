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
    /// Why no dialog takes an answer from elsewhere but a denial. The agent's hook, while it waits,
    /// takes one for all [parts](Self::parts) at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_only: Option<TerminalOnly>,
    /// What is asked together, where one option is not the whole answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Its dialog is not drawn while the hook that told of it waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// The agent's name for this one use, where it names it again once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
}

/// The [deed](Asking::deed) that an agent tells of by its own name for it.
pub fn deed_of(call: &str) -> String {
    hex(&Sha256::digest(call))
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

/// One of several questions that are asked together, or one that takes several answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub question: String,
    pub options: Vec<PartOption>,
    /// More than one of them may be chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
}

/// What may be chosen, and the agent's word on what that means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOption {
    pub label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

impl Part {
    /// What is wrong with these options as the answer to it, counted from 1.
    fn misfit(&self, picks: &[u32]) -> Option<String> {
        let is_there = |nth: &u32| (1..=self.options.len()).contains(&(*nth as usize));
        if let Some(nth) = picks.iter().find(|nth| !is_there(nth)) {
            return Some(format!("has {} options, and no option {nth}", self.options.len()));
        }
        let twice = picks.iter().enumerate().find(|(at, nth)| picks[..*at].contains(nth));
        match (picks.len(), self.several, twice) {
            (0, _, _) => Some("is not answered".to_owned()),
            (2.., false, _) => Some("takes one option".to_owned()),
            (_, _, Some((_, nth))) => Some(format!("is given option {nth} twice")),
            (_, _, None) => None,
        }
    }
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
            parts: Vec::new(),
            hidden: false,
            call: None,
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
        if let Some(call) = &self.call {
            return deed_of(call);
        }
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

    /// Adds what only a dialog offers. One that shows part of what is asked offers no option of it.
    pub(crate) fn offering_also(&mut self, offers: impl IntoIterator<Item = Offer>) {
        for offer in offers {
            let new = self.offers.iter().all(|it| it.choice != offer.choice);
            if new && (self.terminal_only.is_none() || offer.choice != Choice::Option) {
                self.offers.push(offer);
            }
        }
    }

    /// Why it cannot be answered so, if it cannot. Options are counted from 1: the one that is
    /// chosen, or of each part, in their order, those that are.
    pub fn misfit(
        &self,
        choice: Choice,
        option: Option<u32>,
        picks: &[Vec<u32>],
    ) -> Option<String> {
        if choice != Choice::Option || self.parts.is_empty() {
            let fits = picks.is_empty() && self.offers(choice, option);
            return (!fits).then(|| match self.terminal_only {
                Some(only) => {
                    format!("{}, and only the agent's own terminal takes them", only.why())
                }
                None => "it is none of the answers that are offered".to_owned(),
            });
        }
        let one = option.map(|nth| vec![vec![nth]]);
        let picks = one.as_deref().unwrap_or(picks);
        if picks.len() != self.parts.len() {
            let (parts, given) = (self.parts.len(), picks.len());
            return Some(format!("it has {parts} parts, and {given} of them are answered"));
        }
        let answered = self.parts.iter().zip(picks).enumerate();
        answered.into_iter().find_map(|(at, (part, picks))| {
            part.misfit(picks).map(|why| format!("part {} {why}", at + 1))
        })
    }

    /// Whether it can be answered so. A question's options are counted from 1.
    fn offers(&self, choice: Choice, option: Option<u32>) -> bool {
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub picks: Vec<Vec<u32>>,
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
    fn part(options: usize, several: bool) -> Part {
        let option = |nth| PartOption { label: format!("o{nth}"), about: String::new() };
        Part { question: "q?".to_owned(), options: (0..options).map(option).collect(), several }
    }

    #[test]
    fn every_part_is_answered_and_with_what_it_offers() {
        let mut question = asking("Which?").offering(Choice::Deny, "Answer nothing");
        question.parts = vec![part(2, false), part(3, true)];
        question.terminal_only = Some(TerminalOnly::SeveralQuestions);
        let fits = |picks: &[Vec<u32>]| question.misfit(Choice::Option, None, picks);
        assert_eq!(fits(&[vec![2], vec![1, 3]]), None);
        for (picks, why) in [
            (vec![], "it has 2 parts, and 0 of them are answered"),
            (vec![vec![1]], "it has 2 parts, and 1 of them are answered"),
            (vec![vec![1], vec![1], vec![1]], "it has 2 parts, and 3 of them are answered"),
            (vec![vec![1, 2], vec![1]], "part 1 takes one option"),
            (vec![vec![1], vec![]], "part 2 is not answered"),
            (vec![vec![1], vec![2, 2]], "part 2 is given option 2 twice"),
            (vec![vec![3], vec![1]], "part 1 has 2 options, and no option 3"),
            (vec![vec![1], vec![0]], "part 2 has 3 options, and no option 0"),
        ] {
            assert_eq!(fits(&picks).as_deref(), Some(why), "{picks:?}");
        }
        assert!(question.misfit(Choice::Option, Some(1), &[]).is_some());
        assert!(question.misfit(Choice::Approve, None, &[]).is_some());
        assert_eq!(question.misfit(Choice::Deny, None, &[]), None);
        assert!(question.misfit(Choice::Deny, None, &[vec![1], vec![1]]).is_some());
        question.parts = vec![part(3, true)];
        assert_eq!(question.misfit(Choice::Option, Some(3), &[]), None, "one of several will do");
        assert_eq!(question.misfit(Choice::Option, None, &[vec![1, 3]]), None);
    }

    #[test]
    fn a_dialog_that_shows_a_part_offers_no_option_of_it() {
        let shown = asking("Which?").offering(Choice::Option, "a").offering(Choice::Deny, "No");
        let mut whole = asking("Which? And which?").offering(Choice::Deny, "No");
        whole.terminal_only = Some(TerminalOnly::SeveralQuestions);
        whole.offering_also(shown.offers.clone());
        assert_eq!(whole.offers.len(), 1);
        whole.terminal_only = None;
        whole.offering_also(shown.offers);
        assert_eq!(whole.offers.len(), 2);
    }
}
