//! GitHub Copilot CLI, with a provider of one's own in the place of an account.

use super::{AfterDenial, Keys, Lab, Marks, PAUSE, Site};

/// Nobody recorded what it looks like then, so nothing could be said to be true.
const UNRECORDED: &str = "what it shows then was never recorded";

pub(super) const LAB: Lab = Lab {
    name: "copilot",
    package: "@github/copilot",
    version: "1.0.102",
    always: false,
    extras: &[],
    program: "copilot",
    arguments: &[],
    environment,
    prepare: |_| Ok(()),
    trust: |_| Ok(()),
    paste_ms: 150,
    pause_ms: 200,
    refusals: 2,
    marks: Marks {
        startup: &["Do you trust the files in this folder?"],
        ready: &["/ commands"],
        busy: &["Working"],
        approval: &["Do you want to run this command?", "Do you want to"],
        question: &[],
        failed: &["✗ 400"],
        retrying: &[],
        compacted: &[],
        narrow: &["Do you want to"],
    },
    keys: Keys {
        // Its second answer: the folder is remembered.
        trust: &["Down", PAUSE, "Enter"],
        approve: &["1"],
        deny: &["Escape"],
        interrupt: &["Escape", PAUSE, "Escape"],
        answer: &["Enter"],
        clear: &["C-u"],
        exit: "/exit",
        compact: "/compact",
    },
    after_denial: AfterDenial::GoesOn,
    cannot: &[
        ("long_tool", "it asks before each command, so none runs without an approval"),
        ("interrupted_tool", "it asks before each command, so none runs without an approval"),
        ("queued", "it asks before each command, so none runs without an approval"),
        ("two_agents", "it asks before each command, so none runs without an approval"),
        ("subagent", "it asks before each command, so none runs without an approval"),
        ("edit", UNRECORDED),
        ("question", UNRECORDED),
        ("retry", UNRECORDED),
        ("compaction", UNRECORDED),
        ("suspended", UNRECORDED),
        ("question_remote", UNRECORDED),
        ("question_parts", UNRECORDED),
    ],
    hooked: &["turn", "approval", "done"],
};

fn environment(site: &Site) -> Vec<(&'static str, String)> {
    vec![
        ("COPILOT_AUTO_UPDATE", "false".into()),
        ("COPILOT_OFFLINE", "true".into()),
        ("COPILOT_PROVIDER_BASE_URL", format!("{}/v1", site.url)),
        ("COPILOT_PROVIDER_API_KEY", "sk-dummy".into()),
        ("COPILOT_MODEL", "gpt-4.1".into()),
    ]
}
