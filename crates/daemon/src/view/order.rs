//! The order of lists: the keys that were asked for, then location, then ids; so it is the same
//! every time.

use std::cmp::Reverse;

use api::panes::PaneItem;
use api::sessions::SessionItem;
use api::sort::{Sort, SortKey};
use api::targets::TargetItem;
use api::windows::WindowItem;
use serde::{Deserialize, Serialize};

/// One thing that is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Part {
    Number(i64),
    Text(String),
}

/// What one key compares, in the direction that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Rank {
    #[serde(rename = "r")]
    Rising(Vec<Part>),
    #[serde(rename = "f")]
    Falling(Reverse<Vec<Part>>),
}

/// Where an item stands in its list: by the keys that were asked for, then by its location and ids,
/// so no two items of one list stand at the same place.
pub(crate) type Position = Vec<Rank>;

/// An item that can be listed in order.
pub(crate) trait Ordered {
    /// What a key compares. Nothing for one that such items do not have; queries refuse it before.
    fn parts(&self, key: SortKey) -> Vec<Part>;
}

/// Where an item stands.
pub(crate) fn position(item: &impl Ordered, keys: &[Sort]) -> Position {
    let last = Sort { key: SortKey::Location, descending: false };
    let rank = |sort: &Sort| {
        let parts = item.parts(sort.key);
        if sort.descending { Rank::Falling(Reverse(parts)) } else { Rank::Rising(parts) }
    };
    keys.iter().chain([&last]).map(rank).collect()
}

/// Puts items in order.
pub(crate) fn sort<I: Ordered>(items: &mut [I], keys: &[Sort]) {
    items.sort_by_cached_key(|item| position(item, keys));
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn number(number: impl Into<i64>) -> Part {
    Part::Number(number.into())
}

fn count(count: u64) -> Part {
    Part::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The number in one of tmux's ids.
fn id(id: &str) -> Part {
    number(id.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX))
}

impl Ordered for PaneItem {
    fn parts(&self, key: SortKey) -> Vec<Part> {
        match key {
            SortKey::Location => {
                let it = &self.identity;
                let session =
                    [text(it.target.as_str()), text(&it.session_name), id(&it.session_id)];
                let window = [number(self.window_index), id(&it.window_id)];
                let pane = [number(self.pane_index), id(&it.pane_id)];
                session.into_iter().chain(window).chain(pane).collect()
            }
            SortKey::State => vec![number(self.state.precedence())],
            SortKey::Category => vec![number(self.display_category.precedence())],
            SortKey::Agent => {
                let name = self.agent_type.as_deref().unwrap_or_default();
                vec![number(self.agent_type.is_none()), text(name)]
            }
            SortKey::StateSince => vec![number(self.state_since.as_millis())],
            SortKey::LastActivityAt => {
                vec![number(self.last_activity_at.map_or(i64::MIN, |it| it.as_millis()))]
            }
            SortKey::UpdatedAt => vec![number(self.updated_at.as_millis())],
            SortKey::TotalPanes => Vec::new(),
        }
    }
}

impl Ordered for WindowItem {
    fn parts(&self, key: SortKey) -> Vec<Part> {
        match key {
            SortKey::Location => {
                let it = &self.identity;
                let session =
                    [text(it.target.as_str()), text(&it.session_name), id(&it.session_id)];
                let window = [number(self.window_index), id(&it.window_id)];
                session.into_iter().chain(window).collect()
            }
            SortKey::State => vec![number(self.top_state.precedence())],
            SortKey::Category => vec![number(self.top_category.precedence())],
            SortKey::TotalPanes => vec![count(self.total_panes)],
            SortKey::Agent | SortKey::StateSince | SortKey::LastActivityAt | SortKey::UpdatedAt => {
                Vec::new()
            }
        }
    }
}

impl Ordered for SessionItem {
    fn parts(&self, key: SortKey) -> Vec<Part> {
        match key {
            SortKey::Location => {
                let it = &self.identity;
                let session = it.session_id.as_deref().map_or(number(0), id);
                let target = it.target.as_ref().map_or("", |target| target.as_str());
                vec![text(target), text(&it.session_name), session]
            }
            SortKey::State => vec![number(self.top_state.precedence())],
            SortKey::Category => vec![number(self.top_category.precedence())],
            SortKey::TotalPanes => vec![count(self.total_panes)],
            SortKey::Agent | SortKey::StateSince | SortKey::LastActivityAt | SortKey::UpdatedAt => {
                Vec::new()
            }
        }
    }
}

impl Ordered for TargetItem {
    fn parts(&self, key: SortKey) -> Vec<Part> {
        match key {
            SortKey::Location => vec![text(self.name.as_str())],
            SortKey::State
            | SortKey::Category
            | SortKey::Agent
            | SortKey::StateSince
            | SortKey::LastActivityAt
            | SortKey::UpdatedAt
            | SortKey::TotalPanes => Vec::new(),
        }
    }
}
