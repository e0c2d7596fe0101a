//! One daemon per user: how it starts, who may be it, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::json;
use testkit::{Signal, process, wait};

use crate::deck::{self, Watch, deck};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn f_18_of_many_daemons_started_at_once_exactly_one_lives_and_the_others_name_it() {
    let env = deck();
    let mut started: Vec<_> = (0..8).map(|_| env.invoke(&["daemon", "run"]).start()).collect();
    wait::until("one answers", || env.api().try_get("/v1/health").map(|it| it.expect(200)));
    wait::until("the others end", || {
        let ended = started.iter_mut().filter_map(|it| it.ended().then_some(())).count();
        (ended == 7).then_some(())
    });
    let holder = env.daemons();
    assert_eq!(holder.len(), 1, "{holder:#?}");
    let (_winner, losers): (Vec<_>, Vec<_>) =
        started.into_iter().partition(|it| it.pid() == holder[0].pid);
    for loser in losers {
        let said = loser.finish().fails_with(5);
        // Until the winner has signed the lock nobody can know who it is.
        let named = said.contains(&holder[0].pid.to_string());
        assert!(named || said.contains("is locked"), "{said}");
    }
    assert_eq!(env.api().get("/v1/health").status, 200);
}

#[test]
fn f_18_a_second_daemon_leaves_the_first_ones_socket_alone() {
    let env = deck();
    let daemon = env.daemon();
    let refused = env.try_daemon().err().expect("the second one ends");
    assert!(refused.contains(&daemon.pid().to_string()), "{refused}");
    assert!(refused.contains("runs already"), "{refused}");
    assert_eq!(env.api().get("/v1/health").status, 200);
}

#[test]
fn the_name_alone_runs_the_daemon() {
    let env = deck();
    let mut command = env.command(env.qd_program());
    command.arg("daemon");
    let daemon = env.daemon_by(command).unwrap();
    assert_eq!(daemon.api().get("/v1/health").status, 200);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_stale_socket_is_replaced() {
    let env = deck();
    env.make_home();
    drop(UnixListener::bind(env.socket()).unwrap());
    assert!(env.socket().exists());
    let daemon = env.daemon();
    assert_eq!(daemon.api().get("/v1/health").status, 200);
}

#[test]
fn a_file_that_is_no_socket_is_refused_and_left_as_it_is() {
    let env = deck();
    env.make_home();
    fs::write(env.socket(), "precious").unwrap();
    let refused = env.try_daemon().err().expect("it does not start");
    assert!(refused.contains("qd.sock"), "{refused}");
    assert_eq!(fs::read_to_string(env.socket()).unwrap(), "precious");
}

#[test]
fn a_link_in_place_of_the_socket_is_not_followed() {
    let env = deck();
    env.make_home();
    let precious = env.path("precious");
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, env.socket()).unwrap();
    let refused = env.try_daemon().err().expect("it does not start");
    assert!(refused.contains("qd.sock"), "{refused}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn socket_and_database_are_private_whatever_the_umask() {
    let env = deck();
    let qd = env.qd_program().display().to_string();
    let script = format!("umask 000; exec {qd} daemon run");
    let mut command = env.command(env.path("bin/sh"));
    command.args(["-c", &script]);
    let _daemon = env.daemon_by(command).unwrap();
    assert_eq!(mode(&env.home()), 0o700);
    for name in ["qd.sock", "qd.db", "qd.lock"] {
        assert_eq!(mode(&env.home().join(name)), 0o600, "{name}");
    }
    let entries = fs::read_dir(env.home()).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        assert_eq!(mode(&path) & 0o077, 0, "{} is open to others", path.display());
    }
}

