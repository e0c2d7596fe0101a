//! What a complete and honest look at the made-up server shows: straight from the truth, without
//! any byte in between. The reference that everything else is compared with.

use std::collections::BTreeMap;

use engine::event::SessionRow;
use engine::ids::{AgentType, BootId, PaneId, SessionId, TargetId, WindowId};
use engine::input::{LastOutput, Topology};
use engine::pane::{AgentProcess, Link, PaneFacts, ProcessIdentity};
use engine::target::{ObserverMode, ServerFacts};
use engine::time::{MonoMs, WallMs};

use super::fake::host::Host;
use super::fake::server::{Death, Pane, Server, Session, Window};
use super::rng::Rng;

/// The version that the made-up tmux says it is.
pub(crate) const VERSION: &str = "3.3a";

/// Looks at everything.
pub(crate) fn topology(
    target: &TargetId,
    socket: &str,
    server: &Server,
    host: &Host,
    began: MonoMs,
) -> Topology {
    Topology {
        began,
        server: server_facts(socket, server, host),
        sessions: sessions(target, server),
        panes: panes(server, host),
        outputs: Vec::new(),
    }
}

/// Outputs that nobody heard, at moments that have nothing to do with what was heard.
pub(crate) fn outputs(panes: &[PaneFacts], now: WallMs, rng: &mut Rng) -> Vec<LastOutput> {
    let mut output = |facts: &PaneFacts| {
        let earliest = now.0 - rng.between(0, 60_000);
        let certain = rng.permille(500).then_some(WallMs(earliest));
        LastOutput { pane: facts.pane, certain, latest: WallMs(earliest + rng.between(0, 8_000)) }
    };
    panes.iter().map(&mut output).collect()
}

pub(crate) fn boot_id(server: &Server, host: &Host) -> BootId {
    BootId::new(format!("{}:{}:{}", host.boot, server.pid, server.started_ns))
}

pub(crate) fn server_facts(socket: &str, server: &Server, host: &Host) -> ServerFacts {
    ServerFacts {
        boot: boot_id(server, host),
        pid: server.pid,
        version: VERSION.to_owned(),
        socket: socket.to_owned(),
        started_at: WallMs(server.start_time * 1_000),
        mode: ObserverMode::Control,
    }
}

/// The user's sessions, by id.
fn users(server: &Server) -> impl Iterator<Item = (u32, &Session)> {
    let shown = server.sessions.iter().filter(|(_, it)| !tmux::hub::is_hub_name(&it.name));
    shown.map(|(id, session)| (*id, session))
}

pub(crate) fn sessions(target: &TargetId, server: &Server) -> Vec<SessionRow> {
    users(server)
        .map(|(id, session)| SessionRow {
            target: target.clone(),
            session: SessionId(id),
            name: session.name.clone(),
            attached: u32::try_from(server.attached(id)).unwrap_or(u32::MAX),
            created_s: session.created,
        })
        .collect()
}

/// Every pane that a session of the user's shows, once.
pub(crate) fn panes(server: &Server, host: &Host) -> Vec<PaneFacts> {
    let mut places: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for (session, shown) in users(server) {
        for (index, link) in &shown.links {
            places.entry(link.window).or_default().push((session, *index));
        }
    }
    let mut facts = Vec::new();
    for (window, places) in &places {
        let Some(shown) = server.windows.get(window) else { continue };
        for (index, pane) in shown.panes.iter().enumerate() {
            let place = Place { server, window: *window, shown, places, index };
            facts.extend(place.facts(*pane, host));
        }
    }
    facts.sort_by_key(|it| it.pane);
    facts
}

/// The facts of one pane, if a session of the user's shows it.
pub(crate) fn pane(server: &Server, host: &Host, pane: u32) -> Option<PaneFacts> {
    let window = server.window_of(pane)?;
    let shown = server.windows.get(&window)?;
    let mut places = Vec::new();
    for (session, it) in users(server) {
        let links = it.links.iter().filter(|(_, link)| link.window == window);
        places.extend(links.map(|(index, _)| (session, *index)));
    }
    let index = shown.panes.iter().position(|it| *it == pane)?;
    Place { server, window, shown, places: &places, index }.facts(pane, host)
}

/// Where a pane stands.
struct Place<'a> {
    server: &'a Server,
    window: u32,
    shown: &'a Window,
    /// Session and index, by session; the first one counts.
    places: &'a [(u32, u32)],
    index: usize,
}

impl Place<'_> {
    fn facts(&self, id: u32, host: &Host) -> Option<PaneFacts> {
        let pane = self.server.panes.get(&id)?;
        let (first, window_index) = *self.places.first()?;
        let session = self.server.sessions.get(&first)?;
        let link = |(session, window_index): &(u32, u32)| Link {
            session: SessionId(*session),
            window_index: *window_index,
        };
        let mut links: Vec<Link> = self.places[1..].iter().map(link).collect();
        links.dedup_by_key(|it| it.session);
        links.retain(|it| it.session.0 != first);
        let mut facts = PaneFacts {
            pane: PaneId(id),
            window: WindowId(self.window),
            session: SessionId(first),
            session_name: session.name.clone(),
            window_name: self.shown.name.clone(),
            window_index,
            pane_index: u32::try_from(self.index).unwrap_or(u32::MAX),
            pane_active: self.shown.active == id,
            window_active: session.current == window_index,
            links,
            width: pane.width,
            height: pane.height,
            tty: format!("/dev/pts/{}", pane.tty),
            process: process(pane, host),
            dead: pane.dead.is_some(),
            dead_status: status(pane),
            dead_signal: signal(pane),
            in_mode: pane.in_mode,
            bell: session.links.get(&window_index).is_some_and(|link| link.bell),
            zoomed: self.shown.zoomed,
            alternate_screen: pane.alternate,
            command: pane.command.clone(),
            path: String::from_utf8_lossy(&pane.path).into_owned(),
            title: pane.title.clone(),
            agent: agent(pane, host),
        };
        facts.bound();
        Some(facts)
    }
}

fn process(pane: &Pane, host: &Host) -> ProcessIdentity {
    let gone = ProcessIdentity { pid: pane.pid, started_ns: None, exec_mark: None };
    if pane.dead.is_some() { gone } else { host.identity(pane.pid).unwrap_or(gone) }
}

fn status(pane: &Pane) -> Option<i32> {
    match pane.dead? {
        Death::Status(status) => Some(status),
        Death::Signal(_) => None,
    }
}

fn signal(pane: &Pane) -> Option<i32> {
    match pane.dead? {
        Death::Signal(signal) => Some(signal),
        Death::Status(_) => None,
    }
}

fn agent(pane: &Pane, host: &Host) -> Option<AgentProcess> {
    let agent = pane.agent.as_ref()?;
    let process = host.identity(agent.pid)?;
    Some(AgentProcess { agent: AgentType::new(agent.kind), process })
}
