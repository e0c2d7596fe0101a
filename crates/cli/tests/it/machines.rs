//! Targets on other machines: the same deck over a command and over a real `sshd`.
//!
//! The other machine is this one, reached as another would be; what runs there is a second tmux
//! server. Each test runs once for each way to get there.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Daemon, Signal, Sshd, TestEnv, Tmux, process, skipped, wait};

use crate::actions::{LOGGER, act};
use crate::deck::{self, deck};

/// How the other machine is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Command,
    Ssh,
}

/// Makes a test of each function for each way.
macro_rules! on_every_way {
    ($($name:ident),+ $(,)?) => {
        mod over_command {
            $(#[test] fn $name() { super::$name(super::Way::Command); })+
        }
        mod over_ssh {
            $(#[test] fn $name() { super::$name(super::Way::Ssh); })+
        }
    };
}
pub(crate) use on_every_way;

on_every_way!(
    tc_014_a_target_there_is_added_listed_and_removed,
    tc_040_what_is_typed_there_arrives_byte_by_byte_and_what_is_shown_comes_back,
    a_signal_reaches_the_process_that_was_seen_and_no_tree,
    attaching_says_which_program_goes_there,
    an_agent_there_is_recognised_by_its_processes,
    tc_034_a_dead_path_is_told_in_time_and_everything_is_true_again_after_it,
    a_server_that_ends_there_is_gone_and_the_next_one_is_found,
    nothing_is_left_there_when_the_daemon_is_killed,
    tc_023_one_machine_that_is_gone_makes_a_listing_partial_and_not_slow,
    a_hook_there_changes_the_state_of_its_pane_and_of_no_other_targets,
    f_15_hooks_of_a_burst_come_in_once_whoever_is_killed_and_whatever_is_cut,
    what_hooks_said_there_while_nobody_could_hear_it_is_here_before_it_is_ok,
    what_was_deleted_there_before_it_was_read_is_told,
    agents_there_are_set_up_heard_and_brought_back_to_the_byte,
    what_stands_in_the_way_of_a_setup_there_is_named_and_nothing_is_changed,
    disconnected_it_is_left_alone_until_it_is_connected_again,
);

/// The other machine's tmux server.
pub(crate) const SOCKET: &str = "far.sock";

/// A world with another machine in it.
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) sshd: Option<Sshd>,
    /// What a frozen way stopped: some of it may have lost its parent meanwhile.
    stopped: RefCell<Vec<u32>>,
    pub(crate) env: TestEnv,
}

/// What leads a command there: it takes down who it was, so that the way can be cut, and leads
/// nowhere while it is told so.
const REACH: &str = r#"[ -e "$HOME/away" ] && { echo "no such box" >&2; exit 1; }
while [ -e "$HOME/frozen" ]; do sleep 0.1; done
echo $$ >>"$HOME/reached"
exec "$@""#;

impl World {
    /// With a target `far` whose server is there already; nothing where the way cannot be had.
    pub(crate) fn new(way: Way, program: &str) -> Option<(Self, String)> {
        Self::led(way, program, deck(), "")
    }

    /// The same with words before those of each program there.
    pub(crate) fn led(way: Way, program: &str, env: TestEnv, lead: &str) -> Option<(Self, String)> {
        let start = env.tmux_program().display().to_string();
        let socket = env.path(SOCKET).display().to_string();
        let server = env.tmux_at(SOCKET);
        let pane = if lead.is_empty() {
            server.session("there", program)
        } else {
            let begin = format!("{lead} {start} -S {socket} -f /dev/null new-session -d -s there");
            env.run_program("sh", &["-c", &format!("{begin} '{program}'")]).success();
            server.ok(&["display", "-p", "-t", "there", "#{pane_id}"]).trim().to_owned()
        };
        let sshd = match way {
            Way::Command => None,
            Way::Ssh => {
                let forced = match lead {
                    "" => String::new(),
                    lead => format!("ForceCommand exec {lead} sh -c \"$SSH_ORIGINAL_COMMAND\"\n"),
                };
                let Some(sshd) = Sshd::start_with(&env, "sshd", &forced) else {
                    skipped("no sshd is installed");
                    return None;
                };
                sshd.introduce();
                Some(sshd)
            }
        };
        env.script("reach", &REACH.replace("exec \"$@\"", &format!("exec {lead} \"$@\"")));
        let daemon = env.daemon();
        let world = Self { daemon, sshd, stopped: RefCell::default(), env };
        world.add("far");
        Some((world, pane))
    }

