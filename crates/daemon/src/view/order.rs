//! The order of lists: the keys that were asked for, then location, then ids; so it is the same
//! every time.

use std::cmp::Ordering;

use api::panes::PaneItem;
use api::sessions::SessionItem;
use api::sort::{Sort, SortKey};
use api::targets::TargetItem;
use api::windows::WindowItem;

/// An item that can be listed in order.
pub(crate) trait Ordered {
    /// By one key. A key that such items do not have leaves them equal; queries refuse it before.
    fn by(&self, key: SortKey, other: &Self) -> Ordering;

    /// By location, and where that is the same, by id; never equal for two items of one list.
    fn by_place(&self, other: &Self) -> Ordering;
}

/// Puts items in order.
pub(crate) fn sort<I: Ordered>(items: &mut [I], keys: &[Sort]) {
    items.sort_by(|one, other| {
        let by_key = |sort: &Sort| {
            let order = match sort.key {
                SortKey::Location => one.by_place(other),
                key @ (SortKey::State
                | SortKey::Category
                | SortKey::Agent
                | SortKey::StateSince
                | SortKey::LastActivityAt
                | SortKey::UpdatedAt
                | SortKey::TotalPanes) => one.by(key, other),
            };
            if sort.descending { order.reverse() } else { order }
        };
        let first = keys.iter().map(by_key).find(|order| order.is_ne());
        first.unwrap_or_else(|| one.by_place(other))
    });
}

/// The number in one of tmux's ids.
fn number(id: &str) -> u32 {
    id.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

impl Ordered for PaneItem {
    fn by(&self, key: SortKey, other: &Self) -> Ordering {
        match key {
            SortKey::State => self.state.precedence().cmp(&other.state.precedence()),
            SortKey::Category => {
                self.display_category.precedence().cmp(&other.display_category.precedence())
            }
            SortKey::Agent => {
                let named = |pane: &Self| (pane.agent_type.is_none(), pane.agent_type.clone());
                named(self).cmp(&named(other))
            }
            SortKey::StateSince => self.state_since.cmp(&other.state_since),
            SortKey::LastActivityAt => self.last_activity_at.cmp(&other.last_activity_at),
            SortKey::UpdatedAt => self.updated_at.cmp(&other.updated_at),
            SortKey::Location | SortKey::TotalPanes => Ordering::Equal,
        }
    }

    fn by_place(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.identity, &other.identity);
        let sessions = (&one.target, &one.session_name).cmp(&(&two.target, &two.session_name));
        sessions
            .then_with(|| number(&one.session_id).cmp(&number(&two.session_id)))
            .then_with(|| self.window_index.cmp(&other.window_index))
            .then_with(|| number(&one.window_id).cmp(&number(&two.window_id)))
            .then_with(|| self.pane_index.cmp(&other.pane_index))
            .then_with(|| number(&one.pane_id).cmp(&number(&two.pane_id)))
    }
}

impl Ordered for WindowItem {
    fn by(&self, key: SortKey, other: &Self) -> Ordering {
        match key {
            SortKey::State => self.top_state.precedence().cmp(&other.top_state.precedence()),
            SortKey::Category => {
                self.top_category.precedence().cmp(&other.top_category.precedence())
            }
            SortKey::TotalPanes => self.total_panes.cmp(&other.total_panes),
            SortKey::Location
            | SortKey::Agent
            | SortKey::StateSince
            | SortKey::LastActivityAt
            | SortKey::UpdatedAt => Ordering::Equal,
        }
    }

    fn by_place(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.identity, &other.identity);
        let sessions = (&one.target, &one.session_name).cmp(&(&two.target, &two.session_name));
        sessions
            .then_with(|| number(&one.session_id).cmp(&number(&two.session_id)))
            .then_with(|| self.window_index.cmp(&other.window_index))
            .then_with(|| number(&one.window_id).cmp(&number(&two.window_id)))
    }
}

impl Ordered for SessionItem {
    fn by(&self, key: SortKey, other: &Self) -> Ordering {
        match key {
            SortKey::State => self.top_state.precedence().cmp(&other.top_state.precedence()),
            SortKey::Category => {
                self.top_category.precedence().cmp(&other.top_category.precedence())
            }
            SortKey::TotalPanes => self.total_panes.cmp(&other.total_panes),
            SortKey::Location
            | SortKey::Agent
            | SortKey::StateSince
            | SortKey::LastActivityAt
            | SortKey::UpdatedAt => Ordering::Equal,
        }
    }

    fn by_place(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.identity, &other.identity);
        let id = |identity: &api::sessions::SessionIdentity| {
            identity.session_id.as_deref().map_or(0, number)
        };
        let names = (&one.target, &one.session_name).cmp(&(&two.target, &two.session_name));
        names.then_with(|| id(one).cmp(&id(two)))
    }
}

impl Ordered for TargetItem {
    fn by(&self, _: SortKey, _: &Self) -> Ordering {
        Ordering::Equal
    }

    fn by_place(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name)
    }
}
