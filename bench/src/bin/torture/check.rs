//! The one checker: what has to hold after every fault, whatever the fault was.
//!
//! It compares five tellings of one story: what clients were answered, the journal as the file
//! holds it, the tables, what the daemon answers, and what watchers were told; and in the end what
//! tmux itself says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use testkit::{TestEnv, wait};

use crate::clients::{Answers, Clients};
use crate::journal::{Journal, Pane, Row};
use crate::strays;
use crate::watcher::{Frame, Log, Told, Watcher};

/// How soon after everything has calmed down the daemon shows what tmux says.
const CONVERGED_WITHIN: Duration = Duration::from_secs(10);

/// Everything that is known of one database, from its first row on.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) journal: Journal,
}

impl Checker {
    /// Nothing acknowledged is lost and nothing is there twice (I1, I2), the tables are the fold
    /// of the journal (I6), no pane has two lives (I8). For a daemon that runs, at any moment.
    pub(crate) fn history(&mut self, env: &TestEnv, clients: &Clients) -> anyhow::Result<()> {
        // First what was answered, then the file: what is answered in between is not yet asked for.
        let asked = Asked::of(&clients.answers())?;
        self.journal.advance(env)?;
        self.once_each(&asked)?;
        one_life_a_pane(env)?;
        self.answers_are_the_fold(env)
    }

    /// The journal proves itself, with and without a daemon (I1, I6).
    pub(crate) fn proven(env: &TestEnv) -> anyhow::Result<()> {
        let verified = env.qd(&["journal", "verify"]);
        ensure!(verified.code() == Some(0), "the journal does not verify: {verified:?}");
        Ok(())
    }

    /// Watchers saw every change exactly once (I7), up to where each of them is.
    pub(crate) fn watched(&self, watcher: &Watcher) -> anyhow::Result<()> {
        let log = watcher.log().clone();
        ensure!(log.problems.is_empty(), "a watcher was told {:#?}", log.problems);
        let frames: BTreeMap<u64, &Frame> =
            log.frames.iter().map(|frame| (frame.seq, frame)).collect();
        ensure!(frames.len() == log.frames.len(), "a sequence was told twice");
        for row in self.journal.between(log.began, log.seq()) {
            told_rightly(row, frames.get(&row.seq).copied(), &log)?;
        }
        Ok(())
    }

    /// Waits until a watcher has come to the journal's last change of a pane, and checks that what
    /// it was told comes to what the journal comes to.
    pub(crate) fn caught_up(&mut self, env: &TestEnv, watcher: &Watcher) -> anyhow::Result<()> {
        let caught = wait::within(CONVERGED_WITHIN, || {
            self.journal.advance(env).ok()?;
            let last = self.journal.rows().iter().rev().find(|row| concerns_panes(row))?.seq;
            (watcher.log().seq() >= last).then_some(())
        });
        let seq = watcher.log().seq();
        ensure!(caught.is_some(), "a watcher stays at {seq} of {}", self.journal.head());
        self.watched(watcher)?;
        let log = watcher.log().clone();
        let mut told: BTreeMap<String, Pane> =
            log.first.iter().map(|pane| (pane.id.clone(), pane.clone())).collect();
        for change in log.frames.iter().flat_map(|frame| &frame.changes) {
            match change {
                Told::Upsert(pane) => told.insert(pane.id.clone(), pane.clone()),
                Told::Delete(pane) => told.remove(pane),
            };
        }
        self.journal.advance(env)?;
        same_panes("the watcher", &told, "the journal", &self.journal.panes_at(log.seq()))
    }

    /// After everything has calmed down the daemon shows what tmux says (I10), with evidence for
    /// every state it is sure of (I9), and nothing is left over.
    pub(crate) fn converged(env: &TestEnv) -> anyhow::Result<()> {
        let mut seen = (BTreeSet::new(), BTreeSet::new());
        let same = wait::within(CONVERGED_WITHIN, || {
            seen = (tmux_panes(env), listed_panes(env)?);
            (seen.0 == seen.1).then_some(())
        });
        if same.is_none() {
            let missing: Vec<_> = seen.0.difference(&seen.1).collect();
            let wrong: Vec<_> = seen.1.difference(&seen.0).collect();
            bail!("tmux has {missing:#?} which are not listed; listed are {wrong:#?}");
        }
        evidence(env)?;
        strays::one_daemon(env)
    }

