//! Which reply answers which batch, on one control connection.
//!
//! tmux answers in order, with one block for each command, and drops the rest of a batch after the
//! first command that fails. Blocks that are not ours (flags 0) do not count, except the very first:
//! it is the answer to the attach that the client was started with. A line written before it can be
//! run by a client that has no session yet, so nothing is sent until it has come.

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
    attached: bool,
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
    #[error("the client is not attached yet")]
    NotAttached,
    #[error(transparent)]
    TooLong(#[from] BatchTooLong),
    #[error("{BATCHES_IN_FLIGHT_MAX} batches already wait for their answers")]
    TooManyWaiting,
}

/// The connection cannot be used. Kill the client process; connecting again may help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("the client could not attach: {reason}")]
    AttachRefused { reason: String },
    #[error("tmux answered a command that was never sent")]
    Unasked,
}

impl<T> Default for Exchanges<T> {
    fn default() -> Self {
        Exchanges { attached: false, waiting: VecDeque::new() }
    }
}

impl<T> Exchanges<T> {
    pub fn new() -> Exchanges<T> {
        Exchanges::default()
    }

    /// Whether the client is attached, so that batches may be sent.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Notes the batch and returns the line to write.
    pub fn send(&mut self, batch: &Batch, ticket: T) -> Result<Vec<u8>, SendError> {
        if !self.attached {
            return Err(SendError::NotAttached);
        }
        if self.waiting.len() >= BATCHES_IN_FLIGHT_MAX {
            return Err(SendError::TooManyWaiting);
        }
        let line = batch.control_line()?;
        let replies_left = batch.commands();
        self.waiting.push_back(Waiting { ticket, replies_left, output: Vec::new() });
        Ok(line)
    }

    /// Takes a reply; returns an answer when it completes one.
    pub fn take(&mut self, reply: Reply) -> Result<Option<Answer<T>>, Fault> {
        if !reply.is_ours() {
            return self.take_foreign(&reply).map(|()| None);
        }
        let oldest = self.waiting.front_mut().ok_or(Fault::Unasked)?;
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

    fn take_foreign(&mut self, reply: &Reply) -> Result<(), Fault> {
        if !self.attached && reply.error {
            return Err(Fault::AttachRefused { reason: reply.text() });
        }
        self.attached = true;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::{Command, Verb},
        control::Guard,
    };

    fn batch(commands: usize) -> Batch {
        let command = || Command::new(Verb::ListPanes);
        (1..commands).fold(Batch::from(command()), |batch, _| batch.then(command()))
    }

    fn reply(flags: u64, error: bool, body: &str) -> Reply {
        Reply { guard: Guard { time: 9, number: 1, flags }, error, body: body.into() }
    }

    fn said(body: &str) -> Reply {
        reply(1, false, body)
    }

    fn attached<T>() -> Exchanges<T> {
        let mut exchanges = Exchanges::new();
        assert!(exchanges.take(reply(0, false, "")).is_ok());
        exchanges
    }

    #[test]
    fn nothing_is_sent_before_the_client_is_attached() {
        let mut exchanges = Exchanges::new();
        assert_eq!(exchanges.send(&batch(1), ()), Err(SendError::NotAttached));
        assert_eq!(exchanges.take(reply(0, false, "")), Ok(None));
        assert!(exchanges.is_attached());
        assert!(exchanges.send(&batch(1), ()).is_ok());
    }

    #[test]
    fn a_client_that_cannot_attach_says_why() {
        let reason = "can't find session: _qd-a1".to_owned();
        let refused = Exchanges::<()>::new().take(reply(0, true, &reason));
        assert_eq!(refused, Err(Fault::AttachRefused { reason }));
    }

    #[test]
    fn a_batch_is_answered_by_as_many_replies_as_it_has_commands() {
        let mut exchanges = attached();
        let line = exchanges.send(&batch(3), "ticket").unwrap();
        assert_eq!(line, b"list-panes ; list-panes ; list-panes\n");
        assert_eq!(exchanges.take(said("a\n")), Ok(None));
        assert_eq!(exchanges.take(said("")), Ok(None));
        let answer = exchanges.take(said("b\n")).unwrap().unwrap();
        assert_eq!(answer, Answer { ticket: "ticket", result: Ok(b"a\nb\n".to_vec()) });
        assert_eq!(exchanges.waiting(), 0);
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let mut exchanges = attached();
        for ticket in 1..=3 {
            exchanges.send(&batch(1), ticket).unwrap();
        }
        for ticket in 1..=3 {
            assert_eq!(exchanges.oldest(), Some(&ticket));
            let answer = exchanges.take(said("x")).unwrap().unwrap();
            assert_eq!(answer.ticket, ticket);
        }
    }

    #[test]
    fn a_refusal_ends_its_batch_and_only_that() {
        let mut exchanges = attached();
        exchanges.send(&batch(3), 1).unwrap();
        exchanges.send(&batch(1), 2).unwrap();
        assert_eq!(exchanges.take(said("a\n")), Ok(None));
        let answer = exchanges.take(reply(1, true, "can't find pane: %9\n")).unwrap().unwrap();
        assert_eq!(answer.ticket, 1);
        assert_eq!(answer.result, Err(Refused { reason: "can't find pane: %9".into() }));
        let answer = exchanges.take(said("b\n")).unwrap().unwrap();
        assert_eq!(answer, Answer { ticket: 2, result: Ok(b"b\n".to_vec()) });
    }

    #[test]
    fn blocks_of_somebody_else_do_not_count() {
        let mut exchanges = attached();
        exchanges.send(&batch(1), ()).unwrap();
        assert_eq!(exchanges.take(reply(0, false, "a hook\n")), Ok(None));
        assert_eq!(exchanges.take(reply(0, true, "a hook's error\n")), Ok(None));
        assert_eq!(exchanges.take(said("ours\n")).unwrap().unwrap().result, Ok(b"ours\n".to_vec()));
    }

    #[test]
    fn an_answer_to_nothing_is_a_fault() {
        assert_eq!(attached::<()>().take(said("")), Err(Fault::Unasked));
    }

    #[test]
    fn what_waits_is_bounded_and_given_back() {
        let mut exchanges = attached();
        for ticket in 0..BATCHES_IN_FLIGHT_MAX {
            exchanges.send(&batch(1), ticket).unwrap();
        }
        assert_eq!(exchanges.send(&batch(1), 0), Err(SendError::TooManyWaiting));
        assert!(exchanges.abandon().eq(0..BATCHES_IN_FLIGHT_MAX));
    }
}
