//! Whether the schemas still keep what they promised.
//!
//! `schemas/blessed/` holds the schemas as they were promised last. What is
//! generated now may differ from them only in ways that break neither an old
//! client nor an old reader: see [`rules`].

mod rules;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::codegen;
use rules::Breach;

const BLESSED: &str = "schemas/blessed";

/// Promises the schemas as they are now, unless that breaks an older promise.
pub(crate) fn bless(root: &Path) -> anyhow::Result<String> {
    let breaches = breaches(root)?;
    if !breaches.is_empty() {
        bail!("this would break what was promised:\n{}", listed(&breaches));
    }
    codegen::check(root)?;
    let folder = root.join(BLESSED);
    fs::create_dir_all(&folder)?;
    let mut report = Vec::new();
    for (name, _) in codegen::promised()? {
        let current = root.join("schemas").join(name);
        fs::copy(&current, folder.join(name))
            .with_context(|| format!("copying {}", current.display()))?;
        report.push(format!("promised {BLESSED}/{name}\n"));
    }
    Ok(report.concat())
}

/// Every way in which what is generated now breaks what was promised.
fn breaches(root: &Path) -> anyhow::Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    for (name, current) in codegen::promised()? {
        // What was never promised cannot be broken.
        if root.join(BLESSED).join(name).exists() {
            breaches.extend(breaches_of(root, name, &current)?);
        }
    }
    Ok(breaches)
}

fn breaches_of(root: &Path, name: &str, current: &Value) -> anyhow::Result<Vec<Breach>> {
    let path = root.join(BLESSED).join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let promised: Value = serde_json::from_str(&text).with_context(|| name.to_owned())?;
    Ok(compare(name, &promised, current))
}

fn compare(name: &str, promised: &Value, current: &Value) -> Vec<Breach> {
    match name {
        "openapi.json" => rules::compare_documents(promised, current),
        "event-envelope.json" => rules::compare_requests(promised, current),
        _ => rules::compare_answers(promised, current),
    }
}

fn listed(breaches: &[Breach]) -> String {
    breaches.iter().map(Breach::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(wanted: &str) {
        let root = crate::tree::workspace_root().unwrap();
        let current = codegen::promised().unwrap();
        let (name, schema) = current.iter().find(|(name, _)| *name == wanted).unwrap();
        let found = breaches_of(&root, name, schema).unwrap();
        assert!(found.is_empty(), "{}", listed(&found));
    }

    /// What is found when one thing of a real document is taken away.
    fn found_without(document: &str, parent: &str, name: &str) -> Vec<String> {
        let promised = codegen::promised().unwrap();
        let (_, old) = promised.iter().find(|(it, _)| *it == document).unwrap();
        let mut new = old.clone();
        let parent = new.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(name).is_some());
        let found = compare(document, old, &new);
        found.iter().map(Breach::to_string).collect()
    }

    #[test]
    fn the_rules_reach_the_depths_of_the_real_documents() {
        let place = "/components/schemas/LastKnown/properties";
        let found = found_without("openapi.json", place, "age_ms");
        let panes = "GET /v1/panes 200.items[].last_known.age_ms: the field is gone";
        assert!(found.iter().any(|it| it == panes), "{found:#?}");
        let found = found_without("watch-frame.json", "/$defs/PaneIdentity/properties", "pane_id");
        assert!(found.iter().any(|it| it.contains("pane_id: the field is gone")), "{found:#?}");
        let place = "/$defs/EventEnvelope/properties";
        let found = found_without("event-envelope.json", place, "pid");
        assert_eq!(found, [".pid: the field is no longer taken"]);
    }

    #[test]
    fn tc_035_the_api_keeps_what_it_promised() {
        kept("openapi.json");
        kept("event-envelope.json");
    }

    #[test]
    fn tc_045_the_watch_stream_keeps_what_it_promised() {
        kept("watch-frame.json");
    }
}
