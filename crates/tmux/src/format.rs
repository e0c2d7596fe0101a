//! Formats that we ask tmux to expand, built from known pieces only.
//!
//! A format is a small program: `#(...)` in it runs a shell. So there is no way from text to a
//! [`Format`]; its pieces are variables from a closed list, marks made of a [`Nonce`], and tabs.

use std::fmt;

use crate::subscription::Topic;

/// A random word that no name, path or title can contain, because it was made after them.
///
/// Use a fresh one for each scan. The daemon draws the bytes; this crate has no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(u64);

impl Nonce {
    pub const BYTES: usize = 16;

    pub fn from_random(bytes: [u8; 8]) -> Nonce {
        Nonce(u64::from_be_bytes(bytes))
    }

    /// The nonce of a later step of the same act: as unlikely to be met as this one.
    #[must_use]
    pub fn step(self, number: u64) -> Nonce {
        Nonce(self.0.wrapping_add(number))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a nonce marks, as the letter behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The facts of the server, at the beginning of a batch.
    Server,
    /// A record begins.
    Begin,
    /// A free text begins.
    Text,
    /// Stands for a newline within a free text.
    Newline,
    /// Stands for a backslash within a free text.
    Backslash,
    /// A record ends.
    End,
    /// The batch is complete.
    Done,
}

impl Mark {
    pub(crate) fn letter(self) -> u8 {
        match self {
            Mark::Server => b'S',
            Mark::Begin => b'B',
            Mark::Text => b'T',
            Mark::Newline => b'N',
            Mark::Backslash => b'R',
            Mark::End => b'E',
            Mark::Done => b'D',
        }
    }

    pub(crate) fn from_letter(letter: u8) -> Option<Mark> {
        use Mark::{Backslash, Begin, Done, End, Newline, Server, Text};
        [Server, Begin, Text, Newline, Backslash, End, Done]
            .into_iter()
            .find(|mark| mark.letter() == letter)
    }
}

/// A variable of tmux, by its name in the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Var(pub(crate) &'static str);

/// One format, ready to be an argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Format {
    text: String,
}

/// Characters of a free text that are watched: one change sends those of all panes.
const WATCHED_CHARS_MAX: i16 = 128;

/// Characters of a line that are compared.
const LINE_CHARS_MAX: usize = 160;

impl Format {
    pub(crate) fn new() -> Format {
        Format::default()
    }

    pub(crate) fn mark(mut self, nonce: Nonce, mark: Mark) -> Format {
        self.text.push_str(&nonce.to_string());
        self.text.push(char::from(mark.letter()));
        self
    }

    /// Variables whose values hold no blanks, separated by tabs.
    pub(crate) fn plain(mut self, vars: &[&[Var]]) -> Format {
        for (index, Var(name)) in vars.iter().copied().flatten().enumerate() {
            let separator = if index == 0 { "" } else { "\t" };
            self.text.extend([separator, "#{", name, "}"]);
        }
        self
    }

    /// A variable that may hold anything: set off by a mark, its newlines and backslashes replaced
    /// by one.
    pub(crate) fn free(self, nonce: Nonce, Var(name): Var) -> Format {
        let mut format = self.mark(nonce, Mark::Text);
        format.text.push_str("#{");
        for (separator, pattern, mark) in [("", "\n", Mark::Newline), (";", r"\\", Mark::Backslash)]
        {
            format.text.extend([separator, "s/", pattern, "/"]);
            format = format.mark(nonce, mark);
            format.text.push('/');
        }
        format.text.extend([":", name, "}"]);
        format
    }
}

/// What subscriptions watch: formats that loop over the panes of all sessions. A tab ends each record.
impl Format {
    pub(crate) fn watched(topic: Topic) -> Format {
        let text = match topic {
            Topic::Places => {
                // What is active, and in copy mode, notifications tell.
                let fields = "#{pane_id} #{window_id} #{pane_pid} #{pane_width}x#{pane_height} \
                    #{window_index}.#{pane_index} \
                    #{window_bell_flag}#{window_zoomed_flag}#{alternate_on}\
                    #{?pane_dead,#{pane_dead_status}.#{pane_dead_signal},-}";
                let command = beginning("pane_current_command", WATCHED_CHARS_MAX);
                // Of a path that is too long the end tells most.
                let path = beginning("pane_current_path", -WATCHED_CHARS_MAX);
                format!("#{{S:#{{W:#{{P:{fields} {command} {path}\t}}}}}}")
            }
            Topic::Titles => {
                // tmux takes no newline into a title, and to replace what is not there costs.
                let title = format!("#{{={WATCHED_CHARS_MAX}:pane_title}}");
                format!("#{{S:#{{W:#{{P:#{{pane_id}} #{{n:pane_title}} {title}\t}}}}}}")
            }
            Topic::Output => {
                // The seconds of a day and a bit: what is told is that they changed.
                let window = "#{window_id} #{=-5:window_activity}";
                let stand = "#{pane_id}.#{history_size}.#{cursor_x}.#{cursor_y}";
                let panes = format!("#{{?#{{==:#{{window_panes}},1}},,#{{P: {stand}}}}}");
                format!("#{{S:#{{W:{window}{panes}\t}}}}")
            }
        };
        Format { text }
    }
}

