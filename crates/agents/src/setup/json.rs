//! JSON as people write it into settings files: read with the place of every value, so that it can
//! be changed without touching a byte of the rest. Comments, trailing commas and a byte order mark
//! are taken as they are.

use std::ops::Range;

use super::Refusal;

/// How deep values may lie in one another.
const DEPTH_MAX: usize = 128;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object(Vec<Entry>),
    Array(Vec<Entry>),
    Text(String),
    /// A number, `true`, `false` or `null`.
    Bare,
}

/// A member of an object or an element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins: at its key, if it has one.
    pub(crate) start: usize,
    /// Empty in an array.
    pub(crate) key: String,
    pub(crate) value: Node,
    /// The comma behind it.
    pub(crate) comma: Option<usize>,
}

impl Node {
    /// The members or elements; none of a plain value.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Object(entries) | Kind::Array(entries) => entries,
            Kind::Text(_) | Kind::Bare => &[],
        }
    }

    /// A member of an object. Of several with one name the last counts, as it does for the agents.
    pub(crate) fn member(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Object(entries) => entries.iter().rev().find(|entry| entry.key == key),
            Kind::Array(_) | Kind::Text(_) | Kind::Bare => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Object(_) | Kind::Array(_) | Kind::Bare => None,
        }
    }
}

/// Reads a text as one value.
pub(crate) fn parse(text: &str) -> Result<Node, Refusal> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut scanner = Scanner { text, at: start, depth: 0 };
    scanner.skip()?;
    let node = scanner.value()?;
    scanner.skip()?;
    if scanner.at < text.len() {
        return Err(scanner.refused("something follows the end"));
    }
    Ok(node)
}

/// The end of the last comment in a stretch between values, or its beginning if there is none.
/// `from` and `to` are places between tokens.
pub(crate) fn end_of_comments(text: &str, from: usize, to: usize) -> usize {
    last_comment(text, from, to).map_or(from, |comment| comment.end)
}

/// Whether the last comment of a stretch goes on to the end of its line.
pub(crate) fn ends_in_line_comment(text: &str, from: usize, to: usize) -> bool {
    last_comment(text, from, to).is_some_and(|comment| text[comment].starts_with("//"))
}

fn last_comment(text: &str, from: usize, to: usize) -> Option<Range<usize>> {
    let mut scanner = Scanner { text: &text[..to], at: from, depth: 0 };
    let (mut last, mut before) = (None, from);
    // It was read before, so it cannot be refused now.
    while let Ok(true) = scanner.comment_behind_blanks() {
        let blanks = text[before..].len() - text[before..].trim_start().len();
        last = Some(before + blanks..scanner.at);
        before = scanner.at;
    }
    last
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn refused(&self, problem: &str) -> Refusal {
        Refusal::at(self.text, self.at, problem)
    }

    /// Blanks and comments.
    fn skip(&mut self) -> Result<(), Refusal> {
        while self.comment_behind_blanks()? {}
        Ok(())
    }

    /// Goes behind the next comment, if only blanks stand before it; else behind the blanks.
    fn comment_behind_blanks(&mut self) -> Result<bool, Refusal> {
        let blanks =
            |rest: &str| rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += blanks(self.rest());
        if self.rest().starts_with("//") {
            self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
            return Ok(true);
        }
        if self.rest().starts_with("/*") {
            let Some(length) = self.rest().find("*/") else {
                return Err(self.refused("this comment has no end"));
            };
            self.at += length + 2;
            return Ok(true);
        }
        Ok(false)
    }

    fn value(&mut self) -> Result<Node, Refusal> {
        let start = self.at;
        let kind = match self.next() {
            Some(b'{') => Kind::Object(self.entries(b'}')?),
            Some(b'[') => Kind::Array(self.entries(b']')?),
            Some(b'"') => Kind::Text(self.string()?),
            Some(_) => self.bare()?,
            None => return Err(self.refused("a value is missing")),
        };
        Ok(Node { span: start..self.at, kind })
    }

    fn entries(&mut self, closer: u8) -> Result<Vec<Entry>, Refusal> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.refused("this lies too deep"));
        }
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            self.skip()?;
            if self.next() == Some(closer) {
                self.at += 1;
                self.depth -= 1;
                return Ok(entries);
            }
            if entries.last().is_some_and(|last| last.comma.is_none()) {
                return Err(self.refused("a comma or the end is missing here"));
            }
            let mut entry = self.entry(closer == b'}')?;
            self.skip()?;
            if self.next() == Some(b',') {
                entry.comma = Some(self.at);
                self.at += 1;
            }
            entries.push(entry);
        }
    }

    fn entry(&mut self, keyed: bool) -> Result<Entry, Refusal> {
        let start = self.at;
        let mut key = String::new();
        if keyed {
            if self.next() != Some(b'"') {
                return Err(self.refused("a name in double quotes is missing"));
            }
            key = self.string()?;
            self.skip()?;
            if self.next() != Some(b':') {
                return Err(self.refused("a colon is missing"));
            }
            self.at += 1;
            self.skip()?;
        }
        Ok(Entry { start, key, value: self.value()?, comma: None })
    }

    fn string(&mut self) -> Result<String, Refusal> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.next() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.refused("a control character in a text")),
                Some(_) => self.at += 1,
                None => return Err(Refusal::at(self.text, start, "this text has no end")),
            }
        }
        self.at += 1;
        let raw = &self.text[start..self.at];
        // Half a surrogate pair is a text for the agents, but for nobody here.
        Ok(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        let rest = self.rest().as_bytes();
        let length = match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.get(2..6).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit)) => {
                6
            }
            Some(_) | None => return Err(self.refused("no such escape")),
        };
        self.at += length;
        Ok(())
    }

    fn bare(&mut self) -> Result<Kind, Refusal> {
        let word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let length = self.rest().find(|c| !word(c)).unwrap_or(self.rest().len());
        let word = &self.rest()[..length];
        if !matches!(word, "true" | "false" | "null") && !is_number(word) {
            return Err(self.refused("no value begins like this"));
        }
        self.at += length;
        Ok(Kind::Bare)
    }
}

fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
        }
        None => (unsigned, true),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, digits(fraction)),
        None => (mantissa, true),
    };
    exponent && fraction && digits(whole) && (whole == "0" || !whole.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (usize, usize) {
        let refused = parse(text).unwrap_err();
        (refused.line, refused.column)
    }

    #[test]
    fn values_are_found_with_their_places() {
        let text = "\u{feff}// x\n{ \"a\" : [1, {\"b\":null},], /* , */ \"a\": \"\\u00e9\" }\n";
        let node = parse(text).unwrap();
        assert_eq!(node.entries().len(), 2);
        let last = node.member("a").unwrap();
        assert_eq!(last.value.text(), Some("é"), "the last of one name counts");
        let list = &node.entries()[0].value;
        assert_eq!(&text[list.span.clone()], "[1, {\"b\":null},]");
        assert!(list.entries()[1].comma.is_some());
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        assert_eq!(refusal(""), (1, 1));
        assert_eq!(refusal("{\n  \"a\": 1\n  \"b\": 2\n}"), (3, 3));
        assert_eq!(refusal("{\"é\": nul}"), (1, 7), "columns are characters");
        assert_eq!(refusal("{} x"), (1, 4));
        assert_eq!(refusal("{a: 1}"), (1, 2));
        assert_eq!(refusal("{\"a\": \"b\n\"}"), (1, 9));
        assert_eq!(refusal("{\"a\": \"b"), (1, 7));
        assert_eq!(refusal("/* x"), (1, 1));
        assert_eq!(refusal("[1,,2]"), (1, 4));
        for number in ["01", "1.", ".5", "1e", "+1", "-", "1ee2", "nul", "True"] {
            assert_eq!(refusal(&format!("[{number}]")), (1, 2), "{number}");
        }
        for number in ["0", "-0.5", "1e999", "12E-3", "true", "false", "null"] {
            assert!(parse(&format!("[{number}]")).is_ok(), "{number}");
        }
        assert!(parse(&"[".repeat(200_000)).is_err(), "and the stack holds");
    }

    #[test]
    fn the_end_of_comments_is_behind_the_last_of_them() {
        let text = "1 /* a */ // b\n  }";
        assert_eq!(end_of_comments(text, 1, text.len() - 1), "1 /* a */ // b".len());
        assert_eq!(end_of_comments("1  }", 1, 3), 1);
    }
}
