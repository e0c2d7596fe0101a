//! The secrets of tokens: how one is made, and how one that is shown is told from all others.

use api::tokens::TOKEN_PREFIX;
use engine::Engine;
use engine::access::TokenRow;
use engine::ids::{TokenId, hex};
use http::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes in a secret: as many as its hash has.
const RANDOM_BYTES: usize = 32;
/// How long a header may be in which a token is looked for.
const HEADER_BYTES_MAX: usize = 256;

/// A secret that was just made, and what is kept of it.
pub(super) struct Secret {
    pub(super) shown: String,
    pub(super) hash: String,
}

impl Secret {
    /// A new one for a token, whose id it names so that nothing has to be searched for.
    pub(super) fn of(token: &TokenId) -> Self {
        let mut random = [0; RANDOM_BYTES];
        // Without the kernel's randomness nothing on the machine is safe.
        getrandom::fill(&mut random).expect("the kernel hands out randomness");
        let number = token.as_str().trim_start_matches(ID_PREFIX);
        let shown = format!("{TOKEN_PREFIX}{number}_{}", hex(&random));
        let hash = hash(&shown);
        Self { shown, hash }
    }
}

const ID_PREFIX: &str = "tk-";

fn hash(shown: &str) -> String {
    hex(&Sha256::digest(shown))
}

/// The bearer token that a request shows, if it shows exactly one.
pub(super) fn shown(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let value = value.to_str().ok().filter(|value| value.len() <= HEADER_BYTES_MAX)?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The token whose secret is shown. What is compared are hashes, in a time that does not depend on
/// how far they agree, also where there is no token of that id.
pub(super) fn find<'e>(engine: &'e Engine, shown: Option<&str>) -> Option<&'e TokenRow> {
    let shown = shown?;
    let number = shown.strip_prefix(TOKEN_PREFIX)?.split_once('_')?.0;
    let row = engine.token(&TokenId::new(format!("{ID_PREFIX}{number}")));
    let nobody = "0".repeat(2 * RANDOM_BYTES);
    let kept = row.map_or(nobody.as_str(), |row| &row.hash);
    let agrees: bool = kept.as_bytes().ct_eq(hash(shown).as_bytes()).into();
    row.filter(|_| agrees)
}

#[cfg(test)]
mod tests {
    use engine::engine::Tables;
    use engine::settings::Settings;
    use engine::time::{MonoMs, Now, WallMs};
    use engine::words::TokenScope;

    use super::*;

    fn engine(hash: &str) -> Engine {
        let row = TokenRow {
            token: TokenId::new("tk-1"),
            name: "a".to_owned(),
            scope: TokenScope::Read,
            hash: hash.to_owned(),
            created_at: WallMs(0),
            expires_at: WallMs(1),
            last_used_at: None,
            revoked_at: None,
        };
        let tables = Tables { tokens: vec![row], ..Tables::default() };
        Engine::restore(Settings::default(), tables, Now { wall: WallMs(0), mono: MonoMs(0) })
    }

    #[test]
    fn s_07_a_token_is_found_by_its_whole_secret_only() {
        let secret = Secret::of(&TokenId::new("tk-1"));
        let engine = engine(&secret.hash);
        let finds = |shown: &str| find(&engine, Some(shown)).is_some();
        assert!(finds(&secret.shown));
        assert_eq!(secret.shown.len(), TOKEN_PREFIX.len() + 2 + 2 * RANDOM_BYTES);
        let (front, last) = secret.shown.split_at(secret.shown.len() - 1);
        let other = if last == "0" { "1" } else { "0" };
        for wrong in [
            String::new(),
            TOKEN_PREFIX.to_owned(),
            front.to_owned(),
            format!("{front}{other}"),
            format!("{}0", secret.shown),
            secret.shown.to_uppercase(),
            secret.shown.replacen("_1_", "_2_", 1),
            format!("{TOKEN_PREFIX}1_{}", secret.hash),
            secret.hash.clone(),
            format!("{TOKEN_PREFIX}1_"),
        ] {
            assert!(!finds(&wrong), "{wrong}");
        }
        assert!(find(&engine, None).is_none());
        assert_ne!(Secret::of(&TokenId::new("tk-1")).shown, secret.shown);
    }

    #[test]
    fn s_07_exactly_one_header_shows_a_token() {
        let told = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            shown(&headers).map(str::to_owned)
        };
        assert_eq!(told(&["Bearer x"]).as_deref(), Some("x"));
        assert_eq!(told(&["bearer x"]).as_deref(), Some("x"));
        let long = format!("Bearer {}", "x".repeat(HEADER_BYTES_MAX));
        for none in
            [&[][..], &["x"], &["Basic x"], &["Bearer"], &["Bearer x", "Bearer x"], &[&long]]
        {
            assert_eq!(told(none), None, "{none:?}");
        }
    }
}
