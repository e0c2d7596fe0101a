//! The life of one observer: find the server, watch it, and begin again when that ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::error::with_causes;
use engine::input::{Observation, Topology};
use engine::target::{ObserverMode, ServerFacts, Trouble};
use engine::time::{MonoMs, WallMs};
use tmux::hub::{Hub, is_hub_name};
use tmux::rows::{PaneRow, ServerRow, SessionRow};
use tmux::scan::is_empty_server;

use super::context::{Context, Order, jittered};
use super::hub::{Lifeline, SeatError, leave_by_fork, no_control, take_seat};
use super::line::{AskError, Asked, Line, fork};
use super::link::LinkEnd;
use super::look::Unread;
use super::reporter::{Closed, Reporter};
use super::schedule::Pace;
use super::server::{Introduction, Server};
use super::trouble;
use super::watch::{Halt, Watch};
use crate::clock::Clock;
use crate::sentinel::{Hint, WatchId};
use crate::targets::failure::TmuxFailure;
use crate::targets::host::SocketFile;
use crate::targets::obstacle::Obstacle;
use crate::targets::{Target, host, local};

/// How long to wait for a server that is not there: soon at first, because one that ends is often
/// followed by the next, then as rarely as an idle one is looked at.
const ABSENT_MS: [u64; 10] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 5_000];
/// A hint does not shorten the wait below this step while they keep coming.
const HINTED_STEP_MIN: usize = 3;
/// The first and the longest pause before connecting again after a failure.
const RECONNECT_MS: (u64, u64) = (250, 10_000);
/// The second and the longest pause where each connection falls silent over a file there.
const STUCK_MS: (u64, u64) = (5_000, 60_000);
/// A connection that lasted this long was a good one.
const GOOD_MS: i64 = 10_000;
/// One that lasted this long fell silent over no file: that takes some seconds from its start.
const STEADY_MS: i64 = 60_000;
/// Failed connections in a row before control mode is given up for a while.
const CONTROL_TRIES_MAX: u32 = 3;
/// How long control mode is given up for, the first time and at most.
const WITHOUT_CONTROL_MS: (i64, i64) = (30_000, 600_000);

/// What a look for a server found.
enum Found {
    /// With what it holds, where that was asked for along with it.
    Server(Introduction, Option<Box<Unread>>),
    /// A server on which nothing is the user's.
    Vacant(Introduction),
    Nothing,
}

pub(super) struct Life<R> {
    pub cx: Context<R>,
    pub hub: Hub,
    lifeline: Option<Lifeline>,
    pub pace: Pace,
    /// The server that was last seen there, in this life of the daemon or the one before.
    pub before: Option<ServerFacts>,
    program_known: bool,
    /// A server was looked at in this life.
    looked: bool,
    absent_step: usize,
    door: Option<Door>,
    failures: u32,
    /// How many connections in a row fell silent over a file there.
    stuck: u32,
    /// It was turned away, for want of a key as it seems.
    wants_key: bool,
    control_failures: u32,
    without_control: Option<WithoutControl>,
    /// A connection broke over what was read from it, which what tmux tells by itself may have caused.
    garbled: bool,
}

/// The folder in which a server will appear.
struct Door {
    folder: PathBuf,
    watch: WatchId,
}

/// Control mode is not used for a while.
struct WithoutControl {
    until: MonoMs,
    reason: String,
}

impl<R: Reporter> Life<R> {
    pub(super) fn new(cx: Context<R>, hub: Hub, pace: Pace, before: Option<ServerFacts>) -> Self {
        let lifeline = Lifeline::new()
            .inspect_err(|error| tracing::warn!(%error, "our sessions may outlive us"))
            .ok();
        Self {
            cx,
            hub,
            lifeline,
            pace,
            before,
            program_known: false,
            looked: false,
            absent_step: 0,
            door: None,
            failures: 0,
            stuck: 0,
            wants_key: false,
            control_failures: 0,
            without_control: None,
            garbled: false,
        }
    }

    /// Lives until it is told to stop; gives the server that was seen last.
    pub(super) async fn run(mut self) -> Option<ServerFacts> {
        while let Ok(()) = self.turn().await {}
        self.cx.target.disconnect();
        self.before
    }

