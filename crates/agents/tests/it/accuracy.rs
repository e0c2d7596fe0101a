//! The whole corpus through adapters and engine, and the page that says how often they are right.
//!
//! `QD_BLESS=1` writes the page anew. A number that falls is a commit of its own, with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agents::registry::Registry;
use engine::ids::EventId;
use engine::settings::Settings;
use engine::state::{Circumstances, Claim, Evidence, Heard, OrderKey, Sight, Verdict, fuse};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::{Health, Source, State};

use crate::corpus::{Kind, Recording, Truth, read, recordings};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/accuracy.md");

/// The evidence of one agent in one pane.
#[derive(Default)]
struct Watched {
    evidence: Evidence,
    said: usize,
}

impl Watched {
    fn hear(&mut self, source: Source, claim: Claim, repeats: bool, ms: i64) {
        self.said += 1;
        let order = OrderKey {
            effective: WallMs(ms),
            urgency: claim.state as u8,
            dedupe_key: format!("{:09}", self.said),
        };
        let heard = Heard {
            event_id: EventId::new(self.said.to_string()),
            event_type: String::new(),
            claim,
            order,
            seq: None,
            ingested_at: at(ms).stamp(),
        };
        self.evidence.voice_mut(source).hear(heard, repeats, &Settings::default());
    }

    fn state(&self, ms: i64) -> Verdict {
        let stamp = at(ms).stamp();
        let circumstances = Circumstances {
            evidence: &self.evidence,
            sight: Sight { last_seen: stamp, last_activity: Some(stamp) },
            health: Health::Ok,
            alive: true,
            has_agent: true,
            supported: true,
        };
        fuse(&circumstances, at(ms), &Settings::default())
    }
}

fn at(ms: i64) -> Now {
    Now { wall: WallMs(ms), mono: MonoMs(ms) }
}

/// What the harness of the real agents writes begins here; the page before it is this test's.
const LIVE: &str = "\n## The real agents, live\n";

/// One judged moment.
struct Judged {
    what: String,
    truth: Truth,
    shown: Verdict,
}

impl Judged {
    /// The state that was true: the shown one, if it is among those that were.
    fn true_state(&self) -> State {
        let first = self.truth.0.first().map_or(State::Unknown, |(state, _)| *state);
        if self.truth.allows_state(self.shown.state) { self.shown.state } else { first }
    }

    fn is_wrong(&self) -> bool {
        self.shown.state != State::Unknown && self.shown.state != self.true_state()
    }

    fn has_right_reason(&self) -> bool {
        let (state, reason) = (self.shown.state, &self.shown.reason);
        self.truth.0.iter().any(|it| it.0 == state && it.1 == *reason)
    }
}

fn looks(recording: &Recording, source: Source, kind: Kind) -> Vec<Judged> {
    let registry = Registry::built_in();
    let judge = |case: &crate::corpus::Case| {
        let empty = Default::default();
        let screen = if kind == Kind::Screen { recording.screen(&case.name) } else { empty };
        let title = if kind == Kind::Title { case.name.as_str() } else { "" };
        let version = Some(recording.version.as_str());
        let reading = read(&registry, &recording.agent, version, (title, &screen), source);
        let mut watched = Watched::default();
        if let Some(claim) = reading.and_then(|reading| reading.claim) {
            watched.hear(source, claim, false, 0);
        }
        let what = format!("{} {}", recording.agent, case.name);
        Judged { what, truth: case.truth.clone(), shown: watched.state(0) }
    };
    recording.of(kind).map(judge).collect()
}

/// The recorded sequence of events, judged after each.
fn sequence(recording: &Recording) -> Vec<Judged> {
    let registry = Registry::built_in();
    let adapter = registry.get(&recording.agent).unwrap();
    let mut watched = Watched::default();
    let mut judged = Vec::new();
    for step in recording.sequence() {
        let report = adapter.hears(&step.event, &step.payload);
        if let Some(claim) = report.claim.clone() {
            watched.hear(Source::Hook, claim, report.repeats, step.ms);
        }
        if let Some(truth) = step.truth {
            let what = format!("{} after {} at {} ms", recording.agent, step.event, step.ms);
            judged.push(Judged { what, truth, shown: watched.state(step.ms) });
        }
    }
    judged
}

/// The numbers of one state.
#[derive(Default)]
struct Score {
    cases: usize,
    right: usize,
    shown: usize,
    unknown: usize,
    reasoned: usize,
}

