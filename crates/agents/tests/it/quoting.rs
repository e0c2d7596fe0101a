//! Text is not believed: a dialog, a spinner or a footer that somebody prints stands above what
//! the agent's own interface draws at the bottom.

use agents::registry::Registry;
use agents::screen::Screen;
use engine::state::Claim;
use engine::words::{Bearing, Source};

use crate::corpus::{Kind, Recording, WIDTH, read, recordings};

/// Where the interface at the bottom of an idle screen begins.
fn interface(agent: &str, lines: &[&str]) -> usize {
    let last = |fits: &dyn Fn(&str) -> bool| lines.iter().rposition(|line| fits(line)).unwrap();
    let rule = |line: &str| line.starts_with("────");
    match agent {
        "claude" | "copilot" => {
            let bottom = last(&rule);
            let top = lines[..bottom].iter().rposition(|line| rule(line)).unwrap();
            // The line of the folder belongs to it.
            if agent == "copilot" { top - 1 } else { top }
        }
        "codex" => last(&|line| line.starts_with('›')),
        // The row of the state stands on the rule.
        "gemini" => last(&rule) - 1,
        "opencode" => {
            let edge = last(&|line| line.trim_start().starts_with('╹'));
            let framed = |line: &&str| line.trim_start().starts_with('┃');
            edge - lines[..edge].iter().rev().take_while(|line| framed(line)).count()
        }
        other => panic!("{other}"),
    }
}

/// The screens on which somebody is waited for, or work goes on.
fn quoted(recording: &Recording, bearing: Bearing) -> Vec<String> {
    let fits = |it: &&crate::corpus::Case| {
        it.truth.0.first().is_some_and(|(state, _)| state.bearing() == bearing)
    };
    let cases = recording.of(Kind::Screen).filter(fits);
    cases.map(|case| recording.screen_text(&case.name).trim_end().to_owned()).collect()
}

const IDLE: &[&str] = &["idle-fresh", "idle-after-reply"];

/// Prints a text, as it is and as tool output, at every place above the interface of an idle
/// screen, and hands what is then read to `judge`.
fn print_everywhere(bearing: Bearing, judge: impl Fn(&str, Option<Claim>)) {
    let registry = Registry::built_in();
    for recording in recordings() {
        let known = |name: &&&str| recording.of(Kind::Screen).any(|case| case.name == **name);
        for idle in IDLE.iter().filter(known) {
            let idle = recording.screen_text(idle);
            let lines: Vec<&str> = idle.lines().collect();
            let end = interface(&recording.agent, &lines);
            for text in quoted(&recording, bearing) {
                let printed = text.lines().map(|line| format!("  {line}\n")).collect::<String>();
                for text in [text, printed.clone(), format!("● {}", printed.trim_start())] {
                    for at in 0..=end {
                        let screen = [&lines[..at], &[text.as_str(), ""], &lines[at..]].concat();
                        let screen = Screen::from_capture(screen.join("\n").as_bytes(), WIDTH, 40);
                        let seen = ("", &screen);
                        let version = Some(recording.version.as_str());
                        let agent = &recording.agent;
                        let reading = read(&registry, agent, version, seen, Source::Screen);
                        let claim = reading.unwrap().claim;
                        judge(&format!("{agent}, line {at} of {end}:\n{text}"), claim);
                    }
                }
            }
        }
    }
}

fn is(claim: Option<&Claim>, bearing: Bearing) -> bool {
    claim.is_some_and(|claim| claim.state.bearing() == bearing)
}

#[test]
fn s_11_a_dialog_that_is_printed_above_a_composer_waits_for_nobody() {
    print_everywhere(Bearing::Waiting, |what, claim| {
        assert!(!is(claim.as_ref(), Bearing::Waiting), "{claim:?} from {what}");
    });
}

#[test]
fn work_that_is_printed_above_a_composer_is_not_going_on() {
    print_everywhere(Bearing::Busy, |what, claim| {
        assert!(!is(claim.as_ref(), Bearing::Busy), "{claim:?} from {what}");
    });
}

#[test]
fn a_dialog_in_a_shell_is_read_by_no_adapter_as_another_agents() {
    let registry = Registry::built_in();
    for recording in recordings() {
        for text in quoted(&recording, Bearing::Waiting) {
            let screen = format!("$ cat dialog.txt\n{text}\n$ ");
            let screen = Screen::from_capture(screen.as_bytes(), WIDTH, 40);
            for other in registry.iter() {
                let version = Some(recording.version.as_str());
                let reading =
                    read(&registry, other.agent(), version, ("", &screen), Source::Screen);
                let claim = reading.and_then(|reading| reading.claim);
                assert!(
                    !is(claim.as_ref(), Bearing::Waiting),
                    "{}: {claim:?}\n{text}",
                    other.agent()
                );
            }
        }
    }
}
