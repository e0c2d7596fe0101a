//! The first screen: what matters first, the rest folded.

use std::collections::BTreeMap;

use api::health::Warning;
use api::list::List;
use api::panes::PaneItem;
use api::targets::TargetItem;
use api::words::{DisplayCategory, State};

use crate::output::panes::{command, is_without_agent, last_known, place, state, title, what};
use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::targets;
use crate::output::text::Text;
use crate::output::time::age;

/// The programs that count as a shell with nothing in it.
const SHELLS: &[&str] = &[
    "ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "mksh", "nu", "pwsh", "sh",
    "tcsh", "xonsh", "zsh",
];

/// Why a pane's state is unknown whose target does not answer.
const UNREACHABLE: &str = "target_unreachable";

/// The least width at which a line has room for what somebody is needed for.
const ONE_LINE_MIN: usize = 60;

/// How many other programs a folded line names.
const NAMED_MAX: usize = 3;

/// What the first screen is made of.
pub(crate) struct Overview<'a> {
    pub(crate) panes: &'a List<PaneItem>,
    pub(crate) targets: &'a List<TargetItem>,
    pub(crate) warnings: &'a [Warning],
    /// Whether panes without an agent are shown one by one.
    pub(crate) all: bool,
}

impl Overview<'_> {
    /// The screen.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<Text> {
        let mut lines = Vec::new();
        if self.panes.items.is_empty() {
            lines.extend(self.nothing());
        } else {
            lines.extend(self.counts().wrapped(width));
            lines.extend(self.needed(width));
            lines.extend(self.groups(width));
            lines.extend(self.next_step());
        }
        let trouble = targets::trouble(&self.targets.items);
        let warnings: Vec<Text> = self.warnings.iter().flat_map(warning).collect();
        for sentences in [trouble, warnings] {
            lines.extend(apart(sentences).into_iter().flat_map(|line| line.wrapped(width)));
        }
        lines
    }

    /// One line that says how much there is of what, the most urgent first.
    fn counts(&self) -> Text {
        let states = [
            (State::WaitingApproval, "waiting for approval"),
            (State::WaitingInput, "waiting for input"),
            (State::Error, "failed"),
            (State::Running, "running"),
            (State::Completed, "completed"),
            (State::Idle, "idle"),
        ];
        let mut parts: Vec<Text> = Vec::new();
        for (state, said) in states {
            let count = self.panes.items.iter().filter(|it| it.state == state).count();
            if count > 0 {
                parts.push(Text::styled(format!("{count} {said}"), style::of_state(state)));
            }
        }
        let unknown = self.panes.items.iter().filter(|it| it.state == State::Unknown);
        let unknown = unknown.filter(|it| !is_without_agent(it)).count();
        if unknown > 0 {
            parts.push(Text::styled(format!("{unknown} unknown"), style::QUIET));
        }
        let without = self.panes.items.iter().filter(|it| is_without_agent(it)).count();
        if without > 0 {
            let said = plural(without, "pane without an agent", "panes without an agent");
            parts.push(Text::styled(said, style::QUIET));
        }
        join(parts, ", ")
    }

    /// Everybody who waits for somebody, wherever he is.
    fn needed(&self, width: Option<usize>) -> Vec<Text> {
        let mut needed: Vec<&PaneItem> =
            self.panes.items.iter().filter(|it| is_needed(it)).collect();
        if needed.is_empty() {
            return Vec::new();
        }
        // Who waits comes before who failed: the one can go on at once.
        needed.sort_by_key(|it| (it.state == State::Error, it.state_since));
        let mut lines = vec![Text::new(), Text::styled("Needs you", style::TITLE)];
        match width {
            Some(narrow) if narrow < ONE_LINE_MIN => {
                lines.extend(self.in_two_lines(&needed, narrow));
            }
            Some(_) | None => lines.extend(self.agents(&needed, true).lines(width)),
        }
        lines
    }

    /// Where there is little room: who it is and how long, and below it where and what for.
    fn in_two_lines(&self, items: &[&PaneItem], width: usize) -> Vec<Text> {
        let now = self.panes.generated_at;
        let several = self.panes.requested_targets.len() > 1;
        let columns = [
            Column::fixed(""),
            Column::fixed("").down_to(7),
            Column::fixed(""),
            Column::yielding("", 1),
        ];
        let mut table = Table::new(columns).untitled();
        for item in items {
            table.row([
                Text::plain("  ").then(&item.identity.pane_id),
                state(item),
                Text::plain(age(item.state_since, now)),
                Text::plain(item.agent_type.as_deref().unwrap_or_default()),
            ]);
        }
        let heads = table.lines(Some(width)).into_iter();
        let both = heads.zip(items).flat_map(|(head, item)| {
            let target = if several { item.identity.target.as_str() } else { "" };
            let slash = if several { "/" } else { "" };
            // A long name leaves room for what somebody is needed for.
            let place = Text::plain(format!("    {target}{slash}{}", place(item))).cut(width / 2);
            [head, place.then("  ").then(about(item)).cut(width)]
        });
        both.collect()
    }

    /// The rest, session by session; those in which nothing but shells is open take a line each.
    fn groups(&self, width: Option<usize>) -> Vec<Text> {
        let mut groups: BTreeMap<(&str, &str), Vec<&PaneItem>> = BTreeMap::new();
        for item in self.panes.items.iter().filter(|it| !is_needed(it)) {
            let key = (item.identity.target.as_str(), item.identity.session_name.as_str());
            groups.entry(key).or_default().push(item);
        }
        let (mut open, folded): (Vec<Group<'_>>, Vec<Group<'_>>) = groups
            .into_iter()
            .map(|(key, items)| self.group(key, items))
            .partition(|group| !group.shown.is_empty());
        // Where something goes on comes first; the rest stays in order.
        open.sort_by_key(|group| {
            let agents = group.shown.iter().filter(|it| !is_without_agent(it));
            agents.map(|it| it.display_category.precedence()).min().unwrap_or(u8::MAX)
        });
        let mut lines: Vec<Text> =
            open.iter().flat_map(|group| self.open_group(group, width)).collect();
        let mut table = Table::new([Column::fixed("").down_to(12), Column::fixed("").down_to(12)]);
        for group in folded {
            table.row([Text::styled(group.name, style::TITLE), fold(&group.folded)]);
        }
        lines.extend(apart(table.untitled().lines(width)));
        lines
    }

    fn group<'a>(&self, (target, session): (&str, &str), items: Vec<&'a PaneItem>) -> Group<'a> {
        let several = self.panes.requested_targets.len() > 1;
        let name = if several { format!("{target}/{session}") } else { session.to_owned() };
        let (folded, shown) = items.into_iter().partition(|it| !self.all && is_without_agent(it));
        Group { name, shown, folded }
    }

    fn open_group(&self, group: &Group<'_>, width: Option<usize>) -> Vec<Text> {
        let mut lines = vec![Text::new(), Text::styled(&group.name, style::TITLE)];
        lines.extend(self.agents(&group.shown, false).lines(width));
        if !group.folded.is_empty() {
            lines.push(Text::plain("  ").then(fold(&group.folded)));
        }
        lines.into_iter().map(|line| line.cut(width.unwrap_or(usize::MAX))).collect()
    }

    /// Panes one by one; with their targets, where no head above them names it.
    fn agents(&self, items: &[&PaneItem], with_target: bool) -> Table {
        let now = self.panes.generated_at;
        let several = with_target && self.panes.requested_targets.len() > 1;
        let columns = [
            Column::fixed(""),
            Column::fixed("").down_to(7),
            Column::yielding("", 4),
            Column::yielding("", 3),
            Column::yielding("", 2).down_to(8),
            Column::yielding("", 1),
            Column::yielding("", 5),
            Column::yielding("", 6).down_to(8),
        ];
        let mut table = Table::new(columns).untitled();
        for item in items {
            table.row([
                Text::plain("  ").then(&item.identity.pane_id),
                state(item),
                Text::plain(age(item.state_since, now)),
                item.agent_type.as_ref().map_or_else(|| command(item), Text::plain),
                Text::plain(place(item)),
                Text::plain(if several { item.identity.target.as_str() } else { "" }),
                last_known(item, now),
                about(item),
            ]);
        }
        table
    }

    fn next_step(&self) -> Vec<Text> {
        let managed = self.panes.items.iter().any(|it| !is_without_agent(it));
        if managed {
            return Vec::new();
        }
        let (command, does) = if self.all {
            ("qd watch", " follows what changes.")
        } else {
            ("qd --all", " shows every pane.")
        };
        let first = Text::styled("No agents yet: start one in any pane.", style::QUIET);
        let next = Text::styled(command, style::COMMAND).then_styled(does, style::QUIET);
        vec![Text::new(), first, next]
    }

    /// What to do where there is nothing to show yet.
    fn nothing(&self) -> Vec<Text> {
        let running = self.targets.items.iter().any(|it| it.server.is_some());
        if self.panes.partial {
            return nothing_known();
        }
        let what = if running {
            "tmux is running, and no pane of it is in sight yet."
        } else {
            "No tmux server is running here."
        };
        let steps = [
            ("tmux new -s work", "starts one; its panes show up here"),
            ("qd watch", "follows what changes"),
            DOCTOR,
        ];
        titled(what, &steps)
    }
}

