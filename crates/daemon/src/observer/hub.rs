//! Our own session on a server: taking it, keeping it clean, leaving it.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use api::error::with_causes;
use engine::target::Trouble;
use rustix::pipe::{PipeFlags, pipe_with};
use tmux::command::Batch;
use tmux::control::FarEnd;
use tmux::hub::{Hub, created, is_already_there, is_tied_to, may_create, own_pane};
use tmux::ids::{PaneId, SessionId};
use tmux::rows::{ClientRow, GreetingRow, OriginRow, PaneBrief, SessionRow};
use tmux::scan::is_empty_server;
use tmux::upkeep::{Duty, Surroundings};
use tmux::version::Release;

use super::line::{AskError, Asked, nonce};
use super::link::{Link, Outputs};
use super::server::Server;
use super::trouble;
use crate::targets::Target;
use crate::targets::failure::TmuxFailure;

/// How long leaving may take before the client is killed instead.
const LEAVE_MS_MAX: u64 = 1_000;
/// How long no session may have come or gone before we connect, and how often that is tried.
const CALM: Duration = Duration::from_millis(40);
const CALM_TRIES_MAX: u32 = 10;

/// What our sessions hang on: they end when this is dropped, or closed by our own end.
#[derive(Debug)]
pub(super) struct Lifeline {
    reading: OwnedFd,
    _writing: OwnedFd,
}

impl Lifeline {
    pub(super) fn new() -> io::Result<Self> {
        let (reading, writing) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { reading, _writing: writing })
    }

    fn fd(&self) -> u32 {
        self.reading.as_raw_fd().unsigned_abs()
    }
}

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
    /// The server went while we connected, or is about to, or was replaced.
    #[error("the server is gone")]
    Gone,
    /// Control mode does not work here; forked commands may.
    #[error("{0}")]
    NoControl(String),
    /// The server gives no answer at all, however it is asked.
    #[error("the server does not answer")]
    Unanswered(#[source] TmuxFailure),
}

impl From<AskError> for SeatError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Failed(failure) => failure.into(),
            AskError::Ended | AskError::Refused(_) | AskError::Garbled(_) => no_sense(&error),
        }
    }
}

impl From<TmuxFailure> for SeatError {
    fn from(failure: TmuxFailure) -> Self {
        match failure {
            TmuxFailure::NoServer | TmuxFailure::Lost { .. } => Self::Gone,
            TmuxFailure::Timeout { .. } | TmuxFailure::Broken(_) | TmuxFailure::Unreached(_) => {
                Self::Unanswered(failure)
            }
            TmuxFailure::Missing { .. }
            | TmuxFailure::NoVersion(_)
            | TmuxFailure::Denied
            | TmuxFailure::Mismatch { .. }
            | TmuxFailure::Refused { .. }
            | TmuxFailure::TooMuch
            | TmuxFailure::TooLong(_) => Self::NoControl(with_causes(&failure)),
        }
    }
}

/// Takes a seat: creates our session, attaches to it, and proves that it is ours.
pub(super) async fn take_seat(
    target: &Target,
    hub: &Hub,
    lifeline: Option<&Lifeline>,
    server: &Server,
) -> Result<(Link, Seat), SeatError> {
    if server.version.global_manual_size_crashes() {
        let answer = target.tmux(&Hub::precheck(), target.patience().command).await?;
        if !may_create(&answer, &server.version) {
            let reason = "with the global option `window-size manual` this tmux would crash";
            return Err(SeatError::NoControl(reason.to_owned()));
        }
    }
    let made = match lifeline.filter(|_| target.capabilities().leash) {
        Some(lifeline) => create_tied(target, hub, lifeline).await?,
        None => create(target, &hub.create()).await?,
    };
    let seated = match wait_for_calm(target, hub, server, made).await {
        Ok(()) => attach(target, hub, server).await,
        Err(error) => Err(error),
    };
    let Err(error) = seated else { return seated };
    let leave = made.map_or_else(|| hub.leave(), Hub::leave_as);
    match (leave_by(target, &leave).await, error) {
        // What looked like control mode's fault is the whole server's.
        (Err(TmuxFailure::Timeout { limit }), SeatError::NoControl(_)) => {
            Err(SeatError::Unanswered(TmuxFailure::Timeout { limit }))
        }
        (Ok(()) | Err(_), error) => Err(error),
    }
}

/// The new session; none where it is there already, which is no failure.
async fn create(target: &Target, create: &Batch) -> Result<Option<SessionId>, SeatError> {
    match target.tmux(create, target.patience().command).await {
        Ok(printed) => Ok(created(&printed)),
        Err(TmuxFailure::Refused { printed, .. }) if created(&printed).is_some() => {
            Ok(created(&printed))
        }
        Err(TmuxFailure::Refused { said, .. }) if is_already_there(&said) => Ok(None),
        Err(TmuxFailure::Refused { said, .. }) if is_empty_server(&said) => Err(SeatError::Gone),
        Err(failure) => Err(failure.into()),
    }
}

