//! One machine with one tmux server, as the world and the observer reach it.

use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Input, Request};
use engine::words::TargetKind;
use tmux::hub::is_hub_name;

use super::check::{Checked, violated};
use super::clock::Clock;
use super::fake::act::{self, Act, Hands, Life, Room};
use super::fake::host::Host;
use super::fake::server::{Server, Session};
use super::fake::tmux::{Forked, Tmux};
use super::rng::Rng;
use super::road::{Road, Weather};
use super::tally::Tally;
use super::texts;

/// A target is to be watched.
pub(crate) fn addition(target: &TargetId, name: &str) -> (Actor, Input) {
    let (target, name, connection_ref) = (target.clone(), name.to_owned(), name.to_owned());
    // Some are somewhere else: of those it is told that nobody has looked yet.
    let is_near = target.as_str().ends_with('0');
    let kind = if is_near { TargetKind::Local } else { TargetKind::Command };
    let request = Request::AddTarget { target, name, kind, connection_ref };
    (Actor::Daemon, Input::Asked(request))
}

/// Somebody wants a target that is known to be tried again, or to be gone.
pub(crate) fn ask(rng: &mut Rng, name: String, tally: &mut Tally) -> (Actor, Input) {
    let request = if rng.permille(550) {
        Request::ConnectTarget { name }
    } else {
        tally.count("target removed");
        Request::RemoveTarget { name }
    };
    (Actor::Client { uid: 1_000, pid: Some(1) }, Input::Asked(request))
}

pub(crate) struct Site {
    pub(crate) target: TargetId,
    pub(crate) name: String,
    pub(crate) host: Host,
    pub(crate) tmux: Option<Tmux>,
    /// The way there, if it is somewhere else.
    pub(crate) road: Option<Road>,
}

impl Site {
    pub(crate) fn new(index: usize, pids: u32, road: Option<Road>) -> Site {
        Site {
            target: TargetId::new(format!("tg-{index}")),
            name: format!("place{index}"),
            host: Host::new(&format!("host{index}"), pids),
            tmux: None,
            road,
        }
    }

    /// The user does something; gives the pane that was written to, if one was.
    pub(crate) fn live(
        &mut self,
        room: Room,
        clock: &Clock,
        rng: &mut Rng,
    ) -> (Option<Act>, Option<u32>) {
        let began = self.tmux.is_none();
        if began {
            self.start_server(clock, rng);
        }
        let Some(tmux) = &mut self.tmux else { return (None, None) };
        // A server begins with its first session.
        let first = began.then_some(Act::Life(Life::NewSession));
        let act = first.or_else(|| Act::draw(rng, &tmux.server, room));
        let Some(act) = act else { return (None, None) };
        let (server, host) = (&mut tmux.server, &mut self.host);
        let printed = act.perform(&mut Hands { server, host, clock, rng });
        self.settle(clock);
        (Some(act), printed)
    }

    fn start_server(&mut self, clock: &Clock, rng: &mut Rng) {
        let now_ns = clock.kernel_ns();
        let pid = self.host.spawn(now_ns);
        let mut server = Server::new(pid, now_ns, clock.wall_seconds());
        server.detaches_on_destroy = rng.permille(700);
        let mut tmux = Tmux::new(server, format!("/sock/{}", self.name));
        tmux.hooked = rng.permille(200);
        self.tmux = Some(tmux);
    }

    /// Tells what happened, and lets a server go that nothing holds any more.
    pub(crate) fn settle(&mut self, clock: &Clock) {
        let Some(tmux) = &mut self.tmux else { return };
        if !tmux.hung {
            tmux.tell();
        }
        tmux.server.bury(&mut self.host, clock.kernel_ns());
        if tmux.server.is_empty() && tmux.server.next_session > 0 {
            self.end_server(false, clock);
        }
    }

    /// The server ends, in order or not. Every client goes with it.
    pub(crate) fn end_server(&mut self, crashed: bool, clock: &Clock) {
        let Some(mut tmux) = self.tmux.take() else { return };
        tmux.end(crashed);
        tmux.server.end(&mut self.host, clock.kernel_ns());
        for client in &tmux.clients {
            self.host.end(client.pid, clock.kernel_ns());
        }
    }

    /// A process of ours is killed.
    pub(crate) fn kill(&mut self, pid: u32, clock: &Clock) {
        self.host.end(pid, clock.kernel_ns());
        if let Some(tmux) = &mut self.tmux {
            tmux.drop_client(pid);
        }
        self.settle(clock);
    }

    /// Whether anything gets there now.
    pub(crate) fn is_reached(&self) -> bool {
        self.road.as_ref().is_none_or(Road::is_open)
    }

    /// Runs a command there. No answer where the server hangs, where nothing gets there, and now
    /// and then over a way that ends in between.
    pub(crate) fn fork(&mut self, words: &[Vec<u8>], clock: &Clock) -> Option<Forked> {
        if !self.is_reached() {
            return None;
        }
        let answer = self.tmux.as_mut()?.fork(words, &mut self.host, clock);
        let is_lost = self.road.as_mut().is_some_and(Road::loses_answer);
        answer.filter(|_| !is_lost)
    }

    /// Starts a control client there; gives its pid.
    pub(crate) fn attach(&mut self, words: &[Vec<u8>], clock: &Clock) -> Option<u32> {
        let tmux = self.tmux.as_mut()?;
        let pid = self.host.spawn(clock.kernel_ns());
        tmux.attach(pid, words, clock);
        if let Some(road) = &mut self.road {
            road.connect(pid);
        }
        Some(pid)
    }

