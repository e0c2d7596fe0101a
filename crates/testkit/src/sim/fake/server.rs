//! What one life of a tmux server holds, and how its parts come and go together.
//!
//! Only what our scans can show is modelled, and of that only what tmux really does: ids that
//! never come back, panes that carry their id from window to window, windows that live as long as
//! one session shows them.

use std::collections::{BTreeMap, BTreeSet};

use super::host::Host;
use super::notice::Notice;

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    pub(crate) started_ns: i64,
    /// Whole seconds of the wall clock at its start.
    pub(crate) start_time: i64,
    pub(crate) sessions: BTreeMap<u32, Session>,
    pub(crate) windows: BTreeMap<u32, Window>,
    pub(crate) panes: BTreeMap<u32, Pane>,
    pub(crate) next_session: u32,
    pub(crate) next_window: u32,
    pub(crate) next_pane: u32,
    next_tty: u32,
    /// Terminals of the user's, by the number of their device, and the session each shows.
    pub(crate) terminals: BTreeMap<u32, u32>,
    /// What becomes of a terminal whose session ended; by default it is detached.
    pub(crate) detaches_on_destroy: bool,
    /// What control clients are to be told, oldest first.
    pub(crate) notices: Vec<Notice>,
    /// Processes that were ended by what happened to their panes.
    pub(crate) orphans: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) created: i64,
    pub(crate) activity: i64,
    pub(crate) links: BTreeMap<u32, Link>,
    /// The index of the link that is shown.
    pub(crate) current: u32,
    /// The session ends with its last client; set on hubs.
    pub(crate) ends_with_client: bool,
}

/// A window as one session shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) window: u32,
    pub(crate) bell: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) name: String,
    /// From left to right.
    pub(crate) panes: Vec<u32>,
    pub(crate) active: u32,
    pub(crate) zoomed: bool,
    pub(crate) remain_on_exit: bool,
    pub(crate) activity: i64,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Pane {
    pub(crate) tty: u32,
    /// The process that tmux started here; it stays as a number when it is dead.
    pub(crate) pid: u32,
    pub(crate) dead: Option<Death>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) in_mode: bool,
    pub(crate) alternate: bool,
    pub(crate) history: u32,
    pub(crate) command: String,
    pub(crate) start_command: String,
    pub(crate) path: Vec<u8>,
    pub(crate) title: String,
    /// A recognised agent's process below the pane's own.
    pub(crate) agent: Option<Agent>,
}

#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) kind: &'static str,
    pub(crate) pid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Status(i32),
    Signal(i32),
}

/// What a new pane shows.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) pid: u32,
    pub(crate) command: String,
    pub(crate) start_command: String,
    pub(crate) path: Vec<u8>,
    pub(crate) title: String,
}

impl Server {
    pub(crate) fn new(pid: u32, started_ns: i64, start_time: i64) -> Self {
        Self {
            pid,
            started_ns,
            start_time,
            sessions: BTreeMap::new(),
            windows: BTreeMap::new(),
            panes: BTreeMap::new(),
            next_session: 0,
            next_window: 0,
            next_pane: 0,
            next_tty: 0,
            terminals: BTreeMap::new(),
            detaches_on_destroy: true,
            notices: Vec::new(),
            orphans: Vec::new(),
        }
    }

    /// A session with one window of one pane.
    pub(crate) fn new_session(
        &mut self,
        name: String,
        window_name: String,
        program: Program,
        now_s: i64,
    ) -> u32 {
        let id = self.next_session;
        self.next_session += 1;
        self.sessions.insert(
            id,
            Session {
                name,
                created: now_s,
                activity: now_s,
                links: BTreeMap::new(),
                current: 0,
                ends_with_client: false,
            },
        );
        self.new_window(id, window_name, program, now_s);
        self.notices.push(Notice::SessionsChanged);
        id
    }

    /// A window of one pane at the first free index of a session.
    pub(crate) fn new_window(
        &mut self,
        session: u32,
        name: String,
        program: Program,
        now_s: i64,
    ) -> u32 {
        let window = self.next_window;
        self.next_window += 1;
        let (width, height) = (80, 24);
        let pane = self.new_pane(program, width, height);
        self.windows.insert(
            window,
            Window {
                name,
                panes: vec![pane],
                active: pane,
                zoomed: false,
                remain_on_exit: false,
                activity: now_s,
                width,
                height,
            },
        );
        self.link(session, window);
        window
    }

    fn new_pane(&mut self, program: Program, width: u32, height: u32) -> u32 {
        let id = self.next_pane;
        self.next_pane += 1;
        let Program { pid, command, start_command, path, title } = program;
        self.panes.insert(
            id,
            Pane {
                tty: self.next_tty,
                pid,
                dead: None,
                width,
                height,
                in_mode: false,
                alternate: false,
                history: 0,
                command,
                start_command,
                path,
                title,
                agent: None,
            },
        );
        self.next_tty += 1;
        id
    }

