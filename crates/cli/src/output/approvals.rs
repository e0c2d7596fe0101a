//! How approvals are shown: in a table, and one on a screen of its own.
//!
//! Their texts were written by a model that wants to be permitted something. Whatever a terminal
//! would obey, or not show, is written out.

use std::ops::RangeInclusive;

use api::approvals::{
    ApprovalItem, ApprovalKind, ApprovalList, ApprovalState, Choice, OfferItem, PartItem,
    TerminalOnly,
};
use api::timestamp::Timestamp;
use unicode_width::UnicodeWidthChar;

use crate::commands::approvals::Reply;
use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::{time, width};

/// Columns where the terminal has no width.
const WIDTH_DEFAULT: usize = 100;
/// Rows of a screen that are not the request.
const FRAME_ROWS: usize = 10;
/// Rows of a request that are shown at least.
const REQUEST_ROWS_MIN: usize = 3;
/// Characters of a request in a table.
const TABLE_CHARS_MAX: usize = 200;
/// Where a table has no room to say what is asked, each approval has lines of its own.
const TABLE_COLUMNS_MIN: usize = 80;

/// How much of a request is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What fits on a screen of so many rows.
    Screen(Option<usize>),
    All,
}

/// What a list of approvals looks like.
pub(crate) fn lines(list: &ApprovalList, now: Timestamp, width: Option<usize>) -> Vec<Text> {
    if list.items.is_empty() {
        return vec![Text::styled("Nothing waits for an answer.", style::QUIET)];
    }
    match width.filter(|columns| *columns < TABLE_COLUMNS_MIN) {
        Some(columns) => list.items.iter().flat_map(|item| stacked(item, now, columns)).collect(),
        None => table(&list.items, now).lines(width),
    }
}

/// One approval where a row of a table would leave out what matters.
fn stacked(item: &ApprovalItem, now: Timestamp, columns: usize) -> Vec<Text> {
    let agent = item.agent_type.as_deref().unwrap_or("-");
    let state = Text::styled(item.state.as_str(), style_of(item.state));
    let head = Text::plain(format!("{}  ", item.approval_id)).then(state);
    let place = format!("  {agent}  {}  {}", place(item), age(item, now));
    let ending = Text::styled(format!("  {}", ending(item)), style::QUIET);
    let inner = columns.saturating_sub(2).max(1);
    let asked = format!("{} bytes: {}", item.request_bytes, in_short(item));
    let asked = broken(&asked, inner).into_iter().map(|row| Text::plain(format!("  {row}")));
    let head = [head, Text::styled(place, style::QUIET)].into_iter();
    let lines = head.flat_map(|line| line.wrapped(Some(columns)));
    lines.chain(asked).chain(ending.wrapped(Some(columns))).collect()
}

/// Approvals as a table.
pub(crate) fn table(items: &[ApprovalItem], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::fixed("ID"),
        Column::fixed("AGE"),
        Column::fixed("STATE"),
        Column::yielding("AGENT", 3),
        Column::yielding("PANE", 4),
        Column::fixed("BYTES"),
        Column::fixed("REQUEST").down_to(12),
        Column::yielding("ANSWERS", 1),
    ]);
    for item in items {
        table.row([
            Text::plain(&item.approval_id),
            Text::plain(age(item, now)),
            Text::styled(item.state.as_str(), style_of(item.state)),
            Text::plain(item.agent_type.as_deref().unwrap_or("-")),
            Text::plain(place(item)),
            Text::plain(item.request_bytes.to_string()),
            Text::plain(in_short(item)),
            Text::styled(ending(item), style::QUIET),
        ]);
    }
    table
}

fn age(item: &ApprovalItem, now: Timestamp) -> String {
    time::age(item.opened_at, now)
}

fn style_of(state: ApprovalState) -> anstyle::Style {
    match state {
        ApprovalState::Waiting => style::WARNING,
        ApprovalState::Answering => style::COMMAND,
        ApprovalState::Answered | ApprovalState::AnsweredInTerminal => style::GOOD,
        ApprovalState::Replaced | ApprovalState::Expired | ApprovalState::Gone => style::QUIET,
    }
}

fn place(item: &ApprovalItem) -> String {
    let session = item.session_name.as_deref().unwrap_or("-");
    format!("{} {session} {}", item.target, item.pane_id)
}