    pub(crate) fn add(&self, name: &str) {
        let words = self.words(name);
        self.env.qd(&words.iter().map(String::as_str).collect::<Vec<_>>()).success();
    }

    /// Leads to it from now on by another port than that of its `sshd`.
    pub(crate) fn lead_by(&self, port: u16) {
        let sshd = self.sshd.as_ref().expect("an sshd is there");
        sshd.introduce_at(&[sshd.port(), port]);
        self.env.qd(&["target", "remove", "far", "--yes"]).success();
        let [direct, other] = [sshd.port(), port].map(|port| format!("127.0.0.1:{port}"));
        let words = self.words("far");
        let words = words.iter().map(|word| if *word == direct { &other } else { word });
        self.env.qd(&words.map(String::as_str).collect::<Vec<_>>()).success();
    }

    /// The command that adds it.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        let socket = self.env.path(SOCKET).display().to_string();
        let mut words = vec!["target", "add", name, "--tmux-socket", &socket]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        match &self.sshd {
            None => words.extend(
                [
                    "--kind",
                    "command",
                    "--command",
                    r#"["reach"]"#,
                    "--attach-command",
                    r#"["env"]"#,
                ]
                .map(str::to_owned),
            ),
            Some(sshd) => {
                let host = format!("127.0.0.1:{}", sshd.port());
                words.extend(["--kind", "ssh", "--ssh-target"].map(str::to_owned));
                words.push(host);
                for option in sshd.options() {
                    words.extend(["--ssh-option".to_owned(), option]);
                }
            }
        }
        words
    }

    pub(crate) fn tmux(&self) -> Tmux<'_> {
        self.env.tmux_at(SOCKET)
    }

    pub(crate) fn panes(&self) -> Vec<Value> {
        deck::items(self.daemon.api(), "/v1/panes?target=far")
    }

    #[track_caller]
    pub(crate) fn pane_where(
        &self,
        id: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = wait::within(PATIENCE, || {
            let panes = self.panes();
            last = json!(panes);
            panes.into_iter().find(|it| it["identity"]["pane_id"] == id && wanted(it))
        });
        let target = self.target();
        found.unwrap_or_else(|| panic!("{id} was never {what}: {last:#}\n{target:#}"))
    }

    #[track_caller]
    pub(crate) fn listed(&self, pane: &str) -> Value {
        self.pane_where(pane, "listed", |_| true)
    }

    pub(crate) fn target(&self) -> Value {
        let targets = deck::items(self.daemon.api(), "/v1/targets");
        targets.into_iter().find(|it| it["name"] == "far").expect("it is listed")
    }

    #[track_caller]
    pub(crate) fn health_is(&self, wanted: &str) -> Value {
        let mut last = Value::Null;
        let found = wait::within(PATIENCE, || {
            last = self.target();
            (last["health"] == wanted).then_some(())
        });
        assert!(found.is_some(), "never {wanted}: {last:#}");
        last
    }

    /// It is shown as what somebody disconnected, with what was known of a pane.
    #[track_caller]
    fn is_left_alone(&self, pane: &str, before: &Value) {
        let target = self.target();
        assert_eq!(target["health_reason"], "E_TARGET_DISCONNECTED", "{target:#}");
        assert_eq!(target["health"], "down");
        let lost = self.listed(pane);
        assert_eq!(
            (&lost["state"], &lost["reason_code"]),
            (&"unknown".into(), &"target_unreachable".into())
        );
        assert_eq!(lost["last_known"]["state"], before["state"], "{lost:#}");
        assert_eq!(lost["runtime_id"], before["runtime_id"]);
        let health = self.daemon.api().get("/v1/health").expect(200);
        assert_eq!(health["status"], "ok", "it is no failure: {health:#}");
        let doctor = self.env.qd(&["doctor"]).stdout;
        assert!(doctor.contains("was disconnected"), "{doctor}");
    }

    /// Nothing comes over the way any more, though it is there.
    pub(crate) fn freeze(&self) {
        if let Some(sshd) = &self.sshd {
            return sshd.freeze();
        }
        fs::write(self.env.path("home/frozen"), "").unwrap();
        self.stopped.replace(self.signal_reached(Signal::STOP));
    }

    pub(crate) fn thaw(&self) {
        if let Some(sshd) = &self.sshd {
            return sshd.thaw();
        }
        fs::remove_file(self.env.path("home/frozen")).unwrap();
        self.stopped.take().into_iter().for_each(|pid| process::signal(pid, Signal::CONT));
    }

    /// Ends every connection at once.
    pub(crate) fn cut(&self) {
        match &self.sshd {
            Some(sshd) => sshd.signal_connections(Signal::KILL),
            None => {
                let mut left = self.reached();
                left.retain(|pid| stays(*pid));
                while let Some(pid) = left.pop() {
                    left.extend(process::children(pid));
                    process::signal(pid, Signal::KILL);
                }
            }
        }
    }

    /// Signals what leads there, and the whole of the shell that stays, and gives what that was.
    /// The shell above a client of tmux is left whole: nobody there knows of the way.
    fn signal_reached(&self, signal: Signal) -> Vec<u32> {
        let (mut left, mut signalled) = (self.reached(), Vec::new());
        while let Some(pid) = left.pop() {
            if stays(pid) {
                left.extend(process::children(pid));
            }
            process::signal(pid, signal);
            signalled.push(pid);
        }
        signalled
    }

    /// The processes that lead there and still run.
    fn reached(&self) -> Vec<u32> {
        let taken = fs::read_to_string(self.env.path("home/reached")).unwrap_or_default();
        let pids = taken.lines().filter_map(|line| line.parse().ok());
        pids.filter(|pid| process::alive(*pid)).collect()
    }
}

