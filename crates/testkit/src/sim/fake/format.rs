//! Formats, expanded as tmux expands those that we send.
//!
//! Only what our own scans are made of is known: text, variables, and what is replaced in them. Anything
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

/// What stands between the braces: a variable, maybe behind substitutions.
fn expression(inner: &[u8], value: &dyn Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(inner).unwrap_or_else(|_| panic!("no UTF-8: {inner:?}"));
    let Some((substitutions, name)) = text.rsplit_once(':') else { return value(text) };
    substitutions.split(';').fold(value(name), |text, it| substitute(&text, it))
}

/// One `s/PATTERN/REPLACEMENT/`. Of all regular expressions two are known: a newline, and an
/// escaped backslash.
fn substitute(text: &[u8], substitution: &str) -> Vec<u8> {
    let parts: Vec<&str> = substitution.split('/').collect();
    let ["s", pattern, replacement, ""] = parts[..] else {
        panic!("the made-up tmux knows no `{substitution}`")
    };
    let replaced = match pattern {
        "\n" => b'\n',
        r"\\" => b'\\',
        other => panic!("the made-up tmux does not replace {other:?}"),
    };
    let piece = |byte: &u8| {
        if *byte == replaced { replacement.as_bytes().to_vec() } else { vec![*byte] }
    };
    text.iter().flat_map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_what_is_replaced_in_them_are_known() {
        let value = |name: &str| match name {
            "a" => b"x\ny\\".to_vec(),
            _ => Vec::new(),
        };
        let format = b"<#{s/\n/N/:a}|#{s/\n/N/;s/\\\\/R/:a}|#{b}|##>";
        assert_eq!(expand(format, &value), b"<xNy\\|xNyR||#>");
    }
}
