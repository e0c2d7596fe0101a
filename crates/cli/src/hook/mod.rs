//! `qd hook AGENT EVENT [PAYLOAD]`: what an agent runs at its events, as quick as a start can be.
//!
//! It appends one record to the spool and ends; a daemon reads it from there, now or later. The
//! agent waits for it, so it comes before everything else of the program, and nothing of the rest
//! is touched: no command line parser, no runtime, no database, no pattern. Whatever goes wrong, it
//! prints nothing and succeeds: an agent must never be disturbed by being watched.

mod append;
mod payload;
mod reply;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::parent_id;
use std::path::Path;

use agents::record::{self, Ancestor, Record};
use agents::setup::line::HookLine;
use agents::spool;
use daemon::clock::Clock;
use daemon::ids::random_bytes;
use daemon::targets::host;

/// What the command line asks to be recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    agent: &'a OsStr,
    event: &'a OsStr,
    /// Agents that hand the payload over as an argument have nothing on standard input.
    payload: Option<&'a OsStr>,
}

impl<'a> Call<'a> {
    /// Whether these arguments, the program's name first, are a call of the hook. The settings
    /// file they stand in may be older or newer than this program, so that any agent and any
    /// event will do; only a person asks for help.
    pub(crate) fn of(arguments: &'a [OsString]) -> Option<Self> {
        let [_, verb, agent, rest @ ..] = arguments else { return None };
        if verb != "hook" || agent.as_bytes().starts_with(b"-") {
            return None;
        }
        let event = rest.first().map(|event| &**event);
        Some(Self::new(agent, event, rest.get(1..).and_then(<[_]>::last).map(|it| &**it)))
    }

    pub(crate) fn new(
        agent: &'a OsStr,
        event: Option<&'a OsStr>,
        payload: Option<&'a OsStr>,
    ) -> Self {
        Self { agent, event: event.unwrap_or_default(), payload }
    }

    /// Records the call, and gives the agent the answer that somebody may have for it. What cannot
    /// be recorded is lost, and nobody is told here.
    pub(crate) fn serve(&self) {
        if let Some(reply) = self.record().as_ref().and_then(reply::await_answer) {
            // An agent that reads no more has gone on without it.
            drop(io::stdout().write_all(reply.as_bytes()));
        }
    }

    /// The processes above, nearest first, without the shell that is told of, which ran this in its
    /// own place, and without the shell of the hook's own line. Some shells become what they run
    /// last, others stay above it: so it is the same lineage below either.
    fn lineage(&self, script: Option<u32>) -> Vec<Ancestor> {
        let mut chain = host::lineage(parent_id());
        if script.is_some() && chain.first().map(|it| it.pid) == script {
            chain.remove(0);
        }
        let (agent, event) = (self.agent.to_string_lossy(), self.event.to_string_lossy());
        let is_of_line = |it: &Ancestor| {
            let arguments = host::arguments(it.pid);
            arguments.is_some_and(|it| HookLine::is_run_by(&it, &agent, &event))
        };
        if chain.len() > 1 && is_of_line(&chain[0]) {
            chain.remove(0);
        }
        chain
    }

    fn record(&self) -> Option<Record> {
        let state = client::state_folder(&|name: &str| std::env::var_os(name)).ok()?;
        let cwd = std::env::current_dir().ok().map(|path| path.into_os_string().into_vec());
        self.written(&state.join(spool::FOLDER), cwd, None)
    }

    /// Appends the record of what was called in this folder.
    fn written(&self, spool: &Path, cwd: Option<Vec<u8>>, script: Option<u32>) -> Option<Record> {
        let clock = Clock::new();
        let now = clock.now().wall;
        let mut at = now;
        at.0 = variable(HAPPENED).and_then(|told| happened(&told, now.0)).unwrap_or(now.0);
        let record = Record {
            id: new_id(now.0),
            agent: record::name(&self.agent.to_string_lossy()),
            event: record::name(&self.event.to_string_lossy()),
            at,
            tmux: variable("TMUX"),
            pane: variable("TMUX_PANE"),
            chain: self.lineage(script),
            cwd,
            waits: None,
            payload: match self.payload {
                Some(argument) => payload::given(argument.as_bytes()),
                None => payload::read(&clock),
            },
        };
        let aside = spool::segment(now, std::process::id());
        append::append(spool, &record.to_line(), &aside).ok().map(|()| record)
    }
}

/// What the script that hooks of another machine run hands on to a `qd` that was copied beside it
/// (`agents/src/setup/hook.sh`): it runs this in the spool's folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HandedOn<'a> {
    /// The script's shell.
    script: Option<u32>,
    /// Where the script was called.
    cwd: &'a OsStr,
    call: Call<'a>,
}