    fn once_each(&self, asked: &Asked) -> anyhow::Result<()> {
        let mut recorded: BTreeMap<&str, u64> = BTreeMap::new();
        let mut pended: BTreeMap<&str, u64> = BTreeMap::new();
        for row in self.journal.rows() {
            let Some(key) = row.dedupe_key() else { continue };
            let count = if row.kind == "event_pended" { &mut pended } else { &mut recorded };
            *count.entry(key).or_default() += 1;
        }
        for (key, seq) in &asked.acknowledged {
            let times = (recorded.get(key.as_str()), pended.get(key.as_str()));
            let there = times.0.or(times.1);
            ensure!(there.is_some(), "{key} was acknowledged at {seq} and is lost");
            ensure!(*seq <= self.journal.head(), "{key} was acknowledged at {seq}: the future");
        }
        for (key, count) in recorded.iter().chain(&pended) {
            // The daemon's own events have keys of their own making.
            ensure!(!asked.is_ours(key) || *count == 1, "{key} is in the journal {count} times");
            ensure!(!asked.refused.contains(*key), "{key} was refused and is in the journal");
        }
        Ok(())
    }

    fn answers_are_the_fold(&mut self, env: &TestEnv) -> anyhow::Result<()> {
        let answer = env.api().get("/v1/panes?limit=1000").expect(200);
        let as_of = answer["as_of"].as_u64().context("a list without as_of")?;
        let items = answer["items"].as_array().into_iter().flatten();
        let listed: BTreeMap<_, _> =
            items.filter_map(Pane::of_item).map(|pane| (pane.id.clone(), pane)).collect();
        self.journal.advance(env)?;
        ensure!(as_of <= self.journal.head(), "{as_of} is answered, and the file is not so far");
        same_panes("the list", &listed, "the journal", &self.journal.panes_at(as_of))
    }
}

