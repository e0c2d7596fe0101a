//! The lower part of a screen: lines of cells with the attributes that tell text from decoration,
//! and how it is read from what tmux prints of a pane.

use unicode_width::UnicodeWidthChar;

/// How a cell is drawn, as far as adapters look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "attributes of a terminal, each its own")]
pub struct Style {
    pub bold: bool,
    /// Faint: how agents draw placeholders and hints.
    pub dim: bool,
    pub italic: bool,
    pub reverse: bool,
    /// It has a colour of its own.
    pub coloured: bool,
}

/// A stretch of one line in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub style: Style,
}

/// One line, without blanks at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub spans: Vec<Span>,
}

impl Line {
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    /// The same as far as this column.
    pub(crate) fn left_of(&self, column: u32) -> Self {
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let (mut line, mut at) = (Self::default(), 0);
        for span in &self.spans {
            for c in span.text.chars() {
                at += c.width().unwrap_or(0);
                if at > column {
                    line.trim();
                    return line;
                }
                line.push(c, span.style);
            }
        }
        line
    }

    fn push(&mut self, c: char, style: Style) {
        match self.spans.last_mut() {
            Some(span) if span.style == style => span.text.push(c),
            Some(_) | None => self.spans.push(Span { text: c.into(), style }),
        }
    }

    /// Takes away the blanks at its end that no style makes visible.
    fn trim(&mut self) {
        while let Some(last) = self.spans.last_mut() {
            if last.style.reverse {
                break;
            }
            last.text.truncate(last.text.trim_end().len());
            if !last.text.is_empty() {
                break;
            }
            self.spans.pop();
        }
    }
}

/// What a pane shows, top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    pub lines: Vec<Line>,
    pub width: u32,
    pub height: u32,
    pub alternate: bool,
    /// Column and row of the cursor, from zero, when it is shown.
    pub cursor: Option<(u32, u32)>,
}

impl Screen {
    /// Reads what `capture-pane -e -p` prints. Any bytes give a screen: what is not text, a line's
    /// end or a change of style is left out.
    pub fn from_capture(bytes: &[u8], width: u32, height: u32) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = vec![Line::default()];
        let mut style = Style::default();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\n' => lines.push(Line::default()),
                '\u{1b}' => escape(&mut rest, &mut style),
                c if c.is_control() => {}
                c => {
                    if let Some(line) = lines.last_mut() {
                        line.push(c, style);
                    }
                }
            }
        }
        // The last line ends like all the others: what follows it is no line of the pane.
        if lines.last().is_some_and(|line| line.spans.is_empty()) {
            lines.pop();
        }
        lines.iter_mut().for_each(Line::trim);
        Self { lines, width, height, ..Self::default() }
    }

    /// The same as far as this column, where something else stands beside it.
    #[must_use]
    pub fn left_of(&self, column: u32) -> Self {
        let lines = self.lines.iter().map(|line| line.left_of(column)).collect();
        Self { lines, width: self.width.min(column), ..*self }
    }
}

/// Skips one escape sequence, taking a change of style from it.
fn escape(rest: &mut std::str::Chars<'_>, style: &mut Style) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            control_sequence(rest, style);
        }
        // Strings, such as the address of a link: they end with `ESC \` or BEL.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            string(rest);
        }
        // The choice of a character set names it in one more character.
        Some('(' | ')' | '*' | '+' | '#' | '%') => {
            ahead.next();
            *rest = ahead;
        }
        Some(c) if !c.is_control() => *rest = ahead,
        // A new sequence or a line's end breaks the old one off.
        Some(_) | None => {}
    }
}

fn control_sequence(rest: &mut std::str::Chars<'_>, style: &mut Style) {
    let body = rest.as_str();
    let inner = |c: char| matches!(c, '\u{20}'..='\u{3f}');
    let Some(end) = body.find(|c| !inner(c)) else {
        *rest = "".chars();
        return;
    };
    let last = body[end..].chars().next().unwrap_or_default();
    if last.is_control() {
        *rest = body[end..].chars();
        return;
    }
    *rest = body[end + last.len_utf8()..].chars();
    if last == 'm' {
        restyle(&body[..end], style);
    }
}

fn string(rest: &mut std::str::Chars<'_>) {
    let body = rest.as_str();
    let end = body.find(['\u{1b}', '\u{7}', '\u{9c}', '\n']).unwrap_or(body.len());
    let tail = &body[end..];
    let tail = tail.strip_prefix("\u{1b}\\").unwrap_or(tail);
    *rest = tail.strip_prefix(['\u{7}', '\u{9c}']).unwrap_or(tail).chars();
}

