//! The whole corpus through adapters and engine, and the page that says how often they are right.
//!
//! `QD_BLESS=1` writes the page anew. A number that falls is a commit of its own, with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agents::registry::Registry;
use engine::ids::EventId;
use engine::input::Reading;
use engine::settings::Settings;
use engine::state::{Circumstances, Claim, Evidence, Heard, OrderKey, Sight, Verdict, fuse};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::{Confidence, Health, Source, State};

use crate::corpus::{Kind, Recording, Truth, read, recordings};
use crate::later::{Later, Look, Scene, What, later};
use crate::sequences::{World, report, seen};

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
        self.truth.allows_reason(self.shown.state, &self.shown.reason)
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

/// What is true as far as one look can tell: that a turn was done need not stand there.
fn at_sight(truth: &Truth) -> Truth {
    let mut truth = truth.clone();
    if truth.allows_state(State::Completed) {
        truth.0.push((State::Idle, String::new()));
    }
    truth
}

/// What each source read in one look.
fn readings(later: &Later, look: &Look) -> Vec<Reading> {
    let registry = Registry::built_in();
    let reading = |source| {
        let seen = (look.title.as_str(), &look.screen);
        let reading = read(&registry, &later.agent, Some(&later.version), seen, source)?;
        let (claim, details) = (reading.claim, reading.details);
        Some(Reading { source, claim, details, asking: None, written: None })
    };
    [Source::Title, Source::Screen].into_iter().filter_map(reading).collect()
}

/// The looks that were recorded later, by one source alone.
fn later_looks(later: &Later, source: Source) -> Vec<Judged> {
    let judge = |look: &Look| {
        let readings = readings(later, look);
        let reading = readings.into_iter().find(|reading| reading.source == source);
        let mut watched = Watched::default();
        if let Some(claim) = reading.and_then(|reading| reading.claim) {
            watched.hear(source, claim, false, 0);
        }
        let what = format!("{} {}: {source} alone", later.agent, look.case);
        Judged { what, truth: at_sight(&look.truth), shown: watched.state(0) }
    };
    later.looks.iter().map(judge).collect()
}

/// What came in one scene, through the whole engine: what is shown after each event, and, where
/// looks are taken as well, at each look.
fn later_scene(later: &Later, scene: &Scene, looks: bool) -> Vec<Judged> {
    let registry = Registry::built_in();
    let adapter = registry.get(&later.agent).unwrap();
    let mut world = World::at(0, &later.agent);
    let mut judged = Vec::new();
    for (number, step) in scene.steps.iter().enumerate() {
        world.is_at(step.ms);
        let (truth, by) = match &step.what {
            What::Look(at, told) if looks || *told => {
                let look = &later.looks[*at];
                if looks {
                    world.is_there(&later.agent);
                    world.observe(seen(readings(later, look)));
                }
                (Some(look.truth.clone()), look.case.clone())
            }
            What::Event { name, payload, truth } => {
                let said = adapter.hears(name, payload);
                world.feed(&report(&later.agent, (number, step.ms), name.clone(), said));
                let by = format!("{} after {name} at {} ms", scene.name, step.ms);
                (truth.clone().filter(|_| !looks), by)
            }
            What::Look(..) => continue,
        };
        if let Some(truth) = truth {
            let (state, reason, source) = world.shown();
            let shown = Verdict { state, reason, confidence: Confidence::High, source };
            let alone = if looks { "all together" } else { "hooks alone" };
            let what = format!("{} {by}: {alone}", later.agent);
            judged.push(Judged { what, truth, shown });
        }
    }
    judged
}

/// Looks that showed a defect of an adapter: which one, and what was shown of it before the mend.
/// The rules were mended with them in view.
const MENDED: &[(&str, &str, &str)] = &[(
    "gemini",
    "narrow-approval",
    "its screen alone was shown as `idle`, true was `waiting_approval`: after a change of width a \
     prompt of the transcript passed for the composer",
)];

fn was_mended(one: &Judged) -> bool {
    MENDED.iter().any(|(agent, case, _)| one.what.starts_with(&format!("{agent} {case}: ")))
}

