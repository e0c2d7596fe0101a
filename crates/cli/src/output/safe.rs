//! Makes text from outside harmless before a terminal sees it.
//!
//! Names, titles, paths and messages come from whoever runs something in a pane. A terminal that is
//! sent their escape sequences, direction marks or control characters would obey them: it would
//! hide what is true, or answer as if somebody had typed.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// How many marks without a width of their own may follow one character. Real writing needs two or
/// three; a stack of hundreds paints over its neighbours.
const MARKS_MAX: usize = 4;

/// The text as one line that a terminal shows and does not obey. Line ends and tabs become
/// visible; escape sequences, control characters and marks that change the reading direction are
/// left out.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut filter = Filter::default();
    vte::Parser::new().advance(&mut filter, text.as_bytes());
    Cow::Owned(filter.text)
}

/// The same with colours and attributes, which end with the line.
pub(crate) fn painted(text: &str) -> Cow<'_, str> {
    let mut filter = Filter { keeps_paint: true, ..Filter::default() };
    vte::Parser::new().advance(&mut filter, text.as_bytes());
    if filter.is_painted {
        filter.text.push_str("\x1b[0m");
    }
    Cow::Owned(filter.text)
}

/// Collects what is left when escape sequences are taken out.
#[derive(Default)]
struct Filter {
    text: String,
    /// Marks since the last character that has a width.
    marks: usize,
    keeps_paint: bool,
    is_painted: bool,
}

impl vte::Perform for Filter {
    fn print(&mut self, c: char) {
        if is_obeyed(c) {
            return;
        }
        if c.width() == Some(0) {
            self.marks += 1;
            if self.text.is_empty() || self.marks > MARKS_MAX {
                return;
            }
        } else {
            self.marks = 0;
        }
        self.text.push(c);
    }

    fn execute(&mut self, byte: u8) {
        let visible = match byte {
            b'\n' => '\u{240A}',
            b'\t' => '\u{2409}',
            b'\r' => '\u{240D}',
            _ => return,
        };
        self.marks = 0;
        self.text.push(visible);
    }

    fn csi_dispatch(&mut self, params: &vte::Params, marks: &[u8], ignored: bool, action: char) {
        if !self.keeps_paint || ignored || !marks.is_empty() || action != 'm' {
            return;
        }
        let param =
            |values: &[u16]| values.iter().map(u16::to_string).collect::<Vec<_>>().join(":");
        let params: Vec<String> = params.iter().map(param).collect();
        self.text.extend(["\x1b[", &params.join(";"), "m"]);
        self.is_painted = true;
    }
}

/// Whether a terminal, or a reader's eye, would take the character for something else than text.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Direction: marks, embeddings, overrides, isolates.
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            // Line ends of Unicode's own.
            | '\u{2028}' | '\u{2029}'
            // Nothing at all to see: blanks without width, and the alphabet of tags.
            | '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What terminals obey, or what makes a reader see something else (S-18).
    const CORPUS: &[(&str, &str)] = &[
        ("plain text", "plain text"),
        ("naïve 日本語 🦀", "naïve 日本語 🦀"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;Y2F0IC9ldGMvcGFzc3dk\x07after", "after"),
        ("\x1b]52;c;Y2F0\x1b\\after", "after"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP+q544e\x1b\\after", "after"),
        ("\x1b[20t\x1b[21t\x1b[6n\x1b[c\x1b[>cafter", "after"),
        ("\x1b_app\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\after", "after"),
        ("\u{9b}31mred", "31mred"),
        ("\u{9d}0;title\u{9c}after", "0;titleafter"),
        ("\u{90}q\u{9c}\u{85}\u{8d}after", "qafter"),
        ("abc\u{202E}txt.exe", "abctxt.exe"),
        ("\u{2066}\u{2067}\u{2068}\u{2069}\u{200E}\u{200F}\u{061C}x", "x"),
        ("two\nlines\r\n\ttab", "two␊lines␍␊␉tab"),
        ("bell\x07back\x08del\x7f\0nul", "bellbackdelnul"),
        ("zero\u{200B}\u{FEFF}width", "zerowidth"),
        ("hidden\u{E0041}\u{E0042}", "hidden"),
        ("e\u{301}", "e\u{301}"),
        ("z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}", "z\u{301}\u{302}\u{303}\u{304}"),
        ("\u{301}\u{301}on nothing", "on nothing"),
        ("unfinished \x1b[38;5;", "unfinished "),
        ("unfinished \x1b]0;swallows the rest", "unfinished "),
        ("\u{2028}\u{2029}", ""),
    ];

    fn is_harmless(text: &str) -> bool {
        !text.chars().any(is_obeyed)
    }

    #[test]
    fn s_18_nothing_of_the_corpus_reaches_the_terminal_as_more_than_text() {
        for (hostile, shown) in CORPUS {
            assert_eq!(line(hostile), *shown, "{hostile:?}");
            assert!(is_harmless(&line(hostile)), "{hostile:?}");
        }
    }

    #[test]
    fn s_18_of_what_a_pane_shows_only_its_paint_is_kept() {
        for (hostile, shown) in CORPUS {
            let paint = painted(hostile);
            let plain = line(&paint);
            assert_eq!(plain, *shown, "{hostile:?}");
            for sequence in paint.split('\x1b').skip(1) {
                let end = sequence.find(|c: char| !c.is_ascii_digit() && !"[;:".contains(c));
                assert_eq!(sequence.chars().nth(end.unwrap()), Some('m'), "{hostile:?}");
            }
        }
        assert_eq!(painted("\x1b[1;38:5:9mx"), "\x1b[1;38:5:9mx\x1b[0m");
    }

    #[test]
    fn a_title_of_ten_thousand_marks_stays_as_wide_as_its_letters() {
        let title = format!("a{}b", "\u{489}".repeat(10_000));
        assert_eq!(line(&title).chars().count(), 2 + MARKS_MAX);
    }

    proptest! {
        #[test]
        fn s_18_no_text_whatever_is_obeyed(text in any::<String>()) {
            prop_assert!(is_harmless(&line(&text)));
        }

        #[test]
        fn s_18_no_mixture_of_the_corpus_is_obeyed(
            parts in proptest::collection::vec(0..CORPUS.len(), 1..12),
            cut in 0usize..64,
        ) {
            let mixed: String = parts.iter().map(|part| CORPUS[*part].0).collect();
            let cut: String = mixed.chars().skip(cut).collect();
            prop_assert!(is_harmless(&line(&cut)), "{cut:?}");
        }

        #[test]
        fn what_is_harmless_already_stays_as_it_is(text in "[ -~äöü日本語]{0,40}") {
            prop_assert_eq!(line(&text), text.as_str());
        }

        #[test]
        fn twice_is_no_different_from_once(text in any::<String>()) {
            let once = line(&text).into_owned();
            prop_assert_eq!(line(&once), once.as_str());
        }
    }
}
