//! The spool: what hooks write down whether or not a daemon runs, and the stand-in that reads it.
//!
//! The bytes are the product's own, written and read by `agents::record`. Records are torn, written
//! twice, out of order and under forged panes; files are set aside and deleted; a daemon reads on
//! from a cursor that lags behind what it has taken in, never ahead of it.

use std::collections::BTreeSet;

use agents::record::{Ancestor, Payload, Record};
use agents::vocabulary;
use engine::ids::{AgentType, EventId, PaneId, PaneKey, TargetId};
use engine::signal::{About, Hints, Signal};
use engine::time::WallMs;
use engine::words::Source;

use super::clock::Clock;
use super::fake::host::Host;
use super::rng::Rng;
use super::voices::Speaker;

/// Records that are handed over together, at most.
const LINES_MAX: usize = 8;
/// What hooks of agents report; the last one means nothing to anybody.
const EVENTS: &[&str] =
    &["task-started", "needs-approval", "needs-input", "agent-turn-complete", "error", "coffee"];
const TICKS_NS: i64 = 10_000_000;

/// One file of the spool.
#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    aside: bool,
    /// Taken in, as the daemon knows it and as the cursor has it.
    taken: usize,
    saved: usize,
}

/// A hook's words on their way: who it is about, and the record.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) target: TargetId,
    pub(crate) record: Record,
}

#[derive(Debug, Default)]
pub(crate) struct Spool {
    files: Vec<File>,
    targets: Vec<TargetId>,
    written: u64,
    /// Whole records that nobody has answered for yet.
    owed: BTreeSet<EventId>,
}

/// Lines that were read and not committed, and where the file goes on behind them.
pub(crate) struct Batch {
    file: usize,
    end: usize,
    pub(crate) found: Vec<Found>,
}

impl Spool {
    /// A hook runs below an agent and writes its record down.
    pub(crate) fn write(&mut self, rng: &mut Rng, speaker: &Speaker, clock: &Clock, host: &Host) {
        self.written += 1;
        let record = self.compose(rng, speaker, clock, host);
        let line = record.to_line();
        let whole = !rng.permille(60);
        let cut = if whole { line.len() } else { rng.below(line.len()) };
        let times = if whole && rng.permille(80) { 2 } else { 1 };
        if self.files.last().is_none_or(|file| file.aside) {
            self.files.push(File::default());
        }
        let Some(file) = self.files.last_mut() else { return };
        for _ in 0..times {
            file.bytes.extend(&line[..cut]);
        }
        if whole {
            self.owed.insert(event_id(&record));
        }
        if rng.permille(40) {
            file.aside = true;
        }
    }

    fn compose(&mut self, rng: &mut Rng, speaker: &Speaker, clock: &Clock, host: &Host) -> Record {
        if !self.targets.contains(&speaker.target) {
            self.targets.push(speaker.target.clone());
        }
        let about = self.targets.iter().position(|it| *it == speaker.target).unwrap_or(0);
        let start = |pid: u32| {
            let began = host.identity(pid)?.started_ns?;
            u64::try_from(began / TICKS_NS).ok()
        };
        let hook = Ancestor { pid: 1, start: None };
        let agent = Ancestor { pid: speaker.pid, start: start(speaker.pid) };
        // Where the processes above cannot be seen the pane is believed; else it may be forged.
        let seen = !rng.permille(150);
        let forged = seen && rng.permille(300);
        let pane = if forged { speaker.pane + 1 } else { speaker.pane };
        // Hooks run at the same time, and each takes the time before it writes.
        let late = rng.weighted(&[(80, 0), (15, 300), (5, 4_000)]);
        let at = WallMs(clock.wall().0 - rng.between(0, late));
        Record {
            id: format!("{:032}", self.written),
            agent: speaker.names(rng).to_string(),
            event: rng.pick(EVENTS).copied().unwrap_or_default().to_owned(),
            at,
            tmux: Some(about.to_string().into_bytes()),
            pane: Some(format!("%{pane}").into_bytes()),
            chain: if seen { vec![hook, agent] } else { Vec::new() },
            cwd: None,
            waits: None,
            payload: Payload::Whole(b"{\"tool\":\"t\"}".to_vec()),
        }
    }

