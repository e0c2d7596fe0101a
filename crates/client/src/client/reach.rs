//! Finding the daemon, having one started, and replacing one that is older.

use std::path::PathBuf;
use std::sync::Arc;

use api::ErrorCode;
use api::routes;
use api::shutdown::{ShutdownReason, ShutdownRequest};
use api::version::{Greeting, Version};
use bytes::Bytes;
use http::Method;
use tokio::time::{Instant, timeout, timeout_at};

use crate::backoff::Backoff;
use crate::client::Client;
use crate::client::exchange::lost;
use crate::connection::{Connection, Outgoing};
use crate::error::ClientError;
use crate::exit::Exit;
use crate::limits::{ANSWER_MAX, EXIT_MAX, READY_MAX, READY_PAUSE_MAX, READY_PAUSE_MIN};
use crate::place::Place;
use crate::remote::Remote;
use crate::starter::Starter;

impl Client {
    /// The connection in use, or a new one; starts a daemon where there is none.
    pub(super) async fn open(&mut self) -> Result<&mut Connection, ClientError> {
        let kept = self.connection.take().filter(Connection::is_open);
        let connection = match kept {
            Some(connection) => connection,
            None => {
                self.greeted = false;
                match (self.reach().await?, &self.starter) {
                    (Some(connection), _) => connection,
                    (None, Some(starter)) => self.launch(Arc::clone(starter)).await?,
                    (None, None) => return Err(nobody(&self.place, self.remote.as_ref())),
                }
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Connects to whoever listens at one of the sockets.
    pub(super) async fn reach(&self) -> Result<Option<Connection>, ClientError> {
        if let Some(remote) = &self.remote {
            return Connection::open_remote(remote).await;
        }
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
    pub(super) async fn gives_way(&mut self, theirs: Option<Version>) -> Result<bool, ClientError> {
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

    pub(super) fn check_not_newer(&self, theirs: Option<Version>) -> Result<(), ClientError> {
        let (Some(ours), Some(theirs)) = (self.version, theirs) else { return Ok(()) };
        match Version::greet(ours, theirs) {
            Greeting::Same | Greeting::DaemonOlder => Ok(()),
            Greeting::ClientOlder => {
                let message = format!("the daemon is newer ({theirs}) than this qd ({ours})");
                Err(ClientError::new(ErrorCode::Version, message))
            }
        }
    }

    pub(super) async fn wait_until_unreachable(&self) -> Result<(), ClientError> {
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
pub(super) async fn end(
    mut connection: Connection,
    reason: ShutdownReason,
) -> Result<u32, ClientError> {
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
    Outgoing { method, path, accept: routes::JSON, body, version: None, key_agent: None }
}

fn not_ready() -> ClientError {
    let seconds = READY_MAX.as_secs();
    let message = format!("a daemon was started and does not answer after {seconds} s");
    ClientError::new(ErrorCode::DaemonUnreachable, message)
        .with_hint("See `qd daemon logs`; `qd daemon run` starts one in the foreground.")
}

fn nobody(place: &Place, remote: Option<&Remote>) -> ClientError {
    if let Some(remote) = remote {
        let message = format!("no daemon answers at {}", remote.address);
        return ClientError::new(ErrorCode::DaemonUnreachable, message)
            .with_hint("Name the address of `api.listen` in QD_URL, or leave QD_URL out.");
    }
    let sockets: Vec<PathBuf> = place.sockets().collect();
    let shown: Vec<String> = sockets.iter().map(|it| it.display().to_string()).collect();
    let message = format!("no daemon answers at {}", shown.join(" or "));
    ClientError::new(ErrorCode::DaemonUnreachable, message).with_detail("sockets", shown).with_hint(
        match place.lock {
            Some(_) => "Start it with `qd daemon start`.",
            // Nothing starts a daemon at a socket that somebody named.
            None => "Name the socket of a daemon that runs, or leave it out: then one is started.",
        },
    )
}
