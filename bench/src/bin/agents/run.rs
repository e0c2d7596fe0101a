//! One agent on its stage, and the truth about its pane as the scenes make it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use testkit::model::{Moment, What};
use testkit::wait;

use crate::acts::Act;
use crate::record::Recorder;
use crate::shown::GONE;
use crate::stage::{Stage, pause};
use crate::truth::{Change, HOOKED, SEEN, Stretch, Truth, UNJUDGED, compare};

/// How often what is shown is sampled while a state holds.
const SAMPLE: Duration = Duration::from_millis(100);

/// How much of what was shown is kept of an act that came out otherwise.
const SHOWN_KEPT: usize = 20;

/// How long an agent shows no work that has stopped.
const RESTED: Duration = Duration::from_millis(1_500);

pub(crate) struct Run {
    pub(crate) stage: Stage,
    pub(crate) pane: String,
    first_pane: String,
    /// For each pane, what became true of it.
    changes: BTreeMap<String, Vec<Change>>,
    stretches: Vec<Stretch>,
    scene: String,
    /// The daemon is killed and started again in the middle of each state that holds.
    restarts: bool,
    /// Where to keep what was seen at a wrong moment, and what is worth a case of the corpus.
    keep: Option<PathBuf>,
    recorder: Option<Recorder>,
    tags: u32,
    begun: Instant,
    samples: u32,
    right_samples: u32,
    /// What was done to the agent from elsewhere.
    pub(crate) acts: Vec<Act>,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) samples: u32,
    pub(crate) right_samples: u32,
    pub(crate) acts: Vec<Act>,
    /// Processes that outlived the agent's terminal and were ended by the harness.
    pub(crate) left_behind: Vec<String>,
}

impl Run {
    pub(crate) fn new(
        stage: Stage,
        restarts: bool,
        keep: Option<PathBuf>,
        recorder: Option<Recorder>,
    ) -> anyhow::Result<Self> {
        let pane = stage.pane()?;
        Ok(Self {
            stage,
            first_pane: pane.clone(),
            pane,
            changes: BTreeMap::new(),
            stretches: Vec::new(),
            scene: String::new(),
            restarts,
            keep,
            recorder,
            tags: 0,
            begun: wait::now(),
            samples: 0,
            right_samples: 0,
            acts: Vec::new(),
        })
    }

