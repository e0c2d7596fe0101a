//! The end of a file that grows by lines of JSON.

use serde_json::Value;

/// The lines that are whole, in their order. The first may be cut because only the end was read,
/// the last because it is being written.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = Value> {
    content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// Whether a session's id can be a part of a path without leading elsewhere.
pub(crate) fn is_name(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !id.is_empty() && id.len() <= 128 && id.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_cut_are_passed_over() {
        let found: Vec<Value> = lines(b"\"}\n{\"a\":1}\n\n{\"a\":2}\n{\"a\":").collect();
        assert_eq!(found, [serde_json::json!({ "a": 1 }), serde_json::json!({ "a": 2 })]);
    }

    #[test]
    fn an_id_leads_nowhere_else() {
        assert!(is_name("01a1f9b3-85b4_x"));
        assert!(!is_name("../../etc") && !is_name("*") && !is_name(""));
    }
}
