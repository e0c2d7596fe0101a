//! The observer against a real tmux on private sockets, with a recorder in the deck's place.
//!
//! What has to hold on every target is run three times: on a target that is reached directly, on the
//! same one behind the argument prefix `env`, where nothing is left but to start programs, and on the
//! same one behind a real `sshd`.

mod scene;

mod coming;
mod events;
mod hostile;
mod hub;
mod servers;
mod told;
mod topology;

/// Makes three tests of each function: one for each way to reach the target.
macro_rules! on_every_reach {
    ($($name:ident),+ $(,)?) => {
        mod direct {
            $(#[test] fn $name() { super::$name($crate::observer::scene::Reach::Direct); })+
        }
        mod over_command {
            $(#[test] fn $name() { super::$name($crate::observer::scene::Reach::OverCommand); })+
        }
        mod over_ssh {
            use $crate::observer::scene::Reach;
            $(#[test] fn $name() {
                if Reach::OverSsh.is_there() {
                    super::$name(Reach::OverSsh);
                }
            })+
        }
    };
}
use on_every_reach;