/// A step that always leads on, and what it does.
const DOCTOR: (&str, &str) = ("qd doctor", "says what works and what to do");

/// Nothing was seen, which does not mean that nothing is there.
fn nothing_known() -> Vec<Text> {
    titled("What runs in tmux here is not known now.", &[DOCTOR])
}

fn titled(what: &str, steps: &[(&str, &str)]) -> Vec<Text> {
    let mut lines = vec![Text::styled(what, style::TITLE), Text::new()];
    for (command, about) in steps {
        lines.push(Text::plain("  ").then_styled(*command, style::COMMAND));
        lines.push(Text::plain("      ").then_styled(*about, style::QUIET));
    }
    lines
}

/// A session without those of its panes that need somebody.
struct Group<'a> {
    name: String,
    shown: Vec<&'a PaneItem>,
    folded: Vec<&'a PaneItem>,
}

/// Panes without an agent in one line: `12 shells, vim, htop`; of a target that does not answer, those
/// that were there.
fn fold(items: &[&PaneItem]) -> Text {
    let (dead, alive): (Vec<&PaneItem>, Vec<&PaneItem>) =
        items.iter().copied().partition(|it| it.pane_dead);
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shells = 0;
    for item in alive {
        let command = item.current_cmd.trim_start_matches('-');
        if SHELLS.contains(&command) {
            shells += 1;
        } else {
            *others.entry(command).or_default() += 1;
        }
    }
    let mut parts = Vec::new();
    if shells > 0 {
        parts.push(plural(shells, "shell", "shells"));
    }
    let named = others.iter().take(NAMED_MAX);
    parts.extend(named.map(|(name, count)| match count {
        1 => (*name).to_owned(),
        several => format!("{several} {name}"),
    }));
    let unnamed: usize = others.values().skip(NAMED_MAX).sum();
    if unnamed > 0 {
        parts.push(plural(unnamed, "other", "others"));
    }
    if !dead.is_empty() {
        parts.push(format!("{} dead", dead.len()));
    }
    let parts = parts.join(", ");
    let gone = items.iter().any(|it| it.reason_code == UNREACHABLE);
    Text::styled(if gone { format!("last seen: {parts}") } else { parts }, style::QUIET)
}

