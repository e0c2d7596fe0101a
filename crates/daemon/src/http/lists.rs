//! What the lists have in common: the envelope, the order, the page.

use std::hash::Hash;

use api::error_code::ErrorCode;
use api::list::{List, ListQuery};
use api::words::{SchemaVersion, Scope};
use engine::time::Now;

use super::page;
use super::problem::Problem;
use super::to_api::{self, timestamp};
use crate::follower::Follower;
use crate::standing::Standing;
use crate::view::Listed;
use crate::view::narrow::{Reach, unknown_target};
use crate::view::order::{self, Ordered};

/// Refuses filters that name a target that does not exist.
pub(crate) fn check_targets(
    follower: &Follower,
    filters: &api::filters::Filters,
) -> Result<(), Problem> {
    match (unknown_target(follower, filters), follower.standing()) {
        // What a damaged store does not show is not therefore unknown.
        (Some(_), Standing::ReadOnly(why)) => {
            Err(Problem::new(ErrorCode::StoreReadOnly, why.as_str()))
        }
        (Some(unknown), Standing::Writable | Standing::Failing { .. }) => {
            Err(Problem::no_target(unknown))
        }
        (None, _) => Ok(()),
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
    let position = |item: &I| order::position(item, &query.sort);
    let page = page::cut(items, query, scope.as_str(), key, position)?;
    let reach = Reach::of(follower, &query.filters);
    let warnings = to_api::doubts(follower.standing());
    Ok(List {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        filters: query.filters.clone(),
        summary: tally.summary(reach.requested.iter().cloned()),
        // A damaged database may not even tell which targets there are.
        partial: !reach.errors.is_empty() || !warnings.is_empty(),
        requested_targets: reach.requested,
        responded_targets: reach.responded,
        target_errors: reach.errors,
        warnings,
        items: page.items,
        next_page: page.next,
    })
}
