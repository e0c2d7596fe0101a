//! One report of a hook as it stands in the spool: one line of text, which `qd hook` writes, and
//! which a plain `sh` can write where there is no `qd`.
//!
//! `docs/design/spool.md` describes the format. This is its one writer and its one reader; what a
//! file may hold beside whole records (what a full disk cut off, what somebody else put there) is
//! told from them here.

use engine::time::WallMs;

use crate::redact;

/// Bytes of a payload that are written down. Of a longer one only its length is.
pub const PAYLOAD_BYTES_MAX: usize = redact::PAYLOAD_BYTES_MAX;
/// Bytes of a line. No writer makes a longer one: each byte of a payload takes at most three.
pub const LINE_BYTES_MAX: usize = 3 * PAYLOAD_BYTES_MAX + 64 * 1024;
/// Bytes of the names of agent and event; a longer one is cut.
pub const NAME_BYTES_MAX: usize = 63;
/// Bytes of a path or of a variable; a longer one is left out.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Processes of the chain above the hook; the farthest are left out.
pub const CHAIN_MAX: usize = 32;

/// What every record of this version begins with.
const VERSION: &[u8] = b"qd1";
/// Between the fields; never within one.
const SEPARATOR: u8 = b'\t';
/// Fields of one record; a line with more is none.
const FIELDS_MAX: usize = 64;
/// Letters and digits of an id.
const ID_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// What a hook reported, and who it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Different for each record ever written.
    pub id: String,
    pub agent: String,
    pub event: String,
    /// When the hook ran, by the clock of its machine.
    pub at: WallMs,
    /// `TMUX` and `TMUX_PANE` as the hook found them.
    pub tmux: Option<Vec<u8>>,
    pub pane: Option<Vec<u8>>,
    /// The processes above the hook, nearest first. Empty where they could not be seen.
    pub chain: Vec<Ancestor>,
    pub cwd: Option<Vec<u8>>,
    /// The hook's own process, where it waits for an answer beside the spool.
    pub waits: Option<u32>,
    pub payload: Payload,
}

/// A process above a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ancestor {
    pub pid: u32,
    /// When it began, in clock ticks since the boot: a pid alone is given again.
    pub start: Option<u64>,
}

/// What the agent handed to its hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    None,
    /// As it came, which need not be UTF-8.
    Whole(Vec<u8>),
    /// It was too long or did not end in time. At least this many bytes came.
    Cut {
        bytes: u64,
    },
}

/// Why a line is not taken for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not begin as a record does.
    Foreign,
    /// It is a record of another version.
    Version,
    /// Its end is not that of its beginning: it was cut off, or another one stands in it.
    Torn,
    /// A field is missing, is there twice, or holds what it cannot hold.
    Field(&'static str),
}

/// The name of an agent or an event as it is written down: bounded and without controls.
pub fn name(raw: &str) -> String {
    let visible = |c: char| if c.is_control() { '?' } else { c };
    let mut name: String = raw.chars().take(NAME_BYTES_MAX).map(visible).collect();
    engine::limits::cut(&mut name, NAME_BYTES_MAX);
    name
}

impl Record {
    /// The record as it is appended to the spool, in one write. It begins with an end of line, so
    /// that what another writer could not finish is a line of its own.
    pub fn to_line(&self) -> Vec<u8> {
        let payload = match &self.payload {
            Payload::Whole(bytes) => bytes.len(),
            Payload::None | Payload::Cut { .. } => 0,
        };
        let mut line = Line(Vec::with_capacity(payload + payload / 8 + 1_024));
        line.0.push(b'\n');
        line.0.extend(VERSION);
        line.plain("id", &self.id);
        line.text("agent", self.agent.as_bytes());
        line.text("event", self.event.as_bytes());
        line.plain("at", &seconds(self.at));
        for (key, text) in [("tmux", &self.tmux), ("pane", &self.pane), ("cwd", &self.cwd)] {
            if let Some(text) = text.as_ref().filter(|text| text.len() <= TEXT_BYTES_MAX) {
                line.text(key, text);
            }
        }
        if !self.chain.is_empty() {
            line.plain("chain", &chain(&self.chain));
        }
        if let Some(pid) = self.waits {
            line.plain("waits", &pid.to_string());
        }
        match &self.payload {
            Payload::None => {}
            Payload::Whole(bytes) => line.text("text", bytes),
            Payload::Cut { bytes } => line.plain("cut", &bytes.to_string()),
        }
        line.plain("end", &self.id);
        line.0.push(b'\n');
        line.0
    }

