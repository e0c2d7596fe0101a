//! One folded change, as the feeds look at it: with what was before, what comes next, and the
//! pane's item rendered once for all of them.

use std::cell::OnceCell;

use api::panes::PaneItem;
use engine::event::Event;
use engine::ids::PaneKey;
use engine::pane::{PaneRow, Place};
use engine::time::Now;
use store::Change;

use crate::follower::Follower;
use crate::http::to_api;

/// What an event means for the list of panes.
#[derive(Debug)]
pub(crate) enum Touch<'a> {
    /// A pane is now as the row says.
    Row(&'a PaneRow),
    /// A pane is gone from where it stood.
    Gone(&'a PaneKey, &'a Place),
    /// Something that these panes' items show changed, and the event holds no row of theirs.
    Soft(Vec<PaneKey>),
}

#[derive(Debug)]
pub(crate) struct News<'a> {
    pub(crate) follower: &'a Follower,
    pub(crate) change: &'a Change,
    /// The change after it in the same publication.
    pub(crate) next: Option<&'a Change>,
    /// Where the pane it is about stood before.
    pub(crate) before: Option<Place>,
    pub(crate) now: Now,
    item: OnceCell<PaneItem>,
}

impl<'a> News<'a> {
    pub(crate) fn new(
        follower: &'a Follower,
        change: &'a Change,
        next: Option<&'a Change>,
        before: Option<Place>,
        now: Now,
    ) -> Self {
        Self { follower, change, next, before, now, item: OnceCell::new() }
    }

    /// What it means for panes. A recorded event whose pane's row follows at once is left to that.
    pub(crate) fn touch(&self) -> Touch<'a> {
        let touch = touch(self.follower, &self.change.event);
        match (&touch, self.next.map(|change| &change.event)) {
            (Touch::Soft(keys), Some(Event::PaneChanged { row, .. }))
                if keys.as_slice() == [row.key.clone()] =>
            {
                Touch::Soft(Vec::new())
            }
            (_, _) => touch,
        }
    }

    /// The item of the row that the change holds, rendered once.
    pub(crate) fn item(&self, row: &PaneRow) -> &PaneItem {
        self.item.get_or_init(|| to_api::pane(self.follower, row, self.now))
    }
}

/// What an event means for panes.
pub(crate) fn touch<'a>(follower: &Follower, event: &'a Event) -> Touch<'a> {
    match event {
        Event::PaneChanged { row, .. } => Touch::Row(row),
        Event::PaneRemoved { key, place, .. } => Touch::Gone(key, place),
        Event::ActivitySeen { target, panes } => {
            Touch::Soft(panes.iter().map(|(pane, _)| PaneKey::new(target, *pane)).collect())
        }
        Event::EventRecorded(row) => {
            let pane = follower.engine().pane_of(&row.runtime);
            Touch::Soft(pane.map(|row| row.key.clone()).into_iter().collect())
        }
        Event::TargetChanged(_)
        | Event::TargetRemoved { .. }
        | Event::SessionChanged(_)
        | Event::SessionRemoved { .. }
        | Event::EventPended(_)
        | Event::EventBound { .. }
        | Event::EventDropped { .. }
        | Event::ActionChanged(_)
        | Event::AdapterChanged(_)
        | Event::ApprovalChanged(_)
        | Event::TokenChanged(_)
        | Event::AccessDenied(_) => Touch::Soft(Vec::new()),
    }
}
