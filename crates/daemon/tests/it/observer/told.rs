//! What tmux tells by itself where the kernel tells nothing: nobody looks by the clock here.

use testkit::{TestEnv, Tmux, skipped};

use super::on_every_reach;
use super::scene::{Reach, Scene, Setting, env};

on_every_reach!(
    what_raises_no_notification_is_told,
    what_looks_like_somebody_elses_record_changes_nothing,
    the_next_server_is_asked_anew,
);

/// No look comes by the clock, and none is needed.
const NEVER: &str = "scan_active = \"1h\"\nscan_idle = \"1h\"\nscan_full = \"1h\"\n";

/// Whether this tmux can be asked to tell; where not, that is said.
fn can_tell(reach: Reach, tmux: &Tmux<'_>) -> bool {
    if tmux.version().starts_with("3.6") && reach != Reach::Direct {
        skipped("this tmux leaks with each word it tells, and is looked at instead");
        return false;
    }
    true
}

fn observed(reach: Reach, env: &TestEnv) -> Scene {
    let mut setting = Setting::new(reach);
    if reach != Reach::Direct {
        setting.observer = NEVER.to_owned();
    }
    setting.observe(env)
}

fn what_raises_no_notification_is_told(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let fifo = env.path("fifo");
    let made = testkit::process::command("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let read = format!("read x < {}; exec sleep 1000", fifo.display());
    let pane = tmux.session("work", &read);
    let quiet = tmux.window("work", "quiet", "exec cat");
    if !can_tell(reach, &tmux) {
        return;
    }
    let scene = observed(reach, &env);
    scene.lists(&quiet);
    tmux.ok(&["select-pane", "-t", &quiet, "-T", "by tmux"]);
    scene.pane_where(&quiet, "title", |it| it.title == "by tmux");
    tmux.ok(&["select-pane", "-t", &quiet, "-T", "by tmux again"]);
    scene.pane_where(&quiet, "title", |it| it.title == "by tmux again");
    std::fs::write(&fifo, "\n").unwrap();
    scene.pane_where(&pane, "another program", |it| it.command == "sleep");
    let beside = tmux.split(&quiet, "exec cat");
    scene.lists(&beside);
    let before = scene.lists(&beside).process;
    tmux.ok(&["respawn-pane", "-k", "-t", &beside, "exec cat"]);
    scene.pane_where(&beside, "respawned", |it| it.process.pid != before.pid);
    scene.said().printed.clear();
    tmux.type_line(&beside, "echoed");
    scene.until("it printed", |said| {
        let pane = beside.parse().expect("a pane's id");
        said.printed.contains(&pane).then_some(())
    });
    tmux.ok(&["kill-pane", "-t", &beside]);
    scene.unlists(&beside);
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
}

fn what_looks_like_somebody_elses_record_changes_nothing(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec cat");
    let pane = tmux.window("work", "other", "exec sh");
    if !can_tell(reach, &tmux) {
        return;
    }
    let scene = observed(reach, &env);
    let before = scene.lists(&first);
    for name in ["x\n%exit y", "x\n%end 1 2 1\n\t%0 $9@9 1 1x1\t", "\t%999 gone\t\\ \u{1b}[2J"] {
        let folder = env.path("home").join(name);
        std::fs::create_dir(&folder).unwrap();
        let number = std::fs::read_dir(env.path("home")).unwrap().count();
        let link = env.path(&format!("link{number}"));
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        tmux.type_line(&pane, &format!("cd -P {}", link.display()));
        scene.pane_where(&pane, name, |it| it.path == folder.to_str().unwrap());
    }
    for title in ["%subscription-changed qd-titles $0 - - - : %0 1 x", "#[fg=red] %exit %0 9 z"] {
        tmux.ok(&["select-pane", "-t", &pane, "-T", title]);
        let shown = tmux.show(&pane, "#{pane_title}");
        scene.pane_where(&pane, title, |it| it.title == shown);
    }
    let after = scene.lists(&first);
    assert_eq!((after.title, after.path), (before.title, before.path));
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
}

fn the_next_server_is_asked_anew(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    if !can_tell(reach, &tmux) {
        return;
    }
    let scene = observed(reach, &env);
    scene.lists(&pane);
    tmux.ok(&["select-pane", "-t", &pane, "-T", "the first"]);
    scene.pane_where(&pane, "title", |it| it.title == "the first");
    tmux.kill9();
    scene.until("it is gone", |said| said.panes.is_empty().then_some(()));
    let pane = tmux.session("next", "exec cat");
    scene.lists(&pane);
    for title in ["the second", "the third"] {
        tmux.ok(&["select-pane", "-t", &pane, "-T", title]);
        scene.pane_where(&pane, title, |it| it.title == title);
    }
}

#[test]
fn a_tmux_that_leaks_with_each_word_is_not_asked_to_tell() {
    for reach in [Reach::Direct, Reach::OverCommand] {
        let env = env();
        let tmux = env.tmux();
        let pane = tmux.session("work", "exec cat");
        let scene = Setting::new(reach).observe(&env);
        scene.lists(&pane);
        // Everything was looked at by our client, so whatever is asked for at first has been.
        scene.until("it looked", |said| (said.topologies > 1).then_some(()));
        let asked = tmux.ok(&["show-messages"]).contains("refresh-client -B");
        let leaks = tmux.version().starts_with("3.6");
        assert_eq!(asked, reach == Reach::OverCommand && !leaks, "{reach:?}");
        tmux.ok(&["select-pane", "-t", &pane, "-T", "seen"]);
        scene.pane_where(&pane, "title", |it| it.title == "seen");
    }
}
