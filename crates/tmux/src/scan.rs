//! Scans: one batch of commands, and its output read back into typed rows.
//!
//! A directory may be called `x<newline>%end 1 2 1`, so nothing in the output of a scan may depend
//! on what a value holds. Each scan has a fresh [`Nonce`]; a nonce and a letter mark where the
//! batch, each record and each free text begins and ends. tmux itself replaces the newlines inside
//! free texts by such a mark, so no value can put a line of its own into the stream, and what is
//! missing a mark was cut short and is refused as a whole.

use std::{marker::PhantomData, str::FromStr};

use thiserror::Error;

use crate::{
    arg::Arg,
    command::{Batch, Command, Verb},
    format::{Format, Mark, Nonce, Var},
    ids::PaneId,
    rows::{PaneRow, Row},
};

/// One question to the server, and the way to read its answer.
#[derive(Debug, Clone)]
pub struct Scan<R> {
    nonce: Nonce,
    /// `None` asks for all rows.
    only: Option<Vec<PaneId>>,
    rows: PhantomData<fn() -> R>,
}

/// The answer: which server gave it, and the rows in tmux's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned<R> {
    pub server: ServerInstance,
    pub rows: Vec<R>,
}

/// One life of a tmux server, as far as tmux itself can tell.
///
/// Both numbers can come again; the host's boot id and the process's start time settle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerInstance {
    pub pid: u32,
    /// Whole seconds since the epoch, by the server's clock.
    pub start_time: u64,
}

/// The output is not the whole and exact answer to this scan. Nothing of it may be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScanError {
    #[error("the output ends before the mark that completes it")]
    Cut,
    #[error("a mark stands where none belongs")]
    Misplaced,
    #[error("something stands outside the records")]
    Foreign,
    #[error("a record has too few or too many fields")]
    FieldCount,
    #[error("`{name}` cannot be {value:?}")]
    Field { name: &'static str, value: String },
}

const SERVER: [Var; 2] = [Var("pid"), Var("start_time")];

impl<R: Row> Scan<R> {
    pub fn all(nonce: Nonce) -> Scan<R> {
        Scan { nonce, only: None, rows: PhantomData }
    }

    /// The commands that ask.
    pub fn batch(&self) -> Batch {
        let head = Format::new().mark(self.nonce, Mark::Server).plain(&SERVER);
        let done = Format::new().mark(self.nonce, Mark::Done);
        self.questions().into_iter().fold(Batch::from(print(&head)), Batch::then).then(print(&done))
    }

    fn questions(&self) -> Vec<Command> {
        let format = Arg::format(&self.record());
        match &self.only {
            None => vec![R::list(format)],
            Some(panes) => panes.iter().map(|&pane| PaneRow::show(pane, format.clone())).collect(),
        }
    }

    fn record(&self) -> Format {
        let shape = R::SHAPE;
        let begin = Format::new().mark(self.nonce, Mark::Begin).plain(shape.plain);
        let full = shape.free.iter().fold(begin, |format, &var| format.free(self.nonce, var));
        full.mark(self.nonce, Mark::End)
    }

    /// Reads the output of the whole batch: the bodies of its replies joined, or the standard
    /// output of a forked `tmux`.
    pub fn read(&self, output: &[u8]) -> Result<Scanned<R>, ScanError> {
        let mut pieces = Pieces { nonce: self.nonce.to_string().into_bytes(), rest: output };
        if !pieces.text().is_empty() || pieces.mark()? != Mark::Server {
            return Err(ScanError::Foreign);
        }
        let server = ServerInstance::read(line(pieces.text())?)?;
        let mut rows = Vec::new();
        loop {
            match pieces.mark()? {
                Mark::Begin => rows.extend(self.row(&mut pieces)?),
                Mark::Done => break,
                Mark::Server | Mark::Text | Mark::Newline | Mark::End => {
                    return Err(ScanError::Misplaced);
                }
            }
        }
        if line(pieces.text())?.is_empty() && pieces.rest.is_empty() {
            Ok(Scanned { server, rows })
        } else {
            Err(ScanError::Foreign)
        }
    }

    /// Reads one record behind its first mark; `None` if it is of a pane that is gone.
    fn row(&self, pieces: &mut Pieces<'_>) -> Result<Option<R>, ScanError> {
        let plain = pieces.text();
        let mut free: Vec<Vec<u8>> = Vec::with_capacity(R::SHAPE.free.len());
        loop {
            match pieces.mark()? {
                Mark::Text => free.push(pieces.text().to_vec()),
                Mark::Newline => {
                    let text = free.last_mut().ok_or(ScanError::Misplaced)?;
                    text.push(b'\n');
                    text.extend_from_slice(pieces.text());
                }
                Mark::End => break,
                Mark::Server | Mark::Begin | Mark::Done => return Err(ScanError::Misplaced),
            }
        }
        if !line(pieces.text())?.is_empty() {
            return Err(ScanError::Foreign);
        }
        if !self.asked_for(plain) {
            return Ok(None);
        }
        let mut fields = Fields::new::<R>(plain, free)?;
        let row = R::read(&mut fields)?;
        fields.finish().map(|()| Some(row))
    }

