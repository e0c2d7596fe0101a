//! The large indexes, held against their tables without a search for every row.
//!
//! The rows are read once, in the order of the journal, and each index once, in its own order. An
//! index is right where its entries stand in strict order, none twice where it allows no two, and
//! where they are the same that the rows should have: that is told by a sum over all of them, which
//! does not depend on the order in which they were met. So a row without its entry, an entry
//! without its row, and one that is another than its row's are all found.

use std::hash::{DefaultHasher, Hasher};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::damage::Finding;
use crate::denials;
use crate::events::Recorded;
use crate::journal::JournalRow;
use crate::proof::Doubt;
use crate::row::{counter, integer};

/// An index that grows with what happens.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) name: &'static str,
    /// Reads its entries, the number of the row last, and in its own order.
    entries: &'static str,
    is_unique: bool,
}

pub(super) const INDEXES: [Index; 5] = [
    Index {
        name: "sqlite_autoindex_events_1",
        entries: "SELECT event_id, journal_seq \
            FROM events INDEXED BY sqlite_autoindex_events_1 ORDER BY event_id",
        is_unique: true,
    },
    Index {
        name: "sqlite_autoindex_events_2",
        entries: "SELECT runtime_id, source, dedupe_key, journal_seq \
            FROM events INDEXED BY sqlite_autoindex_events_2 \
            ORDER BY runtime_id, source, dedupe_key",
        is_unique: true,
    },
    Index {
        name: "events_ingested",
        entries: "SELECT ingested_at, journal_seq FROM events INDEXED BY events_ingested \
            ORDER BY ingested_at",
        is_unique: false,
    },
    Index {
        name: "events_action",
        entries: "SELECT action_id, journal_seq FROM events INDEXED BY events_action \
            WHERE action_id IS NOT NULL ORDER BY action_id",
        is_unique: false,
    },
    Index {
        name: "journal_denied",
        entries: "SELECT at, seq FROM journal INDEXED BY journal_denied \
            WHERE kind = 'access_denied' ORDER BY at",
        is_unique: false,
    },
];

/// The keys of the first indexes, by the place of their columns among the fields of an event.
const EVENT_KEYS: [&[usize]; 4] = [&[0], &[1, 3, 8], &[7], &[9]];
/// Whose column is empty in most rows, and those have no entry.
const BY_ACTION: usize = 3;
const DENIED: usize = 4;
/// Room for an entry as long as most are.
const ENTRY_BYTES: usize = 256;

/// What the entries of each index come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally([Sum; INDEXES.len()]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    entries: u64,
    hashes: u64,
}

impl Tally {
    /// Counts what a row of the journal, and the event beside it, should have in the indexes.
    pub(super) fn count(&mut self, row: &JournalRow<'_>) {
        if row.kind == denials::KIND {
            self.0[DENIED].add(&Entry::of(&[integer(row.at), counter(row.seq)]));
        }
        if let Some(event) = &row.recorded {
            self.count_event(event);
        }
    }

    pub(super) fn count_event(&mut self, event: &Recorded<'_>) {
        let mut entry = Entry { bytes: Vec::with_capacity(ENTRY_BYTES) };
        for (place, columns) in EVENT_KEYS.iter().enumerate() {
            if place == BY_ACTION && columns.iter().all(|it| event.fields[*it] == ValueRef::Null) {
                continue;
            }
            entry.bytes.clear();
            columns.iter().for_each(|column| entry.push(event.fields[*column]));
            entry.push(counter(event.seq()));
            self.0[place].add(&entry);
        }
    }

    /// Reads the entries of one index, and looks at their order.
    pub(super) fn read(&mut self, db: &Connection, place: usize) -> Result<(), Doubt> {
        let Index { name, entries, is_unique } = &INDEXES[place];
        let mut statement = db.prepare(entries)?;
        let key_len = statement.column_count() - 1;
        let mut rows = statement.query([])?;
        let (mut before, mut entry) = (Entry::default(), Entry::default());
        // How much of the entry before is its key; the first has none before it.
        let mut key_before: Option<usize> = None;
        while let Some(row) = rows.next()? {
            entry.bytes.clear();
            for column in 0..key_len {
                entry.push(row.get_ref(column)?);
            }
            let key = entry.bytes.len();
            entry.push(row.get_ref(key_len)?);
            let twice = *is_unique
                && key_before.is_some_and(|len| before.bytes[..len] == entry.bytes[..key]);
            if twice || (key_before.is_some() && before >= entry) {
                return Err(Finding::Index { name }.into());
            }
            self.0[place].add(&entry);
            key_before = Some(key);
            std::mem::swap(&mut before, &mut entry);
        }
        Ok(())
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            sum.entries += more.entries;
            sum.hashes = sum.hashes.wrapping_add(more.hashes);
        }
    }

    /// The first index that has other entries than `rows` say.
    pub(super) fn difference(&self, rows: &Self) -> Option<Finding> {
        let differing = self.0.iter().zip(rows.0).position(|(index, rows)| *index != rows);
        differing.map(|place| Finding::Index { name: INDEXES[place].name })
    }
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        let mut hasher = DefaultHasher::new();
        hasher.write(&entry.bytes);
        self.entries += 1;
        self.hashes = self.hashes.wrapping_add(hasher.finish());
    }
}

