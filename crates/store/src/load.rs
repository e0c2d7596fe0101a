//! Rows to the engine's tables: what [`crate::fold`] wrote, read back and checked.

use std::collections::BTreeMap;

use engine::engine::Tables;
use engine::event::SessionRow;
use engine::ids::{BootId, InboxId, PaneKey, RuntimeId, TargetId};
use engine::pane::{PaneRow, Runtime};
use engine::signal::{InboxRow, Signal};
use engine::state::{Evidence, StateRow};
use engine::target::TargetRow;
use engine::time::{Stamp, WallMs};
use engine::words::{Confidence, Health, Source, State, TargetKind};
use rusqlite::Connection;
use serde::de::DeserializeOwned;

use crate::fault::{BadRow, Fault, Wrong};
use crate::lives::{self, pane_key};
use crate::{actions, adapters, approvals, tables, tokens};

/// The status of an event that waits for its runtime.
pub(crate) const PENDING: &str = "pending_bind";

/// Everything the engine is restored from, in the engine's own order.
pub(crate) fn load(db: &Connection) -> Result<Tables, Fault> {
    let mut panes = load_panes(db)?;
    panes.sort_by(|one, other| one.key.cmp(&other.key));
    let mut sessions = load_sessions(db)?;
    sessions.sort_by(|one, other| (&one.target, one.session).cmp(&(&other.target, other.session)));
    let mut inbox = load_inbox(db)?;
    inbox.sort_by(|one, other| one.inbox.cmp(&other.inbox));
    let mut targets = load_targets(db)?;
    targets.sort_by(|one, other| one.target.cmp(&other.target));
    let evidence = load_evidence(db, &panes)?;
    let actions = actions::open(db)?;
    let adapters = adapters::load(db)?;
    let approvals = approvals::open(db)?;
    let tokens = tokens::load(db)?;
    Ok(Tables { targets, sessions, panes, evidence, inbox, actions, adapters, approvals, tokens })
}

fn json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

fn load_targets(db: &Connection) -> Result<Vec<TargetRow>, Fault> {
    let mut targets = Vec::new();
    tables::TARGETS.each(db, "", |row| {
        targets.push(TargetRow {
            target: TargetId::new(row.text("target_id")?),
            name: row.text("target_name")?.to_owned(),
            kind: row.parsed("kind", TargetKind::parse)?,
            connection_ref: row.text("connection_ref")?.to_owned(),
            is_default: row.integer("is_default")? == 1,
            health: row.parsed("health", Health::parse)?,
            trouble: row.parsed_or_null("trouble", json)?,
            server: row.parsed_or_null("server", json)?,
            last_seen_at: row.integer_or_null("last_seen_at")?.map(WallMs),
            updated_at: WallMs(row.integer("updated_at")?),
        });
        Ok(())
    })?;
    Ok(targets)
}

fn load_sessions(db: &Connection) -> Result<Vec<SessionRow>, Fault> {
    let mut sessions = Vec::new();
    tables::SESSIONS.each(db, "", |row| {
        sessions.push(SessionRow {
            target: TargetId::new(row.text("target_id")?),
            session: row.parsed("session_id", |text| text.parse().ok())?,
            name: row.text("session_name")?.to_owned(),
            attached: row.narrow("attached")?,
            created_s: row.integer("created_s")?,
        });
        Ok(())
    })?;
    Ok(sessions)
}

