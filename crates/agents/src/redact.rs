//! Takes secrets out of text before anything stores it. Fails closed: what cannot be read with
//! certainty is not kept at all.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// Larger payloads are not kept.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// Why nothing of a payload is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    TooLarge,
    /// It begins like JSON and is not: no telling which parts are secret.
    BrokenJson,
}

/// The parts of a name that make its value a secret.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "credential",
    "authorization",
    "cookie",
];

/// Names that end in one of these are secrets although the word is harmless inside others.
const SECRET_ENDINGS: &[&str] = &["pwd", "pat", "auth"];

/// Names that hold a secret word and yet count something.
const COUNTERS: &[&str] = &[
    "tokens",
    "inputtokens",
    "outputtokens",
    "totaltokens",
    "maxtokens",
    "tokencount",
    "tokensused",
    "maxoutputtokens",
];

/// A payload without its secrets.
pub fn payload(raw: &str) -> Result<String, Unreadable> {
    Ok(match readable(raw)? {
        Some(value) => value.to_string(),
        None => text(raw),
    })
}

/// The same, and what it says where it is JSON: read once, for it may be long.
pub fn payload_and_value(raw: &str) -> Result<(String, Option<Value>), Unreadable> {
    Ok(match readable(raw)? {
        Some(value) => (value.to_string(), Some(value)),
        None => {
            let kept = text(raw);
            // A number or a word in quotes is JSON too.
            let value = serde_json::from_str(&kept).ok();
            (kept, value)
        }
    })
}

/// What a payload says that is an object or an array, without its secrets; nothing for any other.
fn readable(raw: &str) -> Result<Option<Value>, Unreadable> {
    if raw.len() > PAYLOAD_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let trimmed = raw.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if !looks_like_json(trimmed) {
        return Ok(None);
    }
    let mut value: Value = serde_json::from_str(trimmed).map_err(|_| Unreadable::BrokenJson)?;
    clean(&mut value);
    Ok(Some(value))
}

/// Whether a text begins as an object, or as an array of anything (and not as `[info] ...`).
fn looks_like_json(trimmed: &str) -> bool {
    let inner = trimmed.strip_prefix('[').map(str::trim_start);
    let array = inner.is_some_and(|it| {
        it.starts_with(['{', '[', ']', '"', '-', 't', 'f', 'n'])
            || it.starts_with(|c: char| c.is_ascii_digit())
            || it.is_empty()
    });
    array || trimmed.starts_with('{')
}

/// Takes the secrets out of what a pane shows of itself: a name, a title, a path, a command.
pub fn fact(raw: &mut String) {
    if let Some(clean) = changed(raw) {
        *raw = clean;
    }
}

/// A line of text without its secrets.
pub fn text(raw: &str) -> String {
    changed(raw).unwrap_or_else(|| raw.to_owned())
}

