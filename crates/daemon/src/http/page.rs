//! Pages of a list. A page token remembers the last item that was given, so that what comes and
//! goes between two pages neither repeats nor hides another item.

use std::hash::{DefaultHasher, Hash, Hasher};

use api::limits::PAGE_ITEMS_MAX;
use api::list::ListQuery;
use api::query::Query;

use super::problem::Problem;

/// One page of a list, and the token of the next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<I> {
    pub(crate) items: Vec<I>,
    pub(crate) next: Option<String>,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    /// The query it belongs to.
    query: u64,
    /// The last item of the page before.
    last: u64,
    /// How many items came before, for when that item is gone.
    offset: usize,
}

impl Token {
    fn write(self) -> String {
        format!("{:016x}{:016x}{:x}", self.query, self.last, self.offset)
    }

    fn read(text: &str) -> Option<Self> {
        let part = |range| u64::from_str_radix(text.get(range)?, 16).ok();
        let offset = usize::from_str_radix(text.get(32..)?, 16).ok()?;
        let token = Self { query: part(0..16)?, last: part(16..32)?, offset };
        // Only what was written is read: no signs, no capitals, no leading zeros.
        (token.write() == text).then_some(token)
    }
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Cuts the asked page out of a sorted list. `kind` tells lists of the same query apart.
pub(crate) fn cut<I, K: Hash>(
    items: Vec<I>,
    query: &ListQuery,
    kind: &str,
    key: impl Fn(&I) -> K,
) -> Result<Page<I>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_ITEMS_MAX) as usize;
    let whole = ListQuery { limit: None, page: None, ..query.clone() };
    let belongs_to = digest(&(kind, whole.to_query_string()));
    let begin = match &query.page {
        None => 0,
        Some(text) => {
            let token = Token::read(text).filter(|token| token.query == belongs_to);
            let foreign = || Problem::field("page", "is not the `next_page` of this query");
            let token = token.ok_or_else(foreign)?;
            let after_last = items.iter().position(|item| digest(&key(item)) == token.last);
            after_last.map_or(token.offset, |place| place + 1)
        }
    };
    let total = items.len();
    let end = begin.saturating_add(limit).min(total);
    let items: Vec<I> = items.into_iter().skip(begin).take(limit).collect();
    let next = items
        .last()
        .filter(|_| end < total)
        .map(|last| Token { query: belongs_to, last: digest(&key(last)), offset: end }.write());
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: u32, page: Option<String>) -> ListQuery {
        ListQuery { limit: Some(limit), page, ..ListQuery::default() }
    }

    fn page(items: &[u32], limit: u32, token: Option<String>) -> Page<u32> {
        cut(items.to_vec(), &query(limit, token), "panes", |item| *item).unwrap()
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
        assert_eq!(page(&[10, 30, 40], 2, first.next.clone()).items, [40], "its own item is gone");
        assert_eq!(page(&[], 2, first.next).items, [0; 0]);
    }

    #[test]
    fn a_token_of_another_query_is_refused() {
        let token = page(&[1, 2, 3], 1, None).next.unwrap();
        let other = ListQuery { page: Some(token.clone()), ..ListQuery::default() };
        assert!(cut(vec![1, 2, 3], &other, "windows", |item| *item).is_err());
        for bad in ["", "x", "0", &token.to_uppercase(), &format!("{token}0000000000000000000")] {
            let query = query(1, Some(bad.to_owned()));
            let refused = cut(vec![1, 2, 3], &query, "panes", |item| *item);
            assert!(refused.is_err() || bad == token, "{bad}");
        }
    }
}