    /// Reads one line, without its end.
    pub fn parse(line: &[u8]) -> Result<Self, Unreadable> {
        let mut parts = line.split(|byte| *byte == SEPARATOR);
        match parts.next() {
            Some(VERSION) => {}
            Some(other) if is_version(other) => return Err(Unreadable::Version),
            Some(_) | None => return Err(Unreadable::Foreign),
        }
        let fields = Fields::read(parts)?;
        let id = fields.get("id").ok_or(Unreadable::Field("id"))?;
        if fields.get("end") != Some(id) {
            return Err(Unreadable::Torn);
        }
        let required = |key| fields.get(key).ok_or(Unreadable::Field(key));
        Ok(Self {
            id: read_id(id)?,
            agent: read_name("agent", required("agent")?)?,
            event: read_name("event", required("event")?)?,
            at: read_seconds(required("at")?).ok_or(Unreadable::Field("at"))?,
            tmux: fields.text("tmux")?,
            pane: fields.text("pane")?,
            chain: fields.get("chain").map_or(Ok(Vec::new()), read_chain)?,
            cwd: fields.text("cwd")?,
            waits: fields.number("waits")?,
            payload: fields.payload()?,
        })
    }
}

/// A line in the making.
struct Line(Vec<u8>);

impl Line {
    /// A field whose value needs no escape.
    fn plain(&mut self, key: &str, value: &str) {
        self.0.push(SEPARATOR);
        self.0.extend(key.as_bytes());
        self.0.push(b'=');
        self.0.extend(value.as_bytes());
    }

