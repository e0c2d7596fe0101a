//! The made-up tmux as it speaks: commands in, blocks and notifications out.

use super::act;
use super::client::Client;
use super::command::{self, Command};
use super::format::expand;
use super::host::Host;
use super::notice::Notice;
use super::server::{Program, Server};
use super::values::{self, Subject};
use crate::sim::clock::Clock;

/// One life of a tmux server, with who is connected to it.
#[derive(Clone, Debug)]
pub(crate) struct Tmux {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) socket: String,
    /// It takes no commands and says nothing until it goes on.
    pub(crate) hung: bool,
    /// Lines that came while it hung, by client.
    waiting: Vec<(u32, Vec<u8>)>,
    number: u64,
    /// The user has a hook that prints something after each listing.
    pub(crate) hooked: bool,
    /// Processes that somebody asked it to kill.
    pub(crate) kills: Vec<u32>,
}

/// What one forked `tmux` printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forked {
    pub(crate) output: Vec<u8>,
    /// What it complained of; then it failed.
    pub(crate) complaint: Option<String>,
}

/// Where a command comes from.
#[derive(Clone, Copy, Debug)]
struct From {
    /// The asker's own session, which formats without a target speak of.
    session: Option<u32>,
    /// The asking control client.
    client: Option<u32>,
}

type Answer = Result<Vec<u8>, String>;

impl Tmux {
    pub(crate) fn new(server: Server, socket: String) -> Tmux {
        Tmux {
            server,
            clients: Vec::new(),
            socket,
            hung: false,
            waiting: Vec::new(),
            number: 270,
            hooked: false,
            kills: Vec::new(),
        }
    }

    /// Runs the commands of a forked `tmux`. `None` while the server hangs.
    pub(crate) fn fork(
        &mut self,
        words: &[Vec<u8>],
        host: &mut Host,
        clock: &Clock,
    ) -> Option<Forked> {
        if self.hung {
            return None;
        }
        let mut output = Vec::new();
        let mut complaint = None;
        for command in command::from_words(words) {
            match self.run(&command, From { session: None, client: None }, host, clock) {
                Ok(printed) => output.extend(printed),
                Err(reason) => {
                    complaint = Some(reason);
                    break;
                }
            }
        }
        self.tell();
        Some(Forked { output, complaint })
    }

    /// Starts a control client that runs one command to attach itself.
    pub(crate) fn attach(&mut self, pid: u32, words: &[Vec<u8>], clock: &Clock) {
        let commands = command::from_words(words);
        let name = commands.first().and_then(|it| it.text_after("-t")).unwrap_or_default();
        let session = self.session_named(&name);
        let mut client = Client::new(pid, clock.wall_seconds(), session);
        let guard = self.guard(clock, 0);
        client.say(format!("%begin {guard}").as_bytes());
        match session.and_then(|id| Some((id, self.server.sessions.get(&id)?))) {
            Some((id, it)) => {
                client.say(format!("%end {guard}").as_bytes());
                client.say(format!("%session-changed ${id} {}", it.name).as_bytes());
            }
            None => {
                let wanted = name.trim_start_matches('=').trim_end_matches(':');
                client.say(format!("can't find session: {wanted}").as_bytes());
                client.say(format!("%error {guard}").as_bytes());
                client.exit("");
            }
        }
        self.clients.push(client);
    }

    /// Bytes from a client's owner.
    pub(crate) fn write(&mut self, pid: u32, bytes: &[u8], host: &mut Host, clock: &Clock) {
        let Some(client) = self.clients.iter_mut().find(|it| it.pid == pid) else { return };
        for line in client.lines(bytes) {
            if self.hung {
                self.waiting.push((pid, line));
            } else {
                self.take_line(pid, &line, host, clock);
            }
        }
    }

    /// Goes on after it hung.
    pub(crate) fn go_on(&mut self, host: &mut Host, clock: &Clock) {
        self.hung = false;
        for (pid, line) in std::mem::take(&mut self.waiting) {
            self.take_line(pid, &line, host, clock);
        }
        self.tell();
    }

