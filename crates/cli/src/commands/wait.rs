//! `qd wait`: go on when agents have come to a state.
//!
//! The wait follows the watch stream from its snapshot on, so that nothing is missed between what
//! is so and what becomes so, and a daemon that is restarted meanwhile takes it up where it was.

mod vigil;

use std::collections::BTreeSet;
use std::time::Duration;

use api::panes::PaneItem;
use api::watch::{WatchFrame, WatchQuery};
use api::words::{Scope, State};
use api::{ErrorCode, ExitCode, Timestamp};
use clap::{ArgGroup, Args};
use client::{Client, Pause, Step, Watch};
use serde::Serialize;
use tokio::time::Instant;

use self::vigil::{Standing, Vigil, Wanted, Whom};
use crate::args::word;
use crate::commands::Outcome;
use crate::commands::{explain, watch};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::panes::{place, state};
use crate::output::terminal::Terminal;
use crate::output::text::Text;
use crate::output::time::{age, parse_span};

/// What there is now is looked at in any case, and this long if need be.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// How long a daemon that was stopped may take to be started again, as a restart does.
const STOPPED_PATIENCE: Duration = Duration::from_secs(10);

/// Wait until agents are in a state
///
/// A state that is reached already ends the wait at once. Of several, all have to be in one of the
/// states at the same time, or with --any one of them. With --changed only a change counts that
/// happens after the wait began. A daemon that is restarted meanwhile is waited for; one that is stopped
/// and not started again within 10 s ends the wait.
///
/// Exit codes: 0 reached, 3 the daemon was stopped, 4 nobody to wait for, 5 whoever was waited for has ended or gone, 6 not
/// within the --timeout.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("whom").required(true).multiple(false).args(["references", "agent", "all"])))]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["until", "changed"])))]
pub(crate) struct WaitArgs {
    /// Panes, as `qd explain` takes them; one that ends meanwhile is not waited for any more
    #[arg(value_name = "REF")]
    references: Vec<String>,
    /// Every agent of this name, also one that comes later
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Every agent, also one that comes later
    #[arg(long)]
    all: bool,
    /// The states to wait for
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = word::<State>(State::WORDS)
    )]
    until: Vec<State>,
    /// Only a change from now on counts; without --until any does
    #[arg(long)]
    changed: bool,
    /// One of them is enough
    #[arg(long)]
    any: bool,
    /// How long to wait at most, such as 30s or 10m; without it, for ever. A state that is reached
    /// already counts however short it is
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

/// What a wait came to, for programs.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema_version: &'static str,
    generated_at: Timestamp,
    outcome: &'static str,
    items: &'a [PaneItem],
}

pub(crate) fn run(console: &Console, args: &WaitArgs) -> Outcome {
    let client = console.client()?;
    let reached = wait(async {
        let begun = Instant::now();
        let terminal = console.terminal;
        let first = first_look(client, args, terminal);
        let first = within(args.timeout.map(|limit| begun + limit.max(FIRST_LOOK)), first).await?;
        match first {
            (_, _, Some(items)) => Ok(items),
            (watch, vigil, None) => {
                within(args.timeout.map(|limit| begun + limit), keep(watch, vigil, terminal)).await
            }
        }
    })?;
    if console.is_json() {
        let answer = Answer {
            schema_version: "v1",
            generated_at: console.now(),
            outcome: "reached",
            items: &reached,
        };
        let json = serde_json::to_string(&answer).map_err(|error| {
            Failure::new(ErrorCode::Internal, format!("an answer cannot be written: {error}"))
        })?;
        console.terminal.json(&json)?;
    } else {
        let now = console.now();
        let lines: Vec<Text> = reached.iter().map(|item| line(item, now)).collect();
        console.terminal.lines(&lines)?;
    }
    Ok(ExitCode::Ok)
}

/// Begins the wait with what is so; gives what was waited for, if it is reached already.
async fn first_look(
    mut client: Client,
    args: &WaitArgs,
    terminal: Terminal,
) -> Result<(Watch, Vigil, Option<Vec<PaneItem>>), Failure> {
    let whom = whom(&mut client, args).await?;
    let wanted = Wanted { states: args.until.clone(), changed: args.changed, any: args.any };
    let query = WatchQuery { scope: Some(Scope::Panes), ..WatchQuery::default() };
    let (mut watch, mut vigil) = (client.watch(query), Vigil::new(whom, wanted));
    let reached = step(&mut watch, &mut vigil, terminal).await?;
    Ok((watch, vigil, reached))
}