/// The values of an entry as bytes that compare as SQLite compares the entries, and that no other
/// values have.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    fn of(values: &[ValueRef<'_>]) -> Self {
        let mut entry = Self::default();
        values.iter().for_each(|value| entry.push(*value));
        entry
    }

    fn push(&mut self, value: ValueRef<'_>) {
        let (tag, text) = match value {
            ValueRef::Null => return self.bytes.push(0),
            ValueRef::Integer(number) => {
                self.bytes.push(1);
                // Negative numbers before the others.
                return self.bytes.extend((number ^ i64::MIN).to_be_bytes());
            }
            // No column has any: where one stands it is an entry that no row has.
            ValueRef::Real(number) => {
                self.bytes.push(2);
                return self.bytes.extend(number.to_bits().to_be_bytes());
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        self.bytes.push(tag);
        // Zeros end it, and one within is marked as such, so that what goes on is greater.
        if text.contains(&0) {
            let marked = |byte: &u8| [*byte, 0xff].into_iter().take(1 + usize::from(*byte == 0));
            self.bytes.extend(text.iter().flat_map(marked));
        } else {
            self.bytes.extend_from_slice(text);
        }
        self.bytes.extend([0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::FIELDS;
    use crate::schema::SCHEMA;
    use crate::verify::structure::LARGE;

    fn texts(db: &Connection, sql: &str, of: &str) -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([of], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_index_of_a_large_table_is_looked_at_by_its_own_columns() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let list = "SELECT name FROM pragma_index_list(?)";
        let mut there: Vec<String> =
            LARGE.iter().flat_map(|table| texts(&db, list, table)).collect();
        there.sort();
        let mut known = INDEXES.map(|index| index.name.to_owned());
        known.sort();
        assert_eq!(there, known);
        for (index, keys) in INDEXES.iter().zip(EVENT_KEYS) {
            let columns =
                texts(&db, "SELECT name FROM pragma_index_info(?) ORDER BY seqno", index.name);
            assert_eq!(columns, keys.iter().map(|key| FIELDS[*key]).collect::<Vec<_>>());
        }
        for Index { name, entries, is_unique } in &INDEXES {
            let unique: bool = db
                .query_row(
                    "SELECT \"unique\" FROM sqlite_schema, pragma_index_list(tbl_name) AS list \
                     WHERE sqlite_schema.name = ?1 AND list.name = ?1",
                    [name],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(*is_unique, unique, "{name}");
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {entries}")).unwrap();
            let plan: Vec<String> =
                plan.query_map([], |row| row.get("detail")).unwrap().map(Result::unwrap).collect();
            let [step] = plan.as_slice() else { panic!("{name}: {plan:?}") };
            assert!(step.contains(&format!("USING COVERING INDEX {name}")), "{plan:?}");
        }
    }

    #[test]
    fn entries_compare_as_their_values_do() {
        use ValueRef::{Integer, Null, Text};
        let ordered: [&[ValueRef<'_>]; 9] = [
            &[Null, Integer(1)],
            &[Integer(i64::MIN), Integer(1)],
            &[Integer(-1), Integer(1)],
            &[Integer(0), Integer(1)],
            &[Text(b""), Integer(7)],
            &[Text(b"a"), Integer(-1)],
            &[Text(b"a"), Integer(1)],
            &[Text(b"a\0"), Integer(0)],
            &[Text(b"a\x01"), Integer(0)],
        ];
        for pair in ordered.windows(2) {
            assert!(Entry::of(pair[0]) < Entry::of(pair[1]), "{pair:?}");
        }
    }
}
