//! The deliberate bugs: one line each that somebody could have written so by mistake.

/// One of them. It slumbers until the variable [`super::CHOSEN`] holds its number, counted from 1.
pub(super) struct Bug {
    /// What is wrong then, for a reader.
    pub(super) what: &'static str,
    /// The crate below `crates/`, and the file in its `src/`.
    pub(super) place: (&'static str, &'static str),
    /// A piece of code that stands there exactly once. Where that was rewritten the bug is reported
    /// as not planted, until it is given the code as it is now.
    pub(super) find: &'static str,
    /// What stands there instead; `PLANTED` is whether this bug is awake.
    pub(super) plant: &'static str,
}

impl Bug {
    /// The worlds in which it can show itself, the fastest first.
    pub(super) fn worlds(&self) -> &'static [&'static str] {
        if self.place.0 == "engine" { &["--engine", "--whole"] } else { &["--whole"] }
    }
}

pub(super) const BUGS: &[Bug] = &[
    Bug {
        what: "an event is bound to a life that it does not name",
        place: ("engine", "signal.rs"),
        find: ".filter(|runtime| hints.fit(runtime.pid, runtime.started_at, settings));",
        plant: ".filter(|runtime| PLANTED || hints.fit(runtime.pid, runtime.started_at, settings));",
    },
    Bug {
        what: "a source that counts anew is never heard again",
        place: ("engine", "state.rs"),
        find: "if ahead > restart {",
        plant: "if ahead > restart && !PLANTED {",
    },
    Bug {
        what: "of two claims of one source the later to arrive counts, not the newer",
        place: ("engine", "state.rs"),
        find: "if slot.as_ref().is_none_or(|current| heard.supersedes(current, settings)) {",
        plant: "if slot.as_ref().is_none_or(|current| PLANTED || heard.supersedes(current, settings)) {",
    },
    Bug {
        what: "a claim that was found stale is believed again",
        place: ("engine", "state.rs"),
        find: "is_some_and(|through| heard.order <= *through)",
        plant: "is_some_and(|through| !PLANTED && heard.order <= *through)",
    },
    Bug {
        what: "a target that is down goes on showing what its panes were",
        place: ("engine", "state.rs"),
        find: "if *health == Health::Down {",
        plant: "if *health == Health::Down && !PLANTED {",
    },
    Bug {
        what: "output does not contradict a claim that nothing moves",
        place: ("engine", "state.rs"),
        find: ") if moved.mono > said.plus(limits::SETTLE_MS) => said,",
        plant: ") if moved.mono > said.plus(limits::SETTLE_MS) && !PLANTED => said,",
    },
    Bug {
        what: "a look at one pane confirms every pane of its target",
        place: ("engine", "observe.rs"),
        find: "Note::Seen { panes: Seen::Some(panes), .. } => panes.contains(&pane),",
        plant: "Note::Seen { panes: Seen::Some(panes), .. } => PLANTED || panes.contains(&pane),",
    },
    Bug {
        what: "another process in a pane goes on as the old runtime",
        place: ("engine", "observe.rs"),
        find: "if !old.same_process(new) {",
        plant: "if !old.same_process(new) && !PLANTED {",
    },
    Bug {
        what: "a pane that is not listed any more is kept",
        place: ("engine", "observe.rs"),
        find: "_ if !listed.contains(&memory.row.key.pane) => EndReason::PaneGone,",
        plant: "_ if !listed.contains(&memory.row.key.pane) && !PLANTED => EndReason::PaneGone,",
    },
    Bug {
        what: "a pane whose server is another one now is still taken for the old pane",
        place: ("engine", "observe.rs"),
        find: "filter(|memory| memory.row.boot == server.boot);",
        plant: "filter(|memory| PLANTED || memory.row.boot == server.boot);",
    },
    Bug {
        what: "the time without a daemon counts as time in which somebody looked",
        place: ("engine", "engine.rs"),
        find: "row.last_seen.rebase(now);",
        plant: "row.last_seen = if PLANTED { now.stamp() } else { row.last_seen }; row.last_seen.rebase(now);",
    },
    Bug {
        what: "a target recovers without a topology",
        place: ("engine", "target.rs"),
        find: "let recovers = self.topology_seen && self.successes",
        plant: "let recovers = (PLANTED || self.topology_seen) && self.successes",
    },
    Bug {
        what: "an act that was under way at a crash is done again",
        place: ("engine", "acting.rs"),
        find: "open.map(|row| Effect::Settle(Box::new(row.clone())))",
        plant: "open.map(|row| if PLANTED { Effect::Act(Box::new(row.clone())) } else { Effect::Settle(Box::new(row.clone())) })",
    },
    Bug {
        what: "two acts in one pane are under way at once",
        place: ("engine", "acting.rs"),
        find: "here().any(ActionRow::holds_pane)",
        plant: "(here().any(ActionRow::holds_pane) && !PLANTED)",
    },
    Bug {
        what: "what is on its way is told as taken back",
        place: ("engine", "cancelling.rs"),
        find: "if !row.waits() {",
        plant: "if !row.waits() && !(PLANTED && row.is_open()) {",
    },
    Bug {
        what: "a second answer to an approval is accepted",
        place: ("engine", "approving.rs"),
        find: "filter(|answer| answer.action != row.action) {",
        plant: "filter(|answer| answer.action != row.action && !PLANTED) {",
    },
    Bug {
        what: "an answer counts for whatever is asked by now",
        place: ("engine", "approving.rs"),
        find: "if *fingerprint != open.fingerprint {",
        plant: "if *fingerprint != open.fingerprint && !PLANTED {",
    },
    Bug {
        what: "that work goes on is taken for a yes",
        place: ("engine", "approving.rs"),
        find: "close(row, ApprovalState::AnsweredInTerminal, now.wall);\n            if is_interrupted(shown) {",
        plant: "close(row, ApprovalState::AnsweredInTerminal, now.wall);\n            if PLANTED { row.outcome = Some(Choice::Approve); } else if is_interrupted(shown) {",
    },
    Bug {
        what: "what ended runtimes had said stays in the tables",
        place: ("store", "fold.rs"),
        find: "self.silenced.insert(runtime.clone());",
        plant: "if !PLANTED { self.silenced.insert(runtime.clone()); }",
    },
    Bug {
        what: "what was found stale is not stored",
        place: ("store", "fold.rs"),
        find: "let sources = row.retires.iter().map(|(source, _)| *source);",
        plant: "let sources = row.retires.iter().filter(|_| !PLANTED).map(|(source, _)| *source);",
    },
    Bug {
        what: "after a full disk the engine goes on with what was not stored",
        place: ("store", "ledger.rs"),
        find: "self.engine = Engine::restore(settings, tables, now);",
        plant: "if !PLANTED { self.engine = Engine::restore(settings, tables, now); }",
    },
    Bug {
        what: "an event that waited is not recognised when it comes again",
        place: ("store", "past.rs"),
        find: "let waiting = self.one(INBOX_BY_KEY, params, past_event);",
        plant: "let waiting = self.one(INBOX_BY_KEY, params, past_event).filter(|_| !PLANTED);",
    },
    Bug {
        what: "the beginning of a line that was cut in two is lost",
        place: ("tmux", "control.rs"),
        find: "                self.partial.extend_from_slice(piece);",
        plant: "                self.partial.extend_from_slice(&piece[usize::from(PLANTED)..]);",
    },
    Bug {
        what: "what a hook of the user's prints is taken for an answer",
        place: ("tmux", "exchange.rs"),
        find: "if !reply.is_ours() {",
        plant: "if !reply.is_ours() && !(PLANTED && self.attached) {",
    },
    Bug {
        what: "a pane of the user's in our own window is left there",
        place: ("tmux", "upkeep.rs"),
        find: "row.session == self.session && row.pane != self.own_pane",
        plant: "row.session == self.session && row.pane != self.own_pane && !(PLANTED && row.window_index == 0)",
    },
    Bug {
        what: "a newline in a name is lost",
        place: ("tmux", "scan.rs"),
        find: "Mark::Newline => resume(&mut free, b'\\n', self.text())?,",
        plant: "Mark::Newline => resume(&mut free, if PLANTED { b' ' } else { b'\\n' }, self.text())?,",
    },
];
