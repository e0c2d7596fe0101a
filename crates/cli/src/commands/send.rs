//! `qd send`: type into a pane.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use api::ErrorCode;
use api::limits::SEND_TEXT_BYTES_MAX;
use clap::{ArgGroup, Args};

use crate::commands::Outcome;
use crate::commands::acting::{AimArgs, named, request, tell};
use crate::console::{Console, wait};
use crate::failure::Failure;

/// Type a text and keys into a pane, if it still holds what was seen there
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
    /// Read the text from standard input, at most 1 MiB
    #[arg(long)]
    stdin: bool,
    /// Read the text from a file, at most 1 MiB
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
        });
        request.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
        let sent = client.send_to_pane(&request).await;
        sent.map_err(|error| named(error, &request.request_ref))
    })?;
    tell(console, &answer)
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
        Ok::<_, Failure>(text)
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
