//! Tables that fit: columns give way to each other in a stated order.

use std::cmp::Reverse;

use crate::output::style;
use crate::output::text::Text;

/// Between two columns.
const GAP: usize = 2;

/// The widest that a column is where lines have no end: a longer cell stands out of it, whole,
/// rather than push every other row so far.
const UNBOUND_MAX: usize = 60;

/// A column that may become narrower still tells something at this width.
const COMFORT: usize = 16;

/// A column and what becomes of it where there is little room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    /// Who gives way first: the highest rank does; rank 0 is never left out.
    rank: u8,
    /// How narrow it may become before it is left out; zero if it is shown whole or not at all.
    least: usize,
}

impl Column {
    /// A column that is always there.
    pub(crate) const fn fixed(title: &'static str) -> Self {
        Self { title, rank: 0, least: 0 }
    }

    /// A column that is left out before those of a lower rank.
    pub(crate) const fn yielding(title: &'static str, rank: u8) -> Self {
        Self { title, rank, least: 0 }
    }

    /// The same, which becomes narrower before that.
    #[must_use]
    pub(crate) const fn down_to(self, least: usize) -> Self {
        Self { least, ..self }
    }

    fn narrowest(self, natural: usize) -> usize {
        if self.least == 0 { natural } else { self.least.min(natural) }
    }
}

/// Rows below their titles.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Text>>,
    titled: bool,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), titled: true }
    }

    /// The same without its titles.
    #[must_use]
    pub(crate) fn untitled(self) -> Self {
        Self { titled: false, ..self }
    }

    /// Adds a row; it has one cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Text>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// The lines, none of them wider than given; without a width, as wide as they are.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<Text> {
        let natural: Vec<usize> =
            (0..self.columns.len()).map(|column| self.natural_width(column)).collect();
        let widths = match width {
            Some(width) => fit(&self.columns, &natural, width),
            None => natural.into_iter().map(|it| Some(it.min(UNBOUND_MAX))).collect(),
        };
        let titles = self.columns.iter().map(|column| Text::styled(column.title, style::TITLE));
        let titles = self.titled.then(|| titles.collect());
        let rows = titles.iter().chain(&self.rows);
        match width {
            Some(width) => rows.map(|row| line(row, &widths, Text::cut).cut(width)).collect(),
            None => rows.map(|row| line(row, &widths, |cell, _| cell)).collect(),
        }
    }

    /// As wide as its widest cell; zero for a column with nothing in it, which is not shown.
    fn natural_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(Text::width).max().unwrap_or(0);
        let title = self.columns.get(column).map_or(0, |it| it.title.len());
        if widest == 0 || !self.titled { widest } else { widest.max(title) }
    }
}

