//! Events to rows: the same fold as the engine's, on disk.
//!
//! What an event adds to history (runtimes, the inbox; events with the journal's own row) is written
//! at once, because the next decision of the same transaction may ask for it. What it does to the present (targets,
//! sessions, panes, states, voices) is only marked, and written once before the commit, however
//! often it changed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::Engine;
use engine::event::{Event, SessionRow};
use engine::ids::{InboxId, PaneKey, RuntimeId, SessionId, TargetId};
use engine::pane::{Cause, PaneRow, Runtime};
use engine::signal::{About, DropReason, InboxRow};
use engine::state::Voice;
use engine::target::TargetRow;
use engine::time::{Stamp, WallMs};
use engine::words::{EndReason, Source};
use rusqlite::Connection;

use crate::fault::Fault;
use crate::journal::Change;
use crate::row::{counter, integer, integer_or_null, text, text_or_null};
use crate::{actions, adapters, approvals, tables, tokens};

/// What a transaction made true and has not written yet. The row of what is left is the one in
/// the change; nothing means that it is gone.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    targets: BTreeMap<TargetId, Option<Arc<Change>>>,
    sessions: BTreeMap<(TargetId, SessionId), Option<Arc<Change>>>,
    panes: BTreeMap<PaneKey, Option<Arc<Change>>>,
    /// Activity that is newer than the pane's row.
    activity: BTreeMap<PaneKey, Stamp>,
    voices: BTreeSet<(RuntimeId, Source)>,
    silenced: BTreeSet<RuntimeId>,
}

/// The end of what lives in a pane, at a moment.
struct Ending<'e> {
    pane: &'e PaneKey,
    at: WallMs,
    before: &'e Engine,
}

impl<'e> Ending<'e> {
    fn of(pane: &'e PaneKey, change: &Change, before: &'e Engine) -> Self {
        Self { pane, at: change.at, before }
    }

    /// The state that the end leaves, with what was known before it.
    fn state(&self) -> Result<Option<String>, Fault> {
        let left = self.before.state_at_end(self.pane, self.at);
        Ok(left.map(|state| serde_json::to_string(&state)).transpose()?)
    }
}

impl Unwritten {
    /// Writes the history in `change`, and marks what it does to the present.
    /// `before` is what was so until then.
    pub(crate) fn take(
        &mut self,
        db: &Connection,
        change: &Arc<Change>,
        before: &Engine,
    ) -> Result<(), Fault> {
        match &change.event {
            Event::TargetChanged(row) => {
                self.targets.insert(row.target.clone(), Some(Arc::clone(change)));
            }
            Event::TargetRemoved { target, .. } => {
                self.targets.insert(target.clone(), None);
            }
            Event::SessionChanged(row) => {
                let key = (row.target.clone(), row.session);
                self.sessions.insert(key, Some(Arc::clone(change)));
            }
            Event::SessionRemoved { target, session } => {
                self.sessions.insert((target.clone(), *session), None);
            }
            Event::PaneChanged { row, causes } => {
                self.follow_runtimes(db, row, causes, &Ending::of(&row.key, change, before))?;
                self.activity.remove(&row.key);
                self.panes.insert(row.key.clone(), Some(Arc::clone(change)));
            }
            Event::PaneRemoved { key, ended, .. } => {
                if let Some((runtime, reason)) = ended {
                    self.end_runtime(db, runtime, *reason, &Ending::of(key, change, before))?;
                }
                self.activity.remove(key);
                self.panes.insert(key.clone(), None);
            }
            Event::ActivitySeen { target, panes } => {
                let seen = panes.iter().map(|(pane, at)| (PaneKey::new(target, *pane), *at));
                self.activity.extend(seen);
            }
            Event::EventRecorded(row) if row.is_record() => {}
            Event::EventRecorded(row) => {
                let sources = row.retires.iter().map(|(source, _)| *source);
                for source in sources.chain([row.signal.source]) {
                    self.voices.insert((row.runtime.clone(), source));
                }
            }
            Event::EventPended(row) => add_inbox(db, row, change.seq)?,
            Event::EventBound { inbox, runtime } => settle_inbox(db, inbox, Ok(runtime))?,
            Event::EventDropped { inbox, reason } => settle_inbox(db, inbox, Err(*reason))?,
            Event::ActionChanged(row) => actions::put(db, row)?,
            Event::AdapterChanged(row) => adapters::put(db, row)?,
            Event::ApprovalChanged(row) => approvals::put(db, row)?,
            Event::TokenChanged(row) => tokens::put(db, row)?,
            Event::AccessDenied(_) => {}
        }
        Ok(())
    }