    pub(crate) fn begin(&mut self, scene: &str) {
        self.scene = scene.to_owned();
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(scene);
        }
    }

    /// The scene came to its end: what was recorded of it holds.
    pub(crate) fn keep_record(&mut self) -> anyhow::Result<()> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        recorder.keep(&self.changes)
    }

    fn record(&mut self, change: &Change) {
        if let Some(recorder) = &mut self.recorder {
            recorder.look(&self.stage, &self.pane, change);
        }
    }

    pub(crate) fn scene(&self) -> &str {
        &self.scene
    }

    /// From a moment on something else is true. Whether a hook tells of it decides how soon it has
    /// to be shown.
    pub(crate) fn now(
        &mut self,
        name: &'static str,
        begun: Instant,
        certain: Instant,
        truth: &'static str,
    ) {
        let hooked = self.stage.lab.hooked.contains(&name);
        let window = if hooked { HOOKED } else { SEEN };
        let (scene, truth) = (self.scene.clone(), Truth(truth));
        let change = Change { scene, name, begun, certain, window, truth };
        self.changes.entry(self.pane.clone()).or_default().push(change);
    }

    /// Whether the daemon is killed in the middle of each state.
    pub(crate) fn restarts(&self) -> bool {
        self.restarts
    }

    /// The pane in which the run began.
    pub(crate) fn first_pane(&self) -> String {
        self.first_pane.clone()
    }

    /// Lets a state hold, samples what is shown of it, and keeps it as a case.
    pub(crate) fn hold(&mut self, ms: u64) {
        let Some(change) = self.newest() else { return };
        let restart = self.restarts;
        self.sample_change(&change, ms, restart);
        self.keep_case(&change);
    }

    /// Samples what is shown of a state that held already.
    pub(crate) fn sample(&mut self, ms: u64) {
        if let Some(change) = self.newest() {
            self.sample_change(&change, ms, false);
        }
    }

    fn newest(&self) -> Option<Change> {
        self.changes.get(&self.pane)?.last().cloned()
    }

    fn sample_change(&mut self, change: &Change, ms: u64, mut restart: bool) {
        let begun = wait::now();
        let length = Duration::from_millis(ms);
        let settled = (change.certain + change.window).max(self.seeing());
        let (mut kept, mut looked) = (false, false);
        while begun.elapsed() < length {
            if restart && begun.elapsed() > length / 2 {
                self.stage.restart_daemon();
                restart = false;
            }
            if !looked && begun.elapsed() > length / 2 {
                self.record(change);
                looked = true;
            }
            if wait::now() > settled.max(self.seeing()) {
                self.take_sample(change, &mut kept);
            }
            pause(SAMPLE);
        }
        self.record(change);
    }

    /// From when on a daemon that was restarted has had its time to look.
    fn seeing(&self) -> Instant {
        let restarted = self.stage.blind.last().map(|(_, until)| *until);
        restarted.unwrap_or(self.begun)
    }

    fn take_sample(&mut self, change: &Change, kept: &mut bool) {
        let shown = self.stage.watcher.now(&self.pane);
        let state = shown.map_or_else(|| GONE.to_owned(), |shown| shown.state);
        let right = change.truth.has_state(&state);
        self.samples += 1;
        self.right_samples += u32::from(right);
        if !right && !*kept {
            *kept = true;
            self.keep_wrong(change, &state);
        }
    }

    /// Types a prompt with a script, and waits until the agent is at work on it.
    pub(crate) fn prompt(&mut self, script: &str) -> anyhow::Result<String> {
        let (tag, begun) = self.type_prompt(script);
        let certain = self.stage.model_does(&tag, |what| *what == What::Asked)?;
        self.now("turn", begun, certain, "running");
        Ok(tag)
    }

    /// Types a prompt with a script; gives the word by which the model's log knows it.
    pub(crate) fn type_prompt(&mut self, script: &str) -> (String, Instant) {
        self.stage.keys(&self.pane, self.stage.lab.keys.clear);
        self.type_unclean(script)
    }

    /// Types a prompt into a composer that is not cleared before.
    pub(crate) fn type_unclean(&mut self, script: &str) -> (String, Instant) {
        let tag = self.tag();
        let begun = self.stage.line(&self.pane, &format!("Do {tag} {script}"));
        (tag, begun)
    }

    /// How often the model was asked something by a prompt with this word in it, apart from what
    /// tools gave back.
    pub(crate) fn times_asked(&self, tag: &str) -> usize {
        let moments = self.stage.model.moments(0).into_iter();
        moments.filter(|it| !it.beside && it.what == What::Asked && it.prompt.contains(tag)).count()
    }

    /// A word by which the model's log knows a prompt that somebody else types.
    pub(crate) fn tag(&mut self) -> String {
        self.tags += 1;
        format!("part{}x", self.tags)
    }

    /// Waits until the model has said its last word, after so many answers, and the agent shows
    /// that the turn is over.
    pub(crate) fn finishes(&mut self, tag: &str, answers: usize) -> anyhow::Result<()> {
        let begun = self.stage.model_ends(tag, answers)?;
        let certain = self.unsees(self.stage.lab.marks.busy)?;
        self.now("done", begun, certain, "completed");
        Ok(())
    }

    pub(crate) fn key(&mut self, keys: &[&str]) -> Instant {
        self.stage.keys(&self.pane, keys)
    }

    pub(crate) fn sees(&self, words: &[&str]) -> anyhow::Result<Instant> {
        self.stage.sees(&self.pane, words)
    }

    pub(crate) fn starts(&self, words: &[&str]) -> anyhow::Result<Instant> {
        self.stage.starts(&self.pane, words)
    }

    pub(crate) fn unsees(&self, words: &[&str]) -> anyhow::Result<Instant> {
        self.stage.unsees(&self.pane, words)
    }

    /// Waits until the agent shows no work any more, and for longer than a moment: some go on until
    /// they notice what they were told. What it shows of itself is true, so one that says that it
    /// works does so until it stops. Gives when it last went on, or was told where it did not, and
    /// from when on it rested.
    pub(crate) fn rests(&mut self, told: Instant) -> anyhow::Result<(Instant, Instant)> {
        let busy = self.stage.lab.marks.busy;
        let (mut from, mut rested) = (told, wait::now());
        while let Ok(works) = self.stage.sees_within(&self.pane, busy, RESTED) {
            self.now("goes_on", from, works, "running");
            rested = self.unsees(busy)?;
            from = works;
        }
        Ok((from, rested))
    }

    /// What is true of the pane is not known from here on; another one takes its place.
    pub(crate) fn lost(&mut self) -> anyhow::Result<()> {
        if let Some(last) = self.changes.get_mut(&self.pane).and_then(|it| it.last_mut()) {
            last.truth = UNJUDGED;
        }
        self.judge();
        self.stage.kill_pane(&self.pane);
        self.pane = self.stage.pane()?;
        self.first_pane.clone_from(&self.pane);
        Ok(())
    }

    /// Compares all that was true with what was shown of it.
    fn judge(&mut self) {
        let end = wait::now();
        for (pane, changes) in std::mem::take(&mut self.changes) {
            let shown = self.stage.watcher.of(&pane);
            self.stretches.extend(compare(&changes, &shown, &self.stage.blind, end));
        }
    }

    pub(crate) fn end(mut self) -> Outcome {
        self.judge();
        self.keep_log();
        Outcome {
            stretches: self.stretches,
            samples: self.samples,
            right_samples: self.right_samples,
            acts: self.acts,
            left_behind: self.stage.clear(),
        }
    }

    fn keep_wrong(&self, change: &Change, state: &str) {
        let Some(folder) = &self.keep else { return };
        let name = format!("{}-{}-{}-{state}", self.stage.lab.name, change.scene, change.name);
        let text = format!(
            "truth {}\ntitle {}\n{}\n{}",
            change.truth.0,
            self.stage.title(&self.pane),
            self.stage.screen(&self.pane),
            self.stage.explain(&self.pane),
        );
        // Whoever looks for it finds none; the figures say that it was wrong.
        std::fs::write(folder.join(format!("wrong-{name}.txt")), text).ok();
    }

    /// What was shown lately, for whoever asks why an act came out otherwise.
    pub(crate) fn keep_wrong_act(&self, name: &str, wrong: &str) {
        let Some(folder) = &self.keep else { return };
        let mut text = format!("{wrong}\n\n");
        let shown = self.stage.watcher.of(&self.pane);
        for shown in &shown[shown.len().saturating_sub(SHOWN_KEPT)..] {
            let ago = shown.at.elapsed().as_millis();
            let line =
                format!("{ago:>7} ms ago {}/{} {}\n", shown.state, shown.reason, shown.source);
            text.push_str(&line);
        }
        text.push_str(&self.stage.screen(&self.pane));
        let name = name.replace(' ', "-");
        let name = format!("{}-{}-{name}-{}.txt", self.stage.lab.name, self.scene, self.acts.len());
        // As with what was shown wrongly.
        std::fs::write(folder.join(format!("wrong-{name}")), text).ok();
    }

    /// What the model was asked and did, for whoever asks why a scene got stuck.
    fn keep_log(&self) {
        let Some(folder) = &self.keep else { return };
        let line = |moment: &Moment| {
            let since = moment.at.saturating_duration_since(self.begun).as_millis();
            let Moment { request, beside, what, prompt, .. } = moment;
            let end: String = prompt.chars().rev().take(200).collect();
            let end: String = end.chars().rev().collect();
            format!("{since:>7} {request:>4} {beside:<5} {what:?} {end:?}\n")
        };
        let log: String = self.stage.model.moments(0).iter().map(line).collect();
        std::fs::write(folder.join(format!("{}-model.txt", self.stage.lab.name)), log).ok();
    }

    fn keep_case(&self, change: &Change) {
        let Some(folder) = &self.keep else { return };
        let name = format!("{}-{}", change.scene, change.name);
        let folder = folder.join(self.stage.lab.name);
        std::fs::create_dir_all(&folder).ok();
        let screen = self.stage.screen(&self.pane);
        let label = format!("{}\t{}\t{}", name, change.truth.0, self.stage.title(&self.pane));
        std::fs::write(folder.join(format!("{name}.txt")), screen).ok();
        std::fs::write(folder.join(format!("{name}.label")), label).ok();
    }
}