/// So much of a free text, from its end where that is below zero, with its newlines replaced.
fn beginning(name: &str, chars: i16) -> String {
    format!("#{{s/\n/ /;={chars}:{name}}}")
}

/// Conditions: formats that expand to `1` or `0`.
impl Format {
    /// Whether a variable is exactly this text.
    pub(crate) fn equals(Var(name): Var, text: &str) -> Format {
        Format { text: format!("#{{==:#{{{name}}},{}}}", operand(text)) }
    }

    /// Whether a line on the pane's screen shows this. Expands to the number of the line.
    pub(crate) fn shows(text: &str) -> Format {
        Format { text: format!("#{{C:{}}}", operand(text)) }
    }

    /// Whether a whole line of the pane's screen shows this, as far as letters and digits tell: what
    /// else stands in it must be there, whatever it is, and around it there is no letter or digit.
    pub(crate) fn shows_line(text: &str) -> Format {
        let plain = |c: char| if c.is_alphanumeric() || " /_-".contains(c) { c } else { '.' };
        let text = text.trim_matches(|c: char| !c.is_alphanumeric());
        let line: String = text.chars().take(LINE_CHARS_MAX).map(plain).collect();
        let whole = text.chars().count() <= LINE_CHARS_MAX;
        let end = if whole { "[^[:alnum:]]*$" } else { "" };
        Format { text: format!("#{{C/r:^[^[:alnum:]]*{line}{end}}}") }
    }

    /// Whether the server's clock has not come to this second since 1970.
    pub(crate) fn clock_before(second: u64) -> Format {
        Format { text: format!("#{{e|<|:{CLOCK},{second}}}") }
    }

    /// Whether both hold.
    pub(crate) fn and(self, other: &Format) -> Format {
        Format { text: format!("#{{&&:{self},{other}}}") }
    }

    /// The server's clock, behind a tab.
    pub(crate) fn clock(mut self) -> Format {
        self.text.extend(["\t", CLOCK]);
        self
    }

    /// A nonce, and what is left of a variable within so many characters behind it.
    pub(crate) fn before(nonce: Nonce, chars: usize, Var(name): Var) -> Format {
        Format { text: format!("{nonce} #{{={chars}:{name}}}") }
    }
}

/// Seconds since 1970 by the server's clock, in every place of a format.
const CLOCK: &str = "#{T:#{l:%s}}";

/// A text as an operand, where a comma or a brace would end it.
fn operand(text: &str) -> String {
    let inert = crate::arg::inert(text.as_bytes());
    String::from_utf8_lossy(&inert).replace(',', "#,").replace('}', "#}")
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce(0x00ab);

    #[test]
    fn a_nonce_is_always_as_long() {
        for random in [[0; 8], [0xff; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
            assert_eq!(Nonce::from_random(random).to_string().len(), Nonce::BYTES);
        }
        assert_eq!(Nonce::from_random([1, 2, 3, 4, 5, 6, 7, 8]).to_string(), "0102030405060708");
    }

    #[test]
    fn variables_without_blanks_are_separated_by_tabs() {
        let format = Format::new().mark(NONCE, Mark::Begin).plain(&[&[Var("a")], &[Var("b")]]);
        assert_eq!(format.to_string(), "00000000000000abB#{a}\t#{b}");
    }

    #[test]
    fn a_free_variable_is_set_off_and_cannot_break_the_line() {
        let format = Format::new().free(NONCE, Var("a"));
        assert_eq!(
            format.to_string(),
            "00000000000000abT#{s/\n/00000000000000abN/;s/\\\\/00000000000000abR/:a}"
        );
    }

    #[test]
    fn an_operand_cannot_end_itself() {
        let equals = |text| Format::equals(Var("a"), text).to_string();
        assert_eq!(equals("bash"), "#{==:#{a},bash}");
        assert_eq!(equals("a,b}c#d"), "#{==:#{a},a#,b#}c##d}");
        assert_eq!(equals("#{pid}"), "#{==:#{a},##{pid#}}");
    }

    #[test]
    fn a_whole_line_is_compared_and_nothing_in_it_means_anything_to_tmux() {
        assert_eq!(
            Format::shows_line("  $ touch a && b #{pid},} ").to_string(),
            "#{C/r:^[^[:alnum:]]*touch a .. b ..pid[^[:alnum:]]*$}"
        );
        let long = Format::shows_line(&"x".repeat(LINE_CHARS_MAX + 1)).to_string();
        assert!(long.ends_with("x}"), "the rest of a long line is not compared: {long}");
    }

    #[test]
    fn each_mark_is_known_by_its_letter() {
        for letter in 0..=u8::MAX {
            if let Some(mark) = Mark::from_letter(letter) {
                assert_eq!(mark.letter(), letter);
            }
        }
        let known = (0..=u8::MAX).filter_map(Mark::from_letter).count();
        assert_eq!(known, 7);
    }
}
