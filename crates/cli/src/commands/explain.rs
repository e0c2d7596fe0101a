//! `qd explain`: why a runtime is in its state.

use api::{ErrorCode, ExitCode};
use clap::Args;

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;

/// Show why a pane is in the state it is in: the evidence, its age, and what decided
#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// %12, session:window.pane, the first characters of a runtime id, or a full reference
    #[arg(value_name = "REF", allow_hyphen_values = true)]
    reference: String,
}

pub(crate) fn run(console: &Console, args: &ExplainArgs) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async {
        let found = client.resolve(&args.reference).await?.read()?;
        let runtime = found.runtime.ok_or_else(|| dead(&args.reference))?;
        Ok(client.explain(&runtime.runtime_id).await?)
    })?;
    console.answer(&answer, output::explain::lines)?;
    Ok(ExitCode::Ok)
}

fn dead(reference: &str) -> Failure {
    let message = format!("`{reference}` is a dead pane: nothing lives in it that has a state");
    Failure::new(ErrorCode::RefNotFound, message)
}
