//! The terminal, or the pipe in its place: the one place that writes.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use rustix::io::Errno;
use rustix::termios::QueueSelector;

use crate::failure::Failure;
use crate::output::text::Text;
use crate::output::{json, safe};

/// What a terminal that does not tell its size is taken for.
const COLUMNS_DEFAULT: usize = 80;
const ROWS_DEFAULT: usize = 24;

/// Moves to the upper left corner.
const HOME: &str = "\u{1b}[H";
/// Clears the screen.
const CLEAR: &str = "\u{1b}[2J";
/// Clears what is left of the line.
const CLEAR_LINE: &str = "\u{1b}[K";
/// Clears everything below.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// How output is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    coloured_out: bool,
    coloured_err: bool,
    /// Whether somebody looks at it, rather than a program reading it.
    interactive: bool,
}

impl Terminal {
    /// Colours where the terminal has them and nobody objects, unless told otherwise.
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let coloured = |found: ColorChoice| match (choice, found) {
            (ColorChoice::Never, _) | (ColorChoice::Auto, ColorChoice::Never) => false,
            (ColorChoice::Always | ColorChoice::AlwaysAnsi | ColorChoice::Auto, _) => true,
        };
        Self {
            coloured_out: coloured(AutoStream::choice(&io::stdout())),
            coloured_err: coloured(AutoStream::choice(&io::stderr())),
            interactive: io::stdout().is_terminal(),
        }
    }

    /// Whether somebody looks at standard output.
    pub(crate) const fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// How wide a line may be; as wide as it likes where a program reads it. `COLUMNS` says so for
    /// pipes.
    pub(crate) fn width(&self) -> Option<usize> {
        let columns = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok());
        let columns = columns.filter(|it| *it > 0);
        if !self.interactive {
            return columns;
        }
        let told = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|it| it.ws_col.into());
        told.filter(|it| *it > 0).or(columns).or(Some(COLUMNS_DEFAULT))
    }

    /// Writes lines for people.
    pub(crate) fn lines(&self, lines: &[Text]) -> Result<(), Failure> {
        let rendered: String =
            lines.iter().map(|line| line.render(self.coloured_out) + "\n").collect();
        self.write(&rendered)
    }

    /// Writes one line for people.
    pub(crate) fn line(&self, line: impl Into<Text>) -> Result<(), Failure> {
        self.lines(&[line.into()])
    }

    /// Writes one line of JSON for programs.
    pub(crate) fn json(&self, text: &str) -> Result<(), Failure> {
        let mut line = json::escape(text).into_owned();
        line.push('\n');
        self.write(&line)
    }

    /// Writes lines out of a pane: harmless, with colours and attributes where those were asked for.
    pub(crate) fn shown(&self, text: &str, ansi: bool) -> Result<(), Failure> {
        let line = |line| if ansi { safe::painted(line) } else { safe::line(line) };
        let lines: String = text.lines().flat_map(|it| [line(it), "\n".into()]).collect();
        self.write(&lines)
    }

    /// Writes a text that was made from our own words only, such as a completion script.
    pub(crate) fn generated(&self, text: &str) -> Result<(), Failure> {
        self.write(text)
    }

    /// Writes a text of clap's with its styles. Only for help, which holds nothing from outside.
    pub(crate) fn help(&self, text: &clap::builder::StyledStr) -> Result<(), Failure> {
        if self.coloured_out {
            self.write(&text.ansi().to_string())
        } else {
            self.write(&text.to_string())
        }
    }

    /// How many rows there are, where somebody looks.
    pub(crate) fn height(&self) -> Option<usize> {
        self.interactive.then(|| {
            let rows = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |it| it.ws_row.into());
            if rows == 0 { ROWS_DEFAULT } else { rows }
        })
    }

    /// Writes lines on a screen of their own, longer ones scroll and nothing is left out, and asks
    /// for a line below them; nothing where there is nobody to ask, or nobody says anything any
    /// more. What was typed before all of it stood there is no answer to it, unless the same was
    /// there before.
    pub(crate) fn ask_below(
        &self,
        lines: &[Text],
        question: &Text,
        is_new: bool,
    ) -> Result<Option<String>, Failure> {
        if !io::stdin().is_terminal() || !self.interactive {
            self.lines(lines)?;
            return Ok(None);
        }
        // In one piece, so that nobody can answer what stands there half.
        let shown = lines.iter().map(|line| line.render(self.coloured_out) + "\n");
        let shown: String = shown.chain([question.render(self.coloured_out)]).collect();
        self.write(&format!("{CLEAR}{HOME}{shown}"))?;
        if is_new {
            forget_typed()?;
        }
        Ok(next_typed_line()?)
    }

    /// Paints a screen anew in its place, or writes the lines below the last ones where there is
    /// no screen. What does not fit is counted in the last line.
    pub(crate) fn paint(&self, lines: &[Text], first: bool) -> Result<(), Failure> {
        if !self.interactive {
            return self.lines(lines);
        }
        let rows = self.height().unwrap_or(ROWS_DEFAULT);
        let mut screen = String::from(if first { CLEAR } else { "" });
        screen.push_str(HOME);
        for line in &screenful(lines, rows.saturating_sub(1)) {
            screen.push_str(&line.render(self.coloured_out));
            screen.push_str(CLEAR_LINE);
            screen.push('\n');
        }
        screen.push_str(CLEAR_BELOW);
        self.write(&screen)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Tells something beside the output.
    pub(crate) fn note(&self, lines: &[Text]) {
        let rendered: String =
            lines.iter().map(|line| line.render(self.coloured_err) + "\n").collect();
        // There is nowhere left to tell that this could not be told.
        drop(io::stderr().lock().write_all(rendered.as_bytes()));
    }

    /// Tells a program something beside the output.
    pub(crate) fn note_json(&self, text: &str) {
        let line = json::escape(text).into_owned() + "\n";
        // As above.
        drop(io::stderr().lock().write_all(line.as_bytes()));
    }

    /// Asks somebody at the terminal; nothing where there is nobody to ask.
    pub(crate) fn confirm(&self, question: &Text) -> Result<Option<bool>, Failure> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        let question = question.clone().then(" [y/N] ").render(self.coloured_err);
        io::stderr().lock().write_all(question.as_bytes())?;
        forget_typed()?;
        let answer = next_typed_line()?.unwrap_or_default();
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }
}