/// Hooks of the other machine, as they are run there.
impl World {
    /// The state folder there.
    pub(crate) fn state(&self) -> PathBuf {
        self.env.path("home/.local/state/quarterdeck")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.state().join("spool/hooks.spool")
    }

    /// What any machine has.
    pub(crate) fn furnish(&self) {
        for program in ["chmod", "cmp", "find", "ln", "mv", "od", "rm", "rmdir", "sed", "tr", "wc"]
        {
            self.env.reinstall(program);
        }
    }

    /// Puts the script there that hooks run.
    pub(crate) fn install_hook(&self) {
        self.furnish();
        fs::create_dir_all(self.state()).unwrap();
        let hook = self.state().join("hook");
        fs::write(&hook, agents::setup::HOOK).unwrap();
        fs::set_permissions(hook, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// A shell line that runs a hook there.
    pub(crate) fn hook(&self, event: &str, payload: &str) -> String {
        let hook = self.state().join("hook");
        format!("printf %s '{payload}' | sh {} hook claude {event}", hook.display())
    }

    /// Whole records that lie there.
    pub(crate) fn recorded(&self) -> usize {
        let text = fs::read(self.spool()).unwrap_or_default();
        text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"qd1\t")).count()
    }

    /// The events of hooks in the database.
    fn taken(&self) -> usize {
        let count = "SELECT count(*) FROM events WHERE event_id LIKE 'hook-%'";
        self.env.sqlite(count).trim().parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn until_taken(&self, count: usize) {
        let mut last = 0;
        let all = wait::within(PATIENCE, || {
            last = self.taken();
            (last == count).then_some(())
        });
        assert!(all.is_some(), "{last} of {count} were taken in: {:#}", self.target());
    }
}

/// Whether a process is the shell that stays for as long as the connection does.
fn stays(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).contains("Stays for as long as")
}

/// How long anything may take here: keep-alives, and a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The names of the sessions there that are nobody's but ours.
fn hubs(tmux: &Tmux<'_>) -> Vec<String> {
    tmux.sessions().into_iter().filter(|name| name.starts_with("_qd-")).collect()
}

fn tc_014_a_target_there_is_added_listed_and_removed(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    let item = world.listed(&pane);
    assert_eq!(item["identity"]["target"], "far");
    assert_eq!(item["current_cmd"], "cat");
    let target = world.health_is("ok");
    let kind = match way {
        Way::Command => "command",
        Way::Ssh => "ssh",
    };
    assert_eq!(target["kind"], kind);
    assert_eq!(target["observer_mode"], "control");
    assert!(target["route"].is_object(), "{target:#}");
    let second = world.tmux().split(&pane, "exec cat");
    world.listed(&second);
    world.env.qd(&["target", "connect", "far"]).success();
    world.env.qd(&["target", "remove", "far", "--yes"]).success();
    assert_eq!(deck::items(world.daemon.api(), "/v1/targets").len(), 1);
    wait::until("our session there is gone", || hubs(&world.tmux()).is_empty().then_some(()));
    assert_eq!(world.tmux().sessions(), ["there"]);
}

