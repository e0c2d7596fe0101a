//! One table's rows: written whole, each with a hash over its values, and checked when read.
//!
//! SQLite reports a torn file, not a flipped bit. The hash is a guard against rot; what guards
//! against somebody who edits rows is the journal's chain.

use std::fmt;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use sha2::{Digest, Sha256};

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};

/// A table as this crate writes it: the key's columns first, the row's hash last and unnamed.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    columns: &'static [&'static str],
    key_len: usize,
    add: String,
    put: String,
    delete: String,
    select: String,
    by_key: String,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Table {
    pub(crate) fn new(
        name: &'static str,
        key_len: usize,
        columns: &'static [&'static str],
    ) -> Self {
        let list = columns.join(", ");
        let marks = vec!["?"; columns.len() + 1].join(", ");
        let key = columns[..key_len].join(", ");
        let mut sets: Vec<String> =
            columns[key_len..].iter().map(|it| format!("{it} = excluded.{it}")).collect();
        sets.push("row_hash = excluded.row_hash".to_owned());
        let conditions: Vec<String> =
            columns[..key_len].iter().map(|column| format!("{column} = ?")).collect();
        let (sets, conditions) = (sets.join(", "), conditions.join(" AND "));
        let add = format!("INSERT INTO {name} ({list}, row_hash) VALUES ({marks})");
        Self {
            name,
            columns,
            key_len,
            put: format!("{add} ON CONFLICT ({key}) DO UPDATE SET {sets}"),
            add,
            delete: format!("DELETE FROM {name} WHERE {conditions}"),
            select: format!("SELECT {list}, row_hash FROM {name}"),
            by_key: format!("SELECT {list}, row_hash FROM {name} WHERE {conditions}"),
        }
    }

    /// Writes a row that must be new.
    pub(crate) fn add(&self, db: &Connection, values: &[ValueRef<'_>]) -> Result<(), Fault> {
        self.write(db, &self.add, values)
    }

    /// Writes a row, new or not.
    pub(crate) fn put(&self, db: &Connection, values: &[ValueRef<'_>]) -> Result<(), Fault> {
        self.write(db, &self.put, values)
    }

    fn write(&self, db: &Connection, sql: &str, values: &[ValueRef<'_>]) -> Result<(), Fault> {
        debug_assert_eq!(values.len(), self.columns.len());
        let mut statement = db.prepare_cached(sql)?;
        for (index, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(*value))?;
        }
        let hash = self.hash(values.iter().copied());
        statement.raw_bind_parameter(values.len() + 1, hash)?;
        statement.raw_execute()?;
        Ok(())
    }

    pub(crate) fn delete(&self, db: &Connection, key: &[&str]) -> Result<(), Fault> {
        debug_assert_eq!(key.len(), self.key_len);
        db.prepare_cached(&self.delete)?.execute(rusqlite::params_from_iter(key))?;
        Ok(())
    }

    /// The statement that reads all rows, for [`Self::values`]; `rest` may narrow and order.
    pub(crate) fn scan(&self, rest: &str) -> String {
        format!("{} {rest}", self.select)
    }

    /// The values of a row that [`Self::scan`] gave, checked against its hash.
    pub(crate) fn values(&self, row: &rusqlite::Row<'_>) -> Result<Values<'_>, Fault> {
        Ok(Values { table: self, cells: self.checked(row)? })
    }

    /// Reads one row, checked against its hash.
    pub(crate) fn get(&self, db: &Connection, key: &[&str]) -> Result<Option<Values<'_>>, Fault> {
        let mut statement = db.prepare_cached(&self.by_key)?;
        let mut rows = statement.query(rusqlite::params_from_iter(key))?;
        rows.next()?.map(|row| self.values(row)).transpose()
    }

    /// Rewrites one row after `change` had its way with the values. `false` if there is none.
    pub(crate) fn amend(
        &self,
        db: &Connection,
        key: &[&str],
        change: impl FnOnce(&mut Values),
    ) -> Result<bool, Fault> {
        let Some(mut values) = self.get(db, key)? else { return Ok(false) };
        change(&mut values);
        let cells: Vec<ValueRef<'_>> = values.cells.iter().map(ValueRef::from).collect();
        self.put(db, &cells)?;
        Ok(true)
    }

    /// Checks a row that [`Self::scan`] gave against its hash, where SQLite has it.
    fn check(&self, row: &rusqlite::Row<'_>) -> Result<(), Fault> {
        let count = self.columns.len();
        let mut hash = RowHash::of(self.name);
        for index in 0..count {
            hash.add(row.get_ref(index)?);
        }
        if hash.short() == row.get::<_, i64>(count)? {
            return Ok(());
        }
        let cells = (0..count).map(|index| row.get(index)).collect::<Result<Vec<Value>, _>>()?;
        Err(self.bad_row(&cells, Wrong::RowHash).into())
    }

    /// Checks every row against its hash; `rows` counts those that agree.
    pub(crate) fn check_all(&self, db: &Connection, rows: &mut u64) -> Result<(), Fault> {
        let mut statement = db.prepare(&self.scan(""))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            self.check(row)?;
            *rows += 1;
        }
        Ok(())
    }

    /// Reads every row, each checked against its hash. `rest` may narrow and order.
    pub(crate) fn each(
        &self,
        db: &Connection,
        rest: &str,
        mut take: impl FnMut(&Values) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut statement = db.prepare(&self.scan(rest))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(&self.values(row)?)?;
        }
        Ok(())
    }

    /// The row's values, once they agree with the hash beside them.
    fn checked(&self, row: &rusqlite::Row<'_>) -> Result<Vec<Value>, Fault> {
        let count = self.columns.len();
        let cells = (0..count).map(|index| row.get(index)).collect::<Result<Vec<Value>, _>>()?;
        let kept: i64 = row.get(count)?;
        if self.hash(cells.iter().map(ValueRef::from)) == kept {
            Ok(cells)
        } else {
            Err(self.bad_row(&cells, Wrong::RowHash).into())
        }
    }

    fn index(&self, column: &str) -> usize {
        let found = self.columns.iter().position(|it| *it == column);
        found.unwrap_or_else(|| unreachable!("{} has no column {column}", self.name))
    }

    fn bad_row(&self, cells: &[Value], what: Wrong) -> BadRow {
        let key: Vec<String> = cells[..self.key_len].iter().map(shown).collect();
        BadRow { table: self.name, key: key.join("/"), what }
    }

    fn hash<'a>(&self, values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
        let mut hash = RowHash::of(self.name);
        values.for_each(|value| hash.add(value));
        hash.short()
    }
}

