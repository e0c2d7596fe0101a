//! A long past for a database: many events about panes that are there, written as a daemon writes
//! them, only without a daemon and without waiting for the disk.

use std::path::Path;

use anyhow::Context;
use engine::event::Actor;
use engine::ids::{EventId, RuntimeId};
use engine::input::Input;
use engine::settings::Settings;
use engine::signal::{About, Hints, Signal};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::Source;
use store::{Durability, Identity, Ledger, Options, Retention};

const DAY_MS: u64 = 86_400_000;
/// The past reaches back this far, with a checkpoint each day.
const DAYS: u64 = 3;
const BATCH: u64 = 500;

/// Adds events to the database at `path`, whose daemon has ended, until its journal has `rows`
/// rows. Each is about a living runtime and carries `payload` bytes.
pub fn write(path: &Path, present: WallMs, rows: u64, payload: usize) -> anyhow::Result<()> {
    let began = WallMs(present.0 - i64::try_from(DAYS * DAY_MS)?);
    let moment = |passed_ms: u64| -> anyhow::Result<Now> {
        let passed = i64::try_from(passed_ms)?;
        Ok(Now { wall: WallMs(began.0 + passed), mono: MonoMs(passed) })
    };
    let nobody =
        Identity { database: String::new(), installation: String::new(), machine: String::new() };
    let options = Options {
        settings: Settings::default(),
        identity: nobody,
        durability: Durability::None,
        probe: None,
    };
    let mut ledger = Ledger::open(path, options, moment(0)?)?.ledger;
    let lives: Vec<RuntimeId> = ledger
        .engine()
        .panes()
        .filter_map(|row| row.runtime.as_ref().map(|it| it.runtime.clone()))
        .collect();
    let (mut number, missing) = (0_u64, rows.saturating_sub(ledger.as_of()));
    let text = "x".repeat(payload);
    let mut days = 0;
    while number < missing {
        let now = moment(number * DAYS * DAY_MS / missing)?;
        let batch = number..(number + BATCH).min(missing);
        let one = |number| {
            let life = &lives[usize::try_from(number).unwrap_or(0) % lives.len()];
            (Actor::Client { uid: 1_000, pid: Some(4_242) }, note(life, number, now.wall, &text))
        };
        ledger.transact(now, batch.clone().map(one).collect())?;
        number = batch.end;
        if number * DAYS / missing > days {
            days = number * DAYS / missing;
            ledger.retain(now, &Retention::default())?;
        }
    }
    ledger.close().context("the past is not closed in order")
}

/// An event that says nothing about a state.
fn note(life: &RuntimeId, number: u64, at: WallMs, payload: &str) -> Input {
    Input::Signalled(Box::new(Signal {
        event_id: EventId::new(format!("ev-0199f0c0{number:08x}7abc8def0123456789ab")),
        event_type: "bench-note".to_owned(),
        source: Source::Hook,
        dedupe_key: format!("past-{number}"),
        source_event_id: None,
        source_seq: None,
        event_time: at,
        about: About::Runtime(life.clone()),
        hints: Hints::default(),
        agent: None,
        action_id: None,
        claim: None,
        payload: Some(payload.to_owned()),
        asked: None,
        expects_version: None,
        begins_turn: false,
        repeats: false,
        session: None,
        details: Default::default(),
    }))
}
