//! `/v1/targets`: list, add, connect, disconnect, remove.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::error_code::ErrorCode;
use api::filters::Filters;
use api::limits::TMUX_SOCKET_BYTES_MAX;
use api::list::ListQuery;
use api::query::NoQuery;
use api::target_name::TargetName;
use api::targets::{TargetAnswer, TargetCreate, TargetItem, TargetList, TargetTerminal};
use api::words::{SchemaVersion, Scope};
use axum::extract::State;
use engine::ids::TargetId;
use engine::input::{Input, Refusal, Reply, Request};
use engine::target::{Probe, TargetRow};
use engine::time::MonoMs;
use engine::words::{Health, TargetKind};
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Named, Peer, Said, Sent};
use super::problem::Problem;
use super::to_api::{self, timestamp};
use super::{from_api, lists};
use crate::deck::Fault;
use crate::targets::far::holding_words;
use crate::targets::host::SocketFile;
use crate::targets::local;
use crate::targets::masters;
use crate::targets::process::Environment;
use crate::targets::route::Route;
use crate::view::{self, Listed};

/// How long the first look at a new target is waited for.
const FIRST_LOOK_MAX: Duration = Duration::from_millis(500);
/// The longest that a request waits for a probe, however long a connection may take.
const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(20);

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    _: Asked<NoQuery>,
) -> Result<Said<TargetList>, Problem> {
    app.read(|follower, now| {
        let all = Filters::default();
        let rows = follower.engine().targets();
        let ahead = |row: &TargetRow| app.clock_offset_ms(&row.target);
        let item = |row| to_api::target(follower, row, ahead(row), now);
        let items: Vec<TargetItem> = rows.map(item).collect();
        let tally = view::panes(follower, &all, now).tally;
        let listed = Listed { items, tally };
        let key = |item: &TargetItem| item.target_id.clone();
        let query = ListQuery::default();
        let answer = lists::answer(follower, &query, Scope::Panes, listed, key, now)?;
        Ok(Said(StatusCode::OK, answer))
    })
}

pub(crate) async fn add(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(create): Sent<TargetCreate>,
) -> Result<Said<TargetAnswer>, Problem> {
    create.check()?;
    app.writable()?;
    let mut request = from_api::new_target(create, &app.ids)?;
    look_at_socket(&mut request, &app.socket())?;
    if let Some(refusal) = twin(&app, &request) {
        return Err(Fault::Refused(refusal).into());
    }
    let asked_at = app.clock.now().mono;
    let settled = app.ask(peer.actor(), Input::Asked(request)).await?;
    if let Reply::Target(row) = &settled.reply {
        // Nothing is known of it before it was looked at; one that hangs keeps nobody waiting.
        probed(&app, &row.target, asked_at, FIRST_LOOK_MAX).await;
    }
    answer(&app, settled.reply).map(|answer| Said(StatusCode::CREATED, answer))
}

/// Refuses a local socket that cannot be one, and writes its path as it really is, so that a link
/// or a detour is no other target.
fn look_at_socket(request: &mut Request, ours: &Path) -> Result<(), Problem> {
    let Request::AddTarget { kind: TargetKind::Local, connection_ref, .. } = request else {
        return Ok(());
    };
    let socket = socket_of(connection_ref);
    if socket.as_os_str().len() > TMUX_SOCKET_BYTES_MAX {
        let problem = format!("leads to a path of more than {TMUX_SOCKET_BYTES_MAX} bytes");
        return Err(Problem::field("tmux_socket", &problem));
    }
    if std::fs::metadata(&socket).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(Problem::field("tmux_socket", "is there and is no socket"));
    }
    if SocketFile::at(&socket).is_some_and(|found| SocketFile::at(ours) == Some(found)) {
        return Err(Problem::field("tmux_socket", "is the one that this daemon itself listens on"));
    }
    if connection_ref.starts_with('/')
        && let Some(settled) = local::settled(&socket).to_str()
    {
        settled.clone_into(connection_ref);
    }
    Ok(())
}

fn socket_of(connection_ref: &str) -> PathBuf {
    let environment = Environment::of_this_process();
    local::socket(connection_ref, local::tmux_tmpdir(environment.variables()))
}

