//! The made-up tmux against the real one: it is told what a real server was told when its
//! transcripts were recorded, and has to say the same.
//!
//! Not compared is what the made-up one does not claim to know: sizes, terminals, pids, times, the
//! programs of panes, windows that name themselves after them, and the order of what is said
//! between two answers. The scenes about odd commands are for the parser, which reads
//! them in its own crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tmux::control::{FarEnd, Message, Parser};
use tmux::format::Nonce;
use tmux::hub::Hub;
use tmux::notification::Notification;
use tmux::rows::{
    ClientRow, GreetingRow, OriginRow, PaneBrief, PaneRow, Row, ServerRow, SessionRow,
};
use tmux::scan::Scan;

use super::host::Host;
use super::notice::Notice;
use super::server::{Program, Server};
use super::tmux::Tmux;
use crate::sim::clock::Clock;

/// The scenes that consist of what the made-up tmux knows.
const SCENES: [&str; 7] =
    ["handshake", "churn", "rename", "kicked", "detached", "server_killed", "server_crashed"];
/// The pid of the control client of all scenes.
const CLIENT: u32 = 9_999;

/// What happens between two answers.
#[derive(Debug)]
enum Event {
    /// A line of ours.
    Sent(Vec<u8>),
    /// Something the user did.
    Done(String),
}

/// A transcript: what happened, and what the server said after it.
fn load(path: &Path) -> Vec<(Option<Event>, Vec<u8>)> {
    let mut steps = vec![(None, Vec::new())];
    let bytes = fs::read(path).expect("a recorded transcript can be read");
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (kind, rest) = line.split_at(2);
        let event = match kind {
            b"< " => {
                steps.last_mut().expect("there is a step").1.extend_from_slice(rest);
                continue;
            }
            b"> " => Event::Sent(rest.to_vec()),
            _ => Event::Done(String::from_utf8_lossy(rest).trim_end().to_owned()),
        };
        steps.push((Some(event), Vec::new()));
    }
    steps
}

/// The server as every scene begins with it: one session of the user's, and the hub.
struct Stage {
    tmux: Tmux,
    host: Host,
    clock: Clock,
}

impl Stage {
    fn new() -> Stage {
        let (clock, mut host) = (Clock::new(), Host::new("host", 60));
        let pid = host.spawn(clock.kernel_ns());
        let server = Server::new(pid, clock.kernel_ns(), clock.wall_seconds());
        let tmux = Tmux::new(server, "/tmp/world/tmux/tmux-0/default".to_owned());
        let mut stage = Stage { tmux, host, clock };
        let shell = stage.program();
        stage.tmux.server.new_session("user".to_owned(), "sh".to_owned(), shell, 0);
        let hub = Hub::new("lab-1").expect("a plain name");
        let words = |batch: &tmux::command::Batch| batch.argv().expect("a short batch");
        stage.tmux.fork(&words(&hub.create()), &mut stage.host, &stage.clock);
        stage.tmux.attach(CLIENT, &words(&hub.attach()), &stage.clock);
        stage
    }

    fn program(&mut self) -> Program {
        Program {
            pid: self.host.spawn(self.clock.kernel_ns()),
            command: "sleep".to_owned(),
            start_command: String::new(),
            path: b"/tmp/world/home".to_vec(),
            title: "host".to_owned(),
        }
    }

    fn play(&mut self, event: &Event) {
        match event {
            Event::Sent(line) => {
                self.tmux.write(CLIENT, line, &mut self.host, &self.clock);
            }
            Event::Done(command) => {
                self.act(command);
                self.tmux.tell();
            }
        }
    }

    /// Does what the user did.
    fn act(&mut self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag).expect("the flag is given");
            words[at + 1]
        };
        let id = |text: &str| text[1..].parse::<u32>().expect("an id");
        let session = |text: &str| id(&format!("${}", if text == "=user:" { 0 } else { 2 }));
        let program = self.program();
        let server = &mut self.tmux.server;
        match words[0] {
            "new-window" => {
                let name = after("-n").to_owned();
                server.new_window(session(after("-t")), name, program, 0);
            }
            "new-session" => {
                server.new_session(after("-s").to_owned(), "sleep".to_owned(), program, 0);
            }
            "split-window" => {
                let beside = id(after("-t"));
                let window = server.window_of(beside).expect("the pane is there");
                server.split(beside, program);
                // It was done with `-d`.
                server.windows.get_mut(&window).expect("it is there").active = beside;
            }
            "respawn-pane" => server.respawn(id(after("-t")), program),
            "kill-pane" => server.kill_pane(id(after("-t"))),
            "kill-window" => server.kill_window(id(after("-t"))),
            "kill-session" => {
                let name = after("-t").trim_start_matches('=');
                let found = server.sessions.iter().find(|(_, it)| it.name == name);
                let found = *found.expect("the session is there").0;
                server.end_session(found);
            }
            "select-window" => {
                let it = server.sessions.get_mut(&0).expect("it is there");
                it.current = 1;
                server.notices.push(Notice::CurrentWindow { session: 0, window: 2 });
            }
            "copy-mode" => {
                let pane = id(after("-t"));
                server.panes.get_mut(&pane).expect("it is there").in_mode = true;
                server.notices.push(Notice::Mode { pane });
            }
            "rename-session" => {
                let name = words[3..].join(" ");
                server.sessions.get_mut(&0).expect("it is there").name.clone_from(&name);
                server.notices.push(Notice::SessionRenamed { session: 0, name });
            }
            "rename-window" => {
                let name = words[3..].join(" ");
                server.windows.get_mut(&0).expect("it is there").name.clone_from(&name);
                server.notices.push(Notice::WindowRenamed { window: 0, name });
            }
            "select-pane" => {
                let pane = server.panes.get_mut(&id(after("-t"))).expect("it is there");
                pane.title = words[words.len() - 2..].join(" ");
            }
            "set-hook" => self.tmux.hooked = true,
            "kill-server" => self.tmux.end(false),
            "kill" => self.tmux.end(true),
            other => panic!("nobody knows how to {other}"),
        }
    }

    fn said(&mut self) -> Vec<u8> {
        self.tmux.read(CLIENT, usize::MAX).unwrap_or_default()
    }
}

