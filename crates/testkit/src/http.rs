//! A blocking HTTP/1.1 client over a Unix socket or TCP: one request per connection, sized and chunked
//! bodies, and streams read line by line with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::wait::{BOUND, Deadline};

/// A client for one place.
#[derive(Clone, Debug)]
pub struct Http {
    place: Place,
    /// What every request says beside its own headers.
    headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Place {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

impl Http {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let headers = vec![("host".to_owned(), "localhost".to_owned())];
        Self { place: Place::Socket(socket.into()), headers }
    }

    /// A client over TCP, which shows a token if it has one.
    pub fn tcp(address: SocketAddr, token: Option<&str>) -> Self {
        let mut headers = vec![("host".to_owned(), address.to_string())];
        headers.extend(token.map(|it| ("authorization".to_owned(), format!("Bearer {it}"))));
        Self { place: Place::Tcp(address), headers }
    }

    /// The path of its socket.
    #[track_caller]
    pub fn socket(&self) -> &Path {
        match &self.place {
            Place::Socket(path) => path,
            Place::Tcp(address) => panic!("{address} is no socket's path"),
        }
    }

    fn connect(&self) -> std::io::Result<Socket> {
        Ok(match &self.place {
            Place::Socket(path) => Socket::Unix(UnixStream::connect(path)?),
            Place::Tcp(address) => Socket::Tcp(TcpStream::connect(address)?),
        })
    }

    /// The answer, or `None` when nobody listens or the connection broke before its end.
    pub fn try_get(&self, path: &str) -> Option<Reply> {
        self.open("GET", path, &[], b"").and_then(Stream::try_into_reply).ok()
    }

    /// The same for an act.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        let body = body.to_string();
        let headers = [("content-type", "application/json")];
        let stream = self.open("POST", path, &headers, body.as_bytes());
        stream.and_then(Stream::try_into_reply).ok()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], b"")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        self.send("POST", path, &[("content-type", "application/json")], body.as_bytes())
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let answered = self.open(method, path, headers, body).and_then(Stream::try_into_reply);
        answered.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A stream of lines; panics unless the answer is 200.
    #[track_caller]
    pub fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut stream = match self.open("GET", path, headers, b"") {
            Ok(stream) => stream,
            Err(error) => panic!("GET {path}: {error}"),
        };
        if stream.status != 200 {
            let rest = stream.read_to_end().unwrap_or_default();
            panic!("GET {path}: {} {}", stream.status, String::from_utf8_lossy(&rest));
        }
        stream
    }

    /// Sends bytes as they are, for requests that no client would make.
    pub fn raw(&self, request: &[u8]) -> std::io::Result<Stream> {
        let mut socket = self.connect()?;
        socket.set_write_timeout(BOUND)?;
        // A server may refuse and close before it has read everything; its answer still counts.
        let written = socket.write_all(request);
        match Stream::open(socket) {
            Ok(stream) => Ok(stream),
            Err(unreadable) => Err(written.err().unwrap_or(unreadable)),
        }
    }

    fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Stream> {
        let mut request = Vec::new();
        write!(request, "{method} {path} HTTP/1.1\r\n")?;
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // What a request says itself takes the place of what every one says.
        let own = own.filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        for (name, value) in own.chain(headers.iter().copied()) {
            write!(request, "{name}: {value}\r\n")?;
        }
        write!(request, "content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
        request.extend_from_slice(body);
        self.raw(&request)
    }
}

/// Either kind of connection.
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    fn set_read_timeout(&self, bound: Duration) -> std::io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_read_timeout(Some(bound)),
            Self::Tcp(socket) => socket.set_read_timeout(Some(bound)),
        }
    }

    fn set_write_timeout(&self, bound: Duration) -> std::io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_write_timeout(Some(bound)),
            Self::Tcp(socket) => socket.set_write_timeout(Some(bound)),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(buffer),
            Self::Tcp(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(bytes),
            Self::Tcp(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Unix(socket) => socket.flush(),
            Self::Tcp(socket) => socket.flush(),
        }
    }
}

/// A whole answer.
#[must_use = "an answer has a status to look at"]
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {}", self.text()))
    }

    /// The body as JSON, of an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The code of the error envelope, of an answer with this status.
    #[track_caller]
    pub fn error(self, status: u16) -> String {
        let body = self.expect(status);
        let code = body["error"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no error envelope: {body}")).to_owned()
    }
}

/// What a stream has to say next.
#[derive(Debug)]
pub enum Next {
    Line(String),
    /// The server ended the stream in an orderly way.
    Ended,
    /// The connection broke in the middle.
    Broken,
    /// Nothing came within the bound.
    Silent,
}

/// An answer that is read as it comes.
pub struct Stream {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    socket: Socket,
    framing: Framing,
    /// Bytes from the socket that are not yet decoded.
    raw: Vec<u8>,
    /// Body bytes that are not yet handed out.
    body: Vec<u8>,
}

enum Framing {
    Chunked,
    Sized { left: usize },
    UntilClose,
    Complete,
}

