//! Files of a person's on a target somewhere else: looked at, and replaced as a whole.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tmux::version::Version;

use super::Target;
use super::failure::TmuxFailure;
use super::tether::clock_ms;

const LOOK: &str = include_str!("far/look.sh");
const ASIDE: &str = include_str!("far/aside.sh");
const SWAP: &str = include_str!("far/swap.sh");
const PLACE: &str = include_str!("far/place.sh");
const SURROUNDINGS: &str = include_str!("far/surroundings.sh");
const REMOVE_FOLDERS: &str = "rmdir -- \"$@\" 2>/dev/null\n:";

/// What is known of a path there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighted {
    pub kind: Kind,
    /// Where it really is, behind all links.
    pub real: PathBuf,
    /// The folders that have to be made for it, the outermost first.
    pub missing: Vec<PathBuf>,
    /// The nearest folder above it that is there, and whether it takes new files.
    pub folder: PathBuf,
    pub is_folder: bool,
    pub is_open: bool,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Absent,
    /// A link that leads nowhere.
    Dangling,
    /// No regular file.
    Other,
    /// One that we may not read.
    Closed,
    Large,
    File {
        mode: u32,
        bytes: Vec<u8>,
    },
}

/// Where settings are kept there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Where the script of our hooks and their spool belong.
    pub state: String,
    /// What variables are set to, and where that really leads.
    pub variables: BTreeMap<String, (String, String)>,
}

/// What there is on the other side, as far as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    said: BTreeMap<String, String>,
}

impl Surroundings {
    /// What was said of `user`, `system`, `shell`, `path`, `tmux`, `version`, `server`, `state`,
    /// `hook` or `spool`; empty where there is none.
    pub fn of(&self, what: &str) -> &str {
        self.said.get(what).map_or("", String::as_str)
    }

    /// Milliseconds since 1970, by the clock there.
    pub fn clock_ms(&self) -> Option<i64> {
        clock_ms(self.of("clock"))
    }

    /// Which tmux it is, if it is one that can be used.
    pub fn tmux_is_supported(&self) -> bool {
        self.of("version").parse().is_ok_and(|version: Version| version.is_supported())
    }
}

/// Why a file there could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum NotReplaced {
    #[error("another program has just changed it")]
    Changed,
    #[error(transparent)]
    Failed(#[from] TmuxFailure),
}

impl Target {
    /// Looks at a file there.
    pub async fn look_at(&self, path: &Path, bytes_max: u64) -> Result<Sighted, TmuxFailure> {
        let max = bytes_max.to_string();
        let told = self.script(LOOK, &[path.as_os_str(), OsStr::new(&max)], None).await?;
        read(&told).ok_or_else(|| odd(&told))
    }

    /// Puts a text in the place of a file that still is what was seen of it, or takes it away.
    pub async fn replace(
        &self,
        seen: &Sighted,
        text: Option<(&[u8], u32)>,
    ) -> Result<(), NotReplaced> {
        let real = seen.real.as_os_str();
        let (was, before) = match &seen.kind {
            Kind::File { bytes, .. } => ("there", bytes.as_slice()),
            Kind::Absent | Kind::Dangling | Kind::Other | Kind::Closed | Kind::Large => {
                ("", &[][..])
            }
        };
        let mut aside = PathBuf::new();
        if let Some((text, mode)) = text {
            aside = beside(&seen.real);
            let mode = format!("{mode:o}");
            let mut words = vec![aside.as_os_str(), OsStr::new(&mode), real];
            words.extend(seen.missing.iter().map(|folder| folder.as_os_str()));
            self.script(ASIDE, &words, Some(text)).await?;
        }
        let words = [real, OsStr::new(was), aside.as_os_str()];
        let told = self.script(SWAP, &words, Some(before)).await?;
        match told.trim_ascii() {
            b"done" => Ok(()),
            b"changed" => Err(NotReplaced::Changed),
            _ => Err(odd(&told).into()),
        }
    }

    /// Removes those of these folders that are empty, in their order.
    pub async fn remove_folders(&self, folders: &[&Path]) -> Result<(), TmuxFailure> {
        let words: Vec<&OsStr> = folders.iter().map(|folder| folder.as_os_str()).collect();
        self.script(REMOVE_FOLDERS, &words, None).await.map(drop)
    }

