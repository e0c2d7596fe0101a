//! The server: one thread, loopback only, and a log of what it did and when.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::asked::Asked;
use super::script::{self, Prelude};
use super::tools::{self, Reply};
use super::wire::{Part, TOKENS_IN, Wire};
use super::{anthropic, chat, gemini, responses};
use crate::wait::now;

/// How long a word takes unless the script says otherwise.
const WORD: Duration = Duration::from_millis(15);

/// Parts of an answer that may wait for a client that does not read.
const PARTS_WAITING_MAX: usize = 64;

/// Something that the model did.
#[derive(Clone, Debug)]
pub struct Moment {
    pub at: Instant,
    /// The request; all moments of one carry its number.
    pub request: u64,
    /// The text that held the script; for requests without one, the newest of the user's.
    pub prompt: String,
    /// The request stands beside the conversation: no script is played for it.
    pub beside: bool,
    pub what: What,
}

/// What it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request came in.
    Asked,
    /// The first bytes of an answer went out.
    Begun,
    /// A call of this tool went out, whole.
    Called(String),
    /// The answer is over.
    Ended,
    /// It was refused with this status.
    Refused(u16),
    /// It hung up, as the script says.
    Cut,
    /// Whoever asked went away before the end.
    Abandoned,
}

/// A scripted model on a port of its own. Dropping it stops it.
pub struct ModelServer {
    address: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    moments: Mutex<Vec<Moment>>,
    /// How often each step refused so far.
    refused: Mutex<BTreeMap<(String, usize), u32>>,
    requests: std::sync::atomic::AtomicU64,
}

impl ModelServer {
    pub fn start() -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("model".into()).spawn(move || {
            runtime.block_on(async move {
                // Without it nobody is answered, which every test notices.
                if let Ok(listener) = TcpListener::from_std(listener) {
                    serve(listener, serving, stopped).await;
                }
            });
        })?;
        Ok(Self { address, state, stop, thread: Some(thread) })
    }

    /// Where it listens, without a path: each wire format has its own.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it did so far, from the given moment on.
    pub fn moments(&self, from: usize) -> Vec<Moment> {
        lock(&self.state.moments).get(from..).unwrap_or_default().to_vec()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<State>, mut stopped: watch::Receiver<bool>) {
    // Dropping the set ends what is still being answered.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    // A connection that breaks is the agent's to notice.
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        }
    }
}

/// The model hangs up instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("the script says to hang up")]
struct HangUp;

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Streamed>, HangUp> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match wire(&path) {
        Some(wire) if head.method == Method::POST => {
            let asked = read(wire, &path, &body);
            Exchange::new(state, wire, asked).play().await
        }
        Some(_) | None => Ok(aside(&path)),
    }
}

fn wire(path: &str) -> Option<Wire> {
    if path.ends_with("/messages") {
        Some(Wire::Anthropic)
    } else if path.ends_with("/responses") {
        Some(Wire::Responses)
    } else if path.ends_with("/chat/completions") {
        Some(Wire::Chat)
    } else {
        let generates =
            path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent");
        generates.then_some(Wire::Gemini)
    }
}

fn read(wire: Wire, path: &str, body: &Value) -> Asked {
    match wire {
        Wire::Anthropic => anthropic::read(body),
        Wire::Responses => responses::read(body),
        Wire::Chat => chat::read(body),
        Wire::Gemini => {
            let name = path.rsplit('/').next().unwrap_or_default();
            let (model, method) = name.split_once(':').unwrap_or((name, ""));
            gemini::read(body, model, method.starts_with("stream"))
        }
    }
}

/// What agents ask of a provider beside answers.
fn aside(path: &str) -> Response<Streamed> {
    let body = if path.ends_with("/count_tokens") {
        json!({ "input_tokens": TOKENS_IN })
    } else if path.ends_with(":countTokens") {
        json!({ "totalTokens": TOKENS_IN })
    } else if path.ends_with("/models") {
        let model =
            json!({ "id": "scripted", "object": "model", "created": 0, "owned_by": "test" });
        json!({ "object": "list", "data": [model], "models": [] })
    } else {
        json!({})
    };
    whole(200, &body)
}

fn whole(status: u16, body: &Value) -> Response<Streamed> {
    let body = Streamed { first: Some(Bytes::from(body.to_string())), rest: None };
    let mut response =
        Response::builder().status(status).header("content-type", "application/json");
    if status == 429 {
        response = response.header("retry-after", "3");
    }
    response.body(body).unwrap_or_default()
}

/// The body of an answer: one piece at once, or many as they come.
#[derive(Default)]
struct Streamed {
    first: Option<Bytes>,
    rest: Option<mpsc::Receiver<Bytes>>,
}

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        rest.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

/// One request and what is done about it.
struct Exchange {
    state: Arc<State>,
    number: u64,
    wire: Wire,
    asked: Asked,
    prompt: String,
    /// How many tools have answered since the script began.
    done: usize,
    /// Nothing more is to be expected of it.
    over: bool,
}

