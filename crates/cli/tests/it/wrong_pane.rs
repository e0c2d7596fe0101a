//! The wrong-pane machine: while panes are respawned, killed, moved, renamed and whole tmux servers
//! crash and give the same ids again, no byte reaches another process than the one that was seen.
//!
//! Every process in every pane writes down what is typed into it, in a file named after its pane's
//! pid and its own name. Each send types a text of its own, and now and then a kill presses its key
//! instead. In the end every text stands in the file of exactly the process that the answer's snapshot
//! names, or nowhere, and no pane got more of the key than it was aimed at.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Http, Signal, TestEnv, process, wait};

use crate::deck::{self, deck};

const SENDS: u32 = 2_000;
const SENDERS: u32 = 4;
const PANES: usize = 8;

/// What lives in a pane. `$1` is the folder of the logs, `$2` the kind.
const PROGRAM: &str = r#"stty raw -echo
if [ "$2" = plain ]; then exec cat > "$1/$$-cat"; fi
set -m
while :; do
  stty raw -echo
  scribe >> "$1/$$-scribe"
  stty raw -echo
  cat >> "$1/$$-cat"
done
"#;

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

/// The key that interrupts, as a terminal without signals hands it on.
const INTERRUPT: u8 = 3;
/// Of so many acts one is a kill.
const KILLS_EVERY: u32 = 8;

/// What became of one send or kill.
#[derive(Debug)]
struct Sent {
    /// What was typed; none for a kill.
    text: Option<String>,
    code: String,
    /// The file of the process that the snapshot names; none where there was no snapshot.
    file: Option<String>,
}

struct Machine<'a> {
    env: &'a TestEnv,
    over: AtomicBool,
    next: AtomicU32,
    restarts: AtomicU32,
    shocks: AtomicU64,
    sent: Mutex<Vec<Sent>>,
}

