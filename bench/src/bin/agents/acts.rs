//! Acts on an agent from elsewhere: what was asked of Quarterdeck, what had to come of it, and what
//! did.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use testkit::wait;

use crate::run::Run;
use crate::stage::PATIENCE;

/// One act, and whether it came out as it had to.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) scene: String,
    pub(crate) name: &'static str,
    /// How it came out instead.
    pub(crate) wrong: Option<String>,
    /// How long it took, where that tells something.
    pub(crate) took: Option<Duration>,
}

/// What `qd` said to something that it was told to do.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) exit: Option<i32>,
    pub(crate) text: String,
    pub(crate) begun: Instant,
}

impl Said {
    pub(crate) fn is_done(&self) -> bool {
        self.exit == Some(0)
    }

    /// Whether it was refused for one of these reasons.
    pub(crate) fn is_refused(&self, codes: &[&str]) -> bool {
        !self.is_done() && codes.iter().any(|code| self.text.contains(code))
    }
}

/// The reasons to refuse an answer that comes too late.
pub(crate) const TOO_LATE: &[&str] =
    &["E_APPROVAL_CLOSED", "E_APPROVAL_ANSWERED", "E_APPROVAL_CHANGED", "E_RUNTIME_STALE"];

impl Run {
    /// Notes an act that had to come out in a certain way.
    pub(crate) fn acted(
        &mut self,
        name: &'static str,
        wrong: Option<String>,
        took: Option<Duration>,
    ) {
        let scene = self.scene().to_owned();
        if let Some(wrong) = &wrong {
            self.keep_wrong_act(name, wrong);
        }
        self.acts.push(Act { scene, name, wrong, took });
    }

    /// Notes that an act was done, or that it was not.
    pub(crate) fn had_to_do(&mut self, name: &'static str, said: &Said, took: Option<Duration>) {
        let wrong = (!said.is_done()).then(|| said.text.clone());
        self.acted(name, wrong, took);
    }

    /// Notes that an act was refused for one of these reasons, or that it was not.
    pub(crate) fn had_to_refuse(&mut self, name: &'static str, said: &Said, codes: &[&str]) {
        let wrong = (!said.is_refused(codes)).then(|| said.text.clone());
        self.acted(name, wrong, None);
    }

    /// Notes that something had to be so afterwards.
    pub(crate) fn had_to_be(&mut self, name: &'static str, so: bool, otherwise: &str) {
        self.acted(name, (!so).then(|| otherwise.to_owned()), None);
    }

    /// The approval that waits in the run's pane, once it is as wanted.
    pub(crate) fn approval(&self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut last = Vec::new();
        let found = wait::within(PATIENCE, || {
            last = self.stage.approvals(&self.pane, "");
            last.iter().find(|it| wanted(it)).cloned()
        });
        found.with_context(|| format!("no such approval waits: {last:#?}"))
    }

    /// An approval by its id, once it is as wanted; else as it was last.
    pub(crate) fn approval_becomes(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait::within(Duration::from_secs(5), || {
            let all = self.stage.approvals(&self.pane, "&all=true");
            last = all.into_iter().find(|it| it["approval_id"] == id).unwrap_or_default();
            wanted(&last).then_some(())
        });
        last
    }
}

/// The id of an approval.
pub(crate) fn id(approval: &Value) -> &str {
    approval["approval_id"].as_str().unwrap_or_default()
}
