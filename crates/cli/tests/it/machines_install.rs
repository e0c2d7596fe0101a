//! A `qd` that is copied to another machine: hooks there run it, and go on without it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use agents::record::Record;
use agents::setup::line::HookLine;
use serde_json::Value;
use testkit::Output;

use crate::approvals;
use crate::deck;
use crate::from_agents::tries;
use crate::machines::{Way, World, on_every_way};
use crate::machines_answers;

on_every_way!(
    hooks_there_run_a_copy_that_was_installed_and_their_script_where_it_is_missing_or_damaged,
    a_copy_is_replaced_while_hooks_run_and_each_is_heard_once,
    what_cannot_be_installed_there_is_refused_by_name_and_nothing_is_left,
    questions_there_are_asked_by_the_script_also_where_a_copy_is,
);

const PAYLOAD: &str = r#"{"session_id":"s-1","prompt":"100% 'go'\ton"}"#;

/// A world in which hooks of Claude's are set up there.
fn set_up(way: Way, program: &str) -> Option<(World, String)> {
    let (world, pane) = World::new(way, program)?;
    world.furnish();
    world.env.reinstall("uname");
    fs::create_dir(world.env.path("home/.claude")).unwrap();
    world.env.qd(&["setup", "claude", "--target", "far", "--yes"]).success();
    Some((world, pane))
}

/// Runs the command.
fn install(world: &World, words: &[&str]) -> Output {
    world.env.qd(&[&["target", "install", "far"], words].concat())
}

/// What has the tests' own program copied: a debug build, perhaps with shared libraries, which is
/// refused if nobody says so. The one that ships needs no such word.
fn taken() -> &'static [&'static str] {
    match is_as_built() {
        true => &["--yes", "--json", "--even-so"],
        false => &["--yes", "--json"],
    }
}

/// Whether the program is the one that cargo built for the tests.
fn is_as_built() -> bool {
    std::env::var_os("QD_BIN").is_none()
}

fn copy_of(world: &World) -> PathBuf {
    world.state().join(format!("qd-{}", std::env::consts::ARCH))
}

/// What lies in the state folder there.
fn names(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.state()).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The records there, as they were written: the script has only hexadecimal for a payload.
fn records(world: &World) -> Vec<(Record, bool)> {
    let text = fs::read_to_string(world.spool()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty());
    let read = |line: &str| (Record::parse(line.as_bytes()).unwrap(), line.contains("\ttext="));
    lines.map(read).collect()
}

/// Runs the line of a hook as an agent does; gives its record, and whether the copy wrote it.
#[track_caller]
fn fire(world: &World) -> (Record, bool) {
    let before = records(world).len();
    let hook = world.state().join("hook");
    let line = HookLine::new(hook.to_str().unwrap(), "claude", "UserPromptSubmit").render();
    fs::write(world.env.path("payload"), PAYLOAD).unwrap();
    let line = format!("exec {line} <{}", world.env.path("payload").display());
    let folder = world.env.path("home/work");
    fs::create_dir_all(&folder).unwrap();
    let mut command = world.env.command(world.env.path("bin/sh"));
    let run = command.args(["-c", &line]).current_dir(&folder).output().unwrap();
    assert!(run.status.success() && run.stdout.is_empty() && run.stderr.is_empty(), "{run:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing is left where it ran");
    let mut all = records(world);
    assert_eq!(all.len(), before + 1, "one record");
    all.pop().unwrap()
}

