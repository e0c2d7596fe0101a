//! Our own small session, to which the control client is attached.
//!
//! A control client needs a session, and on a user's session it would be seen, would clear its
//! alerts and could throttle its programs. So each installation has a session of its own while it is
//! connected: one window, one pane that sleeps, no status line, gone with its client.

/// Every hub's name begins like this, whichever installation it belongs to.
pub const HUB_PREFIX: &str = "_qd-";
