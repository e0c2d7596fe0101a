//! Watching one server from the first look to the last: hints come in, looks go out, differences
//! are reported.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::ids::PaneId;
use engine::input::Observation;
use engine::pane::ProcessIdentity;
use engine::target::Trouble;
use engine::time::MonoMs;
use tmux::hub::Hub;
use tmux::notification::Notification;
use tmux::subscription;
use tokio::sync::mpsc;

use super::context::{Context, Order};
use super::errand::Outcome;
use super::facts;
use super::gate::Gate;
use super::hub::Seat;
use super::line::{AskError, Line, Question, nonce};
use super::link::{LinkEnd, News};
use super::picture::Picture;
use super::reading::Reader;
use super::reporter::{Closed, Reporter};
use super::schedule::{Agenda, Pace, Scope};
use super::server::Server;
use super::status::{Follow, Stir};
use super::surveys::Surveys;
use super::told::Told;
use super::wires::Wires;
use crate::sentinel::{Hint, WatchId};
use crate::targets::obstacle::Obstacle;
use crate::targets::tether::Stirred;

/// How long the end of a server may take to show after the end of its connection.
const SERVER_END: Duration = Duration::from_millis(50);

/// How long the end of the way there may take to show after the end of what went over it.
const PATH_END: Duration = Duration::from_millis(250);

/// How long after a look it may have missed what the server did in the same run.
const LATELY_MS: i64 = 20;

/// Outcomes of errands that wait to be taken. Whoever brings one more waits.
const OUTCOMES_MAX: usize = 64;

/// Why watching a server ended.
#[derive(Debug)]
pub(super) enum Halt {
    Stopped,
    /// The server's process is gone.
    ServerGone,
    /// Nothing of the user's is left on it, and we left too.
    Vacated,
    /// Another server answers there.
    Replaced,
    /// The control connection ended; the server may live.
    LinkEnded(LinkEnd),
    /// The control connection gives no answers, though the server does.
    Wedged,
    /// The connection to the target ended.
    Cut(Obstacle),
    /// The server gives no answers, or none that make sense.
    Failed(Trouble),
    /// It is time to try control mode again.
    RetryControl,
}

impl From<Closed> for Halt {
    fn from(Closed: Closed) -> Self {
        Self::Stopped
    }
}

/// One server being watched.
pub(super) struct Watch<'a, R> {
    pub(super) cx: &'a mut Context<R>,
    pub(super) server: Server,
    pub(super) line: Line,
    /// Our session on the server, where we have one.
    pub(super) seat: Option<Seat>,
    pub(super) agenda: Agenda,
    pub(super) picture: Picture,
    pub(super) wires: Wires,
    /// What ended in panes, until it is certain that it did not end with the server.
    pub(super) ended: Vec<(PaneId, ProcessIdentity)>,
    pub(super) reader: Reader,
    pub(super) follow: Follow,
    /// What the shell that stays there was told to watch.
    pub(super) watched_there: BTreeSet<String>,
    pub(super) surveys: Surveys,
    pub(super) outcomes: (mpsc::Sender<Outcome>, mpsc::Receiver<Outcome>),
    pub(super) gate: Gate,
    /// Everything was told once, and output is told as it comes.
    pub(super) listens: bool,
    terminals: Option<WatchId>,
    /// What tmux told by itself, and whether it may be asked to.
    pub(super) told: Told,
    pub(super) subscribes: bool,
    /// When control mode is tried again, where we do without.
    pub(super) retry_control: Option<MonoMs>,
}

impl<'a, R: Reporter> Watch<'a, R> {
    pub(super) fn new(
        cx: &'a mut Context<R>,
        mut server: Server,
        line: Line,
        seat: Option<Seat>,
        pace: Pace,
    ) -> Self {
        let now = cx.now().mono;
        server.facts.mode = line.mode();
        let (mut wires, mut terminals) = (Wires::default(), None);
        if let Some(lookout) = &mut cx.ears.lookout {
            terminals = lookout.folder(Path::new("/dev/pts")).ok();
            wires.watch_server(&cx.target, lookout, &server);
        }
        let files = cx.target.capabilities().files;
        let agenda = Agenda::new(pace, files, now);
        Self {
            cx,
            server,
            line,
            seat,
            agenda,
            picture: Picture::default(),
            wires,
            ended: Vec::new(),
            reader: Reader::default(),
            follow: Follow::new(!files),
            watched_there: BTreeSet::new(),
            surveys: Surveys::default(),
            outcomes: mpsc::channel(OUTCOMES_MAX),
            gate: Gate::default(),
            listens: false,
            terminals,
            told: Told::default(),
            subscribes: true,
            retry_control: None,
        }
    }

