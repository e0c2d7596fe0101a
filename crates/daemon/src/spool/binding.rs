//! Which pane a record is about: that of the process it came from, whatever the record says.
//!
//! `TMUX_PANE` is only a claim. An agent may run its hooks in one process for all its panes, which
//! kept the variable of the first; and whoever can write to the spool can write any pane there. The
//! processes above the hook are no claim as long as they live: their starts can be compared.

use agents::record::{Ancestor, Record};
use engine::ids::{PaneId, PaneKey};
use engine::pane::PaneRow;
use engine::signal::{About, Hints};
use engine::target::TargetRow;
use engine::words::TargetKind;

use crate::follower::Follower;

/// What a record is about, as far as it can be said here; the engine finds the one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) about: About,
    pub(crate) hints: Hints,
}

/// Finds the target of a record and the processes that decide about the pane; nothing where it
/// came from no pane that is watched.
pub(crate) fn bind(
    record: &Record,
    follower: &Follower,
    start_of: impl Fn(u32) -> Option<u64>,
) -> Option<Bound> {
    let local = |row: &&TargetRow| row.kind == TargetKind::Local;
    let targets = || follower.engine().targets().filter(local);
    let claimed = Claimed::read(record);
    let server = claimed.as_ref().and_then(|it| targets().find(|row| it.names(row)));
    let said = || Some(PaneKey::new(&server?.target, claimed.as_ref()?.pane?));
    if record.chain.is_empty() {
        return Some(Bound { about: About::Pane(said()?), hints: Hints::default() });
    }
    let still = record.chain.iter().filter(|it| is_that(it, &start_of));
    let ancestors: Vec<u32> = still.map(|it| it.pid).collect();
    let panes = targets()
        .filter(|row| server.is_none_or(|server| server.target == row.target))
        .flat_map(|row| follower.panes_of(&row.target));
    let key = match nearest(panes, &ancestors) {
        Some(row) => row.key.clone(),
        // What that server started is in one of its panes, which has only just appeared.
        None if claimed.as_ref().is_some_and(|it| ancestors.contains(&it.server)) => said()?,
        None => return None,
    };
    Some(Bound { about: About::Pane(key), hints: Hints { ancestors, ..Hints::default() } })
}

/// The pane whose process, or whose agent, stands nearest above the hook.
fn nearest<'a>(panes: impl Iterator<Item = &'a PaneRow>, ancestors: &[u32]) -> Option<&'a PaneRow> {
    let distance = |row: &PaneRow| {
        let pids = [row.runtime.as_ref()?.pid, row.facts.process.pid];
        ancestors.iter().position(|pid| pids.contains(pid))
    };
    let found = panes.filter_map(|row| Some((distance(row)?, row)));
    found.min_by_key(|(distance, _)| *distance).map(|(_, row)| row)
}

/// Whether a process of a record is the one that has its number now, as far as can be seen.
fn is_that(ancestor: &Ancestor, start_of: impl Fn(u32) -> Option<u64>) -> bool {
    match (ancestor.start, start_of(ancestor.pid)) {
        (Some(then), Some(now)) => then == now,
        (None, _) | (_, None) => true,
    }
}

/// What `TMUX` and `TMUX_PANE` say.
struct Claimed<'a> {
    socket: &'a str,
    server: u32,
    pane: Option<PaneId>,
}

impl<'a> Claimed<'a> {
    /// Reads `SOCKET,PID,SESSION`. The socket may hold a comma.
    fn read(record: &'a Record) -> Option<Self> {
        let tmux = std::str::from_utf8(record.tmux.as_deref()?).ok()?;
        let mut parts = tmux.rsplitn(3, ',');
        let (_session, server, socket) = (parts.next()?, parts.next()?, parts.next()?);
        let pane = record.pane.as_deref().and_then(|pane| std::str::from_utf8(pane).ok());
        let pane = pane.and_then(|pane| pane.parse().ok());
        Some(Self { socket, server: server.parse().ok()?, pane })
    }

    fn names(&self, row: &TargetRow) -> bool {
        row.server.as_ref().is_some_and(|it| it.pid == self.server && it.socket == self.socket)
    }
}

#[cfg(test)]
mod tests {
    use engine::Engine;
    use engine::event::Event;
    use engine::ids::{BootId, RuntimeId, SessionId, TargetId, WindowId};
    use engine::pane::{PaneFacts, ProcessIdentity, Runtime};
    use engine::settings::Settings;
    use engine::state::StateRow;
    use engine::target::{ObserverMode, ServerFacts};
    use engine::time::{Stamp, WallMs};
    use engine::words::{Confidence, Health, State};

    use super::*;

    const SERVER: u32 = 50;

    fn target() -> TargetRow {
        TargetRow {
            target: TargetId::new("tg"),
            name: "local".to_owned(),
            kind: TargetKind::Local,
            connection_ref: String::new(),
            is_default: true,
            health: Health::Ok,
            trouble: None,
            server: Some(ServerFacts {
                boot: BootId::new("boot"),
                pid: SERVER,
                version: "3.3a".to_owned(),
                socket: "/tmp/tmux,0/default".to_owned(),
                started_at: WallMs(0),
                mode: ObserverMode::Control,
            }),
            last_seen_at: None,
            updated_at: WallMs(0),
        }
    }

