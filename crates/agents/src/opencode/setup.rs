//! opencode's plugin, which hands the events of its bus to `qd`.

use crate::setup::line::HookLine;
use crate::setup::{Folder, Manner, Moved, Need, Setup};

pub(super) static SETUP: Setup = Setup {
    programs: &["opencode"],
    folder: Folder {
        home: ".config/opencode",
        moved: &[
            Moved { variable: "OPENCODE_CONFIG_DIR", below: "", resolved: false },
            Moved { variable: "XDG_CONFIG_HOME", below: "opencode", resolved: false },
        ],
    },
    file: "plugin/quarterdeck.js",
    manner: Manner::Whole(plugin),
    trust: None,
    only_when_named: true,
    needs: Some(Need {
        file: "node_modules/@opencode-ai/plugin/package.json",
        install: "npm install @opencode-ai/plugin --prefix",
        why: "with a plugin but without this package it fetches it at its start, and without a \
              network it never starts",
    }),
    remark: "",
};

/// The plugin: it tells one event after the other, each with the moment at which it happened, waits
/// for none, and fails for none.
const PLUGIN: &str = include_str!("plugin.js");

fn plugin(program: &str) -> String {
    let line = HookLine::new(program, "opencode", "plugin").mark();
    let program = serde_json::Value::from(program);
    format!(
        "//{line}\n// Written by `qd setup`; `qd setup --undo opencode` takes it away.\nconst program = {program}\n\n{PLUGIN}"
    )
}
