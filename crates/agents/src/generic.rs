//! An adapter for any other agent, made from data: names of its process, and what its screen and
//! title show.

use engine::words::{Confidence, Source, State};
use serde::Deserialize;
use serde_json::Value;

use crate::adapter::{Adapter, Capabilities, Reading, Readings, Report, Surface, Version};
use crate::program::Program;
use crate::view::View;
use crate::vocabulary;

/// Rules of one agent; more are refused.
pub const RULES_MAX: usize = 64;
/// Characters of a pattern or a name; longer ones are refused.
pub const PATTERN_CHARS_MAX: usize = 200;
/// Lines at the bottom of the screen that a rule looks at if it does not say.
const LINES: usize = 6;

/// An agent, as somebody describes it in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The agent's name: lower-case letters, digits and `-`.
    pub agent: String,
    /// The version of the contract that it was written for.
    #[serde(default = "current")]
    pub version: String,
    /// File names of its program or, if an interpreter runs it, of its script.
    pub programs: Vec<String>,
    #[serde(default)]
    pub screen: Vec<Rule>,
    #[serde(default)]
    pub title: Vec<Rule>,
}

fn current() -> String {
    crate::adapter::CONTRACT.to_string()
}

/// What is concluded where a text is found. The first rule that fits decides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The text, as it stands in one line. At least one of this and `starts` is needed.
    #[serde(default)]
    pub contains: String,
    /// What a line begins with, apart from blanks.
    #[serde(default)]
    pub starts: String,
    pub state: State,
    pub reason: String,
    /// How many lines at the bottom are looked at, empty ones below the last text not counted.
    #[serde(default = "lines")]
    pub lines: usize,
}

fn lines() -> usize {
    LINES
}

impl Rule {
    fn fits(&self, line: &str) -> bool {
        // Blanks at the end of a line are not kept, but a prompt may be known by the one after it.
        let line = format!("{} ", line.trim_start());
        line.contains(&self.contains) && line.starts_with(&self.starts)
    }

    fn name(&self) -> String {
        if self.starts.is_empty() { self.contains.clone() } else { self.starts.clone() }
    }
}

/// Why a description is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    Agent(String),
    Version(String),
    NoPrograms,
    Empty { rule: usize },
    Reason(String),
    TooMuch(&'static str),
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent(name) => {
                write!(f, "agent `{name}`: a name has lower-case letters, digits and `-` only")
            }
            Self::Version(text) => write!(f, "version `{text}`: write it as `v1`"),
            Self::NoPrograms => write!(f, "no `programs`: name at least one"),
            Self::Empty { rule } => {
                write!(f, "rule {rule}: give a text for `contains` or for `starts`")
            }
            Self::Reason(text) => {
                write!(f, "reason `{text}`: a reason has lower-case letters, digits and `_` only")
            }
            Self::TooMuch(what) => write!(f, "too many or too long {what}"),
        }
    }
}

impl std::error::Error for Unusable {}

/// The adapter that a description makes.
#[derive(Clone, Debug)]
pub struct Generic {
    description: Description,
    name: String,
    version: Version,
}

impl Generic {
    pub fn new(description: Description) -> Result<Self, Unusable> {
        check(&description)?;
        let version = Version::parse(&description.version)
            .ok_or_else(|| Unusable::Version(description.version.clone()))?;
        Ok(Self { name: format!("{}-patterns", description.agent), description, version })
    }
}

fn check(description: &Description) -> Result<(), Unusable> {
    let word = |text: &str, joint: char| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
        !text.is_empty() && text.len() <= PATTERN_CHARS_MAX && text.chars().all(plain)
    };
    let Description { agent, programs, screen, title, .. } = description;
    if !word(agent, '-') {
        return Err(Unusable::Agent(agent.clone()));
    }
    if programs.iter().all(|program| program.is_empty()) {
        return Err(Unusable::NoPrograms);
    }
    if screen.len() + title.len() > RULES_MAX || programs.len() > RULES_MAX {
        return Err(Unusable::TooMuch("rules or programs"));
    }
    for (index, rule) in screen.iter().chain(title).enumerate() {
        if rule.contains.trim().is_empty() && rule.starts.trim().is_empty() {
            return Err(Unusable::Empty { rule: index + 1 });
        }
        if !word(&rule.reason, '_') {
            return Err(Unusable::Reason(rule.reason.clone()));
        }
        if rule.contains.len().max(rule.starts.len()) > PATTERN_CHARS_MAX {
            return Err(Unusable::TooMuch("patterns"));
        }
    }
    Ok(())
}