/// What clients were told, as a whole.
#[derive(Debug)]
struct Asked {
    acknowledged: BTreeMap<String, u64>,
    refused: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Asked {
    fn of(answers: &Answers) -> anyhow::Result<Self> {
        ensure!(answers.problems.is_empty(), "clients were answered {:#?}", answers.problems);
        let acknowledged: BTreeMap<_, _> =
            answers.acknowledged.iter().map(|it| (it.key.clone(), it.seq)).collect();
        // Refused now and taken later is no contradiction: the pane may have come meanwhile.
        let refused = answers.refused.iter().filter(|key| !acknowledged.contains_key(*key));
        Ok(Self {
            refused: refused.cloned().collect(),
            unknown: answers.unknown.iter().cloned().collect(),
            acknowledged,
        })
    }

    fn is_ours(&self, key: &str) -> bool {
        self.acknowledged.contains_key(key) || self.unknown.contains(key)
    }
}

fn concerns_panes(row: &Row) -> bool {
    row.kind == "pane_changed" || row.kind == "pane_removed"
}

/// A change of a pane was told, in the frame of its own sequence and as the row says.
fn told_rightly(row: &Row, frame: Option<&Frame>, log: &Log) -> anyhow::Result<()> {
    if !concerns_panes(row) {
        return Ok(());
    }
    let frame = frame.with_context(|| {
        format!("a watcher from {} to {} was not told {}", log.began, log.seq(), row.seq)
    })?;
    let told = match row.changed_pane() {
        Some(pane) => {
            frame.changes.iter().any(|change| matches!(change, Told::Upsert(item) if *item == pane))
        }
        None => frame.changes.iter().any(
            |change| matches!(change, Told::Delete(id) if Some(id.as_str()) == row.removed_pane()),
        ),
    };
    ensure!(told, "row {} is {}, and a watcher was told {frame:?}", row.seq, row.event);
    Ok(())
}

fn same_panes(
    one: &str,
    left: &BTreeMap<String, Pane>,
    other: &str,
    right: &BTreeMap<String, Pane>,
) -> anyhow::Result<()> {
    for (id, pane) in left {
        let theirs = right.get(id);
        ensure!(theirs == Some(pane), "{one} has {pane:?}, {other} {theirs:?}");
    }
    let more: Vec<_> = right.keys().filter(|id| !left.contains_key(*id)).collect();
    ensure!(more.is_empty(), "{other} has {more:?}, {one} does not");
    Ok(())
}

/// The tables agree with each other about who lives where.
fn one_life_a_pane(env: &TestEnv) -> anyhow::Result<()> {
    let questions = [
        (
            "a pane with two active runtimes",
            "SELECT pane_id FROM runtimes WHERE ended_at IS NULL \
             GROUP BY target_id, pane_id HAVING count(*) > 1",
        ),
        (
            "an active runtime without a pane",
            "SELECT runtime_id FROM runtimes WHERE ended_at IS NULL AND NOT EXISTS \
             (SELECT 1 FROM panes WHERE panes.target_id = runtimes.target_id \
              AND panes.pane_id = runtimes.pane_id)",
        ),
        (
            "the state of a runtime that has ended",
            "SELECT states.runtime_id FROM states JOIN runtimes USING (runtime_id) \
             WHERE runtimes.ended_at IS NOT NULL",
        ),
        (
            "an event that the journal does not know",
            "SELECT event_id FROM events WHERE NOT EXISTS \
             (SELECT 1 FROM journal WHERE journal.seq = events.journal_seq)",
        ),
        ("a broken reference", "SELECT \"table\" || rowid FROM pragma_foreign_key_check"),
    ];
    let parts = questions.map(|(what, query)| format!("SELECT '{what}', * FROM ({query})"));
    let found = env.sqlite(&parts.join(" UNION ALL "));
    ensure!(found.trim().is_empty(), "the tables have {found}");
    Ok(())
}

/// What tells a pane apart from another, in tmux's own words.
type Seen = (String, String, String, String, u64);

fn tmux_panes(env: &TestEnv) -> BTreeSet<Seen> {
    let format = "#{pane_id}\t#{session_name}\t#{window_id}\t#{window_name}\t#{pane_pid}";
    let listed = env.tmux().run(&["list-panes", "-a", "-F", format]);
    listed
        .stdout
        .lines()
        .filter_map(|line| {
            let mut parts = line.split('\t').map(str::to_owned);
            let mut next = || parts.next();
            let seen = (next()?, next()?, next()?, next()?, next()?.parse().ok()?);
            Some(seen).filter(|(_, session, ..)| !session.starts_with("_qd-"))
        })
        .collect()
}

fn listed_panes(env: &TestEnv) -> Option<BTreeSet<Seen>> {
    let answer = env.api().try_get("/v1/panes?limit=1000")?.expect(200);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let seen = |item: &Value| -> Option<Seen> {
        let identity = &item["identity"];
        Some((
            text(&identity["pane_id"])?,
            text(&identity["session_name"])?,
            text(&identity["window_id"])?,
            text(&item["window_name"])?,
            item["pane_pid"].as_u64()?,
        ))
    };
    Some(answer["items"].as_array()?.iter().filter_map(seen).collect())
}

/// Every state that is sure rests on something that still counts.
fn evidence(env: &TestEnv) -> anyhow::Result<()> {
    let answer = env.api().get("/v1/panes?limit=1000").expect(200);
    let sure = answer["items"].as_array().into_iter().flatten();
    for item in sure.filter(|item| item["state"] != "unknown") {
        let Some(runtime) = item["runtime_id"].as_str() else { continue };
        let explained = env.api().get(&format!("/v1/runtimes/{runtime}/explain"));
        // It may have ended, or changed its mind, since the list was read.
        if explained.status != 200 {
            continue;
        }
        let explained = explained.json();
        let unknown = explained["runtime"]["state"] == "unknown";
        let mut evidence = explained["evidence"].as_array().into_iter().flatten();
        let rests = evidence.any(|it| it["won"] == true && it["fresh"] == true);
        ensure!(unknown || rests, "a state without evidence: {explained:#}");
    }
    Ok(())
}
