//! The bell of a terminal, rung past tmux.
//!
//! tmux passes on the bell of a pane only, to those who have its window somewhere. To ring because
//! of an agent in another session, the one byte is written to the terminal of the client itself.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The character at which a terminal rings.
const BELL: &[u8] = b"\x07";

/// Rings at a terminal of our own. Never waits: who has stopped their output hears nothing.
pub(super) fn ring(terminal: &Path) -> io::Result<()> {
    let careful = OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = i32::try_from(careful.bits()).unwrap_or_default();
    let mut file = OpenOptions::new().write(true).custom_flags(flags).open(terminal)?;
    let found = file.metadata()?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || !found.file_type().is_char_device() || !rustix::termios::isatty(&file) {
        return Err(io::Error::other("it is no terminal of ours"));
    }
    file.write_all(BELL)
}
