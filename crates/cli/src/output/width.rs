//! How many columns a text takes, and how to make it take fewer.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the part that was cut off.
pub(crate) const ELLIPSIS: char = '…';

/// How many columns the text takes at most. Terminals differ about what follows an emoji; the
/// larger number keeps the line from wrapping on any of them.
pub(crate) fn of(text: &str) -> usize {
    clusters(text).map(width_of_cluster).sum()
}

/// The longest beginning of the text that fits.
pub(crate) fn head(text: &str, width: usize) -> &str {
    let (mut end, mut used) = (0, 0);
    for cluster in clusters(text) {
        used += width_of_cluster(cluster);
        if used > width {
            break;
        }
        end += cluster.len();
    }
    text.get(..end).unwrap_or_default()
}

/// A character with the marks that belong to it; these are never separated.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut indices = rest.char_indices();
        indices.next()?;
        let end = indices.find(|(_, c)| c.width() != Some(0)).map_or(rest.len(), |(at, _)| at);
        let (cluster, after) = rest.split_at(end);
        rest = after;
        Some(cluster)
    })
}

fn width_of_cluster(cluster: &str) -> usize {
    let sum: usize = cluster.chars().filter_map(|c| c.width()).sum();
    sum.max(cluster.width())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_marks_none() {
        assert_eq!(of("abc"), 3);
        assert_eq!(of("日本"), 4);
        assert_eq!(of("e\u{301}"), 1);
        assert_eq!(of("❤\u{FE0F}"), 2);
    }

    #[test]
    fn a_head_never_separates_a_mark_or_halves_a_wide_character() {
        assert_eq!(head("abcdef", 6), "abcdef");
        assert_eq!(head("abcdef", 4), "abcd");
        assert_eq!(head("日本語", 5), "日本");
        assert_eq!(head("日本語", 3), "日");
        assert_eq!(head("e\u{301}e\u{301}e\u{301}", 1), "e\u{301}");
        assert_eq!(head("abc", 0), "");
    }

    proptest! {
        #[test]
        fn a_head_fits_and_is_as_long_as_it_can_be(
            text in "[a-c日本e\u{301}❤\u{FE0F}🦀]{0,30}",
            width in 0usize..20,
        ) {
            let head = head(&text, width);
            prop_assert!(of(head) <= width);
            prop_assert!(head.len() == text.len() || of(head) + 2 > width, "{head:?}");
        }
    }
}