#[test]
fn sigterm_ends_every_watch_with_a_reset_and_exits_0() {
    let env = deck();
    let daemon = env.daemon();
    let mut watches: Vec<_> = ["panes", "windows", "sessions"]
        .map(|scope| Watch::open(daemon.api(), &format!("scope={scope}")))
        .into();
    for watch in &mut watches {
        assert_eq!(watch.next()["type"], "snapshot");
    }
    daemon.signal(Signal::TERM);
    for watch in &mut watches {
        let reset = watch.ends_with_reset();
        assert_eq!(reset["reason"], "shutdown", "{reset}");
    }
    let mut daemon = daemon;
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!env.socket().exists(), "the socket is taken away");
    assert!(env.daemons().is_empty());
}

#[test]
fn sigint_stops_it_as_well() {
    let env = deck();
    let mut daemon = env.daemon();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn tc_051_after_a_kill_9_a_watcher_goes_on_in_the_same_stream_without_loss() {
    let env = deck();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    let (mut watch, snapshot) = Watch::panes(daemon.api());
    if snapshot["items"] == json!([]) {
        watch.upsert_of(&first, "there", |_| true);
    }
    let cursor = watch.cursor();
    let before = deck::listed(daemon.api(), &first);
    daemon.kill9();
    let second = tmux.window("work", "more", "exec cat");
    let daemon = env.daemon();
    let mut watch = Watch::resume(daemon.api(), &cursor);
    watch.upsert_of(&second, "came while the daemon was dead", |_| true);
    assert_eq!(watch.cursor().split(':').next(), cursor.split(':').next(), "one stream");
    let after = deck::listed(daemon.api(), &first);
    assert_eq!(deck::runtime_of(&before), deck::runtime_of(&after), "re-adopted");
    let touched = watch.changes.iter().filter(|(_, it)| it["op"] == "delete").count();
    assert_eq!(touched, 0, "nothing went away: {:#?}", watch.changes);
}

#[test]
fn a_graceful_stop_loses_nothing_either() {
    let env = deck();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    let before = deck::listed(daemon.api(), &first);
    let (watch, _) = Watch::panes(daemon.api());
    let cursor = watch.cursor();
    assert_eq!(daemon.stop(), 0);
    let daemon = env.daemon();
    let after = deck::listed(daemon.api(), &first);
    assert_eq!(deck::runtime_of(&before), deck::runtime_of(&after));
    let second = tmux.split(&first, "exec cat");
    let mut watch = Watch::resume(daemon.api(), &cursor);
    watch.upsert_of(&second, "split", |_| true);
}

#[test]
fn a_daemon_started_on_demand_detaches_from_everything_of_its_caller() {
    let env = deck();
    let caller = env.invoke(&["list", "panes", "--json"]).env("CANARY_SECRET", "s3cret");
    caller.run().json();
    let daemons = env.daemons();
    assert_eq!(daemons.len(), 1, "{daemons:#?}");
    let pid = daemons[0].pid;
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap();
    let stat = String::from_utf8(read("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let session: u32 = fields[3].parse().unwrap();
    assert_ne!(session, own_session(), "a session of its own");
    assert_eq!(fields[4], "0", "no controlling terminal");
    for descriptor in 0..3 {
        let open = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap();
        let harmless = open == Path::new("/dev/null") || open.starts_with(env.home());
        assert!(harmless, "standard handle {descriptor} is {}", open.display());
    }
    let environment = String::from_utf8_lossy(&read("environ")).into_owned();
    assert!(!environment.contains("CANARY_SECRET"), "{environment}");
    assert!(environment.contains("QD_HOME"), "{environment}");
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert!(cwd == Path::new("/") || cwd.starts_with(env.home()), "{}", cwd.display());
}

fn own_session() -> u32 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn many_clients_at_once_start_one_daemon_between_them() {
    let env = deck();
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..8).map(|_| scope.spawn(|| env.qd(&["list", "panes", "--json"]).json())).collect();
        for run in runs {
            assert_eq!(run.join().unwrap()["items"], json!([]));
        }
    });
    wait::until("the losers are gone", || (env.daemons().len() == 1).then_some(()));
}

