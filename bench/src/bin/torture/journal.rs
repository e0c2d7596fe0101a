//! The journal as the file holds it, read by SQLite's own shell: what the daemon says is compared
//! with this, and never with what the daemon says elsewhere.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use testkit::TestEnv;

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) kind: String,
    hash: String,
    /// The key of the client's event that was recorded with it, which has a row of its own.
    recorded_key: Option<String>,
    /// The event, inside its one outer key.
    pub(crate) event: Value,
}

impl Row {
    fn parse(line: &str) -> anyhow::Result<Self> {
        let row: Value = serde_json::from_str(line).with_context(|| format!("the row {line}"))?;
        let text = |index: usize| row[index].as_str().unwrap_or_default().to_owned();
        let seq = row[0].as_u64().context("a row without a sequence")?;
        let event = row[3].as_object().and_then(|it| it.values().next()).cloned();
        let recorded_key = row[4].as_str().map(str::to_owned);
        let event = event.unwrap_or(Value::Null);
        Ok(Self { seq, kind: text(1), hash: text(2), recorded_key, event })
    }

    /// The key of the client's event that the row is about.
    pub(crate) fn dedupe_key(&self) -> Option<&str> {
        self.recorded_key.as_deref().or_else(|| self.event["signal"]["dedupe_key"].as_str())
    }

    /// The pane that the row removes.
    pub(crate) fn removed_pane(&self) -> Option<&str> {
        if self.kind == "pane_removed" { self.event["key"]["pane"].as_str() } else { None }
    }

    /// The pane whose row it is.
    pub(crate) fn changed_pane(&self) -> Option<Pane> {
        if self.kind == "pane_changed" { Pane::of_row(&self.event["row"]) } else { None }
    }
}

/// What a pane is, as far as journal, tables, lists and watchers must agree at every moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pane {
    pub(crate) id: String,
    pub(crate) session: String,
    pub(crate) window: String,
    pub(crate) runtime: Option<String>,
    pub(crate) epoch: Option<u64>,
    pub(crate) state: String,
    pub(crate) version: u64,
}

impl Pane {
    fn of_row(row: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            id: text(&row["key"]["pane"])?,
            session: text(&row["facts"]["session_name"])?,
            window: text(&row["facts"]["window_name"])?,
            runtime: text(&row["runtime"]["runtime"]),
            epoch: row["runtime"]["epoch"].as_u64(),
            state: text(&row["state"]["state"])?,
            version: row["state"]["version"].as_u64()?,
        })
    }

    /// The same of an item of the API.
    pub(crate) fn of_item(item: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            id: text(&item["identity"]["pane_id"])?,
            session: text(&item["identity"]["session_name"])?,
            window: text(&item["window_name"])?,
            runtime: text(&item["runtime_id"]),
            epoch: item["pane_epoch"].as_u64(),
            state: text(&item["state"])?,
            version: item["state_version"].as_u64()?,
        })
    }
}

/// All rows from the first on, kept as the file grows.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    rows: Vec<Row>,
}

impl Journal {
    /// Reads what is new; fails where what was there has changed or the numbers have a gap.
    pub(crate) fn advance(&mut self, env: &TestEnv) -> anyhow::Result<()> {
        let known = self.head();
        let listed = env.sqlite(&format!(
            "SELECT json_array(seq, kind, hex(hash), json(payload), dedupe_key) FROM journal \
             LEFT JOIN events ON journal_seq = seq WHERE seq >= {known} ORDER BY seq"
        ));
        let mut fresh = listed.lines().map(Row::parse);
        if let Some(last) = self.rows.last() {
            let Some(again) = fresh.next() else {
                bail!("the journal had come to {known} and is shorter now");
            };
            let again = again?;
            ensure!(again.seq == last.seq, "row {known} is gone; the next is {}", again.seq);
            ensure!(again.hash == last.hash, "row {known} is another one than before");
        }
        for row in fresh {
            let row = row?;
            ensure!(row.seq == self.head() + 1, "row {} follows {}", row.seq, self.head());
            self.rows.push(row);
        }
        Ok(())
    }

    pub(crate) fn head(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.seq)
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows after `seq`, up to `last`.
    pub(crate) fn between(&self, seq: u64, last: u64) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.seq > seq && row.seq <= last)
    }

    /// What all panes come to after the row `seq`: the fold, done once more and elsewhere.
    pub(crate) fn panes_at(&self, seq: u64) -> BTreeMap<String, Pane> {
        let mut panes = BTreeMap::new();
        for row in self.between(0, seq) {
            if let Some(pane) = row.changed_pane() {
                panes.insert(pane.id.clone(), pane);
            } else if let Some(gone) = row.removed_pane() {
                panes.remove(gone);
            }
        }
        panes
    }
}
