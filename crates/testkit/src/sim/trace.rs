//! The last things that happened, kept only when somebody will read them.

use std::collections::VecDeque;

/// How much of a run is shown before its failure.
const LINES_MAX: usize = 400;

#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
}

impl Trace {
    pub(crate) fn new(kept: bool) -> Self {
        Self { lines: kept.then(VecDeque::new) }
    }

    /// Notes a line. It is not even made where nobody will read it.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line());
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.map(Vec::from).unwrap_or_default()
    }
}
