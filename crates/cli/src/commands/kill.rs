//! `qd kill`: interrupt or end what runs in a pane.

use api::actions::{KillMode, KillRequest, KillSignal};
use api::panes::PaneItem;
use api::resolve::ResolveAnswer;
use api::runtimes::RuntimeItem;
use api::{ErrorCode, Timestamp};
use clap::Args;

use crate::args::word;
use crate::commands::Outcome;
use crate::commands::acting::{Aim, AimArgs, named, request, tell};
use crate::commands::consent;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::panes::place;
use crate::output::text::Text;
use crate::output::time::age;

/// Interrupt what runs in a pane by key, or signal its process
///
/// A signal goes to the runtime's own process: the agent's, never its shell's, and never to another
/// process that got its number. In a pane without an agent that is the pane's own process, such as
/// its shell. It shows what it is about to do and asks before, unless --yes; with nobody to ask it
/// refuses. What came into the pane while it asked is not killed: E_RUNTIME_STALE.
#[derive(Debug, Clone, Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// By the key that interrupts, or by a signal
    #[arg(long, value_name = "MODE", default_value = "key", value_parser = word::<KillMode>(KillMode::WORDS))]
    mode: KillMode,
    /// Which signal; INT if not given, and nothing else by key
    #[arg(long, value_name = "SIGNAL", value_parser = word::<KillSignal>(KillSignal::WORDS))]
    signal: Option<KillSignal>,
    /// All processes below it too; by signal only
    #[arg(long)]
    tree: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(console: &Console, args: &KillArgs) -> Outcome {
    let mut client = console.client()?;
    let mut aim = wait(args.aim.aim(&mut client))?;
    check(&kill(args, &aim))?;
    if !args.yes {
        let seen = wait(async { Ok(client.resolve(&aim.reference).await?) })?.read()?;
        let victim = Victim::of(&seen, &args.aim.reference)?;
        agreed(console, &victim.question(args, console.now()))?;
        victim.pin(&mut aim, args.mode);
    }
    let request = kill(args, &aim);
    let answer = wait(async {
        let killed = client.kill(&request).await;
        killed.map_err(|error| named(error, &request.request_ref))
    })?;
    tell(console, &answer)
}

fn kill(args: &KillArgs, aim: &Aim) -> KillRequest {
    request!(KillRequest, aim, { mode: args.mode, signal: args.signal, tree: args.tree })
}

fn check(request: &KillRequest) -> Result<(), Failure> {
    request.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))
}

/// What somebody is asked about before it is killed.
struct Victim<'a> {
    pane: &'a PaneItem,
    runtime: &'a RuntimeItem,
}

impl<'a> Victim<'a> {
    fn of(seen: &'a ResolveAnswer, reference: &str) -> Result<Self, Failure> {
        let (Some(pane), Some(runtime)) = (&seen.pane, &seen.runtime) else {
            let message = format!("`{reference}` has ended: nothing lives there to be killed");
            return Err(Failure::new(ErrorCode::RuntimeStale, message)
                .with_hint("`qd ls` shows what is there now."));
        };
        Ok(Self { pane, runtime })
    }

    fn question(&self, args: &KillArgs, now: Timestamp) -> Text {
        let Self { pane, runtime } = self;
        let process = runtime.pid.map_or_else(
            || "whose process is not known".to_owned(),
            |pid| format!("process {pid}, {} old", age(runtime.started_at, now)),
        );
        let agent = runtime.agent_type.as_deref();
        let at = format!("{} {} {}", pane.identity.target, place(pane), pane.identity.pane_id);
        Text::plain(match args.mode {
            KillMode::Key => {
                let what = agent.unwrap_or(&pane.current_cmd);
                format!("Press C-c for {what} in {at} ({process})?")
            }
            KillMode::Signal => {
                let signal = args.signal.unwrap_or(KillSignal::Int);
                let what = agent.unwrap_or("the pane's own process");
                let tree = if args.tree { " and everything below it" } else { "" };
                let front = match agent {
                    Some(_) => String::new(),
                    None => format!(", in whose foreground {} runs", pane.current_cmd),
                };
                format!("Send {signal} to {what} in {at} ({process}{front}){tree}?")
            }
        })
    }

    /// Has the daemon act on what was asked about, and on nothing that came in its place. A signal
    /// goes to the runtime's process, whatever runs in the foreground; a key goes to that.
    fn pin(&self, aim: &mut Aim, mode: KillMode) {
        aim.reference = format!("runtime:{}", self.runtime.runtime_id);
        aim.if_runtime.get_or_insert_with(|| self.runtime.runtime_id.clone());
        match mode {
            KillMode::Key => aim.if_command = Some(self.pane.current_cmd.clone()),
            KillMode::Signal => {}
        }
    }
}

fn agreed(console: &Console, question: &Text) -> Result<(), Failure> {
    match consent::asked(console, question, "ending something")? {
        true => Ok(()),
        false => Err(Failure::new(ErrorCode::ConfirmationRequired, "nothing was done")),
    }
}
