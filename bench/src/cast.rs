//! Programs that play agents: each runs in a pane, is named and versioned like a real one, and does
//! what it is told, as the recorded corpus says that the real one does it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use testkit::{TestEnv, wait};

use crate::world::{Binary, World};

/// What was recorded of the agents, by agent and version.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/agents/tests/corpus");
/// The columns and lines of the terminal in which it was recorded.
const SCREEN: [u32; 2] = [120, 40];
const WAITS: &str = "waiting_approval/approval_requested";
const RUNS: &str = "running/active";

/// The agent that is played, and what of it was recorded.
#[derive(Debug)]
struct Role {
    agent: String,
    version: String,
    /// The permission hook, and one of an agent at work: the event and the file of its payload.
    asks: (String, PathBuf),
    works: (String, PathBuf),
    /// The screens of the same two moments.
    shows_question: PathBuf,
    shows_work: PathBuf,
}

impl Role {
    /// The first agent of the corpus.
    fn first() -> anyhow::Result<Self> {
        let first = |folder: &Path| -> anyhow::Result<PathBuf> {
            let mut entries: Vec<_> =
                fs::read_dir(folder)?.map(|it| Ok(it?.path())).collect::<std::io::Result<_>>()?;
            entries.sort();
            entries.into_iter().next().with_context(|| format!("{} is empty", folder.display()))
        };
        let agent = first(Path::new(CORPUS))?;
        let folder = first(&agent)?;
        let labels = fs::read_to_string(folder.join("labels.tsv"))?;
        let find = |kind: &str, prefix: &str, label: &str| -> anyhow::Result<String> {
            let mut rows = labels.lines().map(|line| line.split('\t').collect::<Vec<_>>());
            let fits = |row: &Vec<&str>| {
                matches!(row[..], [of, case, truth, ..]
                    if of == kind && case.starts_with(prefix) && truth == label)
            };
            let row = rows.find(fits).with_context(|| format!("no {kind} is labelled {label}"))?;
            Ok(row[1].to_owned())
        };
        let hook = |prefix: &str, label: &str| -> anyhow::Result<(String, PathBuf)> {
            let case = find("hook", prefix, label)?;
            let event = case.split('.').next().unwrap_or_default().to_owned();
            Ok((event, folder.join(format!("hooks/{case}.json"))))
        };
        let screen = |label: &str| -> anyhow::Result<PathBuf> {
            Ok(folder.join(format!("screens/{}.txt", find("screen", "", label)?)))
        };
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            agent: name(&agent),
            version: name(&folder),
            asks: hook("PermissionRequest", WAITS)?,
            works: hook("", RUNS)?,
            shows_question: screen(WAITS)?,
            shows_work: screen(RUNS)?,
        })
    }
}

/// What an agent can be told to do.
#[derive(Clone, Copy, Debug)]
pub enum Cue {
    /// Runs its permission hook, which waits for an answer until it works again.
    Ask,
    /// Runs its permission hook, tells of the answer as it comes, and then works.
    AskAndGoOn,
    /// Runs a hook that says that it works.
    Work,
    /// Paints its dialog for a permission, and runs no hook.
    ShowQuestion,
    /// Paints the screen of an agent at work.
    ShowWork,
}

impl Cue {
    fn word(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::AskAndGoOn => "go",
            Self::Work => "work",
            Self::ShowQuestion => "show-question",
            Self::ShowWork => "show-work",
        }
    }
}

/// A world whose panes are played agents, every one of them recognised.
pub struct Cast {
    pub world: World,
    /// By the number of the pane.
    cues: Vec<File>,
}

impl Cast {
    pub fn new(qd: &Binary, agents: usize) -> anyhow::Result<Self> {
        let role = Role::first()?;
        let mut world = World::bare(qd);
        let line = stage(&world.env, &role)?;
        let cues = (0..agents).map(|pane| pipe(&world.env, &format!("cue-%{pane}")));
        let cues = cues.collect::<Result<_, _>>()?;
        for pane in 0..agents {
            pipe(&world.env, &format!("answers-%{pane}"))?;
        }
        world.add_panes(agents, &line, SCREEN);
        world.start();
        world.settle(agents);
        wait::until("every agent is recognised", || {
            let panes = world.panes();
            panes.iter().all(|pane| pane["agent_type"] == role.agent.as_str()).then_some(())
        });
        Ok(Self { world, cues })
    }

    /// The id of the nth agent's pane.
    pub fn pane(&self, nth: usize) -> String {
        format!("%{nth}")
    }

    /// The pipe into which the nth agent hands what its hook answers.
    pub fn answers(&self, nth: usize) -> String {
        self.world.env.path(&format!("answers-{}", self.pane(nth))).display().to_string()
    }

    pub fn tell(&mut self, nth: usize, cue: Cue) -> anyhow::Result<()> {
        Ok(self.cues[nth].write_all(format!("{}\n", cue.word()).as_bytes())?)
    }
}

/// Puts the program of the agent where its version is told by its path, and its part beside it.
/// Returns the line that starts it.
fn stage(env: &TestEnv, role: &Role) -> anyhow::Result<String> {
    let folder = env.path(&format!("versions/{}", role.version));
    fs::create_dir_all(&folder)?;
    let shell = fs::canonicalize("/bin/sh")?;
    let program = folder.join(&role.agent);
    fs::copy(shell, &program)?;
    let qd = env.qd_program().display();
    let agent = &role.agent;
    let ((ask, asks), (work, works)) = (&role.asks, &role.works);
    let (asks, works) = (asks.display(), works.display());
    let (question, at_work) = (role.shows_question.display(), role.shows_work.display());
    let part = env.path("part.sh");
    fs::write(
        &part,
        format!(
            "question=$(cat '{question}'); at_work=$(cat '{at_work}')\n\
             exec 3<>'{root}/cue-'\"$TMUX_PANE\"\n\
             stty -echo\n\
             while read -r cue <&3; do case $cue in\n\
             ask) '{qd}' hook {agent} {ask} <'{asks}' & asked=$! ;;\n\
             go) '{qd}' hook {agent} {ask} <'{asks}' >'{root}/answers-'\"$TMUX_PANE\"\n\
             '{qd}' hook {agent} {work} <'{works}' ;;\n\
             work) [ -z \"$asked\" ] || kill $asked; asked=\n\
             '{qd}' hook {agent} {work} <'{works}' ;;\n\
             show-question) printf '\\033[2J\\033[H%s' \"$question\" ;;\n\
             show-work) printf '\\033[2J\\033[H%s' \"$at_work\" ;;\n\
             esac; done\n",
            root = env.root().display(),
        ),
    )?;
    Ok(format!("exec '{}' '{}'", program.display(), part.display()))
}

/// A pipe between a pane's agent and whoever tells it what to do.
fn pipe(env: &TestEnv, name: &str) -> anyhow::Result<File> {
    let path = env.path(name);
    let mut command = testkit::process::command("mkfifo");
    ensure!(command.arg(&path).status()?.success(), "no pipe can be made");
    Ok(OpenOptions::new().read(true).write(true).open(path)?)
}
