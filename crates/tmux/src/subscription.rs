//! Subscriptions: what tmux tells a control client by itself, once a second at most and only when it
//! changed.
//!
//! One subscription of a session can loop over everything, which no other kind can. It is asked for
//! once in each connection, and costs nothing over the line while nothing changes. The whole text
//! comes with each change, so there are three, by how often they change: where the panes are and what
//! runs in them, what they are called, and when they printed.
//!
//! A value is printed into the stream as it is, so nothing in it may break the line: newlines in free
//! texts are replaced, and these are cut. Within the line nothing is proven. A directory may be called
//! like the record of another pane; what is read from here says where to look and no more.

use std::collections::BTreeMap;

use crate::{
    arg::Arg,
    command::{Batch, Command, Verb},
    format::Format,
    ids::{PaneId, WindowId},
};

/// What a subscription is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Where each pane is, its process, its size, its flags, its program and its folder.
    Places,
    /// The titles.
    Titles,
    /// When each window last printed; in windows with several panes also where their cursors are.
    Output,
}

impl Topic {
    pub const ALL: [Topic; 3] = [Topic::Places, Topic::Titles, Topic::Output];

    /// The topic of a push, by the name that it carries.
    pub fn of(name: &[u8]) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name().as_bytes() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Topic::Places => "qd-places",
            Topic::Titles => "qd-titles",
            Topic::Output => "qd-output",
        }
    }

    /// Which number this topic has among all of them.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Asks for all topics. tmux pushes each of them within a second, and then whenever it changes.
pub fn subscribe() -> Batch {
    let [first, second, third] = Topic::ALL.map(|topic| {
        let wanted = Arg::subscription(topic.name(), &Format::watched(topic));
        Command::new(Verb::RefreshClient).option("-B", wanted)
    });
    Batch::from(first).then(second).then(third)
}

/// The least question that only a server that works answers.
pub fn sign_of_life() -> Batch {
    Batch::from(Command::print(Arg::word("qd")))
}

/// One push, cut into what it says of each pane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    panes: BTreeMap<PaneId, Vec<u8>>,
}

impl Records {
    /// Reads the value of [`Topic::Places`] or [`Topic::Titles`]. A pane of a window that is linked
    /// into several sessions has several records, which count as one.
    pub fn read(value: &[u8]) -> Records {
        let mut panes: BTreeMap<PaneId, Vec<u8>> = BTreeMap::new();
        for record in value.split(|&byte| byte == b'\t') {
            let (first, rest) = cut(record, b' ');
            if let Some(pane) = id::<PaneId>(first) {
                panes.entry(pane).or_default().extend_from_slice(rest);
            }
        }
        Records { panes }
    }

    /// Whether panes came or went since.
    pub fn has_others_than(&self, before: &Records) -> bool {
        !self.panes.keys().eq(before.panes.keys())
    }

    /// The panes of which something else was said before.
    pub fn changed_since(&self, before: &Records) -> impl Iterator<Item = PaneId> {
        let differs = |(pane, said): &(&PaneId, &Vec<u8>)| {
            before.panes.get(pane).is_some_and(|then| then != *said)
        };
        self.panes.iter().filter(differs).map(|(pane, _)| *pane)
    }
}

/// What a push of [`Topic::Output`] says of each window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs {
    windows: BTreeMap<WindowId, WindowOutput>,
}

/// When a window last printed, and in one with several panes how each of them stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct WindowOutput {
    activity: Vec<u8>,
    panes: BTreeMap<PaneId, Vec<u8>>,
}

impl Outputs {
    pub fn read(value: &[u8]) -> Outputs {
        let mut windows: BTreeMap<WindowId, WindowOutput> = BTreeMap::new();
        for record in value.split(|&byte| byte == b'\t') {
            let mut words = record.split(|&byte| byte == b' ');
            let Some(window) = words.next().and_then(id) else { continue };
            let activity = words.next().unwrap_or_default().to_vec();
            let panes = words.filter_map(|word| {
                let (pane, stand) = cut(word, b'.');
                Some((id(pane)?, stand.to_vec()))
            });
            windows.insert(window, WindowOutput { activity, panes: panes.collect() });
        }
        Outputs { windows }
    }

    /// The windows that printed since, each with those of its panes that stand otherwise; with none
    /// where it has only one.
    pub fn printed_since(&self, before: &Outputs) -> impl Iterator<Item = (WindowId, Vec<PaneId>)> {
        self.windows.iter().filter_map(|(window, now)| {
            let then = before.windows.get(window).filter(|then| *then != now)?;
            let moved = |(pane, stand): &(&PaneId, &Vec<u8>)| then.panes.get(pane) != Some(stand);
            Some((*window, now.panes.iter().filter(moved).map(|(pane, _)| *pane).collect()))
        })
    }
}

/// The text up to the first such byte, and what is behind it.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| byte == at).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

fn id<I: std::str::FromStr>(word: &[u8]) -> Option<I> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panes(ids: impl IntoIterator<Item = PaneId>) -> Vec<u32> {
        ids.into_iter().map(|pane| pane.0).collect()
    }

    #[test]
    fn all_topics_are_asked_for_in_one_line_and_known_by_their_names() {
        let line = String::from_utf8(subscribe().control_line().unwrap()).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        for topic in Topic::ALL {
            assert!(line.contains(&format!("-B \"{}::#{{S:", topic.name())), "{line}");
            assert_eq!(Topic::of(topic.name().as_bytes()), Some(topic));
            assert_eq!(Topic::ALL[topic.index()], topic);
        }
        assert_eq!(Topic::of(b"qd-other"), None);
    }

    #[test]
    fn what_is_said_of_a_pane_is_compared_whatever_stands_in_it() {
        let before = Records::read(b"%1 a\t%2 b c\t%3 \t");
        let now = Records::read(b"%1 a\t%2 b  c\t%3 \t");
        assert!(!now.has_others_than(&before));
        assert_eq!(panes(now.changed_since(&before)), [2]);
        let more = Records::read(b"%1 a\t%3 \t%4 x\t");
        assert!(more.has_others_than(&before));
        assert_eq!(panes(more.changed_since(&before)), [0; 0], "a new one is not a changed one");
    }

    #[test]
    fn a_text_that_looks_like_a_record_only_puts_panes_in_doubt() {
        let before = Records::read(b"%1 x\t%2 y\t");
        let forged = Records::read(b"%1 x\t%2 z\t%2 y\t\t%zz 7\t%4294967296 b\t");
        assert_eq!(panes(forged.changed_since(&before)), [1, 2][1..]);
        assert!(!forged.has_others_than(&before));
        assert_eq!(Records::read(b""), Records::default());
        assert_eq!(Records::read(b"\xff\xfe \t%"), Records::default());
    }

    #[test]
    fn a_window_that_printed_names_those_of_its_panes_that_moved() {
        let before = Outputs::read(b"@1 10\t@2 10 %2.0.0.0 %3.0.4.1\t@3 9\t");
        let now = Outputs::read(b"@1 11\t@2 11 %2.0.0.0 %3.0.5.1\t@3 9\t@4 9\t");
        let printed: Vec<_> = now.printed_since(&before).collect();
        assert_eq!(
            printed,
            [(WindowId(1), vec![]), (WindowId(2), vec![PaneId(3)])],
            "one that is new is told by its place"
        );
        assert_eq!(now.printed_since(&now).count(), 0);
        assert_eq!(Outputs::read(b"%1 2\t@\t\t"), Outputs::default());
    }
}
