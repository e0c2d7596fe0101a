//! Agents as the daemon sees them without any hook: by their processes and by the files that they
//! write themselves.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::process::Signal;
use testkit::{Daemon, TestEnv, Tmux};

use crate::deck::{self, deck};
use crate::machines::{Way, World};

/// Makes a test of each function for this machine, and for another one on each way to get there.
macro_rules! everywhere {
    ($($name:ident),+ $(,)?) => {
        mod here {
            $(#[test] fn $name() { super::$name(None); })+
        }
        mod over_command {
            $(#[test] fn $name() { super::$name(Some(super::Way::Command)); })+
        }
        mod over_ssh {
            $(#[test] fn $name() { super::$name(Some(super::Way::Ssh)); })+
        }
    };
}

everywhere!(
    a_silent_agents_own_status_file_tells_what_it_does,
    a_status_file_that_another_replaces_is_read_again,
    a_file_that_is_being_written_takes_nothing_back,
    the_last_word_of_a_file_that_is_written_again_and_again_is_heard,
    what_is_no_plain_file_of_the_agents_own_is_not_read,
    what_takes_the_place_of_a_file_is_read_only_if_it_is_one_of_the_agents_own,
    files_are_looked_for_where_the_agents_own_environment_puts_them,
    a_log_that_the_agent_has_open_tells_what_it_does,
    a_log_beside_which_the_agents_process_is_named_tells_what_it_does,
    an_agent_below_what_stays_in_the_foreground_is_found,
    an_agent_that_a_wrapper_starts_later_and_without_a_word_is_found,
    an_agent_that_is_stopped_is_suspended_until_it_goes_on,
    where_an_agent_was_killed_there_is_none,
    a_screen_counts_fully_where_the_package_of_its_agent_tells_a_version_that_is_known,
    an_agent_that_ends_without_a_word_below_what_goes_on_is_missed,
    what_a_transcript_counts_call_by_call_adds_up_and_each_call_counts_once,
);

/// Where the agents of a test run.
enum Place {
    Here(Daemon, Box<TestEnv>),
    There(Box<World>),
}

impl Place {
    /// With a pane in which this runs; nothing where the way cannot be had.
    fn with(way: Option<Way>, env: TestEnv, program: &str) -> Option<(Self, String)> {
        let Some(way) = way else {
            let daemon = env.daemon();
            let pane = env.tmux().session("there", program);
            return Some((Self::Here(daemon, Box::new(env)), pane));
        };
        // What any machine has.
        ["grep", "sed"].into_iter().for_each(|program| env.reinstall(program));
        let (world, pane) = World::led(way, program, env, "")?;
        Some((Self::There(Box::new(world)), pane))
    }

    fn env(&self) -> &TestEnv {
        match self {
            Self::Here(_, env) => env,
            Self::There(world) => &world.env,
        }
    }

    fn daemon(&self) -> &Daemon {
        match self {
            Self::Here(daemon, _) => daemon,
            Self::There(world) => &world.daemon,
        }
    }

    fn tmux(&self) -> Tmux<'_> {
        match self {
            Self::Here(_, env) => env.tmux(),
            Self::There(world) => world.tmux(),
        }
    }

    #[track_caller]
    fn pane_where(&self, pane: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        match self {
            Self::Here(daemon, _) => deck::pane_where(daemon.api(), pane, what, wanted),
            Self::There(world) => world.pane_where(pane, what, wanted),
        }
    }
}

/// A world in which a program of an agent's name runs in a pane and does nothing at all: whatever
/// is known of it was read elsewhere.
struct Scene {
    place: Place,
    pane: String,
    pid: u32,
}

/// Puts a program that sleeps under an agent's name on the path.
fn install(env: &TestEnv, agent: &str) {
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|it| fs::metadata(it).is_ok());
    fs::copy(sleep.unwrap(), env.path("bin").join(agent)).unwrap();
}

fn scene(way: Option<Way>, agent: &str) -> Option<Scene> {
    let env = deck();
    install(&env, agent);
    let (place, pane) = Place::with(way, env, &format!("exec {agent} 1000"))?;
    place.pane_where(&pane, agent, |it| it["agent_type"] == agent);
    let pid = place.tmux().show(&pane, "#{pane_pid}").parse().unwrap();
    Some(Scene { place, pane, pid })
}

/// The same on this machine.
fn scene_here(agent: &str) -> Scene {
    scene(None, agent).expect("it is here")
}

impl Scene {
    fn env(&self) -> &TestEnv {
        self.place.env()
    }

    fn daemon(&self) -> &Daemon {
        self.place.daemon()
    }

    /// Where the agent writes its status.
    fn file(&self) -> PathBuf {
        self.env().path(&format!("home/.claude/sessions/{}.json", self.pid))
    }

    fn make_folder(&self) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
    }

    fn write(&self, status: &Value) {
        self.make_folder();
        fs::write(self.file(), status.to_string()).unwrap();
    }

    fn status(&self, status: &str) -> Value {
        json!({ "pid": self.pid, "sessionId": "s-1", "cwd": "/work", "status": status })
    }

    #[track_caller]
    fn shows(&self, state: &str, reason: &str) -> Value {
        let what = format!("{state}/{reason}");
        self.place
            .pane_where(&self.pane, &what, |it| it["state"] == state && it["reason_code"] == reason)
    }

    /// How many readings of files were news.
    fn readings(&self) -> usize {
        let count = "SELECT count(*) FROM events WHERE source = 'status'";
        self.env().sqlite(count).trim().parse().unwrap()
    }
}

