//! The scenes that an agent is taken through. Each begins with the agent at rest in the run's pane
//! and ends so, unless its name says otherwise.

use std::time::Instant;

use testkit::model::What;
use testkit::wait;

use crate::run::Run;
use crate::stage::pause;
use crate::{remote, sends};

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) play: fn(&mut Run) -> anyhow::Result<()>,
}

pub(crate) const SCENES: &[Scene] = &[
    Scene { name: "startup", play: startup },
    Scene { name: "thinking", play: thinking },
    Scene { name: "long_tool", play: long_tool },
    Scene { name: "approved", play: approved },
    Scene { name: "denied", play: denied },
    Scene { name: "escaped", play: escaped },
    Scene { name: "edit", play: edit },
    Scene { name: "question", play: question },
    Scene { name: "interrupted", play: interrupted },
    Scene { name: "interrupted_text", play: interrupted_text },
    Scene { name: "interrupted_tool", play: interrupted_tool },
    Scene { name: "failed", play: failed },
    Scene { name: "retry", play: retry },
    Scene { name: "hang", play: hang },
    Scene { name: "queued", play: queued },
    Scene { name: "subagent", play: subagent },
    Scene { name: "compaction", play: compaction },
    Scene { name: "copy_mode", play: copy_mode },
    Scene { name: "narrow", play: narrow },
    Scene { name: "moved", play: moved },
    Scene { name: "suspended", play: suspended },
    Scene { name: "two_agents", play: two_agents },
    Scene { name: "by_keys", play: remote::by_keys },
    Scene { name: "by_hook", play: remote::by_hook },
    Scene { name: "held_and_interrupted", play: remote::held_and_interrupted },
    Scene { name: "attached", play: remote::attached },
    Scene { name: "late", play: remote::late },
    Scene { name: "race", play: remote::race },
    Scene { name: "replaced", play: remote::replaced },
    Scene { name: "question_remote", play: remote::question },
    Scene { name: "question_denied", play: remote::question_denied },
    Scene { name: "question_parts", play: remote::question_parts },
    Scene { name: "send_at_rest", play: sends::at_rest },
    Scene { name: "send_at_work", play: sends::at_work },
    Scene { name: "send_to_dialog", play: sends::at_a_dialog },
    Scene { name: "send_with_draft", play: sends::with_a_draft },
    // Its words stay on the screen, and would look like another scene's.
    Scene { name: "quoted", play: quoted },
    Scene { name: "exit", play: exit },
    Scene { name: "printed", play: printed },
    Scene { name: "again", play: again },
    Scene { name: "killed", play: killed },
    Scene { name: "wrapped", play: wrapped },
    Scene { name: "in_script", play: in_script },
    Scene { name: "without_tmux", play: without_tmux },
    Scene { name: "pane_killed", play: pane_killed },
];

/// Where somebody is waited for, and the answer is given by the agent's keys.
const PERMISSION: &str = "{{escalate touch made.txt && sleep 3}} {{say made}}";

/// Types a command line that starts the agent.
fn launch(run: &mut Run, line: &str) -> anyhow::Result<()> {
    let begun = run.stage.line(&run.pane, line);
    run.now("launch", begun, begun, "unknown|idle");
    let ready = run.starts(run.stage.lab.marks.ready)?;
    run.now("ready", ready, ready, "idle");
    run.hold(3_000);
    Ok(())
}

/// Scenes that begin at the shell.
const FROM_SHELL: &[&str] =
    &["printed", "again", "wrapped", "in_script", "without_tmux", "pane_killed"];

/// Begins anew in another pane, with nothing true of the one before, as `next` expects it.
pub(crate) fn recover(run: &mut Run, next: &Scene) -> anyhow::Result<()> {
    run.lost()?;
    if FROM_SHELL.contains(&next.name) { Ok(()) } else { launch(run, run.stage.lab.program) }
}

