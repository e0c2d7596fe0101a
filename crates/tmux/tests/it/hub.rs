//! The hub's life on a real server: what it must do, and what must not happen to the user.

use testkit::{process, wait};
use tmux::{
    control::Message,
    hub::{Hub, is_already_there, may_create, own_pane},
    ids::{PaneId, SessionId},
    notification::Notification,
    rows::{ClientRow, OriginRow, PaneBrief, SessionRow},
    scan::{Scan, is_empty_server},
    upkeep::{Duty, Surroundings},
};

use crate::lab::{Control, Lab};

/// Proves the connection; gives the hub's session and its own pane.
fn settle(lab: &Lab, hub: &Hub, control: &mut Control) -> (SessionId, PaneId) {
    let greeting = control.scan(&Hub::handshake(lab.nonce()));
    let connection = hub.verify(&greeting).expect("the client is ours");
    assert_eq!(connection.client_pid, control.pid());
    control.ask(&hub.end_with_client()).expect("the option exists");
    let origins = control.scan(&Scan::<OriginRow>::all(lab.nonce()));
    let own = own_pane(connection.session, &origins.rows).expect("the hub has its pane");
    (connection.session, own)
}

fn duties(
    lab: &Lab,
    hub: &Hub,
    control: &mut Control,
    (session, own_pane): (SessionId, PaneId),
) -> Vec<Duty> {
    let sessions = control.scan(&Scan::<SessionRow>::all(lab.nonce())).rows;
    let clients = control.scan(&Scan::<ClientRow>::all(lab.nonce())).rows;
    let panes = control.scan(&Scan::<PaneBrief>::all(lab.nonce())).rows;
    let (sessions, clients, panes) = (&sessions[..], &clients[..], &panes[..]);
    let own_client = control.pid();
    Surroundings { hub, session, own_pane, own_client, sessions, clients, panes }.duties()
}

fn carry_out(hub: &Hub, control: &mut Control, (session, _): (SessionId, PaneId), duties: &[Duty]) {
    for duty in duties {
        control.ask(&duty.batch(hub, session)).expect("a duty is not refused");
    }
}

#[test]
fn the_handshake_proves_the_connection() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    assert_eq!(lab.tmux().sessions(), ["_qd-lab-1", "user"]);
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
}

#[test]
fn a_hub_that_is_left_over_is_taken_again() {
    let lab = Lab::new();
    let (hub, first) = lab.connect();
    drop(first);
    let again = lab.fork(&hub.create());
    assert!(!again.ok && is_already_there(&again.complaint), "{again:?}");
    settle(&lab, &hub, &mut lab.attach(&hub));
}

#[test]
fn nothing_of_ours_keeps_a_server_alive_that_has_no_session_left() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-s", "exit-empty", "off"]);
    lab.tmux().ok(&["kill-session", "-t", "=user:"]);
    let created = lab.fork(&Hub::new("lab-1").unwrap().create());
    assert!(!created.ok && is_empty_server(&created.complaint), "{created:?}");
    assert!(lab.tmux().sessions().is_empty());
}

#[test]
fn nothing_of_ours_starts_a_server() {
    let lab = Lab::without_server();
    let hub = Hub::new("lab-1").unwrap();
    for batch in [hub.create(), hub.attach(), Scan::<PaneBrief>::all(lab.nonce()).batch()] {
        assert!(!lab.fork(&batch).ok);
    }
    assert_eq!(lab.env().tmux_socket(), None);
}

#[test]
fn a_session_whose_name_only_begins_like_ours_is_never_attached() {
    let lab = Lab::new();
    lab.tmux().session("_qd-lab-11", "exec sleep 1000");
    let mut control = lab.start(&Hub::new("lab-1").unwrap());
    let first = control.next();
    assert!(matches!(&first, Some(Message::Reply(reply)) if reply.error), "{first:?}");
    control.exit();
}

#[test]
fn the_hub_is_gone_with_its_killed_client() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    settle(&lab, &hub, &mut control);
    control.kill();
    wait::until("the hub is gone", || (lab.tmux().sessions() == ["user"]).then_some(()));
}

