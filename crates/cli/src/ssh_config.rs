//! The hosts that somebody's own `ssh` configuration names. Only names are read: what leads to them
//! is for `ssh` to find out.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bounds of what is read: a configuration is a person's, and small.
const FILE_BYTES_MAX: u64 = 1 << 20;
const FILES_MAX: usize = 256;
/// As deep as `ssh` itself goes.
const DEPTH_MAX: usize = 16;

/// A host that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    /// The file that names it first.
    pub(crate) file: PathBuf,
}

/// The hosts of a configuration and of what it includes, in their order, each once. Patterns name
/// no host.
pub(crate) fn hosts(config: &Path, home: &Path) -> Vec<Host> {
    let mut reader = Reader { home, files: 0, hosts: Vec::new() };
    reader.read(config, 0);
    reader.hosts
}

struct Reader<'a> {
    home: &'a Path,
    files: usize,
    hosts: Vec<Host>,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path, depth: usize) {
        if depth > DEPTH_MAX || self.files >= FILES_MAX {
            return;
        }
        self.files += 1;
        let Some(text) = text(path) else { return };
        for line in text.lines() {
            let words = words(line);
            let Some((keyword, rest)) = words.split_first() else { continue };
            if keyword.eq_ignore_ascii_case("host") {
                rest.iter().for_each(|name| self.name(name, path));
            } else if keyword.eq_ignore_ascii_case("include") {
                let files: Vec<PathBuf> =
                    rest.iter().flat_map(|pattern| self.included(pattern)).collect();
                files.iter().for_each(|file| self.read(file, depth + 1));
            }
        }
    }

    fn name(&mut self, name: &str, file: &Path) {
        let is_pattern = name.contains(['*', '?', '!']);
        if !is_pattern && !name.is_empty() && self.hosts.iter().all(|host| host.name != name) {
            self.hosts.push(Host { name: name.to_owned(), file: file.to_owned() });
        }
    }

    /// The files that an `Include` means: from the home folder, or from `ssh`'s own.
    fn included(&self, pattern: &str) -> Vec<PathBuf> {
        let path = match pattern.strip_prefix("~/") {
            Some(below) => self.home.join(below),
            None => self.home.join(".ssh").join(pattern),
        };
        path.to_str().map(files_like).unwrap_or_default()
    }
}

fn text(path: &Path) -> Option<String> {
    // A pipe in its place would be waited for.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The words of a line: a keyword, perhaps with `=` behind it, and what follows, perhaps in quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let ends = |c: char| c.is_whitespace() || (words.is_empty() && c == '=');
                rest.split_at(rest.find(ends).unwrap_or(rest.len()))
            }
        };
        words.push(word.to_owned());
        rest = after.trim_start();
        if words.len() == 1 {
            rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        }
    }
    words
}

/// The files whose paths fit a pattern, sorted by their names.
fn files_like(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = found.iter().flat_map(|folder| entries(folder, part)).collect();
    }
    found
}

fn entries(folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?']) {
        return vec![folder.join(part)];
    }
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        listed.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    // A name with a dot in front has to be meant.
    names.retain(|name| fits(name, part) && (!name.starts_with('.') || part.starts_with('.')));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Whether a name fits a pattern with `*` for any text and `?` for any character.
fn fits(name: &str, pattern: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => name.is_empty(),
        Some('*') => {
            let mut rests = name.char_indices().map(|(at, _)| &name[at..]).chain([""]);
            rests.any(|rest| fits(rest, chars.as_str()))
        }
        Some(wanted) => {
            let mut letters = name.chars();
            letters.next().is_some_and(|letter| wanted == '?' || letter == wanted)
                && fits(letters.as_str(), chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(home: &Path) -> Vec<String> {
        hosts(&home.join(".ssh/config"), home).into_iter().map(|host| host.name).collect()
    }

    #[test]
    fn lines_are_taken_apart_as_ssh_does() {
        assert_eq!(words("  Host a  b # c"), ["Host", "a", "b"]);
        assert_eq!(words("host=a"), ["host", "a"]);
        assert_eq!(words("Include = \"a b\" c"), ["Include", "a b", "c"]);
        assert_eq!(words("HostName a=b"), ["HostName", "a=b"]);
        assert_eq!(words("# Host a"), Vec::<String>::new());
        assert_eq!(words("Host \"a"), ["Host", "a"]);
    }

    #[test]
    fn hosts_are_named_once_and_patterns_are_none() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".ssh/more.d")).unwrap();
        let write = |file: &str, text: &str| fs::write(home.path().join(file), text).unwrap();
        write(
            ".ssh/config",
            "Host build build.example *.lan !no\n  HostName 10.0.0.1\nMatch host x\n  User u\n\
             Include more.d/*.conf ~/work nowhere\nhost last\n",
        );
        write(".ssh/more.d/b.conf", "Host b\nInclude config\n");
        write(".ssh/more.d/a.conf", "HOST=a\nHost build\n");
        write(".ssh/more.d/.c.conf", "Host hidden\n");
        write("work", "Host desk\r\n");
        assert_eq!(names(home.path()), ["build", "build.example", "a", "b", "last", "desk"]);
        let all = hosts(&home.path().join(".ssh/config"), home.path());
        assert_eq!(all[2].file, home.path().join(".ssh/more.d/a.conf"));
        fs::remove_file(home.path().join(".ssh/config")).unwrap();
        assert_eq!(names(home.path()), Vec::<String>::new());
    }

    #[test]
    fn names_fit_patterns() {
        assert!(fits("a.conf", "*.conf") && fits("ab", "a?") && fits("", "*") && fits("a", "a*"));
        assert!(!fits("a.con", "*.conf") && !fits("a", "a?") && !fits("b", "a*"));
    }
}