/// A line of text without its secrets, if it has any: nearly none has.
pub fn changed(raw: &str) -> Option<String> {
    let mut clean = Cow::Borrowed(raw);
    let lower = raw.to_ascii_lowercase();
    if NEEDLES.is_match(&lower) {
        for rule in &RULES {
            if rule.needles.iter().any(|needle| lower.contains(needle)) {
                let replaced = rule.pattern.replace_all(&clean, rule.replacement);
                if let Cow::Owned(replaced) = replaced {
                    clean = Cow::Owned(replaced);
                }
            }
        }
    }
    if may_name_a_secret(&clean) {
        clean = Cow::Owned(assignments(&clean));
    }
    (clean != raw).then(|| clean.into_owned())
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::Null | Value::Bool(_) => {}
                    Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)
                        if is_secret_name(name) =>
                    {
                        *field = Value::String(MARK.to_owned());
                    }
                    Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                        clean(field);
                    }
                }
            }
            let named: Vec<(String, String)> =
                fields.keys().filter_map(|name| Some((name.clone(), changed(name)?))).collect();
            for (name, clean) in named {
                if let Some(field) = fields.remove(&name) {
                    fields.insert(clean, field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        // A payload may carry another one as text.
        Value::String(inner) => match readable(inner) {
            Ok(Some(value)) => *inner = value.to_string(),
            // What only looks like JSON is source code or a shell line.
            Ok(None) | Err(_) => fact(inner),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name as it is compared: without case, and without what separates its words.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        let mut folded = name.to_ascii_lowercase();
        folded.retain(|c| c.is_ascii_alphanumeric());
        return folded;
    }
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_secret_name(name: &str) -> bool {
    let folded = folded(name);
    // One pass tells of nearly every name that it has none of the words.
    if !NAMES.is_match(&folded) {
        return is_key_variable(name);
    }
    if COUNTERS.contains(&folded.as_str()) {
        return false;
    }
    SECRET_WORDS.iter().any(|word| folded.contains(word))
        || SECRET_ENDINGS.iter().any(|word| folded.ends_with(word))
        || is_key_variable(name)
}

/// `key` alone is a word like any other; a variable of the environment so named holds one.
fn is_key_variable(name: &str) -> bool {
    name.ends_with("_KEY") && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether any part of a text could be such a name.
fn may_name_a_secret(raw: &str) -> bool {
    NAMES.is_match(&folded(raw)) || raw.contains("_KEY")
}

/// A form that secrets have by themselves.
struct Rule {
    /// Each match holds one of these, in whatever case. A pattern costs memory from its first use
    /// on, and almost no text needs any.
    needles: &'static [&'static str],
    pattern: LazyLock<Regex>,
    replacement: &'static str,
}

const fn rule(
    needles: &'static [&'static str],
    pattern: fn() -> Regex,
    replacement: &'static str,
) -> Rule {
    Rule { needles, pattern: LazyLock::new(pattern), replacement }
}

fn regex(pattern: &str) -> Regex {
    // A pattern that does not compile is caught by the test that needs it.
    Regex::new(pattern).expect("the pattern is valid")
}

/// Whatever the rules look for, and whatever makes a name a secret's, each found in one pass: nearly
/// every text has none of it, and all that is stored comes by here.
static NEEDLES: LazyLock<Regex> =
    LazyLock::new(|| any_of(RULES.iter().flat_map(|rule| rule.needles)));
static NAMES: LazyLock<Regex> = LazyLock::new(|| any_of(SECRET_WORDS.iter().chain(SECRET_ENDINGS)));

/// Any of these texts, as they stand.
fn any_of<'a>(texts: impl Iterator<Item = &'a &'static str>) -> Regex {
    let texts: Vec<String> = texts.map(|text| regex::escape(text)).collect();
    regex(&texts.join("|"))
}

static RULES: [Rule; 11] = [
    rule(
        &["private key"],
        || {
            regex(
                r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)",
            )
        },
        MARK,
    ),
    rule(
        &["authorization"],
        || regex(r"((?i-u:\b(?:proxy-)?authorization)[\t-\r ]*[:=][\t-\r ]*)[^\r\n]+"),
        "${1}[redacted]",
    ),
    rule(
        &["cookie"],
        || regex(r"((?i-u:\b(?:set-)?cookie)[\t-\r ]*[:=][\t-\r ]*)[^\r\n]+"),
        "${1}[redacted]",
    ),
    rule(
        &["bearer", "basic"],
        || regex(r"((?i-u:\b(?:bearer|basic)))[\t-\r ]+[A-Za-z0-9._~+/=-]{6,}"),
        "${1} [redacted]",
    ),
    rule(&["://"], || regex(r"((?i-u:\b[a-z][a-z0-9+.-]*)://)[^\t-\r /@]+@"), "${1}[redacted]@"),
    // A password that clings to its option, or follows one that only some programs have.
    rule(
        &["mysql", "mariadb"],
        || {
            regex(
                r"((?i-u:\b(?:mysql|mariadb))[A-Za-z_-]*[\t-\r ](?:[^\r\n;|&]*[\t-\r ])?-p)[^\t-\r ;|&]+",
            )
        },
        "${1}[redacted]",
    ),
    rule(
        &["sshpass", "redis-cli"],
        || {
            regex(
                r"((?-u:\b)(?:sshpass[\t-\r ]+(?:[^\r\n;|&]*[\t-\r ])?-p|redis-cli[\t-\r ]+(?:[^\r\n;|&]*[\t-\r ])?-a)[\t-\r ]*)[^\t-\r ;|&]+",
            )
        },
        "${1}[redacted]",
    ),
    // Of docker, podman, oc, az and others.
    rule(
        &["login"],
        || regex(r"((?i-u:\blogin)[\t-\r ](?:[^\r\n;|&]*[\t-\r ])?-p[\t-\r =]*)[^\t-\r ;|&]+"),
        "${1}[redacted]",
    ),
    rule(
        &["-u", "--user"],
        || regex(r"([\t-\r ](?:-u|--user)[ =]?[^\t-\r :=]+:)[^\t-\r ;|&]+"),
        "${1}[redacted]",
    ),
    rule(
        &["eyj"],
        || regex(r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        MARK,
    ),
    rule(
        &[
            "sk-",
            "sk_",
            "pk-",
            "pk_",
            "rk-",
            "rk_",
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "xox",
            "akia",
            "asia",
            "aiza",
            "npm_",
            "ya29.",
            "hf_",
            "qdt_",
        ],
        || {
            regex(
                r"(?-u:\b)(?:(?:sk|pk|rk)[-_][A-Za-z0-9_-]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{12,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{20,}|ya29\.[A-Za-z0-9_-]{10,}|hf_[A-Za-z0-9]{20,}|qdt_[A-Za-z0-9_]{16,})",
            )
        },
        MARK,
    ),
];

// Blanks are those of ASCII here, and words too: Unicode's tables would cost memory for nothing.

/// A name and what links it to a value: an equals sign, a colon, or the blank after an option.
static LINKED_NAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?:(?-u:\b)[A-Za-z][A-Za-z0-9_.-]*["']?[\t-\r ]*[:=][\t-\r ]*)|(?:(?:^|[\t-\r ])--?[A-Za-z][A-Za-z0-9_-]*[\t-\r ]+)"#,
    )
});

