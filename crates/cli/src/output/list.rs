//! What every list says around its table.

use api::list::List;

use crate::output::style;
use crate::output::text::Text;

/// The table of a list, or a sentence in its place, and what is missing from it.
pub(crate) fn lines<I>(list: &List<I>, what: &str, table: Vec<Text>) -> Vec<Text> {
    let mut lines = if list.items.is_empty() {
        let narrowed = list.filters != api::filters::Filters::default();
        let fitting = if narrowed { " fit the filters" } else { "" };
        // Where something could not be asked, what is not seen may be there all the same.
        let known = if list.partial { " are known now" } else { fitting };
        vec![Text::plain(format!("No {what}{known}."))]
    } else {
        table
    };
    if let Some(page) = &list.next_page {
        lines.push(Text::styled(format!("There are more: --page {page}"), style::QUIET));
    }
    lines.extend(trouble(list));
    lines
}

/// The targets that could not answer, one line each.
pub(crate) fn trouble<I>(list: &List<I>) -> Vec<Text> {
    let line = |error: &api::list::TargetError| {
        Text::styled("! ", style::ERROR)
            .then(error.target.as_str())
            .then(": ")
            .then(&error.message)
            .then_styled(format!(" [{}]", error.code), style::QUIET)
    };
    list.target_errors.iter().map(line).collect()
}
