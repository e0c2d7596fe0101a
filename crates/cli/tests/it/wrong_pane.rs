//! The wrong-pane machine: while panes are respawned, killed, moved, renamed and whole tmux servers
//! crash and give the same ids again, no byte reaches another process than the one that was seen.
//!
//! Every process in every pane writes down what is typed into it, in a file named after its pane's
//! pid and its own name, and which signals it got. Each send types a text of its own; now and then a
//! kill presses its key or signals instead. Some panes hold an agent that asks one thing after
//! another, and somebody answers. In the end every text stands in the file of exactly the process
//! that the answer's snapshot names, or nowhere, nobody got more keys or signals than were meant for
//! them, and each request was answered by the answer to it or by nobody.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Http, Reply, Signal, TestEnv, Tmux, process, wait};

use crate::deck::{self, deck};
use crate::machines::{SOCKET, Way, World, on_every_way};

const SENDS: u32 = 2_000;
/// On another machine, for each way there.
const SENDS_THERE: u32 = 500;
const SENDERS: u32 = 4;
const PANES: usize = 8;
/// The target of this machine.
const LOCAL: &str = "local";

/// What lives in a pane. `$1` is the folder of the logs, `$2` the kind.
const PROGRAM: &str = r#"stty raw -echo
case $2 in
plain) exec cat > "$1/$$-cat" ;;
marked)
  trap 'printf t >> "$1/signals/$$"' TERM
  exec 3<&0; cat <&3 >> "$1/$$-bash" & reader=$!
  while kill -0 $reader; do wait $reader; done 2> /dev/null
  exit ;;
asking) exec claude "$3" "$1" ;;
esac
set -m
while :; do
  stty raw -echo
  scribe >> "$1/$$-scribe"
  stty raw -echo
  cat >> "$1/$$-cat"
done
"#;

/// An agent that asks one thing after another, and writes down by which key each was answered. `$1`
/// is the folder of the logs. What was typed for the shell that it was before, and waits, is not for
/// its first request.
const ASKING: &str = r#"n=0 born=${EPOCHREALTIME/[.,]/}
waiting=
while IFS= read -rsN1 -t 0.2 key; do waiting+=$key; done
[ -z "$waiting" ] || printf %s "$waiting" >> "$1/$$-claude"
rule=────────────────────────────────────────────────────────────
while :; do
  n=$((n + 1)); asked="touch $$.$born.$n"
  printf '\e[H\e[2J● Working\r\n\r\n%s\r\n Bash command\r\n\r\n   %s\r\n   Run it\r\n\r\n Do you want to proceed?\r\n ❯ 1. Yes\r\n   2. No\r\n\r\n Esc to cancel\r\n' "$rule" "$asked"
  while :; do
    IFS= read -rsn1 key || exit
    case $key in
      $'\x03') printf '\x03' >> "$1/$$-claude" ;;
      *) break ;;
    esac
  done
  echo "$asked=$key" >> "$1/answers/all"
  printf '\e[H\e[2J● Running'; sleep 0.2
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
/// Of so many acts one is a kill by key, and of so many one by a signal.
const KEYS_EVERY: u32 = 8;
const SIGNALS_EVERY: u32 = 20;

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Text(String),
    Key,
    Signal,
}

impl What {
    fn of(number: u32) -> Self {
        if number.is_multiple_of(KEYS_EVERY) {
            Self::Key
        } else if number % SIGNALS_EVERY == 1 {
            Self::Signal
        } else {
            Self::Text(format!("<{number:06}>"))
        }
    }
}

/// What became of one send or kill.
#[derive(Debug)]
struct Sent {
    what: What,
    code: String,
    /// The file of the process that the snapshot names; none where there was no snapshot.
    file: Option<String>,
}

/// What became of one answer to an approval.
#[derive(Debug)]
struct Given {
    request: String,
    key: &'static str,
    code: String,
}

struct Machine<'a> {
    env: &'a TestEnv,
    /// The target that is disturbed, and how many acts there are.
    target: &'static str,
    sends: u32,
    over: AtomicBool,
    next: AtomicU32,
    restarts: AtomicU32,
    shocks: AtomicU64,
    sent: Mutex<Vec<Sent>>,
    given: Mutex<Vec<Given>>,
}

