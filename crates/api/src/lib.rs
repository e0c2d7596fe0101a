//! What Quarterdeck promises on the wire: the types of API v1, the words they
//! use, the errors they carry, and the table of routes.
//!
//! The crate is pure: no clock, no socket, no file. The daemon serves these
//! types, the client asks for them, and `xtask codegen` turns them into
//! OpenAPI, JSON schemas and reference pages without starting either.
//! `docs/design/api.md` states the conventions every type here follows.

#[macro_use]
mod words_macro;

pub mod limits;
pub mod timestamp;
pub mod words;

pub mod cursor;
pub mod reference;
pub mod selector;
pub mod target_name;
pub mod version;

pub mod error;
pub mod error_code;
pub mod exit_code;

pub mod nearest;
pub mod query;

pub mod filters;
pub mod list;
pub mod sort;

pub mod actions;
pub mod adapters;
pub mod agents;
pub mod approvals;
pub mod config;
pub mod events;
pub mod explain;
pub mod health;
pub mod hooks;
pub mod panes;
pub mod resolve;
pub mod runtimes;
pub mod sessions;
pub mod settings;
pub mod shutdown;
pub mod targets;
pub mod tokens;
pub mod watch;
pub mod windows;

pub mod rights;
pub mod routes;
pub mod shapes;

pub use error::ErrorBody;
pub use error_code::ErrorCode;
pub use exit_code::ExitCode;
pub use timestamp::Timestamp;
