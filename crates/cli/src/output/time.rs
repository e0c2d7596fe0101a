//! Times as people read them, and lengths of time as they write them.

use std::time::Duration;

use api::Timestamp;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The longest length of time that anything here takes.
const SPAN_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How long before `now` something was, in its largest unit: `3m`.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    span(at.age_ms(now))
}

/// A length of time in its largest unit: `45s`, `3m`, `2h`, `9d`.
pub(crate) fn span(ms: u64) -> String {
    let units = [(2 * DAY, DAY, 'd'), (HOUR, HOUR, 'h'), (MINUTE, MINUTE, 'm'), (0, SECOND, 's')];
    let (_, unit, name) = units.into_iter().find(|(from, ..)| ms >= *from).unwrap_or((0, 1, 's'));
    format!("{}{name}", ms / unit)
}

/// Reads a length of time such as `500ms`, `2s`, `1m`; a plain number means seconds.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a length of time such as 500ms, 2s or 1m");
    let digits =
        text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return Err(refuse()),
    };
    let number: f64 = number.parse().map_err(|_| refuse())?;
    let seconds = number * Duration::from_millis(unit_ms).as_secs_f64();
    let span = Duration::try_from_secs_f64(seconds).map_err(|_| refuse())?;
    if span > SPAN_MAX { Err(format!("`{text}` is longer than a day")) } else { Ok(span) }
}

/// Reads how long something counts, such as `12h` or `90d`, into milliseconds.
pub(crate) fn parse_life(text: &str) -> Result<u64, String> {
    let refuse = || format!("`{text}` is not a length of time such as 30m, 12h or 90d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(refuse)?;
    let unit_ms = match unit {
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err(refuse()),
    };
    let number: u64 = number.parse().map_err(|_| refuse())?;
    number.checked_mul(unit_ms).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (ms, told) in [
            (0, "0s"),
            (999, "0s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (3_599_999, "59m"),
            (HOUR, "1h"),
            (47 * HOUR, "47h"),
            (48 * HOUR, "2d"),
            (400 * DAY, "400d"),
        ] {
            assert_eq!(span(ms), told, "{ms}");
        }
        let (early, late) = (Timestamp::from_millis(0), Timestamp::from_millis(5_000));
        assert_eq!(age(early, late), "5s");
        assert_eq!(age(late, early), "0s", "a clock that was set back makes nothing negative");
    }

    #[test]
    fn a_life_is_read_in_minutes_hours_or_days() {
        for (text, ms) in [("30m", 30 * MINUTE), ("12h", 12 * HOUR), ("90d", 90 * DAY)] {
            assert_eq!(parse_life(text), Ok(ms), "{text}");
        }
        for text in ["", "d", "5", "5s", "-1d", "1.5h", "5 d", "5ä", "99999999999999999999d"] {
            assert!(parse_life(text).is_err(), "{text}");
        }
        assert!(parse_life("9999999999999999999d").is_err(), "more than can be counted");
    }

    #[test]
    fn lengths_of_time_are_read_with_and_without_a_unit() {
        for (text, ms) in
            [("2", 2_000), ("2s", 2_000), ("0.5s", 500), ("500ms", 500), ("1m", 60_000), ("0", 0)]
        {
            assert_eq!(parse_span(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "soon", "s", "2 s", "-1s", "1d", "1e9s", "1.2.3s", "25h", "9999999999999h"]
        {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