#[test]
fn leaving_ends_the_hub_and_the_client() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    control.ask(&hub.leave()).unwrap();
    assert_eq!(control.exit(), None);
    assert_eq!(lab.tmux().sessions(), ["user"]);
}

#[test]
fn leaving_as_the_last_lets_the_server_go() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    let server = lab.tmux().pid();
    lab.tmux().ok(&["kill-session", "-t", "=user:"]);
    control.wait_for("the news", |note| *note == Notification::SessionsChanged);
    assert_eq!(duties(&lab, &hub, &mut control, settled), [Duty::Leave]);
    control.ask(&hub.leave()).unwrap();
    wait::until("the server is gone", || (!process::alive(server)).then_some(()));
}

#[test]
fn what_a_user_starts_without_a_target_is_moved_out_alive() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    // Without `-t` tmux takes the session with the latest activity, which is ours now.
    let window = lab.tmux().ok(&["new-window", "-dPF", "#{pane_id}", "exec sleep 1001"]);
    let split = lab.tmux().ok(&["split-window", "-dPF", "#{pane_id}", "exec sleep 1002"]);
    assert_eq!(lab.tmux().show(&split, "#{session_name}"), "_qd-lab-1");
    let pids = [&window, &split].map(|pane| lab.tmux().show(pane, "#{pane_pid}"));

    let found = duties(&lab, &hub, &mut control, settled);
    assert_eq!(found.len(), 2, "{found:?}");
    carry_out(&hub, &mut control, settled, &found);

    for (pane, pid) in [&window, &split].into_iter().zip(pids) {
        assert_eq!(lab.tmux().show(pane, "#{session_name} #{pane_pid}"), format!("user {pid}"));
    }
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
}

#[test]
fn a_users_client_that_tmux_drops_into_the_hub_is_moved_out() {
    let lab = Lab::new();
    lab.tmux().session("other", "exec sleep 1000");
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    // A control client stands for the user's terminal: tmux moves both alike.
    let mut user = lab.attach_user("other");
    lab.tmux().ok(&["switch-client", "-c", &format!("client-{}", user.pid()), "-t", "=_qd-lab-1"]);

    let found = duties(&lab, &hub, &mut control, settled);
    assert!(matches!(found.as_slice(), [Duty::MoveClient { .. }]), "{found:?}");
    carry_out(&hub, &mut control, settled, &found);
    user.wait_for(
        "the way back",
        |note| matches!(note, Notification::SessionChanged { name, .. } if name == b"other"),
    );
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
}

/// A tty client, which is a pane of another server, attached to `user`.
fn attach_terminal(lab: &Lab) -> String {
    let outer = lab.env().tmux_at("outer.sock");
    outer.session("outer", "TMUX= exec tmux attach-session -t =user:");
    wait::until("the terminal is attached", || {
        let clients = lab.tmux().ok(&["list-clients", "-t", "=user:", "-F", "#{client_name}"]);
        (!clients.is_empty()).then_some(clients)
    })
}

fn session_of(lab: &Lab, client: &str) -> Option<String> {
    let listed = lab.tmux().ok(&["list-clients", "-F", "#{client_name} #{session_name}"]);
    let line = listed.lines().find_map(|line| line.strip_prefix(client))?;
    Some(line.trim().to_owned())
}

/// With `detach-on-destroy off` tmux moves the clients of a session that ends to another one; 3.3a
/// takes the one whose activity is *oldest*.
#[test]
fn a_terminal_whose_session_ended_does_not_stay_in_the_hub() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-g", "detach-on-destroy", "off"]);
    let terminal = attach_terminal(&lab);
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    lab.tmux().session("other", "exec sleep 1000");
    let to_hub = ["switch-client", "-c", &terminal, "-t", "=_qd-lab-1:"];
    lab.tmux().ok(&["kill-session", "-t", "=user:"]);
    if session_of(&lab, &terminal).as_deref() == Some("other") {
        lab.tmux().ok(&to_hub);
    }
    let found = duties(&lab, &hub, &mut control, settled);
    assert!(matches!(found.as_slice(), [Duty::MoveClient { .. }]), "{found:?}");
    carry_out(&hub, &mut control, settled, &found);
    assert_eq!(session_of(&lab, &terminal).as_deref(), Some("other"));
}

