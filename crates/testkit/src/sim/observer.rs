//! The observer's stand-in: it does what the daemon's does, one small step at a time, so that
//! anything can happen in between.
//!
//! It speaks with the made-up tmux through the real crate: commands as bytes, replies through the
//! parser, rows through the scans. Hints hurry a look, looks say what is true, and only what is
//! true is told.

use std::collections::{BTreeMap, BTreeSet};

use engine::event::SessionRow;
use engine::ids::{PaneId, TargetId};
use engine::input::{LastOutput, Observation, Topology};
use engine::pane::PaneFacts;
use engine::target::{ServerFacts, Trouble};
use engine::time::{MonoMs, WallMs};
use tmux::control::{FarEnd, Message, Parser};
use tmux::exchange::{Exchanges, Fault};
use tmux::format::Nonce;
use tmux::hub::{Hub, is_already_there, is_hub_name, may_create, own_pane};
use tmux::ids::SessionId as HubId;
use tmux::notification::Notification;
use tmux::rows::{
    ClientRow, GreetingRow, OriginRow, PaneBrief, PaneRow, Row, SessionRow as TmuxSession,
};
use tmux::scan::{Scan, Scanned, is_empty_server};
use tmux::upkeep::{Duty, Surroundings};

use super::clock::Clock;
use super::convert;
use super::rng::Rng;
use super::sight;
use super::site::Site;

/// What a stream that cannot be trusted any more is called. The made-up tmux never leaves its step.
pub(crate) const OUT_OF_STEP: &str = "E_DESYNC";
/// How long an answer may take, here and from somewhere else.
const PATIENCE_MS: i64 = 2_000;
const PATIENCE_THERE_MS: i64 = 8_000;
/// What a machine is called that nothing gets to.
const UNREACHABLE: &str = "E_TARGET_UNREACHABLE";
/// From one look to the next, and from one look at everything to the next.
const LOOK_MS: (i64, i64) = (2_000, 10_000);
const FULL_MS: i64 = 60_000;
/// How long until a server that is not there, or does not answer, is tried again.
const RETRY_MS: i64 = 500;
/// How long control mode is done without after it failed.
const FORKED_MS: i64 = 30_000;

/// As much as is ever read at once.
const PIECE_MAX: usize = 1 << 20;

/// What is waited for on a control connection.
#[derive(Debug)]
enum Ask {
    Greeting(Scan<GreetingRow>),
    Origins(Scan<OriginRow>),
    Sessions(Scan<TmuxSession>),
    Clients(Scan<ClientRow>),
    Rows(Scan<PaneRow>),
    Briefs(Scan<PaneBrief>),
    Some(Scan<PaneRow>),
    Order,
}

/// A control connection and what came over it so far.
struct Link {
    pid: u32,
    parser: Parser,
    exchanges: Exchanges<(Ask, i64)>,
    seat: Option<Seat>,
    /// The look that is under way.
    look: Option<Look>,
}

/// Our own session on the server.
#[derive(Clone, Copy)]
struct Seat {
    session: HubId,
    own_pane: Option<tmux::ids::PaneId>,
}

/// What one look has found so far.
struct Look {
    began: MonoMs,
    sessions: Vec<TmuxSession>,
    clients: Vec<ClientRow>,
}

/// How the server is spoken with.
enum Line {
    None,
    Control(Box<Link>),
    /// By a command for each look.
    Forked {
        until_ms: i64,
    },
}

pub(crate) struct Observer {
    target: TargetId,
    hub: Hub,
    line: Line,
    server: Option<ServerFacts>,
    sessions: Vec<SessionRow>,
    panes: BTreeMap<u32, PaneFacts>,
    activity: BTreeMap<u32, u64>,
    next_try_ms: i64,
    last_look_ms: i64,
    last_full_ms: i64,
    quiet: u32,
    /// Everything was seen, and output is told as it comes.
    listens: bool,
    /// A look at everything is wanted now.
    hurried: bool,
    suspects: BTreeSet<u32>,
    told: Vec<Observation>,
}

