//! The table of routes: what can be asked for, with what, and what comes back.
//!
//! The daemon builds its router from it, the client takes its paths from it,
//! and `xtask codegen` writes OpenAPI and the reference page from it.

use std::fmt;

use crate::actions::ActionsQuery;
use crate::adapters::AdaptersQuery;
use crate::approvals::ApprovalsQuery;
use crate::error_code::ErrorCode;
use crate::list::ListQuery;
use crate::query::{NoQuery, Parameter, Query};
use crate::reference::encode_session;
use crate::resolve::ResolveQuery;
use crate::rights::Right;
use crate::sessions::SessionsQuery;
use crate::watch::WatchQuery;
use crate::windows::WindowsQuery;

/// `GET`: how the daemon is doing.
pub const HEALTH: &str = "/v1/health";
/// `GET`: the targets; `POST`: one more.
pub const TARGETS: &str = "/v1/targets";
/// `DELETE`: one target less.
pub const TARGET: &str = "/v1/targets/{name}";
/// `POST`: probe a target now.
pub const TARGET_CONNECT: &str = "/v1/targets/{name}/connect";
/// `POST`: what a terminal runs to make the connection to a target.
pub const TARGET_TERMINAL: &str = "/v1/targets/{name}/terminal";
/// `POST`: end the connection to a target.
pub const TARGET_DISCONNECT: &str = "/v1/targets/{name}/disconnect";
/// `GET`: the panes.
pub const PANES: &str = "/v1/panes";
/// `GET`: the windows.
pub const WINDOWS: &str = "/v1/windows";
/// `GET`: the sessions.
pub const SESSIONS: &str = "/v1/sessions";
/// `GET`: the watch stream.
pub const WATCH: &str = "/v1/watch";
/// `GET`: one runtime.
pub const RUNTIME: &str = "/v1/runtimes/{id}";
/// `GET`: why a runtime is in its state.
pub const RUNTIME_EXPLAIN: &str = "/v1/runtimes/{id}/explain";
/// `GET`: what a reference means.
pub const RESOLVE: &str = "/v1/resolve";
/// `POST`: an event.
pub const EVENTS: &str = "/v1/events";
/// `POST`: what a hook reports.
pub const HOOK: &str = "/v1/hooks/{event}";
/// `GET`: what was done.
pub const ACTIONS: &str = "/v1/actions";
/// `POST`: show a pane.
pub const ACTION_ATTACH: &str = "/v1/actions/attach";
/// `POST`: type into a pane.
pub const ACTION_SEND: &str = "/v1/actions/send";
/// `POST`: read what a pane shows.
pub const ACTION_VIEW_OUTPUT: &str = "/v1/actions/view-output";
/// `POST`: interrupt or signal.
pub const ACTION_KILL: &str = "/v1/actions/kill";
/// `POST`: answer an approval.
pub const ACTION_RESPOND: &str = "/v1/actions/respond";
/// `GET`: one action.
pub const ACTION: &str = "/v1/actions/{id}";
/// `GET`: its events.
pub const ACTION_EVENTS: &str = "/v1/actions/{id}/events";
/// `POST`: take it back.
pub const ACTION_CANCEL: &str = "/v1/actions/{id}/cancel";
/// `GET`: the adapters.
pub const ADAPTERS: &str = "/v1/adapters";
/// `POST`: turn an adapter on.
pub const ADAPTER_ENABLE: &str = "/v1/adapters/{name}/enable";
/// `POST`: turn an adapter off.
pub const ADAPTER_DISABLE: &str = "/v1/adapters/{name}/disable";
/// `GET`: what agents ask.
pub const APPROVALS: &str = "/v1/approvals";
/// `GET`: one approval.
pub const APPROVAL: &str = "/v1/approvals/{id}";
/// `POST`: its answer.
pub const APPROVAL_ANSWER: &str = "/v1/approvals/{id}/answer";
/// `GET`: the tokens; `POST`: one more.
pub const TOKENS: &str = "/v1/tokens";
/// `DELETE`: one token less.
pub const TOKEN: &str = "/v1/tokens/{name}";
/// `POST`: what a hook is to reply.
pub const REPLIES: &str = "/v1/replies";
/// `GET`: the configuration in use.
pub const CONFIG: &str = "/v1/config";
/// `POST`: end the daemon.
pub const SHUTDOWN: &str = "/v1/shutdown";

