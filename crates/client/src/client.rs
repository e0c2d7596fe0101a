//! The client: one connection, reused; every route as a typed call.

use std::path::PathBuf;
use std::sync::Arc;

use api::ErrorCode;
use api::config::ConfigAnswer;
use api::events::{EventAccepted, EventEnvelope};
use api::explain::ExplainAnswer;
use api::health::HealthAnswer;
use api::list::{List, ListQuery};
use api::panes::PaneList;
use api::query::Query;
use api::resolve::{ResolveAnswer, ResolveQuery};
use api::routes::{self, fill};
use api::runtimes::RuntimeAnswer;
use api::sessions::{SessionList, SessionsQuery};
use api::shutdown::{ShutdownReason, ShutdownRequest};
use api::target_name::TargetName;
use api::targets::{TargetAnswer, TargetCreate, TargetList};
use api::version::{Greeting, Version};
use api::watch::WatchQuery;
use api::windows::{WindowList, WindowsQuery};
use bytes::Bytes;
use http::{Method, Response};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::Answer;
use crate::backoff::Backoff;
use crate::connection::{Broken, Connection, Incomed, Outgoing, collect, version_of};
use crate::error::ClientError;
use crate::exit::Exit;
use crate::limits::{
    ANSWER_BYTES_MAX, ANSWER_MAX, EXIT_MAX, PAGES_MAX, READY_MAX, READY_PAUSE_MAX, READY_PAUSE_MIN,
};
use crate::place::Place;
use crate::starter::Starter;
use crate::watch::Watch;

/// How many times a request is made when connections break or daemons give way to each other.
const TRIES_MAX: u32 = 3;

/// A request to a path of the API.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    body: Option<Bytes>,
}

impl Ask {
    /// Reads.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None }
    }

    /// Reads, narrowed by a query.
    #[must_use]
    pub fn query(path: &str, query: &impl Query) -> Self {
        let query = query.to_query_string();
        Self::get(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
    }

    fn post<T: Serialize>(path: impl Into<String>, body: Option<&T>) -> Result<Self, ClientError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| ClientError::unreadable(&error))?;
        Ok(Self { method: Method::POST, path: path.into(), body: body.map(Bytes::from) })
    }

    fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: None }
    }

    fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

/// What came of one try.
enum Try {
    Answered(Bytes),
    /// It did no harm and may be made again; this is what to say if it is not.
    Again(ClientError),
}

/// Asks one daemon. See the crate's documentation.
pub struct Client {
    place: Place,
    starter: Option<Arc<dyn Starter>>,
    /// What it greets with; without one it takes any daemon as it is.
    version: Option<Version>,
    connection: Option<Connection>,
    /// Whether the daemon at the far end of this connection is known to be of our version.
    greeted: bool,
}

