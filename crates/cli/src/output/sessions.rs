//! Sessions as a table.

use std::collections::BTreeMap;

use api::list::List;
use api::sessions::{AgentSummary, SessionItem};
use api::words::DisplayCategory;

use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::windows::{count, top};

/// The list of sessions.
pub(crate) fn lines(list: &List<SessionItem>, width: Option<usize>) -> Vec<Text> {
    let several_targets = list.requested_targets.len() > 1;
    list::lines(list, "sessions", table(&list.items, several_targets).lines(width))
}

/// The same sessions as a table; with their targets if that tells them apart.
pub(crate) fn table(items: &[SessionItem], several_targets: bool) -> Table {
    let mut table = Table::new([
        Column::fixed("SESSION").down_to(10),
        Column::fixed("STATE").down_to(7),
        Column::yielding("PANES", 1),
        Column::yielding("WINDOWS", 5),
        Column::yielding("ATTACHED", 6),
        Column::yielding("COUNTS", 3).down_to(10),
        Column::yielding("TARGET", 2),
        Column::yielding("AGENTS", 4).down_to(12),
    ]);
    for item in items {
        table.row([
            Text::plain(&item.identity.session_name),
            top(item.top_state, item.top_category),
            Text::plain(item.total_panes.to_string()),
            Text::plain(item.total_windows.to_string()),
            count(item.attached),
            Text::plain(counts(&item.by_category)),
            Text::plain(if several_targets { targets(item) } else { String::new() }),
            Text::plain(agents(item.agents.as_deref().unwrap_or_default())),
        ]);
    }
    table
}

fn counts(by_category: &BTreeMap<DisplayCategory, u64>) -> String {
    let some = by_category.iter().filter(|(_, number)| **number > 0);
    some.map(|(category, number)| format!("{number} {category}")).collect::<Vec<_>>().join(", ")
}

/// The target, or each target's share of a merged session.
fn targets(item: &SessionItem) -> String {
    match &item.targets[..] {
        [only] => only.target.to_string(),
        several => {
            let shares = several.iter().map(|it| format!("{} {}", it.total_panes, it.target));
            shares.collect::<Vec<_>>().join(", ")
        }
    }
}

fn agents(summaries: &[AgentSummary]) -> String {
    let said = summaries.iter().filter(|it| it.agent_type != api::list::NO_AGENT);
    let said = said.map(|it| format!("{} {} {}", it.total, it.agent_type, it.top_state));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::{self, shown};

    #[test]
    fn sessions_fit_40_80_and_120_columns() {
        let list = fixtures::sessions();
        insta::assert_snapshot!(shown(&lines(&list, Some(120))), @r"
        SESSION                          STATE    PANES  WINDOWS  ATTACHED  COUNTS            TARGET            AGENTS
        work                             running  5      3        1         2 running, 3 un…  3 local, 2 build  2 claude running
        100%␉日本語の長い名前のセッシ…   running  5      3        1         2 running, 3 un…  local             2 claude running
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(80))), @r"
        SESSION                       STATE    PANES  COUNTS            TARGET
        work                          running  5      2 running, 3 un…  3 local, 2 build
        100%␉日本語の長い名前のセッ…  running  5      2 running, 3 un…  local
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(40))), @r"
        SESSION                   STATE    PANES
        work                      running  5
        100%␉日本語の長い名前の…  running  5
        ");
    }
}