/// The header in which a client on the user's own socket names the socket of the agent that holds
/// keys for `ssh`.
pub const KEY_AGENT_HEADER: &str = "qd-key-agent";

/// The media type of JSON answers and requests.
pub const JSON: &str = "application/json";
/// The media type of a watch stream.
pub const JSON_LINES: &str = "application/x-ndjson";
/// The media type of a watch stream for browsers, chosen by `Accept`.
pub const EVENT_STREAM: &str = "text/event-stream";

/// Fills the one variable of a path, such as the name of a target.
#[must_use]
pub fn fill(path: &str, value: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}{}", &path[..open], encode_session(value), &path[close + 1..])
        }
        _ => path.to_owned(),
    }
}

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Adds or asks for an act.
    Post,
    /// Removes.
    Delete,
}

impl Method {
    /// The method as HTTP spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which route it is; a `match` over it cannot forget one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteId {
    /// How the daemon is doing.
    Health,
    /// The targets.
    ListTargets,
    /// One target more.
    AddTarget,
    /// Probe a target now.
    ConnectTarget,
    /// Tell what a terminal runs to make the connection to a target.
    HoldTarget,
    /// End the connection to a target.
    DisconnectTarget,
    /// One target less.
    RemoveTarget,
    /// The panes.
    ListPanes,
    /// The windows.
    ListWindows,
    /// The sessions.
    ListSessions,
    /// The watch stream.
    Watch,
    /// One runtime.
    ShowRuntime,
    /// Why a runtime is in its state.
    ExplainRuntime,
    /// What a reference means.
    Resolve,
    /// An event.
    EmitEvent,
    /// What a hook reports.
    ReportHook,
    /// What was done.
    ListActions,
    /// Show a pane.
    Attach,
    /// Type into a pane.
    Send,
    /// Read what a pane shows.
    ViewOutput,
    /// Interrupt or signal.
    Kill,
    /// Answer an approval.
    Respond,
    /// One action.
    ShowAction,
    /// The events of one action.
    ShowActionEvents,
    /// Take an action back.
    CancelAction,
    /// The adapters.
    ListAdapters,
    /// Turn an adapter on.
    EnableAdapter,
    /// Turn an adapter off.
    DisableAdapter,
    /// What agents ask.
    ListApprovals,
    /// One approval.
    ShowApproval,
    /// Answer the approval of the path.
    AnswerApproval,
    /// The tokens.
    ListTokens,
    /// One token more.
    CreateToken,
    /// One token less.
    RevokeToken,
    /// What a hook is to reply.
    AwaitReply,
    /// The configuration in use.
    ShowConfig,
    /// End the daemon.
    Shutdown,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Which one it is.
    pub id: RouteId,
    /// Its method.
    pub method: Method,
    /// Its path; a variable stands in braces.
    pub path: &'static str,
    /// The name of the operation in OpenAPI.
    pub operation: &'static str,
    /// The keys its query string takes.
    pub query: fn() -> Vec<Parameter>,
    /// The status of a successful answer.
    pub status: u16,
    /// The errors it answers with, beside those of every route.
    pub errors: &'static [ErrorCode],
    /// The version that brought it.
    pub since: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
}

/// The errors that any route may answer with.
pub const COMMON_ERRORS: &[ErrorCode] = &[
    ErrorCode::BadRequest,
    ErrorCode::CrossOrigin,
    ErrorCode::Forbidden,
    ErrorCode::Internal,
    ErrorCode::MediaType,
    ErrorCode::MethodNotAllowed,
    ErrorCode::Misdirected,
    ErrorCode::Overloaded,
    ErrorCode::ShuttingDown,
    ErrorCode::Timeout,
    ErrorCode::TooManyFailures,
    ErrorCode::Unauthenticated,
];

