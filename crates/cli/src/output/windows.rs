//! Windows as a table.

use api::list::List;
use api::windows::{WindowItem, WindowPane};
use api::words::{DisplayCategory, State};

use crate::output::list;
use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;

/// The list of windows.
pub(crate) fn lines(list: &List<WindowItem>, width: Option<usize>) -> Vec<Text> {
    list::lines(list, "windows", table(&list.items, list.requested_targets.len() > 1).lines(width))
}

/// The same windows as a table; with their targets if that tells them apart.
pub(crate) fn table(items: &[WindowItem], several_targets: bool) -> Table {
    let mut table = Table::new([
        Column::fixed("WINDOW"),
        Column::fixed("STATE").down_to(7),
        Column::yielding("WHERE", 1).down_to(8),
        Column::yielding("PANES", 3),
        Column::yielding("WAITING", 4),
        Column::yielding("RUNNING", 5),
        Column::yielding("TARGET", 6),
        Column::yielding("NAME", 2).down_to(6),
        Column::yielding("AGENTS", 7).down_to(12),
    ]);
    for item in items {
        let target = if several_targets { item.identity.target.as_str() } else { "" };
        let place = format!("{}:{}", item.identity.session_name, item.window_index);
        table.row([
            Text::plain(&item.identity.window_id),
            top(item.top_state, item.top_category),
            Text::plain(place),
            Text::plain(item.total_panes.to_string()),
            count(item.waiting_count),
            count(item.running_count),
            Text::plain(target),
            Text::plain(&item.window_name),
            Text::plain(agents(item.panes.as_deref().unwrap_or_default())),
        ]);
    }
    table
}

/// The strongest state of a group.
pub(crate) fn top(state: State, category: DisplayCategory) -> Text {
    match category {
        DisplayCategory::Unmanaged => Text::styled("no agent", style::QUIET),
        DisplayCategory::Attention
        | DisplayCategory::Running
        | DisplayCategory::Idle
        | DisplayCategory::Unknown => Text::styled(state.as_str(), style::of_state(state)),
    }
}

/// A number, or nothing in place of a zero.
pub(crate) fn count(number: u64) -> Text {
    if number == 0 { Text::new() } else { Text::plain(number.to_string()) }
}

fn agents(panes: &[WindowPane]) -> String {
    let with = panes.iter().filter_map(|pane| Some((pane, pane.agent_type.as_deref()?)));
    let said = with.map(|(pane, agent)| format!("{} {agent} {}", pane.pane_id, pane.state));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::{self, shown};

    #[test]
    fn windows_fit_40_80_and_120_columns() {
        let list = fixtures::windows();
        insta::assert_snapshot!(shown(&lines(&list, Some(120))), @r"
        WINDOW  STATE             WHERE   PANES  WAITING  RUNNING  NAME       AGENTS
        @1      waiting_approval  work:1  2      1        1        parser     %4 claude waiting_approval
        @2      no agent          work:2  2               1        evil␊name
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(80))), @r"
        WINDOW  STATE             WHERE   PANES  WAITING  RUNNING  NAME
        @1      waiting_approval  work:1  2      1        1        parser
        @2      no agent          work:2  2               1        evil␊name
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(40))), @r"
        WINDOW  STATE             WHERE   NAME
        @1      waiting_approval  work:1  parser
        @2      no agent          work:2  evil␊…
        ");
    }
}
