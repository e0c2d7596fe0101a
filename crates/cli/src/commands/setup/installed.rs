//! Whether an agent is installed, and which version, without running it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use agents::release;

/// How much of a package's file is read.
const PACKAGE_BYTES_MAX: u64 = 1 << 20;

/// A program on the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) path: PathBuf,
    /// Its version, where its path or its package tells.
    pub(crate) version: Option<String>,
}

/// The first of some programs that is on the path.
pub(crate) fn find(programs: &[&str], path: &OsStr) -> Option<Installed> {
    let folders = || std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let found = programs
        .iter()
        .find_map(|name| folders().map(|folder| folder.join(name)).find(|path| path.is_file()))?;
    let real = fs::canonicalize(&found).unwrap_or_else(|_| found.clone());
    Some(Installed { version: version(&real), path: found })
}

fn version(real: &Path) -> Option<String> {
    let path = real.to_str()?;
    if let Some(version) = release::in_path(path) {
        return Some(version.to_owned());
    }
    let mut content = Vec::new();
    let file = fs::File::open(release::package_file(path)?).ok()?;
    file.take(PACKAGE_BYTES_MAX).read_to_end(&mut content).ok()?;
    release::of_package(&content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_program_tells_its_version_by_its_package_or_its_path() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("lib/node_modules/@x/agent");
        fs::create_dir_all(package.join("bin")).unwrap();
        fs::write(package.join("package.json"), "{\"version\":\"1.2.3\"}").unwrap();
        fs::write(package.join("bin/agent.js"), "").unwrap();
        let bin = root.path().join("bin");
        fs::create_dir_all(root.path().join("versions/2.0.1")).unwrap();
        fs::create_dir_all(&bin).unwrap();
        fs::write(root.path().join("versions/2.0.1/other"), "").unwrap();
        symlink(package.join("bin/agent.js"), bin.join("agent")).unwrap();
        symlink(root.path().join("versions/2.0.1/other"), bin.join("other")).unwrap();
        let found = |name| find(&["none", name], bin.as_os_str()).and_then(|it| it.version);
        assert_eq!(found("agent").as_deref(), Some("1.2.3"));
        assert_eq!(found("other").as_deref(), Some("2.0.1"));
        assert_eq!(find(&["none"], bin.as_os_str()), None);
    }
}