/// A value: quoted, or up to the next thing that ends a word.
static VALUE: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"^(?:"[^"\r\n]*"?|'[^'\r\n]*'?|[^\t-\r "',;&)}\]]+)"#));

/// Takes out the values of names that mark a secret. A value of a harmless name is looked into:
/// it may hold the next assignment.
fn assignments(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(found) = LINKED_NAME.find(rest) {
        let (linked, after) = rest.split_at(found.end());
        clean.push_str(linked);
        rest = after;
        let name = linked[found.start()..].trim_end_matches([' ', '\t', '=', ':', '"', '\'']);
        if !is_secret_name(name) || rest.starts_with(MARK) {
            continue;
        }
        if let Some(value) = VALUE.find(rest) {
            clean.push_str(MARK);
            rest = &rest[value.end()..];
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form of secret, each with the part that must not remain.
    const SECRETS: &[(&str, &str)] = &[
        (r#"{"password":"hunter2"}"#, "hunter2"),
        (r#"{"a":{"apiKey":["k1-abc","k2-def"]}}"#, "k1-abc"),
        (r#"{"DB_PASSWORD":12345}"#, "12345"),
        (r#"{"cmd":"export AWS_SECRET_ACCESS_KEY=abc/def+1"}"#, "abc/def"),
        (r#"{"cmd":"curl -H 'Authorization: Bearer abcdef123456' x"}"#, "abcdef123456"),
        (r#"{"cmd":"mysql --password hunter2 db"}"#, "hunter2"),
        (r#"{"cmd":"mysql --password=hunter2 db"}"#, "hunter2"),
        (r#"{"inner":"{\"token\":\"t0ps3cret\"}"}"#, "t0ps3cret"),
        (r#"{"note":"key sk-abcdefghijklmnopqrst end"}"#, "sk-abcdefghijkl"),
        ("password: hunter2", "hunter2"),
        ("mysql -u root -phunter2 db", "hunter2"),
        ("mysqldump -phunter2", "hunter2"),
        ("sshpass -p hunter2 ssh host", "hunter2"),
        ("redis-cli -h x -a hunter2", "hunter2"),
        ("docker login -u me -p hunter2 registry", "hunter2"),
        ("podman login -phunter2", "hunter2"),
        ("curl -u me:hunter2 http://x", "hunter2"),
        ("STRIPE_KEY=hunter2 make", "hunter2"),
        ("vim /srv/token=hunter2/notes", "hunter2"),
        ("password = \"hunter two\"", "two"),
        ("please set token=abc123 now", "abc123"),
        ("a b token=abc123", "abc123"),
        ("Cookie: session=abc; other=def", "def"),
        ("git clone https://user:pa55@host/x", "pa55"),
        ("ssh://me@host", "me@"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "MIIE"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdef", "eyJzdWI"),
    ];

    #[test]
    fn every_known_form_of_secret_is_taken_out() {
        for (raw, secret) in SECRETS {
            let kept = payload(raw).unwrap();
            assert!(!kept.contains(secret), "{raw:?} left {kept:?}");
            assert!(kept.contains(MARK), "{raw:?} left {kept:?}");
        }
    }

    #[test]
    fn what_a_payload_says_is_what_is_kept_of_it() {
        let others = ["7", "\"word\"", "{}", " [1, 2.5]", "{\"a\":{\"b\":[null,true]}}"];
        for raw in SECRETS.iter().map(|(raw, _)| *raw).chain(others) {
            let (kept, value) = payload_and_value(raw).unwrap();
            assert_eq!(Ok(&kept), payload(raw).as_ref());
            assert_eq!(value, serde_json::from_str(&kept).ok(), "{raw:?}");
        }
        assert_eq!(payload_and_value("[1,"), Err(Unreadable::BrokenJson));
    }

    #[test]
    fn redaction_is_stable_when_repeated() {
        for (raw, _) in SECRETS {
            let once = payload(raw).unwrap();
            assert_eq!(payload(&once).as_ref(), Ok(&once), "{raw:?}");
        }
    }

    #[test]
    fn what_is_not_secret_stays() {
        let raw = r#"{"tool":"Bash","input_tokens":12,"max_tokens":5,"path":"/home/x","ok":true}"#;
        let kept: Value = serde_json::from_str(&payload(raw).unwrap()).unwrap();
        assert_eq!(kept, serde_json::from_str::<Value>(raw).unwrap());
        for plain in [
            "just a sentence, with: a colon",
            "http://host/path?x=1",
            "tokens: 5",
            "mkdir -p a/b",
            "mysql -u root db",
            "user@host: ~/work",
            "~/src/sk-learn",
            "vim key = value",
            "git log -p README",
            "ps -u me",
        ] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        assert_eq!(payload(r#"{"password":"hun"#), Err(Unreadable::BrokenJson));
        assert_eq!(payload(&"[".repeat(100_000)), Err(Unreadable::BrokenJson));
        assert_eq!(payload(&"a".repeat(PAYLOAD_BYTES_MAX + 1)), Err(Unreadable::TooLarge));
    }

    #[test]
    fn secrets_in_names_are_taken_out_too() {
        let kept = payload(r#"{"sk-abcdefghijklmnopqrst":1}"#).unwrap();
        assert!(!kept.contains("sk-abc"), "{kept}");
    }
}