/// What somebody is needed for or what goes on, or else what the pane calls itself.
fn about(item: &PaneItem) -> Text {
    let what = what(item);
    if what.width() > 0 { what } else { Text::styled(title(item), style::QUIET) }
}

fn is_needed(item: &PaneItem) -> bool {
    item.display_category == DisplayCategory::Attention
}

/// Something the daemon wants somebody to know.
pub(crate) fn warning(warning: &Warning) -> Vec<Text> {
    let head = Text::styled("! ", style::WARNING).then(&warning.message);
    if warning.hint.is_empty() {
        return vec![head];
    }
    vec![head, Text::styled("  hint: ", style::QUIET).then(&warning.hint)]
}

fn apart(lines: Vec<Text>) -> Vec<Text> {
    if lines.is_empty() { lines } else { std::iter::once(Text::new()).chain(lines).collect() }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn join(parts: Vec<Text>, between: &str) -> Text {
    let mut joined = Text::new();
    for (place, part) in parts.into_iter().enumerate() {
        joined = if place == 0 { part } else { joined.then(between).then(part) };
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::{self, shown};

    fn screen(panes: &List<PaneItem>, all: bool, width: usize) -> String {
        let targets = fixtures::targets();
        let overview = Overview { panes, targets: &targets, warnings: &[], all };
        shown(&overview.lines(Some(width)))
    }

    #[test]
    fn what_matters_comes_first_and_shells_fold_into_one_line() {
        let panes = fixtures::panes();
        insta::assert_snapshot!(screen(&panes, false, 120), @r"
        1 waiting for approval, 1 waiting for input, 1 failed, 1 running, 1 idle, 1 unknown, 6 panes without an agent

        Needs you
          %3  waiting_input     11m  gemini  work:1.0                          build  Which?
          %4  waiting_approval  3m   claude  work:2.0                          local  Bash: rm -rf build
          %7  error             30s  codex   日本語の長い名前のセッション:1.0  local  panic

        local/work
          %3  running  2m  claude  work:1.0  Bash: cargo test
          2 shells

        local/evil session
          %20  idle  1h  claude31m  evil session:0.0  two␊lines␉tab

        local/api
          %9  unknown  1m  codex  api:2.0  running 2m ago  codex
          1 shell, vim, 1 dead

        build/work  1 shell

        ! build is down: tmux did not answer within 5s   try: qd target connect build
        ");
        insta::assert_snapshot!(screen(&panes, false, 80), @r"
        1 waiting for approval, 1 waiting for input, 1 failed, 1 running, 1 idle, 1
        unknown, 6 panes without an agent

        Needs you
          %3  waiting_input     11m  gemini  work:1.0            build  Which?
          %4  waiting_approval  3m   claude  work:2.0            local  Bash: rm -rf bu…
          %7  error             30s  codex   日本語の長い名前…   local  panic

        local/work
          %3  running  2m  claude  work:1.0  Bash: cargo test
          2 shells

        local/evil session
          %20  idle  1h  claude31m  evil session:0.0  two␊lines␉tab

        local/api
          %9  unknown  1m  codex  api:2.0  running 2m ago  codex
          1 shell, vim, 1 dead

        build/work  1 shell

        ! build is down: tmux did not answer within 5s   try: qd target connect build
        ");
        insta::assert_snapshot!(screen(&panes, false, 40), @r"
        1 waiting for approval, 1 waiting for
        input, 1 failed, 1 running, 1 idle, 1
        unknown, 6 panes without an agent

        Needs you
          %3  waiting_input     11m  gemini
            build/work:1.0  Which?
          %4  waiting_approval  3m   claude
            local/work:2.0  Bash: rm -rf build
          %7  error             30s  codex
            local/日本語の…  panic

        local/work
          %3  running  2m  claude  work:1.0
          2 shells

        local/evil session
          %20  idle  claude31m  evil session:0.0

        local/api
          %9  unknown  1m  codex  api:2.0
          1 shell, vim, 1 dead

        build/work  1 shell

        ! build is down: tmux did not answer
        within 5s   try: qd target connect build
        ");
    }

    #[test]
    fn all_shows_every_pane() {
        insta::assert_snapshot!(screen(&fixtures::panes(), true, 80), @r"
        1 waiting for approval, 1 waiting for input, 1 failed, 1 running, 1 idle, 1
        unknown, 6 panes without an agent

        Needs you
          %3  waiting_input     11m  gemini  work:1.0            build  Which?
          %4  waiting_approval  3m   claude  work:2.0            local  Bash: rm -rf bu…
          %7  error             30s  codex   日本語の長い名前…   local  panic

        local/work
          %3  running   2m  claude  work:1.0  Bash: cargo test
          %5  no agent  2h  zsh     work:3.0  deck
          %6  no agent  2h  zsh     work:4.0  deck

        local/evil session
          %20  idle  1h  claude31m  evil session:0.0  two␊lines␉tab

        local/api
          %9   unknown   1m  codex           api:2.0  running 2m ago  codex
          %10  no agent  2h  zsh             api:1.0                  deck
          %11  no agent  2h  vim             api:3.0                  deck
          %12  no agent  2h  dead, status 1  api:4.0                  deck

        build/work
          %4  no agent  2h  zsh  work:2.0  deck

        ! build is down: tmux did not answer within 5s   try: qd target connect build
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let panes = fixtures::panes();
        for width in 20..140 {
            for line in screen(&panes, true, width).lines() {
                assert!(crate::output::width::of(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn where_there_is_nothing_it_says_what_to_do() {
        let panes = fixtures::no_panes();
        let targets = fixtures::no_server();
        let overview = Overview { panes: &panes, targets: &targets, warnings: &[], all: false };
        insta::assert_snapshot!(shown(&overview.lines(Some(40))), @r"
        No tmux server is running here.

          tmux new -s work
              starts one; its panes show up here
          qd watch
              follows what changes
          qd doctor
              says what works and what to do
        ");
    }

    #[test]
    fn without_agents_it_says_how_to_get_one() {
        let mut panes = fixtures::panes();
        panes.items.retain(is_without_agent);
        let targets = fixtures::no_server();
        let warnings = [fixtures::warning()];
        let overview =
            Overview { panes: &panes, targets: &targets, warnings: &warnings, all: false };
        insta::assert_snapshot!(shown(&overview.lines(Some(60))), @r"
        6 panes without an agent

        build/work  1 shell
        local/api   1 shell, vim, 1 dead
        local/work  2 shells

        No agents yet: start one in any pane.
        qd --all shows every pane.

        ! the database cannot be written to: the disk is full
          hint: Make room; nothing that was answered before is lost.
        ");
    }
}
