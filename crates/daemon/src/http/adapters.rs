//! `/v1/adapters`: list, turn on, turn off.

use std::collections::BTreeSet;
use std::sync::Arc;

use agents::adapter::Adapter;
use api::adapters::{
    AdapterAnswer, AdapterCapabilities, AdapterFilters, AdapterIdentity, AdapterItem, AdapterList,
    AdapterOrigin, AdapterSummary, AdaptersQuery,
};
use api::error_code::ErrorCode;
use api::nearest::nearest;
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::Engine;
use engine::adapter::AdapterRow;
use engine::ids::AgentType;
use engine::input::{Input, Request};
use engine::time::WallMs;
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Named, Peer, Said};
use super::problem::Problem;
use super::to_api::timestamp;
use crate::adapters::{LeftOut, Roster, folder};

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<AdaptersQuery>,
) -> Said<AdapterList> {
    let roster = app.roster();
    let folder = folder(&app.config.borrow().path).display().to_string();
    Said(
        StatusCode::OK,
        app.read(|follower, now| {
            let mut items = items(&roster, follower.engine());
            items.retain(|item| query.enabled.is_none_or(|wanted| wanted == item.enabled));
            let enabled = items.iter().filter(|item| item.enabled).count() as u64;
            AdapterList {
                schema_version: SchemaVersion::V1,
                generated_at: timestamp(now.wall),
                as_of: follower.as_of(),
                filters: AdapterFilters { enabled: query.enabled },
                summary: AdapterSummary { total: items.len() as u64, enabled },
                folder,
                items,
                problems: roster.left_out().iter().map(|it| it.problem.clone()).collect(),
            }
        }),
    )
}

pub(crate) async fn enable(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(name): Named,
    _: Asked<NoQuery>,
) -> Result<Said<AdapterAnswer>, Problem> {
    set(&app, &peer, &name, true).await
}

pub(crate) async fn disable(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(name): Named,
    _: Asked<NoQuery>,
) -> Result<Said<AdapterAnswer>, Problem> {
    set(&app, &peer, &name, false).await
}

/// Turns the adapter of that name, or for that agent, on or off.
async fn set(
    app: &App,
    peer: &Peer,
    name: &str,
    enabled: bool,
) -> Result<Said<AdapterAnswer>, Problem> {
    app.writable()?;
    let wanted = find(&app.roster(), name, enabled)?;
    let agent = wanted.agent.as_str().to_owned();
    app.ask(peer.actor(), Input::Asked(Request::SetAdapter(Box::new(wanted)))).await?;
    let roster = app.roster();
    app.read(|follower, now| {
        let mut items = items(&roster, follower.engine()).into_iter();
        // Its file may have gone while it was turned.
        let adapter =
            items.find(|it| it.agent_type == agent).ok_or_else(|| unknown(&roster, name))?;
        let (schema_version, generated_at) = (SchemaVersion::V1, timestamp(now.wall));
        let as_of = follower.as_of();
        Ok(Said(StatusCode::OK, AdapterAnswer { schema_version, generated_at, as_of, adapter }))
    })
}

fn find(roster: &Roster, name: &str, enabled: bool) -> Result<AdapterRow, Problem> {
    let Some(adapter) = roster.iter().find(|it| it.name() == name || it.agent() == name) else {
        let other = roster.left_out().iter().find(|it| is_other(it, name));
        return Err(other.map_or_else(|| unknown(roster, name), |it| incompatible(it, name)));
    };
    let capabilities = adapter.capabilities().named().into_iter();
    Ok(AdapterRow {
        name: adapter.name().to_owned(),
        agent: AgentType::new(adapter.agent()),
        version: adapter.version().to_string(),
        capabilities: capabilities.filter(|it| it.1).map(|it| it.0.to_owned()).collect(),
        enabled,
        updated_at: WallMs(0),
    })
}

/// Whether a description is the named one, and only its contract is another one.
fn is_other(left_out: &LeftOut, name: &str) -> bool {
    let agent = left_out.agent.as_deref();
    left_out.version.is_some() && agent.is_some_and(|it| it == name || named(it) == name)
}

/// How the adapter of a described agent is called.
fn named(agent: &str) -> String {
    agents::generic::name(agent)
}

fn unknown(roster: &Roster, name: &str) -> Problem {
    let names: BTreeSet<&str> = roster.iter().flat_map(|it| [it.name(), it.agent()]).collect();
    let message = format!("there is no adapter `{name}`");
    Problem::new(ErrorCode::AdapterNotFound, message)
        .detail("adapter", name)
        .detail("nearest", nearest(name, names))
}

fn incompatible(left_out: &LeftOut, name: &str) -> Problem {
    let problem = &left_out.problem;
    let message = format!("`{name}` cannot be used: {}", problem.message);
    Problem::new(ErrorCode::AdapterIncompatible, message)
        .detail("adapter", name)
        .detail("path", problem.path.as_str())
        .detail("line", problem.line)
        .detail("column", problem.column)
}

/// All adapters, those of another contract last.
fn items(roster: &Roster, engine: &Engine) -> Vec<AdapterItem> {
    let known = roster.iter().map(|adapter| item(roster, engine, adapter));
    known.chain(roster.left_out().iter().filter_map(other)).collect()
}

fn item(roster: &Roster, engine: &Engine, adapter: &dyn Adapter) -> AdapterItem {
    let agent = AgentType::new(adapter.agent());
    let path = roster.file_of(adapter.agent());
    let capabilities = adapter.capabilities();
    let row = engine.adapters().find(|row| row.agent == agent);
    AdapterItem {
        identity: AdapterIdentity { adapter: adapter.name().to_owned() },
        name: adapter.name().to_owned(),
        agent_type: adapter.agent().to_owned(),
        contract_version: adapter.version().to_string(),
        is_compatible: true,
        enabled: !engine.is_disabled(&agent),
        origin: path.map_or(AdapterOrigin::BuiltIn, |_| AdapterOrigin::File),
        path: path.map(|path| path.display().to_string()),
        capabilities: AdapterCapabilities {
            event_driven: capabilities.event_driven,
            polling_required: capabilities.polling_required,
            supports_waiting_approval: capabilities.supports_waiting_approval,
            supports_waiting_input: capabilities.supports_waiting_input,
            supports_completed: capabilities.supports_completed,
        },
        covers: adapter.covers().iter().map(|version| (*version).to_owned()).collect(),
        updated_at: row.map(|row| timestamp(row.updated_at)),
    }
}

/// A description for another contract: nothing but that is known of it.
fn other(left_out: &LeftOut) -> Option<AdapterItem> {
    let (agent, version) = left_out.agent.clone().zip(left_out.version.clone())?;
    let name = named(&agent);
    Some(AdapterItem {
        identity: AdapterIdentity { adapter: name.clone() },
        name,
        agent_type: agent,
        contract_version: version,
        is_compatible: false,
        enabled: false,
        origin: AdapterOrigin::File,
        path: Some(left_out.problem.path.clone()),
        capabilities: AdapterCapabilities::default(),
        covers: Vec::new(),
        updated_at: None,
    })
}
