//! Acts on a pane: the check and the act as one command inside the tmux server.
//!
//! Whatever was found out about a pane before may be wrong by the time a command arrives. So the
//! server itself compares, in the same run of its queue in which it acts: that it is the server
//! that was meant, that the pane holds the process that was seen, that this process is still in
//! the foreground, that input reaches it, and that it is not too late. `docs/design/actions.md`
//! says what follows from each.
//!
//! What was done leaves its nonce on the pane ([`DONE`]), in the same run, so that whoever did not
//! hear the answer can look later whether it was ([`Look`]).

use crate::{
    arg::{Arg, ArgError, Key, OwnName},
    command::{Batch, BatchTooLong, Command, Verb},
    format::{Format, Mark, Nonce, Var},
    ids::{PaneId, SessionId, WindowId},
    scan::{Pieces, ScanError, ServerInstance, line},
    version::Version,
};

/// The pane option that holds the nonces of the last acts in the pane, newest first.
const DONE: &str = "@qd_act";
/// How many nonces before the newest it keeps. A pane has no more acts at once of which it is not
/// known whether they were done, and each leaves at most [`STEPS_MAX`].
pub const DONE_BEFORE_MAX: usize = 4 * STEPS_MAX - 1;
/// Steps of one act that leave a nonce each: a composer is cleared, filled and sent.
pub const STEPS_MAX: usize = 3;

/// What must hold for an act to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub server: ServerInstance,
    pub pane: PaneId,
    /// The pane's own process.
    pub pid: u32,
    /// What runs in the foreground, letter by letter.
    pub command: String,
    /// The first second since 1970, by the server's clock, in which it is too late.
    pub until: u64,
}

/// What is typed into a pane: a text, then keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Typing {
    pub text: Option<Pasted>,
    pub keys: Vec<Key>,
    /// Texts that the pane must show when it is done, each within a line. They are patterns of
    /// tmux's: `*`, `?` and `[` in them fit more than themselves.
    pub visible: Vec<String>,
    /// Lines that it must show from end to end, as far as letters and digits stand in them.
    pub lines: Vec<String>,
    /// Only while the pane looks like this; a mode that it shows is left first.
    pub sight: Option<Sight>,
}

/// Where the cursor of a pane's program stood, and how many modes lay over it, when somebody looked.
/// Whatever is typed into a composer meanwhile moves its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    pub column: u32,
    pub row: u32,
    pub modes: u32,
}

/// A text that is no part of a command: what is one stays in the server's message log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pasted {
    pub text: Text,
    /// In brackets, where the program asked for them.
    pub bracketed: bool,
}

/// Where a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// In a file that the server can read.
    File(Vec<u8>),
    /// In the buffer of the act, into which it has to be brought before ([`Act::load`]).
    Loaded,
}

/// Making a pane the one that its session shows, for a client that comes to the session next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub session: SessionId,
    pub window: WindowId,
}

/// Which step of an act a nonce stands for. Most acts have only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The text, or whatever the act consists of.
    Deed,
    /// The keys behind the text, pressed by a command of their own.
    Keys,
    /// The composer, before either.
    Cleared,
}

impl Stage {
    /// The nonce that this step of an act leaves.
    #[must_use]
    pub fn nonce(self, act: Nonce) -> Nonce {
        match self {
            Stage::Deed => act,
            Stage::Keys => act.step(1),
            Stage::Cleared => act.step(2),
        }
    }
}

/// Why an act cannot be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    #[error(transparent)]
    TooLong(#[from] BatchTooLong),
    #[error(transparent)]
    Arg(#[from] ArgError),
}

/// One act on one pane.
#[derive(Debug, Clone)]
pub struct Act {
    nonce: Nonce,
    expected: Expected,
    sight: Option<Sight>,
    load: Option<OwnName>,
    batch: Batch,
}

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Done,
    /// Nothing was done, because of this.
    Refused(Objection),
}

/// What stood in the way, most fundamental first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// Another server answers there.
    Server,
    /// The pane is gone.
    Pane,
    /// The pane's process is dead, or another one.
    Process,
    /// Something else is in the foreground.
    Command { now: String },
    /// The pane is in a mode, such as copy mode.
    Mode,
    /// The pane's input is switched off.
    InputOff,
    /// What is typed there is copied into other panes.
    Synchronized,
    /// It does not look any more as it did when somebody looked.
    Moved,
    /// The server came to it too late.
    Late,
    /// Everything is as it should be by now, apart from what the pane has to show.
    Passing,
}

