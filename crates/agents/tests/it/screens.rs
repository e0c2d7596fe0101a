//! Recorded screens and titles, read one by one.

use agents::registry::Registry;
use agents::screen::Screen;
use engine::state::Claim;
use engine::words::{Bearing, Confidence, Source, State};

use crate::corpus::{Kind, Recording, WIDTH, read, recordings};

/// Screens that tell nothing although something is true: the mark stands elsewhere.
const SILENT: &[(&str, &str, &str)] = &[(
    "codex",
    "running-text",
    "while text streams nothing on the screen says so; the title does",
)];

/// Screens that tell the state and not how it came.
const VAGUE: &[(&str, &str, &str)] = &[
    ("opencode", "interrupted", "the mark is drawn with the next prompt; the event tells it"),
    ("opencode", "permission-denied-by-user", "no mark is drawn; the event tells it"),
];

fn listed(list: &[(&str, &str, &str)], recording: &Recording, name: &str) -> bool {
    list.iter().any(|(agent, case, _)| *agent == recording.agent && *case == name)
}

fn screen_claim(recording: &Recording, name: &str) -> Option<Claim> {
    let registry = Registry::built_in();
    let version = Some(recording.version.as_str());
    let screen = recording.screen(name);
    read(&registry, &recording.agent, version, ("", &screen), Source::Screen)?.claim
}

#[test]
fn every_recorded_screen_is_read_as_what_it_was() {
    let mut wrong = Vec::new();
    for recording in recordings() {
        for case in recording.of(Kind::Screen) {
            let claim = screen_claim(&recording, &case.name);
            let right = match &claim {
                Some(claim) if listed(VAGUE, &recording, &case.name) => {
                    case.truth.allows_state(claim.state)
                }
                Some(claim) => case.truth.allows(claim),
                None => case.truth.0.is_empty() || listed(SILENT, &recording, &case.name),
            };
            if !right {
                wrong.push(format!("{} {}: {claim:?}", recording.agent, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_recorded_title_is_read_as_what_it_was() {
    let registry = Registry::built_in();
    for recording in recordings() {
        for case in recording.of(Kind::Title) {
            let screen = Default::default();
            let seen = (case.name.as_str(), &screen);
            let reading = read(&registry, &recording.agent, None, seen, Source::Title);
            let claim = reading.and_then(|reading| reading.claim);
            let right = claim.as_ref().map_or(case.truth.0.is_empty(), |it| case.truth.allows(it));
            assert!(right, "{} `{}`: {claim:?}", recording.agent, case.name);
        }
    }
}

#[test]
fn a_screen_of_another_version_is_never_sure() {
    let registry = Registry::built_in();
    for recording in recordings() {
        for case in recording.of(Kind::Screen) {
            for version in [None, Some("999.0.0")] {
                let screen = recording.screen(&case.name);
                let seen = ("", &screen);
                let reading = read(&registry, &recording.agent, version, seen, Source::Screen);
                let claim = reading.unwrap().claim;
                let sure = claim.is_some_and(|claim| claim.confidence == Confidence::High);
                assert!(!sure, "{} {}", recording.agent, case.name);
            }
        }
    }
}

#[test]
fn a_pane_of_few_lines_shows_the_same_or_less() {
    let registry = Registry::built_in();
    let mut wrong = Vec::new();
    for recording in recordings() {
        for case in recording.of(Kind::Screen) {
            let text = recording.screen_text(&case.name);
            let lines: Vec<&str> = text.trim_end().lines().collect();
            for height in 1..lines.len() {
                let part = lines[lines.len() - height..].join("\n");
                let screen = Screen::from_capture(part.as_bytes(), WIDTH, 40);
                let version = Some(recording.version.as_str());
                let seen = ("", &screen);
                let reading = read(&registry, &recording.agent, version, seen, Source::Screen);
                let claim = reading.unwrap().claim;
                let sure = |claim: &Claim| claim.confidence == Confidence::High;
                let state = claim.as_ref().is_none_or(|it| {
                    // Answers without what they answer are somebody's to give, whatever it is.
                    let waits = |state: State| state.bearing() == Bearing::Waiting;
                    let alike = waits(it.state) && case.truth.0.iter().any(|truth| waits(truth.0));
                    // And how a rest came may stand above what is left.
                    let rest = |truth: &(State, String)| truth.0.bearing() == Bearing::Rest;
                    let plain = it.reason == "idle" && case.truth.0.iter().any(rest);
                    case.truth.allows_state(it.state) || (alike && !sure(it)) || plain
                });
                if !state {
                    wrong.push(format!("{} {} {height}: {claim:?}", recording.agent, case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn s_17_a_composer_shows_wherever_an_agent_is_idle_and_in_no_dialog() {
    let registry = agents::registry::Registry::built_in();
    let mut composers = 0;
    for recording in crate::corpus::recordings() {
        let adapter = registry.get(&recording.agent).unwrap();
        for case in recording.of(crate::corpus::Kind::Screen) {
            let screen = recording.screen(&case.name);
            let composer = adapter.composer(&screen);
            let dialog = case.truth.allows_state(engine::words::State::WaitingApproval);
            assert!(!dialog || composer.is_none(), "{} {}", recording.agent, case.name);
            composers += usize::from(composer.is_some());
            let read = ["claude", "gemini"].contains(&recording.agent.as_str());
            if read && case.name.starts_with("idle") {
                assert_eq!(composer, Some(agents::composer::Composer::Empty), "{}", case.name);
            }
        }
    }
    assert!(composers > 20, "{composers}");
}
