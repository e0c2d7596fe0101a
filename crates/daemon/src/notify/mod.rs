//! Telling somebody that an agent waits: by the bell of attached tmux clients, and by a command of
//! the user's.
//!
//! Told is once for each wait, also over a restart: which waits were told of is written down before
//! anybody is told. What is told happens in the background, within bounds, and nothing waits for it.

mod bell;
mod waits;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::ids::{PaneId, TargetId, WindowId};
use engine::pane::PaneRow;
use engine::words::Detail;
use tmux::rows::ViewerRow;
use tmux::scan::Scan;
use tokio::sync::Semaphore;

use crate::config::NotifyConfig;
use crate::deck::Publication;
use crate::lookout::Lookout;
use crate::observer::{Reach, nonce};
use crate::targets::process::{self, Environment};
use waits::{Wait, Waits};

/// Waits that are being told of at once; of one more nobody is told.
const TELLING_MAX: usize = 64;
/// Commands of the user's that run at once; others wait for them.
const COMMANDS_MAX: usize = 4;
/// How long such a command may take until it is killed.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a tmux server may take to say who looks at what.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of one fact that a command is given.
const FACT_BYTES_MAX: usize = 4 * 1024;

/// The ways to the observed servers.
pub(crate) type Reaches = Vec<(TargetId, Reach)>;

/// Whoever tells people.
#[derive(Debug)]
pub(crate) struct Notifier {
    settings: NotifyConfig,
    waits: Waits,
    /// Waits that an earlier daemon did not tell of.
    owed: Vec<Wait>,
    /// Where it is written down of which waits was told.
    file: PathBuf,
    lookout: Lookout,
    environment: Environment,
    telling: Arc<Semaphore>,
    commands: Arc<Semaphore>,
}

impl Notifier {
    pub(crate) fn new(
        settings: NotifyConfig,
        file: PathBuf,
        lookout: Lookout,
        environment: Environment,
    ) -> Self {
        // Without anything written down by an earlier daemon there is nothing that it left untold.
        let written = if settings.is_silent() { None } else { fs::read_to_string(&file).ok() };
        let (waits, owed) = lookout.read(|follower| match written {
            Some(text) => Waits::since(&text, follower.engine()),
            None => (Waits::all(follower.engine()), Vec::new()),
        });
        let telling = Arc::new(Semaphore::new(TELLING_MAX));
        let commands = Arc::new(Semaphore::new(COMMANDS_MAX));
        Self { settings, waits, owed, file, lookout, environment, telling, commands }
    }

    /// Tells of what an earlier daemon left untold, now that the servers are observed.
    pub(crate) fn catch_up(&mut self, reaches: impl FnOnce() -> Reaches) {
        if self.settings.is_silent() {
            return self.forget();
        }
        self.save();
        let owed = std::mem::take(&mut self.owed);
        self.tell(owed, reaches);
    }

    /// Takes new settings. What waits already when telling begins is nothing new.
    pub(crate) fn configure(&mut self, settings: &NotifyConfig) {
        let begins = self.settings.is_silent() && !settings.is_silent();
        self.settings = settings.clone();
        if begins {
            self.save();
        } else if self.settings.is_silent() {
            self.forget();
        }
    }

    /// What is written down would be out of date by the time somebody reads it. It need not be
    /// there.
    fn forget(&self) {
        drop(fs::remove_file(&self.file));
    }

    /// Takes news, and tells of the waits that begin.
    pub(crate) fn hear(&mut self, news: &Publication, reaches: impl FnOnce() -> Reaches) {
        let before = self.waits.len();
        let new = self.waits.follow(&news.changes);
        if self.settings.is_silent() {
            return;
        }
        // One that began in place of another shows by itself.
        if !new.is_empty() || self.waits.len() != before {
            self.save();
        }
        self.tell(new, reaches);
    }

    /// Writes down of which waits was told. A daemon that finds nothing here, or less than was
    /// told, at worst tells of a wait again.
    fn save(&self) {
        if let Err(error) = replace(&self.file, &self.waits.text()) {
            tracing::warn!(%error, "a restart may tell of a wait again");
        }
    }