impl Observer {
    pub(crate) fn new(target: &TargetId, installation: &str) -> Option<Observer> {
        Some(Observer {
            target: target.clone(),
            hub: Hub::new(installation).ok()?,
            line: Line::None,
            server: None,
            sessions: Vec::new(),
            panes: BTreeMap::new(),
            activity: BTreeMap::new(),
            next_try_ms: 0,
            last_look_ms: 0,
            last_full_ms: 0,
            quiet: 0,
            listens: false,
            hurried: true,
            suspects: BTreeSet::new(),
            told: Vec::new(),
        })
    }

    /// The pid of the control client, which dies with the daemon.
    pub(crate) fn client(&self) -> Option<u32> {
        match &self.line {
            Line::Control(link) => Some(link.pid),
            Line::None | Line::Forked { .. } => None,
        }
    }

    /// Somebody wants to know how things are now.
    pub(crate) fn rescan(&mut self) {
        self.hurried = true;
        self.listens = false;
        self.next_try_ms = 0;
    }

    /// Does what is due, and a little of what has come; gives what there is to tell. In `calm`
    /// times whatever has come is read at once, and no answer is cut.
    pub(crate) fn step(
        &mut self,
        site: &mut Site,
        clock: &Clock,
        rng: &mut Rng,
        calm: bool,
    ) -> Vec<Observation> {
        self.notice_ends(site);
        match &self.line {
            Line::None => self.seek(site, clock, rng),
            Line::Forked { until_ms } if *until_ms <= clock.true_ms() => self.line = Line::None,
            Line::Forked { .. } => self.look_by_fork(site, clock, rng, calm),
            Line::Control(_) => self.listen(site, clock, rng, calm),
        }
        std::mem::take(&mut self.told)
    }

    /// Processes that were watched and ended; the server's own end means that all is over.
    /// Nobody tells that of another machine.
    fn notice_ends(&mut self, site: &mut Site) {
        if site.road.is_some() {
            return site.host.ended.clear();
        }
        for ended in std::mem::take(&mut site.host.ended) {
            if self.server.as_ref().is_some_and(|it| it.pid == ended.pid) && site.tmux.is_none() {
                self.lose_server();
                self.told.push(Observation::NoServer);
                continue;
            }
            let watched = |facts: &&PaneFacts| {
                !facts.dead
                    && facts.process.started_ns.is_some()
                    && facts.process.same_process(&ended)
            };
            if let Some(facts) = self.panes.values().find(watched) {
                let (pane, process) = (facts.pane, facts.process);
                self.suspects.insert(pane.0);
                self.told.push(Observation::ProcessEnded { pane, process });
            }
        }
    }

    /// A terminal was written to.
    pub(crate) fn hear_output(&mut self, pane: u32) -> Option<Observation> {
        self.panes.get(&pane)?;
        self.suspects.insert(pane);
        Some(Observation::Printed { panes: vec![PaneId(pane)] })
    }

    fn lose_server(&mut self) {
        self.line = Line::None;
        self.server = None;
        self.sessions.clear();
        self.panes.clear();
        self.activity.clear();
        self.suspects.clear();
        self.listens = false;
        self.hurried = true;
    }

    /// The connection is of no use any more; its client is killed.
    fn drop_link(&mut self, site: &mut Site, clock: &Clock, trouble: Option<Observation>) {
        if let Line::Control(link) = &self.line {
            site.hang_up(link.pid, clock);
        }
        self.line = Line::None;
        self.listens = false;
        self.hurried = true;
        self.next_try_ms = clock.true_ms() + RETRY_MS;
        self.told.extend(trouble);
    }

