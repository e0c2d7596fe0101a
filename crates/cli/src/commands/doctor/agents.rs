//! For each agent: whether it is installed, whether its hooks are in place, what was heard of it,
//! and whether its screens are known.

use std::collections::BTreeMap;
use std::path::Path;

use agents::registry::Registry;
use agents::setup::Standing;

use crate::commands::doctor::{Check, Verdict};
use crate::commands::setup::installed::Installed;
use crate::commands::setup::subject::{self, AgentSubject};
use crate::commands::setup::{self, plan};
use crate::failure::Failure;

/// What was heard last of each agent, by its name, in words.
pub(super) type Heard = BTreeMap<String, String>;

pub(super) fn checks(heard: Option<&Heard>) -> Vec<Check> {
    let subjects = subject::program().and_then(|program| subject::agents(&program));
    match subjects {
        Ok(subjects) => subjects.iter().map(|subject| check(subject, heard)).collect(),
        Err(failure) => unknown(failure, "agents").into_iter().collect(),
    }
}

fn check(subject: &AgentSubject, heard: Option<&Heard>) -> Check {
    let agent = &subject.agent;
    let installed = setup::installation(subject);
    let standing = plan::standing(subject);
    let standing = match standing {
        Ok(standing) => standing,
        Err(failure) => {
            let check = unknown(failure, agent);
            return check.unwrap_or_else(|| Check::new("agent", Verdict::Warning, agent));
        }
    };
    let Some(installed) = installed else { return absent(agent, &standing) };
    let (verdict, hooks, hint) = hooks(agent, &standing);
    let told = match heard.and_then(|heard| heard.get(agent)) {
        Some(told) => format!("; {told}"),
        None if heard.is_some() => "; nothing heard of it in the panes that are there".to_owned(),
        None => String::new(),
    };
    let message =
        format!("{}; {hooks}{told}; {}", named(agent, &installed), covered(agent, &installed));
    Check::new("agent", verdict, message).hint(hint)
}

fn named(agent: &str, installed: &Installed) -> String {
    let version = installed.version.as_deref().unwrap_or("of an unknown version");
    format!("{agent} {version} at {}", installed.path.display())
}

/// One that is not there; hooks of it may be.
fn absent(agent: &str, standing: &Standing) -> Check {
    if standing.is_none() {
        return Check::new("agent", Verdict::Ok, format!("{agent} is not installed"));
    }
    let message = format!("{agent} is not on the path, but its hooks are in place");
    Check::new("agent", Verdict::Note, message).hint(format!("qd setup --undo {agent}"))
}

fn hooks(agent: &str, standing: &Standing) -> (Verdict, String, String) {
    let again = format!("qd setup {agent}");
    let others = match standing.foreign {
        0 => String::new(),
        1 => " beside one of somebody else's".to_owned(),
        count => format!(" beside {count} of others"),
    };
    if standing.is_none() {
        return (Verdict::Note, format!("no hooks of qd's{others}"), again);
    }
    let gone = standing.lines.iter().find(|line| !Path::new(&line.program).exists());
    if let Some(line) = gone {
        let said = format!("its hooks run {}, which is gone", line.program);
        return (Verdict::Warning, said, again);
    }
    if !standing.is_complete() {
        let said = format!(
            "its hooks are stale: {} of another version or place, {} missing",
            standing.stale, standing.missing
        );
        return (Verdict::Warning, said, again);
    }
    if !standing.trusted {
        let said = format!(
            "{} hooks in place{others}, but it was not told to trust them",
            standing.in_place
        );
        return (Verdict::Warning, said, format!("{again}, or agree when it asks"));
    }
    (Verdict::Ok, format!("{} hooks in place{others}", standing.in_place), String::new())
}

/// Whether screens of this version were recorded.
fn covered(agent: &str, installed: &Installed) -> String {
    let registry = Registry::built_in();
    let covered = registry.get(agent).map_or(&[][..], |adapter| adapter.covers());
    let newest = covered.last().copied().unwrap_or("no version");
    match installed.version.as_deref() {
        Some(version) if covered.contains(&version) => "the corpus covers this version".to_owned(),
        Some(_) => format!("the corpus covers {newest}, so its screens count less"),
        None => format!("the corpus covers {newest}"),
    }
}

fn unknown(failure: Failure, agent: &str) -> Option<Check> {
    let Failure::Told(error) = failure else { return None };
    let message = format!("{agent}: {}", error.message);
    Some(Check::new("agent", Verdict::Warning, message).hint(error.hint))
}
