//! `qd`: the first screen.

use api::ExitCode;
use api::list::ListQuery;
use clap::Args;

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::output::overview::Overview;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OverviewArgs {
    /// Show panes without an agent one by one
    #[arg(long)]
    pub(crate) all: bool,
}

pub(crate) fn run(console: &Console, args: &OverviewArgs) -> Outcome {
    let mut client = console.client()?;
    let (panes, rest) = wait(async {
        let panes = client.panes(&ListQuery::default()).await?;
        if console.is_json() {
            return Ok((panes, None));
        }
        let rest = (client.targets().await?, client.health().await?);
        Ok((panes, Some(rest)))
    })?;
    let Some((targets, health)) = rest else {
        console.terminal.json(panes.json()?)?;
        return Ok(ExitCode::Ok);
    };
    let (panes, targets, health) = (panes.read()?, targets.read()?, health.read()?);
    let overview =
        Overview { panes: &panes, targets: &targets, warnings: &health.warnings, all: args.all };
    console.terminal.lines(&overview.lines(console.terminal.width()))?;
    Ok(ExitCode::Ok)
}
