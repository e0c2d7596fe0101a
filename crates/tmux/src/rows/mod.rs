//! What a scan asks for: the variables of each kind of row, and their types.
//!
//! Each variable costs the server about as much as any other (0.5 to 2.5 µs for each pane), except
//! the current command and path, which ask the kernel (5 to 10 µs): hence several rows for a pane.
//!
//! What may stand in a value, as seen on 3.3a to 3.7c and tested in `tests/it/formats.rs`:
//!
//! | value | control bytes, tab, newline | else |
//! |---|---|---|
//! | session name | up to 3.6 in printed form: `\033`, `\t`, `\n`; since 3.7 the name is refused | UTF-8; `\` as `\\`; up to 3.4 `$` before a letter as `\$`; up to 3.6 `:` and `.` as `_` |
//! | window name, renamed | the same | UTF-8; `\` and `$` the same |
//! | window name, `new-window -n` | up to 3.6 raw; since 3.7 refused | up to 3.6 any text as it is; since 3.7 like a renamed one |
//! | title | none: a program's lose them, a user's with them is refused | UTF-8; since 3.7 `\` as `\\` and a program's `#(` as `_(` |
//! | path | raw | any bytes but NUL; empty for the moment of an exec |
//! | command | up to 3.6 raw, within the name; since 3.7 all of it is empty | the shell, or `tmux`, until the program has started |
//!
//! None is shortened: 1,000 characters come whole.

mod pane;
mod server;

pub use self::{
    pane::{OriginRow, PaneBrief, PaneGlance, PanePulse, PaneRow},
    server::{ClientFlags, ClientRow, GreetingRow, ServerRow, SessionRow, ViewerRow},
};

use crate::{
    arg::Arg,
    command::Command,
    format::Var,
    scan::{Fields, ScanError},
};

/// One kind of row. Its variables stand once, in the order in which `read` takes them.
pub trait Row: Sized {
    #[doc(hidden)]
    const SHAPE: Shape;

    /// The command that prints one record for each row, in `format`.
    #[doc(hidden)]
    fn list(format: Arg) -> Command;

    #[doc(hidden)]
    fn read(fields: &mut Fields<'_>) -> Result<Self, ScanError>;
}

/// The variables of a row: those without blanks first, then those that may hold anything.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub(crate) plain: &'static [&'static [Var]],
    pub(crate) free: &'static [Var],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shape: Shape) -> (Vec<&'static str>, Vec<&'static str>) {
        let name = |Var(name): &Var| *name;
        let plain = shape.plain.iter().copied().flatten().map(name).collect();
        (plain, shape.free.iter().map(name).collect())
    }

    const SHAPES: [Shape; 10] = [
        PaneRow::SHAPE,
        PaneGlance::SHAPE,
        PaneBrief::SHAPE,
        PanePulse::SHAPE,
        SessionRow::SHAPE,
        ClientRow::SHAPE,
        ServerRow::SHAPE,
        GreetingRow::SHAPE,
        ViewerRow::SHAPE,
        OriginRow::SHAPE,
    ];

    #[test]
    fn everything_about_a_pane_begins_with_the_cheap_facts() {
        let (brief, full) = (names(PaneBrief::SHAPE).0, names(PaneRow::SHAPE).0);
        assert!(full.starts_with(&brief));
        assert!(names(PanePulse::SHAPE).0.iter().all(|name| brief.contains(name)));
    }

    #[test]
    fn no_row_asks_for_a_variable_twice() {
        for shape in SHAPES {
            let (plain, free) = names(shape);
            let mut all = [plain, free].concat();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{all:?}");
        }
    }

    #[test]
    fn what_may_hold_anything_is_never_among_the_tabs() {
        let hostile = [
            "pane_current_command",
            "pane_current_path",
            "pane_title",
            "session_name",
            "window_name",
            "client_name",
            "client_tty",
            "client_last_session",
            "socket_path",
            "pane_start_command",
            "version",
        ];
        for shape in SHAPES {
            let (plain, free) = names(shape);
            assert!(plain.iter().all(|name| !hostile.contains(name)), "{plain:?}");
            assert!(free.iter().all(|name| hostile.contains(name)), "{free:?}");
        }
    }
}
