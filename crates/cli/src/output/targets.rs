//! Targets as a table.

use api::list::List;
use api::targets::TargetItem;
use api::words::Health;
use api::{ErrorCode, Timestamp};

use crate::output::list;
use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::time::age;
use crate::output::windows::count;

/// The list of targets.
pub(crate) fn lines(list: &List<TargetItem>, width: Option<usize>) -> Vec<Text> {
    list::lines(list, "targets", table(&list.items, list.generated_at).lines(width))
}

/// The same targets as a table.
pub(crate) fn table(items: &[TargetItem], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::fixed("TARGET").down_to(8),
        Column::fixed("HEALTH"),
        Column::yielding("KIND", 4),
        Column::yielding("TMUX", 2),
        Column::yielding("SEEN", 3),
        Column::yielding("SESSIONS", 8),
        Column::yielding("PANES", 5),
        Column::yielding("AGENTS", 6),
        Column::yielding("WATCHED BY", 9),
        Column::yielding("WHY", 1).down_to(10),
        Column::yielding("SOCKET", 7).down_to(12),
    ]);
    for item in items {
        let server = item.server.as_ref();
        let reason = item.health_reason.as_deref();
        let disconnected = is_disconnected(reason);
        let seen = item.last_seen_at.map(|at| age(at, now)).unwrap_or_default();
        table.row([
            name(item),
            standing(item),
            Text::plain(item.kind.as_str()),
            Text::plain(server.map_or(no_server(item), |it| &it.version)),
            Text::plain(seen),
            count(item.counts.sessions),
            count(item.counts.panes),
            count(item.counts.agents),
            Text::plain(item.observer_mode.as_str()),
            Text::plain(if disconnected { "" } else { reason.unwrap_or_default() }),
            Text::styled(place(item), style::QUIET),
        ]);
    }
    table
}

/// What is said where no server is known: of what nobody ever saw, nothing.
fn no_server(item: &TargetItem) -> &'static str {
    if item.last_seen_at.is_some() { "no server" } else { "" }
}

/// Where it is: for one that is not on this machine, what leads there.
fn place(item: &TargetItem) -> &str {
    match (&item.route, &item.server) {
        (None, Some(server)) => &server.socket,
        (Some(_), _) | (None, None) => &item.connection_ref,
    }
}

/// What somebody should know about the targets: those in trouble, one line each. Where nothing is
/// stored that is no trouble of theirs, and a warning of its own tells it.
pub(crate) fn trouble(targets: &[TargetItem]) -> Vec<Text> {
    let unstored =
        |it: &TargetItem| it.health_reason.as_deref() == Some(ErrorCode::StoreReadOnly.as_str());
    let troubled = targets.iter().filter(|it| it.health != Health::Ok && !unstored(it));
    let line = |target: &TargetItem| {
        let why = target.health_message.as_deref().or(target.health_reason.as_deref());
        let command = remedy(target.name.as_str(), target.health_reason.as_deref());
        if is_disconnected(target.health_reason.as_deref()) {
            let name = Text::plain(format!("  {} is disconnected", target.name));
            let quiet = name.then_styled("  connect it again: ", style::QUIET);
            return quiet.then_styled(command, style::COMMAND);
        }
        Text::styled("! ", style::of_health(target.health))
            .then(target.name.as_str())
            .then(" is ")
            .then(health(target.health))
            .then(why.map(|why| format!(": {why}")).unwrap_or_default())
            .then_styled("  try: ", style::QUIET)
            .then_styled(command, style::COMMAND)
    };
    troubled.map(line).collect()
}

/// The reason of a target over ssh that lets nobody in who cannot be asked.
const DENIED: &str = "E_SSH_DENIED";

/// The command that helps a target in trouble, by the reason that it names.
pub(crate) fn remedy(target: &str, reason: Option<&str>) -> String {
    if reason == Some(DENIED) {
        return format!("qd target connect {target} --terminal");
    }
    match reason.and_then(|reason| reason.parse().ok()) {
        Some(ErrorCode::TargetDuplicateServer) => format!("qd target remove {target}"),
        // What is wrong is the tmux of this machine, or the setting that names it.
        Some(ErrorCode::TmuxUnusable) => "qd doctor".to_owned(),
        Some(ErrorCode::TargetUnseen) => format!("qd target test {target}"),
        Some(_) | None => format!("qd target connect {target}"),
    }
}

/// Whether somebody wanted a target to be left alone, by the reason that it names.
pub(crate) fn is_disconnected(reason: Option<&str>) -> bool {
    reason == Some(ErrorCode::TargetDisconnected.as_str())
}

/// Whether nobody has looked at a target yet, by the reason that it names.
pub(crate) fn is_unseen(reason: Option<&str>) -> bool {
    reason == Some(ErrorCode::TargetUnseen.as_str())
}

/// One target, after something was done to it.
pub(crate) fn one(item: &TargetItem, now: Timestamp, width: Option<usize>) -> Vec<Text> {
    table(std::slice::from_ref(item), now).lines(width)
}

fn name(item: &TargetItem) -> Text {
    let name = Text::plain(item.name.as_str());
    if item.is_default { name.then_styled(" (default)", style::QUIET) } else { name }
}

fn standing(item: &TargetItem) -> Text {
    if is_disconnected(item.health_reason.as_deref()) {
        return Text::styled("disconnected", style::QUIET);
    }
    health(item.health)
}

fn health(health: Health) -> Text {
    Text::styled(health.as_str(), style::of_health(health))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::{self, shown};

    #[test]
    fn targets_fit_40_80_and_120_columns() {
        let list = fixtures::targets();
        insta::assert_snapshot!(shown(&lines(&list, Some(120))), @r"
        TARGET           HEALTH  KIND   TMUX  SEEN  SESSIONS  PANES  AGENTS  WATCHED BY  WHY              SOCKET
        local (default)  ok      local  3.3a  1s    4         10     5       control                      /tmp/tmux-1000/default
        build            down    local  3.3a  5m    4         10     5       control     command_timeout  /tmp/tmux-1000/default
        ! build: the target is down [E_TARGET_UNREACHABLE]
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(80))), @r"
        TARGET           HEALTH  KIND   TMUX  SEEN  PANES  AGENTS  WHY
        local (default)  ok      local  3.3a  1s    10     5
        build            down    local  3.3a  5m    10     5       command_timeout
        ! build: the target is down [E_TARGET_UNREACHABLE]
        ");
        insta::assert_snapshot!(shown(&lines(&list, Some(40))), @r"
        TARGET           HEALTH  WHY
        local (default)  ok
        build            down    command_timeout
        ! build: the target is down [E_TARGET_UNREACHABLE]
        ");
    }

    #[test]
    fn a_target_in_trouble_is_named_with_its_message_and_the_next_step() {
        let list = fixtures::targets();
        insta::assert_snapshot!(shown(&trouble(&list.items)), @r"
        ! build is down: tmux did not answer within 5s   try: qd target connect build
        ");
    }
}
