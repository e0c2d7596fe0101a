//! Who is let in, and to what: the one place that decides it, for every way in and every route.
//!
//! [`admit`] says who it is, before anything else is looked at; [`authorise`] whether they have the
//! right of the route, before its handler. The rights themselves are a table of the API's
//! (`api::rights`); `docs/design/access.md` says why it is as it is.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agents::adapter::{Adapter, Server};
use agents::record::Ancestor;
use api::error_code::ErrorCode;
use api::rights::{Entrance, Right, Who};
use api::routes::{KEY_AGENT_HEADER, ROUTES, Route, RouteId};
use engine::access::Denial;
use engine::event::{Actor, Below};
use engine::ids::{RuntimeId, TokenId};
use engine::input::{Input, Request};
use engine::pane::PaneRow;
use engine::words::TargetKind;
use http::HeaderMap;
use http::request::Parts;
use rustix::process::getuid;

use super::app::App;
use super::browser;
use super::extract::Peer;
use super::problem::Problem;
use super::secret;
use super::to_api;
use crate::targets::host;
use crate::targets::tcp::{Holders, holders};

/// How long a request waits for the agent that it names.
const KEYS_TIMEOUT: Duration = Duration::from_millis(100);

/// Which way a connection came.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// By the user's own socket, from a process of that user.
    Socket(Neighbour),
    /// Over TCP, between these two addresses.
    Tcp { ours: SocketAddr, theirs: SocketAddr },
}

/// A process of the user who runs the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    pub(crate) uid: u32,
    pub(crate) pid: Option<u32>,
    /// What stood above it when its connection was first used to act: what is recorded.
    above: Arc<OnceLock<Above>>,
}

/// A process and those above it, as they were at one moment.
#[derive(Debug)]
struct Above {
    lineage: Vec<Ancestor>,
    /// One of them serves several panes' sessions. Looked at once, and only where it counts: it
    /// takes a file of each.
    has_server: OnceLock<bool>,
}

impl Neighbour {
    pub(crate) fn new(uid: u32, pid: Option<u32>) -> Self {
        // A process of another namespace is seen without a number.
        Self { uid, pid: pid.filter(|pid| *pid > 0), above: Arc::default() }
    }

    fn above(&self) -> &Above {
        self.above.get_or_init(|| self.above_now())
    }

    fn above_now(&self) -> Above {
        Above::of(self.pid.map_or_else(Vec::new, host::lineage))
    }
}

impl Above {
    fn of(lineage: Vec<Ancestor>) -> Self {
        Self { lineage, has_server: OnceLock::new() }
    }

    fn has_server(&self, app: &App) -> bool {
        *self.has_server.get_or_init(|| {
            let roster = app.roster();
            let is_server = |it: &Ancestor| roster.iter().any(|known| serves_many(known, it.pid));
            self.lineage.iter().any(is_server)
        })
    }

    /// Whether there was a process to look at, and it could be looked at.
    fn is_seen(&self) -> bool {
        self.lineage.first().is_some_and(|it| it.start.is_some() || it.pid == 1)
    }

    /// The agent among them, also where it is a server of several panes' sessions: it runs their
    /// commands, and stands below none of them.
    fn agent_or_server(&self, app: &App) -> Option<Agent> {
        // Looked at now in any case: whoever is below an agent now may not be seen to be later.
        let has_server = self.has_server(app);
        let server = || has_server.then_some(Agent { runtime: None });
        agent_among(app, &self.lineage).or_else(server)
    }
}

/// Somebody who was let in; what they may have is not said with it.
#[derive(Clone, Debug)]
pub(crate) enum Admitted {
    Neighbour(Neighbour),
    Holder(Holder),
}

/// Somebody who showed a token that counts.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    token: TokenId,
    name: String,
    scope: engine::words::TokenScope,
    ours: SocketAddr,
    theirs: SocketAddr,
}

impl Holder {
    pub(super) fn token(&self) -> &TokenId {
        &self.token
    }

    /// Who it is, as long as nothing is known of the process behind the connection.
    fn actor(&self) -> Actor {
        self.actor_behind(None, None, None)
    }

    fn actor_behind(&self, uid: Option<u32>, pid: Option<u32>, below: Option<Below>) -> Actor {
        Actor::Token { name: self.name.clone(), token: self.token.clone(), uid, pid, below }
    }
}

/// Says who asks, or why they are turned away.
pub(crate) fn admit(app: &Arc<App>, way: &Way, head: &Parts) -> Result<Admitted, Problem> {
    let admitted = match way {
        // Whatever the socket's mode says.
        Way::Socket(neighbour) if neighbour.uid != getuid().as_raw() => {
            let message = "this daemon serves the user who runs it, and nobody else";
            Err(Problem::new(ErrorCode::Forbidden, message))
        }
        Way::Socket(neighbour) => {
            browser::keep_out(&head.headers).map(|()| Admitted::Neighbour(neighbour.clone()))
        }
        Way::Tcp { ours, theirs } => by_token(app, *ours, *theirs, head).map(Admitted::Holder),
    };
    admitted.inspect_err(|problem| {
        let actor = match way {
            Way::Socket(neighbour) => Actor::Client { uid: neighbour.uid, pid: neighbour.pid },
            Way::Tcp { .. } => Actor::Stranger,
        };
        record(app, actor, operation(head), problem.code(), None);
    })
}

