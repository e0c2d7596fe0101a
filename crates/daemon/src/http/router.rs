//! From the table of routes to the handlers.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::error_code::ErrorCode;
use api::nearest::nearest;
use api::routes::{Method, ROUTES, Route, RouteId};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Uri;

use super::access::{self, Admitted};
use super::app::App;
use super::problem::Problem;
use super::{
    actions, adapters, approvals, config, events, health, hooks, panes, replies, resolve, runtimes,
    sessions, shutdown, targets, tokens, watch, windows,
};

/// The router of every row of the table.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut paths: BTreeMap<&str, MethodRouter<Arc<App>>> = BTreeMap::new();
    for route in ROUTES {
        let methods = paths.remove(route.path).unwrap_or_default();
        let guard = from_fn_with_state((Arc::clone(&app), route), guard);
        paths.insert(route.path, methods.merge(handler(route).route_layer(guard)));
    }
    paths
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_route)
        .with_state(app)
}

/// Lets through who has the right of a route. Every handler is behind it.
async fn guard(
    State((app, route)): State<(Arc<App>, &'static Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(admitted) = request.extensions_mut().remove::<Admitted>() else {
        return Problem::new(ErrorCode::Forbidden, "it is not known who asks").into_response();
    };
    match access::authorise(&app, route, admitted).await {
        Ok(peer) => {
            request.extensions_mut().insert(peer);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn handler(route: &Route) -> MethodRouter<Arc<App>> {
    let method = match route.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Delete => MethodFilter::DELETE,
    };
    match route.id {
        RouteId::Health => on(method, health::show),
        RouteId::ListTargets => on(method, targets::list),
        RouteId::AddTarget => on(method, targets::add),
        RouteId::ConnectTarget => on(method, targets::connect),
        RouteId::HoldTarget => on(method, targets::hold),
        RouteId::DisconnectTarget => on(method, targets::disconnect),
        RouteId::RemoveTarget => on(method, targets::remove),
        RouteId::ListPanes => on(method, panes::list),
        RouteId::ListWindows => on(method, windows::list),
        RouteId::ListSessions => on(method, sessions::list),
        RouteId::Watch => on(method, watch::open),
        RouteId::ShowRuntime => on(method, runtimes::show),
        RouteId::ExplainRuntime => on(method, runtimes::explain),
        RouteId::Resolve => on(method, resolve::resolve),
        RouteId::EmitEvent => on(method, events::emit),
        RouteId::ReportHook => on(method, hooks::report),
        RouteId::ListActions => on(method, actions::list),
        RouteId::Attach => on(method, actions::attach),
        RouteId::Send => on(method, actions::send),
        RouteId::ViewOutput => on(method, actions::view_output),
        RouteId::Kill => on(method, actions::kill),
        RouteId::Respond => on(method, approvals::respond),
        RouteId::ShowAction => on(method, actions::show),
        RouteId::ShowActionEvents => on(method, actions::events),
        RouteId::CancelAction => on(method, actions::cancel),
        RouteId::ListAdapters => on(method, adapters::list),
        RouteId::EnableAdapter => on(method, adapters::enable),
        RouteId::DisableAdapter => on(method, adapters::disable),
        RouteId::ListApprovals => on(method, approvals::list),
        RouteId::ShowApproval => on(method, approvals::show),
        RouteId::AnswerApproval => on(method, approvals::answer),
        RouteId::ListTokens => on(method, tokens::list),
        RouteId::CreateToken => on(method, tokens::create),
        RouteId::RevokeToken => on(method, tokens::revoke),
        RouteId::AwaitReply => on(method, replies::wait),
        RouteId::ShowConfig => on(method, config::show),
        RouteId::Shutdown => on(method, shutdown::shut_down),
    }
}

/// The `Allow` header is added by the router, which knows the path's methods.
async fn wrong_method(method: http::Method, uri: Uri) -> Problem {
    let message = format!("`{}` does not take {method}", shown(uri.path()));
    Problem::new(ErrorCode::MethodNotAllowed, message)
        .detail("method", method.as_str())
        .detail("path", shown(uri.path()))
}

async fn no_route(uri: Uri) -> Problem {
    let path = shown(uri.path());
    let meant = nearest(&path, ROUTES.iter().map(|route| route.path));
    Problem::new(ErrorCode::RouteNotFound, format!("there is no `{path}`"))
        .detail("nearest", meant)
        .detail("path", path)
}

/// As much of a path as is repeated to whoever sent it.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}