    fn take_line(&mut self, pid: u32, line: &[u8], host: &mut Host, clock: &Clock) {
        let Some(client) = self.clients.iter().find(|it| it.pid == pid && !it.ended) else {
            return;
        };
        let from = From { session: client.session, client: Some(pid) };
        let Some(commands) = command::from_line(line) else { return self.exit(pid, "") };
        for command in commands {
            let guard = self.guard(clock, 1);
            let (end, body) = match self.run(&command, from, host, clock) {
                Ok(printed) => ("%end", printed),
                Err(reason) => ("%error", [reason.as_bytes(), b"\n"].concat()),
            };
            if let Some(client) = self.clients.iter_mut().find(|it| it.pid == pid) {
                client.say(format!("%begin {guard}").as_bytes());
                client.unread.extend(body);
                client.say(format!("{end} {guard}").as_bytes());
            }
            if end == "%error" {
                break;
            }
            if self.hooked && command.name == "list-sessions" {
                self.say_of_hook(pid, clock);
            }
        }
        self.tell();
    }

    /// What a hook prints comes in a block that answers no command of the client's.
    fn say_of_hook(&mut self, pid: u32, clock: &Clock) {
        let guard = self.guard(clock, 0);
        if let Some(client) = self.clients.iter_mut().find(|it| it.pid == pid) {
            let lines = [format!("%begin {guard}"), "from a hook".into(), format!("%end {guard}")];
            lines.iter().for_each(|line| client.say(line.as_bytes()));
        }
    }

    fn guard(&mut self, clock: &Clock, flags: u8) -> String {
        self.number += 1;
        format!("{} {} {flags}", clock.wall_seconds(), self.number)
    }

    /// Takes bytes that are to be read by a client's owner, at most `most`.
    pub(crate) fn read(&mut self, pid: u32, most: usize) -> Option<Vec<u8>> {
        let client = self.clients.iter_mut().find(|it| it.pid == pid)?;
        let length = client.unread.len().min(most);
        let bytes: Vec<u8> = client.unread.drain(..length).collect();
        let over = bytes.is_empty() && client.ended;
        if over {
            self.drop_client(pid);
            return None;
        }
        Some(bytes)
    }

    /// The client's process is gone; so is its session, if it was to end with it.
    pub(crate) fn drop_client(&mut self, pid: u32) {
        let Some(at) = self.clients.iter().position(|it| it.pid == pid) else { return };
        let client = self.clients.remove(at);
        let Some(session) = client.session else { return };
        self.server.notices.push(Notice::ClientGone { client: client.name() });
        self.leave_session(session);
        self.tell();
    }

    /// The session ends if it was to end with its last client.
    fn leave_session(&mut self, session: u32) {
        let empty = self.clients.iter().all(|it| it.session != Some(session));
        let ends = self.server.sessions.get(&session).is_some_and(|it| it.ends_with_client);
        if empty && ends {
            self.server.end_session(session);
        }
    }

    fn exit(&mut self, pid: u32, reason: &str) {
        let Some(client) = self.clients.iter_mut().find(|it| it.pid == pid) else { return };
        client.exit(reason);
        if let Some(session) = client.session.take() {
            self.leave_session(session);
        }
    }

    /// Tells every client what happened, and ends those whose session did.
    pub(crate) fn tell(&mut self) {
        self.rehouse();
        for notice in std::mem::take(&mut self.server.notices) {
            for client in &mut self.clients {
                client.notify(&notice, &self.server);
            }
        }
        let gone = |client: &&Client| {
            client.session.is_some_and(|it| !self.server.sessions.contains_key(&it))
        };
        let gone: Vec<u32> = self.clients.iter().filter(gone).map(|it| it.pid).collect();
        for pid in gone {
            self.exit(pid, "");
        }
    }

    /// Terminals whose session ended are detached, or shown another session.
    fn rehouse(&mut self) {
        let homeless = |session: &u32| !self.server.sessions.contains_key(session);
        let homeless: Vec<u32> = self
            .server
            .terminals
            .iter()
            .filter(|(_, it)| homeless(it))
            .map(|(id, _)| *id)
            .collect();
        for terminal in homeless {
            let client = format!("/dev/pts/{terminal}");
            let next = self.server.sessions.iter().max_by_key(|(id, it)| (it.activity, **id));
            let next = next.map(|(id, it)| (*id, it.name.clone()));
            match next.filter(|_| !self.server.detaches_on_destroy) {
                Some((session, name)) => {
                    self.server.terminals.insert(terminal, session);
                    self.server.notices.push(Notice::ClientMoved { client, session, name });
                }
                None => {
                    self.server.terminals.remove(&terminal);
                    self.server.notices.push(Notice::ClientGone { client });
                }
            }
        }
    }