/// The errors of every list.
const LIST_ERRORS: &[ErrorCode] =
    &[ErrorCode::RefInvalid, ErrorCode::RefInvalidEncoding, ErrorCode::TargetNotFound];

/// The errors of a route that names a runtime.
const RUNTIME_ERRORS: &[ErrorCode] = &[ErrorCode::RefInvalid, ErrorCode::RefNotFound];

/// What most routes that read have in common.
const READ: Route = Route {
    id: RouteId::Health,
    method: Method::Get,
    path: HEALTH,
    operation: "",
    query: NoQuery::parameters,
    status: 200,
    errors: &[],
    since: "0.1.0",
    summary: "",
};

/// What routes that act have in common.
const ACT: Route = Route {
    method: Method::Post,
    errors: &[
        ErrorCode::AgentBusy,
        ErrorCode::BodyTooLarge,
        ErrorCode::Cancelled,
        ErrorCode::IdempotencyConflict,
        ErrorCode::Interrupted,
        ErrorCode::OutcomeUnknown,
        ErrorCode::PaneBlocked,
        ErrorCode::PidUnavailable,
        ErrorCode::PreconditionFailed,
        ErrorCode::RefAmbiguous,
        ErrorCode::RefInvalid,
        ErrorCode::RefInvalidEncoding,
        ErrorCode::RefNotFound,
        ErrorCode::RuntimeStale,
        ErrorCode::SnapshotExpired,
        ErrorCode::StoreFull,
        ErrorCode::StoreReadOnly,
        ErrorCode::TargetNotFound,
        ErrorCode::TargetUnreachable,
    ],
    ..READ
};

/// What turning an adapter on and off have in common.
const SET_ADAPTER: Route = Route {
    method: Method::Post,
    errors: &[
        ErrorCode::AdapterIncompatible,
        ErrorCode::AdapterNotFound,
        ErrorCode::LimitReached,
        ErrorCode::OutcomeUnknown,
        ErrorCode::StoreFull,
        ErrorCode::StoreReadOnly,
    ],
    ..READ
};
/// The same, and what only an answer can meet.
const RESPOND_ERRORS: &[ErrorCode] = &[
    ErrorCode::ApprovalAnswered,
    ErrorCode::ApprovalChanged,
    ErrorCode::ApprovalClosed,
    ErrorCode::BodyTooLarge,
    ErrorCode::Cancelled,
    ErrorCode::ChoiceNotOffered,
    ErrorCode::IdempotencyConflict,
    ErrorCode::Interrupted,
    ErrorCode::OutcomeUnknown,
    ErrorCode::PaneBlocked,
    ErrorCode::RefNotFound,
    ErrorCode::RuntimeStale,
    ErrorCode::SnapshotExpired,
    ErrorCode::StoreFull,
    ErrorCode::StoreReadOnly,
    ErrorCode::TargetUnreachable,
];

