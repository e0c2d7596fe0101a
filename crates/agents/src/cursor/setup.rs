//! Where the hooks of Cursor's agent go, as its documentation has it.

use crate::setup::edit::Value;
use crate::setup::hooks::Listing;
use crate::setup::{Folder, Manner, Setup, usual};

pub(super) static SETUP: Setup = Setup {
    programs: &["cursor-agent"],
    folder: Folder { home: ".cursor", moved: &[] },
    file: "hooks.json",
    manner: Manner::Entries(&LISTING),
    trust: None,
    only_when_named: false,
    needs: None,
    remark: "Made after the documentation and never tried; the editor of the same house runs these \
             hooks too.",
};

/// Only events that are told. Whoever is asked before something happens decides it by what it
/// answers, and what an empty answer means there was not tried.
pub(super) static LISTING: Listing = Listing {
    agent: "cursor",
    events: &[
        usual("sessionStart"),
        usual("sessionEnd"),
        usual("beforeSubmitPrompt"),
        usual("postToolUse"),
        usual("postToolUseFailure"),
        usual("afterShellExecution"),
        usual("afterFileEdit"),
        usual("afterAgentResponse"),
        usual("preCompact"),
        usual("stop"),
    ],
    prelude: &[("version", 1)],
    grouped: false,
    handler: |command, event| {
        Value::object([
            ("command", Value::Text(command)),
            ("timeout", Value::Number(event.seconds)),
        ])
    },
};
