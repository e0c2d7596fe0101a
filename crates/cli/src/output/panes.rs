//! Panes as a table.

use api::Timestamp;
use api::agents::AgentDetails;
use api::list::List;
use api::panes::PaneItem;
use api::words::{AgentPresence, State};

use crate::output::list;
use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::time::{age, span};

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
        Column::yielding("FOR", 2),
        Column::yielding("AGENT", 1).down_to(6),
        Column::yielding("WHERE", 4).down_to(8),
        Column::yielding("WHAT", 5).down_to(12),
        // Two servers have panes of the same id.
        Column::yielding("TARGET", 1),
        Column::yielding("WAITED", 6),
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
            if item.agent_type.is_some() { what(item) } else { command(item) },
            Text::plain(target),
            waited(item, now),
            last_known(item, now),
            Text::plain(title(item)),
            Text::styled(&item.current_path, style::QUIET),
        ]);
    }
    table
}

/// What a pane calls itself. Until a program says otherwise tmux has it called after the machine,
/// which tells nobody anything.
pub(crate) fn title(item: &PaneItem) -> &str {
    let title = item.pane_title.as_str();
    let is_of_machine = rustix::system::uname().nodename().to_bytes() == title.as_bytes();
    if is_of_machine { "" } else { title }
}

/// Where a pane is, as tmux and `qd explain` take it: `work:2.1`.
pub(crate) fn place(item: &PaneItem) -> String {
    format!("{}:{}.{}", item.identity.session_name, item.window_index, item.pane_index)
}

pub(crate) fn state(item: &PaneItem) -> Text {
    // Where the target is not seen, an agent may run there by now.
    if item.agent_presence == AgentPresence::None && is_without_agent(item) {
        return Text::styled("no agent", style::QUIET);
    }
    Text::styled(item.state.as_str(), style::of_state(item.state))
}

/// What an agent waits for, does, or said last, whichever matters in its state.
pub(crate) fn what(item: &PaneItem) -> Text {
    let Some(agent) = &item.agent else { return Text::new() };
    let plain = |text: &Option<String>| text.as_deref().map(Text::plain);
    let told = match item.state {
        State::WaitingApproval | State::WaitingInput => plain(&agent.ask).or_else(|| tool(agent)),
        State::Running => tool(agent),
        State::Error | State::Completed => plain(&agent.last_message),
        State::Idle | State::Unknown => None,
    };
    told.unwrap_or_else(|| reason(item))
}

/// For how long an agent waited for somebody in all, where that is more than the wait that goes on.
fn waited(item: &PaneItem, now: Timestamp) -> Text {
    let over = item.agent.as_ref().map_or(0, |agent| agent.waited_ms);
    let waits = matches!(item.state, State::WaitingApproval | State::WaitingInput);
    let goes_on = if waits { item.state_since.age_ms(now) } else { 0 };
    if over == 0 { Text::new() } else { Text::plain(span(over + goes_on)) }
}

/// The tool at work and what it works on.
fn tool(agent: &AgentDetails) -> Option<Text> {
    let tool = agent.tool.as_deref()?;
    Some(match agent.tool_input.as_deref() {
        Some(input) => Text::plain(format!("{tool}: {input}")),
        None => Text::plain(tool),
    })
}

/// The reason of a state, in words, where it says more than the state does.
fn reason(item: &PaneItem) -> Text {
    const PLAIN: &[&str] = &[
        "active",
        "idle",
        "approval_requested",
        "input_required",
        "task_completed",
        "turn_over",
        "completed_demoted",
        "no_agent",
    ];
    let code = item.reason_code.as_str();
    let words = if PLAIN.contains(&code) { String::new() } else { code.replace('_', " ") };
    Text::styled(words, style::QUIET)
}

/// What was known before the state became unknown.
pub(crate) fn last_known(item: &PaneItem, now: Timestamp) -> Text {
    let last = item.last_known.as_ref().filter(|_| item.state == State::Unknown);
    let said = last.map(|it| format!("{} {} ago", it.state, age(it.at, now)));
    Text::styled(said.unwrap_or_default(), style::QUIET)
}

/// Whether nothing is known about an agent because there is none; where a target is not seen, because
/// there was none as long as it was.
pub(crate) fn is_without_agent(item: &PaneItem) -> bool {
    let none = match item.agent_presence {
        AgentPresence::None => true,
        AgentPresence::Unknown => item.agent_type.is_none() && item.last_known.is_none(),
        AgentPresence::Managed => false,
    };
    none && item.state == State::Unknown
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
        PANE  STATE             FOR  AGENT      WHERE                 WHAT              TARGET  LAST KNOWN      TITLE
        %3    running           2m   claude     work:1.0              Bash: cargo test  local                   Refactoring the…
        %4    waiting_approval  3m   claude     work:2.0              Bash: rm -rf bu…  local                   Cleaning
        %5    no agent          2h              work:3.0              zsh               local                   deck
        %6    no agent          2h              work:4.0              zsh               local                   deck
        %7    error             30s  codex      日本語の長い名前の…                     local                   panic
        %9    unknown           1m   codex      api:2.0                                 local   running 2m ago  codex
        %10   no agent          2h              api:1.0               zsh               local                   deck
        %11   no agent          2h              api:3.0               vim               local                   deck
        %12   no agent          2h              api:4.0               dead, status 1    local                   deck
        %20   idle              1h   claude31m  evil session:0.0                        local                   two␊lines␉tab
        %3    waiting_input     11m  gemini     work:1.0                                build                   Which?
        %4    no agent          2h              work:2.0              zsh               build                   deck
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(80))), @r"
        PANE  STATE             FOR  AGENT      WHERE             WHAT            TARGET
        %3    running           2m   claude     work:1.0          Bash: cargo t…  local
        %4    waiting_approval  3m   claude     work:2.0          Bash: rm -rf …  local
        %5    no agent          2h              work:3.0          zsh             local
        %6    no agent          2h              work:4.0          zsh             local
        %7    error             30s  codex      日本語の長い名…                   local
        %9    unknown           1m   codex      api:2.0                           local
        %10   no agent          2h              api:1.0           zsh             local
        %11   no agent          2h              api:3.0           vim             local
        %12   no agent          2h              api:4.0           dead, status 1  local
        %20   idle              1h   claude31m  evil session:0.0                  local
        %3    waiting_input     11m  gemini     work:1.0                          build
        %4    no agent          2h              work:2.0          zsh             build
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(40))), @r"
        PANE  STATE             AGENT     TARGET
        %3    running           claude    local
        %4    waiting_approval  claude    local
        %5    no agent                    local
        %6    no agent                    local
        %7    error             codex     local
        %9    unknown           codex     local
        %10   no agent                    local
        %11   no agent                    local
        %12   no agent                    local
        %20   idle              claude3…  local
        %3    waiting_input     gemini    build
        %4    no agent                    build
        ");
    }
}
