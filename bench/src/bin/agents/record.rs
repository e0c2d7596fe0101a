//! Records for the corpus: what an agent showed and reported at moments of which the scene knows
//! what was true. Nothing here asks what Quarterdeck made of it.
//!
//! A moment counts if its truth had stood for a while when its screen was taken and stood on
//! afterwards; what a scene did not come to its end with is dropped whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use testkit::wait;

use crate::overheard::{Overheard, Overhearing};
use crate::report;
use crate::stage::Stage;
use crate::truth::{Change, HOOKED, Truth, UNJUDGED};

/// How long something has to have been true before it is recorded.
const STOOD: Duration = Duration::from_millis(500);

/// What the columns of the two tables are.
const LOOKS: &str = "# case\twhat was true\tcolumns\tlines\talternate\tcursor\tx\ty\ttitle\n";
const SEQUENCES: &str = "# scene\tms\tevent\tpayload (a line, from 0), or case of a look\twhat was \
                         true (`?`: it may have been changing)\twhether hooks tell of it\n";

/// Scenes with two agents at once: whose an event is, is not told by when it came.
const SEVERAL: &[&str] = &["two_agents"];

/// What is told by processes, and no adapter is asked about: that there is no agent, or that it was
/// stopped.
const BY_PROCESSES: &[&str] = &["unknown/no_agent", "gone", "idle/suspended"];

fn is_for_adapters(truth: Truth) -> bool {
    !BY_PROCESSES.contains(&truth.0) && truth != UNJUDGED
}

/// One look at the pane.
struct Look {
    change: Change,
    from: Instant,
    to: Instant,
    facts: String,
    screen: String,
}

pub(crate) struct Recorder {
    folder: PathBuf,
    heard: Overhearing,
    neutral: Neutral,
    begun: Instant,
    scene: String,
    looks: Vec<Look>,
    cases: BTreeMap<String, usize>,
    seen: BTreeSet<String>,
    payloads: BTreeMap<String, usize>,
}

impl Recorder {
    pub(crate) fn start(folder: &Path, version: &str, stage: &Stage) -> anyhow::Result<Self> {
        let folder = folder.join(stage.lab.name).join(version);
        anyhow::ensure!(!folder.exists(), "{} is there already", folder.display());
        fs::create_dir_all(folder.join("screens"))?;
        fs::write(folder.join("looks.tsv"), LOOKS)?;
        fs::write(folder.join("sequences.tsv"), SEQUENCES)?;
        fs::write(folder.join("recorded"), format!("{}\n", report::today()))?;
        Ok(Self {
            folder,
            heard: Overhearing::start(stage.spool()),
            neutral: Neutral::of(stage),
            begun: wait::now(),
            scene: String::new(),
            looks: Vec::new(),
            cases: BTreeMap::new(),
            seen: BTreeSet::new(),
            payloads: BTreeMap::new(),
        })
    }

    pub(crate) fn begin(&mut self, scene: &str) {
        self.begun = wait::now();
        scene.clone_into(&mut self.scene);
        self.looks.clear();
    }

    /// Takes what a pane shows, if what is true of it has stood for a while.
    pub(crate) fn look(&mut self, stage: &Stage, pane: &str, change: &Change) {
        let from = wait::now();
        if from < change.certain + STOOD || !is_for_adapters(change.truth) {
            return;
        }
        let (facts, screen) = stage.look(pane);
        if !stage.lab.marks.are_on(change.truth.0, &screen) {
            return;
        }
        self.looks.push(Look { change: change.clone(), from, to: wait::now(), facts, screen });
    }

    /// Writes what was recorded in a scene that came to its end.
    pub(crate) fn keep(&mut self, changes: &BTreeMap<String, Vec<Change>>) -> anyhow::Result<()> {
        let all: Vec<&Change> = changes.values().flatten().collect();
        let mut rows: Vec<(Instant, String)> = Vec::new();
        for look in std::mem::take(&mut self.looks) {
            // What began before the look was over may be what it shows.
            let begun = look.change.begun;
            let pane = changes.values().find(|it| it.iter().any(|it| it.begun == begun));
            let mut later = pane.into_iter().flatten().filter(|it| it.begun > begun);
            let overtaken = later.any(|it| it.begun <= look.to);
            if overtaken {
                continue;
            }
            let Some(case) = self.keep_look(&look)? else { continue };
            if self.is_of_scene(&look.change) {
                let (truth, hooked) = (look.change.truth.0, hooked(&look.change));
                rows.push((look.from, format!("look\t{case}\t{truth}\t{hooked}")));
            }
        }
        if !SEVERAL.contains(&self.scene.as_str()) {
            for event in self.heard.since(self.begun) {
                let last = all.iter().filter(|it| it.begun <= event.at).max_by_key(|it| it.begun);
                let last = last.filter(|change| self.is_of_scene(change));
                let truth = told(last.copied(), event.at);
                let payload = self.payload(&event)?;
                rows.push((event.at, format!("{}\t{payload}\t{truth}", event.name)));
            }
        }
        rows.sort_by_key(|row| row.0);
        let mut text = String::new();
        for (at, row) in rows {
            let ms = at.saturating_duration_since(self.begun).as_millis();
            writeln!(text, "{}\t{ms}\t{row}", self.scene)?;
        }
        append(&self.folder.join("sequences.tsv"), &text)
    }

    /// Whether a sequence that begins with the scene can tell of a change.
    fn is_of_scene(&self, change: &Change) -> bool {
        change.scene == self.scene && !SEVERAL.contains(&self.scene.as_str())
    }

