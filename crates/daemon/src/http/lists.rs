//! What the lists have in common: the envelope, the order, the page.

use std::hash::Hash;

use api::list::{List, ListQuery};
use api::words::{SchemaVersion, Scope};
use engine::time::Now;

use super::page;
use super::problem::Problem;
use super::to_api::timestamp;
use crate::follower::Follower;
use crate::view::Listed;
use crate::view::narrow::{Reach, unknown_target};
use crate::view::order::{self, Ordered};

/// Refuses filters that name a target that does not exist.
pub(crate) fn check_targets(
    follower: &Follower,
    filters: &api::filters::Filters,
) -> Result<(), Problem> {
    match unknown_target(follower, filters) {
        Some(unknown) => Err(Problem::no_target(unknown)),
        None => Ok(()),
    }
}

/// The answer of a list: sorted, one page of it, with what could not be asked.
pub(crate) fn answer<I: Ordered, K: Hash>(
    follower: &Follower,
    query: &ListQuery,
    scope: Scope,
    listed: Listed<I>,
    key: impl Fn(&I) -> K,
    now: Now,
) -> Result<List<I>, Problem> {
    let Listed { mut items, tally } = listed;
    order::sort(&mut items, &query.sort);
    let page = page::cut(items, query, scope.as_str(), key)?;
    let reach = Reach::of(follower, &query.filters);
    Ok(List {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        filters: query.filters.clone(),
        summary: tally.summary(reach.requested.iter().cloned()),
        partial: !reach.errors.is_empty(),
        requested_targets: reach.requested,
        responded_targets: reach.responded,
        target_errors: reach.errors,
        items: page.items,
        next_page: page.next,
    })
}