fn a_silent_agents_own_status_file_tells_what_it_does(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    it.shows("unknown", "inconclusive");
    it.write(&it.status("busy"));
    let item = it.shows("running", "active");
    assert_eq!((&item["state_source"], &item["confidence"]), (&json!("status"), &json!("high")));
    let mut waiting = it.status("waiting");
    waiting["waitingFor"] = json!("permission prompt");
    it.write(&waiting);
    it.shows("waiting_approval", "approval_requested");
    it.write(&it.status("idle"));
    it.shows("idle", "idle");
    fs::remove_file(it.file()).unwrap();
    it.shows("unknown", "inconclusive");
}

fn a_status_file_that_another_replaces_is_read_again(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    it.write(&it.status("busy"));
    it.shows("running", "active");
    let beside = it.file().with_extension("new");
    fs::write(&beside, it.status("idle").to_string()).unwrap();
    fs::rename(&beside, it.file()).unwrap();
    it.shows("idle", "idle");
    fs::rename(it.file().parent().unwrap(), it.env().path("home/.claude/old")).unwrap();
    it.shows("unknown", "inconclusive");
    it.write(&it.status("busy"));
    it.shows("running", "active");
}

fn a_file_that_is_being_written_takes_nothing_back(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    it.write(&it.status("busy"));
    it.shows("running", "active");
    let read = it.readings();
    let whole = it.status("idle").to_string();
    fs::write(it.file(), &whole[..whole.len() / 2]).unwrap();
    fs::write(it.file(), &whole).unwrap();
    it.shows("idle", "idle");
    assert_eq!(it.readings(), read + 1, "half a file says nothing");
}