fn tc_040_what_is_typed_there_arrives_byte_by_byte_and_what_is_shown_comes_back(way: Way) {
    let Some((world, pane)) = World::new(way, LOGGER) else { return };
    let pane = world.pane_where(&pane, "a logger", |it| it["current_cmd"] == "cat");
    let runtime = format!("runtime:{}", deck::runtime_of(&pane));
    let shown = act(&world.daemon, "view-output", "v-1", &runtime, &json!({}));
    assert_eq!(shown.expect(200)["output"]["text"], "ready\n");
    let text = "#(touch evil) 'a' \"b\" $HOME `id` \\ ; %1\n日本語 {x} !!\n-t x";
    let sent = act(&world.daemon, "send", "s-1", &runtime, &json!({ "text": text }));
    assert_eq!(sent.expect(200)["result_code"], "completed");
    let keys = json!({ "keys": ["Enter"] });
    act(&world.daemon, "send", "s-2", &runtime, &keys).expect(200);
    let typed = || fs::read(world.env.path("home/typed")).unwrap_or_default();
    wait::until("it arrives", || (typed().len() > text.len()).then_some(()));
    assert_eq!(String::from_utf8_lossy(&typed()), format!("{text}\r"));
    assert_eq!(world.tmux().ok(&["list-buffers"]), "", "no text is left in a buffer");
    let client = wait::until("our client is there", || {
        let listed = world.tmux().ok(&["list-clients", "-F", "#{client_name}"]);
        (!listed.is_empty()).then_some(listed)
    });
    let log = world.tmux().ok(&["show-messages", "-t", &client]);
    assert!(!log.contains("touch evil"), "no text stands in the server's log");
}

fn a_signal_reaches_the_process_that_was_seen_and_no_tree(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    let other = world.tmux().window("there", "other", "exec cat");
    let kill = |pane: &str, name: &str, tree: bool| {
        let item = world.pane_where(pane, "a cat", |it| it["current_cmd"] == "cat");
        let runtime = format!("runtime:{}", deck::runtime_of(&item));
        let how = json!({ "mode": "signal", "signal": "TERM", "tree": tree });
        act(&world.daemon, "kill", name, &runtime, &how)
    };
    assert_eq!(kill(&pane, "k-1", true).error(400), "E_PID_UNAVAILABLE");
    world.listed(&pane);
    assert_eq!(kill(&pane, "k-2", false).expect(200)["result_code"], "completed");
    wait::until("its pane is gone", || {
        let there = |it: &Value| it["identity"]["pane_id"] == *pane;
        (!world.panes().iter().any(there)).then_some(())
    });
    world.listed(&other);
}

fn attaching_says_which_program_goes_there(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    let item = world.listed(&pane);
    let runtime = format!("runtime:{}", deck::runtime_of(&item));
    let answer = act(&world.daemon, "attach", "a-1", &runtime, &json!({})).expect(200);
    let words: Vec<String> = serde_json::from_value(answer["attach"]["command"].clone()).unwrap();
    match way {
        Way::Command => {
            assert_eq!(words[..3], ["env", "tmux", "-u"]);
            assert!(words.contains(&"attach-session".to_owned()), "{words:?}");
        }
        Way::Ssh => {
            assert_eq!(words[..2], ["ssh", "-t"]);
            assert!(words.contains(&"ForwardAgent=no".to_owned()), "{words:?}");
        }
    }
}

fn an_agent_there_is_recognised_by_its_processes(way: Way) {
    let Some((world, pane)) = World::new(way, "exec sh") else { return };
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|it| fs::metadata(it).is_ok());
    fs::copy(sleep.unwrap(), world.env.path("bin/claude")).unwrap();
    world.listed(&pane);
    world.tmux().type_line(&pane, "claude 1000");
    world.pane_where(&pane, "recognised", |it| it["agent_type"] == "claude");
    world.tmux().ok(&["send-keys", "-t", &pane, "C-c"]);
    world.pane_where(&pane, "a shell again", |it| it["agent_type"].is_null());
}

