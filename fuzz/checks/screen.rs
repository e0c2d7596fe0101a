//! What must hold for anything that claims to be a pane's screen, a title, or an agent's own file.

use agents::adapter::{FileKind, Running, Surface};
use agents::registry::Registry;
use agents::screen::Screen;

/// The first line is the title, the rest the screen; both are also read as a file.
pub(crate) fn check(input: &[u8]) {
    let screen = Screen::from_capture(input, 80, 24);
    let breaks = input.iter().filter(|byte| **byte == b'\n').count();
    assert!(screen.lines.len() <= breaks + 1, "lines came from nowhere");
    let texts: Vec<String> = screen.lines.iter().map(agents::screen::Line::text).collect();
    assert!(!texts.iter().any(|text| text.chars().any(char::is_control)), "controls are no text");

    // What was read once is text, and reads as itself, but for blanks that only their style shows.
    let again = Screen::from_capture(texts.join("\n").as_bytes(), 80, 24);
    let again: Vec<String> = again.lines.iter().map(agents::screen::Line::text).collect();
    let texts: Vec<String> = texts.iter().map(|text| text.trim_end().to_owned()).collect();
    let end = |lines: &[String]| lines.iter().rposition(|it| !it.is_empty()).map_or(0, |at| at + 1);
    assert_eq!(texts[..end(&texts)], again[..end(&again)], "reading text changed it");

    let title = texts.first().map_or("", String::as_str);
    let agent = Running {
        pid: 1,
        below: &[],
        start_ticks: Some(1),
        home: "/",
        folder: None,
        session: None,
    };
    for adapter in Registry::built_in().iter() {
        let version = adapter.covers().first().copied();
        adapter.reads(&Surface { version, title, screen: &screen });
        for kind in [FileKind::Status, FileKind::Transcript] {
            adapter.reads_status(&agent, kind, input);
        }
    }
}
