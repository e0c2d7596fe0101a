//! Reading agents: when the screen of a pane with an agent is looked at, and what is told of it.
//!
//! A pane is read soon after it printed, and again while it goes on printing, but never while it is
//! silent. The kernel is asked to tell of the next output before each reading, so that none after
//! it is missed. Only what differs from the last reading is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use agents::adapter::{Reading as Seen, Readings, Surface};
use engine::ids::PaneId;
use engine::input::{Observation, Reading};
use engine::pane::{AgentProcess, ProcessIdentity};
use engine::time::{MonoMs, WallMs};
use engine::words::{Detail, Source};
use tmux::capture::{Capture, Captured};

use super::errand::{self, Outcome};
use super::line::{AskError, Line, Question, nonce};
use super::recognise;
use super::reporter::Reporter;
use super::trouble;
use super::watch::{Halt, Watch};
use crate::adapters::{presentable, screen};
use crate::sentinel::WatchId;

/// How long after output a pane is read: a program paints a screen in several writes.
const SETTLE_MS: i64 = 30;

/// The least time between two readings of a pane that goes on printing: at first, and later.
const SPACING_MS: [i64; 2] = [120, 400];

/// Silence after which a pane's next output is answered quickly again.
const QUIET_MS: i64 = 1_000;

/// How long a pane may print before it is read less often.
const QUICK_MS: i64 = 3_000;

/// When which pane is read. Pure.
#[derive(Debug, Default)]
pub(super) struct Reader {
    panes: BTreeMap<PaneId, Read>,
    /// What stands in the titles of panes without an agent: one that is gone may have left it, in
    /// this life of the daemon or in an earlier one.
    left: BTreeMap<PaneId, String>,
}

/// One pane with an agent.
#[derive(Debug)]
struct Read {
    agent: ProcessIdentity,
    due: Option<MonoMs>,
    last: MonoMs,
    last_output: MonoMs,
    burst_began: MonoMs,
    said: Readings,
    /// The title that was read last.
    title: String,
    /// The title that the pane had already: it tells nothing of this agent until it changes.
    inherited: Option<String>,
    /// The agent's version, once it was looked for.
    version: Option<Option<String>>,
}

impl Reader {
    /// An agent runs in a pane. One that was not there before is read soon.
    pub(super) fn found(&mut self, pane: PaneId, agent: ProcessIdentity, now: MonoMs) {
        let known = self.panes.get(&pane).is_some_and(|read| read.agent.same_process(&agent));
        if !known {
            let never = MonoMs(i64::MIN / 2);
            let said = Readings::new();
            let (due, last, last_output, burst_began) = (None, never, never, now);
            let (version, title) = (None, String::new());
            self.forget(pane);
            let inherited = self.left.remove(&pane);
            let read = Read {
                agent,
                due,
                last,
                last_output,
                burst_began,
                said,
                title,
                inherited,
                version,
            };
            self.panes.insert(pane, read);
            self.output(pane, now);
        }
    }

    /// A pane printed; of interest where an agent runs in it.
    pub(super) fn output(&mut self, pane: PaneId, now: MonoMs) {
        let Some(read) = self.panes.get_mut(&pane) else { return };
        if now.0 - read.last_output.0 > QUIET_MS {
            read.burst_began = now;
        }
        read.last_output = now;
        let quick = now.0 - read.burst_began.0 <= QUICK_MS;
        let spacing = if quick { SPACING_MS[0] } else { SPACING_MS[1] };
        let due = MonoMs((now.0 + SETTLE_MS).max(read.last.0.saturating_add(spacing)));
        read.due = Some(read.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// No agent runs in a pane with this title.
    pub(super) fn vacant(&mut self, pane: PaneId, title: &str) {
        if self.panes.contains_key(&pane) {
            self.forget(pane);
        } else {
            self.left.insert(pane, title.to_owned());
        }
    }

    fn forget(&mut self, pane: PaneId) {
        if let Some(read) = self.panes.remove(&pane) {
            self.left.insert(pane, read.title);
        }
    }

    /// Forgets what was left in panes that are gone too.
    fn clear_away(&mut self, is_there: impl Fn(PaneId) -> bool) {
        self.left.retain(|pane, _| is_there(*pane));
    }

    /// As much of a pane's title as is the word of the agent that runs there now. One that was
    /// killed leaves its own behind, which may say for ever that it works.
    fn own_title<'t>(&mut self, pane: PaneId, title: &'t str) -> &'t str {
        let Some(read) = self.panes.get_mut(&pane) else { return "" };
        title.clone_into(&mut read.title);
        if read.inherited.as_deref() == Some(title) {
            return "";
        }
        read.inherited = None;
        title
    }

