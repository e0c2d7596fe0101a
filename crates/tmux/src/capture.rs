//! What a pane shows now, with its attributes, and proof of which server and pane it was.
//!
//! A screen may hold anything, so it stands between two marks made of a fresh nonce, behind the
//! facts that were true in the same instant: tmux runs a batch without anything in between.

use crate::{
    act::Sight,
    arg::{Arg, ArgError, OwnName},
    command::{Batch, Command, Verb},
    format::{Format, Mark, Nonce, Var},
    ids::PaneId,
    scan::{Pieces, ScanError, ServerInstance, line, octal},
    version::Version,
};

const FACTS: &[Var] = &[
    Var("pane_id"),
    Var("pane_pid"),
    Var("pane_width"),
    Var("pane_height"),
    Var("alternate_on"),
    Var("cursor_flag"),
    Var("cursor_x"),
    Var("cursor_y"),
    Var("pane_in_mode"),
    Var("history_size"),
    Var("history_limit"),
];

/// How the screen comes out of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Printed,
    /// Through a buffer of our own, which is deleted at once; printed behind backslashes or not.
    Buffered {
        buffer: OwnName,
        encoded: bool,
    },
}

/// One question for the screen of one pane.
#[derive(Debug, Clone)]
pub struct Capture {
    nonce: Nonce,
    pane: PaneId,
    way: Way,
    /// Lines above the screen.
    history: u32,
    attributes: bool,
}

/// One screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    pub server: ServerInstance,
    pub pid: u32,
    pub width: u32,
    pub height: u32,
    pub alternate: bool,
    /// Column and row, from zero, while it is shown.
    pub cursor: Option<(u32, u32)>,
    /// The same whether it is shown or not, and how many modes lie over the screen.
    pub sight: Sight,
    /// How many lines scrolled off the screen and are kept, and how many are at most.
    pub history: u32,
    pub history_limit: u32,
    /// Its title at the same instant.
    pub title: String,
    /// The lines with SGR sequences, as the pane's program wrote them: hostile.
    pub text: Vec<u8>,
}

impl Capture {
    /// `control` says that the question goes over a control connection, where some releases must
    /// not print a capture directly.
    pub fn new(
        nonce: Nonce,
        pane: PaneId,
        version: &Version,
        control: bool,
    ) -> Result<Capture, ArgError> {
        let way = if control && version.capture_to_stdout_leaks() {
            let buffer = OwnName::new("_qd-", &nonce.to_string())?;
            Way::Buffered { buffer, encoded: version.show_buffer_is_encoded() }
        } else {
            Way::Printed
        };
        Ok(Capture { nonce, pane, way, history: 0, attributes: true })
    }

    /// With so many lines of what scrolled off the screen.
    #[must_use]
    pub fn with_history(self, lines: u32) -> Capture {
        Capture { history: lines, ..self }
    }

    /// As characters only.
    #[must_use]
    pub fn without_attributes(self) -> Capture {
        Capture { attributes: false, ..self }
    }

    pub fn batch(&self) -> Batch {
        let server = [Var("pid"), Var("start_time")];
        let head = Format::new().mark(self.nonce, Mark::Server).plain(&[&server]);
        let facts = Format::new().mark(self.nonce, Mark::Begin).plain(&[FACTS]);
        let facts = facts.free(self.nonce, Var("pane_title")).mark(self.nonce, Mark::End);
        let done = Format::new().mark(self.nonce, Mark::Done);
        let show = Command::new(Verb::DisplayMessage).flag("-p").target_pane(self.pane);
        let head = Batch::from(Command::print(Arg::format(&head)));
        let head = head.then(show.arg(Arg::format(&facts)));
        let mut capture = Command::new(Verb::CapturePane);
        if self.attributes {
            capture = capture.flag("-e");
        }
        if self.history > 0 {
            capture = capture.option("-S", Arg::lines_above(self.history));
        }
        let batch = match &self.way {
            Way::Printed => head.then(capture.flag("-p").target_pane(self.pane)),
            Way::Buffered { buffer, .. } => {
                let of = |verb| Command::new(verb).option("-b", Arg::own_name(buffer));
                let capture = capture.option("-b", Arg::own_name(buffer)).target_pane(self.pane);
                head.then(capture).then(of(Verb::ShowBuffer)).then(of(Verb::DeleteBuffer))
            }
        };
        batch.then(Command::print(Arg::format(&done)))
    }