/// Refuses a local socket that another target leads to already, by whatever name or link.
fn twin(app: &App, request: &Request) -> Option<Refusal> {
    let Request::AddTarget { name, kind: TargetKind::Local, connection_ref, .. } = request else {
        return None;
    };
    let wanted = Place::of(connection_ref);
    app.read(|follower, _| {
        let targets = || follower.engine().targets();
        // A name that is taken is refused as such, wherever it leads.
        if targets().any(|row| row.name == *name) {
            return None;
        }
        let mut locals = targets().filter(|row| row.kind == TargetKind::Local);
        let other = locals.find(|row| Place::of(&row.connection_ref).is_same(&wanted))?;
        Some(Refusal::SameServer { name: name.clone(), other: other.name.clone() })
    })
}

/// Where a local target leads.
struct Place {
    path: PathBuf,
    /// One socket may have several names.
    file: Option<SocketFile>,
}

impl Place {
    fn of(connection_ref: &str) -> Self {
        let socket = local::settled(&socket_of(connection_ref));
        let path = std::fs::canonicalize(&socket).unwrap_or(socket);
        let file = SocketFile::at(&path);
        Self { path, file }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.path == other.path || (self.file.is_some() && self.file == other.file)
    }
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(name): Named,
    _: Asked<NoQuery>,
) -> Result<StatusCode, Problem> {
    app.writable()?;
    let row = find(&app, &name)?;
    if row.is_default {
        let message = format!("`{name}` is the default target, which stays");
        return Err(Problem::new(ErrorCode::TargetProtected, message).detail("target", name));
    }
    app.ask(peer.actor(), Input::Asked(Request::RemoveTarget { name })).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn connect(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(name): Named,
    _: Asked<NoQuery>,
) -> Result<Said<TargetAnswer>, Problem> {
    app.writable()?;
    let row = find(&app, &name)?;
    let asked_at = app.clock.now().mono;
    app.ask(peer.actor(), Input::Asked(Request::ConnectTarget { name })).await?;
    // What ends a look by its own limits, which are shorter, is known of the target's health too.
    let probe = probed(&app, &row.target, asked_at, PROBE_TIMEOUT_MAX).await;
    let row = app.read(|follower, _| follower.engine().target(&row.target).cloned());
    let Some(row) = row else {
        return Err(Problem::new(ErrorCode::TargetNotFound, "the target was removed meanwhile"));
    };
    match probe {
        Some(Ok(Probe::Answered)) if is_twin(&row) => Err(duplicate(&row)),
        Some(Ok(Probe::Answered)) => {
            answer(&app, Reply::Target(Box::new(row))).map(|answer| Said(StatusCode::OK, answer))
        }
        Some(Ok(Probe::Failed)) => Err(unreachable(&row, None)),
        Some(Err(fault)) => Err(fault.into()),
        None => Err(unreachable(&row, Some(PROBE_TIMEOUT_MAX))),
    }
}

/// What a person's terminal runs to make the connection, where `ssh` asks for what only they know.
pub(crate) async fn hold(
    State(app): State<Arc<App>>,
    Named(name): Named,
    _: Asked<NoQuery>,
) -> Result<Said<TargetTerminal>, Problem> {
    let row = find(&app, &name)?;
    let unsupported = |message: String, hint: &'static str| {
        Problem::new(ErrorCode::Unsupported, message).hint(hint).detail("target", row.name.as_str())
    };
    let Some(socket) = app.masters().socket(&row.target) else {
        let message = "the path of the state folder is too long for the socket of a connection";
        return Err(unsupported(
            message.to_owned(),
            "Set QD_HOME to a folder with a shorter path.",
        ));
    };
    let route = Route::parse(&row.connection_ref).ok().filter(|_| row.kind == TargetKind::Ssh);
    let Some(command) = route.and_then(|route| holding_words(&route, &socket)) else {
        let message = format!("`{}` is not reached over ssh", row.name);
        return Err(unsupported(message, "`qd target connect NAME` tries to reach it."));
    };
    let held = masters::is_held(&socket).await;
    let (generated_at, socket) = (timestamp(app.clock.now().wall), socket.display().to_string());
    let schema_version = SchemaVersion::V1;
    let answer = TargetTerminal { schema_version, generated_at, command, socket, held };
    Ok(Said(StatusCode::OK, answer))
}

pub(crate) async fn disconnect(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(name): Named,
    _: Asked<NoQuery>,
) -> Result<Said<TargetAnswer>, Problem> {
    app.writable()?;
    let row = find(&app, &name)?;
    if row.kind == TargetKind::Local {
        let message = format!("`{name}` is on this machine: there is no connection to end");
        return Err(Problem::new(ErrorCode::Unsupported, message)
            .hint("`qd target remove` ends watching a tmux server; the default one stays.")
            .detail("target", name));
    }
    let settled = app.ask(peer.actor(), Input::Asked(Request::DisconnectTarget { name })).await?;
    answer(&app, settled.reply).map(|answer| Said(StatusCode::OK, answer))
}