impl Machine<'_> {
    fn program(&self, plain: bool) -> String {
        let kind = if plain { "plain" } else { "shell" };
        let script = self.env.path("home/program.sh");
        format!("exec bash {} {} {kind}", script.display(), self.env.path("logs").display())
    }

    /// One disturbance; tmux may refuse it, and nobody minds.
    fn shock(&self, dice: &mut Dice) {
        let tmux = self.env.tmux();
        let listed =
            tmux.run(&["list-panes", "-a", "-F", "#{pane_id} #{pane_pid} #{session_name}"]);
        let panes: Vec<Vec<String>> = listed
            .stdout
            .lines()
            .map(|line| line.split(' ').map(str::to_owned).collect())
            .filter(|it: &Vec<String>| it.len() == 3 && !it[2].starts_with('_'))
            .collect();
        self.shocks.fetch_add(1, Ordering::Relaxed);
        if panes.len() < PANES {
            let program = self.program(dice.below(2) == 0);
            drop(tmux.run(&[
                "new-session",
                "-d",
                "-s",
                &format!("s{}", dice.below(1 << 40)),
                &program,
            ]));
            return;
        }
        let pick = |dice: &mut Dice| panes[dice.below(panes.len() as u64) as usize].clone();
        let (one, other) = (pick(dice), pick(dice));
        let plain = dice.below(2) == 0;
        let tmux = |arguments: &[&str]| drop(tmux.run(arguments));
        match dice.below(24) {
            0..=5 => tmux(&["respawn-pane", "-k", "-t", &one[0], &self.program(plain)]),
            6 | 7 => tmux(&["swap-pane", "-d", "-s", &one[0], "-t", &other[0]]),
            8 => tmux(&["join-pane", "-d", "-s", &one[0], "-t", &other[0]]),
            9 => tmux(&["break-pane", "-d", "-s", &one[0]]),
            10 => tmux(&["rename-session", "-t", &one[2], &format!("r{}", dice.below(99))]),
            11 | 12 => tmux(&["copy-mode", "-t", &one[0]]),
            13 | 14 => tmux(&["send-keys", "-t", &one[0], "-X", "cancel"]),
            15 => tmux(&["kill-pane", "-t", &one[0]]),
            16..=22 => {
                // The program in the foreground ends and leaves the pane to its shell.
                let pid: u32 = one[1].parse().unwrap();
                let path = format!("/proc/{pid}/task/{pid}/children");
                let children = fs::read_to_string(path).unwrap_or_default();
                if let Some(child) = children.split_whitespace().next() {
                    process::signal(child.parse().unwrap(), Signal::KILL);
                }
            }
            _ if dice.below(6) == 0 => {
                tmux(&["kill-server"]);
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn disturb(&self, seed: u64) {
        let mut dice = Dice(seed);
        while !self.over.load(Ordering::Acquire) {
            self.shock(&mut dice);
            std::thread::sleep(Duration::from_millis(dice.below(25)));
        }
    }

    fn send(&self, api: &Http, seed: u64) {
        let mut dice = Dice(seed);
        loop {
            let panes = deck::items(api, "/v1/panes");
            let alive: Vec<&Value> =
                panes.iter().filter(|it| it["runtime_id"].is_string()).collect();
            if alive.is_empty() {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            // A moment passes between looking and acting, as with people.
            std::thread::sleep(Duration::from_millis(dice.below(12)));
            for _ in 0..3 {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                if number >= SENDS {
                    return;
                }
                let pane = alive[dice.below(alive.len() as u64) as usize];
                self.send_to(api, number, pane, dice.below(2) == 0);
            }
        }
    }

    fn send_to(&self, api: &Http, number: u32, pane: &Value, enter: bool) {
        let text = (!number.is_multiple_of(KILLS_EVERY)).then(|| format!("<{number:06}>"));
        let runtime = pane["runtime_id"].as_str().unwrap();
        let mut body =
            json!({ "request_ref": format!("r{number}"), "ref": format!("runtime:{runtime}") });
        let kind = match &text {
            Some(text) => {
                (body["text"], body["enter"]) = (text.as_str().into(), enter.into());
                "send"
            }
            None => "kill",
        };
        let reply = api.post(&format!("/v1/actions/{kind}"), &body);
        let answer = reply.json();
        let (code, id) = if reply.status == 200 {
            (answer["result_code"].clone(), answer["action_id"].clone())
        } else {
            let details = &answer["error"]["details"];
            (details["result_code"].clone(), details["action_id"].clone())
        };
        let file = id.as_str().map(|id| {
            let told = api.get(&format!("/v1/actions/{id}")).expect(200);
            let seen = &told["action"]["snapshot"];
            assert_eq!(told["action"]["runtime_id"], runtime);
            format!("{}-{}", seen["pane_pid"], seen["current_cmd"].as_str().unwrap())
        });
        let code = code.as_str().unwrap_or("refused without an action").to_owned();
        self.sent.lock().unwrap().push(Sent { text, code, file });
    }
}

/// What was read by whom.
#[derive(Default)]
struct Logged {
    /// Which files hold which text.
    texts: BTreeMap<String, Vec<String>>,
    /// How often the pane of a pid got the key.
    interrupts: BTreeMap<String, u32>,
}

fn logged(folder: &Path) -> Logged {
    let mut found = Logged::default();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        let mut rest = bytes.as_slice();
        while let [first, tail @ ..] = rest {
            match (first, rest.get(..8)) {
                (b'<', Some(text)) if text[7] == b'>' => {
                    let text = String::from_utf8(text.to_vec()).unwrap();
                    found.texts.entry(text).or_default().push(name.clone());
                    rest = &rest[8..];
                }
                // Enter, as a terminal in either mode hands it on.
                (b'\r' | b'\n', _) => rest = tail,
                (&INTERRUPT, _) => {
                    *found.interrupts.entry(pid_of(&name)).or_default() += 1;
                    rest = tail;
                }
                _ => panic!("{name} holds a piece of a text: {:?}", String::from_utf8_lossy(rest)),
            }
        }
    }
    found
}

/// The pid of the pane's own process that a log is named after.
fn pid_of(log: &str) -> String {
    log.split('-').next().unwrap_or_default().to_owned()
}

/// Whether two logs are of one pane's own process and what runs below it.
fn is_of_one_pane(log: &str, other: Option<&str>) -> bool {
    other.is_some_and(|other| pid_of(log) == pid_of(other))
}

#[test]
fn r_8_s_16_no_byte_reaches_another_process_than_the_one_that_was_seen() {
    let env = deck();
    let seed = std::env::var("QD_TEST_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(8);
    fs::create_dir(env.path("logs")).unwrap();
    fs::write(env.path("home/program.sh"), PROGRAM).unwrap();
    let cat = fs::canonicalize(env.path("bin/cat")).unwrap();
    std::os::unix::fs::symlink(cat, env.path("bin/scribe")).unwrap();
    let machine = Machine {
        env: &env,
        over: AtomicBool::new(false),
        next: AtomicU32::new(0),
        restarts: AtomicU32::new(0),
        shocks: AtomicU64::new(0),
        sent: Mutex::default(),
    };
    env.tmux().session("first", &machine.program(true));
    let daemon = env.daemon();
    std::thread::scope(|scope| {
        let machine = &machine;
        scope.spawn(move || machine.disturb(seed));
        let senders: Vec<_> = (1..=SENDERS)
            .map(|sender| {
                let api = env.api();
                scope.spawn(move || machine.send(&api, seed + u64::from(sender)))
            })
            .collect();
        let finished: Vec<_> = senders.into_iter().map(|it| it.join().is_ok()).collect();
        machine.over.store(true, Ordering::Release);
        assert!(finished.iter().all(|it| *it));
    });
    let sent = machine.sent.into_inner().unwrap();
    assert_eq!(sent.len(), SENDS as usize);
    // What was typed is read by then, or its process is gone.
    let settled = || wait::stays("the logs grow no more", Duration::from_millis(300), || true);
    settled();
    let logged = logged(&env.path("logs"));
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut unread, mut overtaken, mut astray) = (0, 0, Vec::new());
    let (mut kills, mut aimed) = (0, BTreeMap::<String, u32>::new());
    for Sent { text, code, file } in &sent {
        *counts.entry(code).or_default() += 1;
        let Some(text) = text else {
            kills += 1;
            if matches!(code.as_str(), "completed" | "unknown") {
                *aimed.entry(file.as_deref().map(pid_of).unwrap_or_default()).or_default() += 1;
            }
            continue;
        };
        let files = logged.texts.get(text).map_or(&[][..], Vec::as_slice);
        let right = match (code.as_str(), files) {
            ("completed", []) => {
                unread += 1;
                true
            }
            ("completed" | "unknown", [only]) if Some(only) == file.as_ref() => true,
            // The program that was seen had not read its terminal yet when it started another, or
            // gave it back: what waits in a terminal is for whoever reads there next.
            ("completed" | "unknown", [only]) if is_of_one_pane(only, file.as_deref()) => {
                overtaken += 1;
                true
            }
            (_, []) => true,
            (_, _) => false,
        };
        if !right {
            astray.push(format!("{text} {code} {file:?}: {files:?}"));
        }
    }
    for (pid, got) in &logged.interrupts {
        let meant = aimed.get(pid).copied().unwrap_or(0);
        if *got > meant {
            astray.push(format!("{pid} was interrupted {got} times, and meant {meant} times"));
        }
    }
    println!(
        "seed {seed}: {SENDS} acts, {kills} of them kills, {counts:?}, {unread} ended unread with their process, \
         {overtaken} were overtaken by a program that theirs started, {} disturbances, {} server restarts, {} astray",
        machine.shocks.load(Ordering::Relaxed),
        machine.restarts.load(Ordering::Relaxed),
        astray.len()
    );
    assert!(astray.is_empty(), "{astray:#?}");
    assert!(overtaken <= SENDS / 200, "{overtaken}");
    assert!(counts.get("completed").is_some_and(|count| *count > SENDS / 10), "{counts:?}");
    assert!(counts.keys().all(|code| *code != "pending"), "every request has an outcome");
    let open = env.sqlite("SELECT count(*) FROM actions WHERE result_code = 'pending'");
    assert_eq!(open.trim(), "0");
    drop(daemon);
}