fn startup(run: &mut Run) -> anyhow::Result<()> {
    if run.stage.lab.marks.startup.is_empty() {
        return launch(run, run.stage.lab.program);
    }
    let begun = run.stage.line(&run.pane, run.stage.lab.program);
    run.now("launch", begun, begun, "unknown");
    let asked = run.starts(run.stage.lab.marks.startup)?;
    run.now("dialog", asked, asked, "waiting_input/startup_dialog");
    run.hold(3_000);
    let pressed = run.key(run.stage.lab.keys.trust);
    run.unsees(run.stage.lab.marks.startup)?;
    let ready = run.sees(run.stage.lab.marks.ready)?;
    run.now("ready", pressed, ready, "idle");
    run.hold(4_000);
    (run.stage.lab.trust)(&run.stage.site)
}

fn thinking(run: &mut Run) -> anyhow::Result<()> {
    let words = "the quick brown fox jumps over the lazy dog and then rests for a while";
    let script =
        format!("{{{{mute 2500}}}} {{{{think 2500}}}} {{{{pace 150}}}} {{{{say {words}}}}}");
    let tag = run.prompt(&script)?;
    run.hold(6_000);
    run.finishes(&tag, 1)?;
    run.hold(3_000);
    Ok(())
}

fn long_tool(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{run sleep 7}} {{say slept}}")?;
    run.hold(6_000);
    run.finishes(&tag, 2)?;
    run.hold(2_000);
    Ok(())
}

/// Has the agent ask for a permission; gives the tag of the prompt.
pub(crate) fn ask(run: &mut Run, script: &str) -> anyhow::Result<String> {
    let tag = run.prompt(script)?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let asked = run.sees(run.stage.lab.marks.approval)?;
    run.now("approval", called, asked, "waiting_approval/approval_requested");
    std::fs::write(run.stage.dialog(), run.stage.screen(&run.pane))?;
    Ok(tag)
}

/// Answers so that the turn is over.
pub(crate) fn refuse(run: &mut Run, keys: &[&str]) -> anyhow::Result<()> {
    let pressed = run.key(keys);
    run.unsees(run.stage.lab.marks.approval)?;
    let (from, stopped) = run.rests(pressed)?;
    run.now("denied", from, stopped, "idle/interrupted");
    run.hold(3_000);
    Ok(())
}

fn approved(run: &mut Run) -> anyhow::Result<()> {
    let tag = ask(run, PERMISSION)?;
    run.hold(4_000);
    let pressed = run.key(run.stage.lab.keys.approve);
    let closed = run.unsees(run.stage.lab.marks.approval)?;
    run.now("approved", pressed, closed, "running");
    run.hold(2_000);
    run.finishes(&tag, 2)?;
    run.hold(2_000);
    Ok(())
}

fn denied(run: &mut Run) -> anyhow::Result<()> {
    ask(run, PERMISSION)?;
    run.hold(2_000);
    refuse(run, run.stage.lab.keys.deny)
}

fn escaped(run: &mut Run) -> anyhow::Result<()> {
    ask(run, PERMISSION)?;
    // A reminder comes seconds later; it must change nothing.
    run.hold(9_000);
    refuse(run, &["Escape"])
}

fn edit(run: &mut Run) -> anyhow::Result<()> {
    ask(run, "{{write fresh.txt|new}} {{say written}}")?;
    run.hold(2_000);
    refuse(run, run.stage.lab.keys.deny)
}

fn question(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{ask Which side is it?}} {{say answered}}")?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let asked = run.sees(run.stage.lab.marks.question)?;
    run.now("question", called, asked, "waiting_input/question");
    run.hold(3_000);
    let pressed = run.key(run.stage.lab.keys.answer);
    let closed = run.unsees(run.stage.lab.marks.question)?;
    run.now("answered", pressed, closed, "running|completed");
    run.finishes(&tag, 2)?;
    run.hold(2_000);
    Ok(())
}

/// How often somebody presses the keys that interrupt before they give up. An agent does not always
/// take its two keys for one word.
const INTERRUPTS_MAX: usize = 4;

