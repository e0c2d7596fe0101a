//! Scenes in which a prompt is sent from elsewhere: it is taken exactly once, or refused, and what
//! somebody typed stays as it is.

use std::time::Duration;

use testkit::model::What;
use testkit::wait;

use crate::run::Run;
use crate::scenes::{ask, refuse};

/// The reason to refuse a prompt that an agent cannot take now.
const BUSY: &[&str] = &["E_AGENT_BUSY"];

/// What somebody typed and did not send.
const DRAFT: &str = "half a thought of mine";

/// How long it is waited for a prompt that must not come.
const NEVER: Duration = Duration::from_secs(2);

fn text(tag: &str) -> String {
    format!("Do {tag} {{{{say sent}}}}")
}

/// At rest a prompt is taken, once, however often the same request comes.
pub(crate) fn at_rest(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.tag();
    let (pane, text) = (run.pane.clone(), text(&tag));
    let line = ["send", &pane, "--text", &text, "--enter", "--request-ref", &tag, "--json"];
    let again = run.stage.qd_at_once(&line);
    let said = run.stage.qd(&line);
    let again = again();
    let asked = run.stage.model_does(&tag, |what| *what == What::Asked)?;
    run.now("turn", said.begun, asked, "running");
    let took = asked.saturating_duration_since(said.begun);
    run.had_to_do("sent at rest", &said, Some(took));
    run.had_to_do("the same request again", &again, None);
    run.finishes(&tag, 1)?;
    run.hold(1_000);
    taken_once(run, &tag);
    Ok(())
}

fn taken_once(run: &mut Run, tag: &str) {
    let times = run.times_asked(tag);
    run.had_to_be("a prompt is taken exactly once", times == 1, &format!("{times} times"));
}

/// Sends a prompt that must be refused; nothing of it may reach the agent.
fn refused(run: &mut Run, name: &'static str) {
    let tag = run.tag();
    let said = run.stage.qd(&["send", &run.pane, "--text", &text(&tag), "--enter", "--json"]);
    run.had_to_refuse(name, &said, BUSY);
    let came = wait::within(NEVER, || (run.times_asked(&tag) > 0).then_some(()));
    let shown = run.stage.screen(&run.pane).contains(&tag);
    let untouched = came.is_none() && !shown;
    run.had_to_be("nothing of what was refused arrives", untouched, "it is there");
}

/// While it works a prompt is refused, or waits until it can be taken.
pub(crate) fn at_work(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{mute 7000}} {{say slept}}")?;
    run.hold(1_000);
    refused(run, "sent at work");
    let later = run.tag();
    let (pane, text) = (run.pane.clone(), text(&later));
    let line = ["send", &pane, "--text", &text, "--enter", "--if-busy", "wait", "--json"];
    let waiting = run.stage.qd_at_once(&line);
    // It is taken at once, so that the turns are hardly apart.
    let ended = run.stage.model_ends(&tag, 1)?;
    run.now("between", ended, ended, "running|completed");
    let said = waiting();
    let asked = run.stage.model_does(&later, |what| *what == What::Asked)?;
    run.now("turn", asked, asked, "running");
    run.had_to_do("sent after its work", &said, None);
    run.finishes(&later, 1)?;
    run.hold(1_000);
    taken_once(run, &later);
    Ok(())
}

/// To a dialog nothing is ever sent, and it stays.
pub(crate) fn at_a_dialog(run: &mut Run) -> anyhow::Result<()> {
    ask(run, "{{escalate touch never.txt}} {{say made}}")?;
    run.hold(1_000);
    refused(run, "sent to a dialog");
    run.sees(run.stage.lab.marks.approval)?;
    run.sample(500);
    refuse(run, run.stage.lab.keys.deny)?;
    let ran = run.stage.site.project.join("never.txt").exists();
    run.had_to_be("a prompt answers no dialog", !ran, "it did");
    Ok(())
}

/// Somebody's draft is neither sent nor mixed with nor taken away.
pub(crate) fn with_a_draft(run: &mut Run) -> anyhow::Result<()> {
    run.key(run.stage.lab.keys.clear);
    run.stage.tmux(&["send-keys", "-t", &run.pane, "-l", DRAFT]);
    run.sees(&[DRAFT])?;
    refused(run, "sent where a draft stands");
    let stands = run.stage.screen(&run.pane).contains(DRAFT);
    run.had_to_be("a draft stays", stands, "it is gone");
    run.key(run.stage.lab.keys.clear);
    run.unsees(&[DRAFT])?;
    run.sample(500);
    Ok(())
}

/// The agent of a request has ended, and a shell is there instead.
pub(crate) fn to_what_ended(run: &mut Run, runtime: &str) {
    let tag = run.tag();
    let reference = format!("runtime:{runtime}");
    let said = run.stage.qd(&["send", &reference, "--text", &text(&tag), "--enter", "--json"]);
    run.had_to_refuse("sent to an agent that ended", &said, &["E_RUNTIME_STALE", "E_REF_"]);
    let shown = run.stage.screen(&run.pane).contains(&tag);
    run.had_to_be("nothing of what was refused arrives", !shown, "it is there");
}
