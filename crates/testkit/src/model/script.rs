//! What a prompt tells the model to do.
//!
//! | verb | |
//! | --- | --- |
//! | `say TEXT` | answers, which ends the turn |
//! | `run COMMAND` | calls the agent's shell |
//! | `escalate COMMAND` | the same, asking to leave the sandbox where the agent has one |
//! | `edit FILE\|OLD\|NEW`, `write FILE\|TEXT` | calls the agent's tool for files |
//! | `ask QUESTION` | calls the tool that asks the user |
//! | `plan TEXT` | calls the tool that hands a plan in |
//! | `delegate PROMPT` | calls the tool that starts a subagent; the prompt may hold a script |
//! | `call NAME[\|NAME] {JSON}` | calls any tool, by the name that the agent has for it |
//! | `pace MS` | before a step: so long for each word |
//! | `think MS` | before a step: begins to answer, then says nothing for so long |
//! | `mute MS` | before a step: not one byte for so long |
//! | `fail CODE [TIMES]` | before a step: refuses with this status, always or so often |
//! | `cut` | before a step: hangs up |
//!
//! Each step is one turn of the model's, and is taken when as many tools gave back a result.

use std::time::Duration;

/// One `{{verb arguments}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker<'a> {
    pub(super) verb: &'a str,
    pub(super) arguments: &'a str,
}

/// What happens before a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prelude {
    Pace(Duration),
    Think(Duration),
    Mute(Duration),
    Fail { code: u16, times: Option<u32> },
    Cut,
}

/// What the model does in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub(super) before: Vec<Prelude>,
    /// Nothing when the script is over.
    pub(super) act: Option<Marker<'a>>,
}

/// All markers of a text, in order. One inside another belongs to the outer one's arguments.
pub(super) fn markers(text: &str) -> Vec<Marker<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("{{") {
        let inner = &rest[begin + 2..];
        let Some(end) = closing(inner) else { break };
        let (verb, arguments) = match inner[..end].trim().split_once(char::is_whitespace) {
            Some((verb, arguments)) => (verb, arguments.trim()),
            None => (inner[..end].trim(), ""),
        };
        found.push(Marker { verb, arguments });
        rest = &inner[end + 2..];
    }
    found
}

/// Where the `}}` stands that closes what begins here: braces in between are in pairs.
fn closing(inner: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' if inner[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

/// The step of a script that comes after `done` results of tools.
pub(super) fn step(text: &str, done: usize) -> Step<'_> {
    let mut before = Vec::new();
    let mut passed = 0;
    for marker in markers(text) {
        if let Some(prelude) = prelude(&marker) {
            if passed == done {
                before.push(prelude);
            }
        } else if passed == done {
            return Step { before, act: Some(marker) };
        } else {
            passed += 1;
        }
    }
    Step { before, act: None }
}

fn prelude(marker: &Marker<'_>) -> Option<Prelude> {
    let number = |text: &str| text.parse().ok();
    let time = || Duration::from_millis(number(marker.arguments).unwrap_or(1_000));
    match marker.verb {
        "pace" => Some(Prelude::Pace(time())),
        "think" => Some(Prelude::Think(time())),
        "mute" => Some(Prelude::Mute(time())),
        "cut" => Some(Prelude::Cut),
        "fail" => {
            let mut words = marker.arguments.split_whitespace();
            let code = words.next().and_then(|code| code.parse().ok()).unwrap_or(500);
            Some(Prelude::Fail { code, times: words.next().and_then(|times| times.parse().ok()) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_taken_when_as_many_tools_have_answered() {
        let text = "Do {{run ls}} then {{pace 40}} {{fail 529 2}} {{say done}}";
        let first = step(text, 0);
        assert_eq!(
            first,
            Step { before: vec![], act: Some(Marker { verb: "run", arguments: "ls" }) }
        );
        let second = step(text, 1);
        let before = vec![
            Prelude::Pace(Duration::from_millis(40)),
            Prelude::Fail { code: 529, times: Some(2) },
        ];
        assert_eq!(second, Step { before, act: Some(Marker { verb: "say", arguments: "done" }) });
        assert_eq!(step(text, 2).act, None, "the script is over");
    }

    #[test]
    fn a_marker_holds_others_and_json() {
        let text = r#"{{delegate look {{run ls}}}} {{call x {"a":{"b":1}}}} {{cut}}"#;
        let found: Vec<_> = markers(text).into_iter().map(|it| (it.verb, it.arguments)).collect();
        let expected =
            [("delegate", "look {{run ls}}"), ("call", r#"x {"a":{"b":1}}"#), ("cut", "")];
        assert_eq!(found, expected);
        assert!(markers("{{never closed").is_empty());
        assert!(markers("{{a}} }} {{").len() == 1);
    }
}