    fn follow_runtimes(
        &mut self,
        db: &Connection,
        row: &PaneRow,
        causes: &[Cause],
        ending: &Ending<'_>,
    ) -> Result<(), Fault> {
        for cause in causes {
            match (cause, &row.runtime) {
                (Cause::RuntimeEnded { runtime, reason }, _) => {
                    self.end_runtime(db, runtime, *reason, ending)?;
                }
                (Cause::RuntimeStarted { .. }, Some(runtime)) => {
                    write_runtime(db, row, runtime, true)?;
                }
                (Cause::Recognised { .. }, Some(runtime)) => {
                    // What was said before for another agent counts no longer.
                    let all = Source::ALL.iter().map(|it| (runtime.runtime.clone(), *it));
                    self.voices.extend(all);
                    write_runtime(db, row, runtime, false)?;
                }
                (Cause::RuntimeStarted { .. } | Cause::Recognised { .. }, None) => {
                    return Err(Fault::Shape("a runtime began in a pane that has none"));
                }
                (Cause::Appeared | Cause::Changed | Cause::StateChanged { .. }, _) => {}
            }
        }
        Ok(())
    }

    fn end_runtime(
        &mut self,
        db: &Connection,
        runtime: &RuntimeId,
        reason: EndReason,
        ending: &Ending<'_>,
    ) -> Result<(), Fault> {
        self.silenced.insert(runtime.clone());
        let last_state = ending.state()?;
        let known = tables::RUNTIMES.amend(db, &[runtime.as_str()], |values| {
            values.set("ended_at", ending.at.0);
            values.set("end_reason", reason.as_str().to_owned());
            values.set("last_state", last_state);
        })?;
        if known { Ok(()) } else { Err(Fault::Shape("a runtime ended that never began")) }
    }

    /// Writes the present as `engine` has it now: what is gone first and children before parents,
    /// then what is there and parents before children.
    pub(crate) fn flush(&mut self, db: &Connection, engine: &Engine) -> Result<(), Fault> {
        self.write_gone(db)?;
        for change in self.targets.values().flatten() {
            if let Event::TargetChanged(row) = &change.event {
                put_target(db, row)?;
            }
        }
        for change in self.sessions.values().flatten() {
            if let Event::SessionChanged(row) = &change.event {
                put_session(db, row)?;
            }
        }
        for (key, change) in &self.panes {
            let Some(change) = change else { continue };
            if let Event::PaneChanged { row, .. } = &change.event {
                put_pane(db, row, self.activity.get(key).copied().or(row.last_activity))?;
                put_state(db, row, engine)?;
            }
        }
        for (key, at) in &self.activity {
            if !self.panes.contains_key(key) {
                let pane = key.pane.to_string();
                tables::PANES.amend(db, &[key.target.as_str(), &pane], |values| {
                    values.set("last_activity_at", at.wall.0);
                })?;
            }
        }
        for (runtime, source) in &self.voices {
            let evidence = engine.evidence(runtime);
            if let Some(voice) = evidence.and_then(|it| it.voices.get(source)) {
                put_voice(db, runtime, *source, voice)?;
            }
        }
        *self = Self::default();
        Ok(())
    }

