//! `qd send`: type into a pane.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use api::actions::{ActionAnswer, IfBusy, ResultCode, SendRequest};
use api::limits::SEND_TEXT_BYTES_MAX;
use api::panes::PaneItem;
use api::watch::{Change, WatchFrame, WatchQuery};
use api::words::{Scope, State};
use api::{ErrorCode, ExitCode};
use clap::{ArgGroup, Args};
use client::{Answer, Client, ClientError, Step};
use serde_json::Value;

use crate::args::word;
use crate::commands::Outcome;
use crate::commands::acting::{AimArgs, named, request, tell};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::time::parse_span;

/// Type a text and keys into a pane, if it still holds what was seen there
///
/// An agent gets the text into its composer, and --enter only once it stands there; the answer says
/// how it is known that the agent took it. While it works, asks something or holds somebody's
/// draft, nothing is typed: see --if-busy.
///
/// The text is typed as it is: no key names in it, no shell. The tmux server itself compares server,
/// process and foreground command in the same step in which it types; what has changed is refused
/// with E_RUNTIME_STALE, and nothing is typed.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("source").args(["text", "stdin", "file"])))]
#[command(group(ArgGroup::new("what").args(["text", "stdin", "file", "key", "enter"]).required(true).multiple(true)))]
pub(crate) struct SendArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// The text; it may begin with a dash
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// Read the text from standard input, at most 1 MiB; CRLF is typed as a newline
    #[arg(long)]
    stdin: bool,
    /// Read the text from a file, at most 1 MiB; CRLF is typed as a newline
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// A key by tmux's name, such as C-c or Escape, pressed behind the text; repeatable
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Vec<String>,
    /// Press Enter at the end
    #[arg(long)]
    enter: bool,
    /// Paste the text in brackets where the program asked for them, so that a newline in it does
    /// not end a line
    #[arg(long)]
    paste: bool,
    /// What to do while an agent takes no prompt: refuse it, wait for the agent, or leave it with
    /// the daemon, which sends it later
    #[arg(long, value_name = "HOW", default_value = "refuse", value_parser = word::<IfBusy>(IfBusy::WORDS))]
    if_busy: IfBusy,
    /// How long it may wait for that, such as 30m; 10m or, queued, 24h if not given
    #[arg(long, value_name = "TIME")]
    busy_timeout: Option<String>,
    /// Wait afterwards until it came to one of these states
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = word::<State>(State::WORDS)
    )]
    wait: Vec<State>,
    /// How long to --wait at most, such as 30s or 10m; without it, for ever, as `qd wait`
    #[arg(long, value_name = "TIME", value_parser = parse_span, requires = "wait")]
    timeout: Option<Duration>,
}

pub(crate) fn run(console: &Console, args: &SendArgs) -> Outcome {
    let text = text(args)?;
    let mut client = console.client()?;
    let answer = wait(async {
        let aim = args.aim.aim(&mut client).await?;
        let request = request!(SendRequest, aim, {
            text: text,
            keys: args.key.clone(),
            enter: args.enter,
            paste: args.paste,
            if_busy: args.if_busy,
            busy_timeout: args.busy_timeout.clone(),
        });
        request.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
        let answer = send(&mut client, &request).await?;
        // What was not taken leads to no state.
        if !args.wait.is_empty() && answer.read()?.result_code == ResultCode::Completed {
            arrival(client, &answer.read()?, args).await?;
        }
        Ok(answer)
    })?;
    let exit = tell(console, &answer)?;
    let kept = args.if_busy == IfBusy::Queue && answer.read()?.result_code == ResultCode::Pending;
    Ok(if kept { ExitCode::Ok } else { exit })
}

/// Sends, and asks again under the same name for as long as it waits for its agent: the daemon
/// answers now and then, and may be restarted meanwhile.
async fn send(client: &mut Client, request: &SendRequest) -> Result<Answer<ActionAnswer>, Failure> {
    loop {
        let sent = client.send_to_pane(request).await;
        let answer = sent.map_err(|error| named(error, &request.request_ref))?;
        if request.if_busy != IfBusy::Wait || answer.read()?.result_code != ResultCode::Pending {
            return Ok(answer);
        }
    }
}

