//! The files of a spool: their names and their bounds, the same for everyone who writes or reads.

use engine::time::WallMs;

/// The folder below the state folder.
pub const FOLDER: &str = "spool";
/// The file that records are appended to.
pub const ACTIVE: &str = "hooks.spool";
/// The folder in it that says how far the spools of other machines were read.
pub const AFAR: &str = "afar";
/// Bytes after which a writer sets the file aside and begins another.
pub const SEGMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Files set aside; beyond them a writer gives up the oldest. They only gather while no daemon
/// reads.
pub const SEGMENTS_MAX: usize = 7;

const PREFIX: &str = "hooks-";
const SUFFIX: &str = ".spool";

/// The name of a file that is set aside at this moment by this process. Names sort by age.
pub fn segment(at: WallMs, pid: u32) -> String {
    format!("{PREFIX}{:014}-{pid:010}{SUFFIX}", at.0.max(0))
}

/// Whether a name is that of a file that was set aside.
pub fn is_segment(name: &str) -> bool {
    let middle = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    middle.is_some_and(|middle| middle.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_sort_by_their_age_and_before_the_active_file() {
        let names = [segment(WallMs(9), 70), segment(WallMs(10), 8), segment(WallMs(10), 9)];
        assert!(names.is_sorted(), "{names:?}");
        assert!(names.iter().all(|name| is_segment(name) && name.as_str() < ACTIVE));
        assert!(!is_segment(ACTIVE) && !is_segment("hooks-x.spool") && !is_segment("cursor"));
    }
}
