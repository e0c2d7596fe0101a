//! How soon an agent can go on that was told yes from elsewhere: from the answer until what its hook
//! prints is in its hands.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::cast::{Cast, Cue};
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, drift};
use serde_json::{Value, json};
use testkit::wait::{self, BOUND, now};

use crate::limits::{self, Disk};

const AGENTS: usize = 50;
/// Each answer is told as taken only when nothing has spoken against it for a moment.
const ROUNDS: usize = 100;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut stage = Stage::new(qd)?;
    let mut disk = Disk::of(stage.cast.world.env.root())?;
    let [mut by_api, mut told, mut by_qd, mut by_key] = [(); 4].map(|()| Samples::none());
    for nth in 0..ROUNDS {
        let asked = stage.asks(2 * nth)?;
        let began = now();
        stage.post(&asked, nth);
        told.push_ms(began.elapsed());
        by_api.push_ms(stage.went_on()?.duration_since(began));
        let asked = stage.asks(2 * nth + 1)?;
        let began = now();
        stage.approve(&asked)?;
        by_qd.push_ms(stage.went_on()?.duration_since(began));
        by_key.push_ms(stage.presses()?);
        disk.ask()?;
    }
    let what = format!("API: yes -> the agent has its hook's answer, {AGENTS} agents");
    report.figure(&what, by_api.median(), "ms", "50");
    report.figure("  99 of 100", by_api.quantile(0.99), "ms", "-");
    report.figure("  until it is told as taken, median", told.median(), "ms", "-");
    report.figure("qd approve -> the agent has its hook's answer", by_qd.median(), "ms", "50");
    report.figure("  99 of 100", by_qd.quantile(0.99), "ms", "-");
    report.beside("a key by tmux send-keys, nothing checked, median", by_key.median(), "ms");
    disk.tell(report);
    let spawn = limits::spawn("/bin/true", &[], 200)?;
    report.beside("/bin/true, median", spawn.median(), "ms");
    Ok(())
}

/// Agents that tell when they can go on, and a program that takes keys as they do without a hook.
struct Stage {
    cast: Cast,
    heard: Receiver<Instant>,
    keyed: Receiver<Instant>,
}

impl Stage {
    fn new(qd: &Binary) -> anyhow::Result<Self> {
        let cast = Cast::new(qd, AGENTS)?;
        let ((told, heard), (pressed, keyed)) = (channel(), channel());
        for agent in 0..AGENTS {
            listen(&cast.answers(agent), told.clone())?;
        }
        let keys = cast.world.env.path("keys");
        let made = testkit::process::command("mkfifo").arg(&keys).status()?;
        ensure!(made.success(), "no pipe can be made");
        let keys = keys.display().to_string();
        listen(&keys, pressed)?;
        let program = format!("stty raw -echo; exec cat > '{keys}'");
        cast.world.act(&["new-session", "-d", "-s", KEYS, &program]);
        cast.world.settle(AGENTS + 1);
        let takes =
            |it: &Value| it["identity"]["session_name"] == KEYS && it["current_cmd"] == "cat";
        wait::until("it takes keys", || cast.world.panes().iter().any(takes).then_some(()));
        Ok(Self { cast, heard, keyed })
    }

    /// Has one of the agents ask; its approval, once its hook waits.
    fn asks(&mut self, nth: usize) -> anyhow::Result<Value> {
        let agent = nth % AGENTS;
        self.cast.tell(agent, Cue::AskAndGoOn)?;
        let path = format!("/v1/approvals?ref={}", self.cast.pane(agent).replace('%', "%25"));
        let asked = wait::within(BOUND, || {
            let list = self.cast.world.env.api().get(&path).expect(200);
            let waits = |it: &&Value| it["delivery"] == "reply";
            list["items"].as_array().into_iter().flatten().find(waits).cloned()
        });
        drift(nth);
        asked.context("no hook waits for its answer")
    }

    fn post(&self, asked: &Value, nth: usize) {
        let id = asked["approval_id"].as_str().unwrap_or_default();
        let body = json!({
            "request_ref": format!("yes-{nth}"), "choice": "approve",
            "fingerprint": asked["fingerprint"],
        });
        self.cast.world.env.api().post(&format!("/v1/approvals/{id}/answer"), &body).expect(200);
    }

    fn approve(&self, asked: &Value) -> anyhow::Result<()> {
        let env = &self.cast.world.env;
        let mut command = env.command(env.qd_program());
        command.args(["approve", asked["approval_id"].as_str().unwrap_or_default()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        ensure!(command.status()?.success(), "`qd approve` failed");
        Ok(())
    }

    fn went_on(&self) -> anyhow::Result<Instant> {
        self.heard.recv_timeout(BOUND).context("no agent was told")
    }

    /// How long a key takes that somebody presses without looking.
    fn presses(&self) -> anyhow::Result<Duration> {
        let began = now();
        self.cast.world.act(&["send-keys", "-t", KEYS, "1"]);
        let pressed = self.keyed.recv_timeout(BOUND).context("no key arrived")?;
        Ok(pressed.duration_since(began))
    }
}

/// The session of the program that takes keys.
const KEYS: &str = "keys";

/// Tells of all that comes through a pipe, and when.
fn listen(pipe: &str, told: Sender<Instant>) -> anyhow::Result<()> {
    let mut pipe = OpenOptions::new().read(true).write(true).open(pipe)?;
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(1..) = pipe.read(&mut chunk) {
            if told.send(now()).is_err() {
                return;
            }
        }
    });
    Ok(())
}