/// Each source of what was recorded later with its judged moments.
fn later_parts(later: &Later) -> [(&'static str, Vec<Judged>); 4] {
    let scenes =
        |looks| later.scenes.iter().flat_map(|scene| later_scene(later, scene, looks)).collect();
    [
        ("screen", later_looks(later, Source::Screen)),
        ("title", later_looks(later, Source::Title)),
        ("hooks in sequence", scenes(false)),
        ("all together", scenes(true)),
    ]
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
goes through the real adapters and the engine's fusion, and is compared with what the scenario that
made the record says was true. There are three parts: records that the rules were written with,
records made after the rules were frozen, and the agents themselves, run live. Nothing of Cursor's
agent was recorded.

- *precision*: of the times a state was shown, how often it was true, in percent;
- *recall*: of the times it was true, how often it was shown;
- *unknown*: of the times it was true, how often `unknown` was shown instead;
- *reason*: of the times it was true, how often the right reason stood beside it.

## Records that the rules were written with

Made on 2026-11-20, before the rules, and the rules were written with them in view: this part shows
that the rules hold what they were made for, not how they do on what nobody saw. Each source is on its
own. A truth of `unknown` is a screen that tells nothing: blank, or after the agent ended.
";

const LATER: &str = "
## Records made after the rules were frozen

Made by `./x test agents NAME... --record DIR` and judged first by the rules as they stood before;
what was mended then is told at the end. The scenes are those of the live part, which were played
while the rules were still being written; their screens, titles and hooks in these runs are new.
Not played for the record: race, late, replaced, send_at_work and send_to_dialog.
Labels come from the scene alone, for moments at which what is true had stood for half a second and
stood on after the look; a look is left out where the agent's own words for the label (its dialog,
its line about trying again) were not on the screen, and where processes tell what is true: that no
agent runs, or that it is stopped. How these records are judged was settled with the first of them
in view (Claude's): that moments of what processes tell are left out, and that a sequence does not
tell what became true before its scene or while two agents ran. One look was taken out afterwards
because its label is not certain: Copilot's footer still said that it was cancelling
(by_keys-denied, shown as `waiting_approval` by all together, as `unknown` by the screen alone).

*screen* and *title* are one look each and that source alone; a screen of an agent that is done may
be read as `idle`, since it need not say how its rest came. *hooks in sequence* is what hooks alone
make of a scene, from nothing at its beginning, judged after each event and at each look for as long
as something is true of which the agent's hooks tell. *all together* is what hooks, titles and screens
make of it in the whole engine, judged at each look. The files in which an agent writes down its state
are missing there, and so are the looks between these moments; where *all together* is wrong below,
what the daemon showed in the run itself, with both, was right.
";

const COLUMNS: &str = "| source | state | cases | precision | recall | unknown | reason |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
";

fn table(page: &mut String, parts: &[(&str, Vec<Judged>)]) {
    page.push_str(COLUMNS);
    for (source, judged) in parts {
        for (state, score) in scores(judged) {
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
    }
}

/// What some judged moments come to: cases, those with a definite truth, wrong definite states, and
/// `unknown` in place of a definite truth.
fn sum(judged: &[Judged]) -> (usize, usize, usize, usize) {
    let definite: Vec<_> = judged.iter().filter(|one| one.true_state() != State::Unknown).collect();
    let unknown = definite.iter().filter(|one| one.shown.state == State::Unknown).count();
    let wrong = judged.iter().filter(|one| one.is_wrong()).count();
    (judged.len(), definite.len(), wrong, unknown)
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut all: Vec<Judged> = Vec::new();
    for recording in recordings() {
        write!(page, "\n### {} {}\n\n", recording.agent, recording.version).unwrap();
        let parts = [
            ("screen", looks(&recording, Source::Screen, Kind::Screen)),
            ("title", looks(&recording, Source::Title, Kind::Title)),
            ("hooks in sequence", sequence(&recording)),
        ];
        table(&mut page, &parts);
        all.extend(parts.into_iter().flat_map(|(_, judged)| judged));
    }
    let (cases, definite, wrong, unknown) = sum(&all);
    page.push_str("\n### All of these together\n\n");
    writeln!(page, "- cases: {cases}, of them with a definite truth: {definite}").unwrap();
    writeln!(page, "- wrong definite states: {wrong}").unwrap();
    let unknown = percent(unknown, definite);
    writeln!(page, "- `unknown` in place of a definite truth: {unknown} %").unwrap();
    page + &later_page(cases)
}

/// The part about what was recorded later, beside so many cases of before.
fn later_page(before: usize) -> String {
    let mut page = LATER.to_owned();
    let mut all: BTreeMap<&str, Vec<Judged>> = BTreeMap::new();
    for later in later() {
        let Later { agent, version, day, .. } = &later;
        write!(page, "\n### {agent} {version}, recorded on {day}\n\n").unwrap();
        let mut parts = later_parts(&later);
        parts.iter_mut().for_each(|(_, judged)| judged.retain(|one| !was_mended(one)));
        table(&mut page, &parts);
        for (source, judged) in parts {
            all.entry(source).or_default().extend(judged);
        }
    }
    let cases: usize = all.values().map(Vec::len).sum();
    let share = percent(cases, cases + before);
    write!(
        page,
        "\n### All of these together\n\nCases: {cases}, which is {share} % of all cases of \
         both parts.\n\n| source | cases | wrong definite states | `unknown` in place of a \
         definite truth |\n| --- | ---: | ---: | ---: |\n"
    )
    .unwrap();
    for (source, judged) in &all {
        let (cases, definite, wrong, unknown) = sum(judged);
        let unknown = percent(unknown, definite);
        writeln!(page, "| {source} | {cases} | {wrong} | {unknown} % |").unwrap();
    }
    let wrong: Vec<&Judged> = all.values().flatten().filter(|one| one.is_wrong()).collect();
    if !wrong.is_empty() {
        page.push_str("\nShown and not true:\n\n");
    }
    for one in wrong {
        let truth: Vec<String> = one.truth.0.iter().map(|it| format!("`{}`", it.0)).collect();
        let (what, shown) = (&one.what, one.shown.state);
        writeln!(page, "- {what}: `{shown}`, true was {}", truth.join(" or ")).unwrap();
    }
    let count = MENDED.len();
    write!(
        page,
        "\nDefects of an adapter that these records showed when they were first judged: {count}. They \
         were mended\nthen; their looks are seen now, and count in no number above:\n\n"
    )
    .unwrap();
    for (agent, case, shown) in MENDED {
        writeln!(page, "- {agent} {case}: {shown}").unwrap();
    }
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
fn what_a_later_record_had_mended_is_shown_as_it_was() {
    let all = later();
    let judged = all.iter().flat_map(later_parts).flat_map(|(_, judged)| judged);
    let mended: Vec<Judged> = judged.filter(was_mended).collect();
    assert!(mended.len() >= 3 * MENDED.len(), "{}", mended.len());
    for one in mended {
        assert!(!one.is_wrong(), "{}: {}", one.what, one.shown.state);
    }
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