fn what_is_no_plain_file_of_the_agents_own_is_not_read(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    it.make_folder();
    let elsewhere = it.env().path("elsewhere.json");
    fs::write(&elsewhere, it.status("busy").to_string()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, it.file()).unwrap();
    // A second agent, whose file is read after the link was met, proves that it was.
    let other = it.place.tmux().window("there", "other", "exec claude 1000");
    let pid: u32 = it.place.tmux().show(&other, "#{pane_pid}").parse().unwrap();
    let file = it.file().with_file_name(format!("{pid}.json"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    it.place.pane_where(&other, "recognised", |it| it["agent_type"] == "claude");
    fs::remove_file(&file).unwrap();
    fs::write(&file, json!({ "pid": pid, "status": "idle" }).to_string()).unwrap();
    it.place.pane_where(&other, "idle", |it| it["state"] == "idle");
    it.shows("unknown", "inconclusive");
    fs::remove_file(it.file()).unwrap();
    it.write(&it.status("busy"));
    it.shows("running", "active");
}

fn files_are_looked_for_where_the_agents_own_environment_puts_them(way: Option<Way>) {
    let env = deck();
    install(&env, "claude");
    let folder = env.path("moved");
    let line = format!("CLAUDE_CONFIG_DIR={} exec claude 1000", folder.display());
    let Some((place, pane)) = Place::with(way, env, &line) else { return };
    let pid: u32 = place.tmux().show(&pane, "#{pane_pid}").parse().unwrap();
    fs::create_dir_all(folder.join("sessions")).unwrap();
    let status = json!({ "pid": pid, "status": "idle" });
    fs::write(folder.join(format!("sessions/{pid}.json")), status.to_string()).unwrap();
    place.pane_where(&pane, "idle", |it| it["state"] == "idle");
}

fn a_log_that_the_agent_has_open_tells_what_it_does(way: Option<Way>) {
    let env = deck();
    install(&env, "codex");
    let folder = env.path("home/.codex/sessions/2026/11/21");
    fs::create_dir_all(&folder).unwrap();
    let log = folder.join("rollout-2026-11-21T10-00-00-s-1.jsonl");
    let event =
        |kind: &str| format!("{}\n", json!({ "type": "event_msg", "payload": { "type": kind } }));
    fs::write(&log, event("task_started")).unwrap();
    let open = format!("exec codex 1000 9<{}", log.display());
    let Some((place, mine)) = Place::with(way, env, &open) else { return };
    let other = place.tmux().window("there", "other", "exec codex 1000");
    place.pane_where(&mine, "running", |it| it["state"] == "running");
    let append = |text: &str| {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append(&event("turn_aborted"));
    place.pane_where(&mine, "interrupted", |it| it["reason_code"] == "interrupted");
    // More than its end, which is all that is read of it, and what is sent of it at once.
    append(&event("token_count").repeat(4_000));
    append(&event("task_started"));
    place.pane_where(&mine, "running", |it| it["state"] == "running");
    let item = place.pane_where(&other, "recognised", |it| it["agent_type"] == "codex");
    assert_eq!(item["state"], "unknown", "the log is not this one's");
}

fn the_last_word_of_a_file_that_is_written_again_and_again_is_heard(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    it.write(&it.status("idle"));
    it.shows("idle", "idle");
    let modified = || fs::metadata(it.file()).unwrap().modified().unwrap();
    let (first, of) = (modified(), |path: &Path| fs::File::options().write(true).open(path));
    for _ in 0..3 {
        for (status, state) in [("busy", "running"), ("idle", "idle")] {
            // All have the same length, and the file is said not to have been written since.
            for status in ["busy", "idle", status] {
                it.write(&it.status(status));
                of(&it.file()).unwrap().set_modified(first).unwrap();
            }
            it.place.pane_where(&it.pane, state, |it| it["state"] == state);
        }
    }
    assert_eq!(modified(), first);
}

fn what_takes_the_place_of_a_file_is_read_only_if_it_is_one_of_the_agents_own(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    let (elsewhere, idle) = (it.env().path("elsewhere.json"), it.status("idle").to_string());
    fs::write(&elsewhere, &idle).unwrap();
    let link = || std::os::unix::fs::symlink(&elsewhere, it.file()).unwrap();
    let pipe = || {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, it.file(), mode).unwrap();
    };
    let long = || fs::write(it.file(), format!("{idle}{}", " ".repeat(64 * 1024))).unwrap();
    let folder = || fs::create_dir(it.file()).unwrap();
    let foreign = || {
        fs::write(it.file(), &idle).unwrap();
        // Only root can give a file away.
        if std::os::unix::fs::chown(it.file(), Some(54_321), None).is_err() {
            fs::remove_file(it.file()).unwrap();
        }
    };
    let places: [&dyn Fn(); 5] = [&link, &pipe, &long, &folder, &foreign];
    for take_place in places {
        it.write(&it.status("busy"));
        it.shows("running", "active");
        fs::remove_file(it.file()).unwrap();
        take_place();
        it.shows("unknown", "inconclusive");
        fs::remove_file(it.file()).or_else(|_| fs::remove_dir(it.file())).ok();
    }
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), idle);
}

