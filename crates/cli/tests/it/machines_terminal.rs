//! Connections that a person's own `ssh` makes in a terminal, where it asks for a secret.

use testkit::{Signal, Terminal, process, wait};

use crate::deck;
use crate::machines::{PATIENCE, World, strangers};
use crate::machines_keys::{is_denied, is_kept, let_in};

/// What only the person knows.
const SECRET: &str = "open-sesame-4711";

/// A world in whose `sshd` only a key lets in that is locked.
fn scene() -> Option<World> {
    let world = strangers()?;
    let sshd = world.sshd.as_ref().unwrap();
    sshd.introduce();
    sshd.lock_key(SECRET);
    world.add("far");
    is_denied(&world);
    Some(world)
}

/// A terminal in which somebody connects.
fn open(world: &World) -> Terminal {
    Terminal::of_a_person(&world.env, &["target", "connect", "far", "--terminal"])
}

#[track_caller]
fn prints(terminal: &Terminal, text: &str) {
    let seen = wait::within(PATIENCE, || terminal.printed().contains(text).then_some(()));
    assert!(seen.is_some(), "{text:?} was never printed: {}", terminal.printed());
}

/// Answers what `ssh` asks, and waits until everything is known.
#[track_caller]
fn let_through(world: &World) -> Terminal {
    let terminal = open(world);
    prints(&terminal, "passphrase");
    terminal.type_text(&format!("{SECRET}\n"));
    prints(&terminal, "holds the connection");
    assert!(!terminal.printed().contains("E_SSH_DENIED"), "{}", terminal.printed());
    world.health_is("ok");
    terminal
}

/// How the command in a terminal ended.
#[track_caller]
fn ending(terminal: &mut Terminal) -> Option<i32> {
    let ended = wait::within(PATIENCE, || terminal.ended());
    ended.unwrap_or_else(|| panic!("it runs on: {}", terminal.printed())).code()
}

/// The `ssh` that holds the connection.
fn holder(terminal: &Terminal) -> u32 {
    process::children(terminal.pid()).first().copied().expect("it runs an ssh")
}

/// It is told as what cannot be reached, with nothing old as if it were true.
#[track_caller]
fn is_gone(world: &World, pane: &str) {
    world.health_is("down");
    let lost = world.pane_where(pane, "unknown", |it| it["state"] == "unknown");
    assert_eq!(lost["reason_code"], "target_unreachable", "{lost:#}");
}

fn only_pane(world: &World) -> String {
    let panes = world.panes();
    assert_eq!(panes.len(), 1, "{panes:#?}");
    deck::text(&panes[0]["identity"], "pane_id")
}

#[test]
fn what_only_a_person_knows_is_asked_in_their_terminal_which_then_holds_the_connection() {
    let Some(mut world) = scene() else { return };
    let connect = ["target", "connect", "far", "--terminal"];
    let refused = world.env.qd(&connect).fails_with(2);
    assert!(refused.contains("in a terminal"), "{refused}");
    let hint = world.env.qd(&["target", "connect", "far"]).stderr;
    assert!(hint.contains("--terminal"), "{hint}");
    // Somebody who does not know it gets nowhere, and nothing has changed.
    let mut wrong = open(&world);
    prints(&wrong, "passphrase");
    wrong.type_text("\n");
    assert_eq!(ending(&mut wrong), Some(1), "{}", wrong.printed());
    assert_eq!(let_in(&world), 0);
    let mut terminal = let_through(&world);
    let pane = only_pane(&world);
    assert_eq!(let_in(&world), 1, "everything goes through one connection");
    let test = world.env.qd(&["target", "test", "far"]);
    assert_eq!(let_in(&world), 1, "so does what looks there by itself: {test:?}");
    assert!(!test.stdout.contains("E_SSH_DENIED"), "{test:?}");
    let again = Terminal::of_a_person(&world.env, &connect);
    prints(&again, "connected already");
    // It outlives the daemon, and the next one goes on with it.
    let before = world.listed(&pane);
    world.daemon.kill9();
    world.daemon = world.env.daemon();
    world.env.qd(&["target", "connect", "far"]).success();
    world.health_is("ok");
    assert_eq!(world.listed(&pane)["runtime_id"], before["runtime_id"]);
    assert_eq!(let_in(&world), 1);
    assert!(!terminal.printed().contains(SECRET) && !is_kept(&world.env, SECRET));
    // Whoever holds it lets go.
    terminal.type_text("\x03");
    assert_eq!(ending(&mut terminal), Some(0), "{}", terminal.printed());
    is_gone(&world, &pane);
    is_denied(&world);
    assert_eq!(let_in(&world), 1);
}

#[test]
fn a_connection_that_a_terminal_holds_ends_with_it_and_with_a_disconnect() {
    let Some(world) = scene() else { return };
    let mut terminal = let_through(&world);
    let pane = only_pane(&world);
    let ssh = holder(&terminal);
    world.env.qd(&["target", "disconnect", "far"]).success();
    assert_eq!(ending(&mut terminal), Some(0), "{}", terminal.printed());
    assert!(!process::alive(ssh));
    assert_eq!(world.target()["health_reason"], "E_TARGET_DISCONNECTED");
    // Its terminal is closed.
    let mut terminal = let_through(&world);
    let ssh = holder(&terminal);
    process::signal(terminal.pid(), Signal::HUP);
    ending(&mut terminal);
    wait::until("its ssh ends with it", || (!process::alive(ssh)).then_some(()));
    is_gone(&world, &pane);
    // Somebody kills all of it, and what is left is in nobody's way.
    let mut terminal = let_through(&world);
    let ssh = holder(&terminal);
    process::signal(ssh, Signal::KILL);
    assert_eq!(ending(&mut terminal), Some(1), "{}", terminal.printed());
    is_gone(&world, &pane);
    let terminal = let_through(&world);
    // Somebody stops it.
    let ssh = holder(&terminal);
    process::signal(ssh, Signal::STOP);
    is_gone(&world, &pane);
    process::signal(ssh, Signal::CONT);
    world.health_is("ok");
    world.env.qd(&["target", "remove", "far", "--yes"]).success();
    wait::until("it ends with its target", || (!process::alive(ssh)).then_some(()));
}

#[test]
fn a_connection_that_was_to_end_when_the_daemon_was_killed_ends_with_the_next_one() {
    let Some(mut world) = scene() else { return };
    let mut terminal = let_through(&world);
    let ssh = holder(&terminal);
    // It does not hear the daemon that asks it to end, and then that is gone.
    process::signal(ssh, Signal::STOP);
    world.env.qd(&["target", "disconnect", "far"]).success();
    world.daemon.kill9();
    process::signal(ssh, Signal::CONT);
    world.daemon = world.env.daemon();
    assert!(ending(&mut terminal).is_some(), "{}", terminal.printed());
    assert!(!process::alive(ssh));
    assert_eq!(world.target()["health_reason"], "E_TARGET_DISCONNECTED");
}
