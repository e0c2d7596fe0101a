//! What stands in an agent's composer: whether a prompt may go in, and whether one was taken.
//!
//! What somebody typed and has not sent is told from a placeholder by how it is drawn: agents draw
//! placeholders faint. Whatever is not clearly empty counts as somebody's draft.

use std::ops::Range;

use crate::screen::Screen;

/// What the composer holds, where one is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composer {
    /// Nothing, or a placeholder.
    Empty,
    /// Something that was typed or pasted.
    Draft,
}

/// What stands in these lines behind the mark that begins the first of them.
pub(crate) fn contents(screen: &Screen, lines: Range<usize>, mark: char) -> Composer {
    let mut cursors = 0;
    for (nth, line) in screen.lines.get(lines).unwrap_or_default().iter().enumerate() {
        let mut before_mark = nth == 0;
        for span in &line.spans {
            for c in span.text.chars() {
                if before_mark {
                    before_mark = c != mark;
                } else if c.is_whitespace() || span.style.dim {
                    // Blanks tell nothing, and what is faint nobody typed.
                } else if span.style.reverse && cursors == 0 {
                    // The cursor, drawn over the first letter of a placeholder.
                    cursors = 1;
                } else {
                    return Composer::Draft;
                }
            }
        }
    }
    Composer::Empty
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Composer {
        let screen = Screen::from_capture(text.as_bytes(), 40, 4);
        contents(&screen, 0..screen.lines.len(), '❯')
    }

    #[test]
    fn a_placeholder_is_faint_and_a_draft_is_not() {
        assert_eq!(check("❯\u{a0}\n"), Composer::Empty);
        assert_eq!(check("❯ \x1b[2mTry \"fix the tests\"\x1b[0m\n"), Composer::Empty);
        assert_eq!(check("❯ \x1b[7mT\x1b[27m\x1b[2mry this\x1b[0m\n"), Composer::Empty);
        assert_eq!(check("❯ rm -rf\n"), Composer::Draft);
        assert_eq!(check("❯ \x1b[2mTry\x1b[0m x\n"), Composer::Draft);
        assert_eq!(check("❯ one\n  two\n"), Composer::Draft);
        assert_eq!(check("❯\n  two\n"), Composer::Draft, "a line below the first");
        assert_eq!(check("❯ \x1b[7mselected\x1b[0m\n"), Composer::Draft);
    }
}
