//! Numbers of processes that are given again, at the worst moments for whoever meant the first.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::json;
use testkit::{Daemon, Signal, TestEnv, process, skipped, wait};

use crate::actions::act;
use crate::deck::{self, deck};

/// From which number on the kernel looks for a free one.
const LAST_NUMBER: &str = "/proc/sys/kernel/ns_last_pid";

/// What the daemon knows when a signal for a process is asked of it, whose number is another's.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// That the process ended.
    Known,
    /// Nothing yet: it could not run since before the end.
    Stopped,
    /// The process ends, and its number is given again, while the request is under way.
    Meanwhile,
}

/// A process of ours that got the number of one that ended, and ends with this.
struct Heir(Child);

impl Heir {
    /// None where somebody else was given the number first.
    fn of(number: u32) -> Option<Self> {
        for _ in 0..20 {
            fs::write(LAST_NUMBER, (number - 1).to_string()).unwrap();
            let mut sleep = process::command("sleep");
            let heir = Self(sleep.arg("1000").stdin(Stdio::null()).spawn().unwrap());
            if heir.0.id() == number {
                return Some(heir);
            }
        }
        None
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Ends a program of a pane and waits until nothing of it is left. tmux before 3.6 can miss the end
/// of a child while it runs a helper, and looks again when it is told to.
fn end(pid: u32, server: u32) {
    process::signal(pid, Signal::KILL);
    wait::until("it is gone", || {
        process::signal(server, Signal::CHILD);
        process::state(pid).is_none().then_some(())
    });
}

/// One process, its end, another with its number, and a signal for the first. Says what became of
/// the request, or nothing where the number was taken.
fn round(env: &TestEnv, daemon: &Daemon, number: u32, moment: Moment) -> Option<String> {
    let pane = env.tmux().window("work", "round", "exec cat");
    let item = deck::settled(daemon.api(), &pane, "cat");
    let pid = u32::try_from(item["pane_pid"].as_u64().unwrap()).unwrap();
    let server = env.tmux().pid();
    let runtime = format!("runtime:{}", item["runtime_id"].as_str().unwrap());
    let (name, tree) = (format!("round-{number}"), number.is_multiple_of(2));
    let how = json!({ "mode": "signal", "signal": "TERM", "tree": tree });
    let ask = || act(daemon, "kill", &name, &runtime, &how).json();
    let (told, heir) = match moment {
        Moment::Known => {
            end(pid, server);
            let heir = Heir::of(pid);
            (ask(), heir)
        }
        Moment::Stopped => {
            daemon.signal(Signal::STOP);
            end(pid, server);
            let heir = Heir::of(pid);
            let told = std::thread::scope(|scope| {
                let asked = scope.spawn(ask);
                daemon.signal(Signal::CONT);
                asked.join().unwrap()
            });
            (told, heir)
        }
        Moment::Meanwhile => std::thread::scope(|scope| {
            let asked = scope.spawn(ask);
            end(pid, server);
            let heir = Heir::of(pid);
            (asked.join().unwrap(), heir)
        }),
    };
    let mut heir = heir?;
    assert!(heir.lives(), "{moment:?}: a stranger got the signal: {told:#}");
    let code = told["result_code"].as_str().or(told["error"]["code"].as_str());
    Some(code.unwrap_or_else(|| panic!("no outcome: {told:#}")).to_owned())
}

#[test]
fn r_16_a_signal_never_reaches_who_has_the_number_of_the_process_that_was_meant() {
    if fs::write(LAST_NUMBER, std::process::id().to_string()).is_err() {
        return skipped("only root can have the kernel give a number again");
    }
    let rounds: u32 = std::env::var("QD_REUSES").map_or(60, |it| it.parse().unwrap());
    let env = deck();
    env.tmux().session("work", "exec sleep infinity");
    let daemon = env.daemon();
    let (mut reused, mut meant) = (0, 0);
    for number in 0..rounds {
        let moments = [Moment::Known, Moment::Stopped, Moment::Meanwhile];
        let moment = moments[number as usize % moments.len()];
        let Some(code) = round(&env, &daemon, number, moment) else { continue };
        reused += 1;
        meant += u32::from(code == "completed");
        let may_be_done = matches!(moment, Moment::Meanwhile);
        assert!(may_be_done || code != "completed", "{moment:?}: nobody was there to be signalled");
    }
    println!("{reused} of {rounds} numbers given again, {meant} signals before it");
    assert!(reused * 2 > rounds, "only {reused} of {rounds} numbers could be given again");
}
