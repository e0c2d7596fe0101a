//! The tables this crate writes row by row, by name: one descriptor each. Events have their own way
//! ([`crate::events`]).

use std::sync::LazyLock;

use crate::row::Table;

macro_rules! tables {
    ($($name:ident = $table:literal [$key_len:literal] { $($column:literal,)+ })+) => {
        $(pub(crate) static $name: LazyLock<Table> =
            LazyLock::new(|| Table::new($table, $key_len, &[$($column,)+]));)+

        /// Every table whose rows carry a hash.
        pub(crate) fn all() -> [&'static Table; [$($table),+].len()] {
            [$(&$name),+]
        }
    };
}

tables! {
    META = "meta" [1] {
        "key", "value",
    }
    TARGETS = "targets" [1] {
        "target_id", "target_name", "kind", "connection_ref", "is_default", "last_seen_at",
        "health", "updated_at", "trouble", "server",
    }
    SESSIONS = "sessions" [2] {
        "target_id", "session_id", "session_name", "attached", "created_s",
    }
    PANES = "panes" [2] {
        "target_id", "pane_id", "tmux_server_boot_id", "session_id", "session_name", "window_id",
        "window_name", "current_cmd", "pane_title", "current_path", "facts", "first_seen_at",
        "last_activity_at", "updated_at",
    }
    RUNTIMES = "runtimes" [1] {
        "runtime_id", "target_id", "pane_id", "tmux_server_boot_id", "pane_epoch", "agent_type",
        "pid", "started_at", "ended_at", "end_reason", "last_state",
    }
    STATES = "states" [2] {
        "target_id", "pane_id", "runtime_id", "state", "reason_code", "confidence",
        "state_version", "state_source", "since", "last_known", "last_source_seq", "last_seen_at",
        "updated_at",
    }
    ACTIONS = "actions" [1] {
        "action_id", "action_type", "request_ref", "target_id", "pane_id", "runtime_id",
        "requested_at", "completed_at", "result_code", "error_code", "metadata_json",
    }
    ACTION_SNAPSHOTS = "action_snapshots" [1] {
        "snapshot_id", "action_id", "target_id", "pane_id", "runtime_id", "state_version",
        "observed_at", "expires_at", "nonce",
    }
    APPROVALS = "approvals" [1] {
        "approval_id", "kind", "target_id", "pane_id", "runtime_id", "fingerprint", "opened_at",
        "expires_at", "state", "closed_at", "settled", "action_id", "metadata_json",
    }
    ADAPTERS = "adapters" [1] {
        "adapter_name", "agent_type", "version", "capabilities", "enabled", "updated_at",
    }
    TOKENS = "tokens" [1] {
        "token_id", "token_name", "scope", "secret_hash", "created_at", "expires_at",
        "last_used_at",
    }
    EVENT_INBOX = "event_inbox" [1] {
        "inbox_id", "event_id", "target_id", "pane_id", "runtime_id", "event_type", "source",
        "dedupe_key", "event_time", "ingested_at", "pid", "start_hint", "status", "reason_code",
        "signal", "raw_payload", "journal_seq",
    }
    RUNTIME_SOURCE_CURSORS = "runtime_source_cursors" [2] {
        "runtime_id", "source", "last_source_seq", "last_order_event_time",
        "last_order_ingested_at", "last_order_event_id", "voice",
    }
}
