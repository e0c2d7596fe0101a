//! An adapter for any other agent, made from data: names of its process, and what its screen and
//! title show.

use engine::words::{Confidence, Source, State};
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::adapter::{Adapter, Capabilities, Reading, Readings, Report, Surface, Version};
use crate::program::Program;
use crate::view::View;
use crate::vocabulary;

/// Rules of one agent; more are refused.
pub const RULES_MAX: usize = 64;
/// Bytes of a pattern or a name; longer ones are refused.
pub const PATTERN_BYTES_MAX: usize = 200;
/// Lines at the bottom of the screen that a rule may look at.
pub const LINES_MAX: usize = 100;
/// Bytes of a description; longer ones are refused.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Lines at the bottom of the screen that a rule looks at if it does not say.
const LINES: usize = 6;

/// An agent, as somebody describes it in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// The agent's name: lower-case letters, digits and `-`.
    agent: Spanned<String>,
    /// The version of the contract that it was written for.
    #[serde(rename = "version")]
    _version: Option<String>,
    /// File names of its program or, if an interpreter runs it, of its script.
    programs: Spanned<Vec<String>>,
    #[serde(default)]
    screen: Vec<Spanned<Rule>>,
    #[serde(default)]
    title: Vec<Spanned<Rule>>,
}

/// What is concluded where a text is found. The first rule that fits decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The text, as it stands in one line. At least one of this and `starts` is needed.
    #[serde(default)]
    contains: String,
    /// What a line begins with, apart from blanks.
    #[serde(default)]
    starts: String,
    state: State,
    reason: String,
    /// How many lines at the bottom are looked at, empty ones below the last text not counted.
    #[serde(default = "lines")]
    lines: usize,
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

/// What lists call the panes without an agent, so no agent is called that.
const NO_AGENT: &str = "none";

/// Why a description is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("{0}")]
    Syntax(String),
    #[error(
        "agent `{0}`: a name has lower-case letters, digits and `-` only, and begins with no `-`"
    )]
    Agent(String),
    #[error("agent `{NO_AGENT}`: that name stands for panes without an agent")]
    Reserved,
    #[error("version `{0}`: write it as `v1`")]
    Version(String),
    #[error("it was made for {version} of the contract, this is {}", crate::adapter::CONTRACT)]
    OtherContract { version: Version },
    #[error("no `programs`: name at least one")]
    NoPrograms,
    #[error("give a text for `contains` or for `starts`")]
    Empty,
    #[error("reason `{0}`: a reason has lower-case letters, digits and `_` only")]
    Reason(String),
    #[error("`lines` is from 1 to {LINES_MAX}")]
    Lines,
    #[error("too many or too long {0}")]
    TooMuch(&'static str),
}

/// A description that is not taken: why, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Misfit {
    /// The agent that it is about, as far as it says.
    pub agent: Option<String>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    pub why: Unusable,
}

/// The adapter that a description makes.
#[derive(Clone, Debug)]
pub struct Generic {
    agent: String,
    name: String,
    version: Version,
    programs: Vec<String>,
    screen: Vec<Rule>,
    title: Vec<Rule>,
}

impl Generic {
    /// Reads a description, a table of TOML.
    pub fn parse(text: &str) -> Result<Self, Misfit> {
        let misfit = |(offset, why): Wrong| {
            let (line, column) = place(text, offset);
            Misfit { agent: word_at_top(text, "agent").map(|(it, _)| it), line, column, why }
        };
        if text.len() > DESCRIPTION_BYTES_MAX {
            return Err(misfit((0, Unusable::TooMuch("bytes"))));
        }
        // First of all: of another contract's description no key can be judged.
        let version = version(text).map_err(misfit)?;
        let written: Description = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            misfit((offset, Unusable::Syntax(error.message().to_owned())))
        })?;
        check(&written).map_err(misfit)?;
        let rules =
            |rules: Vec<Spanned<Rule>>| rules.into_iter().map(Spanned::into_inner).collect();
        let agent = written.agent.into_inner();
        Ok(Self {
            name: name(&agent),
            agent,
            version,
            programs: written.programs.into_inner(),
            screen: rules(written.screen),
            title: rules(written.title),
        })
    }
}

/// How the adapter of a described agent is called.
pub fn name(agent: &str) -> String {
    format!("{agent}-patterns")
}

/// What is wrong, at an offset of the text.
type Wrong = (usize, Unusable);

/// The contract's version that a description was written for, if we can read it.
fn version(text: &str) -> Result<Version, Wrong> {
    let Some((written, offset)) = word_at_top(text, "version") else {
        return Ok(crate::adapter::CONTRACT);
    };
    match Version::parse(&written) {
        Some(version) if version.is_compatible() => Ok(version),
        Some(version) => Err((offset, Unusable::OtherContract { version })),
        None => Err((offset, Unusable::Version(written))),
    }
}

/// A text at the top of a table, and where it begins.
fn word_at_top(text: &str, key: &str) -> Option<(String, usize)> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let value = document.get_ref().get(key)?;
    Some((value.get_ref().as_str()?.to_owned(), value.span().start))
}

/// The line and column of a byte offset in a file that a person writes, both from 1.
pub fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    (number(line), number(column))
}