    async fn turn(&mut self) -> Result<(), Closed> {
        match self.connect().await? {
            Ok(false) => {}
            // Whoever reads it says when it is here.
            Ok(true) => self.cx.report(Observation::Behind).await?,
            Err(why) => return self.fail_by(&why).await,
        }
        match self.seek().await {
            Ok(Some(Found::Server(introduction, sight))) => self.attend(introduction, sight).await,
            Ok(Some(Found::Vacant(introduction))) => {
                self.answered().await?;
                // One of ours may have been left, and then nothing else keeps the server alive.
                leave_by_fork(&self.cx.target, &self.hub).await.ok();
                let topology = self.identify(introduction).await;
                self.cx.report(nothing_on(&topology, self.cx.now().mono)).await?;
                self.cx.target.looked();
                self.linger(Some(Path::new("/dev/pts"))).await
            }
            Ok(Some(Found::Nothing)) => {
                self.answered().await?;
                self.before = None;
                self.cx.report(Observation::NoServer).await?;
                self.cx.target.looked();
                let folder = self.cx.target.socket().and_then(Path::parent).map(Path::to_owned);
                self.linger(folder.as_deref()).await
            }
            Ok(None) => Err(Closed),
            Err(trouble) => self.fail(trouble).await,
        }
    }

    /// Sees to it that there is a connection, where there has to be one.
    async fn connect(&mut self) -> Result<Result<bool, Obstacle>, Closed> {
        let target = Arc::clone(&self.cx.target);
        tokio::select! {
            biased;
            () = self.cx.orders.stop() => Err(Closed),
            connected = target.connect() => Ok(connected),
        }
    }

    /// Looks whether there is a server. `None` when told to stop meanwhile.
    async fn seek(&mut self) -> Result<Option<Found>, Trouble> {
        let target = Arc::clone(&self.cx.target);
        let (clock, first) = (self.cx.clock, !self.looked);
        let mut program_known = self.program_known;
        let seeking = async {
            let server = if target.may_listen().await {
                introduce(&target, first.then_some(clock)).await
            } else {
                Ok(Found::Nothing)
            };
            // Somebody may wait for the first look, and a program that is too old makes what the
            // server said through it no less true: it is asked after that.
            let waits = matches!(server, Ok(Found::Server(_, Some(_))));
            if !waits && !program_known {
                check_program(&target).await?;
                program_known = true;
            }
            server
        };
        let found = tokio::select! {
            biased;
            () = self.cx.orders.stop() => return Ok(None),
            found = seeking => found,
        };
        let unusable = found.as_ref().is_err_and(trouble::is_unusable);
        self.program_known = program_known && !unusable;
        found.map(Some)
    }

    /// Waits until it is worth looking again: something happened in `folder`, somebody asks, or a
    /// while has passed.
    async fn linger(&mut self, folder: Option<&Path>) -> Result<(), Closed> {
        if let Some(socket) = self.cx.target.socket() {
            local::prepare(socket);
        }
        self.stand_at(folder);
        let idle = Duration::from_millis(u64::try_from(self.pace.idle_ms).unwrap_or(0));
        let step = ABSENT_MS.get(self.absent_step).copied().map(Duration::from_millis);
        let pause = step.map_or(idle, |step| step.min(idle));
        self.absent_step = self.absent_step.saturating_add(1);
        let mut pause = std::pin::pin!(tokio::time::sleep(pause));
        let target = Arc::clone(&self.cx.target);
        loop {
            tokio::select! {
                biased;
                given = self.cx.orders.next() => match given {
                    Order::Stop => return Err(Closed),
                    Order::Rescan => {
                        self.absent_step = 0;
                        return Ok(());
                    }
                },
                hints = self.cx.ears.hints() => if self.somebody_moved(&hints) {
                    self.absent_step = self.absent_step.min(HINTED_STEP_MIN);
                    return Ok(());
                },
                why = target.cut() => return self.fail_by(&why).await,
                () = &mut pause => return Ok(()),
            }
        }
    }

    /// Watches a folder for as long as there is no server to watch; one folder at a time.
    fn stand_at(&mut self, folder: Option<&Path>) {
        if self.door.as_ref().map(|door| door.folder.as_path()) == folder {
            return;
        }
        self.leave_door();
        let lookout = self.cx.ears.lookout.as_ref();
        self.door = lookout.zip(folder).and_then(|(lookout, folder)| {
            let watch = lookout.folder(folder).ok()?;
            Some(Door { folder: folder.to_owned(), watch })
        });
    }

    fn leave_door(&mut self) {
        if let (Some(lookout), Some(door)) = (&self.cx.ears.lookout, self.door.take()) {
            lookout.forget(door.watch);
        }
    }