    /// A field of any bytes. What would end a field or a line, every other control and the mark
    /// of an escape itself become `%` and two digits.
    fn text(&mut self, key: &str, value: &[u8]) {
        self.plain(key, "");
        for &byte in value {
            if byte < b' ' || byte == 0x7f || byte == b'%' {
                self.0.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            } else {
                self.0.push(byte);
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn seconds(at: WallMs) -> String {
    let ms = at.0.max(0);
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn chain(chain: &[Ancestor]) -> String {
    let ancestor = |it: &Ancestor| match it.start {
        Some(start) => format!("{}:{start}", it.pid),
        None => it.pid.to_string(),
    };
    let all: Vec<String> = chain.iter().take(CHAIN_MAX).map(ancestor).collect();
    all.join(",")
}

/// The fields of a line. A key that is not known belongs to a later version and does no harm.
struct Fields<'l>(Vec<(&'l [u8], &'l [u8])>);

impl<'l> Fields<'l> {
    fn read(parts: impl Iterator<Item = &'l [u8]>) -> Result<Self, Unreadable> {
        let mut fields: Vec<(&[u8], &[u8])> = Vec::new();
        for part in parts {
            let equals = part.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or(Unreadable::Torn)?;
            let (key, value) = (&part[..equals], &part[equals + 1..]);
            if fields.len() == FIELDS_MAX || fields.iter().any(|(known, _)| *known == key) {
                return Err(Unreadable::Torn);
            }
            fields.push((key, value));
        }
        Ok(Self(fields))
    }

    fn get(&self, key: &str) -> Option<&'l [u8]> {
        self.0.iter().find(|(known, _)| *known == key.as_bytes()).map(|(_, value)| *value)
    }

    fn text(&self, key: &'static str) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        let text = unescape(raw).filter(|text| text.len() <= TEXT_BYTES_MAX);
        text.map(Some).ok_or(Unreadable::Field(key))
    }

    fn number(&self, key: &'static str) -> Result<Option<u32>, Unreadable> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        number(raw).map(Some).ok_or(Unreadable::Field(key))
    }

    fn payload(&self) -> Result<Payload, Unreadable> {
        let whole = |key, bytes: Option<Vec<u8>>| {
            let bytes = bytes.filter(|bytes| bytes.len() <= PAYLOAD_BYTES_MAX);
            bytes.map(Payload::Whole).ok_or(Unreadable::Field(key))
        };
        match (self.get("text"), self.get("hex"), self.get("cut")) {
            (None, None, None) => Ok(Payload::None),
            (Some(text), None, None) => whole("text", unescape(text)),
            (None, Some(hex), None) => whole("hex", from_hex(hex)),
            (None, None, Some(cut)) => {
                let bytes = number(cut).ok_or(Unreadable::Field("cut"))?;
                Ok(Payload::Cut { bytes })
            }
            (_, _, _) => Err(Unreadable::Field("text")),
        }
    }
}

fn is_version(word: &[u8]) -> bool {
    word.strip_prefix(b"qd").is_some_and(|rest| number::<u32>(rest).is_some())
}

fn read_id(raw: &[u8]) -> Result<String, Unreadable> {
    let plain = raw.iter().all(u8::is_ascii_alphanumeric) && ID_BYTES.contains(&raw.len());
    let id = std::str::from_utf8(raw).ok().filter(|_| plain);
    id.map(str::to_owned).ok_or(Unreadable::Field("id"))
}

/// A name is text of a bounded length without controls. It may be empty: what a settings file
/// calls us with is not ours to judge.
fn read_name(key: &'static str, raw: &[u8]) -> Result<String, Unreadable> {
    let text = unescape(raw).filter(|text| text.len() <= NAME_BYTES_MAX);
    let text = text.and_then(|text| String::from_utf8(text).ok());
    let text = text.filter(|text| !text.contains(char::is_control));
    text.ok_or(Unreadable::Field(key))
}

/// Seconds since 1970, with or without a fraction, of which milliseconds count.
fn read_seconds(raw: &[u8]) -> Option<WallMs> {
    let dot = raw.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match dot {
        Some(dot) => (&raw[..dot], &raw[dot + 1..]),
        None => (raw, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut thousandths = [b'0'; 3];
    for (digit, from) in thousandths.iter_mut().zip(fraction) {
        *digit = *from;
    }
    let (whole, thousandths): (i64, i64) = (number(whole)?, number(&thousandths)?);
    whole.checked_mul(1_000)?.checked_add(thousandths).map(WallMs)
}

fn read_chain(raw: &[u8]) -> Result<Vec<Ancestor>, Unreadable> {
    let ancestor = |raw: &[u8]| {
        let mut parts = raw.splitn(2, |byte| *byte == b':');
        let pid = number(parts.next()?)?;
        match parts.next() {
            Some(start) => Some(Ancestor { pid, start: Some(number(start)?) }),
            None => Some(Ancestor { pid, start: None }),
        }
    };
    let chain: Option<Vec<Ancestor>> =
        raw.split(|byte| *byte == b',').take(CHAIN_MAX + 1).map(ancestor).collect();
    chain.filter(|chain| chain.len() <= CHAIN_MAX).ok_or(Unreadable::Field("chain"))
}

/// Digits and nothing else.
fn number<T: std::str::FromStr>(raw: &[u8]) -> Option<T> {
    let digits = std::str::from_utf8(raw).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        text.push(match byte {
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            control if control < b' ' || control == 0x7f => return None,
            other => other,
        });
    }
    Some(text)
}

fn from_hex(raw: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = raw.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: "00112233445566778899aabbccddeeff".to_owned(),
            agent: "claude".to_owned(),
            event: "PermissionRequest".to_owned(),
            at: WallMs(1_763_751_234_567),
            tmux: Some(b"/tmp/tmux-0/default,77,0".to_vec()),
            pane: Some(b"%3".to_vec()),
            chain: vec![Ancestor { pid: 42, start: Some(9_000) }, Ancestor { pid: 7, start: None }],
            cwd: Some(b"/home/x/a project".to_vec()),
            waits: None,
            payload: Payload::Whole(br#"{"session_id":"s"}"#.to_vec()),
        }
    }

    /// The lines of a spool, as a reader splits them.
    fn lines(spool: &[u8]) -> Vec<Result<Record, Unreadable>> {
        let lines = spool.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(Record::parse).collect()
    }

    #[test]
    fn a_record_is_one_line_that_a_person_can_read() {
        let line = String::from_utf8(record().to_line()).unwrap();
        let expected = "\nqd1\tid=00112233445566778899aabbccddeeff\tagent=claude\t\
            event=PermissionRequest\tat=1763751234.567\ttmux=/tmp/tmux-0/default,77,0\t\
            pane=%253\tcwd=/home/x/a project\tchain=42:9000,7\ttext={\"session_id\":\"s\"}\t\
            end=00112233445566778899aabbccddeeff\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn every_byte_a_payload_can_hold_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for payload in [
            Payload::None,
            Payload::Whole(Vec::new()),
            Payload::Whole(all.clone()),
            Payload::Cut { bytes: u64::MAX },
        ] {
            let written = Record { payload, cwd: Some(all.clone()), waits: Some(7), ..record() };
            let line = written.to_line();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 2);
            assert_eq!(lines(&line), [Ok(written)]);
        }
    }

    #[test]
    fn the_longest_payload_fits_into_the_longest_line() {
        let payload = Payload::Whole(vec![0; PAYLOAD_BYTES_MAX]);
        let text = Some(vec![0; TEXT_BYTES_MAX]);
        let chain = vec![Ancestor { pid: u32::MAX, start: Some(u64::MAX) }; CHAIN_MAX];
        let (tmux, pane, cwd) = (text.clone(), text.clone(), text);
        let line = Record { payload, tmux, pane, cwd, chain, ..record() }.to_line();
        assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
    }

    #[test]
    fn a_record_that_was_cut_off_anywhere_is_torn_and_the_next_one_whole() {
        let whole = record().to_line();
        for length in 2..whole.len() - 1 {
            let spool = [&whole[..length], &whole].concat();
            let read = lines(&spool);
            assert!(matches!(read.as_slice(), [Err(_), Ok(_)]), "cut at {length}: {read:?}");
        }
    }

    #[test]
    fn two_records_in_one_line_are_none() {
        let whole = record().to_line();
        let other = Record { id: "f".repeat(32), ..record() }.to_line();
        let mixed = [&whole[..60], &other[1..], &whole[60..]].concat();
        assert!(lines(&mixed).iter().all(Result::is_err));
    }

    #[test]
    fn what_is_no_record_is_named() {
        let line = String::from_utf8(record().to_line()).unwrap();
        let line = line.trim();
        let read = |line: &str| Record::parse(line.as_bytes()).unwrap_err();
        assert_eq!(read(""), Unreadable::Foreign);
        assert_eq!(read("coffee"), Unreadable::Foreign);
        assert_eq!(read(&line.replacen("qd1", "qd2", 1)), Unreadable::Version);
        assert_eq!(read(&line.replace("at=1763751234.567", "at=now")), Unreadable::Field("at"));
        assert_eq!(read(&line.replace("%253", "%zz")), Unreadable::Field("pane"));
        assert_eq!(read(&line.replace("\tagent=claude", "")), Unreadable::Field("agent"));
        assert_eq!(read(&line.replace("claude", "cl%0aude")), Unreadable::Field("agent"));
        assert_eq!(read(&line.replace("42:9000", "42:")), Unreadable::Field("chain"));
        assert_eq!(read(&line.replace("\ttext=", "\twaits=-1\ttext=")), Unreadable::Field("waits"));
        assert_eq!(read(&line.replace("\ttext=", "\tcut=1\ttext=")), Unreadable::Field("text"));
        assert_eq!(read(&line.replace("\ttext=", "\tid=1\ttext=")), Unreadable::Torn);
        let short = line.replace("00112233445566778899aabbccddeeff", "1");
        assert_eq!(read(&short), Unreadable::Field("id"));
    }

    #[test]
    fn what_a_shell_writes_is_read_too() {
        let id = "a".repeat(16);
        let line = format!("qd1\tid={id}\tagent=x\tevent=\tat=17\thex=7b7D\tnew=1\tend={id}");
        let read = Record::parse(line.as_bytes()).unwrap();
        assert_eq!((read.at, read.event.as_str()), (WallMs(17_000), ""));
        assert_eq!(read.payload, Payload::Whole(b"{}".to_vec()));
        let odd = line.replace("7b7D", "7b7");
        assert_eq!(Record::parse(odd.as_bytes()), Err(Unreadable::Field("hex")));
    }

    #[test]
    fn a_name_is_bounded_and_visible() {
        assert_eq!(name("Stop"), "Stop");
        assert_eq!(name("a\nb\u{9b}"), "a?b?");
        assert!(name(&"ä".repeat(100)).len() <= NAME_BYTES_MAX);
    }
}
