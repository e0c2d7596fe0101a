//! Our own session on a server: taking it, keeping it clean, leaving it.

use std::sync::Arc;
use std::time::Duration;

use engine::target::Trouble;
use tmux::command::Batch;
use tmux::control::FarEnd;
use tmux::hub::{Hub, is_already_there, may_create, own_pane};
use tmux::ids::{PaneId, SessionId};
use tmux::rows::{ClientRow, GreetingRow, OriginRow, PaneBrief, SessionRow};
use tmux::upkeep::{Duty, Surroundings};

use super::line::{Asked, nonce};
use super::link::{Link, Outputs};
use super::server::Server;
use super::trouble;
use crate::targets::Target;
use crate::targets::failure::TmuxFailure;

/// How long leaving may take before the client is killed instead.
const LEAVE_MS_MAX: u64 = 1_000;

/// Our place on a server.
#[derive(Debug)]
pub(super) struct Seat {
    pub hub: Hub,
    pub session: SessionId,
    own_pane: PaneId,
    own_client: u32,
}

/// Why there is no seat.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeatError {
    /// The server went while we connected, or was replaced.
    #[error("the server is gone")]
    Gone,
    /// Control mode does not work here; forked commands may.
    #[error("{0}")]
    NoControl(String),
}

impl From<TmuxFailure> for SeatError {
    fn from(failure: TmuxFailure) -> Self {
        if matches!(failure, TmuxFailure::NoServer) {
            Self::Gone
        } else {
            Self::NoControl(trouble::chain(&failure))
        }
    }
}

/// Takes a seat: creates our session, attaches to it, and proves that it is ours.
pub(super) async fn take_seat(
    target: &Arc<Target>,
    hub: &Hub,
    server: &Server,
) -> Result<(Link, Seat), SeatError> {
    let limit = target.patience().command;
    if server.version.global_manual_size_crashes() {
        let answer = target.tmux(&Hub::precheck(), limit).await?;
        if !may_create(&answer, &server.version) {
            let reason = "with the global option `window-size manual` this tmux would crash";
            return Err(SeatError::NoControl(reason.to_owned()));
        }
    }
    match target.tmux(&hub.create(), limit).await {
        Err(TmuxFailure::Refused { said }) if is_already_there(&said) => {}
        created => drop(created?),
    }
    match attach(target, hub, server).await {
        Ok(seated) => Ok(seated),
        Err(error) => {
            leave_by_fork(target, hub).await;
            Err(error)
        }
    }
}

async fn attach(
    target: &Arc<Target>,
    hub: &Hub,
    server: &Server,
) -> Result<(Link, Seat), SeatError> {
    let capabilities = target.capabilities();
    // Whatever stands before tmux may print a greeting of its own.
    let far_end = if capabilities.leash { FarEnd::Plain } else { FarEnd::Chatty };
    let link = Link::open(target.control(&hub.attach())?, far_end);
    match greet(target, hub, server, &link).await {
        Ok(seat) => Ok((link, seat)),
        Err(error) => {
            link.close().await;
            Err(error)
        }
    }
}

async fn greet(
    target: &Target,
    hub: &Hub,
    server: &Server,
    link: &Link,
) -> Result<Seat, SeatError> {
    let refused = |error: &dyn std::error::Error| SeatError::NoControl(trouble::chain(error));
    let greeting = Hub::handshake(nonce());
    let origins = Asked::<OriginRow>::all();
    let questions = vec![greeting.batch(), origins.question().batch];
    let answers = answers(link, questions, target.patience().connect).await?;
    let [greeted, listed] = answers.as_slice() else { return Err(SeatError::Gone) };
    let greeted: tmux::scan::Scanned<GreetingRow> =
        greeting.read(greeted).map_err(|error| refused(&error))?;
    let connection = hub.verify(&greeted).map_err(|error| refused(&error))?;
    if greeted.server != server.instance {
        return Err(SeatError::Gone);
    }
    let listed = origins.read(listed).map_err(|error| refused(&error))?;
    let own_pane = own_pane(connection.session, &listed.rows)
        .ok_or_else(|| SeatError::NoControl("our own session lost its pane".to_owned()))?;
    if target.capabilities().leash {
        answers_of(link, hub.end_with_client(), target).await?;
    }
    let (session, own_client) = (connection.session, connection.client_pid);
    Ok(Seat { hub: hub.clone(), session, own_pane, own_client })
}

async fn answers_of(link: &Link, batch: Batch, target: &Target) -> Result<(), SeatError> {
    answers(link, vec![batch], target.patience().command).await.map(drop)
}

async fn answers(
    link: &Link,
    batches: Vec<Batch>,
    limit: Duration,
) -> Result<Vec<Vec<u8>>, SeatError> {
    let answer: Option<Outputs> = match tokio::time::timeout(limit, link.ask(batches)).await {
        Ok(answer) => answer,
        Err(_) => {
            let reason =
                format!("no answer over the control connection in {} ms", limit.as_millis());
            return Err(SeatError::NoControl(reason));
        }
    };
    let outputs = answer
        .ok_or_else(|| SeatError::NoControl("the control connection ended at once".to_owned()))?;
    outputs.map_err(|error| SeatError::NoControl(trouble::chain(&error)))
}

impl Seat {
    /// What there is to do for the sake of the hub's surroundings.
    pub(super) fn duties(
        &self,
        sessions: &[SessionRow],
        clients: &[ClientRow],
        panes: &[PaneBrief],
    ) -> Vec<Duty> {
        let (hub, own_pane, own_client) = (self.session, self.own_pane, self.own_client);
        Surroundings { hub, own_pane, own_client, sessions, clients, panes }.duties()
    }

    /// Ends our session over its own connection, which ends with it.
    pub(super) async fn leave(&self, link: Link) {
        let left = link.ask(vec![self.hub.leave()]);
        if tokio::time::timeout(Duration::from_millis(LEAVE_MS_MAX), left).await.is_err() {
            tracing::debug!("the server did not let us leave in time");
        }
        link.close().await;
    }
}

/// Ends our session where no connection is left to do it by. It may never have been there.
pub(super) async fn leave_by_fork(target: &Target, hub: &Hub) {
    let limit = Duration::from_millis(LEAVE_MS_MAX);
    if let Err(error) = target.tmux(&hub.leave(), limit).await {
        tracing::debug!(%error, "our session could not be ended");
    }
}

/// What control mode's absence means to the user.
pub(super) fn no_control(reason: &str) -> Trouble {
    let message = format!("watched by a command for each look, because {reason}");
    trouble::trouble(trouble::FORKED, message)
}
