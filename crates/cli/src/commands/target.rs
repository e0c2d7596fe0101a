//! `qd target`: the tmux servers that are watched.

mod discover;
pub(crate) mod install;
mod program;
mod terminal;
mod test;

use std::time::Duration;

use api::target_name::TargetName;
use api::targets::{TargetAnswer, TargetCreate, TargetItem};
use api::words::{Health, TargetKind};
use api::{ErrorCode, ExitCode};
use clap::{Args, Subcommand, ValueHint};
use client::{Answer, Client};

use crate::args::word;
use crate::commands::filters::target_name;
use crate::commands::{Outcome, consent, setup};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;
use crate::output::style;
use crate::output::text::Text;

/// How long a connection is waited for before its target is told as it is, and how often it is asked for.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(crate) enum TargetCommand {
    Add(AddArgs),
    /// List the targets, with their health and what there is on them
    List,
    Connect(ConnectArgs),
    Disconnect(DisconnectArgs),
    Test(test::TestArgs),
    Discover(discover::DiscoverArgs),
    Install(install::InstallArgs),
    Remove(RemoveArgs),
}

/// Watch one more tmux server
///
/// `qd doctor` shows the servers that run here and are not watched, with the command that adds
/// each of them.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddArgs {
    /// How to call it: letters, digits, `.`, `_` and `-`
    name: String,
    /// How it is reached
    #[arg(
        long,
        value_name = "KIND",
        default_value = "local",
        value_parser = word::<TargetKind>(TargetKind::WORDS)
    )]
    kind: TargetKind,
    /// The tmux socket: a name as `tmux -L` takes it, or a path as `tmux -S` does
    #[arg(long, value_name = "NAME_OR_PATH")]
    tmux_socket: Option<String>,
    /// The host for `ssh`, as `[USER@]HOST[:PORT]`, or an alias of your own ssh configuration
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname)]
    ssh_target: Option<String>,
    /// An option for `ssh`, such as IdentityFile=~/.ssh/build; may be given several times
    #[arg(long = "ssh-option", value_name = "KEY=VALUE")]
    ssh_options: Vec<String>,
    /// Take the key of the host if none is known; one that has changed is refused all the same
    #[arg(long)]
    accept_new: bool,
    /// What starts a program there: the words of a command, as a JSON list, to which a program and
    /// its arguments are appended, such as '["docker","exec","-i","box"]'
    #[arg(long, value_name = "JSON", value_parser = words)]
    command: Option<Words>,
    /// The same with a terminal, for `qd attach`, such as '["docker","exec","-it","box"]'
    #[arg(long, value_name = "JSON", value_parser = words)]
    attach_command: Option<Words>,
    /// The tmux program there, if it is not the first in its path
    #[arg(long, value_name = "PATH")]
    tmux: Option<String>,
}

/// The words of a command.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

fn words(text: &str) -> Result<Words, String> {
    let read: Result<Vec<String>, _> = serde_json::from_str(text);
    read.map(Words).map_err(|_| r#"not a JSON list of words, such as ["a","b"]"#.to_owned())
}

/// Try to reach a target now
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// The target
    name: String,
    /// Have ssh make the connection in this terminal, where it can ask for a password, a touch or a
    /// second factor; the connection lasts as long as this command
    #[arg(long)]
    terminal: bool,
}

/// End the connection to a target on another machine, and leave it alone until it is connected again
///
/// What was seen of it last is kept, and shown as that.
#[derive(Debug, Clone, Args)]
pub(crate) struct DisconnectArgs {
    /// The target
    name: String,
}

