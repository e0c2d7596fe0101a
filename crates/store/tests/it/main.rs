//! The store from outside: through the ledger, the journal's reader and `verify`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod moves;
mod world;

mod damage;
mod ledger;
mod property;
mod schema;
