//! Approvals of agents on other machines: the hook waits there, and is answered here.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{Signal, process, wait};

use crate::approvals::{self, answer, approve, ask, ends, log, took};
use crate::deck::deck;
use crate::machines::{Way, World, on_every_way};

on_every_way!(
    an_approval_there_is_answered_here_by_the_agents_own_hook,
    f_12_whatever_is_cut_the_agents_own_dialog_remains_and_nothing_is_allowed,
    what_a_hook_there_cannot_fetch_is_taken_back_and_answered_by_keys,
);

const ALLOW: &str = r#"{"hookSpecificOutput":{"decision":{"behavior":"allow"},"hookEventName":"PermissionRequest"}}"#;

/// A world in which an agent runs on the other machine, with hooks.
pub(crate) fn scene(way: Way) -> Option<(World, String)> {
    let (world, pane) = World::new(way, "exec sh")?;
    world.install_hook();
    let line = approvals::agent(&world.env, &world.state().join("hook"));
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    // The first hook makes the spool, by which it is known that there are hooks.
    let other = world.hook("tick", "{}").replace("hook claude", "hook other");
    world.tmux().type_line(&pane, &other);
    world.tmux().type_line(&pane, &line);
    let is_agent = |it: &Value| it["agent_type"] == "claude" && it["current_cmd"] == "claude";
    world.pane_where(&pane, "an agent", is_agent);
    wait::until("somebody reads there", || {
        names(&world).iter().any(|it| it.starts_with("reader-")).then_some(())
    });
    Some((world, pane))
}

/// What lies in the spool there.
fn names(world: &World) -> Vec<String> {
    let folder = fs::read_dir(world.spool().parent().unwrap());
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|it| it.file_name().into_string().unwrap()).collect()
}

/// The process of the hook that waits there.
fn waits(world: &World) -> Option<u32> {
    let names = names(world);
    let door = names.iter().find(|it| it.starts_with("wait-") && !it.contains('.'))?;
    door.rsplit_once('-')?.1.parse().ok()
}

#[track_caller]
pub(crate) fn hooked(world: &World, command: &str) -> Value {
    let waits = |it: &Value| it["request"] == command && it["delivery"] == "reply";
    approvals::waiting(&world.daemon, waits)
}

#[track_caller]
fn until_gone(world: &World) {
    let gone = wait::within(crate::machines::PATIENCE, || waits(world).is_none().then_some(()));
    assert!(gone.is_some(), "a hook still waits: {:?}", names(world));
}

fn an_approval_there_is_answered_here_by_the_agents_own_hook(way: Way) {
    let Some((world, _)) = scene(way) else { return };
    ask(&world.env, 1, "touch made");
    let asked = hooked(&world, "touch made");
    assert_eq!(asked["agent_type"], "claude");
    let given = answer(&world.daemon, &asked, "r1", &approve()).expect(200);
    assert_eq!(given["result_code"], "completed", "{given:#}");
    assert_eq!(given["action"]["proof"], "reply");
    assert_eq!(took(&world.env, 1), [format!("1 reply:{ALLOW}")]);
    assert_eq!(ends(&world.daemon, &asked, "answered")["outcome"], "approve");
    ask(&world.env, 2, "rm -rf build");
    let asked = hooked(&world, "rm -rf build");
    let word = "keep \"build\" \\ 'it' $HOME `id` %s 日本\nand  say why ";
    let no = json!({ "choice": "deny", "message": word });
    answer(&world.daemon, &asked, "r2", &no).expect(200);
    let said = took(&world.env, 2).remove(1);
    let reply: Value = serde_json::from_str(said.strip_prefix("2 reply:").unwrap()).unwrap();
    assert_eq!(reply["hookSpecificOutput"]["decision"]["message"], word);
    assert_eq!(ends(&world.daemon, &asked, "answered")["outcome"], "deny");
    let left: Vec<String> = names(&world);
    assert!(!left.iter().any(|it| it.starts_with("wait-")), "nothing is left: {left:?}");
}

fn f_12_whatever_is_cut_the_agents_own_dialog_remains_and_nothing_is_allowed(way: Way) {
    let Some((world, pane)) = scene(way) else { return };
    let press = || drop(world.tmux().ok(&["send-keys", "-t", &pane, "1"]));
    let said = || fs::read_to_string(world.env.path("home/reply.1")).unwrap();
    // Cut while it waits, and found again.
    ask(&world.env, 1, "touch one");
    let asked = hooked(&world, "touch one");
    world.cut();
    world.health_is("ok");
    let again = hooked(&world, "touch one");
    assert_eq!(asked["approval_id"], again["approval_id"]);
    // Nothing comes over any more: the hook goes, and what is sent meanwhile comes too late.
    world.freeze();
    let given = answer(&world.daemon, &asked, "r1", &approve());
    assert_ne!(given.json()["result_code"], "completed", "{:#}", given.json());
    until_gone(&world);
    world.thaw();
    world.health_is("ok");
    assert!(said().is_empty() && log(&world.env).is_empty(), "nobody was answered");
    assert_eq!(ends(&world.daemon, &asked, "waiting")["delivery"], "keys");
    press();
    assert_eq!(took(&world.env, 1), ["1 key:31"]);
    ends(&world.daemon, &asked, "answered_in_terminal");
    assert_eq!(said(), "");
}

