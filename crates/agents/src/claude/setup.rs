//! Where Claude Code's hooks go.

use crate::launch::{Launch, Place};
use crate::reply;
use crate::setup::hooks::{self, Listing};
use crate::setup::{Event, Folder, Manner, Moved, Setup, usual};

pub(super) static SETUP: Setup = Setup {
    programs: &["claude"],
    folder: Folder {
        home: ".claude",
        moved: &[Moved { variable: "CLAUDE_CONFIG_DIR", below: "", resolved: false }],
    },
    file: "settings.json",
    manner: Manner::Entries(&LISTING),
    trust: None,
    only_when_named: false,
    needs: None,
    remark: "",
};

pub(super) static LISTING: Listing = Listing {
    agent: "claude",
    events: &[
        usual("SessionStart"),
        // At its end it waits for no hook longer than a moment.
        Event { name: "SessionEnd", seconds: 3 },
        usual("UserPromptSubmit"),
        usual("PreToolUse"),
        usual("PostToolUse"),
        usual("PostToolUseFailure"),
        Event { name: "PermissionRequest", seconds: reply::BESIDE_SECONDS },
        usual("Notification"),
        usual("Elicitation"),
        usual("ElicitationResult"),
        usual("PreCompact"),
        usual("PostCompact"),
        usual("Stop"),
        usual("StopFailure"),
    ],
    prelude: &[],
    grouped: true,
    handler: hooks::command_handler,
};

/// Settings given at the start count beside the user's; hooks of both run.
pub(super) fn launch(place: &Place<'_>) -> Launch {
    const FILE: &str = "settings.json";
    Launch {
        program: "claude",
        arguments: vec!["--settings".to_owned(), place.path(FILE)],
        files: vec![(FILE, place.hooks(&LISTING))],
        ..Launch::default()
    }
}
