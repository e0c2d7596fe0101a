//! Codex, in its usual way: with the server that all panes share.

use super::{AfterDenial, Keys, Lab, Marks, Site};

pub(super) const LAB: Lab = Lab {
    name: "codex",
    package: "@openai/codex",
    version: "0.169.0",
    always: true,
    extras: &[],
    program: "codex",
    arguments: &[],
    environment: |_| vec![("FAKE_KEY", "sk-dummy".into())],
    prepare,
    trust,
    paste_ms: 150,
    pause_ms: 500,
    refusals: 8,
    marks: Marks {
        startup: &["Trust this folder?", "Do you trust"],
        ready: &[" · ~", " · /"],
        busy: &["esc to interrupt"],
        approval: &["Would you like to run", "Would you like to make"],
        question: &["enter to submit"],
        failed: &["■"],
        retrying: &["econnecting"],
        compacted: &["compacted"],
        narrow: &["Would you like to run"],
    },
    keys: Keys {
        trust: &["Enter"],
        approve: &["y"],
        deny: &["3"],
        interrupt: &["Escape"],
        answer: &["Enter"],
        clear: &["C-u"],
        exit: "/quit",
        compact: "/compact",
    },
    after_denial: AfterDenial::GoesOn,
    cannot: &[
        ("edit", "it offers no tool for files to a model that it does not know"),
        ("question", "its tool for questions is not offered in the usual mode"),
        ("subagent", "it starts none for a model that it does not know"),
        ("question_remote", "its tool for questions is not offered in the usual mode"),
        ("question_parts", "its tool for questions is not offered in the usual mode"),
    ],
    // None tells that it was approved: the tool's has run before it asks.
    hooked: &["turn", "approval", "done", "interrupted", "denied"],
};

fn prepare(site: &Site) -> anyhow::Result<()> {
    let text = format!(
        "model = \"scripted\"\nmodel_provider = \"scripted\"\ncheck_for_update_on_startup = false\n\
         [model_providers.scripted]\nname = \"Scripted\"\nbase_url = \"{}/v1\"\n\
         wire_api = \"responses\"\nenv_key = \"FAKE_KEY\"\n[analytics]\nenabled = false\n",
        site.url
    );
    site.write(".codex/config.toml", &text)
}

fn trust(site: &Site) -> anyhow::Result<()> {
    let path = site.home.join(".codex/config.toml");
    let known = std::fs::read_to_string(&path)?;
    let project = site.project_text();
    // Who answers its question has it written there already.
    if known.contains(&project) {
        return Ok(());
    }
    let entry = format!("[projects.\"{project}\"]\ntrust_level = \"trusted\"\n");
    site.write(".codex/config.toml", &(known + &entry))
}
