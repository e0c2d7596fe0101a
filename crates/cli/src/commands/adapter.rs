//! `qd adapter`: which agents are known, and how.

use api::ExitCode;
use api::adapters::AdaptersQuery;
use clap::{Args, Subcommand};

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum AdapterCommand {
    List(ListArgs),
    Enable(EnableArgs),
    Disable(DisableArgs),
}

/// List the adapters, and the descriptions of agents that were left out
///
/// An adapter is what is known of one agent. Others are described by files of your own:
/// adapters/NAME.toml beside the configuration file.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// Only those that are enabled
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// Only those that are not
    #[arg(long)]
    disabled: bool,
}

/// Use an adapter again; its panes are read again at once
#[derive(Debug, Clone, Args)]
pub(crate) struct EnableArgs {
    /// The adapter, or its agent
    name: String,
}

/// Do not use an adapter; the panes of its agent show as unknown until it is enabled again
#[derive(Debug, Clone, Args)]
pub(crate) struct DisableArgs {
    /// The adapter, or its agent
    name: String,
}

pub(crate) fn run(console: &Console, command: &AdapterCommand) -> Outcome {
    match command {
        AdapterCommand::List(args) => list(console, args),
        AdapterCommand::Enable(EnableArgs { name }) => set(console, name, true),
        AdapterCommand::Disable(DisableArgs { name }) => set(console, name, false),
    }
}

fn list(console: &Console, args: &ListArgs) -> Outcome {
    let enabled = match (args.enabled, args.disabled) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.adapters(&AdaptersQuery { enabled }).await?) })?;
    console.answer(&answer, output::adapters::lines)?;
    Ok(ExitCode::Ok)
}

fn set(console: &Console, name: &str, enabled: bool) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.set_adapter(name, enabled).await?) })?;
    console.done(
        console.answer(&answer, |answer, width| output::adapters::one(&answer.adapter, width)),
    );
    Ok(ExitCode::Ok)
}