    /// A pane behind another one in its window.
    pub(crate) fn split(&mut self, beside: u32, program: Program) -> Option<u32> {
        let window = self.window_of(beside)?;
        let pane = self.new_pane(program, 40, 24);
        let window = self.windows.get_mut(&window)?;
        let at = window.panes.iter().position(|it| *it == beside)?;
        window.panes.insert(at + 1, pane);
        window.active = pane;
        window.zoomed = false;
        Some(pane)
    }

    pub(crate) fn window_of(&self, pane: u32) -> Option<u32> {
        let holds = |window: &&Window| window.panes.contains(&pane);
        let found = self.windows.iter().find(|(_, window)| holds(window));
        found.map(|(id, _)| *id)
    }

    /// Shows a window in one more session, at its first free index.
    pub(crate) fn link(&mut self, session: u32, window: u32) {
        let Some(shown) = self.sessions.get_mut(&session) else { return };
        let index = (0..).find(|index| !shown.links.contains_key(index)).unwrap_or(0);
        if shown.links.is_empty() {
            shown.current = index;
        }
        shown.links.insert(index, Link { window, bell: false });
        self.notices.push(Notice::WindowAdded { window });
    }

    /// Takes a window out of a session; what nobody shows any more ends.
    pub(crate) fn unlink(&mut self, session: u32, index: u32) {
        let Some(shown) = self.sessions.get_mut(&session) else { return };
        let Some(link) = shown.links.remove(&index) else { return };
        if shown.current == index {
            let next = shown.links.range(..index).next_back().or(shown.links.iter().next());
            let next = next.map(|(index, link)| (*index, link.window));
            shown.current = next.map_or(0, |(index, _)| index);
            self.notices.extend(next.map(|(_, window)| Notice::CurrentWindow { session, window }));
        }
        let empty = shown.links.is_empty();
        self.notices.push(Notice::WindowClosed { window: link.window });
        if !self.is_linked(link.window) {
            self.drop_window(link.window);
        }
        if empty {
            self.end_session(session);
        }
    }

    pub(crate) fn is_linked(&self, window: u32) -> bool {
        let mut links = self.sessions.values().flat_map(|session| session.links.values());
        links.any(|link| link.window == window)
    }

    fn drop_window(&mut self, window: u32) {
        let Some(window) = self.windows.remove(&window) else { return };
        for pane in window.panes {
            self.drop_pane(pane);
        }
    }

    fn drop_pane(&mut self, pane: u32) {
        let id = pane;
        let Some(pane) = self.panes.remove(&id) else { return };
        if pane.in_mode {
            self.notices.push(Notice::Mode { pane: id });
        }
        self.orphans.extend(pane.agent.map(|agent| agent.pid));
        if pane.dead.is_none() {
            self.orphans.push(pane.pid);
        }
    }

    pub(crate) fn end_session(&mut self, session: u32) {
        let Some(ended) = self.sessions.remove(&session) else { return };
        let windows: BTreeSet<u32> = ended.links.values().map(|link| link.window).collect();
        for window in windows {
            self.notices.push(Notice::WindowClosed { window });
            if !self.is_linked(window) {
                self.drop_window(window);
            }
        }
        self.notices.push(Notice::SessionsChanged);
    }

    pub(crate) fn kill_window(&mut self, window: u32) {
        let places: Vec<(u32, u32)> = self.places_of(window);
        for (session, index) in places {
            self.unlink(session, index);
        }
    }

    /// Where a window is shown: session and index.
    pub(crate) fn places_of(&self, window: u32) -> Vec<(u32, u32)> {
        let mut places = Vec::new();
        for (session, shown) in &self.sessions {
            let links = shown.links.iter().filter(|(_, link)| link.window == window);
            places.extend(links.map(|(index, _)| (*session, *index)));
        }
        places
    }

    pub(crate) fn kill_pane(&mut self, pane: u32) {
        let Some(window) = self.window_of(pane) else { return };
        if self.windows.get(&window).is_some_and(|it| it.panes.len() == 1) {
            return self.kill_window(window);
        }
        self.take_out(window, pane);
        self.drop_pane(pane);
    }

    /// Takes a pane out of a window that holds more than it.
    fn take_out(&mut self, window: u32, pane: u32) {
        let Some(window) = self.windows.get_mut(&window) else { return };
        window.zoomed = false;
        window.panes.retain(|it| *it != pane);
        if window.active == pane {
            window.active = window.panes.first().copied().unwrap_or(pane);
        }
    }