fn tc_034_a_dead_path_is_told_in_time_and_everything_is_true_again_after_it(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    world.listed(&pane);
    world.health_is("ok");
    let before = world.listed(&pane);
    world.freeze();
    let cut = wait::now();
    let target = world.health_is("down");
    assert!(cut.elapsed() < Duration::from_secs(20), "{:?}", cut.elapsed());
    assert_eq!(target["health_reason"], "E_TARGET_UNREACHABLE", "{target:#}");
    let lost = world.pane_where(&pane, "unknown", |it| it["reason_code"] == "target_unreachable");
    assert_eq!(lost["state"], "unknown");
    assert_eq!(lost["runtime_id"], before["runtime_id"]);
    let runtime = format!("runtime:{}", deck::runtime_of(&lost));
    let refused = act(&world.daemon, "send", "s-1", &runtime, &json!({ "text": "x" }));
    assert_eq!(refused.error(502), "E_TARGET_UNREACHABLE");
    let later = world.tmux().split(&pane, "exec cat");
    world.thaw();
    world.health_is("ok");
    let back = world.pane_where(&pane, "known", |it| it["reason_code"] != "target_unreachable");
    assert_eq!(back["runtime_id"], before["runtime_id"], "it is the same life of the process");
    world.listed(&later);
}

fn a_server_that_ends_there_is_gone_and_the_next_one_is_found(way: Way) {
    let Some((world, mut pane)) = World::new(way, "exec cat") else { return };
    for end in [|tmux: &Tmux<'_>| drop(tmux.ok(&["kill-server"])), |tmux: &Tmux<'_>| tmux.kill9()] {
        let panes: Vec<_> =
            (0..3).map(|_| world.tmux().split(&pane, "exec cat")).chain([pane.clone()]).collect();
        let runtimes: Vec<_> = panes.iter().map(|it| deck::runtime_of(&world.listed(it))).collect();
        end(&world.tmux());
        wait::until("its panes are gone", || world.panes().is_empty().then_some(()));
        for runtime in runtimes {
            let ended = world.daemon.api().get(&format!("/v1/runtimes/{runtime}")).expect(200);
            assert_eq!(ended["runtime"]["ended_reason"], "server_gone");
        }
        pane = world.tmux().session("again", "exec cat");
        world.listed(&pane);
        world.health_is("ok");
    }
}

fn nothing_is_left_there_when_the_daemon_is_killed(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    world.listed(&pane);
    wait::until("our session is there", || (hubs(&world.tmux()).len() == 1).then_some(()));
    let World { daemon, sshd, env, .. } = world;
    daemon.kill9();
    let tmux = env.tmux_at(SOCKET);
    wait::until("our client and our session are gone", || {
        let clients = tmux.ok(&["list-clients"]);
        (hubs(&tmux).is_empty() && clients.is_empty()).then_some(())
    });
    assert_eq!(tmux.sessions(), ["there"]);
    drop(sshd);
}

fn tc_023_one_machine_that_is_gone_makes_a_listing_partial_and_not_slow(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    let here = world.env.tmux().session("here", "exec cat");
    world.listed(&pane);
    deck::listed(world.daemon.api(), &here);
    world.freeze();
    let answer = world.daemon.api().get("/v1/panes").expect(200);
    assert_eq!(answer["summary"]["total"], 2, "nobody waits for it");
    world.health_is("down");
    let answer = world.daemon.api().get("/v1/panes").expect(200);
    assert_eq!(answer["partial"], true);
    assert_eq!(answer["target_errors"][0]["target"], "far", "{answer:#}");
    world.thaw();
}

fn a_hook_there_changes_the_state_of_its_pane_and_of_no_other_targets(way: Way) {
    let Some((world, pane)) = World::new(way, "exec sh") else { return };
    world.install_hook();
    let here = world.env.tmux().session("here", "exec cat");
    let ours = deck::settled(world.daemon.api(), &here, "cat");
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    world.tmux().type_line(&pane, &world.hook("needs-approval", "{}"));
    let item = world.pane_where(&pane, "waiting", |it| it["state"] == "waiting_approval");
    assert_eq!(item["state_source"], "hook");
    assert_eq!(item["agent_type"], "claude");
    // What stands in a spool there and names a process of ours is about nobody.
    let pid = world.env.tmux().ok(&["display", "-p", "-t", &here, "#{pane_pid}"]);
    let id = "0123456789abcdef0123456789abcdef";
    let forged = format!(
        "\nqd1\tid={id}\tagent=claude\tevent=needs-input\tat=1795289310\tpane=%25{}\t\
         tmux={},1,0\tchain={}\ttext={{}}\tend={id}\n",
        &here[1..],
        world.env.tmux().ok(&["display", "-p", "#{socket_path}"]).trim(),
        pid.trim(),
    );
    let mut spool = fs::OpenOptions::new().append(true).open(world.spool()).unwrap();
    spool.write_all(forged.as_bytes()).unwrap();
    spool.write_all(&[b'x'; 5 << 20]).unwrap();
    world.tmux().type_line(&pane, &world.hook("needs-input", "{}"));
    world.pane_where(&pane, "waiting again", |it| it["state"] == "waiting_input");
    let health = world.daemon.api().get("/v1/health").expect(200);
    assert_eq!(health["hooks"]["homeless"]["claude"], 1, "{health:#}");
    let still = deck::listed(world.daemon.api(), &here);
    assert_eq!((&still["state"], &still["agent_type"]), (&ours["state"], &ours["agent_type"]));
}

