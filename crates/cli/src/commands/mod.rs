//! One file per verb: its arguments, whose comments are its help, and what it does.

pub(crate) mod filters;

pub(crate) mod overview;

pub(crate) mod adapter;
pub(crate) mod list;
pub(crate) mod target;
pub(crate) mod token;

pub(crate) mod bar;
pub(crate) mod wait;
pub(crate) mod watch;

mod acting;
pub(crate) mod answer;
pub(crate) mod approvals;
pub(crate) mod attach;
pub(crate) mod cancel;
pub(crate) mod history;
pub(crate) mod kill;
pub(crate) mod send;
pub(crate) mod view_output;

pub(crate) mod explain;
mod here;

pub(crate) mod event;
pub(crate) mod hook;

pub(crate) mod daemon;

pub(crate) mod journal;

pub(crate) mod config;
pub(crate) mod doctor;

mod consent;
mod install;
pub(crate) mod setup;

pub(crate) mod completions;
pub(crate) mod man;
pub(crate) mod reference;
pub(crate) mod uninstall;

use api::{ErrorCode, ExitCode};

use crate::args::{Cli, Command};
use crate::console::Console;
use crate::failure::Failure;

/// How a command ended.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Runs the command and tells why it failed, if it did.
pub(crate) fn run(console: &Console, cli: Cli) -> ExitCode {
    let outcome = dispatch(console, cli);
    outcome.unwrap_or_else(|failure| {
        console.fail(&failure);
        failure.exit_code()
    })
}

fn dispatch(console: &Console, cli: Cli) -> Outcome {
    let Some(command) = cli.command else { return overview::run(console, &cli.overview) };
    if cli.overview.all {
        let message = "--all belongs to the overview, which is `qd` without a command";
        return Err(Failure::new(ErrorCode::BadRequest, message)
            .with_hint("Leave --all out, or the command."));
    }
    match command {
        Command::List(command) => list::run(console, &command),
        Command::Ls(args) => list::panes(console, &args),
        Command::Target(command) => target::run(console, &command),
        Command::Adapter(command) => adapter::run(console, &command),
        Command::Token(command) => token::run(console, &command),
        Command::Watch(args) => watch::run(console, &args),
        Command::Wait(args) => wait::run(console, &args),
        Command::Bar(_) => bar::run(console),
        Command::Explain(args) => explain::run(console, &args),
        Command::Attach(args) => attach::attach(console, &args),
        Command::Next(args) => attach::next(console, &args),
        Command::Send(args) => send::run(console, &args),
        Command::ViewOutput(args) => view_output::run(console, &args),
        Command::Kill(args) => kill::run(console, &args),
        Command::Cancel(args) => cancel::run(console, &args),
        Command::Approvals(args) => approvals::list(console, &args),
        Command::Approve(args) => approvals::approve(console, &args),
        Command::Deny(args) => approvals::deny(console, &args),
        Command::Answer(args) => answer::run(console, &args),
        Command::History(args) => history::run(console, &args),
        Command::Event(command) => event::run(console, &command),
        Command::Hook(args) => hook::run(&args),
        Command::Daemon(command) => daemon::run(console, &command),
        Command::Journal(command) => journal::run(console, &command),
        Command::Config(command) => config::run(console, &command),
        Command::Setup(args) => setup::run(console, &args),
        Command::Doctor(args) => doctor::run(console, &args),
        Command::Uninstall(args) => uninstall::run(console, &args),
        Command::Completions(args) => completions::run(console, &args),
        Command::Man(args) => man::run(console, &args),
    }
}