#[test]
fn a_terminal_whose_last_session_ended_ends_as_it_would_without_us() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-g", "detach-on-destroy", "off"]);
    let terminal = attach_terminal(&lab);
    let server = lab.tmux().pid();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    lab.tmux().ok(&["kill-session", "-t", "=user:"]);
    assert_eq!(session_of(&lab, &terminal).as_deref(), Some("_qd-lab-1"));
    assert_eq!(duties(&lab, &hub, &mut control, settled), [Duty::Leave]);
    control.ask(&hub.leave()).unwrap();
    wait::until("the server is gone", || (!process::alive(server)).then_some(()));
    let outer = lab.env().tmux_at("outer.sock");
    wait::until("the terminal is free", || outer.sessions().is_empty().then_some(()));
}

#[test]
fn no_global_option_of_the_users_keeps_us_out() {
    let lab = Lab::new();
    for option in [
        ["-g", "base-index", "1"],
        ["-gw", "pane-base-index", "1"],
        ["-gw", "remain-on-exit", "on"],
        ["-gw", "automatic-rename", "off"],
        ["-gw", "window-size", "largest"],
        ["-gw", "aggressive-resize", "on"],
        ["-gw", "monitor-activity", "on"],
        ["-g", "default-command", "false"],
        ["-g", "default-shell", "/bin/false"],
        ["-g", "default-size", "300x100"],
        ["-g", "detach-on-destroy", "off"],
        ["-g", "status", "5"],
        ["-g", "set-titles", "on"],
        ["-g", "renumber-windows", "on"],
        ["-g", "lock-after-time", "1"],
        ["-s", "exit-unattached", "off"],
        ["-s", "exit-empty", "off"],
    ] {
        lab.tmux().ok(&[&["set-option"], &option[..]].concat());
    }
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
    control.kill();
    wait::until("the hub is gone", || (lab.tmux().sessions() == ["user"]).then_some(()));
}

#[test]
fn a_ghost_of_an_earlier_life_is_killed() {
    let lab = Lab::new();
    let (hub, mut ghost) = lab.connect();
    settle(&lab, &hub, &mut ghost);
    let mut control = lab.attach(&hub);
    let settled = settle(&lab, &hub, &mut control);
    let found = duties(&lab, &hub, &mut control, settled);
    assert_eq!(found, [Duty::Reap { pid: ghost.pid() }]);
    carry_out(&hub, &mut control, settled, &found);
    ghost.rest();
    wait::until("only we are left", || {
        duties(&lab, &hub, &mut control, settled).is_empty().then_some(())
    });
}

#[test]
fn another_installation_is_left_alone() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    let other = Hub::new("lab-2").unwrap();
    assert!(lab.fork(&other.create()).ok);
    let mut theirs = lab.attach(&other);
    settle(&lab, &other, &mut theirs);
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
    assert_eq!(lab.tmux().sessions(), ["_qd-lab-1", "_qd-lab-2", "user"]);
}

#[test]
fn a_global_destroy_unattached_does_not_take_the_hub_away() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-t", "=user:", "destroy-unattached", "off"]);
    lab.tmux().ok(&["set-option", "-g", "destroy-unattached", "on"]);
    let (hub, mut control) = lab.connect();
    settle(&lab, &hub, &mut control);
}