    /// Whether hints are about the watched folder. Others are the echo of watches given up before:
    /// to look again for their sake would never end.
    fn somebody_moved(&mut self, hints: &[Hint]) -> bool {
        let Some(watch) = self.door.as_ref().map(|door| door.watch) else { return false };
        if hints.contains(&Hint::Unwatched(watch)) {
            self.door = None;
            return true;
        }
        let moved = |hint: &Hint| match hint {
            Hint::Came(folder, _) | Hint::Left(folder, _) => *folder == watch,
            Hint::Lost => true,
            Hint::Ended(_) | Hint::Written(..) | Hint::Unwatched(_) => false,
        };
        hints.iter().any(moved)
    }

    async fn identify(&mut self, introduction: Introduction) -> Server {
        let target = &self.cx.target;
        let facts = target.host_facts(introduction.instance.pid).await;
        let uptime = target.capabilities().files.then(host::uptime_ms).flatten();
        let booted = uptime.map(|uptime| WallMs(self.cx.now().wall.0.saturating_sub(uptime)));
        let (before, behind_ms) = (self.before.as_ref(), target.clock_behind_ms());
        let server = Server::identify(introduction, &facts, before, booted, behind_ms);
        self.before = Some(server.facts.clone());
        server
    }

    /// Watches a server until that ends, and does what its end demands.
    async fn attend(
        &mut self,
        introduction: Introduction,
        sight: Option<Box<Unread>>,
    ) -> Result<(), Closed> {
        self.absent_step = 0;
        self.leave_door();
        let server = self.identify(introduction).await;
        if !server.version.is_supported() {
            return self.fail(trouble::too_old(&server.version)).await;
        }
        if let Some(sight) = sight
            && let Err(halt) = self.look_before(&server, *sight).await
        {
            return self.conclude(halt).await;
        }
        let began = self.cx.now().mono;
        let halt = match self.without_control.take_if(|it| it.until <= began) {
            _ if self.without_control.is_some() => self.watch_by_forks(server).await,
            Some(_) | None => self.watch_by_control(server).await,
        };
        let lasted = self.cx.now().mono.0 - began.0;
        if lasted >= GOOD_MS {
            self.failures = 0;
            self.control_failures = 0;
        }
        if lasted >= STEADY_MS {
            self.stuck = 0;
        }
        self.conclude(halt).await
    }

    /// Takes what the server held when it introduced itself, before there is a connection: to make
    /// one takes many times as long, and the first answer after a start waits for the first look.
    async fn look_before(&mut self, server: &Server, sight: Unread) -> Result<(), Halt> {
        self.looked = true;
        // Nothing is watched yet: that is for the watch that stays.
        let lookout = self.cx.ears.lookout.take();
        let mut watch = Watch::new(&mut self.cx, server.clone(), Line::Forked, None, self.pace);
        watch.server.facts.mode = ObserverMode::Control;
        let looked = watch.take_unread(sight).await;
        drop(watch.finish());
        self.cx.ears.lookout = lookout;
        looked?;
        if self.program_known {
            return Ok(());
        }
        let target = Arc::clone(&self.cx.target);
        tokio::select! {
            biased;
            () = self.cx.orders.stop() => Err(Halt::Stopped),
            checked = check_program(&target) => checked.map_err(Halt::Failed),
        }?;
        self.program_known = true;
        Ok(())
    }

    async fn watch_by_control(&mut self, server: Server) -> Halt {
        let target = Arc::clone(&self.cx.target);
        let taking = take_seat(&target, &self.hub, self.lifeline.as_ref(), &server);
        let seated = tokio::select! {
            biased;
            () = self.cx.orders.stop() => None,
            seated = taking => Some(seated),
        };
        let (link, seat) = match seated {
            Some(Ok(seated)) => seated,
            Some(Err(SeatError::Gone)) => return Halt::Replaced,
            Some(Err(SeatError::Unanswered(failure))) => {
                return Halt::Failed(trouble::of_failure(&failure));
            }
            Some(Err(SeatError::NoControl(reason))) => {
                self.give_up_control(reason);
                return self.watch_by_forks(server).await;
            }
            None => {
                leave_by_fork(&target, &self.hub).await.ok();
                return Halt::Stopped;
            }
        };
        self.cx.speaker.send_replace(Some(link.speaker()));
        let mut watch =
            Watch::new(&mut self.cx, server, Line::Control(link), Some(seat), self.pace);
        watch.subscribes = !self.garbled;
        let halt = watch.run().await;
        watch.cx.speaker.send_replace(None);
        match (watch.finish(), &halt) {
            ((Line::Control(link), Some(seat)), Halt::Stopped | Halt::Vacated) => {
                seat.leave(link).await;
            }
            ((line, _), _) => line.close().await,
        }
        halt
    }

