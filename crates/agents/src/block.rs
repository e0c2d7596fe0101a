//! A text as a dialog shows it: line under line, broken where a line became too long for its place.
//!
//! A person judges what stands there, so nothing is skipped and nothing is guessed: a break counts
//! as one of the dialog's own only where the next word would not have fitted, and whatever else
//! differs, differs.

use crate::redact;

/// Lines of a dialog that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    lines: Vec<String>,
    /// How many characters a line can have here.
    width: usize,
}

impl Block {
    /// Lines that all begin behind the same margin.
    pub(crate) fn new<'a>(
        lines: impl IntoIterator<Item = &'a str>,
        margin: usize,
        width: usize,
    ) -> Self {
        let inner = |line: &str| line.chars().skip(margin).collect::<String>();
        let lines = lines.into_iter().filter(|line| !line.trim().is_empty()).map(inner);
        Self { lines: lines.collect(), width }
    }

    /// Whether it shows this text: all of it, and nothing else. Empty lines say nothing.
    pub(crate) fn is(&self, text: &str) -> bool {
        // What was redacted in the one is in the other as well.
        let mut shown = self.lines.iter().map(|line| match text.contains(redact::MARK) {
            true => redact::text(line.trim_end()),
            false => line.trim_end().to_owned(),
        });
        let mut told = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        told.all(|line| self.is_line(&mut shown, line)) && shown.next().is_none()
    }

    /// Takes the lines that show one line of the text. What a tab looks like depends on where it
    /// stands, so that beside one all blanks count alike.
    fn is_line(&self, shown: &mut impl Iterator<Item = String>, told: &str) -> bool {
        let even = |line: &str| match told.contains('\t') {
            true => line.split_whitespace().collect::<Vec<_>>().join(" "),
            false => line.to_owned(),
        };
        let told = even(told);
        let mut rest = told.as_str();
        loop {
            let Some(line) = shown.next().map(|line| even(&line)) else { return false };
            let Some(behind) = rest.strip_prefix(line.as_str()) else { return false };
            if behind.is_empty() {
                return true;
            }
            let next = behind.trim_start();
            let word = next.split_whitespace().next().unwrap_or_default();
            let length = line.chars().count();
            // A word is broken where nothing more fits, a line before the word that does not.
            let needs = if next.len() == behind.len() { 1 } else { 1 + word.chars().count() };
            if length + needs <= self.width {
                return false;
            }
            rest = next;
        }
    }
}

/// The one frame among some lines, with what stands in it.
pub(crate) fn framed(lines: &[&str]) -> Option<Block> {
    let mut edges = lines.iter().enumerate().filter(|(_, line)| {
        let line = line.trim();
        line.starts_with(['╭', '╰']) && line.ends_with(['╮', '╯'])
    });
    let (top, edge) = edges.next()?;
    let (bottom, _) = edges.next()?;
    if edges.next().is_some() {
        return None;
    }
    let inner = |line: &&str| {
        let line = line.trim().strip_prefix('│')?.strip_suffix('│')?;
        Some(line.strip_prefix(' ')?.trim_end().to_owned())
    };
    let lines: Option<Vec<String>> = lines[top + 1..bottom].iter().map(inner).collect();
    // On either side the frame, and a blank.
    let width = edge.trim().chars().count().saturating_sub(4);
    Some(Block::new(lines?.iter().map(String::as_str), 0, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(lines: &str, text: &str) -> bool {
        Block::new(lines.lines(), 2, 20).is(text)
    }

    #[test]
    fn a_text_is_shown_by_its_lines_and_by_nothing_more_less_or_other() {
        assert!(shows("  touch a\n\n    b\n", "touch a\n  b"));
        assert!(!shows("  touch a && b", "touch a"), "more");
        assert!(!shows("  touch a", "touch a && b"), "less");
        assert!(!shows("  touch a\n  b", "touch a"), "a line more");
        assert!(!shows("  rm / tmp/x", "rm /tmp/x"), "a blank more");
        assert!(!shows("  rm /tmp/x", "rm / tmp/x"), "a blank less");
        assert!(!shows("", "touch a"));
        assert!(shows("          touch   b", "\ttouch   b"), "a tab is drawn as blanks");
    }

    #[test]
    fn only_a_break_that_the_place_asks_for_is_the_dialogs_own() {
        let text = "echo aaaaaaaa bbbbbbbb ccc";
        assert!(shows("  echo aaaaaaaa\n  bbbbbbbb ccc", text));
        assert!(!shows("  echo aaaaaaaa bbbbbbbb\n  ccc", "echo aaaaaaaa\nbbbbbbbb ccc"));
        assert!(!shows("  echo a\n  rm b", "echo a rm b"), "it would have fitted: two commands");
        let word = "x".repeat(25);
        let broken = format!("  {}\n  {}", &word[..20], &word[20..]);
        assert!(shows(&broken, &word));
        assert!(!shows(&broken, &format!("{} {}", &word[..19], &word[19..])));
        assert!(!shows("  rm /\n  tmp", "rm /tmp"), "no word is broken where it fits");
    }
}
