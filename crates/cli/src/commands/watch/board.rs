//! What a watcher holds, and when it is painted.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Timestamp;
use api::approvals::{ApprovalIdentity, ApprovalItem};
use api::health::Warning;
use api::list::Summary;
use api::panes::{PaneIdentity, PaneItem};
use api::sessions::{SessionIdentity, SessionItem};
use api::watch::{Change, WatchFrame, Watched};
use api::windows::{WindowIdentity, WindowItem};
use api::words::DisplayCategory;
use client::{FrameKind, Pause, Step};
use tokio::time::Instant;

use crate::commands::watch::{Sink, told};
use crate::failure::Failure;
use crate::output::style;
use crate::output::table::Table;
use crate::output::terminal::Terminal;
use crate::output::text::Text;
use crate::output::{approvals, overview::warning, panes, sessions, windows};

/// How often a screen is painted although nothing changed, so that the ages on it stay true.
const AGING: Duration = Duration::from_secs(5);

/// What can stand on the board.
pub(super) trait Row: Watched + Send {
    /// What does not change when an item is renamed or moved.
    type Key: Ord + Send;

    fn key(identity: &Self::Identity) -> Self::Key;

    /// Where it stands: the most urgent first, then by place.
    fn order(&self) -> impl Ord;

    fn target(&self) -> Option<&str>;

    fn table(items: &[Self], now: Timestamp, several_targets: bool) -> Table;

    /// How many there are, and what of it matters.
    fn count(_items: usize, summary: &Summary) -> Text {
        let counts = DisplayCategory::ALL.iter().filter_map(|category| {
            let count = summary.by_category.get(category).copied().filter(|it| *it > 0)?;
            Some(Text::styled(format!("{count} {category}"), style::of_category(*category)))
        });
        let panes = if summary.total == 1 { "pane" } else { "panes" };
        let mut head = Text::styled(format!("{} {panes}", summary.total), style::TITLE);
        for (place, count) in counts.enumerate() {
            head = head.then(if place == 0 { ": " } else { ", " }).then(count);
        }
        head
    }
}

impl Row for PaneItem {
    type Key = (String, String);

    fn key(identity: &PaneIdentity) -> Self::Key {
        (identity.target.to_string(), identity.pane_id.clone())
    }

    fn order(&self) -> impl Ord {
        let it = &self.identity;
        let place = (self.window_index, self.pane_index, it.pane_id.clone());
        (self.display_category.precedence(), it.target.clone(), it.session_name.clone(), place)
    }

    fn target(&self) -> Option<&str> {
        Some(self.identity.target.as_str())
    }

    fn table(items: &[Self], now: Timestamp, several_targets: bool) -> Table {
        panes::table(items, now, several_targets)
    }
}

impl Row for WindowItem {
    type Key = (String, String, String);

    fn key(identity: &WindowIdentity) -> Self::Key {
        let WindowIdentity { target, session_id, window_id, .. } = identity;
        (target.to_string(), session_id.clone(), window_id.clone())
    }

    fn order(&self) -> impl Ord {
        let it = &self.identity;
        let place = (self.window_index, it.window_id.clone());
        (self.top_category.precedence(), it.target.clone(), it.session_name.clone(), place)
    }

    fn target(&self) -> Option<&str> {
        Some(self.identity.target.as_str())
    }

    fn table(items: &[Self], _: Timestamp, several_targets: bool) -> Table {
        windows::table(items, several_targets)
    }
}

impl Row for SessionItem {
    /// tmux's id where there is one; else the name is what holds it together.
    type Key = (Option<String>, Result<String, String>);

    fn key(identity: &SessionIdentity) -> Self::Key {
        let SessionIdentity { target, session_id, session_name } = identity;
        let id = session_id.clone().ok_or_else(|| session_name.clone());
        (target.as_ref().map(ToString::to_string), id)
    }

    fn order(&self) -> impl Ord {
        let SessionIdentity { target, session_name, session_id } = self.identity.clone();
        (self.top_category.precedence(), target, session_name, session_id)
    }

    fn target(&self) -> Option<&str> {
        self.identity.target.as_ref().map(|it| it.as_str())
    }

    fn table(items: &[Self], _: Timestamp, several_targets: bool) -> Table {
        sessions::table(items, several_targets)
    }
}

impl Row for ApprovalItem {
    type Key = ApprovalIdentity;

    fn key(identity: &ApprovalIdentity) -> Self::Key {
        identity.clone()
    }

    fn order(&self) -> impl Ord {
        (self.opened_at, self.approval_id.clone())
    }

    fn target(&self) -> Option<&str> {
        Some(&self.target)
    }

    fn table(items: &[Self], now: Timestamp, _: bool) -> Table {
        approvals::table(items, now)
    }

