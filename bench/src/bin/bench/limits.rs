//! What the machine can do at best, measured in the same run.

use std::io::Write;
use std::path::Path;

use bench::figures::Samples;
use testkit::wait::now;

/// Appending 300 bytes and making them durable, in milliseconds.
pub(crate) fn fsync(folder: &Path) -> anyhow::Result<Samples> {
    let path = folder.join("fsync-probe");
    let mut file = std::fs::File::create(&path)?;
    let mut samples = Samples::default();
    for _ in 0..300 {
        let began = now();
        file.write_all(&[b'x'; 300])?;
        file.sync_data()?;
        samples.push_ms(began.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(samples)
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
