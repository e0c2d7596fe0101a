//! `GET /v1/resolve`: from what a person typed to the one pane and runtime it means.

use std::sync::Arc;

use api::error_code::ErrorCode;
use api::limits::CANDIDATES_MAX;
use api::reference::{PaneReference, Reference};
use api::resolve::{Candidate, Candidates, ResolveAnswer, ResolveQuery};
use api::selector::{
    PaneSelector, Place, Selector, SelectorError, Spot, WindowSelector, runtime_prefix,
};
use api::words::SchemaVersion;
use axum::extract::State;
use engine::ids::{PaneId, PaneKey, RuntimeId};
use engine::pane::{PaneFacts, PaneRow, Runtime};
use engine::time::Now;
use http::StatusCode;
use serde_json::Value;

use super::app::App;
use super::extract::{Asked, Said};
use super::problem::Problem;
use super::runtimes;
use super::to_api::{self, timestamp};
use crate::follower::Follower;
use crate::view::order;

/// What every runtime's id begins with, and nobody has to type.
const ID_PREFIX: &str = "rt-";

/// A longer reference is not repeated in the message.
const SHOWN_BYTES_MAX: usize = 200;

pub(crate) async fn resolve(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ResolveQuery>,
) -> Result<Said<ResolveAnswer>, Problem> {
    let selector = parse(&query.reference)?;
    if let Selector::Exact(Reference::Runtime(id)) = &selector {
        return runtime(&app, query.reference, &RuntimeId::new(id.as_str())).await;
    }
    let found = app.read(|follower, now| {
        let row = one(follower, &query.reference, &selector, now)?;
        Ok(Said(StatusCode::OK, answer(follower, query.reference.clone(), row, now)))
    });
    match (found, &selector) {
        // The whole id of a runtime that ended is known, though nothing that lives begins so.
        (Err(absent), Selector::Word(word)) => {
            runtime(&app, query.reference, &whole_id(word)).await.map_err(|_| absent)
        }
        (
            found,
            Selector::Word(_) | Selector::Exact(_) | Selector::Pane(_) | Selector::Place(_),
        ) => found,
    }
}

/// A word as a runtime's id, with what every id begins with.
fn whole_id(word: &str) -> RuntimeId {
    let bare = word.strip_prefix(ID_PREFIX).unwrap_or(word);
    RuntimeId::new(format!("{ID_PREFIX}{bare}"))
}

pub(crate) fn parse(reference: &str) -> Result<Selector, Problem> {
    reference.parse().map_err(|error: SelectorError| {
        Problem::new(error.code(), error.about(reference)).detail("ref", reference)
    })
}

/// The one pane that a selector means.
pub(crate) fn one<'a>(
    follower: &'a Follower,
    reference: &str,
    selector: &Selector,
    now: Now,
) -> Result<&'a PaneRow, Problem> {
    match select(follower, selector)?.as_slice() {
        [one] => Ok(one),
        [] => Err(not_found(reference, selector)),
        several => Err(ambiguous(follower, reference, several, now)),
    }
}

/// The runtime of that id, also one that ended and has no pane any more.
async fn runtime(
    app: &App,
    reference: String,
    id: &RuntimeId,
) -> Result<Said<ResolveAnswer>, Problem> {
    let alive = app.read(|follower, now| {
        let row = follower.engine().pane_of(id)?;
        Some(answer(follower, reference.clone(), row, now))
    });
    if let Some(answer) = alive {
        return Ok(Said(StatusCode::OK, answer));
    }
    let ended = runtimes::ended(app, id).await?;
    let answer = app.read(|follower, now| ResolveAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        reference,
        runtime_ref: Some(format!("runtime:{id}")),
        pane_ref: None,
        pane: None,
        runtime: Some(ended),
    });
    Ok(Said(StatusCode::OK, answer))
}

/// Every pane that a selector may mean.
fn select<'a>(follower: &'a Follower, selector: &Selector) -> Result<Vec<&'a PaneRow>, Problem> {
    let engine = follower.engine();
    let panes = |fits: &dyn Fn(&PaneRow) -> bool| engine.panes().filter(|row| fits(row)).collect();
    match selector {
        Selector::Exact(Reference::Runtime(id)) => {
            Ok(engine.pane_of(&RuntimeId::new(id.as_str())).into_iter().collect())
        }
        Selector::Exact(Reference::Pane(reference)) => exact(follower, reference),
        Selector::Pane(id) => Ok(panes(&|row| row.key.pane.0 == id.0)),
        Selector::Place(place) => Ok(panes(&|row| stands_at(follower, row, place))),
        Selector::Word(word) => {
            Ok(panes(&|row| row.runtime.as_ref().is_some_and(|runtime| is_called(runtime, word))))
        }
    }
}

