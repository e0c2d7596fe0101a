//! Who may do what: one right for each route, and for each right one row of who has it.
//!
//! The daemon asks this table before any handler, whichever way a request came; the reference page
//! and OpenAPI are written from it. `docs/design/access.md` says why it is as it is.

use crate::routes::RouteId;
use crate::tokens::TokenScope;

words! {
    /// What one has to be allowed, to be served on a route.
    pub enum Right {
        /// To see what there is and what happened.
        Read = "read",
        /// To do something to a pane, or to report what happened in one.
        Act = "act",
        /// To decide for somebody what an agent asks.
        Answer = "answer",
        /// To change what the daemon watches and believes, and whom it serves.
        Manage = "manage",
        /// What programs of this user ask on their own socket, an agent's hooks among them.
        Local = "local",
        /// What lets others in or has programs run: a person's own client alone.
        Person = "person",
    }
}

/// Which way somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// By the socket of the user who runs the daemon, as that user.
    Socket,
    /// Over TCP, by a token.
    Token(TokenScope),
}

/// Who asks, as far as rights are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    /// Which way they came in.
    pub entrance: Entrance,
    /// Whether their process runs below that of an agent, or may: on the user's own socket every
    /// process is known, and one that is not is taken for an agent's.
    pub below_agent: bool,
}

impl Right {
    /// Whether it is had by somebody such as this.
    #[must_use]
    pub const fn is_had_by(self, who: Who) -> bool {
        let person = !who.below_agent;
        match (self, who.entrance) {
            (Self::Read, _) | (Self::Act | Self::Local, Entrance::Socket) => true,
            (Self::Answer | Self::Manage | Self::Person, Entrance::Socket) => person,
            (Self::Act, Entrance::Token(scope)) => scope.allows_acts(),
            (Self::Answer, Entrance::Token(scope)) => scope.allows_acts() && person,
            (Self::Manage, Entrance::Token(TokenScope::Admin)) => person,
            (Self::Manage, Entrance::Token(TokenScope::Read | TokenScope::Act))
            | (Self::Local | Self::Person, Entrance::Token(_)) => false,
        }
    }

    /// Whether it matters which process asks.
    #[must_use]
    pub const fn depends_on_process(self) -> bool {
        match self {
            Self::Answer | Self::Manage | Self::Person => true,
            Self::Read | Self::Act | Self::Local => false,
        }
    }

    /// The least scope of a token that has it; none has what only the user's own socket gives.
    #[must_use]
    pub const fn scope(self) -> Option<TokenScope> {
        match self {
            Self::Read => Some(TokenScope::Read),
            Self::Act | Self::Answer => Some(TokenScope::Act),
            Self::Manage => Some(TokenScope::Admin),
            Self::Local | Self::Person => None,
        }
    }
}

impl RouteId {
    /// What whoever asks has to be allowed. A route without a right does not compile.
    #[must_use]
    pub const fn right(self) -> Right {
        match self {
            Self::Health
            | Self::ListTargets
            | Self::ListPanes
            | Self::ListWindows
            | Self::ListSessions
            | Self::Watch
            | Self::ShowRuntime
            | Self::ExplainRuntime
            | Self::Resolve
            | Self::ListActions
            | Self::ShowAction
            | Self::ShowActionEvents
            | Self::ListAdapters
            | Self::ListApprovals
            | Self::ShowApproval => Right::Read,
            Self::ConnectTarget
            | Self::DisconnectTarget
            | Self::EmitEvent
            | Self::ReportHook
            | Self::Attach
            | Self::Send
            | Self::ViewOutput
            | Self::Kill
            | Self::CancelAction => Right::Act,
            Self::Respond | Self::AnswerApproval => Right::Answer,
            Self::RemoveTarget
            | Self::EnableAdapter
            | Self::DisableAdapter
            | Self::ListTokens
            | Self::RevokeToken => Right::Manage,
            Self::AwaitReply | Self::ShowConfig | Self::Shutdown => Right::Local,
            Self::AddTarget | Self::HoldTarget | Self::CreateToken => Right::Person,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    /// Everybody who may ask, with who they are in a word.
    fn everybody() -> Vec<(&'static str, Who)> {
        let who = |entrance, below_agent| Who { entrance, below_agent };
        let token = Entrance::Token;
        vec![
            ("a person", who(Entrance::Socket, false)),
            ("an agent", who(Entrance::Socket, true)),
            ("read", who(token(TokenScope::Read), false)),
            ("act", who(token(TokenScope::Act), false)),
            ("admin", who(token(TokenScope::Admin), false)),
            ("an agent with act", who(token(TokenScope::Act), true)),
            ("an agent with admin", who(token(TokenScope::Admin), true)),
        ]
    }

    #[test]
    fn every_right_is_had_by_whom_the_table_says() {
        for (right, wanted) in [
            (
                Right::Read,
                "a person, an agent, read, act, admin, an agent with act, an agent with admin",
            ),
            (Right::Act, "a person, an agent, act, admin, an agent with act, an agent with admin"),
            (Right::Answer, "a person, act, admin"),
            (Right::Manage, "a person, admin"),
            (Right::Local, "a person, an agent"),
            (Right::Person, "a person"),
        ] {
            let having = everybody().into_iter().filter(|(_, who)| right.is_had_by(*who));
            let having: Vec<&str> = having.map(|(name, _)| name).collect();
            assert_eq!(having.join(", "), wanted, "{right}");
        }
    }

    #[test]
    fn a_wider_scope_has_whatever_a_narrower_one_has() {
        for right in Right::ALL {
            let has = |scope| {
                right.is_had_by(Who { entrance: Entrance::Token(scope), below_agent: false })
            };
            let [read, act, admin] =
                [TokenScope::Read, TokenScope::Act, TokenScope::Admin].map(has);
            assert!(read <= act && act <= admin, "{right}");
            let least = TokenScope::ALL.iter().copied().find(|scope| has(*scope));
            assert_eq!(right.scope(), least, "{right}");
        }
    }

    #[test]
    fn whether_the_process_matters_is_as_the_table_has_it() {
        for right in Right::ALL {
            let differs = everybody().into_iter().any(|(_, who)| {
                let below = |below_agent| right.is_had_by(Who { below_agent, ..who });
                below(true) != below(false)
            });
            assert_eq!(right.depends_on_process(), differs, "{right}");
        }
    }

    #[test]
    fn nothing_but_a_read_is_had_by_who_may_only_read() {
        for route in ROUTES.iter().filter(|it| it.method != crate::routes::Method::Get) {
            assert_ne!(route.right(), Right::Read, "{}", route.operation);
        }
    }
}