fn f_15_hooks_of_a_burst_come_in_once_whoever_is_killed_and_whatever_is_cut(way: Way) {
    const HOOKS: usize = 60;
    let Some((mut world, pane)) = World::new(way, "exec sh") else { return };
    world.install_hook();
    world.listed(&pane);
    let fire = world.hook("tick", "{}").replace("{}", "{\"n\":\"'$i'\"}");
    let burst = format!("i=0; while [ $i -lt {HOOKS} ]; do i=$((i+1)); {fire}; done; echo fi''red");
    world.tmux().type_line(&pane, &burst);
    for round in 1..=3 {
        wait::until("more is recorded", || (world.recorded() >= round * 12).then_some(()));
        if round == 2 {
            world.daemon.kill9();
            world.daemon = world.env.daemon();
        } else {
            world.cut();
        }
    }
    world.tmux().shows(&pane, "fired");
    assert_eq!(world.recorded(), HOOKS);
    world.until_taken(HOOKS);
    let told = "SELECT count(DISTINCT raw_payload) FROM events WHERE event_type = 'claude-tick'";
    assert_eq!(world.env.sqlite(told).trim(), HOOKS.to_string(), "each of them");
    let order = "SELECT count(*) FROM (SELECT CAST(json_extract(raw_payload, '$.n') AS INTEGER) n, \
        lag(CAST(json_extract(raw_payload, '$.n') AS INTEGER)) OVER (ORDER BY rowid) before \
        FROM events WHERE event_type = 'claude-tick') WHERE n < before";
    assert_eq!(world.env.sqlite(order).trim(), "0", "in their order");
}

fn what_hooks_said_there_while_nobody_could_hear_it_is_here_before_it_is_ok(way: Way) {
    let Some((world, pane)) = World::new(way, "exec sh") else { return };
    world.install_hook();
    world.listed(&pane);
    world.health_is("ok");
    world.freeze();
    world.health_is("down");
    for number in 0..30 {
        world.tmux().type_line(&pane, &world.hook("tick", &format!("{{\"n\":{number}}}")));
    }
    world.tmux().type_line(&pane, &world.hook("needs-input", "{}"));
    wait::until("all is recorded", || (world.recorded() == 31).then_some(()));
    assert_eq!(world.taken(), 0);
    world.thaw();
    world.health_is("ok");
    assert_eq!(world.taken(), 31, "nothing is ok before everything is here");
    world.pane_where(&pane, "waiting", |it| it["state"] == "waiting_input");
}

fn what_was_deleted_there_before_it_was_read_is_told(way: Way) {
    let Some((world, pane)) = World::new(way, "exec sh") else { return };
    world.install_hook();
    world.listed(&pane);
    world.tmux().type_line(&pane, &world.hook("tick", "{}"));
    world.until_taken(1);
    world.freeze();
    world.health_is("down");
    world.tmux().type_line(&pane, &world.hook("tick", "{}"));
    wait::until("it is recorded", || (world.recorded() == 2).then_some(()));
    fs::remove_file(world.spool()).unwrap();
    world.tmux().type_line(&pane, &world.hook("needs-input", "{}"));
    wait::until("the next is recorded", || (world.recorded() == 1).then_some(()));
    world.thaw();
    world.pane_where(&pane, "waiting", |it| it["state"] == "waiting_input");
    let health = world.daemon.api().get("/v1/health").expect(200);
    let warnings = health["warnings"].as_array().unwrap();
    let missed = warnings.iter().find(|it| it["code"] == "spool_missed");
    assert_eq!(missed.expect("it is told")["details"]["count"], 1, "{health:#}");
}

