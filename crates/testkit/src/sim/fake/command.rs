//! Commands as tmux reads them: from a line of control mode, or from the words of a program.

/// One command: its name and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) args: Vec<Vec<u8>>,
}

impl Command {
    fn new(words: &[Vec<u8>]) -> Command {
        let name = words.first().map(|word| String::from_utf8_lossy(word).into_owned());
        Command { name: name.unwrap_or_default(), args: words[1..].to_vec() }
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.args.iter().any(|arg| arg == flag.as_bytes())
    }

    /// What stands behind a flag.
    pub(crate) fn after(&self, flag: &str) -> Option<&[u8]> {
        let at = self.args.iter().position(|arg| arg == flag.as_bytes())?;
        self.args.get(at + 1).map(Vec::as_slice)
    }

    pub(crate) fn text_after(&self, flag: &str) -> Option<String> {
        self.after(flag).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The number in an id such as `%5` or `$1:` behind a flag.
    pub(crate) fn id_after(&self, flag: &str, sigil: char) -> Option<u32> {
        let text = self.text_after(flag)?;
        text.strip_prefix(sigil)?.trim_end_matches(':').parse().ok()
    }

    /// What follows the flags.
    pub(crate) fn last(&self) -> &[u8] {
        self.args.last().map_or(&[], Vec::as_slice)
    }
}

/// Splits the words of a forked `tmux` into commands.
pub(crate) fn from_words(words: &[Vec<u8>]) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut current: Vec<Vec<u8>> = Vec::new();
    for word in words {
        if word == b";" {
            commands.push(Command::new(&current));
            current.clear();
        } else if let Some(before) = word.strip_suffix(b"\\;") {
            current.push([before, b";"].concat());
        } else {
            current.push(word.clone());
        }
    }
    commands.push(Command::new(&current));
    commands
}

/// Reads one line of control mode, without its newline. An empty one is no command.
pub(crate) fn from_line(line: &[u8]) -> Option<Vec<Command>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut commands = Vec::new();
    let mut rest = line;
    while let Some(&first) = rest.first() {
        rest = &rest[1..];
        match first {
            b' ' => {}
            b';' => {
                commands.push(Command::new(&words));
                words.clear();
            }
            b'"' => words.push(quoted(&mut rest)),
            byte if bare(byte) => {
                let length = rest.iter().take_while(|byte| bare(**byte)).count();
                words.push([&[byte], &rest[..length]].concat());
                rest = &rest[length..];
            }
            byte => panic!("the made-up tmux reads no {:?} outside quotes", char::from(byte)),
        }
    }
    if words.is_empty() && commands.is_empty() {
        return None;
    }
    commands.push(Command::new(&words));
    Some(commands)
}

fn bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_/.=%@:,#".contains(&byte)
}

/// The text up to the closing quote: as it is, apart from octal numbers.
fn quoted(rest: &mut &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        let (&byte, tail) = rest.split_first().unwrap_or_else(|| panic!("an open quote"));
        *rest = tail;
        match byte {
            b'"' => return text,
            b'\\' => {
                let digits = rest.get(..3).unwrap_or_else(|| panic!("half a number"));
                let number = digits.iter().fold(0_u32, |sum, digit| {
                    assert!((b'0'..=b'7').contains(digit), "no octal digit: {digit}");
                    sum * 8 + u32::from(digit - b'0')
                });
                text.push(u8::try_from(number).unwrap_or_else(|_| panic!("{number} is no byte")));
                *rest = &rest[3..];
            }
            b'$' | b'~' | b'\n' => panic!("tmux would expand {:?} here", char::from(byte)),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let args = command.args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned());
        std::iter::once(command.name.clone()).chain(args).collect()
    }

    #[test]
    fn a_line_is_split_and_unquoted() {
        let line = b"set-option -t \"=_qd-1:\" status off ; display-message -p \"a\\011\\042;b\"";
        let read = from_line(line).unwrap();
        assert_eq!(words(&read[0]), ["set-option", "-t", "=_qd-1:", "status", "off"]);
        assert_eq!(words(&read[1]), ["display-message", "-p", "a\t\";b"]);
        assert_eq!(from_line(b""), None, "an empty line detaches");
    }

    #[test]
    fn words_keep_a_semicolon_that_was_escaped() {
        let given: Vec<Vec<u8>> =
            [&b"a"[..], b"x\\;", b";", b"b"].iter().map(|it| it.to_vec()).collect();
        let read = from_words(&given);
        assert_eq!(words(&read[0]), ["a", "x;"]);
        assert_eq!(words(&read[1]), ["b"]);
    }
}
