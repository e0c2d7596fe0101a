//! Many targets at once: how they connect, and what those that hang do to the others.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use testkit::{Daemon, Signal, Sshd, TestEnv, process, skipped, wait};

use crate::deck::{self, deck};
use crate::machines::{PATIENCE, Way, World};

/// As many as may connect at once, and how long one that hangs may keep a turn.
const AT_ONCE_MAX: usize = 4;
/// How long the first word from a target may take. Whoever waited for one that hangs would take
/// longer than this.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);

/// What leads to a target by its name: it writes down when it begins and when it is through, and
/// leads nowhere as long as it is told so.
const REACH: &str = r#"name=$1
shift
case $3 in *"Stays for as long as"*) ;; *) exec "$@" ;; esac
echo "$name begins $$" >>"$HOME/ways"
while [ -e "$HOME/hangs.$name" ]; do sleep 0.1; done
sleep 0.15
echo "$name through $$" >>"$HOME/ways"
exec "$@""#;

/// What was written down by those who lead somewhere.
struct Ways(Vec<(String, String, u32)>);

impl Ways {
    fn read(env: &TestEnv) -> Self {
        let text = fs::read_to_string(env.path("home/ways")).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?.parse().ok()?))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// How many of these were on their way at once, at most.
    fn most_at_once(&self, names: &[String]) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        for (name, what, _) in &self.0 {
            match what.as_str() {
                _ if !names.contains(name) => {}
                "begins" => now += 1,
                _through => now -= 1,
            }
            most = most.max(now);
        }
        most
    }

    /// The process that leads to a target now.
    fn leads(&self, name: &str) -> u32 {
        let mut through = self.0.iter().rev();
        let found = through.find(|(it, what, _)| it == name && what == "through");
        found.unwrap_or_else(|| panic!("nothing leads to {name}")).2
    }
}

/// Kills a process and those below it, the upper ones first.
fn kill_tree(pid: u32) {
    let mut left = vec![pid];
    while let Some(pid) = left.pop() {
        left.extend(process::children(pid));
        process::signal(pid, Signal::KILL);
    }
}

/// Waits until each of them is `ok` and lists its pane.
#[track_caller]
fn all_are_ok(daemon: &Daemon, names: &[String]) {
    let mut left = Vec::new();
    let all = wait::within(PATIENCE, || {
        let targets = deck::items(daemon.api(), "/v1/targets");
        let panes = deck::items(daemon.api(), "/v1/panes");
        left = targets;
        left.retain(|it| {
            let name = it["name"].as_str().unwrap();
            let shown = panes.iter().any(|it| {
                it["identity"]["target"] == name && it["reason_code"] != "target_unreachable"
            });
            names.iter().any(|it| it == name) && !(it["health"] == "ok" && shown)
        });
        left.is_empty().then_some(())
    });
    assert!(all.is_some(), "never ok: {left:#?}");
}

fn add(env: &TestEnv, name: &str, way: &[&str]) {
    let socket = env.path(&format!("{name}.sock")).display().to_string();
    let words = [&["target", "add", name, "--tmux-socket", &socket][..], way].concat();
    env.qd(&words).success();
}

