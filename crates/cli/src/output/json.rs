//! JSON on its way out: the API's own, and still nothing that a terminal obeys.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::output::safe::is_obeyed;

/// The same JSON with the characters escaped that a terminal would obey. They can only stand
/// inside strings, so its meaning does not change.
pub(crate) fn escape(json: &str) -> Cow<'_, str> {
    let suspicious = |c: char| is_obeyed(c) && !matches!(c, '\n' | '\r' | '\t');
    // Nearly all answers are plain, and they may be large.
    if json.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || !json.chars().any(suspicious) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if suspicious(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn tc_021_what_is_escaped_still_means_the_same() {
        let value = json!({ "title": "a\u{9b}31m\u{202E}b\u{7f}\u{E0041}日本\n" });
        let text = value.to_string();
        let escaped = escape(&text);
        assert!(escaped.contains(r"\u009b31m\u202eb\u007f\udb40\udc41日本\n"), "{escaped}");
        assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
    }

    #[test]
    fn harmless_json_is_passed_on_as_it_is() {
        let text = r#"{"a":"naïve 日本語","b":[1,2]}"#;
        assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
    }

    proptest! {
        #[test]
        fn s_18_no_json_is_obeyed(text in any::<String>()) {
            let json = Value::from(text.as_str()).to_string();
            let escaped = escape(&json);
            prop_assert!(!escaped.chars().any(is_obeyed));
            let same: Value = serde_json::from_str(&escaped).unwrap();
            prop_assert_eq!(same, Value::from(text));
        }
    }
}