/// A pane's row lies in three tables: what it is, who lives in it, and in which state.
fn load_panes(db: &Connection) -> Result<Vec<PaneRow>, Fault> {
    let mut states = load_states(db)?;
    let mut runtimes = load_active_runtimes(db)?;
    let mut panes = Vec::new();
    tables::PANES.each(db, "", |row| {
        let key = pane_key(row)?;
        let Some((state, runtime, last_seen, updated_at)) = states.remove(&key) else {
            let what = Wrong::Missing;
            return Err(BadRow { table: "states", key: row.key(), what }.into());
        };
        let active = runtimes.remove(&key);
        if active.as_ref().map(|it| &it.runtime) != runtime.as_ref() {
            let what = Wrong::Differs { from: "the pane's active runtime".to_owned() };
            return Err(BadRow { table: "states", key: row.key(), what }.into());
        }
        panes.push(PaneRow {
            key,
            boot: BootId::new(row.text("tmux_server_boot_id")?),
            facts: row.parsed("facts", json)?,
            runtime: active,
            state,
            first_seen_at: WallMs(row.integer("first_seen_at")?),
            last_seen,
            last_activity: stamp(row.integer_or_null("last_activity_at")?),
            updated_at,
        });
        Ok(())
    })?;
    let stray = states.keys().map(|key| ("states", key)).next();
    match stray.or_else(|| runtimes.keys().map(|key| ("runtimes", key)).next()) {
        None => Ok(panes),
        Some((table, key)) => {
            let key = format!("{}/{}", key.target, key.pane);
            Err(BadRow { table, key, what: Wrong::Unexpected }.into())
        }
    }
}

fn stamp(wall: Option<i64>) -> Option<Stamp> {
    wall.map(|wall| Stamp::stored(WallMs(wall)))
}

type Stated = (StateRow, Option<RuntimeId>, Stamp, WallMs);

fn load_states(db: &Connection) -> Result<BTreeMap<PaneKey, Stated>, Fault> {
    let mut states = BTreeMap::new();
    tables::STATES.each(db, "", |row| {
        let state = StateRow {
            state: row.parsed("state", State::parse)?,
            reason: row.text("reason_code")?.to_owned(),
            confidence: row.parsed("confidence", Confidence::parse)?,
            version: row.narrow("state_version")?,
            source: row.parsed_or_null("state_source", Source::parse)?,
            since: Stamp::stored(WallMs(row.integer("since")?)),
            last_known: row.parsed_or_null("last_known", json)?,
        };
        let runtime = row.text_or_null("runtime_id")?.map(RuntimeId::new);
        let last_seen = Stamp::stored(WallMs(row.integer("last_seen_at")?));
        let updated_at = WallMs(row.integer("updated_at")?);
        states.insert(pane_key(row)?, (state, runtime, last_seen, updated_at));
        Ok(())
    })?;
    Ok(states)
}

fn load_active_runtimes(db: &Connection) -> Result<BTreeMap<PaneKey, Runtime>, Fault> {
    let mut runtimes = BTreeMap::new();
    tables::RUNTIMES.each(db, "WHERE ended_at IS NULL", |row| {
        runtimes.insert(pane_key(row)?, lives::runtime(row)?);
        Ok(())
    })?;
    Ok(runtimes)
}

fn load_evidence(db: &Connection, panes: &[PaneRow]) -> Result<Vec<(RuntimeId, Evidence)>, Fault> {
    let active = panes.iter().filter_map(|row| row.runtime.as_ref());
    let mut evidence: BTreeMap<RuntimeId, Evidence> =
        active.map(|runtime| (runtime.runtime.clone(), Evidence::default())).collect();
    tables::RUNTIME_SOURCE_CURSORS.each(db, "", |row| {
        let Some(it) = evidence.get_mut(&RuntimeId::new(row.text("runtime_id")?)) else {
            let (table, key) = ("runtime_source_cursors", row.key());
            return Err(BadRow { table, key, what: Wrong::Unexpected }.into());
        };
        it.voices.insert(row.parsed("source", Source::parse)?, row.parsed("voice", json)?);
        Ok(())
    })?;
    Ok(evidence.into_iter().collect())
}

fn load_inbox(db: &Connection) -> Result<Vec<InboxRow>, Fault> {
    let mut inbox = Vec::new();
    tables::EVENT_INBOX.each(db, &format!("WHERE status = '{PENDING}'"), |row| {
        let mut signal: Signal = row.parsed("signal", json)?;
        signal.payload = row.text_or_null("raw_payload")?.map(str::to_owned);
        inbox.push(InboxRow {
            inbox: InboxId::new(row.text("inbox_id")?),
            signal,
            ingested_at: Stamp::stored(WallMs(row.integer("ingested_at")?)),
        });
        Ok(())
    })?;
    Ok(inbox)
}