    /// Watches until there is a reason to end.
    pub(super) async fn run(&mut self) -> Halt {
        self.subscribe();
        loop {
            if let Err(halt) = self.step().await {
                return halt;
            }
        }
    }

    /// Gives back what is needed to end the connection in order.
    pub(super) fn finish(mut self) -> (Line, Option<Seat>) {
        if let Some(lookout) = &self.cx.ears.lookout {
            let watches = self.follow.end().into_iter().chain(self.terminals);
            watches.for_each(|watch| lookout.forget(watch));
        }
        self.cx.target.watch_there(BTreeSet::new());
        (self.line, self.seat)
    }

    async fn step(&mut self) -> Result<(), Halt> {
        let next = self.agenda.next_due();
        let readings = self.reader.next_due().into_iter().chain(self.follow.next_due());
        let readings = readings.chain(self.told.next_due()).chain(self.surveys.next_due());
        let next = readings.min().map_or(next, |reading| reading.min(next));
        let due = self.cx.until(self.retry_control.map_or(next, |retry| retry.min(next)));
        let target = Arc::clone(&self.cx.target);
        tokio::select! {
            biased;
            order = self.cx.orders.next() => self.follow(order)?,
            hints = self.cx.ears.hints() => self.heed(hints).await?,
            news = self.line.news() => self.take_news(news).await?,
            Some(outcome) = self.outcomes.1.recv() => self.take_outcome(outcome).await?,
            stirs = target.stirs() => self.take_stirs(stirs),
            why = target.cut() => return Err(Halt::Cut(why)),
            () = due => {}
        }
        self.settle_ends().await?;
        self.work().await?;
        self.settle_ends().await
    }

    /// Files, folders or processes of agents changed that are somewhere else, or one asks.
    fn take_stirs(&mut self, stirs: Vec<Stirred>) {
        let now = self.cx.now().mono;
        for stirred in stirs {
            match stirred {
                Stirred::Changed(path) => self.follow.stirred_there(&path, false, now),
                Stirred::Gone(path) => {
                    for pane in self.follow.ended_there(&path) {
                        self.surveys.forget(pane);
                        self.agenda.suspect(pane, now);
                    }
                    self.follow.stirred_there(&path, true, now);
                }
                Stirred::Lost => self.follow.lost_track_there(now),
                Stirred::Asks(pane) => self.told.expect(pane, now),
            }
        }
    }

    /// Does everything that is due.
    async fn work(&mut self) -> Result<(), Halt> {
        let now = self.cx.now().mono;
        if self.retry_control.is_some_and(|retry| retry <= now) {
            return Err(Halt::RetryControl);
        }
        let printed = self.agenda.take_printed(now);
        if !printed.is_empty() {
            self.cx.report(Observation::Printed { panes: printed }).await?;
        }
        self.echo(now);
        let due = self.reader.take(now);
        self.read_agents(due).await?;
        let errands = {
            let Context { reporter, id, .. } = &*self.cx;
            self.follow.take(now, |pane| reporter.session(id, pane))
        };
        for (pane, errand) in errands {
            let (target, roster) = (Arc::clone(&self.cx.target), Arc::clone(&self.cx.roster));
            errand.run(pane, target, roster, self.outcomes.0.clone());
        }
        let checks = self.agenda.take_checks(now);
        let mut suspects = self.glance(checks).await?;
        suspects.extend(self.surveys.take(now));
        let (gate, target, pid) = (&self.gate, &self.cx.target, self.server.instance.pid);
        match self.agenda.take_look(now, || gate.stirred(target, pid)) {
            Some(scope) => self.look(scope, suspects).await?,
            None => self.check(suspects).await?,
        }
        if self.agenda.wants_sign_of_life(self.cx.now().mono) {
            self.ask_sign_of_life().await?;
        }
        Ok(())
    }