impl Adapter for Generic {
    fn agent(&self) -> &str {
        &self.description.agent
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> Version {
        self.version
    }

    fn capabilities(&self) -> Capabilities {
        let Description { screen, title, .. } = &self.description;
        let claims = |state| screen.iter().chain(title).any(|rule| rule.state == state);
        Capabilities {
            event_driven: false,
            polling_required: true,
            supports_waiting_approval: claims(State::WaitingApproval),
            supports_waiting_input: claims(State::WaitingInput),
            supports_completed: claims(State::Completed),
        }
    }

    fn recognises(&self, program: &Program<'_>) -> bool {
        let script = program.script().map(Program::file_of).unwrap_or_default();
        let named = |name: &String| !name.is_empty() && [program.file(), script].contains(&&**name);
        self.description.programs.iter().any(named)
    }

    /// Its own events are not known, but whoever wraps it may send the usual ones.
    fn hears(&self, event: &str, _payload: &Value) -> Report {
        vocabulary::report(event)
    }

    /// A title is matched by words here, as the screen is: it is no more certain than that.
    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let Description { screen, title, .. } = &self.description;
        if screen.is_empty() && title.is_empty() {
            return Readings::new();
        }
        let view = View::of(surface.screen);
        let lines: Vec<&str> = (0..view.len()).map(|at| view.line(at)).collect();
        let found = first_fit(screen, &lines).or_else(|| first_fit(title, &[surface.title]));
        let reading = found.unwrap_or_else(|| Reading::silent("no pattern fits"));
        Readings::from([(Source::Screen, reading)])
    }
}

/// What the first rule says that fits one of the last lines.
fn first_fit(rules: &[Rule], lines: &[&str]) -> Option<Reading> {
    let fits = |rule: &&Rule| lines.iter().rev().take(rule.lines).any(|line| rule.fits(line));
    let rule = rules.iter().find(fits)?;
    Some(Reading::claiming(rule.state, &rule.reason, Confidence::Medium, rule.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Screen;

    fn description(toml: &str) -> Result<Generic, Unusable> {
        Generic::new(toml::from_str(toml).unwrap())
    }

    const AIDER: &str = r#"
        agent = "aider"
        programs = ["aider"]

        [[screen]]
        contains = "(Y)es/(N)o"
        state = "waiting_approval"
        reason = "approval_requested"
        lines = 2

        [[screen]]
        starts = "> "
        state = "idle"
        reason = "idle"
        lines = 1

        [[title]]
        starts = "busy"
        state = "running"
        reason = "active"
    "#;

    fn read(screen: &str, title: &str) -> Reading {
        let screen = Screen::from_capture(screen.as_bytes(), 80, 24);
        let surface = Surface { version: None, title, screen: &screen };
        description(AIDER).unwrap().reads(&surface)[&Source::Screen].clone()
    }

    #[test]
    fn a_pattern_counts_near_the_bottom_only_and_is_never_sure() {
        let reading = read("text\nRun it? (Y)es/(N)o\n\n\n", "");
        let claim = reading.claim.unwrap();
        assert_eq!((claim.state, claim.confidence), (State::WaitingApproval, Confidence::Medium));
        assert_eq!(reading.mark, "(Y)es/(N)o");
        let reading = read("Run it? (Y)es/(N)o\ntext\n> \n", "");
        assert_eq!(reading.claim.unwrap().state, State::Idle);
        assert_eq!(read("text\n", "").claim, None);
    }

    #[test]
    fn a_title_is_read_where_the_screen_says_nothing() {
        assert_eq!(read("", "busy: x").claim.unwrap().state, State::Running);
        assert_eq!(read("", "x").claim, None);
    }

    #[test]
    fn descriptions_that_say_too_little_are_refused() {
        let refused = |toml: &str| description(toml).unwrap_err();
        assert_eq!(refused("agent = \"A b\"\nprograms = [\"a\"]"), Unusable::Agent("A b".into()));
        assert_eq!(refused("agent = \"a\"\nprograms = []"), Unusable::NoPrograms);
        let rule =
            "agent = \"a\"\nprograms = [\"a\"]\n[[screen]]\nstate = \"idle\"\nreason = \"idle\"";
        assert_eq!(refused(rule), Unusable::Empty { rule: 1 });
        let version = "agent = \"a\"\nversion = \"x\"\nprograms = [\"a\"]";
        assert_eq!(refused(version), Unusable::Version("x".into()));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(toml::from_str::<Description>("agent = \"a\"\nprograms = []\nscren = []").is_err());
    }
}
