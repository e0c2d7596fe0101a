//! Homes of daemons that were killed: what is damaged, and held against what it was before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;
use testkit::TestEnv;

use crate::clients::Clients;
use crate::tally::copy_files;

/// The files of a home that are the store, and that a damage must leave as they are.
const KEPT: [&str; 3] = ["qd.db", "qd.db-wal", "qd.anchor"];

/// Whether a daemon tells of that database, on whatever branch of its history.
pub(crate) fn tells_of(health: &Value, database: &str) -> bool {
    let stream = health["stream_id"].as_str().unwrap_or_default();
    stream.split('.').next() == Some(database)
}

/// A home, put aside whole, with what a reader of it sees.
pub(crate) struct Home {
    folder: PathBuf,
    /// Everything in the database, as SQLite's own shell writes it down.
    dump: String,
    pub(crate) head: u64,
    /// The database's own id.
    pub(crate) database: String,
    /// Which of the clients' events were in it, and how often each.
    pub(crate) clients: Clients,
}

impl Home {
    /// Puts aside the home of a daemon that was killed just now.
    pub(crate) fn put_aside(env: &TestEnv, name: &str, clients: Clients) -> anyhow::Result<Self> {
        let folder = env.path(name);
        copy_files(&env.home(), &folder);
        let dump = dump(env)?;
        let number = |query: &str| env.sqlite(query).trim().to_owned();
        let head = number("SELECT max(seq) FROM journal").parse().context("a journal's end")?;
        let database = number("SELECT value FROM meta WHERE key = 'database_id'");
        // Reading may have touched what was put aside only in the original.
        Ok(Self { folder, dump, head, database, clients })
    }

    /// Lays it out as the home again, as it was.
    pub(crate) fn lay_out(&self, env: &TestEnv) {
        fs::remove_dir_all(env.home()).ok();
        env.make_home();
        copy_files(&self.folder, &env.home());
    }

    /// One of its files, as it was.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether a reader of the home sees what there was before, down to SQLite's own indexes.
    pub(crate) fn reads_the_same(&self, env: &TestEnv) -> bool {
        let sound = env.sqlite("PRAGMA integrity_check");
        sound.trim() == "ok" && dump(env).is_ok_and(|dump| dump == self.dump)
    }
}

fn dump(env: &TestEnv) -> anyhow::Result<String> {
    let mut command = env.command(env.path("bin/sqlite3"));
    let output = command.arg("-readonly").arg(env.database()).arg(".dump").output()?;
    ensure!(output.status.success(), "sqlite3 cannot read the database");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The bytes of the files that are the store.
pub(crate) fn contents(env: &TestEnv) -> BTreeMap<&'static str, Vec<u8>> {
    let read = |name: &'static str| Some((name, fs::read(env.home().join(name)).ok()?));
    KEPT.into_iter().filter_map(read).collect()
}

/// Whether what was found damaged is still there, in its place or in a copy set aside.
pub(crate) fn is_kept(env: &TestEnv, name: &str, bytes: &[u8]) -> bool {
    let suffix = name.strip_prefix("qd.db").map_or(".anchor", |rest| rest);
    let holds = |path: &Path| fs::read(path).is_ok_and(|found| found == bytes);
    let aside = |number: u32| env.home().join(format!("qd.db.damaged-{number}{suffix}"));
    holds(&env.home().join(name)) || (1..10).any(|number| holds(&aside(number)))
}

/// Flips one bit of a file.
pub(crate) fn flip(path: &Path, bit: u64) -> anyhow::Result<()> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8)?;
    byte[0] ^= 1 << (bit % 8);
    Ok(file.write_all_at(&byte, bit / 8)?)
}

/// Cuts a file short.
pub(crate) fn cut(path: &Path, len: u64) -> anyhow::Result<()> {
    Ok(fs::File::options().write(true).open(path)?.set_len(len)?)
}
