//! The trust in hooks that Codex asks its user for, as it writes it down itself: for each hook, by
//! its place, the hash of what it runs.
//!
//! How the hash is made was found out by asking the program for it (0.169.0: `hooks/list` of its
//! app server), and a test holds what it answered. Where a version makes it in another way it asks
//! its user, as if nothing had been written.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::json;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setup::LISTING;
use crate::setup::json::{self, Node};
use crate::setup::{Event, Refusal, SettingsFile, Trust};

pub(super) const TRUST: Trust = Trust { file: "config.toml", merge, remove, given };

/// How long a handler is waited for that does not say it.
const SECONDS_DEFAULT: u64 = 600;

const HASH: &str = "trusted_hash";

/// The settings with our trust in our hooks. What the user decided about one of them stays.
fn merge(text: Option<&str>, hooks: &SettingsFile) -> Result<String, Refusal> {
    let mut text = text.unwrap_or_default().to_owned();
    for (key, hash) in wanted(hooks)? {
        let written = written(&text)?;
        match written.get(&key) {
            Some(Written { hash: Some((known, _)), .. }) if *known == hash => {}
            Some(Written { hash: Some((_, place)), .. }) => {
                text.replace_range(place.clone(), &format!("\"{hash}\""));
            }
            // There is a word about it, but none of trust: it was switched off.
            Some(Written { hash: None }) => {}
            None => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
                let blank = if text.is_empty() { "" } else { newline };
                let header = header(&key);
                let setting = format!("{HASH} = \"{hash}\"");
                text.extend([blank, &header, newline, &setting, newline]);
            }
        }
    }
    // Where the tables are written in a way that cannot be added to, nothing is added.
    written(&text)?;
    Ok(text)
}

/// The settings without trust in our hooks.
fn remove(text: &str, hooks: &SettingsFile) -> Result<String, Refusal> {
    let keys = wanted(hooks)?;
    written(text)?;
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let ours = keyed(line).is_some_and(|key| keys.contains_key(&key));
        if !ours {
            kept.push_str(line);
            continue;
        }
        // The blank line before it came with it.
        if let Some(shorter) = ["\n\r\n", "\n\n"].iter().find_map(|end| kept.strip_suffix(end)) {
            kept.truncate(shorter.len() + 1);
        }
        while lines.next_if(|line| is_setting(line)).is_some() {}
    }
    Ok(kept)
}

/// Whether all our hooks are trusted.
fn given(text: Option<&str>, hooks: &SettingsFile) -> bool {
    let Ok(wanted) = wanted(hooks) else { return false };
    let Ok(written) = written(text.unwrap_or_default()) else { return false };
    wanted.iter().all(|(key, hash)| {
        let known = written.get(key).and_then(|it| it.hash.as_ref());
        known.is_some_and(|(known, _)| known == hash)
    })
}

/// Trust in a hook that stands on the command line, as an entry of a table.
pub(super) fn of_flags(event: &Event, command: &str) -> String {
    let name = snake(event.name);
    let hash = hash(&name, command, event.seconds);
    format!("\"/<session-flags>/config.toml:{name}:0:0\"={{{HASH}=\"{hash}\"}}")
}

/// The keys and hashes of our hooks in the file that lists them.
fn wanted(hooks: &SettingsFile) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(text) = hooks.text.as_deref().filter(|text| !text.trim().is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let root = json::parse(text)?;
    let places = LISTING.places(&root).into_iter();
    let entry = |(event, group, at, handler): (&str, usize, usize, &Node)| {
        let event = snake(event);
        let key = format!("{}:{event}:{group}:{at}", hooks.path);
        (key, hash_of(&event, handler, text))
    };
    Ok(places.map(entry).collect())
}

