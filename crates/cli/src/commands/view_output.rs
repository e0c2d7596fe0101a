//! `qd view-output`: read what a pane shows.

use std::time::Duration;

use api::ExitCode;
use api::actions::ActionAnswer;
use api::limits::OUTPUT_LINES_MAX;
use clap::Args;
use client::{Answer, Client};

use crate::commands::Outcome;
use crate::commands::acting::{Aim, AimArgs, named, new_name, request};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;

/// How often it is looked whether a followed pane printed something.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);

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
    /// Go on printing what is added, until the runtime ends
    #[arg(long, short, conflicts_with = "screen")]
    follow: bool,
}

pub(crate) fn run(console: &Console, args: &ViewOutputArgs) -> Outcome {
    let mut client = console.client()?;
    wait(async {
        let mut aim = args.aim.aim(&mut client).await?;
        let first = look(&mut client, args, &aim).await?;
        print(console, &first, args.ansi, None)?;
        if !args.follow {
            return Ok(ExitCode::Ok);
        }
        let mut before = first.read()?;
        // From here on it is this very runtime, whatever comes into its pane later.
        aim.reference = format!("runtime:{}", before.action.runtime_id);
        loop {
            wait_for_output(&mut client, &before).await?;
            aim.request_ref = new_name();
            let next = look(&mut client, args, &aim).await?;
            print(console, &next, args.ansi, Some(&before))?;
            before = next.read()?;
        }
    })
}

async fn look(
    client: &mut Client,
    args: &ViewOutputArgs,
    aim: &Aim,
) -> Result<Answer<ActionAnswer>, Failure> {
    let request = request!(ViewOutputRequest, aim, {
        lines: args.lines,
        screen: args.screen,
        ansi: args.ansi,
    });
    let shown = client.view_output(&request).await;
    shown.map_err(|error| named(error, &request.request_ref))
}

/// Waits until the pane printed something since it was looked at.
async fn wait_for_output(client: &mut Client, before: &ActionAnswer) -> Result<(), Failure> {
    let seen = before.action.requested_at;
    let runtime = format!("runtime:{}", before.action.runtime_id);
    loop {
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let pane = client.resolve(&runtime).await?.read()?.pane;
        // A runtime that ended is told by the next look.
        if pane.is_none_or(|pane| pane.last_activity_at.is_some_and(|at| at >= seen)) {
            return Ok(());
        }
    }
}

fn print(
    console: &Console,
    answer: &Answer<ActionAnswer>,
    ansi: bool,
    before: Option<&ActionAnswer>,
) -> Result<(), Failure> {
    if console.is_json() {
        return console.terminal.json(answer.json()?);
    }
    let text = |answer: &ActionAnswer| {
        answer.output.as_ref().map_or_else(String::new, |output| output.text.clone())
    };
    let now = text(&answer.read()?);
    let added = match before {
        Some(before) => output::actions::added(&text(before), &now).to_owned(),
        None => now,
    };
    console.terminal.shown(&added, ansi)
}
