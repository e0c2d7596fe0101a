//! What things are called, which of them is shown, and how.

use super::{Hands, live_pane, user_pane, user_session};
use crate::sim::fake::notice::Notice;
use crate::sim::fake::server::{Pane, Server};
use crate::sim::rng::Rng;
use crate::sim::texts;

/// A user has so many terminals, from number 900 on.
const TERMINALS_END: u32 = 906;

#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// Something about one session.
    Session { session: u32, change: SessionLook },
    /// Something about one window.
    Window { window: u32, change: WindowLook },
    /// Something about one pane.
    Pane { pane: u32, change: PaneLook },
}

#[derive(Clone, Debug)]
pub(crate) enum SessionLook {
    Rename,
    Select { index: u32 },
    ClearBell { index: u32 },
    Attach,
    Detach,
}

#[derive(Clone, Debug)]
pub(crate) enum WindowLook {
    Rename,
    Select { pane: u32 },
    Zoom,
    RemainOnExit { on: bool },
}

#[derive(Clone, Debug)]
pub(crate) enum PaneLook {
    Title,
    Path,
    Command,
    Size { width: u32, height: u32 },
    Mode { on: bool },
    Alternate { on: bool },
}

impl Look {
    pub(super) fn draw(rng: &mut Rng, server: &Server) -> Option<Look> {
        Some(match rng.below(10) {
            0..=2 => {
                let session = user_session(rng, server)?;
                Look::Session { session, change: SessionLook::draw(rng, server, session)? }
            }
            3..=4 => {
                let pane = user_pane(rng, server)?;
                let change = match rng.below(4) {
                    0 => WindowLook::Rename,
                    1 => WindowLook::Select { pane },
                    2 => WindowLook::Zoom,
                    _ => WindowLook::RemainOnExit { on: rng.permille(700) },
                };
                Look::Window { window: server.window_of(pane)?, change }
            }
            _ => Look::Pane { pane: live_pane(rng, server)?, change: PaneLook::draw(rng) },
        })
    }

    pub(super) fn perform(&self, hands: &mut Hands<'_>) {
        match self {
            Look::Session { session, change } => change.perform(hands, *session),
            Look::Window { window, change } => change.perform(hands, *window),
            Look::Pane { pane, change } => {
                let Some(it) = hands.server.panes.get_mut(pane) else { return };
                if change.perform(it, hands.rng) {
                    hands.server.notices.push(Notice::Mode { pane: *pane });
                }
            }
        }
    }
}

impl SessionLook {
    fn draw(rng: &mut Rng, server: &Server, session: u32) -> Option<SessionLook> {
        let index = *rng.choose(server.sessions.get(&session)?.links.keys())?;
        Some(match rng.below(5) {
            0 => SessionLook::Rename,
            1 => SessionLook::Select { index },
            2 => SessionLook::ClearBell { index },
            3 => SessionLook::Attach,
            _ => SessionLook::Detach,
        })
    }

    fn perform(&self, hands: &mut Hands<'_>, session: u32) {
        let now_s = hands.clock.wall_seconds();
        let Some(it) = hands.server.sessions.get_mut(&session) else { return };
        let notice = match self {
            SessionLook::Rename => {
                it.name = texts::session_name(hands.rng, session);
                Notice::SessionRenamed { session, name: it.name.clone() }
            }
            SessionLook::Select { index } => {
                let Some(link) = it.links.get_mut(index) else { return };
                link.bell = false;
                it.current = *index;
                Notice::CurrentWindow { session, window: link.window }
            }
            SessionLook::ClearBell { index } => {
                if let Some(link) = it.links.get_mut(index) {
                    link.bell = false;
                }
                return;
            }
            SessionLook::Attach => {
                it.activity = now_s;
                let name = it.name.clone();
                let taken = &mut hands.server.terminals;
                let Some(terminal) = (900..TERMINALS_END).find(|id| !taken.contains_key(id)) else {
                    return;
                };
                taken.insert(terminal, session);
                Notice::ClientMoved { client: format!("/dev/pts/{terminal}"), session, name }
            }
            SessionLook::Detach => {
                let terminals = &mut hands.server.terminals;
                let shows = terminals.iter().find(|(_, it)| **it == session).map(|(id, _)| *id);
                let Some(terminal) = shows else { return };
                terminals.remove(&terminal);
                Notice::ClientGone { client: format!("/dev/pts/{terminal}") }
            }
        };
        hands.server.notices.push(notice);
    }
}

impl WindowLook {
    fn perform(&self, hands: &mut Hands<'_>, window: u32) {
        let Some(it) = hands.server.windows.get_mut(&window) else { return };
        let notice = match self {
            WindowLook::Rename => {
                it.name = texts::visible(&texts::window_name(hands.rng));
                Notice::WindowRenamed { window, name: it.name.clone() }
            }
            WindowLook::Select { pane } if it.panes.contains(pane) => {
                it.active = *pane;
                it.zoomed = false;
                Notice::ActivePane { window, pane: *pane }
            }
            WindowLook::Select { .. } => return,
            WindowLook::Zoom => {
                it.zoomed = !it.zoomed && it.panes.len() > 1;
                return;
            }
            WindowLook::RemainOnExit { on } => {
                it.remain_on_exit = *on;
                return;
            }
        };
        hands.server.notices.push(notice);
    }
}

impl PaneLook {
    fn draw(rng: &mut Rng) -> PaneLook {
        match rng.below(10) {
            0..=2 => PaneLook::Title,
            3 => PaneLook::Path,
            4 | 5 => PaneLook::Command,
            6 | 7 => {
                let width = u32::try_from(rng.between(1, 300)).unwrap_or(80);
                PaneLook::Size { width, height: width / 2 + 1 }
            }
            8 => PaneLook::Mode { on: rng.permille(500) },
            _ => PaneLook::Alternate { on: rng.permille(500) },
        }
    }

    /// Does it; says whether the pane's mode changed.
    fn perform(&self, pane: &mut Pane, rng: &mut Rng) -> bool {
        let was_in_mode = pane.in_mode;
        match self {
            PaneLook::Title => pane.title = texts::title(rng),
            PaneLook::Path => pane.path = texts::path(rng),
            PaneLook::Command => pane.command = texts::command(rng),
            PaneLook::Size { width, height } => (pane.width, pane.height) = (*width, *height),
            PaneLook::Mode { on } => pane.in_mode = *on,
            PaneLook::Alternate { on } => pane.alternate = *on,
        }
        pane.in_mode != was_in_mode
    }
}