/// A SHA-256 over a table's name and a row's values in order.
pub(crate) struct RowHash(Sha256);

impl RowHash {
    pub(crate) fn of(table: &str) -> Self {
        Self(Sha256::new_with_prefix(table.as_bytes()))
    }

    pub(crate) fn add(&mut self, value: ValueRef<'_>) {
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes();
        let (tag, number, bytes): (u8, [u8; 8], &[u8]) = match value {
            ValueRef::Null => (0, length(&[]), &[]),
            ValueRef::Integer(number) => (1, number.to_be_bytes(), &[]),
            ValueRef::Real(number) => (2, number.to_bits().to_be_bytes(), &[]),
            ValueRef::Text(bytes) => (3, length(bytes), bytes),
            ValueRef::Blob(bytes) => (4, length(bytes), bytes),
        };
        let mut head = [tag; 9];
        head[1..].copy_from_slice(&number);
        self.0.update(head);
        self.0.update(bytes);
    }

    pub(crate) fn whole(self) -> ChainHash {
        ChainHash(self.0.finalize().into())
    }

    /// Its first eight bytes.
    pub(crate) fn short(self) -> i64 {
        let mut short = [0; 8];
        short.copy_from_slice(&self.whole().0[..8]);
        i64::from_be_bytes(short)
    }
}

