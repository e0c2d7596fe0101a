//! `GET /v1/health`.

use std::sync::Arc;

use api::health::{
    HealthAnswer, HealthStatus, HookTally, JournalHead, StoreMode, TargetHealth, Warning,
};
use api::words::SchemaVersion;
use axum::extract::State;
use engine::time::WallMs;
use engine::words::Health as Known;
use http::StatusCode;
use serde_json::Map;
use store::Finding;

use super::app::App;
use super::extract::{Asked, Said};
use super::to_api::{self, timestamp};
use crate::follower::Follower;
use crate::spool::tally::Tally;
use crate::standing::Standing;

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    _: Asked<api::query::NoQuery>,
) -> Said<HealthAnswer> {
    let watchers = app.lookout.watchers() as u64;
    let journal = journal(&app).await;
    let answer = app.read(|follower, now| {
        let targets = targets(follower);
        let standing = follower.standing();
        let doubted = app.deck.doubts_clock_since().map(clock_warning);
        let tally = app.spool.borrow().clone();
        let of_spool = of_spool(&tally);
        let hooks = HookTally { taken: tally.taken, homeless: tally.homeless };
        let outside = app.outside();
        let shut = outside.problem.as_deref().map(of_listening);
        let refused = app.config.borrow().refused.as_deref().map(of_config);
        let warnings: Vec<Warning> = to_api::doubts(standing)
            .into_iter()
            .chain(app.notices.iter().map(of_notice))
            .chain(refused)
            .chain(shut)
            .chain(of_spool)
            .chain(doubted)
            .collect();
        // What somebody wants to be left alone is no trouble.
        let mut wanted = follower.engine().targets().filter(|row| !row.is_disconnected());
        // Nor is it one that nobody has looked yet: how that ends is told soon.
        let uneasy = wanted.any(|row| row.health != Known::Ok && !row.is_unseen());
        let store_mode = match standing {
            Standing::Writable | Standing::Failing { .. } => StoreMode::ReadWrite,
            Standing::ReadOnly(_) => StoreMode::ReadOnly,
        };
        HealthAnswer {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            status: match store_mode {
                StoreMode::ReadOnly => HealthStatus::ReadOnly,
                StoreMode::ReadWrite if uneasy || !warnings.is_empty() => HealthStatus::Degraded,
                StoreMode::ReadWrite => HealthStatus::Ok,
            },
            version: super::VERSION.to_owned(),
            pid: std::process::id(),
            started_at: timestamp(app.facts.started.wall),
            uptime_ms: now.since(app.facts.started.stamp()).unsigned_abs(),
            instance_id: app.facts.instance_id.clone(),
            socket: app.socket().display().to_string(),
            listen: outside.address.map(|it| it.to_string()),
            database: app.facts.database.display().to_string(),
            store_mode,
            journal,
            stream_id: follower.stream_id().to_owned(),
            watchers,
            targets,
            hooks,
            warnings,
        }
    });
    Said(StatusCode::OK, answer)
}

/// The end of the journal as it can be read. Without a hash where the database does not answer.
async fn journal(app: &App) -> JournalHead {
    let sequence = app.lookout.read(Follower::as_of);
    let hash = app.lookout.in_journal(move |journal| journal.hash_at(sequence)).await;
    let hash = hash.and_then(Result::ok).flatten().unwrap_or_default();
    JournalHead { sequence, hash }
}

fn targets(follower: &Follower) -> Vec<TargetHealth> {
    let mut targets: Vec<TargetHealth> = follower
        .engine()
        .targets()
        .map(|row| TargetHealth {
            target: follower.target_name(&row.target),
            health: to_api::health(row.health),
            health_reason: to_api::health_reason(row),
            health_message: to_api::health_message(row),
            observer_mode: to_api::observer_mode(row),
            last_seen_at: row.last_seen_at.map(timestamp),
        })
        .collect();
    targets.sort_by(|one, other| one.target.cmp(&other.target));
    targets
}

/// What was found when the database was opened, and cost no more than some proof.
fn of_notice(notice: &Finding) -> Warning {
    Warning {
        code: "proof_missing".to_owned(),
        message: format!("when the database was opened: {notice}"),
        details: Map::new(),
        hint:
            "That no older copy was put in place is not proven. Who did not remove `qd.anchor` on \
               purpose looks why it was not there. It is said until the daemon starts again."
                .to_owned(),
    }
}

/// The settings that the file holds are not the ones in force.
fn of_config(why: &str) -> Warning {
    Warning {
        code: "config_invalid".to_owned(),
        message: format!("the settings were not taken: {why}"),
        details: Map::new(),
        hint: "The ones before stay in force, and without correcting it no daemon starts again: \
               `qd config check`."
            .to_owned(),
    }
}

fn of_listening(problem: &str) -> Warning {
    Warning {
        code: "api_not_listening".to_owned(),
        message: format!("tokens are not served over TCP: {problem}"),
        details: Map::new(),
        hint: "Free that address, or name another as `api.listen`; it is tried again every 10 s."
            .to_owned(),
    }
}

/// What stands in the spool that is not taken in.
fn of_spool(tally: &Tally) -> Vec<Warning> {
    let found = [
        (
            "spool_unreadable",
            tally.unreadable,
            "lines of the spool are no records",
            "A full disk cuts records off; else somebody else writes there. They were left out.",
        ),
        (
            "spool_newer",
            tally.newer,
            "records of the spool were written by a later version",
            "Restart the daemon with the `qd` that the hooks run: `qd daemon stop`, then `qd`.",
        ),
        (
            "spool_missed",
            tally.missed,
            "files of spools on other machines went, or were cut, before they were read",
            "What hooks told there meanwhile is not known. Somebody deleted them, or nobody here \
             read them for so long that they were given up.",
        ),
        (
            "spool_foreign",
            tally.foreign,
            "files of the spool belong to somebody else, or are none",
            "Look into the folder `spool` beside the database, and delete what is not yours.",
        ),
    ];
    let some = found.into_iter().filter(|(_, count, ..)| *count > 0);
    some.map(|(code, count, what, hint)| Warning {
        code: code.to_owned(),
        message: format!("{count} {what}"),
        details: Map::from_iter([("count".to_owned(), count.into())]),
        hint: hint.to_owned(),
    })
    .collect()
}

/// The wall clock is days away from where it was, so nothing is deleted by it.
fn clock_warning(believed: WallMs) -> Warning {
    let at = timestamp(believed);
    let mut details = Map::new();
    details.insert("believed_at".to_owned(), at.to_string().into());
    Warning {
        code: "clock_doubted".to_owned(),
        message: format!("the clock is days away from {at}, where it was last believed"),
        details,
        hint: "Nothing expires until it is set right or has run steadily for a day.".to_owned(),
    }
}
