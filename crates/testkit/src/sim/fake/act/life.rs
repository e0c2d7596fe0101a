//! Processes of panes: how they come, go, and become others.

use super::{Hands, Room, live_pane, user_pane, user_session, users_sessions};
use crate::sim::clock::Clock;
use crate::sim::fake::host::Host;
use crate::sim::fake::server::{Agent, Death, Program, Server};
use crate::sim::rng::Rng;
use crate::sim::texts;

#[derive(Clone, Debug)]
pub(crate) enum Life {
    NewSession,
    NewWindow { session: u32 },
    Split { beside: u32 },
    Respawn { pane: u32 },
    Exec { pane: u32 },
    Exit { pane: u32, death: Death },
    AgentStarts { pane: u32, kind: &'static str },
    AgentEnds { pane: u32 },
}

/// The agents that the world knows.
const AGENTS: &[&str] = &["claude", "codex", "gemini"];

impl Life {
    pub(super) fn draw_growth(rng: &mut Rng, server: &Server, room: Room) -> Option<Life> {
        let sessions = users_sessions(server).count();
        if sessions == 0 || (sessions < room.sessions && rng.permille(250)) {
            return Some(Life::NewSession);
        }
        if rng.permille(500) {
            return Some(Life::NewWindow { session: user_session(rng, server)? });
        }
        Some(Life::Split { beside: user_pane(rng, server)? })
    }

    pub(super) fn draw(rng: &mut Rng, server: &Server) -> Option<Life> {
        if rng.permille(250) {
            return Some(Life::Respawn { pane: user_pane(rng, server)? });
        }
        let pane = live_pane(rng, server)?;
        let agent = server.panes.get(&pane)?.agent.is_some();
        Some(match rng.below(6) {
            0 => Life::Exec { pane },
            1..=3 if agent => Life::AgentEnds { pane },
            1..=3 => Life::AgentStarts { pane, kind: rng.pick(AGENTS)? },
            _ if rng.permille(300) => Life::Exit { pane, death: Death::Signal(9) },
            _ => {
                let status = i32::try_from(rng.between(0, 255)).unwrap_or(1);
                Life::Exit { pane, death: Death::Status(status) }
            }
        })
    }

    pub(super) fn perform(&self, hands: &mut Hands<'_>) {
        let now_ns = hands.clock.kernel_ns();
        match self {
            Life::NewSession
            | Life::NewWindow { .. }
            | Life::Split { .. }
            | Life::Respawn { .. } => self.start(hands),
            Life::Exec { pane } => {
                if let Some(it) = hands.server.panes.get_mut(pane) {
                    hands.host.exec(it.pid);
                    it.command = texts::command(hands.rng);
                }
            }
            Life::Exit { pane, death } => {
                let Some(pid) = hands.server.panes.get(pane).map(|it| it.pid) else { return };
                hands.host.end(pid, now_ns);
                hands.server.process_ended(*pane, *death);
            }
            Life::AgentStarts { pane, kind } => {
                let pid = hands.host.spawn(now_ns);
                if let Some(it) = hands.server.panes.get_mut(pane) {
                    it.agent = Some(Agent { kind, pid });
                    (*kind).clone_into(&mut it.command);
                }
            }
            Life::AgentEnds { pane } => {
                let pane = hands.server.panes.get_mut(pane);
                if let Some(agent) = pane.and_then(|it| it.agent.take()) {
                    hands.host.end(agent.pid, now_ns);
                }
            }
        }
    }

    /// What begins with a new process.
    fn start(&self, hands: &mut Hands<'_>) {
        let Hands { server, host, clock, rng } = hands;
        let program = program(host, clock, rng);
        let now_s = clock.wall_seconds();
        match self {
            Life::NewSession => {
                let name = texts::session_name(rng, server.next_session);
                server.new_session(name, texts::window_name(rng), program, now_s);
            }
            Life::NewWindow { session } => {
                server.new_window(*session, texts::window_name(rng), program, now_s);
            }
            Life::Split { beside } => {
                server.split(*beside, program);
            }
            Life::Respawn { pane } => server.respawn(*pane, program),
            Life::Exec { .. }
            | Life::Exit { .. }
            | Life::AgentStarts { .. }
            | Life::AgentEnds { .. } => host.end(program.pid, clock.kernel_ns()),
        }
    }
}

/// A shell that has just started.
pub(crate) fn program(host: &mut Host, clock: &Clock, rng: &mut Rng) -> Program {
    Program {
        pid: host.spawn(clock.kernel_ns()),
        command: texts::command(rng),
        start_command: String::new(),
        path: texts::path(rng),
        title: texts::title(rng),
    }
}
