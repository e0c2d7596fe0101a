//! `/v1/tokens`: list, make, take back.

use std::sync::Arc;

use api::limits::TOKEN_LIFE_MS_DEFAULT;
use api::query::NoQuery;
use api::tokens::{TokenCreate, TokenCreated, TokenIdentity, TokenItem, TokenList};
use api::words::SchemaVersion;
use axum::extract::State;
use engine::access::TokenRow;
use engine::ids::TokenId;
use engine::input::{Input, Request};
use engine::time::{Now, WallMs};
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Named, Peer, Said, Sent};
use super::from_api;
use super::problem::Problem;
use super::secret::Secret;
use super::to_api::{self, timestamp};

// The engine keeps what the API promises.
const _: () = assert!(api::limits::TOKENS_MAX == engine::limits::TOKENS_MAX);

pub(crate) async fn list(State(app): State<Arc<App>>, _: Asked<NoQuery>) -> Said<TokenList> {
    let list = app.read(|follower, now| {
        let engine = follower.engine();
        let mut items: Vec<TokenItem> = engine.tokens().map(|row| item(row, now)).collect();
        items.sort_by(|one, other| one.name.cmp(&other.name));
        TokenList {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            as_of: follower.as_of(),
            listen: app.outside().address.map(|it| it.to_string()),
            items,
        }
    });
    Said(StatusCode::OK, list)
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(create): Sent<TokenCreate>,
) -> Result<Said<TokenCreated>, Problem> {
    create.check()?;
    app.writable()?;
    let now = app.clock.now();
    let life = create.expires_in_ms.unwrap_or(TOKEN_LIFE_MS_DEFAULT);
    let life = i64::try_from(life).unwrap_or(i64::MAX);
    let token = TokenId::new(app.ids.next("tk"));
    let secret = Secret::of(&token);
    let row = TokenRow {
        token,
        name: create.name,
        scope: from_api::token_scope(create.scope),
        hash: secret.hash,
        created_at: now.wall,
        expires_at: WallMs(now.wall.0.saturating_add(life)),
        last_used_at: None,
        revoked_at: None,
    };
    let request = Request::CreateToken(Box::new(row.clone()));
    let settled = app.ask(peer.actor(), Input::Asked(request)).await?;
    forget_revoked(&app);
    let answer = TokenCreated {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: settled.as_of,
        token: item(&row, now),
        secret: secret.shown,
    };
    Ok(Said(StatusCode::CREATED, answer))
}

pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(named): Named,
    _: Asked<NoQuery>,
) -> Result<StatusCode, Problem> {
    app.writable()?;
    app.ask(peer.actor(), Input::Asked(Request::RevokeToken { named })).await?;
    forget_revoked(&app);
    Ok(StatusCode::NO_CONTENT)
}

/// What the door remembers of tokens, no longer than they are there.
fn forget_revoked(app: &App) {
    app.lookout.read(|follower| {
        app.doorman.keep(|token| follower.engine().token(token).is_some());
    });
}

fn item(row: &TokenRow, now: Now) -> TokenItem {
    TokenItem {
        identity: TokenIdentity { token_id: row.token.to_string() },
        name: row.name.clone(),
        scope: to_api::token_scope(row.scope),
        created_at: timestamp(row.created_at),
        expires_at: timestamp(row.expires_at),
        is_expired: row.is_expired(now.wall),
        last_used_at: row.last_used_at.map(timestamp),
    }
}
