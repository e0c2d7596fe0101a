//! Where sessions, windows and panes are, and their ends.

use super::{Hands, user_pane, user_session};
use crate::sim::fake::server::Server;
use crate::sim::rng::Rng;
use crate::sim::texts;

#[derive(Clone, Debug)]
pub(crate) enum Layout {
    KillPane { pane: u32 },
    KillWindow { window: u32 },
    KillSession { session: u32 },
    Link { session: u32, window: u32 },
    Unlink { session: u32, index: u32 },
    MoveWindow { session: u32, index: u32, to: u32 },
    Join { pane: u32, beside: u32 },
    BreakOut { pane: u32, session: u32 },
    Swap { one: u32, other: u32 },
}

impl Layout {
    pub(super) fn draw(rng: &mut Rng, server: &Server) -> Option<Layout> {
        let session = user_session(rng, server)?;
        let links = &server.sessions.get(&session)?.links;
        let index = *rng.choose(links.keys())?;
        let pane = user_pane(rng, server)?;
        let window = server.window_of(pane)?;
        Some(match rng.below(16) {
            0 => Layout::KillSession { session },
            1 | 2 => Layout::KillWindow { window },
            3..=6 => Layout::KillPane { pane },
            7 | 8 if links.values().all(|link| link.window != window) => {
                Layout::Link { session, window }
            }
            7..=9 => Layout::Unlink { session, index },
            10 => Layout::MoveWindow { session, index, to: user_session(rng, server)? },
            11 | 12 => Layout::Join { pane, beside: user_pane(rng, server)? },
            13 | 14 => Layout::BreakOut { pane, session },
            _ => Layout::Swap { one: pane, other: user_pane(rng, server)? },
        })
    }

    pub(super) fn perform(&self, hands: &mut Hands<'_>) {
        let Hands { server, clock, rng, .. } = hands;
        match self {
            Layout::KillPane { pane } => server.kill_pane(*pane),
            Layout::KillWindow { window } => server.kill_window(*window),
            Layout::KillSession { session } => server.end_session(*session),
            Layout::Link { session, window } => server.link(*session, *window),
            Layout::Unlink { session, index } => server.unlink(*session, *index),
            Layout::MoveWindow { session, index, to } => {
                server.move_window(*session, *index, *to);
            }
            Layout::Join { pane, beside } => server.join(*pane, *beside),
            Layout::BreakOut { pane, session } => {
                server.break_out(*pane, *session, texts::window_name(rng), clock.wall_seconds());
            }
            Layout::Swap { one, other } => server.swap(*one, *other),
        }
    }
}
