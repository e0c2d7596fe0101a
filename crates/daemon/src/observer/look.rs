//! Looks: at panes one by one, at everything in brief, at everything in full.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agents::program::is_shell;
use api::error::with_causes;
use engine::ids::PaneId;
use engine::input::{LastOutput, Observation};
use engine::limits::PANES_PER_TARGET_MAX;
use engine::time::MonoMs;
use tmux::hub::is_hub_name;
use tmux::rows::{ClientRow, PaneGlance, PaneRow, SessionRow};
use tmux::upkeep::{self, Duty};

use super::bursts::Check;
use super::facts;
use super::gate::{Before, Gate};
use super::line::{AskError, Asked, Line, Question, nonce};
use super::picture::{Closeness, Difference, Known, Picture, Processes, Sighting};
use super::recognise::Eyes;
use super::reporter::Reporter;
use super::schedule::Scope;
use super::surveys::{Holds, runs};
use super::trouble;
use super::watch::{Halt, Watch};
use super::wires::Armed;

/// Panes asked for one by one in one command; when more are in doubt, all are asked at once.
const ROWS_ASKED_MAX: usize = 64;
/// The same for a forked `tmux`, whose arguments have a limit.
const ROWS_FORKED_MAX: usize = 8;
/// Panes whose processes are read before others get a turn: a few hundred microseconds.
const READS_PER_TURN: usize = 32;

/// How often a server is made to look for the exit status of one dead pane.
const NUDGES_MAX: u8 = 4;

/// What tmux said in one look.
#[derive(Debug, Default)]
struct Seen {
    sessions: Option<Vec<SessionRow>>,
    clients: Option<Vec<ClientRow>>,
    glances: Vec<PaneGlance>,
    rows: BTreeMap<PaneId, PaneRow>,
}

impl Seen {
    fn of_rows(rows: Vec<PaneRow>) -> Self {
        let glances = rows.iter().map(facts::glance).collect();
        let rows = rows.into_iter().map(|row| (facts::pane_id(row.brief.pane), row)).collect();
        Self { glances, rows, ..Self::default() }
    }
}

/// Everything that a server held when it introduced itself, as it said it: whether the panes can be
/// read is for who knows that its version is one of ours.
#[derive(Debug)]
pub(super) struct Unread {
    /// When it was asked.
    pub began: MonoMs,
    pub sessions: Vec<SessionRow>,
    pub panes: Asked<PaneRow>,
    pub output: Vec<u8>,
}

