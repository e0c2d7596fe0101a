//! `qd list`: panes, windows, sessions.

use api::ExitCode;
use api::sessions::{GroupBy, SessionsQuery};
use api::sort::{Sort, SortKey};
use api::windows::WindowsQuery;
use api::words::Scope;
use clap::{Args, Subcommand};

use crate::args::word;
use crate::commands::Outcome;
use crate::commands::filters::{FilterArgs, OrderArgs, list_query};
use crate::console::{Console, wait};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum ListCommand {
    /// List panes, with agent or without, those that need somebody first
    Panes(PanesArgs),
    /// List windows, with what goes on in their panes
    Windows(WindowsArgs),
    /// List sessions, with what goes on in their panes
    Sessions(SessionsArgs),
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PanesArgs {
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WindowsArgs {
    /// Name each window's agents with their states
    #[arg(long)]
    with_agent_status: bool,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SessionsArgs {
    /// Sum up each session's agents
    #[arg(long)]
    agent_summary: bool,
    /// How sessions of one name on several targets are grouped
    #[arg(long, value_name = "HOW", value_parser = word::<GroupBy>(GroupBy::WORDS))]
    group_by: Option<GroupBy>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    order: OrderArgs,
}

pub(crate) fn run(console: &Console, command: &ListCommand) -> Outcome {
    match command {
        ListCommand::Panes(args) => panes(console, args),
        ListCommand::Windows(args) => windows(console, args),
        ListCommand::Sessions(args) => sessions(console, args),
    }
}

/// Whoever needs somebody comes first, the longest waiting of them before the others.
const URGENT_FIRST: [SortKey; 2] = [SortKey::Category, SortKey::StateSince];

pub(crate) fn panes(console: &Console, args: &PanesArgs) -> Outcome {
    let mut query = list_query(&args.filters, &args.order, Scope::Panes)?;
    if query.sort.is_empty() {
        query.sort = URGENT_FIRST.map(|key| Sort { key, descending: false }).to_vec();
    }
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.panes(&query).await?) })?;
    console.list(&answer, output::panes::lines)?;
    Ok(ExitCode::Ok)
}

fn windows(console: &Console, args: &WindowsArgs) -> Outcome {
    let list = list_query(&args.filters, &args.order, Scope::Windows)?;
    let query = WindowsQuery { list, with_agent_status: args.with_agent_status };
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.windows(&query).await?) })?;
    console.list(&answer, output::windows::lines)?;
    Ok(ExitCode::Ok)
}

fn sessions(console: &Console, args: &SessionsArgs) -> Outcome {
    let list = list_query(&args.filters, &args.order, Scope::Sessions)?;
    let query = SessionsQuery { list, agent_summary: args.agent_summary, group_by: args.group_by };
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.sessions(&query).await?) })?;
    console.list(&answer, output::sessions::lines)?;
    Ok(ExitCode::Ok)
}
