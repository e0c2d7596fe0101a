//! The schema: what the migrations make, and that they make it whole or not at all.

use rusqlite::Connection;
use store::schema::{self, MIGRATIONS, VERSION};

use crate::world::{assert_same, at};

/// Set to write what is instead of comparing with what was.
const BLESS: &str = "QD_BLESS";

/// TC-001.
#[test]
fn the_migrations_make_the_schema_and_take_it_back() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::migrate_up(&mut db, MIGRATIONS, at(0).wall).unwrap();
    assert_eq!(schema::version(&db).unwrap(), VERSION);
    let made = schema::dump(&db).unwrap();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql");
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(kept, &made).unwrap();
    }
    assert_same(&made, &std::fs::read_to_string(kept).unwrap());

    schema::migrate_down(&mut db, MIGRATIONS, 0).unwrap();
    assert_eq!(schema::dump(&db).unwrap(), "");
    assert_eq!(schema::version(&db).unwrap(), 0);
    schema::migrate_up(&mut db, MIGRATIONS, at(0).wall).unwrap();
    assert_same(&schema::dump(&db).unwrap(), &made);
}