    /// Asks what there is on the other side.
    pub async fn surroundings(&self) -> Result<Surroundings, TmuxFailure> {
        let far = self.there()?;
        let [way, socket] = far.route.socket_words();
        let words = [far.route.tmux(), way, socket].map(OsStr::new);
        let told = self.script(SURROUNDINGS, &words, None).await?;
        let told = String::from_utf8_lossy(&told).into_owned();
        let pair = |line: &str| {
            let (what, said) = line.split_once(' ')?;
            Some((what.to_owned(), said.trim().chars().filter(|it| !it.is_control()).collect()))
        };
        Ok(Surroundings { said: told.lines().filter_map(pair).collect() })
    }

    /// Asks where settings are kept there, and what these variables are set to.
    pub async fn places(&self, variables: &[&str]) -> Result<Places, TmuxFailure> {
        let words: Vec<&OsStr> = variables.iter().map(OsStr::new).collect();
        let told = self.script(PLACE, &words, None).await?;
        let told = String::from_utf8_lossy(&told).into_owned();
        let mut lines = told.lines().map(str::to_owned);
        let state = lines.next().unwrap_or_default();
        let pair = |name: &&str| Some(((*name).to_owned(), (lines.next()?, lines.next()?)));
        Ok(Places { state, variables: variables.iter().filter_map(pair).collect() })
    }
}

/// The name of a new file beside another.
fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let own = engine::ids::hex(&crate::ids::random_bytes()[..4]);
    file.with_file_name(format!(".{name}.qd-{own}"))
}

pub(super) fn odd(told: &[u8]) -> TmuxFailure {
    TmuxFailure::refused(String::from_utf8_lossy(told).trim().chars().take(200).collect::<String>())
}

/// Reads what `look.sh` printed.
fn read(told: &[u8]) -> Option<Sighted> {
    let end = told.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, bytes) = (std::str::from_utf8(&told[..end]).ok()?, told[end + 2..].to_vec());
    let (mut kind, mut real, mut mode) = ("", "", None);
    let (mut missing, mut folder) = (Vec::new(), None);
    for line in head.lines() {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "kind" => kind = rest,
            "real" => real = rest,
            "listed" => mode = mode_of(rest),
            "missing" => missing.insert(0, PathBuf::from(rest)),
            "open" | "shut" | "none" => folder = Some((word, rest)),
            _other => return None,
        }
    }
    let kind = match kind {
        "absent" => Kind::Absent,
        "dangling" => Kind::Dangling,
        "other" => Kind::Other,
        "closed" => Kind::Closed,
        "large" => Kind::Large,
        "file" => Kind::File { mode: mode?, bytes },
        _other => return None,
    };
    let (state, folder) = folder.filter(|_| real.starts_with('/'))?;
    let (is_folder, is_open) = (state != "none", state == "open");
    Some(Sighted { kind, real: real.into(), missing, folder: folder.into(), is_folder, is_open })
}

/// The mode in what `ls -l` prints, without what is beyond the nine permissions.
fn mode_of(listed: &str) -> Option<u32> {
    let letters = listed.get(1..10)?;
    Some(letters.bytes().fold(0, |mode, letter| {
        let set = !matches!(letter, b'-' | b'S' | b'T');
        mode << 1 | u32::from(set)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_read_with_everything_that_is_in_it() {
        let told = b"kind file\nreal /h/a b.json\nlisted -rw-r----- 1 0 0 5 x\nopen /h\n\n{\n\n}\n";
        let seen = read(told).unwrap();
        assert_eq!(seen.kind, Kind::File { mode: 0o640, bytes: b"{\n\n}\n".to_vec() });
        assert_eq!((seen.real, seen.is_open), (PathBuf::from("/h/a b.json"), true));
        let told = b"kind absent\nreal /h/a/b/c\nmissing /h/a/b\nmissing /h/a\nshut /h\n\n";
        let seen = read(told).unwrap();
        assert_eq!((seen.kind, seen.is_open, seen.is_folder), (Kind::Absent, false, true));
        assert_eq!(seen.missing, [PathBuf::from("/h/a"), PathBuf::from("/h/a/b")]);
        assert_eq!(read(b"hello\n\n"), None);
        assert_eq!(read(b"kind file\nreal /h/a\nopen /h\n\n"), None, "nobody's");
    }
}
