//! Many panes, many watchers, much churn: nothing is missed and nobody waits.

use std::time::Duration;

use testkit::wait;

use crate::deck::{self, Watch, deck};

#[test]
fn five_hundred_panes_are_listed_and_one_change_among_them_is_seen_soon() {
    const WINDOWS: usize = 50;
    let env = deck();
    let tmux = env.tmux();
    tmux.session("work", "exec sleep 1000");
    tmux.ok(&["resize-window", "-t", "work:0", "-x", "300", "-y", "300"]);
    for number in 1..=WINDOWS {
        let name = format!("w{number}");
        let window = tmux.window("work", &name, "exec sleep 1000");
        let split = ["split-window", "-d", "-t", &window, "exec sleep 1000"];
        let layout = ["select-layout", "-t", &window, "tiled"];
        let mut line: Vec<&str> = Vec::new();
        for _ in 0..9 {
            line.extend(split);
            line.push(";");
            line.extend(layout);
            line.push(";");
        }
        line.pop();
        tmux.ok(&line);
    }
    let daemon = env.daemon();
    let api = daemon.api();
    wait::until("all are listed", || {
        (deck::items(api, "/v1/panes").len() == WINDOWS * 10 + 1).then_some(())
    });
    let (mut watch, snapshot) = Watch::panes(api);
    assert_eq!(snapshot["items"].as_array().unwrap().len(), WINDOWS * 10 + 1);
    let pane = snapshot["items"][250]["identity"]["pane_id"].as_str().unwrap().to_owned();
    let begun = wait::now();
    tmux.ok(&["rename-window", "-t", &pane, "seen"]);
    watch.upsert_of(&pane, "renamed", |item| item["window_name"] == "seen");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");
    daemon.kill9();
    let daemon = env.daemon();
    assert_eq!(deck::items(daemon.api(), "/v1/panes").len(), WINDOWS * 10 + 1, "at once");
}