fn a_log_beside_which_the_agents_process_is_named_tells_what_it_does(way: Option<Way>) {
    let Some(it) = scene(way, "copilot") else { return };
    let session = |name: &str, pid: u32, event: &str| {
        let folder = it.env().path(&format!("home/.copilot/session-state/{name}"));
        fs::create_dir_all(&folder).unwrap();
        let line = json!({ "type": event, "data": {} });
        fs::write(folder.join("events.jsonl"), format!("{line}\n")).unwrap();
        fs::write(folder.join(format!("inuse.{pid}.lock")), "").unwrap();
    };
    // Others of later, and more than are ever listed.
    session("mine", it.pid, "user.message");
    (0..100).for_each(|number| session(&format!("other-{number}"), 1, "abort"));
    it.shows("running", "active");
    session("mine", it.pid, "permission.requested");
    it.shows("waiting_approval", "approval_requested");
}

/// An agent below a shell, which goes on when the agent is stopped or ends.
fn below_a_shell(way: Option<Way>) -> Option<Scene> {
    let env = deck();
    install(&env, "claude");
    let (place, pane) = Place::with(way, env, "exec env PS1=ready bash --norc -i")?;
    place.tmux().shows(&pane, "ready");
    place.tmux().type_line(&pane, "claude 1000");
    place.pane_where(&pane, "claude", |it| it["agent_type"] == "claude");
    let pid = child_of(&place, &pane);
    Some(Scene { place, pane, pid })
}

fn child_of(place: &Place, pane: &str) -> u32 {
    let shell = place.tmux().show(pane, "#{pane_pid}");
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    children.trim().parse().unwrap()
}

fn an_agent_below_what_stays_in_the_foreground_is_found(way: Option<Way>) {
    let env = deck();
    install(&env, "claude");
    let Some((place, pane)) = Place::with(way, env, "exec env PS1=ready sh") else { return };
    place.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    // The shell that starts it is called as the one before.
    place.tmux().type_line(&pane, "sh -c 'claude 1000; true'");
    let item = place.pane_where(&pane, "claude", |it| it["agent_type"] == "claude");
    assert_eq!(item["current_cmd"], "sh");
    place.tmux().ok(&["send-keys", "-t", &pane, "C-c"]);
    let item = place.pane_where(&pane, "no agent", |it| it["agent_presence"] == "none");
    assert_eq!(item["current_cmd"], "sh");
}

fn an_agent_that_a_wrapper_starts_later_and_without_a_word_is_found(way: Option<Way>) {
    let env = deck();
    install(&env, "claude");
    let Some((place, pane)) = Place::with(way, env, "exec env PS1=ready sh") else { return };
    place.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    place.tmux().type_line(&pane, "sh -c 'sleep 0.5; claude 1000; true'");
    place.pane_where(&pane, "claude", |it| it["agent_type"] == "claude");
}

fn an_agent_that_is_stopped_is_suspended_until_it_goes_on(way: Option<Way>) {
    let Some(it) = below_a_shell(way) else { return };
    it.write(&it.status("busy"));
    it.shows("running", "active");
    it.place.tmux().ok(&["send-keys", "-t", &it.pane, "C-z"]);
    let item = it.shows("idle", "suspended");
    assert_eq!(item["state_source"], "process");
    it.write(&it.status("busy"));
    it.place.tmux().type_line(&it.pane, "fg");
    it.shows("running", "active");
}

