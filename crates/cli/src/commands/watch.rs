//! `qd watch`: follow what changes, as a table for people or as lines for programs.

mod board;

use std::time::Duration;

use api::approvals::ApprovalItem;
use api::panes::PaneItem;
use api::sessions::SessionItem;
use api::watch::WatchQuery;
use api::windows::WindowItem;
use api::words::Scope;
use api::{ErrorCode, ExitCode};
use clap::{Args, ValueEnum};
use client::{ClientError, Pause, Step, Watch};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout_at};

use crate::args::word;
use crate::commands::Outcome;
use crate::commands::filters::FilterArgs;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::style;
use crate::output::terminal::Terminal;
use crate::output::text::Text;
use crate::output::time::parse_span;

use self::board::Board;

/// How many steps wait while the terminal takes its time. Beyond these the daemon notices, and in
/// the end cuts us with a cursor from which we go on.
const STEPS_WAITING_MAX: usize = 64;

/// Follow what changes, until Ctrl-C
///
/// As jsonl, each line is a frame of the API as it came: a snapshot, then deltas. When the daemon
/// is restarted, replaced or killed, the stream goes on behind the last frame by itself; a
/// `reset` line with `terminal` true says that this is about to happen.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// How to show it; with --json, as jsonl
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
    /// What to follow
    #[arg(
        long,
        value_name = "SCOPE",
        default_value = "panes",
        value_parser = word::<Scope>(Scope::WORDS)
    )]
    scope: Scope,
    /// End as soon as everything up to now is shown
    #[arg(long)]
    once: bool,
    /// Go on behind this place, as the `cursor` of a frame names it
    #[arg(long, value_name = "STREAM:SEQUENCE", allow_hyphen_values = true)]
    cursor: Option<String>,
    /// The least time between two paintings of the table, such as 500ms or 2s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_span)]
    interval: Duration,
    #[command(flatten)]
    filters: FilterArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table that is painted anew when something changes
    #[default]
    Table,
    /// One JSON object a line
    Jsonl,
}

pub(crate) fn run(console: &Console, args: &WatchArgs) -> Outcome {
    let query = query(args)?;
    let jsonl = args.format == Format::Jsonl || console.is_json();
    if args.cursor.is_some() && !jsonl {
        // What comes behind a cursor are changes; a table of them would pass for all there is.
        return Err(Failure::new(
            ErrorCode::BadRequest,
            "--cursor goes on with changes, and a table shows everything",
        )
        .with_hint("Add --format jsonl, or leave the cursor out."));
    }
    let mut client = console.client()?;
    // The frames tell of what is stored; this tells where nothing is.
    let health = wait(async { Ok(client.health().await?) })?.read()?;
    console.doubts(&health.warnings);
    let watch = client.watch(query);
    let terminal = console.terminal;
    let interval = args.interval;
    let sink: Box<dyn Sink> = match args.scope {
        _ if jsonl => Box::new(Lines { terminal }),
        Scope::Panes => Box::new(Board::<PaneItem>::new(terminal, interval)),
        Scope::Windows => Box::new(Board::<WindowItem>::new(terminal, interval)),
        Scope::Sessions => Box::new(Board::<SessionItem>::new(terminal, interval)),
        Scope::Approvals => Box::new(Board::<ApprovalItem>::new(terminal, interval)),
    };
    wait(follow(watch, sink, terminal))?;
    Ok(ExitCode::Ok)
}

fn query(args: &WatchArgs) -> Result<WatchQuery, Failure> {
    let cursor = args.cursor.as_deref().map(str::parse).transpose();
    let cursor = cursor.map_err(|error: api::cursor::CursorError| {
        Failure::new(ErrorCode::CursorInvalid, format!("--cursor: {error}"))
    })?;
    let filters = args.filters.filters()?;
    Ok(WatchQuery { filters, scope: Some(args.scope), cursor, once: args.once })
}

/// Where the steps of a stream go.
trait Sink: Send {
    /// Takes one step.
    fn take(&mut self, step: Step) -> Result<(), Failure>;

