//! `qd history`: what was done to panes, by whom and with what outcome.

use api::ExitCode;
use api::actions::ActionsQuery;
use api::limits::ACTIONS_LISTED_MAX;
use clap::Args;

use crate::commands::journal::{self, JournalCommand};
use crate::commands::{Outcome, here};
use crate::console::{Console, wait};
use crate::output;

/// Show what was done to panes, by whom, and what came of it, and who was turned away; newest first
#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryArgs {
    /// Only of this pane or runtime
    #[arg(value_name = "REF", allow_hyphen_values = true)]
    reference: Option<String>,
    /// How many at most
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(ACTIONS_LISTED_MAX)))]
    limit: Option<u32>,
    /// Only those asked for before the action of this id
    #[arg(long, value_name = "ACTION")]
    before: Option<String>,
    /// Prove instead that nobody changed the journal, as `qd journal verify` does
    #[arg(long, conflicts_with_all = ["reference", "limit", "before"])]
    verify: bool,
}

pub(crate) fn run(console: &Console, args: &HistoryArgs) -> Outcome {
    if args.verify {
        return journal::run(console, &JournalCommand::Verify);
    }
    let mut client = console.client()?;
    let answer = wait(async {
        let reference = match args.reference.as_deref() {
            Some(here::DOT) => {
                let pane = here::pane(&mut client).await?;
                pane.runtime_id.map(|runtime| format!("runtime:{runtime}"))
            }
            other => other.map(str::to_owned),
        };
        let query = ActionsQuery { reference, before: args.before.clone(), limit: args.limit };
        Ok(client.actions(&query).await?)
    })?;
    console.answer(&answer, output::actions::history)?;
    Ok(ExitCode::Ok)
}
