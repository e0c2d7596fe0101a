//! What stands in an agent's composer: whether a prompt may go in, and whether one was taken.
//!
//! What somebody typed and has not sent is told from a placeholder by how it is drawn: agents draw
//! placeholders faint. Whatever is not clearly empty counts as somebody's draft.

use std::ops::Range;

use crate::screen::Screen;

/// What the composer holds, where one is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Composer {
    /// Nothing, or a placeholder.
    Empty,
    /// Something that was typed or pasted, as far as it is shown.
    Draft(String),
}

/// How an agent's composer is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How long after a paste Enter is taken for Enter, and not for a part of what was pasted.
    pub enter_after_ms: u64,
    /// The key that takes away the line of a draft that the cursor is in.
    pub clear_line: &'static str,
    /// How what stands for a long paste begins, where its text is not shown.
    pub folds: &'static [&'static str],
}

impl Manner {
    /// Of an agent of which nothing better is known.
    pub const CAREFUL: Self = Self { enter_after_ms: 600, clear_line: "C-u", folds: &[] };

    /// Whether a draft is only the sign of a long paste.
    pub fn is_folded(&self, draft: &str) -> bool {
        let draft = draft.trim();
        let alone = draft.ends_with(']') && draft.matches(']').count() == 1;
        alone && self.folds.iter().any(|fold| draft.starts_with(fold))
    }
}

/// A text without its blanks: a composer breaks and indents lines as it likes, and shows the same
/// letters.
pub fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a text begins as a command to the composer of some agent: to a shell, to the agent
/// itself, for its memory or to be done in the background. It is no prompt then.
pub fn commands(text: &str) -> bool {
    text.trim_start().starts_with(['!', '/', '#', '&'])
}

/// What stands in these lines behind the mark that begins the first of them.
pub(crate) fn contents(screen: &Screen, lines: Range<usize>, mark: char) -> Composer {
    let (mut text, mut typed, mut cursors) = (String::new(), false, 0);
    for (nth, line) in screen.lines.get(lines).unwrap_or_default().iter().enumerate() {
        let mut before_mark = nth == 0;
        if nth > 0 {
            text.push('\n');
        }
        for span in &line.spans {
            for c in span.text.chars() {
                if before_mark {
                    before_mark = c != mark;
                } else if c.is_whitespace() || span.style.dim {
                    // Blanks tell nothing, and what is faint nobody typed.
                    text.extend(c.is_whitespace().then_some(c));
                } else if span.style.reverse && cursors == 0 {
                    // The cursor: over the first letter of a placeholder, or over one of a draft.
                    cursors = 1;
                    text.push(c);
                } else {
                    text.push(c);
                    typed = true;
                }
            }
        }
    }
    if typed { Composer::Draft(text.trim().to_owned()) } else { Composer::Empty }
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
        let draft = |text: &str| Composer::Draft(text.to_owned());
        assert_eq!(check("❯ rm -rf\n"), draft("rm -rf"));
        assert_eq!(check("❯ \x1b[2mTry\x1b[0m x\n"), draft("x"));
        assert_eq!(check("❯ one\n  two\n"), draft("one\n  two"));
        assert_eq!(check("❯\n  two\n"), draft("two"), "a line below the first");
        assert_eq!(check("❯ \x1b[7mselected\x1b[0m\n"), draft("selected"));
        assert_eq!(check("❯ a\x1b[7mb\x1b[0mc\n"), draft("abc"), "the cursor over a letter");
    }

    #[test]
    fn the_sign_of_a_long_paste_stands_alone() {
        let manner = Manner { folds: &["[Pasted text #"], ..Manner::CAREFUL };
        assert!(manner.is_folded("[Pasted text #1 +40 lines]"));
        assert!(!manner.is_folded("[Pasted text #1 +40 lines] and"));
        assert!(!manner.is_folded("see [Pasted text #1 +40 lines]"));
        assert!(!manner.is_folded("[Pasted text #1 +40 lines][Pasted text #2 +4 lines]"));
        assert!(!manner.is_folded(""));
    }

    #[test]
    fn the_letters_of_a_text_are_the_same_however_its_lines_are_broken() {
        assert_eq!(letters("one two\nthree"), letters("one\n  two three"));
        assert_ne!(letters("one two"), letters("one twos"));
    }
}