fn program(world: &World) -> (Value, String) {
    let told = world.env.qd(&["target", "test", "far", "--json"]).json();
    let checks = told["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["check"] == "program").unwrap();
    (check["verdict"].clone(), check["message"].as_str().unwrap().to_owned())
}

fn hooks_there_run_a_copy_that_was_installed_and_their_script_where_it_is_missing_or_damaged(
    way: Way,
) {
    let Some((world, pane)) = set_up(way, "exec sh") else { return };
    let by_script = fire(&world);
    assert!(!by_script.1);
    assert!(program(&world).1.contains("no qd was copied"), "{:?}", program(&world));
    let copy = copy_of(&world);
    let shown = install(&world, &["--even-so", "--dry-run"]).success();
    assert!(shown.contains("Copy qd ") && shown.contains(copy.to_str().unwrap()), "{shown}");
    assert_eq!(install(&world, &["--even-so"]).code(), Some(2), "nobody is there to agree");
    assert!(!copy.exists());
    let done = install(&world, taken()).json();
    assert_eq!((&done["outcome"], &done["before"]), (&"changed".into(), &Value::Null), "{done:#}");
    assert_eq!(done["path"], copy.to_str().unwrap());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read(&copy).unwrap(), fs::read(world.env.qd_program()).unwrap());
    assert_eq!(install(&world, taken()).json()["outcome"], "nothing_to_do");
    let (verdict, said) = program(&world);
    assert!(verdict == "ok" && said.contains(", this one"), "{said}");
    let doctor = world.env.qd(&["doctor"]).stdout;
    assert!(doctor.contains("hooks of claude are set up there, with a copy of qd"), "{doctor}");
    let by_copy = fire(&world);
    assert!(by_copy.1, "the copy wrote it");
    let same = |it: &Record| {
        // The first of all, above everything, says nothing.
        let chain: Vec<u32> = it.chain.iter().map(|it| it.pid).filter(|it| *it > 1).collect();
        (it.agent.clone(), it.event.clone(), it.payload.clone(), it.cwd.clone(), chain)
    };
    assert_eq!(same(&by_copy.0), same(&by_script.0));
    assert_eq!(by_copy.0.chain.first().map(|it| it.pid), Some(std::process::id()));
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    world.tmux().type_line(&pane, &world.hook("needs-approval", "{}"));
    let item = world.pane_where(&pane, "waiting", |it| it["state"] == "waiting_approval");
    assert_eq!((&item["state_source"], &item["agent_type"]), (&"hook".into(), &"claude".into()));
    assert!(records(&world).pop().unwrap().1, "heard by the copy");
    falls_back(&world);
    fs::remove_file(&copy).unwrap();
    assert!(!fire(&world).1);
    install(&world, taken()).success();
    assert!(fire(&world).1);
    assert_eq!(install(&world, &["--undo", "--yes", "--json"]).json()["outcome"], "changed");
    assert!(!copy.exists() && !fire(&world).1);
    assert_eq!(install(&world, &["--undo", "--yes", "--json"]).json()["outcome"], "nothing_to_do");
    assert_eq!(names(&world), ["hook", "spool"]);
    let doctor = world.env.qd(&["doctor"]).stdout;
    assert!(!doctor.contains("copy of qd"), "{doctor}");
}

/// Whatever became of the copy, the script writes the record, and nothing else happens.
#[track_caller]
fn falls_back(world: &World) {
    let (copy, whole) = (copy_of(world), fs::read(world.env.qd_program()).unwrap());
    let put = |bytes: &[u8], mode: u32| {
        fs::remove_file(&copy).unwrap();
        fs::write(&copy, bytes).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
    };
    let other_machine = patched(&whole, 18, &[if whole[18] == 62 { 183 } else { 62 }]);
    for (what, bytes, mode) in [
        ("not executable", &whole[..], 0o600),
        ("empty", b"", 0o700),
        ("cut", &whole[..1 << 20], 0o700),
        ("cut in its head", &whole[..100], 0o700),
        ("another text", b"echo evil\ntouch evil\n", 0o700),
        ("for another machine", &other_machine, 0o700),
        ("without a beginning", &patched(&whole, 24, &[0; 8]), 0o700),
    ] {
        put(bytes, mode);
        let (record, by_copy) = fire(world);
        assert!(!by_copy, "{what}");
        assert_eq!(record.payload, agents::record::Payload::Whole(PAYLOAD.into()), "{what}");
        assert_eq!(
            fs::read_dir(world.spool().parent().unwrap())
                .unwrap()
                .filter(|it| {
                    let name = it.as_ref().unwrap().file_name();
                    !name.to_string_lossy().starts_with("reader-")
                })
                .count(),
            1,
            "{what}: nothing but records lies there"
        );
    }
    let (verdict, said) = program(world);
    assert!(verdict == "note" && said.contains("does not run"), "{said}");
    let done = install(world, taken()).json();
    assert_eq!((&done["outcome"], &done["before"]), (&"changed".into(), &"".into()), "{done:#}");
    assert!(fire(world).1, "and is mended by installing it again");
}

