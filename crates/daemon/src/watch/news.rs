//! One folded change, as the feeds look at it: with what was before, what comes next, and the
//! pane's item rendered once for all of them.

use std::cell::OnceCell;

use api::panes::PaneItem;
use engine::event::Event;
use engine::ids::PaneKey;
use engine::time::Now;
use store::Change;

use crate::follower::{Follower, Place};
use crate::http::to_api;

/// What a change means for the list of panes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// The change holds the pane's whole row.
    Row(PaneKey),
    /// Something that a pane's item shows changed, and the change holds no row.
    Soft(PaneKey),
    Gone(PaneKey),
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
    item: OnceCell<Option<PaneItem>>,
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

    /// The item of the pane whose row the change holds.
    pub(crate) fn item(&self) -> Option<&PaneItem> {
        let render = || match &self.change.event {
            Event::PaneChanged { row, .. } => Some(to_api::pane(self.follower, row, self.now)),
            Event::PaneRemoved { .. }
            | Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventRecorded(_)
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. } => None,
        };
        self.item.get_or_init(render).as_ref()
    }

    /// The panes it touches. A recorded event whose pane's row follows at once is left to that.
    pub(crate) fn touches(&self) -> Vec<Touch> {
        let touches = touches(self.follower, &self.change.event);
        match (touches.as_slice(), self.next.map(|change| &change.event)) {
            ([Touch::Soft(key)], Some(Event::PaneChanged { row, .. })) if row.key == *key => {
                Vec::new()
            }
            (_, _) => touches,
        }
    }
}

/// The panes that an event touches.
pub(crate) fn touches(follower: &Follower, event: &Event) -> Vec<Touch> {
    match event {
        Event::PaneChanged { row, .. } => vec![Touch::Row(row.key.clone())],
        Event::PaneRemoved { key, .. } => vec![Touch::Gone(key.clone())],
        Event::ActivitySeen { target, panes } => {
            panes.iter().map(|(pane, _)| Touch::Soft(PaneKey::new(target, *pane))).collect()
        }
        Event::EventRecorded(row) => {
            let pane = follower.engine().pane_of(&row.runtime);
            pane.map(|row| Touch::Soft(row.key.clone())).into_iter().collect()
        }
        Event::TargetChanged(_)
        | Event::TargetRemoved { .. }
        | Event::SessionChanged(_)
        | Event::SessionRemoved { .. }
        | Event::EventPended(_)
        | Event::EventBound { .. }
        | Event::EventDropped { .. } => Vec::new(),
    }
}
