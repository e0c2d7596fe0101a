//! P-14: targets over ssh. The other machine is this one, behind a real `sshd` and a line of our own,
//! which counts what goes over it, takes its time, and goes dead when it is told to.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::cost;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World, change_where, drift};
use serde_json::{Value, json};
use testkit::wait::{self, BOUND, now};
use testkit::{Link, Sshd, Stream};

use crate::acts;
use crate::limits::Disk;

/// Panes of a target, and how often each thing is done.
const PANES: usize = 50;
const ROUNDS: usize = 60;
const ADDED: usize = 8;
const CUT: usize = 3;
/// Targets at once, and how long they rest.
const TARGETS: usize = 20;
const REST: Duration = Duration::from_secs(30);
/// How long a packet takes over the slow line, one way.
const SLOW: Duration = Duration::from_millis(25);
/// What is set up there and runs hooks.
const AGENT: &str = "claude";
const TEXT: &str = "0123456789abcdef";

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    if !Sshd::is_installed() {
        report.beside("skipped: no sshd is installed", f64::NAN, "");
        return Ok(());
    }
    let mut place = Place::new(qd, Duration::ZERO)?;
    place.adding(report)?;
    place.rounds(report, "loopback", "5")?;
    place.rest(report);
    place.cut(report)?;
    drop(place);
    let mut slow = Place::new(qd, SLOW)?;
    slow.add("far")?;
    slow.rounds(report, "50 ms away", "55")?;
    drop(slow);
    many(qd, report)
}

/// Another machine with [`PANES`] panes: one waits for cues to run a hook, one hands on what is typed.
struct Place {
    // What leads there ends before the world does.
    link: Link,
    sshd: Sshd,
    world: World,
    typed: Receiver<(usize, Instant)>,
}

/// What the shell that is a hook there runs, as any machine has it.
const HOOK_NEEDS: [&str; 7] = ["chmod", "find", "mv", "od", "rm", "tr", "wc"];
/// Where its server listens, below the world's root.
const SOCKET: &str = "far.sock";

impl Place {
    fn new(qd: &Binary, delay: Duration) -> anyhow::Result<Self> {
        let mut world = World::bare(qd);
        let env = &world.env;
        for program in HOOK_NEEDS {
            env.reinstall(program);
        }
        let sshd = Sshd::start(env, "sshd").context("no sshd")?;
        let link = Link::to(sshd.port(), delay);
        sshd.introduce_at(&[link.port(), sshd.port()]);
        let root = env.root().display().to_string();
        for pipe in ["cues", "typed"] {
            let made =
                testkit::process::command("mkfifo").arg(format!("{root}/{pipe}")).status()?;
            ensure!(made.success(), "no pipe can be made");
        }
        let (told, typed) = channel();
        acts::listen(&format!("{root}/typed"), told)?;
        let there = env.tmux_at(SOCKET);
        let hook = format!("{root}/home/.local/state/quarterdeck/hook");
        let hooked = format!(
            "while read event; do printf {{}} | sh {hook} hook {AGENT} $event; done <> {root}/cues"
        );
        there.session("hooks", &hooked);
        there.session("types", &format!("stty raw -echo; exec cat > {root}/typed"));
        there.session("more", "exec cat");
        for nth in 3..PANES {
            there.window("more", &format!("w{nth}"), "exec cat");
        }
        world.start();
        Ok(Self { link, sshd, world, typed })
    }

    fn add(&self, name: &str) -> anyhow::Result<()> {
        add(&self.world, &self.sshd, self.link.port(), name, SOCKET)
    }

    /// Its panes, as they are listed.
    fn panes(&self) -> Vec<Value> {
        list(&self.world, "/v1/panes?target=far&limit=1000")
    }

    fn health(&self) -> String {
        let targets = list(&self.world, "/v1/targets");
        let far = targets.iter().find(|it| it["name"] == "far");
        far.and_then(|it| it["health"].as_str()).unwrap_or_default().to_owned()
    }

    fn pane(&self, session: &str) -> String {
        let panes = self.world.env.tmux_at(SOCKET);
        panes.ok(&["display", "-p", "-t", session, "#{pane_id}"]).trim().to_owned()
    }