/// A file with other bytes at one place.
fn patched(whole: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut other = whole.to_vec();
    other[at..at + bytes.len()].copy_from_slice(bytes);
    other
}

/// Another program for the command, by its name in the home.
fn other(world: &World, name: &str, bytes: &[u8]) -> String {
    let path = world.env.path("home").join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.display().to_string()
}

fn a_copy_is_replaced_while_hooks_run_and_each_is_heard_once(way: Way) {
    const HOOKS: usize = 40;
    let Some((world, pane)) = set_up(way, "exec sh") else { return };
    install(&world, taken()).success();
    let whole = fs::read(world.env.qd_program()).unwrap();
    let newer = other(&world, "newer", &[&whole, &b"\n"[..]].concat());
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    let each = world.hook("tick", "{}");
    let burst = format!("n=0; while [ $n -lt {HOOKS} ]; do {each}; n=$((n + 1)); done");
    world.tmux().type_line(&pane, &burst);
    let done = install(&world, &["--program", &newer, "--even-so", "--yes", "--json"]).json();
    assert_eq!(done["before"], done["version"], "{done:#}");
    assert!(program(&world).1.contains("another build"), "{:?}", program(&world));
    world.until_taken(HOOKS);
    let all = records(&world);
    assert_eq!(all.len(), HOOKS);
    assert!(all.iter().all(|(_, by_copy)| *by_copy), "it was there at each moment");
    let removed = world.env.qd(&["target", "remove", "far", "--yes"]);
    let left = "qd setup --target far --undo; qd target install far --undo";
    assert!(removed.stderr.contains(left), "{removed:?}");
    let doctor = world.env.qd(&["doctor"]).stdout;
    assert!(doctor.contains("with a copy of qd, and that is no target any more"), "{doctor}");
}

fn what_cannot_be_installed_there_is_refused_by_name_and_nothing_is_left(way: Way) {
    let Some((world, _)) = World::new(way, "exec cat") else { return };
    let refused = |words: &[&str], code: &str| {
        let output = install(&world, &[words, &["--yes", "--json"]].concat());
        let told: Value = serde_json::from_str(&output.stderr).unwrap();
        assert_eq!(told["error"]["code"], code, "{words:?}: {told:#}");
        assert_ne!(told["error"]["hint"], "", "{told:#}");
        if world.state().exists() {
            let left = names(&world);
            assert!(!left.iter().any(|it| it.contains("qd-")), "{words:?}: {left:?}");
        }
        told["error"]["message"].as_str().unwrap().to_owned()
    };
    let (unfit, precondition) = ("E_PROGRAM_UNFIT", "E_PRECONDITION_FAILED");
    world.furnish();
    world.env.reinstall("uname");
    let said = refused(&["--even-so"], precondition);
    assert!(said.contains("no hooks are set up"), "{said}");
    fs::create_dir(world.env.path("home/.claude")).unwrap();
    world.env.qd(&["setup", "claude", "--target", "far", "--yes"]).success();
    let whole = fs::read(world.env.qd_program()).unwrap();
    // The program of the tests, as cargo built it.
    if is_as_built() {
        refused(&[], unfit);
    }
    let there = if whole[18] == 62 { 183 } else { 62 };
    let elsewhere = other(&world, "elsewhere", &patched(&whole, 18, &[there]));
    let said = refused(&["--program", &elsewhere, "--even-so"], unfit);
    assert!(said.contains("far is Linux on ") && said.contains("is for Linux on "), "{said}");
    let script = other(&world, "script", b"#!/bin/sh\necho qd 1\n");
    refused(&["--program", &script, "--even-so"], unfit);
    let foreign = other(&world, "foreign", &fs::read("/bin/sh").unwrap());
    let said = refused(&["--program", &foreign, "--even-so"], unfit);
    assert!(said.contains("is no qd"), "{said}");
    refused(&["--program", "/nowhere/qd", "--even-so"], "E_BAD_REQUEST");
    let broken = other(&world, "broken", &patched(&whole, 24, &[0; 8]));
    let said = refused(&["--program", &broken, "--even-so"], unfit);
    assert!(said.contains("does not run there"), "{said}");
    if way == Way::Command {
        full_or_cut(&world, &refused);
    }
    let hook = world.state().join("hook");
    let text = fs::read_to_string(&hook).unwrap();
    fs::write(&hook, text.replace("# docs/", "# doc/")).unwrap();
    let said = refused(&["--even-so"], precondition);
    assert!(said.contains("not that of this version"), "{said}");
    fs::write(&hook, text).unwrap();
    world.health_is("ok");
    world.freeze();
    world.health_is("down");
    let said = refused(&["--even-so"], "E_TARGET_UNREACHABLE");
    assert!(said.contains("is down"), "{said}");
    world.thaw();
    world.env.qd(&["target", "disconnect", "far"]).success();
    refused(&["--even-so"], "E_TARGET_DISCONNECTED");
    let here = world.env.qd(&["target", "install", "local", "--yes"]);
    assert!(here.stderr.contains("is on this machine"), "{here:?}");
    let nobody = world.env.qd(&["target", "install", "nobody", "--yes"]);
    assert!(nobody.stderr.contains("E_TARGET_NOT_FOUND"), "{nobody:?}");
}

