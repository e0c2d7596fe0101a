//! A `qd` that is copied to a target somewhere else, so that hooks there are quicker. Nothing depends
//! on it: where it is missing or does not run, the script of the hooks does what it would do.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::Target;
use super::failure::{self, TmuxFailure};
use super::there::odd;

const MACHINE: &str = include_str!("far/machine.sh");
const LOOK: &str = include_str!("far/program.sh");
const INSTALL: &str = include_str!("far/install.sh");
/// With what a copy may have left that was killed.
const REMOVE: &str = "rm -f -- \"$1/qd-$machine\" \"$1/.qd-$machine\".* && echo done\n";

/// How long copying may take in any case, and how fast the way has to be at least.
const COPY: Duration = Duration::from_secs(60);
const BYTES_PER_S_MIN: u64 = 32 * 1024;

/// What there is of a copied program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramThere {
    /// The system and the machine, as `uname` calls them.
    pub system: String,
    pub machine: String,
    /// Whether the folder takes new files, and how many KiB of them, as far as that is told.
    pub is_open: bool,
    pub room_kib: Option<u64>,
    pub standing: Standing,
}

/// What stands at its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Absent,
    /// No regular file.
    Other,
    /// A file: its hash and what it says of its version are empty where nobody could tell.
    File { hash: String, says: String, is_executable: bool },
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copied {
    Done,
    /// It could not be written: there is no room, perhaps.
    Unwritten(String),
    /// What arrived is not what was sent.
    Damaged,
    /// It does not run there.
    Unfit(String),
}

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    pub bytes: &'a [u8],
    /// Its SHA-256 in hexadecimal.
    pub hash: &'a str,
    /// What it prints when it is asked for its version.
    pub version: &'a str,
}

impl Target {
    /// Looks at what there is of a copied program in this folder.
    pub async fn program_there(&self, folder: &Path) -> Result<ProgramThere, TmuxFailure> {
        let script = format!("{MACHINE}{LOOK}");
        let told = self.script(&script, &[folder.as_os_str()], None).await?;
        read(&told).ok_or_else(|| odd(&told))
    }

    /// Copies a program there; what stood at its place is replaced at once or not at all. It goes its
    /// own way, beside whatever else is done there.
    pub async fn copy_program(
        &self,
        folder: &Path,
        parcel: Parcel<'_>,
    ) -> Result<Copied, TmuxFailure> {
        let far = self.there()?;
        let size = parcel.bytes.len();
        let script = format!("{MACHINE}{INSTALL}");
        let bytes = size.to_string();
        let [bytes, hash, version] = [&bytes, parcel.hash, parcel.version].map(OsStr::new);
        let words = [folder.as_os_str(), bytes, hash, version];
        let limit = COPY + Duration::from_secs(size as u64 / BYTES_PER_S_MIN);
        let told = tokio::select! {
            finished = far.run_script(&script, &words, Some(parcel.bytes), limit) => {
                failure::output(OsStr::new("sh"), finished?)?
            }
            // Nothing would tell a command that its way is dead.
            obstacle = far.cut() => return Err(obstacle.into()),
        };
        copied(&told).ok_or_else(|| odd(&told))
    }

    /// Takes a copied program away.
    pub async fn remove_program(&self, folder: &Path) -> Result<(), TmuxFailure> {
        let script = format!("{MACHINE}{REMOVE}");
        let told = self.script(&script, &[folder.as_os_str()], None).await?;
        if told.trim_ascii() == b"done" { Ok(()) } else { Err(odd(&told)) }
    }
}

fn plain(text: &str) -> String {
    text.trim().chars().filter(|it| !it.is_control()).take(200).collect()
}

/// Reads what `program.sh` printed.
fn read(told: &[u8]) -> Option<ProgramThere> {
    let told = String::from_utf8_lossy(told);
    let pairs = told.lines().filter_map(|line| line.split_once(' '));
    let said: BTreeMap<&str, String> = pairs.map(|(what, said)| (what, plain(said))).collect();
    let of = |what: &str| said.get(what).cloned().unwrap_or_default();
    let is_word = |it: &String| {
        !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    };
    let standing = match of("kind").as_str() {
        "absent" => Standing::Absent,
        "other" => Standing::Other,
        "file" => Standing::File {
            hash: of("hash"),
            says: of("says"),
            is_executable: said.contains_key("runs"),
        },
        _other => return None,
    };
    Some(ProgramThere {
        system: Some(of("system")).filter(is_word)?,
        machine: Some(of("machine")).filter(is_word)?,
        is_open: said.contains_key("open"),
        room_kib: of("room").parse().ok(),
        standing,
    })
}

/// Reads what `install.sh` printed.
fn copied(told: &[u8]) -> Option<Copied> {
    let told = String::from_utf8_lossy(told);
    let told = told.trim();
    let (word, said) = told.split_once(' ').unwrap_or((told, ""));
    match word {
        "done" => Some(Copied::Done),
        "damaged" => Some(Copied::Damaged),
        "unwritten" => Some(Copied::Unwritten(plain(said))),
        "unfit" => Some(Copied::Unfit(plain(said))),
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_program_is_read_and_nothing_else_is_taken_for_it() {
        let told = b"system Linux\nmachine x86_64\nopen yes\nroom 77\nkind file\nhash ab\n\
            runs yes\nsays qd 1\x1b[2J\n";
        let there = read(told).unwrap();
        let standing =
            Standing::File { hash: "ab".into(), says: "qd 1[2J".into(), is_executable: true };
        assert_eq!((there.room_kib, there.is_open, there.standing), (Some(77), true, standing));
        let bare = read(b"system Linux\nmachine x86_64\nkind absent\n").unwrap();
        assert_eq!((bare.room_kib, bare.is_open), (None, false));
        for odd in [&b"system Linux\nmachine ../x\nkind absent\n"[..], b"hello\n", b""] {
            assert_eq!(read(odd), None);
        }
        assert_eq!(copied(b"done\n"), Some(Copied::Done));
        assert_eq!(copied(b"unwritten cat: full\n"), Some(Copied::Unwritten("cat: full".into())));
        assert_eq!(copied(b"donee"), None);
    }
}
