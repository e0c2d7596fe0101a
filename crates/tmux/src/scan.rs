//! Scans: one batch of commands, and its output read back into typed rows.
//!
//! A directory may be called `x<newline>%end 1 2 1`, so nothing in the output of a scan may depend
//! on what a value holds. Each scan has a fresh [`Nonce`]; a nonce and a letter mark where the
//! batch, each record and each free text begins and ends. tmux itself replaces the newlines inside
//! free texts by such a mark, so no value can put a line of its own into the stream, and what is
//! missing a mark was cut short and is refused as a whole.
//!
//! Backslashes inside free texts are replaced too: 3.4 and 3.5 print control bytes, bytes that are
//! no UTF-8 and some `$` behind a backslash, and any backslash in the output is then one of those.

use std::{marker::PhantomData, str::FromStr};

use thiserror::Error;

use crate::{
    arg::Arg,
    command::{Batch, Command},
    format::{Format, Mark, Nonce, Var},
    ids::PaneId,
    rows::{PaneRow, Row, Shape},
};

/// One question to the server, and the way to read its answer.
#[derive(Debug, Clone)]
pub struct Scan<R> {
    nonce: Nonce,
    /// `None` asks for all rows.
    only: Option<Vec<PaneId>>,
    rows: PhantomData<fn() -> R>,
}

/// The answer: which server gave it, and the rows in tmux's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned<R> {
    pub server: ServerInstance,
    pub rows: Vec<R>,
}

/// Whether a scan of panes or clients was refused because the server has no session at all.
///
/// Such a server lives on with `exit-empty off`. It still answers what sessions it has: none.
pub fn is_empty_server(reason: &str) -> bool {
    reason.contains("no current target")
}

/// Whether an output holds the mark with which the answer to a scan ends: every command of the batch was
/// carried out, whatever else was complained of, as by a hook of the user's.
pub fn is_complete(nonce: Nonce, output: &[u8]) -> bool {
    let done = Format::new().mark(nonce, Mark::Done).to_string();
    output.windows(done.len()).any(|window| window == done.as_bytes())
}

/// One life of a tmux server, as far as tmux itself can tell.
///
/// Both numbers can come again; the host's boot id and the process's start time settle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerInstance {
    pub pid: u32,
    /// Whole seconds since the epoch, by the server's clock.
    pub start_time: u64,
}

/// The output is not the whole and exact answer to this scan. Nothing of it may be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScanError {
    #[error("the output ends before the mark that completes it")]
    Cut,
    #[error("a mark stands where none belongs")]
    Misplaced,
    #[error("something stands outside the records")]
    Foreign,
    #[error("a record has too few or too many fields")]
    FieldCount,
    #[error("`{name}` cannot be {value:?}")]
    Field { name: &'static str, value: String },
}

/// What proves which server answered.
const SERVER: Shape = Shape { plain: &[&[Var("pid"), Var("start_time")]], free: &[] };

impl<R: Row> Scan<R> {
    pub fn all(nonce: Nonce) -> Scan<R> {
        Scan { nonce, only: None, rows: PhantomData }
    }

    /// The commands that ask.
    pub fn batch(&self) -> Batch {
        let head = Format::new().mark(self.nonce, Mark::Server).plain(SERVER.plain);
        let done = Format::new().mark(self.nonce, Mark::Done);
        let head = Batch::from(Command::print(Arg::format(&head)));
        let batch = self.questions().into_iter().fold(head, Batch::then);
        batch.then(Command::print(Arg::format(&done)))
    }

    fn questions(&self) -> Vec<Command> {
        let format = Arg::format(&self.record());
        match &self.only {
            None => vec![R::list(format)],
            Some(panes) => panes.iter().map(|&pane| PaneRow::show(pane, format.clone())).collect(),
        }
    }

    fn record(&self) -> Format {
        let shape = R::SHAPE;
        let begin = Format::new().mark(self.nonce, Mark::Begin).plain(shape.plain);
        let full = shape.free.iter().fold(begin, |format, &var| format.free(self.nonce, var));
        full.mark(self.nonce, Mark::End)
    }

