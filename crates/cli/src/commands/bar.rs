//! `qd bar`: one segment for tmux's status line.
//!
//! tmux runs it every few seconds for each client, so it starts nothing, asks once, and would
//! rather say nothing than wait.

use std::time::Duration;

use api::list::{List, ListQuery};
use api::panes::PaneItem;
use api::sort::{Sort, SortKey};
use api::words::{DisplayCategory, State};
use api::{ErrorCode, ExitCode};
use clap::Args;
use client::ClientError;

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::output::panes::place;
use crate::output::text::Text;
use crate::output::time::age;

/// How long a daemon has to answer. Of one that hangs nothing is known.
const PATIENCE: Duration = Duration::from_millis(100);
/// What stands there when nothing can be relied on.
const DOUBT: &str = "? qd doctor";
/// How many of those who wait are named.
const NAMED_MAX: usize = 2;
/// The columns that one name takes at most.
const NAME_COLUMNS_MAX: usize = 24;

/// Print one segment for tmux's status line: who needs you, and how many run
///
/// Empty without a daemon, and when there is nothing to say; `? qd doctor` while what is known may be
/// of the past or the daemon does not answer, and `? NAME` for a target that does not. It starts no
/// daemon. Put `#(qd bar)` into tmux's `status-right`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BarArgs {}

pub(crate) fn run(console: &Console) -> Outcome {
    let sort = [SortKey::Category, SortKey::StateSince];
    let query = ListQuery {
        sort: sort.map(|key| Sort { key, descending: false }).to_vec(),
        limit: u32::try_from(NAMED_MAX).ok(),
        ..ListQuery::default()
    };
    let Ok(mut client) = console.onlooker() else { return Ok(ExitCode::Ok) };
    let asked = wait(async {
        let answer = tokio::time::timeout(PATIENCE, client.panes(&query)).await;
        match answer {
            Ok(Err(error)) if is_absent(&error) => Err(error.into()),
            answered => Ok(answered.ok().and_then(Result::ok).and_then(|it| it.read().ok())),
        }
    });
    // Nobody is there to be asked.
    let Ok(asked) = asked else { return Ok(ExitCode::Ok) };
    let segment = asked.map_or_else(|| DOUBT.to_owned(), |panes| segment(&panes));
    if console.is_json() {
        let json = serde_json::json!({ "segment": segment }).to_string();
        console.terminal.json(&json)?;
    } else {
        console.terminal.lines(&[Text::plain(segment)])?;
    }
    Ok(ExitCode::Ok)
}

/// Whether no daemon is there. One that is there and stopped is named.
fn is_absent(error: &ClientError) -> bool {
    error.code == ErrorCode::DaemonUnreachable && !error.details.contains_key("pid")
}

/// What the segment says.
fn segment(panes: &List<PaneItem>) -> String {
    // Who needed somebody then may need nobody now.
    if !panes.warnings.is_empty() {
        return DOUBT.to_owned();
    }
    let summary = &panes.summary;
    let of = |state: State| summary.by_state.get(&state).copied().unwrap_or(0);
    let needed = summary.by_category.get(&DisplayCategory::Attention).copied().unwrap_or(0);
    let running = of(State::Running);
    let mut parts = Vec::new();
    if needed > 0 {
        let is_needed = |it: &&PaneItem| it.display_category == DisplayCategory::Attention;
        let named: Vec<String> = panes
            .items
            .iter()
            .filter(is_needed)
            .take(NAMED_MAX)
            .map(|item| {
                let agent = item.agent_type.as_deref().unwrap_or("pane");
                let name = Text::plain(format!("{agent} {}", place(item))).cut(NAME_COLUMNS_MAX);
                let name = harmless(&name.render(false));
                format!("{name} {}", age(item.state_since, panes.generated_at))
            })
            .collect();
        let others = needed - u64::try_from(named.len()).unwrap_or(needed);
        parts.push(format!("! {}{}", named.join(", "), and_more(others)));
    }
    if running > 0 {
        parts.push(format!("{running} running"));
    }
    // Nobody knows who waits there. What somebody disconnected is left alone by their own wish.
    let mut silent =
        panes.target_errors.iter().filter(|it| it.code != ErrorCode::TargetDisconnected);
    if let Some(first) = silent.next() {
        let others = u64::try_from(silent.count()).unwrap_or(u64::MAX);
        parts.push(format!("? {}{}", harmless(first.target.as_str()), and_more(others)));
    }
    parts.join(" | ")
}

/// How many there are beside those that are named.
fn and_more(others: u64) -> String {
    if others > 0 { format!(" +{others}") } else { String::new() }
}

/// A name in which tmux sees neither a style nor a command.
fn harmless(name: &str) -> String {
    name.replace('#', "##")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures;

    fn bar(items: Vec<PaneItem>) -> String {
        let mut list = fixtures::list(&["local"], items);
        for item in &list.items {
            *list.summary.by_state.entry(item.state).or_default() += 1;
            *list.summary.by_category.entry(item.display_category).or_default() += 1;
        }
        list.items.sort_by_key(|it| (it.display_category.precedence(), it.state_since));
        list.items.truncate(NAMED_MAX);
        segment(&list)
    }

    #[test]
    fn it_says_who_waits_longest_and_how_many_run() {
        let said = bar(fixtures::panes().items);
        assert_eq!(said, "! gemini work:1.0 11m, claude work:2.0 3m +1 | 1 running");
    }

    #[test]
    fn what_may_be_of_the_past_is_not_said_to_be_so_now() {
        let mut list = fixtures::panes();
        list.warnings.push(fixtures::warning());
        assert_eq!(segment(&list), "? qd doctor");
    }

    #[test]
    fn a_target_that_does_not_answer_is_named() {
        let mut list = fixtures::panes();
        list.items.clear();
        (list.summary.by_state, list.summary.by_category) = Default::default();
        list.target_errors.push(fixtures::target_error("build"));
        assert_eq!(segment(&list), "? build");
        list.target_errors.push(fixtures::target_error("lab"));
        assert_eq!(segment(&list), "? build +1");
        list.target_errors[0].code = ErrorCode::TargetDisconnected;
        assert_eq!(segment(&list), "? lab");
    }

    #[test]
    fn where_nothing_goes_on_it_is_empty() {
        let mut items = fixtures::panes().items;
        items.retain(|it| it.agent_type.is_none());
        assert_eq!(bar(items), "");
    }

    #[test]
    fn a_name_is_no_command_and_no_style_of_tmuxs() {
        let mut items = fixtures::panes().items;
        items.retain(|it| it.identity.pane_id == "%4" && it.agent_type.is_some());
        items[0].identity.session_name = "#(true)#[bg=red]".to_owned();
        let said = bar(items);
        let plain = said.replace("##", "");
        assert!(!plain.contains('#') && said.contains("##(true)##["), "{said}");
    }
}
