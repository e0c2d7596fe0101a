//! `qd kill`: interrupt or end what runs in a pane.

use api::ErrorCode;
use api::actions::{KillMode, KillSignal};
use clap::Args;

use crate::args::word;
use crate::commands::Outcome;
use crate::commands::acting::{AimArgs, named, request, tell};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::text::Text;

/// Interrupt what runs in a pane by key, or signal its process
///
/// A signal goes to the runtime's own process: the agent's, never its shell's, and never to another
/// process that got its number. It asks before, unless --yes; with nobody to ask it refuses.
#[derive(Debug, Clone, Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// By the key that interrupts, or by a signal
    #[arg(long, value_name = "MODE", default_value = "key", value_parser = word::<KillMode>(KillMode::WORDS))]
    mode: KillMode,
    /// Which signal; INT if not given, and nothing else by key
    #[arg(long, value_name = "SIGNAL", value_parser = word::<KillSignal>(KillSignal::WORDS))]
    signal: Option<KillSignal>,
    /// All processes below it too; by signal only
    #[arg(long)]
    tree: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(console: &Console, args: &KillArgs) -> Outcome {
    if !args.yes {
        confirm(console, args)?;
    }
    let mut client = console.client()?;
    let answer = wait(async {
        let aim = args.aim.aim(&mut client).await?;
        let request = request!(KillRequest, aim, {
            mode: args.mode,
            signal: args.signal,
            tree: args.tree,
        });
        request.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
        let killed = client.kill(&request).await;
        killed.map_err(|error| named(error, &request.request_ref))
    })?;
    tell(console, &answer)
}

fn confirm(console: &Console, args: &KillArgs) -> Result<(), Failure> {
    let how = match args.mode {
        KillMode::Key => "Press C-c in".to_owned(),
        KillMode::Signal => {
            let signal = args.signal.unwrap_or(KillSignal::Int);
            let tree = if args.tree { " and everything below it" } else { "" };
            format!("Send {signal} to the process{tree} of")
        }
    };
    let question = Text::plain(format!("{how} {}?", args.aim.reference));
    match console.terminal.confirm(&question)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(ErrorCode::ConfirmationRequired, "nothing was done")),
        None => {
            let message = "this ends something, and there is nobody to ask";
            Err(Failure::new(ErrorCode::ConfirmationRequired, message))
        }
    }
}
