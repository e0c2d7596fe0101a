//! What a setting may be: its bounds, its default, and how a length of time is written.

use core::net::SocketAddr;

use serde_json::{Value, json};

/// What a value may be, and what it is where the file says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A length of time, written like `10s`.
    Time {
        /// Where the file says nothing.
        default_ms: u64,
        /// The shortest that is taken.
        least_ms: u64,
    },
    /// A whole number.
    Number {
        /// Where the file says nothing.
        default: u32,
        /// The smallest that is taken.
        least: u32,
        /// The largest that is taken.
        most: u32,
    },
    /// One of some words.
    Word {
        /// Where the file says nothing.
        default: &'static str,
        /// All of them.
        words: &'static [&'static str],
    },
    /// A text that is not empty.
    Text {
        /// Where the file says nothing.
        default: &'static str,
    },
    /// `true` or `false`.
    Flag {
        /// Where the file says nothing.
        default: bool,
    },
    /// A loopback address with its port, or nothing, which is what counts where the file says
    /// nothing.
    Address,
    /// A program and its arguments, each a text of its own; none where the file says nothing.
    Program,
}

/// Words of a [`Kind::Program`]; more are refused.
pub const PROGRAM_WORDS_MAX: usize = 64;

/// The longest time that any setting takes.
pub const TIME_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// How a time is written, for other programs: [`parse_time`] takes what this describes.
pub const TIME_PATTERN: &str = "^[0-9]+(ms|s|m|h)( ?[0-9]+(ms|s|m|h))*$";

/// The units of time, the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Kind {
    /// The value where the file says nothing, as the file would write it.
    #[must_use]
    pub fn default_value(self) -> Value {
        match self {
            Self::Time { default_ms, .. } => json!(write_time(default_ms)),
            Self::Number { default, .. } => json!(default),
            Self::Word { default, .. } | Self::Text { default } => json!(default),
            Self::Flag { default } => json!(default),
            Self::Address => json!(""),
            Self::Program => json!([]),
        }
    }

    /// Why a value is not taken; reads after the name of its key.
    ///
    /// # Errors
    ///
    /// It is of another kind, or out of bounds.
    pub fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Time { least_ms, .. }, Value::String(text)) => check_time(text, least_ms),
            (Self::Number { least, most, .. }, Value::Number(number)) => {
                let fits = |number| (i64::from(least)..=i64::from(most)).contains(&number);
                let refuse = || format!("is {least} to {most}, not {number}");
                number.as_i64().is_some_and(fits).then_some(()).ok_or_else(refuse)
            }
            (Self::Word { words, .. }, Value::String(word)) => {
                let refuse = || format!("is one of {}, not `{word}`", words.join(", "));
                words.contains(&word.as_str()).then_some(()).ok_or_else(refuse)
            }
            (Self::Text { .. }, Value::String(text)) if text.trim().is_empty() => {
                Err("must not be empty".to_owned())
            }
            (Self::Text { .. }, Value::String(_)) | (Self::Flag { .. }, Value::Bool(_)) => Ok(()),
            (Self::Address, Value::String(text)) => check_address(text),
            (Self::Program, Value::Array(words)) => check_program(words),
            (
                kind,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_),
            ) => Err(format!("is {}, such as {}", kind.noun(), kind.example())),
        }
    }

    /// What it is, with its article.
    const fn noun(self) -> &'static str {
        match self {
            Self::Time { .. } => "a length of time in quotes",
            Self::Number { .. } => "a whole number",
            Self::Word { .. } => "a word in quotes",
            Self::Text { .. } => "a text in quotes",
            Self::Flag { .. } => "true or false",
            Self::Address => "an address with its port in quotes",
            Self::Program => "a program and its arguments in brackets",
        }
    }

    fn example(self) -> Value {
        match self {
            Self::Address => json!("127.0.0.1:7433"),
            Self::Program => json!(["notify-send", "An agent waits"]),
            Self::Time { .. }
            | Self::Number { .. }
            | Self::Word { .. }
            | Self::Text { .. }
            | Self::Flag { .. } => self.default_value(),
        }
    }
}

