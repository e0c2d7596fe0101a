//! Scenes in which somebody answers from elsewhere: by the agent's own hook, by keys in its dialog,
//! before and after whoever sits at the pane, and too late.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use testkit::model::What;
use testkit::wait;

use crate::acts::{Said, TOO_LATE, id};
use crate::lab::AfterDenial;
use crate::run::Run;
use crate::scenes::{ask, interrupt};
use crate::stage::pause;

/// How long the one answer is ahead of the other when both are given at once.
const AHEAD: [i64; 5] = [-200, -40, 0, 40, 200];

/// Whether it works, asks or rests is not known until it is over.
const ANY: &str = "waiting_approval|running|idle|completed";

/// A command that needs a permission, and leaves a trace when it begins and when it is done.
struct Errand {
    script: String,
    begun: PathBuf,
    trace: PathBuf,
}

fn errand(run: &mut Run) -> Errand {
    let tag = run.tag();
    let [begun, done] = ["begun", "done"].map(|end| format!("{tag}.{end}"));
    let command = format!("touch {begun} && sleep 1 && touch {done}");
    let [begun, trace] = [begun, done].map(|name| run.stage.site.project.join(name));
    Errand { script: format!("{{{{escalate {command}}}}} {{{{say made}}}}"), begun, trace }
}

/// Answers by keys: nobody's hook waits, and the dialog stands.
pub(crate) fn by_keys(run: &mut Run) -> anyhow::Result<()> {
    for yes in [true, false] {
        let errand = errand(run);
        let tag = ask(run, &errand.script)?;
        let asked = run.approval(|it| it["delivery"] == "keys")?;
        run.hold(1_000);
        let said = answer(run, &asked, yes);
        let name = if yes { "approved by keys" } else { "denied by keys" };
        went_on(run, &errand, (yes, AfterDenial::Stops), (&tag, &asked, &said, name))?;
    }
    Ok(())
}

/// Answers by the hook, while nobody is attached.
pub(crate) fn by_hook(run: &mut Run) -> anyhow::Result<()> {
    run.stage.hold("detached")?;
    let played = by_held_hook(run);
    run.stage.hold("never")?;
    played
}

fn by_held_hook(run: &mut Run) -> anyhow::Result<()> {
    for yes in [true, false] {
        let errand = errand(run);
        let tag = run.prompt(&errand.script)?;
        let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
        let asked = run.approval(|it| it["delivery"] == "reply")?;
        run.now("held", called, wait::now(), "waiting_approval/approval_requested");
        // The first time longer than an unconfirmed report counts: it shows no dialog meanwhile.
        run.hold(if yes { 35_000 } else { 3_000 });
        // A hook goes with the daemon that it waits for, and its agent asks in the terminal.
        let left = run.restarts();
        let by = if left { "keys" } else { "reply" };
        let still = run.approval_becomes(id(&asked), |it| it["delivery"] == by);
        let stands = still["state"] == "waiting" && still["delivery"] == by;
        let name = if left { "it waits on without its hook" } else { "the hook was held" };
        run.had_to_be(name, stands, &format!("{still:#}"));
        if left {
            run.sees(run.stage.lab.marks.approval)?;
        }
        let said = answer(run, &asked, yes);
        let name = match (yes, left) {
            (true, false) => "approved by the hook",
            (false, false) => "denied by the hook",
            (true, true) => "approved by keys, its hook gone",
            (false, true) => "denied by keys, its hook gone",
        };
        let after = if left { AfterDenial::Stops } else { run.stage.lab.after_denial };
        went_on(run, &errand, (yes, after), (&tag, &asked, &said, name))?;
    }
    Ok(())
}

/// Somebody is attached: no hook is held, the dialog stands, and keys answer it from elsewhere.
pub(crate) fn attached(run: &mut Run) -> anyhow::Result<()> {
    run.stage.hold("detached")?;
    let watching = run.stage.attach();
    let played = while_attached(run);
    drop(watching);
    run.stage.hold("never")?;
    played
}

