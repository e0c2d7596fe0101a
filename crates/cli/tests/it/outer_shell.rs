//! `./x` on machines that lack something, with an apt-get and a cargo that only write down what
//! they are asked.

use testkit::{Output, TestEnv};

use crate::deck::deck;

const X: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../x");

/// A machine with a C compiler, tmux and what the tests need; each test takes something away.
fn machine() -> TestEnv {
    let env = deck();
    for program in ["dirname", "sed", "uname", "getconf", "date", "grep", "env", "cp"] {
        env.reinstall(program);
    }
    env.script("id", "echo 0");
    env.script("cc", "echo /dev/null");
    env.script("apt-get", "echo \"apt-get $*\" >&2");
    // Cargo answers a build with the one message that names the binary.
    env.script(
        "cargo",
        "echo \"cargo $*\" >&2\n\
         case $* in *rustc*) echo '{\"executable\":\"'$HOME/built'\"}' ;; *nextest*) exit 1 ;; esac",
    );
    std::fs::write(env.path("home/built"), "#!/bin/sh\necho \"qd $*\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(env.path("home/built"), mode).unwrap();
    env
}

fn x(env: &TestEnv, arguments: &[&str]) -> Output {
    env.run_program(X, arguments)
}

#[test]
fn nothing_is_installed_where_nothing_is_missing() {
    let env = machine();
    let ran = x(&env, &["run", "--all"]);
    assert!(!ran.stderr.contains("apt-get"), "{ran:?}");
    assert_eq!(ran.success(), "qd --all\n");
}

#[test]
fn what_is_missing_is_installed_and_no_more() {
    let env = machine();
    env.uninstall("tmux");
    let ran = x(&env, &["run"]);
    let installs: Vec<_> = ran.stderr.lines().filter(|it| it.contains("apt-get install")).collect();
    assert_eq!(installs.len(), 1, "{ran:?}");
    assert!(installs[0].ends_with(" tmux"), "{ran:?}");
    env.uninstall("strace");
    let tested = x(&env, &["test"]);
    assert!(tested.stderr.contains(" tmux strace\n"), "{tested:?}");
    assert!(tested.stderr.contains("cargo test --workspace --locked\n"), "{tested:?}");
}

#[test]
fn without_root_and_sudo_it_says_what_to_install_and_stops() {
    let env = machine();
    env.uninstall("tmux");
    env.script("id", "echo 1000");
    let said = x(&env, &["run"]).fails_with(1);
    assert!(said.contains("tmux") && !said.contains("cargo "), "{said}");
    env.script("sudo", "shift; exec \"$@\"");
    let ran = x(&env, &["run"]);
    assert!(ran.stderr.contains("apt-get install"), "{ran:?}");
}

#[test]
fn without_apt_it_says_what_to_install_and_stops() {
    let env = machine();
    env.uninstall("tmux");
    env.uninstall("apt-get");
    let said = x(&env, &["run"]).fails_with(1);
    assert!(said.contains("tmux"), "{said}");
}

#[test]
fn the_path_of_the_built_binary_is_the_last_line_and_static_where_that_works() {
    let env = machine();
    let built = x(&env, &["build"]);
    assert!(built.stderr.contains("+crt-static"), "{built:?}");
    assert_eq!(built.success(), format!("{}\n", env.path("home/built").display()));
    env.script("cc", "echo libc.a");
    env.uninstall("apt-get");
    let built = x(&env, &["build"]);
    assert!(!built.stderr.contains("crt-static"), "{built:?}");
    assert!(built.stderr.contains("dynamically"), "{built:?}");
    built.success();
}

#[test]
fn a_failed_install_and_an_unknown_verb_are_failures() {
    let env = machine();
    env.uninstall("tmux");
    env.script("apt-get", "exit 100");
    let said = x(&env, &["run"]).fails_with(1);
    assert!(said.contains("by hand"), "{said}");
    let said = x(&env, &["fly"]).fails_with(2);
    assert!(said.contains("usage"), "{said}");
}

#[test]
fn every_check_runs_though_an_earlier_one_failed() {
    let env = machine();
    env.script(
        "cargo",
        "echo \"cargo $*\" >&2; case $* in 'fmt --all --check' | *tidy*) exit 1 ;; esac",
    );
    let said = x(&env, &["check"]).fails_with(1);
    assert!(said.contains("cargo doc"), "{said}");
    assert!(said.ends_with("x: failed: fmt tidy\n"), "{said}");
}

#[test]
fn figures_are_those_of_the_shipping_binary() {
    let env = machine();
    env.script(
        "cargo",
        "echo \"QD_BIN=$QD_BIN cargo $*\" >&2\n\
         case $* in *rustc*) echo '{\"executable\":\"'$HOME/built'\"}' ;; esac",
    );
    let said = x(&env, &["bench", "idle"]).stderr;
    let built = env.path("home/built").display().to_string();
    let measured = said.lines().find(|it| it.contains("--package bench")).unwrap();
    assert!(measured.starts_with(&format!("QD_BIN={built} ")), "{said}");
    assert!(measured.ends_with(" -- idle"), "{said}");
}
