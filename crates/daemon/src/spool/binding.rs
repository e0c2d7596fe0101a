//! Which pane a record is about: that of the process it came from, whatever the record says.
//!
//! `TMUX_PANE` is only a claim. An agent may run its hooks in one process for all its panes, which
//! kept the variable of the first; and whoever can write to the spool can write any pane there. The
//! processes above the hook are no claim as long as they live: their starts can be compared.
//!
//! Below a process that serves several panes even they say nothing, though one of the panes started
//! it. Then the session decides: the pane in which it is known to be, or the one whose agent had
//! just started when it began.

use agents::adapter::{Adapter, Server};
use agents::record::{Ancestor, Record};
use engine::ids::{PaneId, PaneKey, RuntimeId, TargetId};
use engine::pane::{PaneRow, Runtime};
use engine::signal::{About, Hints};
use engine::target::TargetRow;
use engine::time::WallMs;
use engine::words::{Detail, TargetKind};

use super::intake;
use crate::adapters::Roster;
use crate::follower::Follower;
use crate::targets::Target;
use crate::targets::host::{self, ProgramFacts};

/// What a record is about, as far as it can be said here; the engine finds the one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) about: About,
    pub(crate) hints: Hints,
    /// Whether the agent itself ran the hook, as far as can be seen, and no command of its.
    pub(crate) of_agent: bool,
}

impl Bound {
    pub(crate) fn to(about: About) -> Self {
        Self { about, hints: Hints::default(), of_agent: true }
    }
}

/// What of the machine and of the agent's adapter decides.
pub(crate) trait World {
    /// Whether what is said there can be about this target.
    fn covers(&self, row: &TargetRow) -> bool;

    /// When the process under a number began, in clock ticks since the boot.
    fn start_of(&self, pid: u32) -> Option<u64>;

    /// Whether a process serves the sessions of several panes.
    fn serves_many(&self, record: &Record, pid: u32) -> bool;

    /// Whether a process is one of the agent's own.
    fn is_agent(&self, record: &Record, pid: u32) -> bool;

    /// The session that a record is about, and when that began.
    fn session(&self, record: &Record) -> Option<(String, Option<WallMs>)>;
}

/// The machine that records were written on, as it decides about them.
pub(crate) struct Machine<'a> {
    roster: &'a Roster,
    /// The target, where that is another machine than ours.
    there: Option<(&'a TargetId, &'a Target)>,
}

impl<'a> Machine<'a> {
    /// This machine, with all the servers on it.
    pub(crate) fn here(roster: &'a Roster) -> Self {
        Self { roster, there: None }
    }

    /// The machine of one target, which speaks for no other.
    pub(crate) fn there(roster: &'a Roster, id: &'a TargetId, target: &'a Target) -> Self {
        Self { roster, there: Some((id, target)) }
    }

    fn adapter(&self, record: &Record) -> Option<&dyn Adapter> {
        self.roster.get(&record.agent.to_lowercase())
    }

    fn program(&self, pid: u32) -> Option<ProgramFacts> {
        match self.there {
            None => host::program(pid),
            Some((_, target)) => target.program_of(pid),
        }
    }
}

impl World for Machine<'_> {
    fn covers(&self, row: &TargetRow) -> bool {
        match self.there {
            None => row.kind == TargetKind::Local,
            Some((id, _)) => row.target == *id,
        }
    }

    fn start_of(&self, pid: u32) -> Option<u64> {
        match self.there {
            None => host::start_ticks(pid),
            Some((_, target)) => target.process_stat(pid).map(|stat| stat.start_ticks),
        }
    }

    fn serves_many(&self, record: &Record, pid: u32) -> bool {
        let told = |known: &Server| match self.there {
            None => host::program_told(pid, known.argument),
            Some((_, target)) => target.program_of(pid),
        };
        let known = self.adapter(record).and_then(Adapter::serves_many);
        known.is_some_and(|known| told(&known).is_some_and(|facts| (known.is)(&facts.program())))
    }

    fn is_agent(&self, record: &Record, pid: u32) -> bool {
        let adapter = self.adapter(record);
        let facts = adapter.and_then(|adapter| Some((adapter, self.program(pid)?)));
        facts.is_some_and(|(adapter, facts)| adapter.recognises(&facts.program()))
    }

    fn session(&self, record: &Record) -> Option<(String, Option<WallMs>)> {
        let session = intake::session(record, self.roster)?;
        let adapter = self.adapter(record)?;
        let began = adapter.session_began(&session);
        Some((session, began))
    }
}

/// How long an agent may take from its start to the beginning of its session: usually, and where
/// somebody has to answer a question before.
const SESSION_WITHIN_MS: [i64; 2] = [3_000, 60_000];
/// How much later than its session an agent may seem to have started, because of its clocks.
const CLOCKS_DIFFER_MS: i64 = 500;