    /// The next lines of one file that holds any.
    pub(crate) fn read(&self, rng: &mut Rng) -> Option<Batch> {
        let unread = |file: &File| file.bytes[file.taken..].contains(&b'\n');
        let index = self.files.iter().position(unread)?;
        let file = &self.files[index];
        let lines = 1 + rng.below(LINES_MAX);
        let (mut end, mut found) = (file.taken, Vec::new());
        for _ in 0..lines {
            let rest = &file.bytes[end..];
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else { break };
            if let Ok(record) = Record::parse(&rest[..length]) {
                found.extend(self.about(record));
            }
            end += length + 1;
        }
        Some(Batch { file: index, end, found })
    }

    fn about(&self, record: Record) -> Option<Found> {
        let tmux = std::str::from_utf8(record.tmux.as_deref()?).ok()?;
        let target = self.targets.get(tmux.parse::<usize>().ok()?)?.clone();
        Some(Found { target, record })
    }

    /// What was read is committed.
    pub(crate) fn took(&mut self, batch: &Batch, rng: &mut Rng) {
        for found in &batch.found {
            self.owed.remove(&event_id(&found.record));
        }
        if let Some(file) = self.files.get_mut(batch.file) {
            file.taken = file.taken.max(batch.end);
            if rng.permille(300) {
                file.saved = file.taken;
            }
        }
        // A file that was set aside is deleted once it is read, be its last line whole or not.
        let over = |file: &File| file.aside && !file.bytes[file.taken..].contains(&b'\n');
        self.files.retain(|file| !over(file));
    }

    /// The daemon died: the next one goes on where the cursor is.
    pub(crate) fn reread(&mut self) {
        for file in &mut self.files {
            file.taken = file.saved;
        }
    }

    /// So much time passed that what was taken in long ago may be forgotten. What one daemon took in
    /// and the next one had yet to come past again, it has: that takes it moments.
    pub(crate) fn settle(&mut self, is_taken: impl Fn(&EventId) -> bool) {
        // A record that was stored when its daemon died has been answered for.
        self.owed.retain(|event| !is_taken(event));
        for file in &mut self.files {
            let lines = file.bytes[file.taken..].split_inclusive(|byte| *byte == b'\n');
            let passed = lines.take_while(|line| {
                let Some(line) = line.strip_suffix(b"\n") else { return false };
                let record = Record::parse(line);
                record.map_or(true, |record| !self.owed.contains(&event_id(&record)))
            });
            file.taken += passed.map(<[u8]>::len).sum::<usize>();
            file.saved = file.taken;
        }
    }

    /// A whole record that was never handed over.
    pub(crate) fn owes(&self) -> Option<&EventId> {
        self.owed.iter().next()
    }

    /// The last line of a file ends with the next record; nobody writes one any more.
    pub(crate) fn close(&mut self) {
        if let Some(file) = self.files.last_mut() {
            file.bytes.push(b'\n');
        }
    }
}

fn event_id(record: &Record) -> EventId {
    EventId::new(format!("hook-{}", record.id))
}

/// The signal that a record becomes: the processes above it that are still those decide the pane.
pub(crate) fn signal(found: &Found, host: &Host) -> Option<Signal> {
    let record = &found.record;
    let still = |it: &&Ancestor| {
        let now = host.identity(it.pid).and_then(|it| it.started_ns);
        let now = now.and_then(|began| u64::try_from(began / TICKS_NS).ok());
        it.start.is_none() || now.is_none() || it.start == now
    };
    let ancestors = record.chain.iter().filter(still).map(|it| it.pid).collect();
    let pane: PaneId = std::str::from_utf8(record.pane.as_deref()?).ok()?.parse().ok()?;
    Some(Signal {
        event_id: event_id(record),
        event_type: record.event.clone(),
        source: Source::Hook,
        dedupe_key: record.id.clone(),
        source_event_id: None,
        source_seq: None,
        event_time: record.at,
        about: About::Pane(PaneKey::new(&found.target, pane)),
        hints: Hints { ancestors, ..Hints::default() },
        agent: Some(AgentType::new(record.agent.clone())),
        action_id: None,
        claim: vocabulary::claim(&record.event),
        details: std::collections::BTreeMap::new(),
        begins_turn: false,
        repeats: false,
        session: None,
        payload: None,
        asked: None,
        expects_version: None,
    })
}