    /// Reads the output of the whole batch: the bodies of its replies joined, or the standard
    /// output of a forked `tmux`.
    pub fn read(&self, output: &[u8]) -> Result<Scanned<R>, ScanError> {
        let mut pieces = Pieces::new(self.nonce, output);
        if !pieces.text().is_empty() || pieces.mark()? != Mark::Server {
            return Err(ScanError::Foreign);
        }
        let server = ServerInstance::read(line(pieces.text())?)?;
        let mut rows = Vec::new();
        loop {
            match pieces.mark()? {
                Mark::Begin => rows.extend(self.row(&mut pieces)?),
                Mark::Done => break,
                Mark::Server | Mark::Text | Mark::Newline | Mark::Backslash | Mark::End => {
                    return Err(ScanError::Misplaced);
                }
            }
        }
        if line(pieces.text())?.is_empty() && pieces.rest.is_empty() {
            Ok(Scanned { server, rows })
        } else {
            Err(ScanError::Foreign)
        }
    }

    /// Reads one record behind its first mark; `None` if it is of a pane that is gone.
    fn row(&self, pieces: &mut Pieces<'_>) -> Result<Option<R>, ScanError> {
        let plain = pieces.text();
        let free = pieces.free()?;
        if !line(pieces.text())?.is_empty() {
            return Err(ScanError::Foreign);
        }
        if !self.asked_for(plain) {
            return Ok(None);
        }
        let mut fields = Fields::split(R::SHAPE, plain, free)?;
        let row = R::read(&mut fields)?;
        fields.finish().map(|()| Some(row))
    }

    /// A pane that is gone answers with nothing, or with the pane of whoever asked.
    fn asked_for(&self, plain: &[u8]) -> bool {
        let Some(panes) = &self.only else { return true };
        let first = plain.split(|&byte| byte == b'\t').next().unwrap_or_default();
        panes.iter().any(|pane| pane.to_string().as_bytes() == first)
    }
}

impl Scan<PaneRow> {
    /// Asks only for these panes. Those that are gone have no row.
    ///
    /// Each takes about a kilobyte of the batch, so a forked `tmux` takes a dozen at once; for more
    /// ask for all.
    pub fn panes(nonce: Nonce, panes: Vec<PaneId>) -> Scan<PaneRow> {
        Scan { nonce, only: Some(panes), rows: PhantomData }
    }
}

impl ServerInstance {
    pub(crate) fn read(line: &[u8]) -> Result<ServerInstance, ScanError> {
        let mut fields = Fields::split(SERVER, line, Vec::new())?;
        let server = ServerInstance { pid: fields.parsed()?, start_time: fields.parsed()? };
        fields.finish().map(|()| server)
    }
}

/// The text without the newline that must end it, and that must be its only one.
pub(crate) fn line(text: &[u8]) -> Result<&[u8], ScanError> {
    let line = text.strip_suffix(b"\n").ok_or(ScanError::Cut)?;
    if line.contains(&b'\n') { Err(ScanError::Foreign) } else { Ok(line) }
}

/// Goes on with the last free text behind a byte that was replaced by a mark.
fn resume(free: &mut [Vec<u8>], replaced: u8, text: &[u8]) -> Result<(), ScanError> {
    let last = free.last_mut().ok_or(ScanError::Misplaced)?;
    last.push(replaced);
    last.extend(unescaped(text));
    Ok(())
}

/// The text as it was before tmux printed it. Releases that print it as it is show no backslash.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        plain.extend_from_slice(before);
        let (byte, after) = escaped(after).unwrap_or((b'\\', after));
        plain.push(byte);
        rest = after;
    }
    plain.extend_from_slice(rest);
    plain
}

/// The byte that the text behind a backslash stands for, and what comes after it.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (letter, after) = text.split_first()?;
    let byte = match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'r' => b'\r',
        b'$' => b'$',
        b'0'..=b'3' => return octal(text),
        _ => return None,
    };
    Some((byte, after))
}

pub(crate) fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = text.split_first_chunk::<3>()?;
    let value = digits.iter().try_fold(0, |value, digit| {
        (b'0'..=b'7').contains(digit).then(|| (value << 3) | (digit - b'0'))
    })?;
    Some((value, after))
}

