//! Quoting for shells that we do not know.
//!
//! OpenSSH joins the words of a command with blanks and hands the text to the login shell of the
//! user there, which may be any. POSIX quoting breaks in fish (a backslash) and in csh (`!`, a
//! newline), so the login shell gets to see one fixed line and, between quotes, what means itself to
//! every shell, with digits for the rest: it starts `sh`, which turns that back into the text and runs it.

use std::fmt::Write as _;

/// What means itself to every shell between single quotes, beside letters and digits.
const PLAIN: &[u8] = b" \"#$%&()*+,-./:;<=>?@[]_{|}";

/// The line for a login shell that makes `sh` run a script. Only what is plain, backslashes in front of
/// digits, and quotes that mean the same to every shell are in it.
pub fn for_any_shell(script: &[u8]) -> String {
    let digits = escaped(script, PLAIN);
    format!(r#"exec sh -c 'eval "$(printf %b "$1")"' sh '{digits}'"#)
}

/// One word that a shell's `printf %b` turns into these bytes. Letters and digits stay as they are.
pub fn for_printf(bytes: &[u8]) -> String {
    escaped(bytes, b"")
}

fn escaped(bytes: &[u8], plain: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(text, "\\0{byte:03o}").ok();
        }
    }
    text
}

/// One word for a POSIX shell.
pub fn for_sh(word: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(word.len() + 2);
    quoted.push(b'\'');
    for &byte in word {
        if byte == b'\'' {
            quoted.extend_from_slice(br"'\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    quoted
}

/// A script for `sh` that runs another with these as its arguments.
pub fn with_arguments<'a>(script: &str, words: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut whole = b"set --".to_vec();
    for word in words {
        whole.push(b' ');
        whole.extend(for_sh(word));
    }
    whole.push(b'\n');
    whole.extend_from_slice(script.as_bytes());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_shell_sees_nothing_that_means_more_than_itself() {
        let line = for_any_shell(b"a'1\n2 $x");
        assert_eq!(line, r#"exec sh -c 'eval "$(printf %b "$1")"' sh 'a\00471\00122 $x'"#);
        let tail = for_any_shell(&(1..=u8::MAX).collect::<Vec<u8>>());
        let (_, text) = tail.split_once(" sh '").unwrap();
        let text = text.strip_suffix('\'').unwrap();
        let mut escapes = text.split('\\');
        let harmless = |text: &str| !text.contains(['\'', '!', '`', '^', '~']) && text.is_ascii();
        assert!(escapes.next().is_some_and(|begin| begin.is_empty()));
        assert!(escapes.all(|it| it.starts_with('0') && harmless(it)));
        assert!(!text.contains(char::is_control));
    }

    #[test]
    fn a_text_is_one_word_for_printf_and_a_digit_behind_a_byte_is_none_of_its() {
        assert_eq!(for_printf(b"ls -1\n7"), r"ls\0040\00551\00127");
    }

    #[test]
    fn a_word_is_one_word_for_sh_whatever_is_in_it() {
        assert_eq!(for_sh(b"it's"), br"'it'\''s'");
        assert_eq!(for_sh(b""), b"''");
        let words: [&[u8]; 2] = [b"a b", b"-c"];
        let whole = with_arguments("exec \"$@\"", words.into_iter());
        assert_eq!(whole, b"set -- 'a b' '-c'\nexec \"$@\"");
    }
}