#[test]
fn start_status_stop_say_what_is_so() {
    let env = deck();
    let down = env.qd(&["daemon", "status", "--json"]);
    assert_eq!(down.code(), Some(3), "{down:?}");
    env.qd(&["daemon", "start"]).success();
    let status = env.qd(&["daemon", "status", "--json"]).json();
    let pid = env.daemons()[0].pid;
    assert_eq!(status["pid"], pid, "{status}");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"), "{status}");
    assert_eq!(status["socket"], json!(env.socket()), "{status}");
    assert_eq!(status["database"], json!(env.database()), "{status}");
    let again = env.qd(&["daemon", "start"]);
    assert_eq!(again.code(), Some(0), "starting what runs is no failure: {again:?}");
    assert_eq!(env.daemons().len(), 1);
    env.qd(&["daemon", "stop"]).success();
    assert!(!process::alive(pid), "it is gone when stop returns");
    env.qd(&["daemon", "stop"]).success();
}

#[test]
fn logs_are_there_to_read_after_the_daemon_is_gone() {
    let env = deck();
    env.qd(&["daemon", "start"]).success();
    env.qd(&["daemon", "stop"]).success();
    let logs = env.qd(&["daemon", "logs"]).success();
    assert!(!logs.trim().is_empty());
}

#[test]
fn clients_find_the_socket_through_the_lock_without_a_runtime_folder() {
    let env = deck();
    let plain = |arguments: &[&str]| env.invoke(arguments).env_remove("QD_HOME");
    plain(&["daemon", "start"]).run().success();
    let pid = env.daemons()[0].pid;
    let status = plain(&["daemon", "status", "--json"]).run().json();
    let socket = deck::text(&status, "socket");
    assert!(Path::new(&socket).starts_with(env.path("run")), "{socket}");
    assert_eq!(mode(Path::new(&socket)), 0o600);
    assert_eq!(mode(Path::new(&socket).parent().unwrap()), 0o700);
    let cron = plain(&["daemon", "status", "--json"]).env_remove("XDG_RUNTIME_DIR").run().json();
    assert_eq!(cron["pid"], pid, "the same daemon, found from cron: {cron}");
    plain(&["list", "panes", "--json"]).env_remove("XDG_RUNTIME_DIR").run().json();
    assert_eq!(env.daemons().len(), 1, "no second daemon was started");
    plain(&["daemon", "stop"]).env_remove("XDG_RUNTIME_DIR").run().success();
    assert!(env.daemons().is_empty());
}

#[test]
fn without_any_runtime_folder_it_lives_below_the_state_folder() {
    let env = deck();
    let plain = |arguments: &[&str]| {
        env.invoke(arguments).env_remove("QD_HOME").env_remove("XDG_RUNTIME_DIR")
    };
    plain(&["daemon", "start"]).run().success();
    let status = plain(&["daemon", "status", "--json"]).run().json();
    let socket = deck::text(&status, "socket");
    assert!(Path::new(&socket).starts_with(env.path("home/.local/state")), "{socket}");
    assert_eq!(mode(Path::new(&socket)), 0o600);
    assert_eq!(mode(Path::new(&socket).parent().unwrap()), 0o700);
}

#[test]
fn after_a_logout_the_daemon_is_found_below_the_state_folder() {
    let env = deck();
    let plain = |arguments: &[&str]| env.invoke(arguments).env_remove("QD_HOME");
    plain(&["daemon", "start"]).run().success();
    let pid = env.daemons()[0].pid;
    // The daemon makes its socket again as long as there is a place for it.
    wait::until("the folder is gone", || fs::remove_dir_all(env.path("run")).ok());
    let status = wait::until("it is found again", || {
        let said = plain(&["daemon", "status", "--json"]).run();
        (said.code() == Some(0)).then(|| said.json())
    });
    assert_eq!(status["pid"], pid, "the same daemon: {status:#}");
    let socket = deck::text(&status, "socket");
    assert!(Path::new(&socket).starts_with(env.path("home/.local/state")), "{socket}");
    assert_eq!(mode(Path::new(&socket)), 0o600);
    plain(&["ls"]).run().success();
    assert_eq!(env.daemons().len(), 1);
    plain(&["daemon", "stop"]).run().success();
    assert!(!Path::new(&socket).exists());
}