/// The same, unless it takes longer.
async fn within<T>(
    until: Option<Instant>,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(until) = until else { return future.await };
    tokio::time::timeout_at(until, future).await.unwrap_or_else(|_| {
        Err(Failure::new(ErrorCode::Timeout, "the state was not reached in time")
            .with_hint("`qd explain REF` says why a state is what it is."))
    })
}

/// Whoever is waited for. References are looked up once: what has that name later is another.
async fn whom(client: &mut Client, args: &WaitArgs) -> Result<Whom, Failure> {
    if args.all {
        return Ok(Whom::Agents);
    }
    if let Some(agent) = &args.agent {
        return Ok(Whom::Agent(agent.clone()));
    }
    // Several references may mean the same one.
    let mut runtimes = BTreeSet::new();
    for reference in &args.references {
        runtimes.insert(explain::runtime(client, reference).await?);
    }
    Ok(Whom::Runtimes(runtimes))
}

/// Follows the stream until the vigil is over.
async fn keep(
    mut watch: Watch,
    mut vigil: Vigil,
    terminal: Terminal,
) -> Result<Vec<PaneItem>, Failure> {
    loop {
        if let Some(items) = step(&mut watch, &mut vigil, terminal).await? {
            return Ok(items);
        }
    }
}

/// Looks at the next frame that tells anything; gives what was waited for, if it is reached.
async fn step(
    watch: &mut Watch,
    vigil: &mut Vigil,
    terminal: Terminal,
) -> Result<Option<Vec<PaneItem>>, Failure> {
    let mut patience = None;
    while let Some(step) = next(watch, patience).await? {
        let frame = match step {
            Step::Frame(frame) => frame,
            // An interrupted stream is taken up again by itself, once there is a daemon.
            Step::Paused(pause) => {
                watch::tell(terminal, pause);
                patience = (pause == Pause::Stopped).then(|| Instant::now() + STOPPED_PATIENCE);
                continue;
            }
        };
        let (standing, warnings) = match frame.read::<PaneItem>()? {
            WatchFrame::Snapshot(it) => (vigil.begin(it.items), it.warnings),
            WatchFrame::Delta(it) => (vigil.go_on(it.changes), it.warnings),
            WatchFrame::Reset(_) => continue,
        };
        if let Some(warning) = warnings.iter().find(|it| it.code == "store_read_only") {
            return Err(
                Failure::new(ErrorCode::StoreReadOnly, &warning.message).with_hint(&warning.hint)
            );
        }
        // What is shown may be of the past; what comes once something is stored again is not.
        if !warnings.is_empty() {
            continue;
        }
        match standing {
            Standing::Waiting => return Ok(None),
            Standing::Reached(items) => return Ok(Some(items)),
            Standing::Nobody => {
                return Err(Failure::new(ErrorCode::RefNotFound, "there is no agent to wait for")
                    .with_hint("`qd ls` shows the agents there are."));
            }
            Standing::Gone => {
                let message = "whoever was waited for has ended, or its pane is gone";
                return Err(Failure::new(ErrorCode::RuntimeStale, message)
                    .with_hint("`qd ls` shows what is there now."));
            }
        }
    }
    Err(Failure::new(ErrorCode::Internal, "the stream of changes came to an end"))
}

/// What the stream says next. Of a daemon that somebody stopped it says nothing until a person
/// starts another; whoever waits for agents is not to wait for that.
async fn next(watch: &mut Watch, patience: Option<Instant>) -> Result<Option<Step>, Failure> {
    let Some(until) = patience else { return Ok(watch.next().await?) };
    let Ok(step) = tokio::time::timeout_at(until, watch.next()).await else {
        let message = "the daemon was stopped during the wait, and nobody started it again";
        return Err(Failure::new(ErrorCode::DaemonUnreachable, message)
            .with_hint("Repeat the wait: that starts it, and a state that was reached counts."));
    };
    Ok(step?)
}

fn line(item: &PaneItem, now: Timestamp) -> Text {
    let agent = item.agent_type.as_deref().unwrap_or_default();
    let since = age(item.state_since, now);
    Text::plain(&item.identity.pane_id)
        .then("  ")
        .then(state(item))
        .then(format!("  {since}  {agent}  {}", place(item)))
}