    fn write_gone(&self, db: &Connection) -> Result<(), Fault> {
        for runtime in &self.silenced {
            db.prepare_cached("DELETE FROM runtime_source_cursors WHERE runtime_id = ?")?
                .execute([runtime.as_str()])?;
        }
        for (key, change) in &self.panes {
            if change.is_none() {
                let pane = key.pane.to_string();
                tables::STATES.delete(db, &[key.target.as_str(), &pane])?;
                tables::PANES.delete(db, &[key.target.as_str(), &pane])?;
            }
        }
        for ((target, session), change) in &self.sessions {
            if change.is_none() {
                tables::SESSIONS.delete(db, &[target.as_str(), &session.to_string()])?;
            }
        }
        for (target, change) in &self.targets {
            if change.is_none() {
                tables::TARGETS.delete(db, &[target.as_str()])?;
            }
        }
        Ok(())
    }
}

/// Writes all of the present, and the runtimes that live in it, into a database without any.
/// `seq` is the journal's row that it is as of.
pub(crate) fn write_present(db: &Connection, engine: &Engine, seq: u64) -> Result<(), Fault> {
    for row in engine.targets() {
        put_target(db, row)?;
    }
    for row in engine.sessions() {
        put_session(db, row)?;
    }
    for row in engine.panes() {
        put_pane(db, row, row.last_activity)?;
        let Some(runtime) = &row.runtime else {
            put_state(db, row, engine)?;
            continue;
        };
        write_runtime(db, row, runtime, false)?;
        put_state(db, row, engine)?;
        let voices = engine.evidence(&runtime.runtime).into_iter().flat_map(|it| &it.voices);
        for (source, voice) in voices {
            put_voice(db, &runtime.runtime, *source, voice)?;
        }
    }
    for row in engine.inbox() {
        add_inbox(db, row, seq)?;
    }
    for row in engine.actions() {
        actions::put(db, row)?;
    }
    for row in engine.adapters() {
        adapters::put(db, row)?;
    }
    for row in engine.approvals() {
        approvals::put(db, row)?;
    }
    for row in engine.tokens() {
        tokens::put(db, row)?;
    }
    Ok(())
}

fn put_target(db: &Connection, row: &TargetRow) -> Result<(), Fault> {
    let trouble = row.trouble.as_ref().map(serde_json::to_string).transpose()?;
    let server = row.server.as_ref().map(serde_json::to_string).transpose()?;
    tables::TARGETS.put(
        db,
        &[
            text(row.target.as_str()),
            text(&row.name),
            text(row.kind.as_str()),
            text(&row.connection_ref),
            integer(row.is_default),
            integer_or_null(row.last_seen_at.map(|at| at.0)),
            text(row.health.as_str()),
            integer(row.updated_at.0),
            text_or_null(trouble.as_deref()),
            text_or_null(server.as_deref()),
        ],
    )
}

fn put_session(db: &Connection, row: &SessionRow) -> Result<(), Fault> {
    tables::SESSIONS.put(
        db,
        &[
            text(row.target.as_str()),
            text(&row.session.to_string()),
            text(&row.name),
            integer(row.attached),
            integer(row.created_s),
        ],
    )
}

fn put_pane(db: &Connection, row: &PaneRow, activity: Option<Stamp>) -> Result<(), Fault> {
    let facts = &row.facts;
    let json = serde_json::to_string(facts)?;
    tables::PANES.put(
        db,
        &[
            text(row.key.target.as_str()),
            text(&row.key.pane.to_string()),
            text(row.boot.as_str()),
            text(&facts.session.to_string()),
            text(&facts.session_name),
            text(&facts.window.to_string()),
            text(&facts.window_name),
            text(&facts.command),
            text(&facts.title),
            text(&facts.path),
            text(&json),
            integer(row.first_seen_at.0),
            integer_or_null(activity.map(|at| at.wall.0)),
            integer(row.updated_at.0),
        ],
    )
}

