//! Panes as a table.

use api::Timestamp;
use api::list::List;
use api::panes::PaneItem;
use api::words::{AgentPresence, State};

use crate::output::list;
use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::time::age;

/// The list of panes.
pub(crate) fn lines(list: &List<PaneItem>, width: Option<usize>) -> Vec<Text> {
    let several_targets = list.requested_targets.len() > 1;
    let table = table(&list.items, list.generated_at, several_targets);
    list::lines(list, "panes", table.lines(width))
}

/// The same panes as a table; with their targets if that tells them apart.
pub(crate) fn table(items: &[PaneItem], now: Timestamp, several_targets: bool) -> Table {
    let mut table = Table::new([
        Column::fixed("PANE"),
        Column::fixed("STATE").down_to(7),
        Column::yielding("FOR", 5),
        Column::yielding("AGENT", 3),
        Column::yielding("WHERE", 2).down_to(8),
        Column::yielding("COMMAND", 4).down_to(4),
        // Two servers have panes of the same id.
        Column::yielding("TARGET", 1),
        Column::yielding("LAST KNOWN", 6),
        Column::yielding("TITLE", 7).down_to(8),
        Column::yielding("PATH", 8).down_to(10),
    ]);
    for item in items {
        let target = if several_targets { item.identity.target.as_str() } else { "" };
        table.row([
            Text::plain(&item.identity.pane_id),
            state(item),
            Text::plain(age(item.state_since, now)),
            Text::plain(item.agent_type.as_deref().unwrap_or_default()),
            Text::plain(place(item)),
            command(item),
            Text::plain(target),
            last_known(item, now),
            Text::plain(&item.pane_title),
            Text::styled(&item.current_path, style::QUIET),
        ]);
    }
    table
}

/// Where a pane is, as tmux and `qd explain` take it: `work:2.1`.
pub(crate) fn place(item: &PaneItem) -> String {
    format!("{}:{}.{}", item.identity.session_name, item.window_index, item.pane_index)
}

pub(crate) fn state(item: &PaneItem) -> Text {
    if is_without_agent(item) {
        return Text::styled("no agent", style::QUIET);
    }
    Text::styled(item.state.as_str(), style::of_state(item.state))
}

/// What was known before the state became unknown.
pub(crate) fn last_known(item: &PaneItem, now: Timestamp) -> Text {
    let last = item.last_known.as_ref().filter(|_| item.state == State::Unknown);
    let said = last.map(|it| format!("{} {} ago", it.state, age(it.at, now)));
    Text::styled(said.unwrap_or_default(), style::QUIET)
}

/// Whether nothing is known about an agent because there is none.
pub(crate) fn is_without_agent(item: &PaneItem) -> bool {
    item.agent_presence == AgentPresence::None && item.state == State::Unknown
}

/// The command in the foreground, or how the process ended.
pub(crate) fn command(item: &PaneItem) -> Text {
    if !item.pane_dead {
        return Text::plain(&item.current_cmd);
    }
    let how = match (item.dead_signal, item.dead_status) {
        (Some(signal), _) => format!("dead, signal {signal}"),
        (None, Some(status)) => format!("dead, status {status}"),
        (None, None) => "dead".to_owned(),
    };
    Text::styled(how, style::QUIET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::{self, shown};

    #[test]
    fn panes_fit_40_80_and_120_columns() {
        let list = fixtures::panes();
        insta::assert_snapshot!(shown(&lines(&list, Some(120))), @r"
        PANE  STATE             FOR  AGENT      WHERE                   COMMAND         TARGET  LAST KNOWN      TITLE
        %3    running           2m   claude     work:1.0                node            local                   Refactoring the…
        %4    waiting_approval  3m   claude     work:2.0                node            local                   Bash: rm -rf bu…
        %5    no agent          2h              work:3.0                zsh             local                   deck
        %6    no agent          2h              work:4.0                zsh             local                   deck
        %7    error             30s  codex      日本語の長い名前のセ…   node            local                   panic
        %9    unknown           1m   codex      api:2.0                 node            local   running 2m ago  codex
        %10   no agent          2h              api:1.0                 zsh             local                   deck
        %11   no agent          2h              api:3.0                 vim             local                   deck
        %12   no agent          2h              api:4.0                 dead, status 1  local                   deck
        %20   idle              1h   claude31m  evil session:0.0        node            local                   two␊lines␉tab
        %3    waiting_input     11m  gemini     work:1.0                node            build                   Which?
        %4    no agent          2h              work:2.0                zsh             build                   deck
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(80))), @r"
        PANE  STATE             FOR  AGENT      WHERE             COMMAND         TARGET
        %3    running           2m   claude     work:1.0          node            local
        %4    waiting_approval  3m   claude     work:2.0          node            local
        %5    no agent          2h              work:3.0          zsh             local
        %6    no agent          2h              work:4.0          zsh             local
        %7    error             30s  codex      日本語の長い名…   node            local
        %9    unknown           1m   codex      api:2.0           node            local
        %10   no agent          2h              api:1.0           zsh             local
        %11   no agent          2h              api:3.0           vim             local
        %12   no agent          2h              api:4.0           dead, status 1  local
        %20   idle              1h   claude31m  evil session:0.0  node            local
        %3    waiting_input     11m  gemini     work:1.0          node            build
        %4    no agent          2h              work:2.0          zsh             build
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(40))), @r"
        PANE  STATE             WHERE     TARGET
        %3    running           work:1.0  local
        %4    waiting_approval  work:2.0  local
        %5    no agent          work:3.0  local
        %6    no agent          work:4.0  local
        %7    error             日本語…   local
        %9    unknown           api:2.0   local
        %10   no agent          api:1.0   local
        %11   no agent          api:3.0   local
        %12   no agent          api:4.0   local
        %20   idle              evil se…  local
        %3    waiting_input     work:1.0  build
        %4    no agent          work:2.0  build
        ");
    }
}