/// Waits until the runtime came to one of the states after what was sent to it.
async fn arrival(client: Client, sent: &ActionAnswer, args: &SendArgs) -> Result<(), Failure> {
    let arrival = come_to(client, sent, &args.wait);
    let Some(limit) = args.timeout else { return arrival.await };
    tokio::time::timeout(limit, arrival).await.unwrap_or_else(|_| {
        let message = "it was sent, and the state was not reached in time";
        let error = ClientError::new(ErrorCode::Timeout, message)
            .with_detail("action_id", Value::from(sent.action_id.clone()));
        Err(error.with_hint("`qd explain REF` says why a state is what it is.").into())
    })
}

async fn come_to(client: Client, sent: &ActionAnswer, wanted: &[State]) -> Result<(), Failure> {
    let (runtime, seen) = (&sent.action.runtime_id, sent.action.snapshot.state_version);
    let arrived = |pane: &PaneItem| pane.state_version > seen && wanted.contains(&pane.state);
    let lives = |pane: &PaneItem| pane.runtime_id.as_ref() == Some(runtime);
    let query = WatchQuery { scope: Some(Scope::Panes), ..WatchQuery::default() };
    let mut watch = client.watch(query);
    let mut place = None;
    while let Some(step) = watch.next().await? {
        let Step::Frame(frame) = step else { continue };
        let pane = match frame.read::<PaneItem>()? {
            WatchFrame::Snapshot(snapshot) => {
                let pane = snapshot.items.into_iter().find(lives).ok_or_else(over)?;
                place = Some(pane.identity.clone());
                Some(pane)
            }
            WatchFrame::Delta(delta) => {
                let (mut pane, mut lost) = (None, false);
                for change in delta.changes {
                    match change {
                        Change::Upsert { item, identity } if lives(&item) => {
                            (pane, place, lost) = (Some(item), Some(identity), false);
                        }
                        Change::Upsert { identity, .. } | Change::Delete { identity } => {
                            lost |= pane.is_none() && Some(&identity) == place.as_ref();
                        }
                    }
                }
                if pane.is_none() && !lost {
                    continue;
                }
                pane
            }
            WatchFrame::Reset(_) => continue,
        };
        if arrived(&pane.ok_or_else(over)?) {
            return Ok(());
        }
    }
    Err(Failure::new(ErrorCode::Internal, "the stream of changes came to an end"))
}

fn over() -> Failure {
    Failure::new(ErrorCode::RuntimeStale, "it was sent, and the runtime has ended since")
        .with_hint("`qd ls` shows what is there now.")
}

fn text(args: &SendArgs) -> Result<Option<String>, Failure> {
    let from = |source: &mut dyn Read, name: &str| {
        let mut text = String::new();
        let limit = u64::try_from(SEND_TEXT_BYTES_MAX).unwrap_or(u64::MAX);
        let read = source.take(limit + 1).read_to_string(&mut text);
        read.map_err(|error| {
            Failure::new(ErrorCode::BadRequest, format!("cannot read {name}: {error}"))
                .with_hint("Give the text as UTF-8.")
        })?;
        // A line end of another system is a line end, not a key of its own.
        Ok::<_, Failure>(text.replace("\r\n", "\n"))
    };
    if args.stdin {
        return from(&mut std::io::stdin().lock(), "standard input").map(Some);
    }
    let Some(path) = &args.file else { return Ok(args.text.clone()) };
    let name = path.display().to_string();
    let file = File::open(path);
    let mut file = file.map_err(|error| {
        Failure::new(ErrorCode::BadRequest, format!("cannot read {name}: {error}"))
            .with_hint("Name a file that can be read.")
    })?;
    from(&mut file, &name).map(Some)
}
