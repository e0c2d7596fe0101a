//! opencode, which tells by a plugin.

use anyhow::Context;
use serde_json::json;

use super::{AfterDenial, Keys, Lab, Marks, PAUSE, Site};

/// Nobody recorded what it looks like then, so nothing could be said to be true.
const UNRECORDED: &str = "what it shows then was never recorded";

pub(super) const LAB: Lab = Lab {
    name: "opencode",
    package: "opencode-ai",
    version: "1.18.33",
    always: false,
    extras: &["@opencode-ai/plugin@1.18.33"],
    program: "opencode",
    arguments: &[],
    environment: |_| {
        vec![
            ("OPENCODE_DISABLE_AUTOUPDATE", "1".into()),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1".into()),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".into()),
        ]
    },
    prepare,
    trust: |_| Ok(()),
    paste_ms: 500,
    pause_ms: 500,
    refusals: 2,
    marks: Marks {
        startup: &[],
        ready: &["ctrl+p commands"],
        busy: &["esc interrupt", "esc again to interrupt"],
        approval: &["△ Permission required"],
        question: &["esc dismiss"],
        failed: &[],
        retrying: &["[retrying in"],
        compacted: &[],
        narrow: &["Permission required"],
    },
    keys: Keys {
        trust: &[],
        approve: &["Enter"],
        deny: &["Escape"],
        interrupt: &["Escape", PAUSE, "Escape"],
        answer: &["Enter"],
        clear: &["C-u"],
        exit: "/exit",
        compact: "/compact",
    },
    after_denial: AfterDenial::Stops,
    cannot: &[
        ("long_tool", "it asks before each command, so none runs without an approval"),
        ("interrupted_tool", "it asks before each command, so none runs without an approval"),
        ("queued", "it asks before each command, so none runs without an approval"),
        ("two_agents", "it asks before each command, so none runs without an approval"),
        ("subagent", "it asks before each command, so none runs without an approval"),
        ("failed", "it tries again whatever it was refused with"),
        ("edit", UNRECORDED),
        ("compaction", UNRECORDED),
        ("suspended", UNRECORDED),
        (
            "by_keys",
            "its hook waits beside its dialog, and which answer is chosen there shows in colours only",
        ),
    ],
    hooked: &["turn", "approval", "approved", "denied", "interrupted", "done"],
};

/// Its settings, and beside them the package that it would fetch for any plugin.
fn prepare(site: &Site) -> anyhow::Result<()> {
    let model = json!({ "name": "Scripted", "limit": { "context": 128_000, "output": 8_000 } });
    let settings = json!({
        "autoupdate": false, "share": "disabled",
        "model": "scripted/scripted", "small_model": "scripted/scripted",
        "permission": { "bash": "ask", "edit": "ask" },
        "provider": { "scripted": {
            "npm": "@ai-sdk/openai-compatible", "name": "Scripted",
            "options": { "baseURL": format!("{}/v1", site.url), "apiKey": "sk-dummy" },
            "models": { "scripted": model },
        } },
    });
    site.write(".config/opencode/opencode.json", &settings.to_string())?;
    package(site)
}

/// Puts the package there as npm does. A link would be taken away: opencode has npm look through
/// the folder at its start, and that replaces links by folders, from the network.
fn package(site: &Site) -> anyhow::Result<()> {
    let mut copy = testkit::process::command("/bin/cp");
    copy.arg("-R").arg(site.prefix.join("extras/.")).arg(site.home.join(".config/opencode"));
    let done = copy.output().context("cp is needed here")?;
    anyhow::ensure!(done.status.success(), "the package of plugins could not be copied");
    Ok(())
}
