//! `qd target connect --terminal`: the user's own `ssh` makes the connection here, where it can ask.
//!
//! Whatever is typed goes from the terminal to that `ssh` and nowhere else. It holds the connection
//! for as long as this command runs, and the daemon goes through its socket.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use api::target_name::TargetName;
use api::targets::TargetTerminal;
use api::words::Health;
use api::{ErrorCode, ExitCode};
use client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::{FIRST_LOOK_MAX, LOOK_AGAIN, first_look};
use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;
use crate::output::style;
use crate::output::text::Text;

pub(super) fn run(console: &Console, name: &TargetName) -> Outcome {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let message = "ssh asks in a terminal, and this is none";
        return Err(Failure::new(ErrorCode::BadRequest, message).with_hint(format!(
            "Run it in a terminal. Where a key or its agent lets you in, `qd target connect {name}` \
             is enough."
        )));
    }
    let mut client = console.client()?;
    wait(async {
        if is_well(&mut client, name).await? {
            let said = format!("{name} is connected already; nothing was done.");
            console.terminal.note(&[Text::plain(said)]);
            return Ok(ExitCode::Ok);
        }
        let place = client.hold_target(name).await?.read()?;
        if place.held {
            return Err(held_elsewhere(name));
        }
        hold(console, &mut client, name, &place).await
    })
}

/// Whether everything is known of a target, so that nobody has to be asked.
async fn is_well(client: &mut Client, name: &TargetName) -> Result<bool, Failure> {
    let targets = client.targets().await?.read()?.items;
    Ok(targets.iter().any(|it| it.name == *name && it.health == Health::Ok))
}

fn held_elsewhere(name: &TargetName) -> Failure {
    let message = format!("another terminal holds the connection to {name}");
    Failure::new(ErrorCode::PreconditionFailed, message)
        .with_hint(format!("`qd target disconnect {name}` ends it."))
}

/// Runs the `ssh` to its end.
async fn hold(
    console: &Console,
    client: &mut Client,
    name: &TargetName,
    place: &TargetTerminal,
) -> Outcome {
    let internal = |error| Failure::new(ErrorCode::Internal, format!("no signals come: {error}"));
    let mut orders = Orders::listen().map_err(internal)?;
    let mut child = start(&place.command)?;
    let pid = child.id();
    // Whoever is told to end and sees the `ssh` end was told to.
    let shared = tokio::select! {
        biased;
        () = orders.end() => None,
        ended = child.wait() => ended.ok().and(None),
        ours = listens(Path::new(&place.socket), pid) => ours,
    };
    let taken_up = match shared {
        Some(true) => taken_up(console, client, name).await,
        Some(false) => Err(held_elsewhere(name)),
        None => Err(not_let_in(name)),
    };
    if let Err(failure) = taken_up {
        end(&mut child).await;
        return Err(failure);
    }
    let on_purpose = tokio::select! {
        biased;
        () = orders.end() => true,
        // What was pressed may reach this command a moment after the `ssh` that it ended.
        _ = child.wait() => timeout(LOOK_AGAIN, orders.end()).await.is_ok(),
    };
    end(&mut child).await;
    if on_purpose || is_left_alone(client, name).await {
        let said = format!("The connection to {name} has ended.");
        console.terminal.note(&[Text::plain(said)]);
        return Ok(ExitCode::Ok);
    }
    Err(Failure::new(ErrorCode::TargetUnreachable, format!("the connection to {name} ended"))
        .with_hint(format!("`qd target connect {name} --terminal` makes it anew.")))
}

fn start(words: &[String]) -> Result<Child, Failure> {
    let nothing = || Failure::new(ErrorCode::Internal, "the daemon named no program to run");
    let (program, arguments) = words.split_first().ok_or_else(nothing)?;
    #[expect(clippy::disallowed_methods, reason = "it is run in the user's terminal, for the user")]
    let mut command = Command::new(program);
    command.args(arguments).spawn().map_err(|error| {
        Failure::new(ErrorCode::TargetUnreachable, format!("cannot start {program}: {error}"))
    })
}

fn not_let_in(name: &TargetName) -> Failure {
    Failure::new(ErrorCode::TargetUnreachable, format!("no connection to {name} was made"))
        .with_hint("What ssh said stands above. Nothing was changed.")
}

/// Waits until an `ssh` holds the connection; says whether it is this one.
async fn listens(socket: &Path, ours: Option<u32>) -> Option<bool> {
    loop {
        if let Ok(stream) = UnixStream::connect(socket).await {
            let pid = stream.peer_cred().ok()?.pid().and_then(|pid| u32::try_from(pid).ok());
            return Some(pid.is_none() || pid == ours);
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Has the daemon go through the connection, and tells what it found.
async fn taken_up(
    console: &Console,
    client: &mut Client,
    name: &TargetName,
) -> Result<(), Failure> {
    let until = Instant::now() + FIRST_LOOK_MAX;
    let answer = loop {
        let is_late = Instant::now() >= until;
        match first_look(client, name).await {
            Ok(answer) if is_late || answer.read()?.target.health == Health::Ok => break answer,
            // It is not all known yet.
            Ok(_) => {}
            // An attempt that was under way knew nothing of this connection.
            Err(Failure::Told(error)) if error.code == ErrorCode::TargetUnreachable && !is_late => {
            }
            Err(failure) => return Err(failure),
        }
        sleep(LOOK_AGAIN).await;
    };
    console.done(console.answer(&answer, |answer, width| {
        output::targets::one(&answer.target, answer.generated_at, width)
    }));
    let told = Text::plain("This terminal holds the connection until it is closed, or you press ")
        .then_styled("Ctrl-C", style::COMMAND)
        .then(Text::plain("."));
    console.terminal.note(&[told]);
    Ok(())
}

/// What tells this command to end. What the keyboard sends goes to the `ssh` as well.
struct Orders {
    kinds: [Signals; 3],
}

impl Orders {
    fn listen() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let kinds = [interrupt, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
        Ok(Self { kinds })
    }

    /// Waits until somebody wants this command to end.
    async fn end(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.kinds;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Ends the `ssh`, which sets the terminal right before it goes.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM).ok();
    }
    child.wait().await.ok();
}

/// Whether somebody disconnected the target, or removed it.
async fn is_left_alone(client: &mut Client, name: &TargetName) -> bool {
    let Ok(targets) = client.targets().await else { return false };
    let Ok(targets) = targets.read() else { return false };
    let target = targets.items.into_iter().find(|it| it.name == *name);
    target.is_none_or(|it| output::targets::is_disconnected(it.health_reason.as_deref()))
}
