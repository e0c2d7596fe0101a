//! The tokens that count, or counted once, as rows. One that was revoked has none.

use engine::access::TokenRow;
use engine::ids::TokenId;
use engine::time::WallMs;
use engine::words::TokenScope;
use rusqlite::Connection;

use crate::fault::Fault;
use crate::row::{integer, integer_or_null, text};
use crate::tables;

/// Writes a row, or removes that of a token that was taken back.
pub(crate) fn put(db: &Connection, row: &TokenRow) -> Result<(), Fault> {
    if row.is_revoked() {
        return tables::TOKENS.delete(db, &[row.token.as_str()]);
    }
    tables::TOKENS.put(
        db,
        &[
            text(row.token.as_str()),
            text(&row.name),
            text(row.scope.as_str()),
            text(&row.hash),
            integer(row.created_at.0),
            integer(row.expires_at.0),
            integer_or_null(row.last_used_at.map(|at| at.0)),
        ],
    )
}

/// All rows, in the engine's own order.
pub(crate) fn load(db: &Connection) -> Result<Vec<TokenRow>, Fault> {
    let mut tokens = Vec::new();
    tables::TOKENS.each(db, "ORDER BY token_id", |row| {
        tokens.push(TokenRow {
            token: TokenId::new(row.text("token_id")?),
            name: row.text("token_name")?.to_owned(),
            scope: row.parsed("scope", TokenScope::parse)?,
            hash: row.text("secret_hash")?.to_owned(),
            created_at: WallMs(row.integer("created_at")?),
            expires_at: WallMs(row.integer("expires_at")?),
            last_used_at: row.integer_or_null("last_used_at")?.map(WallMs),
            revoked_at: None,
        });
        Ok(())
    })?;
    Ok(tokens)
}
