//! Where Copilot's hooks go: into a file of their own beside those of others.

use crate::launch::{Launch, Place};
use crate::reply;
use crate::setup::edit::Value;
use crate::setup::hooks::Listing;
use crate::setup::{Event, Folder, Manner, Moved, Setup, usual};

pub(super) static SETUP: Setup = Setup {
    programs: &["copilot"],
    folder: Folder {
        home: ".copilot",
        moved: &[Moved { variable: "COPILOT_HOME", below: "", resolved: false }],
    },
    file: "hooks/quarterdeck.json",
    manner: Manner::Entries(&LISTING),
    trust: None,
    only_when_named: false,
    needs: None,
    remark: "",
};

pub(super) static LISTING: Listing = Listing {
    agent: "copilot",
    events: &[
        usual("sessionStart"),
        usual("sessionEnd"),
        usual("userPromptSubmitted"),
        usual("preToolUse"),
        usual("postToolUse"),
        usual("postToolUseFailure"),
        Event { name: "permissionRequest", seconds: reply::INSTEAD_SECONDS },
        usual("notification"),
        usual("preCompact"),
        usual("errorOccurred"),
        usual("agentStop"),
    ],
    prelude: &[("version", 1)],
    grouped: false,
    handler: |command, event| {
        Value::object([
            ("type", Value::text("command")),
            ("bash", Value::Text(command)),
            ("timeoutSec", Value::Number(event.seconds)),
        ])
    },
};

/// A plugin for this start, which holds nothing but the hooks.
pub(super) fn launch(place: &Place<'_>) -> Launch {
    let manifest = r#"{"name":"quarterdeck","version":"1.0.0","hooks":"hooks.json"}"#;
    Launch {
        program: "copilot",
        arguments: vec!["--plugin-dir".to_owned(), place.folder.to_owned()],
        files: vec![
            ("plugin.json", format!("{manifest}\n")),
            ("hooks.json", place.hooks(&LISTING)),
        ],
        ..Launch::default()
    }
}