/// The output, cut at its marks.
pub(crate) struct Pieces<'a> {
    nonce: Vec<u8>,
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(nonce: Nonce, output: &'a [u8]) -> Self {
        Self { nonce: nonce.to_string().into_bytes(), rest: output }
    }

    /// What stands before the next mark.
    pub(crate) fn text(&mut self) -> &'a [u8] {
        let next = self.rest.windows(self.nonce.len()).position(|window| window == self.nonce);
        let (text, rest) = self.rest.split_at(next.unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }

    /// The mark that stands here.
    pub(crate) fn mark(&mut self) -> Result<Mark, ScanError> {
        let letter = self.rest.get(self.nonce.len()).ok_or(ScanError::Cut)?;
        self.rest = &self.rest[self.nonce.len() + 1..];
        Mark::from_letter(*letter).ok_or(ScanError::Misplaced)
    }

    /// The free texts that end a record, with its last mark.
    pub(crate) fn free(&mut self) -> Result<Vec<Vec<u8>>, ScanError> {
        let mut free: Vec<Vec<u8>> = Vec::new();
        loop {
            match self.mark()? {
                Mark::Text => free.push(unescaped(self.text())),
                Mark::Newline => resume(&mut free, b'\n', self.text())?,
                Mark::Backslash => resume(&mut free, b'\\', self.text())?,
                Mark::End => return Ok(free),
                Mark::Server | Mark::Begin | Mark::Done => return Err(ScanError::Misplaced),
            }
        }
    }
}

/// The fields of one record, taken in the order of its shape.
#[derive(Debug)]
pub struct Fields<'a> {
    plain: std::vec::IntoIter<(&'static str, &'a str)>,
    free: std::vec::IntoIter<Vec<u8>>,
}

impl<'a> Fields<'a> {
    fn split(shape: Shape, plain: &'a [u8], free: Vec<Vec<u8>>) -> Result<Fields<'a>, ScanError> {
        let names: Vec<_> = shape.plain.iter().copied().flatten().map(|Var(name)| *name).collect();
        let text = std::str::from_utf8(plain).map_err(|_| ScanError::FieldCount)?;
        // Nothing between two marks is no field, and not an empty one.
        let count = if text.is_empty() { 0 } else { text.split('\t').count() };
        if count != names.len() || free.len() != shape.free.len() {
            return Err(ScanError::FieldCount);
        }
        let plain: Vec<_> = names.into_iter().zip(text.split('\t')).collect();
        Ok(Fields { plain: plain.into_iter(), free: free.into_iter() })
    }

    fn next(&mut self) -> Result<(&'static str, &'a str), ScanError> {
        self.plain.next().ok_or(ScanError::FieldCount)
    }

    pub(crate) fn plain(&mut self) -> Result<&'a str, ScanError> {
        self.next().map(|(_, value)| value)
    }

    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, ScanError> {
        let (name, value) = self.next()?;
        value.parse().map_err(|_| bad_field(name, value))
    }

    /// An empty value is `None`.
    pub(crate) fn optional<T: FromStr>(&mut self) -> Result<Option<T>, ScanError> {
        let (name, value) = self.next()?;
        if value.is_empty() {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|_| bad_field(name, value))
    }