    async fn watch_by_forks(&mut self, server: Server) -> Halt {
        // Without a client it is of no use, and would keep the server alive after the user's last.
        leave_by_fork(&self.cx.target, &self.hub).await.ok();
        let reason = self.without_control.as_ref().map_or("", |it| it.reason.as_str());
        self.cx.limit = Some(no_control(reason));
        let until = self.without_control.as_ref().map(|it| it.until);
        let mut watch = Watch::new(&mut self.cx, server, Line::Forked, None, self.pace);
        watch.retry_control = until;
        let halt = watch.run().await;
        drop(watch.finish());
        self.cx.limit = None;
        halt
    }

    fn give_up_control(&mut self, reason: String) {
        let (first, most) = WITHOUT_CONTROL_MS;
        let length = first.saturating_mul(1 << self.control_failures.min(8)).min(most);
        self.control_failures = self.control_failures.saturating_add(1);
        tracing::warn!(target_id = %self.cx.id, reason, "doing without control mode");
        let until = MonoMs(self.cx.now().mono.0.saturating_add(length));
        self.without_control = Some(WithoutControl { until, reason });
    }

    async fn conclude(&mut self, halt: Halt) -> Result<(), Closed> {
        match halt {
            Halt::Stopped => Err(Closed),
            Halt::ServerGone => {
                self.garbled = false;
                self.before = None;
                self.answered().await?;
                self.cx.report(Observation::NoServer).await
            }
            Halt::Vacated => Ok(()),
            Halt::Replaced => {
                self.failures = self.failures.saturating_add(1);
                if self.failures > 1 { self.back_off().await } else { Ok(()) }
            }
            Halt::RetryControl => {
                self.without_control = None;
                Ok(())
            }
            Halt::Wedged => {
                self.give_up_control("its control connection gave no answers".to_owned());
                Ok(())
            }
            Halt::LinkEnded(end) => {
                tracing::info!(target_id = %self.cx.id, reason = with_causes(&end),
                    "the control connection ended");
                self.garbled |= matches!(end, LinkEnd::Desync(_));
                self.failures = self.failures.saturating_add(1);
                if self.failures >= CONTROL_TRIES_MAX {
                    self.give_up_control(format!("its control connection ends ({end})"));
                    return Ok(());
                }
                // The first time it may just have been somebody who ended our session.
                if self.failures > 1 { self.back_off().await } else { Ok(()) }
            }
            Halt::Failed(trouble) => self.fail(trouble).await,
            Halt::Cut(why) => self.fail_by(&why).await,
        }
    }

    /// The connection to the target ended, for this reason.
    async fn fail_by(&mut self, why: &Obstacle) -> Result<(), Closed> {
        self.cx.failed_by(trouble::of_obstacle(why), why.weight()).await?;
        self.failures = self.failures.saturating_add(1);
        self.stuck = self.stuck.saturating_add(u32::from(matches!(why, Obstacle::Stuck)));
        self.wants_key = matches!(why, Obstacle::Denied { .. });
        let paused = self.back_off().await;
        self.wants_key = false;
        paused
    }

    async fn fail(&mut self, trouble: Trouble) -> Result<(), Closed> {
        self.cx.failed(trouble).await?;
        self.failures = self.failures.saturating_add(1);
        self.back_off().await
    }