fn disconnected_it_is_left_alone_until_it_is_connected_again(way: Way) {
    let Some((mut world, pane)) = World::new(way, "exec sh") else { return };
    world.install_hook();
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    world.tmux().type_line(&pane, &world.hook("needs-input", "{}"));
    let before = world.pane_where(&pane, "waiting", |it| it["state"] == "waiting_input");
    world.health_is("ok");
    let said = world.env.qd(&["target", "disconnect", "far"]).success();
    assert!(said.contains("disconnected") && !said.contains("E_"), "{said}");
    world.is_left_alone(&pane, &before);
    wait::until("nothing of ours is left there", || {
        let clients = world.tmux().ok(&["list-clients"]);
        (hubs(&world.tmux()).is_empty() && clients.is_empty()).then_some(())
    });
    let connected = || fs::read_to_string(world.env.path("home/reached")).unwrap_or_default();
    let once = connected();
    world.daemon.kill9();
    world.daemon = world.env.daemon();
    world.is_left_alone(&pane, &before);
    let here = world.env.qd(&["target", "disconnect", "local"]);
    assert!(here.stderr.contains("on this machine"), "{here:?}");
    world.tmux().type_line(&pane, &world.hook("needs-approval", "{}"));
    wait::until("it is recorded", || (world.recorded() == 2).then_some(()));
    assert_eq!((world.taken(), connected()), (1, once));
    world.env.qd(&["target", "connect", "far"]).success();
    let after = world.pane_where(&pane, "heard", |it| it["state"] == "waiting_approval");
    assert_eq!(after["runtime_id"], before["runtime_id"]);
    assert_eq!(world.health_is("ok")["health_reason"], Value::Null);
}

const SETTINGS: &str = "{\n  \"model\": \"x\", // mine\n  \"hooks\": {},\n}\n";

fn agents_there_are_set_up_heard_and_brought_back_to_the_byte(way: Way) {
    let Some((world, pane)) = World::new(way, "exec sh") else { return };
    world.furnish();
    let (settings, script) =
        (world.env.path("home/.claude/settings.json"), world.state().join("hook"));
    fs::create_dir(settings.parent().unwrap()).unwrap();
    fs::write(&settings, SETTINGS).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o640)).unwrap();
    let setup = |words: &[&str]| world.env.qd(&[&["setup", "--target", "far"], words].concat());
    let shown = setup(&["claude", "--dry-run"]).success();
    assert!(shown.contains("+++ far:") && shown.contains("+#!/bin/sh"), "{shown}");
    assert_eq!(fs::read_to_string(&settings).unwrap(), SETTINGS);
    assert!(!script.exists() && !world.state().exists(), "looking leaves nothing behind");
    let done = setup(&["claude", "--yes"]).success();
    assert!(done.contains("as it was: "), "{done}");
    let changed = fs::read_to_string(&settings).unwrap();
    assert!(changed.contains("// mine") && changed.contains(script.to_str().unwrap()), "{changed}");
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&settings), mode(&script)), (0o640, 0o700));
    assert_eq!(setup(&["claude", "--yes"]).success(), "claude: nothing to do\n");
    setup(&["gemini", "--yes"]).success();
    let doctor = world.env.qd(&["doctor"]).stdout;
    assert!(doctor.contains("hooks of claude, gemini are set up there"), "{doctor}");
    let line = changed.lines().find(|line| line.contains("claude UserPromptSubmit")).unwrap();
    let command: Value =
        serde_json::from_str(&format!("{{{}}}", line.trim().trim_end_matches(',')))
            .unwrap_or_else(|error| panic!("{error}: {line}"));
    let fire = world.env.path("home/fire");
    let payload = r#"{"session_id":"s-1","prompt":"go"}"#;
    let text = format!("printf %s '{payload}' | {}\n", command["command"].as_str().unwrap());
    fs::write(&fire, text).unwrap();
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    world.tmux().type_line(&pane, &format!(". {}", fire.display()));
    let item = world.pane_where(&pane, "heard", |it| it["last_event_type"] != Value::Null);
    assert_eq!(item["agent_type"], "claude");
    setup(&["--undo", "claude", "--yes"]).success();
    assert_eq!(fs::read_to_string(&settings).unwrap(), SETTINGS);
    assert!(script.exists(), "another agent's hooks run it, too");
    setup(&["--undo", "--yes"]).success();
    assert!(!script.exists() && !world.env.path("home/.gemini").exists());
    assert_eq!(mode(&settings), 0o640);
}

