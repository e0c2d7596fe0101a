//! What an answer is narrowed to: which panes fit, and which targets could be asked at all.

use api::error_code::ErrorCode;
use api::filters::Filters;
use api::list::{NO_AGENT, TargetError};
use api::panes::PaneItem;
use api::target_name::TargetName;
use engine::target::TargetRow;
use engine::words::Health;

use crate::follower::Follower;

/// Whether a pane fits: filters of different names all have to, of several values of one, any.
/// It is in every session that shows its window.
pub(crate) fn fits(follower: &Follower, filters: &Filters, pane: &PaneItem) -> bool {
    let target = &pane.identity.target;
    let agent = pane.agent_type.as_deref().unwrap_or(NO_AGENT);
    let shows = |name: &str| is_shown_in(follower, pane, name);
    asks_target(filters, target)
        && filters.target_session.as_ref().is_none_or(|it| shows(&it.session_name))
        && filters.session.as_ref().is_none_or(|it| shows(it))
        && any(&filters.state, |it| *it == pane.state)
        && any(&filters.agent, |it| it == agent)
        && any(&filters.category, |it| *it == pane.display_category)
        && filters.needs_action.is_none_or(|it| it == pane.needs_user_action)
}

fn is_shown_in(follower: &Follower, pane: &PaneItem, name: &str) -> bool {
    let linked = || {
        let target = follower.target(&pane.identity.target)?;
        let mut sessions = follower.engine().sessions();
        sessions.find(|row| {
            row.target == target.target
                && row.name == name
                && pane.linked_sessions.contains(&row.session.to_string())
        })
    };
    pane.identity.session_name == name || !pane.linked_sessions.is_empty() && linked().is_some()
}

/// Whether the filters let a session take part at all.
pub(crate) fn asks_session(filters: &Filters, target: &TargetName, name: &str) -> bool {
    let in_session =
        |it: &api::reference::TargetSession| it.target == *target && it.session_name == name;
    asks_target(filters, target)
        && filters.target_session.as_ref().is_none_or(in_session)
        && filters.session.as_ref().is_none_or(|it| it == name)
}

/// Whether the filters say nothing about panes, so that a session without any can fit.
pub(crate) fn asks_no_panes(filters: &Filters) -> bool {
    filters.state.is_empty()
        && filters.agent.is_empty()
        && filters.category.is_empty()
        && filters.needs_action.is_none()
}

fn any<T>(values: &[T], fits: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(fits)
}

/// Whether the filters let a target take part at all.
pub(crate) fn asks_target(filters: &Filters, target: &TargetName) -> bool {
    any(&filters.target, |it| it == target)
        && filters.target_session.as_ref().is_none_or(|it| it.target == *target)
}

/// The targets that were asked for, and what came of it.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) requested: Vec<TargetName>,
    pub(crate) responded: Vec<TargetName>,
    pub(crate) errors: Vec<TargetError>,
}

impl Reach {
    /// Asks the targets that the filters let take part.
    pub(crate) fn of(follower: &Follower, filters: &Filters) -> Self {
        let mut reach = Self { requested: Vec::new(), responded: Vec::new(), errors: Vec::new() };
        for row in follower.engine().targets() {
            let name = follower.target_name(&row.target);
            if !asks_target(filters, &name) {
                continue;
            }
            match target_error(row, &name).or_else(|| unstored(follower, &name)) {
                Some(error) => reach.errors.push(error),
                None => reach.responded.push(name.clone()),
            }
            reach.requested.push(name);
        }
        reach.requested.sort();
        reach.responded.sort();
        reach.errors.sort_by(|one, other| one.target.cmp(&other.target));
        reach
    }
}

/// A target that the filters name and that does not exist. Without this a misspelt name would
/// look like a target without panes.
pub(crate) fn unknown_target<'a>(
    follower: &Follower,
    filters: &'a Filters,
) -> Option<&'a TargetName> {
    let in_session = filters.target_session.iter().map(|it| &it.target);
    filters.target.iter().chain(in_session).find(|name| follower.target(name).is_none())
}

/// What a target said last was not stored, so what is shown of it is of the past.
fn unstored(follower: &Follower, name: &TargetName) -> Option<TargetError> {
    let (code, why) = follower.standing().trouble()?;
    Some(TargetError { target: name.clone(), code, message: of_the_past(why) })
}

/// What somebody is told of a target of which nothing new is stored.
pub(crate) fn of_the_past(why: &str) -> String {
    format!("what is shown is how it was before: {why}")
}

/// What keeps a target from answering. One that is merely limited answers.
fn target_error(row: &TargetRow, name: &TargetName) -> Option<TargetError> {
    let fallback = || "the target does not answer".to_owned();
    let message = row.trouble.as_ref().map(|trouble| trouble.message.clone());
    let code = row.trouble.as_ref().and_then(|trouble| trouble.code.parse().ok());
    let failing = match row.health {
        Health::Ok => false,
        Health::Degraded => row.trouble.is_some(),
        Health::Down => true,
    };
    failing.then(|| TargetError {
        target: name.clone(),
        code: code.unwrap_or(ErrorCode::TargetUnreachable),
        message: message.unwrap_or_else(fallback),
    })
}