/// How wide each column is shown, if at all. First the wide ones become as narrow as is still
/// comfortable; then they give way one after the other; what room is left goes back to them.
fn fit(columns: &[Column], natural: &[usize], width: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> =
        natural.iter().map(|it| Some(*it).filter(|it| *it > 0)).collect();
    let mut order: Vec<usize> = (0..columns.len()).filter(|it| natural[*it] > 0).collect();
    order.sort_by_key(|it| Reverse(columns[*it].rank));
    for &it in &order {
        let comfort = columns[it].narrowest(natural[it]).max(COMFORT).min(natural[it]);
        let excess = total(&widths).saturating_sub(width);
        widths[it] = widths[it].map(|wide| wide - excess.min(wide - comfort));
    }
    for &it in &order {
        let excess = total(&widths).saturating_sub(width);
        let spare =
            widths[it].map_or(0, |wide| wide - columns[it].narrowest(natural[it]).min(wide));
        let leaves = spare < excess && columns[it].rank > 0;
        widths[it] = widths[it].filter(|_| !leaves).map(|wide| wide - excess.min(spare));
    }
    for &it in order.iter().rev() {
        let room = width.saturating_sub(total(&widths));
        widths[it] = widths[it].map(|wide| wide + room.min(natural[it] - wide));
    }
    widths
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

fn line(cells: &[Text], widths: &[Option<usize>], fitted: fn(Text, usize) -> Text) -> Text {
    let mut shown = cells.iter().zip(widths).filter_map(|(cell, width)| Some((cell, (*width)?)));
    let shown: Vec<_> = shown.by_ref().filter(|(_, width)| *width > 0).collect();
    // Blanks at the end of a line are no use to anybody.
    let last = shown.iter().rposition(|(cell, _)| cell.width() > 0);
    let mut line = Text::new();
    for (place, (cell, width)) in shown.into_iter().enumerate() {
        let cell = fitted(cell.clone(), width);
        match last {
            Some(last) if place < last => {
                let width = cell.width().max(width);
                line = line.then(cell.padded(width + GAP));
            }
            Some(last) if place == last => line = line.then(cell),
            Some(_) | None => break,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> Table {
        let columns = [
            Column::fixed("PANE"),
            Column::yielding("STATE", 1).down_to(4),
            Column::yielding("AGE", 3),
            Column::yielding("TITLE", 2).down_to(6),
        ];
        let mut table = Table::new(columns);
        table.row(["%1", "running", "3m", "a title of some length"].map(Text::from));
        table.row(["%12", "idle", "", "日本語"].map(Text::from));
        table
    }

    fn shown(table: &Table, width: Option<usize>) -> String {
        table.lines(width).iter().map(|line| line.render(false) + "\n").collect()
    }

    #[test]
    fn without_a_width_one_long_cell_stands_out_whole_and_moves_no_other_row() {
        let mut table = Table::new([Column::fixed("NAME"), Column::fixed("KIND")]);
        let long = "n".repeat(1_000);
        table.row(["short", "a"].map(Text::from));
        table.row([Text::from(long.as_str()), Text::from("b")]);
        let shown = shown(&table, None);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1].len(), UNBOUND_MAX + GAP + 1);
        assert_eq!(lines[2], format!("{long}  b"));
    }

    #[test]
    fn with_room_for_all_every_column_is_as_wide_as_it_needs() {
        insta::assert_snapshot!(shown(&table(), None), @r"
        PANE  STATE    AGE  TITLE
        %1    running  3m   a title of some length
        %12   idle          日本語
        ");
        assert_eq!(shown(&table(), Some(80)), shown(&table(), None));
    }

    #[test]
    fn the_highest_rank_gives_way_first_and_then_the_next() {
        insta::assert_snapshot!(shown(&table(), Some(30)), @r"
        PANE  STATE    TITLE
        %1    running  a title of som…
        %12   idle     日本語
        ");
        insta::assert_snapshot!(shown(&table(), Some(26)), @r"
        PANE  STATE    TITLE
        %1    running  a title of…
        %12   idle     日本語
        ");
        insta::assert_snapshot!(shown(&table(), Some(13)), @r"
        PANE  STATE
        %1    running
        %12   idle
        ");
        insta::assert_snapshot!(shown(&table(), Some(10)), @r"
        PANE  STA…
        %1    run…
        %12   idle
        ");
        insta::assert_snapshot!(shown(&table(), Some(3)), @r"
        PA…
        %1
        %12
        ");
    }

    #[test]
    fn a_column_with_nothing_in_it_is_not_shown() {
        let mut table = Table::new([Column::fixed("A"), Column::fixed("B"), Column::fixed("C")]);
        table.row(["a", "", "c"].map(Text::from));
        assert_eq!(shown(&table, None), "A  C\na  c\n");
        assert_eq!(shown(&table.untitled(), None), "a  c\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            cells in proptest::collection::vec("[a-z日\u{301}❤\u{FE0F}]{0,30}", 4..40),
            width in 1usize..100,
        ) {
            let mut table = table();
            for row in cells.chunks_exact(4) {
                table.row(row.iter().map(Text::from).collect::<Vec<_>>());
            }
            for line in table.lines(Some(width)) {
                prop_assert!(line.width() <= width, "{line:?}");
            }
        }
    }
}