    /// The server ends in order: every client is told.
    pub(crate) fn end(&mut self, crashed: bool) {
        let reason = if crashed { "server exited unexpectedly" } else { "" };
        let sessions = if crashed { 0 } else { self.server.sessions.len() };
        for client in &mut self.clients {
            (0..sessions).for_each(|_| client.say(b"%sessions-changed"));
            client.exit(reason);
        }
    }

    fn session_named(&self, target: &str) -> Option<u32> {
        if let Some(id) = target.strip_prefix('$') {
            let id = id.trim_end_matches(':').parse().ok()?;
            return self.server.sessions.contains_key(&id).then_some(id);
        }
        let name = target.strip_prefix('=').unwrap_or(target).trim_end_matches(':');
        self.server.sessions.iter().find(|(_, it)| it.name == name).map(|(id, _)| *id)
    }

    fn session_of(&self, command: &Command) -> Result<u32, String> {
        let target = command.text_after("-t").unwrap_or_default();
        let wanted = target.trim_start_matches('=').trim_end_matches(':').to_owned();
        self.session_named(&target).ok_or_else(|| format!("can't find session: {wanted}"))
    }

    fn run(&mut self, command: &Command, from: From, host: &mut Host, clock: &Clock) -> Answer {
        match command.name.as_str() {
            "list-commands" => Ok(self.print(command, &Subject::Server)),
            "display-message" => Ok(self.display(command, from)),
            "list-panes" => Ok(self.list_panes(command)),
            "list-sessions" => Ok(self.list_sessions(command)),
            "list-clients" => Ok(self.list_clients(command)),
            "show-options" => Ok(b"latest\n".to_vec()),
            "has-session" if self.server.sessions.is_empty() => Err("no current target".to_owned()),
            "has-session" => Ok(Vec::new()),
            "new-session" => self.new_session(command, host, clock),
            "set-option" => self.set_option(command),
            "kill-session" => {
                let session = self.session_of(command)?;
                self.server.end_session(session);
                Ok(Vec::new())
            }
            "switch-client" => self.switch_client(command),
            "move-window" => self.move_window(command),
            "unlink-window" => self.unlink_window(command),
            "break-pane" => self.break_pane(command, clock),
            "run-shell" => {
                let line = String::from_utf8_lossy(command.last()).into_owned();
                self.kills
                    .extend(line.strip_prefix("kill -KILL ").and_then(|it| it.parse::<u32>().ok()));
                Ok(Vec::new())
            }
            other => panic!("the made-up tmux has no command `{other}` ({from:?})"),
        }
    }

    fn print(&self, command: &Command, subject: &Subject<'_>) -> Vec<u8> {
        let format = command.after("-F").unwrap_or(command.last());
        let mut line = expand(format, &|name| values::value(self, subject, name));
        line.push(b'\n');
        line
    }

    /// Prints a format about one pane; about the asker's own where that is gone.
    fn display(&self, command: &Command, from: From) -> Vec<u8> {
        let own = || {
            let session = self.server.sessions.get(&from.session?)?;
            let link = session.links.get(&session.current)?;
            Some(self.server.windows.get(&link.window)?.active)
        };
        let asked = command.id_after("-t", '%').filter(|pane| self.server.panes.contains_key(pane));
        let place =
            asked.or_else(own).and_then(|pane| values::best_place(self, pane, from.session));
        let client = from.client.and_then(|pid| self.clients.iter().find(|it| it.pid == pid));
        self.print(command, &Subject::Pane { place, client })
    }

    fn list_panes(&self, command: &Command) -> Vec<u8> {
        let mut output = Vec::new();
        for session in self.sessions_by_name() {
            for place in values::places_in(self, session) {
                let subject = Subject::Pane { place: Some(place), client: None };
                output.extend(self.print(command, &subject));
            }
        }
        output
    }

    fn list_sessions(&self, command: &Command) -> Vec<u8> {
        let sessions = self.sessions_by_name();
        sessions.into_iter().flat_map(|id| self.print(command, &Subject::Session(id))).collect()
    }

    fn list_clients(&self, command: &Command) -> Vec<u8> {
        let control = self.clients.iter().filter(|it| !it.ended).map(Subject::Client);
        let terminals = self.server.terminals.iter();
        let terminals = terminals.map(|(id, session)| Subject::Terminal(*id, *session));
        terminals.chain(control).flat_map(|subject| self.print(command, &subject)).collect()
    }