    /// Looks for a server, and takes a seat on it.
    fn seek(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        if clock.true_ms() < self.next_try_ms {
            return;
        }
        self.next_try_ms = clock.true_ms() + RETRY_MS;
        if !site.is_reached() {
            return self.told.push(failed(UNREACHABLE));
        }
        if site.tmux.is_none() {
            self.lose_server();
            self.told.push(Observation::NoServer);
            return;
        }
        let scan = Scan::<TmuxSession>::all(nonce(rng));
        let found = site.fork(&words(&scan.batch()), clock);
        let Some(found) = found.and_then(|it| scan.read(&it.output).ok()) else {
            self.told.push(failed("E_TIMEOUT"));
            return;
        };
        let Some(tmux) = &site.tmux else { return };
        if found.rows.iter().all(|row| is_hub_name(&row.name)) {
            // Nobody to watch for: we do not stay either.
            let facts = sight::server_facts(&tmux.socket, &tmux.server, &site.host);
            self.tell_nothing_on(facts, clock);
            return;
        }
        self.server = Some(sight::server_facts(&tmux.socket, &tmux.server, &site.host));
        self.hurried = true;
        if rng.permille(120) {
            self.line = Line::Forked { until_ms: clock.true_ms() + FORKED_MS };
            return;
        }
        self.take_seat(site, clock, rng);
    }

    fn tell_nothing_on(&mut self, server: ServerFacts, clock: &Clock) {
        self.lose_server();
        self.told.push(Observation::Topology(Box::new(Topology {
            began: clock.now().mono,
            server,
            sessions: Vec::new(),
            panes: Vec::new(),
            outputs: Vec::new(),
        })));
    }

    fn take_seat(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        let Ok(version) = sight::VERSION.parse() else { return };
        let checked = site.fork(&words(&Hub::precheck()), clock);
        let may = checked.is_some_and(|it| may_create(&it.output, &version));
        let created = site.fork(&words(&self.hub.create()), clock);
        let complaint = created.as_ref().and_then(|it| it.complaint.as_deref());
        if complaint.is_some_and(is_empty_server) {
            return;
        }
        let ready = created.is_some() && complaint.is_none_or(is_already_there);
        if !may || !ready {
            self.line = Line::Forked { until_ms: clock.true_ms() + FORKED_MS };
            return;
        }
        let Some(pid) = site.attach(&words(&self.hub.attach()), clock) else { return };
        let far_end = if rng.permille(500) { FarEnd::Plain } else { FarEnd::Chatty };
        let (parser, exchanges) = (Parser::new(far_end), Exchanges::new());
        self.line =
            Line::Control(Box::new(Link { pid, parser, exchanges, seat: None, look: None }));
    }

    /// Reads a piece of what came, answers it, and asks what is due.
    fn listen(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng, calm: bool) {
        let Some(pid) = self.client() else { return };
        let most = rng.weighted(&[(3, 1), (3, 17), (4, 400), (6, PIECE_MAX)]);
        let most = if calm { PIECE_MAX } else { most };
        let piece = site.read(pid, most, clock);
        let Some(piece) = piece else {
            self.line = Line::None;
            self.hurried = true;
            self.next_try_ms = 0;
            return;
        };
        let mut messages = Vec::new();
        let Line::Control(link) = &mut self.line else { return };
        if link.parser.feed(&piece, &mut messages).is_err() {
            return self.drop_link(site, clock, Some(failed(OUT_OF_STEP)));
        }
        for message in messages {
            self.take(message, site, clock, rng);
        }
        self.ask_what_is_due(site, clock, rng);
    }

    fn take(&mut self, message: Message, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        let Line::Control(link) = &mut self.line else { return };
        let reply = match message {
            Message::Reply(reply) => reply,
            Message::Notification(notification) => return self.hear(&notification),
            Message::Stray(_) => return,
        };
        let was_attached = link.exchanges.is_attached();
        match link.exchanges.take(reply) {
            Ok(Some(answer)) => match answer.result {
                Ok(output) => self.answer(&answer.ticket.0, &output, site, clock, rng),
                // A duty has become pointless, or the server is on its way out.
                Err(_) => self.hurried = true,
            },
            Ok(None) if !was_attached => {
                self.send_greeting(site, clock, rng);
            }
            Ok(None) => {}
            Err(Fault::AttachRefused { .. }) => {
                self.drop_link(site, clock, Some(failed("E_CONNECT")));
            }
            Err(Fault::Unasked) => self.drop_link(site, clock, Some(failed(OUT_OF_STEP))),
        }
    }

