//! The daemon's life, from taking the lock to letting go of it.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::adapters::AdapterProblem;
use api::shutdown::ShutdownReason;
use api::watch::ResetReason;
use engine::event::{Actor, Event};
use engine::input::{Effect, Input, Note, Request};
use engine::target::Beat;
use engine::words::TargetKind;
use store::{Change, Durability, Identity, Ledger, OpenError, Opened, Options, Retention};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::adapters::{self, Roster};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::deck::{self, Chore, Deck, Publication};
use crate::executors::{Executors, Outbox, Shown};
use crate::follower::Follower;
use crate::http::app::{App, Facts};
use crate::http::config::ConfigInUse;
use crate::http::server::Server;
use crate::ids::Ids;
use crate::lifecycle::{self, LifecycleError, Lock, detached};
use crate::log::{self, Log};
use crate::lookout::Lookout;
use crate::notify::Notifier;
use crate::observer::Desk;
use crate::observers::Observers;
use crate::outside::Listening;
use crate::paths::Paths;
use crate::presence::{Found, Presence};
use crate::spool::afar::Clocks;
use crate::spool::tally::Tally;
use crate::spool::{self, afar, reader};
use crate::targets::local;
use crate::targets::process::Environment;
use crate::trail::TrailFile;
use crate::vigil::Vigil;
use crate::{descriptors, file_watch, identity};

