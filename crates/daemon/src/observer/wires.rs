//! The kernel's watches on one server's panes: one on each terminal's output, one on each process.
//!
//! A watch that cannot be had is no failure: the pane is asked more often instead, and the target
//! says so.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use engine::ids::PaneId;
use engine::pane::{PaneFacts, ProcessIdentity};

use super::facts::lacks_status;
use super::server::Server;
use crate::sentinel::{Lookout, ProcessKey, ProcessWatch, WatchId};
use crate::targets::Target;

/// What is watched of one pane.
#[derive(Debug, Default)]
struct Wire {
    terminal: String,
    output: Output,
    process: ProcessIdentity,
    life: Life,
    /// The agent's own process, where that is another.
    agent: Option<(ProcessIdentity, ProcessWatch)>,
}

/// The state of the watch on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Output {
    /// There is none: the pane has to be asked.
    #[default]
    Unwatched,
    Armed(WatchId),
    /// It told of output and waits to be armed again.
    Fired,
    /// The pane is dead and writes no more.
    Over,
}

/// The state of the watch on a process.
#[derive(Debug, Default)]
enum Life {
    /// There is none: whether the process lives has to be asked.
    #[default]
    Unwatched,
    Watched(ProcessWatch),
    /// Its end was told, or had come before.
    Over,
}

impl Life {
    /// Ends the watch, and gives its key if there was one.
    fn end(&mut self) -> Option<ProcessKey> {
        match std::mem::replace(self, Self::Over) {
            Self::Watched(watch) => Some(watch.key()),
            Self::Unwatched | Self::Over => None,
        }
    }
}

/// What became of an attempt to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    Yes,
    /// Its terminal is watched from now on: what it printed since it was looked at was not told.
    Late,
    /// The process had ended before it could be watched.
    Ended,
}