/// Which checks an act needs beyond the identity of server, pane and process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Identity,
    Input { keys: bool, sight: Option<Sight> },
}

impl Act {
    /// Types into a pane.
    pub fn typing(
        nonce: Nonce,
        expected: Expected,
        typing: &Typing,
        version: &Version,
    ) -> Result<Act, ActError> {
        let pane = expected.pane;
        let buffer = OwnName::new("_qd-", &nonce.to_string())?;
        let of = |verb| Command::new(verb).option("-b", Arg::own_name(&buffer));
        let mut deed: Vec<Command> = Vec::new();
        if typing.sight.is_some_and(|sight| sight.modes > 0) {
            deed.push(Command::new(Verb::CopyMode).flag("-q").target_pane(pane));
        }
        if let Some(text) = &typing.text {
            let mut paste = of(Verb::PasteBuffer).flag("-r").flag("-d");
            if text.bracketed {
                paste = paste.flag("-p");
            }
            if version.paste_needs_raw_flag() {
                paste = paste.flag("-S");
            }
            deed.push(paste.target_pane(pane));
        }
        if !typing.keys.is_empty() {
            let keys = Command::new(Verb::SendKeys).target_pane(pane).end_of_flags();
            deed.push(typing.keys.iter().fold(keys, |keys, key| keys.arg(Arg::key(key))));
        }
        let needs = Needs::Input { keys: !typing.keys.is_empty(), sight: typing.sight };
        let clean_up = typing.text.is_some().then(|| of(Verb::DeleteBuffer));
        let guard = guard(&expected, needs);
        let guard = typing.visible.iter().fold(guard, |it, text| it.and(&Format::shows(text)));
        let guard = typing.lines.iter().fold(guard, |it, line| it.and(&Format::shows_line(line)));
        let act = either(nonce, &expected, &guard, deed, clean_up)?;
        let (load, batch) = match typing.text.as_ref().map(|text| &text.text) {
            Some(Text::File(path)) => {
                let load = of(Verb::LoadBuffer).arg(Arg::expanded(path)?);
                (None, Batch::from(load).then(act))
            }
            Some(Text::Loaded) => (Some(buffer), act.into()),
            None => (None, act.into()),
        };
        Ok(Act { nonce, expected, sight: typing.sight, load, batch })
    }

    /// Makes a pane the one that its session shows.
    pub fn visit(nonce: Nonce, expected: Expected, visit: &Visit) -> Result<Act, ActError> {
        let window = Arg::window_in(visit.session, visit.window);
        let deed = vec![
            Command::new(Verb::SelectWindow).option("-t", window),
            Command::new(Verb::SelectPane).target_pane(expected.pane),
        ];
        let guard = guard(&expected, Needs::Identity);
        let batch = either(nonce, &expected, &guard, deed, None)?.into();
        Ok(Act { nonce, expected, sight: None, load: None, batch })
    }

    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The buffer that has to hold the text before.
    pub fn load(&self) -> Option<&OwnName> {
        self.load.as_ref()
    }

    /// Reads what the whole batch printed.
    pub fn read(&self, output: &[u8]) -> Result<Said, ScanError> {
        let mut pieces = Pieces::new(self.nonce, output);
        pieces.text();
        match pieces.mark()? {
            Mark::Done => Ok(Said::Done),
            Mark::Begin => {
                let seen = Seen::read(&mut pieces)?;
                Ok(Said::Refused(seen.objection(&self.expected, self.sight)))
            }
            Mark::Server | Mark::Text | Mark::Newline | Mark::Backslash | Mark::End => {
                Err(ScanError::Misplaced)
            }
        }
    }
}

