//! What the hub owes its surroundings: nothing of the user's may stay in it, and it must not stay
//! when the user has gone.
//!
//! tmux can put a user's client or window into the hub without anybody asking for it. With
//! `detach-on-destroy off`, ending a session moves its clients to another one; who steps from one
//! session to the next comes by it. And a command from outside tmux without `-t` goes to the
//! session with the latest activity, which is the hub while nobody has typed since it was created:
//! it may even be given another name. So the hub is known by its id, never by what it is called.

use crate::{
    arg::{Arg, ClientName},
    command::{Batch, Command, Verb},
    hub::{Hub, is_hub_name},
    ids::{PaneId, SessionId, WindowId},
    rows::{ClientRow, PaneBrief, SessionRow},
};

/// What is known about the hub and everybody else on its server, from one round of scans.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub hub: &'a Hub,
    /// The session that the hub is, whatever it is called by now.
    pub session: SessionId,
    pub own_pane: PaneId,
    pub own_client: u32,
    pub sessions: &'a [SessionRow],
    pub clients: &'a [ClientRow],
    pub panes: &'a [PaneBrief],
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Kill the process of a control client that an earlier life of this installation left behind.
    Reap {
        pid: u32,
    },
    /// Give the hub its name back.
    Rename,
    MoveClient {
        client: ClientName,
        /// The session it came from, so that this stays its last one.
        from: Option<SessionId>,
        to: SessionId,
    },
    MoveWindow {
        window: WindowId,
        to: SessionId,
    },
    /// Take a window out of the hub that the user shows in a session of theirs, too.
    UnlinkWindow {
        window: WindowId,
    },
    MovePane {
        pane: PaneId,
        to: SessionId,
    },
    /// End the hub: only it keeps the server alive. A client that is still in it is detached, as it
    /// would have been without us.
    Leave,
}

impl Surroundings<'_> {
    /// Everything there is to do, in order.
    pub fn duties(&self) -> Vec<Duty> {
        let ghosts = self.ghosts().map(|pid| Duty::Reap { pid });
        if self.alone_keeps_server() {
            return ghosts.chain([Duty::Leave]).collect();
        }
        let Some(refuge) = self.refuge() else {
            // A program that landed here is the user's last: ending the hub would kill it.
            let leave = self.strangers().next().is_none().then_some(Duty::Leave);
            return ghosts.chain(leave).collect();
        };
        ghosts
            .chain(self.is_renamed().then_some(Duty::Rename))
            .chain(self.guests().filter_map(|guest| self.way_out(guest, refuge)))
            .chain(self.landed(refuge))
            .collect()
    }

    /// The server is to end with its last client, and none is left but such as ours.
    fn alone_keeps_server(&self) -> bool {
        self.clients.iter().any(|row| row.server_ends_unattached)
            && self.clients.iter().all(is_like_ours)
    }

    fn is_renamed(&self) -> bool {
        let own = self.sessions.iter().find(|row| row.session == self.session);
        own.is_some_and(|row| row.name != self.hub.name())
    }

    fn users(&self) -> impl Iterator<Item = &SessionRow> {
        self.sessions.iter().filter(|row| row.session != self.session && !is_hub_name(&row.name))
    }

    /// The user's session with the latest activity.
    fn refuge(&self) -> Option<SessionId> {
        self.users().max_by_key(|row| (row.activity, row.session)).map(|row| row.session)
    }

    /// Who was stepping through the sessions, which tmux keeps in the order of their names, is taken
    /// on past the hub; everybody else to the refuge.
    fn way_out(&self, guest: &ClientRow, refuge: SessionId) -> Option<Duty> {
        let client = guest.name.clone()?;
        let mut ring: Vec<&SessionRow> = self.users().collect();
        ring.sort_by(|a, b| a.name.cmp(&b.name));
        let behind = ring.iter().rfind(|row| row.name.as_str() < self.hub.name()).or(ring.last());
        let ahead = ring.iter().find(|row| row.name.as_str() > self.hub.name()).or(ring.first());
        let from = ring.iter().find(|row| row.name == guest.last_session);
        let from = from.map(|row| row.session);
        let to = match (from, behind.map(|row| row.session), ahead.map(|row| row.session)) {
            (Some(from), Some(behind), Some(ahead)) if from == behind => ahead,
            (Some(from), Some(behind), Some(ahead)) if from == ahead => behind,
            (Some(_) | None, _, _) => refuge,
        };
        Some(Duty::MoveClient { client, from: from.filter(|from| *from != to), to })
    }

    fn others_in_hub(&self) -> impl Iterator<Item = &ClientRow> {
        self.clients
            .iter()
            .filter(|row| row.session == Some(self.session) && row.pid != self.own_client)
    }

    fn ghosts(&self) -> impl Iterator<Item = u32> {
        self.others_in_hub().filter(|row| is_like_ours(row)).map(|row| row.pid)
    }

    fn guests(&self) -> impl Iterator<Item = &ClientRow> {
        self.others_in_hub().filter(|row| !is_like_ours(row))
    }

    /// Panes in the hub that are not ours.
    fn strangers(&self) -> impl Iterator<Item = &PaneBrief> {
        self.panes.iter().filter(|row| row.session == self.session && row.pane != self.own_pane)
    }

    fn landed(&self, to: SessionId) -> Vec<Duty> {
        let own_window = self.panes.iter().find(|row| row.pane == self.own_pane);
        let own_window = own_window.map(|row| row.window);
        let mut duties: Vec<Duty> = self
            .strangers()
            .map(|row| {
                if Some(row.window) == own_window {
                    Duty::MovePane { pane: row.pane, to }
                } else if self.is_with_users(row.window) {
                    Duty::UnlinkWindow { window: row.window }
                } else {
                    Duty::MoveWindow { window: row.window, to }
                }
            })
            .collect();
        // A window of several panes is moved once.
        duties.dedup();
        duties
    }

    /// Whether the user shows a window in a session of theirs.
    fn is_with_users(&self, window: WindowId) -> bool {
        let mut shown = self.panes.iter().filter(|row| row.window == window);
        shown.any(|row| self.users().any(|user| user.session == row.session))
    }
}