/// The beginning of what is asked, on one line. Where there is more it ends in a mark; how long all
/// of it is, stands beside it.
pub(crate) fn in_short(item: &ApprovalItem) -> String {
    let tool = item.tool.as_ref().map_or(String::new(), |tool| format!("{tool}: "));
    let whole = revealed(&format!("{tool}{}", item.request.trim_end_matches('\n')));
    let mut short: String = whole.chars().take(TABLE_CHARS_MAX).collect();
    let is_cut = short.len() < whole.len() || (item.request.len() as u64) < item.request_bytes;
    if is_cut {
        short.push(width::ELLIPSIS);
    }
    short
}

/// What may be answered; of one that is over, what was.
fn ending(item: &ApprovalItem) -> String {
    if item.state == ApprovalState::Waiting {
        let terminal = item.terminal_only.map(|_| "(terminal)".to_owned());
        let parts = by_parts(item).then(|| pattern(item));
        let letters = parts.into_iter().chain(item.offers.iter().map(letter)).chain(terminal);
        return letters.collect::<Vec<_>>().join(" ");
    }
    let outcome = item.outcome.map(|it| it.to_string());
    let by = item.answered_by.as_ref().map(|by| format!("by {by}"));
    outcome.into_iter().chain(by).collect::<Vec<_>>().join(" ")
}

/// What is typed for an answer.
fn letter(offer: &OfferItem) -> String {
    match (offer.choice, offer.option) {
        (Choice::Option, option) => option.unwrap_or(0).to_string(),
        (Choice::Approve, _) => "y".to_owned(),
        (Choice::ApproveSession, _) => "s".to_owned(),
        (Choice::ApproveAlways, _) => "a".to_owned(),
        (Choice::Deny, _) => "n".to_owned(),
    }
}

/// Whether it is answered part by part, all at once.
fn by_parts(item: &ApprovalItem) -> bool {
    !item.parts.is_empty() && item.terminal_only.is_none()
}

/// What an answer to all parts looks like, each with its first options.
fn pattern(item: &ApprovalItem) -> String {
    let parts = item.parts.iter().map(|part| if part.several { "1,2" } else { "1" });
    parts.collect::<Vec<_>>().join(" ")
}

/// Whether as many parts are answered as there are, each with options that it has. What is asked
/// otherwise is for the daemon to judge.
pub(crate) fn fits(item: &ApprovalItem, reply: &Reply) -> bool {
    if reply.choice != Choice::Option || !by_parts(item) {
        return true;
    }
    let one = reply.option.map(|nth| vec![vec![nth]]);
    let picks = one.as_deref().unwrap_or(&reply.picks);
    let has = |(part, picks): (&PartItem, &Vec<u32>)| {
        let is_there = |nth: &u32| usize::try_from(*nth).is_ok_and(|it| it <= part.options.len());
        picks.iter().all(is_there) && (part.several || picks.len() == 1)
    };
    picks.len() == item.parts.len() && item.parts.iter().zip(picks).all(has)
}

/// The parts of a question, with the numbers of their options.
fn parts(item: &ApprovalItem) -> impl Iterator<Item = String> {
    let count = item.parts.len();
    item.parts.iter().enumerate().flat_map(move |(at, part)| {
        let how = if part.several { "one or more of" } else { "one of" };
        let head = format!("{}/{count} {} ({how})", at + 1, revealed(&part.question));
        let options = part.options.iter().enumerate().map(|(at, option)| {
            let about = option.about.as_deref().map_or_else(String::new, |it| format!(": {it}"));
            format!("  {} {}", at + 1, revealed(&format!("{}{about}", option.label)))
        });
        [head].into_iter().chain(options)
    })
}