    fn send_greeting(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        let greeting = Hub::handshake(nonce(rng));
        let origins = Scan::<OriginRow>::all(nonce(rng));
        self.send(&greeting.batch(), Ask::Greeting(greeting.clone()), site, clock);
        self.send(&origins.batch(), Ask::Origins(origins.clone()), site, clock);
        let end = self.hub.end_with_client();
        self.send(&end, Ask::Order, site, clock);
    }

    fn send(&mut self, batch: &tmux::command::Batch, ask: Ask, site: &mut Site, clock: &Clock) {
        let Line::Control(link) = &mut self.line else { return };
        let Ok(line) = link.exchanges.send(batch, (ask, clock.true_ms())) else { return };
        site.write(link.pid, &line, clock);
    }

    fn hear(&mut self, notification: &Notification) {
        use Notification as N;
        match notification {
            N::SessionChanged { session, .. } => {
                let Line::Control(link) = &self.line else { return };
                let moved = link.seat.is_some_and(|seat| seat.session != *session);
                self.hurried |= moved;
            }
            N::SessionsChanged
            | N::SessionRenamed { .. }
            | N::SessionWindowChanged { .. }
            | N::ClientSessionChanged { .. }
            | N::ClientDetached { .. }
            | N::WindowAdd { .. }
            | N::WindowClose { .. }
            | N::WindowRenamed { .. }
            | N::UnlinkedWindowAdd { .. }
            | N::UnlinkedWindowClose { .. }
            | N::UnlinkedWindowRenamed { .. }
            | N::WindowPaneChanged { .. }
            | N::LayoutChange { .. } => self.hurried = true,
            N::PaneModeChanged { pane } => {
                self.suspects.insert(pane.0);
            }
            N::SubscriptionChanged { .. }
            | N::Output { .. }
            | N::Pause { .. }
            | N::Continue { .. }
            | N::PasteBufferChanged { .. }
            | N::PasteBufferDeleted { .. }
            | N::ConfigError { .. }
            | N::Message { .. }
            | N::Exit { .. }
            | N::Unknown { .. } => {}
        }
    }

    fn ask_what_is_due(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        let Line::Control(link) = &self.line else { return };
        let now = clock.true_ms();
        if let Some((_, asked)) = link.exchanges.oldest() {
            let (patience_ms, trouble) = match site.road {
                Some(_) => (PATIENCE_THERE_MS, given_up()),
                None => (PATIENCE_MS, failed("E_TIMEOUT")),
            };
            if now - asked > patience_ms {
                self.drop_link(site, clock, Some(trouble));
            }
            return;
        }
        if link.seat.is_none() {
            return;
        }
        let full = self.hurried || now - self.last_full_ms >= FULL_MS;
        let pause = if self.quiet < 3 { LOOK_MS.0 } else { LOOK_MS.1 };
        if full {
            self.ask_for_all(site, clock, rng);
        } else if !self.suspects.is_empty() {
            let panes = std::mem::take(&mut self.suspects);
            let panes = panes.into_iter().map(tmux::ids::PaneId).collect();
            let scan = Scan::panes(nonce(rng), panes);
            self.send(&scan.batch(), Ask::Some(scan.clone()), site, clock);
        } else if now - self.last_look_ms >= pause {
            let scan = Scan::<PaneBrief>::all(nonce(rng));
            self.last_look_ms = now;
            self.send(&scan.batch(), Ask::Briefs(scan.clone()), site, clock);
        }
    }