/// Takes up the agent with keys that a person's own client names. One below an agent names none: it
/// is not for it to say with what a machine is entered.
pub(super) async fn take_keys(app: &App, admitted: &Admitted, headers: &HeaderMap) {
    let Admitted::Neighbour(neighbour) = admitted else { return };
    let Some(named) = headers.get(KEY_AGENT_HEADER) else { return };
    let path = PathBuf::from(OsStr::from_bytes(named.as_bytes()));
    let newest = tokio::time::timeout(KEYS_TIMEOUT, app.keys().is_newest(&path)).await;
    if newest.unwrap_or(true) {
        return;
    }
    let above = neighbour.above_now();
    if !above.is_seen() || above.agent_or_server(app).is_some() {
        return;
    }
    let keys = Arc::clone(app.keys());
    // What is asked for may be to connect. Whoever names one that hangs does not wait for it.
    let taking = tokio::spawn(async move { keys.name(path).await });
    tokio::time::timeout(KEYS_TIMEOUT, taking).await.ok();
}

fn by_token(
    app: &Arc<App>,
    ours: SocketAddr,
    theirs: SocketAddr,
    head: &Parts,
) -> Result<Holder, Problem> {
    browser::check(ours, head)?;
    let now = app.clock.now();
    let shown = secret::shown(&head.headers);
    let row = app.lookout.read(|follower| secret::find(follower.engine(), shown).cloned());
    let row = row.filter(|row| !app.doorman.is_over(row, now));
    let Some(row) = row else {
        // Whoever has a token that counts is served all the while, so guessing locks nobody out.
        return Err(match app.doorman.fails(now.mono) {
            true => Problem::new(ErrorCode::Unauthenticated, "it bears no token that counts"),
            false => {
                let message = "too many requests came without a token that counts";
                Problem::new(ErrorCode::TooManyFailures, message)
            }
        });
    };
    browser::check_media(&head.headers)?;
    let (token, name, scope) = (row.token.clone(), row.name.clone(), row.scope);
    let holder = Holder { token, name, scope, ours, theirs };
    if row.is_news(now.wall) {
        tell(app, holder.actor(), Request::UseToken(row.token));
    }
    Ok(holder)
}

/// Says whether somebody has the right of a route, and who is recorded as having asked.
pub(crate) async fn authorise(
    app: &Arc<App>,
    route: &Route,
    admitted: Admitted,
) -> Result<Peer, Problem> {
    let right = route.right();
    match admitted {
        Admitted::Neighbour(neighbour) => neighbour_may(app, route, &neighbour),
        Admitted::Holder(holder) => {
            let entrance = Entrance::Token(to_api::token_scope(holder.scope));
            if !right.is_had_by(Who { entrance, below_agent: false }) {
                let actor = holder.actor();
                return Err(deny(app, route, actor, None, out_of_scope(right, &holder)));
            }
            let found = match right {
                Right::Read => Holders::default(),
                Right::Act | Right::Answer | Right::Manage | Right::Local | Right::Person => {
                    behind(&holder).await?
                }
            };
            let agent = found.pids.iter().find_map(|pid| {
                let agent = Above::of(host::lineage(*pid)).agent_or_server(app);
                agent.map(|agent| (*pid, agent))
            });
            let pid = agent.as_ref().map(|(pid, _)| *pid).or(found.pids.first().copied());
            let below_agent = agent.is_some();
            let runtime = agent.and_then(|(_, agent)| agent.runtime);
            let below = below_agent.then(|| runtime.clone().map_or(Below::Server, Below::Runtime));
            let actor = holder.actor_behind(found.uid, pid, below);
            if !right.is_had_by(Who { entrance, below_agent }) {
                return Err(deny(app, route, actor, runtime, below_agent_problem(right)));
            }
            Ok(Peer { actor, pid })
        }
    }
}

fn neighbour_may(app: &Arc<App>, route: &Route, neighbour: &Neighbour) -> Result<Peer, Problem> {
    let right = route.right();
    let Neighbour { uid, pid, .. } = *neighbour;
    let mut client = Actor::Client { uid, pid };
    let entrance = Entrance::Socket;
    let agent = match right {
        Right::Read => None,
        Right::Local => agent_among(app, &neighbour.above().lineage),
        Right::Act => {
            let above = neighbour.above();
            if !above.is_seen() {
                client = Actor::Client { uid, pid: None };
            }
            above.agent_or_server(app)
        }
        Right::Answer | Right::Manage | Right::Person => {
            let above = neighbour.above_now();
            if !above.is_seen() {
                let message = "it is not seen which process asks, as from inside of a container";
                let problem = Problem::new(ErrorCode::Forbidden, message);
                return Err(deny(app, route, client, None, problem));
            }
            above.agent_or_server(app)
        }
    };
    let below_agent = agent.is_some();
    let runtime = agent.and_then(|agent| agent.runtime);
    let actor = match pid {
        Some(pid) if below_agent => Actor::Agent { uid, pid, runtime: runtime.clone() },
        Some(_) | None => client,
    };
    if !right.is_had_by(Who { entrance, below_agent }) {
        return Err(deny(app, route, actor, runtime, below_agent_problem(right)));
    }
    Ok(Peer { actor, pid })
}

