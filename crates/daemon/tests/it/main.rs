//! The daemon from outside, over its socket; and its observer against a real tmux.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod http_world;

mod http_errors;
mod http_events;
mod http_hooks;
mod http_reads;
mod http_server;
mod http_targets;
mod http_watch;

mod aside;
mod guard;
mod line;
mod load;
mod observer;
mod quoting;
mod shells;