    fn count(items: usize, _: &Summary) -> Text {
        let approvals = if items == 1 { "approval waits" } else { "approvals wait" };
        Text::styled(format!("{items} {approvals}"), style::TITLE)
    }
}

/// The items of a stream, painted when they change, but not too often.
pub(super) struct Board<I: Row> {
    terminal: Terminal,
    interval: Duration,
    items: BTreeMap<I::Key, I>,
    summary: Summary,
    /// Why what is shown may be of the past.
    warnings: Vec<Warning>,
    /// What time it was for the daemon when the last frame came, and when that was for us.
    emitted: Timestamp,
    received: Instant,
    paused: Option<Pause>,
    /// Whether something changed since it was painted.
    changed: bool,
    painted: Option<Instant>,
}

impl<I: Row> Board<I> {
    pub(super) fn new(terminal: Terminal, interval: Duration) -> Self {
        Self {
            terminal,
            interval,
            items: BTreeMap::new(),
            summary: Summary::empty(),
            warnings: Vec::new(),
            emitted: Timestamp::from_millis(0),
            received: Instant::now(),
            paused: None,
            changed: false,
            painted: None,
        }
    }

    fn apply(&mut self, frame: WatchFrame<I>) {
        match frame {
            WatchFrame::Snapshot(frame) => {
                let keyed = frame.items.into_iter().map(|item| (I::key(&item.identity()), item));
                self.items = keyed.collect();
                self.changed = true;
                self.summary = frame.summary;
                self.warnings = frame.warnings;
                self.emitted = frame.emitted_at;
            }
            WatchFrame::Delta(frame) => {
                // A frame without changes only moves the cursor.
                self.changed |= !frame.changes.is_empty() || frame.warnings != self.warnings;
                self.warnings = frame.warnings;
                frame.changes.into_iter().for_each(|change| self.change(change));
                self.summary = frame.summary;
                self.emitted = frame.emitted_at;
            }
            // What it held stays good; a snapshot follows where it does not.
            WatchFrame::Reset(frame) => self.emitted = frame.emitted_at,
        }
        self.received = Instant::now();
    }

    /// What time it is for the daemon.
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.received.elapsed().as_millis()).unwrap_or(0);
        Timestamp::from_millis(self.emitted.as_millis().saturating_add(passed))
    }

    fn change(&mut self, change: Change<I>) {
        match change {
            Change::Upsert { identity, item } => self.items.insert(I::key(&identity), item),
            Change::Delete { identity } => self.items.remove(&I::key(&identity)),
        };
    }

    fn lines(&self, width: Option<usize>) -> Vec<Text>
    where
        I: Clone,
    {
        let mut items: Vec<I> = self.items.values().cloned().collect();
        items.sort_by(|a, b| a.order().cmp(&b.order()));
        let first = items.first().and_then(Row::target).map(str::to_owned);
        let several = items.iter().any(|item| item.target() != first.as_deref());
        let mut lines = self.head().wrapped(width);
        lines.extend(self.warnings.iter().flat_map(warning).flat_map(|line| line.wrapped(width)));
        lines.extend(I::table(&items, self.now(), several).lines(width));
        lines
    }

    /// How many there are, and whether what is shown is still true.
    fn head(&self) -> Text {
        let head = I::count(self.items.len(), &self.summary);
        match self.paused {
            Some(pause) => head.then_styled(format!("  ({})", told(pause)), style::WARNING),
            None => head,
        }
    }

    fn paint(&mut self) -> Result<(), Failure>
    where
        I: Clone,
    {
        let first = self.painted.is_none();
        let mut lines = self.lines(self.terminal.width());
        if !first && !self.terminal.is_interactive() {
            lines.insert(0, Text::new());
        }
        self.terminal.paint(&lines, first)?;
        self.changed = false;
        self.painted = Some(Instant::now());
        Ok(())
    }
}

impl<I: Row + Clone> Sink for Board<I> {
    fn take(&mut self, step: Step) -> Result<(), Failure> {
        let before = self.paused;
        match step {
            Step::Frame(frame) => {
                // The frame that tells of a pause does not end it.
                if !matches!(frame.kind(), FrameKind::Reset(_)) {
                    self.paused = None;
                }
                self.apply(frame.read()?);
            }
            Step::Paused(pause) => self.paused = Some(pause),
        }
        let overdue = self.due().is_some_and(|due| due <= Instant::now());
        if overdue || self.paused != before { self.paint() } else { Ok(()) }
    }

    fn due(&self) -> Option<Instant> {
        let Some(painted) = self.painted else { return self.changed.then(Instant::now) };
        if self.changed {
            return Some(painted + self.interval);
        }
        self.terminal.is_interactive().then(|| painted + self.interval.max(AGING))
    }

