//! The observer against a real tmux on private sockets, with a recorder in the deck's place.
//!
//! What has to hold on every target is run twice: on a target that is reached directly, and on the
//! same one behind the argument prefix `env`, where nothing is left but to start programs.

mod scene;

mod coming;
mod events;
mod hostile;
mod hub;
mod servers;
mod topology;

/// Makes two tests of each function: one for each way to reach the target.
macro_rules! on_every_reach {
    ($($name:ident),+ $(,)?) => {
        mod direct {
            $(#[test] fn $name() { super::$name($crate::observer::scene::Reach::Direct); })+
        }
        mod over_command {
            $(#[test] fn $name() { super::$name($crate::observer::scene::Reach::OverCommand); })+
        }
    };
}
use on_every_reach;