/// How the next look at a target ends; nothing if none does within `patience`.
async fn probed(
    app: &App,
    target: &TargetId,
    asked_at: MonoMs,
    patience: Duration,
) -> Option<Result<Probe, Fault>> {
    let mut publications = app.lookout.publications();
    let probed = async {
        loop {
            // What hooks wrote down there meanwhile may still be to come.
            let probe = probe_since(app, target, asked_at);
            if let Some(probe) = probe.filter(|_| !is_unseen(app, target)) {
                return Ok(probe);
            }
            if publications.changed().await.is_err() {
                return Err(Fault::Stopping);
            }
        }
    };
    match tokio::time::timeout(patience, probed).await {
        Ok(probed) => Some(probed),
        // It answered, and has more to tell than fits into the time.
        Err(_) => probe_since(app, target, asked_at).map(Ok),
    }
}

fn is_unseen(app: &App, target: &TargetId) -> bool {
    app.read(|follower, _| follower.engine().target(target).is_some_and(TargetRow::is_unseen))
}

/// How a look at a target ended that ended since; one that was removed has nothing to wait for.
fn probe_since(app: &App, target: &TargetId, asked_at: MonoMs) -> Option<Probe> {
    app.read(|follower, _| match follower.engine().target(target) {
        Some(_) => follower.engine().probe_since(target, asked_at),
        None => Some(Probe::Failed),
    })
}

/// The reason of a target that was turned away.
const DENIED: &str = "E_SSH_DENIED";

/// What the look said, or that none ended within `waited`.
fn unreachable(row: &TargetRow, waited: Option<Duration>) -> Problem {
    let trouble = row.trouble.as_ref();
    let why = match (waited, trouble) {
        (Some(waited), _) => format!("it did not answer within {} ms", waited.as_millis()),
        (None, Some(trouble)) => trouble.message.clone(),
        (None, None) => "the look at it failed".to_owned(),
    };
    let message = format!("`{}` cannot be reached: {why}", row.name);
    let hint = match trouble {
        Some(trouble) if trouble.code == DENIED => {
            "`qd target connect NAME --terminal` asks in your terminal for what it wants."
        }
        Some(_) | None => "It is tried again by itself; `qd doctor` says what is wrong with it.",
    };
    Problem::new(ErrorCode::TargetUnreachable, message)
        .hint(hint)
        .detail("target", row.name.as_str())
        .detail("reason", trouble.map(|trouble| trouble.code.as_str()))
}

/// Whether what answered is the server of another target.
fn is_twin(row: &TargetRow) -> bool {
    let code = ErrorCode::TargetDuplicateServer.as_str();
    row.health == Health::Down && row.trouble.as_ref().is_some_and(|trouble| trouble.code == code)
}

fn duplicate(row: &TargetRow) -> Problem {
    let why = row.trouble.as_ref().map(|trouble| trouble.message.as_str()).unwrap_or_default();
    let message = format!("`{}` stays unwatched: {why}", row.name);
    Problem::new(ErrorCode::TargetDuplicateServer, message).detail("target", row.name.as_str())
}

fn find(app: &App, name: &str) -> Result<TargetRow, Problem> {
    let parsed = name.parse::<TargetName>();
    let parsed = parsed.map_err(|error| {
        Problem::new(ErrorCode::BadRequest, error.to_string()).detail("field", "name")
    })?;
    let row = app.read(|follower, _| follower.target(&parsed).cloned());
    row.ok_or_else(|| Problem::no_target(&parsed))
}

/// The target of a reply, as it is now.
fn answer(app: &App, reply: Reply) -> Result<TargetAnswer, Problem> {
    let row = match reply {
        Reply::Target(row) => row,
        Reply::Done | Reply::Accepted(_) | Reply::Action(_) => {
            return Err(Problem::internal("the target was not named in the reply", &"no target"));
        }
    };
    Ok(app.read(|follower, now| {
        let row = follower.engine().target(&row.target).unwrap_or(&row);
        TargetAnswer {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            as_of: follower.as_of(),
            target: to_api::target(follower, row, app.clock_offset_ms(&row.target), now),
        }
    }))
}
