//! The world in which one agent runs: a home, a tmux server, a model and a daemon, all of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use testkit::model::{ModelServer, Moment, What};
use testkit::process::{self, Signal};
use testkit::{Daemon, Sshd, Terminal, TestEnv, Tmux, wait};

use crate::acts::Said;
use crate::lab::{Lab, PAUSE, Site};
use crate::shown::Watcher;

/// How often the harness looks at a screen while it waits for a word on it.
const LOOK: Duration = Duration::from_millis(15);

/// How long an agent may take to start: some look for a network first.
const START: Duration = Duration::from_secs(90);

/// How long what was typed may take to appear.
const ECHO: Duration = Duration::from_secs(3);

/// How long an agent takes to notice that it is interrupted.
const LEFT: Duration = Duration::from_secs(3);

/// How long anything may take that an agent does by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the other machine's server listens.
const FAR: &str = "far.sock";

/// What a shell's prompt looks like here.
const PROMPT: &str = "ready$";

pub(crate) struct Stage {
    pub(crate) lab: &'static Lab,
    pub(crate) site: Site,
    pub(crate) model: ModelServer,
    pub(crate) watcher: Watcher,
    pub(crate) blind: Vec<(Instant, Instant)>,
    daemon: Option<Daemon>,
    /// What leads to the other machine, where the agent is on one.
    sshd: Option<Sshd>,
    env: TestEnv,
}

impl Stage {
    /// A stage with the agent installed below `prefix`, set up but not started.
    pub(crate) fn build(
        lab: &'static Lab,
        qd: &Path,
        prefix: &Path,
        over_ssh: bool,
    ) -> anyhow::Result<Self> {
        let env = TestEnv::of(qd.to_owned());
        let model = ModelServer::start()?;
        let project = env.path("project");
        fs::create_dir_all(&project)?;
        fs::write(project.join("notes.txt"), "one\ntwo\n")?;
        let site =
            Site { home: env.path("home"), project, url: model.url(), prefix: prefix.to_owned() };
        repository(&env, &site)?;
        (lab.prepare)(&site)?;
        launcher(&env, lab, &site)?;
        // Whoever answers here sits at the pane, though no client of tmux shows it.
        env.configure(&held("never"));
        let sshd = if over_ssh {
            let sshd = Sshd::start(&env, "sshd").context("no sshd is installed")?;
            sshd.introduce();
            Some(sshd)
        } else {
            set_up(&env, lab, &[])?;
            None
        };
        let server = if over_ssh { env.tmux_at(FAR) } else { env.tmux() };
        server.ok(&["new-session", "-d", "-s", "keep", "-x", "120", "-y", "40", &shell()]);
        let daemon = Some(env.daemon());
        let watcher = Watcher::start(env.api());
        let stage = Self { lab, site, model, watcher, blind: Vec::new(), daemon, sshd, env };
        if over_ssh {
            stage.add_target()?;
            set_up(&stage.env, lab, &["--target", "far"])?;
        }
        Ok(stage)
    }