#[test]
fn where_creating_a_session_would_kill_the_server_the_precheck_says_so() {
    let lab = Lab::new();
    let version = lab.version();
    let answer = lab.fork(&Hub::precheck());
    assert!(answer.ok && may_create(&answer.output, &version), "{answer:?}");

    lab.tmux().ok(&["set-option", "-gw", "window-size", "manual"]);
    let answer = lab.fork(&Hub::precheck());
    let may = may_create(&answer.output, &version);
    let server = lab.tmux().pid();
    let created = lab.fork(&Hub::new("lab-1").unwrap().create());
    assert_eq!(created.ok, may, "{created:?}");
    if !may {
        wait::until("what the precheck warned of", || (!process::alive(server)).then_some(()));
    }
}

#[test]
fn nothing_the_user_sees_changes_while_we_come_and_go() {
    let lab = Lab::new();
    let facts = "#{window_width}x#{window_height} #{window_layout} #{session_attached} \
        #{window_activity_flag}#{window_bell_flag} #{window_name} #{pane_title} #{history_size} \
        #{session_activity} #{pane_in_mode}";
    lab.tmux().ok(&["set-option", "-gw", "monitor-bell", "on"]);
    lab.tmux().ok(&["split-window", "-d", "-t", "=user:", "printf '\\a'; exec sleep 1000"]);
    let look = || lab.tmux().show("=user:", facts);
    let options = || lab.tmux().ok(&["show-options", "-g"]);
    let global = options();
    let before = wait::until("the bell rang", || {
        lab.tmux().show("=user:", "#{window_bell_flag}").eq("1").then(look)
    });
    let (hub, mut control) = lab.connect();
    settle(&lab, &hub, &mut control);
    control.scan(&Scan::<PaneBrief>::all(lab.nonce()));
    assert_eq!(look(), before);
    control.ask(&hub.leave()).unwrap();
    control.rest();
    assert_eq!(look(), before);
    assert_eq!(options(), global);
}

#[test]
fn a_renamed_hub_gets_its_name_back_and_keeps_nothing_of_the_users() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    // Without `-t` tmux takes the session with the latest activity, which is ours now.
    lab.tmux().ok(&["rename-session", "mine"]);
    let window = lab.tmux().ok(&["new-window", "-dPF", "#{pane_id}", "exec sleep 1001"]);
    assert_eq!(lab.tmux().show(&window, "#{session_name}"), "mine");

    let found = duties(&lab, &hub, &mut control, settled);
    carry_out(&hub, &mut control, settled, &found);

    assert_eq!(lab.tmux().show(&window, "#{session_name}"), "user");
    assert_eq!(lab.tmux().sessions(), ["_qd-lab-1", "user"]);
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
}

#[test]
fn who_steps_through_the_sessions_is_not_caught_by_the_hub() {
    let lab = Lab::new();
    lab.tmux().session("B", "exec sleep 1000");
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    let user = lab.attach_user("B");
    let client = format!("client-{}", user.pid());
    let shown = |format: &str| lab.tmux().ok(&["display-message", "-p", "-c", &client, format]);
    // The hub lies between the two by its name, in both directions.
    for (step, to, from) in [("-n", "user", "B"), ("-p", "B", "user")] {
        lab.tmux().ok(&["switch-client", "-c", &client, step]);
        assert_eq!(shown("#{client_session}"), "_qd-lab-1");
        let found = duties(&lab, &hub, &mut control, settled);
        carry_out(&hub, &mut control, settled, &found);
        assert_eq!(shown("#{client_session} #{client_last_session}"), format!("{to} {from}"));
    }
}

#[test]
fn a_server_that_ends_unattached_is_left_with_its_last_client() {
    let lab = Lab::new();
    let (hub, mut control) = lab.connect();
    let settled = settle(&lab, &hub, &mut control);
    let user = lab.attach_user("user");
    lab.tmux().ok(&["set-option", "-s", "exit-unattached", "on"]);
    assert_eq!(duties(&lab, &hub, &mut control, settled), []);
    let server = lab.tmux().pid();
    drop(user);
    wait::until("the client is gone", || {
        (duties(&lab, &hub, &mut control, settled) == [Duty::Leave]).then_some(())
    });
    carry_out(&hub, &mut control, settled, &[Duty::Leave]);
    wait::until("the server is gone", || (!process::alive(server)).then_some(()));
}