    /// tmux keeps its sessions in the order of their names.
    fn sessions_by_name(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.server.sessions.keys().copied().collect();
        ids.sort_by_key(|id| self.server.sessions.get(id).map(|it| it.name.as_bytes()));
        ids
    }

    fn new_session(&mut self, command: &Command, host: &mut Host, clock: &Clock) -> Answer {
        let name = command.text_after("-s").unwrap_or_default();
        if self.session_named(&format!("={name}")).is_some() {
            return Err(format!("duplicate session: {name}"));
        }
        let window = command.text_after("-n").unwrap_or_default();
        let words = &command.args[command.args.len().saturating_sub(2)..];
        let start_command = words.iter().map(|it| String::from_utf8_lossy(it)).collect::<Vec<_>>();
        let program = Program {
            pid: host.spawn(clock.kernel_ns()),
            command: start_command.first().map(|it| it.clone().into_owned()).unwrap_or_default(),
            start_command: start_command.join(" "),
            path: command.after("-c").unwrap_or(b"/").to_vec(),
            title: "host".to_owned(),
        };
        let session = self.server.new_session(name, window, program, clock.wall_seconds());
        Ok(format!("${session}\n").into_bytes())
    }

    fn set_option(&mut self, command: &Command) -> Answer {
        let session = self.session_of(command)?;
        if command.has("destroy-unattached") {
            let on = command.last() == b"on";
            if let Some(it) = self.server.sessions.get_mut(&session) {
                it.ends_with_client = on;
            }
            self.leave_session(session);
        }
        Ok(Vec::new())
    }

    fn switch_client(&mut self, command: &Command) -> Answer {
        let session = self.session_of(command)?;
        let client = command.text_after("-c").unwrap_or_default();
        let terminal = client.strip_prefix("/dev/pts/").and_then(|id| id.parse().ok());
        match terminal.filter(|id| self.server.terminals.contains_key(id)) {
            Some(id) => {
                self.server.terminals.insert(id, session);
                let name = self.server.sessions.get(&session).map(|it| it.name.clone());
                let name = name.unwrap_or_default();
                self.server.notices.push(Notice::ClientMoved { client, session, name });
                Ok(Vec::new())
            }
            None => Err(format!("can't find client: {client}")),
        }
    }

    fn move_window(&mut self, command: &Command) -> Answer {
        let to = self.session_of(command)?;
        let (session, index) = self.place_in(&command.text_after("-s").unwrap_or_default())?;
        self.server.move_window(session, index, to);
        Ok(Vec::new())
    }

    fn unlink_window(&mut self, command: &Command) -> Answer {
        let (session, index) = self.place_in(&command.text_after("-t").unwrap_or_default())?;
        let window = self.server.sessions[&session].links[&index].window;
        if self.server.places_of(window).len() == 1 {
            return Err("window only linked to one session".to_owned());
        }
        self.server.unlink(session, index);
        Ok(Vec::new())
    }

    /// The place of a window that is named with its session, such as `$7:@8`.
    fn place_in(&self, wanted: &str) -> Result<(u32, u32), String> {
        let ids = wanted.split_once(':').and_then(|(session, window)| {
            Some((
                session.strip_prefix('$')?.parse().ok()?,
                window.strip_prefix('@')?.parse().ok()?,
            ))
        });
        let (session, window): (u32, u32) = ids.ok_or_else(|| format!("no place: {wanted}"))?;
        let place = self.server.places_of(window).into_iter().find(|it| it.0 == session);
        place.ok_or_else(|| format!("can't find window: {wanted}"))
    }

    fn break_pane(&mut self, command: &Command, clock: &Clock) -> Answer {
        let to = self.session_of(command)?;
        let pane = command.id_after("-s", '%').filter(|it| self.server.panes.contains_key(it));
        let wanted = command.text_after("-s").unwrap_or_default();
        let pane = pane.ok_or_else(|| format!("can't find pane: {wanted}"))?;
        self.server.break_out(pane, to, "broken".to_owned(), clock.wall_seconds());
        Ok(Vec::new())
    }

    /// Whether nothing of the user's is left.
    pub(crate) fn is_vacant(&self) -> bool {
        act::users_sessions(&self.server).next().is_none()
    }
}