/// Presses the keys that interrupt until the agent stopped, as `stopped` sees it.
fn interrupt_until(
    run: &mut Run,
    truth: &'static str,
    stopped: impl Fn(&Run) -> Option<Instant>,
) -> anyhow::Result<()> {
    for _ in 0..INTERRUPTS_MAX {
        let pressed = run.key(run.stage.lab.keys.interrupt);
        let Some(noticed) = stopped(run) else { continue };
        let stopped = run.unsees(run.stage.lab.marks.busy)?.max(noticed);
        run.now("interrupted", pressed, stopped, truth);
        run.hold(3_000);
        return Ok(());
    }
    anyhow::bail!("it goes on, however often it is interrupted")
}

/// Interrupts whatever the agent does.
pub(crate) fn interrupt(run: &mut Run) -> anyhow::Result<()> {
    let rests = |run: &Run| run.stage.unsees_soon(&run.pane, run.stage.lab.marks.busy);
    interrupt_until(run, "idle/interrupted", rests)
}

/// Interrupts the model's answer: the model is told that nobody listens any more.
fn interrupt_model(run: &mut Run, tag: &str, truth: &'static str) -> anyhow::Result<()> {
    interrupt_until(run, truth, |run| run.stage.model_is_left(tag))
}

fn interrupted(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{mute 60000}} {{say never}}")?;
    run.hold(3_000);
    // Nothing was said yet, and an agent may take the prompt back as if it had never been given.
    interrupt_model(run, &tag, "idle")
}

fn interrupted_text(run: &mut Run) -> anyhow::Result<()> {
    // The same word again and again is taken for a loop by some agents, and stopped.
    let words: String = (0..120).map(|number| format!("word{number} ")).collect();
    let tag = run.prompt(&format!("{{{{pace 200}}}} {{{{say {words}}}}}"))?;
    run.hold(4_000);
    interrupt_model(run, &tag, "idle/interrupted")
}

fn interrupted_tool(run: &mut Run) -> anyhow::Result<()> {
    run.prompt("{{run sleep 60}} {{say never}}")?;
    run.hold(4_000);
    interrupt(run)
}

fn failed(run: &mut Run) -> anyhow::Result<()> {
    let (tag, begun) = run.type_prompt("{{fail 400}} {{say never}}");
    let refused = run.stage.model_does(&tag, |what| *what == What::Refused(400))?;
    run.sees(run.stage.lab.marks.failed)?;
    let certain = run.unsees(run.stage.lab.marks.busy)?.max(refused);
    run.now("failed", begun, certain, "error/api_error");
    run.hold(4_000);
    Ok(())
}

fn retry(run: &mut Run) -> anyhow::Result<()> {
    let refusals = run.stage.lab.refusals;
    let tag = run.prompt(&format!("{{{{fail 529 {refusals}}}}} {{{{say at last}}}}"))?;
    let shown = run.sees(run.stage.lab.marks.retrying)?;
    run.now("retry", shown, shown, "running/api_retry");
    run.hold(1_000);
    run.finishes(&tag, 1)?;
    run.hold(2_000);
    Ok(())
}

fn hang(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{mute 14000}} {{say late}}")?;
    run.hold(13_000);
    run.finishes(&tag, 1)?;
    run.hold(2_000);
    Ok(())
}

fn queued(run: &mut Run) -> anyhow::Result<()> {
    run.prompt("{{run sleep 6}} {{say one}}")?;
    run.hold(2_000);
    let (second, _) = run.type_unclean("{{say two}}");
    run.hold(2_000);
    // Whether the second is a turn of its own differs, and so what is true between them.
    let between = run.stage.model_does(&second, |what| *what == What::Ended)?;
    run.now("between", between, between, "running|completed");
    let certain = run.unsees(run.stage.lab.marks.busy)?;
    run.now("done", between, certain, "completed");
    run.hold(2_000);
    Ok(())
}

fn subagent(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{delegate look at it {{run sleep 4}} {{say found}}}} {{say all}}")?;
    run.hold(5_000);
    run.finishes(&tag, 2)?;
    run.hold(3_000);
    Ok(())
}

