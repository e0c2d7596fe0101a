//! One request and its answer, through whatever happens to the daemon in between.

use std::time::Duration;

use api::ErrorCode;
use api::query::Query;
use api::routes;
use bytes::Bytes;
use http::{Method, Response};
use hyper::body::Incoming;
use serde::Serialize;
use tokio::time::timeout;

use crate::client::Client;
use crate::connection::{Broken, Connection, Incomed, Outgoing, collect, version_of};
use crate::error::ClientError;
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_MAX, LOOK_MAX};

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

    pub(super) fn post<T: Serialize>(
        path: impl Into<String>,
        body: Option<&T>,
    ) -> Result<Self, ClientError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| ClientError::unreadable(&error))?;
        Ok(Self { method: Method::POST, path: path.into(), body: body.map(Bytes::from) })
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
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

impl Client {
    pub(super) async fn send(&mut self, ask: &Ask) -> Result<Bytes, ClientError> {
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
        let incomed = match timeout(patience(ask), connection.exchange(&outgoing)).await {
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
            key_agent: self.key_agent.clone(),
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
            let answer = match timeout(patience(ask), connection.begin(&outgoing)).await {
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

pub(super) fn lost(when: &str) -> ClientError {
    ClientError::new(ErrorCode::DaemonUnreachable, format!("the daemon was lost {when}"))
}

fn restarting() -> ClientError {
    let message = "older daemons keep coming back while this qd replaces them";
    ClientError::new(ErrorCode::Version, message)
        .with_hint("Another, older qd starts them: remove it, or use it instead.")
}

fn patience(ask: &Ask) -> Duration {
    if ask.writes() { ANSWER_MAX } else { LOOK_MAX }
}

fn too_slow(ask: &Ask) -> ClientError {
    let seconds = patience(ask).as_secs();
    let path = ask.path.split('?').next().unwrap_or_default();
    let message = format!("no answer to {} {path} within {seconds} s", ask.method);
    ClientError::new(ErrorCode::Timeout, message)
}