fn what_stands_in_the_way_of_a_setup_there_is_named_and_nothing_is_changed(way: Way) {
    let Some((world, _)) = World::new(way, "exec cat") else { return };
    world.furnish();
    let refused = |target: &str| {
        let output = world.env.qd(&["setup", "--target", target, "claude", "--yes"]);
        assert_ne!(output.code(), Some(0), "{output:?}");
        output.stderr
    };
    let said = refused("nobody");
    assert!(said.contains("nobody"), "{said}");
    let said = refused("local");
    assert!(said.contains("this machine"), "{said}");
    let settings = world.env.path("home/.claude/settings.json");
    fs::create_dir(settings.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &settings).unwrap();
    let said = refused("far");
    assert!(said.contains("far:") && said.contains("leads nowhere"), "{said}");
    fs::remove_file(&settings).unwrap();
    fs::write(&settings, "{\n  \"a\": [1,\n").unwrap();
    let said = refused("far");
    assert!(said.contains("far:") && said.contains("line "), "{said}");
    fs::write(&settings, "{}").unwrap();
    fs::create_dir_all(world.state()).unwrap();
    fs::write(world.state().join("hook"), "#!/bin/sh\n# somebody's\n").unwrap();
    let said = refused("far");
    assert!(said.contains("somebody else wrote"), "{said}");
    assert_eq!(fs::read_to_string(&settings).unwrap(), "{}");
}

#[test]
fn a_command_that_leads_nowhere_is_named_with_what_it_says() {
    let (world, _) = World::new(Way::Command, "exec cat").unwrap();
    fs::write(world.env.path("home/away"), "").unwrap();
    world.env.qd(&["target", "remove", "far", "--yes"]).success();
    world.add("far");
    let target = world.health_is("down");
    assert_eq!(target["health_reason"], "E_NO_SHELL", "{target:#}");
    assert!(target["health_message"].as_str().unwrap().contains("no such box"), "{target:#}");
    fs::remove_file(world.env.path("home/away")).unwrap();
    world.health_is("ok");
}

/// A world with an `sshd` whose key is not known yet, and no target.
pub(crate) fn strangers() -> Option<World> {
    strangers_in(deck())
}

pub(crate) fn strangers_in(env: TestEnv) -> Option<World> {
    env.tmux_at(SOCKET).session("there", "exec cat");
    let Some(sshd) = Sshd::start(&env, "sshd") else {
        skipped("no sshd is installed");
        return None;
    };
    let daemon = env.daemon();
    Some(World { daemon, sshd: Some(sshd), stopped: RefCell::default(), env })
}

#[test]
fn s_24_a_host_that_is_not_known_is_refused_with_its_fingerprint_unless_it_is_taken_on_purpose() {
    let Some(world) = strangers() else { return };
    world.add("far");
    let target = world.health_is("down");
    assert_eq!(target["health_reason"], "E_HOST_KEY_UNKNOWN", "{target:#}");
    let message = target["health_message"].as_str().unwrap();
    assert!(message.contains("SHA256:") && message.contains("--accept-new"), "{message}");
    let sshd = world.sshd.as_ref().unwrap();
    assert!(!sshd.is_known(), "nothing was taken by itself");
    world.env.qd(&["target", "remove", "far", "--yes"]).success();
    let mut words = world.words("far");
    words.push("--accept-new".to_owned());
    world.env.qd(&words.iter().map(String::as_str).collect::<Vec<_>>()).success();
    wait::within(PATIENCE, || (!world.panes().is_empty()).then_some(())).expect("it is reached");
    let target = world.health_is("ok");
    assert_eq!(target["route"]["accept_new"], true, "what was allowed is on record");
    assert!(sshd.is_known());
}

#[test]
fn s_24_a_host_whose_key_has_changed_is_refused_even_where_new_ones_are_taken() {
    let Some(world) = strangers() else { return };
    world.sshd.as_ref().unwrap().introduce_another();
    let mut words = world.words("far");
    words.push("--accept-new".to_owned());
    world.env.qd(&words.iter().map(String::as_str).collect::<Vec<_>>()).success();
    let target = world.health_is("down");
    assert_eq!(target["health_reason"], "E_HOST_KEY_CHANGED", "{target:#}");
    assert!(target["health_message"].as_str().unwrap().contains("SHA256:"), "{target:#}");
}