/// The guarded command: `deed` and its trace, or what was in the way.
fn either(
    nonce: Nonce,
    expected: &Expected,
    guard: &Format,
    deed: Vec<Command>,
    clean_up: Option<Command>,
) -> Result<Command, BatchTooLong> {
    let pane = expected.pane;
    let show = |format: &Format| {
        let print = Command::new(Verb::DisplayMessage).flag("-p").target_pane(pane);
        print.arg(Arg::format(format))
    };
    let kept = DONE_BEFORE_MAX * (Nonce::BYTES + 1);
    let trace = Command::new(Verb::SetOption).flag("-p").flag("-F").target_pane(pane);
    let trace =
        trace.arg(Arg::word(DONE)).arg(Arg::format(&Format::before(nonce, kept, Var(DONE))));
    let said = show(&Format::new().mark(nonce, Mark::Done));
    let deed = deed.into_iter().chain([trace]).rev();
    let yes = deed.fold(Batch::from(said), Batch::behind);
    let no = Batch::from(show(&Seen::format(nonce)));
    let no = clean_up.into_iter().fold(no, Batch::then);
    Command::either(pane, guard, yes, no)
}

fn guard(expected: &Expected, needs: Needs) -> Format {
    let number = |name, number: u64| Format::equals(Var(name), &number.to_string());
    let identity = number("pid", expected.server.pid.into())
        .and(&number("start_time", expected.server.start_time))
        .and(&Format::equals(Var("pane_id"), &expected.pane.to_string()))
        .and(&number("pane_pid", expected.pid.into()))
        .and(&number("pane_dead", 0))
        .and(&Format::clock_before(expected.until));
    let Needs::Input { keys, sight } = needs else { return identity };
    let modes = sight.map_or(0, |sight| sight.modes);
    let mut input = identity
        .and(&Format::equals(Var("pane_current_command"), &expected.command))
        .and(&number("pane_in_mode", modes.into()))
        .and(&number("pane_input_off", 0));
    if keys {
        // Keys, unlike a paste, are copied to the panes that are synchronized with this one.
        input = input.and(&number("pane_synchronized", 0));
    }
    if let Some(sight) = sight {
        input = input.and(&number("cursor_x", sight.column.into()));
        input = input.and(&number("cursor_y", sight.row.into()));
    }
    input
}

const FACTS: &[Var] = &[
    Var("pid"),
    Var("start_time"),
    Var("pane_id"),
    Var("pane_pid"),
    Var("pane_dead"),
    Var("pane_in_mode"),
    Var("pane_input_off"),
    Var("pane_synchronized"),
    Var("cursor_x"),
    Var("cursor_y"),
];

/// What a server shows of a pane when it is asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    server: ServerInstance,
    /// The pane and its process, unless it is gone.
    pane: Option<(String, Option<u32>)>,
    dead: bool,
    modes: u32,
    /// Column and row of the cursor, unless the pane is gone.
    cursor: Option<(u32, u32)>,
    input_off: bool,
    synchronized: bool,
    clock: u64,
    command: String,
    done: String,
}

impl Seen {
    fn format(nonce: Nonce) -> Format {
        let facts = Format::new().mark(nonce, Mark::Begin).plain(&[FACTS]).clock();
        let texts = facts.free(nonce, Var("pane_current_command")).free(nonce, Var(DONE));
        texts.mark(nonce, Mark::End)
    }

    /// Reads behind the mark that begins it.
    fn read(pieces: &mut Pieces<'_>) -> Result<Seen, ScanError> {
        let plain = std::str::from_utf8(pieces.text()).map_err(|_| ScanError::Foreign)?;
        let mut texts: Vec<Vec<u8>> = Vec::new();
        loop {
            let mark = pieces.mark()?;
            let last = texts.last_mut();
            match (mark, last) {
                (Mark::Text, _) => texts.push(pieces.text().to_vec()),
                (Mark::Newline, Some(last)) => last.extend([b"\n", pieces.text()].concat()),
                (Mark::Backslash, Some(last)) => last.extend([b"\\", pieces.text()].concat()),
                (Mark::End, _) => break,
                (Mark::Newline | Mark::Backslash, None)
                | (Mark::Server | Mark::Begin | Mark::Done, _) => return Err(ScanError::Misplaced),
            }
        }
        let fields: Vec<&str> = plain.split('\t').collect();
        let [pid, start, pane, pane_pid, dead, modes, input_off, synchronized, x, y, clock] =
            fields.as_slice()
        else {
            return Err(ScanError::FieldCount);
        };
        let [command, done] = texts.as_slice() else { return Err(ScanError::FieldCount) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Seen {
            server: ServerInstance {
                pid: number("pid", pid)?,
                start_time: number("start_time", start)?,
            },
            pane: (!pane.is_empty()).then(|| ((*pane).to_owned(), pane_pid.parse().ok())),
            dead: flag(dead),
            modes: modes.parse().unwrap_or(0),
            cursor: x.parse().ok().zip(y.parse().ok()),
            input_off: flag(input_off),
            synchronized: flag(synchronized),
            clock: number("clock", clock)?,
            command: text(command),
            done: text(done),
        })
    }

