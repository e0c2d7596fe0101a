//! What the machine can do at best, measured in the same run.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bench::figures::Samples;
use bench::report::Report;
use testkit::wait::now;

/// What the disk takes to append 300 bytes and make them durable, asked in turn with what is
/// measured: it changes from one minute to the next.
pub(crate) struct Disk {
    path: PathBuf,
    file: File,
    samples: Samples,
}

impl Disk {
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("fsync-probe");
        let file = File::create(&path)?;
        Ok(Self { path, file, samples: Samples::none() })
    }

    pub(crate) fn ask(&mut self) -> anyhow::Result<()> {
        let began = now();
        self.file.write_all(&[b'x'; 300])?;
        self.file.sync_data()?;
        self.samples.push_ms(began.elapsed());
        Ok(())
    }

    /// The median of all that it took, in milliseconds.
    pub(crate) fn tell(self, report: &mut Report) -> f64 {
        let median = self.samples.median();
        report.beside("append 300 B and fsync, median", median, "ms");
        median
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its folder goes soon after it in any case.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Starting a program and waiting for its end, in milliseconds.
pub(crate) fn spawn(program: &str, arguments: &[&str], runs: usize) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..runs {
        let mut command = testkit::process::command(program);
        command.args(arguments).stdout(std::process::Stdio::null());
        let began = now();
        command.status()?;
        samples.push_ms(began.elapsed());
    }
    Ok(samples)
}