fn check(written: &Description) -> Result<(), Wrong> {
    let Description { agent, programs, screen, title, .. } = written;
    if !is_word(agent.get_ref(), '-') || agent.get_ref().starts_with('-') {
        return Err((agent.span().start, Unusable::Agent(agent.get_ref().clone())));
    }
    if agent.get_ref() == NO_AGENT {
        return Err((agent.span().start, Unusable::Reserved));
    }
    let named = programs.get_ref();
    if named.iter().all(String::is_empty) {
        return Err((programs.span().start, Unusable::NoPrograms));
    }
    if named.len() > RULES_MAX || named.iter().any(|it| it.len() > PATTERN_BYTES_MAX) {
        return Err((programs.span().start, Unusable::TooMuch("programs")));
    }
    for (index, rule) in screen.iter().chain(title).enumerate() {
        let wrong = |why| Err((rule.span().start, why));
        let Rule { contains, starts, reason, lines, .. } = rule.get_ref();
        if index >= RULES_MAX {
            return wrong(Unusable::TooMuch("rules"));
        }
        if contains.trim().is_empty() && starts.trim().is_empty() {
            return wrong(Unusable::Empty);
        }
        if !is_word(reason, '_') {
            return wrong(Unusable::Reason(reason.clone()));
        }
        if contains.len().max(starts.len()) > PATTERN_BYTES_MAX {
            return wrong(Unusable::TooMuch("patterns"));
        }
        if !(1..=LINES_MAX).contains(lines) {
            return wrong(Unusable::Lines);
        }
    }
    Ok(())
}

fn is_word(text: &str, joint: char) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
    !text.is_empty() && text.len() <= PATTERN_BYTES_MAX && text.chars().all(plain)
}

impl Adapter for Generic {
    fn agent(&self) -> &str {
        &self.agent
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> Version {
        self.version
    }

    fn capabilities(&self) -> Capabilities {
        let Self { screen, title, .. } = self;
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
        let script = program.any_script().map(Program::file_of).unwrap_or_default();
        let named = |name: &String| !name.is_empty() && [program.file(), script].contains(&&**name);
        self.programs.iter().any(named)
    }

    /// Its own events are not known, but whoever wraps it may send the usual ones.
    fn hears(&self, event: &str, _payload: &Value) -> Report {
        vocabulary::report(event)
    }

    /// A title is matched by words here, as the screen is: it is no more certain than that.
    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let Self { screen, title, .. } = self;
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
        Generic::parse(AIDER).unwrap().reads(&surface)[&Source::Screen].clone()
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
    fn a_program_or_the_script_of_an_interpreter_or_a_shell_is_known_by_its_name() {
        let aider = Generic::parse(AIDER).unwrap();
        let runs = |path: &str, arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
            aider.recognises(&Program { name: "x", path, arguments: &arguments })
        };
        assert!(runs("/opt/aider", &["aider"]));
        assert!(runs("/usr/bin/python3.11", &["python3", "/opt/bin/aider", "--model", "x"]));
        assert!(runs("/bin/dash", &["/bin/sh", "/home/u/bin/aider"]));
        assert!(!runs("/bin/dash", &["sh", "-c", "aider"]), "the shell that starts it");
        assert!(!runs("/usr/bin/grep", &["grep", "aider"]));
    }

    #[test]
    fn a_title_is_read_where_the_screen_says_nothing() {
        assert_eq!(read("", "busy: x").claim.unwrap().state, State::Running);
        assert_eq!(read("", "x").claim, None);
    }

    #[test]
    fn a_description_that_cannot_be_meant_is_refused_with_its_place() {
        let refused = |toml: &str| {
            let misfit = Generic::parse(toml).unwrap_err();
            format!("{}:{}: {misfit}", misfit.line, misfit.column)
        };
        let head = "agent = \"a\"\nprograms = [\"a\"]\n";
        let rule = |rule: &str| refused(&format!("{head}[[screen]]\nstate = \"idle\"\n{rule}"));
        assert!(refused("agent = \"A b\"\nprograms = [\"a\"]").starts_with("1:9: agent `A b`"));
        assert!(refused("agent = \"-a\"\nprograms = [\"a\"]").starts_with("1:9: agent `-a`"));
        assert!(refused("agent = \"none\"\nprograms = [\"a\"]").contains("without an agent"));
        assert!(refused("agent = \"a\"\nprograms = []").starts_with("2:12: no `programs`"));
        assert!(rule("reason = \"idle\"").starts_with("3:1: give a text"));
        assert!(rule("reason = \"I\"\nstarts = \">\"").starts_with("3:1: reason `I`"));
        assert!(rule("reason = \"idle\"\nstarts = \">\"\nlines = 0").starts_with("3:1: `lines`"));
        assert!(refused(&format!("{head}scren = []")).starts_with("3:1: unknown field `scren`"));
        assert!(refused("agent = ").starts_with("1:9: "));
        let long = format!("{head}# {}", "x".repeat(DESCRIPTION_BYTES_MAX));
        assert!(refused(&long).contains("too long bytes"));
    }

    /// Its keys may mean anything, so it is not they that are found fault with.
    #[test]
    fn tc_047_a_description_for_another_contract_is_refused_by_its_version() {
        let of = |version: &str| {
            let text = format!("agent = \"a\"\nversion = \"{version}\"\nprograms = [\"a\"]\n");
            (Generic::parse(&text), Generic::parse(&format!("{text}shape = 3\n")))
        };
        let (plain, odd) = of("v2");
        let other = Unusable::OtherContract { version: Version { major: 2, minor: 0 } };
        for refused in [plain, odd] {
            let misfit = refused.unwrap_err();
            assert_eq!((misfit.line, misfit.column), (2, 11));
            assert_eq!((misfit.agent.as_deref(), misfit.why), (Some("a"), other.clone()));
        }
        assert_eq!(of("x").0.unwrap_err().why, Unusable::Version("x".into()));
        assert_eq!(of("v1.7").0.unwrap().version(), Version { major: 1, minor: 7 });
        assert!(of("v1.7").1.is_err());
    }
}
