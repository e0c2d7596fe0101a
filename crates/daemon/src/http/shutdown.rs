//! `POST /v1/shutdown`.

use std::sync::Arc;

use api::query::NoQuery;
use api::shutdown::{ShutdownAccepted, ShutdownRequest};
use api::words::SchemaVersion;
use axum::extract::State;
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Said, Sent};

/// Asks whoever runs the daemon to end it. This answer is still given.
pub(crate) async fn shut_down(
    State(app): State<Arc<App>>,
    _: Asked<NoQuery>,
    Sent(request): Sent<ShutdownRequest>,
) -> Said<ShutdownAccepted> {
    app.request_stop(request.reason);
    let answer = ShutdownAccepted {
        schema_version: SchemaVersion::V1,
        generated_at: app.now(),
        pid: std::process::id(),
        version: super::VERSION.to_owned(),
    };
    Said(StatusCode::ACCEPTED, answer)
}