/// The hash of a handler that stands in a file.
fn hash_of(event: &str, handler: &Node, text: &str) -> String {
    let command = handler.member("command").and_then(|it| it.value.text()).unwrap_or_default();
    let seconds = handler.member("timeout").map(|it| &text[it.value.span.clone()]);
    hash(event, command, seconds.and_then(|it| it.parse().ok()).unwrap_or(SECONDS_DEFAULT))
}

/// The hash of a handler: of a canonical form of it, in which what it leaves out is said.
fn hash(event: &str, command: &str, seconds: u64) -> String {
    let handler = json!({
        "async": false, "command": command, "timeout": seconds, "type": "command",
    });
    // Its names are in alphabetical order, which this keeps.
    let form = json!({ "event_name": event, "hooks": [handler] });
    let digest = Sha256::digest(form.to_string());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// `PreToolUse` as `pre_tool_use`.
fn snake(event: &str) -> String {
    let mut name = String::new();
    for (at, letter) in event.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn header(key: &str) -> String {
    format!("[hooks.state.{}]", serde_json::Value::from(key))
}

/// What is written down about one hook.
struct Written {
    /// The hash that is trusted, and the place of its text.
    hash: Option<(String, Range<usize>)>,
}

/// Everything that is written down about hooks.
fn written(text: &str) -> Result<BTreeMap<String, Written>, Refusal> {
    let unmarked = text.trim_start_matches('\u{feff}');
    let offset = text.len() - unmarked.len();
    let root = DeTable::parse(unmarked).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start + offset);
        Refusal::at(text, at, error.message())
    })?;
    let states = table(root.get_ref(), "hooks").and_then(|hooks| table(hooks, "state"));
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let hash = value.get_ref().get(HASH).and_then(|hash| {
            let place = hash.span();
            let text = hash.get_ref().as_str()?.to_owned();
            Some((text, place.start + offset..place.end + offset))
        });
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        (key.to_string(), Written { hash })
    };
    Ok(states.into_iter().flat_map(DeTable::iter).map(entry).collect())
}

fn table<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    table.get(key)?.get_ref().as_table()
}

/// The key of the hook whose table begins in this line.
fn keyed(line: &str) -> Option<String> {
    let line = line.trim();
    if !line.starts_with("[hooks") && !line.starts_with("[ ") {
        return None;
    }
    written(line).ok()?.into_keys().next()
}

fn is_setting(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(HASH) || line.starts_with("enabled")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, handler: &str, expected: &str) {
        let node = json::parse(handler).unwrap();
        assert_eq!(hash_of(event, &node, handler), format!("sha256:{expected}"));
    }

    /// Answers of codex 0.169.0.
    #[test]
    fn hashes_are_those_that_the_program_makes() {
        check(
            "stop",
            r#"{"type":"command","command":"/bin/sh -c 'x \"$0\" é' \"/a b/qd\" codex Stop","timeout":10}"#,
            "32d2aa7af57fd1049f3b30ef74ff0061581cd322d7d7416a1da4ba10d6cddc48",
        );
        check(
            "interrupt",
            r#"{"type":"command","command":"echo hi","timeout":1}"#,
            "954a9910f8d7089fe12d362d16c1f0e39597fbb05e205a2ead31b938a2d25afa",
        );
    }

    #[test]
    fn events_are_spelled_as_in_keys() {
        assert_eq!(snake("UserPromptSubmit"), "user_prompt_submit");
        assert_eq!(snake("Stop"), "stop");
    }

    #[test]
    fn a_table_is_known_by_its_header_however_it_is_quoted() {
        assert_eq!(
            keyed("[hooks.state.\"/a\\\"b:stop:0:0\"]\n").as_deref(),
            Some("/a\"b:stop:0:0")
        );
        assert_eq!(keyed("[ hooks . state . '/a:stop:0:0' ] # x").as_deref(), Some("/a:stop:0:0"));
        assert_eq!(keyed("[hooks]"), None);
        assert_eq!(keyed("[[hooks.Stop]]"), None);
        assert_eq!(keyed("[projects.\"/a\"]"), None);
    }
}