    /// The server in which the agent runs.
    fn server(&self) -> Tmux<'_> {
        if self.sshd.is_some() { self.env.tmux_at(FAR) } else { self.env.tmux() }
    }

    /// Adds the other machine, and waits until it is seen.
    fn add_target(&self) -> anyhow::Result<()> {
        let Some(sshd) = &self.sshd else { return Ok(()) };
        let (host, socket) = (format!("127.0.0.1:{}", sshd.port()), self.env.path(FAR));
        let socket = socket.display().to_string();
        let mut words = vec!["target", "add", "far", "--kind", "ssh", "--ssh-target", &host];
        words.extend(["--tmux-socket", &socket]);
        let options = sshd.options();
        words.extend(options.iter().flat_map(|option| ["--ssh-option", option]));
        let added = self.env.qd(&words);
        anyhow::ensure!(added.code() == Some(0), "qd target add: {}", added.stderr);
        self.is_reached()
    }

    /// Waits until the other machine was looked at, where there is one.
    fn is_reached(&self) -> anyhow::Result<()> {
        let is_ok = |list: &Value| {
            let targets = list["items"].as_array().cloned().unwrap_or_default();
            targets.iter().any(|it| it["name"] == "far" && it["health"] == "ok")
        };
        let reached = || {
            let list = self.env.api().try_get("/v1/targets")?;
            is_ok(&list.json()).then_some(())
        };
        if self.sshd.is_some() {
            wait::within(PATIENCE, reached).context("the other machine was not reached")?;
        }
        Ok(())
    }

    /// Sets when hooks are held that hide their agent's dialog.
    pub(crate) fn hold(&self, when: &str) -> anyhow::Result<()> {
        self.env.configure(&held(when));
        let in_use = || {
            let told = self.env.api().try_get("/v1/config")?;
            let settings = told.json()["settings"].as_array().cloned().unwrap_or_default();
            let hold = settings.into_iter().find(|it| it["key"] == "approvals.hold")?;
            (hold["value"] == when).then_some(())
        };
        wait::within(PATIENCE, in_use).context("the daemon did not take the setting")
    }

    /// Has `qd` do something from elsewhere, and tells how it ended.
    pub(crate) fn qd(&self, arguments: &[&str]) -> Said {
        self.qd_at_once(arguments)()
    }

    /// The same, while the caller does something else; what is given back waits for it.
    pub(crate) fn qd_at_once(&self, arguments: &[&str]) -> impl FnOnce() -> Said + use<> {
        let begun = wait::now();
        let running = self.env.invoke(arguments).start();
        move || {
            let ended = running.finish();
            Said { exit: ended.code(), text: ended.stdout + &ended.stderr, begun }
        }
    }

    /// The approvals of a pane: those that wait, unless the query says otherwise.
    pub(crate) fn approvals(&self, pane: &str, query: &str) -> Vec<Value> {
        let list = self.env.api().try_get(&format!("/v1/approvals?limit=200{query}"));
        let items = list.map(|list| list.json()["items"].clone()).unwrap_or_default();
        let items = items.as_array().cloned().unwrap_or_default();
        items.into_iter().filter(|it| it["pane_id"] == pane).collect()
    }

    /// The runtime that lives in a pane.
    pub(crate) fn runtime(&self, pane: &str) -> String {
        let item = self.item(pane);
        item["runtime_id"].as_str().unwrap_or_default().to_owned()
    }

    /// Somebody looks at the session of all panes, until this is dropped.
    pub(crate) fn attach(&self) -> Terminal {
        Terminal::attach(&self.server(), "keep")
    }

    /// A new pane with a shell in the project's folder.
    pub(crate) fn pane(&self) -> anyhow::Result<String> {
        let folder = self.site.project_text();
        let pane = self.server().ok(&[
            "new-window",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-t",
            "keep:",
            "-c",
            &folder,
            &shell(),
        ]);
        self.sees(&pane, &[PROMPT])?;
        Ok(pane)
    }

    /// Where a screen with a dialog is kept, for a pane without an agent to print it.
    pub(crate) fn dialog(&self) -> std::path::PathBuf {
        self.env.path("dialog.txt")
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        self.server().ok(arguments)
    }

    pub(crate) fn screen(&self, pane: &str) -> String {
        let shown = self.server().run(&["capture-pane", "-p", "-t", pane]);
        shown.stdout
    }

    /// What a pane is, as columns, and what it shows, with its attributes.
    pub(crate) fn look(&self, pane: &str) -> (String, String) {
        let facts = "#{pane_width} #{pane_height} #{alternate_on} #{cursor_flag} #{cursor_x} \
                     #{cursor_y} #{pane_title}";
        let words = ["display-message", "-p", "-t", pane, facts, ";"];
        let shown =
            self.server().run(&[&words[..], &["capture-pane", "-e", "-p", "-t", pane]].concat());
        let (facts, screen) = shown.stdout.split_once('\n').unwrap_or_default();
        (facts.replacen(' ', "\t", 6), screen.to_owned())
    }

    /// Where hooks write what they report.
    pub(crate) fn spool(&self) -> PathBuf {
        self.env.home().join(agents::spool::FOLDER)
    }

    pub(crate) fn root(&self) -> String {
        self.env.root().to_string_lossy().into_owned()
    }

    pub(crate) fn qd_program(&self) -> String {
        self.env.qd_program().to_string_lossy().into_owned()
    }

    /// The screen without what stands far above its end.
    fn lower(&self, pane: &str) -> String {
        let screen = self.screen(pane);
        let lines: Vec<&str> = screen.trim_end().lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Types a line, and gives the moment of Enter. Like a person, the harness waits until it sees
    /// what it typed: some agents take an Enter that comes sooner for a part of the text.
    pub(crate) fn line(&self, pane: &str, text: &str) -> Instant {
        self.server().ok(&["send-keys", "-t", pane, "-l", "--", text]);
        let first: String = text.split_inclusive(' ').take(2).collect();
        // An agent that never shows it is found out by what does not happen then.
        self.looks(pane, ECHO, |screen| screen.contains(first.trim_end())).ok();
        pause(Duration::from_millis(self.lab.paste_ms));
        self.keys(pane, &["Enter"])
    }

    /// Presses keys, and gives the moment of the first.
    pub(crate) fn keys(&self, pane: &str, keys: &[&str]) -> Instant {
        let begun = wait::now();
        for key in keys {
            if *key == PAUSE {
                pause(Duration::from_millis(self.lab.pause_ms));
                continue;
            }
            self.server().ok(&["send-keys", "-t", pane, key]);
        }
        begun
    }

    /// Waits until a screen shows one of these words.
    pub(crate) fn sees(&self, pane: &str, words: &[&str]) -> anyhow::Result<Instant> {
        self.looks(pane, PATIENCE, |screen| words.iter().any(|word| screen.contains(word)))
            .with_context(|| format!("waiting for {words:?} on\n{}", self.lower(pane)))
    }

    /// The same for what need not come.
    pub(crate) fn sees_within(
        &self,
        pane: &str,
        words: &[&str],
        bound: Duration,
    ) -> anyhow::Result<Instant> {
        self.looks(pane, bound, |screen| words.iter().any(|word| screen.contains(word)))
    }

    /// The same for an agent that starts: what stands above the line that started it was another's.
    pub(crate) fn starts(&self, pane: &str, words: &[&str]) -> anyhow::Result<Instant> {
        let shows = |screen: &str| {
            let own = screen.rsplit(PROMPT).next().unwrap_or_default();
            words.iter().any(|word| own.contains(word))
        };
        self.looks(pane, START, shows)
            .with_context(|| format!("waiting for {words:?} at the start on\n{}", self.lower(pane)))
    }

    /// Waits for a moment until a screen shows none of these words any more.
    pub(crate) fn unsees_soon(&self, pane: &str, words: &[&str]) -> Option<Instant> {
        self.looks(pane, LEFT, |screen| !words.iter().any(|word| screen.contains(word))).ok()
    }

    /// Waits until a screen shows none of these words any more.
    pub(crate) fn unsees(&self, pane: &str, words: &[&str]) -> anyhow::Result<Instant> {
        self.looks(pane, PATIENCE, |screen| !words.iter().any(|word| screen.contains(word)))
            .with_context(|| format!("waiting for {words:?} to go from\n{}", self.lower(pane)))
    }

    fn looks(
        &self,
        pane: &str,
        bound: Duration,
        fits: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Instant> {
        let begun = wait::now();
        loop {
            let looked = wait::now();
            if fits(&self.lower(pane)) {
                return Ok(looked);
            }
            if begun.elapsed() > bound {
                bail!("not within {bound:?}");
            }
            pause(LOOK);
        }
    }

    pub(crate) fn sees_shell(&self, pane: &str) -> anyhow::Result<Instant> {
        self.looks(pane, PATIENCE, |screen| {
            screen.trim_end().lines().last().is_some_and(|line| line.trim_end().ends_with(PROMPT))
        })
        .with_context(|| format!("waiting for the shell on\n{}", self.lower(pane)))
    }

    /// Waits for something that the model does about a prompt that holds `tag`.
    pub(crate) fn model_does(
        &self,
        tag: &str,
        what: impl Fn(&What) -> bool,
    ) -> anyhow::Result<Instant> {
        let fits = |it: &Moment| !it.beside && it.prompt.contains(tag) && what(&it.what);
        let found = wait::within(PATIENCE, || self.model.moments(0).into_iter().find(&fits));
        found.map(|moment| moment.at).with_context(|| format!("the model was never asked: {tag}"))
    }

    /// Waits for a moment whether the agent gives up a prompt that the model has not answered yet.
    pub(crate) fn model_is_left(&self, tag: &str) -> Option<Instant> {
        wait::within(LEFT, || {
            let moments = self.model.moments(0).into_iter();
            let mut of_prompt = moments.filter(|it| !it.beside && it.prompt.contains(tag));
            of_prompt.find(|it| it.what == What::Abandoned).map(|it| it.at)
        })
    }

    /// Waits until the model has ended so many answers to a prompt.
    pub(crate) fn model_ends(&self, tag: &str, answers: usize) -> anyhow::Result<Instant> {
        let found = wait::within(PATIENCE, || {
            let moments = self.model.moments(0).into_iter();
            let of_prompt = moments.filter(|it| !it.beside && it.prompt.contains(tag));
            of_prompt.filter(|it| it.what == What::Ended).nth(answers - 1)
        });
        found.map(|moment| moment.at).with_context(|| format!("the model never ended: {tag}"))
    }

    /// Kills the daemon as a crash would, and starts another one.
    pub(crate) fn restart_daemon(&mut self) {
        let begun = wait::now();
        if let Some(daemon) = self.daemon.take() {
            daemon.kill9();
        }
        self.daemon = Some(self.env.daemon());
        // One that is never reached again is shown wrongly from here on, and found out by that.
        self.is_reached().ok();
        self.blind.push((begun, wait::now()));
    }

    /// What Quarterdeck says about how it came to a state.
    pub(crate) fn explain(&self, pane: &str) -> String {
        let item = self.item(pane);
        let runtime = item["runtime_id"].as_str().unwrap_or_default();
        let told = self.env.api().try_get(&format!("/v1/runtimes/{runtime}/explain"));
        format!("{item:#}\n{:#}", told.map(|told| told.json()).unwrap_or_default())
    }

    /// What the list of panes tells of one.
    fn item(&self, pane: &str) -> Value {
        let list = self.env.api().try_get("/v1/panes?limit=1000");
        let items = list.map(|list| list.json()["items"].clone()).unwrap_or_default();
        let fits = |item: &&Value| item["identity"]["pane_id"] == pane;
        items.as_array().into_iter().flatten().find(fits).cloned().unwrap_or_default()
    }

    pub(crate) fn title(&self, pane: &str) -> String {
        self.server().run(&["display-message", "-p", "-t", pane, "#{pane_title}"]).stdout
    }

    /// Takes a pane away, which may be gone already.
    pub(crate) fn kill_pane(&self, pane: &str) {
        drop(self.server().run(&["kill-pane", "-t", pane]));
    }

    /// Kills what runs in a pane's shell, all of it at once; gives the moment of the first.
    pub(crate) fn kill_agent(&self, pane: &str) -> anyhow::Result<Instant> {
        let shell: u32 =
            self.tmux(&["display-message", "-p", "-t", pane, "#{pane_pid}"]).parse()?;
        let mut found = children(shell);
        let mut at = 0;
        while let Some(pid) = found.get(at) {
            found.extend(children(*pid));
            at += 1;
        }
        anyhow::ensure!(!found.is_empty(), "nothing runs in the shell");
        let begun = wait::now();
        for pid in found {
            process::signal(pid, Signal::KILL);
        }
        Ok(begun)
    }

    /// Ends what an agent started and left behind, by the mark of this world in its environment;
    /// gives what that was.
    pub(crate) fn clear(mut self) -> Vec<String> {
        drop(self.daemon.take());
        // There may be none any more.
        drop(self.server().run(&["kill-server"]));
        drop(self.sshd.take());
        let gone = || self.env.members().is_empty().then_some(());
        wait::within(Duration::from_secs(2), gone);
        let mut left = Vec::new();
        // What is killed may have been about to start something else.
        for _ in 0..20 {
            let members = self.env.members();
            if members.is_empty() {
                break;
            }
            for member in members {
                process::signal(member.pid, Signal::KILL);
                left.push(member.arguments.join(" "));
            }
            wait::within(Duration::from_millis(200), gone);
        }
        left
    }
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Lets the harness wait for time itself: people pause, and so do scripts.
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// The daemon's settings.
fn held(when: &str) -> String {
    format!("[approvals]\nhold = \"{when}\"\n")
}

fn shell() -> String {
    format!("exec env PS1='{PROMPT} ' ENV= sh")
}

/// Some agents ask their questions only in a repository.
fn repository(env: &TestEnv, site: &Site) -> anyhow::Result<()> {
    env.install("git");
    env.install("script");
    env.install("clear");
    let mut command = env.command(env.path("bin/git"));
    command.args(["init", "-q"]).arg(&site.project);
    let done = command.output().context("git is needed here")?;
    anyhow::ensure!(done.status.success(), "git init failed");
    Ok(())
}

/// Puts Quarterdeck's hooks into the agent's settings as its user would, asking nobody.
fn set_up(env: &TestEnv, lab: &Lab, place: &[&str]) -> anyhow::Result<()> {
    let done = env.qd(&[&["setup", lab.name, "--yes"], place].concat());
    anyhow::ensure!(done.code() == Some(0), "qd setup {}: {}", lab.name, done.stderr);
    Ok(())
}

/// A program on the path that starts the agent with nothing of the caller's environment.
fn launcher(env: &TestEnv, lab: &Lab, site: &Site) -> anyhow::Result<()> {
    let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", site.prefix.display());
    let mut text = String::from(
        "#!/bin/sh\nexec env -i ${TMUX:+TMUX=\"$TMUX\"} ${TMUX_PANE:+TMUX_PANE=\"$TMUX_PANE\"}",
    );
    let mut give = |name: &str, value: &str| {
        for part in [" ", name, "='", value, "'"] {
            text.push_str(part);
        }
    };
    give("PATH", &path);
    give("HOME", &site.home.to_string_lossy());
    give("QD_HOME", &env.home().to_string_lossy());
    give("TERM", "tmux-256color");
    give("LANG", "C.UTF-8");
    give("SHELL", "/bin/sh");
    for (name, value) in (lab.environment)(site) {
        give(name, &value);
    }
    let program = site.prefix.join("bin").join(lab.program);
    for part in [" ", &program.to_string_lossy(), " ", &lab.arguments.join(" "), " \"$@\"\n"] {
        text.push_str(part);
    }
    let file = env.path("bin").join(lab.program);
    fs::write(&file, text)?;
    Ok(fs::set_permissions(&file, fs::Permissions::from_mode(0o700))?)
}