    fn tick(&mut self) -> Result<(), Failure> {
        self.paint()
    }

    fn resized(&mut self) -> Result<(), Failure> {
        if self.painted.is_some() { self.paint() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.changed { self.paint() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use anstream::ColorChoice;
    use api::words::SchemaVersion;

    use super::*;
    use crate::output::fixtures::{self, shown};

    fn board() -> Board<PaneItem> {
        Board::new(Terminal::new(ColorChoice::Never), Duration::from_secs(2))
    }

    fn snapshot(items: Vec<PaneItem>) -> WatchFrame<PaneItem> {
        let list = fixtures::list(&["local"], items);
        WatchFrame::Snapshot(api::watch::SnapshotFrame {
            schema_version: SchemaVersion::V1,
            generated_at: list.generated_at,
            emitted_at: list.generated_at,
            stream_id: "s".to_owned(),
            cursor: "s:5".parse().unwrap(),
            sequence: 5,
            scope: PaneItem::SCOPE,
            filters: list.filters,
            summary: list.summary,
            warnings: Vec::new(),
            items: list.items,
        })
    }

    fn delta(changes: Vec<Change<PaneItem>>) -> WatchFrame<PaneItem> {
        let list = fixtures::list::<PaneItem>(&["local"], Vec::new());
        WatchFrame::Delta(api::watch::DeltaFrame {
            schema_version: SchemaVersion::V1,
            generated_at: list.generated_at,
            emitted_at: list.generated_at,
            stream_id: "s".to_owned(),
            cursor: "s:6".parse().unwrap(),
            sequence: 6,
            scope: PaneItem::SCOPE,
            filters: list.filters,
            summary: list.summary,
            warnings: Vec::new(),
            changes,
        })
    }

    #[test]
    fn a_renamed_pane_stays_one_row_and_a_deleted_one_goes() {
        let mut board = board();
        let panes = fixtures::panes().items;
        board.apply(snapshot(panes.clone()));
        let mut moved = panes[2].clone();
        moved.identity.session_name = "renamed".to_owned();
        moved.identity.window_id = "@99".to_owned();
        let gone = panes[3].identity.clone();
        board.apply(delta(vec![
            Change::Upsert { identity: moved.identity.clone(), item: moved },
            Change::Delete { identity: gone },
        ]));
        assert_eq!(board.items.len(), panes.len() - 1);
        let text = shown(&board.lines(Some(100)));
        assert_eq!(text.matches("%5 ").count(), 1, "{text}");
        assert!(text.contains("renamed:3.0"), "{text}");
        assert!(!text.contains("%6 "), "{text}");
    }

    #[test]
    fn that_nothing_is_stored_stands_on_top_until_it_is_over() {
        let mut board = board();
        board.apply(snapshot(fixtures::panes().items));
        board.changed = false;
        let WatchFrame::Delta(mut told) = delta(Vec::new()) else { unreachable!() };
        told.warnings = vec![fixtures::warning()];
        board.apply(WatchFrame::Delta(told));
        assert!(board.changed);
        assert!(shown(&board.lines(Some(60))).contains("! the database cannot be written to"));
        board.apply(delta(Vec::new()));
        assert!(!shown(&board.lines(Some(60))).contains("the database"));
    }

    #[test]
    fn the_most_urgent_panes_are_on_top() {
        let mut board = board();
        board.apply(snapshot(fixtures::panes().items));
        let lines = shown(&board.lines(Some(60)));
        let place = |state: &str| lines.find(state).unwrap();
        assert!(place("waiting_approval") < place("running"), "{lines}");
        assert!(place("running") < place("no agent"), "{lines}");
    }

    #[test]
    fn it_is_painted_at_once_and_then_not_before_the_interval_is_over() {
        let mut board = board();
        assert_eq!(board.due(), None, "there is nothing to paint");
        board.apply(snapshot(Vec::new()));
        assert!(board.due().unwrap() <= Instant::now());
        board.painted = Some(Instant::now());
        board.changed = false;
        board.apply(delta(Vec::new()));
        assert!(!board.changed, "a moved cursor is nothing to see");
        let identity = fixtures::panes().items[0].identity.clone();
        board.apply(delta(vec![Change::Delete { identity }]));
        assert!(board.due().unwrap() > Instant::now() + Duration::from_secs(1));
    }

    #[test]
    fn an_interruption_is_told_until_the_stream_goes_on() {
        let mut board = board();
        board.paused = Some(Pause::Stopped);
        assert!(shown(&board.lines(None)).contains("the daemon was stopped"));
        board.paused = None;
        assert!(!shown(&board.lines(None)).contains("stopped"));
    }
}