fn what_a_hook_there_cannot_fetch_is_taken_back_and_answered_by_keys(way: Way) {
    let Some((world, _)) = scene(way) else { return };
    ask(&world.env, 1, "touch one");
    let asked = hooked(&world, "touch one");
    let hook = waits(&world).unwrap();
    process::signal(hook, Signal::STOP);
    let given = answer(&world.daemon, &asked, "r1", &approve()).expect(200);
    assert_eq!(given["result_code"], "completed", "{given:#}");
    assert_eq!(took(&world.env, 1), ["1 key:31"]);
    process::signal(hook, Signal::CONT);
    until_gone(&world);
    assert_eq!(fs::read(world.env.path("home/reply.1")).unwrap(), b"");
    let left = names(&world);
    assert!(!left.iter().any(|it| it.ends_with(".answer")), "it was taken back: {left:?}");
}

/// A hook of Claude's about a permission, run by this shell beside a spool.
struct Hook {
    child: std::process::Child,
    spool: PathBuf,
}

impl Hook {
    fn begin(env: &testkit::TestEnv, shell: &[&str]) -> Self {
        let file = env.path("hook");
        fs::write(&file, agents::setup::HOOK).unwrap();
        let mut command = env.command(env.path("bin").join(shell[0]));
        command.args(&shell[1..]).arg(file).args(["hook", "claude", "PermissionRequest"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"{}").unwrap();
        Self { child, spool: env.path("spool") }
    }

    /// Its door, once it is there and the record that tells of it.
    fn door(&self) -> PathBuf {
        let pid = self.child.id();
        wait::until("it waits", || {
            let text = fs::read_to_string(self.spool.join("hooks.spool")).ok()?;
            let record = text.lines().find(|line| line.contains(&format!("\twaits={pid}\t")))?;
            let id = record.split('\t').find_map(|field| field.strip_prefix("id="))?;
            Some(self.spool.join(format!("wait-{id}-{pid}")))
        })
    }

    /// What it printed.
    fn ends(mut self) -> String {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        said
    }
}

#[test]
fn in_every_shell_a_hook_waits_only_where_somebody_reads_and_prints_what_is_laid_at_its_door() {
    let shells: [&[&str]; 4] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];
    let mut silent = Vec::new();
    for shell in shells {
        let env = deck();
        for program in ["busybox", "dash", "find", "mv", "od", "rm", "sed", "tr", "wc"] {
            env.reinstall(program);
        }
        if !env.path("bin").join(shell[0]).exists() {
            continue;
        }
        let spool = env.path("spool");
        fs::create_dir(&spool).unwrap();
        // Whoever read there is gone, and so is a hook that was killed.
        let dead = process::command("/bin/true").spawn().map(|mut it| (it.id(), it.wait()));
        let dead = dead.unwrap().0;
        let left = [spool.join(format!("reader-{dead}")), spool.join(format!("wait-1a-{dead}"))];
        left.iter().for_each(|file| fs::write(file, "").unwrap());
        assert_eq!(Hook::begin(&env, shell).ends(), "", "{shell:?}");
        let text = fs::read_to_string(spool.join("hooks.spool")).unwrap();
        assert!(!text.contains("waits=") && !left.iter().any(|it| it.exists()), "{text}");
        fs::write(spool.join(format!("reader-{}", std::process::id())), "").unwrap();
        let hook = Hook::begin(&env, shell);
        let door = hook.door();
        let file = |more: &str| PathBuf::from(format!("{}.{more}", door.display()));
        fs::write(file("answer"), "{\"yes\": \"%s\\n\"}\n").unwrap();
        let mut bell = fs::OpenOptions::new().write(true).open(&door).unwrap();
        bell.write_all(b"look\n").unwrap();
        assert_eq!(hook.ends(), "{\"yes\": \"%s\\n\"}\n", "{shell:?}");
        assert!(!door.exists() && !file("answer").exists() && !file("said").exists());
        // Somebody says that none will come.
        let let_go = Hook::begin(&env, shell);
        let door = let_go.door();
        fs::write(format!("{}.said", door.display()), "end\n").unwrap();
        fs::OpenOptions::new().write(true).open(&door).unwrap().write_all(b"look\n").unwrap();
        assert_eq!(let_go.ends(), "", "{shell:?}");
        silent.push((Hook::begin(&env, shell), env));
    }
    // To the last of each nobody says a word.
    for (hook, _env) in silent {
        assert_eq!(hook.ends(), "");
    }
}
