//! One line of a stream: a frame, serialised once for everyone who gets it.

use api::cursor::Cursor;
use api::filters::Filters;
use api::health::Warning;
use api::list::Summary;
use api::timestamp::Timestamp;
use api::watch::{Change, DeltaFrame, ResetFrame, ResetReason, SnapshotFrame, WatchFrame, Watched};
use api::words::SchemaVersion;
use bytes::{BufMut, Bytes, BytesMut};
use engine::time::{Now, WallMs};

use crate::http::to_api::timestamp;

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    JsonLines,
    /// One event each, for browsers.
    Events,
}

/// What kind of frame a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Snapshot,
    Delta,
    Reset,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Delta => "delta",
            Self::Reset => "reset",
        }
    }
}

/// A serialised frame.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    kind: Kind,
    pub(crate) seq: u64,
    /// The frame as JSON, with the newline that ends it.
    json: Bytes,
}

/// What the frames of one moment have in common.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) stream_id: &'a str,
    pub(crate) seq: u64,
    /// When what the frame says became true.
    pub(crate) at: WallMs,
    pub(crate) now: Now,
    pub(crate) filters: &'a Filters,
    pub(crate) summary: Summary,
    /// Why what is shown may be of the past.
    pub(crate) warnings: Vec<Warning>,
}

impl Moment<'_> {
    fn cursor(&self) -> Option<Cursor> {
        Cursor::new(self.stream_id, self.seq).ok()
    }

    fn emitted_at(&self) -> Timestamp {
        timestamp(self.now.wall)
    }
}

impl Line {
    pub(crate) fn snapshot<I: Watched>(moment: Moment<'_>, items: Vec<I>) -> Option<Self> {
        let frame = SnapshotFrame {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(moment.at),
            emitted_at: moment.emitted_at(),
            stream_id: moment.stream_id.to_owned(),
            cursor: moment.cursor()?,
            sequence: moment.seq,
            scope: I::SCOPE,
            filters: moment.filters.clone(),
            summary: moment.summary,
            warnings: moment.warnings,
            items,
        };
        Self::write(Kind::Snapshot, moment.seq, &WatchFrame::Snapshot(frame))
    }

    pub(crate) fn delta<I: Watched>(moment: Moment<'_>, changes: Vec<Change<I>>) -> Option<Self> {
        let frame = DeltaFrame {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(moment.at),
            emitted_at: moment.emitted_at(),
            stream_id: moment.stream_id.to_owned(),
            cursor: moment.cursor()?,
            sequence: moment.seq,
            scope: I::SCOPE,
            filters: moment.filters.clone(),
            summary: moment.summary,
            warnings: moment.warnings,
            changes,
        };
        Self::write(Kind::Delta, moment.seq, &WatchFrame::Delta(frame))
    }

    pub(crate) fn reset<I: Watched>(
        moment: Moment<'_>,
        reason: ResetReason,
        terminal: bool,
    ) -> Option<Self> {
        let frame = ResetFrame {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(moment.at),
            emitted_at: moment.emitted_at(),
            stream_id: moment.stream_id.to_owned(),
            cursor: moment.cursor()?,
            sequence: moment.seq,
            scope: I::SCOPE,
            filters: moment.filters.clone(),
            summary: moment.summary,
            reason,
            terminal,
        };
        Self::write(Kind::Reset, moment.seq, &WatchFrame::<I>::Reset(frame))
    }

    fn write<I: Watched>(kind: Kind, seq: u64, frame: &WatchFrame<I>) -> Option<Self> {
        let mut json = match serde_json::to_vec(frame) {
            Ok(json) => json,
            Err(error) => {
                tracing::error!(%error, "a frame could not be written");
                return None;
            }
        };
        json.push(b'\n');
        Some(Self { kind, seq, json: json.into() })
    }

    /// How much room it takes.
    pub(crate) fn len(&self) -> usize {
        self.json.len()
    }
}

/// Writes lines as one piece. A single JSON line is shared, not copied.
pub(crate) fn join(lines: &[Line], format: Format) -> Bytes {
    match (lines, format) {
        ([line], Format::JsonLines) => line.json.clone(),
        (lines, Format::JsonLines) => {
            let mut joined = BytesMut::with_capacity(lines.iter().map(Line::len).sum());
            lines.iter().for_each(|line| joined.put_slice(&line.json));
            joined.freeze()
        }
        (lines, Format::Events) => {
            let room = lines.iter().map(|line| line.len() + 64).sum();
            let mut joined = BytesMut::with_capacity(room);
            for line in lines {
                let head = format!("id: {}\nevent: {}\ndata: ", line.seq, line.kind.as_str());
                joined.put_slice(head.as_bytes());
                // The newline of the line ends the field, one more ends the event.
                joined.put_slice(&line.json);
                joined.put_slice(b"\n");
            }
            joined.freeze()
        }
    }
}

#[cfg(test)]
impl Line {
    /// A delta of so many bytes.
    pub(crate) fn of_size(seq: u64, bytes: usize) -> Self {
        Self { kind: Kind::Delta, seq, json: vec![b' '; bytes].into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, kind: Kind) -> Line {
        Line { kind, seq, json: Bytes::from(format!("{{\"n\":{seq}}}\n")) }
    }

    #[test]
    fn lines_are_joined_as_they_are_and_one_is_not_copied() {
        let lines = [line(1, Kind::Snapshot), line(2, Kind::Delta)];
        assert_eq!(join(&lines, Format::JsonLines), "{\"n\":1}\n{\"n\":2}\n");
        let one = join(&lines[..1], Format::JsonLines);
        assert_eq!(one.as_ptr(), lines[0].json.as_ptr());
    }

    #[test]
    fn an_event_has_its_sequence_as_its_id() {
        let lines = [line(1, Kind::Delta), line(2, Kind::Reset)];
        let expected = "id: 1\nevent: delta\ndata: {\"n\":1}\n\n\
                        id: 2\nevent: reset\ndata: {\"n\":2}\n\n";
        assert_eq!(join(&lines, Format::Events), expected);
    }
}
