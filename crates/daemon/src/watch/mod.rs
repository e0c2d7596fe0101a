//! The watch stream: a snapshot, and then every change as it happens, to as many watchers as
//! there are, at the pace of none of them. `docs/design/watch.md` tells why it is built so.
//!
//! Reading order: [`mod@line`] is one serialised frame, [`ring`] keeps the lines that watchers share,
//! [`feed`] turns changes into them through a view ([`pane`], [`group`], [`approval`]), [`hub`] holds all feeds,
//! and a [`watcher`] reads one of them, after a [`replay`] of the journal if it resumes.

pub(crate) mod approval;
pub(crate) mod feed;
pub(crate) mod group;
pub(crate) mod hub;
pub(crate) mod line;
pub(crate) mod news;
pub(crate) mod pane;
pub(crate) mod replay;
pub(crate) mod ring;
pub(crate) mod watcher;