    pub(super) fn next_due(&self) -> Option<MonoMs> {
        self.panes.values().filter_map(|read| read.due).min()
    }

    pub(super) fn take(&mut self, now: MonoMs) -> BTreeSet<PaneId> {
        let mut due = BTreeSet::new();
        for (pane, read) in &mut self.panes {
            if read.due.take_if(|at| *at <= now).is_some() {
                read.last = now;
                due.insert(*pane);
            }
        }
        due
    }

    /// The version of the agent in a pane; `find` is asked once.
    fn version(&mut self, pane: PaneId, find: impl FnOnce() -> Option<String>) -> Option<String> {
        self.panes.get_mut(&pane)?.version.get_or_insert_with(find).clone()
    }

    /// The version of the agent in a pane, which had to be asked for. Its screen is read again by it.
    fn released(
        &mut self,
        pane: PaneId,
        agent: &ProcessIdentity,
        version: Option<String>,
        now: MonoMs,
    ) {
        let Some(read) = self.panes.get_mut(&pane) else { return };
        if version.is_some() && read.agent.same_process(agent) {
            read.version = Some(version);
            self.output(pane, now);
        }
    }

    /// What an agent's own files say, if anything is to be said of them. Where not all of them was
    /// read, what they said of the state before still holds.
    fn of_files(&self, pane: PaneId, mut reading: Seen, is_cut: bool) -> Option<Readings> {
        match self.panes.get(&pane)?.said.get(&Source::Status) {
            Some(said) if is_cut && reading.claim.is_none() => {
                (reading.claim, reading.mark) = (said.claim.clone(), said.mark.clone());
            }
            None if reading.claim.is_none() && reading.details.is_empty() => return None,
            Some(_) | None => {}
        }
        Some(Readings::from([(Source::Status, reading)]))
    }

    /// Whether somebody had stopped the agent when it was looked at last.
    fn is_suspended(&self, pane: PaneId) -> bool {
        let said = self.panes.get(&pane).and_then(|read| read.said.get(&Source::Process));
        said.is_some_and(|said| said.claim.is_some())
    }

    /// What of these readings was not said last time.
    fn news(&mut self, pane: PaneId, readings: Readings) -> Vec<Reading> {
        let Some(read) = self.panes.get_mut(&pane) else { return Vec::new() };
        let news = readings.iter().filter(|(source, now)| read.said.get(*source) != Some(*now));
        let news = news
            .map(|(source, now)| Reading {
                source: *source,
                claim: now.claim.clone(),
                details: presentable(now.details.clone()),
                asking: now.asking.clone(),
                written: None,
            })
            .collect();
        read.said.extend(readings);
        news
    }
}

