//! File systems of our own: small ones that fill up, and images whose power can be cut.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use testkit::TestEnv;
use testkit::process::command;

/// Where programs of the administrator lie, beyond the usual path.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Something mounted. Dropping it takes it away, even while somebody still uses it.
#[derive(Debug)]
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A file system in memory with room for so many bytes.
    pub(crate) fn memory(at: &Path, kib: u64) -> anyhow::Result<Self> {
        let options = format!("size={kib}k,mode=700");
        run("mount", ["-t", "tmpfs", "-o", &options, "tmpfs"].map(OsStr::new), at)?;
        Ok(Self(at.to_owned()))
    }

    /// The file system in an image. Its own journal commits only when somebody asks for it, so that
    /// nothing reaches the image by mere time.
    pub(crate) fn image(image: &Path, at: &Path) -> anyhow::Result<Self> {
        let words = ["-t", "ext4", "-o", "loop,commit=300"].map(OsStr::new);
        run("mount", words.into_iter().chain([image.as_os_str()]), at)?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Nobody is left who could be told.
        drop(run("umount", ["-l"].map(OsStr::new), &self.0));
    }
}

/// Where images lie: in memory where the machine offers that, because what is cut is what the
/// file system in the image was told to keep, and not the disk below it. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Images(PathBuf);

impl Images {
    pub(crate) fn of(env: &TestEnv) -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        let world = env.root().file_name().context("a world has a name")?;
        let in_memory = memory.is_dir().then(|| memory.join(world));
        let folder = in_memory.filter(|it| std::fs::create_dir(it).is_ok());
        let folder = folder.unwrap_or_else(|| env.path("images"));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self, number: usize) -> PathBuf {
        self.0.join(format!("disk-{number}.img"))
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Makes an empty image of ext4.
pub(crate) fn make_image(path: &Path, mib: u64) -> anyhow::Result<()> {
    std::fs::File::create(path)?.set_len(mib * 1024 * 1024)?;
    run("mkfs.ext4", ["-q", "-F", "-E", "root_owner"].map(OsStr::new), path)
}

/// Copies an image with its holes.
pub(crate) fn copy_image(from: &Path, to: &Path) -> anyhow::Result<()> {
    run("cp", [OsStr::new("--sparse=always"), from.as_os_str()], to)
}

fn run<'a>(
    program: &str,
    words: impl IntoIterator<Item = &'a OsStr>,
    last: &Path,
) -> anyhow::Result<()> {
    let found = find(program).with_context(|| format!("{program} is not installed"))?;
    let mut command = command(found);
    let output = command.args(words).arg(last).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", said.trim());
    Ok(())
}

/// A program of this machine.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}