#[test]
fn a_deleted_socket_comes_back_and_who_is_inside_stays() {
    let env = deck();
    let daemon = env.daemon();
    let (mut watch, _) = Watch::panes(daemon.api());
    fs::remove_file(env.socket()).unwrap();
    wait::until("it answers again", || daemon.api().try_get("/v1/health").map(drop));
    assert_eq!(mode(&env.socket()), 0o600);
    let pane = env.tmux().session("work", "exec cat");
    watch.upsert_of(&pane, "over the old connection", |_| true);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_daemon_whose_place_was_deleted_ends() {
    let env = deck();
    env.qd(&["daemon", "start"]).success();
    let first = env.daemons()[0].pid;
    // At once, for a daemon that still has its lock would bind its socket again meanwhile.
    fs::rename(env.home(), env.path("deleted")).unwrap();
    wait::until("it ends", || (!process::alive(first)).then_some(()));
    env.qd(&["daemon", "start"]).success();
    assert_eq!(env.daemons().len(), 1);
}

#[test]
fn qd_home_keeps_two_installations_apart() {
    let env = deck();
    let other = env.path("other");
    env.qd(&["daemon", "start"]).success();
    env.invoke(&["daemon", "start"]).env("QD_HOME", &other).run().success();
    assert_eq!(env.daemons().len(), 2);
    for name in ["qd.sock", "qd.db", "qd.lock"] {
        assert!(other.join(name).exists(), "{name}");
        assert!(env.home().join(name).exists(), "{name}");
    }
    env.invoke(&["daemon", "stop"]).env("QD_HOME", &other).run().success();
    assert_eq!(env.api().get("/v1/health").status, 200);
}

#[test]
fn what_the_starter_holds_open_is_not_kept_by_the_daemon_that_it_starts() {
    let env = deck();
    env.reinstall("flock");
    // As in a cron job: its lock lies on a descriptor that every child inherits.
    let job = "exec 9> \"$HOME/job.lock\"; flock -n 9 || exit 7; \"$QD\" list panes > /dev/null";
    let run = || {
        let job = env.invoke_program("/bin/sh", &["-c", job]);
        job.env("QD", env.qd_program()).run().code()
    };
    assert_eq!(run(), Some(0));
    assert_eq!(env.daemons().len(), 1, "it was started on demand");
    assert_eq!(run(), Some(0), "the lock went with the first job");
}

#[test]
fn the_default_server_stays_the_same_whoever_starts_the_next_daemon() {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    assert_eq!(daemon.stop(), 0);
    let elsewhere = env.path("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let listed = env.invoke(&["list", "panes", "--json"]).env("TMUX_TMPDIR", &elsewhere).run();
    let panes = listed.json()["items"].as_array().unwrap().len();
    assert_eq!(panes, 1, "as from cron, where TMUX_TMPDIR is not what it is in a shell");
}

/// Whatever we write would go where a link leads.
#[test]
fn what_has_the_name_of_a_file_of_ours_and_is_none_is_refused_and_left_as_it_is() {
    for name in
        ["qd.lock", "qd.db", "qd.db-wal", "qd.anchor", "qd.trail", "qd.reserve", "logs/qd.log"]
    {
        let env = deck();
        let decoy = env.path("decoy");
        fs::write(&decoy, "not yours").unwrap();
        let link = env.home().join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&decoy, &link).unwrap();
        for arguments in [&["daemon", "run"][..], &["ls"]] {
            let output = env.qd(arguments);
            assert!(output.code().is_some_and(|code| code > 0), "{name} {arguments:?}");
            assert!(output.stderr.contains("is not a plain file"), "{name}: {}", output.stderr);
            assert!(output.stderr.contains("move it away"), "{name}: {}", output.stderr);
        }
        assert_eq!(fs::read_to_string(&decoy).unwrap(), "not yours", "{name}");
    }
}
