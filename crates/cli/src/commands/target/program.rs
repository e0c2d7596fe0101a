//! A `qd` that is to be copied to another machine: what its file says of itself, without being run.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use api::ErrorCode;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

/// What a build says of itself in its own file: that it takes what the script of the hooks hands on,
/// its version, and how it was made.
const MARK: &str = "qd-handed-on-1:";
#[cfg(debug_assertions)]
static BUILD: &str = concat!("qd-handed-on-1:", env!("CARGO_PKG_VERSION"), ":debug;");
#[cfg(not(debug_assertions))]
static BUILD: &str = concat!("qd-handed-on-1:", env!("CARGO_PKG_VERSION"), ":release;");

/// The most bytes of a program that are copied.
const BYTES_MAX: u64 = 256 << 20;

/// A program, read whole.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    /// SHA-256, in hexadecimal.
    pub(super) hash: String,
    /// The machine that it is for, as `uname -m` calls it there.
    pub(super) machine: &'static str,
    pub(super) is_static: bool,
    pub(super) is_debug: bool,
    version: String,
}

impl Program {
    /// Reads one, and refuses what is none that could be copied anywhere.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let unreadable = |why: String| {
            Failure::new(ErrorCode::BadRequest, format!("cannot read {shown}: {why}"))
                .with_hint("--program takes the path of a qd.")
        };
        let found = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
        if !found.is_file() {
            // A device may have no end, and a pipe nobody who writes.
            return Err(unreadable("it is no file".to_owned()));
        }
        if found.len() > BYTES_MAX {
            return Err(unreadable(format!("it has more than {} MiB", BYTES_MAX >> 20)));
        }
        let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let none = |why: &str| Failure::new(ErrorCode::ProgramUnfit, format!("{shown} {why}"));
        let elf = Elf::read(&bytes).ok_or_else(|| none("is no program for 64-bit Linux"))?;
        let (version, is_debug) = build(&bytes)
            .ok_or_else(|| none("is no qd to which hooks on other machines can hand on"))?;
        let Elf { machine, is_static } = elf;
        let hash = hexadecimal(&bytes);
        Ok(Self { bytes, hash, machine, is_static, is_debug, version })
    }

    /// What it prints when it is asked for its version.
    pub(super) fn version(&self) -> String {
        format!("qd {}", self.version)
    }
}

/// SHA-256, as it is written.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the head of a program's file says.
#[derive(Debug, PartialEq, Eq)]
struct Elf {
    machine: &'static str,
    is_static: bool,
}

impl Elf {
    const INTERPRETER: u32 = 3;

    fn read(bytes: &[u8]) -> Option<Self> {
        // 64 bits, the lowest byte first.
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let part = |at: usize, length| bytes.get(at..)?.get(..length);
        let half = |at| Some(u16::from_le_bytes(part(at, 2)?.try_into().ok()?));
        let word = |at| Some(u32::from_le_bytes(part(at, 4)?.try_into().ok()?));
        let long = |at| Some(u64::from_le_bytes(part(at, 8)?.try_into().ok()?));
        let machine = match half(18)? {
            62 => "x86_64",
            183 => "aarch64",
            243 => "riscv64",
            _other => return None,
        };
        let (first, length, count) =
            (usize::try_from(long(32)?).ok()?, usize::from(half(54)?), usize::from(half(56)?));
        let mut is_static = count > 0;
        for nth in 0..count {
            let at = first.checked_add(nth.checked_mul(length)?)?;
            is_static &= word(at)? != Self::INTERPRETER;
        }
        Some(Self { machine, is_static })
    }
}

/// The version of a build, and whether it is one for debugging.
fn build(bytes: &[u8]) -> Option<(String, bool)> {
    // It has to be in this program's file, too.
    black_box(BUILD);
    let first = MARK.as_bytes()[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        // The mark stands there by itself as well, where it is looked for.
        if let Some(found) = rest.strip_prefix(MARK.as_bytes()).and_then(described) {
            return Some(found);
        }
        rest = &rest[1..];
    }
    None
}

fn described(text: &[u8]) -> Option<(String, bool)> {
    let text = &text[..text.len().min(80)];
    let end = text.iter().position(|byte| *byte == b';')?;
    let (version, made) = std::str::from_utf8(&text[..end]).ok()?.split_once(':')?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
    let is_debug = match made {
        "debug" => true,
        "release" => false,
        _other => return None,
    };
    is_version.then(|| (version.to_owned(), is_debug))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a program with these program headers.
    fn elf(machine: u8, kinds: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[18], bytes[32], bytes[54]) = (machine, 64, 56);
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            let at = bytes.len();
            bytes.resize(at + 56, 0);
            bytes[at] = *kind;
        }
        bytes
    }

    #[test]
    fn the_head_of_a_program_tells_its_machine_and_how_it_is_linked() {
        let read = |machine, kinds: &[u8]| Elf::read(&elf(machine, kinds));
        assert_eq!(read(62, &[6, 1, 2]), Some(Elf { machine: "x86_64", is_static: true }));
        assert_eq!(read(183, &[6, 3, 1]), Some(Elf { machine: "aarch64", is_static: false }));
        assert_eq!(read(1, &[1]), None, "another machine");
        let whole = elf(62, &[1, 3]);
        for length in 0..whole.len() - 56 {
            assert_eq!(Elf::read(&whole[..length]), None, "cut at {length}");
        }
        assert_eq!(Elf::read(b"#!/bin/sh\n"), None);
        let mut beyond = whole;
        beyond[32..40].fill(0xff);
        assert_eq!(Elf::read(&beyond), None, "it says that the rest is where nothing can be");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        for path in ["/dev/zero", "/dev", "/nowhere"] {
            let Err(Failure::Told(refused)) = Program::read(Path::new(path)) else {
                panic!("{path} was read");
            };
            assert_eq!(refused.code, ErrorCode::BadRequest, "{path}");
        }
    }

    #[test]
    fn a_build_is_known_by_its_mark_and_not_by_that_alone() {
        let of = |text: &str| build(text.as_bytes());
        assert_eq!(of(BUILD), Some((env!("CARGO_PKG_VERSION").to_owned(), cfg!(debug_assertions))));
        let release = format!("q{MARK}x{MARK}1.2.3-rc.1:release;");
        assert_eq!(of(&release), Some(("1.2.3-rc.1".to_owned(), false)));
        for none in ["", MARK, "qd", &format!("{MARK}1:fast;"), &format!("{MARK}a b:debug;")] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn this_very_program_is_a_build() {
        let own = Program::read(Path::new("/proc/self/exe")).unwrap();
        assert_eq!(own.machine, std::env::consts::ARCH);
        assert_eq!(own.version(), format!("qd {}", env!("CARGO_PKG_VERSION")));
        assert_eq!(own.is_debug, cfg!(debug_assertions));
    }
}