    /// A pane whose process is 100 more than its number, and its agent 200 more.
    fn pane(pane: u32) -> PaneRow {
        let boot = BootId::new("boot");
        PaneRow {
            key: key(pane),
            boot: boot.clone(),
            facts: PaneFacts {
                pane: PaneId(pane),
                window: WindowId(1),
                session: SessionId(1),
                session_name: String::new(),
                window_name: String::new(),
                window_index: 0,
                pane_index: 0,
                pane_active: true,
                window_active: true,
                links: Vec::new(),
                width: 80,
                height: 24,
                tty: String::new(),
                process: ProcessIdentity { pid: 100 + pane, ..ProcessIdentity::default() },
                dead: false,
                dead_status: None,
                dead_signal: None,
                in_mode: false,
                bell: false,
                zoomed: false,
                alternate_screen: false,
                command: String::new(),
                path: String::new(),
                title: String::new(),
                agent: None,
            },
            runtime: Some(Runtime {
                runtime: RuntimeId::new(format!("rt-{pane}")),
                boot,
                epoch: 1,
                agent: None,
                pid: 200 + pane,
                started_at: WallMs(0),
            }),
            state: StateRow {
                state: State::Unknown,
                reason: String::new(),
                confidence: Confidence::High,
                version: 1,
                source: None,
                since: WallMs(0),
                last_known: None,
            },
            first_seen_at: WallMs(0),
            last_seen: Stamp::stored(WallMs(0)),
            last_activity: None,
            updated_at: WallMs(0),
        }
    }

    fn key(pane: u32) -> PaneKey {
        PaneKey::new(&TargetId::new("tg"), PaneId(pane))
    }

    fn follower() -> Follower {
        let mut engine = Engine::new(Settings::default());
        engine.apply(&Event::TargetChanged(target()));
        for number in [1, 2] {
            let row = Box::new(pane(number));
            engine.apply(&Event::PaneChanged { row, causes: Vec::new() });
        }
        Follower::new(engine, 0, "db")
    }

    fn record(tmux: Option<&str>, pane: &str, chain: &[u32]) -> Record {
        let ancestor = |pid: &u32| Ancestor { pid: *pid, start: Some(u64::from(*pid)) };
        Record {
            id: String::new(),
            agent: String::new(),
            event: String::new(),
            at: WallMs(0),
            tmux: tmux.map(|tmux| tmux.as_bytes().to_vec()),
            pane: Some(pane.as_bytes().to_vec()),
            chain: chain.iter().map(ancestor).collect(),
            cwd: None,
            payload: agents::record::Payload::None,
        }
    }

    /// The number of the pane, and the processes that decide.
    fn bound(record: &Record) -> Option<(u32, Vec<u32>)> {
        // All processes live, as they were; 7 is another one now.
        let start = |pid| Some(if pid == 7 { 0 } else { u64::from(pid) });
        let bound = bind(record, &follower(), start)?;
        let About::Pane(key) = bound.about else { return None };
        Some((key.pane.0, bound.hints.ancestors))
    }

    const OURS: Option<&str> = Some("/tmp/tmux,0/default,50,3");

    #[test]
    fn the_processes_decide_and_the_variable_does_not() {
        assert_eq!(bound(&record(OURS, "%2", &[9, 101, SERVER])), Some((1, vec![9, 101, SERVER])));
        assert_eq!(bound(&record(OURS, "%2", &[201])).map(|it| it.0), Some(1), "its agent");
        assert_eq!(bound(&record(None, "", &[9, 102])).map(|it| it.0), Some(2), "without TMUX");
        assert_eq!(bound(&record(OURS, "%2", &[9, 8])), None, "in none of the panes");
        assert_eq!(bound(&record(Some("/other,9,0"), "%1", &[9, 8])), None);
    }

    #[test]
    fn the_nearest_of_two_panes_is_the_one() {
        assert_eq!(bound(&record(OURS, "%1", &[9, 102, 101])).map(|it| it.0), Some(2));
    }

    #[test]
    fn a_pane_that_has_just_appeared_is_waited_for_if_the_server_started_it() {
        let expected = Some((9, vec![300, SERVER, 1]));
        assert_eq!(bound(&record(OURS, "%9", &[300, SERVER, 1])), expected);
        assert_eq!(bound(&record(OURS, "%9", &[300, 1])), None);
        assert_eq!(bound(&record(OURS, "nine", &[300, SERVER])), None);
    }

    #[test]
    fn a_number_that_belongs_to_another_process_now_counts_for_nothing() {
        let reused = record(OURS, "%1", &[7, 101]);
        assert_eq!(bound(&reused), Some((1, vec![101])));
        assert_eq!(bound(&record(OURS, "%1", &[7])), None, "nor is the variable believed instead");
    }

    #[test]
    fn the_variable_is_believed_where_no_process_can_be_seen() {
        assert_eq!(bound(&record(OURS, "%2", &[])), Some((2, Vec::new())));
        assert_eq!(bound(&record(Some("/tmp/tmux,0/default,51,3"), "%2", &[])), None);
        assert_eq!(bound(&record(None, "%2", &[])), None);
    }
}
