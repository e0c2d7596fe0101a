//! What each of tmux's variables says about a pane, a session or a client.

use super::client::Client;
use super::server::Death;
use super::tmux::Tmux;
use crate::sim::sight::VERSION;

/// A pane where one session shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) session: u32,
    pub(crate) index: u32,
    pub(crate) window: u32,
    pub(crate) pane: u32,
}

/// What a format speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    Server,
    Session(u32),
    Client(&'a Client),
    /// A terminal of the user's, and the session it shows.
    Terminal(u32, u32),
    Pane {
        place: Option<Place>,
        client: Option<&'a Client>,
    },
}

/// Lines above the screen that a pane keeps.
const HISTORY_LIMIT: u32 = 2_000;

/// Every pane that a session shows, in tmux's order.
pub(crate) fn places_in(tmux: &Tmux, session: u32) -> Vec<Place> {
    let mut places = Vec::new();
    let links = tmux.server.sessions.get(&session).map(|it| &it.links);
    for (index, link) in links.into_iter().flatten() {
        let panes = tmux.server.windows.get(&link.window).map(|it| &it.panes);
        for pane in panes.into_iter().flatten() {
            places.push(Place { session, index: *index, window: link.window, pane: *pane });
        }
    }
    places
}

/// Where a pane is when only its id is given: tmux prefers the asker's own session, then the one
/// with the latest activity.
pub(crate) fn best_place(tmux: &Tmux, pane: u32, own: Option<u32>) -> Option<Place> {
    let window = tmux.server.window_of(pane)?;
    let places = tmux.server.places_of(window);
    let busiest = |(session, _): &&(u32, u32)| {
        let activity = tmux.server.sessions.get(session).map(|it| it.activity);
        (Some(*session) == own, activity, *session)
    };
    let (session, index) = *places.iter().max_by_key(busiest)?;
    Some(Place { session, index, window, pane })
}

fn flag(on: bool) -> String {
    if on { "1".to_owned() } else { "0".to_owned() }
}

/// The value of one variable; empty where it does not apply.
pub(crate) fn value(tmux: &Tmux, subject: &Subject<'_>, name: &str) -> Vec<u8> {
    let text = match name {
        "pid" => tmux.server.pid.to_string(),
        "start_time" => tmux.server.start_time.to_string(),
        "version" => VERSION.to_owned(),
        "socket_path" => tmux.socket.clone(),
        _ => match subject {
            Subject::Server => String::new(),
            Subject::Session(id) => of_session(tmux, *id, name),
            Subject::Client(client) => of_client(tmux, client, name),
            Subject::Terminal(id, session) => of_terminal(tmux, *id, *session, name),
            Subject::Pane { place, client } => {
                if let (Some(client), true) = (client, name.starts_with("client_")) {
                    return of_client(tmux, client, name).into_bytes();
                }
                match place {
                    Some(place) => return of_pane(tmux, *place, name),
                    None => String::new(),
                }
            }
        },
    };
    text.into_bytes()
}

fn of_session(tmux: &Tmux, id: u32, name: &str) -> String {
    let Some(session) = tmux.server.sessions.get(&id) else { return String::new() };
    match name {
        "session_id" => format!("${id}"),
        "session_name" => session.name.clone(),
        "session_created" => session.created.to_string(),
        "session_activity" => session.activity.to_string(),
        "session_attached" => {
            let control = tmux.clients.iter().filter(|it| it.session == Some(id)).count();
            (control + tmux.server.attached(id)).to_string()
        }
        other => panic!("the made-up tmux knows no `{other}` of a session"),
    }
}

fn of_client(tmux: &Tmux, client: &Client, name: &str) -> String {
    match name {
        "client_pid" => client.pid.to_string(),
        "client_created" => client.created.to_string(),
        "client_control_mode" => flag(true),
        "client_flags" => "attached,focused,control-mode,ignore-size,no-output,UTF-8".to_owned(),
        "client_name" => client.name(),
        "client_last_session" => String::new(),
        "exit-unattached" => flag(false),
        other => client.session.map_or(String::new(), |id| of_session(tmux, id, other)),
    }
}

fn of_terminal(tmux: &Tmux, id: u32, session: u32, name: &str) -> String {
    match name {
        "client_pid" => (60_000 + id).to_string(),
        "client_created" => tmux.server.start_time.to_string(),
        "client_control_mode" => flag(false),
        "client_flags" => "attached,focused,UTF-8".to_owned(),
        "client_name" => format!("/dev/pts/{id}"),
        "client_last_session" => String::new(),
        "exit-unattached" => flag(false),
        other => of_session(tmux, session, other),
    }
}

fn of_pane(tmux: &Tmux, place: Place, name: &str) -> Vec<u8> {
    let server = &tmux.server;
    let (Some(session), Some(window), Some(pane)) = (
        server.sessions.get(&place.session),
        server.windows.get(&place.window),
        server.panes.get(&place.pane),
    ) else {
        return Vec::new();
    };
    let link = session.links.get(&place.index);
    let text = match name {
        "pane_id" => format!("%{}", place.pane),
        "pane_index" => {
            let at = window.panes.iter().position(|it| *it == place.pane);
            at.unwrap_or_default().to_string()
        }
        "pane_pid" => pane.pid.to_string(),
        "pane_dead" => flag(pane.dead.is_some()),
        "pane_dead_status" => match pane.dead {
            Some(Death::Status(status)) => status.to_string(),
            Some(Death::Signal(_)) | None => String::new(),
        },
        "pane_dead_signal" => match pane.dead {
            Some(Death::Signal(signal)) => signal.to_string(),
            Some(Death::Status(_)) | None => String::new(),
        },
        "pane_width" => pane.width.to_string(),
        "pane_height" => pane.height.to_string(),
        "pane_active" => flag(window.active == place.pane),
        "pane_in_mode" => flag(pane.in_mode),
        "pane_tty" => format!("/dev/pts/{}", pane.tty),
        "pane_current_command" => pane.command.clone(),
        "pane_start_command" => pane.start_command.clone(),
        "pane_current_path" => return pane.path.clone(),
        "pane_title" => pane.title.clone(),
        "alternate_on" => flag(pane.alternate),
        "history_size" => pane.history.to_string(),
        "history_limit" => HISTORY_LIMIT.to_string(),
        "window_id" => format!("@{}", place.window),
        "window_name" => window.name.clone(),
        "window_index" => place.index.to_string(),
        "window_active" => flag(session.current == place.index),
        "window_activity" => window.activity.to_string(),
        "window_bell_flag" => flag(link.is_some_and(|it| it.bell)),
        "window_zoomed_flag" => flag(window.zoomed),
        other => of_session(tmux, place.session, other),
    };
    text.into_bytes()
}