    /// A reference to what hands on what is typed.
    fn typing(&self) -> String {
        let types = |it: &&Value| it["identity"]["session_name"] == "types";
        let panes = self.panes();
        let id = panes.iter().find(types).and_then(|it| it["runtime_id"].as_str());
        format!("runtime:{}", id.unwrap_or_default())
    }

    fn ssh(&self, more: &[&str]) -> Command {
        let mut ssh = testkit::process::command("ssh");
        for option in self.sshd.options() {
            ssh.args(["-o", &option]);
        }
        ssh.args(["-p", &self.link.port().to_string()]).args(more).args(["127.0.0.1", "true"]);
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ssh
    }

    /// From `qd target add` until all its panes are listed, beside a login alone.
    fn adding(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let [mut added, mut fresh] = [(); 2].map(|()| Samples::none());
        for nth in 0..ADDED {
            fresh.push_ms(time(&mut self.ssh(&[]))?);
            let began = now();
            self.add("far")?;
            let all = || (self.panes().len() == PANES).then(now);
            added.push_ms(wait::until("all are listed", all).duration_since(began));
            if nth + 1 < ADDED {
                self.world.env.qd(&["target", "remove", "far", "--yes"]).success();
            }
        }
        let goal = fresh.median() + 100.0;
        let what = format!("qd target add -> its {PANES} panes are listed, median");
        report.figure(&what, added.median(), "ms", &format!("{goal:.0}, connecting + 100"));
        report.beside("a login by ssh, median", fresh.median(), "ms");
        Ok(())
    }

    /// What is heard from there, what is done there, and what only tmux there can tell.
    fn rounds(&mut self, report: &mut Report, way: &str, goal: &str) -> anyhow::Result<()> {
        wait::until("it is ok", || (self.health() == "ok").then_some(()));
        self.world.env.qd(&["setup", "--target", "far", AGENT, "--yes"]).success();
        let mut disk = Disk::of(self.world.env.root())?;
        let mut watch = self.world.env.api().stream("/v1/watch?scope=panes&target=far", &[]);
        watch.frame();
        let [mut heard, mut sent, mut by_qd, mut renamed, mut titled, mut shared] =
            [(); 6].map(|()| Samples::none());
        let master = self.world.env.path("master").display().to_string();
        let mut held = self.ssh(&["-M", "-N", "-S", &master]).spawn()?;
        wait::until("somebody holds a connection", || std::fs::metadata(&master).ok());
        for nth in 0..ROUNDS {
            drift(nth);
            heard.push_ms(self.hook(&mut watch, nth)?);
            drift(nth + 1);
            sent.push_ms(self.send(&format!("{way}-{nth}"))?);
            by_qd.push_ms(self.send_by_qd()?);
            shared.push_ms(time(&mut self.ssh(&["-S", &master]))?);
            if nth % 6 == 0 {
                let name = ["rename-window -t more", "window_name"];
                renamed.push_ms(self.change(&mut watch, name, nth));
                // Of another pane each time: how often one may be told anew has a budget.
                let title = format!("select-pane -t more:w{} -T", 3 + nth / 6);
                titled.push_ms(self.change(&mut watch, [&title, "pane_title"], nth));
            }
            disk.ask()?;
        }
        drop(held.kill());
        drop(held.wait());
        let what = format!("{way}: a hook there told to run -> here, durable, median");
        report.figure(&what, heard.median(), "ms", goal);
        report.figure("  99 of 100", heard.quantile(0.99), "ms", "-");
        report.figure("  API: send -> in the program's input there", sent.median(), "ms", goal);
        report.figure("  99 of 100", sent.quantile(0.99), "ms", "-");
        report.figure("  qd send -> in the program's input there", by_qd.median(), "ms", "-");
        report.figure("  a window renamed there -> here, median", renamed.median(), "ms", "1200");
        report.figure("  a title changed there -> here, median", titled.median(), "ms", "1200");
        report.figure("  the longest of them", titled.max(), "ms", "-");
        report.beside("ssh through a master, `true`, median", shared.median(), "ms");
        disk.tell(report);
        Ok(())
    }