/// Stop watching a target; its tmux server is left alone
#[derive(Debug, Clone, Args)]
pub(crate) struct RemoveArgs {
    /// The target
    name: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(console: &Console, command: &TargetCommand) -> Outcome {
    match command {
        TargetCommand::Add(args) => add(console, args),
        TargetCommand::List => list(console),
        TargetCommand::Connect(args) => connect(console, args),
        TargetCommand::Disconnect(args) => disconnect(console, args),
        TargetCommand::Test(args) => test::run(console, args),
        TargetCommand::Discover(args) => discover::run(console, args),
        TargetCommand::Install(args) => install::run(console, args),
        TargetCommand::Remove(args) => remove(console, args),
    }
}

fn add(console: &Console, args: &AddArgs) -> Outcome {
    let local = TargetCreate::local(target_name(&args.name)?, args.tmux_socket.clone());
    let target = TargetCreate {
        kind: args.kind,
        ssh_target: args.ssh_target.clone(),
        ssh_options: args.ssh_options.clone(),
        accept_new: args.accept_new,
        command: args.command.clone().map(|words| words.0),
        attach_command: args.attach_command.clone().map(|words| words.0),
        tmux: args.tmux.clone(),
        ..local
    };
    target.check().map_err(|error| {
        let failure = Failure::new(ErrorCode::BadRequest, error.to_string());
        match error.field {
            "tmux_socket" => failure.with_hint(
                "--tmux-socket takes a name as `tmux -L` does, or a path from the root.",
            ),
            "command" => failure.with_hint(
                "A target of kind `command` takes --command \'[\"docker\",\"exec\",\"-i\",\"box\"]\'.",
            ),
            "ssh_target" => {
                failure.with_hint("A target of kind `ssh` takes --ssh-target [USER@]HOST[:PORT].")
            }
            _other => failure,
        }
    })?;
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.add_target(&target).await?) })?;
    console.done(console.answer(&answer, |answer, width| {
        output::targets::one(&answer.target, answer.generated_at, width)
    }));
    Ok(ExitCode::Ok)
}

fn list(console: &Console) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.targets().await?) })?;
    console.list(&answer, output::targets::lines)?;
    Ok(ExitCode::Ok)
}

fn connect(console: &Console, args: &ConnectArgs) -> Outcome {
    let name = target_name(&args.name)?;
    if args.terminal {
        return terminal::run(console, &name);
    }
    let mut client = console.client()?;
    let answer = wait(first_look(&mut client, &name))?;
    let TargetItem { health, health_reason, health_message, .. } = answer.read()?.target;
    if health == Health::Down {
        return Err(is_down(&name, health_reason, health_message));
    }
    console.done(console.answer(&answer, |answer, width| {
        output::targets::one(&answer.target, answer.generated_at, width)
    }));
    Ok(ExitCode::Ok)
}

/// A target that answered and cannot be used all the same: whoever asked for it has to hear that by
/// the end of the command, too.
fn is_down(name: &TargetName, reason: Option<String>, message: Option<String>) -> Failure {
    let code = match reason.as_deref() {
        Some(reason) if reason == ErrorCode::TargetDisconnected.as_str() => {
            ErrorCode::TargetDisconnected
        }
        Some(reason) if reason == ErrorCode::TmuxUnusable.as_str() => ErrorCode::TmuxUnusable,
        Some(_) | None => ErrorCode::TargetUnreachable,
    };
    let why = message.or(reason).unwrap_or_else(|| "nothing is known of it".to_owned());
    Failure::new(code, format!("`{name}` is down: {why}"))
        .with_hint("It is tried again by itself; `qd target test NAME` shows how far one comes.")
}

/// Connects, and waits a moment for what the first look shows: until then of a target that had been
/// disconnected nothing is known, and one that was down comes back with its second answer.
async fn first_look(
    client: &mut Client,
    name: &TargetName,
) -> Result<Answer<TargetAnswer>, Failure> {
    let until = tokio::time::Instant::now() + FIRST_LOOK_MAX;
    let settled = |target: &TargetItem| {
        let reason = target.health_reason.as_deref();
        target.health != Health::Down && !output::targets::is_unseen(reason)
    };
    let answer = client.connect_target(name).await?;
    if settled(&answer.read()?.target) {
        return Ok(answer);
    }
    // The order is given once: whoever disconnects it meanwhile means it.
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
        let targets = client.targets().await?.read()?.items;
        match targets.into_iter().find(|it| it.name == *name) {
            Some(target) if is_left_alone(&target) => {
                let message = format!("`{name}` was disconnected again meanwhile");
                return Err(Failure::new(ErrorCode::TargetDisconnected, message));
            }
            Some(target) if !settled(&target) => {}
            // What there is to say is said by the answer.
            _ => break,
        }
    }
    Ok(client.connect_target(name).await?)
}

