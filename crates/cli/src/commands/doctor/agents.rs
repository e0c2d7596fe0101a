//! For each agent: whether it is installed, whether its hooks are in place, what was heard of it,
//! and whether its screens are known.

use std::collections::BTreeMap;
use std::path::Path;

use agents::registry::Registry;
use agents::setup::Standing;
use api::explain::Evidence;
use api::list::ListQuery;
use api::words::EvidenceSource;

use crate::commands::doctor::{Check, Verdict};
use crate::commands::setup::installed::Installed;
use crate::commands::setup::subject::{self, AgentSubject};
use crate::commands::setup::{self, plan};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::time::span;

/// How many agents are asked about at most; a deck of more is as sound as its first.
const ASKED_MAX: usize = 64;

/// What was heard last of each agent, by its name, in words.
pub(super) type Heard = BTreeMap<String, String>;

/// What the daemon heard of the agents that run now: the newest report of each. Nothing where it
/// cannot be asked.
pub(super) fn heard(console: &Console) -> Option<Heard> {
    let mut client = console.onlooker().ok()?;
    let evidence = wait(async {
        let panes = client.panes(&ListQuery::default()).await?.read()?;
        let mut found: Vec<(String, Evidence)> = Vec::new();
        let agents = panes
            .items
            .iter()
            .filter_map(|it| Some((it.agent_type.clone()?, it.runtime_id.as_ref()?)));
        for (agent, runtime) in agents.take(ASKED_MAX) {
            // One that just ended has nothing to say.
            let Ok(answer) = client.explain(runtime).await else { continue };
            let reports = answer.read()?.evidence.into_iter().filter(is_report);
            found.extend(reports.map(|it| (agent.clone(), it)));
        }
        Ok(found)
    });
    let mut evidence = evidence.ok()?;
    evidence.sort_by_key(|(_, it)| it.age_ms);
    let mut heard = Heard::new();
    for (agent, it) in evidence {
        let event = it.event_type.unwrap_or_default();
        heard.entry(agent).or_insert_with(|| format!("{event} heard {} ago", span(it.age_ms)));
    }
    Some(heard)
}

/// Whether the agent said it itself.
fn is_report(evidence: &Evidence) -> bool {
    let reported = matches!(
        evidence.source,
        EvidenceSource::Hook | EvidenceSource::Notify | EvidenceSource::Wrapper
    );
    reported && evidence.event_type.is_some()
}

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
        None if heard.is_some() => {
            "; nothing heard of it in the panes that are there now".to_owned()
        }
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
