//! The real agents, live: each runs scripted and in the dark, and what Quarterdeck shows of it is
//! compared with what the scenario did.
//!
//! `./x test agents` runs those that always run, `./x test agents NAME...` these, `--all` all of
//! them and each once more with the daemon killed in the middle of everything. `--scene NAME` plays
//! a scene alone, `--over-ssh` has the agents on a target over a real `sshd`, `--newest` takes the
//! newest version instead of the corpus's, `--keep DIR` keeps what was seen, `--record DIR` writes
//! records for the corpus, `--page` writes the figures into docs/reference/accuracy.md.

mod acts;
mod install;
mod lab;
mod overheard;
mod page;
mod plan;
mod record;
mod remote;
mod report;
mod run;
mod scenes;
mod sends;
mod shown;
mod stage;
mod truth;

use std::io::Write;
use std::process::ExitCode;

use bench::world::Binary;

use crate::lab::Lab;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::Run;
use crate::scenes::SCENES;
use crate::stage::Stage;

fn main() -> anyhow::Result<ExitCode> {
    let plan = Plan::from_arguments(std::env::args().skip(1))?;
    if let Some(code) = plan.enter_the_dark()? {
        return Ok(code);
    }
    let qd = Binary::find()?;
    let mut report = Report::new(&qd, plan.is_dark());
    for lab in plan.labs() {
        let installed = match install::install(lab, plan.version(lab)) {
            Ok(installed) => installed,
            Err(error) => {
                report.skipped(lab, &format!("{error:#}"));
                continue;
            }
        };
        for round in plan.rounds() {
            let stage = Stage::build(lab, &qd.path, &installed.prefix, round.over_ssh)?;
            let recorder = plan.recorder(&installed.version, &stage)?;
            let mut run = Run::new(stage, round.restarts, plan.keep(), recorder)?;
            say(&format!("{} {}{round}", lab.name, installed.version));
            play(&plan, lab, &mut run, &mut report);
            report.ran(lab, &installed.version, round, run.end());
        }
    }
    report.print();
    report.keep(&plan)?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays the scenes one after the other. After one that could not go on nobody knows what is true:
/// the next begins in another pane.
fn play(plan: &Plan, lab: &Lab, run: &mut Run, report: &mut Report) {
    let mut stuck = false;
    for scene in SCENES.iter().filter(|scene| plan.wants(scene.name)) {
        if let Some((_, why)) = lab.cannot.iter().find(|(name, _)| *name == scene.name) {
            report.left_out(lab, scene.name, why);
            continue;
        }
        run.begin(scene.name);
        say(&format!("  {}", scene.name));
        let ready = if stuck { scenes::recover(run, scene) } else { Ok(()) };
        let played = ready.and_then(|()| (scene.play)(run));
        let played = played.and_then(|()| run.keep_record());
        stuck = played.is_err();
        if let Err(error) = played {
            report.stuck(lab, scene.name, &format!("{error:#}"));
        }
    }
}

/// One line for whoever waits. A closed pipe ends the run anyway.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