/// Applies one `SGR`, given its parameters. Those that are not known change nothing.
fn restyle(parameters: &str, style: &mut Style) {
    let mut codes = parameters.split(';');
    while let Some(code) = codes.next() {
        // A colour's own parameters follow with `:` in the same part, or in the next parts.
        let (number, own) = code.split_once(':').unwrap_or((code, ""));
        match number.parse().unwrap_or(if number.is_empty() { 0_u16 } else { u16::MAX }) {
            0 => *style = Style::default(),
            1 => style.bold = true,
            2 => style.dim = true,
            3 => style.italic = true,
            7 => style.reverse = true,
            22 => (style.bold, style.dim) = (false, false),
            23 => style.italic = false,
            27 => style.reverse = false,
            30..=37 | 90..=97 => style.coloured = true,
            39 => style.coloured = false,
            kind @ (38 | 48 | 58) => {
                style.coloured |= kind == 38;
                let skipped = match own.is_empty().then(|| codes.next()).flatten() {
                    Some("5") => 1,
                    Some("2") => 3,
                    Some(_) | None => 0,
                };
                codes.by_ref().take(skipped).for_each(drop);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(bytes: &[u8]) -> Vec<(String, Style)> {
        let screen = Screen::from_capture(bytes, 80, 24);
        screen.lines.into_iter().flat_map(|it| it.spans).map(|it| (it.text, it.style)).collect()
    }

    fn plain(text: &str) -> (String, Style) {
        (text.to_owned(), Style::default())
    }

    #[test]
    fn styles_begin_and_end_where_they_are_said_to() {
        let (bold, dim) =
            (Style { bold: true, ..Style::default() }, Style { dim: true, ..Style::default() });
        let found = spans(b"a\x1b[1mb\x1b[22;2mc\x1b[md");
        let expected = [plain("a"), ("b".into(), bold), ("c".into(), dim), plain("d")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_style_lasts_over_the_end_of_a_line() {
        let dim = Style { dim: true, ..Style::default() };
        assert_eq!(spans(b"\x1b[2ma\nb\n"), [("a".into(), dim), ("b".into(), dim)]);
    }

    #[test]
    fn colours_in_all_their_spellings_take_their_own_parameters_with_them() {
        let red = Style { coloured: true, ..Style::default() };
        for code in ["31", "91", "38;5;1", "38;2;1;2;3", "38:5:1", "38:2::1:2:3"] {
            let text = format!("\x1b[{code}ma\x1b[39mb");
            assert_eq!(spans(text.as_bytes()), [("a".into(), red), plain("b")], "{code}");
        }
        assert_eq!(spans(b"\x1b[48;5;1ma"), [plain("a")], "a background is no colour of the text");
        assert_eq!(spans(b"\x1b[48;2;1;7;3ma"), [plain("a")], "nor do its numbers reverse it");
    }

    #[test]
    fn lines_are_those_of_the_pane_without_blanks_at_their_end() {
        let screen = Screen::from_capture(b"one  \n\n  three\n\n", 80, 4);
        let lines: Vec<String> = screen.lines.iter().map(Line::text).collect();
        assert_eq!(lines, ["one", "", "  three", ""]);
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        let hostile =
            b"a\x1b]8;;http://x\x1b\\b\x1b]0;t\x07c\x0ed\x0f\x1b(0e\x1b[99999999999999mf\x00\xff";
        let text: String = spans(hostile).into_iter().map(|it| it.0).collect();
        assert_eq!(text, "abcdef\u{fffd}");
    }

    #[test]
    fn a_sequence_that_is_broken_off_swallows_no_more_than_itself() {
        let read = |bytes: &[u8]| -> Vec<String> {
            Screen::from_capture(bytes, 80, 24).lines.iter().map(Line::text).collect()
        };
        assert_eq!(read(b"a\x1b[1\nb\n"), ["a", "b"]);
        assert_eq!(read(b"a\x1b]8;;x\nb\n"), ["a", "b"]);
        assert_eq!(read(b"a\x1b\nb\n"), ["a", "b"]);
        assert_eq!(read(b"a\x1b[\x1b[2mb\n"), ["ab"]);
        assert_eq!(read(b"a\x1b[1;"), ["a"]);
    }
}