/// One approval on a screen.
pub(crate) fn screen(
    item: &ApprovalItem,
    behind: usize,
    now: Timestamp,
    width: Option<usize>,
    extent: Extent,
) -> Vec<Text> {
    let columns = width.unwrap_or(WIDTH_DEFAULT).max(1);
    let agent = item.agent_type.as_deref().unwrap_or("an agent");
    let asks = match item.kind {
        ApprovalKind::Permission => "asks for a permission",
        ApprovalKind::Plan => "has a plan",
        ApprovalKind::Question => "has a question",
    };
    let waits = if behind > 0 { format!(" ({behind} more wait)") } else { String::new() };
    let mut lines = vec![Text::styled(format!("{agent} {asks}"), style::TITLE).then(waits)];
    let told = format!("{}  {}", place(item), age(item, now));
    lines.push(Text::styled(revealed(&told), style::QUIET));
    if let Some(directory) = &item.directory {
        lines.push(Text::styled(format!("in {}", revealed(directory)), style::QUIET));
    }
    if let Some(purpose) = &item.purpose {
        lines.push(Text::plain(format!("it says: {}", revealed(purpose))));
    }
    let bytes = item.request_bytes;
    let tool = item.tool.as_deref().map(revealed).unwrap_or_default();
    let head =
        if tool.is_empty() { format!("{bytes} bytes:") } else { format!("{tool}, {bytes} bytes:") };
    lines.push(Text::styled(head, style::TITLE));
    lines.extend(request(item, columns, extent));
    for offer in &item.offers {
        lines.push(
            Text::styled(format!(" {:>2} ", letter(offer)), style::COMMAND)
                .then(revealed(&offer.label)),
        );
    }
    lines.extend(item.terminal_only.map(terminal));
    lines.into_iter().flat_map(|line| line.wrapped(Some(columns))).collect()
}

/// Where the other answers are given, and why.
fn terminal(why: TerminalOnly) -> Text {
    let why = match why {
        TerminalOnly::SeveralQuestions => "it asks several things at once",
        TerminalOnly::SeveralAnswers => "it takes several answers at once",
    };
    Text::styled(format!("    in its own terminal: {why}"), style::WARNING)
}

fn request(item: &ApprovalItem, columns: usize, extent: Extent) -> Vec<Text> {
    let inner = columns.saturating_sub(2).max(1);
    let rows: Vec<String> = if item.parts.is_empty() {
        let lines = item.request.trim_end_matches('\n').split('\n');
        lines.flat_map(|line| broken(&revealed(line), inner)).collect()
    } else {
        parts(item).flat_map(|line| broken(&line, inner)).collect()
    };
    let most = match extent {
        Extent::Screen(Some(height)) => {
            height.saturating_sub(FRAME_ROWS + item.offers.len()).max(REQUEST_ROWS_MIN)
        }
        Extent::Screen(None) | Extent::All => usize::MAX,
    };
    let left_out = rows.len().saturating_sub(most);
    let shown = rows.into_iter().take(most);
    let mut lines: Vec<Text> = shown.map(|row| Text::plain(format!("| {row}"))).collect();
    if left_out > 0 {
        let more = format!("| … {left_out} more lines: m shows them");
        lines.push(Text::styled(more, style::WARNING));
    }
    let kept = item.request.len() as u64;
    if kept < item.request_bytes {
        let cut =
            format!("| … and {} bytes that only the terminal shows", item.request_bytes - kept);
        lines.push(Text::styled(cut, style::WARNING));
    }
    lines
}

/// What was answered, for whoever named only where it was asked.
pub(crate) fn what(item: &ApprovalItem, width: Option<usize>) -> Vec<Text> {
    let outcome = item.outcome.map_or_else(String::new, |it| format!("{it}, to "));
    let asked = format!("  {outcome}{} bytes: {}", item.request_bytes, in_short(item));
    Text::plain(asked).wrapped(width)
}

/// What may be typed.
pub(crate) fn keys(item: &ApprovalItem, width: Option<usize>) -> Text {
    let parts = by_parts(item).then(|| format!("like {}", pattern(item)));
    let offered: Vec<String> = parts.into_iter().chain(item.offers.iter().map(letter)).collect();
    let keys = format!("{}, Enter skips, m more, q ends", offered.join("/"));
    let columns = width.unwrap_or(WIDTH_DEFAULT).saturating_sub(2);
    Text::styled(keys, style::QUIET).cut(columns).then("> ")
}

/// A text as it is, with everything written out that a terminal would obey or not show.
pub(crate) fn revealed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' || is_seen(c) {
            shown.push(c);
        } else if c == '\t' {
            shown.push('→');
        } else if c == '\n' {
            shown.push('⏎');
        } else {
            shown.extend(["<U+", &format!("{:04X}", u32::from(c)), ">"]);
        }
    }
    shown
}