fn scores(judged: &[Judged]) -> BTreeMap<State, Score> {
    let mut scores: BTreeMap<State, Score> = BTreeMap::new();
    for one in judged {
        let score = scores.entry(one.true_state()).or_default();
        score.cases += 1;
        score.right += usize::from(one.shown.state == one.true_state());
        score.unknown += usize::from(one.shown.state == State::Unknown);
        score.reasoned += usize::from(one.has_right_reason());
        scores.entry(one.shown.state).or_default().shown += 1;
    }
    scores
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}", part as f64 * 100.0 / whole as f64) }
}

const HEAD: &str = "# How often the state is right

Generated by `QD_BLESS=1 cargo nextest run -p agents accuracy`; `./x test` fails when it is not what
the corpus says.

What is measured: every recorded screen, title and sequence of hooks in `crates/agents/tests/corpus`
goes through the real adapters and the engine's fusion, each source on its own, and is compared with
what the scenario that made the record says was true.

What this is not: the records were made on 2026-11-20, before the rules, and the rules were written
with them in view. None was recorded after the rules were frozen, so this part shows that the rules
hold what they were made for, not how they do on what nobody saw. The last part is about that: the
agents themselves, run live. Nothing of Cursor's agent was recorded.

- *precision*: of the times a state was shown, how often it was true, in percent;
- *recall*: of the times it was true, how often it was shown;
- *unknown*: of the times it was true, how often `unknown` was shown instead;
- *reason*: of the times it was true, how often the right reason stood beside it.

A truth of `unknown` is a screen that tells nothing: blank, or after the agent ended.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut all: Vec<Judged> = Vec::new();
    for recording in recordings() {
        write!(page, "\n## {} {}\n\n", recording.agent, recording.version).unwrap();
        page.push_str("| source | state | cases | precision | recall | unknown | reason |\n");
        page.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
        let parts = [
            ("screen", looks(&recording, Source::Screen, Kind::Screen)),
            ("title", looks(&recording, Source::Title, Kind::Title)),
            ("hooks in sequence", sequence(&recording)),
        ];
        for (source, judged) in parts {
            for (state, score) in scores(&judged) {
                let Score { cases, right, shown, unknown, reasoned } = score;
                let reason = if state == State::Unknown { 0 } else { cases };
                let numbers = [
                    percent(right, shown),
                    percent(right, cases),
                    percent(unknown, cases),
                    percent(reasoned, reason),
                ];
                let numbers = numbers.join(" | ");
                writeln!(page, "| {source} | `{state}` | {cases} | {numbers} |").unwrap();
            }
            all.extend(judged);
        }
    }
    let definite = all.iter().filter(|one| one.true_state() != State::Unknown);
    let (mut cases, mut unknown) = (0, 0);
    for one in definite {
        cases += 1;
        unknown += usize::from(one.shown.state == State::Unknown);
    }
    let wrong = all.iter().filter(|one| one.is_wrong()).count();
    page.push_str("\n## All together\n\n");
    writeln!(page, "- cases: {}, of them with a definite truth: {cases}", all.len()).unwrap();
    writeln!(page, "- wrong definite states: {wrong}").unwrap();
    writeln!(page, "- `unknown` in place of a definite truth: {} %", percent(unknown, cases))
        .unwrap();
    page
}

#[test]
fn nothing_in_the_corpus_is_shown_as_something_else() {
    let mut wrong = Vec::new();
    for recording in recordings() {
        let parts = [
            looks(&recording, Source::Screen, Kind::Screen),
            looks(&recording, Source::Title, Kind::Title),
            sequence(&recording),
        ];
        let judged = parts.into_iter().flatten().filter(Judged::is_wrong);
        wrong
            .extend(judged.map(|it| format!("{}: {} for {:?}", it.what, it.shown.state, it.truth)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_says_what_the_corpus_says() {
    let page = page();
    let whole = std::fs::read_to_string(PAGE).unwrap_or_default();
    let (kept, live) = whole.split_at(whole.find(LIVE).unwrap_or(whole.len()));
    if std::env::var_os("QD_BLESS").is_some() {
        std::fs::write(PAGE, format!("{page}{live}")).unwrap();
        return;
    }
    assert!(
        kept == page,
        "docs/reference/accuracy.md is not up to date: QD_BLESS=1 writes it\n{page}"
    );
}
