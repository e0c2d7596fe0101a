//! How the daemon is doing, for people.

use api::health::{HealthAnswer, HealthStatus, TargetHealth};
use api::words::{Health, ObserverMode};

use crate::output::overview::warning;
use crate::output::style;
use crate::output::text::Text;
use crate::output::time::span;

/// How wide the names in front are.
const NAME_COLUMNS: usize = 10;

/// The daemon, its places and its targets. Lines are as long as their paths: these are copied.
pub(crate) fn lines(health: &HealthAnswer) -> Vec<Text> {
    let status = Text::styled(health.status.as_str(), of_status(health.status));
    let running = format!(", pid {}, running for {}", health.pid, span(health.uptime_ms));
    let journal = format!(
        "{} ({}), journal at {}",
        health.database, health.store_mode, health.journal.sequence
    );
    let mut lines = vec![
        field("daemon", status.then(running)),
        field("version", &health.version),
        field("socket", &health.socket),
        field("database", journal),
        field("watchers", health.watchers.to_string()),
    ];
    for target in &health.targets {
        let state = Text::styled(target.health.as_str(), style::of_health(target.health));
        let reason = target.health_reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        let said = Text::plain(target.target.as_str()).then(" ").then(state).then(reason);
        let by = format!(", {}", watched(target));
        lines.push(field("target", said.then_styled(by, style::QUIET)));
    }
    lines.extend(health.warnings.iter().flat_map(warning));
    lines
}

/// How a target is watched.
pub(crate) const fn watched(target: &TargetHealth) -> &'static str {
    match (target.observer_mode, target.health) {
        (ObserverMode::Control, _) => "watched by control mode",
        (ObserverMode::Forked, _) => "watched by forked commands",
        (ObserverMode::None, Health::Ok) => "no tmux server runs there",
        (ObserverMode::None, Health::Degraded | Health::Down) => "not watched now",
    }
}

/// A name and what it is.
pub(crate) fn field(name: &str, value: impl Into<Text>) -> Text {
    Text::styled(name, style::QUIET).padded(NAME_COLUMNS).then(value)
}

const fn of_status(status: HealthStatus) -> anstyle::Style {
    match status {
        HealthStatus::Ok => style::GOOD,
        HealthStatus::Degraded => style::WARNING,
        HealthStatus::ReadOnly => style::ERROR,
    }
}
