//! `qd daemon`: the process that watches.

mod logs;
mod service;

use std::time::Duration;

use api::{ErrorCode, ExitCode};
use clap::{Args, Subcommand};
use client::{Client, ClientError};
use daemon::lifecycle;
use daemon::run::{Run, run as live};

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;
use crate::starter::{lifecycle_error, run_error, tell_starter};

use self::logs::LogsArgs;

pub(crate) use self::service::remove as remove_service;

/// How long a daemon that does not answer may take to end when it is signalled.
const SIGNAL_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    #[command(subcommand)]
    command: Option<DaemonCommand>,
}

#[derive(Debug, Subcommand)]
enum DaemonCommand {
    Run(RunArgs),
    /// Start it in the background, if it does not run
    Start,
    /// Show whether it runs, where, and how it is doing
    Status,
    /// Stop it and wait until it is gone
    Stop,
    Logs(LogsArgs),
    /// Have it started with your session, by systemd or launchd
    Install,
    /// Undo `qd daemon install`
    Uninstall,
}

/// Run it in the foreground; `qd daemon` alone does the same
///
/// Other commands start it in the background when they need it; this is for service managers and
/// for looking at a start that fails. One daemon runs for each user and QD_HOME.
#[derive(Debug, Clone, Default, Args)]
struct RunArgs {
    /// Started by a client: leave its session and say on standard output how the start went
    #[arg(long, hide = true)]
    detached: bool,
}

pub(crate) fn run(console: &Console, args: &DaemonArgs) -> Outcome {
    let Some(command) = &args.command else { return foreground(console, &RunArgs::default()) };
    match command {
        DaemonCommand::Run(args) => foreground(console, args),
        DaemonCommand::Start => start(console),
        DaemonCommand::Status => status(console),
        DaemonCommand::Stop => stop(console),
        DaemonCommand::Logs(args) => logs::run(console, args),
        DaemonCommand::Install => service::install(console),
        DaemonCommand::Uninstall => service::uninstall(console),
    }
}

fn foreground(console: &Console, args: &RunArgs) -> Outcome {
    let paths = console.paths()?;
    let lived = live(&Run { paths, detached: args.detached });
    let Err(error) = lived else { return Ok(ExitCode::Ok) };
    let error = run_error(&error);
    if args.detached {
        tell_starter(&error);
    }
    Err(error.into())
}

fn start(console: &Console) -> Outcome {
    show_health(console, console.client()?)
}

fn status(console: &Console) -> Outcome {
    show_health(console, console.onlooker()?)
}

fn show_health(console: &Console, mut client: Client) -> Outcome {
    let health = wait(async { Ok(client.health().await?) })?;
    console.answer(&health, |health, _| output::health::lines(health))?;
    Ok(ExitCode::Ok)
}

fn stop(console: &Console) -> Outcome {
    let said = match end(console)? {
        Some(pid) => format!("The daemon (pid {pid}) has ended."),
        None => "No daemon was running.".to_owned(),
    };
    if !console.is_json() {
        console.done(console.terminal.line(said));
    }
    Ok(ExitCode::Ok)
}

/// Ends the daemon and waits until it is gone. One that does not answer is signalled, if it is
/// known by its lock.
pub(crate) fn end(console: &Console) -> Result<Option<u32>, Failure> {
    let mut client = console.onlooker()?;
    let asked = wait(async { Ok(client.stop().await) })?;
    match asked {
        Ok(Some(pid)) => Ok(Some(pid)),
        Ok(None) => signal(console),
        Err(error) if is_deaf(&error) => match signal(console)? {
            Some(pid) => Ok(Some(pid)),
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn signal(console: &Console) -> Result<Option<u32>, Failure> {
    if console.names_its_daemon() {
        return Ok(None);
    }
    let stopped = lifecycle::stop(&console.paths()?, SIGNAL_PATIENCE);
    match stopped {
        Ok(holder) => Ok(holder.map(|holder| holder.pid)),
        Err(lifecycle::LifecycleError::Running(holder)) => {
            let pid = holder.pid;
            let message = format!("the daemon (pid {pid}) was signalled to end and still runs");
            Err(Failure::new(ErrorCode::Timeout, message)
                .with_hint(format!("See `qd daemon logs`; `kill -9 {pid}` loses nothing.")))
        }
        Err(error) => Err(lifecycle_error(&error).into()),
    }
}

/// Whether an error means that the daemon did not hear what it was asked.
fn is_deaf(error: &ClientError) -> bool {
    let deaf = [
        ErrorCode::DaemonUnreachable,
        ErrorCode::Internal,
        ErrorCode::Overloaded,
        ErrorCode::Timeout,
        ErrorCode::Version,
    ];
    deaf.contains(&error.code)
}