/// A client with just the flags that we attach with, and that people do not.
fn is_like_ours(row: &ClientRow) -> bool {
    row.control_mode && row.flags.ignore_size && row.flags.no_output
}

impl Duty {
    /// The commands that do it, where `session` is the hub.
    pub fn batch(&self, hub: &Hub, session: SessionId) -> Batch {
        let command = match self {
            Duty::Rename => hub.rename(session),
            Duty::Reap { pid } => Command::new(Verb::RunShell).flag("-b").arg(Arg::kill(*pid)),
            Duty::MoveClient { client, from, to } => {
                let switch = |to: SessionId| {
                    Command::new(Verb::SwitchClient)
                        .option("-c", Arg::client(client))
                        .option("-t", Arg::current_window_of(to))
                };
                let first = from.map(|from| Batch::from(switch(from)));
                return first.map_or_else(|| switch(*to).into(), |batch| batch.then(switch(*to)));
            }
            Duty::MoveWindow { window, to } => Command::new(Verb::MoveWindow)
                .flag("-d")
                .option("-s", Arg::window_in(session, *window))
                .option("-t", Arg::current_window_of(*to)),
            Duty::UnlinkWindow { window } => {
                Command::new(Verb::UnlinkWindow).option("-t", Arg::window_in(session, *window))
            }
            Duty::MovePane { pane, to } => Command::new(Verb::BreakPane)
                .flag("-d")
                .option("-s", Arg::pane(*pane))
                .option("-t", Arg::current_window_of(*to)),
            Duty::Leave => return Hub::leave_as(session),
        };
        Batch::from(command)
    }
}

