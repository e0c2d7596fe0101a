//! Names, titles and paths as hostile as tmux lets them be.

use super::rng::Rng;

/// Pieces that mean something to somebody on the way: tmux's formats and its control mode, shells,
/// JSON, SQL, terminals.
const PIECES: &[&str] = &[
    "main",
    "build",
    "日本",
    "e\u{301}",
    "\u{1f600}",
    " ",
    "  ",
    "%end 1 2 1",
    "%begin 1 2 1",
    "%exit",
    "#{pane_id}",
    "#(touch x)",
    "#[fg=red]",
    "##",
    "#",
    "'",
    "\"",
    "\\",
    "\\033",
    "$HOME",
    "~",
    ";",
    "{}",
    "`x`",
    "_qd-",
    "%0",
    "@0",
    "$0",
    "-t",
    "--",
    "null",
    "/",
    "%H",
    "*",
    "é",
    "\u{202e}",
];

/// Bytes that only some texts may hold.
const CONTROL: &[&str] =
    &["\n", "\t", "\u{1b}[31m", "\r", "\u{7}", "\n%end 1700000000 3 1\n", "\n%exit\n"];

/// A text of a few pieces; one in a hundred is long.
fn text(rng: &mut Rng, control: bool) -> String {
    let pieces = if rng.permille(10) { 200 } else { rng.below(4) + 1 };
    let mut text = String::new();
    for _ in 0..pieces {
        let list = if control && rng.permille(150) { CONTROL } else { PIECES };
        text.push_str(rng.pick(list).copied().unwrap_or_default());
    }
    text
}

/// A session's name as tmux keeps it: printed, and without the characters that end a target.
pub(crate) fn session_name(rng: &mut Rng, id: u32) -> String {
    let name = text(rng, false).replace([':', '.'], "_");
    // Unique by its id, and never a hub's: those belong to installations of ours.
    format!("s{id} {name}")
}

/// A window's name, which may hold anything.
pub(crate) fn window_name(rng: &mut Rng) -> String {
    text(rng, true)
}

/// A title as tmux keeps it: no control bytes.
pub(crate) fn title(rng: &mut Rng) -> String {
    text(rng, false)
}

/// A command's name: what a program calls itself, at most 15 bytes in the kernel, more in argv.
pub(crate) fn command(rng: &mut Rng) -> String {
    if rng.permille(700) {
        let usual = ["sh", "bash", "vim", "cargo", "node", "python3", "less", "ssh"];
        return rng.pick(&usual).copied().unwrap_or_default().to_owned();
    }
    text(rng, true)
}

/// A directory: any byte but NUL, valid UTF-8 or not.
pub(crate) fn path(rng: &mut Rng) -> Vec<u8> {
    let mut path = b"/home/u/".to_vec();
    path.extend_from_slice(text(rng, true).as_bytes());
    if rng.permille(100) {
        path.extend_from_slice(b"\xff\xfe");
    }
    path
}

/// The name as tmux keeps it when a window is renamed: what would not show is written out. A window
/// that is created with a name keeps it as it is.
pub(crate) fn visible(name: &str) -> String {
    let written = |letter: char| match letter {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\\' => "\\\\".to_owned(),
        other if other.is_control() => format!("\\{:03o}", u32::from(other)),
        other => other.to_string(),
    };
    name.chars().map(written).collect()
}
