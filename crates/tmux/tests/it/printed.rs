//! How each release prints a value, as a model: the live tests expect it, and the scans undo it.

use proptest::prelude::*;
use tmux::{
    format::Nonce,
    rows::ServerRow,
    scan::Scan,
    version::{Release, Version},
};

/// What `version` prints for a value.
pub(crate) fn printed(version: &Version, value: &[u8]) -> Vec<u8> {
    if !version.control_bytes_are_encoded() {
        return value.to_vec();
    }
    let escapes_dollars = version.release() < Release::new(3, 5, 0);
    let mut printed = Vec::new();
    for chunk in value.utf8_chunks() {
        let text = chunk.valid().as_bytes();
        for (index, &byte) in text.iter().enumerate() {
            let begins_name = text.get(index + 1).is_some_and(|&next| may_begin_name(next));
            if byte == b'$' && begins_name && escapes_dollars {
                printed.push(b'\\');
            }
            print_byte(byte, &mut printed);
        }
        printed.extend(chunk.invalid().iter().flat_map(|&byte| octal(byte)));
    }
    printed
}

fn may_begin_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'{'
}

/// Backslashes of the value itself are not escaped.
fn print_byte(byte: u8, printed: &mut Vec<u8>) {
    match byte {
        0x07 => printed.extend(b"\\a"),
        0x08 => printed.extend(b"\\b"),
        0x0b => printed.extend(b"\\v"),
        0x0c => printed.extend(b"\\f"),
        b'\r' => printed.extend(b"\\r"),
        b'\t' | b'\n' | b' '..=b'~' | 0x80.. => printed.push(byte),
        _ => printed.extend(octal(byte)),
    }
}

fn octal(byte: u8) -> Vec<u8> {
    format!("\\{byte:03o}").into_bytes()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

#[test]
fn two_releases_in_between_escape_what_they_print() {
    let value = b"\x1b[1m\r\\ $HOME $ \xff";
    assert_eq!(printed(&version("3.3a"), value), value);
    assert_eq!(printed(&version("3.4"), value), b"\\033[1m\\r\\ \\$HOME $ \\377");
    assert_eq!(printed(&version("3.5a"), value), b"\\033[1m\\r\\ $HOME $ \\377");
    assert_eq!(printed(&version("3.6b"), value), value);
}

const NONCE: &str = "0102030405060708";

/// Text with everything that could be taken for framing or for an escape.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"\n%end 1795275446 1 1\n".to_vec()),
        Just(b"%exit".to_vec()),
        Just(b"0102030405060709E\n".to_vec()),
        Just(b"01020304050607".to_vec()),
        Just("日本".as_bytes().to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\\033\\a\\q".to_vec()),
        Just(b"$HOME ${x} $_ $".to_vec()),
        prop::collection::vec(1u8.., 0..6),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// What the format of a scan makes of a free value: its newlines and backslashes become marks.
fn marked(value: &[u8]) -> Vec<u8> {
    let mark = |&byte: &u8| match byte {
        b'\n' => format!("{NONCE}N").into_bytes(),
        b'\\' => format!("{NONCE}R").into_bytes(),
        other => vec![other],
    };
    value.iter().flat_map(mark).collect()
}

proptest! {
    #[test]
    fn free_texts_come_back_whatever_they_hold_and_whoever_prints_them(
        text in hostile(),
        path in hostile(),
    ) {
        let mark = |letter: &str| format!("{NONCE}{letter}").into_bytes();
        let record = [mark("B"), mark("T"), marked(&text), mark("T"), marked(&path), mark("E")];
        let output = [&mark("S77\t1\n")[..], &record.concat(), b"\n", &mark("D\n")].concat();
        let scan = Scan::<ServerRow>::all(Nonce::from_random([1, 2, 3, 4, 5, 6, 7, 8]));
        let text = String::from_utf8_lossy(&text).into_owned();
        let expected = [ServerRow { version: text, socket_path: path }];
        for release in ["3.3a", "3.4", "3.5a"] {
            let scanned = scan.read(&printed(&version(release), &output)).unwrap();
            prop_assert_eq!(&scanned.rows, &expected, "tmux {}", release);
        }
    }
}
