//! What a pane printed since it was last looked at, line by line: none twice, and none passed over
//! without a word.
//!
//! tmux tells no number that only grows. What is there instead: a line that scrolled off the screen
//! never changes, and keeps its place among those that the pane holds until the pane gives up the
//! oldest, a tenth of its limit at a time. So where the last look ended is found by its place, and
//! after the pane may have given lines up, by its content.
//!
//! On the screen itself lines still change. One is told when it scrolled off, or when it stands
//! above the cursor and did not change from one look to the next; one that changes after it was
//! told, is told anew in the same way.

/// What one look showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The place of the first line among all that the pane holds.
    pub(crate) first: u64,
    pub(crate) lines: Vec<String>,
    /// How many lines have scrolled off the screen, of those that the pane holds.
    pub(crate) above: u64,
    /// How many of these it holds at most.
    pub(crate) limit: u64,
    /// The row of the cursor.
    pub(crate) cursor: u64,
    pub(crate) width: u32,
    /// A program has the whole screen for itself.
    pub(crate) is_full_screen: bool,
}

impl Look {
    /// Where the lines end that are complete: the one with the cursor is not.
    fn complete(&self) -> u64 {
        self.above + self.cursor
    }

    fn line(&self, place: u64) -> Option<&str> {
        let at = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.lines.get(at).map(String::as_str)
    }

    /// The lines from one place to another, as far as they are known.
    fn between(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, &str)> {
        (from.max(self.first)..to).map_while(|place| Some((place, self.line(place)?)))
    }

    /// How many lines the pane gives up at once.
    fn step(&self) -> u64 {
        (self.limit / 10).max(1)
    }
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Line(String),
    /// So many lines came and went unseen, where they can be counted.
    Missing(Option<u64>),
    /// The history was cleared.
    Cleared,
    /// The pane was made wider or narrower, which breaks its lines anew.
    Resized,
    /// A program took the whole screen for itself.
    FullScreen,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// This is new. `unsettled` says that there is more, which may still change.
    Told { news: Vec<Told>, unsettled: bool },
    /// The look does not reach back to the last one: a longer one may.
    TooShort,
}

/// Where a pane is followed.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    last: Option<Look>,
    /// What was told of the screen of the last look, from its top.
    told: Vec<String>,
    in_full_screen: bool,
}

impl Follow {
    /// Takes a look in; `longest` says that none reaches back further.
    pub(crate) fn take(&mut self, look: Look, longest: bool) -> Progress {
        if look.is_full_screen {
            let begins = !std::mem::replace(&mut self.in_full_screen, true);
            let news = begins.then_some(Told::FullScreen).into_iter().collect();
            return Progress::Told { news, unsettled: false };
        }
        self.in_full_screen = false;
        let Some(last) = &self.last else { return self.begin(look, Vec::new(), true) };
        if last.width != look.width {
            return self.begin(look, vec![Told::Resized], false);
        }
        let reaches = look.first == 0 || longest;
        match given_up(last, &look) {
            Some(shift) => {
                let screen = last.above.checked_sub(shift);
                if screen.is_none_or(|screen| screen < look.first) && !reaches {
                    return Progress::TooShort;
                }
                self.go_on(look, shift)
            }
            None if !reaches => Progress::TooShort,
            None => {
                let cleared = look.above < last.above && look.above + look.step() <= look.limit;
                let why = if cleared { Told::Cleared } else { Told::Missing(None) };
                self.begin(look, vec![why], true)
            }
        }
    }

    /// The complete lines that were seen and not told, because they could still change. For when
    /// there is no next look.
    pub(crate) fn rest(&self) -> Vec<String> {
        let Some(last) = &self.last else { return Vec::new() };
        let rows = last.between(last.above, last.complete());
        let rows: Vec<&str> = rows.map(|(_, line)| line).collect();
        let is_told = common(&self.told, &rows);
        let untold = rows.into_iter().zip(is_told).filter(|(_, is_told)| !is_told);
        untold.map(|(line, _)| line.to_owned()).collect()
    }

    /// Begins with what is there, told or passed over.
    fn begin(&mut self, look: Look, mut news: Vec<Told>, is_told: bool) -> Progress {
        let lines = |from| look.between(from, look.complete()).map(|(_, line)| line.to_owned());
        self.told = lines(look.above).collect();
        if is_told {
            news.extend(lines(look.first).map(Told::Line));
        }
        self.last = Some(look);
        Progress::Told { news, unsettled: false }
    }

