//! What lists and watch streams show, as pure functions of the follower: which panes fit, windows
//! and sessions as sums of panes, and the order of it all.

pub(crate) mod narrow;
pub(crate) mod order;
pub(crate) mod roll_up;

use std::collections::BTreeMap;

use api::filters::Filters;
use api::panes::PaneItem;
use api::sessions::{SessionIdentity, SessionItem};
use api::windows::WindowItem;
use engine::time::Now;

use crate::follower::Follower;
use crate::http::to_api;
use roll_up::{SessionPart, Tally};

/// The items of a list, with the counts of the panes behind them.
#[derive(Debug)]
pub(crate) struct Listed<I> {
    pub(crate) items: Vec<I>,
    pub(crate) tally: Tally,
}

/// The panes that fit.
pub(crate) fn panes(follower: &Follower, filters: &Filters, now: Now) -> Listed<PaneItem> {
    let all = follower.engine().panes().map(|row| to_api::pane(follower, row, now));
    let items: Vec<PaneItem> = all.filter(|item| narrow::fits(follower, filters, item)).collect();
    Listed { tally: items.iter().collect(), items }
}

/// Every pane of the targets that the filters ask.
fn panes_of_asked_targets(follower: &Follower, filters: &Filters, now: Now) -> Vec<PaneItem> {
    let mut panes = Vec::new();
    for target in follower.engine().targets() {
        if narrow::asks_target(filters, &follower.target_name(&target.target)) {
            let rows = follower.panes_of(&target.target);
            panes.extend(rows.map(|row| to_api::pane(follower, row, now)));
        }
    }
    panes
}

/// The windows of which a pane fits, each counted whole.
pub(crate) fn windows(
    follower: &Follower,
    filters: &Filters,
    with_agent_status: bool,
    now: Now,
) -> Listed<WindowItem> {
    let panes = panes_of_asked_targets(follower, filters, now);
    let mut groups: BTreeMap<_, Vec<&PaneItem>> = BTreeMap::new();
    for pane in &panes {
        groups.entry((&pane.identity.target, &pane.identity.window_id)).or_default().push(pane);
    }
    groups.retain(|_, panes| panes.iter().any(|pane| narrow::fits(follower, filters, pane)));
    Listed {
        tally: groups.values().flatten().copied().collect(),
        items: groups
            .values()
            .filter_map(|panes| roll_up::window(panes, with_agent_status))
            .collect(),
    }
}

/// The sessions of which a pane fits, each counted whole, and merged by name if so asked.
pub(crate) fn sessions(
    follower: &Follower,
    filters: &Filters,
    merged_by_name: bool,
    agent_summary: bool,
    now: Now,
) -> Listed<SessionItem> {
    let panes = panes_of_asked_targets(follower, filters, now);
    let mut parts = session_parts(follower, &panes);
    parts.retain(|part| session_fits(follower, filters, part));
    let tally = roll_up::each_once(parts.iter().flat_map(|part| part.panes.iter().copied()));
    let items = if merged_by_name {
        let mut names: BTreeMap<String, Vec<SessionPart<'_>>> = BTreeMap::new();
        for part in parts {
            names.entry(part.session_name.clone()).or_default().push(part);
        }
        let merged = |(session_name, parts): (String, Vec<SessionPart<'_>>)| {
            let identity = SessionIdentity { target: None, session_id: None, session_name };
            roll_up::session(identity, &parts, agent_summary)
        };
        names.into_iter().map(merged).collect()
    } else {
        let single = |part: SessionPart<'_>| {
            roll_up::session(session_identity(&part), std::slice::from_ref(&part), agent_summary)
        };
        parts.into_iter().map(single).collect()
    };
    Listed { items, tally }
}

/// Whether a session fits: one of its panes does, or it has none and is asked for itself.
pub(crate) fn session_fits(follower: &Follower, filters: &Filters, part: &SessionPart<'_>) -> bool {
    let shows_one = || part.panes.iter().any(|pane| narrow::fits(follower, filters, pane));
    narrow::asks_session(filters, &part.target, &part.session_name)
        && (shows_one() || part.panes.is_empty() && narrow::asks_no_panes(filters))
}

pub(crate) fn session_identity(part: &SessionPart<'_>) -> SessionIdentity {
    SessionIdentity {
        target: Some(part.target.clone()),
        session_id: Some(part.session_id.clone()),
        session_name: part.session_name.clone(),
    }
}

/// Every session there is, with those of `panes` that it shows. What several sessions show is in
/// each of them.
fn session_parts<'a>(follower: &Follower, panes: &'a [PaneItem]) -> Vec<SessionPart<'a>> {
    let mut groups: BTreeMap<_, Vec<&'a PaneItem>> = BTreeMap::new();
    for pane in panes {
        let own = std::iter::once(&pane.identity.session_id);
        for session in own.chain(&pane.linked_sessions) {
            let place = (pane.identity.target.clone(), session.clone());
            groups.entry(place).or_default().push(pane);
        }
    }
    let part = |row: &engine::event::SessionRow| {
        let target = follower.target_name(&row.target);
        let session_id = row.session.to_string();
        let panes = groups.remove(&(target.clone(), session_id.clone())).unwrap_or_default();
        SessionPart {
            target,
            session_id,
            session_name: row.name.clone(),
            attached: u64::from(row.attached),
            panes,
        }
    };
    follower.engine().sessions().map(part).collect()
}
