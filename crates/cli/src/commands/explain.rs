//! `qd explain`: why a runtime is in its state.

use api::selector::Selector;
use api::{ErrorCode, ExitCode};
use clap::Args;
use client::Client;

use crate::commands::{Outcome, here};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;

/// Show why a pane is in the state it is in: the evidence, its age, and what decided
#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// %12, session:window.pane, `.` for this very pane, an agent's name where it is the only one so
    /// called, the first characters of a runtime id, or a full reference
    #[arg(value_name = "REF", allow_hyphen_values = true)]
    reference: String,
}

pub(crate) fn run(console: &Console, args: &ExplainArgs) -> Outcome {
    // What can mean nothing needs no daemon to say so.
    if args.reference != here::DOT
        && let Err(error) = args.reference.parse::<Selector>()
    {
        return Err(Failure::new(error.code(), error.about(&args.reference)));
    }
    let mut client = console.client()?;
    let answer = wait(async {
        let runtime = runtime(&mut client, &args.reference).await?;
        Ok(client.explain(&runtime).await?)
    })?;
    console.answer(&answer, output::explain::lines)?;
    if !console.is_json() {
        console.doubts(&answer.read()?.warnings);
    }
    Ok(ExitCode::Ok)
}

/// The id of the runtime that a reference means.
pub(crate) async fn runtime(client: &mut Client, reference: &str) -> Result<String, Failure> {
    let runtime = if reference == here::DOT {
        here::pane(client).await?.runtime_id
    } else {
        client.resolve(reference).await?.read()?.runtime.map(|it| it.runtime_id)
    };
    runtime.ok_or_else(|| dead(reference))
}

fn dead(reference: &str) -> Failure {
    let message = format!("`{reference}` is a dead pane: nothing lives in it that has a state");
    Failure::new(ErrorCode::RefNotFound, message)
}
