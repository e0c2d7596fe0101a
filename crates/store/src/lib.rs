//! The store remembers: the only SQL. It keeps the journal and the tables it comes to in one
//! SQLite file, changes both in one transaction with the engine's memory, and can prove that what
//! it holds is what was written.
//!
//! Reading order: [`ledger`] (a batch of inputs becomes a commit), [`fold`] and [`load`] (events to
//! rows and rows to the engine), [`journal`] with [`chain`] and [`anchor`] (how it is proven),
//! [`open`] (what is checked before the first answer). The design is in `docs/design/journal.md`.

pub mod limits;
pub mod schema;

mod chain;
mod connect;
mod damage;
mod denials;
mod fault;
mod files;
mod row;
mod tables;
mod tokens;

mod anchor;
mod checkpoint;
mod events;
mod journal;
mod meta;

mod actions;
mod adapters;
mod approvals;
mod fold;
mod lives;
mod load;
mod lost;
mod past;

mod commit;
mod ledger;
mod open;
mod proof;
mod rebuild;
mod replay;
mod reserve;
mod retention;
mod salvage;
mod trust;
mod verify;

pub use actions::{ActionEvent, ActionsQuery};
pub use approvals::ApprovalsQuery;
pub use commit::{CommitError, CommitErrorKind, CommitOutcome};
pub use connect::Durability;
pub use damage::{Damage, Finding};
pub use denials::{DenialsQuery, Denied};
pub use fault::{BadRow, Fault, Wrong};
pub use journal::{Bounds, Change, Journal, ReadError};
pub use ledger::{Identity, Ledger, Mishap, Outcome, Probe, Standing, Step};
pub use lives::Ended;
pub use lost::{Lost, Numbers};
pub use open::{OpenError, Opened, Options};
pub use rebuild::{Rebuilt, rebuild};
pub use retention::Retention;
pub use verify::{Report, verify};