    fn keep_look(&mut self, look: &Look) -> anyhow::Result<Option<String>> {
        let screen = self.neutral.text(&look.screen);
        let facts = self.neutral.facts(&look.facts);
        let truth = look.change.truth.0;
        if !self.seen.insert(format!("{truth}\n{facts}\n{screen}")) {
            return Ok(None);
        }
        let name = format!("{}-{}", look.change.scene, look.change.name);
        let count = self.cases.entry(name.clone()).or_default();
        *count += 1;
        let case = if *count == 1 { name } else { format!("{name}-{count}") };
        fs::write(self.folder.join("screens").join(format!("{case}.txt")), screen)?;
        append(&self.folder.join("looks.tsv"), &format!("{case}\t{truth}\t{facts}\n"))?;
        Ok(Some(case))
    }

    /// The number of a payload, which is written once however often it came.
    fn payload(&mut self, event: &Overheard) -> anyhow::Result<usize> {
        let text = self.neutral.text(&event.payload);
        let next = self.payloads.len();
        if let Some(number) = self.payloads.get(&text) {
            return Ok(*number);
        }
        append(&self.folder.join("payloads.jsonl"), &format!("{}\n", text.replace('\n', " ")))?;
        self.payloads.insert(text, next);
        Ok(next)
    }
}

/// What was true at a moment and whether a hook had told of it, as columns; a question mark while
/// it may have been changing.
fn told(last: Option<&Change>, at: Instant) -> String {
    match last {
        Some(change) if is_for_adapters(change.truth) && at >= change.certain + change.window => {
            format!("{}\t{}", change.truth.0, hooked(change))
        }
        Some(_) | None => "?\t-".to_owned(),
    }
}

/// Whether a hook tells of a change.
fn hooked(change: &Change) -> &'static str {
    if change.window == HOOKED { "hook" } else { "-" }
}

fn append(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

/// Takes out what tells of the machine on which it was recorded. What stands in place of a path is
/// as long as it was: a screen keeps its columns.
struct Neutral {
    pairs: Vec<(String, String)>,
    /// The machine's name, which is a pane's title at first.
    host: String,
}

impl Neutral {
    fn of(stage: &Stage) -> Self {
        let root = stage.root();
        let stem = root.trim_end_matches(char::is_alphanumeric).to_owned();
        let base = root.rsplit('/').next().unwrap_or_default().to_owned();
        let pairs = [
            (stage.qd_program(), "/opt/qd/bin/programs"),
            (stage.site.prefix.to_string_lossy().into_owned(), "/opt/agents/programs"),
            (root, "/home/dev/works"),
            (base, "recorded-1"),
            // What a narrow pane left of it.
            (stem, "/home/dev"),
        ];
        let alike = |(from, to): (String, &str)| {
            let fill = to.chars().chain(std::iter::repeat('-'));
            let to = fill.take(from.chars().count()).collect();
            (from, to)
        };
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { pairs: pairs.map(alike).to_vec(), host: host.trim().to_owned() }
    }

    /// The columns of a look, of which the last is the pane's title.
    fn facts(&self, facts: &str) -> String {
        match facts.rsplit_once('\t') {
            Some((facts, title)) if title == self.host => format!("{facts}\thost"),
            Some(_) | None => self.text(facts),
        }
    }

    fn text(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::LABS;
    use crate::truth::SEEN;

    #[test]
    fn a_path_gives_way_to_one_of_its_length_and_a_title_of_the_machine_to_a_host() {
        let pairs = vec![("/tmp/qdt-AbC123".to_owned(), "/home/dev/works".to_owned())];
        let neutral = Neutral { pairs, host: "machine".to_owned() };
        assert_eq!(neutral.text("│ /tmp/qdt-AbC123/project │"), "│ /home/dev/works/project │");
        assert_eq!(neutral.facts("120\t40\tmachine"), "120\t40\thost");
        assert_eq!(neutral.facts("120\t40\ta machine"), "120\t40\ta machine");
    }

    #[test]
    fn a_label_that_is_known_by_words_needs_them_on_the_screen_however_they_are_drawn() {
        let truth = "waiting_approval/approval_requested";
        for lab in LABS {
            let mark = lab.marks.approval[0];
            let (first, rest) = mark.split_at(mark.ceil_char_boundary(1));
            let drawn = format!("\u{1b}[1m{first}\u{1b}[0m\u{1b}[39m{rest}");
            assert!(lab.marks.are_on(truth, &drawn), "{}", lab.name);
            assert!(!lab.marks.are_on(truth, "Working"), "{}", lab.name);
            assert!(lab.marks.are_on("running", "Working"), "{}", lab.name);
        }
    }

    #[test]
    fn nothing_is_told_while_it_may_be_changing_or_where_no_adapter_is_asked() {
        let start = wait::now();
        let mut change = Change {
            scene: "s".to_owned(),
            name: "n",
            begun: start,
            certain: start,
            window: HOOKED,
            truth: Truth("running"),
        };
        assert_eq!(told(None, start), "?\t-");
        assert_eq!(told(Some(&change), start), "?\t-");
        assert_eq!(told(Some(&change), start + HOOKED), "running\thook");
        change.window = SEEN;
        assert_eq!(told(Some(&change), start + HOOKED), "?\t-");
        assert_eq!(told(Some(&change), start + SEEN), "running\t-");
        for truth in [UNJUDGED, Truth("unknown/no_agent"), Truth("idle/suspended"), Truth("gone")] {
            change.truth = truth;
            assert_eq!(told(Some(&change), start + SEEN), "?\t-");
        }
    }
}