/// Makes the server look for children that ended: 3.5 and older can miss the end of a pane's
/// process, and the end of any other child reminds it.
pub fn nudge() -> Batch {
    Batch::from(Command::new(Verb::RunShell).flag("-b").arg(Arg::word("true")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ClientFlags;

    const HUB: SessionId = SessionId(7);
    const NAME: &str = "_qd-a1";
    const OWN_PANE: PaneId = PaneId(70);
    const OWN_CLIENT: u32 = 700;

    fn session(id: u32, activity: u64, name: &str) -> SessionRow {
        SessionRow { session: SessionId(id), created: 1, activity, attached: 0, name: name.into() }
    }

    fn hub_session() -> SessionRow {
        session(HUB.0, 999, NAME)
    }

    fn client(pid: u32, session: SessionId, like_ours: bool) -> ClientRow {
        ClientRow {
            pid,
            created: 1,
            control_mode: like_ours,
            flags: ClientFlags { ignore_size: like_ours, no_output: like_ours, utf8: true },
            session: Some(session),
            server_ends_unattached: false,
            name: ClientName::read(&format!("client-{pid}")),
            last_session: String::new(),
        }
    }

    fn pane(pane: PaneId, window: u32, session: SessionId) -> PaneBrief {
        PaneBrief {
            pane,
            window: WindowId(window),
            session,
            pid: Some(1),
            dead: false,
            width: 80,
            height: 24,
            bell: false,
            window_activity: 1,
            pane_active: true,
            window_active: true,
            window_index: 0,
        }
    }

    fn duties(sessions: &[SessionRow], clients: &[ClientRow], panes: &[PaneBrief]) -> Vec<Duty> {
        let hub = &Hub::new("a1").unwrap();
        let (session, own_pane, own_client) = (HUB, OWN_PANE, OWN_CLIENT);
        Surroundings { hub, session, own_pane, own_client, sessions, clients, panes }.duties()
    }

    fn user() -> SessionId {
        SessionId(1)
    }

    #[test]
    fn there_is_nothing_to_do_while_everybody_is_at_home() {
        let sessions = [session(1, 5, "work"), hub_session()];
        let clients = [client(OWN_CLIENT, HUB, true), client(2, user(), false)];
        let panes = [pane(PaneId(1), 1, user()), pane(OWN_PANE, 7, HUB)];
        assert_eq!(duties(&sessions, &clients, &panes), []);
    }

    #[test]
    fn a_guest_is_moved_to_the_session_with_the_latest_activity() {
        let sessions = [
            session(1, 5, "old"),
            session(2, 8, "busy"),
            session(3, 900, "_qd-other"),
            hub_session(),
        ];
        let clients = [client(OWN_CLIENT, HUB, true), client(2, HUB, false)];
        assert_eq!(duties(&sessions, &clients, &[pane(OWN_PANE, 7, HUB)]), [moved(None, 2)]);
    }

    fn moved(from: Option<u32>, to: u32) -> Duty {
        let client = ClientName::read("client-2").unwrap();
        Duty::MoveClient { client, from: from.map(SessionId), to: SessionId(to) }
    }

    #[test]
    fn who_steps_through_the_sessions_is_taken_on_past_the_hub() {
        let sessions = [
            session(1, 5, "Z"),
            session(2, 9, "a"),
            session(3, 1, "b"),
            session(4, 1, "_qd-other"),
            hub_session(),
        ];
        for (last, duty) in [
            ("Z", moved(Some(1), 2)),
            ("a", moved(Some(2), 1)),
            ("b", moved(Some(3), 2)),
            ("gone", moved(None, 2)),
        ] {
            let mut guest = client(2, HUB, false);
            guest.last_session = last.into();
            let clients = [client(OWN_CLIENT, HUB, true), guest];
            assert_eq!(duties(&sessions, &clients, &[]), [duty], "{last}");
        }
    }

    #[test]
    fn a_single_session_is_both_before_and_behind_the_hub() {
        let mut guest = client(2, HUB, false);
        guest.last_session = "work".into();
        let sessions = [session(1, 5, "work"), hub_session()];
        assert_eq!(duties(&sessions, &[guest], &[]), [moved(None, 1)]);
    }

    #[test]
    fn a_renamed_hub_is_the_hub_still_and_gets_its_name_back() {
        let sessions = [session(1, 5, "work"), session(HUB.0, 999, "mine")];
        let panes = [pane(OWN_PANE, 7, HUB), pane(PaneId(80), 8, HUB)];
        let landed = Duty::MoveWindow { window: WindowId(8), to: user() };
        assert_eq!(duties(&sessions, &[], &panes), [Duty::Rename, landed]);
    }

    #[test]
    fn a_server_that_is_to_end_unattached_is_not_kept_by_us() {
        let sessions = [session(1, 5, "work"), hub_session()];
        let mut clients = vec![client(OWN_CLIENT, HUB, true), client(9, SessionId(3), true)];
        clients.iter_mut().for_each(|row| row.server_ends_unattached = true);
        assert_eq!(duties(&sessions, &clients, &[]), [Duty::Leave]);
        let mut person = client(2, user(), false);
        person.server_ends_unattached = true;
        clients.push(person);
        assert_eq!(duties(&sessions, &clients, &[]), []);
    }

    #[test]
    fn a_control_client_of_the_users_is_a_guest_and_not_a_ghost() {
        let sessions = [session(1, 5, "work"), hub_session()];
        let mut theirs = client(2, HUB, true);
        theirs.flags.no_output = false;
        let clients = [client(OWN_CLIENT, HUB, true), theirs];
        let found = duties(&sessions, &clients, &[]);
        assert!(matches!(found.as_slice(), [Duty::MoveClient { .. }]), "{found:?}");
    }

    #[test]
    fn a_ghost_of_ours_is_killed_and_one_of_another_installation_is_not() {
        let sessions = [session(1, 5, "work"), session(3, 6, "_qd-other"), hub_session()];
        let clients =
            [client(OWN_CLIENT, HUB, true), client(2, HUB, true), client(3, SessionId(3), true)];
        assert_eq!(duties(&sessions, &clients, &[]), [Duty::Reap { pid: 2 }]);
    }

    #[test]
    fn what_landed_beside_our_pane_is_moved_out() {
        let sessions = [session(1, 5, "work"), hub_session()];
        let panes = [
            pane(PaneId(1), 1, user()),
            pane(OWN_PANE, 7, HUB),
            pane(PaneId(71), 7, HUB),
            pane(PaneId(80), 8, HUB),
            pane(PaneId(81), 8, HUB),
        ];
        assert_eq!(
            duties(&sessions, &[], &panes),
            [
                Duty::MovePane { pane: PaneId(71), to: user() },
                Duty::MoveWindow { window: WindowId(8), to: user() },
            ]
        );
    }

    #[test]
    fn a_window_that_is_shown_by_the_user_too_is_only_taken_out() {
        let sessions = [session(1, 5, "work"), hub_session()];
        let panes = [pane(PaneId(80), 8, user()), pane(OWN_PANE, 7, HUB), pane(PaneId(80), 8, HUB)];
        let out = Duty::UnlinkWindow { window: WindowId(8) };
        assert_eq!(duties(&sessions, &[], &panes), [out]);
    }

    #[test]
    fn the_hub_does_not_outlive_the_last_session_of_the_user() {
        let sessions = [session(3, 6, "_qd-other"), hub_session()];
        let clients = [client(OWN_CLIENT, HUB, true), client(2, HUB, false)];
        assert_eq!(duties(&sessions, &clients, &[pane(OWN_PANE, 7, HUB)]), [Duty::Leave]);
        assert_eq!(duties(&[hub_session()], &[], &[]), [Duty::Leave]);
    }

    #[test]
    fn the_hub_stays_while_it_shelters_a_program_of_the_users() {
        let panes = [pane(OWN_PANE, 7, HUB), pane(PaneId(80), 8, HUB)];
        assert_eq!(duties(&[hub_session()], &[], &panes), []);
    }

    #[test]
    fn each_duty_is_one_command_that_names_ids_only() {
        let hub = Hub::new("a1").unwrap();
        let to = user();
        let client = ClientName::read("/dev/pts/3").unwrap();
        for (duty, expected) in [
            (Duty::Reap { pid: 12 }, "run-shell -b \"kill -KILL 12\"\n"),
            (Duty::Rename, "rename-session -t \"\\0447\" \"_qd-a1\"\n"),
            (
                Duty::MoveClient { client: client.clone(), from: None, to },
                "switch-client -c \"/dev/pts/3\" -t \"\\0441:\"\n",
            ),
            (
                Duty::MoveClient { client, from: Some(SessionId(2)), to },
                "switch-client -c \"/dev/pts/3\" -t \"\\0442:\" ; \
                 switch-client -c \"/dev/pts/3\" -t \"\\0441:\"\n",
            ),
            (
                Duty::MoveWindow { window: WindowId(8), to },
                "move-window -d -s \"\\0447:@8\" -t \"\\0441:\"\n",
            ),
            (Duty::UnlinkWindow { window: WindowId(8) }, "unlink-window -t \"\\0447:@8\"\n"),
            (Duty::MovePane { pane: PaneId(9), to }, "break-pane -d -s \"%9\" -t \"\\0441:\"\n"),
            (Duty::Leave, "kill-session -t \"\\0447\"\n"),
        ] {
            let line = duty.batch(&hub, HUB).control_line().unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}