impl<R: Reporter> Watch<'_, R> {
    /// Reads the agents whose reading is due.
    pub(super) async fn read_agents(&mut self, due: BTreeSet<PaneId>) -> Result<(), Halt> {
        for pane in due {
            if let Some(lookout) = &self.cx.ears.lookout
                && self.cx.ears.terminals
            {
                self.wires.arm_output(pane, lookout);
            }
            let Some(known) = self.picture.panes.get(&pane) else { continue };
            let Some(agent) = known.facts.agent.clone() else {
                self.forget_agent(pane);
                continue;
            };
            if self.read_processes_of(pane, &agent).await? {
                continue;
            }
            // One that is turned off shows nothing that counts.
            if self.cx.roster.get(agent.agent.as_str()).is_none() {
                continue;
            }
            let Some(seen) = self.capture(pane).await? else { continue };
            let Some(known) = self.picture.panes.get(&pane) else { continue };
            if seen.server != self.server.instance || known.place.pid() != Some(seen.pid) {
                continue;
            }
            let screen = screen(&seen);
            // Of the same instant as the screen: the one that is listed may be older.
            let title = self.reader.own_title(pane, &seen.title);
            let find = || {
                if self.cx.target.capabilities().files {
                    return recognise::version(&self.cx.target, &agent);
                }
                let (target, home) = (Arc::clone(&self.cx.target), self.outcomes.0.clone());
                errand::ask_version(pane, agent.clone(), target, home);
                None
            };
            let version = self.reader.version(pane, find);
            let version = version.as_deref();
            let Some(adapter) = self.cx.roster.get(agent.agent.as_str()) else { continue };
            let mut readings = adapter.reads(&Surface { version, title, screen: &screen });
            if let Some(reading) = readings.get_mut(&Source::Screen).filter(|it| it.waits()) {
                reading.asking = adapter.dialog(&screen).map(|dialog| Box::new(dialog.asking));
            }
            self.tell_news(pane, &agent, readings).await?;
        }
        Ok(())
    }

    /// Reads from the processes whether somebody stopped an agent, and says so. The rest of what
    /// is seen of one that is stopped is not its own, or out of date.
    async fn read_processes_of(
        &mut self,
        pane: PaneId,
        agent: &AgentProcess,
    ) -> Result<bool, Halt> {
        let Some(reading) = recognise::reading(&self.cx.target, agent) else { return Ok(false) };
        let suspended = reading.claim.is_some();
        let mut readings = Readings::from([(Source::Process, reading)]);
        if suspended {
            let silent = |source| (source, Seen::silent("suspended"));
            readings.extend([Source::Title, Source::Screen].map(silent));
        } else if self.reader.is_suspended(pane) {
            self.follow.resumed(pane, self.cx.now().mono);
        }
        self.tell_news(pane, agent, readings).await?;
        Ok(suspended)
    }

    async fn tell_news(
        &mut self,
        pane: PaneId,
        agent: &AgentProcess,
        readings: Readings,
    ) -> Result<(), Halt> {
        self.tell_news_of(pane, agent, readings, None).await
    }

    /// The same of what was written down before it was read.
    async fn tell_news_of(
        &mut self,
        pane: PaneId,
        agent: &AgentProcess,
        readings: Readings,
        written: Option<WallMs>,
    ) -> Result<(), Halt> {
        let mut readings = self.reader.news(pane, readings);
        readings.iter_mut().for_each(|reading| reading.written = written);
        if readings.is_empty() {
            return Ok(());
        }
        let agent = agent.process;
        Ok(self.cx.report(Observation::Read { pane, agent, readings }).await?)
    }

    /// No agent runs in a pane any more.
    pub(super) fn forget_agent(&mut self, pane: PaneId) {
        self.reader.forget(pane);
        self.reader.clear_away(|pane| self.picture.panes.contains_key(&pane));
        let idle = self.follow.forget(pane);
        self.give_up(idle);
        self.watch_there();
    }

    /// Has what changed watched there, where files are somewhere else.
    fn watch_there(&mut self) {
        let places = self.follow.places_there();
        if places != self.watched_there {
            self.cx.target.watch_there(places.clone());
            self.watched_there = places;
        }
    }

    fn give_up(&self, watches: Vec<WatchId>) {
        if let Some(lookout) = &self.cx.ears.lookout {
            watches.into_iter().for_each(|watch| lookout.forget(watch));
        }
    }

    /// Somebody came back from an agent's files.
    pub(super) async fn take_outcome(&mut self, outcome: Outcome) -> Result<(), Halt> {
        let now = self.cx.now().mono;
        match outcome {
            Outcome::Searched { pane, agent, kept, lacks, folders } => {
                if self.follow.searched(pane, &agent, kept, lacks, now) {
                    self.watch_folders(pane, folders);
                }
                Ok(())
            }
            Outcome::Read { pane, agent, reading, written, is_cut, sums, is_behind } => {
                self.follow.counted(pane, &agent, sums);
                let counts = self.follow.was_read(pane, &agent, reading.is_some(), now);
                if is_behind {
                    self.follow.more(pane, now);
                }
                if !counts || self.reader.is_suspended(pane) {
                    return Ok(());
                }
                let reading = reading.unwrap_or_else(|| Seen::silent("no whole word"));
                if let Some(session) = reading.details.get(&Detail::Session) {
                    self.follow.learned_session(pane, session, now);
                }
                match self.reader.of_files(pane, reading, is_cut) {
                    Some(readings) => self.tell_news_of(pane, &agent, readings, written).await,
                    None => Ok(()),
                }
            }
            Outcome::Released { pane, agent, version } => {
                self.reader.released(pane, &agent.process, version, now);
                Ok(())
            }
        }
    }

    /// Watches the folders that an agent's files lie in, or will.
    fn watch_folders(&mut self, pane: PaneId, folders: BTreeSet<PathBuf>) {
        let Some(lookout) = &self.cx.ears.lookout else {
            self.follow.watches_there(pane, folders);
            self.watch_there();
            return;
        };
        let watch = |folder: PathBuf| match lookout.contents(&folder) {
            Ok(watch) => Some((watch, folder)),
            Err(error) => {
                tracing::debug!(%pane, %error, "a folder of an agent's cannot be watched");
                None
            }
        };
        let watches = folders.into_iter().filter_map(watch).collect();
        let idle = self.follow.watches(pane, watches);
        self.give_up(idle);
    }

    /// What a pane shows. Nothing if it is gone, or if tmux has nothing to show of it.
    async fn capture(&mut self, pane: PaneId) -> Result<Option<Captured>, Halt> {
        let control = matches!(self.line, Line::Control(_));
        let pane = tmux::ids::PaneId(pane.0);
        let nonce = nonce();
        let Ok(capture) = Capture::new(nonce, pane, &self.server.version, control) else {
            return Ok(None);
        };
        let answer = self.line.ask(&self.cx.target, &[Question { batch: capture.batch(), nonce }]);
        match self.wait(answer).await? {
            Ok(outputs) => {
                let output = outputs.first().map_or(&[][..], Vec::as_slice);
                Ok(capture.read(output).unwrap_or_else(|error| {
                    tracing::debug!(%pane, %error, "a screen could not be read");
                    None
                }))
            }
            Err(AskError::Refused(said)) => {
                tracing::debug!(%pane, said, "a screen was refused");
                Ok(None)
            }
            Err(AskError::Ended) => Err(self.link_ended().await),
            Err(AskError::Failed(failure)) => Err(Halt::Failed(trouble::of_failure(&failure))),
            Err(AskError::Garbled(_)) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANE: PaneId = PaneId(1);

    /// When a pane that prints at these times is read, until `end`.
    fn readings(outputs: impl IntoIterator<Item = i64>, end: i64) -> Vec<i64> {
        let mut reader = Reader::default();
        reader.found(PANE, ProcessIdentity::default(), MonoMs(0));
        reader.take(MonoMs(SETTLE_MS));
        let mut outputs = outputs.into_iter().peekable();
        let mut read = Vec::new();
        for now in SETTLE_MS + 1..=end {
            while outputs.next_if(|at| *at <= now).is_some() {
                reader.output(PANE, MonoMs(now));
            }
            if !reader.take(MonoMs(now)).is_empty() {
                read.push(now);
            }
        }
        assert_eq!(reader.next_due(), None, "nothing is left to read");
        read
    }

    #[test]
    fn a_pane_is_read_once_after_it_printed_and_never_while_it_is_silent() {
        assert_eq!(readings([1_000], 60_000), [1_000 + SETTLE_MS]);
        assert_eq!(readings([1_000, 1_010, 1_020], 60_000), [1_000 + SETTLE_MS]);
    }

    #[test]
    fn what_is_printed_last_is_read() {
        let read = readings((0..100).map(|line| line * 50), 10_000);
        assert!(*read.last().unwrap() >= 4_950 + SETTLE_MS, "{read:?}");
    }

    #[test]
    fn a_pane_that_prints_on_is_read_quickly_at_first_and_then_less_often() {
        let read = readings((0..600).map(|line| line * 10), 10_000);
        let apart: Vec<i64> = read.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(apart[0], SPACING_MS[0]);
        assert_eq!(apart[apart.len() - 2], SPACING_MS[1]);
    }

    #[test]
    fn only_what_is_new_is_said() {
        let mut reader = Reader::default();
        reader.found(PANE, ProcessIdentity::default(), MonoMs(0));
        let seen = |mark| Readings::from([(Source::Title, Seen::silent(mark))]);
        assert_eq!(reader.news(PANE, seen("a")).len(), 1);
        assert_eq!(reader.news(PANE, seen("a")).len(), 0);
        assert_eq!(reader.news(PANE, seen("b")).len(), 1);
        let another = ProcessIdentity { pid: 7, ..ProcessIdentity::default() };
        reader.found(PANE, another, MonoMs(9));
        assert_eq!(reader.news(PANE, seen("b")).len(), 1, "another agent said nothing yet");
    }

    #[test]
    fn a_title_that_another_agent_left_is_not_the_new_ones_until_it_changes() {
        let mut reader = Reader::default();
        reader.found(PANE, ProcessIdentity::default(), MonoMs(0));
        assert_eq!(reader.own_title(PANE, "works"), "works");
        reader.forget(PANE);
        let another = ProcessIdentity { pid: 9, ..ProcessIdentity::default() };
        reader.found(PANE, another, MonoMs(9));
        assert_eq!(reader.own_title(PANE, "works"), "");
        assert_eq!(reader.own_title(PANE, "rests"), "rests");
        assert_eq!(reader.own_title(PANE, "works"), "works", "now it is its own word");
        let restarted = &mut Reader::default();
        restarted.vacant(PANE, "works");
        restarted.found(PANE, ProcessIdentity::default(), MonoMs(0));
        assert_eq!(restarted.own_title(PANE, "works"), "", "left before the daemon started");
        reader.forget(PANE);
        reader.clear_away(|_| false);
        reader.found(PANE, ProcessIdentity::default(), MonoMs(20));
        assert_eq!(reader.own_title(PANE, "works"), "works", "a pane of the same number");
    }
}