/// Whether a character leaves something on the screen that is seen.
fn is_seen(c: char) -> bool {
    c.width().is_some_and(|width| width > 0)
        && !c.is_whitespace()
        && !UNSEEN.iter().any(|unseen| unseen.contains(&c))
}

/// What has a width and shows nothing: Unicode's default ignorable characters, the fillers of
/// Hangul, blanks that are no white space, and the marks of annotations.
const UNSEEN: &[RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d159}'..='\u{1d159}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// A line in pieces that fit, each letter for letter.
fn broken(line: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let width = c.width().unwrap_or(0);
        if used + width > columns && used > 0 {
            rows.push(String::new());
            used = 0;
        }
        used += width;
        if let Some(row) = rows.last_mut() {
            row.push(c);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use api::approvals::PartOptionItem;

    use super::*;

    fn item(request: &str) -> ApprovalItem {
        let at = Timestamp::from_millis(0);
        let offer =
            |choice, label: &str| OfferItem { choice, option: None, label: label.to_owned() };
        ApprovalItem {
            approval_id: "ap-0123456789abcdef".to_owned(),
            state: ApprovalState::Waiting,
            kind: ApprovalKind::Permission,
            agent_type: Some("claude".to_owned()),
            agent_session: None,
            target: "local".to_owned(),
            session_name: Some("work".to_owned()),
            pane_id: "%1".to_owned(),
            runtime_id: "rt-1".to_owned(),
            tool: Some("Bash".to_owned()),
            request: request.to_owned(),
            request_bytes: request.len() as u64,
            purpose: None,
            directory: Some("/home/dev/project".to_owned()),
            offers: vec![offer(Choice::Approve, "Yes"), offer(Choice::Deny, "No")],
            fingerprint: "f".to_owned(),
            source: "hook".to_owned(),
            terminal_only: None,
            parts: Vec::new(),
            delivery: None,
            opened_at: at,
            expires_at: at,
            closed_at: None,
            outcome: None,
            answered_by: None,
            action_id: None,
        }
    }

    fn shown(request: &str, width: usize, extent: Extent) -> String {
        let lines = screen(&item(request), 2, Timestamp::from_millis(65_000), Some(width), extent);
        lines.iter().map(|line| line.render(false) + "\n").collect()
    }

    #[test]
    fn s_13_whatever_a_terminal_would_obey_or_hide_is_written_out() {
        let hostile = "echo \u{202e}fdp\u{200b}\x1b[2Jx\u{7f}\r";
        let expected = "echo <U+202E>fdp<U+200B><U+001B>[2Jx<U+007F><U+000D>";
        assert_eq!(revealed(hostile), expected);
        let screen = shown(&format!("{hostile}\nsecond"), 100, Extent::All);
        assert!(screen.contains(&format!("| {expected}\n| second\n")), "{screen}");
    }

    #[test]
    fn s_13_what_has_a_width_and_shows_nothing_is_written_out() {
        for c in ['\u{115f}', '\u{2800}', '\u{fff9}', '\u{3164}', '\u{ad}', '\u{e0041}'] {
            assert_eq!(revealed(&c.to_string()), format!("<U+{:04X}>", u32::from(c)));
        }
        assert_eq!(revealed("日本 é ⠿ 한"), "日本 é ⠿ 한");
    }

    fn listed(items: Vec<ApprovalItem>, width: usize) -> String {
        let at = Timestamp::from_millis(65_000);
        let list = ApprovalList {
            schema_version: api::words::SchemaVersion::V1,
            generated_at: at,
            as_of: 1,
            items,
        };
        lines(&list, at, Some(width)).iter().map(|line| line.render(false) + "\n").collect()
    }

    #[test]
    fn s_13_a_list_marks_what_it_cuts_and_tells_how_long_all_of_it_is() {
        let long = format!("echo {} ; rm -rf ~", "a".repeat(250));
        for width in [40, 80, 120, 1_000] {
            let shown = listed(vec![item(&long)], width);
            assert!(shown.contains('…') && shown.contains("266"), "{width}: {shown}");
            assert!(shown.contains("Bash: echo") && shown.contains("y n"), "{width}: {shown}");
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
        }
        let lines = listed(vec![item("one\nrm two\n")], 120);
        assert!(lines.contains("Bash: one⏎rm two"), "a new line is none of the blanks: {lines}");
        let kept = ApprovalItem { request_bytes: 100_000, ..item("the beginning") };
        assert!(listed(vec![kept], 120).contains("the beginning…"));
    }

    #[test]
    fn at_40_columns_the_list_says_who_asks_what_and_where() {
        assert_eq!(
            listed(vec![item("touch a && echo made && echo more")], 40),
            "ap-0123456789abcdef  waiting\n  claude  local work %1  1m\n  33 bytes: Bash: touch a \
             && echo made &\n  & echo more\n  y n\n"
        );
    }

    #[test]
    fn s_13_a_long_request_tells_how_long_it_is_and_all_of_it_can_be_reached() {
        let long = (0..200).map(|nth| format!("line {nth}\n")).collect::<String>();
        let cut = shown(&long, 40, Extent::Screen(Some(24)));
        assert!(cut.contains("| … 188 more lines: m shows them"), "{cut}");
        assert!(cut.lines().count() <= 24 && cut.contains("1690 bytes"), "{cut}");
        assert!(shown(&long, 40, Extent::All).contains("| line 199\n"));
        let wide = "x".repeat(10_000);
        let rows = shown(&wide, 40, Extent::All);
        assert_eq!(rows.matches('x').count(), 10_000);
        assert!(rows.lines().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn what_only_the_terminal_takes_is_told_with_the_reason() {
        let why = Some(TerminalOnly::SeveralAnswers);
        let asked = ApprovalItem { kind: ApprovalKind::Question, terminal_only: why, ..item("q?") };
        let at = Timestamp::from_millis(65_000);
        let lines = screen(&asked, 0, at, Some(100), Extent::All);
        let shown: String = lines.iter().map(|line| line.render(false) + "\n").collect();
        assert!(shown.ends_with("    in its own terminal: it takes several answers at once\n"));
        assert!(listed(vec![asked], 120).contains("(terminal)"));
    }

    #[test]
    fn the_parts_of_a_question_are_numbered_and_answered_in_their_order() {
        let option = |label: &str| PartOptionItem { label: label.to_owned(), about: None };
        let part = |question: &str, several| PartItem {
            question: question.to_owned(),
            several,
            options: vec![option("Red"), option("Bl\u{202e}ue")],
        };
        let parts = vec![part("Which?", false), part("And\n| 1/9 which?", true)];
        let asked = ApprovalItem { parts, kind: ApprovalKind::Question, ..item("q?") };
        let at = Timestamp::from_millis(65_000);
        let lines = screen(&asked, 0, at, Some(100), Extent::All);
        let shown: String = lines.iter().map(|line| line.render(false) + "\n").collect();
        let expected = "| 1/2 Which? (one of)\n|   1 Red\n|   2 Bl<U+202E>ue\n\
                        | 2/2 And⏎| 1/9 which? (one or more of)\n|   1 Red\n|   2 Bl<U+202E>ue\n";
        assert!(shown.contains(expected), "{shown}");
        let keys = keys(&asked, Some(100)).render(false);
        assert!(keys.starts_with("like 1 1,2/y/n, Enter skips"), "{keys}");
        assert!(listed(vec![asked.clone()], 120).contains("1 1,2 y n"));
        let given = |picks: &[&[u32]]| {
            fits(&asked, &Reply::picking(picks.iter().map(|part| part.to_vec()).collect()))
        };
        assert!(given(&[&[2], &[1, 2]]) && given(&[&[1], &[2]]));
        assert!(!given(&[&[1]]) && !given(&[&[1, 2], &[1]]) && !given(&[&[1], &[3]]));
        assert!(fits(&asked, &Reply::plain(Choice::Deny)));
    }

    #[test]
    fn at_40_columns_one_approval_is_one_screen() {
        let screen = shown("touch a && echo made", 40, Extent::Screen(Some(24)));
        assert_eq!(
            screen,
            "claude asks for a permission (2 more\nwait)\nlocal work %1  1m\nin /home/dev/project\n\
             Bash, 20 bytes:\n| touch a && echo made\n  y Yes\n  n No\n"
        );
        assert!(keys(&item("x"), Some(40)).width() <= 40);
    }
}
