//! Text on its way to the terminal: harmless by construction, styled, one line.

use std::fmt::Write as _;

use anstyle::Style;

use crate::output::{safe, width};

/// One line, made of styled pieces. There is no way to put text into it that a terminal would
/// obey: every piece passes [`safe::line`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    style: Style,
}

impl Text {
    /// Nothing; as a line, an empty one.
    pub(crate) const fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// Text without a style.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new())
    }

    /// Text in a style.
    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        let text = safe::line(text.as_ref()).into_owned();
        Self { pieces: vec![Piece { text, style }] }
    }

    /// The same with more behind it.
    #[must_use]
    pub(crate) fn then(mut self, more: impl Into<Self>) -> Self {
        self.pieces.extend(more.into().pieces);
        self
    }

    /// The same with more behind it, in a style.
    #[must_use]
    pub(crate) fn then_styled(self, text: impl AsRef<str>, style: Style) -> Self {
        self.then(Self::styled(text, style))
    }

    /// How many columns it takes.
    pub(crate) fn width(&self) -> usize {
        self.pieces.iter().map(|piece| width::of(&piece.text)).sum()
    }

    /// As much of it as fits.
    #[must_use]
    pub(crate) fn cut(self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut kept = Self::new();
        let Some(mut room) = columns.checked_sub(1) else { return kept };
        for Piece { mut text, style } in self.pieces {
            let head = width::head(&text, room);
            room -= width::of(head);
            let whole = head.len() == text.len();
            if !whole {
                text = format!("{head}{}", width::ELLIPSIS);
            }
            kept.pieces.push(Piece { text, style });
            if !whole {
                break;
            }
        }
        kept
    }

    /// The same on as many lines as it takes, broken between words. Without a width, on one.
    pub(crate) fn wrapped(self, columns: Option<usize>) -> Vec<Self> {
        let Some(columns) = columns.filter(|columns| self.width() > *columns) else {
            return vec![self];
        };
        let mut lines = Vec::new();
        let (mut line, mut used) = (Self::new(), 0);
        for Piece { text, style } in self.pieces {
            for word in text.split_inclusive(' ') {
                let blank = word.trim().is_empty();
                if blank && used == 0 && !lines.is_empty() {
                    continue;
                }
                // A blank at the end of a line takes no room that anybody needs.
                if !blank && used > 0 && used + width::of(word.trim_end()) > columns {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                used += width::of(word);
                line.pieces.push(Piece { text: word.to_owned(), style });
            }
        }
        lines.push(line);
        // A word that is longer than a line is cut.
        lines.into_iter().map(|line| line.trimmed().cut(columns)).collect()
    }

    fn trimmed(mut self) -> Self {
        if let Some(last) = self.pieces.last_mut() {
            last.text.truncate(last.text.trim_end().len());
        }
        self
    }

    /// The same with blanks up to a width.
    #[must_use]
    pub(crate) fn padded(self, columns: usize) -> Self {
        let missing = columns.saturating_sub(self.width());
        if missing == 0 { self } else { self.then(" ".repeat(missing)) }
    }

    /// What goes to the terminal, without the end of the line.
    pub(crate) fn render(&self, coloured: bool) -> String {
        let mut rendered = String::new();
        for Piece { text, style } in &self.pieces {
            if coloured && !style.is_plain() && !text.is_empty() {
                // Writing to a `String` cannot fail.
                let _ = write!(rendered, "{style}{text}{style:#}");
            } else {
                rendered.push_str(text);
            }
        }
        rendered
    }
}

impl<T: AsRef<str>> From<T> for Text {
    fn from(text: T) -> Self {
        Self::plain(text)
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn hostile_text_is_harmless_as_soon_as_it_is_text() {
        let text = Text::plain("a\x1b]0;x\x07b").then("\u{202E}c").then_styled("\n", Style::new());
        assert_eq!(text.render(true), "abc␊");
    }

    #[test]
    fn styles_are_rendered_only_where_wanted() {
        let red = AnsiColor::Red.on_default();
        let text = Text::styled("no", red).then(" yes");
        assert_eq!(text.render(false), "no yes");
        assert_eq!(text.render(true), "\u{1b}[31mno\u{1b}[0m yes");
    }

    #[test]
    fn a_cut_goes_through_the_pieces() {
        let text = || Text::plain("abc").then("def").then("ghi");
        let cut = |columns| text().cut(columns).render(false);
        assert_eq!(cut(9), "abcdefghi");
        assert_eq!(cut(8), "abcdefg…");
        assert_eq!(cut(6), "abcde…");
        assert_eq!(cut(4), "abc…");
        assert_eq!(cut(3), "ab…");
        assert_eq!(cut(1), "…");
        assert_eq!(cut(0), "");
    }

    #[test]
    fn a_sentence_is_broken_between_words() {
        let wrapped = |columns| -> Vec<String> {
            let text = Text::plain("one two ").then("three").then(" incomprehensible");
            text.wrapped(columns).iter().map(|line| line.render(false)).collect()
        };
        assert_eq!(wrapped(None), ["one two three incomprehensible"]);
        assert_eq!(wrapped(Some(30)), ["one two three incomprehensible"]);
        assert_eq!(wrapped(Some(13)), ["one two three", "incomprehens…"]);
        assert_eq!(wrapped(Some(4)), ["one", "two", "thr…", "inc…"]);
    }

    #[test]
    fn padding_counts_columns_not_characters() {
        assert_eq!(Text::plain("日本").padded(6).render(false), "日本  ");
        assert_eq!(Text::plain("abc").padded(2).render(false), "abc");
    }
}