    fn ask_for_all(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        self.hurried = false;
        self.suspects.clear();
        self.last_look_ms = clock.true_ms();
        self.last_full_ms = clock.true_ms();
        let sessions = Scan::<TmuxSession>::all(nonce(rng));
        let clients = Scan::<ClientRow>::all(nonce(rng));
        let rows = Scan::<PaneRow>::all(nonce(rng));
        if let Line::Control(link) = &mut self.line {
            let began = clock.now().mono;
            link.look = Some(Look { began, sessions: Vec::new(), clients: Vec::new() });
        }
        self.send(&sessions.batch(), Ask::Sessions(sessions.clone()), site, clock);
        self.send(&clients.batch(), Ask::Clients(clients.clone()), site, clock);
        self.send(&rows.batch(), Ask::Rows(rows.clone()), site, clock);
    }

    /// An answer that is not the whole and exact one ends the connection.
    fn answer(&mut self, ask: &Ask, output: &[u8], site: &mut Site, clock: &Clock, rng: &mut Rng) {
        let read = match ask {
            Ask::Greeting(scan) => self.proven(scan, output).map(|it| self.take_greeting(&it)),
            Ask::Origins(scan) => self.proven(scan, output).map(|it| self.take_origins(&it)),
            Ask::Sessions(scan) => {
                self.proven(scan, output).map(|it| self.put(|look| look.sessions = it.rows))
            }
            Ask::Clients(scan) => {
                self.proven(scan, output).map(|it| self.put(|look| look.clients = it.rows))
            }
            Ask::Rows(scan) => {
                self.proven(scan, output).map(|it| self.take_all(it.rows, site, clock))
            }
            Ask::Briefs(scan) => {
                self.proven(scan, output).map(|it| self.take_briefs(it.rows, site, clock, rng))
            }
            Ask::Some(scan) => self.proven(scan, output).map(|it| self.take_some(it.rows, site)),
            Ask::Order => Some(()),
        };
        if read.is_none() {
            self.drop_link(site, clock, Some(failed("E_GARBLED")));
        }
    }

    /// The rows, if they come from the server we mean.
    fn proven<R: Row>(&self, scan: &Scan<R>, output: &[u8]) -> Option<Scanned<R>> {
        let scanned = scan.read(output).ok()?;
        let known = self.server.as_ref()?;
        let started = i64::try_from(scanned.server.start_time).ok()? * 1_000;
        let same = scanned.server.pid == known.pid && started == known.started_at.0;
        same.then_some(scanned)
    }

    fn put(&mut self, change: impl FnOnce(&mut Look)) {
        if let Line::Control(link) = &mut self.line {
            link.look.as_mut().map(change);
        }
    }

    fn take_greeting(&mut self, greeting: &Scanned<GreetingRow>) {
        let verified = self.hub.verify(greeting);
        let Line::Control(link) = &mut self.line else { return };
        if let Ok(connection) = verified {
            link.seat = Some(Seat { session: connection.session, own_pane: None });
        }
    }

    fn take_origins(&mut self, origins: &Scanned<OriginRow>) {
        let Line::Control(link) = &mut self.line else { return };
        if let Some(seat) = &mut link.seat {
            seat.own_pane = own_pane(seat.session, &origins.rows);
        }
    }

    /// A look at everything is complete.
    fn take_all(&mut self, rows: Vec<PaneRow>, site: &mut Site, clock: &Clock) {
        let (look, seat, pid) = match &mut self.line {
            Line::Control(link) => (link.look.take(), link.seat, link.pid),
            Line::None | Line::Forked { .. } => return,
        };
        let Some(Look { began, sessions, clients }) = look else { return };
        let briefs: Vec<PaneBrief> = rows.iter().map(|row| row.brief.clone()).collect();
        if let Some(Seat { session, own_pane: Some(own_pane) }) = seat {
            let (hub, sessions, clients, panes) =
                (&self.hub, &sessions[..], &clients[..], &briefs[..]);
            let around =
                Surroundings { hub, session, own_pane, own_client: pid, sessions, clients, panes };
            for duty in around.duties() {
                if duty == Duty::Leave {
                    return self.leave(site, clock);
                }
                self.hurried = true;
                let batch = duty.batch(&self.hub, session);
                self.send(&batch, Ask::Order, site, clock);
            }
        }
        let sessions = convert::sessions(&self.target, &sessions);
        self.tell_all(began, sessions, rows, site);
    }

