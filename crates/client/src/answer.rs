//! An answer as it came, and as what it means.

use std::fmt;
use std::marker::PhantomData;

use api::ErrorCode;
use api::list::List;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;

/// An answer of type `T`. It is kept as the text that came over the wire, which is what a program
/// that reads `--json` gets, and parsed when somebody wants to look inside.
pub struct Answer<T> {
    text: Bytes,
    kind: PhantomData<fn() -> T>,
}

impl<T> Answer<T> {
    pub(crate) fn new(text: Bytes) -> Self {
        Self { text, kind: PhantomData }
    }

    /// The JSON as it came over the wire.
    pub fn json(&self) -> Result<&str, ClientError> {
        std::str::from_utf8(&self.text)
            .map_err(|_| ClientError::new(ErrorCode::Internal, "the daemon's answer is not UTF-8"))
    }
}

impl<T: DeserializeOwned> Answer<T> {
    /// What it means.
    pub fn read(&self) -> Result<T, ClientError> {
        parse(&self.text)
    }
}

impl<I: DeserializeOwned + Serialize> Answer<List<I>> {
    /// Where the next page begins, found without reading the items.
    pub(crate) fn next_page(&self) -> Result<Option<String>, ClientError> {
        #[derive(Deserialize)]
        struct Tail {
            next_page: Option<String>,
        }
        parse::<Tail>(&self.text).map(|tail| tail.next_page)
    }

    /// One answer with the items of all pages; the rest is that of the first.
    pub(crate) fn join(pages: Vec<List<I>>) -> Result<Option<Self>, ClientError> {
        let mut pages = pages.into_iter();
        let Some(mut whole) = pages.next() else { return Ok(None) };
        whole.items.extend(pages.flat_map(|page| page.items));
        whole.next_page = None;
        let text = serde_json::to_vec(&whole).map_err(|error| ClientError::unreadable(&error))?;
        Ok(Some(Self::new(Bytes::from(text))))
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&String::from_utf8_lossy(&self.text)).finish()
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(text).map_err(|error| ClientError::unreadable(&error))
}