/// One row's values, by column name.
#[derive(Debug)]
pub(crate) struct Values<'t> {
    table: &'t Table,
    cells: Vec<Value>,
}

impl Values<'_> {
    fn index(&self, column: &str) -> usize {
        self.table.index(column)
    }

    /// Writes this row, which must be new there, into another database.
    pub(crate) fn add_to(&self, db: &Connection) -> Result<(), Fault> {
        let cells: Vec<ValueRef<'_>> = self.cells.iter().map(ValueRef::from).collect();
        self.table.add(db, &cells)
    }

    pub(crate) fn set(&mut self, column: &str, value: impl Into<Value>) {
        let index = self.index(column);
        self.cells[index] = value.into();
    }

    pub(crate) fn text(&self, column: &str) -> Result<&str, Fault> {
        match &self.cells[self.index(column)] {
            Value::Text(text) => Ok(text),
            Value::Null | Value::Integer(_) | Value::Real(_) | Value::Blob(_) => {
                Err(self.wrong(column))
            }
        }
    }

    pub(crate) fn integer(&self, column: &str) -> Result<i64, Fault> {
        match &self.cells[self.index(column)] {
            Value::Integer(number) => Ok(*number),
            Value::Null | Value::Text(_) | Value::Real(_) | Value::Blob(_) => {
                Err(self.wrong(column))
            }
        }
    }

    pub(crate) fn text_or_null(&self, column: &str) -> Result<Option<&str>, Fault> {
        match &self.cells[self.index(column)] {
            Value::Null => Ok(None),
            Value::Text(_) | Value::Integer(_) | Value::Real(_) | Value::Blob(_) => {
                self.text(column).map(Some)
            }
        }
    }

    pub(crate) fn integer_or_null(&self, column: &str) -> Result<Option<i64>, Fault> {
        match &self.cells[self.index(column)] {
            Value::Null => Ok(None),
            Value::Text(_) | Value::Integer(_) | Value::Real(_) | Value::Blob(_) => {
                self.integer(column).map(Some)
            }
        }
    }

    /// A value that a type of the engine refuses.
    pub(crate) fn wrong(&self, column: &str) -> Fault {
        self.bad(Wrong::Value { column: column.to_owned() }).into()
    }

    pub(crate) fn bad(&self, what: Wrong) -> BadRow {
        self.table.bad_row(&self.cells, what)
    }

    pub(crate) fn parsed<T>(
        &self,
        column: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        parse(self.text(column)?).ok_or_else(|| self.wrong(column))
    }

    pub(crate) fn parsed_or_null<T>(
        &self,
        column: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let text = self.text_or_null(column)?;
        text.map(|text| parse(text).ok_or_else(|| self.wrong(column))).transpose()
    }

    pub(crate) fn narrow<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Fault> {
        self.integer(column)?.try_into().map_err(|_| self.wrong(column))
    }

    /// The key as it is shown to people.
    pub(crate) fn key(&self) -> String {
        let key: Vec<String> = self.cells[..self.table.key_len].iter().map(shown).collect();
        key.join("/")
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => engine::ids::hex(bytes),
    }
}

pub(crate) fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

pub(crate) fn text_or_null(text: Option<&str>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

pub(crate) fn integer(number: impl Into<i64>) -> ValueRef<'static> {
    ValueRef::Integer(number.into())
}

pub(crate) fn integer_or_null(number: Option<i64>) -> ValueRef<'static> {
    number.map_or(ValueRef::Null, ValueRef::Integer)
}

pub(crate) fn counter(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(signed(number))
}

/// SQLite's integers have a sign; none of our counters lives long enough to notice.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column that never holds less than nothing.
pub(crate) fn unsigned(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(index)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, number))
}