    /// tmux prints flags as `1` and `0`, some as a count, and some that do not apply as nothing.
    pub(crate) fn flag(&mut self) -> Result<bool, ScanError> {
        Ok(self.optional::<u32>()?.is_some_and(|count| count > 0))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, ScanError> {
        self.free.next().ok_or(ScanError::FieldCount)
    }

    /// Bytes that are no UTF-8 become replacement characters.
    pub(crate) fn text(&mut self) -> Result<String, ScanError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn finish(mut self) -> Result<(), ScanError> {
        if self.plain.next().is_none() && self.free.next().is_none() {
            Ok(())
        } else {
            Err(ScanError::FieldCount)
        }
    }
}

fn bad_field(name: &'static str, value: &str) -> ScanError {
    ScanError::Field { name, value: value.chars().take(64).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rows::{ClientRow, PaneBrief, PaneGlance, PanePulse, ServerRow, SessionRow};

    const N: &str = "0102030405060708";
    const RECORD: &str = "B%1\t@2\t$3\t44\t0\t80\t24\t1\t1795275446\t1\t0\t5";

    fn nonce() -> Nonce {
        Nonce::from_random([1, 2, 3, 4, 5, 6, 7, 8])
    }

    /// Output as tmux would print it, with `~` for the nonce.
    fn output(text: &str) -> Vec<u8> {
        text.replace('~', N).into_bytes()
    }

    fn brief(text: &str) -> Result<Scanned<PaneBrief>, ScanError> {
        Scan::all(nonce()).read(&output(text))
    }

    #[test]
    fn a_scan_asks_for_the_server_then_the_rows_then_marks_the_end() {
        let line = Scan::<SessionRow>::all(nonce()).batch().control_line().unwrap();
        let expected = format!(
            "list-commands -F \"{N}S#{{pid}}\\011#{{start_time}}\" list-commands ; \
             list-sessions -F \"{N}B#{{session_id}}\\011#{{session_created}}\
             \\011#{{session_activity}}\\011#{{session_attached}}\
             {N}T#{{s/\\012/{N}N/;s/\\134\\134/{N}R/:session_name}}{N}E\" ; \
             list-commands -F {N}D list-commands\n"
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn a_record_becomes_a_typed_row() {
        let scanned = brief(&format!("~S77\t1795275000\n~{RECORD}~E\n~D\n")).unwrap();
        assert_eq!(scanned.server, ServerInstance { pid: 77, start_time: 1_795_275_000 });
        let [row] = scanned.rows.as_slice() else { panic!("{:?}", scanned.rows) };
        assert_eq!(row.pane.to_string(), "%1");
        assert_eq!(row.window.to_string(), "@2");
        assert_eq!(row.session.to_string(), "$3");
        assert_eq!((row.pid, row.dead, row.width, row.height), (Some(44), false, 80, 24));
        assert_eq!((row.bell, row.window_activity), (true, 1_795_275_446));
        assert_eq!((row.pane_active, row.window_active, row.window_index), (true, false, 5));
    }

    #[test]
    fn what_tmux_escapes_is_read_back_and_what_only_looks_like_it_stays() {
        for (printed, text) in [
            ("\\033[1m\\a\\b\\v\\f\\r", "\u{1b}[1m\u{7}\u{8}\u{b}\u{c}\r"),
            ("\\$HOME \\$_ \\${x} $", "$HOME $_ ${x} $"),
            ("\\346\\227\\245", "日"),
            ("~R033~Ra~R$", "\\033\\a\\$"),
            ("\\q \\08 \\477 \\03", "\\q \\08 \\477 \\03"),
            ("\\", "\\"),
        ] {
            let whole = output(&format!("~S77\t1\n~B~T{printed}~T~E\n~D\n"));
            let scanned = Scan::<ServerRow>::all(nonce()).read(&whole).unwrap();
            assert_eq!(scanned.rows[0].version, text, "{printed:?}");
        }
    }

    #[test]
    fn no_rows_are_an_answer_too() {
        assert_eq!(brief("~S77\t1\n~D\n").unwrap().rows, []);
    }

    #[test]
    fn a_pane_without_a_process_has_no_pid() {
        for pid in ["0", "-1"] {
            let record = RECORD.replace("\t44\t", &format!("\t{pid}\t"));
            let scanned = brief(&format!("~S77\t1\n~{record}~E\n~D\n")).unwrap();
            assert_eq!(scanned.rows[0].pid, None);
        }
    }

    #[test]
    fn every_cut_of_the_output_is_refused() {
        let whole = output(&format!("~S77\t1\n~{RECORD}~E\n~{RECORD}~E\n~D\n"));
        let scan = Scan::<PaneBrief>::all(nonce());
        assert_eq!(scan.read(&whole).unwrap().rows.len(), 2);
        for end in 0..whole.len() {
            assert!(scan.read(&whole[..end]).is_err(), "the first {end} bytes were taken");
        }
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        for (text, error) in [
            ("".to_owned(), ScanError::Cut),
            ("x~S77\t1\n~D\n".to_owned(), ScanError::Foreign),
            ("~D\n".to_owned(), ScanError::Foreign),
            ("~S77\t1\n~D\nx".to_owned(), ScanError::Cut),
            ("~S77\t1\n~D\nx\n".to_owned(), ScanError::Foreign),
            ("~S77\t1\n~D\n~D\n".to_owned(), ScanError::Foreign),
            ("~S77\t1\n~S77\t1\n~D\n".to_owned(), ScanError::Misplaced),
            ("~S77\t1\n~E\n~D\n".to_owned(), ScanError::Misplaced),
            ("~S77\t1\n~X\n~D\n".to_owned(), ScanError::Misplaced),
            (format!("~S77\t1\n~{RECORD}~D\n"), ScanError::Misplaced),
            (format!("~S77\t1\n~{RECORD}~{RECORD}~E\n~D\n"), ScanError::Misplaced),
            (format!("~S77\t1\n~{RECORD}~Nx~E\n~D\n"), ScanError::Misplaced),
            (format!("~S77\t1\n~{RECORD}~Rx~E\n~D\n"), ScanError::Misplaced),
            (format!("~S77\t1\n~{RECORD}~E x\n~D\n"), ScanError::Foreign),
            (format!("~S77\t1\nx\n~{RECORD}~E\n~D\n"), ScanError::Foreign),
            (format!("~S77\t1\n~{RECORD}\t1~E\n~D\n"), ScanError::FieldCount),
            (format!("~S77\t1\n~{RECORD}~Tx~E\n~D\n"), ScanError::FieldCount),
            ("~S77\n~D\n".to_owned(), ScanError::FieldCount),
        ] {
            assert_eq!(brief(&text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        let record = RECORD.replace("\t24\t", "\ttall\t");
        let error = brief(&format!("~S77\t1\n~{record}~E\n~D\n")).unwrap_err();
        assert_eq!(error, ScanError::Field { name: "pane_height", value: "tall".into() });
    }

    #[test]
    fn panes_that_are_gone_have_no_row() {
        let gone = "\t".repeat(19);
        let free = "~T~T~T~T~T~E\n";
        let text = format!("~S77\t1\n~B{gone}{free}~B%9{gone}{free}~D\n");
        let scan = Scan::panes(nonce(), vec![PaneId(1), PaneId(2)]);
        assert_eq!(scan.read(&output(&text)).unwrap().rows, []);
        assert!(Scan::<PaneRow>::all(nonce()).read(&output(&text)).is_err());
    }

    #[test]
    fn a_scan_of_some_panes_asks_for_each() {
        let scan = Scan::panes(nonce(), vec![PaneId(1), PaneId(2)]);
        let line = String::from_utf8(scan.batch().control_line().unwrap()).unwrap();
        assert_eq!(scan.batch().commands(), 4);
        assert!(line.contains("display-message -p -t \"%1\""));
        assert!(line.contains("display-message -p -t \"%2\""));
    }

    #[test]
    fn a_dozen_panes_fit_into_the_arguments_of_a_forked_tmux() {
        let scan = |count| Scan::panes(nonce(), (0..count).map(PaneId).collect());
        assert!(scan(12).batch().argv().is_ok());
        assert!(scan(500).batch().control_line().is_ok());
    }

    /// `display-message` hands its text to `strftime` first.
    #[test]
    fn no_format_holds_a_percent_sign() {
        fn check<R: Row>() {
            let format = Scan::<R>::all(nonce()).record().to_string();
            assert!(!format.contains('%'), "{format}");
        }
        check::<PaneRow>();
        check::<PaneBrief>();
        check::<PaneGlance>();
        check::<PanePulse>();
        check::<SessionRow>();
        check::<ClientRow>();
        check::<ServerRow>();
        check::<crate::rows::GreetingRow>();
        check::<crate::rows::OriginRow>();
    }

    #[test]
    fn a_client_may_be_without_a_session_and_under_an_odd_name() {
        let flags = "attached,focused,control-mode,ignore-size,no-output,UTF-8";
        let text = format!(
            "~S77\t1\n~B11\t5\t1\t{flags}\t$4\t0~Tclient-11~Twork~E\n\
             ~B12\t6\t0\tattached\t\t1~T#(x)~T~E\n~D\n"
        );
        let rows = Scan::<ClientRow>::all(nonce()).read(&output(&text)).unwrap().rows;
        assert_eq!(rows[0].name.as_ref().unwrap().as_str(), "client-11");
        assert!(rows[0].control_mode && rows[0].flags.ignore_size && rows[0].flags.no_output);
        assert!(rows[0].flags.utf8 && rows[0].session.is_some());
        assert!(!rows[1].control_mode && !rows[1].flags.no_output);
        assert_eq!((rows[1].session, &rows[1].name), (None, &None));
        assert_eq!(rows[0].last_session, "work");
        assert!(!rows[0].server_ends_unattached && rows[1].server_ends_unattached);
    }

    proptest! {
        #[test]
        fn any_output_is_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![
                Just(N.as_bytes().to_vec()),
                prop::sample::select(b"SBTNRED\t\n\n0%@$\\".to_vec()).prop_map(|byte| vec![byte]),
                Just(format!("{N}S77\t1\n{N}").into_bytes()),
                Just(RECORD.as_bytes().to_vec()),
                any::<u8>().prop_map(|byte| vec![byte]),
            ],
            0..40,
        )) {
            Scan::<PaneBrief>::all(nonce()).read(&pieces.concat()).ok();
            Scan::<SessionRow>::all(nonce()).read(&pieces.concat()).ok();
            Scan::panes(nonce(), vec![PaneId(1)]).read(&pieces.concat()).ok();
        }
    }
}
