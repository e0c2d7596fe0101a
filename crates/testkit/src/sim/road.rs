//! The way to a machine that is somewhere else: bytes take their time, and the way is cut, falls
//! silent or comes back without either end being told at once.
//!
//! It has a chance of its own, so that a world without weather is the same with it and without.

use std::collections::{BTreeMap, VecDeque};

use super::rng::Rng;

/// How long a machine may take to notice that a connection is gone.
const NOTICED_MS: i64 = 60_000;

/// What happens to a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every connection ends.
    Cut,
    /// Nothing comes through, and nobody is told.
    Silent,
    Back,
    /// The machine goes down and comes up again; whoever is connected hears nothing of it.
    Reboot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Open,
    Closed,
    Silent,
}

/// What is on its way over one connection, with the time at which it arrives.
#[derive(Debug, Default)]
struct Wire {
    there: VecDeque<(i64, Vec<u8>)>,
    /// The last one is nothing where the far end is over.
    here: VecDeque<(i64, Option<Vec<u8>>)>,
    latest_ms: i64,
    is_over: bool,
}

#[derive(Debug)]
pub(crate) struct Road {
    rng: Rng,
    passage: Passage,
    /// The longest that bytes take.
    lag_ms: i64,
    /// By the control client there.
    wires: BTreeMap<u32, Wire>,
    /// Clients there whose connection is gone, and when somebody there notices.
    left: Vec<(u32, i64)>,
    is_calm: bool,
}

