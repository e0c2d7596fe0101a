//! Claude Code.

use serde_json::json;

use super::{AfterDenial, Keys, Lab, Marks, Site};

pub(super) const LAB: Lab = Lab {
    name: "claude",
    package: "@anthropic-ai/claude-code",
    version: "2.1.197",
    always: true,
    extras: &[],
    program: "claude",
    arguments: &[],
    environment,
    prepare,
    trust,
    paste_ms: 50,
    pause_ms: 500,
    refusals: 2,
    marks: Marks {
        startup: &["Quick safety check"],
        ready: &["? for shortcuts", "shift+tab to cycle"],
        busy: &["esc to interrupt"],
        approval: &[
            "Do you want to proceed?",
            "Do you want to make this edit",
            "Do you want to create",
        ],
        question: &["Enter to select"],
        failed: &["API Error"],
        retrying: &["Retrying in"],
        compacted: &["Compacted"],
        narrow: &["Do you want to proceed?"],
    },
    keys: Keys {
        trust: &["Enter"],
        approve: &["1"],
        deny: &["3"],
        interrupt: &["Escape"],
        answer: &["1"],
        clear: &["C-u"],
        exit: "/exit",
        compact: "/compact",
    },
    after_denial: AfterDenial::Stops,
    cannot: &[(
        "by_keys",
        "its hook waits beside its dialog, and keys are pressed only without one",
    )],
    hooked: &["turn", "approval", "question", "approved", "done", "failed", "exit"],
};

fn environment(site: &Site) -> Vec<(&'static str, String)> {
    vec![
        ("ANTHROPIC_API_KEY", "sk-dummy".into()),
        ("ANTHROPIC_BASE_URL", site.url.clone()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
        ("DISABLE_AUTOUPDATER", "1".into()),
    ]
}

fn prepare(site: &Site) -> anyhow::Result<()> {
    let settings = json!({
        "hasCompletedOnboarding": true, "theme": "dark",
        "customApiKeyResponses": { "approved": ["sk-dummy"], "rejected": [] },
    });
    site.write(".claude.json", &settings.to_string())
}

fn trust(site: &Site) -> anyhow::Result<()> {
    let project = site.project_text();
    site.change(".claude.json", |settings| {
        settings["projects"][project]["hasTrustDialogAccepted"] = json!(true);
    })
}