impl Exchange {
    fn new(state: Arc<State>, wire: Wire, asked: Asked) -> Self {
        let number = state.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (prompt, done) = match asked.scripted() {
            Some((text, results)) => (text.to_owned(), results.len()),
            None => (asked.newest().to_owned(), 0),
        };
        Self { state, number, wire, asked, prompt, done, over: false }
    }

    fn log(&self, what: What) {
        let (request, beside) = (self.number, self.asked.is_aside());
        let prompt = self.prompt.clone();
        let moment = Moment { at: now(), request, prompt, beside, what };
        lock(&self.state.moments).push(moment);
    }

    fn id(&self) -> String {
        format!("scripted{:06}", self.number)
    }

    async fn play(mut self) -> Result<Response<Streamed>, HangUp> {
        let beside = self.asked.is_aside();
        self.log(What::Asked);
        let prompt = self.prompt.clone();
        let step = script::step(&prompt, self.done);
        let (before, reply) = if beside {
            (Vec::new(), self.beside())
        } else {
            let ended = || Reply::saying(format!("That is all, after {} tools.", self.done));
            let act = step.act.as_ref();
            (step.before, act.map_or_else(ended, |act| tools::reply(&self.asked, act)))
        };
        let mut pace = WORD;
        let mut thinks = Duration::ZERO;
        for prelude in before {
            match prelude {
                Prelude::Pace(time) => pace = time,
                Prelude::Think(time) => thinks = time,
                Prelude::Mute(time) => tokio::time::sleep(time).await,
                Prelude::Cut => {
                    self.finish(What::Cut);
                    return Err(HangUp);
                }
                Prelude::Fail { code, times } if self.refuses(times) => {
                    self.finish(What::Refused(code));
                    return Ok(whole(code, &self.refusal(code)));
                }
                Prelude::Fail { .. } => {}
            }
        }
        Ok(self.give(reply, pace, thinks))
    }

    fn beside(&self) -> Reply {
        let shape = self.asked.schema.as_ref().map(tools::fitting);
        Reply::saying(shape.map_or_else(|| "A scripted task".to_owned(), |it| it.to_string()))
    }

    fn refuses(&self, times: Option<u32>) -> bool {
        let mut refused = lock(&self.state.refused);
        let so_far = refused.entry((self.prompt.clone(), self.done)).or_default();
        *so_far += 1;
        times.is_none_or(|times| *so_far <= times)
    }

    fn refusal(&self, code: u16) -> Value {
        match self.wire {
            Wire::Anthropic => anthropic::refusal(code),
            Wire::Responses => responses::refusal(code),
            Wire::Chat => chat::refusal(code),
            Wire::Gemini => gemini::refusal(code),
        }
    }

    fn finish(&mut self, what: What) {
        self.log(what);
        self.over = true;
    }

    fn give(mut self, reply: Reply, pace: Duration, thinks: Duration) -> Response<Streamed> {
        let id = self.id();
        if !self.asked.streaming {
            let body = self.whole(&reply, &id);
            self.log(What::Begun);
            self.hand_over(&reply);
            return whole(200, &body);
        }
        let parts = self.parts(&reply, &id);
        let (sender, receiver) = mpsc::channel(PARTS_WAITING_MAX);
        tokio::spawn(self.stream(reply, parts, sender, (pace, thinks)));
        let response = Response::builder()
            .header("content-type", "text/event-stream")
            .header("cache-control", "no-cache");
        response.body(Streamed { first: None, rest: Some(receiver) }).unwrap_or_default()
    }

    async fn stream(
        mut self,
        reply: Reply,
        parts: Vec<Part>,
        sender: mpsc::Sender<Bytes>,
        (pace, thinks): (Duration, Duration),
    ) {
        self.log(What::Begun);
        let mut sent = pause(&sender, thinks).await;
        for part in parts {
            if part.word {
                sent = sent && pause(&sender, pace).await;
            }
            sent = sent && sender.send(Bytes::from(part.text)).await.is_ok();
            if !sent {
                return;
            }
        }
        self.hand_over(&reply);
    }

    fn hand_over(&mut self, reply: &Reply) {
        if let Some(call) = &reply.call {
            self.log(What::Called(call.name.clone()));
        }
        self.finish(What::Ended);
    }

    fn whole(&self, reply: &Reply, id: &str) -> Value {
        let model = &self.asked.model;
        match self.wire {
            Wire::Anthropic => anthropic::whole(reply, model, id),
            Wire::Responses => responses::whole(reply, model, id),
            Wire::Chat => chat::whole(reply, model, id),
            Wire::Gemini => gemini::whole(reply, model, id),
        }
    }

    fn parts(&self, reply: &Reply, id: &str) -> Vec<Part> {
        let model = &self.asked.model;
        match self.wire {
            Wire::Anthropic => anthropic::stream(reply, model, id),
            Wire::Responses => responses::stream(reply, model, id),
            Wire::Chat => chat::stream(reply, model, id),
            Wire::Gemini => gemini::stream(reply, model, id),
        }
    }
}

/// What was not finished was given up by whoever asked.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.over {
            self.log(What::Abandoned);
        }
    }
}

/// Waits, unless whoever asked goes away meanwhile.
async fn pause(sender: &mpsc::Sender<Bytes>, time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = sender.closed() => false,
    }
}
