//! Adapters as a table.

use api::adapters::{AdapterCapabilities, AdapterItem, AdapterList, AdapterOrigin, AdapterProblem};

use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;

/// The list of adapters, and below it what was left out.
pub(crate) fn lines(list: &AdapterList, width: Option<usize>) -> Vec<Text> {
    let mut lines = table(&list.items).lines(width);
    if list.items.is_empty() {
        lines = vec![Text::styled("No adapter is like that.", style::QUIET)];
    }
    lines.extend(list.problems.iter().flat_map(|it| problem(it).wrapped(width)));
    lines
}

/// One adapter, after it was turned on or off.
pub(crate) fn one(item: &AdapterItem, width: Option<usize>) -> Vec<Text> {
    let (agent, name) = (&item.agent_type, &item.name);
    let said = if item.enabled {
        format!("{name} is enabled: panes with {agent} are read again.")
    } else {
        format!("{name} is disabled: panes with {agent} show as unknown until it is enabled.")
    };
    Text::plain(said).wrapped(width)
}

/// A description that was left out, with its place.
pub(crate) fn problem(problem: &AdapterProblem) -> Text {
    Text::styled("! ", style::ERROR).then(placed(problem))
}

/// The same in one line, for whoever shows it otherwise.
pub(crate) fn placed(problem: &AdapterProblem) -> String {
    let AdapterProblem { path, line, column, message } = problem;
    let place = line.zip(*column).map(|(line, column)| format!(":{line}:{column}"));
    format!("{path}{}: {message}", place.unwrap_or_default())
}

fn table(items: &[AdapterItem]) -> Table {
    let mut table = Table::new([
        Column::fixed("AGENT").down_to(8),
        Column::fixed("ENABLED"),
        Column::yielding("ADAPTER", 3).down_to(8),
        Column::yielding("CONTRACT", 7),
        Column::yielding("TELLS", 5).down_to(10),
        Column::yielding("COVERS", 4).down_to(8),
        Column::yielding("FROM", 2).down_to(8),
    ]);
    for item in items {
        let enabled = match (item.is_compatible, item.enabled) {
            (false, _) => Text::styled("refused", style::ERROR),
            (true, true) => Text::styled("yes", style::GOOD),
            (true, false) => Text::styled("no", style::WARNING),
        };
        let from = match item.origin {
            AdapterOrigin::BuiltIn => "built in".to_owned(),
            AdapterOrigin::File => item.path.clone().unwrap_or_default(),
        };
        table.row([
            Text::plain(&item.agent_type),
            enabled,
            Text::plain(&item.name),
            Text::plain(&item.contract_version),
            Text::plain(told(item.capabilities)),
            Text::plain(item.covers.join(" ")),
            Text::styled(from, style::QUIET),
        ]);
    }
    table
}

/// What an adapter tells, in words of the states.
fn told(capabilities: AdapterCapabilities) -> String {
    let AdapterCapabilities {
        event_driven,
        polling_required,
        supports_waiting_approval,
        supports_waiting_input,
        supports_completed,
    } = capabilities;
    let words = [
        ("events", event_driven),
        ("screen", polling_required),
        ("approval", supports_waiting_approval),
        ("input", supports_waiting_input),
        ("completed", supports_completed),
    ];
    let told: Vec<&str> = words.into_iter().filter(|it| it.1).map(|it| it.0).collect();
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::shown;

    #[test]
    fn a_description_that_was_left_out_is_named_with_its_place() {
        let (path, message) = ("/c/adapters/a.toml".to_owned(), "no `programs`".to_owned());
        let mut left_out = AdapterProblem { path, line: Some(2), column: Some(12), message };
        assert_eq!(shown(&[problem(&left_out)]), "! /c/adapters/a.toml:2:12: no `programs`\n");
        (left_out.line, left_out.column) = (None, None);
        assert_eq!(placed(&left_out), "/c/adapters/a.toml: no `programs`");
    }
}