impl Stream {
    fn open(mut socket: Socket) -> std::io::Result<Self> {
        socket.set_read_timeout(BOUND)?;
        let mut raw = Vec::new();
        let head = loop {
            if let Some(end) = position(&raw, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&raw[..end]).into_owned();
                raw.drain(..end + 4);
                break head;
            }
            if fill(&mut socket, &mut raw)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        };
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or(ErrorKind::InvalidData)?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let framing = framing(status, &headers);
        Ok(Self { status, headers, socket, framing, raw, body: Vec::new() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The next line without its end, waiting at most `bound` for it.
    pub fn next_line(&mut self, bound: Duration) -> Next {
        let deadline = Deadline::after(bound);
        loop {
            self.decode();
            if let Some(end) = self.body.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.body.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]);
                return Next::Line(line.trim_end_matches('\r').to_owned());
            }
            if matches!(self.framing, Framing::Complete) {
                return Next::Ended;
            }
            match self.fill_within(deadline.left()) {
                Ok(0) if matches!(self.framing, Framing::UntilClose) => return Next::Ended,
                Ok(0) => return Next::Broken,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Next::Silent,
                Err(_) => return Next::Broken,
            }
        }
    }

    /// The next line as JSON; panics when none comes.
    #[track_caller]
    pub fn frame(&mut self) -> Value {
        self.frame_where("a further frame", |_| true)
    }

    /// Skips frames until one is as wanted; panics with all it saw when none comes.
    #[track_caller]
    pub fn frame_where(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Deadline::after(BOUND);
        let mut seen = Vec::new();
        loop {
            let next = self.next_line(deadline.left());
            let Next::Line(line) = &next else {
                panic!("{next:?} while waiting for {what}; saw\n{}", seen.join("\n"))
            };
            let frame = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("not a JSON line: {error}: {line}"));
            if wanted(&frame) {
                return frame;
            }
            seen.push(line.clone());
        }
    }

    /// Everything up to the end of the body.
    pub fn read_to_end(&mut self) -> std::io::Result<Vec<u8>> {
        let deadline = Deadline::after(BOUND);
        loop {
            self.decode();
            if matches!(self.framing, Framing::Complete) {
                return Ok(std::mem::take(&mut self.body));
            }
            if self.fill_within(deadline.left())? == 0 {
                match self.framing {
                    Framing::UntilClose => self.framing = Framing::Complete,
                    Framing::Chunked | Framing::Sized { .. } | Framing::Complete => {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    fn try_into_reply(mut self) -> std::io::Result<Reply> {
        let body = self.read_to_end()?;
        Ok(Reply { status: self.status, headers: self.headers, body })
    }

    fn fill_within(&mut self, bound: Duration) -> std::io::Result<usize> {
        // A zero time-out would mean none at all.
        self.socket.set_read_timeout(bound.max(Duration::from_millis(1)))?;
        fill(&mut self.socket, &mut self.raw)
    }

    /// Moves what is complete from `raw` to `body`.
    fn decode(&mut self) {
        match &mut self.framing {
            Framing::Chunked => {
                while let Some(last) = take_chunk(&mut self.raw, &mut self.body) {
                    if last {
                        self.framing = Framing::Complete;
                        return;
                    }
                }
            }
            Framing::Sized { left } => {
                let taken = self.raw.len().min(*left);
                self.body.extend(self.raw.drain(..taken));
                *left -= taken;
                if *left == 0 {
                    self.framing = Framing::Complete;
                }
            }
            Framing::UntilClose => self.body.append(&mut self.raw),
            Framing::Complete => {}
        }
    }
}

/// Takes one whole chunk off the front of `raw`, and says whether it was the last.
fn take_chunk(raw: &mut Vec<u8>, body: &mut Vec<u8>) -> Option<bool> {
    let line = position(raw, b"\r\n")?;
    let size = std::str::from_utf8(&raw[..line]).ok()?;
    let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
    let begin = line + 2;
    if raw.len() < begin + size + 2 {
        return None;
    }
    body.extend_from_slice(&raw[begin..begin + size]);
    raw.drain(..begin + size + 2);
    Some(size == 0)
}

fn framing(status: u16, headers: &[(String, String)]) -> Framing {
    if status == 204 || status == 304 {
        return Framing::Complete;
    }
    if find(headers, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return Framing::Chunked;
    }
    match find(headers, "content-length").and_then(|value| value.parse().ok()) {
        Some(left) => Framing::Sized { left },
        None => Framing::UntilClose,
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn fill(socket: &mut Socket, raw: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut part = [0; 16 * 1024];
    let count = loop {
        match socket.read(&mut part) {
            // A signal that a test sends around may hit the test itself in the middle of this.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    raw.extend_from_slice(&part[..count]);
    Ok(count)
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

fn is_timeout(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::TimedOut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(parts: &'static [&'static str]) -> (tempfile::TempDir, Http) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            assert_ne!(socket.read(&mut [0; 4096]).unwrap(), 0);
            for part in parts {
                socket.write_all(part.as_bytes()).unwrap();
                socket.flush().unwrap();
            }
        });
        (dir, Http::new(path))
    }

    #[test]
    fn a_sized_body_is_read_whole() {
        let (_dir, http) = serve(&[
            "HTTP/1.1 404 x\r\nContent-Length: 24\r\n\r\n{\"error\":{\"co",
            "de\":\"E_X\"}}",
        ]);
        assert_eq!(http.get("/").text(), "{\"error\":{\"code\":\"E_X\"}}");
    }

    #[test]
    fn lines_come_out_of_chunks_that_cut_them_anywhere() {
        let (_dir, http) = serve(&[
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "4\r\n{\"a\"\r\n",
            "7\r\n:1}\n{\"b\r\n5;x=",
            "y\r\n\":2}\n\r\n0\r\n\r\n",
        ]);
        let mut stream = http.stream("/", &[]);
        assert_eq!(stream.frame()["a"], 1);
        assert_eq!(stream.frame()["b"], 2);
        assert!(matches!(stream.next_line(BOUND), Next::Ended));
    }

    #[test]
    fn a_stream_cut_inside_a_chunk_is_broken_and_not_ended() {
        let (_dir, http) = serve(&[
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"a\":1}\n\r\n9\r\n{",
        ]);
        let mut stream = http.stream("/", &[]);
        assert_eq!(stream.frame()["a"], 1);
        assert!(matches!(stream.next_line(BOUND), Next::Broken));
    }
}