fn while_attached(run: &mut Run) -> anyhow::Result<()> {
    let errand = errand(run);
    let tag = ask(run, &errand.script)?;
    let asked = run.approval(|it| it["state"] == "waiting")?;
    run.hold(2_000);
    let said = answer(run, &asked, true);
    let how = (true, AfterDenial::Stops);
    went_on(run, &errand, how, (&tag, &asked, &said, "approved while somebody is attached"))
}

/// Says yes or no from elsewhere.
fn answer(run: &Run, asked: &Value, yes: bool) -> Said {
    run.stage.qd(&[if yes { "approve" } else { "deny" }, id(asked), "--json"])
}

/// What comes of an answer: the command runs or does not, the approval tells which, and the agent
/// goes on as it does when its user answers.
fn went_on(
    run: &mut Run,
    errand: &Errand,
    (yes, after_denial): (bool, AfterDenial),
    (tag, asked, said, name): (&str, &Value, &Said, &'static str),
) -> anyhow::Result<()> {
    if yes {
        let closed = run.unsees(run.stage.lab.marks.approval)?;
        run.now("approved", said.begun, closed, "running");
        let ran = wait::within(Duration::from_secs(10), || errand.begun.exists().then(wait::now));
        let took = ran.map(|at| at.saturating_duration_since(said.begun));
        run.had_to_do(name, said, took);
        run.had_to_be("what was approved was done", ran.is_some(), "it never ran");
        run.finishes(tag, 2)?;
        run.had_to_be("it was done to its end", errand.trace.exists(), "it was broken off");
    } else {
        match after_denial {
            AfterDenial::Stops => {
                run.unsees(run.stage.lab.marks.approval)?;
                let stopped = run.unsees(run.stage.lab.marks.busy)?;
                run.now("denied", said.begun, stopped, "idle/interrupted");
            }
            AfterDenial::GoesOn => {
                run.now("denied", said.begun, said.begun, "running|completed");
                run.finishes(tag, 2)?;
            }
        }
        run.had_to_do(name, said, None);
        run.had_to_be("what was denied was not done", !errand.begun.exists(), "it ran");
    }
    let outcome = if yes { "approve" } else { "deny" };
    let ended = run.approval_becomes(id(asked), |it| it["state"] == "answered");
    let told = ended["state"] == "answered" && ended["outcome"] == outcome;
    run.had_to_be("the approval tells how it ended", told, &format!("{ended:#}"));
    run.hold(1_500);
    Ok(())
}

/// Whoever sits there was first: the answer from elsewhere is refused, and changes nothing.
pub(crate) fn late(run: &mut Run) -> anyhow::Result<()> {
    let errand = errand(run);
    let tag = ask(run, &errand.script)?;
    let asked = run.approval(|it| it["state"] == "waiting")?;
    run.hold(500);
    let pressed = run.key(run.stage.lab.keys.approve);
    let closed = run.unsees(run.stage.lab.marks.approval)?;
    run.now("approved", pressed, closed, "running");
    let ended = run.approval_becomes(id(&asked), |it| it["state"] == "answered_in_terminal");
    let told = ended["state"] == "answered_in_terminal";
    run.had_to_be("an answer in the terminal closes it", told, &format!("{ended:#}"));
    let said = answer(run, &asked, false);
    run.had_to_refuse("a late answer is refused", &said, TOO_LATE);
    run.finishes(&tag, 2)?;
    run.had_to_be("what was approved was done", errand.trace.exists(), "it never ran");
    run.hold(1_000);
    Ok(())
}

/// The answer in the terminal and the one from elsewhere are given at once, sometimes this one
/// first and sometimes that: one of them counts, and what is told of it is what was done.
pub(crate) fn race(run: &mut Run) -> anyhow::Result<()> {
    for ahead in AHEAD {
        let errand = errand(run);
        ask(run, &errand.script)?;
        let asked = run.approval(|it| it["state"] == "waiting")?;
        run.hold(300);
        let length = Duration::from_millis(ahead.unsigned_abs());
        let begun = wait::now();
        let said = if ahead < 0 {
            let saying = run.stage.qd_at_once(&["deny", id(&asked), "--json"]);
            pause(length);
            run.key(run.stage.lab.keys.approve);
            saying()
        } else {
            run.key(run.stage.lab.keys.approve);
            pause(length);
            answer(run, &asked, false)
        };
        run.now("raced", begun, begun, ANY);
        if run.stage.unsees_soon(&run.pane, run.stage.lab.marks.approval).is_none() {
            read_as_one(run, &asked, &said)?;
            continue;
        }
        // Whichever counted, the agent comes to rest.
        pause(Duration::from_millis(2_500));
        let stopped = run.unsees(run.stage.lab.marks.busy)?;
        run.now("over", stopped, stopped, "idle|completed");
        let ended = run.approval_becomes(id(&asked), |it| it["closed_at"].is_string());
        // A no right after a yes may break off what has begun.
        let ran = errand.trace.exists();
        let denied = said.is_done();
        let told = (&ended["state"], &ended["outcome"]);
        let fits = if denied {
            !ran && told == (&Value::from("answered"), &Value::from("deny"))
        } else {
            // What became of the answer need not be known; but no yes may be told of as a no.
            !(ran && ended["outcome"] == "deny" || !ran && ended["outcome"] == "approve")
        };
        let otherwise = format!("ran: {ran}, {}\n{ended:#}", said.text);
        run.had_to_be("of two answers at once one counts", fits, &otherwise);
        // A key that came too late stands in the composer.
        run.key(run.stage.lab.keys.clear);
        run.hold(1_000);
    }
    Ok(())
}

/// Escape and a key right behind it are one key to a terminal's program, with Alt: then neither was
/// an answer, and nothing else may be told of it.
fn read_as_one(run: &mut Run, asked: &Value, said: &Said) -> anyhow::Result<()> {
    let still = run.approval_becomes(id(asked), |it| it["state"] == "waiting");
    let fits = !said.is_done() && still["state"] == "waiting";
    let otherwise = format!("{}\n{still:#}", said.text);
    run.had_to_be("two keys that are read as one answer nothing", fits, &otherwise);
    let pressed = run.key(run.stage.lab.keys.deny);
    run.unsees(run.stage.lab.marks.approval)?;
    let stopped = run.unsees(run.stage.lab.marks.busy)?;
    run.now("over", pressed, stopped, "idle|completed");
    run.hold(1_000);
    Ok(())
}

/// Something else is asked by then: the answer to what was asked before is refused.
pub(crate) fn replaced(run: &mut Run) -> anyhow::Result<()> {
    let first = errand(run);
    ask(run, &first.script)?;
    let old = run.approval(|it| it["state"] == "waiting")?;
    run.hold(500);
    let pressed = run.key(&["Escape"]);
    run.unsees(run.stage.lab.marks.approval)?;
    let stopped = run.unsees(run.stage.lab.marks.busy)?;
    run.now("denied", pressed, stopped, "idle/interrupted");
    run.hold(1_500);
    let second = errand(run);
    let tag = ask(run, &second.script)?;
    let new = run.approval(|it| it["approval_id"] != old["approval_id"])?;
    run.hold(500);
    let said = answer(run, &old, true);
    run.had_to_refuse("an answer to what was asked before is refused", &said, TOO_LATE);
    run.hold(1_000);
    let still = run.approval_becomes(id(&new), |it| it["state"] == "waiting");
    let stands = still["state"] == "waiting" && !first.begun.exists() && !second.begun.exists();
    run.had_to_be("what is asked now still waits", stands, &format!("{still:#}"));
    let said = answer(run, &new, true);
    let how = (true, AfterDenial::Stops);
    went_on(run, &second, how, (&tag, &new, &said, "approved, after something else was asked"))
}

/// A question is answered by the number of an option.
pub(crate) fn question(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{ask Which way is it?}} {{say answered}}")?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let shown = run.sees(run.stage.lab.marks.question)?;
    run.now("question", called, shown, "waiting_input/question");
    let asked = run.approval(|it| it["kind"] == "question")?;
    run.hold(1_000);
    let said = run.stage.qd(&["answer", id(&asked), "1", "--json"]);
    let closed = run.unsees(run.stage.lab.marks.question)?;
    run.now("answered", said.begun, closed, "running|completed");
    run.had_to_do("a question is answered", &said, Some(closed.duration_since(said.begun)));
    run.finishes(&tag, 2)?;
    run.hold(1_000);
    Ok(())
}