fn put_state(db: &Connection, row: &PaneRow, engine: &Engine) -> Result<(), Fault> {
    let (state, runtime) = (&row.state, row.runtime.as_ref());
    let last_known = state.last_known.as_ref().map(serde_json::to_string).transpose()?;
    let voices = runtime.and_then(|it| engine.evidence(&it.runtime)).map(|it| &it.voices);
    let head = voices.zip(state.source).and_then(|(voices, source)| voices.get(&source)?.head());
    tables::STATES.put(
        db,
        &[
            text(row.key.target.as_str()),
            text(&row.key.pane.to_string()),
            text_or_null(runtime.map(|it| it.runtime.as_str())),
            text(state.state.as_str()),
            text(&state.reason),
            text(state.confidence.as_str()),
            counter(state.version),
            text_or_null(state.source.map(Source::as_str)),
            integer(state.since.wall.0),
            text_or_null(last_known.as_deref()),
            integer_or_null(head.and_then(|heard| heard.seq)),
            integer(row.last_seen.wall.0),
            integer(row.updated_at.0),
        ],
    )
}

fn write_runtime(
    db: &Connection,
    row: &PaneRow,
    runtime: &Runtime,
    new: bool,
) -> Result<(), Fault> {
    let pane = row.key.pane.to_string();
    let values = [
        text(runtime.runtime.as_str()),
        text(row.key.target.as_str()),
        text(&pane),
        text(runtime.boot.as_str()),
        counter(runtime.epoch),
        text_or_null(runtime.agent.as_ref().map(engine::ids::AgentType::as_str)),
        integer(runtime.pid),
        integer(runtime.started_at.0),
        integer_or_null(None),
        text_or_null(None),
        text_or_null(None),
    ];
    if new { tables::RUNTIMES.add(db, &values) } else { tables::RUNTIMES.put(db, &values) }
}

fn put_voice(
    db: &Connection,
    runtime: &RuntimeId,
    source: Source,
    voice: &Voice,
) -> Result<(), Fault> {
    let json = serde_json::to_string(voice)?;
    let cursor = voice.cursor.as_ref().ok_or(Fault::Shape("a voice without a cursor"))?;
    tables::RUNTIME_SOURCE_CURSORS.put(
        db,
        &[
            text(runtime.as_str()),
            text(source.as_str()),
            integer_or_null(cursor.seq),
            integer(cursor.order.effective.0),
            integer(cursor.ingested_at.0),
            text(cursor.event_id.as_str()),
            text(&json),
        ],
    )
}

fn add_inbox(db: &Connection, row: &InboxRow, seq: u64) -> Result<(), Fault> {
    let signal = &row.signal;
    let About::Pane(key) = &signal.about else {
        return Err(Fault::Shape("an event waits for a runtime that it names itself"));
    };
    let json = serde_json::to_string(signal)?;
    tables::EVENT_INBOX.add(
        db,
        &[
            text(row.inbox.as_str()),
            text(signal.event_id.as_str()),
            text(key.target.as_str()),
            text(&key.pane.to_string()),
            text_or_null(None),
            text(&signal.event_type),
            text(signal.source.as_str()),
            text(&signal.dedupe_key),
            integer(signal.event_time.0),
            integer(row.ingested_at.wall.0),
            integer_or_null(signal.hints.pid.map(i64::from)),
            integer_or_null(signal.hints.start.map(|at| at.0)),
            text(crate::load::PENDING),
            text_or_null(None),
            text(&json),
            text_or_null(signal.payload.as_deref()),
            counter(seq),
        ],
    )
}

/// Files a waiting event. A bound one leaves its payload to the event that is recorded.
fn settle_inbox(
    db: &Connection,
    inbox: &InboxId,
    settled: Result<&RuntimeId, DropReason>,
) -> Result<(), Fault> {
    let known = tables::EVENT_INBOX.amend(db, &[inbox.as_str()], |values| match settled {
        Ok(runtime) => {
            values.set("status", "bound".to_owned());
            values.set("runtime_id", runtime.as_str().to_owned());
            values.set("raw_payload", rusqlite::types::Null);
        }
        Err(reason) => {
            values.set("status", "dropped_unbound".to_owned());
            values.set("reason_code", reason.as_str().to_owned());
        }
    })?;
    if known { Ok(()) } else { Err(Fault::Shape("an event was settled that never waited")) }
}