impl<'a> HandedOn<'a> {
    /// The script knows by the end whether it has to do it itself.
    const RECORDED: u8 = 97;
    /// The payload was read and nothing recorded: nobody can do it any more.
    const LOST: u8 = 98;
    const NOT_BEGUN: u8 = 1;

    pub(crate) fn of(arguments: &'a [OsString]) -> Option<Self> {
        let [_, verb, script, cwd, agent, event, rest @ ..] = arguments else { return None };
        let script = script.to_str().and_then(|pid| pid.parse().ok());
        let call = Call::new(agent, Some(event), rest.last().map(|it| &**it));
        (verb == "__hook").then_some(Self { script, cwd, call })
    }

    /// Records the call; the exit code says what became of it. No answer is waited for: such hooks
    /// are the script's.
    pub(crate) fn serve(&self) -> u8 {
        let here = Path::new(".");
        // The payload can be read only once.
        if !append::is_open(here) {
            return Self::NOT_BEGUN;
        }
        let cwd = Some(self.cwd.as_bytes().to_vec()).filter(|path| !path.is_empty());
        self.call.written(here, cwd, self.script).map_or(Self::LOST, |_| Self::RECORDED)
    }
}

/// When the event happened, in milliseconds since 1970, for whoever tells several one after the
/// other.
const HAPPENED: &str = "QD_EVENT_AT";
/// How long ago that may have been.
const LATE_MS_MAX: i64 = 60_000;

/// A moment that was told, if it can be that of an event that is told now.
fn happened(told: &[u8], now_ms: i64) -> Option<i64> {
    let at = std::str::from_utf8(told).ok()?.parse().ok()?;
    (0..=LATE_MS_MAX).contains(&now_ms.saturating_sub(at)).then_some(at)
}

fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(OsString::into_vec)
}

/// An id that nobody else makes, sortable by its making.
fn new_id(at_ms: i64) -> String {
    let mut id = format!("{:012x}", at_ms.max(0));
    for byte in random_bytes() {
        for digit in [byte >> 4, byte & 15] {
            id.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(words: &[&str]) -> Option<(String, String, Option<String>)> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let text = |word: &OsStr| word.to_string_lossy().into_owned();
        Call::of(&words).map(|it| (text(it.agent), text(it.event), it.payload.map(text)))
    }

    #[test]
    fn any_agent_and_any_event_are_a_call() {
        let found = |agent: &str, event: &str, payload: Option<&str>| {
            Some((agent.to_owned(), event.to_owned(), payload.map(str::to_owned)))
        };
        assert_eq!(call(&["qd", "hook", "claude", "Stop"]), found("claude", "Stop", None));
        assert_eq!(call(&["qd", "hook", "new", "--json"]), found("new", "--json", None));
        assert_eq!(call(&["qd", "hook", "claude"]), found("claude", "", None));
        let notify = ["qd", "hook", "codex", "notify", "--later", "{}"];
        assert_eq!(call(&notify), found("codex", "notify", Some("{}")));
    }

    #[test]
    fn a_person_who_asks_for_help_is_no_agent() {
        for words in [&["qd", "hook"][..], &["qd", "hook", "--help"], &["qd", "ls", "x"], &["qd"]] {
            assert_eq!(call(words), None, "{words:?}");
        }
    }

    #[test]
    fn what_a_script_hands_on_is_a_call_with_its_shell_and_folder() {
        let words = ["qd", "__hook", "7", "/a b", "codex", "notify", "{}"].map(OsString::from);
        let handed_on = HandedOn::of(&words).unwrap();
        assert_eq!((handed_on.script, handed_on.cwd), (Some(7), OsStr::new("/a b")));
        assert_eq!(handed_on.call, Call::new(&words[4], Some(&words[5]), Some(&words[6])));
        assert_eq!(HandedOn::of(&words[..6]).unwrap().call.payload, None);
        assert_eq!(HandedOn::of(&words[..5]), None);
        let other = ["qd", "hook", "a", "b", "c", "d"].map(OsString::from);
        assert_eq!(HandedOn::of(&other), None);
    }

    #[test]
    fn an_event_may_have_happened_a_moment_ago_and_not_later_than_now() {
        let now = 100_000;
        assert_eq!(happened(b"99900", now), Some(99_900));
        assert_eq!(happened(b"100000", now), Some(now));
        for told in [&b"100001"[..], b"39999", b"-9223372036854775808", b"", b"now", b"\xff"] {
            assert_eq!(happened(told, now), None, "{told:?}");
        }
    }

    #[test]
    fn ids_are_of_one_length_and_different() {
        let ids = [new_id(1), new_id(1), new_id(i64::MAX), new_id(-1)];
        assert!(ids.iter().all(|id| (32..=36).contains(&id.len())), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    }
}