    pub(super) fn follow(&mut self, order: Order) -> Result<(), Halt> {
        match order {
            Order::Stop => Err(Halt::Stopped),
            Order::Rescan => {
                // What was told may have been lost.
                self.listens = false;
                self.agenda.hurry(Scope::WHOLE, self.cx.now().mono);
                Ok(())
            }
        }
    }

    pub(super) fn take_hints(&mut self, hints: Vec<Hint>) -> Result<(), Halt> {
        let now = self.cx.now().mono;
        let of_server =
            |hint: &Hint| matches!(hint, Hint::Ended(key) if self.wires.is_server(*key));
        if hints.iter().any(of_server) {
            return Err(Halt::ServerGone);
        }
        for hint in hints {
            match hint {
                Hint::Ended(key) => {
                    if let Some((pane, process)) = self.wires.ended(key) {
                        self.ended.push((pane, process));
                        if let Some(known) = self.picture.panes.get_mut(&pane) {
                            known.nudges = 0;
                        }
                        self.agenda.stir(pane, now);
                        self.agenda.hurry(Scope::BRIEF, now);
                    } else if let Some(pane) = self.wires.agent_ended(key) {
                        self.agenda.suspect(pane, now);
                    }
                }
                Hint::Written(watch, name) => match self.wires.written(watch) {
                    Some(pane) => self.printed(pane, now),
                    None => self.follow.stirred(watch, &name, Stir::Written, now),
                },
                Hint::Came(watch, name) => {
                    if Some(watch) != self.terminals {
                        self.follow.stirred(watch, &name, Stir::Came, now);
                    } else if self.may_have_opened_one(now) {
                        self.agenda.hurry(Scope::TOPOLOGY, now);
                    }
                }
                Hint::Left(watch, name) => {
                    if Some(watch) != self.terminals {
                        self.follow.stirred(watch, &name, Stir::Left, now);
                    } else if self.picture.has_terminal(&name) {
                        self.agenda.hurry(Scope::BRIEF, now);
                    }
                }
                Hint::Unwatched(watch) => match self.wires.written(watch) {
                    Some(pane) => self.agenda.stir(pane, now),
                    None => self.follow.unwatched(watch, now),
                },
                Hint::Lost => {
                    self.agenda.hurry(Scope::FULL, now);
                    self.follow.lost_track(now);
                }
            }
        }
        Ok(())
    }

    /// Takes hints, and reports the ends among them that are certain.
    pub(super) async fn heed(&mut self, hints: Vec<Hint>) -> Result<(), Halt> {
        self.take_hints(hints)?;
        Ok(self.report_certain_ends().await?)
    }

    /// Reports what ended while the server held its terminal still: it did not end with it.
    async fn report_certain_ends(&mut self) -> Result<(), Closed> {
        let (wires, target) = (&self.wires, &self.cx.target);
        let certain = self.ended.extract_if(.., |(pane, _)| wires.has_terminal(target, *pane));
        let certain: Vec<_> = certain.collect();
        self.report_ends(certain).await
    }

    /// Reports what else ended, once its server is seen to go on.
    async fn settle_ends(&mut self) -> Result<(), Halt> {
        while !self.ended.is_empty() {
            let ended = std::mem::take(&mut self.ended);
            self.ask_whether_it_goes_on().await?;
            self.report_ends(ended).await?;
        }
        Ok(())
    }

    async fn report_ends(&self, ended: Vec<(PaneId, ProcessIdentity)>) -> Result<(), Closed> {
        for (pane, process) in ended {
            self.cx.report(Observation::ProcessEnded { pane, process }).await?;
        }
        Ok(())
    }

    /// Fails if the server does not go on. One that ends closes all terminals first, and what ran in
    /// them ends by that, often before its own end can be told; as long as it waits for its last
    /// clients it even answers, but its sessions are gone.
    async fn ask_whether_it_goes_on(&mut self) -> Result<(), Halt> {
        let Some(seat) = &self.seat else {
            let question = Question { batch: subscription::sign_of_life(), nonce: nonce() };
            return self.ask(&[question]).await.map(drop);
        };
        let question = Question { batch: Hub::is_there(seat.session), nonce: nonce() };
        let answer = self.line.ask(&self.cx.target, &[question]);
        match self.wait(answer).await? {
            Ok(_) => Ok(()),
            Err(AskError::Ended) => Err(self.link_ended().await),
            Err(_) => Err(self.settle_end(LinkEnd::SessionEnded).await),
        }
    }

