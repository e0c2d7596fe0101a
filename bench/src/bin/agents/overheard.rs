//! The hooks' reports, read from the spool beside the daemon. It is the one place where they stand
//! as the agent made them.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use agents::record::{Payload, Record};
use testkit::wait;

/// How often it is read; a file of the spool stays for much longer.
const INTERVAL: Duration = Duration::from_millis(200);

/// One report of a hook.
#[derive(Clone, Debug)]
pub(crate) struct Overheard {
    pub(crate) at: Instant,
    pub(crate) name: String,
    pub(crate) payload: String,
}

/// A file of the spool, by its inode: it is renamed while it is read.
struct Open {
    inode: u64,
    file: File,
    read: u64,
    rest: Vec<u8>,
}

struct Spool {
    folder: PathBuf,
    open: Vec<Open>,
    heard: Vec<Overheard>,
    /// The same moment by both clocks.
    clocks: (SystemTime, Instant),
}

pub(crate) struct Overhearing {
    spool: Arc<Mutex<Spool>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Overhearing {
    pub(crate) fn start(folder: PathBuf) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a hook writes down the machine's time")]
        let clocks = (SystemTime::now(), wait::now());
        let spool = Spool { folder, open: Vec::new(), heard: Vec::new(), clocks };
        let spool = Arc::new(Mutex::new(spool));
        let stop = Arc::new(AtomicBool::new(false));
        let (read, ended) = (Arc::clone(&spool), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                read.lock().unwrap_or_else(PoisonError::into_inner).read_on();
                std::thread::sleep(INTERVAL);
            }
        });
        Self { spool, stop, thread: Some(thread) }
    }

    /// What was reported from a moment on, in the order of the hooks' own times.
    pub(crate) fn since(&self, begun: Instant) -> Vec<Overheard> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.read_on();
        let mut heard: Vec<Overheard> =
            spool.heard.iter().filter(|it| it.at >= begun).cloned().collect();
        heard.sort_by_key(|it| it.at);
        heard
    }
}

impl Drop for Overhearing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Spool {
    fn read_on(&mut self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name != agents::spool::ACTIVE && !agents::spool::is_segment(name) {
                continue;
            }
            let Ok(file) = File::open(entry.path()) else { continue };
            let Ok(inode) = file.metadata().map(|it| it.ino()) else { continue };
            if self.open.iter().all(|open| open.inode != inode) {
                self.open.push(Open { inode, file, read: 0, rest: Vec::new() });
            }
        }
        let lines: Vec<Vec<u8>> = self.open.iter_mut().flat_map(Open::lines).collect();
        let clocks = self.clocks;
        self.heard.extend(lines.iter().filter_map(|line| overheard(line, clocks)));
    }
}

impl Open {
    /// The whole lines that were not read yet.
    fn lines(&mut self) -> Vec<Vec<u8>> {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length) = self.file.read_at(&mut chunk, self.read) {
            if length == 0 {
                break;
            }
            self.rest.extend(&chunk[..length]);
            self.read += u64::try_from(length).unwrap_or(0);
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

fn overheard(line: &[u8], (wall, mono): (SystemTime, Instant)) -> Option<Overheard> {
    let record = Record::parse(line).ok()?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(record.at.0).ok()?);
    let at = mono + at.duration_since(wall).unwrap_or_default();
    let payload = match record.payload {
        Payload::Whole(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Payload::None | Payload::Cut { .. } => "null".to_owned(),
    };
    Some(Overheard { at, name: record.event, payload })
}