fn check_program(words: &[Value]) -> Result<(), String> {
    if words.len() > PROGRAM_WORDS_MAX {
        return Err(format!("has at most {PROGRAM_WORDS_MAX} words, not {}", words.len()));
    }
    let texts: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
    match texts.as_deref() {
        None => Err("holds texts in quotes only".to_owned()),
        Some([program, ..]) if program.trim().is_empty() => {
            Err("begins with the name of a program".to_owned())
        }
        Some(words) if words.iter().any(|word| word.contains('\0')) => {
            Err("holds a zero byte, which no argument can".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// The address of a text that is one of this machine alone, with a port of its own.
#[must_use]
pub fn parse_address(text: &str) -> Option<SocketAddr> {
    let address: SocketAddr = text.parse().ok()?;
    (address.ip().is_loopback() && address.port() != 0).then_some(address)
}

fn check_address(text: &str) -> Result<(), String> {
    if text.is_empty() || parse_address(text).is_some() {
        return Ok(());
    }
    Err(match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => {
            format!("names a port from 1 to 65535, not that of `{text}`")
        }
        Ok(_) => format!(
            "is an address that only this machine reaches, such as 127.0.0.1:7433, not `{text}`; \
             from elsewhere come in by `ssh -L`"
        ),
        Err(_) => format!("is an address with its port, such as 127.0.0.1:7433, not `{text}`"),
    })
}

fn check_time(text: &str, least_ms: u64) -> Result<(), String> {
    let Some(ms) = parse_time(text) else {
        return Err(format!("is a length of time such as 250ms, 10s, 2m or 1h, not `{text}`"));
    };
    if ms < least_ms {
        return Err(format!("must be at least {}, not `{text}`", write_time(least_ms)));
    }
    if ms > TIME_MS_MAX {
        return Err(format!("must not be longer than 30 days, as `{text}` is"));
    }
    Ok(())
}

/// The milliseconds of a time such as `10s` or `1m 30s`; nothing of what is none.
#[must_use]
pub fn parse_time(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters =
            after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
}

/// A time in the largest unit that writes it as one whole number.
#[must_use]
pub fn write_time(ms: u64) -> String {
    let whole = UNITS.iter().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms));
    whole.map_or_else(|| "0ms".to_owned(), |(unit, unit_ms)| format!("{}{unit}", ms / unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_its_largest_whole_unit_and_read_back() {
        let times = [(0, "0ms"), (250, "250ms"), (1_500, "1500ms"), (90_000, "90s")];
        for (ms, text) in times.into_iter().chain([(120_000, "2m"), (7_200_000, "2h")]) {
            assert_eq!((write_time(ms).as_str(), parse_time(text)), (text, Some(ms)));
        }
        assert_eq!(parse_time("1m30s"), parse_time("1m 30s"));
        assert_eq!(parse_time("1m 30s"), Some(90_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "5", "s", "-5s", "soon", "5 s", "5s ", " 5s", "5d", "1.5s", "5S", "5s  5s"]
        {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
        assert_eq!(parse_time("99999999999999999999h"), None);
        assert_eq!(parse_time("9999999999999999999h"), None, "more than can be counted");
    }

    #[test]
    fn a_value_out_of_bounds_is_told_what_it_may_be() {
        let check = |kind: Kind, value: Value, said: &str| {
            assert_eq!(kind.check(&value).unwrap_err(), said);
        };
        let time = Kind::Time { default_ms: 2_000, least_ms: 100 };
        check(time, json!("1ms"), "must be at least 100ms, not `1ms`");
        check(time, json!("9000h"), "must not be longer than 30 days, as `9000h` is");
        check(time, json!("soon"), "is a length of time such as 250ms, 10s, 2m or 1h, not `soon`");
        check(time, json!(5), "is a length of time in quotes, such as \"2s\"");
        let number = Kind::Number { default: 3, least: 1, most: 9 };
        check(number, json!(0), "is 1 to 9, not 0");
        check(number, json!(1.5), "is 1 to 9, not 1.5");
        check(number, json!("3"), "is a whole number, such as 3");
        let word = Kind::Word { default: "info", words: &["warn", "info"] };
        check(word, json!("loud"), "is one of warn, info, not `loud`");
        check(Kind::Text { default: "tmux" }, json!(" "), "must not be empty");
        for (address, said) in [
            ("0.0.0.0:7433", "only this machine reaches"),
            ("192.168.1.5:7433", "only this machine reaches"),
            ("[::]:7433", "only this machine reaches"),
            ("127.0.0.1:0", "a port from 1"),
            ("127.0.0.1", "an address with its port"),
            ("localhost:7433", "an address with its port"),
            (":7433", "an address with its port"),
        ] {
            let refused = Kind::Address.check(&json!(address)).unwrap_err();
            assert!(refused.contains(said) && refused.contains(address), "{refused}");
        }
        for address in ["", "127.0.0.1:7433", "127.3.2.1:1", "[::1]:7433"] {
            assert_eq!(Kind::Address.check(&json!(address)), Ok(()), "{address}");
        }
        check(Kind::Flag { default: true }, json!("yes"), "is true or false, such as true");
        check(Kind::Program, json!([1]), "holds texts in quotes only");
        check(Kind::Program, json!([" "]), "begins with the name of a program");
        check(Kind::Program, json!(["a\0"]), "holds a zero byte, which no argument can");
        check(
            Kind::Program,
            json!("say"),
            "is a program and its arguments in brackets, such as [\"notify-send\",\"An agent waits\"]",
        );
        assert_eq!(Kind::Program.check(&json!([])), Ok(()));
        assert_eq!(Kind::Program.check(&json!(["say", "", "x y"])), Ok(()));
    }
}