    fn tell_all(
        &mut self,
        began: MonoMs,
        sessions: Vec<SessionRow>,
        rows: Vec<PaneRow>,
        site: &Site,
    ) {
        let by_pane = convert::by_pane(rows, |row| &row.brief, &sessions);
        self.activity = by_pane
            .iter()
            .filter_map(|(pane, rows)| Some((*pane, rows.first()?.brief.window_activity)))
            .collect();
        let facts = by_pane.iter().filter_map(|(pane, rows)| {
            let agent = convert::agent(site.agent(*pane), &site.host);
            convert::facts(rows, agent, &site.host).map(|facts| (*pane, facts))
        });
        let panes: BTreeMap<u32, PaneFacts> = facts.collect();
        self.quiet = if self.panes == panes { self.quiet + 1 } else { 0 };
        self.panes = panes;
        self.sessions = sessions;
        let Some(server) = self.server.clone() else { return };
        let outputs = if self.listens { Vec::new() } else { self.last_outputs() };
        self.listens = true;
        self.told.push(Observation::Topology(Box::new(Topology {
            began,
            server,
            sessions: self.sessions.clone(),
            panes: self.panes.values().cloned().collect(),
            outputs,
        })));
    }

    /// When panes last printed, by what tmux counts in whole seconds for each window.
    fn last_outputs(&self) -> Vec<LastOutput> {
        let neighbours = |facts: &PaneFacts| {
            self.panes.values().filter(|it| it.window == facts.window).count() > 1
        };
        let output = |(pane, second): (&u32, &u64)| {
            let facts = self.panes.get(pane)?;
            let at_ms = i64::try_from(*second).ok()? * 1_000;
            let certain = (!neighbours(facts)).then_some(WallMs(at_ms));
            Some(LastOutput { pane: facts.pane, certain, latest: WallMs(at_ms + 999) })
        };
        self.activity.iter().filter_map(output).collect()
    }

    /// A cheap look: whatever differs is looked at properly.
    fn take_briefs(&mut self, rows: Vec<PaneBrief>, site: &mut Site, clock: &Clock, rng: &mut Rng) {
        let strange = |row: &&PaneBrief| {
            let known = self.sessions.iter().any(|it| it.session.0 == row.session.0);
            let hub = match &self.line {
                Line::Control(link) => link.seat.is_some_and(|seat| seat.session == row.session),
                Line::None | Line::Forked { .. } => false,
            };
            !known && !hub
        };
        let strange = rows.iter().any(|row| strange(&row));
        let by_pane = convert::by_pane(rows, |row| row, &self.sessions);
        if strange || !by_pane.keys().eq(self.panes.keys()) {
            return self.ask_for_all(site, clock, rng);
        }
        for (pane, briefs) in &by_pane {
            let (Some(brief), Some(facts)) = (briefs.first(), self.panes.get(pane)) else {
                continue;
            };
            if brief_differs(brief, briefs.len(), facts) || process_differs(brief, facts, site) {
                self.suspects.insert(*pane);
            }
            let activity = self.activity.insert(*pane, brief.window_activity);
            if activity != Some(brief.window_activity) {
                self.suspects.insert(*pane);
            }
        }
        self.quiet = if self.suspects.is_empty() { self.quiet + 1 } else { 0 };
        if self.suspects.is_empty() {
            self.told.push(Observation::Unchanged);
        }
    }

    /// A look at some panes; one that moved or went needs a look at everything.
    fn take_some(&mut self, rows: Vec<PaneRow>, site: &Site) {
        let mut seen = Vec::new();
        for row in rows {
            let pane = row.brief.pane.0;
            let Some(known) = self.panes.get(&pane) else {
                self.hurried = true;
                continue;
            };
            let same_place = known.window.0 == row.brief.window.0
                && known.session.0 == row.brief.session.0
                && known.window_index == row.brief.window_index
                && known.links.is_empty();
            if !same_place {
                self.hurried = true;
                continue;
            }
            let agent = convert::agent(site.agent(pane), &site.host);
            seen.extend(convert::facts(&[row], agent, &site.host));
        }
        let Some(server) = self.server.clone() else { return };
        self.panes.extend(seen.iter().map(|facts| (facts.pane.0, facts.clone())));
        self.told.push(Observation::Panes { server, panes: seen });
    }