/// A question is not answered: the turn ends as it does for whoever leaves its dialog.
pub(crate) fn question_denied(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt("{{ask Which way is it?}} {{say answered}}")?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let shown = run.sees(run.stage.lab.marks.question)?;
    run.now("question", called, shown, "waiting_input/question");
    let asked = run.approval(|it| it["kind"] == "question")?;
    run.hold(1_000);
    let said = answer(run, &asked, false);
    run.unsees(run.stage.lab.marks.question)?;
    let stopped = run.unsees(run.stage.lab.marks.busy)?;
    run.now("denied", said.begun, stopped, "idle/interrupted");
    run.had_to_do("a question is denied", &said, None);
    let ended = run.approval_becomes(id(&asked), |it| it["state"] == "answered");
    let told = ended["state"] == "answered" && ended["outcome"] == "deny";
    run.had_to_be("the approval tells how it ended", told, &format!("{ended:#}"));
    run.hold(1_500);
    Ok(())
}

/// Two questions at once, of which one takes several answers.
const PARTS: &str = r#"{{call AskUserQuestion|question {"questions":[
{"question":"Which colour?","header":"Colour","multiSelect":false,"options":[
{"label":"Red","description":"Warm"},{"label":"Blue","description":"Cool"}]},
{"question":"Which sizes?","header":"Sizes","multiSelect":true,"multiple":true,"options":[
{"label":"Small","description":"S"},{"label":"Middle","description":"M"},
{"label":"Large","description":"L"}]}]}}} {{say answered}}"#;