    /// Whether a terminal that came may be one of the server's: whoever opens one must have run.
    /// Most terminals of a machine are opened by others. What the server does right behind a look
    /// may be in the count that the look left, so for a moment after one nothing is ruled out; and
    /// on a machine that stands still for longer than that, a child that is no pane's tells.
    fn may_have_opened_one(&self, now: MonoMs) -> bool {
        let lately = self.agenda.asked_since(MonoMs(now.0.saturating_sub(LATELY_MS)));
        lately
            || self.gate.stirred(&self.cx.target, self.server.instance.pid)
            || self.has_unknown_children()
    }

    /// Whether the server started a process that is no pane's, as far as was seen.
    fn has_unknown_children(&self) -> bool {
        let of_panes: BTreeSet<u32> =
            self.picture.panes.values().filter_map(|known| known.place.pid()).collect();
        let children = self.cx.target.children(self.server.instance.pid);
        let ours = usize::from(self.seat.is_some());
        children.iter().filter(|pid| !of_panes.contains(pid)).count() > ours
    }

    /// A pane printed something.
    pub(super) fn printed(&mut self, pane: PaneId, now: MonoMs) {
        self.agenda.output(pane, now);
        self.reader.output(pane, now);
        self.follow.printed(pane, now);
    }

    async fn take_news(&mut self, news: News) -> Result<(), Halt> {
        let now = self.cx.now().mono;
        match news {
            News::Ended(end) => return Err(self.settle_end(end).await),
            News::Lost => self.agenda.hurry(Scope::FULL, now),
            News::Notices(notices) => {
                for notice in &notices {
                    self.take_notice(notice, now)?;
                }
            }
        }
        Ok(())
    }

    /// A connection that ends is often the first sign of the end of its server. Where that is not
    /// seen at once, the next connection finds out what became of the panes.
    pub(super) async fn settle_end(&mut self, end: LinkEnd) -> Halt {
        if !self.wires.watches_server() {
            let cut = tokio::time::timeout(PATH_END, self.cx.target.cut()).await;
            return cut.map_or(Halt::LinkEnded(end), Halt::Cut);
        }
        let mut over = std::pin::pin!(tokio::time::sleep(SERVER_END));
        loop {
            tokio::select! {
                biased;
                hints = self.cx.ears.hints() => {
                    if let Err(halt) = self.take_hints(hints) {
                        return halt;
                    }
                }
                () = &mut over => return Halt::LinkEnded(end),
            }
        }
    }

    fn take_notice(&mut self, notice: &Notification, now: MonoMs) -> Result<(), Halt> {
        use Notification as N;
        match notice {
            N::SessionChanged { session, .. } => {
                if self.seat.as_ref().is_some_and(|seat| seat.session != *session) {
                    return Err(Halt::LinkEnded(LinkEnd::Moved));
                }
            }
            N::SessionsChanged
            | N::SessionRenamed { .. }
            | N::ClientSessionChanged { .. }
            | N::ClientDetached { .. }
            | N::WindowAdd { .. }
            | N::WindowClose { .. }
            | N::UnlinkedWindowAdd { .. }
            | N::UnlinkedWindowClose { .. }
            | N::LayoutChange { .. } => self.agenda.hurry(Scope::TOPOLOGY, now),
            N::SessionWindowChanged { .. } | N::WindowPaneChanged { .. } => {
                self.agenda.hurry(Scope::BRIEF, now);
            }
            N::WindowRenamed { window, .. } | N::UnlinkedWindowRenamed { window, .. } => {
                let panes: Vec<_> = self.picture.panes_of(facts::window_id(*window)).collect();
                for pane in panes {
                    self.agenda.suspect(pane, now);
                }
            }
            N::PaneModeChanged { pane } => self.agenda.suspect(facts::pane_id(*pane), now),
            N::SubscriptionChanged { name, value } => self.take_push(name, value, now),
            N::Output { .. }
            | N::Pause { .. }
            | N::Continue { .. }
            | N::PasteBufferChanged { .. }
            | N::PasteBufferDeleted { .. }
            | N::ConfigError { .. }
            | N::Message { .. }
            | N::Exit { .. }
            | N::Unknown { .. } => {}
        }
        Ok(())
    }
}
