//! What is left of a body that nobody wanted to the end.
//!
//! Many clients write a whole request before they read a byte of the answer. If the connection were closed
//! under a body that was refused, they would see a broken pipe, and never why. So the answer goes out
//! at once, and what is still on its way is read and thrown away, up to a bound.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// More than this is not waited for: the connection ends under it.
const LEFTOVER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long somebody may take to send what nobody wants.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// A body that is read to its end, by whoever wants it or by nobody.
#[derive(Debug)]
pub(super) struct ReadToTheEnd(Option<Incoming>);

impl ReadToTheEnd {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for ReadToTheEnd {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ReadToTheEnd {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(LEFTOVER_TIMEOUT, throw_away(body)));
        }
    }
}

/// Reads until the end, an error, or the bound.
async fn throw_away(mut body: Incoming) {
    let mut left = LEFTOVER_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
