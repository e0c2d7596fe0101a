//! The client: every route as a typed call.

mod exchange;
mod reach;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use api::ErrorCode;
use api::actions::{
    ActionAnswer, ActionList, ActionsQuery, AttachRequest, KillRequest, SendRequest,
    ViewOutputRequest,
};
use api::adapters::{AdapterAnswer, AdapterList, AdaptersQuery};
use api::approvals::{ApprovalAnswer, ApprovalList, ApprovalsQuery, RespondRequest};
use api::config::ConfigAnswer;
use api::events::{EventAccepted, EventEnvelope};
use api::explain::ExplainAnswer;
use api::health::HealthAnswer;
use api::list::{List, ListQuery};
use api::panes::PaneList;
use api::query::Query;
use api::resolve::{ResolveAnswer, ResolveQuery};
use api::routes::{self, fill};
use api::runtimes::RuntimeAnswer;
use api::sessions::{SessionList, SessionsQuery};
use api::shutdown::ShutdownReason;
use api::target_name::TargetName;
use api::targets::{TargetAnswer, TargetCreate, TargetList, TargetTerminal};
use api::tokens::{TokenCreate, TokenCreated, TokenList};
use api::version::Version;
use api::watch::WatchQuery;
use api::windows::{WindowList, WindowsQuery};
use http::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::limits::PAGES_MAX;
use crate::place::Place;
use crate::remote::Remote;
use crate::starter::Starter;
use crate::watch::Watch;

pub use self::exchange::Ask;

/// Asks one daemon. See the crate's documentation.
pub struct Client {
    place: Place,
    /// Asked instead of the place, with a token.
    remote: Option<Remote>,
    starter: Option<Arc<dyn Starter>>,
    /// What it greets with; without one it takes any daemon as it is.
    version: Option<Version>,
    connection: Option<Connection>,
    /// Whether the daemon at the far end of this connection is known to be of our version.
    greeted: bool,
    /// Where the agent is that holds the user's keys for other machines.
    key_agent: Option<HeaderValue>,
}

