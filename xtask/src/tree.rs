//! The files of the workspace, read once and looked at by every check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Folders that hold nothing of ours.
const SKIPPED_FOLDERS: &[&str] = &[".git", "target", "node_modules", "corpus", "artifacts"];
/// What is read; of everything else the path is enough.
const EXTENSIONS: &[&str] = &["rs", "md", "toml"];

/// Every file of the workspace.
#[derive(Default)]
pub(crate) struct Tree {
    /// Those that people write, ordered by path.
    pub(crate) files: Vec<SourceFile>,
    /// The paths of all of them.
    pub(crate) paths: BTreeSet<String>,
}

/// One file.
pub(crate) struct SourceFile {
    /// Its path from the root, with `/` on every system.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The folder that holds the workspace.
pub(crate) fn workspace_root() -> anyhow::Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(Path::to_path_buf).context("xtask stands in no workspace")
}

impl Tree {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, root)?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let absolute = entry.path();
            if entry.file_type()?.is_dir() {
                let skipped = SKIPPED_FOLDERS.iter().any(|name| entry.file_name() == *name);
                if !skipped {
                    self.read_folder(root, &absolute)?;
                }
                continue;
            }
            let path = absolute.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            let extension = absolute.extension().and_then(|it| it.to_str()).unwrap_or_default();
            if EXTENSIONS.contains(&extension) {
                let text = fs::read_to_string(&absolute);
                let text = text.with_context(|| format!("reading {path}"))?;
                self.files.push(SourceFile { path: path.clone(), text });
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    /// A tree that exists in a test only.
    #[cfg(test)]
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        let files: Vec<SourceFile> =
            files.iter().map(|(path, text)| SourceFile::planted(path, text)).collect();
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Self { files, paths }
    }

    pub(crate) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &SourceFile> {
        let suffix = format!(".{extension}");
        self.files.iter().filter(move |file| file.path.ends_with(&suffix))
    }
}

impl SourceFile {
    /// A file that exists in a test only.
    #[cfg(test)]
    pub(crate) fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The package folder it belongs to, such as `crates/api`.
    pub(crate) fn package(&self) -> &str {
        let cut = |depth: usize| {
            let end = self.path.match_indices('/').nth(depth - 1).map(|(at, _)| at);
            end.map_or("", |end| &self.path[..end])
        };
        if self.path.starts_with("crates/") || self.path.starts_with("apps/") {
            cut(2)
        } else {
            cut(1)
        }
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Its lines with their numbers, without those of inline test modules. The
    /// code is formatted, so a module at the left margin ends at the next `}`
    /// there.
    pub(crate) fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut marked = false;
        let mut inside = false;
        let whole = self.is_test();
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            if inside {
                inside = line != "}";
                return None;
            }
            if line == "#[cfg(test)]" {
                marked = true;
                return None;
            }
            // Other tests may use what is in it.
            let module = ["", "pub(super) ", "pub(crate) "];
            let begins = |visible: &str| {
                line.strip_prefix(visible).is_some_and(|rest| rest.starts_with("mod "))
            };
            if marked && module.into_iter().any(begins) {
                marked = false;
                inside = line.ends_with('{');
                return None;
            }
            marked = marked && line.starts_with("#[");
            (!whole).then_some((index + 1, line))
        })
    }

    /// The production lines that are code, not comment and not blank.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.production_lines().filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with("//")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_lines_leave_inline_tests_out() {
        let text =
            "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n\nfn c() {}\n";
        let file = SourceFile::planted("crates/a/src/lib.rs", text);
        let numbers: Vec<usize> = file.code_lines().map(|(number, _)| number).collect();
        assert_eq!(numbers, [2, 9]);
        let file = SourceFile::planted("crates/a/tests/it/b.rs", text);
        assert_eq!(file.code_lines().count(), 0);
    }

    #[test]
    fn a_function_marked_for_tests_does_not_hide_what_follows() {
        let text = "#[cfg(test)]\nfn helper() {}\n\nmod real {\n    fn a() {}\n}\n";
        let file = SourceFile::planted("crates/a/src/lib.rs", text);
        assert!(file.code_lines().any(|(number, _)| number == 5));
    }

    #[test]
    fn a_file_knows_its_package() {
        let package = |path| SourceFile::planted(path, "").package().to_owned();
        assert_eq!(package("crates/api/src/lib.rs"), "crates/api");
        assert_eq!(package("xtask/src/main.rs"), "xtask");
        assert_eq!(package("README.md"), "");
    }
}