    /// Bytes for a control client.
    pub(crate) fn write(&mut self, client: u32, bytes: &[u8], clock: &Clock) {
        match (&mut self.road, &mut self.tmux) {
            (Some(road), _) => road.send(client, bytes.to_vec(), clock.true_ms()),
            (None, Some(tmux)) => tmux.write(client, bytes, &mut self.host, clock),
            (None, None) => {}
        }
        self.do_kills(clock);
    }

    /// Bytes of a control client, at most so many; nothing where it is over.
    pub(crate) fn read(&mut self, client: u32, most: usize, clock: &Clock) -> Option<Vec<u8>> {
        match &mut self.road {
            Some(road) => road.heard(client, most, clock.true_ms()),
            None => self.tmux.as_mut()?.read(client, most),
        }
    }

    /// A connection of ours is over on our side.
    pub(crate) fn hang_up(&mut self, client: u32, clock: &Clock) {
        let is_gone = self.road.as_mut().is_none_or(|it| it.hang_up(client, clock.true_ms()));
        if is_gone {
            self.kill(client, clock);
        }
    }

    /// What was on its way goes on, and who was left behind is noticed.
    pub(crate) fn carry(&mut self, clock: &Clock) {
        let now_ms = clock.true_ms();
        let Some(road) = &mut self.road else { return };
        let noticed = road.noticed(now_ms);
        let clients = if road.is_open() { road.clients() } else { Vec::new() };
        for client in clients {
            let Some(road) = &mut self.road else { return };
            let bytes = road.arrived(client, now_ms);
            if let Some(tmux) = &mut self.tmux {
                tmux.write(client, &bytes, &mut self.host, clock);
            }
            self.do_kills(clock);
            let said = self.tmux.as_mut().and_then(|it| it.read(client, usize::MAX));
            if let Some(road) = &mut self.road {
                road.say(client, said, now_ms);
            }
        }
        noticed.into_iter().for_each(|client| self.kill(client, clock));
    }

    /// What becomes of the way there.
    pub(crate) fn weather(&mut self, clock: &Clock) -> Option<Weather> {
        let road = self.road.as_mut()?;
        let weather = road.forecast()?;
        match weather {
            Weather::Silent => road.silence(),
            Weather::Back => road.open(),
            Weather::Cut => {
                for (client, bytes) in road.cut() {
                    if let Some(tmux) = &mut self.tmux {
                        tmux.write(client, &bytes, &mut self.host, clock);
                    }
                    self.do_kills(clock);
                    self.hang_up(client, clock);
                }
            }
            Weather::Reboot => {
                road.silence();
                road.forget_left();
                self.tmux = None;
                self.host.reboot();
            }
        }
        Some(weather)
    }

    /// Does what the server was asked to run in a shell.
    pub(crate) fn do_kills(&mut self, clock: &Clock) {
        let kills = self.tmux.as_mut().map(|tmux| std::mem::take(&mut tmux.kills));
        for pid in kills.into_iter().flatten() {
            self.kill(pid, clock);
        }
        self.settle(clock);
    }

    /// The agent that the machine shows below a pane's process.
    pub(crate) fn agent(&self, pane: u32) -> Option<(&'static str, u32)> {
        let agent = self.tmux.as_ref()?.server.panes.get(&pane)?.agent.as_ref()?;
        Some((agent.kind, agent.pid))
    }

    /// Something of the user's lands in our own session, as it can without anybody wanting it.
    pub(crate) fn trespass(&mut self, clock: &Clock, rng: &mut Rng) {
        let Some(tmux) = &mut self.tmux else { return };
        let hub = |(_, it): &(&u32, &Session)| is_hub_name(&it.name);
        let Some(hub) = tmux.server.sessions.iter().find(hub).map(|(id, _)| *id) else { return };
        if act::users_sessions(&tmux.server).next().is_none() {
            return;
        }
        let program = act::program(&mut self.host, clock, rng);
        let beside = rng.choose(tmux.server.panes_of(hub).into_iter());
        match (rng.below(3), beside) {
            (0, Some(pane)) => {
                tmux.server.split(pane, program);
            }
            (1, _) => {
                let terminal = rng.choose(tmux.server.terminals.values_mut());
                terminal.into_iter().for_each(|session| *session = hub);
                self.host.end(program.pid, clock.kernel_ns());
            }
            _ => {
                let name = texts::window_name(rng);
                tmux.server.new_window(hub, name, program, clock.wall_seconds());
            }
        }
        self.settle(clock);
    }

    /// I10: our own session holds nothing but our own pane, and nobody but us.
    pub(crate) fn check_hub(&self) -> Checked {
        let Some(tmux) = &self.tmux else { return Ok(()) };
        // A program that lost its last session has nowhere to go and is let live with us.
        if tmux.is_vacant() {
            return Ok(());
        }
        for (id, session) in tmux.server.sessions.iter().filter(|(_, it)| is_hub_name(&it.name)) {
            let panes = tmux.server.panes_of(*id).len();
            let guests = tmux.server.attached(*id);
            let clients = tmux.clients.iter().filter(|it| it.session == Some(*id)).count();
            if (panes, guests) != (1, 0) || clients > 1 {
                let name = &session.name;
                let detail = format!("{name}: {panes} panes, {guests} guests, {clients} clients");
                return violated("I10", detail);
            }
        }
        Ok(())
    }
}