/// Throws away what was typed so far, also as the beginning of a line: whoever typed it had not seen
/// what is asked.
fn forget_typed() -> io::Result<()> {
    Ok(rustix::termios::tcflush(io::stdin(), QueueSelector::IFlush)?)
}

/// The next line that somebody types at this terminal; nothing at its end.
///
/// It is read byte by byte, past the buffer of [`io::Stdin`], which could hold back a line for the
/// next question.
fn next_typed_line() -> io::Result<Option<String>> {
    let stdin = io::stdin().lock();
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match rustix::io::read(&stdin, &mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.extend(byte),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// As many lines as there are rows; the last one counts what is missing.
fn screenful(lines: &[Text], rows: usize) -> Vec<Text> {
    if lines.len() <= rows {
        return lines.to_vec();
    }
    let shown = rows.saturating_sub(1);
    let mut screen: Vec<Text> = lines.iter().take(shown).cloned().collect();
    screen.push(Text::styled(format!("… {} more lines", lines.len() - shown), super::style::QUIET));
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_counts_what_it_does_not_show() {
        let lines: Vec<Text> = ["a", "b", "c", "d"].map(Text::from).into();
        let shown = |rows| -> Vec<_> {
            screenful(&lines, rows).iter().map(|line| line.render(false)).collect()
        };
        assert_eq!(shown(4), ["a", "b", "c", "d"]);
        assert_eq!(shown(3), ["a", "b", "… 2 more lines"]);
        assert_eq!(shown(1), ["… 4 more lines"]);
    }

    #[test]
    fn never_means_never_and_always_means_always() {
        assert!(!Terminal::new(ColorChoice::Never).coloured_out);
        assert!(Terminal::new(ColorChoice::Always).coloured_out);
    }
}