    /// When it wants to do something without a further step.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Does that.
    fn tick(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// The terminal has another size.
    fn resized(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Does what is left to do when the stream has come to its end.
    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Frames as they come, one line each.
struct Lines {
    terminal: Terminal,
}

impl Sink for Lines {
    fn take(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Frame(frame) => self.terminal.json(frame.json()?),
            Step::Paused(pause) => {
                tell(self.terminal, pause);
                Ok(())
            }
        }
    }
}

/// Says beside the output that nothing comes at the moment.
pub(crate) fn tell(terminal: Terminal, pause: Pause) {
    terminal.note(&[Text::styled("qd: ", style::WARNING).then(told(pause))]);
}

/// Why nothing comes at the moment.
fn told(pause: Pause) -> &'static str {
    match pause {
        Pause::Stopped => "the daemon was stopped; waiting until somebody starts it again",
        Pause::Upgraded => "the daemon makes room for a newer one; going on with that",
        Pause::Lost => "the daemon was lost; going on as soon as it is back",
        Pause::Slow => "the daemon cut us because we read too slowly; going on",
    }
}

/// Follows the stream until it ends, or somebody has seen enough.
async fn follow(watch: Watch, sink: Box<dyn Sink>, terminal: Terminal) -> Result<(), Failure> {
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (sender, steps) = mpsc::channel(STEPS_WAITING_MAX);
    tokio::spawn(resizes(listen(SignalKind::window_change())?, sender.clone()));
    tokio::spawn(read(watch, sender));
    // Writing blocks when nobody reads; that must not keep a signal from ending us.
    let handle = Handle::current();
    let writer = tokio::task::spawn_blocking(move || write(&handle, steps, sink));
    tokio::select! {
        outcome = writer => outcome.map_err(|error| {
            Failure::new(ErrorCode::Internal, format!("watching broke off: {error}"))
        })?,
        // A reader that went away would else be noticed only with the next change.
        _ = unread() => Ok(()),
        _ = interrupt.recv() => {
            end_line(terminal);
            Ok(())
        }
        _ = terminate.recv() => Ok(()),
    }
}

/// What the terminal echoes of Ctrl-C stands where the shell would write next. Standard output may
/// be held by who writes.
fn end_line(terminal: Terminal) {
    if terminal.is_interactive() {
        terminal.note(&[Text::new()]);
    }
}

/// Waits until nobody reads our output any more.
async fn unread() {
    let wait = || {
        let stdout = std::io::stdout();
        // Errors and hang-ups are told unasked.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while matches!(poll(&mut watched, None), Err(Errno::INTR)) {}
    };
    drop(tokio::task::spawn_blocking(wait).await);
}

/// What the one who writes hears of.
enum News {
    Said(Result<Step, ClientError>),
    Resized,
    Over,
}

async fn read(mut watch: Watch, sender: Sender<News>) {
    while let Some(said) = watch.next().await.transpose() {
        let last = said.is_err();
        if sender.send(News::Said(said)).await.is_err() || last {
            return;
        }
    }
    // Who waits for the other signals holds the channel open.
    drop(sender.send(News::Over).await);
}

/// Tells of each new size, until nobody listens.
async fn resizes(mut window: Signal, sender: Sender<News>) {
    while window.recv().await.is_some() {
        if sender.send(News::Resized).await.is_err() {
            return;
        }
    }
}

fn write(
    handle: &Handle,
    mut steps: Receiver<News>,
    mut sink: Box<dyn Sink>,
) -> Result<(), Failure> {
    loop {
        let next = match sink.due() {
            None => handle.block_on(steps.recv()),
            Some(due) => match handle.block_on(async { timeout_at(due, steps.recv()).await }) {
                Ok(next) => next,
                Err(_) => {
                    sink.tick()?;
                    continue;
                }
            },
        };
        match next {
            Some(News::Said(said)) => sink.take(said?)?,
            Some(News::Resized) => sink.resized()?,
            Some(News::Over) | None => return sink.end(),
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::new(ErrorCode::Internal, format!("cannot listen to signals: {error}"))
    })
}