/// How often it is looked whether clients still find the daemon.
const ROUND_INTERVAL: Duration = Duration::from_secs(10);
/// How long the first answer waits for the first look at every target. What a daemon remembers of
/// a world that it has not seen yet is better not shown as the present.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_millis(500);
/// How long requests under way may take once the daemon is asked to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after the start expired rows are looked for first: who asks then is answered before.
const RETENTION_DELAY: Duration = Duration::from_secs(2);
/// How often expired rows are looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// How to run.
#[derive(Clone, Debug)]
pub struct Run {
    pub paths: Paths,
    /// Started by a client, to outlive it.
    pub detached: bool,
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the journal cannot be read")]
    Journal(#[source] store::Fault),
    #[error("the daemon cannot {0}")]
    System(&'static str, #[source] std::io::Error),
}

/// Runs until somebody asks it to end. A detached daemon tells its starter when it answers; whoever
/// called this says why it does not.
pub fn run(run: &Run) -> Result<(), RunError> {
    if run.detached {
        detached::leave_starter();
    }
    // Whatever the starter's mask was: nothing of ours is for others.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    start(run).and_then(|daemon| daemon.live(run.detached))
}

/// Everything that was opened before the first thing happens.
struct Daemon {
    presence: Presence,
    listener: UnixListener,
    paths: Paths,
    config: Config,
    log: Log,
    clock: Clock,
    ledger: Ledger,
    trail: TrailFile,
    /// For the programs that are started.
    environment: Environment,
}

/// Opens everything, the lock first: who does not get it touches nothing.
fn start(run: &Run) -> Result<Daemon, RunError> {
    let paths = run.paths.clone();
    let clock = Clock::new();
    lifecycle::prepare(&paths)?;
    let lock = Lock::take(&paths)?;
    let config = Config::load(&paths.config)?;
    let log = log::start(&paths.logs, &config.log);
    let log = log.map_err(|it| RunError::System("write its log", it))?;
    let Opened { mut ledger, created, damage } = open_ledger(&paths, &config, clock)?;
    if let Some(damage) = damage {
        tracing::error!(?damage, "the database is damaged; only what is proven is shown");
    }
    for notice in ledger.notices() {
        tracing::warn!(%notice, "found when the database was opened; it proves less");
    }
    let (left, trail) = TrailFile::open(&paths.trail);
    ledger.take_up(&left, clock.now());
    // Before anybody is answered: what hangs by now must not be shown as it was.
    if let Err(error) = ledger.transact(clock.now(), vec![(Actor::Daemon, Input::Started)]) {
        tracing::warn!(%error, "that targets were not looked at yet could not be stored");
    }
    let (listener, presence) = Presence::begin(lock, &paths)?;
    tracing::info!(created, as_of = ledger.as_of(), "opened");
    let environment = Environment::of_this_process().with_descriptors(descriptors::take_all());
    Ok(Daemon { presence, listener, paths, config, log, clock, ledger, trail, environment })
}

/// What those are given who follow the spools of other machines.
fn ears(
    paths: &Paths,
    desk: Desk,
    clock: Clock,
    config: watch::Receiver<Arc<ConfigInUse>>,
    adapters: watch::Receiver<Arc<Roster>>,
    (tally, clocks): (watch::Sender<Tally>, watch::Sender<Clocks>),
) -> afar::Given {
    let folder = paths.spool.join(agents::spool::AFAR);
    let Desk { deck, known: lookout } = desk;
    let vigil = Vigil::new(deck.clone(), lookout.clone(), clock, config);
    afar::Given { deck, lookout, clock, adapters, tally, clocks, folder, vigil }
}

fn open_ledger(paths: &Paths, config: &Config, clock: Clock) -> Result<Opened, RunError> {
    Ok(Ledger::open(&paths.database, options(config, clock), clock.now())?)
}

/// What the database is opened with, by whomever.
pub(crate) fn options(config: &Config, clock: Clock) -> Options {
    let ids = Ids::new(clock);
    Options {
        settings: config.engine(),
        identity: Identity {
            database: ids.next("db"),
            installation: identity::installation(),
            machine: identity::machine(),
        },
        durability: Durability::Full,
        probe: None,
    }
}

impl Daemon {
    /// Lives on this thread until it is asked to end, and leaves everything closed.
    fn live(self, detached: bool) -> Result<(), RunError> {
        let runtime = descriptors::suffice()
            .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
            .map_err(|it| RunError::System("start its runtime", it))?;
        let Self { mut presence, listener, paths, config, log, clock, .. } = self;
        let (ledger, trail, environment) = (self.ledger, self.trail, self.environment);
        let listener = listener
            .set_nonblocking(true)
            .map(|()| listener)
            .map_err(|it| RunError::System("listen", it))?;
        let result = runtime.block_on(async {
            let house = House::build(&paths, &config, log, clock, ledger, trail, environment)?;
            house.live(listener, &mut presence, &paths, detached).await
        });
        // What still runs has nothing left to say.
        runtime.shutdown_background();
        presence.end();
        match &result {
            Ok(()) => tracing::info!("ended"),
            Err(error) => {
                let cause = std::error::Error::source(error);
                tracing::error!(%error, cause, "ended by a failure");
            }
        }
        result
    }
}

/// The parts of a running daemon.
struct House {
    clock: Clock,
    running: deck::Running,
    lookout: Lookout,
    app: Arc<App>,
    observers: Observers,
    executors: Executors,
    config: watch::Sender<Arc<ConfigInUse>>,
    log: Log,
    retention: Retention,
    spool: watch::Sender<Tally>,
    adapters: watch::Sender<Arc<Roster>>,
    /// The folder in which the user describes agents.
    described: PathBuf,
    notifier: Notifier,
    listening: Listening,
    trail: TrailFile,
}

/// What is read of a ledger, by whomever asks.
fn lookout_on(ledger: &Ledger, clock: Clock) -> Result<Lookout, RunError> {
    let stream = ledger.stream().to_owned();
    let follower = Follower::new(ledger.engine().clone(), ledger.as_of(), stream)
        .standing_as(ledger.standing().into(), clock.now());
    let journal = ledger.journal().map_err(RunError::Journal)?;
    Ok(Lookout::new(follower, journal, clock))
}

fn instance_of(identity: &Identity, paths: &Paths) -> Result<String, RunError> {
    identity::instance(&identity.installation, &paths.home)
        .map_err(|it| RunError::System("look at its own folder", it))
}

impl House {
    fn build(
        paths: &Paths,
        config: &Config,
        log: Log,
        clock: Clock,
        ledger: Ledger,
        trail: TrailFile,
        environment: Environment,
    ) -> Result<Self, RunError> {
        let identity = ledger.identity().clone();
        let under_way = ledger.engine().standing_effects();
        let open = ledger.engine().actions().map(|row| row.action.clone()).collect();
        let notices = ledger.notices().to_vec();
        let lookout = lookout_on(&ledger, clock)?;
        let running = deck::start(ledger, clock)
            .map_err(|it| RunError::System("start the thread that decides", it))?;
        let retention = retention_of(config);
        let desk = Desk { deck: running.deck.clone(), known: lookout.clone() };
        let described = adapters::folder(&paths.config);
        let roster = Arc::new(roster(&described, &lookout));
        let adapters = watch::Sender::new(Arc::clone(&roster));
        let notify = config.notify.clone();
        let notifier =
            Notifier::new(notify, paths.notified.clone(), lookout.clone(), environment.clone());
        let instance = instance_of(&identity, paths)?;
        let ways = (environment, paths.routes.as_path());
        let (spool, clocks, shown) =
            (watch::Sender::default(), watch::Sender::default(), Shown::default());
        let (path, loaded_at) = (paths.config.clone(), clock.now().wall);
        let in_use = ConfigInUse { path, loaded_at, config: config.clone(), refused: None };
        let (current, in_use) = watch::channel(Arc::new(in_use));
        let told = (spool.clone(), clocks.clone());
        let ears = ears(paths, desk.clone(), clock, in_use.clone(), adapters.subscribe(), told);
        let observers = Observers::start(desk, clock, &instance, config, roster, ways, ears)
            .map_err(|it| RunError::System("watch processes", it))?;
        let outbox = Outbox::open(&paths.outbox, &open)
            .map_err(|it| RunError::System("keep texts to be sent", it))?;
        let executors = Executors::new(
            running.deck.clone(),
            lookout.clone(),
            outbox.clone(),
            shown.clone(),
            adapters.subscribe(),
        );
        let facts = facts(paths, instance, clock);
        let app = App::new(running.deck.clone(), lookout.clone(), clock, facts, in_use);
        let app = app.with_spool(spool.subscribe()).with_far(clocks.subscribe(), observers.ways());
        let app = app.with_executors(executors.clone(), outbox.clone(), shown.clone());
        let app = Arc::new(app.with_adapters(adapters.subscribe()).with_notices(notices));
        let listening = Listening::new(Arc::clone(&app));
        let mut house = Self {
            clock,
            running,
            lookout,
            app,
            observers,
            executors,
            config: current,
            log,
            retention,
            spool,
            adapters,
            described,
            notifier,
            listening,
            trail,
        };
        house.carry_out(under_way);
        Ok(house)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(deed) = self.observers.carry_out(effect) {
                self.executors.take(deed);
            }
        }
    }

    async fn live(
        mut self,
        listener: UnixListener,
        presence: &mut Presence,
        paths: &Paths,
        detached: bool,
    ) -> Result<(), RunError> {
        let system = |what| move |it| RunError::System(what, it);
        let mut terminate = signal(SignalKind::terminate()).map_err(system("hear signals"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("hear signals"))?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(system("hear signals"))?;
        let mut asked = self.app.stop_requests();
        let mut edits = file_watch::watch("config", &paths.config);
        let mut descriptions = file_watch::watch_within("adapters", &self.described);
        let mut moves = file_watch::watch("socket", presence.socket());
        let mut rounds = tokio::time::interval(ROUND_INTERVAL);
        let deck = self.running.deck.clone();
        tokio::spawn(deck::keep_time(deck.clone(), self.clock, self.running.deadline.clone()));
        tokio::spawn(keep_house(deck.clone(), self.config.subscribe(), self.retention));
        self.seed(&deck);
        self.observers.end_left();
        self.look_first().await;
        self.notifier.catch_up(|| self.observers.reaches());
        let spool = self.follow_spool(paths).map_err(system("follow its spool"))?;
        let server =
            Server::start(Arc::clone(&self.app), listener).map_err(system("serve its API"))?;
        self.listen();
        if detached {
            detached::ready().map_err(system("tell its starter"))?;
        }
        let reason = loop {
            tokio::select! {
                biased;
                _ = terminate.recv() => break ResetReason::Shutdown,
                _ = interrupt.recv() => break ResetReason::Shutdown,
                Ok(()) = asked.changed() => break reset_reason(*asked.borrow_and_update()),
                publication = self.running.news.recv() => match publication {
                    Some(publication) => self.publish(publication).await,
                    // The deck ends first only if it failed.
                    None => break ResetReason::Shutdown,
                },
                () = self.observers.attend() => {}
                Some(()) = edits.recv() => self.reconfigure(paths),
                Some(()) = descriptions.recv() => self.equip(),
                _ = hang_up.recv() => {
                    self.reconfigure(paths);
                    self.equip();
                }
                Some(()) = moves.recv() => if self.is_lost(presence, &server).await {
                    break ResetReason::Shutdown;
                },
                // What the kernel does not tell of, such as a folder that was renamed.
                _ = rounds.tick() => {
                    self.listen();
                    if self.is_lost(presence, &server).await {
                        break ResetReason::Shutdown;
                    }
                }
                else => break ResetReason::Shutdown,
            }
        };
        self.end(server, spool, reason).await
    }

    /// Sees to it that there is a target: this machine's own tmux server.
    fn seed(&self, deck: &Deck) {
        if self.lookout.read(|follower| follower.engine().targets().next().is_some()) {
            return;
        }
        let request = Request::AddTarget {
            target: engine::ids::TargetId::new(Ids::new(self.clock).next("tg")),
            name: "local".to_owned(),
            kind: TargetKind::Local,
            connection_ref: self.default_server(),
        };
        let deck = deck.clone();
        tokio::spawn(async move {
            if let Err(error) = deck.ask(Actor::Daemon, Input::Asked(request)).await {
                tracing::error!(%error, "the first target was not added");
            }
        });
    }

    /// The socket of the user's default tmux server, as the environment of the first daemon says:
    /// the next may be started from anywhere, and must not take another server for the same one.
    fn default_server(&self) -> String {
        let environment = Environment::of_this_process();
        let socket = local::socket("", local::tmux_tmpdir(environment.variables()));
        // A path that is no text is found by the environment each time.
        local::settled(&socket).to_str().unwrap_or_default().to_owned()
    }

    /// Waits until every target was looked at once, or could not be. Whoever asks meanwhile waits
    /// in the socket's queue.
    async fn look_first(&mut self) {
        let mut patience = std::pin::pin!(tokio::time::sleep(FIRST_LOOK_TIMEOUT));
        while !self.lookout.read(|follower| follower.engine().is_observed(|_| true)) {
            tokio::select! {
                () = &mut patience => return,
                () = self.observers.attend() => {}
                publication = self.running.news.recv() => match publication {
                    Some(publication) => self.publish(publication).await,
                    None => return,
                },
            }
        }
    }

    /// Takes in what hooks wrote down, also while nobody was there. The panes are known by now.
    fn follow_spool(&self, paths: &Paths) -> std::io::Result<spool::Running> {
        reader::start(
            paths.spool.clone(),
            self.running.deck.clone(),
            self.lookout.clone(),
            self.clock,
            self.observers.sentinel(),
            self.adapters.subscribe(),
            self.spool.clone(),
        )
    }

    /// Makes news readable, has done what follows from it, and tells who waits for it.
    async fn publish(&mut self, mut publication: Publication) {
        self.lookout.publish(&publication);
        self.leave_trail(&publication);
        self.executors.forget_ended(publication.changes.iter().map(|change| &change.event));
        self.notifier.hear(&publication, || self.observers.reaches());
        self.carry_out(std::mem::take(&mut publication.effects));
        if publication.lost.is_some() {
            self.observers.forgotten();
        }
        let turned = |change: &Arc<Change>| matches!(change.event, Event::AdapterChanged(_));
        if publication.changes.iter().any(turned) {
            self.equip();
        }
        publication.release();
        // Watchers get to read before the next piece of news.
        tokio::task::yield_now().await;
    }

    /// Leaves for the next daemon what was seen: a failure at once, a look within the second.
    fn leave_trail(&mut self, publication: &Publication) {
        let failed =
            |(_, note): &(_, Note)| matches!(note, Note::Beat { beat: Beat::Failed { .. }, .. });
        let now = self.clock.now().mono;
        if self.trail.is_due(now) || publication.notes.iter().any(failed) {
            self.trail.leave(self.lookout.read(|follower| follower.engine().trail()), now);
        }
    }

    /// Takes the adapters as they are described now, and as somebody turned them on or off.
    fn equip(&mut self) {
        let roster = Arc::new(roster(&self.described, &self.lookout));
        if *roster == **self.adapters.borrow() {
            return;
        }
        for left_out in roster.left_out() {
            let AdapterProblem { path, line, column, message } = &left_out.problem;
            tracing::warn!(path, line, column, message, "the description of an agent is left out");
        }
        self.observers.equip(Arc::clone(&roster));
        self.adapters.send_replace(roster);
        tracing::info!("adapters were read again");
    }

    /// Serves tokens where the settings say.
    fn listen(&mut self) {
        let wanted = self.config.borrow().config.api.listen.clone();
        self.listening.settle(&wanted);
    }

    /// Takes new settings, or keeps the old ones and says why.
    fn reconfigure(&mut self, paths: &Paths) {
        let in_use = Arc::clone(&self.config.borrow());
        match Config::load(&paths.config) {
            Ok(config) if config == in_use.config && in_use.refused.is_none() => {}
            Ok(config) => {
                let settings = config.engine();
                self.log.configure(&config.log);
                self.lookout.configure(settings);
                self.observers.configure(&config);
                self.notifier.configure(&config.notify);
                let (path, loaded_at) = (paths.config.clone(), self.clock.now().wall);
                let refused = None;
                let in_use = ConfigInUse { path, loaded_at, config, refused };
                self.config.send_replace(Arc::new(in_use));
                let deck = self.running.deck.clone();
                tokio::spawn(async move { deck.upkeep(Chore::Configure(settings)).await });
                self.listen();
                tracing::info!("settings were read again");
            }
            // `GET /v1/config` shows the same.
            Err(error) => {
                tracing::error!(%error, "the settings are not valid; the old ones stay");
                let refused = Some(error.to_string());
                self.config
                    .send_modify(|it| *it = Arc::new(ConfigInUse { refused, ..(**it).clone() }));
            }
        }
    }

    /// Sees to it that clients find the daemon. `true` if they never will again, because its place
    /// was deleted.
    async fn is_lost(&self, presence: &mut Presence, server: &Server) -> bool {
        match presence.look() {
            Ok(Found::AsLeft) => {}
            Ok(Found::Again(listener)) => {
                let socket = presence.socket().to_owned();
                tracing::warn!(socket = %socket.display(), "the socket was gone; there is another");
                if let Err(error) = server.go_on(listener).await {
                    tracing::error!(%error, "nobody is heard at the new socket");
                }
                self.app.moved_to(socket);
            }
            Ok(Found::Orphaned) => {
                tracing::error!("the lock was deleted, so nobody finds this daemon any more");
                return true;
            }
            Err(error) => tracing::error!(%error, "clients may not find this daemon"),
        }
        false
    }

    /// Ends in order: nothing new comes in, what was taken is finished, everybody is told.
    async fn end(
        self,
        server: Server,
        spool: spool::Running,
        reason: ResetReason,
    ) -> Result<(), RunError> {
        tracing::info!(?reason, "ending");
        let Self { running, lookout, app, observers, listening, mut trail, clock, .. } = self;
        let deck::Running { deck, mut news, thread, .. } = running;
        lookout.end_watches(reason);
        let settle = async {
            let servers = async {
                tokio::join!(server.stop(DRAIN_TIMEOUT), listening.stop(DRAIN_TIMEOUT));
            };
            tokio::join!(servers, observers.stop(), spool.stop());
            drop(app);
            // Fails only if the deck ended before.
            drop(deck.upkeep(Chore::Close).await);
        };
        // Requests under way wait for their answers, and those travel with the news.
        let publish = async {
            while let Some(publication) = news.recv().await {
                lookout.publish(&publication);
                publication.release();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(settle, publish);
        match thread.join() {
            Ok(ledger) => {
                trail.leave(ledger.engine().trail(), clock.now().mono);
                if let Err(error) = ledger.close() {
                    tracing::error!(%error, "the database was not closed in order");
                }
                Ok(())
            }
            Err(_) => {
                let error = std::io::Error::other("it panicked; the log says where");
                Err(RunError::System("go on: the thread that decides ended", error))
            }
        }
    }
}

/// The adapters as they are described, less those that somebody turned off.
fn roster(described: &Path, lookout: &Lookout) -> Roster {
    let disabled = lookout.read(|follower| {
        let rows = follower.engine().adapters().filter(|row| !row.enabled);
        rows.map(|row| row.agent.as_str().to_owned()).collect()
    });
    Roster::load(described).without(disabled)
}

fn facts(paths: &Paths, instance_id: String, clock: Clock) -> Facts {
    Facts {
        instance_id,
        socket: paths.socket.clone(),
        database: paths.database.clone(),
        started: clock.now(),
    }
}

fn reset_reason(asked: Option<ShutdownReason>) -> ResetReason {
    match asked {
        Some(ShutdownReason::Upgrade) => ResetReason::Upgraded,
        Some(ShutdownReason::Stop) | None => ResetReason::Shutdown,
    }
}

fn retention_of(config: &Config) -> Retention {
    let kept = config.retention;
    Retention { payload_days: kept.payload_days, event_days: kept.event_days }
}

/// Clears what has expired, each hour. Ends with the deck.
async fn keep_house(deck: Deck, mut config: watch::Receiver<Arc<ConfigInUse>>, first: Retention) {
    let mut retention = first;
    let start = tokio::time::Instant::now() + RETENTION_DELAY;
    let mut hourly = tokio::time::interval_at(start, RETENTION_INTERVAL);
    hourly.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = hourly.tick() => {
                if deck.upkeep(Chore::Retain(retention)).await.is_err() {
                    return;
                }
            }
            changed = config.changed() => match changed {
                Ok(()) => retention = retention_of(&config.borrow_and_update().config),
                Err(_) => return,
            },
        }
    }
}
