//! What all acts on a pane have in common: how they are named, guarded and told.

use api::actions::{ActionAnswer, ResultCode};
use api::words::State;
use api::{ErrorCode, ExitCode};
use clap::Args;
use client::{Answer, Client, ClientError};
use daemon::clock::Clock;
use daemon::ids::Ids;
use serde_json::Value;

use crate::args::word;
use crate::commands::{Outcome, here};
use crate::console::Console;
use crate::failure::Failure;
use crate::output;

/// What a request names and what has to hold for it.
#[derive(Debug, Clone, Args)]
pub(crate) struct AimArgs {
    /// %12, session:window.pane, `.` for this very pane, an agent's name where it is the only one so
    /// called, the first characters of a runtime id, or a full reference
    #[arg(value_name = "REF", allow_hyphen_values = true)]
    pub(crate) reference: String,
    /// The name of this request; one is made if not given, and told
    ///
    /// The same request under the same name is carried out at most once: repeat it with its name
    /// when you do not know whether it was.
    #[arg(long, value_name = "NAME", help_heading = "Guards")]
    request_ref: Option<String>,
    /// Only if this very runtime lives there
    #[arg(long, value_name = "RUNTIME", help_heading = "Guards")]
    if_runtime: Option<String>,
    /// Only if it is in this state
    #[arg(long, value_name = "STATE", value_parser = word::<State>(State::WORDS), help_heading = "Guards")]
    if_state: Option<State>,
    /// Only if what is known of it changed within this time, such as 5s
    #[arg(long, value_name = "TIME", help_heading = "Guards")]
    if_updated_within: Option<String>,
    /// Skip --if-state and --if-updated-within; who it is, is checked all the same
    #[arg(long, help_heading = "Guards")]
    force_stale: bool,
}

/// The fields that every request has, filled in.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub(crate) request_ref: String,
    pub(crate) reference: String,
    pub(crate) if_runtime: Option<String>,
    pub(crate) if_command: Option<String>,
    pub(crate) if_state: Option<State>,
    pub(crate) if_updated_within: Option<String>,
    pub(crate) force_stale: bool,
}

impl AimArgs {
    /// What is aimed at. `.` is known here alone; everything else the daemon resolves.
    pub(crate) async fn aim(&self, client: &mut Client) -> Result<Aim, Failure> {
        let reference = if self.reference == here::DOT {
            let runtime = here::pane(client).await?.runtime_id;
            let dead = || Failure::new(ErrorCode::RuntimeStale, "nothing lives in this pane");
            format!("runtime:{}", runtime.ok_or_else(dead)?)
        } else {
            self.reference.clone()
        };
        Ok(Aim {
            request_ref: self.request_ref.clone().unwrap_or_else(new_name),
            reference,
            if_runtime: self.if_runtime.clone(),
            if_command: None,
            if_state: self.if_state,
            if_updated_within: self.if_updated_within.clone(),
            force_stale: self.force_stale,
        })
    }
}

impl Aim {
    /// At one runtime, without further guards.
    pub(crate) fn at(runtime: &str) -> Self {
        Self {
            request_ref: new_name(),
            reference: format!("runtime:{runtime}"),
            if_runtime: None,
            if_command: None,
            if_state: None,
            if_updated_within: None,
            force_stale: false,
        }
    }
}

/// A name that no other request has.
pub(crate) fn new_name() -> String {
    Ids::new(Clock::new()).next("rq")
}

/// The failure of an act, with the name under which it can be repeated.
pub(crate) fn named(error: ClientError, request_ref: &str) -> Failure {
    let unsure = matches!(
        error.code,
        ErrorCode::OutcomeUnknown | ErrorCode::DaemonUnreachable | ErrorCode::Timeout
    );
    let hint = format!("{} Its name was --request-ref {request_ref}", error.hint);
    let error = error.with_detail("request_ref", Value::from(request_ref));
    if unsure { error.with_hint(hint).into() } else { error.into() }
}

/// Tells what became of an act, and ends accordingly.
pub(crate) fn tell(console: &Console, answer: &Answer<ActionAnswer>) -> Outcome {
    let action = answer.read()?;
    let told = |action: &ActionAnswer, width| output::actions::told(action).wrapped(width);
    console.done(console.answer(answer, told));
    Ok(exit_code(action.result_code))
}

/// A pane of which nobody can know more has done its part; an agent that took nothing has not.
fn exit_code(result: ResultCode) -> ExitCode {
    match result {
        ResultCode::Completed => ExitCode::Ok,
        ResultCode::Pending => ExitCode::Timeout,
        ResultCode::NotConfirmed
        | ResultCode::Refused
        | ResultCode::Failed
        | ResultCode::Cancelled
        | ResultCode::Unknown => ExitCode::Failure,
    }
}

/// Fills in the fields that every request has.
macro_rules! request {
    ($kind:ident, $aim:expr, { $($field:ident: $value:expr),* $(,)? }) => {{
        let aim = $aim.clone();
        api::actions::$kind {
            schema_version: api::words::SchemaVersion::V1,
            request_ref: aim.request_ref,
            reference: aim.reference,
            if_runtime: aim.if_runtime,
            if_command: aim.if_command,
            if_state: aim.if_state,
            if_updated_within: aim.if_updated_within,
            force_stale: aim.force_stale,
            $($field: $value),*
        }
    }};
}

pub(crate) use request;
