//! What an agent pays for each of its hooks: from the start of the process to its end, with the
//! record in the spool.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use anyhow::ensure;
use bench::cost;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use testkit::process::Signal;
use testkit::wait::now;

/// What hooks on other machines run.
const SCRIPT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/agents/src/setup/hook.sh"));
const RUNS: usize = 400;
/// Of the size and form that agents send at a permission request.
const PAYLOAD: &str = r#"{"session_id":"0b9c1a52-4d0e-4c62-9d3e-1c6b1f0a7f11","transcript_path":"/home/user/.agent/projects/-home-user-project/0b9c1a52-4d0e-4c62-9d3e-1c6b1f0a7f11.jsonl","cwd":"/home/user/project","permission_mode":"default","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"cargo test --workspace --locked 2>&1 | tail -n 40","description":"Run the tests of the whole workspace"},"permission_suggestions":[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"cargo test:*"}],"behavior":"allow","destination":"localSettings"}]}"#;

/// Programs that are started in turn, each with its times.
struct Contest<'w> {
    world: &'w World,
    qd: Samples,
    bare: Samples,
    shell: Samples,
    script: Samples,
    copied: Samples,
    qd_cpu_s: f64,
    bare_cpu_s: f64,
}

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::new(qd, 10, "exec sleep 100000");
    there(&world)?;
    // Before anything is timed, the folder is there and the pages of the programs are in memory.
    Contest::between(&world, 20)?;
    let running = Contest::between(&world, RUNS)?;
    running.tell(report, "daemon running", "1.3", "-");
    world.daemon().signal(Signal::STOP);
    let stopped = Contest::between(&world, RUNS)?;
    world.daemon().signal(Signal::CONT);
    stopped.tell(report, "daemon stopped by SIGSTOP", "1.3", "5");
    world.daemon = None;
    let absent = Contest::between(&world, RUNS)?;
    absent.tell(report, "daemon absent", "1.3", "5");
    let spooled = fs::read_dir(world.env.home().join("spool"))?;
    let spooled = spooled.filter_map(|entry| fs::read(entry.ok()?.path()).ok());
    let records =
        |bytes: &[u8]| bytes.split(|it| *it == b'\n').filter(|it| it.starts_with(b"qd1")).count();
    let spooled: usize = spooled.map(|bytes| records(&bytes)).sum();
    ensure!(spooled >= RUNS, "only {spooled} records of the last {RUNS} hooks are in the spool");
    report.beside("workmux's hook (published, same method)", 33.6, "ms");
    Ok(())
}

/// Makes two folders as hooks on other machines have them: without a copy of `qd`, and with one.
fn there(world: &World) -> anyhow::Result<()> {
    for program in ["chmod", "mv", "od", "rm", "tr", "uname", "wc"] {
        world.env.reinstall(program);
    }
    for folder in ["bare", "copied"] {
        let folder = world.env.path(folder);
        fs::create_dir(&folder)?;
        fs::write(folder.join("hook"), SCRIPT)?;
        fs::set_permissions(folder.join("hook"), fs::Permissions::from_mode(0o700))?;
    }
    let copy = format!("copied/qd-{}", std::env::consts::ARCH);
    fs::copy(world.env.qd_program(), world.env.path(&copy))?;
    Ok(())
}

impl<'w> Contest<'w> {
    fn between(world: &'w World, rounds: usize) -> anyhow::Result<Self> {
        let [qd, bare, shell, script, copied] = std::array::from_fn(|_| Samples::none());
        let (qd_cpu_s, bare_cpu_s) = (0.0, 0.0);
        let mut contest = Self { world, qd, bare, shell, script, copied, qd_cpu_s, bare_cpu_s };
        for _ in 0..rounds {
            contest.round()?;
        }
        // The kernel counts an ended child in hundredths of a second, so many are counted at once.
        contest.qd_cpu_s = contest.cpu(rounds, Self::hook)?;
        contest.bare_cpu_s = contest.cpu(rounds, |it| it.command("/bin/true", &[]))?;
        Ok(contest)
    }

    fn round(&mut self) -> anyhow::Result<()> {
        let length = time(self.command("/bin/true", &[]))?;
        self.bare.push(length);
        let length = time(self.hook())?;
        self.qd.push(length);
        let length = time(self.command("/bin/sh", &["-c", ":"]))?;
        self.shell.push(length);
        let length = time(self.script("bare"))?;
        self.script.push(length);
        let length = time(self.script("copied"))?;
        self.copied.push(length);
        Ok(())
    }

    fn hook(&self) -> Command {
        let program = self.world.env.qd_program().to_str().unwrap_or("qd").to_owned();
        self.command(&program, &["hook", "agent", "PermissionRequest"])
    }

    /// The script that hooks on other machines run, in one of the folders that `there` made.
    fn script(&self, folder: &str) -> Command {
        let script = self.world.env.path(folder).join("hook");
        self.command(&script.to_string_lossy(), &["hook", "agent", "PermissionRequest"])
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.world.env.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn cpu(&self, runs: usize, command: impl Fn(&Self) -> Command) -> anyhow::Result<f64> {
        let before = cost::ended_children_s(std::process::id());
        for _ in 0..runs {
            time(command(self))?;
        }
        let spent = cost::ended_children_s(std::process::id()) - before;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let each = spent / runs as f64;
        Ok(each)
    }

    fn tell(&self, report: &mut Report, how: &str, median: &str, tail: &str) {
        report.figure(&format!("qd hook, {how}, median"), self.qd.median(), "ms", median);
        report.figure("  99 of 100", self.qd.quantile(0.99), "ms", tail);
        report.figure("  processor time", self.qd_cpu_s * 1_000.0, "ms", "1");
        report.beside("/bin/true, median", self.bare.median(), "ms");
        report.beside("/bin/true, 99 of 100", self.bare.quantile(0.99), "ms");
        report.beside("/bin/true, processor time", self.bare_cpu_s * 1_000.0, "ms");
        report.beside("sh -c :, median", self.shell.median(), "ms");
        report.beside("the script of other machines, median", self.script.median(), "ms");
        report.beside("the same with a copy of qd, median", self.copied.median(), "ms");
    }
}

/// Milliseconds from the start of a process to its end, with the payload on its standard input.
fn time(mut command: Command) -> anyhow::Result<f64> {
    let began = now();
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Programs that read nothing may be gone already.
        drop(input.write_all(PAYLOAD.as_bytes()));
    }
    let status = child.wait()?;
    let length = began.elapsed().as_secs_f64() * 1_000.0;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(length)
}
