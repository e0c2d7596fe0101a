//! The bytes of one connection.
//!
//! A head that is no HTTP, or too long, never becomes a request: the library below answers it by
//! itself, with a bare status, and closes. Here that answer gets the envelope that every other
//! refusal has.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use api::error_code::ErrorCode;
use api::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use api::timestamp::Timestamp;
use api::version::VERSION_HEADER;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::problem::Problem;
use crate::clock::Clock;

/// A connection whose bare refusals are given our envelope.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    clock: Clock,
    /// What is written in the place of a bare refusal, and how much of it has been.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, clock: Clock) -> Self {
        Self { stream, clock, instead: None }
    }
}

impl<S: Read + Unpin> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Write + Unpin> Write for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            let Some(status) = bare_refusal(bytes) else {
                return Pin::new(&mut this.stream).poll_write(cx, bytes);
            };
            let now = Timestamp::from_millis(this.clock.now().wall.0);
            this.instead = Some((refusal(&status, now), 0));
        }
        while let Some((answer, written)) = &mut this.instead {
            let rest = &answer[*written..];
            if rest.is_empty() {
                this.instead = None;
                break;
            }
            *written += ready!(Pin::new(&mut this.stream).poll_write(cx, rest))?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        match (filled.next(), filled.next()) {
            (Some(only), None) => self.poll_write(cx, only),
            (_, _) => Pin::new(&mut self.stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The status of an answer that is nothing but the head of a refusal, and not one of ours: each of
/// those names our version.
fn bare_refusal(bytes: &[u8]) -> Option<String> {
    let head = bytes.strip_prefix(b"HTTP/1.1 4").filter(|head| head.ends_with(b"\r\n\r\n"))?;
    let head = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let ours = head.contains(VERSION_HEADER);
    let status = head.get(..2).filter(|_| !ours)?;
    Some(format!("4{status}"))
}

fn refusal(status: &str, now: Timestamp) -> Vec<u8> {
    let message = match status {
        "431" | "414" => format!(
            "the head of the request is too long: {HEAD_BYTES_MAX} bytes and {HEAD_FIELDS_MAX} \
             fields are the most"
        ),
        _ => "the request is not HTTP/1.1".to_owned(),
    };
    let problem = Problem::new(ErrorCode::BadRequest, message);
    let status = problem.status();
    let body = serde_json::to_vec(&problem.body(now)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {}\r\ncontent-length: {}\r\n\
         {VERSION_HEADER}: {}\r\n\r\n",
        api::routes::JSON,
        body.len(),
        super::VERSION,
    );
    [head.into_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(bare).as_deref(), Some("400"));
        let ours = b"HTTP/1.1 404 Not Found\r\nqd-version: 0.1.0\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(ours), None);
        for other in
            [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/1.1 4", b"{\"a\":1}", b"", b"\r\n\r\n"]
        {
            assert_eq!(bare_refusal(other), None);
        }
    }

    #[test]
    fn what_stands_instead_is_an_envelope_like_any_other() {
        let answer = String::from_utf8(refusal("431", Timestamp::from_millis(0))).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "E_BAD_REQUEST");
        assert!(body["error"]["message"].as_str().unwrap().contains("too long"), "{body}");
    }
}
