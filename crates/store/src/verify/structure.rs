//! SQLite's own look at its pages, and what its rows say of each other.
//!
//! SQLite's full check searches every index for every row, which for a million events takes longer
//! than everything else. The two tables that grow with what happens are therefore checked the quick
//! way here, and their indexes are held against them in [`super::index`]; all others are small.

use rusqlite::{Connection, OptionalExtension};

use crate::damage::Finding;
use crate::proof::Doubt;

/// The tables whose indexes are not looked at here.
pub(super) const LARGE: [&str; 2] = ["events", "journal"];

/// A runtime that an event is about and that is not there. Each runtime is sought once: the next
/// one is found by a jump in the index, over all of its events.
const WITHOUT_RUNTIME: &str = "\
    WITH RECURSIVE used (id) AS ( \
        SELECT min(runtime_id) FROM events UNION ALL \
        SELECT (SELECT min(runtime_id) FROM events WHERE runtime_id > used.id) FROM used \
        WHERE used.id IS NOT NULL) \
    SELECT id FROM used WHERE id IS NOT NULL \
    AND NOT EXISTS (SELECT 1 FROM runtimes WHERE runtime_id = used.id)";
/// An action that an event is known to come from and that is not there.
const WITHOUT_ACTION: &str = "\
    SELECT action_id FROM events WHERE action_id IS NOT NULL \
    AND NOT EXISTS (SELECT 1 FROM actions WHERE actions.action_id = events.action_id)";

pub(super) fn check(db: &Connection) -> Result<(), Doubt> {
    check_pages(db, "quick_check", "1")?;
    for (question, parent) in [(WITHOUT_RUNTIME, "runtimes"), (WITHOUT_ACTION, "actions")] {
        let orphan = db.query_row(question, [], |row| row.get::<_, String>(0)).optional()?;
        if orphan.is_some() {
            return Err(orphaned("events", parent));
        }
    }
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let names = db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    names.iter().filter(|name: &&String| !LARGE.contains(&name.as_str())).try_for_each(|name| {
        check_pages(db, "integrity_check", name)?;
        check_parents(db, name)
    })
}

fn check_pages(db: &Connection, check: &str, of: &str) -> Result<(), Doubt> {
    let message: String = db.query_row(&format!("PRAGMA {check}({of})"), [], |row| row.get(0))?;
    if message == "ok" { Ok(()) } else { Err(Finding::Sqlite { message }.into()) }
}

/// Whether every row that a table's rows name is there.
fn check_parents(db: &Connection, table: &str) -> Result<(), Doubt> {
    let mut statement = db.prepare(&format!("PRAGMA foreign_key_check({table})"))?;
    let parent = statement.query_row([], |row| row.get::<_, String>(2)).optional()?;
    parent.map_or(Ok(()), |parent| Err(orphaned(table, &parent)))
}

fn orphaned(table: &str, parent: &str) -> Doubt {
    let message = format!("a row of {table} names a row of {parent} that is not there");
    Finding::Sqlite { message }.into()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::schema::SCHEMA;

    #[test]
    fn every_foreign_key_of_the_large_tables_has_its_question() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let sql = "SELECT \"table\", \"from\" FROM pragma_foreign_key_list(?) ORDER BY 1";
        let mut statement = db.prepare(sql).unwrap();
        let mut keys: Vec<(String, String)> = Vec::new();
        for table in LARGE {
            let found = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)));
            keys.extend(found.unwrap().map(Result::unwrap));
        }
        let known = [("actions", "action_id"), ("runtimes", "runtime_id")];
        assert_eq!(keys, known.map(|(table, from)| (table.to_owned(), from.to_owned())));
    }

    #[test]
    fn an_event_without_its_runtime_or_its_action_is_found() {
        let event = "INSERT INTO events (event_id, runtime_id, event_type, source, event_time, \
            ingested_at, dedupe_key, action_id, journal_seq) VALUES";
        for (values, parent) in [
            ("('e', 'rt-2', 't', 'hook', 0, 0, 'k', NULL, 9)", "runtimes"),
            ("('e', 'rt-1', 't', 'hook', 0, 0, 'k', 'ac-1', 9)", "actions"),
        ] {
            let db = Connection::open_in_memory().unwrap();
            db.pragma_update(None, "foreign_keys", false).unwrap();
            db.execute_batch(SCHEMA).unwrap();
            db.execute_batch(
                "INSERT INTO runtimes (runtime_id, target_id, pane_id, tmux_server_boot_id, \
                 pane_epoch, started_at, row_hash) VALUES ('rt-1', 'tg', '%1', 'b', 1, 0, 0)",
            )
            .unwrap();
            db.execute_batch(&format!("{event} ('d', 'rt-1', 't', 'hook', 0, 0, 'j', NULL, 8)"))
                .unwrap();
            check(&db).unwrap();
            db.execute_batch(&format!("{event} {values}")).unwrap();
            let Err(Doubt::Found(finding)) = check(&db) else { panic!("{parent} is not missed") };
            assert!(finding.to_string().contains(parent), "{finding}");
        }
    }
}
