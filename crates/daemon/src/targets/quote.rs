//! Quoting for shells that we do not know.
//!
//! OpenSSH joins the words of a command with blanks and hands the text to the login shell of the
//! user there, which may be any. POSIX quoting breaks in fish (a backslash) and in csh (`!`, a
//! newline), so the login shell gets to see one fixed line and digits: it starts `sh`, which turns
//! the digits back into the text and runs that.

use std::fmt::Write as _;

/// The line for a login shell that makes `sh` run a script. Only letters, digits, blanks,
/// backslashes in front of digits, and quotes that mean the same to every shell are in it.
pub fn for_any_shell(script: &[u8]) -> String {
    let mut line = String::with_capacity(script.len() * OCTAL_BYTES + 64);
    line.push_str(r#"exec sh -c 'eval "$(printf %b "$1")"' sh '"#);
    script.iter().for_each(|byte| push_octal(&mut line, *byte));
    line.push('\'');
    line
}

/// How long each byte of a script becomes.
const OCTAL_BYTES: usize = 5;

fn push_octal(line: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    write!(line, "\\0{byte:03o}").ok();
}

/// One word that a shell's `printf %b` turns into these bytes. Letters and digits stay as they are.
pub fn for_printf(bytes: &[u8]) -> String {
    let mut word = String::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() {
            word.push(char::from(byte));
        } else {
            push_octal(&mut word, byte);
        }
    }
    word
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
    fn the_login_shell_sees_digits_only() {
        let line = for_any_shell(b"a'\n");
        assert_eq!(line, r#"exec sh -c 'eval "$(printf %b "$1")"' sh '\0141\0047\0012'"#);
        let tail = for_any_shell(&(1..=u8::MAX).collect::<Vec<u8>>());
        let (_, digits) = tail.split_once(" sh '").unwrap();
        let digits = digits.strip_suffix('\'').unwrap();
        assert!(digits.bytes().all(|byte| byte == b'\\' || byte.is_ascii_digit()));
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
