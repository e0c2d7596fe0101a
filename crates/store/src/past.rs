//! What the engine asks about the past, answered by the tables, each by one index.

use std::cell::RefCell;

use engine::action::ActionRow;
use engine::ids::{ActionId, BootId, EventId, PaneKey, RuntimeId};
use engine::past::{Past, PastEvent};
use engine::words::{ActionKind, Source};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::actions;
use crate::fault::Fault;

/// The event that a source reported about a runtime.
pub(crate) const EVENT_BY_KEY: &str = "\
    SELECT event_id, event_type, source_event_id, source_seq, source_action_id, runtime_id \
    FROM events WHERE runtime_id = ? AND source = ? AND dedupe_key = ?";
/// The event in the inbox under a pane's key. An event that was dropped or bound counts as well.
pub(crate) const INBOX_BY_KEY: &str = "\
    SELECT event_id, event_type, signal ->> '$.source_event_id', signal ->> '$.source_seq', \
    signal ->> '$.action_id', runtime_id \
    FROM event_inbox WHERE target_id = ? AND pane_id = ? AND source = ? AND dedupe_key = ?";
/// The event that any of a pane's runtimes has under a key.
pub(crate) const EVENT_BY_PANE_KEY: &str = "\
    SELECT event_id, event_type, source_event_id, source_seq, source_action_id, events.runtime_id \
    FROM runtimes CROSS JOIN events ON events.runtime_id = runtimes.runtime_id \
    WHERE runtimes.target_id = ? AND runtimes.pane_id = ? AND source = ? AND dedupe_key = ? \
    LIMIT 1";
pub(crate) const EVENT_EXISTS: &str = "\
    SELECT EXISTS (SELECT 1 FROM events WHERE event_id = ?1) \
    OR EXISTS (SELECT 1 FROM event_inbox WHERE event_id = ?1)";
pub(crate) const LAST_EPOCH: &str = "\
    SELECT max(pane_epoch) FROM runtimes \
    WHERE target_id = ? AND tmux_server_boot_id = ? AND pane_id = ?";
pub(crate) const RUNTIME_EXISTED: &str =
    "SELECT EXISTS (SELECT 1 FROM runtimes WHERE runtime_id = ?)";

/// The tables as the engine's memory of the past.
///
/// The engine's questions cannot fail; a look-up that does is kept here, and whoever asked the
/// engine must [`finish`](Self::finish) before believing what it concluded.
pub(crate) struct SqlPast<'db> {
    db: &'db Connection,
    failed: RefCell<Option<Fault>>,
}

impl<'db> SqlPast<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        Self { db, failed: RefCell::new(None) }
    }

    /// The first look-up that failed, if any did.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<T> {
        let found = self
            .db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, read).optional());
        self.kept(found.map_err(Fault::from))
    }

    /// What a look-up found; one that failed found nothing, and is kept.
    fn kept<T>(&self, found: Result<Option<T>, Fault>) -> Option<T> {
        found.unwrap_or_else(|fault| {
            self.failed.borrow_mut().get_or_insert(fault);
            None
        })
    }
}

fn past_event(row: &Row<'_>) -> rusqlite::Result<PastEvent> {
    Ok(PastEvent {
        event: EventId::new(row.get::<_, String>(0)?),
        event_type: row.get(1)?,
        source_event_id: row.get(2)?,
        source_seq: row.get(3)?,
        action_id: row.get(4)?,
        runtime: row.get::<_, Option<String>>(5)?.map(RuntimeId::new),
    })
}

impl Past for SqlPast<'_> {
    fn event_by_key(&self, runtime: &RuntimeId, source: Source, key: &str) -> Option<PastEvent> {
        self.one(EVENT_BY_KEY, (runtime.as_str(), source.as_str(), key), past_event)
    }

    fn event_by_pane_key(&self, pane: &PaneKey, source: Source, key: &str) -> Option<PastEvent> {
        let number = pane.pane.to_string();
        let params = (pane.target.as_str(), number.as_str(), source.as_str(), key);
        let waiting = self.one(INBOX_BY_KEY, params, past_event);
        waiting.or_else(|| self.one(EVENT_BY_PANE_KEY, params, past_event))
    }

    fn event_exists(&self, event: &EventId) -> bool {
        self.one(EVENT_EXISTS, [event.as_str()], |row| row.get(0)).unwrap_or(false)
    }

    fn last_epoch(&self, pane: &PaneKey, boot: &BootId) -> u64 {
        let params = (pane.target.as_str(), boot.as_str(), pane.pane.to_string());
        let epoch = self.one(LAST_EPOCH, params, |row| row.get::<_, Option<i64>>(0)).flatten();
        epoch.and_then(|epoch| u64::try_from(epoch).ok()).unwrap_or(0)
    }

    fn runtime_existed(&self, runtime: &RuntimeId) -> bool {
        self.one(RUNTIME_EXISTED, [runtime.as_str()], |row| row.get(0)).unwrap_or(false)
    }

    fn action(&self, action: &ActionId) -> Option<ActionRow> {
        self.kept(actions::by_id(self.db, action.as_str()))
    }

    fn action_by_request(&self, kind: ActionKind, request_ref: &str) -> Option<ActionRow> {
        self.kept(actions::by_request(self.db, kind, request_ref))
    }
}