/// All parts of a question are answered at once by the hook; a wrong number of answers by nobody.
pub(crate) fn question_parts(run: &mut Run) -> anyhow::Result<()> {
    let tag = run.prompt(&PARTS.replace('\n', ""))?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let shown = run.sees(run.stage.lab.marks.question)?;
    run.now("question", called, shown, "waiting_input/question");
    let asked = run.approval(|it| it["kind"] == "question" && it["delivery"] == "reply")?;
    let is_told = asked["parts"].as_array().is_some_and(|parts| parts.len() == 2)
        && asked["terminal_only"].is_null();
    run.had_to_be("its parts are told", is_told, &format!("{asked:#}"));
    run.hold(1_000);
    let said = run.stage.qd(&["answer", id(&asked), "2", "--json"]);
    run.had_to_refuse("an answer to one part of several", &said, &["E_CHOICE_NOT_OFFERED"]);
    let said = run.stage.qd(&["answer", id(&asked), "1,2", "3", "--json"]);
    run.had_to_refuse("two answers where one is taken", &said, &["E_CHOICE_NOT_OFFERED"]);
    run.hold(1_000);
    let said = run.stage.qd(&["answer", id(&asked), "2", "3,1", "--json"]);
    let closed = run.unsees(run.stage.lab.marks.question)?;
    run.now("answered", said.begun, closed, "running|completed");
    run.had_to_do("all parts are answered", &said, Some(closed.duration_since(said.begun)));
    run.finishes(&tag, 2)?;
    let screen = run.stage.screen(&run.pane);
    let taken = ["Blue", "Small, Large"].iter().all(|answer| screen.contains(answer));
    run.had_to_be("the agent took each answer for its part", taken, &screen);
    run.hold(1_000);
    Ok(())
}

/// The agent is interrupted while its hook waits: the hook ends, and nobody can answer any more.
pub(crate) fn held_and_interrupted(run: &mut Run) -> anyhow::Result<()> {
    run.stage.hold("detached")?;
    let played = interrupt_held(run);
    run.stage.hold("never")?;
    played
}

fn interrupt_held(run: &mut Run) -> anyhow::Result<()> {
    let errand = errand(run);
    let tag = run.prompt(&errand.script)?;
    let called = run.stage.model_does(&tag, |what| matches!(what, What::Called(_)))?;
    let asked = run.approval(|it| it["delivery"] == "reply")?;
    run.now("held", called, wait::now(), "waiting_approval/approval_requested");
    run.hold(1_500);
    interrupt(run)?;
    let said = answer(run, &asked, true);
    run.had_to_refuse("an answer after an interruption is refused", &said, TOO_LATE);
    run.had_to_be("what nobody approved was not done", !errand.begun.exists(), "it ran");
    Ok(())
}