fn where_an_agent_was_killed_there_is_none(way: Option<Way>) {
    let Some(it) = below_a_shell(way) else { return };
    it.write(&it.status("busy"));
    let before = it.shows("running", "active");
    testkit::process::signal(it.pid, Signal::KILL);
    let after = it.shows("unknown", "no_agent");
    assert_eq!(after["agent_presence"], "none");
    assert_ne!(deck::runtime_of(&before), deck::runtime_of(&after), "a life of its own");
}

/// Shows a dialog, and waits.
const ASKS: &str = "clear; printf '  ┃\\n  ┃  △ Permission required\\n  ┃    # Shell command\\n  ┃\\n  ┃  $ touch a\\n  ┃\\n  ┃   Allow once   Allow always   Reject   enter confirm\\n  ┃\\n'; while :; do read -r -t 100; done";

fn a_screen_counts_fully_where_the_package_of_its_agent_tells_a_version_that_is_known(
    way: Option<Way>,
) {
    let env = deck();
    for program in ["clear", "readlink", "wc", "ls"] {
        env.reinstall(program);
    }
    let package = env.path("home/lib/node_modules/opencode-ai");
    fs::create_dir_all(package.join("bin")).unwrap();
    let tells = |version: &str| {
        let text = json!({ "version": version }).to_string();
        fs::write(package.join("package.json"), text).unwrap();
    };
    tells("1.18.33");
    // A program of its own, and a script that a link leads to.
    fs::copy("/bin/bash", package.join("bin/opencode.exe")).unwrap();
    fs::copy("/bin/bash", env.path("bin/node")).unwrap();
    fs::write(package.join("bin/opencode"), ASKS).unwrap();
    let link = env.path("bin/opencode");
    std::os::unix::fs::symlink(package.join("bin/opencode"), &link).unwrap();
    let script = package.join("bin/opencode").display().to_string();
    let program = format!("exec {script}.exe {script}");
    let Some((place, pane)) = Place::with(way, env, &program) else { return };
    let shows = |pane: &str, what: &str, confidence: &str| {
        place.pane_where(pane, what, |it| {
            it["state"] == "waiting_approval" && it["confidence"] == confidence
        });
    };
    shows(&pane, "a program's package is asked", "high");
    let line = format!("exec node {}", link.display());
    let by_link = place.tmux().window("there", "link", &line);
    shows(&by_link, "a script's package is asked", "high");
    tells("9.9.9");
    let unknown = place.tmux().window("there", "new", &line);
    shows(&unknown, "a version that nobody has seen counts for less", "medium");
}

fn an_agent_that_ends_without_a_word_below_what_goes_on_is_missed(way: Option<Way>) {
    let env = deck();
    install(&env, "claude");
    // What says that it was killed is not heard, and the same goes on in the foreground.
    let program = "exec sh -c 'exec 2>/dev/null; claude 1000; sleep 1000; true'";
    let Some((place, pane)) = Place::with(way, env, program) else { return };
    place.pane_where(&pane, "claude", |it| it["agent_type"] == "claude");
    testkit::process::signal(child_of(&place, &pane), Signal::KILL);
    let item = place.pane_where(&pane, "no agent", |it| it["agent_presence"] == "none");
    assert_eq!(item["current_cmd"], "sh");
}