    /// From the cue until a watcher is told, with the cost of the shell that is the hook.
    fn hook(&self, watch: &mut Stream, nth: usize) -> anyhow::Result<Duration> {
        let pane = self.pane("hooks");
        let (event, state) = match nth % 2 {
            0 => ("needs-approval", "waiting_approval"),
            _ => ("needs-input", "waiting_input"),
        };
        let mut cues = OpenOptions::new().write(true).open(self.world.env.path("cues"))?;
        let began = now();
        writeln!(cues, "{event}")?;
        change_where(watch, state, |change| {
            change["identity"]["pane_id"] == *pane && change["item"]["state"] == state
        });
        Ok(began.elapsed())
    }

    fn send(&self, name: &str) -> anyhow::Result<Duration> {
        let body = json!({ "request_ref": name, "ref": self.typing(), "text": TEXT });
        let api = self.world.env.api();
        let began = now();
        api.post("/v1/actions/send", &body).expect(200);
        self.arrival(began)
    }

    fn send_by_qd(&self) -> anyhow::Result<Duration> {
        let env = &self.world.env;
        let (mut command, typing) = (env.command(env.qd_program()), self.typing());
        command.args(["send", &typing, "--text", TEXT]).stdin(Stdio::null());
        let began = now();
        ensure!(command.stdout(Stdio::null()).status()?.success(), "`qd send` failed");
        self.arrival(began)
    }

    fn arrival(&self, began: Instant) -> anyhow::Result<Duration> {
        let mut missing = TEXT.len();
        loop {
            let (count, at) = self.typed.recv_timeout(BOUND).context("a text did not arrive")?;
            missing = missing.checked_sub(count).context("more arrived than was sent")?;
            if missing == 0 {
                return Ok(at.duration_since(began));
            }
        }
    }

    /// From a change there until a watcher is told: of a name tmux tells, of a title it does not.
    fn change(&self, watch: &mut Stream, [words, field]: [&str; 2], nth: usize) -> Duration {
        let name = format!("{field}-{nth}");
        let words: Vec<_> = words.split(' ').chain([name.as_str()]).collect();
        let began = now();
        self.world.env.tmux_at(SOCKET).ok(&words);
        change_where(watch, &name, |it| it["item"][field] == *name);
        began.elapsed()
    }

    /// Bytes a second that go over the line, of a while.
    fn traffic(&self) -> f64 {
        let before = self.link.bytes();
        thread::sleep(REST);
        #[expect(clippy::cast_precision_loss, reason = "some thousands of bytes")]
        let bytes = (self.link.bytes() - before) as f64;
        bytes / REST.as_secs_f64()
    }

    /// What a target at rest costs.
    fn rest(&self, report: &mut Report) {
        // A minute after the last thing that moved everything is looked at once more.
        thread::sleep(Duration::from_secs(75));
        let what = format!("bytes a second over the line, {PANES} quiet panes");
        report.figure(&what, self.traffic(), "B/s", "100");
        let there = self.world.env.tmux_at(SOCKET);
        let prints = there.window("more", "prints", "while echo x; do sleep 0.1; done");
        wait::until("it is listed", || (self.panes().len() > PANES).then_some(()));
        report.figure("  one more that prints all the time", self.traffic(), "B/s", "-");
        there.ok(&["kill-pane", "-t", &prints]);
        wait::until("it is gone", || (self.panes().len() == PANES).then_some(()));
        let ways = count(cost::children(self.world.daemon().pid()).len());
        // One of them looks at the server of this machine.
        report.figure("processes here, that of this machine among them", ways, "", "2 a target");
    }

    /// The line goes dead without a word, and comes back.
    fn cut(&self, report: &mut Report) -> anyhow::Result<()> {
        let [mut told, mut back] = [(); 2].map(|()| Samples::none());
        for _ in 0..CUT {
            wait::until("it is ok", || (self.health() == "ok").then_some(()));
            let began = now();
            self.link.cut();
            let lost = || self.panes().iter().all(|it| it["reason_code"] == "target_unreachable");
            let lost = wait::within(BOUND * 2, || lost().then_some(()));
            ensure!(lost.is_some(), "a dead line was never told");
            told.push_ms(began.elapsed());
            let began = now();
            self.link.mend();
            let all = || self.health() == "ok" && self.panes().len() == PANES;
            ensure!(wait::within(BOUND * 2, || all().then_some(())).is_some(), "never ok again");
            back.push_ms(began.elapsed());
        }
        report.figure("line dead -> its panes are unreachable", told.median(), "ms", "10000");
        report.figure("line back -> all is true again", back.median(), "ms", "1000");
        Ok(())
    }
}

