//! One HTTP connection, over the Unix socket or over TCP with a token.

use std::io;
use std::path::{Path, PathBuf};

use api::ErrorCode;
use api::routes::KEY_AGENT_HEADER;
use api::version::{VERSION_HEADER, Version};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::error::ClientError;
use crate::limits::ANSWER_BYTES_MAX;
use crate::remote::Remote;
use crate::stopped::is_stopped;
use crate::trust;

/// A connection to a daemon, good for one request after another.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What it shows of itself over TCP.
    remote: Option<Remote>,
}

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) accept: &'static str,
    /// JSON, if there is a body at all.
    pub(crate) body: Option<Bytes>,
    /// Left out where any version will do.
    pub(crate) version: Option<Version>,
    /// Where the agent is that holds the user's keys; told on the user's own socket alone.
    pub(crate) key_agent: Option<HeaderValue>,
}

/// What came back, whole.
#[derive(Debug)]
pub(crate) struct Incomed {
    pub(crate) status: StatusCode,
    pub(crate) version: Option<Version>,
    pub(crate) body: Bytes,
}

/// How a connection failed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The request never left; it can be repeated without harm.
    Unsent,
    /// The request left, and the whole answer did not arrive.
    Lost(String),
    /// The answer is larger than any answer may be.
    TooLarge,
}

impl Connection {
    /// Connects; none where nobody listens.
    pub(crate) async fn open(socket: &Path) -> Result<Option<Self>, ClientError> {
        if !trust::look(socket)? {
            return Ok(None);
        }
        let stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error) if nobody_listens(&error) => return Ok(None),
            Err(error) => return Err(unreachable(socket, &error)),
        };
        let peer = stream.peer_cred().map_err(|error| unreachable(socket, &error))?;
        trust::check_peer(socket, peer.uid())?;
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
        if let Some(pid) = pid.filter(|pid| is_stopped(*pid)) {
            let message = format!("the daemon (process {pid}) is stopped, and answers nobody");
            return Err(ClientError::new(ErrorCode::DaemonUnreachable, message)
                .with_detail("pid", pid)
                .with_hint(format!("Let it go on with `kill -CONT {pid}`, or end it.")));
        }
        let greeted = Self::over(stream, None).await;
        greeted.map(Some).map_err(|error| unreachable(socket, &error))
    }

    /// Connects over TCP; none where nobody listens.
    pub(crate) async fn open_remote(remote: &Remote) -> Result<Option<Self>, ClientError> {
        let failed = |error: io::Error| {
            let message = format!("cannot connect to {}: {error}", remote.address);
            ClientError::new(ErrorCode::DaemonUnreachable, message)
        };
        match TcpStream::connect(remote.address).await {
            Ok(stream) => {
                // One request is one packet: nothing is gained by waiting for more.
                stream.set_nodelay(true).map_err(failed)?;
                Self::over(stream, Some(remote.clone())).await.map(Some).map_err(failed)
            }
            Err(error) if nobody_listens(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        remote: Option<Remote>,
    ) -> io::Result<Self> {
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends with the sender or the far end; what it could report, the sender is told as well.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, remote })
    }

    /// Whether another request can go over it.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and gives the head of the answer; the body is still to come.
    pub(crate) async fn begin(
        &mut self,
        outgoing: &Outgoing<'_>,
    ) -> Result<Response<Incoming>, Broken> {
        if self.sender.ready().await.is_err() {
            return Err(Broken::Unsent);
        }
        let request = outgoing
            .request(self.remote.as_ref())
            .map_err(|error| Broken::Lost(error.to_string()))?;
        self.sender.try_send_request(request).await.map_err(|mut error| {
            match error.take_message() {
                Some(_) => Broken::Unsent,
                None => Broken::Lost(error.error().to_string()),
            }
        })
    }

    /// Sends a request and gives the whole answer.
    pub(crate) async fn exchange(&mut self, outgoing: &Outgoing<'_>) -> Result<Incomed, Broken> {
        collect(self.begin(outgoing).await?).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn collect(answer: Response<Incoming>) -> Result<Incomed, Broken> {
    let version = version_of(&answer);
    let (head, body) = answer.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok(Incomed { status: head.status, version, body: body.to_bytes() }),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Broken::TooLarge),
        Err(error) => Err(Broken::Lost(error.to_string())),
    }
}

/// The version that the far end greets with, if it does.
pub(crate) fn version_of(answer: &Response<Incoming>) -> Option<Version> {
    answer.headers().get(VERSION_HEADER)?.to_str().ok()?.parse().ok()
}

impl Outgoing<'_> {
    fn request(&self, remote: Option<&Remote>) -> Result<Request<Full<Bytes>>, http::Error> {
        let host = remote.map_or("localhost", |remote| &remote.host);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.path)
            .header(header::HOST, host)
            .header(header::ACCEPT, self.accept);
        if let Some(remote) = remote {
            let mut bearer = HeaderValue::try_from(remote.token.bearer())?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        if let Some(version) = self.version {
            let name = HeaderName::from_static(VERSION_HEADER);
            request = request.header(name, version.to_string());
        }
        if let (Some(agent), None) = (&self.key_agent, remote) {
            request = request.header(KEY_AGENT_HEADER, agent);
        }
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, api::routes::JSON);
        }
        request.body(Full::new(self.body.clone().unwrap_or_default()))
    }
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn unreachable(socket: &Path, error: &io::Error) -> ClientError {
    let message = format!("cannot connect to {}: {error}", PathBuf::from(socket).display());
    ClientError::new(ErrorCode::DaemonUnreachable, message)
}