/// Something that lives in a pane.
fn program(env: &TestEnv, dice: &mut Dice) -> String {
    let kind = match dice.below(8) {
        0..=2 => "plain",
        3 | 4 => "shell",
        5 | 6 => "marked",
        _ => "asking",
    };
    let script = |name: &str| env.path("home").join(name).display().to_string();
    let logs = env.path("logs");
    format!("exec bash {} {} {kind} {}", script("program.sh"), logs.display(), script("asking.sh"))
}

impl Machine<'_> {
    /// The server that is disturbed.
    fn tmux(&self) -> Tmux<'_> {
        match self.target {
            LOCAL => self.env.tmux(),
            _ => self.env.tmux_at(SOCKET),
        }
    }

    /// One disturbance; tmux may refuse it, and nobody minds.
    fn shock(&self, dice: &mut Dice) {
        let tmux = self.tmux();
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
            let program = program(self.env, dice);
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
        let program = program(self.env, dice);
        let tmux = |arguments: &[&str]| drop(tmux.run(arguments));
        match dice.below(24) {
            0..=5 => tmux(&["respawn-pane", "-k", "-t", &one[0], &program]),
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
            _ if dice.below(2) == 0 => {
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
            // Another machine is looked at less often, and nothing would be met there any more.
            let most = if self.target == LOCAL { 25 } else { 100 };
            std::thread::sleep(Duration::from_millis(dice.below(most)));
        }
    }

    fn send(&self, api: &Http, seed: u64) {
        let mut dice = Dice(seed);
        loop {
            let panes = deck::items(api, &format!("/v1/panes?target={}", self.target));
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
                if number >= self.sends {
                    return;
                }
                let pane = alive[dice.below(alive.len() as u64) as usize];
                self.send_to(api, number, pane, dice.below(2) == 0);
            }
        }
    }

    fn send_to(&self, api: &Http, number: u32, pane: &Value, enter: bool) {
        let what = What::of(number);
        let runtime = pane["runtime_id"].as_str().unwrap();
        let mut body =
            json!({ "request_ref": format!("r{number}"), "ref": format!("runtime:{runtime}") });
        let kind = match &what {
            What::Text(text) => {
                (body["text"], body["enter"]) = (text.as_str().into(), enter.into());
                "send"
            }
            What::Key => "kill",
            What::Signal => {
                (body["mode"], body["signal"]) = ("signal".into(), "TERM".into());
                "kill"
            }
        };
        let (code, id) = told(&api.post(&format!("/v1/actions/{kind}"), &body));
        let file = id.as_str().map(|id| {
            let told = api.get(&format!("/v1/actions/{id}")).expect(200);
            let seen = &told["action"]["snapshot"];
            assert_eq!(told["action"]["runtime_id"], runtime);
            format!("{}-{}", seen["pane_pid"], seen["current_cmd"].as_str().unwrap())
        });
        self.sent.lock().unwrap().push(Sent { what, code, file });
    }

    /// Answers whatever waits, as it was told when it was last looked at.
    fn answer(&self, api: &Http, seed: u64) {
        let mut dice = Dice(seed);
        let mut number = 0;
        while !self.over.load(Ordering::Acquire) {
            for asked in deck::items(api, "/v1/approvals") {
                std::thread::sleep(Duration::from_millis(dice.below(12)));
                let (choice, key) =
                    if dice.below(3) == 0 { ("deny", "\u{1b}") } else { ("approve", "1") };
                number += 1;
                let body = json!({
                    "request_ref": format!("a{number}"),
                    "fingerprint": asked["fingerprint"],
                    "choice": choice,
                });
                let id = deck::text(&asked, "approval_id");
                let (code, _) = told(&api.post(&format!("/v1/approvals/{id}/answer"), &body));
                let request = deck::text(&asked, "request");
                let command = request.lines().map(str::trim).find(|it| it.starts_with("touch "));
                let request = command.unwrap_or(&request).to_owned();
                self.given.lock().unwrap().push(Given { request, key, code });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What became of an act, and its id, if it was one.
fn told(reply: &Reply) -> (String, Value) {
    let answer = reply.json();
    let told = if reply.status == 200 { &answer } else { &answer["error"]["details"] };
    let code = told["result_code"].as_str().unwrap_or("refused without an action");
    (code.to_owned(), told["action_id"].clone())
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
        if entry.path().is_dir() {
            continue;
        }
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

/// Which signals each process of a pane got.
fn signalled(folder: &Path) -> BTreeMap<String, u32> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let count = |path: &Path| u32::try_from(fs::read(path).unwrap().len()).unwrap();
    entries.map(|it| (it.file_name().into_string().unwrap(), count(&it.path()))).collect()
}

/// What the acts came to, and what went where it should not have.
#[derive(Debug, Default)]
struct Findings {
    counts: BTreeMap<String, u32>,
    unread: u32,
    overtaken: u32,
    astray: Vec<String>,
}

impl Findings {
    /// Looks where each text was read.
    fn sends(&mut self, sent: &[Sent], logged: &Logged) {
        for Sent { what, code, file } in sent {
            *self.counts.entry(code.clone()).or_default() += 1;
            let What::Text(text) = what else { continue };
            let files = logged.texts.get(text).map_or(&[][..], Vec::as_slice);
            let right = match (code.as_str(), files) {
                ("completed", []) => {
                    self.unread += 1;
                    true
                }
                ("completed" | "unknown", [only]) if Some(only) == file.as_ref() => true,
                // The program that was seen had not read its terminal yet when it started another,
                // or gave it back: what waits in a terminal is for whoever reads there next.
                ("completed" | "unknown", [only]) if is_of_one_pane(only, file.as_deref()) => {
                    self.overtaken += 1;
                    true
                }
                (_, []) => true,
                (_, _) => false,
            };
            if !right {
                self.astray.push(format!("{text} {code} {file:?}: {files:?}"));
            }
        }
    }

    /// Holds what processes got against what was meant for them.
    fn kills(&mut self, sent: &[Sent], what: &What, got: &BTreeMap<String, u32>) {
        let mut aimed = BTreeMap::<String, u32>::new();
        for it in sent.iter().filter(|it| it.what == *what) {
            if matches!(it.code.as_str(), "completed" | "unknown") {
                *aimed.entry(it.file.as_deref().map(pid_of).unwrap_or_default()).or_default() += 1;
            }
        }
        for (pid, got) in got {
            let meant = aimed.get(pid).copied().unwrap_or(0);
            if *got > meant {
                self.astray.push(format!("{pid} got {got} of {what:?}, and {meant} were meant"));
            }
        }
    }

    /// Holds what agents took for their requests against the answers to them; gives how many were
    /// answered.
    fn answers(&mut self, given: &[Given], taken: &str) -> usize {
        let taken: Vec<_> = taken.lines().filter_map(|line| line.split_once('=')).collect();
        for (number, (request, key)) in taken.iter().enumerate() {
            let meant = |it: &&Given| {
                it.request == *request
                    && it.key == *key
                    && !matches!(it.code.as_str(), "refused" | "failed")
            };
            if !given.iter().any(|it| meant(&it)) {
                // Also what was told of the agent's other requests.
                let agent = request.rsplit_once('.').map_or("", |(agent, _)| agent);
                let told: Vec<_> = given.iter().filter(|it| it.request.contains(agent)).collect();
                self.astray.push(format!("{request} took {key:?}: {told:?}"));
            }
            if taken[..number].iter().any(|(earlier, _)| earlier == request) {
                self.astray.push(format!("{request} was answered twice"));
            }
        }
        taken.len()
    }
}

#[test]
fn r_8_s_16_no_byte_reaches_another_process_than_the_one_that_was_seen() {
    let env = furnished();
    let first = program(&env, &mut Dice(seed()));
    env.tmux().session("first", &first);
    let daemon = env.daemon();
    run(&env, LOCAL, SENDS);
    drop(daemon);
}

on_every_way!(r_8_s_16_no_byte_reaches_another_process_there_than_the_one_that_was_seen);

fn r_8_s_16_no_byte_reaches_another_process_there_than_the_one_that_was_seen(way: Way) {
    let env = furnished();
    let first = program(&env, &mut Dice(seed()));
    let Some((world, _)) = World::led(way, &first, env, "") else { return };
    world.health_is("ok");
    run(&world.env, "far", SENDS_THERE);
}

fn seed() -> u64 {
    std::env::var("QD_TEST_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(8)
}

/// A world with everything that panes run.
fn furnished() -> TestEnv {
    let env = deck();
    for folder in ["logs", "logs/signals", "logs/answers"] {
        fs::create_dir(env.path(folder)).unwrap();
    }
    fs::write(env.path("home/program.sh"), PROGRAM).unwrap();
    fs::write(env.path("home/asking.sh"), ASKING).unwrap();
    fs::copy(fs::canonicalize("/bin/bash").unwrap(), env.path("bin/claude")).unwrap();
    let cat = fs::canonicalize(env.path("bin/cat")).unwrap();
    std::os::unix::fs::symlink(cat, env.path("bin/scribe")).unwrap();
    env
}

/// Disturbs a target while texts are sent there, and looks where each came out.
#[expect(clippy::print_stdout, reason = "whoever reads a test's output wants the counts")]
fn run(env: &TestEnv, target: &'static str, sends: u32) {
    let seed = seed();
    let machine = Machine {
        env,
        target,
        sends,
        over: AtomicBool::new(false),
        next: AtomicU32::new(0),
        restarts: AtomicU32::new(0),
        shocks: AtomicU64::new(0),
        sent: Mutex::default(),
        given: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let machine = &machine;
        scope.spawn(move || machine.disturb(seed));
        let api = env.api();
        let answering = scope.spawn(move || machine.answer(&api, seed + 99));
        let senders: Vec<_> = (1..=SENDERS)
            .map(|sender| {
                let api = env.api();
                scope.spawn(move || machine.send(&api, seed + u64::from(sender)))
            })
            .collect();
        let finished: Vec<_> = senders.into_iter().map(|it| it.join().is_ok()).collect();
        machine.over.store(true, Ordering::Release);
        assert!(finished.iter().all(|it| *it) && answering.join().is_ok());
    });
    let sent = machine.sent.into_inner().unwrap();
    assert_eq!(sent.len(), sends as usize);
    // What was typed is read by then, or its process is gone.
    let settled = || wait::stays("the logs grow no more", Duration::from_millis(300), || true);
    settled();
    let logs = env.path("logs");
    let (logged, signals) = (logged(&logs), signalled(&logs.join("signals")));
    let taken = fs::read_to_string(logs.join("answers/all")).unwrap_or_default();
    let given = machine.given.into_inner().unwrap();
    let mut found = Findings::default();
    found.sends(&sent, &logged);
    found.kills(&sent, &What::Key, &logged.interrupts);
    found.kills(&sent, &What::Signal, &signals);
    let answered = found.answers(&given, &taken);
    let count = |what: &What| sent.iter().filter(|it| it.what == *what).count();
    let Findings { counts, unread, overtaken, astray } = &found;
    println!(
        "seed {seed} on {target}: {sends} acts, {} of them kills by key and {} by signal, {counts:?}; {} answers given, \
         {answered} requests answered; {unread} ended unread with their process, {overtaken} were overtaken by \
         a program that theirs started, {} disturbances, {} server restarts, {} astray",
        count(&What::Key),
        count(&What::Signal),
        given.len(),
        machine.shocks.load(Ordering::Relaxed),
        machine.restarts.load(Ordering::Relaxed),
        astray.len()
    );
    assert!(astray.is_empty(), "{astray:#?}");
    assert!(*overtaken <= sends / 200, "{overtaken}");
    assert!(counts.get("completed").is_some_and(|count| *count > sends / 10), "{counts:?}");
    assert!(counts.keys().all(|code| *code != "pending"), "every request has an outcome");
    let (answered, signalled) = (answered > 0, !signals.is_empty());
    // There are fewer acts there, of which chance may leave one kind out.
    let met = if target == LOCAL { answered && signalled } else { answered || signalled };
    assert!(met, "somebody was answered ({answered}) and signalled ({signalled})");
    let open = env.sqlite("SELECT count(*) FROM actions WHERE result_code = 'pending'");
    assert_eq!(open.trim(), "0");
}
