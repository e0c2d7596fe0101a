//! The difference of two texts, as `diff -u` shows it.

use std::time::Duration;

use similar::TextDiff;

use crate::output::style;
use crate::output::text::Text;

/// How long the fewest changes are looked for; after it, more may be shown as changed than is.
const PATIENCE: Duration = Duration::from_secs(1);

/// The difference; empty if there is none.
pub(crate) fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let name = |side: Option<&str>| if side.is_some() { path } else { "/dev/null" }.to_owned();
    let (old, new) = (before.unwrap_or_default(), after.unwrap_or_default());
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    diff.unified_diff().header(&name(before), &name(after)).to_string()
}

/// The difference for people.
pub(crate) fn coloured(diff: &str) -> Vec<Text> {
    let line = |line: &str| {
        let style = match line.as_bytes().first() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => style::TITLE,
            Some(b'+') => style::GOOD,
            Some(b'-') => style::ERROR,
            Some(b'@') => style::QUIET,
            Some(_) | None => return Text::plain(line),
        };
        Text::styled(line, style)
    };
    diff.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_shown_with_what_stands_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n";
        let new = "1\n2\n3\n4\n5\nfive\n6\n7\n8\n9\n10\n11\n12\nlast";
        assert_eq!(
            unified("/x", Some(old), Some(new)),
            "--- /x\n+++ /x\n@@ -3,6 +3,7 @@\n 3\n 4\n 5\n+five\n 6\n 7\n 8\n\
             @@ -10,4 +11,4 @@\n 10\n 11\n 12\n-13\n+last\n\\ No newline at end of file\n"
        );
    }

    #[test]
    fn a_file_comes_and_goes() {
        assert_eq!(unified("/x", None, Some("a\n")), "--- /dev/null\n+++ /x\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified("/x", Some("a\n"), None), "--- /x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n");
        assert_eq!(unified("/x", Some("a\n"), Some("a\n")), "");
    }
}
