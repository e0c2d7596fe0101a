//! The command line as a whole; each command's own arguments stand with the command.

use anstream::ColorChoice;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

use crate::commands::adapter::AdapterCommand;
use crate::commands::answer::AnswerArgs;
use crate::commands::approvals::{ApprovalsArgs, ApproveArgs, DenyArgs};
use crate::commands::attach::{AttachArgs, NextArgs};
use crate::commands::bar::BarArgs;
use crate::commands::cancel::CancelArgs;
use crate::commands::completions::CompletionsArgs;
use crate::commands::config::ConfigCommand;
use crate::commands::daemon::DaemonArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::event::EventCommand;
use crate::commands::explain::ExplainArgs;
use crate::commands::history::HistoryArgs;
use crate::commands::hook::HookArgs;
use crate::commands::journal::JournalCommand;
use crate::commands::kill::KillArgs;
use crate::commands::list::{ListCommand, PanesArgs};
use crate::commands::man::ManArgs;
use crate::commands::overview::OverviewArgs;
use crate::commands::send::SendArgs;
use crate::commands::setup::SetupArgs;
use crate::commands::target::TargetCommand;
use crate::commands::token::TokenCommand;
use crate::commands::uninstall::UninstallArgs;
use crate::commands::view_output::ViewOutputArgs;
use crate::commands::wait::WaitArgs;
use crate::commands::watch::WatchArgs;

/// The deck from which you command coding agents
///
/// Shows every tmux pane on this machine, what runs in it and what state it is in. Without a
/// command it shows an overview: who needs you first, shells folded into one line per session.
///
/// The daemon that watches starts by itself. Panes are named as tmux names them (%12, or
/// session:window.pane), by their agent's name, by the first characters of a runtime id, or by a
/// full reference.
#[derive(Debug, Parser)]
#[command(
    name = "qd",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 not found, \
                  5 conflict, 6 timeout.",
    max_term_width = 100,
    infer_long_args = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(flatten)]
    pub(crate) overview: OverviewArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Print the API's JSON; errors go to standard error as JSON too
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    /// When to colour the output
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global options"
    )]
    pub(crate) color: Color,

    /// Ask the daemon at this socket, and start none
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that has colours, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List panes, windows or sessions
    #[command(subcommand)]
    List(ListCommand),
    /// List the panes, as `qd list panes` does
    Ls(PanesArgs),
    /// Add, list, connect or remove the tmux servers that are watched
    #[command(subcommand)]
    Target(TargetCommand),
    /// List the agents that are known; enable or disable them
    #[command(subcommand)]
    Adapter(AdapterCommand),
    /// Let clients in over TCP: make, list and revoke their tokens
    #[command(subcommand)]
    Token(TokenCommand),
    Watch(WatchArgs),
    Wait(WaitArgs),
    Bar(BarArgs),
    Explain(ExplainArgs),
    Attach(AttachArgs),
    Next(NextArgs),
    Send(SendArgs),
    ViewOutput(ViewOutputArgs),
    Kill(KillArgs),
    Cancel(CancelArgs),
    Approvals(ApprovalsArgs),
    Approve(ApproveArgs),
    Deny(DenyArgs),
    Answer(AnswerArgs),
    History(HistoryArgs),
    /// Report what happened in a pane
    #[command(subcommand)]
    Event(EventCommand),
    Hook(HookArgs),
    /// Run, start, look at or stop the daemon
    Daemon(DaemonArgs),
    /// Examine the journal of everything that happened
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Find, show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    Setup(SetupArgs),
    Doctor(DoctorArgs),
    Uninstall(UninstallArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// A parser for one of the API's words; a wrong one is told its nearest neighbour.
pub(crate) fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = api::words::UnknownWord> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|text| text.parse::<T>())
}
