//! What a group did and what it found: counts, violations with how to repeat them, what was
//! skipped and why.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bench::world::World;
use testkit::wait::now;

use crate::say;

/// Where the homes of failed rounds are kept.
const KEPT: &str = "target/torture";

/// The account of one group.
pub(crate) struct Tally {
    group: &'static str,
    began: Instant,
    counts: Vec<(&'static str, u64)>,
    violations: usize,
    skipped: Vec<String>,
    /// Where the home of the round that failed is kept, from that moment until it is reported.
    kept: Option<PathBuf>,
}

impl Tally {
    pub(crate) fn new(group: &'static str) -> Self {
        Self {
            group,
            began: now(),
            counts: Vec::new(),
            violations: 0,
            skipped: Vec::new(),
            kept: None,
        }
    }

    /// Counts something that was done.
    pub(crate) fn add(&mut self, what: &'static str, by: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += by,
            None => self.counts.push((what, by)),
        }
    }

    /// Something was found to be wrong. The message says how to repeat it.
    pub(crate) fn violation(&mut self, message: &str) {
        self.violations += 1;
        say(&format!("{}: VIOLATION: {message}", self.group));
    }

    /// Something could not be tried on this machine.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        say(&format!("{}: SKIPPED {what}: {why}", self.group));
        self.skipped.push(what.to_owned());
    }

    /// A figure that was measured on the way.
    pub(crate) fn figure(&self, text: &str) {
        say(&format!("{}: {text}", self.group));
    }

    pub(crate) fn violations(&self) -> usize {
        self.violations
    }

    /// Plays one round in its world. An error or a panic of it is a violation, as is anything that
    /// outlives the world; the home is then kept beside the build. `again` are the arguments that
    /// repeat the round.
    pub(crate) fn round(
        &mut self,
        again: &str,
        world: World,
        play: impl FnOnce(&mut World, &mut Self) -> anyhow::Result<()>,
    ) {
        let mut world = world;
        let played = caught(|| play(&mut world, self));
        if played.is_err() {
            self.keep(again, &world.env.home());
        }
        let cleared = caught(|| {
            drop(world);
            Ok(())
        });
        let kept = self.kept.take().map(|it| format!("\n  kept: {}", it.display()));
        for found in [played, cleared].into_iter().filter_map(Result::err) {
            let repeat = format!("./x torture {} {again}", self.group);
            let kept = kept.as_deref().unwrap_or_default();
            self.violation(&format!("{found}\n  repeat: {repeat}{kept}"));
        }
    }

    /// Copies the home of a round that failed to where it outlives its world; for those who have
    /// to take the home away before the round is over.
    pub(crate) fn keep(&mut self, again: &str, home: &Path) {
        if self.kept.is_none() {
            let name = format!("{} {again}", self.group).replace([' ', ':', '='], "-");
            let kept = PathBuf::from(KEPT).join(name);
            fs::remove_dir_all(&kept).ok();
            copy_files(home, &kept);
            self.kept = Some(kept);
        }
    }

    /// The one line that sums the group up.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{:<9}", self.group);
        for (place, (what, count)) in self.counts.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(line, "{comma} {count} {what}").ok();
        }
        if self.counts.is_empty() {
            line += " nothing tried";
        }
        if !self.skipped.is_empty() {
            write!(line, "; SKIPPED {}", self.skipped.join(", ")).ok();
        }
        let seconds = self.began.elapsed().as_secs_f64();
        write!(line, "; {} violations, {seconds:.1} s", self.violations).ok();
        line
    }
}

/// Runs something that may fail by an error or by a panic of the test kit.
fn caught(run: impl FnOnce() -> anyhow::Result<()>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(text.unwrap_or_else(|| "a panic without words".to_owned()))
        }
    }
}

/// Copies the plain files of a folder and of those below it; sockets stay.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).ok();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_files(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).ok();
        }
    }
}