#[test]
fn of_many_targets_a_few_connect_at_once_and_those_that_hang_keep_nobody_waiting() {
    let env = deck();
    env.script("reach", REACH);
    let names: Vec<String> = (0..20).map(|nth| format!("t{nth:02}")).collect();
    // Those that hang come first.
    let (hang, answer) = names.split_at(6);
    let daemon = env.daemon();
    for name in &names {
        let reach = format!(r#"["reach","{name}"]"#);
        add(&env, name, &["--kind", "command", "--command", &reach]);
    }
    drop(daemon);
    for name in &names {
        env.tmux_at(&format!("{name}.sock")).session("there", "exec cat");
    }
    for name in hang {
        fs::write(env.path(&format!("home/hangs.{name}")), "").unwrap();
    }
    // The next daemon has them all to connect at once.
    fs::remove_file(env.path("home/ways")).unwrap();
    let (start, daemon) = (wait::now(), env.daemon());
    all_are_ok(&daemon, answer);
    assert!(start.elapsed() < GREETING_TIMEOUT, "{:?}", start.elapsed());
    let ways = Ways::read(&env);
    let most = ways.most_at_once(answer);
    assert!((2..=AT_ONCE_MAX).contains(&most), "{most} at once: {:?}", ways.0);
    let through = |it: &&(String, String, u32)| hang.contains(&it.0) && it.1 == "through";
    assert!(!ways.0.iter().any(|it| through(&it)), "they hang still: {:?}", ways.0);
    // Everything is cut at once, as when a machine wakes up elsewhere.
    for name in answer {
        kill_tree(ways.leads(name));
    }
    let begun = ways.0.len();
    let cut = wait::now();
    wait::until("each connects anew", || {
        let again = Ways::read(&env).0;
        let again = |name: &String| again[begun..].iter().any(|(it, ..)| it == name);
        answer.iter().all(again).then_some(())
    });
    all_are_ok(&daemon, answer);
    assert!(cut.elapsed() < GREETING_TIMEOUT, "{:?}", cut.elapsed());
    let most = Ways::read(&env).most_at_once(answer);
    assert!(most <= AT_ONCE_MAX, "{most} at once");
    // What hung is found when it answers.
    for name in hang {
        fs::remove_file(env.path(&format!("home/hangs.{name}"))).unwrap();
    }
    all_are_ok(&daemon, &names);
}

#[test]
fn a_target_that_somebody_asks_for_waits_for_no_turn_of_those_that_hang() {
    let env = deck();
    env.script("reach", REACH);
    let names: Vec<String> = (0..20).map(|nth| format!("t{nth:02}")).collect();
    let daemon = env.daemon();
    for name in names.iter().map(String::as_str).chain(["wanted"]) {
        let reach = format!(r#"["reach","{name}"]"#);
        add(&env, name, &["--kind", "command", "--command", &reach]);
    }
    drop(daemon);
    env.tmux_at("wanted.sock").session("there", "exec cat");
    for name in &names {
        fs::write(env.path(&format!("home/hangs.{name}")), "").unwrap();
    }
    fs::remove_file(env.path("home/ways")).unwrap();
    // The one that is wanted came last, so it would be the last to connect.
    let daemon = env.daemon();
    env.qd(&["target", "connect", "wanted"]).success();
    all_are_ok(&daemon, &["wanted".to_owned()]);
    let ways = Ways::read(&env).0;
    let before = ways.iter().position(|(it, ..)| it == "wanted").expect("it is connected");
    assert!(before < names.len() * 3 / 4, "{before} came first: {ways:?}");
}

#[test]
fn a_host_that_lets_few_in_at_once_turns_none_of_ours_away() {
    let env = deck();
    let Some(sshd) = Sshd::start_with(&env, "sshd", "MaxStartups 4:100:4\n") else {
        return skipped("no sshd is installed");
    };
    let names: Vec<String> = (0..12).map(|nth| format!("t{nth:02}")).collect();
    let host = format!("127.0.0.1:{}", sshd.port());
    let mut way = vec!["--kind", "ssh", "--ssh-target", &host];
    let options = sshd.options();
    options.iter().for_each(|option| way.extend(["--ssh-option", option]));
    let daemon = env.daemon();
    for name in &names {
        env.tmux_at(&format!("{name}.sock")).session("there", "exec cat");
        // Its key is not known yet, so nothing comes of it.
        add(&env, name, &way);
    }
    drop(daemon);
    sshd.introduce();
    // Those whose key was not known may have been turned away; the end of that is told with the next
    // that comes.
    wait::until("it turns nobody away", || {
        TcpStream::connect(&host).unwrap();
        let log = sshd.log();
        let count = |what: &str| log.matches(&format!("{what} MaxStartups")).count();
        (count("beginning") == count("exited")).then_some(())
    });
    let before = sshd.log().len();
    let daemon = env.daemon();
    all_are_ok(&daemon, &names);
    let log = &sshd.log()[before..];
    assert!(!log.contains("MaxStartups") && !log.contains("drop connection"), "{log}");
    // Each of them at once, and again.
    sshd.signal_connections(Signal::KILL);
    let again = wait::within(PATIENCE, || {
        let let_in = sshd.log()[before..].matches("Accepted publickey").count();
        (let_in >= 2 * names.len()).then_some(())
    });
    assert!(again.is_some(), "not each is let in again");
    all_are_ok(&daemon, &names);
    let log = &sshd.log()[before..];
    assert!(!log.contains("MaxStartups") && !log.contains("drop connection"), "{log}");
}

/// The pauses between attempts grow while nobody answers, and are long here: a knock tells first.
#[test]
fn a_host_that_comes_back_is_noticed_before_the_next_attempt() {
    let env = deck();
    let Some(mut sshd) = Sshd::start(&env, "sshd") else {
        return skipped("no sshd is installed");
    };
    sshd.introduce();
    let host = format!("127.0.0.1:{}", sshd.port());
    let mut way = vec!["--kind", "ssh", "--ssh-target", &host];
    let options = sshd.options();
    options.iter().for_each(|option| way.extend(["--ssh-option", option]));
    env.tmux_at("t00.sock").session("there", "exec cat");
    let daemon = env.daemon();
    add(&env, "t00", &way);
    let names = ["t00".to_owned()];
    all_are_ok(&daemon, &names);
    let log = || fs::read_to_string(env.home().join("logs/qd.log")).unwrap();
    let failed = || log().matches("takes no connection").count();
    // An attempt may be due in the same second; not each time.
    let knocked = (0..4).any(|_| {
        let before = failed();
        sshd.leave();
        wait::until("attempts failed", || (failed() >= before + 4).then_some(()));
        sshd.come_back();
        all_are_ok(&daemon, &names);
        log().contains("the host takes connections again")
    });
    assert!(knocked, "{}", log());
}

#[test]
fn a_machine_that_hangs_delays_no_hooks_of_this_one() {
    let env = deck();
    env.script("reach", REACH);
    fs::write(env.path("home/hangs.t00"), "").unwrap();
    let pane = env.tmux().session("work", "exec sh");
    let daemon = env.daemon();
    add(&env, "t00", &["--kind", "command", "--command", r#"["reach","t00"]"#]);
    drop(daemon);
    let line = format!("{} hook claude needs-input", env.qd_program().display());
    env.tmux().type_line(&pane, &format!("printf {{}} | {line}"));
    let spool = env.home().join("spool/hooks.spool");
    let written = || fs::read_to_string(&spool).is_ok_and(|it| it.contains("needs-input"));
    wait::until("it is written down", || written().then_some(()));
    let (start, daemon) = (wait::now(), env.daemon());
    deck::pane_where(daemon.api(), &pane, "heard", |it| it["state"] == "waiting_input");
    // As long as the spool's reader waits for machines that it reads of.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// What leads to a machine whose shell greets and then says things without end.
const FLOOD: &str = r#"case $3 in
*hello*)
	printf '%s hello 0 %s\n' "$5" "$(date +%s.%N)"
	case $(cat "$HOME/flood") in
	lines) exec yes '' ;;
	news) exec yes "$5 stirred + /x" ;;
	answers) exec yes "$5 begin x
$5 end" ;;
	esac
	;;
esac
exec "$@""#;

#[test]
fn a_machine_that_never_stops_talking_is_left_and_keeps_nobody_waiting() {
    let Some((world, pane)) = World::new(Way::Command, "exec cat") else { return };
    let here = world.env.tmux().session("here", "exec cat");
    world.listed(&pane);
    world.env.reinstall("yes");
    world.env.script("reach", FLOOD);
    for flood in ["lines", "news", "answers"] {
        world.env.qd(&["target", "disconnect", "far"]).success();
        fs::write(world.env.path("home/flood"), flood).unwrap();
        // It answers before it is too much, so this may end well or not.
        drop(world.env.qd(&["target", "connect", "far"]));
        let told = wait::within(PATIENCE, || {
            let target = world.target();
            let said = target["health_message"].as_str().unwrap_or_default();
            let is_told = target["health"] == "down" && said.contains("more than anybody asked");
            is_told.then_some(())
        });
        assert!(told.is_some(), "{flood}: {:#}", world.target());
        let began = wait::now();
        deck::listed(world.daemon.api(), &here);
        assert!(began.elapsed() < Duration::from_secs(2), "{flood}: {:?}", began.elapsed());
    }
    fs::remove_file(world.env.path("home/flood")).unwrap();
    world.env.script("reach", "exec \"$@\"");
    world.env.qd(&["target", "connect", "far"]).success();
    world.health_is("ok");
    world.listed(&pane);
}
