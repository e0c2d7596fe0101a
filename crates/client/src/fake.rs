//! For tests: a daemon that is a script.

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::error::ClientError;
use crate::place::Place;
use crate::starter::Starter;

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// A request as the fake daemon saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Method and path, such as `GET /v1/health`.
    pub(crate) what: String,
    /// The version the client greeted with.
    pub(crate) version: Option<String>,
    pub(crate) body: String,
}

/// What the fake daemon does with a request.
pub(crate) enum Act {
    /// Answers with this status and JSON.
    Answer(u16, String),
    /// Answers, and is gone from then on.
    Last(u16, String),
    /// Streams these lines and ends the body properly.
    Lines(Vec<String>),
    /// Streams these lines and dies in the middle of the next.
    Cut(Vec<String>),
    /// Streams these lines, ends the body, and is gone from then on.
    LastLines(Vec<String>),
    /// Closes the connection without a word.
    Hangup,
}

type Script = dyn FnMut(&Seen) -> Act + Send;

/// A daemon at `qd.sock` in a folder.
#[derive(Clone)]
pub(crate) struct Fake {
    shared: Arc<Shared>,
}

struct Shared {
    socket: PathBuf,
    version: &'static str,
    gone: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    script: Mutex<Box<Script>>,
}

pub(crate) fn place_in(folder: &Path) -> Place {
    Place { socket: folder.join("qd.sock"), lock: Some(folder.join("qd.lock")) }
}

impl Fake {
    pub(crate) fn start(
        folder: &Path,
        version: &'static str,
        script: impl FnMut(&Seen) -> Act + Send + 'static,
    ) -> Self {
        let socket = folder.join("qd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
        let shared = Arc::new(Shared {
            socket,
            version,
            gone: AtomicBool::new(false),
            seen: Mutex::default(),
            script: Mutex::new(Box::new(script)),
        });
        let fake = Self { shared };
        let server = fake.clone();
        // Blocks in accept when its file is gone; it ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        fake
    }

    /// Everything it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.what).collect()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    fn leave(&self) {
        self.shared.gone.store(true, Ordering::SeqCst);
        std::fs::remove_file(&self.shared.socket).ok();
    }

    fn serve(&self, stream: UnixStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut writer = stream;
        loop {
            let seen = read_request(&mut reader)?;
            self.shared.seen.lock().unwrap().push(seen.clone());
            let act = (self.shared.script.lock().unwrap())(&seen);
            if self.shared.gone.load(Ordering::SeqCst) {
                return None;
            }
            self.act(&mut writer, act)?;
        }
    }

    fn act(&self, writer: &mut UnixStream, act: Act) -> Option<()> {
        match act {
            Act::Answer(status, body) => self.answer(writer, status, &body),
            Act::Last(status, body) => {
                self.leave();
                self.answer(writer, status, &body)?;
                None
            }
            Act::Lines(lines) => {
                self.stream(writer, &lines)?;
                writer.write_all(b"0\r\n\r\n").ok()
            }
            Act::Cut(lines) => {
                self.stream(writer, &lines)?;
                writer.write_all(b"4\r\n{\"ty\r\n").ok()?;
                None
            }
            Act::LastLines(lines) => {
                self.leave();
                self.stream(writer, &lines)?;
                writer.write_all(b"0\r\n\r\n").ok()?;
                None
            }
            Act::Hangup => None,
        }
    }

    fn answer(&self, writer: &mut UnixStream, status: u16, body: &str) -> Option<()> {
        let (version, length) = (self.shared.version, body.len());
        let head = format!(
            "HTTP/1.1 {status} x\r\nqd-version: {version}\r\ncontent-length: {length}\r\n\r\n"
        );
        writer.write_all(format!("{head}{body}").as_bytes()).ok()
    }

    /// Each line goes out in two chunks, as nothing promises that they arrive whole.
    fn stream(&self, writer: &mut UnixStream, lines: &[String]) -> Option<()> {
        let version = self.shared.version;
        let head = format!(
            "HTTP/1.1 200 OK\r\nqd-version: {version}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        writer.write_all(head.as_bytes()).ok()?;
        for line in lines {
            let (first, second) = line.split_at(line.len() / 2);
            for part in [first.to_owned(), format!("{second}\n")] {
                if !part.is_empty() {
                    let chunk = format!("{:x}\r\n{part}\r\n", part.len());
                    writer.write_all(chunk.as_bytes()).ok()?;
                }
            }
        }
        Some(())
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    let what = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut length, mut version) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "content-length" => length = value.parse().ok()?,
            "qd-version" => version = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { what, version, body: String::from_utf8(body).ok()? })
}

/// A starter that does what the test says.
pub(crate) struct Start<F>(Mutex<F>);

impl<F: FnMut() -> Result<(), ClientError> + Send + 'static> Start<F> {
    pub(crate) fn by(start: F) -> Arc<dyn Starter> {
        Arc::new(Self(Mutex::new(start)))
    }
}

impl<F: FnMut() -> Result<(), ClientError> + Send> Starter for Start<F> {
    fn start(&self) -> Result<(), ClientError> {
        (self.0.lock().unwrap())()
    }
}
