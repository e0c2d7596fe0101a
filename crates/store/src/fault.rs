//! What can be wrong with a database, as precisely as it can be named.

use std::fmt;

/// Any reason why a read or a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("SQLite reports an error")]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    BadRow(#[from] BadRow),
    #[error("a value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("{what} cannot be reached")]
    File {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The engine and the tables disagree about what can be.
    #[error("this cannot be stored: {0}")]
    Shape(&'static str),
}

/// The one row that shows the damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table} {key}: {what}")]
pub struct BadRow {
    pub table: &'static str,
    /// The journal's sequence number, or the parts of the key.
    pub key: String,
    pub what: Wrong,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The values do not give the hash beside them.
    RowHash,
    /// The row does not follow from the one before it.
    ChainHash,
    /// The numbers before and after it do not touch.
    Gap,
    /// It should be there.
    Missing,
    /// It should not be there.
    Unexpected,
    /// A value is none that can be.
    Value { column: String },
    /// It is not what the journal says.
    Differs { from: String },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowHash => f.write_str("its values do not match its hash"),
            Self::ChainHash => f.write_str("it does not follow from the row before it"),
            Self::Gap => f.write_str("the rows before it are missing"),
            Self::Missing => f.write_str("it is missing"),
            Self::Unexpected => f.write_str("nothing in the journal accounts for it"),
            Self::Value { column } => write!(f, "`{column}` holds a value that cannot be"),
            Self::Differs { from } => write!(f, "it differs from {from}"),
        }
    }
}
