//! What went over one control connection, as a file.
//!
//! Each line is one line of the connection behind two characters: `> ` was sent to tmux, `< ` came
//! from it, and `# ` tells what happened on the server meanwhile. The bytes are raw, except that
//! the folder and the name of the machine it was recorded on are replaced.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Names the folder into which the scenes record.
const RECORD: &str = "QD_RECORD";

#[derive(Debug, Default)]
pub(crate) struct Transcript {
    lines: Vec<Vec<u8>>,
    partial: Vec<u8>,
    replaced: Vec<(Vec<u8>, &'static str)>,
}

impl Transcript {
    pub(crate) fn new(root: &Path) -> Transcript {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mut replaced = vec![(root.as_os_str().as_encoded_bytes().to_vec(), "/tmp/world")];
        if !host.trim().is_empty() {
            replaced.push((format!("T{}", host.trim()).into_bytes(), "Thost"));
        }
        Transcript { replaced, ..Transcript::default() }
    }

    pub(crate) fn sent(&mut self, lines: &[u8]) {
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            self.line(b"> ", line);
        }
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.line(b"< ", &line);
        }
    }

    pub(crate) fn remark(&mut self, text: &str) {
        self.line(b"# ", format!("{}\n", text.escape_debug()).as_bytes());
    }

    fn line(&mut self, prefix: &[u8], line: &[u8]) {
        let mut line = [prefix, line].concat();
        for (from, to) in &self.replaced {
            line = replace(&line, from, to.as_bytes());
        }
        self.lines.push(line);
    }

    /// Writes the file, if this run records.
    pub(crate) fn save(&self, name: &str) {
        if let Some(folder) = std::env::var_os(RECORD) {
            let path = Path::new(&folder).join(format!("{name}.transcript"));
            fs::write(path, self.lines.concat()).expect("the folder to record into exists");
        }
    }
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    result.extend_from_slice(rest);
    result
}

/// One file, taken apart again.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) path: PathBuf,
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) received: Vec<u8>,
}

impl Recorded {
    /// All transcripts of all versions, in the order of their names.
    pub(crate) fn all() -> Vec<Recorded> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let mut files: Vec<PathBuf> =
            entries(&folder).into_iter().flat_map(|v| entries(&v)).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "transcript"));
        files.sort();
        files.into_iter().map(Recorded::load).collect()
    }

    fn load(path: PathBuf) -> Recorded {
        let bytes = fs::read(&path).expect("a listed file can be read");
        let mut sent = Vec::new();
        let mut received = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match line {
                [b'>', b' ', line @ ..] => sent.push(line.to_vec()),
                [b'<', b' ', line @ ..] => received.extend_from_slice(line),
                [b'#', b' ', ..] => {}
                _ => panic!("{} holds a line of no kind: {line:?}", path.display()),
            }
        }
        Recorded { path, sent, received }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    listed.map(|entry| entry.expect("a folder can be listed").path()).collect()
}
