//! Tokens as a table.

use api::Timestamp;
use api::tokens::{TokenCreated, TokenItem, TokenList};

use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::time::{age, span};

/// The list of tokens, and where they are served.
pub(crate) fn lines(list: &TokenList, width: Option<usize>) -> Vec<Text> {
    let mut lines = if list.items.is_empty() {
        Text::styled("There is no token. `qd token create NAME` makes one.", style::QUIET)
            .wrapped(width)
    } else {
        table(&list.items, list.generated_at).lines(width)
    };
    let served = match &list.listen {
        Some(address) => Text::styled(format!("They are served at {address}."), style::QUIET),
        None => Text::styled(
            "They are served nowhere: set `api.listen` in the settings.",
            style::WARNING,
        ),
    };
    lines.extend(served.wrapped(width));
    lines
}

/// What to know of a token that was just made.
pub(crate) fn made(created: &TokenCreated, width: Option<usize>) -> Vec<Text> {
    let TokenItem { name, scope, expires_at, .. } = &created.token;
    let left = span(created.generated_at.age_ms(*expires_at));
    let said = format!(
        "That is the token `{name}`, good for {scope} and for {left}. It is not shown again: keep it \
         in a file that only you can read, and name that file in QD_TOKEN_FILE."
    );
    Text::styled(said, style::QUIET).wrapped(width)
}

fn table(items: &[TokenItem], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::fixed("NAME").down_to(8),
        Column::fixed("SCOPE"),
        Column::fixed("EXPIRES"),
        Column::yielding("USED", 3),
        Column::yielding("MADE", 5),
        Column::yielding("ID", 7),
    ]);
    for item in items {
        let expires = if item.is_expired {
            Text::styled("expired", style::WARNING)
        } else {
            Text::plain(format!("in {}", span(now.age_ms(item.expires_at))))
        };
        let used = item.last_used_at;
        table.row([
            Text::plain(&item.name),
            Text::plain(item.scope.as_str()),
            expires,
            Text::plain(used.map_or_else(|| "never".to_owned(), |at| ago(at, now))),
            Text::plain(ago(item.created_at, now)),
            Text::styled(&item.identity.token_id, style::QUIET),
        ]);
    }
    table
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", age(at, now))
}

#[cfg(test)]
mod tests {
    use api::tokens::{TokenIdentity, TokenScope};
    use api::words::SchemaVersion;

    use super::*;
    use crate::output::fixtures::shown;

    fn list(listen: Option<&str>) -> TokenList {
        let at = |hours: i64| Timestamp::from_millis(hours * 3_600_000);
        let item = |name: &str, scope, expires, used: Option<i64>| TokenItem {
            identity: TokenIdentity { token_id: format!("tk-{name}") },
            name: name.to_owned(),
            scope,
            created_at: at(0),
            expires_at: at(expires),
            is_expired: expires <= 50,
            last_used_at: used.map(at),
        };
        TokenList {
            schema_version: SchemaVersion::V1,
            generated_at: at(50),
            as_of: 1,
            listen: listen.map(str::to_owned),
            items: vec![
                item("laptop", TokenScope::Act, 750, Some(49)),
                item("phone", TokenScope::Read, 12, None),
            ],
        }
    }

    #[test]
    fn each_token_tells_what_it_is_good_for_and_how_long() {
        let told = shown(&lines(&list(Some("127.0.0.1:7433")), None));
        assert!(told.contains("laptop  act    in 29d   1h ago  2d ago  tk-laptop"), "{told}");
        assert!(told.contains("phone   read   expired  never   2d ago  tk-phone"), "{told}");
        assert!(told.contains("They are served at 127.0.0.1:7433."), "{told}");
        let told = shown(&lines(&TokenList { items: Vec::new(), ..list(None) }, None));
        assert!(told.contains("qd token create") && told.contains("api.listen"), "{told}");
    }
}