/// Every route, in the order of the reference page.
pub const ROUTES: &[Route] = &[
    Route {
        id: RouteId::Health,
        path: HEALTH,
        operation: "getHealth",
        summary: "How the daemon, its database and its targets are doing.",
        ..READ
    },
    Route {
        id: RouteId::ListTargets,
        path: TARGETS,
        operation: "listTargets",
        summary: "The targets, with their health and what there is on them.",
        ..READ
    },
    Route {
        id: RouteId::AddTarget,
        method: Method::Post,
        path: TARGETS,
        operation: "addTarget",
        status: 201,
        errors: &[
            ErrorCode::BodyTooLarge,
            ErrorCode::LimitReached,
            ErrorCode::OutcomeUnknown,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
            ErrorCode::TargetDuplicateServer,
            ErrorCode::TargetExists,
            ErrorCode::Unsupported,
        ],
        summary: "Adds a target and begins to observe it.",
        ..READ
    },
    Route {
        id: RouteId::ConnectTarget,
        method: Method::Post,
        path: TARGET_CONNECT,
        operation: "connectTarget",
        errors: &[ErrorCode::TargetNotFound, ErrorCode::TargetUnreachable],
        summary: "Probes a target now and answers with what was found.",
        ..READ
    },
    Route {
        id: RouteId::HoldTarget,
        method: Method::Post,
        path: TARGET_TERMINAL,
        operation: "holdTarget",
        errors: &[ErrorCode::TargetNotFound, ErrorCode::Unsupported],
        summary: "Tells what a person's terminal runs to make the connection to a target, where \
                  `ssh` asks for a password or a touch.",
        ..READ
    },
    Route {
        id: RouteId::DisconnectTarget,
        method: Method::Post,
        path: TARGET_DISCONNECT,
        operation: "disconnectTarget",
        errors: &[ErrorCode::TargetNotFound, ErrorCode::Unsupported],
        summary: "Ends the connection to a target on another machine, and makes none until it is \
                  connected again.",
        ..READ
    },
    Route {
        id: RouteId::RemoveTarget,
        method: Method::Delete,
        path: TARGET,
        operation: "removeTarget",
        status: 204,
        errors: &[
            ErrorCode::OutcomeUnknown,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
            ErrorCode::TargetNotFound,
            ErrorCode::TargetProtected,
        ],
        summary: "Stops observing a target and forgets it; its tmux server is left alone.",
        ..READ
    },
    Route {
        id: RouteId::ListPanes,
        path: PANES,
        operation: "listPanes",
        query: ListQuery::parameters,
        errors: LIST_ERRORS,
        summary: "Every pane, agent or not, with its state.",
        ..READ
    },
    Route {
        id: RouteId::ListWindows,
        path: WINDOWS,
        operation: "listWindows",
        query: WindowsQuery::parameters,
        errors: LIST_ERRORS,
        summary: "Every window, with what goes on in its panes.",
        ..READ
    },
    Route {
        id: RouteId::ListSessions,
        path: SESSIONS,
        operation: "listSessions",
        query: SessionsQuery::parameters,
        errors: LIST_ERRORS,
        summary: "Every session, with what goes on in its panes.",
        ..READ
    },
    Route {
        id: RouteId::Watch,
        path: WATCH,
        operation: "watch",
        query: WatchQuery::parameters,
        errors: &[
            ErrorCode::CursorInvalid,
            ErrorCode::RefInvalid,
            ErrorCode::RefInvalidEncoding,
            ErrorCode::TargetNotFound,
        ],
        summary: "A snapshot, and then every change as it happens.",
        ..READ
    },
    Route {
        id: RouteId::ShowRuntime,
        path: RUNTIME,
        operation: "getRuntime",
        errors: RUNTIME_ERRORS,
        summary: "One runtime, also one that has ended.",
        ..READ
    },
    Route {
        id: RouteId::ExplainRuntime,
        path: RUNTIME_EXPLAIN,
        operation: "explainRuntime",
        errors: &[ErrorCode::RefInvalid, ErrorCode::RefNotFound, ErrorCode::RuntimeStale],
        summary: "The evidence behind a runtime's state, and which of it decided.",
        ..READ
    },
    Route {
        id: RouteId::Resolve,
        path: RESOLVE,
        operation: "resolve",
        query: ResolveQuery::parameters,
        errors: &[
            ErrorCode::RefAmbiguous,
            ErrorCode::RefInvalid,
            ErrorCode::RefInvalidEncoding,
            ErrorCode::RefNotFound,
            ErrorCode::TargetNotFound,
        ],
        summary: "The one pane and runtime that a reference means.",
        ..READ
    },
    Route {
        id: RouteId::EmitEvent,
        method: Method::Post,
        path: EVENTS,
        operation: "emitEvent",
        status: 202,
        errors: &[
            ErrorCode::BodyTooLarge,
            ErrorCode::IdempotencyConflict,
            ErrorCode::OutcomeUnknown,
            ErrorCode::RefNotFound,
            ErrorCode::RuntimeStale,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
            ErrorCode::TargetNotFound,
        ],
        summary: "Takes an event; the answer says that it is durable.",
        ..READ
    },
    Route {
        id: RouteId::ReportHook,
        method: Method::Post,
        path: HOOK,
        operation: "reportHook",
        errors: &[
            ErrorCode::BodyTooLarge,
            ErrorCode::OutcomeUnknown,
            ErrorCode::RouteNotFound,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
        ],
        summary: "Takes what a hook reports of the agent in whose pane it runs.",
        ..READ
    },
    Route {
        id: RouteId::ListActions,
        path: ACTIONS,
        operation: "listActions",
        query: ActionsQuery::parameters,
        errors: &[
            ErrorCode::RefAmbiguous,
            ErrorCode::RefInvalid,
            ErrorCode::RefInvalidEncoding,
            ErrorCode::RefNotFound,
            ErrorCode::TargetNotFound,
        ],
        summary: "What was done to panes, by whom and with what outcome, and who was turned away, newest first.",
        ..READ
    },
    Route {
        id: RouteId::Attach,
        path: ACTION_ATTACH,
        operation: "attach",
        summary: "Makes a pane the one that its session shows, and says how to get there.",
        ..ACT
    },
    Route {
        id: RouteId::Send,
        path: ACTION_SEND,
        operation: "send",
        summary: "Types a text and keys into a pane that still holds what was seen there.",
        ..ACT
    },
    Route {
        id: RouteId::ViewOutput,
        path: ACTION_VIEW_OUTPUT,
        operation: "viewOutput",
        summary: "Reads what a pane shows.",
        ..ACT
    },
    Route {
        id: RouteId::Kill,
        path: ACTION_KILL,
        operation: "kill",
        summary: "Interrupts what runs in a pane by key, or signals its process.",
        ..ACT
    },
    Route {
        id: RouteId::Respond,
        path: ACTION_RESPOND,
        operation: "respond",
        errors: RESPOND_ERRORS,
        summary: "Answers an approval, once, by the agent's own hook or by keys in its dialog.",
        ..ACT
    },
    Route {
        id: RouteId::ShowAction,
        path: ACTION,
        operation: "getAction",
        errors: &[ErrorCode::RefNotFound],
        summary: "One action and what became of it.",
        ..READ
    },
    Route {
        id: RouteId::ShowActionEvents,
        path: ACTION_EVENTS,
        operation: "getActionEvents",
        errors: &[ErrorCode::RefNotFound],
        summary: "The events that bear an action's id.",
        ..READ
    },
    Route {
        id: RouteId::CancelAction,
        path: ACTION_CANCEL,
        operation: "cancelAction",
        errors: &[
            ErrorCode::OutcomeUnknown,
            ErrorCode::RefNotFound,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
            ErrorCode::TooLate,
        ],
        summary: "Takes back an action that was not begun, such as a prompt that waits for its agent.",
        ..ACT
    },
    Route {
        id: RouteId::ListAdapters,
        path: ADAPTERS,
        operation: "listAdapters",
        query: AdaptersQuery::parameters,
        summary: "What is known of which agent, and what is turned off.",
        ..READ
    },
    Route {
        id: RouteId::EnableAdapter,
        path: ADAPTER_ENABLE,
        operation: "enableAdapter",
        summary: "Turns an adapter on; its panes are read again at once.",
        ..SET_ADAPTER
    },
    Route {
        id: RouteId::DisableAdapter,
        path: ADAPTER_DISABLE,
        operation: "disableAdapter",
        summary: "Turns an adapter off; its panes show as unknown until it is on again.",
        ..SET_ADAPTER
    },
    Route {
        id: RouteId::ListApprovals,
        path: APPROVALS,
        operation: "listApprovals",
        query: ApprovalsQuery::parameters,
        errors: &[
            ErrorCode::RefAmbiguous,
            ErrorCode::RefInvalid,
            ErrorCode::RefInvalidEncoding,
            ErrorCode::RefNotFound,
            ErrorCode::TargetNotFound,
        ],
        summary: "What agents ask somebody to decide, oldest first.",
        ..READ
    },
    Route {
        id: RouteId::ShowApproval,
        path: APPROVAL,
        operation: "getApproval",
        errors: &[ErrorCode::RefNotFound],
        summary: "One approval: what is asked, and what became of it.",
        ..READ
    },
    Route {
        id: RouteId::AnswerApproval,
        path: APPROVAL_ANSWER,
        operation: "answerApproval",
        errors: RESPOND_ERRORS,
        summary: "Answers an approval, once, by the agent's own hook or by keys in its dialog.",
        ..ACT
    },
    Route {
        id: RouteId::ListTokens,
        path: TOKENS,
        operation: "listTokens",
        summary: "The tokens that are served over TCP, without their secrets.",
        ..READ
    },
    Route {
        id: RouteId::CreateToken,
        method: Method::Post,
        path: TOKENS,
        operation: "createToken",
        status: 201,
        errors: &[
            ErrorCode::BodyTooLarge,
            ErrorCode::LimitReached,
            ErrorCode::OutcomeUnknown,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
            ErrorCode::TokenExists,
        ],
        summary: "Makes a token; the answer is the only place where it is ever shown.",
        ..READ
    },
    Route {
        id: RouteId::RevokeToken,
        method: Method::Delete,
        path: TOKEN,
        operation: "revokeToken",
        status: 204,
        errors: &[
            ErrorCode::OutcomeUnknown,
            ErrorCode::StoreFull,
            ErrorCode::StoreReadOnly,
            ErrorCode::TokenNotFound,
        ],
        summary: "Takes a token back, by its name or id; it counts no more from then on.",
        ..READ
    },
    Route {
        id: RouteId::AwaitReply,
        method: Method::Post,
        path: REPLIES,
        operation: "awaitReply",
        errors: &[ErrorCode::BodyTooLarge],
        summary: "Waits for the answer that an agent's hook is to give; for `qd hook` alone.",
        ..READ
    },
    Route {
        id: RouteId::ShowConfig,
        path: CONFIG,
        operation: "getConfig",
        summary: "The configuration in use, and where each part of it comes from.",
        ..READ
    },
    Route {
        id: RouteId::Shutdown,
        method: Method::Post,
        path: SHUTDOWN,
        operation: "shutdown",
        status: 202,
        errors: &[ErrorCode::BodyTooLarge],
        summary: "Begins to end the daemon gracefully.",
        ..READ
    },
];