/// Many targets at rest, and one of them hanging.
fn many(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::bare(qd);
    let sshd = Sshd::start(&world.env, "sshd").context("no sshd")?;
    let (link, one) =
        (Link::to(sshd.port(), Duration::ZERO), Link::to(sshd.port(), Duration::ZERO));
    sshd.introduce_at(&[link.port(), one.port()]);
    world.start();
    for nth in 0..TARGETS {
        let socket = format!("t{nth}.sock");
        let there = world.env.tmux_at(&socket);
        there.session("more", "exec cat");
        for window in 1..PANES {
            there.window("more", &format!("w{window}"), "exec cat");
        }
        let port = if nth == 0 { one.port() } else { link.port() };
        add(&world, &sshd, port, &format!("t{nth}"), &socket)?;
    }
    let ok = || {
        let targets = list(&world, "/v1/targets");
        targets.iter().filter(|it| it["kind"] == "ssh").all(|it| it["health"] == "ok")
            && world.panes().len() == 1_000
    };
    ensure!(wait::within(BOUND * 3, || ok().then_some(())).is_some(), "not all are ok");
    thread::sleep(Duration::from_secs(15));
    let daemon = world.daemon().pid();
    let servers: Vec<u32> =
        (0..TARGETS).map(|nth| world.env.tmux_at(&format!("t{nth}.sock")).pid()).collect();
    let spent = || {
        let ways: f64 = cost::children(daemon).into_iter().map(cost::cpu_s).sum();
        let tmux: f64 = servers.iter().copied().map(cost::cpu_s).sum();
        [cost::cpu_s(daemon) - cost::ended_children_s(daemon), ways, tmux]
    };
    let before = spent();
    thread::sleep(REST);
    let share =
        |nth: usize, after: [f64; 3]| (after[nth] - before[nth]) * 100.0 / REST.as_secs_f64();
    let after = spent();
    let what = format!("{TARGETS} quiet targets of {PANES} panes: the daemon and its ssh");
    report.figure(&what, share(0, after) + share(1, after), "% of a core", "0.3");
    report.beside("the daemon alone", share(0, after), "% of a core");
    report.beside("tmux there", share(2, after), "% of a core");
    let times = || {
        let mut samples = Samples::none();
        for nth in 0..ROUNDS {
            drift(nth);
            let began = now();
            world.env.api().get("/v1/panes?limit=1000").expect(200);
            samples.push_ms(began.elapsed());
        }
        samples
    };
    let whole = times();
    one.cut();
    let hanging = times();
    let what = format!("a list of {} panes, one of {TARGETS} targets hanging", TARGETS * PANES);
    report.figure(&what, hanging.median(), "ms", "as without, 5");
    report.beside("none of them hanging", whole.median(), "ms");
    Ok(())
}

fn list(world: &World, path: &str) -> Vec<Value> {
    let list = world.env.api().get(path).expect(200);
    list["items"].as_array().cloned().unwrap_or_default()
}

fn add(world: &World, sshd: &Sshd, port: u16, name: &str, socket: &str) -> anyhow::Result<()> {
    let env = &world.env;
    let mut command = env.command(env.qd_program());
    command.args(["target", "add", name, "--kind", "ssh", "--tmux-socket"]);
    command.arg(env.path(socket)).args(["--ssh-target", &format!("127.0.0.1:{port}")]);
    for option in sshd.options() {
        command.args(["--ssh-option", &option]);
    }
    let added = command.stdin(Stdio::null()).output()?;
    ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    Ok(())
}

/// How long a program runs.
fn time(command: &mut Command) -> anyhow::Result<Duration> {
    let began = now();
    let status = command.status()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(began.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
fn count(things: usize) -> f64 {
    things as f64
}
