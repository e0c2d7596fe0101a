//! `qd setup`: hooks in the settings of people's own agents, and lines in their tmux configuration;
//! and all of it undone.

mod files;
pub(crate) mod installed;
pub(crate) mod journal;
pub(crate) mod plan;
pub(crate) mod subject;
pub(crate) mod there;
mod tmux;

use std::collections::BTreeSet;
use std::path::Path;

use api::target_name::TargetName;
use api::words::SchemaVersion;
use api::{ErrorCode, ExitCode, Timestamp};
use clap::Args;
use serde::Serialize;

use crate::commands::Outcome;
use crate::commands::consent::Consent;
use crate::commands::filters::target_name;
use crate::commands::setup::installed::Installed;
use crate::commands::setup::journal::Journal;
use crate::commands::setup::plan::{Change, Direction, Ground, Plan};
use crate::commands::setup::subject::{AgentSubject, Subject};
use crate::commands::setup::there::{Disk, There};
use crate::commands::setup::tmux::TmuxConf;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::diff;
use crate::output::text::Text;

/// Put hooks into your agents' settings, so that they tell qd what they do; or a status segment
/// into tmux's
///
/// Shows what it would change and asks first. Whatever else stands in a file stays as it is, byte
/// for byte, and what was there before is kept. --undo brings it back, or, where you changed the
/// file since, takes out what was put in and nothing else.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetupArgs {
    /// Agents, such as claude, or tmux
    #[arg(value_name = "AGENT|tmux")]
    names: Vec<String>,
    /// Set the agents up on this target, another machine, where no qd is needed
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    target: Option<String>,
    /// All agents that are installed, but those that have to be named
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Take out again what was put in; without a name, everything
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    consent: Consent,
}

/// What `qd setup --json` prints. The files are changed here, so the API has no answer for it.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    /// The target whose files they are; null for those of this machine.
    target: Option<String>,
    dry_run: bool,
    undo: bool,
    items: Vec<Item>,
}

/// What became of one that was named.
#[derive(Debug, Serialize)]
struct Item {
    name: String,
    outcome: What,
    /// Why, or what to know about it; may be empty.
    message: String,
    files: Vec<FileChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    NothingToDo,
    WouldChange,
    Changed,
    Skipped,
    Refused,
}

#[derive(Debug, Serialize)]
struct FileChange {
    path: String,
    diff: String,
    /// Where the text from before is kept; empty if there was none.
    backup: String,
}

pub(crate) fn run(console: &Console, args: &SetupArgs) -> Outcome {
    let direction = if args.undo { Direction::Undo } else { Direction::SetUp };
    let ground = ground(console, args)?;
    let (subjects, mut items) = chosen(args, &ground)?;
    let mut plans = Vec::new();
    for subject in subjects {
        match Plan::make(subject.clone(), direction, &ground) {
            Ok(plan) => plans.push(plan),
            Err(failure) if args.all => items.push(refused(subject.name(), failure)?),
            Err(failure) => return Err(failure),
        }
    }
    if !console.is_json() {
        show(console, &items, &plans)?;
    }
    let wanted = plans.iter().any(|plan| !plan.changes.is_empty());
    let done = wanted && !args.consent.dry_run;
    if done {
        let question = Text::plain("Change these files?");
        if !args.consent.given(console, &question, "changing these files")? {
            console.terminal.note(&[Text::plain("Nothing was changed.")]);
            return Ok(ExitCode::Failure);
        }
        carry_out(&plans, direction, &ground)?;
    }
    let failed = items.iter().any(|item| item.outcome == What::Refused);
    items.extend(plans.iter().map(|plan| item(plan, done, &ground.journal)));
    if console.is_json() {
        report(console, args, items)?;
    } else if done {
        console.terminal.lines(&told(&plans, direction, &ground.journal))?;
    }
    Ok(if failed { ExitCode::Failure } else { ExitCode::Ok })
}

/// Everything that `qd setup` did is undone, without asking; for `qd uninstall`.
pub(crate) fn undo_all(console: &Console) -> Result<Vec<Text>, Failure> {
    let ground = here(console)?;
    let mut plans = Vec::new();
    for subject in wherever(everything(&ground.disk)?, &ground.journal)? {
        plans.push(Plan::make(subject, Direction::Undo, &ground)?);
    }
    plans.retain(|plan| !plan.is_empty());
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    carry_out(&plans, Direction::Undo, &ground)?;
    Ok(told(&plans, Direction::Undo, &ground.journal))
}

/// A target on which hooks of ours were set up, and of which agents; or a `qd` copied for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetUpThere {
    pub(crate) target: TargetName,
    agents: BTreeSet<String>,
    is_copied: bool,
}

impl SetUpThere {
    /// What is there, as it is told of a place.
    pub(crate) fn told(&self, place: &str) -> String {
        let agents: Vec<&str> = self.agents.iter().map(String::as_str).collect();
        let agents = agents.join(", ");
        match (self.agents.is_empty(), self.is_copied) {
            (true, _) => format!("a copy of qd lies {place}"),
            (false, false) => format!("hooks of {agents} are set up {place}"),
            (false, true) => format!("hooks of {agents} are set up {place}, with a copy of qd"),
        }
    }

