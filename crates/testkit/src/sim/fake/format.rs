//! Formats, expanded as tmux expands those that we send.
//!
//! Only what our own scans are made of is known: text, variables, and a replaced newline. Anything
//! else ends the run, because then it says nothing about tmux.

/// Expands a format; `value` knows the variables. One that does not apply is empty.
pub(crate) fn expand(format: &[u8], value: &dyn Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = format;
    while let Some(start) = rest.iter().position(|&byte| byte == b'#') {
        text.extend_from_slice(&rest[..start]);
        rest = &rest[start + 1..];
        match rest.first() {
            Some(b'#') => {
                text.push(b'#');
                rest = &rest[1..];
            }
            Some(b'{') => {
                let end = rest.iter().position(|&byte| byte == b'}');
                let end = end.unwrap_or_else(|| panic!("an open format: {format:?}"));
                text.extend(expression(&rest[1..end], value));
                rest = &rest[end + 1..];
            }
            other => panic!("the made-up tmux knows no `#{other:?}`"),
        }
    }
    text.extend_from_slice(rest);
    text
}

/// What stands between the braces.
fn expression(inner: &[u8], value: &dyn Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(inner).unwrap_or_else(|_| panic!("no UTF-8: {inner:?}"));
    let Some(substitution) = text.strip_prefix("s/") else { return value(text) };
    let parts: Vec<&str> = substitution.splitn(3, '/').collect();
    let [pattern, replacement, tail] = parts[..] else { panic!("half a substitution: {text}") };
    let Some(name) = tail.strip_prefix(':') else { panic!("flags of a substitution: {text}") };
    assert_eq!(pattern, "\n", "the made-up tmux replaces newlines only");
    let mut replaced = Vec::new();
    for byte in value(name) {
        if byte == b'\n' {
            replaced.extend_from_slice(replacement.as_bytes());
        } else {
            replaced.push(byte);
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_replaced_newlines_are_known() {
        let value = |name: &str| match name {
            "a" => b"x\ny".to_vec(),
            _ => Vec::new(),
        };
        assert_eq!(expand(b"<#{a}|#{s/\n/N/:a}|#{b}|##>", &value), b"<x\ny|xNy||#>");
    }
}