/// The processes behind a connection. To find them all that are there are looked through.
async fn behind(holder: &Holder) -> Result<Holders, Problem> {
    let (ours, theirs) = (holder.ours, holder.theirs);
    let found = tokio::task::spawn_blocking(move || holders(ours, theirs)).await;
    found.map_err(|error| Problem::internal("it could not be found out who asks", &error))
}

/// The agent among some processes.
#[derive(Clone, Debug)]
struct Agent {
    /// In which runtime; none for a server that several share.
    runtime: Option<RuntimeId>,
}

/// The agent that is watched among these processes, if there is one.
fn agent_among(app: &App, processes: &[Ancestor]) -> Option<Agent> {
    app.lookout.read(|follower| {
        let engine = follower.engine();
        // Numbers of processes mean this machine's.
        let here = |row: &&PaneRow| {
            engine.target(&row.key.target).is_some_and(|it| it.kind == TargetKind::Local)
        };
        let agents = engine.panes().filter(here).filter_map(|row| {
            let runtime = row.runtime.as_ref()?;
            let process = row.facts.agent.as_ref().map(|agent| agent.process.pid);
            let pid = process.or(runtime.agent.as_ref().map(|_| runtime.pid))?;
            Some((pid, &runtime.runtime))
        });
        let mut above = agents.filter(|(pid, _)| processes.iter().any(|it| it.pid == *pid));
        above.next().map(|(_, runtime)| Agent { runtime: Some(runtime.clone()) })
    })
}

/// Whether a process serves an agent's sessions in several panes.
pub(super) fn serves_many(adapter: &dyn Adapter, pid: u32) -> bool {
    let told = |known: &Server| host::program_told(pid, known.argument);
    let known = adapter.serves_many();
    known.is_some_and(|known| told(&known).is_some_and(|facts| (known.is)(&facts.program())))
}

fn below_agent_problem(right: Right) -> Problem {
    let message = match right {
        Right::Answer => "whoever asks runs below an agent, and agents answer no approvals",
        Right::Read | Right::Act | Right::Manage | Right::Local | Right::Person => {
            "whoever asks runs below an agent, and agents do not change what is watched or who is \
             served"
        }
    };
    Problem::new(ErrorCode::Forbidden, message)
}

fn out_of_scope(right: Right, holder: &Holder) -> Problem {
    let name = &holder.name;
    let message = match right.scope() {
        Some(scope) => format!("the token `{name}` is good for {}, not for {scope}", holder.scope),
        None => "this is served on the user's own socket only".to_owned(),
    };
    let needs = right.scope().map(api::tokens::TokenScope::as_str);
    Problem::new(ErrorCode::Forbidden, message).detail("needs", needs)
}

/// Records that somebody who has the right of a route may not have what they asked for by it.
pub(super) fn record_refusal(app: &Arc<App>, id: RouteId, peer: &Peer, code: ErrorCode) {
    let (actor, runtime) = (peer.actor(), peer.actor().agent().cloned());
    let route = ROUTES.iter().find(|route| route.id == id);
    record(app, actor, route.map_or("unknown", |it| it.operation), code, runtime);
}

/// Records that somebody was turned away from a route, and gives back what they are told.
fn deny(
    app: &Arc<App>,
    route: &Route,
    actor: Actor,
    runtime: Option<RuntimeId>,
    problem: Problem,
) -> Problem {
    record(app, actor, route.operation, problem.code(), runtime.clone());
    match runtime {
        Some(runtime) => problem.detail("runtime_id", runtime.as_str()),
        None => problem,
    }
}

/// What is asked for, as far as the path says it without being matched. Nothing of the path itself
/// is kept: anybody may have written it.
fn operation(head: &Parts) -> &'static str {
    let asked = (head.uri.path(), head.method.as_str());
    let found = ROUTES.iter().find(|it| (it.path, it.method.as_str()) == asked);
    found.map_or("unknown", |it| it.operation)
}

/// Puts a denial into the journal, as long as there are not too many.
fn record(
    app: &Arc<App>,
    actor: Actor,
    operation: &str,
    code: ErrorCode,
    runtime: Option<RuntimeId>,
) {
    let Some(unrecorded) = app.doorman.denies(app.clock.now().mono) else { return };
    tracing::warn!(%actor, operation, %code, unrecorded, "somebody was turned away");
    let (operation, code) = (operation.to_owned(), code.as_str().to_owned());
    tell(app, actor, Request::Deny(Denial { operation, code, runtime, unrecorded }));
}

/// Has something noted that nobody waits for.
fn tell(app: &Arc<App>, actor: Actor, request: Request) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        if let Err(fault) = app.deck.tell(actor, Input::Asked(request)).await {
            tracing::warn!(%fault, "who asked is not in the journal");
        }
    });
}