/// What happens on the way, or there, while it is copied.
fn full_or_cut(world: &World, refused: &dyn Fn(&[&str], &str) -> String) {
    let led = |before: &str| world.env.script("reach", &format!("{before}\nexec \"$@\""));
    world.env.script("df", "echo titles; echo /dev/x 100 90 10 90% /");
    let said = refused(&["--even-so"], "E_PRECONDITION_FAILED");
    assert!(said.contains("no room") && said.contains("10 KiB are left"), "{said}");
    world.env.uninstall("df");
    // No file may grow to more than that.
    led("ulimit -f 100");
    let said = refused(&["--even-so"], "E_PRECONDITION_FAILED");
    assert!(said.contains("cannot be written"), "{said}");
    led("case $* in *'Puts the program'*) head -c 1000000 | \"$@\"; exit ;; esac");
    let said = refused(&["--even-so"], "E_INTERRUPTED");
    assert!(said.contains("not what was sent"), "{said}");
    // Nothing there can tell a hash but the copy itself.
    led("");
    install(world, taken()).success();
    assert_eq!(install(world, taken()).json()["outcome"], "nothing_to_do");
    install(world, &["--undo", "--yes"]).success();
    world.env.reinstall("sha256sum");
}

fn questions_there_are_asked_by_the_script_also_where_a_copy_is(way: Way) {
    let Some((world, _)) = machines_answers::scene(way) else { return };
    world.env.reinstall("uname");
    install(&world, taken()).success();
    approvals::ask(&world.env, 1, "touch made");
    let asked = machines_answers::hooked(&world, "touch made");
    let given = approvals::answer(&world.daemon, &asked, "r1", &approvals::approve()).expect(200);
    assert_eq!(given["result_code"], "completed", "{given:#}");
    assert_eq!(given["action"]["proof"], "reply");
    let told = approvals::took(&world.env, 1);
    assert!(told[0].starts_with("1 reply:"), "{told:?}");
    let all = records(&world);
    let (question, by_copy) = all.iter().find(|(it, _)| it.event == "PermissionRequest").unwrap();
    assert!(!by_copy && question.waits.is_some(), "{all:?}");
}

