//! The anchor: a small file beside the database that says how far the journal had come.
//!
//! A database that was cut short, rolled back to an older copy or lost its write-ahead log is
//! consistent in itself; only something outside it can tell. The anchor is written after each
//! commit, so it never names a row that the disk does not hold already. It is forced to the disk
//! now and then: a power cut may leave an older mark, which proves less and never accuses.
//!
//! Two slots are written in turn, each on a page of its own, so a torn write costs one mark at
//! most. A slot is one line of text.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use engine::ids::hex;
use sha2::{Digest, Sha256};

use crate::chain::ChainHash;

const SLOT_BYTES: usize = 512;
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
const NAME: &str = "quarterdeck-anchor-1";

/// How far a database had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) database: String,
    /// The journal's last row and its hash.
    pub(crate) seq: u64,
    pub(crate) hash: ChainHash,
    /// The digest of the last checkpoint.
    pub(crate) checkpoint: ChainHash,
    /// Counts the commits that append no row.
    pub(crate) generation: u64,
}

impl Mark {
    fn line(&self, turn: u64) -> String {
        let Self { database, seq, hash, checkpoint, generation } = self;
        format!(
            "{NAME} turn={turn} database={database} seq={seq} generation={generation} \
             hash={hash} checkpoint={checkpoint}"
        )
    }

    fn parse(line: &str) -> Option<(u64, Self)> {
        let mut words = line.split(' ');
        if words.next()? != NAME {
            return None;
        }
        let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        let turn = value("turn")?.parse().ok()?;
        let database = value("database")?.to_owned();
        let seq = value("seq")?.parse().ok()?;
        let generation = value("generation")?.parse().ok()?;
        let hash = value("hash")?.parse().ok()?;
        let checkpoint = value("checkpoint")?.parse().ok()?;
        Some((turn, Self { database, seq, hash, checkpoint, generation }))
    }
}

/// What one slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// Nothing was ever written there.
    Empty,
    Mark {
        turn: u64,
        mark: Mark,
    },
    /// Something that is not what was written.
    Damaged,
}

impl Slot {
    fn encode(mark: &Mark, turn: u64) -> [u8; SLOT_BYTES] {
        let line = mark.line(turn);
        let sum = hex(&Sha256::digest(line.as_bytes()));
        let mut bytes = [b' '; SLOT_BYTES];
        let text = format!("{line} sum={sum}");
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes[SLOT_BYTES - 1] = b'\n';
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        if bytes.iter().all(|byte| *byte == 0) {
            return Self::Empty;
        }
        let read = || {
            let text = std::str::from_utf8(bytes).ok()?;
            let (line, _) = text.rsplit_once(" sum=")?;
            let (turn, mark) = Mark::parse(line)?;
            (Self::encode(&mark, turn) == bytes).then_some(Self::Mark { turn, mark })
        };
        read().unwrap_or(Self::Damaged)
    }
}

/// What an anchor file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The newest mark.
    pub(crate) mark: Option<Mark>,
    /// How many slots hold something that was not written there.
    pub(crate) damaged: usize,
    turn: u64,
}

impl Reading {
    /// Reads the anchor; nothing if there is no such file.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Self::from(&file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn from(file: &File) -> io::Result<Self> {
        let mut reading = Self { mark: None, damaged: 0, turn: 0 };
        for offset in SLOT_OFFSETS {
            match read_slot(file, offset)? {
                Slot::Empty => {}
                Slot::Damaged => reading.damaged += 1,
                Slot::Mark { turn, mark } => {
                    if reading.mark.is_none() || turn > reading.turn {
                        reading.turn = turn;
                        reading.mark = Some(mark);
                    }
                }
            }
        }
        Ok(reading)
    }
}

fn read_slot(file: &File, offset: u64) -> io::Result<Slot> {
    let mut bytes = [0; SLOT_BYTES];
    let mut filled = 0;
    while filled < SLOT_BYTES {
        let at = offset + u64::try_from(filled).unwrap_or(0);
        match file.read_at(&mut bytes[filled..], at)? {
            0 => break,
            count => filled += count,
        }
    }
    // A slot that the file is too short for was never written, unless part of it is there.
    Ok(if filled == 0 { Slot::Empty } else { Slot::decode(&bytes) })
}

/// The anchor of an open database.
#[derive(Debug)]
pub(crate) struct Anchor {
    file: File,
    turn: u64,
    /// Marks were written since the file was last forced to the disk.
    unsynced: bool,
}

impl Anchor {
    /// Opens or makes the anchor; goes on after the newest mark in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let turn = Reading::from(&file)?.turn;
        Ok(Self { file, turn, unsynced: false })
    }

    pub(crate) fn write(&mut self, mark: &Mark) -> io::Result<()> {
        self.turn += 1;
        let slot = usize::from(self.turn % 2 == 1);
        self.file.write_all_at(&Slot::encode(mark, self.turn), SLOT_OFFSETS[slot])?;
        self.unsynced = true;
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }
}
