//! Planted bugs: whether the simulator finds what it is there to find.
//!
//! All of [`bugs`] are put into a copy of the tree at once, each behind a question whether it is
//! awake, so that one build is enough for all. Then the simulator runs once for each bug with only
//! that one awake, and once with none, for as long as it may take to find one. The copy lies below
//! `target/`; nothing of this is in the product.

mod bugs;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use bugs::{BUGS, Bug};

/// Names the variable that holds the number of the bug that is awake.
const CHOSEN: &str = "QD_PLANTED";
/// How long the simulator has for each bug; for all of them that is less than ten minutes.
const SECONDS_EACH: u64 = 28;
/// What is not copied: what is built, and what git keeps.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// How one run of the simulator ended.
enum Run {
    Clean,
    /// What it said first, and after how long.
    Failed {
        what: String,
        took: Duration,
    },
}

/// Plants them, looks for each, and reports. Fails unless every one was found.
pub(crate) fn run(root: &Path) -> anyhow::Result<String> {
    let place = root.join("target/planted");
    let tree = place.join("tree");
    copy(root, &tree)?;
    plant(root, &tree)?;
    let build = place.join("build");
    let sim = built(&tree, &build)?;
    if let Run::Failed { what, .. } = simulate(&sim, 0)? {
        anyhow::bail!("the simulator fails although no bug is awake: {what}");
    }
    let (mut report, mut found, mut took_all) = (String::new(), 0, Duration::ZERO);
    for (number, bug) in (1..).zip(BUGS) {
        let (verdict, took) = match simulate(&sim, number)? {
            Run::Clean => ("NOT FOUND".to_owned(), Duration::from_secs(SECONDS_EACH)),
            Run::Failed { what, took } => {
                found += 1;
                (what, took)
            }
        };
        took_all += took;
        let Bug { what, place: (krate, file), .. } = bug;
        let seconds = took.as_secs_f64();
        writeln!(report, "{number:>2} {seconds:>5.1} s  {krate}/{file}: {what}\n     {verdict}")?;
    }
    let seconds = took_all.as_secs_f64();
    writeln!(report, "{found} of {} planted bugs found in {seconds:.0} s", BUGS.len())?;
    ensure!(found == BUGS.len(), "{report}");
    Ok(report)
}

/// Brings the copy up to date. A file that is the same stays untouched, so that little is built.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|it| name == *it) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            let bytes = fs::read(&source)?;
            write_if_new(&target, &bytes)?;
        }
    }
    Ok(())
}

fn write_if_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Puts every bug into the copy.
fn plant(root: &Path, tree: &Path) -> anyhow::Result<()> {
    for krate in ["engine", "store", "tmux"] {
        let mut files = bugs_by_file(krate);
        files.entry("lib.rs").or_default();
        for (file, numbers) in files {
            let path = format!("crates/{krate}/src/{file}");
            let mut text = fs::read_to_string(root.join(&path))?;
            for number in numbers {
                text = planted(&text, number)?;
            }
            if file == "lib.rs" {
                text += &alarm();
            }
            // The copy was brought up to date just now: this file alone is always written twice.
            fs::write(tree.join(&path), text)?;
        }
    }
    Ok(())
}

/// The numbers of a crate's bugs, by the files they are in.
fn bugs_by_file(krate: &str) -> std::collections::BTreeMap<&'static str, Vec<usize>> {
    let mut files: std::collections::BTreeMap<_, Vec<usize>> = std::collections::BTreeMap::new();
    let numbered = (1..).zip(BUGS).filter(|(_, bug)| bug.place.0 == krate);
    numbered.for_each(|(number, bug)| files.entry(bug.place.1).or_default().push(number));
    files
}

fn planted(text: &str, number: usize) -> anyhow::Result<String> {
    let Bug { what, place: (krate, file), find, plant } = &BUGS[number - 1];
    let times = text.matches(find).count();
    ensure!(
        times == 1,
        "the planted bug {number} ({what}) needs a piece of code that crates/{krate}/src/{file} \
         has {times} times instead of once; give it the code as it is now, in \
         xtask/src/planted/bugs.rs:\n  {find}"
    );
    let awake = format!("crate::planted::is_awake({number})");
    Ok(text.replace(find, &plant.replace("PLANTED", &awake)))
}

/// What a crate of the copy asks whether a bug is awake.
fn alarm() -> String {
    format!(
        "\nmod planted {{\n    pub(crate) fn is_awake(number: u32) -> bool {{\n        \
         static AWAKE: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();\n        \
         let chosen = || std::env::var(\"{CHOSEN}\").ok()?.parse().ok();\n        \
         *AWAKE.get_or_init(chosen) == Some(number)\n    }}\n}}\n"
    )
}

/// Builds the simulator of the copy.
#[expect(clippy::disallowed_methods, reason = "cargo is no process of a target")]
fn built(tree: &Path, build: &Path) -> anyhow::Result<std::path::PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--profile", "fast", "-p", "testkit", "--bin"]);
    // What is planted need not be beautiful.
    cargo.arg("sim").env("RUSTFLAGS", "--cap-lints allow").env("CARGO_TARGET_DIR", build);
    let status = cargo.current_dir(tree).status().context("cargo cannot be started")?;
    ensure!(status.success(), "the tree with the planted bugs does not compile");
    Ok(build.join("fast/sim"))
}

/// Runs fresh seeds with one bug awake; number 0 is none.
#[expect(clippy::disallowed_methods, reason = "how long it takes to find a bug is real time")]
fn simulate(sim: &Path, number: u32) -> anyhow::Result<Run> {
    let mut command = Command::new(sim);
    command.args(["--seconds", &SECONDS_EACH.to_string()]).env(CHOSEN, number.to_string());
    let began = Instant::now();
    let output = command.output().context("the simulator cannot be started")?;
    let took = began.elapsed();
    if output.status.success() {
        return Ok(Run::Clean);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut failed = said.lines().skip_while(|line| !line.starts_with("FAILED"));
    let what = match (failed.next(), failed.next()) {
        (Some(where_), Some(what)) => format!("{where_}: {}", shortened(what)),
        // It did not get so far as to say anything: the bug made a panic of it.
        (Some(_) | None, _) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let panic = complaint.lines().skip_while(|line| !line.contains("panicked")).nth(1);
            format!("panic: {}", shortened(panic.unwrap_or_default()))
        }
    };
    Ok(Run::Failed { what, took })
}

fn shortened(line: &str) -> String {
    line.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_fits_the_code_as_it_is() {
        let root = crate::tree::workspace_root().unwrap();
        for (number, bug) in (1..).zip(BUGS) {
            let (krate, file) = bug.place;
            let path = root.join(format!("crates/{krate}/src/{file}"));
            let changed = planted(&fs::read_to_string(path).unwrap(), number).unwrap();
            assert!(changed.contains(&format!("is_awake({number})")), "{}", bug.what);
        }
    }

    #[test]
    fn there_are_as_many_as_the_goal_names() {
        assert_eq!(BUGS.len(), 20);
    }
}
