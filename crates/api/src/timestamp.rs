//! A point in time as the wire carries it: RFC 3339, UTC, milliseconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The first instant that RFC 3339 can write without a sign: 0001-01-01.
const MILLIS_MIN: i64 = -62_135_596_800_000;
/// The last millisecond that `jiff` converts: 9999-12-30T22:00:00.000Z.
const MILLIS_MAX: i64 = 253_402_207_200_000;
/// The longest accepted text; nanoseconds and an offset need 35 bytes.
const TEXT_BYTES_MAX: usize = 40;

/// Milliseconds since the Unix epoch, written as `2026-11-21T15:33:42.007Z`.
///
/// The type reads no clock: whoever answers a request brings the time along.
/// Anything finer than a millisecond is cut off on the way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant so many milliseconds after the Unix epoch; one that has no
    /// four-digit year becomes the nearest that has.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(MILLIS_MIN, MILLIS_MAX))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long before `now` this was, in milliseconds; zero if it is not past.
    #[must_use]
    pub const fn age_ms(self, now: Self) -> u64 {
        if now.0 > self.0 { now.0.abs_diff(self.0) } else { 0 }
    }
}

/// Why a text is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp with a time zone, such as 2026-11-21T15:33:42.007Z")]
pub struct TimestampError;

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `jiff` also reads forms that RFC 3339 does not know, such as a zone
        // name in brackets or a date without dashes.
        let bytes = text.as_bytes();
        let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
        let joined = matches!(bytes.get(10), Some(b'T' | b't'));
        if bytes.len() > TEXT_BYTES_MAX || !dashes || !joined || bytes.contains(&b'[') {
            return Err(TimestampError);
        }
        let Ok(parsed) = text.parse::<jiff::Timestamp>() else {
            return if is_of_the_last_day(text) {
                Ok(Self(MILLIS_MAX))
            } else {
                Err(TimestampError)
            };
        };
        let millis = parsed.as_nanosecond().div_euclid(1_000_000);
        i64::try_from(millis).map(Self::from_millis).map_err(|_| TimestampError)
    }
}

/// Whether a text is a timestamp of the last day there is, of which `jiff` has only the first hours.
fn is_of_the_last_day(text: &str) -> bool {
    let rest = text.strip_prefix("9999-12-3");
    rest.is_some_and(|rest| format!("9998-12-3{rest}").parse::<jiff::Timestamp>().is_ok())
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The constructor keeps the value within what `jiff` can hold.
        let instant = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{instant:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A point in time: RFC 3339, answered in UTC with milliseconds.",
            "examples": ["2026-11-21T15:33:42.007Z"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_millis(1_795_275_222_007).to_string(),
            "2026-11-21T15:33:42.007Z"
        );
    }

    #[test]
    fn an_offset_is_converted_and_finer_digits_are_cut() {
        let parsed: Timestamp = "2026-11-21T17:33:42.007999+02:00".parse().unwrap();
        assert_eq!(parsed.as_millis(), 1_795_275_222_007);
    }

    #[test]
    fn cutting_goes_towards_the_past_also_before_1970() {
        let parsed: Timestamp = "1969-12-31T23:59:59.9999Z".parse().unwrap();
        assert_eq!(parsed.as_millis(), -1);
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "now",
            "2026-11-21",
            "2026-11-21T15:33:42",
            "20261121T153342Z",
            "2026-11-21 15:33:42Z",
            "2026-11-21T15:33:42+00:00[UTC]",
            "2026-13-21T15:33:42Z",
            "2026-11-21T15:33:42.0000000000000000000000000000Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn the_ends_of_time_can_be_written() {
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "0001-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
        for text in ["9999-12-31T23:59:59Z", "9999-12-31T00:00:00.5+02:00", "9999-12-30T23:00:00Z"]
        {
            assert_eq!(text.parse(), Ok(Timestamp(MILLIS_MAX)), "{text}");
        }
        for text in ["9999-12-32T00:00:00Z", "9999-12-31T24:61:00Z", "9999-12-31", "9999-12-3"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn an_age_is_never_negative() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(early.age_ms(late), 4);
        assert_eq!(late.age_ms(early), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in MILLIS_MIN..=MILLIS_MAX) {
            let written = Timestamp::from_millis(millis).to_string();
            prop_assert_eq!(written.parse::<Timestamp>().unwrap().as_millis(), millis);
        }
    }
}
