//! What users and their programs do to a tmux server, one act at a time.

mod layout;
mod life;
mod look;

use super::host::Host;
use super::server::Server;
use crate::sim::clock::Clock;
use crate::sim::rng::Rng;

pub(crate) use layout::Layout;
pub(crate) use life::{Life, program};
pub(crate) use look::Look;

/// One act, with everything it depends on.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Processes come, go and change.
    Life(Life),
    /// Sessions, windows and panes are moved about or ended.
    Layout(Layout),
    /// Something looks or is called otherwise.
    Look(Look),
    /// A program writes to its terminal, and may ring.
    Output { pane: u32, bell: bool },
}

/// How much room a world has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) sessions: usize,
    pub(crate) panes: usize,
}

/// What an act is done with.
pub(crate) struct Hands<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) host: &'a mut Host,
    pub(crate) clock: &'a Clock,
    pub(crate) rng: &'a mut Rng,
}

#[derive(Clone, Copy)]
enum Kind {
    Life,
    Growth,
    Layout,
    Look,
    Output,
}

impl Act {
    /// Something that can be done to `server` now; nothing where the draw does not fit it.
    pub(crate) fn draw(rng: &mut Rng, server: &Server, room: Room) -> Option<Act> {
        let crowded = server.panes.len() >= room.panes;
        let kind = rng.weighted(&[
            (18, Kind::Life),
            (if crowded { 0 } else { 14 }, Kind::Growth),
            (if crowded { 24 } else { 14 }, Kind::Layout),
            (26, Kind::Look),
            (30, Kind::Output),
        ]);
        match kind {
            Kind::Life => Life::draw(rng, server).map(Act::Life),
            Kind::Growth => Life::draw_growth(rng, server, room).map(Act::Life),
            Kind::Layout => Layout::draw(rng, server).map(Act::Layout),
            Kind::Look => Look::draw(rng, server).map(Act::Look),
            Kind::Output => {
                let pane = live_pane(rng, server)?;
                Some(Act::Output { pane, bell: rng.permille(60) })
            }
        }
    }

    /// Does it; gives the pane that was written to, if one was.
    pub(crate) fn perform(&self, hands: &mut Hands<'_>) -> Option<u32> {
        let mut printed = None;
        match self {
            Act::Life(life) => life.perform(hands),
            Act::Layout(layout) => layout.perform(hands),
            Act::Look(look) => look.perform(hands),
            Act::Output { pane, bell } => {
                write(hands, *pane, *bell);
                printed = Some(*pane);
            }
        }
        hands.server.bury(hands.host, hands.clock.kernel_ns());
        printed
    }
}

fn write(hands: &mut Hands<'_>, pane: u32, bell: bool) {
    let server = &mut *hands.server;
    let Some(window) = server.window_of(pane) else { return };
    if let Some(it) = server.panes.get_mut(&pane) {
        it.history += 1;
    }
    if let Some(it) = server.windows.get_mut(&window) {
        it.activity = hands.clock.wall_seconds();
    }
    if bell {
        server.ring(window);
    }
}

/// Sessions that belong to no installation of ours.
pub(crate) fn users_sessions(server: &Server) -> impl Iterator<Item = u32> {
    let users = server.sessions.iter().filter(|(_, it)| !tmux::hub::is_hub_name(&it.name));
    users.map(|(id, _)| *id)
}

fn user_session(rng: &mut Rng, server: &Server) -> Option<u32> {
    rng.choose(users_sessions(server))
}

/// A pane that some session of the user's shows.
fn user_pane(rng: &mut Rng, server: &Server) -> Option<u32> {
    let session = user_session(rng, server)?;
    let link = rng.choose(server.sessions.get(&session)?.links.values())?;
    rng.pick(&server.windows.get(&link.window)?.panes).copied()
}

fn live_pane(rng: &mut Rng, server: &Server) -> Option<u32> {
    user_pane(rng, server).filter(|pane| server.panes.get(pane).is_some_and(|it| it.dead.is_none()))
}