/// Whether somebody disconnected it.
fn is_left_alone(target: &TargetItem) -> bool {
    target.health_reason.as_deref() == Some(ErrorCode::TargetDisconnected.as_str())
}

fn disconnect(console: &Console, args: &DisconnectArgs) -> Outcome {
    let name = target_name(&args.name)?;
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.disconnect_target(&name).await?) })?;
    console.answer(&answer, |answer, width| {
        output::targets::one(&answer.target, answer.generated_at, width)
    })?;
    Ok(ExitCode::Ok)
}

fn remove(console: &Console, args: &RemoveArgs) -> Outcome {
    let name = target_name(&args.name)?;
    let mut client = console.client()?;
    if !args.yes {
        // Nobody is asked about what cannot be done.
        let asked = removable(&mut client, &name)?;
        if !agreed(console, &asked)? {
            console.terminal.note(&[Text::plain("Nothing was removed.")]);
            return Ok(ExitCode::Failure);
        }
        // While somebody reads the question, another may take the name.
        if removable(&mut client, &name)?.target_id != asked.target_id {
            let message = format!("`{name}` is another target by now");
            return Err(Failure::new(ErrorCode::TargetNotFound, message));
        }
    }
    let there = setup::set_up_there(&console.paths()?.home)?;
    if let Some(hooks) = there.iter().find(|it| it.target == name) {
        let what = hooks.told("there");
        let left = format!("It stays that {what}; to take that out, add it again, then: ");
        console.terminal.note(&[Text::plain(left).then_styled(hooks.undo(), style::COMMAND)]);
    }
    wait(async { Ok(client.remove_target(&name).await?) })?;
    if !console.is_json() {
        let done = format!("Target {name} is no longer watched. Its tmux server is left alone.");
        console.done(console.terminal.line(done));
    }
    Ok(ExitCode::Ok)
}

/// The target of that name, if it may be removed.
fn removable(client: &mut Client, name: &TargetName) -> Result<TargetItem, Failure> {
    let targets = wait(async { Ok(client.targets().await?) })?.read()?;
    match targets.items.into_iter().find(|it| it.name == *name) {
        None => {
            let message = format!("there is no target `{name}`");
            Err(Failure::new(ErrorCode::TargetNotFound, message))
        }
        Some(target) if target.is_default => {
            let message = format!("`{name}` is the default target, which stays");
            Err(Failure::new(ErrorCode::TargetProtected, message))
        }
        Some(target) => Ok(target),
    }
}

fn agreed(console: &Console, target: &TargetItem) -> Result<bool, Failure> {
    let TargetItem { name, connection_ref, .. } = target;
    let question =
        format!("Stop watching {name} ({connection_ref}) and forget what was seen of it?");
    consent::asked(console, &Text::plain(question), &format!("removing {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_ends_up_down_ends_the_command_with_its_reason() {
        let name: TargetName = "far".parse().unwrap();
        let of = |reason: &str| {
            let Failure::Told(error) = is_down(&name, Some(reason.to_owned()), Some("so".into()))
            else {
                panic!("it is told");
            };
            assert_eq!(error.message, "`far` is down: so");
            assert_ne!(error.code.exit_code(), ExitCode::Ok);
            error.code
        };
        assert_eq!(of("E_TMUX_UNUSABLE"), ErrorCode::TmuxUnusable);
        assert_eq!(of("E_TARGET_DISCONNECTED"), ErrorCode::TargetDisconnected);
        assert_eq!(of("E_SSH_DENIED"), ErrorCode::TargetUnreachable);
    }
}
