//! How a text gets into a buffer on another machine, whichever shell is there.

use std::io::Write;
use std::process::{Output, Stdio};

use testkit::process::command;
use testkit::{TestEnv, skipped};

use crate::shells::SHELLS;

const LOAD: &str = include_str!("../../src/targets/far/load.sh");
const RELAY: &str = include_str!("../../src/targets/far/relay.sh");

/// Runs a script with these arguments until its input ends; nothing where there is no such shell.
fn fed(shell: &[&str], script: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut run = command(shell[0]);
    run.args(&shell[1..]).args(["-c", script, "sh"]).args(arguments);
    run.env("PATH", std::env::var_os("PATH")?);
    let run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut run) = run else {
        skipped(&format!("there is no {}", shell[0]));
        return None;
    };
    let mut stdin = run.stdin.take().unwrap();
    let input = input.to_owned();
    let feeding = std::thread::spawn(move || stdin.write_all(&input));
    let output = run.wait_with_output().unwrap();
    feeding.join().unwrap().unwrap();
    Some(output)
}

#[test]
fn a_text_is_in_its_buffer_whole_or_not_at_all() {
    let env = TestEnv::new("/nonexistent/qd");
    let tmux = env.tmux_at("there.sock");
    tmux.session("there", "exec cat");
    let (program, socket) = (env.tmux_program(), env.path("there.sock"));
    let (program, socket) = (program.to_str().unwrap(), socket.to_str().unwrap());
    let text: Vec<u8> = (0..100_000_u32).map(|nth| (nth % 256) as u8).collect();
    let length = text.len().to_string();
    for shell in SHELLS {
        let load = |text: &[u8]| fed(shell, LOAD, &[program, "-S", socket, "_qd-1", &length], text);
        let Some(whole) = load(&text) else { continue };
        assert!(whole.status.success(), "{shell:?}: {whole:?}");
        let saved = env.path("saved");
        tmux.ok(&["save-buffer", "-b", "_qd-1", saved.to_str().unwrap()]);
        assert_eq!(std::fs::read(saved).unwrap(), text, "{shell:?}");
        let cut = load(&text[..70_000]).unwrap();
        assert_eq!(String::from_utf8_lossy(&cut.stderr), "the text did not come whole\n");
        assert!(!cut.status.success(), "{shell:?}: {cut:?}");
        assert_eq!(tmux.ok(&["list-buffers"]), "", "{shell:?}");
        let nothing = load(b"").unwrap();
        assert!(!nothing.status.success(), "{shell:?}: {nothing:?}");
    }
    tmux.ok(&["kill-server"]);
    let gone = fed(&["sh"], LOAD, &[program, "-S", socket, "_qd-1", &length], &text[..10]).unwrap();
    let said = String::from_utf8_lossy(&gone.stderr);
    assert!(!gone.status.success() && said.starts_with("no server running"), "{said}");
}

#[test]
fn what_is_passed_on_is_told_piece_by_piece_and_comes_through_as_it_is() {
    let text: Vec<u8> = (0..300_000_u32).map(|nth| (nth % 251) as u8).collect();
    for shell in SHELLS {
        for length in [0, 1, 70_000, 300_000] {
            // What is passed on goes the other way, so that what is told stands alone.
            let script = format!("{RELAY}\nqd_relay | cat >&2 9>&-");
            let Some(relayed) = fed(shell, &script, &["mark"], &text[..length]) else { break };
            assert_eq!(relayed.stderr, text[..length], "{shell:?}");
            let told = String::from_utf8(relayed.stdout).unwrap();
            let pieces = told.lines().map(|line| line.strip_prefix("mark+").unwrap());
            let total: usize = pieces.map(|piece| piece.parse::<usize>().unwrap()).sum();
            assert_eq!(total, length, "{shell:?}: {told}");
        }
    }
}