    /// Moves a pane beside another one, maybe into another window.
    pub(crate) fn join(&mut self, pane: u32, beside: u32) {
        let (Some(from), Some(to)) = (self.window_of(pane), self.window_of(beside)) else { return };
        if from == to {
            return;
        }
        let last = self.windows.get(&from).is_some_and(|it| it.panes.len() == 1);
        if last {
            // The window goes, its pane does not.
            if let Some(window) = self.windows.get_mut(&from) {
                window.panes.clear();
            }
            self.kill_window(from);
        } else {
            self.take_out(from, pane);
        }
        if let Some(window) = self.windows.get_mut(&to) {
            let at = window.panes.iter().position(|it| *it == beside).unwrap_or(0);
            window.panes.insert(at + 1, pane);
            window.active = pane;
            window.zoomed = false;
        }
    }

    /// Gives a pane a window of its own in a session.
    pub(crate) fn break_out(&mut self, pane: u32, session: u32, name: String, now_s: i64) {
        let Some(from) = self.window_of(pane) else { return };
        let Some(window) = self.windows.get(&from) else { return };
        if window.panes.len() == 1 || !self.sessions.contains_key(&session) {
            return;
        }
        let (width, height) = (window.width, window.height);
        self.take_out(from, pane);
        let id = self.next_window;
        self.next_window += 1;
        self.windows.insert(
            id,
            Window {
                name,
                panes: vec![pane],
                active: pane,
                zoomed: false,
                remain_on_exit: false,
                activity: now_s,
                width,
                height,
            },
        );
        self.link(session, id);
    }

    pub(crate) fn swap(&mut self, one: u32, other: u32) {
        let (Some(from), Some(to)) = (self.window_of(one), self.window_of(other)) else { return };
        for window in BTreeSet::from([from, to]) {
            let Some(window) = self.windows.get_mut(&window) else { continue };
            window.zoomed = false;
            for pane in &mut window.panes {
                *pane = if *pane == one {
                    other
                } else if *pane == other {
                    one
                } else {
                    *pane
                };
            }
            if !window.panes.contains(&window.active) {
                window.active = if window.active == one { other } else { one };
            }
        }
    }

    /// The pane's process ended: the pane stays as dead, or goes.
    pub(crate) fn process_ended(&mut self, pane: u32, death: Death) {
        let remains = self
            .window_of(pane)
            .and_then(|window| self.windows.get(&window))
            .is_some_and(|window| window.remain_on_exit);
        let Some(ended) = self.panes.get_mut(&pane) else { return };
        ended.dead = Some(death);
        ended.in_mode = false;
        let agent = ended.agent.take();
        self.orphans.extend(agent.map(|agent| agent.pid));
        if !remains {
            self.kill_pane(pane);
        }
    }

    /// A new process and a new terminal in an old pane.
    pub(crate) fn respawn(&mut self, pane: u32, program: Program) {
        let tty = self.next_tty;
        let Some(it) = self.panes.get_mut(&pane) else { return };
        self.next_tty += 1;
        if it.dead.is_none() {
            self.orphans.push(it.pid);
        }
        self.orphans.extend(it.agent.take().map(|agent| agent.pid));
        it.tty = tty;
        it.pid = program.pid;
        it.dead = None;
        it.in_mode = false;
        it.alternate = false;
        it.history = 0;
        it.command = program.command;
        it.start_command = program.start_command;
        it.path = program.path;
    }

    /// Moves a window from one session to another.
    pub(crate) fn move_window(&mut self, session: u32, index: u32, to: u32) {
        let link = self.sessions.get(&session).and_then(|it| it.links.get(&index)).copied();
        if let Some(link) = link.filter(|_| session != to && self.sessions.contains_key(&to)) {
            self.link(to, link.window);
            self.unlink(session, index);
        }
    }

    /// A bell in a window flags it wherever nobody is looking at it.
    pub(crate) fn ring(&mut self, window: u32) {
        let shown: BTreeSet<u32> = self.terminals.values().copied().collect();
        for (id, session) in &mut self.sessions {
            let (current, watched) = (session.current, shown.contains(id));
            for (index, link) in &mut session.links {
                let seen = *index == current && watched;
                link.bell |= link.window == window && !seen;
            }
        }
    }

    /// Every pane that a session shows.
    pub(crate) fn panes_of(&self, session: u32) -> BTreeSet<u32> {
        let links = self.sessions.get(&session).into_iter().flat_map(|it| it.links.values());
        let windows = links.filter_map(|link| self.windows.get(&link.window));
        windows.flat_map(|window| window.panes.iter().copied()).collect()
    }

    /// How many terminals of the user's show a session.
    pub(crate) fn attached(&self, session: u32) -> usize {
        self.terminals.values().filter(|it| **it == session).count()
    }

    /// Whether nothing is left that keeps the server alive.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Ends whatever was orphaned since the last call.
    pub(crate) fn bury(&mut self, host: &mut Host, now_ns: i64) {
        for pid in std::mem::take(&mut self.orphans) {
            host.end(pid, now_ns);
        }
    }

    /// Everything ends with the server.
    pub(crate) fn end(&mut self, host: &mut Host, now_ns: i64) {
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end_session(session);
        }
        self.bury(host, now_ns);
        host.end(self.pid, now_ns);
    }
}
