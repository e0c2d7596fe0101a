//! The difference of two texts, as `diff -u` shows it.

use std::ops::Range;

use crate::output::style;
use crate::output::text::Text;

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

/// How large the table may grow by which the fewest changes are found. Beyond it, everything
/// between the first and the last difference counts as changed.
const CELLS_MAX: usize = 4_000_000;

/// A stretch of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    Gone,
    New,
}

/// The difference; empty if there is none.
pub(crate) fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let (old, new) = (lines(before.unwrap_or_default()), lines(after.unwrap_or_default()));
    let steps = steps(&old, &new);
    let name = |side: Option<&str>| if side.is_some() { path } else { "/dev/null" }.to_owned();
    let mut out = String::new();
    for hunk in hunks(&steps) {
        if out.is_empty() {
            out = format!("--- {}\n+++ {}\n", name(before), name(after));
        }
        out += &shown(&steps, hunk, &old, &new);
    }
    out
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

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The way from one to the other, line by line.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut steps = vec![Step::Same; head];
    steps.extend(middle(old, new));
    steps.extend(vec![Step::Same; tail]);
    steps
}

fn middle(old: &[&str], new: &[&str]) -> Vec<Step> {
    let width = new.len() + 1;
    if (old.len() + 1).saturating_mul(width) > CELLS_MAX {
        return [vec![Step::Gone; old.len()], vec![Step::New; new.len()]].concat();
    }
    // How many lines are common from each pair of places to the ends.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            common[a * width + b] = if old[a] == new[b] {
                common[(a + 1) * width + b + 1] + 1
            } else {
                common[(a + 1) * width + b].max(common[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut steps = Vec::new();
    while a < old.len() || b < new.len() {
        if a < old.len() && b < new.len() && old[a] == new[b] {
            steps.push(Step::Same);
            (a, b) = (a + 1, b + 1);
        } else if b == new.len()
            || a < old.len() && common[(a + 1) * width + b] >= common[a * width + b + 1]
        {
            steps.push(Step::Gone);
            a += 1;
        } else {
            steps.push(Step::New);
            b += 1;
        }
    }
    steps
}

/// The stretches of steps that are shown: changes, with what stands around them.
fn hunks(steps: &[Step]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for at in (0..steps.len()).filter(|at| steps[*at] != Step::Same) {
        let range = at.saturating_sub(CONTEXT)..(at + 1 + CONTEXT).min(steps.len());
        match hunks.last_mut() {
            Some(last) if range.start <= last.end => last.end = range.end,
            _ => hunks.push(range),
        }
    }
    hunks
}

fn shown(steps: &[Step], hunk: Range<usize>, old: &[&str], new: &[&str]) -> String {
    let count = |steps: &[Step], but: Step| steps.iter().filter(|step| **step != but).count();
    let (before, inside) = (&steps[..hunk.start], &steps[hunk]);
    let (mut a, mut b) = (count(before, Step::New), count(before, Step::Gone));
    let place =
        |start: usize, length: usize| format!("{},{length}", start + usize::from(length > 0));
    let old_place = place(a, count(inside, Step::New));
    let mut out = format!("@@ -{old_place} +{} @@\n", place(b, count(inside, Step::Gone)));
    for step in inside {
        let (sign, line) = match step {
            Step::Same => (' ', old[a]),
            Step::Gone => ('-', old[a]),
            Step::New => ('+', new[b]),
        };
        a += usize::from(*step != Step::New);
        b += usize::from(*step != Step::Gone);
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
    out
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
        assert_eq!(
            unified("/x", None, Some("a\n")),
            "--- /dev/null\n+++ /x\n@@ -0,0 +1,1 @@\n+a\n"
        );
        assert_eq!(
            unified("/x", Some("a\n"), None),
            "--- /x\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n"
        );
        assert_eq!(unified("/x", Some("a\n"), Some("a\n")), "");
    }

    #[test]
    fn texts_that_are_too_long_to_compare_are_shown_whole() {
        let old: String = (0..2_100).map(|it| format!("a{it}\n")).collect();
        let new: String = (0..2_100).map(|it| format!("b{it}\n")).collect();
        let diff = unified("/x", Some(&old), Some(&new));
        assert!(diff.contains("@@ -1,2100 +1,2100 @@"));
    }
}
