//! Which life of which tmux server this is, and when its processes began.

use engine::ids::BootId;
use engine::target::{ObserverMode, ServerFacts};
use engine::time::WallMs;
use tmux::scan::ServerInstance;
use tmux::version::Version;

use crate::targets::host::{HostFacts, ProcessStat, SocketFile, ticks_per_second};

/// Stands in a boot id for what the target does not let us see.
const UNSEEN: &str = "?";

/// One life of a tmux server, proven by its own answers and its host's.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub instance: ServerInstance,
    pub version: Version,
    pub facts: ServerFacts,
    /// What its socket's path led to when it was found.
    pub socket_file: Option<SocketFile>,
    /// The server's own start in clock ticks: what the starts of all its processes are counted
    /// from.
    start_ticks: Option<u64>,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    pub instance: ServerInstance,
    pub version: Version,
    pub socket: String,
    pub socket_file: Option<SocketFile>,
}

impl Server {
    /// `before` is what is remembered of the last server of this target: if it is this one, its
    /// start is kept as it was first read. Starts of processes are counted from it, so they are
    /// the same at each reading, after a restart of the daemon or a jump of the clock too. What it
    /// says of its start is by a clock that is so far behind ours.
    pub(super) fn identify(
        introduction: Introduction,
        host: &HostFacts,
        before: Option<&ServerFacts>,
        booted: Option<WallMs>,
        behind_ms: i64,
    ) -> Self {
        let Introduction { instance, version, socket, socket_file } = introduction;
        let boot = boot_id(instance, host);
        let same = before.filter(|facts| facts.boot == boot);
        let started_at = match (same, host.start_ticks, booted) {
            (Some(facts), _, _) => facts.started_at,
            (None, Some(ticks), Some(booted)) => WallMs(booted.0.saturating_add(ticks_ms(ticks))),
            (None, _, _) => {
                let said = i64::try_from(instance.start_time.saturating_mul(1_000));
                WallMs(said.unwrap_or(i64::MAX).saturating_add(behind_ms))
            }
        };
        let facts = ServerFacts {
            boot,
            pid: instance.pid,
            version: version.as_str().to_owned(),
            socket,
            started_at,
            mode: ObserverMode::Control,
        };
        Self { instance, version, facts, socket_file, start_ticks: host.start_ticks }
    }

    /// When a process of this server's host began, in nanoseconds since 1970.
    pub(super) fn started_ns(&self, stat: &ProcessStat) -> Option<i64> {
        started_ns(self.facts.started_at, self.start_ticks?, stat.start_ticks)
    }
}

/// When a process began, in nanoseconds since 1970, counted from the start of its tmux server.
pub(crate) fn started_ns(server: WallMs, server_ticks: u64, ticks: u64) -> Option<i64> {
    let since = i128::from(ticks) - i128::from(server_ticks);
    let since_ns = since * 1_000_000_000 / i128::from(ticks_per_second());
    i64::try_from(i128::from(server.0) * 1_000_000 + since_ns).ok()
}

/// The server of a boot id, as tmux itself names it.
pub(crate) fn instance_of(boot: &BootId) -> Option<ServerInstance> {
    let mut parts = boot.as_str().rsplit('-');
    let start_time = parts.next()?.parse().ok()?;
    let pid = parts.nth(1)?.parse().ok()?;
    Some(ServerInstance { pid, start_time })
}

/// The pid alone comes again, and so may a start time of whole seconds. With the boot of the host
/// and the tick of the process's start there is no second one.
fn boot_id(instance: ServerInstance, host: &HostFacts) -> BootId {
    let boot = host.boot.as_deref().unwrap_or(UNSEEN);
    let ticks = host.start_ticks.map_or_else(|| UNSEEN.to_owned(), |ticks| ticks.to_string());
    BootId::new(format!("{boot}-{}-{ticks}-{}", instance.pid, instance.start_time))
}

fn ticks_ms(ticks: u64) -> i64 {
    let ms = u128::from(ticks) * 1_000 / u128::from(ticks_per_second());
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: ServerInstance = ServerInstance { pid: 7, start_time: 1_700_000_001 };

    fn host(ticks: u64) -> HostFacts {
        HostFacts { boot: Some("b".to_owned()), start_ticks: Some(ticks) }
    }

    fn identify(host: &HostFacts, before: Option<&ServerFacts>, booted: Option<i64>) -> Server {
        behind(0, host, before, booted)
    }

    fn behind(
        behind_ms: i64,
        host: &HostFacts,
        before: Option<&ServerFacts>,
        booted: Option<i64>,
    ) -> Server {
        let introduction = Introduction {
            instance: INSTANCE,
            version: "3.3a".parse().unwrap(),
            socket: "/s".to_owned(),
            socket_file: None,
        };
        Server::identify(introduction, host, before, booted.map(WallMs), behind_ms)
    }

    fn stat(start_ticks: u64) -> ProcessStat {
        ProcessStat {
            state: b'S',
            parent: 1,
            group: 1,
            foreground: None,
            start_ticks,
            exec_mark: None,
        }
    }

    #[test]
    fn each_part_of_a_servers_identity_makes_another_boot_id() {
        let first = identify(&host(500), None, None).facts.boot;
        assert_eq!(first.as_str(), "b-7-500-1700000001");
        assert_ne!(first, identify(&host(501), None, None).facts.boot, "a reused pid");
        let other = HostFacts { boot: Some("c".to_owned()), ..host(500) };
        assert_ne!(first, identify(&other, None, None).facts.boot, "another boot of the host");
        assert_eq!(
            identify(&HostFacts::default(), None, None).facts.boot.as_str(),
            "?-7-?-1700000001"
        );
    }

    #[test]
    fn starts_of_processes_stay_the_same_when_the_clock_jumps() {
        let first = identify(&host(500), None, Some(1_000_000));
        assert_eq!(first.facts.started_at, WallMs(1_005_000));
        assert_eq!(first.started_ns(&stat(501)), Some(1_005_010_000_000));
        let jumped = identify(&host(500), Some(&first.facts), Some(9_000_000));
        assert_eq!(jumped.started_ns(&stat(501)), first.started_ns(&stat(501)));
        let another = identify(&host(600), Some(&first.facts), Some(9_000_000));
        assert_eq!(another.facts.started_at, WallMs(9_006_000), "another server counts anew");
    }

    #[test]
    fn a_clock_there_that_is_wrong_and_set_moves_no_start() {
        let first = behind(-420_000, &host(500), None, None);
        assert_eq!(first.facts.started_at, WallMs(1_700_000_001_000 - 420_000));
        let later = behind(420_000, &host(500), Some(&first.facts), None);
        assert_eq!(later.facts.started_at, first.facts.started_at);
    }

    #[test]
    fn where_starts_cannot_be_seen_the_servers_own_word_is_taken() {
        let server = identify(&HostFacts::default(), None, None);
        assert_eq!(server.facts.started_at, WallMs(1_700_000_001_000));
        assert_eq!(server.started_ns(&stat(1)), None);
    }
}
