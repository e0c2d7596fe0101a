//! What the routes take and give: the wire types behind the table.
//!
//! It stands apart from the table because only the documents need it, and a program that serves
//! the routes should not carry what makes their schemas.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::actions::{
    ActionAnswer, ActionEvents, ActionList, AttachRequest, KillRequest, SendRequest,
    ViewOutputRequest,
};
use crate::adapters::{AdapterAnswer, AdapterList};
use crate::approvals::{
    AnswerRequest, ApprovalAnswer, ApprovalList, ReplyAnswer, ReplyRequest, RespondRequest,
};
use crate::config::ConfigAnswer;
use crate::events::{EventAccepted, EventEnvelope};
use crate::explain::ExplainAnswer;
use crate::health::HealthAnswer;
use crate::hooks::{HookAnswer, HookReport};
use crate::panes::PaneList;
use crate::resolve::ResolveAnswer;
use crate::routes::RouteId;
use crate::runtimes::RuntimeAnswer;
use crate::sessions::SessionList;
use crate::shutdown::{ShutdownAccepted, ShutdownRequest};
use crate::targets::{TargetAnswer, TargetCreate, TargetList, TargetTerminal};
use crate::tokens::{TokenCreate, TokenCreated, TokenList};
use crate::windows::WindowList;

/// A wire type, known by what makes its schema.
#[derive(Clone, Copy)]
pub struct TypeRef {
    schema: fn(&mut SchemaGenerator) -> Schema,
    name: fn() -> std::borrow::Cow<'static, str>,
}

impl TypeRef {
    /// The wire type `T`.
    #[must_use]
    pub const fn of<T: JsonSchema>() -> Self {
        Self { schema: SchemaGenerator::subschema_for::<T>, name: T::schema_name }
    }

    /// Its schema; what it refers to is added to the generator's definitions.
    #[must_use]
    pub fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    /// Its name in the documents.
    #[must_use]
    pub fn name(self) -> String {
        (self.name)().into_owned()
    }
}

impl fmt::Debug for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// What a successful answer holds.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// Nothing.
    Empty,
    /// One JSON object.
    Json(TypeRef),
    /// A stream of frames whose type depends on the scope asked for.
    Frames,
}

/// What a route takes and gives.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The body it takes.
    pub request: Option<TypeRef>,
    /// What a successful answer holds.
    pub answer: Answer,
}

const fn only(answer: Answer) -> Shape {
    Shape { request: None, answer }
}

const fn gives<A: JsonSchema>() -> Shape {
    only(Answer::Json(TypeRef::of::<A>()))
}

const fn takes<R: JsonSchema, A: JsonSchema>() -> Shape {
    Shape { request: Some(TypeRef::of::<R>()), ..gives::<A>() }
}

impl RouteId {
    /// What the route takes and gives.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::Health => gives::<HealthAnswer>(),
            Self::ListTargets => gives::<TargetList>(),
            Self::AddTarget => takes::<TargetCreate, TargetAnswer>(),
            Self::HoldTarget => gives::<TargetTerminal>(),
            Self::ConnectTarget | Self::DisconnectTarget => gives::<TargetAnswer>(),
            Self::RemoveTarget | Self::RevokeToken => only(Answer::Empty),
            Self::ListPanes => gives::<PaneList>(),
            Self::ListWindows => gives::<WindowList>(),
            Self::ListSessions => gives::<SessionList>(),
            Self::Watch => only(Answer::Frames),
            Self::ShowRuntime => gives::<RuntimeAnswer>(),
            Self::ExplainRuntime => gives::<ExplainAnswer>(),
            Self::Resolve => gives::<ResolveAnswer>(),
            Self::EmitEvent => takes::<EventEnvelope, EventAccepted>(),
            Self::ReportHook => takes::<HookReport, HookAnswer>(),
            Self::ListActions => gives::<ActionList>(),
            Self::Attach => takes::<AttachRequest, ActionAnswer>(),
            Self::Send => takes::<SendRequest, ActionAnswer>(),
            Self::ViewOutput => takes::<ViewOutputRequest, ActionAnswer>(),
            Self::Kill => takes::<KillRequest, ActionAnswer>(),
            Self::Respond => takes::<RespondRequest, ActionAnswer>(),
            Self::ShowAction | Self::CancelAction => gives::<ActionAnswer>(),
            Self::ShowActionEvents => gives::<ActionEvents>(),
            Self::ListAdapters => gives::<AdapterList>(),
            Self::EnableAdapter | Self::DisableAdapter => gives::<AdapterAnswer>(),
            Self::ListApprovals => gives::<ApprovalList>(),
            Self::ShowApproval => gives::<ApprovalAnswer>(),
            Self::AnswerApproval => takes::<AnswerRequest, ActionAnswer>(),
            Self::ListTokens => gives::<TokenList>(),
            Self::CreateToken => takes::<TokenCreate, TokenCreated>(),
            Self::AwaitReply => takes::<ReplyRequest, ReplyAnswer>(),
            Self::ShowConfig => gives::<ConfigAnswer>(),
            Self::Shutdown => takes::<ShutdownRequest, ShutdownAccepted>(),
        }
    }
}
