//! The lower part of a screen: lines of cells with the attributes that tell text from decoration.

/// How a cell is drawn, as far as adapters look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "attributes of a terminal, each its own")]
pub struct Style {
    pub bold: bool,
    /// Faint: how agents draw placeholders and hints.
    pub dim: bool,
    pub italic: bool,
    pub reverse: bool,
    /// It has a colour of its own.
    pub coloured: bool,
}

/// A stretch of one line in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub style: Style,
}

/// One line, without blanks at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub spans: Vec<Span>,
}

impl Line {
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// What a pane shows, top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    pub lines: Vec<Line>,
    pub width: u32,
    pub height: u32,
    pub alternate: bool,
    /// Column and row of the cursor, from zero, when it is shown.
    pub cursor: Option<(u32, u32)>,
}