    /// Nothing of the user's is left: we go too.
    fn leave(&mut self, site: &mut Site, clock: &Clock) {
        let batch = self.hub.leave();
        self.send(&batch, Ask::Order, site, clock);
        if let Some(server) = self.server.clone() {
            self.tell_nothing_on(server, clock);
        }
        self.next_try_ms = clock.true_ms() + RETRY_MS;
    }

    /// Everything by one forked command after another.
    fn look_by_fork(&mut self, site: &mut Site, clock: &Clock, rng: &mut Rng, calm: bool) {
        let now = clock.true_ms();
        if !self.hurried && self.suspects.is_empty() && now - self.last_look_ms < LOOK_MS.0 {
            return;
        }
        (self.hurried, self.last_look_ms, self.last_full_ms) = (false, now, now);
        self.suspects.clear();
        let began = clock.now().mono;
        if site.tmux.is_none() && site.is_reached() {
            return self.line = Line::None;
        }
        let (sessions, rows) =
            (Scan::<TmuxSession>::all(nonce(rng)), Scan::<PaneRow>::all(nonce(rng)));
        let mut ask = |batch| site.fork(&words(&batch), clock);
        let (Some(listed), Some(shown)) = (ask(sessions.batch()), ask(rows.batch())) else {
            self.told.push(failed("E_TIMEOUT"));
            return;
        };
        // A command that was killed half-way leaves half an answer.
        let killed = rng.permille(50) && !calm;
        let cut = if killed { rng.below(shown.output.len() + 1) } else { shown.output.len() };
        let listed = self.proven(&sessions, &listed.output);
        let shown = self.proven(&rows, &shown.output[..cut]);
        let (Some(listed), Some(shown)) = (listed, shown) else {
            self.line = Line::None;
            self.told.push(failed("E_GARBLED"));
            return;
        };
        let sessions = convert::sessions(&self.target, &listed.rows);
        if sessions.is_empty() {
            self.line = Line::None;
        }
        self.tell_all(began, sessions, shown.rows, site);
    }
}

fn brief_differs(brief: &PaneBrief, places: usize, facts: &PaneFacts) -> bool {
    brief.window.0 != facts.window.0
        || brief.session.0 != facts.session.0
        || brief.window_index != facts.window_index
        || brief.dead != facts.dead
        || brief.pid.unwrap_or_default() != facts.process.pid
        || (brief.width, brief.height) != (facts.width, facts.height)
        || brief.bell != facts.bell
        || brief.pane_active != facts.pane_active
        || brief.window_active != facts.window_active
        || places > 1
}

fn process_differs(brief: &PaneBrief, facts: &PaneFacts, site: &Site) -> bool {
    let now = convert::process(brief, &site.host);
    let agent = convert::agent(site.agent(facts.pane.0), &site.host);
    now != facts.process || agent != facts.agent
}

fn trouble(code: &str) -> Trouble {
    let message = "the made-up tmux did not answer as it should".to_owned();
    Trouble { code: code.to_owned(), message }
}

fn failed(code: &str) -> Observation {
    Observation::Failed { trouble: trouble(code), weight: 1 }
}

/// A connection that nothing comes over any more counts for three.
fn given_up() -> Observation {
    Observation::Failed { trouble: trouble(UNREACHABLE), weight: 3 }
}

fn nonce(rng: &mut Rng) -> Nonce {
    Nonce::from_random(rng.next().to_be_bytes())
}

/// A batch as the words of a program. Ours are always short enough.
fn words(batch: &tmux::command::Batch) -> Vec<Vec<u8>> {
    batch.argv().unwrap_or_else(|error| panic!("{error}"))
}