    /// The command that takes it out again.
    pub(crate) fn undo(&self) -> String {
        let Self { target, .. } = self;
        let hooks = (!self.agents.is_empty()).then(|| format!("qd setup --target {target} --undo"));
        let copy = self.is_copied.then(|| format!("qd target install {target} --undo"));
        hooks.into_iter().chain(copy).collect::<Vec<_>>().join("; ")
    }
}

/// A program that is copied to a target, as it is remembered here.
pub(crate) struct Copies(Journal);

impl Copies {
    pub(crate) fn of(state: &Path, target: &TargetName) -> Self {
        Self(Journal::of_target(state, target))
    }

    /// Waits until nobody else changes anything there from here.
    pub(crate) fn turn(&self) -> Result<journal::Turn, Failure> {
        self.0.turn()
    }

    /// Writes down one that is about to be made.
    pub(crate) fn intend(&self, path: &Path, hash: &str) -> Result<(), Failure> {
        self.0.intend(journal::PROGRAM, path, None, hash, Vec::new())
    }

    /// Forgets those that are gone.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        let records = self.0.records()?;
        let mut copies = records.iter().filter(|record| record.subject == journal::PROGRAM);
        copies.try_for_each(|record| self.0.forget(&record.path))
    }
}

/// The targets on which something was changed and not undone.
pub(crate) fn set_up_there(state: &Path) -> Result<Vec<SetUpThere>, Failure> {
    let mut all = Vec::new();
    for (target, journal) in Journal::of_targets(state)? {
        let mut agents: BTreeSet<String> =
            journal.records()?.into_iter().map(|record| record.subject).collect();
        let is_copied = agents.remove(journal::PROGRAM);
        if is_copied || !agents.is_empty() {
            all.push(SetUpThere { target, agents, is_copied });
        }
    }
    Ok(all)
}

fn here(console: &Console) -> Result<Ground, Failure> {
    Ok(Ground { disk: Disk::Here, journal: Journal::below(&console.paths()?.home) })
}

/// Where files are to be changed.
fn ground(console: &Console, args: &SetupArgs) -> Result<Ground, Failure> {
    let Some(name) = &args.target else { return here(console) };
    let there = There::reach(console, target_name(name)?, &subject::variables())?;
    let journal = Journal::of_target(&console.paths()?.home, &there.name);
    Ok(Ground { disk: Disk::There(there), journal })
}

/// Everybody else waits meanwhile; what somebody changed since it was shown is found out here.
fn carry_out(plans: &[Plan], direction: Direction, ground: &Ground) -> Result<(), Failure> {
    let _turn = ground.journal.turn()?;
    for plan in plans {
        let now = Plan::make(plan.subject.clone(), direction, ground)?;
        now.carry_out(direction, ground)?;
    }
    Ok(())
}

fn everything(disk: &Disk) -> Result<Vec<Subject>, Failure> {
    if let Disk::There(there) = disk {
        return Ok(subject::agents_there(there)?.into_iter().map(Subject::Agent).collect());
    }
    let program = subject::program()?;
    let agents = subject::agents(&program)?.into_iter().map(Subject::Agent);
    Ok(agents.chain([Subject::Tmux(TmuxConf::find(&program)?)]).collect())
}

/// Subjects with every place where something was changed for them.
fn wherever(subjects: Vec<Subject>, journal: &Journal) -> Result<Vec<Subject>, Failure> {
    let records = journal.records()?;
    let mut all = subjects.clone();
    for subject in subjects {
        for record in records.iter().filter(|record| record.subject == subject.name()) {
            let known = |it: &Subject| it.paths().contains(&record.path);
            if !all.iter().any(known) {
                all.extend(subject.at(&record.path));
            }
        }
    }
    Ok(all)
}

/// What was meant, and what of it is left out.
fn chosen(args: &SetupArgs, ground: &Ground) -> Result<(Vec<Subject>, Vec<Item>), Failure> {
    let journal = &ground.journal;
    let known = everything(&ground.disk)?;
    if args.names.is_empty() && !args.all && !args.undo {
        return Err(Failure::new(ErrorCode::BadRequest, "what is to be set up?")
            .with_hint(format!("Name some of {}, or say --all.", names(&known))));
    }
    let mut meant = Vec::new();
    for name in &args.names {
        let found = known.iter().find(|it| it.name() == name);
        let subject = found.ok_or_else(|| {
            Failure::new(ErrorCode::BadRequest, format!("`{name}` cannot be set up"))
                .with_hint(format!("These can be: {}.", names(&known)))
        })?;
        if !meant.iter().any(|it: &Subject| it.name() == subject.name()) {
            meant.push(subject.clone());
        }
    }
    let mut left_out = Vec::new();
    if args.undo && !args.names.is_empty() {
        meant = wherever(meant, journal)?;
    } else if args.undo {
        // Where nothing was done there is nothing to tell.
        for subject in wherever(known, journal)? {
            let idle = Plan::make(subject.clone(), Direction::Undo, ground)
                .is_ok_and(|plan| plan.is_empty());
            if !idle && (!args.all || matches!(subject, Subject::Agent(_))) {
                meant.push(subject);
            }
        }
    } else if args.all {
        for subject in known {
            let Subject::Agent(agent) = &subject else { continue };
            match skipped(agent) {
                Some(why) => left_out.push(Item {
                    name: agent.agent.clone(),
                    outcome: What::Skipped,
                    message: why,
                    files: Vec::new(),
                }),
                None => meant.push(subject),
            }
        }
    }
    Ok((meant, left_out))
}