/// Whether a word is the name of a runtime's agent, or the beginning of its id.
fn is_called(runtime: &Runtime, word: &str) -> bool {
    let id = runtime.runtime.as_str();
    let bare = id.strip_prefix(ID_PREFIX).unwrap_or(id);
    let prefix = runtime_prefix(word);
    runtime.agent.as_ref().is_some_and(|agent| agent.as_str() == word)
        || prefix.is_ok_and(|prefix| id.starts_with(prefix) || bare.starts_with(prefix))
}

/// The pane of a full reference, if it still stands where the reference says.
fn exact<'a>(
    follower: &'a Follower,
    reference: &PaneReference,
) -> Result<Vec<&'a PaneRow>, Problem> {
    let target = follower.target(&reference.target);
    let target = target.ok_or_else(|| Problem::no_target(&reference.target))?;
    let key = PaneKey::new(&target.target, PaneId(reference.pane_id.0));
    let stands = |row: &&PaneRow| {
        row.facts.window.0 == reference.window_id.0
            && shown_in(follower, row).any(|(name, _)| name == reference.session_name)
    };
    Ok(follower.engine().pane(&key).filter(stands).into_iter().collect())
}

/// The names of all sessions that show a pane, each with the index of its window there.
fn shown_in<'a>(follower: &'a Follower, row: &'a PaneRow) -> impl Iterator<Item = (&'a str, u32)> {
    let linked = row.facts.links.iter().filter_map(|link| {
        let session = follower.engine().session(&row.key.target, link.session)?;
        Some((session.name.as_str(), link.window_index))
    });
    std::iter::once((row.facts.session_name.as_str(), row.facts.window_index)).chain(linked)
}

fn stands_at(follower: &Follower, row: &PaneRow, place: &Place) -> bool {
    shown_in(follower, row)
        .any(|(name, index)| place.within(name).any(|spot| is_at(&row.facts, index, &spot)))
}

fn is_at(facts: &PaneFacts, window_index: u32, spot: &Spot) -> bool {
    let in_window = match &spot.window {
        WindowSelector::Index(index) => window_index == *index,
        WindowSelector::Id(id) => facts.window.0 == id.0,
        WindowSelector::Name(name) => facts.window_name == *name,
    };
    let is_pane = match &spot.pane {
        Some(PaneSelector::Index(index)) => facts.pane_index == *index,
        Some(PaneSelector::Id(id)) => facts.pane.0 == id.0,
        None => facts.pane_active,
    };
    in_window && is_pane
}

fn not_found(reference: &str, selector: &Selector) -> Problem {
    let message = match selector {
        _ if reference.len() > SHOWN_BYTES_MAX => "nothing fits the reference".to_owned(),
        Selector::Word(word) => match runtime_prefix(word) {
            Err(error) => return Problem::new(error.code(), error.about(reference)),
            Ok(_) => format!(
                "no agent is called `{word}`, and no runtime id begins so; a place in a session is \
                 written `{word}:window.pane`"
            ),
        },
        Selector::Exact(_) | Selector::Pane(_) | Selector::Place(_) => {
            format!("nothing fits the reference `{reference}`")
        }
    };
    Problem::new(ErrorCode::RefNotFound, message).detail("ref", reference)
}

fn ambiguous(follower: &Follower, reference: &str, rows: &[&PaneRow], now: Now) -> Problem {
    let mut items: Vec<_> = rows.iter().map(|row| to_api::pane(follower, row, now)).collect();
    order::sort(&mut items, &[]);
    let total = items.len() as u64;
    let candidate = |item: api::panes::PaneItem| Candidate {
        reference: pane_ref(&item),
        current_cmd: item.current_cmd,
        agent_type: item.agent_type,
        state: item.state,
        identity: item.identity,
    };
    let candidates = items.into_iter().take(CANDIDATES_MAX).map(candidate).collect();
    let problem = Problem::new(ErrorCode::RefAmbiguous, format!("{total} panes fit the reference"))
        .detail("ref", reference);
    match serde_json::to_value(Candidates { total, candidates }) {
        Ok(Value::Object(facts)) => problem.details(facts),
        Ok(_) | Err(_) => problem,
    }
}

fn pane_ref(item: &api::panes::PaneItem) -> String {
    let identity = &item.identity;
    let session = api::reference::encode_session(&identity.session_name);
    format!("pane:{}/{session}/{}/{}", identity.target, identity.window_id, identity.pane_id)
}

fn answer(follower: &Follower, reference: String, row: &PaneRow, now: Now) -> ResolveAnswer {
    let pane = to_api::pane(follower, row, now);
    let runtime = row.runtime.as_ref();
    ResolveAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        reference,
        runtime_ref: runtime.map(|it| format!("runtime:{}", it.runtime)),
        pane_ref: Some(pane_ref(&pane)),
        runtime: runtime.map(|it| to_api::runtime(follower, row, it, now)),
        pane: Some(pane),
    }
}
