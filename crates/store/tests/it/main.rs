//! The store from outside: through the ledger, the journal's reader and `verify`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod moves;
mod world;

mod constraints;
mod damage;
mod faults;
mod frozen;
mod ledger;
mod past;
mod property;
mod rebuild;
mod retention;
mod schema;
mod speed;