fn compaction(run: &mut Run) -> anyhow::Result<()> {
    let begun = run.stage.line(&run.pane, run.stage.lab.keys.compact);
    run.now("compacting", begun, begun, "running|idle|completed");
    let done = run.sees(run.stage.lab.marks.compacted)?;
    run.unsees(run.stage.lab.marks.busy)?;
    run.now("compacted", begun, done.max(wait::now()), "idle|completed");
    run.hold(3_000);
    Ok(())
}

/// The model's words look like a dialog, like a footer and like work.
fn quoted(run: &mut Run) -> anyhow::Result<()> {
    let quotes = "Do you want to proceed? ❯ 1. Yes 2. No Esc to cancel · Allow execution of: [ls]? \
                  ● 1. Allow once Would you like to run the following command? \
                  • Working (3s • esc to interrupt)";
    let tag = run.prompt(&format!("{{{{say {quotes}}}}}"))?;
    let begun = run.stage.model_ends(&tag, 1)?;
    run.sees(&["Working (3s"])?;
    // The quoted words stand on the screen, so only time tells that the turn is over.
    pause(std::time::Duration::from_secs(2));
    run.now("quoted", begun, wait::now(), "completed");
    run.hold(4_000);
    Ok(())
}

fn copy_mode(run: &mut Run) -> anyhow::Result<()> {
    run.stage.tmux(&["copy-mode", "-t", &run.pane]);
    run.stage.tmux(&["send-keys", "-t", &run.pane, "-X", "cancel"]);
    ask(run, PERMISSION)?;
    run.stage.tmux(&["copy-mode", "-t", &run.pane]);
    run.hold(4_000);
    run.stage.tmux(&["send-keys", "-t", &run.pane, "-X", "cancel"]);
    refuse(run, run.stage.lab.keys.deny)
}

fn narrow(run: &mut Run) -> anyhow::Result<()> {
    run.stage.tmux(&["resize-window", "-t", &run.pane, "-x", "30", "-y", "40"]);
    let tag = run.prompt(PERMISSION)?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let marks = run.stage.lab.marks.narrow;
    let asked = run.sees(marks)?;
    run.now("approval", called, asked, "waiting_approval/approval_requested");
    run.hold(4_000);
    let pressed = run.key(run.stage.lab.keys.deny);
    let closed = run.unsees(marks)?;
    run.now("denied", pressed, closed, "idle/interrupted");
    run.hold(3_000);
    let widened = wait::now();
    run.stage.tmux(&["resize-window", "-t", &run.pane, "-x", "120", "-y", "40"]);
    run.now("widened", widened, widened, "idle");
    run.hold(2_000);
    Ok(())
}

fn suspended(run: &mut Run) -> anyhow::Result<()> {
    for (script, truth) in
        [(None, "idle|completed|error"), (Some("{{mute 30000}} {{say x}}"), "running")]
    {
        if let Some(script) = script {
            run.prompt(script)?;
            run.hold(2_000);
        }
        let pressed = run.key(&["C-z"]);
        let stopped = run.stage.sees_shell(&run.pane)?;
        run.now("suspended", pressed, stopped, "idle/suspended");
        run.hold(4_000);
        let resumed = run.stage.line(&run.pane, "fg");
        let marks = &run.stage.lab.marks;
        let shown = run.sees(if script.is_some() { marks.busy } else { marks.ready })?;
        run.now("resumed", resumed, shown, truth);
        run.hold(3_000);
    }
    interrupt(run)
}

fn two_agents(run: &mut Run) -> anyhow::Result<()> {
    ask(run, PERMISSION)?;
    run.hold(1_000);
    let first = run.pane.clone();
    run.pane = run.stage.pane()?;
    launch(run, run.stage.lab.program)?;
    let tag = run.prompt("{{run sleep 5}} {{say slept}}")?;
    run.hold(3_000);
    let second = std::mem::replace(&mut run.pane, first);
    run.sample(1_000);
    run.pane.clone_from(&second);
    run.finishes(&tag, 2)?;
    run.hold(2_000);
    leave(run)?;
    run.pane = run.first_pane();
    run.sample(1_000);
    refuse(run, run.stage.lab.keys.deny)
}

