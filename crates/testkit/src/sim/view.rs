//! Comparing what is shown with what is there, with a message that names the one difference.

use engine::pane::{PaneFacts, ProcessIdentity};

use super::check::{Checked, contrast, violated};

pub(crate) fn compare(shown: &[PaneFacts], there: &[PaneFacts]) -> Checked {
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
