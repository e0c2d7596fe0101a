//! The accept loop: who may come in, how many, and how everyone is seen out.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use api::error_code::ErrorCode;
use api::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::access::{Neighbour, Way};
use super::app::App;
use super::guests::Strangers;
use super::problem::Problem;
use super::respond::{Gate, Visitor};
use super::router::router;
use super::watch::HangUp;
use super::wire::Wire;

/// Connections at once, where the process may open that many files.
const CONNECTIONS_MAX: usize = 2_048;
/// Files that are left to everyone else in the daemon.
const FILES_RESERVED: usize = 256;
/// Connections over TCP at once.
const TCP_CONNECTIONS_MAX: usize = 256;
/// Connections beyond these that are told so; any more are closed unheard.
const REFUSED_MAX: usize = 32;
/// How long the head of a request may take, counted from when it could have begun.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The same over TCP.
const TCP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the loop waits when the machine has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server at work.
#[derive(Debug)]
pub struct Server {
    /// Becomes true when everyone is to leave.
    closing: watch::Sender<bool>,
    /// Listeners that take the place of the one in use.
    others: mpsc::Sender<Listener>,
    accepting: JoinHandle<JoinSet<()>>,
}

impl Server {
    /// Serves the user's own socket until [`Server::stop`].
    pub fn start(app: Arc<App>, listener: StdListener) -> io::Result<Self> {
        Ok(Self::at(app, asynchronous(listener)?, connections_max()))
    }

    /// Serves tokens over TCP until [`Server::stop`].
    pub(crate) fn start_tcp(app: Arc<App>, listener: StdTcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = Listener::Tcp(TcpListener::from_std(listener)?);
        Ok(Self::at(app, listener, TCP_CONNECTIONS_MAX))
    }

    fn at(app: Arc<App>, listener: Listener, connections_max: usize) -> Self {
        let (others, next) = mpsc::channel(1);
        let (closing, closes) = watch::channel(false);
        let door = Door {
            router: router(Arc::clone(&app)),
            app,
            room: Arc::new(Semaphore::new(connections_max)),
            hall: Arc::new(Semaphore::new(REFUSED_MAX)),
            strangers: Strangers::default(),
            closes,
        };
        Self { closing, others, accepting: tokio::spawn(door.accept(listener, next)) }
    }

    /// Goes on at another listener. Whoever is inside stays.
    pub(crate) async fn go_on(&self, listener: StdListener) -> io::Result<()> {
        let listener = asynchronous(listener)?;
        self.others.send(listener).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Stops accepting, and gives the requests under way some time to end. Watch streams are
    /// ended by whoever ends the [`crate::lookout::Lookout`]'s watches before.
    pub async fn stop(self, drain: Duration) {
        self.closing.send_replace(true);
        let Ok(mut connections) = self.accepting.await else { return };
        let all_gone = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, all_gone).await.is_err() {
            tracing::info!(left = connections.len(), "connections are cut");
            connections.shutdown().await;
        }
    }
}

fn asynchronous(listener: StdListener) -> io::Result<Listener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(Listener::Socket)
}

/// As many as are wanted, or as the process has files for.
fn connections_max() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    files.saturating_sub(FILES_RESERVED).clamp(16, CONNECTIONS_MAX)
}

/// Where connections come from.
#[derive(Debug)]
enum Listener {
    Socket(UnixListener),
    Tcp(TcpListener),
}

/// A connection that was just made.
enum Arrival {
    Socket(UnixStream),
    Tcp(TcpStream, SocketAddr),
}

impl Listener {
    async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Socket(listener) => Ok(Arrival::Socket(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, theirs) = listener.accept().await?;
                Ok(Arrival::Tcp(stream, theirs))
            }
        }
    }
}

struct Door {
    app: Arc<App>,
    router: Router,
    /// Room for those who are served.
    room: Arc<Semaphore>,
    /// Room for those who are only told that there is none.
    hall: Arc<Semaphore>,
    strangers: Strangers,
    closes: watch::Receiver<bool>,
}

impl Door {
    /// Lets connections in until the door is closed; hands over those that are still inside.
    async fn accept(
        self,
        mut listener: Listener,
        mut others: mpsc::Receiver<Listener>,
    ) -> JoinSet<()> {
        let mut connections = JoinSet::new();
        let mut closes = self.closes.clone();
        loop {
            tokio::select! {
                () = closed(&mut closes) => return connections,
                Some(other) = others.recv() => listener = other,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok(arrival) => self.admit(arrival, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn admit(&self, arrival: Arrival, connections: &mut JoinSet<()>) {
        let (gate, permit) = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => (Gate::Open(self.router.clone()), permit),
            Err(_) => {
                let Ok(permit) = Arc::clone(&self.hall).try_acquire_owned() else { return };
                let full = Problem::new(ErrorCode::Overloaded, "there are too many connections");
                (Gate::Shut(full), permit)
            }
        };
        let closes = self.closes.clone();
        match arrival {
            Arrival::Socket(stream) => {
                let visitor = self.neighbour(&stream, gate);
                connections.spawn(converse(stream, visitor, HEAD_TIMEOUT, closes, permit));
            }
            Arrival::Tcp(stream, theirs) => {
                let Some(visitor) = self.guest(&stream, theirs, gate) else { return };
                connections.spawn(converse(stream, visitor, TCP_HEAD_TIMEOUT, closes, permit));
            }
        }
    }

    fn neighbour(&self, stream: &UnixStream, gate: Gate) -> Visitor {
        let neighbour = match stream.peer_cred() {
            Ok(who) => {
                let pid = who.pid().and_then(|pid| u32::try_from(pid).ok());
                Neighbour::new(who.uid(), pid)
            }
            Err(error) => {
                tracing::warn!(%error, "it is not known who connects");
                Neighbour::new(u32::MAX, None)
            }
        };
        let (app, hang_up) = (Arc::clone(&self.app), HangUp::default());
        Visitor { app, gate, way: Way::Socket(neighbour), guest: None, hang_up }
    }

    fn guest(&self, stream: &TcpStream, theirs: SocketAddr, gate: Gate) -> Option<Visitor> {
        // One that is gone already has no address.
        let ours = stream.local_addr().ok()?;
        let hang_up = HangUp::default();
        let guest = Some(Arc::new(self.strangers.welcome(&hang_up)));
        let way = Way::Tcp { ours, theirs };
        Some(Visitor { app: Arc::clone(&self.app), gate, way, guest, hang_up })
    }
}

/// Waits until everyone is to leave; also if nobody is left to say so.
async fn closed(closes: &mut watch::Receiver<bool>) {
    drop(closes.wait_for(|closing| *closing).await);
}

/// Serves one connection until it ends, is hung up on, or everyone has to leave.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    visitor: Visitor,
    head_timeout: Duration,
    mut closes: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let hang_up = Arc::clone(&visitor.hang_up.0);
    let (app, guest) = (Arc::clone(&visitor.app), visitor.guest.clone());
    let wire = Wire::new(TokioIo::new(stream), app.clock);
    let serve = service_fn(move |request| {
        let visitor = visitor.clone();
        async move { Ok::<_, std::convert::Infallible>(visitor.respond(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(HEAD_FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(wire, serve);
    tokio::pin!(connection);
    let turned_out = async {
        match &guest {
            Some(guest) => guest.turned_out(&app).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(turned_out);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = closed(&mut closes), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = hang_up.notified() => return,
            () = &mut turned_out => return,
        }
    }
}