/// Ends the agent as its user would.
fn leave(run: &mut Run) -> anyhow::Result<()> {
    run.key(run.stage.lab.keys.clear);
    let begun = run.stage.line(&run.pane, run.stage.lab.keys.exit);
    let shell = run.stage.sees_shell(&run.pane)?;
    run.now("exit", begun, shell, "unknown/no_agent");
    run.hold(3_000);
    Ok(())
}

fn exit(run: &mut Run) -> anyhow::Result<()> {
    let runtime = run.stage.runtime(&run.pane);
    leave(run)?;
    sends::to_what_ended(run, &runtime);
    Ok(())
}

fn again(run: &mut Run) -> anyhow::Result<()> {
    launch(run, run.stage.lab.program)?;
    let tag = run.prompt("{{say hello again}}")?;
    run.finishes(&tag, 1)?;
    run.hold(2_000);
    Ok(())
}

fn killed(run: &mut Run) -> anyhow::Result<()> {
    run.prompt("{{mute 60000}} {{say never}}")?;
    run.hold(2_000);
    let killed = run.stage.kill_agent(&run.pane)?;
    run.now("killed", killed, wait::now(), "unknown/no_agent");
    run.hold(4_000);
    // The terminal is as the agent left it: Enter is no end of a line there.
    run.key(&["-R", "stty sane", "C-j", "clear", "C-j"]);
    run.stage.sees_shell(&run.pane)?;
    Ok(())
}

/// A screen that asked for a permission, printed where no agent runs.
fn printed(run: &mut Run) -> anyhow::Result<()> {
    if !run.stage.dialog().exists() {
        std::fs::write(run.stage.dialog(), run.stage.lab.marks.approval.join("\n"))?;
    }
    let begun = run.stage.line(&run.pane, "cat ../dialog.txt");
    run.now("printed", begun, begun, "unknown/no_agent");
    run.hold(4_000);
    run.stage.line(&run.pane, "clear");
    run.stage.sees_shell(&run.pane)?;
    Ok(())
}

/// The pane is taken out of its window and put into another one while somebody is waited for.
fn moved(run: &mut Run) -> anyhow::Result<()> {
    ask(run, PERMISSION)?;
    run.hold(1_500);
    run.stage.tmux(&["join-pane", "-d", "-h", "-s", &run.pane, "-t", "keep:0"]);
    run.sample(2_000);
    run.stage.tmux(&["break-pane", "-d", "-s", &run.pane]);
    run.sample(2_000);
    refuse(run, run.stage.lab.keys.deny)
}

fn wrapped(run: &mut Run) -> anyhow::Result<()> {
    started_by(run, &format!("sh -c '{}; true'", run.stage.lab.program))
}

fn in_script(run: &mut Run) -> anyhow::Result<()> {
    started_by(run, &format!("script -qc {} /dev/null", run.stage.lab.program))
}

fn without_tmux(run: &mut Run) -> anyhow::Result<()> {
    started_by(run, &format!("env -u TMUX -u TMUX_PANE {}", run.stage.lab.program))
}

/// Starts the agent in another way, has it ask for a permission, and ends it.
fn started_by(run: &mut Run, line: &str) -> anyhow::Result<()> {
    launch(run, line)?;
    ask(run, PERMISSION)?;
    run.hold(2_000);
    refuse(run, run.stage.lab.keys.deny)?;
    leave(run)
}

fn pane_killed(run: &mut Run) -> anyhow::Result<()> {
    launch(run, run.stage.lab.program)?;
    ask(run, PERMISSION)?;
    run.hold(1_000);
    let killed: Instant = wait::now();
    run.stage.tmux(&["kill-pane", "-t", &run.pane]);
    run.now("gone", killed, wait::now(), "gone");
    run.hold(2_000);
    Ok(())
}
