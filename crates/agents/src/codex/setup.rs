//! Where Codex's hooks go.

use super::trust::{self, TRUST};
use crate::launch::{Launch, Place};
use crate::reply;
use crate::setup::hooks::{self, Listing};
use crate::setup::{Event, Folder, Manner, Moved, Setup, usual};

pub(super) static SETUP: Setup = Setup {
    programs: &["codex"],
    folder: Folder {
        home: ".codex",
        moved: &[Moved { variable: "CODEX_HOME", below: "", resolved: true }],
    },
    file: "hooks.json",
    manner: Manner::Entries(&LISTING),
    trust: Some(TRUST),
    only_when_named: false,
    needs: None,
    remark: "Sessions share one server, which runs the hooks of all panes in the first one's name; \
             start it with --no-daemon to have each pane's own.",
};

pub(super) static LISTING: Listing = Listing {
    agent: "codex",
    events: &[
        usual("SessionStart"),
        // Longer than this is not waited for these two.
        Event { name: "SessionEnd", seconds: 3 },
        usual("UserPromptSubmit"),
        usual("PreToolUse"),
        Event { name: "PermissionRequest", seconds: reply::INSTEAD_SECONDS },
        usual("PostToolUse"),
        usual("PreCompact"),
        usual("PostCompact"),
        usual("Stop"),
        Event { name: "Interrupt", seconds: 3 },
        usual("PostModelRequest"),
    ],
    prelude: &[],
    grouped: true,
    handler: hooks::command_handler,
};

/// Settings on the command line count beside the user's; hooks of both run, and trust in ours goes
/// with them. A server of its own keeps hooks and commands in their pane.
pub(super) fn launch(place: &Place<'_>) -> Launch {
    let mut arguments = vec!["--no-daemon".to_owned()];
    let mut trust = Vec::new();
    for event in LISTING.events {
        let command = serde_json::Value::from(place.line(LISTING.agent, event.name));
        let seconds = event.seconds;
        let handler = format!("{{type=\"command\",command={command},timeout={seconds}}}");
        let hook = format!("hooks.{}=[{{hooks=[{handler}]}}]", event.name);
        arguments.extend(["-c".to_owned(), hook]);
        trust.push(trust::of_flags(event, &place.line(LISTING.agent, event.name)));
    }
    arguments.extend(["-c".to_owned(), format!("hooks.state={{{}}}", trust.join(","))]);
    Launch { program: "codex", arguments, ..Launch::default() }
}