    /// Waits before the next attempt, longer with each failure; an order ends the wait, and so does
    /// a new agent with keys where one was wanted, or a host that answers again.
    async fn back_off(&mut self) -> Result<(), Closed> {
        let pause = jittered(pause(self.failures, self.stuck));
        let target = Arc::clone(&self.cx.target);
        tokio::select! {
            biased;
            order = self.cx.orders.next() => match order {
                Order::Stop => Err(Closed),
                Order::Rescan => Ok(()),
            },
            () = target.new_keys(), if self.wants_key => Ok(()),
            () = target.answered() => Ok(()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    async fn answered(&mut self) -> Result<(), Closed> {
        self.failures = 0;
        if std::mem::take(&mut self.cx.failing) {
            self.cx.report(Observation::Answered).await?;
        }
        Ok(())
    }
}

/// How long to wait after so many failures in a row, and so many connections that fell silent over a
/// file: the next would do the same, and each of them takes its target down.
fn pause(failures: u32, stuck: u32) -> Duration {
    let grown = |(first, most): (u64, u64), nth: u32| {
        first.saturating_mul(1 << nth.saturating_sub(1).min(16)).min(most)
    };
    let after_stuck = if stuck > 1 { grown(STUCK_MS, stuck - 1) } else { 0 };
    Duration::from_millis(grown(RECONNECT_MS, failures).max(after_stuck))
}

/// Whether the `tmux` that is installed there is one that we can use.
async fn check_program(target: &Target) -> Result<(), Trouble> {
    let version = target.tmux_version().await.map_err(|it| trouble::of_failure(&it))?;
    if version.is_supported() { Ok(()) } else { Err(trouble::too_old(&version)) }
}

/// Asks a server who it is and whether it holds anything; with a clock, also for everything it
/// holds. One that was just about to end may be followed by the next, so a lost connection is tried
/// again.
async fn introduce(target: &Arc<Target>, look: Option<Clock>) -> Result<Found, Trouble> {
    let mut pauses = target.patience().repetitions();
    let mut look = look;
    loop {
        // Before the question: who answers may sit behind an older file, never behind a newer one.
        let socket_file = target.socket_file();
        let (sessions, server) = (Asked::<SessionRow>::all(), Asked::<ServerRow>::all());
        let panes = look.map(|clock| (Asked::<PaneRow>::all(), clock.now().mono));
        let mut questions = vec![sessions.question(), server.question()];
        questions.extend(panes.iter().map(|(panes, _)| panes.question()));
        match fork(Arc::clone(target), questions).await {
            Ok(outputs) => return read_found(&sessions, &server, panes, outputs, socket_file),
            Err(AskError::Failed(TmuxFailure::NoServer)) => return Ok(Found::Nothing),
            // There is nothing to look at, and tmux refuses the question for panes.
            Err(AskError::Failed(TmuxFailure::Refused { said, .. }))
                if look.is_some() && is_empty_server(&said) =>
            {
                look = None;
            }
            Err(AskError::Failed(TmuxFailure::Lost { said })) => match pauses.next() {
                Some(pause) => tokio::time::sleep(jittered(pause)).await,
                None => return Err(trouble::lost_again(said)),
            },
            Err(AskError::Failed(failure)) => return Err(trouble::of_failure(&failure)),
            Err(error) => return Err(trouble::unreachable(with_causes(&error))),
        }
    }
}

fn read_found(
    sessions: &Asked<SessionRow>,
    server: &Asked<ServerRow>,
    panes: Option<(Asked<PaneRow>, MonoMs)>,
    outputs: Vec<Vec<u8>>,
    socket_file: Option<SocketFile>,
) -> Result<Found, Trouble> {
    let garbled = |error: AskError| trouble::unreachable(with_causes(&error));
    let mut outputs = outputs.into_iter();
    let (Some(listed), Some(told)) = (outputs.next(), outputs.next()) else {
        return Err(trouble::unreachable("an answer is missing"));
    };
    let sessions = sessions.read(&listed).map_err(garbled)?;
    let server = server.read(&told).map_err(garbled)?;
    let [row] = server.rows.as_slice() else {
        return Err(trouble::unreachable("the server does not say which version it is"));
    };
    if sessions.server != server.server {
        return Err(trouble::unreachable("the server was replaced while it was asked"));
    }
    let version = row.version.parse().map_err(|error| trouble::unusable(with_causes(&error)))?;
    let socket = String::from_utf8_lossy(&row.socket_path).into_owned();
    let introduction = Introduction { instance: server.server, version, socket, socket_file };
    if sessions.rows.iter().all(|row| is_hub_name(&row.name)) {
        return Ok(Found::Vacant(introduction));
    }
    let sight = panes.zip(outputs.next()).map(|((panes, began), output)| {
        Box::new(Unread { began, sessions: sessions.rows, panes, output })
    });
    Ok(Found::Server(introduction, sight))
}

/// A server with nothing of the user's.
fn nothing_on(server: &Server, began: MonoMs) -> Observation {
    let facts = server.facts.clone();
    let topology = Topology {
        began,
        server: facts,
        sessions: Vec::new(),
        panes: Vec::new(),
        outputs: Vec::new(),
    };
    Observation::Topology(Box::new(topology))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_failures_and_with_connections_that_hang_over_a_file() {
        let ms = |failures, stuck| pause(failures, stuck).as_millis();
        assert_eq!([0, 1, 2, 3, 9].map(|failures| ms(failures, 0)), [250, 250, 500, 1_000, 10_000]);
        // Such a connection may last so long that it counts as a good one.
        assert_eq!([1, 2, 3, 4, 9].map(|stuck| ms(1, stuck)), [250, 5_000, 10_000, 20_000, 60_000]);
        assert_eq!(ms(9, 2), 10_000);
    }
}
