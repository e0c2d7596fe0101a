//! The shell in front of a `tmux` that stays on another machine, whichever shell that is.

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};

use daemon::targets::quote::for_printf;
use testkit::process::command;
use testkit::{TestEnv, skipped, wait};

use crate::shells::SHELLS;

/// What it runs.
const GUARD: &str = include_str!("../../src/targets/far/guard.sh");
/// Where the server listens.
const SOCKET: &str = "guarded.sock";

/// A client of that server in control mode, behind the guard.
fn guarded(shell: &[&str], env: &TestEnv) -> Option<Child> {
    let (tmux, socket) = (env.tmux_program(), env.path(SOCKET));
    let mut guard = command(shell[0]);
    guard.args(&shell[1..]).args(["-c", GUARD, "sh"]).arg(&tmux).arg("-S").arg(&socket);
    guard.arg(&tmux).args(["-u", "-N", "-C", "-S"]).arg(&socket).args(["attach", "-t", "there"]);
    guard.env("PATH", std::env::var_os("PATH")?);
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

#[test]
fn every_shell_has_a_text_in_its_buffer_before_what_stands_behind_it() {
    let env = TestEnv::new("/nonexistent/qd");
    let tmux = env.tmux_at(SOCKET);
    tmux.session("there", "exec cat");
    for (nth, shell) in SHELLS.iter().enumerate() {
        let Some(mut child) = guarded(shell, &env) else {
            skipped(&format!("there is no {}", shell[0]));
            continue;
        };
        let mut input = child.stdin.take().unwrap();
        wait::until("it is attached", || {
            (tmux.ok(&["list-clients", "-F", "x"]) == "x").then_some(())
        });
        let text: Vec<u8> = (1..=u8::MAX).collect();
        let saved = env.path(&format!("saved{nth}"));
        let load = format!("#load _qd-{nth} {}", for_printf(&text));
        let save = format!("save-buffer -b _qd-{nth} '{}'", saved.display());
        let note = format!(r"set-option -g @note '{nth} \\ b  '");
        // The last is no whole line, so tmux does not get to see it.
        write!(input, "{load}\n{save}\n{note}\nkill-server").unwrap();
        let noted = || tmux.show("there", "#{@note}") == format!(r"{nth} \\ b  ");
        wait::until("all of it is done", || noted().then_some(()));
        assert_eq!(fs::read(saved).unwrap(), text, "{shell:?}");
        drop(input);
        child.wait().unwrap();
        wait::until("nobody finds the text when its command cannot come any more", || {
            tmux.ok(&["list-buffers"]).is_empty().then_some(())
        });
        wait::until("its client is gone", || tmux.ok(&["list-clients"]).is_empty().then_some(()));
    }
}
