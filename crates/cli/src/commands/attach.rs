//! `qd attach` and `qd next`: go to a pane.

use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;

use api::actions::AttachItem;
use api::panes::PaneItem;
use api::{ErrorCode, ExitCode};
use clap::Args;
use client::{Answer, Client};

use crate::commands::acting::{Aim, AimArgs, named, request};
use crate::commands::{Outcome, here};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;

/// Go to a pane: switch this tmux client, or attach from outside tmux
///
/// A pane that holds something else by now is refused.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// Only look
    #[arg(long)]
    read_only: bool,
}

/// Go to the pane that has waited longest for you, and then to the one after it
#[derive(Debug, Clone, Args)]
pub(crate) struct NextArgs {}

pub(crate) fn attach(console: &Console, args: &AttachArgs) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async {
        let aim = args.aim.aim(&mut client).await?;
        if !console.is_json() {
            check_terminal(&mut client, &aim).await?;
        }
        ask(&mut client, &aim, args.read_only).await
    })?;
    go(console, &answer)
}

pub(crate) fn next(console: &Console, _: &NextArgs) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async {
        let here = here::pane(&mut client).await?;
        let list = api::list::ListQuery {
            filters: api::filters::Filters {
                target: vec![here.identity.target.clone()],
                needs_action: Some(true),
                ..Default::default()
            },
            ..Default::default()
        };
        let waiting = client.panes(&list).await?.read()?.items;
        let runtime = following(waiting, &here);
        let nobody = || {
            Failure::new(ErrorCode::RefNotFound, "no other pane of this tmux server waits for you")
                .with_hint("`qd` shows what goes on elsewhere.")
        };
        ask(&mut client, &Aim::at(&runtime.ok_or_else(nobody)?), false).await
    })?;
    go(console, &answer)
}

/// The runtime to go to: behind the one that is shown, in the order of waiting, or the first.
fn following(mut waiting: Vec<PaneItem>, here: &PaneItem) -> Option<String> {
    waiting.sort_by(|one, other| {
        let order = |pane: &PaneItem| (pane.state_since, pane.identity.pane_id.clone());
        order(one).cmp(&order(other))
    });
    let shown = waiting.iter().position(|pane| pane.identity.pane_id == here.identity.pane_id);
    let at = shown.map_or(0, |shown| shown + 1) % waiting.len().max(1);
    let next = waiting.get(at).filter(|_| Some(at) != shown)?;
    next.runtime_id.clone()
}

async fn ask(
    client: &mut Client,
    aim: &Aim,
    read_only: bool,
) -> Result<Answer<api::actions::ActionAnswer>, Failure> {
    let request = request!(AttachRequest, aim, { read_only: read_only });
    let shown = client.attach(&request).await;
    shown.map_err(|error| named(error, &request.request_ref))
}

/// Makes sure that this terminal can be taken there, before anything is shown to it or recorded.
async fn check_terminal(client: &mut Client, aim: &Aim) -> Result<(), Failure> {
    let Some(inside) = here::server_pid() else {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return Ok(());
        }
        let message = "to attach takes a terminal, and this is none";
        return Err(Failure::new(ErrorCode::BadRequest, message)
            .with_hint("Run it in a terminal; with --json it shows the pane and tells where."));
    };
    let Some(pane) = client.resolve(&aim.reference).await?.read()?.pane else { return Ok(()) };
    let targets = client.targets().await?.read()?.items;
    let target = targets.into_iter().find(|it| it.name == pane.identity.target);
    match target.and_then(|it| it.server) {
        Some(server) if server.pid != inside => Err(elsewhere()),
        Some(_) | None => Ok(()),
    }
}

fn elsewhere() -> Failure {
    Failure::new(ErrorCode::BadRequest, "this terminal is in another tmux server")
        .with_hint("Detach first, and repeat it outside tmux.")
}

/// Has this terminal taken there by tmux itself, in the place of this process.
fn go(console: &Console, answer: &Answer<api::actions::ActionAnswer>) -> Outcome {
    let shown = answer.read()?;
    if console.is_json() {
        console.terminal.json(answer.json()?)?;
        return Ok(ExitCode::Ok);
    }
    let Some(place) = &shown.attach else {
        return Err(Failure::new(ErrorCode::RuntimeStale, "the pane went away meanwhile"));
    };
    if let Some(words) = &place.command {
        console.terminal.note(&[output::actions::told(&shown)]);
        return Err(far(words));
    }
    let inside = here::server_pid();
    if inside.is_some_and(|pid| pid != place.server_pid) {
        return Err(elsewhere());
    }
    if inside.is_none() {
        console.terminal.note(&[output::actions::told(&shown)]);
    }
    let error = tmux(place, inside.is_some()).exec();
    Err(Failure::new(ErrorCode::TmuxUnusable, format!("cannot start tmux: {error}")))
}

/// This process becomes the program that goes to a server somewhere else; says why where it does
/// not.
fn far(words: &[String]) -> Failure {
    let (program, arguments) =
        words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    #[expect(clippy::disallowed_methods, reason = "this process becomes that program")]
    let mut command = std::process::Command::new(program);
    // A tmux there is not within the one here, also where the command leads to this machine.
    command.args(arguments).env_remove("TMUX").env_remove("TMUX_PANE");
    let error = command.exec();
    Failure::new(ErrorCode::TargetUnreachable, format!("cannot start {program}: {error}"))
}

fn tmux(place: &AttachItem, inside: bool) -> std::process::Command {
    #[expect(clippy::disallowed_methods, reason = "this process becomes that tmux client")]
    let mut command = std::process::Command::new("tmux");
    command.args(["-S", &place.socket]);
    command.arg(if inside { "switch-client" } else { "attach-session" });
    if place.read_only {
        command.arg("-r");
    }
    command.args(["-t", &place.session_id]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures;

    fn pane(id: &str, since: i64) -> PaneItem {
        let mut pane = fixtures::panes().items.remove(0);
        pane.identity.pane_id = id.to_owned();
        pane.runtime_id = Some(format!("rt-{id}"));
        pane.state_since = api::Timestamp::from_millis(since);
        pane
    }

    #[test]
    fn the_next_pane_is_the_one_that_has_waited_longest_and_then_the_following() {
        let waiting = || vec![pane("%1", 30), pane("%2", 10), pane("%3", 20)];
        let after = |id: &str| following(waiting(), &pane(id, 0));
        assert_eq!(after("%9").as_deref(), Some("rt-%2"));
        assert_eq!(after("%2").as_deref(), Some("rt-%3"));
        assert_eq!(after("%3").as_deref(), Some("rt-%1"));
        assert_eq!(after("%1").as_deref(), Some("rt-%2"));
        assert_eq!(following(vec![pane("%1", 1)], &pane("%1", 1)), None);
        assert_eq!(following(Vec::new(), &pane("%1", 1)), None);
    }
}