/// Finds the target of a record and the processes that decide about the pane; nothing where it
/// came from no pane that is watched.
pub(crate) fn bind(record: &Record, follower: &Follower, world: &impl World) -> Option<Bound> {
    let targets = || follower.engine().targets().filter(|row| world.covers(row));
    let claimed = Claimed::read(record);
    let server = claimed.as_ref().and_then(|it| targets().find(|row| it.names(row)));
    let said = || Some(PaneKey::new(&server?.target, claimed.as_ref()?.pane?));
    if record.chain.is_empty() {
        return Some(Bound::to(About::Pane(said()?)));
    }
    let still = record.chain.iter().filter(|it| is_that(it, |pid| world.start_of(pid)));
    let ancestors: Vec<u32> = still.map(|it| it.pid).collect();
    let panes = || {
        targets()
            .filter(|row| server.is_none_or(|server| server.target == row.target))
            .flat_map(|row| follower.panes_of(&row.target))
    };
    let shared = ancestors.iter().position(|pid| world.serves_many(record, *pid));
    if let Some(at) = shared
        && nearest(panes(), &ancestors[..at]).is_none()
    {
        // The variables are those of whoever started the server.
        let panes = targets().flat_map(|row| follower.panes_of(&row.target));
        let (session, began) = world.session(record)?;
        let runtime = of_session(follower, panes, (&record.agent, &session, began))?;
        return Some(Bound::to(About::Runtime(runtime)));
    }
    let row = nearest(panes(), &ancestors);
    let of_agent = row.is_none_or(|row| is_own(row, &ancestors, |pid| world.is_agent(record, pid)));
    let key = match row {
        Some(row) => row.key.clone(),
        // What that server started is in one of its panes, which has only just appeared.
        None if claimed.as_ref().is_some_and(|it| ancestors.contains(&it.server)) => said()?,
        None => return None,
    };
    let hints = Hints { ancestors, ..Hints::default() };
    Some(Bound { about: About::Pane(key), hints, of_agent })
}