fn what_a_transcript_counts_call_by_call_adds_up_and_each_call_counts_once(way: Option<Way>) {
    let Some(it) = scene(way, "claude") else { return };
    let folder = it.env().path("home/.claude/projects/work");
    fs::create_dir_all(&folder).unwrap();
    let call = |id: &str, out: u64| {
        let usage = json!({
            "input_tokens": 3, "cache_read_input_tokens": 1_000, "output_tokens": out,
        });
        let message = json!({ "id": id, "role": "assistant", "content": [], "usage": usage });
        format!("{}\n", json!({ "type": "assistant", "message": message }))
    };
    // Far more than the end that is read for the rest.
    let long = format!("{}\n", json!({ "type": "user", "message": "x".repeat(300_000) }));
    let mut text = [call("m1", 5), call("m1", 7), long.clone(), call("m2", 1), long].concat();
    let file = folder.join("s-1.jsonl");
    fs::write(&file, &text).unwrap();
    it.write(&it.status("busy"));
    let counted = |tokens_in: u64, tokens_out: u64| {
        let what = format!("{tokens_in} and {tokens_out} tokens");
        it.place.pane_where(&it.pane, &what, |it| {
            let agent = &it["agent"];
            (&agent["tokens_in"], &agent["tokens_out"]) == (&json!(tokens_in), &json!(tokens_out))
        });
    };
    counted(2_006, 8);
    text.push_str(&call("m2", 2));
    text.push_str(&call("m3", 10));
    fs::write(&file, &text).unwrap();
    counted(3_009, 19);
    let said = it.env().qd(&["explain", &it.pane]).success();
    assert!(said.contains("3009 tokens in, 19 tokens out"), "{said}");
}

/// Files there, which are read later than they are written.
mod late {
    use std::fs::{self, File};

    use testkit::wait;

    use super::{Way, scene};
    use crate::machines::on_every_way;

    on_every_way!(what_a_file_said_before_a_hook_takes_nothing_back_after_it);

    fn what_a_file_said_before_a_hook_takes_nothing_back_after_it(way: Way) {
        let Some(it) = scene(Some(way), "claude") else { return };
        it.write(&it.status("idle"));
        it.shows("idle", "idle");
        let event = ["event", "emit", "--source", "hook", "--target", "far", "--pane", &it.pane];
        let about = ["--agent", "claude", "--type", "needs-input"];
        it.env().qd(&[&event[..], &about].concat()).success();
        it.shows("waiting_input", "input_required");
        let (read, new) = (it.readings(), it.file().with_extension("new"));
        fs::write(&new, it.status("busy").to_string()).unwrap();
        let before = fs::metadata(it.file()).unwrap().modified().unwrap();
        File::options().write(true).open(&new).unwrap().set_modified(before).unwrap();
        fs::rename(new, it.file()).unwrap();
        wait::until("it is read", || (it.readings() > read).then_some(()));
        let shown = it.place.pane_where(&it.pane, "there", |_| true);
        assert_eq!(shown["state"], "waiting_input", "{shown:#}");
        it.write(&it.status("idle"));
        it.shows("idle", "idle");
    }
}

/// Files there, when the way there is cut.
mod when_cut {
    use std::fs;

    use serde_json::json;
    use testkit::process::{Signal, signal};

    use super::{Place, Way, scene};

    fn what_was_written_while_the_way_was_cut_is_read_when_it_is_back(way: Way) {
        let Some(it) = scene(Some(way), "claude") else { return };
        let Place::There(world) = &it.place else { panic!("it is elsewhere") };
        it.write(&it.status("busy"));
        it.shows("running", "active");
        world.cut();
        it.write(&it.status("idle"));
        it.shows("idle", "idle");
        world.freeze();
        it.shows("unknown", "target_unreachable");
        let mut waiting = it.status("waiting");
        waiting["waitingFor"] = "permission prompt".into();
        it.write(&waiting);
        world.thaw();
        it.shows("waiting_approval", "approval_requested");
        it.write(&it.status("busy"));
        it.shows("running", "active");
    }

