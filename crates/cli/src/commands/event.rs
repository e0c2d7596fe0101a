//! `qd event emit`: tell the daemon what happened in a pane.

use std::fmt::Write as _;
use std::io::Read;

use api::events::{EventAccepted, EventEnvelope, EventStatus, Payload};
use api::limits::RAW_PAYLOAD_BYTES_MAX;
use api::words::{SchemaVersion, Source};
use api::{ErrorCode, ExitCode, Timestamp};
use clap::{ArgGroup, Args, Subcommand};
use client::Client;
use sha2::{Digest, Sha256};

use crate::args::word;
use crate::commands::Outcome;
use crate::commands::filters::target_name;
use crate::commands::here;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;

/// The target that is meant where nothing says which.
const LOCAL: &str = "local";

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    Emit(EmitArgs),
}

/// Report an event; done means that it is committed
///
/// The event is about a runtime, or about a pane in which the daemon finds the one runtime that
/// fits the hints. A type that no adapter knows is stored and changes no state.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("place").required(true).args(["pane", "runtime"])))]
pub(crate) struct EmitArgs {
    /// Who reports it
    #[arg(long, value_name = "SOURCE", value_parser = word::<Source>(Source::WORDS))]
    source: Source,
    /// What happened, such as approval-requested
    #[arg(long = "type", value_name = "TYPE", allow_hyphen_values = true)]
    event_type: String,
    /// The target on which the pane is; if not given, that of this terminal, and outside of tmux `local`
    #[arg(long, value_name = "NAME", conflicts_with = "runtime")]
    target: Option<String>,
    /// The pane it is about, such as %12; `.` is the one of this terminal
    #[arg(long, value_name = "PANE")]
    pane: Option<String>,
    /// The runtime it is about
    #[arg(long, value_name = "RUNTIME")]
    runtime: Option<String>,
    /// The agent that the source speaks for
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// What makes a repetition recognisable; made from the event if not given
    ///
    /// The default is a hash of source, source event id, type and payload, and of the source's
    /// sequence and time. An event that has none of these three is one of its own each time.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    dedupe: Option<String>,
    /// The source's own id of the event
    #[arg(long, value_name = "ID")]
    source_event_id: Option<String>,
    /// The source's own count of its events
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    source_seq: Option<i64>,
    /// When it happened, RFC 3339; now if not given
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    event_time: Option<Timestamp>,
    /// A hint: the process it is about
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// A hint: when that process started, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    start_hint: Option<Timestamp>,
    /// What the source sent, JSON or text; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    payload: Option<String>,
}

pub(crate) fn run(console: &Console, command: &EventCommand) -> Outcome {
    match command {
        EventCommand::Emit(args) => emit(console, args),
    }
}

fn emit(console: &Console, args: &EmitArgs) -> Outcome {
    let payload = args.payload.as_deref().map(payload).transpose()?;
    let mut event = envelope(args, payload, console.now())?;
    if event.pane_id.is_some() || event.runtime_id.is_some() {
        check(&event)?;
    }
    let mut client = console.client()?;
    let answer = wait(async {
        if let Some(pane) = args.pane.as_deref().filter(|_| args.target.is_none()) {
            place(&mut client, pane, &mut event).await?;
            check(&event)?;
        }
        Ok(client.emit(&event).await?)
    })?;
    console.done(console.answer(&answer, |accepted, width| told(accepted).wrapped(width)));
    Ok(ExitCode::Ok)
}

fn check(event: &EventEnvelope) -> Result<(), Failure> {
    event.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))
}

/// Says which target a pane is on that was named without one.
async fn place(client: &mut Client, pane: &str, event: &mut EventEnvelope) -> Result<(), Failure> {
    if pane == here::DOT {
        let own = here::pane(client).await?.identity;
        (event.target, event.pane_id) = (Some(own.target), Some(own.pane_id));
    } else if let Some(target) = here::target_for(client, pane).await? {
        event.target = Some(target);
    }
    Ok(())
}

/// The event as it was given. A pane without a target is on the default one.
fn envelope(
    args: &EmitArgs,
    payload: Option<Payload>,
    now: Timestamp,
) -> Result<EventEnvelope, Failure> {
    let dedupe_key = match &args.dedupe {
        Some(key) => key.clone(),
        None => dedupe_key(args, payload.as_ref(), now),
    };
    let named = args.target.as_deref().unwrap_or(LOCAL);
    let target = args.pane.is_some().then(|| target_name(named)).transpose()?;
    // Of which pane that is, the daemon has yet to be asked.
    let pane = args.pane.clone().filter(|pane| pane != here::DOT);
    Ok(EventEnvelope {
        schema_version: SchemaVersion::V1,
        event_id: None,
        event_type: args.event_type.clone(),
        source: args.source,
        dedupe_key,
        source_event_id: args.source_event_id.clone(),
        source_seq: args.source_seq,
        event_time: args.event_time,
        runtime_id: args.runtime.clone(),
        target,
        target_id: None,
        ingested_at: None,
        pane_id: pane,
        agent_type: args.agent.clone(),
        pid: args.pid,
        start_hint: args.start_hint,
        raw_payload: payload,
    })
}