impl Road {
    pub(crate) fn new(mut rng: Rng) -> Road {
        let lag_ms = rng.weighted(&[(3, 0), (4, 60), (2, 700), (1, 2_500)]);
        Road {
            rng,
            passage: Passage::Open,
            lag_ms,
            wires: BTreeMap::new(),
            left: Vec::new(),
            is_calm: false,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.passage == Passage::Open
    }

    /// What happens next, if anything does.
    pub(crate) fn forecast(&mut self) -> Option<Weather> {
        if self.is_calm {
            return None;
        }
        let (one_in, choices): (usize, &[(u32, Weather)]) = match self.passage {
            Passage::Open => {
                (150, &[(6, Weather::Cut), (6, Weather::Silent), (1, Weather::Reboot)])
            }
            Passage::Closed => (15, &[(1, Weather::Back)]),
            Passage::Silent => (20, &[(2, Weather::Back), (1, Weather::Cut)]),
        };
        (self.rng.below(one_in) == 0).then(|| self.rng.weighted(choices))
    }

    pub(crate) fn silence(&mut self) {
        self.passage = Passage::Silent;
    }

    pub(crate) fn open(&mut self) {
        self.passage = Passage::Open;
    }

    /// Nothing breaks any more.
    pub(crate) fn calm(&mut self) {
        self.is_calm = true;
        self.open();
    }

    /// Whether an answer to something that was done gets lost.
    pub(crate) fn loses_answer(&mut self) -> bool {
        !self.is_calm && self.rng.permille(20)
    }

    pub(crate) fn connect(&mut self, client: u32) {
        self.wires.insert(client, Wire::default());
    }

    pub(crate) fn clients(&self) -> Vec<u32> {
        self.wires.keys().copied().collect()
    }

    fn arrival(&mut self, now_ms: i64) -> i64 {
        now_ms + self.rng.between(0, self.lag_ms)
    }

    /// Bytes for a client there.
    pub(crate) fn send(&mut self, client: u32, bytes: Vec<u8>, now_ms: i64) {
        let at = self.arrival(now_ms);
        if let Some(wire) = self.wires.get_mut(&client) {
            let at = wire.there.back().map_or(at, |(last, _)| at.max(*last));
            wire.there.push_back((at, bytes));
        }
    }

    /// What has arrived for a client there.
    pub(crate) fn arrived(&mut self, client: u32, now_ms: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(wire) = self.wires.get_mut(&client).filter(|_| self.passage == Passage::Open)
        else {
            return bytes;
        };
        while let Some((_, piece)) = wire.there.pop_front_if(|(at, _)| *at <= now_ms) {
            bytes.extend(piece);
        }
        bytes
    }

    /// What a client there said, or that it is over.
    pub(crate) fn say(&mut self, client: u32, said: Option<Vec<u8>>, now_ms: i64) {
        let at = self.arrival(now_ms);
        let Some(wire) = self.wires.get_mut(&client).filter(|it| !it.is_over) else { return };
        if said.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        wire.is_over = said.is_none();
        wire.latest_ms = at.max(wire.latest_ms);
        wire.here.push_back((wire.latest_ms, said));
    }

    /// What has come back from a client there, at most so much; nothing where the connection is over.
    pub(crate) fn heard(&mut self, client: u32, most: usize, now_ms: i64) -> Option<Vec<u8>> {
        let is_open = self.is_open();
        let wire = self.wires.get_mut(&client)?;
        let mut bytes = Vec::new();
        while is_open && bytes.len() < most {
            let Some((at, said)) = wire.here.pop_front_if(|(at, _)| *at <= now_ms) else { break };
            let Some(mut said) = said else {
                if bytes.is_empty() {
                    self.wires.remove(&client);
                    return None;
                }
                wire.here.push_front((at, None));
                break;
            };
            let rest = said.split_off(said.len().min(most - bytes.len()));
            bytes.extend(said);
            if !rest.is_empty() {
                wire.here.push_front((at, Some(rest)));
            }
        }
        Some(bytes)
    }

    /// A connection is gone here. Gives whether its client is gone there, too; else that takes a while.
    pub(crate) fn hang_up(&mut self, client: u32, now_ms: i64) -> bool {
        self.wires.remove(&client);
        let at_once = self.is_open() && (self.is_calm || self.rng.permille(700));
        if !at_once {
            self.left.push((client, now_ms + self.rng.between(0, NOTICED_MS)));
        }
        at_once
    }

    /// Every connection ends. Of what was on its way the first part still arrives.
    pub(crate) fn cut(&mut self) -> Vec<(u32, Vec<u8>)> {
        let mut arrives = Vec::new();
        for (client, wire) in &self.wires {
            let pieces = self.rng.below(wire.there.len() + 1);
            let mut bytes: Vec<u8> =
                wire.there.iter().take(pieces).flat_map(|(_, piece)| piece.clone()).collect();
            let part = self.rng.below(bytes.len() + 1);
            bytes.truncate(if self.rng.permille(300) { part } else { bytes.len() });
            arrives.push((*client, bytes));
        }
        self.passage = Passage::Closed;
        arrives
    }

    /// Clients there that are noticed now to have nobody any more.
    pub(crate) fn noticed(&mut self, now_ms: i64) -> Vec<u32> {
        let due = self.left.iter().filter(|(_, at)| *at <= now_ms).map(|(pid, _)| *pid).collect();
        self.left.retain(|(_, at)| *at > now_ms);
        due
    }

    /// Whether a client there goes on unnoticed beside the one that is connected.
    pub(crate) fn has_company(&self) -> bool {
        !self.wires.is_empty() && !self.left.is_empty()
    }

    /// The machine there came up anew: nobody is left on it.
    pub(crate) fn forget_left(&mut self) {
        self.left.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn road() -> Road {
        let mut road = Road::new(Rng::new(1));
        road.lag_ms = 100;
        road.connect(7);
        road
    }

    #[test]
    fn bytes_arrive_late_in_order_and_once() {
        let mut road = road();
        for (ms, piece) in (0..20).zip(b'a'..) {
            road.send(7, vec![piece], ms);
            road.say(7, Some(vec![piece]), ms);
        }
        assert!(road.arrived(7, 0).len() < 20, "not all of it takes no time");
        let before = road.arrived(7, 60);
        let there = [before, road.arrived(7, 200)].concat();
        let here: Vec<u8> = (0..30).filter_map(|_| road.heard(7, 1, 200)).flatten().collect();
        assert!(b"abcdefghijklmnopqrst".ends_with(&there));
        assert_eq!(here, b"abcdefghijklmnopqrst");
    }

    #[test]
    fn the_end_comes_behind_what_was_said_before_it() {
        let mut road = road();
        road.say(7, Some(b"last".to_vec()), 0);
        road.say(7, None, 0);
        road.say(7, Some(b"never".to_vec()), 0);
        assert_eq!(road.heard(7, 100, 500), Some(b"last".to_vec()));
        assert_eq!(road.heard(7, 100, 500), None);
    }

    #[test]
    fn a_silent_way_keeps_what_is_sent_and_a_cut_one_ends() {
        let mut road = road();
        road.silence();
        road.send(7, b"x".to_vec(), 0);
        assert_eq!((road.arrived(7, 900), road.heard(7, 9, 900)), (vec![], Some(vec![])));
        road.open();
        assert_eq!(road.arrived(7, 900), b"x");
        road.send(7, b"y".to_vec(), 900);
        let arrives = road.cut();
        assert!(matches!(&arrives[..], [(7, bytes)] if b"y".starts_with(bytes)));
        assert!(!road.hang_up(7, 900), "who is there has yet to notice");
        assert_eq!(road.heard(7, 9, 900), None);
        assert_eq!(road.noticed(900 + NOTICED_MS), [7]);
    }
}