    /// The shell that stays there, with what is part of it.
    fn shells_there(it: &super::Scene) -> Vec<u32> {
        let home = format!("HOME={}\0", it.env().path("home").display());
        let has = |pid: u32, file: &str, part: &str| {
            let said = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&said).contains(part)
        };
        let all = fs::read_dir("/proc").unwrap();
        let all = all.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
        all.filter(|pid| has(*pid, "environ", &home) && has(*pid, "cmdline", "Stays for"))
            .filter(|pid| has(*pid, "comm", "sh") && !has(*pid, "comm", "ssh"))
            .collect()
    }

    #[test]
    fn a_shell_there_that_hangs_while_it_owes_an_answer_is_given_up_for_another() {
        let Some(it) = scene(Some(Way::Ssh), "claude") else { return };
        it.write(&it.status("busy"));
        it.shows("running", "active");
        let hanging = shells_there(&it);
        assert!(!hanging.is_empty());
        hanging.iter().for_each(|pid| signal(*pid, Signal::STOP));
        let other = it.place.tmux().window("there", "other", "exec claude 1000");
        let pid: u32 = it.place.tmux().show(&other, "#{pane_pid}").parse().unwrap();
        let status = json!({ "pid": pid, "status": "idle" });
        fs::write(it.file().with_file_name(format!("{pid}.json")), status.to_string()).unwrap();
        it.place.pane_where(&other, "idle", |it| it["state"] == "idle");
        it.shows("running", "active");
        hanging.iter().for_each(|pid| signal(*pid, Signal::CONT));
    }

    #[test]
    fn over_command() {
        what_was_written_while_the_way_was_cut_is_read_when_it_is_back(Way::Command);
    }

    #[test]
    fn over_ssh() {
        what_was_written_while_the_way_was_cut_is_read_when_it_is_back(Way::Ssh);
    }
}

#[test]
fn an_agent_is_named_by_its_name_where_it_is_the_only_one_so_called() {
    let it = scene_here("claude");
    let told = it.env().qd(&["explain", "claude"]).success();
    assert!(told.contains(&it.pane), "{told}");
    // Neither a session nor a window of that name is meant: those have a colon.
    it.place.tmux().session("codex", "exec cat");
    let other = it.place.tmux().window("there", "codex", "exec cat");
    deck::listed(it.daemon().api(), &other);
    it.env().qd(&["explain", "codex"]).fails_with(4);
    let resolved = it.daemon().api().get("/v1/resolve?ref=claude").expect(200);
    assert_eq!(resolved["pane"]["identity"]["pane_id"], it.pane.as_str());
    let second = it.place.tmux().window("there", "second", "exec claude 1000");
    deck::pane_where(it.daemon().api(), &second, "claude", |it| it["agent_type"] == "claude");
    let refused = it.env().qd(&["send", "claude", "--text", "x"]).fails_with(5);
    assert!(refused.contains("E_REF_AMBIGUOUS"), "{refused}");
    for pane in [&it.pane, &second] {
        assert!(refused.contains(&format!("/{pane}  claude")), "{pane}: {refused}");
    }
}

#[test]
fn an_event_about_another_agent_than_the_one_that_runs_is_kept_and_changes_nothing() {
    let it = scene_here("claude");
    let emit = |agent: &str, event: &str| {
        let about = ["--source", "hook", "--pane", &it.pane, "--agent", agent, "--type", event];
        it.env().qd(&[&["event", "emit"][..], &about].concat())
    };
    emit("claude", "task-started").success();
    let before = it.shows("running", "active");
    let told = emit("codex", "needs-approval").success();
    assert!(told.contains("changes nothing (other_agent)"), "{told}");
    emit("gemini", "made-up").success();
    let after = deck::listed(it.daemon().api(), &it.pane);
    for field in ["state", "reason_code", "state_version", "agent_type", "runtime_id"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let explained = it.env().qd(&["explain", &it.pane, "--json"]).json();
    let aside = explained["evidence"].as_array().unwrap().iter();
    let aside = aside.filter(|piece| piece["why_not"] == "other_agent");
    let aside: Vec<&Value> = aside.map(|piece| &piece["says"]).collect();
    assert_eq!(aside, ["waiting_approval"], "{explained}");
    emit("claude", "needs-input").success();
    it.shows("waiting_input", "input_required");
}
