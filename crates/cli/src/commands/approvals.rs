//! `qd approvals`, `qd approve`, `qd deny`: what agents ask, and an answer to one of it.

use api::actions::ActionAnswer;
use api::approvals::{
    ApprovalAnswer, ApprovalItem, ApprovalState, ApprovalsQuery, Choice, RespondRequest,
};
use api::limits::APPROVALS_LISTED_MAX;
use api::words::SchemaVersion;
use api::{ErrorCode, ExitCode};
use clap::Args;
use client::{Client, ClientError};
use serde_json::Value;

use crate::args::word;
use crate::commands::acting::{named, new_name, tell};
use crate::commands::{Outcome, here};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;

/// How the ids of approvals begin.
const PREFIX: &str = "ap-";

/// Show what agents ask somebody to decide, oldest first
#[derive(Debug, Clone, Args)]
pub(crate) struct ApprovalsArgs {
    /// Only of this pane or runtime
    #[arg(value_name = "REF", allow_hyphen_values = true)]
    reference: Option<String>,
    /// Those in this state; waiting if not given
    #[arg(long, value_name = "STATE", conflicts_with = "all",
          value_parser = word::<ApprovalState>(ApprovalState::WORDS))]
    state: Option<ApprovalState>,
    /// Those in any state
    #[arg(long)]
    all: bool,
    /// How many at most, the newest of them
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(APPROVALS_LISTED_MAX)))]
    limit: Option<u32>,
}

/// What is answered.
#[derive(Debug, Clone, Args)]
pub(crate) struct WhichArgs {
    /// The approval's id; or a pane or runtime in which exactly one waits
    #[arg(value_name = "ID|REF", allow_hyphen_values = true)]
    pub(crate) which: String,
    /// The name of this request; one is made if not given, and told
    ///
    /// The same request under the same name is carried out at most once: repeat it with its name
    /// when you do not know whether it was.
    #[arg(long, value_name = "NAME")]
    pub(crate) request_ref: Option<String>,
    /// Only if what is asked still has this fingerprint
    #[arg(long, value_name = "HASH")]
    pub(crate) fingerprint: Option<String>,
}

/// Say yes to what an agent asks
///
/// Once, unless told otherwise. By an id the answer goes to exactly what was asked when this was
/// started: if the agent asks something else by then, or somebody was first, nothing is answered. A
/// pane or runtime means the one that waits there when the daemon takes the answer. What was
/// answered is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// And to the like of it from now on, where the agent offers that
    #[arg(long, conflicts_with = "session")]
    always: bool,
    /// And to the like of it for the agent's present session, where the agent offers that
    #[arg(long)]
    session: bool,
}

/// Say no to what an agent asks
#[derive(Debug, Clone, Args)]
pub(crate) struct DenyArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Tell the agent why, where its hook waits for the answer
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) choice: Choice,
    pub(crate) option: Option<u32>,
    /// Of each part of a question, which.
    pub(crate) picks: Vec<Vec<u32>>,
    pub(crate) message: Option<String>,
}

impl Reply {
    /// These options, of each part of a question; one option alone is a plain question's, too.
    pub(crate) fn picking(picks: Vec<Vec<u32>>) -> Self {
        match picks.as_slice() {
            [one] if one.len() == 1 => {
                Self { option: one.first().copied(), ..Self::plain(Choice::Option) }
            }
            _ => Self { picks, ..Self::plain(Choice::Option) },
        }
    }

    pub(crate) const fn plain(choice: Choice) -> Self {
        Self { choice, option: None, picks: Vec::new(), message: None }
    }
}

pub(crate) fn list(console: &Console, args: &ApprovalsArgs) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async {
        let reference = match &args.reference {
            Some(reference) => Some(resolved(&mut client, reference).await?),
            None => None,
        };
        let (state, all, limit) = (args.state, args.all, args.limit);
        Ok(client.approvals(&ApprovalsQuery { reference, state, all, limit }).await?)
    })?;
    let now = console.now();
    console.answer(&answer, |list, width| output::approvals::lines(list, now, width))?;
    Ok(ExitCode::Ok)
}

pub(crate) fn approve(console: &Console, args: &ApproveArgs) -> Outcome {
    let choice = match (args.always, args.session) {
        (true, _) => Choice::ApproveAlways,
        (_, true) => Choice::ApproveSession,
        (false, false) => Choice::Approve,
    };
    give(console, &args.which, Reply::plain(choice))
}

pub(crate) fn deny(console: &Console, args: &DenyArgs) -> Outcome {
    give(
        console,
        &args.which,
        Reply { message: args.message.clone(), ..Reply::plain(Choice::Deny) },
    )
}

