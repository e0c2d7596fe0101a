//! Comparing what is shown with what is there, with a message that names the one difference.

use engine::Engine;
use engine::ids::TargetId;
use engine::pane::{PaneFacts, ProcessIdentity};
use engine::words::Health;

use super::check::{Checked, contrast, violated};
use super::fake::host::Host;
use super::fake::server::Server;
use super::sight;

/// I10: what is shown of a healthy target is what is there.
pub(crate) fn check(
    engine: &Engine,
    target: &TargetId,
    server: Option<&Server>,
    host: &Host,
) -> Checked {
    let shown = engine.panes().filter(|row| row.key.target == *target);
    let shown: Vec<_> = shown.map(|row| row.facts.clone()).collect();
    compare(&shown, &server.map_or(Vec::new(), |it| sight::panes(it, host)))?;
    let shown: Vec<_> = engine.sessions().filter(|row| row.target == *target).cloned().collect();
    let there = server.map_or(Vec::new(), |it| sight::sessions(target, it));
    if shown != there {
        return violated("I10", format!("shown {shown:?}, there {there:?}"));
    }
    match engine.target(target) {
        Some(row) if row.health == Health::Ok => Ok(()),
        row => violated("I10", format!("{target} is not healthy: {row:?}")),
    }
}

fn compare(shown: &[PaneFacts], there: &[PaneFacts]) -> Checked {
    let ids = |facts: &[PaneFacts]| -> Vec<String> {
        facts.iter().map(|it| it.pane.to_string()).collect()
    };
    if ids(shown) != ids(there) {
        return violated("I10", format!("shown {:?}, there {:?}", ids(shown), ids(there)));
    }
    // Of a process that is gone, what was known of it may be kept.
    let plain = |facts: &PaneFacts| {
        let mut facts = facts.clone();
        if facts.dead {
            facts.process = ProcessIdentity::default();
        }
        facts
    };
    match shown.iter().zip(there).find(|(shown, there)| plain(shown) != plain(there)) {
        Some((shown, there)) => {
            violated("I10", contrast(&format!("{shown:?}"), &format!("{there:?}")))
        }
        None => Ok(()),
    }
}