    /// Tells what is behind the last look, which the pane has moved up by so many lines.
    fn go_on(&mut self, look: Look, shift: u64) -> Progress {
        let Some(last) = &self.last else { return self.begin(look, Vec::new(), true) };
        let screen = last.above.saturating_sub(shift);
        let mut news = Vec::new();
        let told_before = screen + self.told.len() as u64;
        if told_before < look.first {
            news.push(Told::Missing(Some(look.first - told_before)));
        }
        let end = look.first + look.lines.len() as u64;
        let rows: Vec<(u64, &str)> = look.between(screen, end).collect();
        let lines: Vec<&str> = rows.iter().map(|(_, line)| *line).collect();
        let unseen = usize::try_from(look.first.saturating_sub(screen)).unwrap_or(usize::MAX);
        let is_told = common(self.told.get(unseen..).unwrap_or_default(), &lines);
        let (mut told, mut waits, mut unsettled) = (Vec::new(), false, false);
        for ((place, line), was_told) in rows.into_iter().zip(is_told) {
            let scrolled_off = place < look.above;
            let complete = place < look.complete();
            let settled = scrolled_off || complete && last.line(place + shift) == Some(line);
            if !was_told && (waits || !settled) {
                waits = true;
                unsettled |= complete;
                continue;
            }
            if !was_told {
                news.push(Told::Line(line.to_owned()));
            }
            if !scrolled_off {
                told.push(line.to_owned());
            }
        }
        self.told = told;
        self.last = Some(look);
        Progress::Told { news, unsettled }
    }
}

/// How many lines the pane gave up since the last look; nothing where that cannot be told.
fn given_up(last: &Look, look: &Look) -> Option<u64> {
    if look.above + look.step() <= look.limit {
        return (look.above >= last.above).then_some(0);
    }
    let step = usize::try_from(look.step()).ok()?;
    (0..=last.complete()).step_by(step).find(|shift| fits(last, look, *shift))
}

/// Whether what the last look showed stands where it would by now: what cannot have changed since,
/// or, where none of that is left, what was complete on the screen.
fn fits(last: &Look, look: &Look, shift: u64) -> bool {
    let same = |from: u64, to: u64| {
        let seen = last.between(from.max(shift), to);
        let both = seen.filter_map(|(place, line)| Some(line == look.line(place - shift)?));
        both.reduce(|all, same| all && same)
    };
    same(last.first, last.above).or_else(|| same(last.above, last.complete())).unwrap_or(false)
}