    /// Whether it is about the pane, and not about the one of whoever asked.
    fn is_of(&self, pane: PaneId) -> bool {
        self.pane.as_ref().is_some_and(|(id, _)| *id == pane.to_string())
    }

    fn looks(&self, sight: Sight) -> bool {
        self.modes == sight.modes && self.cursor == Some((sight.column, sight.row))
    }

    fn objection(self, expected: &Expected, sight: Option<Sight>) -> Objection {
        let pid = self.pane.as_ref().and_then(|(_, pid)| *pid);
        if self.server != expected.server {
            Objection::Server
        } else if !self.is_of(expected.pane) {
            Objection::Pane
        } else if self.dead || pid != Some(expected.pid) {
            Objection::Process
        } else if self.clock >= expected.until {
            Objection::Late
        } else if sight.is_none() && self.modes > 0 {
            Objection::Mode
        } else if self.input_off {
            Objection::InputOff
        } else if self.command != expected.command {
            Objection::Command { now: self.command }
        } else if self.synchronized {
            Objection::Synchronized
        } else if sight.is_some_and(|sight| !self.looks(sight)) {
            Objection::Moved
        } else {
            Objection::Passing
        }
    }
}

/// tmux prints a flag as `1` or `0`, a mode as how many are stacked, and what is not there as
/// nothing.
fn flag(value: &str) -> bool {
    !matches!(value, "" | "0")
}

fn number<T: std::str::FromStr>(name: &'static str, value: &str) -> Result<T, ScanError> {
    value.parse().map_err(|_| ScanError::Field { name, value: value.chars().take(64).collect() })
}

/// A look whether an act was done, by whoever did not hear the answer.
#[derive(Debug, Clone)]
pub struct Look {
    nonce: Nonce,
    act: Nonce,
    expected: Expected,
    keys_follow: bool,
}

/// What a look shows of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// It was done up to this step.
    Done(Stage),
    /// It was not done, and cannot be any more: it is too late for it.
    NotDone,
    /// It was not done yet.
    NotYet,
    /// The server or the pane is gone, and with it whatever could tell.
    Gone,
}

impl Look {
    /// `nonce` is a fresh one, `act` that of the act.
    pub fn new(nonce: Nonce, act: Nonce, expected: Expected) -> Look {
        Look { nonce, act, expected, keys_follow: false }
    }

    /// Keys of their own follow the deed, and may come until it is too late.
    #[must_use]
    pub fn with_keys(self) -> Look {
        Look { keys_follow: true, ..self }
    }

    pub fn batch(&self) -> Batch {
        let head = Format::new().mark(self.nonce, Mark::Server);
        let server = [Var("pid"), Var("start_time")];
        let head = Command::print(Arg::format(&head.plain(&[&server])));
        let show = Command::new(Verb::DisplayMessage).flag("-p").target_pane(self.expected.pane);
        Batch::from(head).then(show.arg(Arg::format(&Seen::format(self.nonce))))
    }

    /// Reads what the whole batch printed.
    pub fn read(&self, output: &[u8]) -> Result<Trace, ScanError> {
        let mut pieces = Pieces::new(self.nonce, output);
        pieces.text();
        if pieces.mark()? != Mark::Server {
            return Err(ScanError::Foreign);
        }
        if ServerInstance::read(line(pieces.text())?)? != self.expected.server {
            return Ok(Trace::Gone);
        }
        if pieces.mark()? != Mark::Begin {
            return Err(ScanError::Misplaced);
        }
        let seen = Seen::read(&mut pieces)?;
        let left = |stage: &Stage| {
            let nonce = stage.nonce(self.act).to_string();
            seen.done.split(' ').any(|done| done == nonce)
        };
        // A composer that was cleared and nothing more is as good as nothing.
        let stage = [Stage::Keys, Stage::Deed].into_iter().find(left);
        Ok(if !seen.is_of(self.expected.pane) {
            Trace::Gone
        } else {
            let late = seen.clock >= self.expected.until;
            match stage {
                Some(Stage::Deed) if self.keys_follow && !late => Trace::NotYet,
                Some(stage) => Trace::Done(stage),
                None if late => Trace::NotDone,
                None => Trace::NotYet,
            }
        })
    }
}

