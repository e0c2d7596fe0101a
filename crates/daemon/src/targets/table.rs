//! What runs on a target whose processes we cannot look at ourselves: a table that is asked for
//! when something has changed there, and used until the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::host::{ProcessStat, ProgramFacts};

/// Processes of one target that are looked at, and how far below a pane's own.
const PROCESSES_MAX: usize = 32_768;
const PROGRAMS_MAX: usize = 512;
const DEPTH_MAX: u32 = 8;
/// What the script puts between arguments, and for a newline in one.
const ARGUMENT_END: char = '\u{1e}';

/// All processes as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Table {
    stats: BTreeMap<u32, Row>,
    children: BTreeMap<u32, Vec<u32>>,
    programs: BTreeMap<Life, ProgramFacts>,
}

#[derive(Clone, Debug)]
struct Row {
    stat: ProcessStat,
    name: String,
}

/// One life of a process, up to its next program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pid: u32,
    start_ticks: u64,
    exec_mark: Option<u64>,
}

impl Life {
    fn of(pid: u32, stat: &ProcessStat) -> Self {
        Self { pid, start_ticks: stat.start_ticks, exec_mark: stat.exec_mark }
    }
}

impl Table {
    /// Takes the states of all processes, as the kernel prints them. What is known of programs
    /// that still run stays known.
    pub(super) fn renew(&mut self, printed: &[u8]) {
        self.stats =
            printed.split(|&byte| byte == b'\n').filter_map(row).take(PROCESSES_MAX).collect();
        self.children.clear();
        for (pid, row) in &self.stats {
            self.children.entry(row.stat.parent).or_default().push(*pid);
        }
        let living: BTreeSet<Life> =
            self.stats.iter().map(|(pid, row)| Life::of(*pid, &row.stat)).collect();
        self.programs.retain(|life, _| living.contains(life));
    }

    /// The processes at and below these whose programs are not known yet.
    pub(super) fn unknown_below(&self, roots: &BTreeSet<u32>) -> Vec<u32> {
        let mut waiting: VecDeque<(u32, u32)> = roots.iter().map(|pid| (*pid, 0)).collect();
        let (mut met, mut unknown) = (BTreeSet::new(), Vec::new());
        while let Some((pid, depth)) = waiting.pop_front() {
            if depth > DEPTH_MAX || !met.insert(pid) || unknown.len() >= PROGRAMS_MAX {
                continue;
            }
            let Some(row) = self.stats.get(&pid) else { continue };
            if !self.programs.contains_key(&Life::of(pid, &row.stat)) {
                unknown.push(pid);
            }
            waiting.extend(self.children(pid).iter().map(|child| (*child, depth + 1)));
        }
        unknown
    }

    /// Takes what some of them run.
    pub(super) fn learn(&mut self, printed: &[u8]) {
        for line in String::from_utf8_lossy(printed).lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(pid), Some(what)) = (words.next(), words.next()) else { continue };
            let said = words.next().unwrap_or_default();
            let Some((pid, row)) = pid.parse().ok().and_then(|pid| self.stats.get_key_value(&pid))
            else {
                continue;
            };
            if !["arguments", "program"].contains(&what) {
                continue;
            }
            let facts = self.programs.entry(Life::of(*pid, &row.stat)).or_default();
            facts.name.clone_from(&row.name);
            if what == "program" {
                said.clone_into(&mut facts.path);
            } else {
                let said = said.strip_suffix(ARGUMENT_END).unwrap_or(said);
                facts.arguments = said.split(ARGUMENT_END).map(str::to_owned).collect();
            }
        }
    }

    pub(super) fn stat(&self, pid: u32) -> Option<ProcessStat> {
        self.stats.get(&pid).map(|row| row.stat)
    }

    pub(super) fn life(&self, pid: u32) -> Option<Life> {
        self.stat(pid).map(|stat| Life::of(pid, &stat))
    }

    pub(super) fn children(&self, pid: u32) -> &[u32] {
        self.children.get(&pid).map_or(&[], Vec::as_slice)
    }

    pub(super) fn program(&self, pid: u32) -> Option<ProgramFacts> {
        let stat = self.stat(pid)?;
        self.programs.get(&Life::of(pid, &stat)).cloned()
    }
}

/// One line of `/proc/PID/stat`. A name with a newline in it makes two that are none.
fn row(line: &[u8]) -> Option<(u32, Row)> {
    let stat = ProcessStat::parse(line)?;
    let begin = line.iter().position(|&byte| byte == b'(')?;
    let end = line.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(line.get(..begin)?).ok()?.trim().parse().ok()?;
    let name = String::from_utf8_lossy(line.get(begin + 1..end)?).into_owned();
    Some((pid, Row { stat, name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, name: &str, parent: u32, start: u64) -> String {
        format!(
            "{pid} ({name}) S {parent} {pid} 7 34816 99 4194304 1 2 3 4 5 6 7 8 20 0 1 0 {start} \
             10 20 18446744073709551615 1 2 14{pid} 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"
        )
    }

    #[test]
    fn programs_are_asked_for_once_and_below_the_panes_only() {
        let mut table = Table::default();
        let printed = [stat(1, "init", 0, 1), stat(5, "bash", 1, 50), stat(6, "no) de", 5, 60)];
        table.renew(printed.concat().as_bytes());
        assert_eq!(table.unknown_below(&BTreeSet::from([5])), [5, 6]);
        let said = "5 arguments -bash\u{1e}\n6 arguments node\u{1e}/opt/a b\u{1e}\n\
            5 program /bin/bash\n6 program /usr/bin/node\n";
        table.learn(said.as_bytes());
        assert_eq!(table.unknown_below(&BTreeSet::from([5])), [0; 0]);
        let node = table.program(6).unwrap();
        assert_eq!((node.name.as_str(), node.path.as_str()), ("no) de", "/usr/bin/node"));
        assert_eq!(node.arguments, ["node", "/opt/a b"]);
        assert_eq!((table.children(5), table.children(6)), (&[6][..], &[][..]));
        table.renew([stat(5, "bash", 1, 50), stat(6, "node", 5, 61)].concat().as_bytes());
        assert_eq!(table.unknown_below(&BTreeSet::from([5])), [6], "the number is another's now");
        assert!(table.program(1).is_none() && table.stat(1).is_none());
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let mut table = Table::default();
        let odd = format!("x (y\nz) S\n{}\n7 (", stat(5, "a", 1, 1));
        table.renew(odd.as_bytes());
        assert!(table.stat(5).is_some() && table.stat(7).is_none());
        table.learn(b"9 program /x\n5\nfive arguments x\n5 else x\n");
        assert!(table.program(9).is_none());
        let circle = [stat(5, "a", 6, 1), stat(6, "b", 5, 2)].concat();
        table.renew(circle.as_bytes());
        assert_eq!(table.unknown_below(&BTreeSet::from([5])).len(), 2, "a circle has an end");
    }
}
