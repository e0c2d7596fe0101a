//! Planted bugs: whether the simulator finds what it is there to find.
//!
//! All of [`bugs`] are put into a copy of the tree at once, each behind a question whether it is
//! awake, so that one build is enough for all. Then the simulator runs once for each bug with only
//! that one awake, and once with none, for as long as it may take to find one. The copy lies below
//! `target/`; nothing of this is in the product.

mod bugs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use bugs::{BUGS, Bug};

/// Names the variable that holds the number of the bug that is awake.
const CHOSEN: &str = "QD_PLANTED";
/// How long the simulator has for all of them together: ten minutes.
const TIME: Duration = Duration::from_secs(600);
/// How long it has at first for each, in each world in which the bug can show itself. What is left
/// of the time is for those that were not found so.
const AT_FIRST: Duration = Duration::from_secs(15);
/// What is not copied: what is built, and what git keeps.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// How the search for one bug ended.
struct Run {
    /// What the simulator said first, if it found something.
    found: Option<String>,
    took: Duration,
}

/// Plants them and looks for each. Fails unless every one was found.
pub(crate) fn run(root: &Path) -> anyhow::Result<String> {
    let place = root.join("target/planted");
    let tree = place.join("tree");
    copy(root, &tree)?;
    let misfits = plant(root, &tree)?;
    let sim = place.join("sim");
    fs::copy(built(&tree, &root.join("target"))?, &sim)?;
    if let Some(what) = simulate(&sim, 0, &["--engine", "--whole"], AT_FIRST)?.found {
        anyhow::bail!("the simulator fails although no bug is awake: {what}");
    }
    let numbered = || (1..).zip(BUGS);
    let (mut missing, mut took_all) = (Vec::new(), Duration::ZERO);
    for (number, bug) in numbered().filter(|(number, _)| !misfits.contains(number)) {
        let run = simulate(&sim, number, bug.worlds(), AT_FIRST)?;
        took_all += run.took;
        if run.found.is_none() {
            missing.push((number, bug));
        }
        tell(number, bug, &run)?;
    }
    let mut left = missing.len();
    let mut not_found = misfits.len();
    for (number, bug) in missing {
        let share = TIME.saturating_sub(took_all) / u32::try_from(left * bug.worlds().len())?;
        let run = simulate(&sim, number, bug.worlds(), share.max(AT_FIRST))?;
        took_all += run.took;
        left -= 1;
        not_found += usize::from(run.found.is_none());
        tell(number, bug, &run)?;
    }
    for (number, bug) in numbered().filter(|(number, _)| misfits.contains(number)) {
        say(&format!("{number:>2} NOT PLANTED, the code is another now: {}", bug.what))?;
    }
    let (found, seconds) = (BUGS.len() - not_found, took_all.as_secs());
    let sum = format!("{found} of {} planted bugs found in {seconds} s\n", BUGS.len());
    ensure!(not_found == 0, "{sum}");
    Ok(sum)
}

