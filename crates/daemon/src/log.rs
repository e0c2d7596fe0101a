//! The daemon's log: JSON lines in a file that is replaced by size.
//!
//! Nothing that a pane, hook or request carries is logged, only ids, codes and counts; so there
//! is nothing to redact.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::config::{LogConfig, LogLevel};

/// The name of the current log file; older ones have a number behind it.
pub const FILE_NAME: &str = "qd.log";

/// Logging, as far as it can be set while it goes on.
#[derive(Clone)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
    file: SharedFile,
}

/// Starts logging into `folder` for the rest of the process.
pub fn start(folder: &Path, config: &LogConfig) -> io::Result<Log> {
    let file = SharedFile(Arc::new(Mutex::new(RotatingFile::open(folder, config)?)));
    let (filter, handle) = reload::Layer::new(filter(config.level));
    let layer = tracing_subscriber::fmt::layer().json().with_writer(file.clone());
    // A second start in one process (tests) keeps the first log.
    drop(tracing_subscriber::registry().with(filter).with(layer).try_init());
    Ok(Log { filter: handle, file })
}

impl Log {
    /// Goes by new settings from here on.
    pub fn configure(&self, config: &LogConfig) {
        // Fails only where another log was started before, which then is not ours to set.
        drop(self.filter.reload(filter(config.level)));
        self.file.lock().bound(config);
    }
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // The library talks of every connection; more than its warnings helps nobody.
    Targets::new().with_default(level).with_target("hyper", level.min(LevelFilter::WARN))
}

#[derive(Clone)]
struct SharedFile(Arc<Mutex<RotatingFile>>);

impl SharedFile {
    fn lock(&self) -> MutexGuard<'_, RotatingFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for SharedFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

/// One log line on its way into the file.
struct Line<'a>(&'a SharedFile);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that makes room for itself.
#[derive(Debug)]
struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    files_max: u32,
}

impl RotatingFile {
    fn open(folder: &Path, config: &LogConfig) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let file = append(&path)?;
        let bytes = file.metadata()?.len();
        let mut log = Self { path, file, bytes, bytes_max: 0, files_max: 0 };
        log.bound(config);
        Ok(log)
    }

    fn bound(&mut self, config: &LogConfig) {
        self.bytes_max = u64::from(config.size_mib_max) * 1024 * 1024;
        self.files_max = config.files_max;
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }

    /// Moves every file one number up; the oldest is replaced.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.files_max).rev() {
            let from = self.numbered(number);
            if from.exists() {
                std::fs::rename(from, self.numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.file = append(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes >= self.bytes_max {
            // A log that cannot be replaced goes on in the old file: better long than silent.
            drop(self.rotate());
        }
        let written = self.file.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_makes_room_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let config = LogConfig { level: LogLevel::Info, size_mib_max: 1, files_max: 2 };
        let mut log = RotatingFile::open(folder.path(), &config).unwrap();
        let mebibyte = vec![b'x'; 1024 * 1024];
        for _ in 0..5 {
            log.write_all(&mebibyte).unwrap();
        }
        log.write_all(b"last\n").unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["qd.log", "qd.log.1", "qd.log.2"]);
        assert_eq!(std::fs::read(folder.path().join("qd.log")).unwrap(), b"last\n");
    }
}
