//! Transcripts of real servers, read again without one: 3.3a as a distribution ships it, newer ones
//! built from their source.
//!
//! Beside each `NAME.transcript` stands `NAME.messages`: what the parser and the scans made of it
//! on the day it was looked over. With `QD_BLESS` set the test writes these files instead.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::{Debug, Write},
    path::Path,
};

use tmux::{
    control::{FarEnd, Message, Parser},
    format::Nonce,
    rows::{
        ClientRow, GreetingRow, OriginRow, PaneBrief, PanePulse, PaneRow, Row, ServerRow,
        SessionRow,
    },
    scan::Scan,
};

use crate::transcript::Recorded;

/// Names the wish to write what was found instead of comparing it.
const BLESS: &str = "QD_BLESS";

fn parse(stream: &[u8], far_end: FarEnd, size: usize) -> Vec<Message> {
    let mut parser = Parser::new(far_end);
    let mut messages = Vec::new();
    for piece in stream.chunks(size) {
        parser.feed(piece, &mut messages).expect("a recorded stream is in step");
    }
    messages
}

#[test]
fn every_version_played_every_scene() {
    let mut scenes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Recorded { path, .. } in Recorded::all() {
        let name = |part: Option<&OsStr>| part.unwrap().to_str().unwrap().to_owned();
        let version = name(path.parent().and_then(Path::file_name));
        scenes.entry(version).or_default().push(name(path.file_stem()));
    }
    assert!(scenes.keys().eq(["3.3a", "3.4", "3.5a", "3.6b", "3.7c"]), "{scenes:?}");
    let first = &scenes["3.3a"];
    assert!(first.len() >= 10 && scenes.values().all(|it| it == first), "{scenes:?}");
}

#[test]
fn every_transcript_reads_as_it_did_when_it_was_looked_over() {
    for recorded in Recorded::all() {
        let summary = summary(&recorded);
        let golden = recorded.path.with_extension("messages");
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&golden, &summary).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(summary, expected, "{} is read differently", recorded.path.display());
    }
}

#[test]
fn however_a_transcript_is_cut_and_whatever_comes_before_it_it_reads_the_same() {
    for Recorded { received, .. } in Recorded::all() {
        let whole = parse(&received, FarEnd::Plain, received.len());
        for size in [1, 2, 7, 64, 4096] {
            assert_eq!(parse(&received, FarEnd::Plain, size), whole);
        }
        let chatty = [b"Last login: today\r\n\x1b[0m$ ", received.as_slice()].concat();
        assert_eq!(parse(&chatty, FarEnd::Chatty, 5), whole);
    }
}

/// One line for each message, and the rows of each scan.
fn summary(recorded: &Recorded) -> String {
    let messages = parse(&recorded.received, FarEnd::Plain, 4096);
    let mut summary = String::new();
    let mut bodies = Vec::new();
    for message in &messages {
        match message {
            Message::Reply(reply) => {
                let (flags, lines) = (reply.guard.flags, reply.lines().count());
                let kind = if reply.error { "error" } else { "reply" };
                writeln!(summary, "{kind} flags={flags} lines={lines}").unwrap();
                if reply.is_ours() {
                    bodies.extend_from_slice(&reply.body);
                }
            }
            Message::Notification(notification) => writeln!(summary, "{notification:?}").unwrap(),
            Message::Stray(line) => {
                writeln!(summary, "stray {:?}", String::from_utf8_lossy(line)).unwrap();
            }
        }
    }
    for line in &recorded.sent {
        summary.push_str(&scans(line, &bodies));
    }
    readable(&summary)
}

/// Shows lists of bytes as the text they are.
fn readable(debug: &str) -> String {
    let mut result = String::new();
    let mut rest = debug;
    while let Some((before, after)) = rest.split_once('[') {
        let (list, tail) = after.split_once(']').expect("every list ends");
        let bytes: Result<Vec<u8>, _> = list.split(", ").map(str::parse).collect();
        result.push_str(before);
        match bytes {
            Ok(bytes) => write!(result, "\"{}\"", bytes.escape_ascii()).unwrap(),
            Err(_) => write!(result, "[{list}]").unwrap(),
        }
        rest = tail;
    }
    result + rest
}

/// The rows of the scan that was asked for by `line`, if it is one.
fn scans(line: &[u8], bodies: &[u8]) -> String {
    let Some(nonce) = nonce(line) else { return String::new() };
    [
        rows::<GreetingRow>,
        rows::<ServerRow>,
        rows::<SessionRow>,
        rows::<ClientRow>,
        rows::<OriginRow>,
        rows::<PaneBrief>,
        rows::<PanePulse>,
        rows::<PaneRow>,
    ]
    .into_iter()
    .find_map(|read| read(nonce, line, bodies))
    .expect("the formats are those that were recorded")
}

fn nonce(line: &[u8]) -> Option<Nonce> {
    let rest = line.strip_prefix(b"list-commands -F \"")?;
    let digits = std::str::from_utf8(rest.get(..Nonce::BYTES)?).ok()?;
    u64::from_str_radix(digits, 16).ok().map(|number| Nonce::from_random(number.to_be_bytes()))
}

fn rows<R: Row + Debug>(nonce: Nonce, line: &[u8], bodies: &[u8]) -> Option<String> {
    let scan = Scan::<R>::all(nonce);
    if scan.batch().control_line().ok()? != line {
        return None;
    }
    let begin = position(bodies, format!("{nonce}S").as_bytes())?;
    let done = format!("{nonce}D\n");
    let end = position(bodies, done.as_bytes())? + done.len();
    let scanned = scan.read(&bodies[begin..end]).expect("a recorded scan is whole");
    let rows = scanned.rows.iter().fold(String::new(), |text, row| format!("{text}  {row:?}\n"));
    Some(format!("scan of {:?}\n{rows}", scanned.server))
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