/// Each is told at once: whoever waits for all of them waits for minutes.
fn tell(number: u32, bug: &Bug, run: &Run) -> anyhow::Result<()> {
    let Bug { what, place: (krate, file), .. } = bug;
    let verdict = run.found.as_deref().unwrap_or("NOT FOUND");
    let seconds = run.took.as_secs_f64();
    say(&format!("{number:>2} {seconds:>5.1} s  {krate}/{file}: {what}\n     {verdict}"))
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("nobody listens")
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

/// Puts every bug into the copy; gives the numbers of those that do not fit.
fn plant(root: &Path, tree: &Path) -> anyhow::Result<BTreeSet<u32>> {
    let mut misfits = BTreeSet::new();
    for krate in ["engine", "store", "tmux"] {
        let mut files: BTreeMap<&str, Vec<(u32, &Bug)>> = BTreeMap::from([("lib.rs", Vec::new())]);
        for (number, bug) in (1..).zip(BUGS).filter(|(_, bug)| bug.place.0 == krate) {
            files.entry(bug.place.1).or_default().push((number, bug));
        }
        for (file, bugs) in files {
            let path = format!("crates/{krate}/src/{file}");
            let mut text = fs::read_to_string(root.join(&path))?;
            for (number, bug) in bugs {
                match planted(&text, number, bug) {
                    Some(changed) => text = changed,
                    None => {
                        misfits.insert(number);
                    }
                }
            }
            if file == "lib.rs" {
                text += &alarm();
            }
            fs::write(tree.join(&path), text)?;
        }
    }
    Ok(misfits)
}

/// The text with the bug in it, if it has the place for it.
fn planted(text: &str, number: u32, bug: &Bug) -> Option<String> {
    let awake = format!("crate::planted::is_awake({number})");
    let fits = text.matches(bug.find).count() == 1;
    fits.then(|| text.replace(bug.find, &bug.plant.replace("PLANTED", &awake)))
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

/// Builds the simulator of the copy, beside the real one: what both depend on is built once.
#[expect(clippy::disallowed_methods, reason = "cargo is no process of a target")]
fn built(tree: &Path, target: &Path) -> anyhow::Result<std::path::PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--profile", "fast", "-p", "testkit", "--bin"]);
    cargo.arg("sim").env("CARGO_TARGET_DIR", target);
    let status = cargo.current_dir(tree).status().context("cargo cannot be started")?;
    ensure!(status.success(), "the tree with the planted bugs does not compile");
    Ok(target.join("fast/sim"))
}

/// Runs fresh seeds with one bug awake, in one world after the other; number 0 is none.
fn simulate(sim: &Path, number: u32, worlds: &[&str], each: Duration) -> anyhow::Result<Run> {
    let mut run = Run { found: None, took: Duration::ZERO };
    for world in worlds {
        let (found, took) = simulate_in(sim, number, world, each)?;
        run.took += took;
        if found.is_some() {
            run.found = found;
            break;
        }
    }
    Ok(run)
}

/// What was found in one world, if anything was, and how long that took.
#[expect(clippy::disallowed_methods, reason = "how long it takes to find a bug is real time")]
fn simulate_in(
    sim: &Path,
    number: u32,
    world: &str,
    time: Duration,
) -> anyhow::Result<(Option<String>, Duration)> {
    let mut command = Command::new(sim);
    command.args([world, "--seconds", &time.as_secs().to_string()]);
    command.env(CHOSEN, number.to_string());
    let began = Instant::now();
    let output = command.output().context("the simulator cannot be started")?;
    let took = began.elapsed();
    if output.status.success() {
        return Ok((None, took));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut failed = said.lines().skip_while(|line| !line.starts_with("FAILED"));
    let what = match (failed.next(), failed.next()) {
        (Some(place), Some(what)) => format!("{place}: {}", shortened(what)),
        // It did not get so far as to say anything: the bug made a panic of it.
        (Some(_) | None, _) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let panic = complaint.lines().skip_while(|line| !line.contains("panicked")).nth(1);
            format!("panic: {}", shortened(panic.unwrap_or_default()))
        }
    };
    Ok((Some(what), took))
}

fn shortened(line: &str) -> String {
    line.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_planted_once_or_not_at_all() {
        let bug = Bug {
            what: "zero counts as more",
            place: ("engine", "lib.rs"),
            find: "count > 0",
            plant: "(count > 0 || PLANTED)",
        };
        let planted = |text| planted(text, 7, &bug);
        let changed = planted("if count > 0 {").unwrap();
        assert_eq!(changed, "if (count > 0 || crate::planted::is_awake(7)) {");
        assert_eq!(planted("if count >= 1 {"), None, "it was rewritten");
        assert_eq!(planted("count > 0 && count > 0"), None, "it could be either");
    }

    #[test]
    fn every_bug_has_its_place_in_the_code_as_it_is_now() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (number, bug) in (1..).zip(BUGS) {
            let (krate, file) = bug.place;
            let path = root.join("crates").join(krate).join("src").join(file);
            let text = fs::read_to_string(path).unwrap();
            assert!(planted(&text, number, bug).is_some(), "{krate}/{file}: {}", bug.what);
        }
    }

    #[test]
    fn there_are_as_many_as_the_goal_names() {
        assert_eq!(BUGS.len(), 26);
    }
}
