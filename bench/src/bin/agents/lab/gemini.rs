//! Gemini CLI.

use serde_json::json;

use super::{AfterDenial, Keys, Lab, Marks, Site};

pub(super) const LAB: Lab = Lab {
    name: "gemini",
    package: "@google/gemini-cli",
    version: "0.61.0",
    always: true,
    extras: &[],
    program: "gemini",
    arguments: &[],
    environment: |site| {
        vec![("GEMINI_API_KEY", "dummy-key".into()), ("GOOGLE_GEMINI_BASE_URL", site.url.clone())]
    },
    prepare,
    trust,
    paste_ms: 500,
    pause_ms: 500,
    refusals: 2,
    marks: Marks {
        startup: &["Do you trust the files"],
        // The composer that it draws before that takes nothing.
        ready: &["Tips for getting started"],
        busy: &["esc to cancel"],
        approval: &["Allow execution of", "Apply this change?"],
        question: &["Enter to select"],
        failed: &["✕ [API Error"],
        retrying: &["esc to cancel"],
        compacted: &["compressed", "compress"],
        narrow: &["Allow execution of"],
    },
    keys: Keys {
        trust: &["Enter"],
        approve: &["Enter"],
        deny: &["Escape"],
        interrupt: &["Escape"],
        answer: &["Enter"],
        clear: &["C-u"],
        exit: "/quit",
        compact: "/compress",
    },
    after_denial: AfterDenial::Stops,
    cannot: &[
        ("suspended", "it asks for a second C-z, and undoes what is typed with it elsewhere"),
        ("moved", "after a change of width the answered question stays on its screen"),
        ("retry", "it shows nothing while it tries again: that it works is all there is"),
        ("long_tool", "it asks before each command, so none runs without an approval"),
        ("interrupted_tool", "it asks before each command, so none runs without an approval"),
        ("queued", "it asks before each command, so none runs without an approval"),
        ("two_agents", "it asks before each command, so none runs without an approval"),
        ("subagent", "it asks before each command, so none runs without an approval"),
        ("by_hook", "its hooks cannot permit anything"),
        ("held_and_interrupted", "its hooks cannot permit anything"),
        ("question_parts", "its hooks cannot answer anything"),
    ],
    hooked: &["turn", "approval", "question", "done"],
};

fn prepare(site: &Site) -> anyhow::Result<()> {
    let settings = json!({
        "security": { "auth": { "selectedType": "gemini-api-key" } },
        "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
        "privacy": { "usageStatisticsEnabled": false },
        "telemetry": { "enabled": false },
    });
    site.write(".gemini/settings.json", &settings.to_string())
}

fn trust(site: &Site) -> anyhow::Result<()> {
    let project = site.project_text();
    site.change(".gemini/trustedFolders.json", |folders| folders[project] = json!("TRUST_FOLDER"))
}