/// A key that is the same for the same event and no other. Where nothing tells one occurrence from
/// the next, the moment does: two prompts in one hour are two events.
fn dedupe_key(args: &EmitArgs, payload: Option<&Payload>, now: Timestamp) -> String {
    let payload = payload.map(normal_payload).unwrap_or_default();
    let event_type = args.event_type.to_lowercase().replace(['_', '.', ' '], "-");
    let named = args.source_event_id.is_some() || args.source_seq.is_some();
    let moment = match args.event_time {
        Some(time) => Some(time),
        None if named => None,
        None => Some(now),
    };
    let parts = [
        args.source.to_string(),
        args.source_event_id.clone().unwrap_or_default(),
        hex(&Sha256::digest(payload)),
        event_type,
        args.source_seq.map(|it| it.to_string()).unwrap_or_default(),
        moment.map(|it| it.to_string()).unwrap_or_default(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths keep `ab` + `c` from being `a` + `bc`.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// The same text for payloads that mean the same: JSON without blanks and in the order of keys.
fn normal_payload(payload: &Payload) -> String {
    let value = serde_json::from_str::<serde_json::Value>(payload.json());
    value.map_or_else(|_| payload.json().to_owned(), |value| value.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// JSON is passed on as it is; anything else is a text.
fn payload(given: &str) -> Result<Payload, Failure> {
    let text = if given == "-" { standard_input()? } else { given.to_owned() };
    Payload::from_json(&text).or_else(|_| Payload::from_text(&text)).map_err(|error| {
        Failure::new(ErrorCode::BadRequest, format!("the payload cannot be sent: {error}"))
    })
}

fn standard_input() -> Result<String, Failure> {
    let limit = u64::try_from(RAW_PAYLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = std::io::stdin().lock().take(limit + 1).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::new(ErrorCode::BadRequest, format!("cannot read standard input: {error}"))
            .with_hint("Give the payload as UTF-8 text.")
    })?;
    Ok(text)
}

fn told(accepted: &EventAccepted) -> Text {
    let id = Text::styled(&accepted.event_id, style::QUIET);
    let reason = accepted.reason_code.as_deref().unwrap_or("no reason given");
    let said = match accepted.status {
        EventStatus::Bound => {
            let runtime = accepted.runtime_id.as_deref().unwrap_or("its runtime");
            let unheard = accepted.reason_code.as_deref();
            let unheard = unheard.map(|it| format!(", and changes nothing ({it})"));
            let unheard = unheard.unwrap_or_default();
            Text::styled("bound", style::GOOD).then(format!(" to {runtime}{unheard} "))
        }
        EventStatus::PendingBind => {
            // The next look at everything decides.
            Text::styled("pending", style::WARNING).then(
                ": bound if the next look shows the one runtime that fits, else without effect ",
            )
        }
        EventStatus::DroppedUnbound => Text::styled("unbound", style::WARNING)
            .then(format!(": kept, and changes nothing ({reason}) ")),
        EventStatus::Duplicate => {
            Text::styled("duplicate", style::QUIET).then(" of an event that came before ")
        }
    };
    said.then(id)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        emit: EmitArgs,
    }

    fn args(more: &[&str]) -> EmitArgs {
        let base = ["qd", "--source", "hook", "--type", "needs-input", "--pane", "%1"];
        Line::parse_from(base.iter().chain(more)).emit
    }

    fn key(more: &[&str], at: i64) -> String {
        let args = args(more);
        let payload = args.payload.as_deref().map(|text| payload(text).unwrap());
        dedupe_key(&args, payload.as_ref(), Timestamp::from_millis(at))
    }

    #[test]
    fn the_same_event_has_the_same_key_however_it_is_spelled() {
        let id = ["--source-event-id", "e1", "--payload", r#"{"a":1,"b":[2]}"#];
        let spelled = ["--source-event-id", "e1", "--payload", r#"{ "b": [2], "a": 1 }"#];
        assert_eq!(key(&id, 1), key(&spelled, 2), "also at another time");
        assert_ne!(key(&id, 1), key(&["--source-event-id", "e2"], 1));
        assert_ne!(key(&["--source-seq", "1"], 1), key(&["--source-seq", "2"], 1));
        assert_eq!(key(&["--source-seq", "1"], 1), key(&["--source-seq", "1"], 2));
        let time = ["--event-time", "2026-11-21T15:33:42Z"];
        assert_eq!(key(&time, 1), key(&time, 2));
        assert_eq!(key(&id, 1).len(), 64);
    }

    #[test]
    fn an_event_that_names_nothing_of_its_own_is_a_new_one_each_time() {
        assert_ne!(key(&[], 1), key(&[], 2));
        assert_ne!(key(&["--payload", "x"], 1), key(&["--payload", "x"], 2));
    }

    #[test]
    fn the_envelope_holds_what_the_flags_say() {
        let args = args(&[
            "--target",
            "build",
            "--agent",
            "claude",
            "--dedupe",
            "k",
            "--source-seq",
            "-3",
            "--pid",
            "77",
            "--start-hint",
            "2026-11-21T15:33:42Z",
            "--payload",
            "not { json",
        ]);
        let payload = payload("not { json").unwrap();
        let event = envelope(&args, Some(payload), Timestamp::from_millis(0)).unwrap();
        assert_eq!(event.check(), Ok(()));
        assert_eq!(event.target.as_ref().unwrap().as_str(), "build");
        assert_eq!((event.dedupe_key.as_str(), event.source_seq), ("k", Some(-3)));
        assert_eq!(event.raw_payload.unwrap().text(), "not { json");
        assert_eq!(event.event_time, None, "the time of arrival counts");
    }

    #[test]
    fn a_runtime_needs_no_target_and_one_of_the_two_is_needed() {
        let base = ["qd", "--source", "hook", "--type", "x"];
        assert!(Line::try_parse_from(base).is_err());
        let runtime = base.iter().chain(&["--runtime", "0123456789abcdef"]);
        let args = Line::try_parse_from(runtime).unwrap().emit;
        let event = envelope(&args, None, Timestamp::from_millis(0)).unwrap();
        assert_eq!((event.check(), event.target), (Ok(()), None));
        let both = base.iter().chain(&["--runtime", "0123456789abcdef", "--pane", "%1"]);
        assert!(Line::try_parse_from(both).is_err());
    }
}