fn names(subjects: &[Subject]) -> String {
    let names: Vec<&str> = subjects.iter().map(Subject::name).collect();
    names.join(", ")
}

/// Why an agent is left out where all are meant.
fn skipped(agent: &AgentSubject) -> Option<String> {
    if installation(agent).is_none() {
        return Some(format!("not installed: no {} on the path", agent.setup.programs.join(", ")));
    }
    agent.setup.only_when_named.then(|| "only when it is named".to_owned())
}

/// The agent's program, as far as it is on the path.
pub(crate) fn installation(agent: &AgentSubject) -> Option<Installed> {
    installed::find(agent.setup.programs, &std::env::var_os("PATH").unwrap_or_default())
}

fn refused(name: &str, failure: Failure) -> Result<Item, Failure> {
    let Failure::Told(error) = failure else { return Err(failure) };
    let message = format!("{} ({})", error.message, error.hint);
    Ok(Item { name: name.to_owned(), outcome: What::Refused, message, files: Vec::new() })
}

fn show(console: &Console, items: &[Item], plans: &[Plan]) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for item in items {
        lines.push(Text::plain(format!("{}: {}", item.name, item.message)));
    }
    for plan in plans {
        let name = plan.subject.name();
        if plan.changes.is_empty() {
            lines.push(Text::plain(format!("{name}: nothing to do")));
        }
        for change in &plan.changes {
            lines.extend(diff::coloured(&difference(change)));
        }
    }
    console.terminal.lines(&lines)
}

fn difference(change: &Change) -> String {
    let path = change.file.shown();
    diff::unified(&path, change.file.text.as_deref(), change.text.as_deref())
}

/// What was done, and what to know about it.
fn told(plans: &[Plan], direction: Direction, journal: &Journal) -> Vec<Text> {
    let mut lines = Vec::new();
    for plan in plans.iter().filter(|plan| !plan.changes.is_empty()) {
        let name = plan.subject.name();
        for change in &plan.changes {
            let path = change.file.shown();
            lines.push(Text::plain(match direction {
                Direction::Undo if change.text.is_none() => format!("{name}: removed {path}."),
                Direction::Undo => format!("{name}: took it out of {path}."),
                Direction::SetUp => match backup(change, journal) {
                    None => format!("{name}: made {path}."),
                    Some(backup) => format!("{name}: changed {path}; as it was: {backup}"),
                },
            }));
        }
        if direction == Direction::SetUp {
            lines.extend(remarks(plan).map(Text::plain));
        }
    }
    lines
}

fn remarks(plan: &Plan) -> impl Iterator<Item = String> {
    let path = plan.changes.first().map(|change| change.file.path.display().to_string());
    let remark = plan.subject.remark().replace("PATH", &path.unwrap_or_default());
    let restart = match &plan.subject {
        Subject::Agent(agent) => {
            format!("{} that already run read it at their next start.", agent.agent)
        }
        Subject::Tmux(_) => String::new(),
    };
    [restart, remark].into_iter().filter(|line| !line.is_empty())
}

/// Where the text from before is kept, if there was one.
fn backup(change: &Change, journal: &Journal) -> Option<String> {
    let path = journal.backup(&change.file.path);
    path.exists().then(|| path.display().to_string())
}

fn item(plan: &Plan, done: bool, journal: &Journal) -> Item {
    let outcome = match (plan.changes.is_empty(), done) {
        (true, _) => What::NothingToDo,
        (false, true) => What::Changed,
        (false, false) => What::WouldChange,
    };
    let files = plan.changes.iter().map(|change| FileChange {
        path: change.file.shown(),
        diff: difference(change),
        backup: backup(change, journal).unwrap_or_default(),
    });
    let message = remarks(plan).collect::<Vec<_>>().join(" ");
    let message = if plan.changes.is_empty() { String::new() } else { message };
    Item { name: plan.subject.name().to_owned(), outcome, message, files: files.collect() }
}

fn report(console: &Console, args: &SetupArgs, items: Vec<Item>) -> Result<(), Failure> {
    let report = Report {
        schema_version: SchemaVersion::V1,
        generated_at: console.now(),
        target: args.target.clone(),
        dry_run: args.consent.dry_run,
        undo: args.undo,
        items,
    };
    let text = serde_json::to_string(&report);
    let text = text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    console.terminal.json(&text)
}