/// Whether the agent of a pane ran the hook itself: between the two stands the shell that it runs
/// its hooks with, if it needs one, and else nothing but processes of its own. What one of its
/// commands starts stands farther below, unless that takes pains to look like such a shell.
fn is_own(row: &PaneRow, ancestors: &[u32], is_agent: impl Fn(u32) -> bool) -> bool {
    let Some(agent) = row.facts.agent.as_ref().map(|agent| agent.process.pid) else { return true };
    let Some(at) = ancestors.iter().position(|pid| *pid == agent) else { return true };
    let shell = usize::from(at > 0 && !is_agent(ancestors[0]));
    ancestors[shell..at].iter().all(|pid| is_agent(*pid))
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

/// The agent that a session is known to be of, or else the only one that can have begun it.
fn of_session<'a>(
    follower: &Follower,
    panes: impl Iterator<Item = &'a PaneRow>,
    (agent, session, began): (&str, &str, Option<WallMs>),
) -> Option<RuntimeId> {
    let known = |runtime: &Runtime| {
        let evidence = follower.engine().evidence(&runtime.runtime)?;
        evidence.detail(Detail::Session).map(str::to_owned)
    };
    let running = panes.filter_map(|row| row.runtime.as_ref());
    let of_agent =
        |it: &&Runtime| it.agent.as_ref().is_some_and(|is| is.as_str().eq_ignore_ascii_case(agent));
    let agents: Vec<(&Runtime, Option<String>)> =
        running.filter(of_agent).map(|runtime| (runtime, known(runtime))).collect();
    let has_it = |(_, known): &&(&Runtime, Option<String>)| known.as_deref() == Some(session);
    if let Some((runtime, _)) = agents.iter().find(has_it) {
        return Some(runtime.runtime.clone());
    }
    let began = began?;
    SESSION_WITHIN_MS.iter().find_map(|within| {
        let age = |runtime: &Runtime| began.0 - runtime.started_at.0;
        let fits = |it: &Runtime| (-CLOCKS_DIFFER_MS..=*within).contains(&age(it));
        let mut fitting = agents.iter().filter(|(it, known)| known.is_none() && fits(it));
        let (only, more) = (fitting.next(), fitting.next());
        only.filter(|_| more.is_none()).map(|(it, _)| it.runtime.clone())
    })
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
pub(crate) mod tests {
    use engine::Engine;
    use engine::event::Event;
    use engine::ids::{AgentType, BootId, SessionId, TargetId, WindowId};
    use engine::pane::{AgentProcess, PaneFacts, ProcessIdentity};
    use engine::settings::Settings;
    use engine::signal::EventRow;
    use engine::state::StateRow;
    use engine::target::{ObserverMode, ServerFacts};
    use engine::time::Stamp;
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
    pub(crate) fn pane(pane: u32) -> PaneRow {
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
                since: Stamp::stored(WallMs(0)),
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
            waits: None,
            payload: agents::record::Payload::None,
        }
    }

    /// All processes live, as they were; 7 is another one now, and 77 serves all panes.
    struct Here {
        session: Option<(String, Option<WallMs>)>,
        covers: &'static str,
    }

    impl World for Here {
        fn covers(&self, row: &TargetRow) -> bool {
            self.covers == row.target.as_str()
        }

        fn start_of(&self, pid: u32) -> Option<u64> {
            Some(if pid == 7 { 0 } else { u64::from(pid) })
        }

        fn serves_many(&self, _record: &Record, pid: u32) -> bool {
            pid == 77
        }

        fn is_agent(&self, _record: &Record, pid: u32) -> bool {
            pid >= 200
        }

        fn session(&self, _record: &Record) -> Option<(String, Option<WallMs>)> {
            self.session.clone()
        }
    }

    /// The number of the pane, and the processes that decide.
    fn bound(record: &Record) -> Option<(u32, Vec<u32>)> {
        let bound = bind(record, &follower(), &Here { session: None, covers: "tg" })?;
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

    /// The runtime that a record is about which came through the server of all panes.
    fn bound_by(follower: &Follower, session: &str, began: i64) -> Option<String> {
        let session = Some((session.to_owned(), Some(WallMs(began))));
        let shared = Record { agent: "Codex".to_owned(), ..record(OURS, "%1", &[9, 77, 101]) };
        let bound = bind(&shared, follower, &Here { session, covers: "tg" })?;
        let About::Runtime(runtime) = bound.about else { panic!("{bound:?}") };
        Some(runtime.as_str().to_owned())
    }

    /// Panes with a Codex each: the number, when it started, and its session where it is known.
    fn codexes(panes: &[(u32, i64, Option<&str>)]) -> Follower {
        let mut engine = Engine::new(Settings::default());
        engine.apply(&Event::TargetChanged(target()));
        for (number, started, session) in panes {
            let mut row = pane(*number);
            let runtime = row.runtime.as_mut().unwrap();
            runtime.agent = Some(AgentType::new("codex"));
            runtime.started_at = WallMs(*started);
            let id = runtime.runtime.clone();
            engine.apply(&Event::PaneChanged { row: Box::new(row), causes: Vec::new() });
            if let Some(session) = session {
                engine.apply(&told(&id, session));
            }
        }
        Follower::new(engine, 0, "db")
    }

    /// A report of a runtime's that named its session.
    fn told(runtime: &RuntimeId, session: &str) -> Event {
        let bound = Bound::to(About::Runtime(runtime.clone()));
        let payload = format!("{{\"session_id\":\"{session}\"}}").into_bytes();
        let record = Record {
            agent: "codex".to_owned(),
            event: "Stop".to_owned(),
            payload: agents::record::Payload::Whole(payload),
            ..record(None, "", &[])
        };
        Event::EventRecorded(Box::new(EventRow {
            signal: intake::signal(record, bound, &Roster::default()),
            runtime: runtime.clone(),
            ingested_at: Stamp::stored(WallMs(1)),
            effective_time: WallMs(1),
            ahead_ms: 0,
            retires: Vec::new(),
            of_other: false,
            waited_ms: 0,
        }))
    }

    #[test]
    fn below_a_server_of_all_panes_the_session_decides_and_no_process() {
        let both = codexes(&[(1, 1_000, Some("s-1")), (2, 9_000, Some("s-2"))]);
        assert_eq!(bound_by(&both, "s-2", 1_100).as_deref(), Some("rt-2"));
        assert_eq!(bound_by(&both, "s-3", 9_100), None, "both have another one");
        let nested = bound(&record(OURS, "%1", &[9, 102, 77, 101]));
        assert_eq!(nested.map(|it| it.0), Some(2), "a pane that stands below the server");
    }

    #[test]
    fn a_new_session_is_of_the_one_agent_that_had_just_started() {
        let both = codexes(&[(1, 1_000, None), (2, 9_000, None)]);
        assert_eq!(bound_by(&both, "s", 1_200).as_deref(), Some("rt-1"));
        assert_eq!(bound_by(&both, "s", 9_200).as_deref(), Some("rt-2"), "the first is older");
        assert_eq!(bound_by(&both, "s", 20_000), None, "either may have begun it");
        assert_eq!(bound_by(&both, "s", 200_000), None, "neither did");
        let first_known = codexes(&[(1, 1_000, Some("s-1")), (2, 9_000, None)]);
        assert_eq!(bound_by(&first_known, "s", 20_000).as_deref(), Some("rt-2"));
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
    fn what_a_command_of_the_agents_starts_is_not_its_hook() {
        let mut row = pane(1);
        let process = ProcessIdentity { pid: 201, ..ProcessIdentity::default() };
        row.facts.agent = Some(AgentProcess { agent: AgentType::new("claude"), process });
        let own = |chain: &[u32]| is_own(&row, chain, |pid| pid >= 200);
        assert!(own(&[201, 101]), "its child");
        assert!(own(&[9, 201, 101]), "through a shell");
        assert!(own(&[9, 300, 201, 101]), "through a process of its own");
        assert!(!own(&[9, 8, 201, 101]), "a shell below a shell is a command's");
        assert!(!own(&[300, 8, 201, 101]), "whatever the nearest calls itself");
        assert!(own(&[9, 8, 101]), "where the agent is not seen, nothing is known");
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