#[test]
fn in_every_shell_a_copy_is_run_once_and_its_script_takes_over_where_it_does_not_begin() {
    let shells: [&[&str]; 4] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];
    for shell in shells {
        let env = deck::deck();
        for program in ["busybox", "dash", "mv", "od", "rm", "sed", "tr", "uname", "wc"] {
            env.reinstall(program);
        }
        if !env.path("bin").join(shell[0]).exists() {
            continue;
        }
        let (script, spool) = (env.path("hook"), env.path("spool/hooks.spool"));
        fs::write(&script, agents::setup::HOOK).unwrap();
        let copy = env.path(&format!("qd-{}", std::env::consts::ARCH));
        fs::copy(env.qd_program(), &copy).unwrap();
        fs::write(env.path("qd-other"), "echo evil\n").unwrap();
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(env.path("qd-other"), mode).unwrap();
        let run = |event: &str| {
            let words = [shell[1..].to_vec(), vec![script.to_str().unwrap(), "hook"]].concat();
            let words = [words, vec!["codex", event, "{\"a b\": \"'%\"}"]].concat();
            let output = env.run_program(env.path("bin").join(shell[0]), &words);
            assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{shell:?}");
            assert_eq!(output.code(), Some(0), "{shell:?}");
            let text = fs::read_to_string(&spool).unwrap();
            let mut lines: Vec<&str> = text.lines().filter(|it| !it.is_empty()).collect();
            let last = lines.pop().unwrap().to_owned();
            (lines.len() + 1, last.contains("\ttext="), Record::parse(last.as_bytes()).unwrap())
        };
        let whole = agents::record::Payload::Whole(b"{\"a b\": \"'%\"}".to_vec());
        let (count, by_copy, record) = run("notify");
        assert_eq!((count, by_copy, &record.payload), (1, true, &whole), "{shell:?}");
        let above = record.chain.first().map(|it| it.pid);
        assert_eq!(above, Some(std::process::id()), "{shell:?}: without the script's shell");
        let (count, by_copy, _) = run("PermissionRequest");
        assert_eq!((count, by_copy), (2, false), "{shell:?}: what may be answered is the script's");
        fs::write(&copy, "#").unwrap();
        let (count, by_copy, record) = run("notify");
        assert_eq!((count, by_copy, &record.payload), (3, false, &whole), "{shell:?}");
        // Whoever is out of memory kills the one and not the other.
        fs::write(&copy, "#!/bin/sh\nkill -9 $$\n").unwrap();
        let (count, by_copy, record) = run("notify");
        assert_eq!((count, by_copy, &record.payload), (4, false, &whole), "{shell:?}");
    }
}

#[test]
fn no_agent_and_no_token_installs_anything_on_another_machine() {
    let env = deck::deck();
    let address = crate::tcp::address();
    env.configure(&format!("[api]\nlisten = \"{address}\"\n"));
    let Some((world, _)) = World::led(Way::Command, "exec cat", env, "") else { return };
    world.env.tmux().session("work", "exec cat");
    fs::copy("/bin/bash", world.env.path("bin/claude")).unwrap();
    let token = world.env.qd(&["token", "create", "t", "--scope", "admin"]).success();
    let qd = world.env.qd_program().display();
    let ways = [
        format!("{qd} target install far --even-so --yes"),
        format!("{qd} target install far --undo --yes"),
    ];
    let (said, _) = tries(&world.env, &world.daemon, &ways);
    assert!(said.iter().all(|it| it.contains("E_FORBIDDEN")), "{said:?}");
    let variables = [format!("QD_URL=http://{address}"), format!("QD_TOKEN={}", token.trim())];
    let words = ["target", "install", "far", "--even-so", "--yes"];
    let over_tcp = world.env.run_program(
        "env",
        &[&variables.each_ref().map(String::as_str)[..], &[&qd.to_string()], &words].concat(),
    );
    assert!(over_tcp.stderr.contains("E_FORBIDDEN"), "{over_tcp:?}");
    let history = world.env.qd(&["history"]).success();
    assert!(history.contains("E_FORBIDDEN: holdTarget"), "{history}");
    assert!(!world.state().exists());
}