impl Client {
    /// A client of the daemon at that place, which greets with the version of this build.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let version = env!("CARGO_PKG_VERSION").parse().ok();
        Self { place, starter: None, version, connection: None, greeted: false }
    }

    /// The same, which has a daemon started where there is none or an older one.
    #[must_use]
    pub fn with_starter(self, starter: Arc<dyn Starter>) -> Self {
        Self { starter: Some(starter), ..self }
    }

    /// The same, which greets with that version.
    #[must_use]
    pub fn with_version(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The same, which takes a daemon of any version as it is: for looking and for stopping.
    #[must_use]
    pub fn with_any_version(self) -> Self {
        Self { version: None, ..self }
    }

    /// Where it looks for the daemon.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn starter(&self) -> Option<&Arc<dyn Starter>> {
        self.starter.as_ref()
    }

    pub(crate) fn set_starter(&mut self, starter: Option<Arc<dyn Starter>>) {
        self.starter = starter;
    }

    pub(crate) fn forget_version(&mut self) {
        self.version = None;
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    // The routes, in the order of their table.

    /// How the daemon is doing.
    pub async fn health(&mut self) -> Result<Answer<HealthAnswer>, ClientError> {
        self.ask(&Ask::get(routes::HEALTH)).await
    }

    /// The targets.
    pub async fn targets(&mut self) -> Result<Answer<TargetList>, ClientError> {
        self.ask(&Ask::get(routes::TARGETS)).await
    }

    /// One target more.
    pub async fn add_target(
        &mut self,
        target: &TargetCreate,
    ) -> Result<Answer<TargetAnswer>, ClientError> {
        self.ask(&Ask::post(routes::TARGETS, Some(target))?).await
    }

    /// Probes a target now.
    pub async fn connect_target(
        &mut self,
        name: &TargetName,
    ) -> Result<Answer<TargetAnswer>, ClientError> {
        let path = fill(routes::TARGET_CONNECT, name.as_str());
        self.ask(&Ask::post::<()>(path, None)?).await
    }

    /// One target less.
    pub async fn remove_target(&mut self, name: &TargetName) -> Result<(), ClientError> {
        self.send(&Ask::delete(fill(routes::TARGET, name.as_str()))).await.map(drop)
    }

    /// The panes: all pages, unless the query asks for one.
    pub async fn panes(&mut self, query: &ListQuery) -> Result<Answer<PaneList>, ClientError> {
        self.list(routes::PANES, query, |query| query).await
    }

    /// The windows: all pages, unless the query asks for one.
    pub async fn windows(
        &mut self,
        query: &WindowsQuery,
    ) -> Result<Answer<WindowList>, ClientError> {
        self.list(routes::WINDOWS, query, |query| &mut query.list).await
    }

    /// The sessions: all pages, unless the query asks for one.
    pub async fn sessions(
        &mut self,
        query: &SessionsQuery,
    ) -> Result<Answer<SessionList>, ClientError> {
        self.list(routes::SESSIONS, query, |query| &mut query.list).await
    }

    /// Follows the watch stream from here on.
    #[must_use]
    pub fn watch(self, query: WatchQuery) -> Watch {
        Watch::new(self, query)
    }

    /// One runtime.
    pub async fn runtime(&mut self, id: &str) -> Result<Answer<RuntimeAnswer>, ClientError> {
        self.ask(&Ask::get(fill(routes::RUNTIME, id))).await
    }

    /// Why a runtime is in its state.
    pub async fn explain(&mut self, id: &str) -> Result<Answer<ExplainAnswer>, ClientError> {
        self.ask(&Ask::get(fill(routes::RUNTIME_EXPLAIN, id))).await
    }

    /// What a reference means.
    pub async fn resolve(&mut self, reference: &str) -> Result<Answer<ResolveAnswer>, ClientError> {
        let query = ResolveQuery { reference: reference.to_owned() };
        self.ask(&Ask::query(routes::RESOLVE, &query)).await
    }

    /// Reports an event.
    pub async fn emit(
        &mut self,
        event: &EventEnvelope,
    ) -> Result<Answer<EventAccepted>, ClientError> {
        self.ask(&Ask::post(routes::EVENTS, Some(event))?).await
    }

    /// The configuration in use.
    pub async fn config(&mut self) -> Result<Answer<ConfigAnswer>, ClientError> {
        self.ask(&Ask::get(routes::CONFIG)).await
    }

    /// Ends the daemon and waits until its process is gone; gives its pid, or nothing where none
    /// answered.
    pub async fn stop(&mut self) -> Result<Option<u32>, ClientError> {
        self.connection = None;
        let Some(connection) = self.reach().await? else { return Ok(None) };
        end(connection, ShutdownReason::Stop).await.map(Some)
    }

    // How they are asked for.

    /// Asks for anything of the API.
    pub async fn ask<T>(&mut self, ask: &Ask) -> Result<Answer<T>, ClientError> {
        self.send(ask).await.map(Answer::new)
    }

    async fn list<I, Q>(
        &mut self,
        path: &str,
        query: &Q,
        part: impl Fn(&mut Q) -> &mut ListQuery,
    ) -> Result<Answer<List<I>>, ClientError>
    where
        I: Serialize + DeserializeOwned,
        Q: Query + Clone,
    {
        let mut query = query.clone();
        let first: Answer<List<I>> = self.ask(&Ask::query(path, &query)).await?;
        let wanted = part(&mut query);
        if wanted.limit.is_some() || wanted.page.is_some() {
            return Ok(first);
        }
        let Some(next) = first.next_page()? else { return Ok(first) };
        let mut pages = vec![first.read()?];
        let mut next = Some(next);
        while let Some(page) = next {
            if pages.len() == PAGES_MAX {
                let message = format!("the list has more than {PAGES_MAX} pages");
                return Err(ClientError::new(ErrorCode::Internal, message));
            }
            part(&mut query).page = Some(page);
            let answer: Answer<List<I>> = self.ask(&Ask::query(path, &query)).await?;
            let mut list = answer.read()?;
            next = list.next_page.take();
            pages.push(list);
        }
        Ok(Answer::join(pages)?.unwrap_or(first))
    }

    async fn send(&mut self, ask: &Ask) -> Result<Bytes, ClientError> {
        let mut tries = 1;
        loop {
            match self.try_politely(ask).await? {
                Try::Answered(body) => return Ok(body),
                Try::Again(error) if tries == TRIES_MAX => return Err(error),
                Try::Again(_) => tries += 1,
            }
        }
    }

    /// What writes must not reach an older daemon that is about to be replaced: it greets first.
    async fn try_politely(&mut self, ask: &Ask) -> Result<Try, ClientError> {
        let open = self.connection.as_ref().is_some_and(Connection::is_open);
        if ask.writes() && self.version.is_some() && !(self.greeted && open) {
            match self.try_once(&Ask::get(routes::HEALTH)).await? {
                Try::Answered(_) => {}
                Try::Again(error) => return Ok(Try::Again(error)),
            }
        }
        self.try_once(ask).await
    }

    async fn try_once(&mut self, ask: &Ask) -> Result<Try, ClientError> {
        let outgoing = self.outgoing(ask, routes::JSON);
        let connection = self.open().await?;
        let incomed = match timeout(ANSWER_MAX, connection.exchange(&outgoing)).await {
            Ok(Ok(incomed)) => incomed,
            Ok(Err(broken)) => {
                self.connection = None;
                return after_break(broken, ask);
            }
            Err(_) => {
                self.connection = None;
                return Err(too_slow(ask));
            }
        };
        self.judge(incomed).await
    }

    /// What to make of an answer, by the version and status it came with.
    async fn judge(&mut self, incomed: Incomed) -> Result<Try, ClientError> {
        if self.gives_way(incomed.version).await? {
            return Ok(Try::Again(restarting()));
        }
        if incomed.status.is_success() {
            self.check_not_newer(incomed.version)?;
            self.greeted = true;
            return Ok(Try::Answered(incomed.body));
        }
        let error = ClientError::from_answer(incomed.status.as_u16(), &incomed.body);
        if error.code == ErrorCode::ShuttingDown && self.starter.is_some() {
            self.connection = None;
            self.wait_until_unreachable().await?;
            return Ok(Try::Again(error));
        }
        Err(error)
    }

    fn outgoing<'a>(&self, ask: &'a Ask, accept: &'static str) -> Outgoing<'a> {
        Outgoing {
            method: ask.method.clone(),
            path: &ask.path,
            accept,
            body: ask.body.clone(),
            version: self.version,
        }
    }

    /// Begins an answer that has no end, such as a watch stream.
    pub(crate) async fn stream(
        &mut self,
        ask: &Ask,
        accept: &'static str,
    ) -> Result<Response<Incoming>, ClientError> {
        for _ in 0..TRIES_MAX {
            let outgoing = self.outgoing(ask, accept);
            let connection = self.open().await?;
            let answer = match timeout(ANSWER_MAX, connection.begin(&outgoing)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(Broken::Unsent | Broken::Lost(_) | Broken::TooLarge)) => {
                    self.connection = None;
                    continue;
                }
                Err(_) => {
                    self.connection = None;
                    return Err(too_slow(ask));
                }
            };
            let version = version_of(&answer);
            if !answer.status().is_success() {
                let incomed = collect(answer).await.map_err(|_| lost("while it answered"))?;
                match self.judge(incomed).await? {
                    Try::Answered(_) | Try::Again(_) => continue,
                }
            }
            if self.gives_way(version).await? {
                continue;
            }
            self.check_not_newer(version)?;
            return Ok(answer);
        }
        Err(lost("each time it was asked"))
    }

    /// The connection in use, or a new one; starts a daemon where there is none.
    async fn open(&mut self) -> Result<&mut Connection, ClientError> {
        let kept = self.connection.take().filter(Connection::is_open);
        let connection = match kept {
            Some(connection) => connection,
            None => {
                self.greeted = false;
                match (self.reach().await?, &self.starter) {
                    (Some(connection), _) => connection,
                    (None, Some(starter)) => self.launch(Arc::clone(starter)).await?,
                    (None, None) => return Err(nobody(&self.place)),
                }
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Connects to whoever listens at one of the sockets.
    async fn reach(&self) -> Result<Option<Connection>, ClientError> {
        for socket in self.place.sockets() {
            if let Some(connection) = Connection::open(&socket).await? {
                return Ok(Some(connection));
            }
        }
        Ok(None)
    }

    /// Has a daemon started and waits until it answers, or somebody else's does.
    async fn launch(&self, starter: Arc<dyn Starter>) -> Result<Connection, ClientError> {
        let deadline = Instant::now() + READY_MAX;
        let start = tokio::task::spawn_blocking(move || starter.start());
        let failure = match timeout_at(deadline, start).await {
            Ok(Ok(outcome)) => outcome.err(),
            // It panicked, or is not done yet: whether a daemon answers is what counts.
            Ok(Err(_)) | Err(_) => None,
        };
        let mut backoff = Backoff::new(READY_PAUSE_MIN, READY_PAUSE_MAX);
        loop {
            if let Some(mut connection) = self.reach().await?
                && timeout_at(deadline, answers(&mut connection)).await.unwrap_or(false)
            {
                return Ok(connection);
            }
            match &failure {
                Some(error) if error.code != ErrorCode::DaemonRunning => return Err(error.clone()),
                Some(_) | None => {}
            }
            if Instant::now() >= deadline {
                return Err(failure.unwrap_or_else(not_ready));
            }
            backoff.pause().await;
        }
    }

    /// Replaces an older daemon by our own; false if there is nothing to replace.
    async fn gives_way(&mut self, theirs: Option<Version>) -> Result<bool, ClientError> {
        let (Some(ours), Some(theirs)) = (self.version, theirs) else { return Ok(false) };
        match Version::greet(ours, theirs) {
            Greeting::Same | Greeting::ClientOlder => return Ok(false),
            Greeting::DaemonOlder => {}
        }
        if self.starter.is_none() {
            let message = format!("the daemon is older ({theirs}) than this qd ({ours})");
            let hint = "Stop it with `qd daemon stop`; the next command starts the newer one.";
            return Err(ClientError::new(ErrorCode::Version, message).with_hint(hint));
        }
        // Over this very connection, so that it cannot hit a newer one that has come meanwhile.
        if let Some(connection) = self.connection.take() {
            end(connection, ShutdownReason::Upgrade).await?;
        }
        Ok(true)
    }

    fn check_not_newer(&self, theirs: Option<Version>) -> Result<(), ClientError> {
        let (Some(ours), Some(theirs)) = (self.version, theirs) else { return Ok(()) };
        match Version::greet(ours, theirs) {
            Greeting::Same | Greeting::DaemonOlder => Ok(()),
            Greeting::ClientOlder => {
                let message = format!("the daemon is newer ({theirs}) than this qd ({ours})");
                Err(ClientError::new(ErrorCode::Version, message))
            }
        }
    }

    async fn wait_until_unreachable(&self) -> Result<(), ClientError> {
        let deadline = Instant::now() + EXIT_MAX;
        let mut backoff = Backoff::new(READY_PAUSE_MIN, READY_PAUSE_MAX);
        while Instant::now() < deadline && self.reach().await?.is_some() {
            backoff.pause().await;
        }
        Ok(())
    }
}

/// Whether a daemon that was just started serves already.
async fn answers(connection: &mut Connection) -> bool {
    let outgoing = plain(Method::GET, routes::HEALTH, None);
    let answer = connection.exchange(&outgoing).await;
    answer.is_ok_and(|incomed| incomed.status != http::StatusCode::SERVICE_UNAVAILABLE)
}

/// Ends the daemon at the far end of a connection and waits until its process is gone.
async fn end(mut connection: Connection, reason: ShutdownReason) -> Result<u32, ClientError> {
    #[derive(serde::Deserialize)]
    struct Pid {
        pid: u32,
    }
    let health = plain(Method::GET, routes::HEALTH, None);
    let health = asked_of(&mut connection, &health).await?;
    let Pid { pid } =
        serde_json::from_slice(&health).map_err(|error| ClientError::unreadable(&error))?;
    // Held before it is asked to end, so that its number cannot go to another meanwhile.
    let exit = Exit::of(pid);
    let body = serde_json::to_vec(&ShutdownRequest { reason });
    let body = body.map_err(|error| ClientError::unreadable(&error))?;
    let shutdown = plain(Method::POST, routes::SHUTDOWN, Some(Bytes::from(body)));
    match asked_of(&mut connection, &shutdown).await {
        Ok(_) => {}
        // Somebody else was faster.
        Err(error) if error.code == ErrorCode::ShuttingDown => {}
        Err(error) => return Err(error),
    }
    drop(connection);
    if exit.wait(EXIT_MAX).await {
        return Ok(pid);
    }
    let message = format!("the daemon (pid {pid}) was asked to end and still runs");
    Err(ClientError::new(ErrorCode::Timeout, message)
        .with_hint(format!("See `qd daemon logs`; `kill {pid}` ends it.")))
}

/// One answer of whoever is at the far end, whatever its version.
async fn asked_of(
    connection: &mut Connection,
    outgoing: &Outgoing<'_>,
) -> Result<Bytes, ClientError> {
    let incomed = match timeout(ANSWER_MAX, connection.exchange(outgoing)).await {
        Ok(Ok(incomed)) => incomed,
        Ok(Err(_)) => return Err(lost("while it was asked to end")),
        Err(_) => return Err(ClientError::new(ErrorCode::Timeout, "the daemon does not answer")),
    };
    if incomed.status.is_success() {
        return Ok(incomed.body);
    }
    Err(ClientError::from_answer(incomed.status.as_u16(), &incomed.body))
}

fn plain(method: Method, path: &str, body: Option<Bytes>) -> Outgoing<'_> {
    Outgoing { method, path, accept: routes::JSON, body, version: None }
}

/// What a broken connection means for the request that was on its way.
fn after_break(broken: Broken, ask: &Ask) -> Result<Try, ClientError> {
    match broken {
        Broken::Unsent => Ok(Try::Again(lost("before it was asked"))),
        Broken::Lost(_) if !ask.writes() => Ok(Try::Again(lost("while it answered"))),
        Broken::Lost(why) => {
            let message = format!("the daemon was lost before it answered: {why}");
            Err(ClientError::new(ErrorCode::OutcomeUnknown, message))
        }
        Broken::TooLarge => {
            let message = format!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
            let hint = "Ask for less: narrow it with filters, or take pages with --limit.";
            Err(ClientError::new(ErrorCode::Internal, message).with_hint(hint))
        }
    }
}

fn lost(when: &str) -> ClientError {
    ClientError::new(ErrorCode::DaemonUnreachable, format!("the daemon was lost {when}"))
}

fn restarting() -> ClientError {
    let message = "older daemons keep coming back while this qd replaces them";
    ClientError::new(ErrorCode::Version, message)
        .with_hint("Another, older qd starts them: remove it, or use it instead.")
}

fn too_slow(ask: &Ask) -> ClientError {
    let seconds = ANSWER_MAX.as_secs();
    let path = ask.path.split('?').next().unwrap_or_default();
    let message = format!("no answer to {} {path} within {seconds} s", ask.method);
    ClientError::new(ErrorCode::Timeout, message)
}

fn not_ready() -> ClientError {
    let seconds = READY_MAX.as_secs();
    let message = format!("a daemon was started and does not answer after {seconds} s");
    ClientError::new(ErrorCode::DaemonUnreachable, message)
        .with_hint("See `qd daemon logs`; `qd daemon run` starts one in the foreground.")
}

fn nobody(place: &Place) -> ClientError {
    let sockets: Vec<PathBuf> = place.sockets().collect();
    let shown: Vec<String> = sockets.iter().map(|it| it.display().to_string()).collect();
    let message = format!("no daemon answers at {}", shown.join(" or "));
    ClientError::new(ErrorCode::DaemonUnreachable, message)
        .with_detail("sockets", shown)
        .with_hint("Start it with `qd daemon start`.")
}

#[cfg(test)]
mod tests;