impl<R: Reporter> Watch<'_, R> {
    /// Reads the processes of the panes whose check is due, and says which of them tmux is to be
    /// asked about. Their output is told again from here on, so that none after this is missed.
    pub(super) async fn glance(
        &mut self,
        checks: BTreeMap<PaneId, Check>,
    ) -> Result<BTreeSet<PaneId>, Halt> {
        let now = self.cx.now().mono;
        let mut suspects = BTreeSet::new();
        let mut any_stuck = false;
        for (pane, check) in checks {
            let ask = match check {
                Check::Ask => {
                    if let Some(lookout) = &self.cx.ears.lookout
                        && self.cx.ears.terminals
                    {
                        self.wires.arm_output(pane, lookout);
                    }
                    any_stuck |= self.is_stuck(pane);
                    self.picture.panes.contains_key(&pane)
                }
                Check::Glance => self.has_moved_on(pane, Closeness::Glance, now),
                Check::Search => self.has_moved_on(pane, Closeness::Search, now),
            };
            if ask {
                suspects.insert(pane);
            }
        }
        if any_stuck {
            self.nudge().await?;
        }
        Ok(suspects)
    }

    fn eyes(&self) -> Eyes<'_> {
        Eyes { target: &self.cx.target, server: &self.server, roster: &self.cx.roster }
    }

    /// Whether other processes are in a pane, and tmux may be asked about it at once.
    fn has_moved_on(&mut self, pane: PaneId, closeness: Closeness, now: MonoMs) -> bool {
        let Some(known) = self.picture.panes.get(&pane) else { return false };
        let (pid, before) = (known.place.pid(), &known.processes);
        let differ = Processes::read(self.eyes(), pid, Some(before), closeness).differ(before);
        differ && self.agenda.may_ask(pane, now)
    }

    /// What began in a pane with this look, and is no agent, may start one.
    fn expect_agents(&mut self, began: MonoMs) {
        let now = self.cx.now().mono;
        for pane in self.picture.began(began) {
            self.agenda.began(pane, now);
        }
    }

    /// tmux can miss the end of a pane's process and then never learns its exit status, unless it
    /// is made to look again. Says whether the pane is such a one, and one more try is worth it.
    fn is_stuck(&mut self, pane: PaneId) -> bool {
        let can_stick = self.server.version.exit_status_can_stick();
        let known = self.picture.panes.get_mut(&pane);
        let stuck = known.filter(|known| can_stick && known.lacks_status());
        let Some(known) = stuck.filter(|known| known.nudges < NUDGES_MAX) else { return false };
        known.nudges += 1;
        true
    }

    /// Makes the server look for children that ended: by a signal, or by the end of another child.
    async fn nudge(&mut self) -> Result<(), Halt> {
        if self.cx.target.nudge(self.server.instance.pid).is_ok() {
            return Ok(());
        }
        self.do_duty(Question { batch: upkeep::nudge(), nonce: nonce() }).await
    }

    /// Asks tmux about these panes and reports what changed.
    pub(super) async fn check(&mut self, suspects: BTreeSet<PaneId>) -> Result<(), Halt> {
        if suspects.is_empty() {
            return Ok(());
        }
        if suspects.len() > self.rows_max() {
            return self.look_at_tmux(Scope::BRIEF, suspects).await;
        }
        let (asked, began) = (suspects.len(), self.cx.now().mono);
        let rows = self.ask_rows(suspects).await?;
        self.survey(Scope::BRIEF, &rows).await?;
        let read = |pane: &PaneId, row: &PaneRow| {
            let before = self.picture.panes.get(pane).map(|known| &known.processes);
            Processes::read(self.eyes(), row.brief.pid, before, Closeness::Search)
        };
        let processes = rows.iter().map(|(pane, row)| (*pane, read(pane, row))).collect();
        let (changed, moved) = self.picture.renew(&rows, &processes, began);
        self.expect_agents(began);
        if moved || rows.len() < asked {
            self.agenda.hurry(Scope::TOPOLOGY, self.cx.now().mono);
        }
        if !changed.is_empty() {
            self.wire(&changed);
            self.await_status();
            self.cx.report(self.picture.report(&self.server, &changed)).await?;
        }
        Ok(())
    }

    /// Has the processes there listed, where they cannot be looked at one by one and one of these panes
    /// is a reason for it. Says whether they were.
    async fn survey(
        &mut self,
        scope: Scope,
        rows: &BTreeMap<PaneId, PaneRow>,
    ) -> Result<bool, Halt> {
        if self.cx.target.capabilities().files {
            return Ok(false);
        }
        let now = self.cx.now().mono;
        let holds = |pane: &PaneId, row: &PaneRow| {
            let known = self.picture.panes.get(pane);
            match known.and_then(|known| known.facts.agent.as_ref()) {
                None => Holds::NoAgent,
                Some(_) if is_shell(&row.command) => Holds::AgentBehindShell,
                Some(_) => Holds::Agent,
            }
        };
        let surveys = &mut self.surveys;
        let wants = |(pane, row): (&PaneId, &PaneRow)| {
            surveys.wants(*pane, &runs(row), holds(pane, row), now)
        };
        if !scope.full && !rows.iter().any(wants) {
            return Ok(false);
        }
        let known = self.picture.panes.values().filter_map(|known| known.place.pid());
        let roots = rows.values().filter_map(|row| row.brief.pid).chain(known).collect();
        let target = Arc::clone(&self.cx.target);
        let surveyed = tokio::select! {
            surveyed = target.survey(&roots) => surveyed,
            why = target.cut() => return Err(Halt::Cut(why)),
        };
        if let Err(error) = surveyed {
            tracing::debug!(target_id = %self.cx.id, error = with_causes(&error),
                "the processes there are not known");
            return Ok(false);
        }
        self.surveys.listed(rows.iter().map(|(pane, row)| (*pane, runs(row))), now);
        Ok(true)
    }

    /// Panes that died without a status are looked at again until they have one.
    fn await_status(&mut self) {
        let now = self.cx.now().mono;
        let waits = |known: &&Known| known.lacks_status() && known.nudges < NUDGES_MAX;
        for known in self.picture.panes.values().filter(waits) {
            self.agenda.stir(known.facts.pane, now);
        }
    }

    fn rows_max(&self) -> usize {
        match self.line {
            Line::Control(_) => ROWS_ASKED_MAX,
            Line::Forked => ROWS_FORKED_MAX,
        }
    }

    /// Looks at everything, with the fields of `suspects` and of whatever else is in doubt.
    pub(super) async fn look(
        &mut self,
        scope: Scope,
        suspects: BTreeSet<PaneId>,
    ) -> Result<(), Halt> {
        if self.is_displaced() {
            return Err(Halt::Replaced);
        }
        let pid = self.server.instance.pid;
        let idle = scope == Scope::BRIEF && suspects.is_empty();
        if idle && !self.gate.stirred(&self.cx.target, pid) {
            return self.look_at_processes().await;
        }
        self.look_at_tmux(scope, suspects).await
    }

    /// Another server has taken this one's path: who asks for the target means that one. A path
    /// that leads nowhere says nothing, for the server can be told to bind it again.
    fn is_displaced(&self) -> bool {
        let now = self.cx.target.socket_file();
        now.is_some_and(|now| self.server.socket_file.is_some_and(|then| then != now))
    }

    /// The server did nothing: only what it reads from the kernel can have changed.
    async fn look_at_processes(&mut self) -> Result<(), Halt> {
        let pids: Vec<(PaneId, Option<u32>)> =
            self.picture.panes.iter().map(|(pane, it)| (*pane, it.place.pid())).collect();
        let processes = self.read_processes(pids, Closeness::Glance).await?;
        let differs = |(pane, seen): (&PaneId, &Processes)| {
            let known = self.picture.panes.get(pane)?;
            seen.differ(&known.processes).then_some(*pane)
        };
        let suspects: BTreeSet<PaneId> = processes.iter().filter_map(differs).collect();
        self.agenda.glanced(self.cx.now().mono, !suspects.is_empty());
        self.check(suspects).await?;
        Ok(self.cx.report(Observation::Unchanged).await?)
    }

    /// Takes what the server held when it introduced itself as the first look.
    pub(super) async fn take_unread(&mut self, unread: Unread) -> Result<(), Halt> {
        let Unread { began, sessions, panes, output } = unread;
        let rows = self.read(&panes, &output)?;
        let seen = Seen { sessions: Some(sessions), ..Seen::of_rows(rows) };
        let before = Gate::before(&self.cx.target, self.server.instance.pid);
        self.take_seen(seen, Scope::FULL, BTreeSet::new(), began, before).await
    }

    async fn look_at_tmux(&mut self, scope: Scope, suspects: BTreeSet<PaneId>) -> Result<(), Halt> {
        let scope = match self.line {
            Line::Control(_) => scope,
            // Nobody tells of what a brief look leaves out, and the process costs most.
            Line::Forked => Scope { full: true, sessions: true, ..scope },
        };
        let began = self.cx.now().mono;
        let before = Gate::before(&self.cx.target, self.server.instance.pid);
        let seen = self.see(scope).await?;
        self.take_seen(seen, scope, suspects, began, before).await
    }

    /// Makes a complete sight of what tmux said, and reports how it differs from the last.
    async fn take_seen(
        &mut self,
        mut seen: Seen,
        scope: Scope,
        mut suspects: BTreeSet<PaneId>,
        began: MonoMs,
        before: Before,
    ) -> Result<(), Halt> {
        self.keep_hub(&seen, began).await?;
        if seen.sessions.is_none() && self.picture.other_panes(&seen.glances) {
            seen.sessions = Some(self.ask_sessions().await?);
        }
        if let Some(sessions) = &seen.sessions {
            self.picture.heard =
                sessions.iter().map(|row| facts::session_id(row.session)).collect();
        }
        let closeness = if scope.full { Closeness::Search } else { Closeness::Glance };
        let mut sighting = self.sighting(&seen, began, closeness).await?;
        suspects.extend(self.picture.suspects(&sighting, |pane| self.tells_output(pane)));
        suspects.retain(|pane| !seen.rows.contains_key(pane) && sighting.places.contains_key(pane));
        if suspects.len() > self.rows_max() {
            seen.rows.extend(self.ask_all_rows().await?);
        } else if !suspects.is_empty() {
            seen.rows.extend(self.ask_rows(suspects).await?);
        }
        if self.survey(scope, &seen.rows).await? {
            let pids = sighting.places.iter().map(|(pane, place)| (*pane, place.pid())).collect();
            sighting.processes = self.read_processes(pids, Closeness::Search).await?;
        }
        let missing = sighting.places.len();
        let difference = self.picture.take(sighting, &seen.rows);
        self.expect_agents(began);
        let now = self.cx.now().mono;
        let found = difference.topology || !difference.changed.is_empty();
        self.agenda.looked(scope, began, now, found);
        self.gate.looked(before, &self.cx.target, self.server.instance.pid);
        if missing > self.picture.panes.len() {
            self.agenda.hurry(Scope::TOPOLOGY, now);
        }
        self.take_difference(scope, began, difference).await
    }

    /// Asks for what the scope needs, all at once.
    async fn see(&mut self, scope: Scope) -> Result<Seen, Halt> {
        let sessions = scope.sessions.then(Asked::<SessionRow>::all);
        let clients = (scope.clients && self.seat.is_some()).then(Asked::<ClientRow>::all);
        let rows = scope.full.then(Asked::<PaneRow>::all);
        let glances = (!scope.full).then(Asked::<PaneGlance>::all);
        let questions: Vec<Question> = [
            sessions.as_ref().map(Asked::question),
            clients.as_ref().map(Asked::question),
            glances.as_ref().map(Asked::question),
            rows.as_ref().map(Asked::question),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut outputs = self.ask(&questions).await?.into_iter();
        let mut next = || outputs.next().unwrap_or_default();
        let mut seen = Seen::default();
        if let Some(asked) = &sessions {
            seen.sessions = Some(self.read(asked, &next())?);
        }
        if let Some(asked) = &clients {
            seen.clients = Some(self.read(asked, &next())?);
        }
        if let Some(asked) = &glances {
            seen.glances = self.read(asked, &next())?;
        }
        if let Some(asked) = &rows {
            let rows = self.read(asked, &next())?;
            seen = Seen { sessions: seen.sessions, clients: seen.clients, ..Seen::of_rows(rows) };
        }
        Ok(seen)
    }

    async fn sighting(
        &mut self,
        seen: &Seen,
        began: MonoMs,
        closeness: Closeness,
    ) -> Result<Sighting, Halt> {
        let sessions = match &seen.sessions {
            Some(rows) => {
                facts::sessions(&self.cx.id, rows, self.seat.as_ref().map(|seat| seat.session))
            }
            None => self.picture.sessions.clone(),
        };
        let mut places = facts::places(&seen.glances, &sessions, PANES_PER_TARGET_MAX);
        let astray = self.picture.astray(&seen.glances, &sessions);
        if !astray.is_empty() {
            self.agenda.hurry(Scope::TOPOLOGY, self.cx.now().mono);
            places.extend(astray);
        }
        let pids = places.iter().map(|(pane, place)| (*pane, place.pid())).collect();
        let processes = self.read_processes(pids, closeness).await?;
        Ok(Sighting { began, sessions, places, processes })
    }

    async fn read_processes(
        &mut self,
        pids: Vec<(PaneId, Option<u32>)>,
        closeness: Closeness,
    ) -> Result<BTreeMap<PaneId, Processes>, Halt> {
        let mut processes = BTreeMap::new();
        for turn in pids.chunks(READS_PER_TURN) {
            let read = |(pane, pid): &(PaneId, Option<u32>)| {
                let before = self.picture.panes.get(pane).map(|known| &known.processes);
                (*pane, Processes::read(self.eyes(), *pid, before, closeness))
            };
            processes.extend(turn.iter().map(read));
            self.breathe().await?;
        }
        Ok(processes)
    }

    /// Lets others run, and takes the hints that came meanwhile: an end is told at once.
    async fn breathe(&mut self) -> Result<(), Halt> {
        tokio::select! {
            biased;
            hints = self.cx.ears.hints() => self.heed(hints).await,
            () = tokio::task::yield_now() => Ok(()),
        }
    }

    async fn take_difference(
        &mut self,
        scope: Scope,
        began: MonoMs,
        difference: Difference,
    ) -> Result<(), Halt> {
        let now = self.cx.now().mono;
        for pane in &difference.gone {
            self.agenda.forget(*pane);
            self.surveys.forget(*pane);
            self.forget_agent(*pane);
            if let Some(lookout) = &self.cx.ears.lookout {
                self.wires.forget(*pane, lookout);
            }
        }
        self.await_status();
        for pane in difference.printed {
            if !self.tells_output(pane) {
                self.printed(pane, now);
            }
        }
        if difference.topology || scope.whole {
            self.wire(&self.picture.panes.keys().copied().collect());
            let outputs = self.unheard_outputs();
            self.cx.report(self.picture.topology(&self.server, began, outputs)).await?;
            self.cx.target.looked();
            return self.tell_limits().await;
        }
        if !difference.changed.is_empty() {
            self.wire(&difference.changed);
            self.cx.report(self.picture.report(&self.server, &difference.changed)).await?;
        }
        Ok(self.cx.report(Observation::Unchanged).await?)
    }

    /// What panes printed last, unless it was told as it came.
    fn unheard_outputs(&mut self) -> Vec<LastOutput> {
        if std::mem::replace(&mut self.listens, true) {
            return Vec::new();
        }
        let (target, terminals) = (&self.cx.target, self.cx.ears.terminals);
        let outputs = self.picture.last_outputs(|tty| target.written_s(tty).filter(|_| terminals));
        let now = self.cx.now().wall;
        outputs.iter().filter_map(|output| target.by_our_clock(output, now)).collect()
    }

    /// Says what is limited, most serious first.
    async fn tell_limits(&mut self) -> Result<(), Halt> {
        let ears = &self.cx.ears;
        let processes = ears.lookout.is_some() && self.cx.target.capabilities().pidfd;
        let unwatched = self.wires.untold(ears.terminals, processes);
        let polled = (unwatched > 0).then(|| {
            let message = format!("{unwatched} panes are asked, for the kernel watches no more");
            trouble::trouble(trouble::POLLED, message)
        });
        let limit = self.cx.limit.clone().or(polled);
        Ok(self.cx.tell_limit(limit).await?)
    }

    /// Watches the terminals and processes of these panes as they are now.
    fn wire(&mut self, panes: &BTreeSet<PaneId>) {
        let now = self.cx.clock.now().mono;
        for pane in panes {
            let known = self.picture.panes.get(pane);
            if let Some(agent) = known.and_then(|known| known.facts.agent.as_ref()) {
                self.reader.found(*pane, agent.process, now);
                if self.cx.target.capabilities().agents_files {
                    self.follow.found(*pane, agent, now);
                }
                // Another program in the foreground may mean that somebody stopped it.
                self.reader.output(*pane, now);
            } else {
                if let Some(known) = known {
                    self.reader.vacant(*pane, &known.facts.title);
                }
                self.forget_agent(*pane);
            }
        }
        let Some(lookout) = &mut self.cx.ears.lookout else { return };
        for pane in panes {
            let Some(known) = self.picture.panes.get(pane) else { continue };
            let terminals = self.cx.ears.terminals;
            let armed = self.wires.watch(&self.cx.target, lookout, &known.facts, terminals);
            match armed {
                Armed::Yes => {}
                Armed::Late | Armed::Ended => self.agenda.stir(*pane, now),
            }
        }
    }

    /// Does what is due for the sake of our own session.
    async fn keep_hub(&mut self, seen: &Seen, began: MonoMs) -> Result<(), Halt> {
        let Some(sessions) = &seen.sessions else { return Ok(()) };
        let (Some(seat), Some(clients)) = (&self.seat, &seen.clients) else {
            let vacant = sessions.iter().all(|row| is_hub_name(&row.name));
            return if vacant { self.vacate(began).await } else { Ok(()) };
        };
        let (hub, session) = (seat.hub.clone(), seat.session);
        let briefs: Vec<_> = seen.glances.iter().map(|glance| glance.brief.clone()).collect();
        for duty in seat.duties(sessions, clients, &briefs) {
            // Another target of ours that leads to the same server sits in the same session.
            if matches!(duty, Duty::Reap { pid } if self.cx.target.is_ours(pid)) {
                continue;
            }
            if duty == Duty::Leave {
                return self.vacate(began).await;
            }
            let question = Question { batch: duty.batch(&hub, session), nonce: nonce() };
            tracing::info!(target_id = %self.cx.id, ?duty, "keeping our own session clean");
            self.do_duty(question).await?;
        }
        Ok(())
    }

    /// Nothing of the user's is left.
    async fn vacate(&mut self, began: MonoMs) -> Result<(), Halt> {
        self.picture = Picture::default();
        self.cx.report(self.picture.topology(&self.server, began, Vec::new())).await?;
        Err(Halt::Vacated)
    }

    /// A duty that tmux refuses has become pointless: whom it was about is gone.
    async fn do_duty(&mut self, question: Question) -> Result<(), Halt> {
        let answer = self.line.ask(&self.cx.target, &[question]);
        match self.wait(answer).await? {
            Ok(_) => {
                self.agenda.hurry(Scope::TOPOLOGY, self.cx.now().mono);
                Ok(())
            }
            Err(AskError::Refused(said)) => {
                tracing::debug!(said, "a duty was refused");
                Ok(())
            }
            Err(AskError::Ended) => Err(self.link_ended().await),
            Err(AskError::Failed(failure)) => Err(Halt::Failed(trouble::of_failure(&failure))),
            Err(AskError::Garbled(_)) => Ok(()),
        }
    }
}
