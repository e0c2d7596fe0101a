//! For each target: how it is, what stands between us and it, and whether hooks of ours are there.

use std::path::Path;

use api::ErrorCode;
use api::health::{HealthAnswer, StoreMode, TargetHealth};
use api::targets::TargetItem;
use api::words::Health;

use crate::commands::doctor::{Check, Verdict};
use crate::commands::setup::{self, SetUpThere};
use crate::failure::Failure;
use crate::output::health::watched;
use crate::output::targets::{is_disconnected, is_unseen, remedy};

/// The targets that the daemon watches, as it says itself; hooks elsewhere are known without it.
pub(super) fn checks(
    health: Option<&HealthAnswer>,
    items: Option<&[TargetItem]>,
    state: &Path,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let there = setup::set_up_there(state).unwrap_or_else(|failure| {
        checks.extend(unread(failure));
        Vec::new()
    });
    let item = |name: &str| items?.iter().find(|it| it.name.as_str() == name);
    if let Some(health) = health {
        let unstored = health.store_mode == StoreMode::ReadOnly;
        checks.extend(health.targets.iter().map(|target| {
            let hooks = there.iter().find(|it| it.target == target.target);
            let check = check(target, item(target.target.as_str()), hooks);
            // Nothing that is done about the target changes that nothing of it is stored.
            if unstored { check.hint("") } else { check }
        }));
    }
    if let Some(items) = items {
        let orphaned = |it: &&SetUpThere| items.iter().all(|item| item.name != it.target);
        checks.extend(there.iter().filter(orphaned).map(orphan));
    }
    checks
}

fn check(target: &TargetHealth, item: Option<&TargetItem>, hooks: Option<&SetUpThere>) -> Check {
    let name = &target.target;
    let far = item.filter(|item| item.route.is_some());
    let place = far.map(|it| format!(" ({})", it.connection_ref)).unwrap_or_default();
    if is_disconnected(target.health_reason.as_deref()) {
        let message = format!("{name}{place} was disconnected, and is left alone");
        let hint = remedy(name.as_str(), target.health_reason.as_deref());
        return Check::new("target", Verdict::Note, message).hint(hint);
    }
    if is_unseen(target.health_reason.as_deref()) {
        let message = format!("{name}{place} was not looked at yet");
        return Check::new("target", Verdict::Note, message).hint(format!("qd target test {name}"));
    }
    let why = target.health_reason.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
    let hooks = hooks.map(|it| format!("; {}", it.told("there"))).unwrap_or_default();
    let message = format!("{name}{place} is {}{why}, {}{hooks}", target.health, watched(target));
    match target.health {
        Health::Ok => Check::new("target", Verdict::Ok, message),
        Health::Degraded | Health::Down => {
            let check = Check::new("target", Verdict::Warning, message);
            match far {
                Some(_) => check.hint(format!("qd target test {name}")),
                // What is wrong with the tmux of this machine has a line of its own.
                None if is_tmux_unusable(target) => check,
                None => check.hint(remedy(name.as_str(), target.health_reason.as_deref())),
            }
        }
    }
}

fn is_tmux_unusable(target: &TargetHealth) -> bool {
    target.health_reason.as_deref() == Some(ErrorCode::TmuxUnusable.as_str())
}

/// Hooks on what is no target any more: nobody reads what they write.
fn orphan(hooks: &SetUpThere) -> Check {
    let what = hooks.told(&format!("on {}", hooks.target));
    let message = format!("{what}, and that is no target any more");
    let hint = format!("Add it again under that name, then: {}", hooks.undo());
    Check::new("target", Verdict::Warning, message).hint(hint)
}

fn unread(failure: Failure) -> Option<Check> {
    let Failure::Told(error) = failure else { return None };
    Some(Check::new("target", Verdict::Warning, error.message).hint(error.hint))
}