impl Route {
    /// What whoever asks has to be allowed.
    #[must_use]
    pub const fn right(&self) -> Right {
        self.id.right()
    }

    /// The name of the path's variable, if it has one.
    #[must_use]
    pub fn variable(&self) -> Option<&'static str> {
        let (_, rest) = self.path.split_once('{')?;
        rest.split_once('}').map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_is_complete_and_stands_for_itself() {
        let operations: BTreeSet<_> = ROUTES.iter().map(|it| it.operation).collect();
        let ids: BTreeSet<_> = ROUTES.iter().map(|it| it.id).collect();
        let places: BTreeSet<_> = ROUTES.iter().map(|it| (it.path, it.method)).collect();
        assert_eq!([operations.len(), ids.len(), places.len()], [ROUTES.len(); 3]);
        for route in ROUTES {
            assert!(route.path.starts_with("/v1/"), "{}", route.path);
            assert!(route.summary.ends_with('.'), "{}", route.operation);
            assert!(!route.operation.is_empty());
        }
    }

    #[test]
    fn errors_are_listed_once_and_in_order() {
        for route in ROUTES {
            let mut all = [COMMON_ERRORS, route.errors].concat();
            let names: Vec<_> = route.errors.iter().map(|it| it.as_str()).collect();
            assert!(names.is_sorted(), "{}: {names:?}", route.operation);
            all.sort();
            all.dedup();
            assert_eq!(all.len(), COMMON_ERRORS.len() + route.errors.len(), "{}", route.operation);
        }
    }

    #[test]
    fn what_takes_a_body_can_refuse_a_long_one() {
        for route in ROUTES.iter().filter(|it| it.id.shape().request.is_some()) {
            assert!(route.errors.contains(&ErrorCode::BodyTooLarge), "{}", route.operation);
        }
    }

    #[test]
    fn a_path_is_filled_with_its_value_encoded() {
        assert_eq!(fill(TARGET_CONNECT, "a b/c"), "/v1/targets/a%20b%2Fc/connect");
        assert_eq!(fill(HEALTH, "x"), "/v1/health");
    }
}