/// Answers, and tells what was answered and what became of it.
pub(crate) fn give(console: &Console, which: &WhichArgs, reply: Reply) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async {
        let request = asked_for(&mut client, which, reply).await?;
        request.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
        let responded = client.respond(&request).await;
        responded.map_err(|error| named(error, &request.request_ref))
    })?;
    let exit = tell(console, &answer)?;
    if !console.is_json() {
        let answered = wait(answered(&mut client, &answer.read()?))?;
        let width = console.terminal.width();
        let lines = answered.map(|item| output::approvals::what(&item, width));
        console.done(console.terminal.lines(&lines.unwrap_or_default()));
    }
    Ok(exit)
}

/// The request as it was typed. By an id it is about what that shows now; what a pane or runtime
/// means, the daemon finds out in the step in which it answers, and finds again for a repetition.
async fn asked_for(
    client: &mut Client,
    which: &WhichArgs,
    reply: Reply,
) -> Result<RespondRequest, Failure> {
    let request_ref = which.request_ref.clone().unwrap_or_else(new_name);
    if which.which.starts_with(PREFIX) {
        let asked = find(client, &which.which).await?;
        let fingerprint = which.fingerprint.clone().unwrap_or_else(|| asked.fingerprint.clone());
        return Ok(request(&asked, request_ref, fingerprint, reply));
    }
    Ok(RespondRequest {
        schema_version: SchemaVersion::V1,
        request_ref,
        approval_id: None,
        reference: Some(resolved(client, &which.which).await?),
        fingerprint: which.fingerprint.clone(),
        choice: reply.choice,
        option: reply.option,
        picks: reply.picks,
        message: reply.message,
    })
}

/// The approval that an action answered. That it cannot be shown is no failure of the answer.
async fn answered(
    client: &mut Client,
    answer: &ActionAnswer,
) -> Result<Option<ApprovalItem>, Failure> {
    let approval = answer.action.detail.pointer("/act/respond/approval").and_then(Value::as_str);
    let Some(approval) = approval else { return Ok(None) };
    let found = client.approval(approval).await.and_then(|answer| answer.read());
    Ok(found.ok().map(|answer| answer.approval))
}

pub(crate) fn request(
    asked: &ApprovalItem,
    request_ref: String,
    fingerprint: String,
    reply: Reply,
) -> RespondRequest {
    RespondRequest {
        schema_version: SchemaVersion::V1,
        request_ref,
        approval_id: Some(asked.approval_id.clone()),
        reference: None,
        fingerprint: Some(fingerprint),
        choice: reply.choice,
        option: reply.option,
        picks: reply.picks,
        message: reply.message,
    }
}

/// The one approval that is meant.
pub(crate) async fn find(client: &mut Client, which: &str) -> Result<ApprovalItem, Failure> {
    if which.starts_with(PREFIX) {
        let answer: ApprovalAnswer = client.approval(which).await?.read()?;
        return Ok(answer.approval);
    }
    let reference = Some(resolved(client, which).await?);
    let query = ApprovalsQuery { reference, ..ApprovalsQuery::default() };
    let mut waiting = client.approvals(&query).await?.read()?.items;
    match waiting.len() {
        1 => Ok(waiting.remove(0)),
        0 => {
            let message = format!("nothing waits for an answer in `{which}`");
            let hint = format!(
                "`qd approvals` shows what waits elsewhere. A dialog that cannot be read whole is \
                 answered in its own terminal: `qd attach {which}`."
            );
            Err(Failure::new(ErrorCode::RefNotFound, message).with_hint(hint))
        }
        count => {
            let candidate = |it: ApprovalItem| serde_json::json!({ "approval_id": it.approval_id, "request": it.request });
            let ids: Vec<Value> = waiting.into_iter().map(candidate).collect();
            let message = format!("{count} approvals wait in `{which}`");
            let error = ClientError::new(ErrorCode::RefAmbiguous, message);
            let error = error.with_detail("candidates", Value::from(ids));
            Err(error.with_hint("Name one of them by its id: `qd approvals` shows them.").into())
        }
    }
}

/// A reference as the daemon reads it: `.` is known here alone.
async fn resolved(client: &mut Client, reference: &str) -> Result<String, Failure> {
    if reference != here::DOT {
        return Ok(reference.to_owned());
    }
    let runtime = here::pane(client).await?.runtime_id;
    let dead = || Failure::new(ErrorCode::RuntimeStale, "nothing lives in this pane");
    Ok(format!("runtime:{}", runtime.ok_or_else(dead)?))
}
