//! The hash chain over the journal: each row's hash covers its values and the row before it.
//!
//! `hash(n) = SHA-256(hash(n-1), seq, at, actor, kind, SHA-256(payload), SHA-256(fields),
//! SHA-256(body))`, each part with its length where that is not fixed. A body enters by its own hash, so it can be cleared
//! and the chain still be walked. Before the first row stands a hash of the database's id: a row
//! of another database never fits.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use engine::ids::hex;
use sha2::{Digest, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChainHash(pub(crate) [u8; 32]);

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..8]))
    }
}

impl ChainHash {
    /// What stands before the first row of a database.
    pub(crate) fn genesis(database: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"quarterdeck journal 1\0");
        hash.update(database.as_bytes());
        Self(hash.finalize().into())
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(Self(hash.finalize().into())),
                count => hash.update(&buffer[..count]),
            }
        }
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A text that is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHash;

impl FromStr for ChainHash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BadHash);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| BadHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadHash)?;
        }
        Ok(Self(bytes))
    }
}

/// The parts of a journal row that its hash covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'a> {
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) actor: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) payload: ChainHash,
    /// The fields of the event that the row stands for.
    pub(crate) fields: Option<ChainHash>,
    pub(crate) body: Option<ChainHash>,
}

impl Link<'_> {
    pub(crate) fn after(&self, previous: ChainHash) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(previous.0);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        for part in [self.actor, self.kind] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(self.payload.0);
        for part in [self.fields, self.body] {
            match part {
                Some(part) => {
                    hash.update([1]);
                    hash.update(part.0);
                }
                None => hash.update([0]),
            }
        }
        ChainHash(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_row_changes_its_hash() {
        let link = Link {
            seq: 7,
            at: 9,
            actor: "ab",
            kind: "c",
            payload: ChainHash::of(b"payload"),
            fields: None,
            body: None,
        };
        let before = ChainHash::genesis("db");
        let hashes = [
            link.after(before),
            link.after(ChainHash::genesis("other")),
            Link { seq: 8, ..link }.after(before),
            Link { at: 8, ..link }.after(before),
            Link { actor: "a", kind: "bc", ..link }.after(before),
            Link { payload: ChainHash::of(b""), ..link }.after(before),
            Link { fields: Some(ChainHash([0; 32])), ..link }.after(before),
            Link { body: Some(ChainHash([0; 32])), ..link }.after(before),
        ];
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
        assert_eq!(link.after(before), hashes[0]);
    }
}