/// Which of the lines stand among those that were told, in the same order: as many as can be, and
/// those at the beginning before all.
fn common(told: &[String], lines: &[&str]) -> Vec<bool> {
    let same = told.iter().zip(lines).take_while(|(told, line)| told == *line).count();
    let (told, rest) = (&told[same..], &lines[same..]);
    let mut is_told = vec![true; same];
    let columns = rest.len() + 1;
    // How much the ends of both have in common.
    let mut length = vec![0_u32; (told.len() + 1) * columns];
    for (row, line) in told.iter().enumerate().rev() {
        for (column, now) in rest.iter().enumerate().rev() {
            let at = row * columns + column;
            length[at] = if line == now {
                length[at + columns + 1] + 1
            } else {
                length[at + columns].max(length[at + 1])
            };
        }
    }
    let mut row = 0;
    for (column, now) in rest.iter().enumerate() {
        while row < told.len()
            && told[row] != *now
            && length[(row + 1) * columns + column] == length[row * columns + column]
            && length[row * columns + column] > length[row * columns + column + 1]
        {
            row += 1;
        }
        let matches = row < told.len() && told[row] == *now;
        row += usize::from(matches);
        is_told.push(matches);
    }
    is_told
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: u64 = 4;
    const LIMIT: u64 = 20;

    /// A pane of four rows that keeps twenty lines above them, as tmux does.
    #[derive(Default)]
    struct Pane {
        above: Vec<String>,
        screen: Vec<String>,
    }

    impl Pane {
        fn print(&mut self, line: &str) {
            self.screen.push(line.to_owned());
            // The cursor is below the last line.
            if self.screen.len() as u64 >= ROWS {
                if self.above.len() as u64 >= LIMIT {
                    self.above.drain(..2);
                }
                self.above.push(self.screen.remove(0));
            }
        }

        fn look(&self, most: usize) -> Look {
            let all: Vec<String> = self.above.iter().chain(&self.screen).cloned().collect();
            let first = all.len().saturating_sub(most);
            Look {
                first: first as u64,
                lines: all[first..].to_vec(),
                above: self.above.len() as u64,
                limit: LIMIT,
                cursor: self.screen.len() as u64,
                width: 80,
                is_full_screen: false,
            }
        }
    }

    /// Looks until nothing is unsettled, and gives what was told.
    fn told(follow: &mut Follow, pane: &Pane) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let progress = match follow.take(pane.look(6), false) {
                Progress::TooShort => follow.take(pane.look(1_000), true),
                enough => enough,
            };
            let Progress::Told { news, unsettled } = progress else { panic!("{progress:?}") };
            all.extend(news.into_iter().map(|it| match it {
                Told::Line(line) => line,
                mark @ (Told::Missing(_) | Told::Cleared | Told::Resized | Told::FullScreen) => {
                    format!("{mark:?}")
                }
            }));
            if !unsettled {
                return all;
            }
        }
    }

    fn begun() -> (Pane, Follow) {
        let (mut pane, mut follow) = (Pane::default(), Follow::default());
        pane.print("0");
        assert_eq!(told(&mut follow, &pane), ["0"]);
        (pane, follow)
    }

    #[test]
    fn every_line_is_told_once_however_many_come_between_two_looks() {
        let (mut pane, mut follow) = begun();
        let (mut next, mut burst) = (1, 0);
        // Bursts of every length that the pane can hold, with its oldest lines given up meanwhile.
        while next < 2_000 {
            burst = (burst + 7) % 17;
            let lines: Vec<String> = (next..next + burst).map(|it| it.to_string()).collect();
            lines.iter().for_each(|line| pane.print(line));
            assert_eq!(told(&mut follow, &pane), lines, "behind {next}");
            next += burst.max(1);
            if burst == 0 {
                pane.print(&(next - 1).to_string());
                assert_eq!(told(&mut follow, &pane), [(next - 1).to_string()]);
            }
        }
    }

    #[test]
    fn what_came_and_went_between_two_looks_is_said_to_be_missing() {
        let (mut pane, mut follow) = begun();
        (1..=100).for_each(|line| pane.print(&line.to_string()));
        let news = told(&mut follow, &pane);
        assert_eq!(news[0], "Missing(None)");
        let first: u64 = news[1].parse().unwrap();
        let expected: Vec<String> = (first..=100).map(|it| it.to_string()).collect();
        assert_eq!(news[1..], expected);
        assert!(expected.len() as u64 > LIMIT - 2);
    }

    #[test]
    fn where_a_look_cannot_reach_back_the_lines_between_are_counted() {
        let mut follow = Follow::default();
        let look = |first: u64, lines: &[&str], above| Look {
            first,
            lines: lines.iter().map(|it| (*it).to_owned()).collect(),
            above,
            limit: 50_000,
            cursor: 2,
            width: 80,
            is_full_screen: false,
        };
        follow.take(look(0, &["a", "b"], 0), true);
        assert_eq!(follow.take(look(100, &["c", "d"], 100), false), Progress::TooShort);
        let Progress::Told { news, .. } = follow.take(look(100, &["c", "d"], 102), true) else {
            panic!("it is the longest")
        };
        let line = |line: &str| Told::Line(line.to_owned());
        assert_eq!(news, [Told::Missing(Some(98)), line("c"), line("d")]);
    }

    #[test]
    fn a_line_that_still_changes_is_told_when_it_is_complete() {
        let (mut pane, mut follow) = begun();
        let mut look = |screen: &[&str], cursor| {
            pane.screen = screen.iter().map(|it| (*it).to_owned()).collect();
            let progress = follow.take(Look { cursor, ..pane.look(100) }, true);
            let Progress::Told { news, unsettled } = progress else { panic!("{progress:?}") };
            (news, unsettled)
        };
        let line = |line: &str| Told::Line(line.to_owned());
        assert_eq!(look(&["0", "10%"], 1), (vec![], false), "the cursor is in it");
        assert_eq!(look(&["0", "100%"], 1), (vec![], false));
        assert_eq!(look(&["0", "100%", "$ "], 2), (vec![line("100%")], false));
        // A spinner is repainted above a composer, and lines are put in above it.
        assert_eq!(look(&["0", "100%", "-", "> "], 3), (vec![], true));
        assert_eq!(look(&["0", "100%", "\\", "> "], 3), (vec![], true));
        assert_eq!(look(&["0", "100%", "word", "> "], 3), (vec![], true));
        assert_eq!(look(&["0", "100%", "word", "> "], 3), (vec![line("word")], false));
        assert_eq!(look(&["0", "new", "word", "> "], 3), (vec![], true));
        let settled = look(&["0", "new", "word", "> "], 3);
        assert_eq!(settled, (vec![line("new")], false), "what stays is not told again");
    }

    #[test]
    fn a_program_that_has_the_screen_for_itself_is_named_once_and_what_was_before_goes_on() {
        let (mut pane, mut follow) = begun();
        let editor = |pane: &Pane| Look { is_full_screen: true, ..pane.look(9) };
        let told_of = |news| Progress::Told { news, unsettled: false };
        assert_eq!(follow.take(editor(&pane), true), told_of(vec![Told::FullScreen]));
        assert_eq!(follow.take(editor(&pane), true), told_of(vec![]));
        pane.print("1");
        assert_eq!(told(&mut follow, &pane), ["1"]);
    }

    #[test]
    fn a_pane_that_was_cleared_or_resized_says_so() {
        let (mut pane, mut follow) = begun();
        (1..10).for_each(|line| pane.print(&line.to_string()));
        told(&mut follow, &pane);
        let wider = Look { width: 81, ..pane.look(100) };
        let resized = Progress::Told { news: vec![Told::Resized], unsettled: false };
        assert_eq!(follow.take(wider, true), resized);
        let mut follow = Follow::default();
        told(&mut follow, &pane);
        pane.above.clear();
        pane.screen = vec!["fresh".to_owned()];
        assert_eq!(told(&mut follow, &pane), ["Cleared", "fresh"]);
    }
}