/// What was said, as far as it is compared.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// In any order.
    notifications: Vec<String>,
    /// Whether each answer is an error, and whose it is.
    replies: Vec<(bool, u64)>,
    rows: Vec<String>,
}

impl Said {
    fn read(parser: &mut Parser, event: Option<&Event>, bytes: &[u8]) -> Said {
        let mut messages = Vec::new();
        parser.feed(bytes, &mut messages).expect("the stream is in step");
        let (mut notifications, mut replies, mut body) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Reply(reply) => {
                    replies.push((reply.error, reply.guard.flags));
                    if reply.is_ours() {
                        body.extend(reply.body);
                    }
                }
                // A window that names itself does so when it likes.
                Message::Notification(Notification::UnlinkedWindowRenamed { name, .. })
                    if name == b"sh" || name == b"sleep" => {}
                Message::Notification(it) => notifications.push(format!("{it:?}")),
                Message::Stray(line) => panic!("a stray line: {}", line.escape_ascii()),
            }
        }
        notifications.sort();
        let rows = match event {
            Some(Event::Sent(line)) => rows(line, &body),
            Some(Event::Done(_)) | None => Vec::new(),
        };
        Said { notifications, replies, rows }
    }
}

/// The rows of the scan that `line` asks for, if it is one.
fn rows(line: &[u8], body: &[u8]) -> Vec<String> {
    let digits = line.strip_prefix(b"list-commands -F \"").and_then(|it| it.get(..Nonce::BYTES));
    let Some(digits) = digits.and_then(|it| std::str::from_utf8(it).ok()) else {
        return Vec::new();
    };
    let Ok(number) = u64::from_str_radix(digits, 16) else { return Vec::new() };
    let nonce = Nonce::from_random(number.to_be_bytes());
    let known = [
        read(nonce, line, body, |it: GreetingRow| {
            (it.session, it.control_mode, it.flags, it.session_name)
        }),
        read(nonce, line, body, |it: ServerRow| it.socket_path),
        read(nonce, line, body, |it: SessionRow| (it.session, it.attached, it.name)),
        read(nonce, line, body, |it: ClientRow| (it.session, it.control_mode, it.flags)),
        read(nonce, line, body, |it: OriginRow| (it.pane, it.session)),
        read(nonce, line, body, |it: PaneBrief| brief(&it)),
        read(nonce, line, body, |it: PaneRow| {
            let names = (it.session_name, it.title, it.tty.is_empty());
            let flags = (it.dead_status, it.dead_signal, it.in_mode, it.alternate_on, it.zoomed);
            (brief(&it.brief), it.pane_index, names, flags)
        }),
    ];
    known.into_iter().flatten().next().unwrap_or_default()
}

/// What a row says of where a pane is and which of them is shown.
fn brief(row: &PaneBrief) -> impl std::fmt::Debug + use<> {
    let PaneBrief { pane, window, session, dead, bell, .. } = *row;
    (pane, window, session, dead, bell, row.pane_active, row.window_active, row.window_index)
}

fn read<R: Row, V: std::fmt::Debug>(
    nonce: Nonce,
    line: &[u8],
    body: &[u8],
    view: impl Fn(R) -> V,
) -> Option<Vec<String>> {
    let scan = Scan::<R>::all(nonce);
    if scan.batch().control_line().ok()? != line {
        return None;
    }
    let rows = scan.read(body).expect("a scan is answered whole").rows;
    Some(rows.into_iter().map(|row| format!("{:?}", view(row))).collect())
}

fn transcripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tmux/tests/transcripts");
    let versions = fs::read_dir(&root).expect("there are transcripts");
    let mut folders: Vec<PathBuf> = versions.map(|it| it.expect("a folder").path()).collect();
    folders.sort();
    let scenes =
        |folder: PathBuf| SCENES.map(|scene| folder.join(scene).with_extension("transcript"));
    folders.into_iter().flat_map(scenes).collect()
}

#[test]
fn it_says_what_a_real_server_said() {
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    for path in transcripts() {
        let mut stage = Stage::new();
        let (mut real, mut made_up) = (Parser::new(FarEnd::Plain), Parser::new(FarEnd::Plain));
        let steps = load(&path);
        let last = steps.len() - 1;
        for (number, (event, recorded)) in steps.into_iter().enumerate() {
            if let Some(event) = &event {
                stage.play(event);
            }
            if number == last {
                // Scenes that nothing else ended end by closing the client's input.
                stage.play(&Event::Sent(b"\n".to_vec()));
            }
            let said = stage.said();
            let recorded = Said::read(&mut real, event.as_ref(), &recorded);
            let said = Said::read(&mut made_up, event.as_ref(), &said);
            assert_eq!(said, recorded, "{} at {number}: {event:?}", path.display());
            *compared.entry("notifications").or_default() += said.notifications.len();
            *compared.entry("rows").or_default() += said.rows.len();
        }
    }
    // Five versions; whoever reads nothing finds no difference.
    assert!(compared["notifications"] > 100 && compared["rows"] > 150, "{compared:?}");
}
