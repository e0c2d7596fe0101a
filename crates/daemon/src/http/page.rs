//! Pages of a list. A page token remembers where the last item stood that was given, so that what
//! comes and goes between two pages neither repeats nor hides another item.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};

use api::limits::PAGE_ITEMS_MAX;
use api::list::ListQuery;
use api::query::Query;
use engine::ids::hex;
use engine::limits::cut as cut_text;

use super::problem::Problem;
use crate::view::order::{Part, Position, Rank};

/// So much of a text stands in a token. Where names are alike for longer, an item may come again.
const TEXT_BYTES_MAX: usize = 48;

/// One page of a list, and the token of the next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<I> {
    pub(crate) items: Vec<I>,
    pub(crate) next: Option<String>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    /// The query it belongs to.
    query: u64,
    /// The last item of the page before.
    last: u64,
    /// Where that item stood.
    position: Position,
}

impl Token {
    fn write(&self) -> String {
        let position = serde_json::to_vec(&self.position).unwrap_or_default();
        format!("{:016x}{:016x}{}", self.query, self.last, hex(&position))
    }

    fn read(text: &str) -> Option<Self> {
        let part = |range| u64::from_str_radix(text.get(range)?, 16).ok();
        let bytes = text.get(32..)?.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let position = bytes.map(byte).collect::<Option<Vec<u8>>>()?;
        let position = serde_json::from_slice(&position).ok()?;
        let token = Self { query: part(0..16)?, last: part(16..32)?, position };
        // Only what was written is read: no signs, no capitals.
        (token.write() == text).then_some(token)
    }
}

/// A position as far as it stands in a token. What follows a text that was cut does not count: by
/// its beginning alone it may stand before or behind another.
fn shortened(position: Position) -> Position {
    let mut short = Position::new();
    for mut rank in position {
        let (Rank::Rising(parts) | Rank::Falling(Reverse(parts))) = &mut rank;
        let cut = parts.iter_mut().position(shorten);
        if let Some(at) = cut {
            parts.truncate(at + 1);
        }
        short.push(rank);
        if cut.is_some() {
            break;
        }
    }
    short
}

/// Cuts a text; whether another one may begin like it.
fn shorten(part: &mut Part) -> bool {
    let Part::Text(text) = part else { return false };
    cut_text(text, TEXT_BYTES_MAX);
    // A character more may not have fitted.
    text.len() + char::MAX.len_utf8() > TEXT_BYTES_MAX
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Cuts the asked page out of a sorted list. `kind` tells lists of the same query apart; `key` tells
/// an item from all others, and `position` where it stands.
pub(crate) fn cut<I, K: Hash>(
    items: Vec<I>,
    query: &ListQuery,
    kind: &str,
    key: impl Fn(&I) -> K,
    position: impl Fn(&I) -> Position,
) -> Result<Page<I>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_ITEMS_MAX) as usize;
    let whole = ListQuery { limit: None, page: None, ..query.clone() };
    let belongs_to = digest(&(kind, whole.to_query_string()));
    let stands = |item: &I| shortened(position(item));
    let begin = match &query.page {
        None => 0,
        Some(text) => {
            let token = Token::read(text).filter(|token| token.query == belongs_to);
            let foreign = || Problem::field("page", "is not the `next_page` of this query");
            let token = token.ok_or_else(foreign)?;
            let there = items.partition_point(|item| stands(item) < token.position);
            let at = |item: &&I| stands(item) == token.position;
            let last =
                items[there..].iter().take_while(at).position(|it| digest(&key(it)) == token.last);
            last.map_or(there, |place| there + place + 1)
        }
    };
    let total = items.len();
    let end = begin.saturating_add(limit).min(total);
    let items: Vec<I> = items.into_iter().skip(begin).take(limit).collect();
    let next = items.last().filter(|_| end < total).map(|last| {
        Token { query: belongs_to, last: digest(&key(last)), position: stands(last) }.write()
    });
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: u32, page: Option<String>) -> ListQuery {
        ListQuery { limit: Some(limit), page, ..ListQuery::default() }
    }

    fn stands(item: &u32) -> Position {
        vec![Rank::Rising(vec![Part::Number(i64::from(*item))])]
    }

    fn page(items: &[u32], limit: u32, token: Option<String>) -> Page<u32> {
        cut(items.to_vec(), &query(limit, token), "panes", |item| *item, stands).unwrap()
    }

    #[test]
    fn pages_follow_on_from_each_other() {
        let all: Vec<u32> = (0..7).collect();
        let first = page(&all, 3, None);
        let second = page(&all, 3, first.next.clone());
        let third = page(&all, 3, second.next.clone());
        assert_eq!([first.items, second.items, third.items].concat(), all);
        assert_eq!(third.next, None);
        assert_eq!(page(&all, 7, None).next, None, "a full page need not have a next one");
    }

    #[test]
    fn what_comes_and_goes_between_pages_moves_nothing() {
        let first = page(&[10, 20, 30, 40], 2, None);
        assert_eq!(page(&[10, 15, 20, 30, 40], 2, first.next.clone()).items, [30, 40]);
        assert_eq!(page(&[20, 30, 40], 2, first.next.clone()).items, [30, 40]);
        assert_eq!(page(&[10, 30, 40], 2, first.next.clone()).items, [30, 40], "the last is gone");
        assert_eq!(page(&[], 2, first.next).items, [0; 0]);
    }

    /// By a number, then by a name.
    fn named(items: &[(i64, &str)], token: Option<String>) -> Page<(i64, String)> {
        let items: Vec<(i64, String)> =
            items.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
        let stands = |(number, name): &(i64, String)| {
            let falling = Rank::Falling(Reverse(vec![Part::Number(*number)]));
            vec![falling, Rank::Rising(vec![Part::Text(name.clone())])]
        };
        cut(items, &query(2, token), "panes", |(_, name)| name.clone(), stands).unwrap()
    }

    #[test]
    fn an_item_that_moves_takes_no_other_along() {
        let first = named(&[(9, "a"), (9, "b"), (9, "c"), (9, "d")], None);
        let moved = named(&[(9, "a"), (9, "c"), (9, "d"), (1, "b")], first.next);
        assert_eq!(moved.items.iter().map(|it| &*it.1).collect::<Vec<_>>(), ["c", "d"]);
    }

    #[test]
    fn names_that_are_alike_for_long_hide_nothing() {
        let long = |end: &str| "x".repeat(200) + end;
        let (a, b, c) = (long("a"), long("b"), long("c"));
        let first = named(&[(1, &a), (1, &b), (1, &c)], None);
        assert_eq!(named(&[(1, &a), (1, &b), (1, &c)], first.next.clone()).items.len(), 1);
        assert_eq!(named(&[(1, &a), (1, &c)], first.next).items.len(), 2, "one comes again");
    }

    #[test]
    fn a_token_of_another_query_is_refused() {
        let token = page(&[1, 2, 3], 1, None).next.unwrap();
        let other = ListQuery { page: Some(token.clone()), ..ListQuery::default() };
        assert!(cut(vec![1, 2, 3], &other, "windows", |item| *item, stands).is_err());
        for bad in ["", "x", "0", &token.to_uppercase(), &format!("{token}0000000000000000000")] {
            let query = query(1, Some(bad.to_owned()));
            let refused = cut(vec![1, 2, 3], &query, "panes", |item| *item, stands);
            assert!(refused.is_err() || bad == token, "{bad}");
        }
    }
}
