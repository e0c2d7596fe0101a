//! What an act on a pane takes: from the request until its bytes are in the program's input, with the
//! identity checked and the intent durable; many of them over many panes; and to hand a terminal over.

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use serde_json::json;
use testkit::wait::{BOUND, now};
use testkit::{Http, Terminal};

use crate::limits::{self, Disk};

const RUNS: usize = 300;
/// What is typed each time.
const TEXT: &str = "0123456789abcdef";
/// The panes over which many sends are spread, how many go out in a second, and for how long.
const SPREAD: usize = 50;
const RATE: u32 = 50;
const SENDS: usize = 1_000;
const SENDERS: usize = 4;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    for (panes, goal) in [(10, "0.8"), (200, "1.2")] {
        let stage = Stage::new(qd, panes)?;
        one_by_one(&stage, panes, goal, report)?;
    }
    let stage = Stage::new(qd, SPREAD)?;
    sustained(&stage, report)?;
    hand_over(&stage, report)?;
    let spawn = limits::spawn("/bin/true", &[], RUNS)?;
    report.beside("/bin/true, median", spawn.median(), "ms");
    Ok(())
}

/// Panes whose programs hand on every byte that is typed, and who hears of it.
struct Stage {
    world: World,
    heard: Receiver<(usize, Instant)>,
}

impl Stage {
    fn new(qd: &Binary, panes: usize) -> anyhow::Result<Self> {
        let mut world = World::bare(qd);
        let root = world.env.root().display().to_string();
        let (told, heard) = channel();
        for pane in 0..panes.min(SPREAD) {
            let pipe = format!("{root}/typed-%{pane}");
            let made = testkit::process::command("mkfifo").arg(&pipe).status()?;
            ensure!(made.success(), "no pipe can be made");
            listen(&pipe, told.clone())?;
        }
        let program = format!("stty raw -echo; exec cat > '{root}/typed-'\"$TMUX_PANE\"");
        world.add_panes(panes, &program, [100, 30]);
        world.start();
        world.settle(panes);
        testkit::wait::until("every program runs", || {
            world.panes().iter().all(|pane| pane["current_cmd"] == "cat").then_some(())
        });
        Ok(Self { world, heard })
    }

    /// When the whole of one text was there.
    fn arrival(&self) -> anyhow::Result<Instant> {
        let mut missing = TEXT.len();
        loop {
            let (count, at) = self.heard.recv_timeout(BOUND).context("a text did not arrive")?;
            missing = missing.checked_sub(count).context("more arrived than was sent")?;
            if missing == 0 {
                return Ok(at);
            }
        }
    }

    /// How long it takes from its start until the text is there.
    fn time(&self, send: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
        let began = now();
        send()?;
        Ok(self.arrival()?.duration_since(began))
    }
}

/// Tells of all that comes through a pipe, and when.
pub(crate) fn listen(pipe: &str, told: Sender<(usize, Instant)>) -> anyhow::Result<()> {
    let mut pipe = OpenOptions::new().read(true).write(true).open(pipe)?;
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            if told.send((count, now())).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn post(api: &Http, name: &str, pane: usize) {
    let body = json!({ "request_ref": name, "ref": format!("%{pane}"), "text": TEXT });
    api.post("/v1/actions/send", &body).expect(200);
}

/// One send after the other into one pane: by the API, by the command line, and by tmux alone.
fn one_by_one(stage: &Stage, panes: usize, goal: &str, report: &mut Report) -> anyhow::Result<()> {
    let (api, env) = (stage.world.env.api(), &stage.world.env);
    let mut disk = Disk::of(env.root())?;
    let [mut by_api, mut answered, mut by_qd, mut by_tmux] = [(); 4].map(|()| Samples::none());
    for run in 0..RUNS {
        let began = now();
        let name = format!("r{run}");
        let arrived = stage.time(|| {
            post(&api, &name, 0);
            answered.push_ms(began.elapsed());
            Ok(())
        });
        by_api.push_ms(arrived?);
        by_qd.push_ms(stage.time(|| {
            let mut command = env.command(env.qd_program());
            command.args(["send", "%0", "--text", TEXT]).stdin(Stdio::null());
            ensure!(command.stdout(Stdio::null()).status()?.success(), "`qd send` failed");
            Ok(())
        })?);
        by_tmux.push_ms(stage.time(|| {
            stage.world.act(&["send-keys", "-t", "%0", "-l", "--", TEXT]);
            Ok(())
        })?);
        disk.ask()?;
    }
    let what = format!("API: send -> in the program's input, {panes} panes, median");
    report.figure(&what, by_api.median(), "ms", goal);
    report.figure("  99 of 100", by_api.quantile(0.99), "ms", "-");
    report.figure("  until it is answered, median", answered.median(), "ms", "-");
    report.figure("qd send -> in the program's input, median", by_qd.median(), "ms", "3");
    report.figure("  99 of 100", by_qd.quantile(0.99), "ms", "-");
    report.beside("tmux send-keys, nothing checked, median", by_tmux.median(), "ms");
    disk.tell(report);
    Ok(())
}

/// As many sends a second as are wanted, over all panes.
fn sustained(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let (next, began) = (AtomicUsize::new(0), now());
    let late: Vec<Duration> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (api, next) = (stage.world.env.api(), &next);
                scope.spawn(move || {
                    let mut late = Vec::new();
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= SENDS {
                            return late;
                        }
                        let nth_u32 = u32::try_from(nth).unwrap_or(u32::MAX);
                        let due = began + Duration::from_secs(1) * nth_u32 / RATE;
                        thread::sleep(due.saturating_duration_since(now()));
                        post(&api, &format!("s{nth}"), nth % SPREAD);
                        late.push(now().duration_since(due));
                    }
                })
            })
            .collect();
        senders.into_iter().flat_map(|it| it.join().unwrap_or_default()).collect()
    });
    let took = began.elapsed();
    let mut arrived = 0;
    while arrived < SENDS * TEXT.len() {
        let Ok((count, _)) = stage.heard.recv_timeout(BOUND) else { break };
        arrived += count;
    }
    let mut answered = Samples::none();
    late.iter().for_each(|it| answered.push_ms(*it));
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let (sent, lost) = (late.len() as f64, (SENDS * TEXT.len() - arrived) as f64);
    let what = format!("{SENDS} sends over {SPREAD} panes, a second");
    report.figure(&what, sent / took.as_secs_f64(), "sends/s", "50");
    report.figure("  bytes that did not arrive", lost, "bytes", "0");
    report.figure("  due -> answered, 99 of 100", answered.quantile(0.99), "ms", "-");
    Ok(())
}

/// From the start of `qd attach` until its process is tmux's.
fn hand_over(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let env = &stage.world.env;
    let tmux = fs::canonicalize(env.tmux_program())?;
    let mut samples = Samples::none();
    for _ in 0..50 {
        let mut command = env.command(env.qd_program());
        command.args(["attach", "%0"]).env_remove("TMUX").env_remove("TMUX_PANE");
        let began = now();
        let terminal = Terminal::open(command);
        let program = format!("/proc/{}/exe", terminal.pid());
        while fs::read_link(&program).is_ok_and(|it| it != tmux) {
            ensure!(began.elapsed() < BOUND, "`qd attach` never became tmux");
            thread::yield_now();
        }
        samples.push_ms(began.elapsed());
    }
    report.figure("qd attach -> its terminal is tmux's, median", samples.median(), "ms", "20");
    report.figure("  99 of 100", samples.quantile(0.99), "ms", "-");
    Ok(())
}
