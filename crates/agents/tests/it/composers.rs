//! opencode's composer: where it may be typed into, what stands in it, and what stands beside it.

use agents::adapter::Adapter;
use agents::composer::Composer;
use agents::registry::Registry;
use agents::screen::Screen;
use engine::words::{Source, State};

use crate::corpus::read;
use crate::later::{Look, later};

const AGENT: &str = "opencode";

fn looks() -> Vec<Look> {
    later().into_iter().find(|it| it.agent == AGENT).unwrap().looks
}

fn screen_of(case: &str) -> Screen {
    looks().into_iter().find(|it| it.case == case).unwrap().screen
}

fn text(screen: &Screen) -> Vec<String> {
    screen.lines.iter().map(agents::screen::Line::text).collect()
}

fn rewritten(screen: &Screen, lines: &[String]) -> Screen {
    let width = screen.width;
    let new = Screen::from_capture(lines.join("\n").as_bytes(), width, screen.height);
    Screen { cursor: screen.cursor, alternate: screen.alternate, ..new }
}

fn with_opencode<T>(what: impl FnOnce(&dyn Adapter) -> T) -> T {
    what(Registry::built_in().get(AGENT).unwrap())
}

fn composer(screen: &Screen) -> Option<Composer> {
    with_opencode(|it| it.composer(screen))
}

fn draft(text: &str) -> Option<Composer> {
    Some(Composer::Draft(text.to_owned()))
}

/// A resting screen in whose composer this was typed.
fn typed(lines: &[&str]) -> Screen {
    let screen = screen_of("thinking-done");
    let (column, row) = screen.cursor.unwrap();
    let mut text = text(&screen);
    let at = usize::try_from(row).unwrap();
    text.splice(at..=at, lines.iter().map(|line| format!("  ┃  {line}")));
    let row = row + u32::try_from(lines.len()).unwrap() - 1;
    Screen { cursor: Some((column + 1, row)), ..rewritten(&screen, &text) }
}

/// The same in a pane so wide that something stands beside the session.
fn widened(screen: &Screen) -> Screen {
    let mut lines = text(screen);
    let blank = lines.len() - 2;
    let beside = |at: usize| if at == blank { "• OpenCode 1.18.33" } else { "1,260 tokens" };
    for (at, line) in lines.iter_mut().enumerate() {
        let room = 130_usize.saturating_sub(line.chars().count());
        *line = format!("{line}{}{}", " ".repeat(room), beside(at));
    }
    let height = screen.height;
    let new = Screen::from_capture(lines.join("\n").as_bytes(), 170, height);
    Screen { cursor: screen.cursor, ..new }
}

#[test]
fn it_is_empty_wherever_it_rests_and_nowhere_while_it_asks() {
    let (mut empty, mut asking) = (0, 0);
    for look in looks() {
        let rests = [State::Idle, State::Completed].iter().any(|it| look.truth.allows_state(*it));
        let found = composer(&look.screen);
        let case = &look.case;
        if look.truth.allows_state(State::WaitingApproval) {
            assert_eq!(found, None, "{case}");
            asking += 1;
        } else if rests && look.screen.width >= 100 {
            assert_eq!(found, Some(Composer::Empty), "{case}");
            empty += 1;
        }
    }
    assert!(empty > 15 && asking > 8, "{empty} {asking}");
}

#[test]
fn s_17_what_somebody_typed_is_a_draft() {
    assert_eq!(composer(&typed(&["half a thought"])), draft("half a thought"));
    assert_eq!(composer(&typed(&["two", "lines"])), draft("two\n  lines"));
    assert_eq!(composer(&typed(&["[Pasted ~5 lines]"])), draft("[Pasted ~5 lines]"));
    let manner = with_opencode(|it| it.manner());
    assert!(manner.is_folded("[Pasted ~5 lines]") && !manner.is_folded("[Pasted ~5 lines] two"));
    let hint = "Ask anything… \"Fix broken tests\"";
    assert_eq!(composer(&typed(&[hint])), draft(hint), "the cursor is behind its first letter");
    let fresh = screen_of("startup-ready");
    assert_eq!(composer(&fresh), Some(Composer::Empty), "nobody typed the hint");
}

#[test]
fn where_something_else_takes_what_is_typed_there_is_none() {
    let rests = screen_of("thinking-done");
    for cursor in [Some((34, 12)), Some((5, 36)), None] {
        assert_eq!(composer(&Screen { cursor, ..rests.clone() }), None, "{cursor:?}");
    }
    let shell: Vec<String> = text(&rests)
        .iter()
        .map(|line| line.replace("ctrl+p commands", "esc exit shell mode"))
        .collect();
    assert_eq!(composer(&rewritten(&rests, &shell)), None);
}

#[test]
fn what_stands_beside_the_session_of_a_wide_pane_changes_nothing() {
    let read = |screen: &Screen| {
        read(&Registry::built_in(), AGENT, Some("1.18.33"), ("", screen), Source::Screen)
    };
    for look in looks().into_iter().filter(|it| it.screen.width == 120) {
        let wide = widened(&look.screen);
        assert_eq!(read(&wide), read(&look.screen), "{}", look.case);
        assert_eq!(composer(&wide), composer(&look.screen), "{}", look.case);
    }
    let rests = screen_of("thinking-done");
    let broken_off: Vec<String> =
        text(&rests).iter().map(|line| line.replace("· 10.8s", "· interrupted")).collect();
    let wide = widened(&rewritten(&rests, &broken_off));
    let claim = read(&wide).unwrap().claim.unwrap();
    assert_eq!((claim.state, claim.reason.as_str()), (State::Idle, "interrupted"));
}