    fn tell(&self, new: Vec<Wait>, reaches: impl FnOnce() -> Reaches) {
        if new.is_empty() {
            return;
        }
        let reaches = Arc::new(reaches());
        for wait in new {
            let pane = self.lookout.read(|follower| {
                let engine = follower.engine();
                let row = engine.pane_of(&wait.runtime)?.clone();
                let ask = engine.evidence(&wait.runtime).and_then(|it| it.detail(Detail::Ask));
                let target = follower.target_name(&wait.pane.target).to_string();
                Some(Facts { ask: ask.unwrap_or_default().to_owned(), target, row })
            });
            // It ended in the same moment.
            let Some(facts) = pane else { continue };
            let Ok(place) = Arc::clone(&self.telling).try_acquire_owned() else {
                tracing::warn!(runtime = %wait.runtime, "too many begin to wait; not told");
                continue;
            };
            let (settings, environment) = (self.settings.clone(), self.environment.clone());
            let (commands, reaches) = (Arc::clone(&self.commands), Arc::clone(&reaches));
            tokio::spawn(async move {
                let in_view = around(&facts, &reaches, settings.bell).await;
                if !in_view && !settings.command.is_empty() {
                    // Never closed.
                    let turn = commands.acquire().await;
                    run(&settings.command, facts.environment(environment)).await;
                    drop(turn);
                }
                drop(place);
            });
        }
    }
}

/// What is told of a wait.
#[derive(Debug)]
struct Facts {
    row: PaneRow,
    target: String,
    /// What is asked, redacted as all that is kept.
    ask: String,
}

impl Facts {
    /// The variables that a command finds the facts in.
    fn environment(&self, environment: Environment) -> Environment {
        let Self { row, target, ask } = self;
        let runtime = row.runtime.as_ref();
        let agent = runtime.and_then(|it| it.agent.as_ref());
        let facts = [
            ("QD_AGENT", agent.map(ToString::to_string).unwrap_or_default()),
            ("QD_STATE", row.state.state.as_str().to_owned()),
            ("QD_REASON", row.state.reason.clone()),
            ("QD_ASK", ask.clone()),
            ("QD_TARGET", target.clone()),
            ("QD_SESSION", row.facts.session_name.clone()),
            ("QD_WINDOW", row.facts.window.to_string()),
            ("QD_PANE", row.key.pane.to_string()),
            ("QD_RUNTIME", runtime.map(|it| it.runtime.to_string()).unwrap_or_default()),
        ];
        environment.with_variables(facts.into_iter().map(|(name, fact)| (name, bounded(fact))))
    }
}

/// A fact as the value of a variable: short enough, and without what none may hold.
fn bounded(mut fact: String) -> OsString {
    fact.retain(|c| c != '\0');
    engine::limits::cut(&mut fact, FACT_BYTES_MAX);
    fact.into()
}

/// Rings at every attached client that does not show the pane; says whether one shows it.
async fn around(facts: &Facts, reaches: &Reaches, bell: bool) -> bool {
    let mut in_view = false;
    for (target, reach) in reaches {
        let is_home = *target == facts.row.key.target;
        // Without a bell, who looks at other servers makes no difference.
        if !is_home && !bell {
            continue;
        }
        for viewer in viewers(reach).await {
            let here = WindowId(viewer.window.0) == facts.row.facts.window;
            let shows = is_home && here && shows(&viewer, facts.row.key.pane);
            in_view |= shows;
            if bell
                && !shows
                && let Err(error) = bell::ring(Path::new(&viewer.terminal))
            {
                tracing::debug!(terminal = viewer.terminal, %error, "no bell there");
            }
        }
    }
    in_view
}

/// Whether a client that shows a pane's window shows the pane.
fn shows(viewer: &ViewerRow, pane: PaneId) -> bool {
    !viewer.zoomed || PaneId(viewer.pane.0) == pane
}

/// The clients with a terminal, and what each shows. None where a server gives no answer.
async fn viewers(reach: &Reach) -> Vec<ViewerRow> {
    let scan = Scan::<ViewerRow>::all(nonce());
    let answer = reach.act(&scan.batch(), LOOK_TIMEOUT).await;
    let read = answer
        .map_err(|error| error.to_string())
        .and_then(|output| scan.read(&output).map_err(|error| error.to_string()));
    match read {
        Ok(scanned) => {
            let mut rows = scanned.rows;
            rows.retain(|row| !row.control_mode && row.terminal.starts_with("/dev/"));
            rows
        }
        Err(error) => {
            tracing::debug!(error, "who is attached is not known");
            Vec::new()
        }
    }
}

async fn run(command: &[String], environment: Environment) {
    let words = command.iter().map(OsString::from).collect();
    match process::run_for_user(words, &environment, COMMAND_TIMEOUT).await {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, program = command[0], "`notify.command` failed"),
        Err(error) => tracing::warn!(%error, program = command[0], "`notify.command` failed"),
    }
}

/// Puts a text in a file's place in one step.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let beside = file.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(beside, file)
}
