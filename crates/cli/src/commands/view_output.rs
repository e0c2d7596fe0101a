//! `qd view-output`: read what a pane shows.

use std::time::Duration;

use api::actions::{ActionAnswer, ViewOutputRequest};
use api::limits::OUTPUT_LINES_MAX;
use api::{ErrorCode, ExitCode, Timestamp};
use clap::Args;
use client::{Answer, Client};

use crate::commands::Outcome;
use crate::commands::acting::{Aim, AimArgs, named, new_name, request};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::follow::{Follow, Look, Progress, Told};
use crate::output::style;
use crate::output::text::Text;

/// How often it is looked whether a followed pane printed something.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);
/// It is looked at even without word that it printed something.
const UNHEARD_MAX: Duration = Duration::from_secs(2);
/// How many lines are read of a followed pane at first; where that does not reach back to what was
/// read before, all that can be.
const FOLLOW_LINES: u32 = 500;

/// Print the last lines of a pane
///
/// What the program wrote is shown without its escape sequences; with --ansi colours and attributes
/// stay, and nothing else.
#[derive(Debug, Clone, Args)]
pub(crate) struct ViewOutputArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// How many lines, what scrolled off included; at most 10000
    #[arg(long, short = 'n', value_name = "COUNT", conflicts_with = "screen",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(OUTPUT_LINES_MAX)))]
    lines: Option<u32>,
    /// What is on the screen now, and nothing above it
    #[arg(long)]
    screen: bool,
    /// Keep colours and attributes
    #[arg(long)]
    ansi: bool,
    /// Go on printing the lines that are added, once they are complete, until the runtime ends
    #[arg(long, short, conflicts_with = "screen")]
    follow: bool,
}

pub(crate) fn run(console: &Console, args: &ViewOutputArgs) -> Outcome {
    let mut client = console.client()?;
    wait(async {
        let aim = args.aim.aim(&mut client).await?;
        let first = look(&mut client, &request(args, &aim)).await?;
        if args.follow {
            return follow(console, client, args, aim, first).await;
        }
        if console.is_json() {
            console.terminal.json(first.json()?)?;
        } else {
            let text = first.read()?.output.map_or_else(String::new, |output| output.text);
            console.terminal.shown(&text, args.ansi)?;
        }
        Ok(ExitCode::Ok)
    })
}

/// Goes on printing what is new, until the runtime ends.
async fn follow(
    console: &Console,
    mut client: Client,
    args: &ViewOutputArgs,
    mut aim: Aim,
    first: Answer<ActionAnswer>,
) -> Outcome {
    let mut follow = Follow::default();
    let mut seen = first.read()?;
    print(console, args, &first, follow.take(seen_in(&seen), true))?;
    // From here on it is this very runtime, whatever comes into its pane later.
    aim.reference = format!("runtime:{}", seen.action.runtime_id);
    let (mut unsettled, mut asked_at) = (false, seen.action.requested_at);
    loop {
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        if !unsettled {
            let news = wait_for_output(&mut client, &aim.reference, asked_at);
            tokio::time::timeout(UNHEARD_MAX, news).await.unwrap_or(Ok(()))?;
        }
        asked_at = console.now();
        let mut lines = FOLLOW_LINES;
        loop {
            let next = look_again(&mut client, args, &mut aim, &seen.action_id, lines).await;
            let next = match next {
                Ok(next) => next,
                Err(failure) => {
                    console.terminal.shown(&joined(follow.rest()), args.ansi)?;
                    return Err(failure);
                }
            };
            seen = next.read()?;
            let progress = follow.take(seen_in(&seen), lines == OUTPUT_LINES_MAX);
            if progress == Progress::TooShort {
                lines = OUTPUT_LINES_MAX;
                continue;
            }
            unsettled = matches!(progress, Progress::Told { unsettled: true, .. });
            print(console, args, &next, progress)?;
            break;
        }
    }
}

fn request(args: &ViewOutputArgs, aim: &Aim) -> ViewOutputRequest {
    request!(ViewOutputRequest, aim, {
        lines: args.lines,
        screen: args.screen,
        ansi: args.ansi,
        goes_on: None,
    })
}

async fn look(
    client: &mut Client,
    request: &ViewOutputRequest,
) -> Result<Answer<ActionAnswer>, Failure> {
    let shown = client.view_output(request).await;
    shown.map_err(|error| named(error, &request.request_ref))
}

/// Looks once more, as a part of the first look; where the daemon knows that no more, anew.
async fn look_again(
    client: &mut Client,
    args: &ViewOutputArgs,
    aim: &mut Aim,
    action: &str,
    lines: u32,
) -> Result<Answer<ActionAnswer>, Failure> {
    aim.request_ref = new_name();
    let goes_on = Some(action.to_owned());
    let again = ViewOutputRequest { lines: Some(lines), goes_on, ..request(args, aim) };
    match client.view_output(&again).await {
        Err(error) if error.code == ErrorCode::RefNotFound => {
            look(client, &ViewOutputRequest { goes_on: None, ..again }).await
        }
        shown => shown.map_err(|error| named(error, &again.request_ref)),
    }
}

/// Waits until the pane printed something since it was looked at.
async fn wait_for_output(
    client: &mut Client,
    runtime: &str,
    seen: Timestamp,
) -> Result<(), Failure> {
    loop {
        let pane = client.resolve(runtime).await?.read()?.pane;
        // A runtime that ended is told by the next look.
        if pane.is_none_or(|pane| pane.last_activity_at.is_some_and(|at| at >= seen)) {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

fn seen_in(answer: &ActionAnswer) -> Look {
    let Some(output) = &answer.output else { return Look::default() };
    Look {
        first: output.first_line,
        lines: output.text.lines().map(str::to_owned).collect(),
        above: output.history_lines,
        limit: output.history_limit,
        cursor: output.cursor_row.into(),
        width: output.width,
        is_full_screen: output.alternate_screen,
    }
}

/// Prints what is new; for programs the whole look, whose places tell what that is.
fn print(
    console: &Console,
    args: &ViewOutputArgs,
    answer: &Answer<ActionAnswer>,
    progress: Progress,
) -> Result<(), Failure> {
    if console.is_json() {
        return console.terminal.json(answer.json()?);
    }
    let Progress::Told { news, .. } = progress else { return Ok(()) };
    for told in news {
        let mark = match told {
            Told::Line(line) => {
                console.terminal.shown(&(line + "\n"), args.ansi)?;
                continue;
            }
            Told::Missing(Some(count)) => &format!("{count} lines were not seen"),
            Told::Missing(None) => "lines were not seen",
            Told::Cleared => "the pane was cleared",
            Told::Resized => "the pane was resized; what it printed then is left out",
            Told::FullScreen => "a full-screen program; it is not followed",
        };
        console.terminal.line(Text::styled(format!("[... {mark} ...]"), style::QUIET))?;
    }
    Ok(())
}

fn joined(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}