    /// Reads the output of the whole batch. `None` if it is not of this pane, which is gone then.
    pub fn read(&self, output: &[u8]) -> Result<Option<Captured>, ScanError> {
        let mut pieces = Pieces::new(self.nonce, output);
        if !pieces.text().is_empty() || pieces.mark()? != Mark::Server {
            return Err(ScanError::Foreign);
        }
        let server = ServerInstance::read(line(pieces.text())?)?;
        if pieces.mark()? != Mark::Begin {
            return Err(ScanError::Misplaced);
        }
        let facts = pieces.text();
        let title = pieces.free()?.pop().ok_or(ScanError::FieldCount)?;
        let text = pieces.text().strip_prefix(b"\n").ok_or(ScanError::Foreign)?;
        if pieces.mark()? != Mark::Done {
            return Err(ScanError::Misplaced);
        }
        let facts = std::str::from_utf8(facts).map_err(|_| ScanError::Foreign)?;
        let fields: Vec<&str> = facts.split('\t').collect();
        let [pane, pid, width, height, alternate, shown, x, y, modes, history, limit] =
            fields.as_slice()
        else {
            return Err(ScanError::FieldCount);
        };
        if *pane != self.pane.to_string() {
            return Ok(None);
        }
        let sight = Sight {
            column: number("cursor_x", x)?,
            row: number("cursor_y", y)?,
            modes: number("pane_in_mode", modes)?,
        };
        Ok(Some(Captured {
            server,
            pid: number("pane_pid", pid)?,
            width: number("pane_width", width)?,
            height: number("pane_height", height)?,
            alternate: *alternate == "1",
            cursor: (*shown == "1").then_some((sight.column, sight.row)),
            sight,
            history: number("history_size", history)?,
            history_limit: number("history_limit", limit)?,
            title: String::from_utf8_lossy(&title).into_owned(),
            text: self.decoded(text),
        }))
    }

    fn decoded(&self, text: &[u8]) -> Vec<u8> {
        match &self.way {
            Way::Buffered { encoded: true, .. } => unencoded(text),
            Way::Buffered { encoded: false, .. } | Way::Printed => text.to_vec(),
        }
    }
}

fn number(name: &'static str, value: &str) -> Result<u32, ScanError> {
    value.parse().map_err(|_| ScanError::Field { name, value: value.to_owned() })
}

/// The text of a buffer that was printed with `\\` for a backslash, `\$` for a `$` before a name, and
/// three octal digits for a control byte.
fn unencoded(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        plain.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        let (byte, after) = match after {
            [b'\\', after @ ..] => (b'\\', after),
            [b'$', after @ ..] => (b'$', after),
            [b'0'..=b'3', ..] => octal(after).unwrap_or((b'\\', after)),
            _ => (b'\\', after),
        };
        plain.push(byte);
        rest = after;
    }
    plain.extend_from_slice(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: &str = "0102030405060708";

    fn capture(version: &str, control: bool) -> Capture {
        let nonce = Nonce::from_random([1, 2, 3, 4, 5, 6, 7, 8]);
        Capture::new(nonce, PaneId(7), &version.parse().unwrap(), control).unwrap()
    }

    fn line_of(capture: &Capture) -> String {
        String::from_utf8(capture.batch().control_line().unwrap()).unwrap()
    }

    fn output(text: &str) -> Vec<u8> {
        text.replace('~', N).into_bytes()
    }

    const HEAD: &str = "~S10\t20\n~B%7\t99\t80\t24\t1\t1\t2\t3\t0\t5\t2000~Ta~Rb~E\n";

    #[test]
    fn releases_that_leak_go_through_a_buffer_and_only_over_a_control_connection() {
        let old = line_of(&capture("tmux 3.5a", true));
        let buffer = format!(
            " ; capture-pane -e -b \"_qd-{N}\" -t \"%7\" ; show-buffer -b \"_qd-{N}\" ; \
             delete-buffer -b \"_qd-{N}\" ; "
        );
        assert!(old.contains(&buffer), "{old}");
        let direct = r#" ; capture-pane -e -p -t "%7" ; "#;
        assert!(line_of(&capture("tmux 3.5a", false)).contains(direct));
        assert!(line_of(&capture("tmux 3.6", true)).contains(direct));
    }

    #[test]
    fn a_screen_is_read_with_what_was_true_in_the_same_instant() {
        let text = output(&format!("{HEAD}one\n\x1b[1mtwo\n~D\n"));
        let read = capture("tmux 3.6", true).read(&text).unwrap().unwrap();
        assert_eq!(read.server, ServerInstance { pid: 10, start_time: 20 });
        assert_eq!((read.pid, read.width, read.height), (99, 80, 24));
        assert_eq!((read.alternate, read.cursor), (true, Some((2, 3))));
        assert_eq!((read.history, read.history_limit), (5, 2_000));
        assert_eq!(read.title, "a\\b");
        assert_eq!(read.text, b"one\n\x1b[1mtwo\n");
    }

    #[test]
    fn an_encoded_buffer_is_read_back_to_what_it_held() {
        let text = output(&format!("{HEAD}a\\\\b \\033[1m \\\\033\n~D\n"));
        let read = capture("tmux 3.3a", true).read(&text).unwrap().unwrap();
        assert_eq!(read.text, b"a\\b \x1b[1m \\033\n");
        assert_eq!(unencoded(b"\\$HOME \\\\$1"), b"$HOME \\$1");
        assert_eq!(unencoded(b"\\"), b"\\");
        assert_eq!(unencoded(b"\\9x"), b"\\9x");
    }

    #[test]
    fn a_pane_that_is_gone_has_no_screen_and_a_cut_one_is_refused() {
        let capture = capture("tmux 3.6", true);
        let gone = output("~S10\t20\n~B\t\t\t\t\t\t\t\t\t\t~T~E\n~D\n");
        assert_eq!(capture.read(&gone), Ok(None));
        let whole = output(&format!("{HEAD}one\n~D\n"));
        for cut in 0..whole.len() - 1 {
            assert!(capture.read(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
