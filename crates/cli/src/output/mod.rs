//! Everything that people read goes through here: the only place that prints.

pub(crate) mod safe;
pub(crate) mod width;

pub(crate) mod style;
pub(crate) mod text;

pub(crate) mod table;

pub(crate) mod json;
pub(crate) mod time;

pub(crate) mod diff;
pub(crate) mod terminal;

pub(crate) mod list;

pub(crate) mod actions;
pub(crate) mod adapters;
pub(crate) mod approvals;
pub(crate) mod explain;
pub(crate) mod follow;
pub(crate) mod health;
pub(crate) mod overview;
pub(crate) mod panes;
pub(crate) mod sessions;
pub(crate) mod targets;
pub(crate) mod tokens;
pub(crate) mod windows;

#[cfg(test)]
pub(crate) mod fixtures;
