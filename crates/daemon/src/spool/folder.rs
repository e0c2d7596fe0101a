//! The spool's folder: which files it holds, which of them are set aside, and which are deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agents::record::Unreadable;
use agents::spool::ACTIVE;
use tokio::time::Instant;

use super::cursor::{self, Mark};
use super::files::{self, Spooled};
use super::tally::Tally;

/// How long after it was set aside a file is deleted. A writer that opened it before has this long
/// to write; `qd hook` looks whether that was enough.
const DELETE_DELAY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// What the cursor said when we began.
    marks: Vec<Mark>,
    pub(super) files: Vec<Spooled>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { marks: cursor::load(&path), path, files: Vec::new() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds new files, and sees which of the known ones have another name or none. Returns how
    /// many are not ours.
    pub(super) fn find(&mut self) -> io::Result<u64> {
        let (mut foreign, mut listed) = (0, Vec::new());
        for name in files::names(&self.path)? {
            let Ok(inode) = files::inode(&self.path, &name) else { continue };
            listed.push(inode);
            if let Some(known) = self.files.iter_mut().find(|it| it.inode() == inode) {
                known.name = name;
            } else {
                match files::open(&self.path, &name) {
                    Ok(Some(file)) => self.files.push(Spooled::follow(name, file, &self.marks)?),
                    Ok(None) | Err(_) => foreign += 1,
                }
            }
        }
        let now = Instant::now();
        for file in &mut self.files {
            file.is_gone = !listed.contains(&file.inode());
            if file.name != ACTIVE {
                file.aside_since.get_or_insert(now);
            }
        }
        self.files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(foreign)
    }

    /// Whether the file that is appended to holds anything.
    pub(super) fn has_something(&self) -> bool {
        self.files.iter().any(|file| file.name == ACTIVE && !file.is_gone && file.bytes() > 0)
    }

    /// Gives the file that is appended to another name, so that it comes to an end.
    pub(super) fn set_aside(&self, name: &str) -> io::Result<()> {
        fs::rename(self.path.join(ACTIVE), self.path.join(name))
    }

    /// Remembers how far everything was taken in.
    pub(super) fn save(&self) -> io::Result<()> {
        let named = self.files.iter().filter(|file| !file.is_gone);
        let marks = named.map(Spooled::taken).collect::<io::Result<Vec<_>>>()?;
        cursor::save(&self.path, &marks)
    }

    /// Forgets files that have no name any more and are read, and deletes those whose time is over.
    /// Returns when to come again: at once after a deletion, because a writer may have been quicker.
    pub(super) fn clear_up(&mut self, tally: &mut Tally) -> io::Result<Option<Instant>> {
        for file in self
            .files
            .extract_if(.., |file| file.is_gone && file.is_at_its_end().is_ok_and(|it| it))
        {
            if file.rest() > 0 {
                tally.unread(Unreadable::Torn);
            }
        }
        let now = Instant::now();
        let due = |file: &Spooled| {
            let since = file.aside_since.filter(|_| !file.is_gone && file.name != ACTIVE);
            since.map(|since| since + DELETE_DELAY)
        };
        let mut next = None;
        for index in 0..self.files.len() {
            let Some(at) = due(&self.files[index]) else { continue };
            if at <= now && self.files[index].is_at_its_end()? {
                fs::remove_file(self.path.join(&self.files[index].name))?;
                next = Some(now);
            } else {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Write;

    use agents::record::{Payload, Record};
    use engine::time::WallMs;
    use tempfile::TempDir;

    use super::*;

    const ASIDE: &str = "hooks-00000000000001-0000000001.spool";

    fn line(number: usize) -> Vec<u8> {
        let record = Record {
            id: format!("{number:032}"),
            agent: "claude".to_owned(),
            event: "Stop".to_owned(),
            at: WallMs(1_000),
            tmux: None,
            pane: None,
            chain: Vec::new(),
            cwd: None,
            waits: None,
            payload: Payload::None,
        };
        record.to_line()
    }

    fn appender(home: &TempDir) -> File {
        OpenOptions::new().append(true).create(true).open(home.path().join(ACTIVE)).unwrap()
    }

    fn folder(home: &TempDir) -> Folder {
        Folder::new(home.path().to_owned())
    }

    /// Looks once, and gives the numbers of the records that are new.
    fn new_in(folder: &mut Folder) -> Vec<usize> {
        folder.find().unwrap();
        let lines = folder.files.iter_mut().flat_map(|file| file.next_lines().unwrap().1);
        lines.map(|line| line.record.unwrap().id.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_deleted_a_while_after_it_was_set_aside_and_what_came_late_is_still_read() {
        let home = tempfile::tempdir().unwrap();
        let mut folder = folder(&home);
        let mut slow = appender(&home);
        slow.write_all(&line(1)).unwrap();
        assert_eq!(new_in(&mut folder), [1]);
        assert!(folder.has_something());
        folder.set_aside(ASIDE).unwrap();
        slow.write_all(&line(2)).unwrap();
        appender(&home).write_all(&line(3)).unwrap();
        assert_eq!(new_in(&mut folder), [2, 3], "both files are followed");
        let mut tally = Tally::default();
        assert!(folder.clear_up(&mut tally).unwrap().is_some(), "it is not time yet");
        assert!(home.path().join(ASIDE).exists());
        tokio::time::advance(DELETE_DELAY).await;
        assert_eq!(folder.clear_up(&mut tally).unwrap(), Some(Instant::now()));
        assert!(!home.path().join(ASIDE).exists() && home.path().join(ACTIVE).exists());
        slow.write_all(&[line(4), b"\nqd1\tcut off".to_vec()].concat()).unwrap();
        assert_eq!(new_in(&mut folder), [4]);
        assert_eq!(folder.clear_up(&mut tally).unwrap(), None);
        assert_eq!((folder.files.len(), tally.unreadable), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_taken_in_is_not_deleted() {
        let home = tempfile::tempdir().unwrap();
        let mut folder = folder(&home);
        appender(&home).write_all(&line(1)).unwrap();
        folder.set_aside(ASIDE).unwrap();
        assert_eq!(new_in(&mut folder), [1]);
        folder.files[0].go_back_to(0).unwrap();
        tokio::time::advance(DELETE_DELAY * 2).await;
        assert!(folder.clear_up(&mut Tally::default()).unwrap().is_some());
        assert_eq!(new_in(&mut folder), [1]);
        folder.clear_up(&mut Tally::default()).unwrap();
        assert!(!home.path().join(ASIDE).exists());
    }

    #[tokio::test]
    async fn the_next_reader_goes_on_where_the_cursor_was_saved() {
        let home = tempfile::tempdir().unwrap();
        let mut first = folder(&home);
        let mut writer = appender(&home);
        writer.write_all(&line(1)).unwrap();
        assert_eq!(new_in(&mut first), [1]);
        first.save().unwrap();
        writer.write_all(&line(2)).unwrap();
        assert_eq!(new_in(&mut first), [2]);
        // It is killed here. What was taken in since is read again, and nothing else.
        assert_eq!(new_in(&mut folder(&home)), [2]);
        first.set_aside(ASIDE).unwrap();
        appender(&home).write_all(&line(3)).unwrap();
        assert_eq!(new_in(&mut folder(&home)), [2, 3], "a new name is the same file");
        // Another file under the old name is read whole, also if it is as long.
        fs::write(home.path().join(ACTIVE), [line(4), line(5)].concat()).unwrap();
        assert_eq!(new_in(&mut folder(&home)), [2, 4, 5]);
    }

    #[tokio::test]
    async fn a_file_that_was_cut_or_written_anew_is_read_from_its_beginning() {
        let home = tempfile::tempdir().unwrap();
        let mut folder = folder(&home);
        let mut writer = appender(&home);
        writer.write_all(&[line(1), line(2)].concat()).unwrap();
        assert_eq!(new_in(&mut folder), [1, 2]);
        writer.set_len(line(1).len() as u64).unwrap();
        assert_eq!(new_in(&mut folder), [1], "what is known is known by its id");
        writer.set_len(0).unwrap();
        writer.write_all(&[line(3), line(4), line(5)].concat()).unwrap();
        assert_eq!(new_in(&mut folder), [3, 4, 5]);
    }
}