/// Takes a buffer away that an act may have left, when it was cut off between loading its text and
/// the check.
pub fn sweep(act: Nonce) -> Result<Batch, ArgError> {
    let buffer = OwnName::new("_qd-", &act.to_string())?;
    Ok(Command::new(Verb::DeleteBuffer).option("-b", Arg::own_name(&buffer)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0102030405060708";

    fn nonce() -> Nonce {
        Nonce::from_random([1, 2, 3, 4, 5, 6, 7, 8])
    }

    fn expected() -> Expected {
        Expected {
            server: ServerInstance { pid: 10, start_time: 20 },
            pane: PaneId(7),
            pid: 99,
            command: "bash".to_owned(),
            until: 1_000,
        }
    }

    fn act() -> Act {
        typing(None)
    }

    fn typing(sight: Option<Sight>) -> Act {
        let typing = Typing {
            text: Some(Pasted { text: Text::File(b"/tmp/a#b".to_vec()), bracketed: true }),
            keys: vec![Key::enter()],
            sight,
            ..Typing::default()
        };
        Act::typing(nonce(), expected(), &typing, &"tmux 3.3a".parse().unwrap()).unwrap()
    }

    fn output(text: &str) -> Vec<u8> {
        text.replace('~', NONCE).into_bytes()
    }

    /// What the server prints when it refuses, with one fact changed.
    fn refusal(facts: &str, command: &str) -> Vec<u8> {
        output(&format!("~B{facts}~T{command}~T~E\n"))
    }

    #[test]
    fn the_text_is_loaded_from_its_file_and_the_deed_is_in_the_guarded_branch() {
        let line = String::from_utf8(act().batch().control_line().unwrap()).unwrap();
        let load = format!("load-buffer -b \"_qd-{NONCE}\" \"/tmp/a##b\" ; if-shell -F -t \"%7\" ");
        assert!(line.starts_with(&load), "{line}");
        for part in ["#{pane_pid},99}", "#{pane_current_command},bash}", "#{l:%s}},1000}"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(act().batch().commands(), 6, "load, if-shell, and four in either branch");
    }

    #[test]
    fn each_fact_that_differs_is_named() {
        let good = "10\t20\t%7\t99\t0\t0\t0\t0\t4\t6\t999";
        for (facts, command, objection) in [
            ("11\t20\t%7\t99\t0\t0\t0\t0\t4\t6\t999", "bash", Objection::Server),
            ("10\t21\t%7\t99\t0\t0\t0\t0\t4\t6\t999", "bash", Objection::Server),
            ("10\t20\t%8\t99\t0\t0\t0\t0\t4\t6\t999", "bash", Objection::Pane),
            ("10\t20\t\t\t\t\t\t\t\t\t999", "", Objection::Pane),
            ("10\t20\t%7\t98\t0\t0\t0\t0\t4\t6\t999", "bash", Objection::Process),
            ("10\t20\t%7\t99\t1\t0\t0\t0\t4\t6\t999", "bash", Objection::Process),
            ("10\t20\t%7\t99\t0\t2\t0\t0\t4\t6\t999", "bash", Objection::Mode),
            ("10\t20\t%7\t99\t0\t0\t1\t0\t4\t6\t999", "bash", Objection::InputOff),
            ("10\t20\t%7\t99\t0\t0\t0\t1\t4\t6\t999", "bash", Objection::Synchronized),
            ("10\t20\t%7\t99\t0\t0\t0\t0\t4\t6\t1000", "bash", Objection::Late),
            (good, "vim", Objection::Command { now: "vim".to_owned() }),
            (good, "bash", Objection::Passing),
        ] {
            let said = act().read(&refusal(facts, command)).unwrap();
            assert_eq!(said, Said::Refused(objection), "{facts}");
        }
        assert_eq!(act().read(&output("~D\n")), Ok(Said::Done));
        assert!(act().read(b"").is_err());
        assert!(act().read(b"no server running").is_err());
    }

    #[test]
    fn s_17_a_composer_that_moved_meanwhile_is_told_and_a_mode_that_was_seen_is_left_first() {
        let sight = Sight { column: 4, row: 6, modes: 1 };
        let act = typing(Some(sight));
        let line = String::from_utf8(act.batch().control_line().unwrap()).unwrap();
        let left = line.find("copy-mode -q -t").unwrap();
        assert!(left < line.find("paste-buffer").unwrap(), "{line}");
        for part in ["#{pane_in_mode},1}", "#{cursor_x},4}", "#{cursor_y},6}"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        for (facts, objection) in [
            ("10\t20\t%7\t99\t0\t0\t0\t0\t4\t6\t999", Objection::Moved),
            ("10\t20\t%7\t99\t0\t1\t0\t0\t5\t6\t999", Objection::Moved),
            ("10\t20\t%7\t99\t0\t1\t0\t0\t4\t7\t999", Objection::Moved),
            ("10\t20\t%7\t99\t0\t1\t0\t0\t4\t6\t999", Objection::Passing),
        ] {
            let said = act.read(&refusal(facts, "bash")).unwrap();
            assert_eq!(said, Said::Refused(objection), "{facts}");
        }
        let plain = typing(Some(Sight { modes: 0, ..sight }));
        let line = String::from_utf8(plain.batch().control_line().unwrap()).unwrap();
        assert!(!line.contains("copy-mode"), "{line}");
    }

    #[test]
    fn a_look_tells_what_was_done_what_cannot_be_any_more_and_what_nobody_can_tell() {
        let other = Nonce::from_random([9; 8]);
        let look = Look::new(nonce(), other, expected());
        let shows = |facts: &str, done: &str| {
            let text = format!("~S10\t20\n~B{facts}~Tbash~T{done}~E\n");
            look.read(&output(&text))
        };
        let alive = "10\t20\t%7\t99\t0\t0\t0\t0\t4\t6\t999";
        let late = "10\t20\t%7\t99\t0\t0\t0\t0\t4\t6\t1000";
        assert_eq!(shows(alive, ""), Ok(Trace::NotYet));
        assert_eq!(shows(late, "somebody else's"), Ok(Trace::NotDone));
        assert_eq!(shows(late, &format!("aa {other} ")), Ok(Trace::Done(Stage::Deed)));
        let both = format!("{} {other}", Stage::Keys.nonce(other));
        assert_eq!(shows(late, &both), Ok(Trace::Done(Stage::Keys)));
        let cleared = Stage::Cleared.nonce(other).to_string();
        assert_eq!(shows(late, &cleared), Ok(Trace::NotDone));
        let typed = output(&format!("~S10\t20\n~B{alive}~Tbash~T{other}~E\n"));
        assert_eq!(look.read(&typed), Ok(Trace::Done(Stage::Deed)));
        assert_eq!(look.clone().with_keys().read(&typed), Ok(Trace::NotYet), "keys may follow");
        let respawned = "10\t20\t%7\t100\t0\t0\t0\t0\t4\t6\t1000";
        assert_eq!(shows(respawned, &other.to_string()), Ok(Trace::Done(Stage::Deed)));
        assert_eq!(shows("10\t20\t\t\t\t\t\t\t\t\t1000", ""), Ok(Trace::Gone));
        let elsewhere = format!("~S11\t20\n~B{alive}~Tbash~T{other}~E\n");
        assert_eq!(look.read(&output(&elsewhere)), Ok(Trace::Gone));
    }

    #[test]
    fn nothing_but_the_identity_keeps_a_visit_away() {
        let visit = Visit { session: SessionId(1), window: WindowId(2) };
        let act = Act::visit(nonce(), expected(), &visit).unwrap();
        let line = String::from_utf8(act.batch().control_line().unwrap()).unwrap();
        assert!(line.contains("#{pane_pid},99}"), "{line}");
        assert!(!line.contains("#{==:#{pane_in_mode}"), "{line}");
        assert_eq!(act.batch().commands(), 5);
    }
}
