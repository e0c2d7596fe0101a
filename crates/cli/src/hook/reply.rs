//! Waiting for an answer: what a hook that can answer its agent does after its record.
//!
//! It asks the daemon again and again until there is an answer or nothing to wait for. Whatever
//! goes wrong, and also when no daemon runs, it prints nothing: the agent asks in its own terminal.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use agents::record::{Payload, Record};
use agents::reply::{self, Reply};
use api::approvals::{Choice, ReplyAnswer, ReplyRequest, ReplyStatus};
use api::routes;
use client::Place;

use serde_json::Value;

/// How long one request may take. The daemon holds it for less.
const ROUND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the daemon may take to say that it is there, before anything else. The agent's dialog
/// may be waiting for the end of this process.
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
/// What it says then, by the protocol.
const HELLO: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What the hook prints, once somebody has answered; nothing if nobody does.
pub(super) fn await_answer(record: &Record) -> Option<String> {
    let agent = record.agent.to_lowercase();
    reply::hold(&agent, &record.event)?;
    let Payload::Whole(payload) = &record.payload else { return None };
    let payload: Value = serde_json::from_slice(payload).ok()?;
    let place = Place::of_this_process().ok()?;
    let request = ReplyRequest {
        record_id: record.id.clone(),
        agent: record.agent.clone(),
        event: record.event.clone(),
        choices: sayable(&agent, &payload),
    };
    let body = serde_json::to_vec(&request).ok()?;
    loop {
        let answer = ask(&place.socket, &body).ok()?;
        match answer.status {
            ReplyStatus::Wait => {}
            ReplyStatus::End => return None,
            ReplyStatus::Answered => {
                let reply = Reply {
                    choice: reply::Choice::parse(answer.choice?.as_str())?,
                    option: answer.option,
                    picks: answer.picks,
                    message: answer.message,
                };
                return reply::printed(&agent, &payload, &reply);
            }
        }
    }
}

/// What can be printed for it, in the API's words.
fn sayable(agent: &str, payload: &Value) -> Vec<Choice> {
    let choices = reply::sayable(agent, payload).into_iter();
    choices.filter_map(|choice| choice.as_str().parse().ok()).collect()
}

fn ask(socket: &Path, body: &[u8]) -> io::Result<ReplyAnswer> {
    let mut stream = UnixStream::connect(socket)?;
    // Whoever else listens there gets no say.
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    if client::is_stopped(peer.pid.as_raw_nonzero().get().unsigned_abs()) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(HELLO_TIMEOUT))?;
    stream.set_write_timeout(Some(HELLO_TIMEOUT))?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n",
        routes::REPLIES,
        routes::JSON,
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    let mut hello = [0; HELLO.len()];
    stream.read_exact(&mut hello)?;
    if hello != HELLO {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.set_read_timeout(Some(ROUND_TIMEOUT))?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(bad)?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(bad());
    }
    serde_json::from_slice(&answer[end + 4..]).map_err(|_| bad())
}
