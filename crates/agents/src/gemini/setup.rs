//! Where Gemini CLI's hooks go.

use crate::launch::{Launch, Place};
use crate::setup::edit::Value;
use crate::setup::hooks::Listing;
use crate::setup::{Folder, Manner, Moved, Setup, usual};

pub(super) static SETUP: Setup = Setup {
    programs: &["gemini"],
    folder: Folder {
        home: ".gemini",
        moved: &[Moved { variable: "GEMINI_CLI_HOME", below: ".gemini", resolved: false }],
    },
    file: "settings.json",
    manner: Manner::Entries(&LISTING),
    trust: None,
    only_when_named: false,
    needs: None,
    remark: "",
};

/// Hooks about requests to the model would run once for each piece of an answer.
pub(super) static LISTING: Listing = Listing {
    agent: "gemini",
    events: &[
        usual("SessionStart"),
        usual("SessionEnd"),
        usual("BeforeAgent"),
        usual("AfterAgent"),
        usual("BeforeTool"),
        usual("AfterTool"),
        usual("Notification"),
        usual("PreCompress"),
    ],
    prelude: &[],
    grouped: true,
    handler: |command, event| {
        Value::object([
            ("type", Value::text("command")),
            ("name", Value::text("quarterdeck")),
            ("command", Value::Text(command)),
            ("timeout", Value::Number(event.seconds * 1_000)),
        ])
    },
};

/// Settings of the machine could hold hooks too, but count only where nobody but root can write. So
/// it gets a home of its own, with the user's settings and our hooks in it.
pub(super) fn launch(place: &Place<'_>) -> Option<Launch> {
    let settings = LISTING.merge(place.settings, place.program).ok()?;
    Some(Launch {
        program: "gemini",
        environment: vec![("GEMINI_CLI_HOME", place.folder.to_owned())],
        files: vec![(".gemini/settings.json", settings)],
        mirror: Some(".gemini"),
        ..Launch::default()
    })
}