impl Client {
    /// A client of the daemon at that place, which greets with the version of this build.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let version = env!("CARGO_PKG_VERSION").parse().ok();
        Self {
            place,
            remote: None,
            starter: None,
            version,
            connection: None,
            greeted: false,
            key_agent: None,
        }
    }

    /// The same, which asks the daemon over TCP, wherever its place is.
    #[must_use]
    pub fn over(self, remote: Remote) -> Self {
        Self { remote: Some(remote), starter: None, ..self }
    }

    /// The same, which has a daemon started where there is none or an older one.
    #[must_use]
    pub fn with_starter(self, starter: Arc<dyn Starter>) -> Self {
        Self { starter: Some(starter), ..self }
    }

    /// The same, which greets with that version.
    #[must_use]
    pub fn with_version(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The same, which tells the daemon where the agent is that holds the user's keys (the value of
    /// `SSH_AUTH_SOCK`), so that targets are reached with the keys of whoever asks. Not told over
    /// TCP.
    #[must_use]
    pub fn with_key_agent(self, socket: &OsStr) -> Self {
        let named =
            Path::new(socket).is_absolute().then(|| HeaderValue::from_bytes(socket.as_bytes()));
        Self { key_agent: named.and_then(Result::ok), ..self }
    }

    /// The same, which takes a daemon of any version as it is: for looking and for stopping.
    #[must_use]
    pub fn with_any_version(self) -> Self {
        Self { version: None, ..self }
    }

    /// Where it looks for the daemon.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn starter(&self) -> Option<&Arc<dyn Starter>> {
        self.starter.as_ref()
    }

    pub(crate) fn set_starter(&mut self, starter: Option<Arc<dyn Starter>>) {
        self.starter = starter;
    }

    pub(crate) fn forget_version(&mut self) {
        self.version = None;
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    // The routes, in the order of their table.

    /// How the daemon is doing.
    pub async fn health(&mut self) -> Result<Answer<HealthAnswer>, ClientError> {
        self.ask(&Ask::get(routes::HEALTH)).await
    }

    /// The targets.
    pub async fn targets(&mut self) -> Result<Answer<TargetList>, ClientError> {
        self.ask(&Ask::get(routes::TARGETS)).await
    }

    /// One target more.
    pub async fn add_target(
        &mut self,
        target: &TargetCreate,
    ) -> Result<Answer<TargetAnswer>, ClientError> {
        self.ask(&Ask::post(routes::TARGETS, Some(target))?).await
    }

    /// Probes a target now.
    pub async fn connect_target(
        &mut self,
        name: &TargetName,
    ) -> Result<Answer<TargetAnswer>, ClientError> {
        let path = fill(routes::TARGET_CONNECT, name.as_str());
        self.ask(&Ask::post::<()>(path, None)?).await
    }

    /// What a terminal runs to make the connection to a target.
    pub async fn hold_target(
        &mut self,
        name: &TargetName,
    ) -> Result<Answer<TargetTerminal>, ClientError> {
        let path = fill(routes::TARGET_TERMINAL, name.as_str());
        self.ask(&Ask::post::<()>(path, None)?).await
    }

    /// Ends the connection to a target.
    pub async fn disconnect_target(
        &mut self,
        name: &TargetName,
    ) -> Result<Answer<TargetAnswer>, ClientError> {
        let path = fill(routes::TARGET_DISCONNECT, name.as_str());
        self.ask(&Ask::post::<()>(path, None)?).await
    }

    /// One target less.
    pub async fn remove_target(&mut self, name: &TargetName) -> Result<(), ClientError> {
        self.send(&Ask::delete(fill(routes::TARGET, name.as_str()))).await.map(drop)
    }

    /// The panes: all pages, unless the query asks for one.
    pub async fn panes(&mut self, query: &ListQuery) -> Result<Answer<PaneList>, ClientError> {
        self.list(routes::PANES, query, |query| query).await
    }

    /// The windows: all pages, unless the query asks for one.
    pub async fn windows(
        &mut self,
        query: &WindowsQuery,
    ) -> Result<Answer<WindowList>, ClientError> {
        self.list(routes::WINDOWS, query, |query| &mut query.list).await
    }

    /// The sessions: all pages, unless the query asks for one.
    pub async fn sessions(
        &mut self,
        query: &SessionsQuery,
    ) -> Result<Answer<SessionList>, ClientError> {
        self.list(routes::SESSIONS, query, |query| &mut query.list).await
    }

    /// Follows the watch stream from here on.
    #[must_use]
    pub fn watch(self, query: WatchQuery) -> Watch {
        Watch::new(self, query)
    }

    /// One runtime.
    pub async fn runtime(&mut self, id: &str) -> Result<Answer<RuntimeAnswer>, ClientError> {
        self.ask(&Ask::get(fill(routes::RUNTIME, id))).await
    }

    /// Why a runtime is in its state.
    pub async fn explain(&mut self, id: &str) -> Result<Answer<ExplainAnswer>, ClientError> {
        self.ask(&Ask::get(fill(routes::RUNTIME_EXPLAIN, id))).await
    }

    /// What a reference means.
    pub async fn resolve(&mut self, reference: &str) -> Result<Answer<ResolveAnswer>, ClientError> {
        let query = ResolveQuery { reference: reference.to_owned() };
        self.ask(&Ask::query(routes::RESOLVE, &query)).await
    }

    /// Reports an event.
    pub async fn emit(
        &mut self,
        event: &EventEnvelope,
    ) -> Result<Answer<EventAccepted>, ClientError> {
        self.ask(&Ask::post(routes::EVENTS, Some(event))?).await
    }

    /// Shows a pane.
    pub async fn attach(
        &mut self,
        request: &AttachRequest,
    ) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::post(routes::ACTION_ATTACH, Some(request))?).await
    }

    /// Types into a pane.
    pub async fn send_to_pane(
        &mut self,
        request: &SendRequest,
    ) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::post(routes::ACTION_SEND, Some(request))?).await
    }

    /// Reads what a pane shows.
    pub async fn view_output(
        &mut self,
        request: &ViewOutputRequest,
    ) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::post(routes::ACTION_VIEW_OUTPUT, Some(request))?).await
    }

    /// Interrupts or signals what runs in a pane.
    pub async fn kill(
        &mut self,
        request: &KillRequest,
    ) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::post(routes::ACTION_KILL, Some(request))?).await
    }

    /// Takes an action back that was not begun.
    pub async fn cancel(&mut self, id: &str) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::post::<()>(fill(routes::ACTION_CANCEL, id), None)?).await
    }

    /// What agents ask, oldest first.
    pub async fn approvals(
        &mut self,
        query: &ApprovalsQuery,
    ) -> Result<Answer<ApprovalList>, ClientError> {
        self.ask(&Ask::query(routes::APPROVALS, query)).await
    }

    /// One approval.
    pub async fn approval(&mut self, id: &str) -> Result<Answer<ApprovalAnswer>, ClientError> {
        self.ask(&Ask::get(fill(routes::APPROVAL, id))).await
    }

    /// Answers an approval.
    pub async fn respond(
        &mut self,
        request: &RespondRequest,
    ) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::post(routes::ACTION_RESPOND, Some(request))?).await
    }

    /// What was done, newest first.
    pub async fn actions(
        &mut self,
        query: &ActionsQuery,
    ) -> Result<Answer<ActionList>, ClientError> {
        self.ask(&Ask::query(routes::ACTIONS, query)).await
    }

    /// One action.
    pub async fn action(&mut self, id: &str) -> Result<Answer<ActionAnswer>, ClientError> {
        self.ask(&Ask::get(fill(routes::ACTION, id))).await
    }

    /// The adapters.
    pub async fn adapters(
        &mut self,
        query: &AdaptersQuery,
    ) -> Result<Answer<AdapterList>, ClientError> {
        self.ask(&Ask::query(routes::ADAPTERS, query)).await
    }

    /// Turns an adapter on or off.
    pub async fn set_adapter(
        &mut self,
        name: &str,
        enabled: bool,
    ) -> Result<Answer<AdapterAnswer>, ClientError> {
        let path = if enabled { routes::ADAPTER_ENABLE } else { routes::ADAPTER_DISABLE };
        self.ask(&Ask::post::<()>(fill(path, name), None)?).await
    }

    /// The tokens.
    pub async fn tokens(&mut self) -> Result<Answer<TokenList>, ClientError> {
        self.ask(&Ask::get(routes::TOKENS)).await
    }

    /// One token more. Its secret is in this answer alone.
    pub async fn create_token(
        &mut self,
        token: &TokenCreate,
    ) -> Result<Answer<TokenCreated>, ClientError> {
        self.ask(&Ask::post(routes::TOKENS, Some(token))?).await
    }

    /// One token less, by its name or id.
    pub async fn revoke_token(&mut self, named: &str) -> Result<(), ClientError> {
        self.send(&Ask::delete(fill(routes::TOKEN, named))).await.map(drop)
    }

    /// The configuration in use.
    pub async fn config(&mut self) -> Result<Answer<ConfigAnswer>, ClientError> {
        self.ask(&Ask::get(routes::CONFIG)).await
    }

    /// Ends the daemon and waits until its process is gone; gives its pid, or nothing where none
    /// answered.
    pub async fn stop(&mut self) -> Result<Option<u32>, ClientError> {
        self.connection = None;
        let Some(connection) = self.reach().await? else { return Ok(None) };
        reach::end(connection, ShutdownReason::Stop).await.map(Some)
    }

    // How they are asked for.

    /// Asks for anything of the API.
    pub async fn ask<T>(&mut self, ask: &Ask) -> Result<Answer<T>, ClientError> {
        self.send(ask).await.map(Answer::new)
    }

    async fn list<I, Q>(
        &mut self,
        path: &str,
        query: &Q,
        part: impl Fn(&mut Q) -> &mut ListQuery,
    ) -> Result<Answer<List<I>>, ClientError>
    where
        I: Serialize + DeserializeOwned,
        Q: Query + Clone,
    {
        let mut query = query.clone();
        let first: Answer<List<I>> = self.ask(&Ask::query(path, &query)).await?;
        let wanted = part(&mut query);
        if wanted.limit.is_some() || wanted.page.is_some() {
            return Ok(first);
        }
        let Some(next) = first.next_page()? else { return Ok(first) };
        let mut pages = vec![first.read()?];
        let mut next = Some(next);
        while let Some(page) = next {
            if pages.len() == PAGES_MAX {
                let message = format!("the list has more than {PAGES_MAX} pages");
                return Err(ClientError::new(ErrorCode::Internal, message));
            }
            part(&mut query).page = Some(page);
            let answer: Answer<List<I>> = self.ask(&Ask::query(path, &query)).await?;
            let mut list = answer.read()?;
            next = list.next_page.take();
            pages.push(list);
        }
        Ok(Answer::join(pages)?.unwrap_or(first))
    }
}

#[cfg(test)]
mod tests;
