//! Comparing what is shown with what is there, with a message that names the one difference.

use engine::pane::PaneFacts;

use super::check::{Checked, violated};

pub(crate) fn compare(shown: &[PaneFacts], there: &[PaneFacts]) -> Checked {
    let ids = |facts: &[PaneFacts]| -> Vec<String> {
        facts.iter().map(|it| it.pane.to_string()).collect()
    };
    if ids(shown) != ids(there) {
        return violated("I10", format!("shown {:?}, there {:?}", ids(shown), ids(there)));
    }
    match shown.iter().zip(there).find(|(shown, there)| shown != there) {
        Some((shown, there)) => violated("I10", format!("shown {shown:?}\nthere {there:?}")),
        None => Ok(()),
    }
}
