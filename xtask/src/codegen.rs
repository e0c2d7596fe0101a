//! What is generated from the code and checked in: schemas and reference pages.

mod openapi;
mod pages;
mod schemas;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A generated file.
struct Output {
    path: &'static str,
    generate: fn() -> anyhow::Result<String>,
}

/// Everything that is generated.
const OUTPUTS: &[Output] = &[
    Output { path: "schemas/openapi.json", generate: || json(&openapi::document()?) },
    Output { path: "schemas/watch-frame.json", generate: || json(&schemas::watch_frame()?) },
    Output { path: "schemas/event-envelope.json", generate: || json(&schemas::event_envelope()?) },
    Output { path: "schemas/config.json", generate: || json(&schemas::config()) },
    Output { path: "docs/reference/api.md", generate: || Ok(pages::api(&openapi::document()?)) },
    Output { path: "docs/reference/config.md", generate: || Ok(pages::config()) },
    Output { path: "docs/reference/errors.md", generate: || Ok(pages::errors()) },
];

/// The schemas whose compatibility is promised, as they are now.
pub(crate) fn promised() -> anyhow::Result<Vec<(&'static str, Value)>> {
    Ok(vec![
        ("openapi.json", openapi::document()?),
        ("watch-frame.json", schemas::watch_frame()?),
        ("event-envelope.json", schemas::event_envelope()?),
    ])
}

/// Writes every file that is not up to date.
pub(crate) fn write(root: &Path) -> anyhow::Result<String> {
    let mut report = Vec::new();
    for output in OUTPUTS {
        let text = (output.generate)().with_context(|| output.path)?;
        let path = root.join(output.path);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", output.path))?;
        report.push(format!("wrote {}\n", output.path));
    }
    if report.is_empty() {
        report.push("everything generated is up to date\n".to_owned());
    }
    Ok(report.concat())
}

/// Fails if a file is not what the code says.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let mut stale = Vec::new();
    for output in OUTPUTS {
        let text = (output.generate)().with_context(|| output.path)?;
        if fs::read_to_string(root.join(output.path)).ok().as_deref() != Some(&text) {
            stale.push(output.path);
        }
    }
    if !stale.is_empty() {
        bail!("not what the code says: {}; run `cargo run -p xtask -- codegen`", stale.join(", "));
    }
    Ok(format!("{} generated files are up to date\n", OUTPUTS.len()))
}

/// Pretty JSON whose keys are in order, whatever features others gave to
/// `serde_json`.
fn json(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&sorted(value))? + "\n")
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let pairs = names.into_iter().map(|name| (name.clone(), sorted(&fields[name])));
            Value::Object(pairs.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_generated_is_checked_in() {
        let root = crate::tree::workspace_root().unwrap();
        if let Err(error) = super::check(&root) {
            panic!("{error}");
        }
    }
}