/// Creates a session that ends with us. One that an earlier life left is about to end and is
/// replaced; one that another target of ours has made on the same server is shared.
async fn create_tied(
    target: &Target,
    hub: &Hub,
    lifeline: &Lifeline,
) -> Result<Option<SessionId>, SeatError> {
    let own_pid = std::process::id();
    let batch = hub.create_tied(own_pid, lifeline.fd());
    if let Some(session) = create(target, &batch).await? {
        return Ok(Some(session));
    }
    let listed = Asked::<OriginRow>::all().by_fork(target).await?;
    if listed.rows.iter().any(|row| is_tied_to(own_pid, row)) {
        return Ok(None);
    }
    leave_by_fork(target, hub).await.ok();
    create(target, &batch).await
}

/// Waits until no session has come or gone for a moment, and our own is called what it should be.
///
/// Before 3.7 tmux tells such news also to a control client that is still introducing itself, and
/// crashes. That takes a fraction of a millisecond, but where sessions come and go all the time one
/// of them may hit it; there we do without.
async fn wait_for_calm(
    target: &Target,
    hub: &Hub,
    server: &Server,
    made: Option<SessionId>,
) -> Result<(), SeatError> {
    let needs_calm = server.version.release() < Release::new(3, 7, 0);
    let mut before = None;
    for _ in 0..CALM_TRIES_MAX {
        let now = list_sessions(target, server).await?;
        let own = made.and_then(|made| now.iter().find(|row| row.session == made));
        match own {
            Some(own) if own.name != hub.name() => {
                // A hook of the user's may complain of what was done; the next list tells whether it was.
                match target.tmux(&hub.restore(own.session), target.patience().command).await {
                    Ok(_) | Err(TmuxFailure::Refused { .. }) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
            Some(_) | None if !needs_calm => return Ok(()),
            Some(_) | None => {
                let now = now.into_iter().map(|row| row.session).collect::<Vec<_>>();
                if before.replace(now.clone()).is_some_and(|before| before == now) {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(CALM).await;
    }
    Err(SeatError::NoControl("sessions come and go faster than this tmux could bear".to_owned()))
}

async fn list_sessions(target: &Target, server: &Server) -> Result<Vec<SessionRow>, SeatError> {
    let listed = Asked::<SessionRow>::all().by_fork(target).await?;
    if listed.server == server.instance { Ok(listed.rows) } else { Err(SeatError::Gone) }
}

fn no_sense(error: &dyn std::error::Error) -> SeatError {
    SeatError::NoControl(with_causes(error))
}

async fn attach(target: &Target, hub: &Hub, server: &Server) -> Result<(Link, Seat), SeatError> {
    let capabilities = target.capabilities();
    // Whatever stands before tmux may print a greeting of its own.
    let far_end = if capabilities.leash { FarEnd::Plain } else { FarEnd::Chatty };
    let link = Link::open(target.control(hub)?, far_end);
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
    let greeting = Hub::handshake(nonce());
    let origins = Asked::<OriginRow>::all();
    let questions = vec![greeting.batch(), origins.question().batch];
    let answers = answers(link, questions, target.patience().connect).await?;
    let [greeted, listed] = answers.as_slice() else { return Err(SeatError::Gone) };
    let greeted: tmux::scan::Scanned<GreetingRow> =
        greeting.read(greeted).map_err(|error| no_sense(&error))?;
    let connection = hub.verify(&greeted).map_err(|error| no_sense(&error))?;
    if greeted.server != server.instance {
        return Err(SeatError::Gone);
    }
    let listed = origins.read(listed).map_err(|error| no_sense(&error))?;
    let own_pane = own_pane(connection.session, &listed.rows)
        .ok_or_else(|| SeatError::NoControl("our own session lost its pane".to_owned()))?;
    let (session, own_client) = (connection.session, connection.client_pid);
    Ok(Seat { hub: hub.clone(), session, own_pane, own_client })
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
    outputs.map_err(|error| SeatError::NoControl(with_causes(&error)))
}

impl Seat {
    /// What there is to do for the sake of the hub's surroundings.
    pub(super) fn duties(
        &self,
        sessions: &[SessionRow],
        clients: &[ClientRow],
        panes: &[PaneBrief],
    ) -> Vec<Duty> {
        let Self { hub, session, own_pane, own_client } = self;
        let (session, own_pane, own_client) = (*session, *own_pane, *own_client);
        Surroundings { hub, session, own_pane, own_client, sessions, clients, panes }.duties()
    }

    /// Ends our session over its own connection, which ends with it.
    pub(super) async fn leave(&self, link: Link) {
        let left = link.ask(vec![Hub::leave_as(self.session)]);
        if tokio::time::timeout(Duration::from_millis(LEAVE_MS_MAX), left).await.is_err() {
            tracing::debug!("the server did not let us leave in time");
        }
        link.close().await;
    }
}

/// Ends our session where no connection is left to do it by. It may never have been there.
pub(super) async fn leave_by_fork(target: &Target, hub: &Hub) -> Result<(), TmuxFailure> {
    leave_by(target, &hub.leave()).await
}

async fn leave_by(target: &Target, leave: &Batch) -> Result<(), TmuxFailure> {
    let left = target.tmux(leave, Duration::from_millis(LEAVE_MS_MAX)).await;
    left.map(drop).inspect_err(|error| tracing::debug!(%error, "our session could not be ended"))
}

/// What control mode's absence means to the user.
pub(super) fn no_control(reason: &str) -> Trouble {
    let message = format!("watched by a command for each look, because {reason}");
    trouble::trouble(trouble::FORKED, message)
}
