//! How acts on panes and their history are told.

use std::fmt::Write as _;

use api::actions::{ActionAnswer, ActionItem, ActionList, ActionType, DeniedItem, ResultCode};
use serde_json::Value;

use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;

/// What became of one action.
pub(crate) fn told(answer: &ActionAnswer) -> Text {
    let action = &answer.action;
    let what = match action.action_type {
        ActionType::Attach => "shown",
        ActionType::Send => "sent",
        ActionType::ViewOutput => "read",
        ActionType::Kill if signal(action).is_some() => "signalled",
        ActionType::Kill => "C-c pressed",
        ActionType::Respond => "answered",
    };
    let said = match answer.result_code {
        ResultCode::Completed => Text::styled(what, style::GOOD),
        ResultCode::NotConfirmed => Text::styled("not confirmed", style::WARNING),
        ResultCode::Pending => Text::styled("waits", style::WARNING),
        ResultCode::Unknown => Text::styled("unknown", style::WARNING),
        ResultCode::Cancelled => Text::styled("cancelled", style::GOOD),
        ResultCode::Refused | ResultCode::Failed => Text::styled("not done", style::ERROR),
    };
    let whom = match signal(action) {
        Some(_) => process(action),
        None => action.snapshot.current_cmd.clone(),
    };
    let mut text = said.then(format!(" {} ({whom})", action.pane_id));
    if let Some(message) = &action.message {
        text = text.then(format!(": {message}"));
    }
    if answer.result_code == ResultCode::Pending {
        text = text.then(format!("; `qd cancel {}` takes it back", action.action_id));
    }
    let asides = action.steps.iter().filter_map(|step| match step.as_str() {
        "mode_left" => Some("; copy mode was left for it"),
        "draft_cleared" => Some("; an earlier text of ours was taken out of the composer"),
        _ => None,
    });
    for aside in asides {
        text = text.then(aside);
    }
    let names = format!("  {} --request-ref {}", action.action_id, action.request_ref);
    text.then_styled(names, style::QUIET)
}

/// The signal of a kill that was by one.
fn signal(action: &ActionItem) -> Option<&str> {
    action.detail.pointer("/act/kill_by_signal/signal").and_then(Value::as_str)
}

/// The process that a signal went to. It is not what runs in the foreground, where there is no
/// agent: that may be a child of it.
fn process(action: &ActionItem) -> String {
    let seen = &action.snapshot;
    let pid = seen.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    let agent = seen.agent_type.as_ref().map(|agent| format!("{agent}, "));
    format!("{}process {pid}", agent.unwrap_or_default())
}

/// The history as a table.
pub(crate) fn history(list: &ActionList, width: Option<usize>) -> Vec<Text> {
    if list.items.is_empty() && list.denied.is_empty() {
        return vec![Text::styled("Nothing was done yet.", style::QUIET)];
    }
    let mut table = Table::new([
        Column::fixed("WHEN"),
        Column::fixed("WHAT"),
        Column::fixed("PANE"),
        Column::fixed("RESULT"),
        Column::yielding("DETAIL", 2).down_to(12),
        Column::yielding("BY", 3),
        Column::yielding("ACTION", 4),
    ]);
    let mut denied = list.denied.iter().peekable();
    for item in &list.items {
        while let Some(later) = denied.next_if(|it| it.at > item.requested_at) {
            table.row(turned_away(later));
        }
        table.row([
            Text::plain(item.requested_at.to_string()),
            Text::plain(item.action_type.as_str()),
            Text::plain(format!("{} {}", item.target, item.pane_id)),
            Text::styled(item.result_code.as_str(), style_of(item.result_code)),
            Text::plain(detail(item)),
            Text::styled(&item.requested_by, style::QUIET),
            Text::styled(&item.action_id, style::QUIET),
        ]);
    }
    for earlier in denied {
        table.row(turned_away(earlier));
    }
    let mut lines = table.lines(width);
    if let Some(before) = &list.next_before {
        let more = format!("More with `qd history --before {before}`.");
        lines.push(Text::styled(more, style::QUIET));
    }
    lines
}

/// The row of somebody who asked for what they may not have.
fn turned_away(item: &DeniedItem) -> [Text; 7] {
    let mut detail = format!("{}: {}", item.error_code, item.operation);
    if item.unrecorded > 0 {
        let _ = write!(detail, ", and {} more before", item.unrecorded);
    }
    [
        Text::plain(item.at.to_string()),
        Text::plain("denied"),
        Text::plain("-"),
        Text::styled("refused", style::ERROR),
        Text::plain(detail),
        Text::styled(&item.requested_by, style::QUIET),
        Text::plain("-"),
    ]
}

fn style_of(result: ResultCode) -> anstyle::Style {
    match result {
        ResultCode::Completed => style::GOOD,
        ResultCode::Cancelled => style::QUIET,
        ResultCode::NotConfirmed | ResultCode::Pending | ResultCode::Unknown => style::WARNING,
        ResultCode::Refused | ResultCode::Failed => style::ERROR,
    }
}

/// Why it was not done, or what was typed.
fn detail(item: &ActionItem) -> String {
    if let Some(code) = item.error_code {
        return format!("{code}: {}", item.message.as_deref().unwrap_or_default());
    }
    let text = |pointer: &str| item.detail.pointer(pointer).and_then(Value::as_str);
    let preview = text("/act/send/text/preview").map(|preview| format!("{preview:?}"));
    let keys = item.detail.pointer("/act/send/keys").and_then(Value::as_array);
    let keys = keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let tree = item.detail.pointer("/act/kill_by_signal/tree").is_some();
    let below = if tree { " and below it" } else { "" };
    let signal = signal(item).map(|signal| format!("{signal} to {}{below}", process(item)));
    let key = text("/act").filter(|act| *act == "kill_by_key");
    let signal = signal.or(key.map(|_| format!("C-c for {}", item.snapshot.current_cmd)));
    let choice = text("/act/respond/choice").map(str::to_owned);
    let approval = text("/act/respond/approval").map(str::to_owned);
    let answer = choice.into_iter().chain(approval);
    preview.into_iter().chain(keys).chain(signal).chain(answer).collect::<Vec<_>>().join(" ")
}
