//! Each release has the traps that [`tmux::version::Version`] says it has, and no other.
//!
//! Two are only measured, not tested: what leaks, and the exit status that can stick.

use std::fs;

use testkit::{process, wait};
use tmux::{control::Message, notification::Notification};

use crate::{lab::Lab, printed::printed};

/// A buffer, an option and a paste all get this: an escape sequence and a backslash.
const TEXT: &str = "a\u{1b}[31mb\\c";

#[test]
fn a_printed_format_shows_control_bytes_as_the_version_says() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-g", "@text", TEXT]);
    let shown = lab.tmux().ok(&["show-options", "-gv", "@text"]);
    assert_eq!(shown.as_bytes(), printed(&lab.version(), TEXT.as_bytes()));
}

#[test]
fn a_shown_buffer_is_encoded_as_the_version_says() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    lab.tmux().ok(&["set-buffer", "-b", "x", "--", TEXT]);
    control.write(b"show-buffer -b x\n");
    let shown = loop {
        match control.next().expect("the client answers before it ends") {
            Message::Reply(reply) if reply.is_ours() => break reply.text(),
            Message::Reply(_) | Message::Notification(_) | Message::Stray(_) => {}
        }
    };
    let encoded = lab.version().show_buffer_is_encoded();
    assert_eq!(shown, if encoded { "a\\033[31mb\\\\c" } else { TEXT });
}

#[test]
fn a_paste_arrives_raw_by_the_flags_that_the_version_needs() {
    let lab = Lab::new();
    let file = lab.env().path("pasted");
    let script = format!("stty raw -echo; touch {0}; exec cat >>{0}", file.display());
    let pane = lab.tmux().window("user", "w", &script);
    wait::until("the pane takes what is typed", || file.exists().then_some(()));
    lab.tmux().ok(&["set-buffer", "-b", "x", "--", TEXT]);
    let needs_flag = lab.version().paste_needs_raw_flag();
    let raw: &[&str] = if needs_flag { &["-S"] } else { &[] };
    lab.tmux().ok(&[&["paste-buffer", "-r", "-b", "x", "-t", &pane], raw].concat());
    wait::until("the text arrives", || (fs::read(&file).unwrap() == TEXT.as_bytes()).then_some(()));

    fs::write(&file, "").unwrap();
    lab.tmux().ok(&["paste-buffer", "-r", "-b", "x", "-t", &pane]);
    let without = wait::until("something arrives", || {
        let pasted = fs::read(&file).unwrap();
        pasted.ends_with(b"c").then_some(pasted)
    });
    assert_eq!(without != TEXT.as_bytes(), needs_flag, "{without:?}");
    assert_eq!(
        lab.tmux().run(&["paste-buffer", "-S", "-b", "x", "-t", &pane]).code() == Some(0),
        needs_flag
    );
}

#[test]
fn a_paste_into_a_dead_pane_kills_the_servers_that_the_version_says() {
    let lab = Lab::new();
    let crashes = lab.version().paste_to_dead_pane_crashes();
    lab.tmux().ok(&["set-option", "-gw", "remain-on-exit", "on"]);
    let pane = lab.tmux().window("user", "w", "exit 0");
    wait::until("the pane is dead", || {
        (lab.tmux().show(&pane, "#{pane_dead}") == "1").then_some(())
    });
    lab.tmux().ok(&["set-buffer", "-b", "x", "--", TEXT]);
    let server = lab.tmux().pid();
    let pasted = lab.tmux().run(&["paste-buffer", "-b", "x", "-t", &pane]);
    assert_ne!(pasted.code(), Some(0));
    if crashes {
        wait::until("what the version warns of", || (!process::alive(server)).then_some(()));
    } else {
        assert_eq!(lab.tmux().pid(), server);
    }
}

#[test]
fn a_hook_speaks_to_a_control_client_where_the_version_says() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let say = format!("display-message -c client-{} 'two words'", control.pid());
    lab.tmux().ok(&["set-hook", "-g", "after-set-buffer", &say]);
    lab.tmux().ok(&["set-buffer", "-b", "x", "--", TEXT]);
    // A renamed window is told last, whatever the hook did.
    lab.tmux().ok(&["rename-window", "-t", "=user:", "last"]);
    let mut messages = Vec::new();
    loop {
        match control.next().expect("the news comes before the end") {
            Message::Notification(Notification::Message { text }) => messages.push(text),
            Message::Notification(Notification::UnlinkedWindowRenamed { .. }) => break,
            Message::Notification(_) | Message::Reply(_) | Message::Stray(_) => {}
        }
    }
    let expected: &[&[u8]] =
        if lab.version().hooks_can_send_messages() { &[b"two words"] } else { &[] };
    assert_eq!(messages, expected);
}
