//! `qd cancel`: take back what was not begun.

use api::ExitCode;
use clap::Args;

use crate::commands::Outcome;
use crate::commands::acting::tell;
use crate::console::{Console, wait};

/// Take back an action that was not begun, such as a prompt that waits for its agent
///
/// Nothing of it is done then, and its text is removed. What is on its way or has its outcome is
/// refused with E_TOO_LATE, which tells how far it is. To cancel it again changes nothing.
#[derive(Debug, Clone, Args)]
pub(crate) struct CancelArgs {
    /// The action's id, as `qd send` and `qd history` tell it
    #[arg(value_name = "ACTION")]
    action: String,
}

pub(crate) fn run(console: &Console, args: &CancelArgs) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.cancel(&args.action).await?) })?;
    tell(console, &answer)?;
    Ok(ExitCode::Ok)
}
