//! The clock of another machine, that a test may set: by libfaketime, for whatever is started under it.

use std::fs;
use std::path::PathBuf;

use crate::TestEnv;

/// What every process that lives by it has in its environment, but for where the clock is.
const SETTINGS: &str = "FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1";

/// How often what is shared is tried to be made.
const TRIES_MAX: u32 = 8;

/// A clock of a test's own. Dropping it takes away what its processes share.
#[derive(Debug)]
pub struct FarClock {
    file: PathBuf,
    library: PathBuf,
    /// A semaphore and a piece of memory, which each process would make for itself and many would
    /// leave behind.
    shared: String,
}

impl FarClock {
    /// One that is right so far, unless libfaketime is not installed.
    #[must_use]
    pub fn new(env: &TestEnv) -> Option<Self> {
        let folders = fs::read_dir("/usr/lib").ok()?.flatten();
        let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
        let library = found.find(|path| path.is_file())?;
        let mut clock = Self { library, file: env.path("clock"), shared: String::new() };
        clock.set(0);
        // The first one makes them; what it becomes does not know that they are its own.
        let make = format!(
            "{} sh -c 'printf %s \"$FAKETIME_SHARED\"; exec env -u LD_PRELOAD true'",
            clock.lead()
        );
        // It fails where one with the same number left its own behind.
        for _ in 0..TRIES_MAX {
            clock.shared = env.run_program("sh", &["-c", &make]).stdout;
            if clock.names().len() == 2 {
                return Some(clock);
            }
        }
        panic!("libfaketime shares nothing: {}", clock.shared)
    }

    /// Sets it to so many seconds ahead of ours, for whoever looks at it from now on.
    pub fn set(&self, ahead_s: i64) {
        // Read anew at each look at it; a half-written one must not be seen.
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, format!("{ahead_s:+}s\n")).expect("a file can be written");
        fs::rename(fresh, &self.file).expect("it is ours");
    }

    /// The words before those of a program that lives by it, for a shell.
    #[must_use]
    pub fn lead(&self) -> String {
        let (library, file) = (self.library.display(), self.file.display());
        let shared = match self.shared.as_str() {
            "" => String::new(),
            shared => format!("'FAKETIME_SHARED={shared}'"),
        };
        format!(
            "/usr/bin/env LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={file} {SETTINGS} {shared}"
        )
    }

    fn names(&self) -> Vec<&str> {
        self.shared.split(' ').filter_map(|name| name.strip_prefix("/faketime_")).collect()
    }
}

impl Drop for FarClock {
    fn drop(&mut self) {
        for name in self.names() {
            for prefix in ["sem.", ""] {
                fs::remove_file(format!("/dev/shm/{prefix}faketime_{name}")).ok();
            }
        }
    }
}