/// Whether a process could not be watched because there is none any more.
fn has_ended(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// All watches of one server.
#[derive(Debug, Default)]
pub(super) struct Wires {
    wires: BTreeMap<PaneId, Wire>,
    by_output: BTreeMap<WatchId, PaneId>,
    by_process: BTreeMap<ProcessKey, PaneId>,
    by_agent: BTreeMap<ProcessKey, PaneId>,
    server: Option<ProcessWatch>,
    masters: Masters,
}

/// By which descriptors the server holds its panes' terminals.
#[derive(Debug, Default)]
struct Masters {
    server: u32,
    by_number: BTreeMap<u32, u32>,
}

impl Masters {
    /// Finds out by which descriptor the server holds this terminal.
    fn find(&mut self, target: &Target, terminal: &str) {
        let Some(number) = number_of(terminal) else { return };
        if self.holds(target, number) {
            return;
        }
        self.by_number.remove(&number);
        let known = self.by_number.values().copied().collect();
        self.by_number.extend(target.masters(self.server, &known));
    }

    /// Whether the server is seen to hold this terminal still.
    fn holds(&self, target: &Target, number: u32) -> bool {
        let held = self.by_number.get(&number);
        held.is_some_and(|fd| target.master(self.server, *fd) == Some(number))
    }
}

/// The number of a terminal, by its name.
fn number_of(terminal: &str) -> Option<u32> {
    terminal.strip_prefix("/dev/pts/")?.parse().ok()
}

impl Wires {
    /// Watches the server itself.
    pub(super) fn watch_server(&mut self, target: &Target, lookout: &mut Lookout, server: &Server) {
        self.masters = Masters { server: server.instance.pid, ..Masters::default() };
        let pidfd = target.pidfd(server.instance.pid);
        self.server = pidfd.and_then(|pidfd| lookout.process(pidfd)).ok();
    }

    /// Watches a pane as it is now; keeps the watches that still fit.
    pub(super) fn watch(
        &mut self,
        target: &Target,
        lookout: &mut Lookout,
        facts: &PaneFacts,
        terminals: bool,
    ) -> Armed {
        let wire = self.wires.entry(facts.pane).or_default();
        if facts.dead || wire.terminal != facts.tty {
            if let Output::Armed(watch) = std::mem::take(&mut wire.output) {
                self.by_output.remove(&watch);
                lookout.forget(watch);
            }
            wire.terminal.clone_from(&facts.tty);
            wire.output = if facts.dead { Output::Over } else { Output::Fired };
        }
        if facts.dead {
            // One that closed its terminal may live on, and ends with a status that is waited for.
            let over = !lacks_status(facts) || !wire.process.same_process(&facts.process);
            let key = if over { wire.life.end() } else { None };
            key.and_then(|key| self.by_process.remove(&key));
            return Armed::Yes;
        }
        let watched = matches!(wire.output, Output::Armed(_));
        if terminals {
            self.arm_output(facts.pane, lookout);
        } else {
            wire.output = Output::Unwatched;
        }
        let late = terminals && !watched && self.tells_output(facts.pane);
        let lives =
            [self.watch_agent(target, lookout, facts), self.watch_process(target, lookout, facts)];
        if lives.contains(&Armed::Ended) {
            Armed::Ended
        } else if late {
            Armed::Late
        } else {
            Armed::Yes
        }
    }

    /// Watches the agent's own process. One that cannot be watched is looked at with its pane.
    fn watch_agent(&mut self, target: &Target, lookout: &mut Lookout, facts: &PaneFacts) -> Armed {
        let agent = facts.agent.as_ref().map(|agent| agent.process);
        let agent = agent.filter(|agent| !agent.same_process(&facts.process));
        let Some(wire) = self.wires.get_mut(&facts.pane) else { return Armed::Yes };
        let watched = wire.agent.as_ref().map(|(process, _)| process);
        if let (Some(watched), Some(agent)) = (watched, &agent)
            && watched.same_process(agent)
        {
            return Armed::Yes;
        }
        self.drop_agent(facts.pane);
        let Some(agent) = agent else { return Armed::Yes };
        match target.pidfd(agent.pid).and_then(|pidfd| lookout.process(pidfd)) {
            Ok(life) => {
                self.by_agent.insert(life.key(), facts.pane);
                if let Some(wire) = self.wires.get_mut(&facts.pane) {
                    wire.agent = Some((agent, life));
                }
                Armed::Yes
            }
            Err(error) if has_ended(&error) => Armed::Ended,
            Err(error) => {
                tracing::debug!(pane = %facts.pane, %error, "an agent cannot be watched");
                Armed::Yes
            }
        }
    }

    fn drop_agent(&mut self, pane: PaneId) {
        let agent = self.wires.get_mut(&pane).and_then(|wire| wire.agent.take());
        if let Some((_, life)) = agent {
            self.by_agent.remove(&life.key());
        }
    }

    /// Asks to be told of the pane's next output.
    pub(super) fn arm_output(&mut self, pane: PaneId, lookout: &Lookout) {
        let Some(wire) = self.wires.get_mut(&pane) else { return };
        if matches!(wire.output, Output::Armed(_) | Output::Over) {
            return;
        }
        wire.output = match lookout.next_output(Path::new(&wire.terminal)) {
            Ok(watch) => {
                self.by_output.insert(watch, pane);
                Output::Armed(watch)
            }
            Err(error) => {
                tracing::debug!(%pane, %error, "a terminal cannot be watched");
                Output::Unwatched
            }
        };
    }

    fn watch_process(
        &mut self,
        target: &Target,
        lookout: &mut Lookout,
        facts: &PaneFacts,
    ) -> Armed {
        let Some(wire) = self.wires.get_mut(&facts.pane) else { return Armed::Yes };
        let settled = match &wire.life {
            Life::Watched(_) => wire.process.same_process(&facts.process),
            Life::Over => wire.process == facts.process,
            Life::Unwatched => false,
        };
        if settled {
            return Armed::Yes;
        }
        if let Some(old) = wire.life.end() {
            self.by_process.remove(&old);
        }
        wire.process = facts.process;
        self.masters.find(target, &wire.terminal);
        match target.pidfd(facts.process.pid).and_then(|pidfd| lookout.process(pidfd)) {
            Ok(life) => {
                self.by_process.insert(life.key(), facts.pane);
                wire.life = Life::Watched(life);
                Armed::Yes
            }
            Err(error) if has_ended(&error) => Armed::Ended,
            Err(error) => {
                wire.life = Life::Unwatched;
                if error.kind() != io::ErrorKind::Unsupported {
                    tracing::debug!(pane = %facts.pane, %error, "a process cannot be watched");
                }
                Armed::Yes
            }
        }
    }

    /// Whether the kernel tells of this pane's output.
    pub(super) fn tells_output(&self, pane: PaneId) -> bool {
        self.wires.get(&pane).is_some_and(|wire| wire.output != Output::Unwatched)
    }

    /// How many panes have to be asked although the kernel could tell of their terminals, or of
    /// their processes.
    pub(super) fn untold(&self, terminals: bool, processes: bool) -> usize {
        let untold = |wire: &&Wire| {
            terminals && wire.output == Output::Unwatched
                || processes && matches!(wire.life, Life::Unwatched)
        };
        self.wires.values().filter(untold).count()
    }

    /// The pane that wrote, if the watch is one of ours. It is over with that.
    pub(super) fn written(&mut self, watch: WatchId) -> Option<PaneId> {
        let pane = self.by_output.remove(&watch)?;
        if let Some(wire) = self.wires.get_mut(&pane) {
            wire.output = Output::Fired;
        }
        Some(pane)
    }

    /// Whether the end of the server itself is told.
    pub(super) fn watches_server(&self) -> bool {
        self.server.is_some()
    }

    pub(super) fn is_server(&self, key: ProcessKey) -> bool {
        self.server.as_ref().is_some_and(|server| server.key() == key)
    }

    /// The pane whose process ended, and that process.
    pub(super) fn ended(&mut self, key: ProcessKey) -> Option<(PaneId, ProcessIdentity)> {
        let pane = self.by_process.remove(&key)?;
        let wire = self.wires.get_mut(&pane)?;
        wire.life = Life::Over;
        Some((pane, wire.process))
    }

    /// Whether the server is seen to hold the pane's terminal still: what ended there did not end
    /// with the terminal.
    pub(super) fn has_terminal(&self, target: &Target, pane: PaneId) -> bool {
        let number = self.wires.get(&pane).and_then(|wire| number_of(&wire.terminal));
        number.is_some_and(|number| self.masters.holds(target, number))
    }

    /// The pane whose agent's own process ended.
    pub(super) fn agent_ended(&mut self, key: ProcessKey) -> Option<PaneId> {
        let pane = self.by_agent.remove(&key)?;
        self.wires.get_mut(&pane)?.agent = None;
        Some(pane)
    }

    pub(super) fn forget(&mut self, pane: PaneId, lookout: &Lookout) {
        self.drop_agent(pane);
        let Some(mut wire) = self.wires.remove(&pane) else { return };
        number_of(&wire.terminal).and_then(|number| self.masters.by_number.remove(&number));
        if let Output::Armed(watch) = wire.output {
            self.by_output.remove(&watch);
            lookout.forget(watch);
        }
        if let Some(key) = wire.life.end() {
            self.by_process.remove(&key);
        }
    }
}
