//! Which reply answers which batch, on one control connection.
//!
//! tmux answers in order, with one block for each command, and drops the rest of a batch after the
//! first command that fails. Blocks that are not ours (flags 0) do not count.

use std::collections::VecDeque;

use thiserror::Error;

use crate::{
    command::{Batch, BatchTooLong},
    control::Reply,
    limits::BATCHES_IN_FLIGHT_MAX,
};

/// The batches that were written and not yet answered, oldest first.
///
/// `T` is whatever the caller wants back with the answer.
#[derive(Debug)]
pub struct Exchanges<T> {
    waiting: VecDeque<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: T,
    replies_left: usize,
    output: Vec<u8>,
}

/// What tmux said to one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub ticket: T,
    /// The joined output of all its commands, or why one of them was refused.
    pub result: Result<Vec<u8>, Refused>,
}

/// tmux refused a command; those before it in the batch were run, those after it were not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("tmux refused: {reason}")]
pub struct Refused {
    pub reason: String,
}

/// Why a batch was not written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    #[error(transparent)]
    TooLong(#[from] BatchTooLong),
    #[error("{BATCHES_IN_FLIGHT_MAX} batches already wait for their answers")]
    TooManyWaiting,
}

/// A reply came that answers nothing we asked. Kill the client process and connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("tmux answered a command that was never sent")]
pub struct Unasked;

impl<T> Default for Exchanges<T> {
    fn default() -> Self {
        Exchanges { waiting: VecDeque::new() }
    }
}

impl<T> Exchanges<T> {
    pub fn new() -> Exchanges<T> {
        Exchanges::default()
    }

    /// Notes the batch and returns the line to write.
    pub fn send(&mut self, batch: &Batch, ticket: T) -> Result<Vec<u8>, SendError> {
        if self.waiting.len() >= BATCHES_IN_FLIGHT_MAX {
            return Err(SendError::TooManyWaiting);
        }
        let line = batch.control_line()?;
        let replies_left = batch.commands();
        self.waiting.push_back(Waiting { ticket, replies_left, output: Vec::new() });
        Ok(line)
    }

    /// Takes a reply; returns an answer when it completes one.
    pub fn take(&mut self, reply: Reply) -> Result<Option<Answer<T>>, Unasked> {
        if !reply.is_ours() {
            return Ok(None);
        }
        let oldest = self.waiting.front_mut().ok_or(Unasked)?;
        oldest.replies_left = oldest.replies_left.saturating_sub(1);
        if reply.error {
            let reason = reply.text();
            return Ok(self.finish(|_| Err(Refused { reason })));
        }
        if oldest.output.is_empty() {
            oldest.output = reply.body;
        } else {
            oldest.output.extend_from_slice(&reply.body);
        }
        if oldest.replies_left > 0 { Ok(None) } else { Ok(self.finish(Ok)) }
    }

    /// The ticket of the batch that has waited longest, for the caller's time-out.
    pub fn oldest(&self) -> Option<&T> {
        self.waiting.front().map(|waiting| &waiting.ticket)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Gives back the tickets of all that will never be answered, oldest first.
    pub fn abandon(self) -> impl Iterator<Item = T> {
        self.waiting.into_iter().map(|waiting| waiting.ticket)
    }

    fn finish(
        &mut self,
        result: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, Refused>,
    ) -> Option<Answer<T>> {
        let done = self.waiting.pop_front()?;
        Some(Answer { ticket: done.ticket, result: result(done.output) })
    }
}