    /// A pane that is gone answers with nothing, or with the pane of whoever asked.
    fn asked_for(&self, plain: &[u8]) -> bool {
        let Some(panes) = &self.only else { return true };
        let first = plain.split(|&byte| byte == b'\t').next().unwrap_or_default();
        panes.iter().any(|pane| pane.to_string().as_bytes() == first)
    }
}

impl Scan<PaneRow> {
    /// Asks only for these panes. Those that are gone have no row.
    pub fn panes(nonce: Nonce, panes: Vec<PaneId>) -> Scan<PaneRow> {
        Scan { nonce, only: Some(panes), rows: PhantomData }
    }
}

impl ServerInstance {
    fn read(line: &[u8]) -> Result<ServerInstance, ScanError> {
        let mut fields = Fields::split(&SERVER, line, &[], Vec::new())?;
        let server = ServerInstance { pid: fields.parsed()?, start_time: fields.parsed()? };
        fields.finish().map(|()| server)
    }
}

fn print(format: &Format) -> Command {
    Command::new(Verb::DisplayMessage).flag("-p").arg(Arg::format(format))
}

/// The text without the newline that must end it.
fn line(text: &[u8]) -> Result<&[u8], ScanError> {
    text.strip_suffix(b"\n").ok_or(ScanError::Cut)
}

/// The output, cut at its marks.
struct Pieces<'a> {
    nonce: Vec<u8>,
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    /// What stands before the next mark.
    fn text(&mut self) -> &'a [u8] {
        let next = self.rest.windows(self.nonce.len()).position(|window| window == self.nonce);
        let (text, rest) = self.rest.split_at(next.unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }

    /// The mark that stands here.
    fn mark(&mut self) -> Result<Mark, ScanError> {
        let letter = self.rest.get(self.nonce.len()).ok_or(ScanError::Cut)?;
        self.rest = &self.rest[self.nonce.len() + 1..];
        Mark::from_letter(*letter).ok_or(ScanError::Misplaced)
    }
}

/// The fields of one record, taken in the order of its shape.
#[derive(Debug)]
pub struct Fields<'a> {
    plain: std::vec::IntoIter<(&'static str, &'a str)>,
    free: std::vec::IntoIter<Vec<u8>>,
}

impl<'a> Fields<'a> {
    fn new<R: Row>(plain: &'a [u8], free: Vec<Vec<u8>>) -> Result<Fields<'a>, ScanError> {
        Fields::split(R::SHAPE.plain, plain, R::SHAPE.free, free)
    }

    fn split(
        plain_vars: &'static [Var],
        plain: &'a [u8],
        free_vars: &'static [Var],
        free: Vec<Vec<u8>>,
    ) -> Result<Fields<'a>, ScanError> {
        let text = std::str::from_utf8(plain).map_err(|_| ScanError::FieldCount)?;
        let values: Vec<&str> = if plain_vars.is_empty() && text.is_empty() {
            Vec::new()
        } else {
            text.split('\t').collect()
        };
        if values.len() != plain_vars.len() || free.len() != free_vars.len() {
            return Err(ScanError::FieldCount);
        }
        let plain: Vec<_> = plain_vars.iter().map(|Var(name)| *name).zip(values).collect();
        Ok(Fields { plain: plain.into_iter(), free: free.into_iter() })
    }

    fn next(&mut self) -> Result<(&'static str, &'a str), ScanError> {
        self.plain.next().ok_or(ScanError::FieldCount)
    }

    pub(crate) fn plain(&mut self) -> Result<&'a str, ScanError> {
        self.next().map(|(_, value)| value)
    }

    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, ScanError> {
        let (name, value) = self.next()?;
        value.parse().map_err(|_| bad_field(name, value))
    }

    /// An empty value is `None`.
    pub(crate) fn optional<T: FromStr>(&mut self) -> Result<Option<T>, ScanError> {
        let (name, value) = self.next()?;
        if value.is_empty() {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|_| bad_field(name, value))
    }

    /// tmux prints flags as `1` and `0`, some as a count, and some that do not apply as nothing.
    pub(crate) fn flag(&mut self) -> Result<bool, ScanError> {
        Ok(self.optional::<u32>()?.is_some_and(|count| count > 0))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, ScanError> {
        self.free.next().ok_or(ScanError::FieldCount)
    }

    /// Bytes that are no UTF-8 become replacement characters.
    pub(crate) fn text(&mut self) -> Result<String, ScanError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn finish(mut self) -> Result<(), ScanError> {
        if self.plain.next().is_none() && self.free.next().is_none() {
            Ok(())
        } else {
            Err(ScanError::FieldCount)
        }
    }
}

fn bad_field(name: &'static str, value: &str) -> ScanError {
    ScanError::Field { name, value: value.chars().take(64).collect() }
}
