//! Our entries in a settings file that lists, for each event, what is to be run: put in, taken out,
//! told from everybody else's.

use super::edit::{self, Value};
use super::json::{self, Kind, Node};
use super::line::HookLine;
use super::{Before, Event, Refusal, Standing};

/// The member that holds the events.
const HOOKS: &str = "hooks";

/// How an agent's settings file lists hooks.
pub(crate) struct Listing {
    pub(crate) agent: &'static str,
    pub(crate) events: &'static [Event],
    /// What a file of only our making begins with.
    pub(crate) prelude: &'static [(&'static str, u64)],
    /// Whether each event has groups, which have handlers; else it has handlers.
    pub(crate) grouped: bool,
    /// A handler that runs a command line.
    pub(crate) handler: fn(command: String, event: &Event) -> Value,
}

/// The handler that most agents have: a command line and the seconds it is waited for.
pub(crate) fn command_handler(command: String, event: &Event) -> Value {
    Value::object([
        ("type", Value::text("command")),
        ("command", Value::Text(command)),
        ("timeout", Value::Number(event.seconds)),
    ])
}

/// Where one of our handlers stands.
struct Own {
    event: usize,
    /// The element of the event's list: the group, or the handler itself.
    group: usize,
    /// The element within the group.
    handler: Option<usize>,
    line: HookLine,
}

impl Listing {
    /// The file with all our entries in it, and nothing else changed.
    pub(crate) fn merge(&self, text: Option<&str>, program: &str) -> Result<String, Refusal> {
        let mut text = match text {
            Some(text) if !is_blank(text) => text.to_owned(),
            Some(_) | None => self.begun(),
        };
        while let Some(shorter) = self.without_surplus(&text)? {
            text = shorter;
        }
        for event in self.events {
            text = self.with_event(&text, event, program)?;
        }
        Ok(text)
    }

    /// A file with nothing else in it.
    pub(crate) fn alone(&self, program: &str) -> String {
        let list = |event: &Event| {
            let handler = self.value(event, program);
            (event.name.to_owned(), Value::Array(vec![self.element(handler)]))
        };
        let hooks = Value::Object(self.events.iter().map(list).collect());
        let begun = self.begun();
        let whole = json::parse(&begun);
        whole
            .map_or(String::new(), |root| edit::appended(&begun, &root, &root, Some(HOOKS), &hooks))
    }

    /// The file without our entries. What was empty before they came is empty again, and nothing is
    /// left of a file of our making.
    pub(crate) fn remove(&self, text: &str, before: &Before) -> Result<Option<String>, Refusal> {
        let original = before.text().filter(|it| !is_blank(it));
        let known = original.and_then(|it| Some((json::parse(it).ok()?, it)));
        let mut text = text.to_owned();
        if is_blank(&text) {
            return Ok(Some(text));
        }
        loop {
            let root = json::parse(&text)?;
            // The last first, as they came.
            let Some(own) = self.own(&root).pop() else { break };
            text = without(&text, &root, &own, known.as_ref().map(|(root, text)| (root, *text)));
        }
        let made_by_us = original.is_none() && *before != Before::Unknown;
        if made_by_us && self.is_bare(&json::parse(&text)?, &text) {
            return Ok(before.text().map(str::to_owned));
        }
        Ok(Some(text))
    }

    /// What stands in the file.
    pub(crate) fn standing(&self, text: &str, program: &str) -> Result<Standing, Refusal> {
        let mut standing = Standing::default();
        if is_blank(text) {
            standing.missing = self.events.len();
            return Ok(standing);
        }
        let root = json::parse(text)?;
        let all = handlers(&root, self.grouped);
        let own = self.own(&root);
        standing.foreign = all.saturating_sub(own.len());
        for event in self.events {
            let wanted = self.value(event, program);
            let found = own.iter().find(|it| it.line.event == event.name);
            match found.and_then(|it| handler_of(&root, it)) {
                None => standing.missing += 1,
                Some(node) if wanted.is_said_by(node, text) => standing.in_place += 1,
                Some(_) => standing.stale += 1,
            }
        }
        standing.stale += own.iter().filter(|it| !self.wants(&it.line.event)).count();
        standing.lines = own.into_iter().map(|it| it.line).collect();
        Ok(standing)
    }

    /// Each of our handlers in the file: its event, its group, its place in the group, and itself.
    pub(crate) fn places<'a>(&self, root: &'a Node) -> Vec<(&'a str, usize, usize, &'a Node)> {
        let Some(hooks) = root.member(HOOKS) else { return Vec::new() };
        let place = |own: &Own| {
            let event = hooks.value.entries().get(own.event)?;
            let handler = handler_of(root, own)?;
            Some((event.key.as_str(), own.group, own.handler.unwrap_or(0), handler))
        };
        self.own(root).iter().filter_map(place).collect()
    }

    fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|it| it.name == event)
    }

    fn value(&self, event: &Event, program: &str) -> Value {
        (self.handler)(HookLine::new(program, self.agent, event.name).render(), event)
    }

    /// A handler as an element of its event's list.
    fn element(&self, handler: Value) -> Value {
        if self.grouped { Value::object([(HOOKS, Value::Array(vec![handler]))]) } else { handler }
    }

    /// A file that we begin.
    fn begun(&self) -> String {
        let members = self.prelude.iter().map(|(key, number)| format!("  \"{key}\": {number}\n"));
        let members: Vec<String> = members.collect();
        if members.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}}}\n", members.join("")) }
    }

    /// Whether nothing is in it but what we began with.
    fn is_bare(&self, root: &Node, text: &str) -> bool {
        let Kind::Object(entries) = &root.kind else { return false };
        entries.iter().all(|entry| {
            self.prelude.iter().any(|(key, number)| {
                entry.key == *key && text[entry.value.span.clone()] == number.to_string()
            })
        })
    }

    /// Our handlers in the file. What does not look as it should holds none of them.
    fn own(&self, root: &Node) -> Vec<Own> {
        let mut found = Vec::new();
        let Some(hooks) = root.member(HOOKS) else { return found };
        for (event, list) in hooks.value.entries().iter().enumerate() {
            for (group, element) in list.value.entries().iter().enumerate() {
                if !self.grouped {
                    let line = self.line(&element.value);
                    found.extend(line.map(|line| Own { event, group, handler: None, line }));
                    continue;
                }
                let Some(handlers) = element.value.member(HOOKS) else { continue };
                for (handler, entry) in handlers.value.entries().iter().enumerate() {
                    let line = self.line(&entry.value);
                    let own = |line| Own { event, group, handler: Some(handler), line };
                    found.extend(line.map(own));
                }
            }
        }
        found
    }

    /// The command line of a handler of ours, whichever of its members holds it.
    fn line(&self, handler: &Node) -> Option<HookLine> {
        let Kind::Object(members) = &handler.kind else { return None };
        let line = members.iter().find_map(|it| HookLine::read(it.value.text()?))?;
        (line.agent == self.agent).then_some(line)
    }

    /// The text without one handler that we do not write: for an event that is not asked for any
    /// more, in a place of another event, or a second one for its event.
    fn without_surplus(&self, text: &str) -> Result<Option<String>, Refusal> {
        let root = json::parse(text)?;
        let Some(hooks) = root.member(HOOKS) else { return Ok(None) };
        let own = self.own(&root);
        let surplus = own.iter().enumerate().find(|(at, it)| {
            let listed = hooks.value.entries().get(it.event).map(|entry| entry.key.as_str());
            let again = own[..*at].iter().any(|other| other.line.event == it.line.event);
            again || listed != Some(it.line.event.as_str()) || !self.wants(&it.line.event)
        });
        Ok(surplus.map(|(_, it)| without(text, &root, it, None)))
    }

    fn with_event(&self, text: &str, event: &Event, program: &str) -> Result<String, Refusal> {
        let root = json::parse(text)?;
        let wanted = self.value(event, program);
        let own = self.own(&root);
        if let Some(found) = own.iter().find(|it| it.line.event == event.name)
            && let Some(place) = handler_of(&root, found)
        {
            let same = wanted.is_said_by(place, text);
            return Ok(if same {
                text.to_owned()
            } else {
                edit::replaced(text, &root, place, &wanted)
            });
        }
        let element = self.element(wanted);
        let list = || Value::Array(vec![element.clone()]);
        if !matches!(root.kind, Kind::Object(_)) {
            return Err(Refusal::at(text, root.span.start, "an object in braces is expected here"));
        }
        let Some(hooks) = root.member(HOOKS) else {
            let hooks = Value::Object(vec![(event.name.to_owned(), list())]);
            return Ok(edit::appended(text, &root, &root, Some(HOOKS), &hooks));
        };
        if !matches!(hooks.value.kind, Kind::Object(_)) {
            let problem = "`hooks` is not an object in braces";
            return Err(Refusal::at(text, hooks.value.span.start, problem));
        }
        let Some(listed) = hooks.value.member(event.name) else {
            return Ok(edit::appended(text, &root, &hooks.value, Some(event.name), &list()));
        };
        if !matches!(listed.value.kind, Kind::Array(_)) {
            let problem = format!("`{}` is not a list in brackets", event.name);
            return Err(Refusal::at(text, listed.value.span.start, &problem));
        }
        Ok(edit::appended(text, &root, &listed.value, None, &element))
    }
}

fn is_blank(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim().is_empty()
}

/// How many handlers the file lists, whoever wrote them.
fn handlers(root: &Node, grouped: bool) -> usize {
    let lists = root.member(HOOKS).map_or(&[][..], |hooks| hooks.value.entries());
    let elements = lists.iter().flat_map(|list| list.value.entries());
    if !grouped {
        return elements.count();
    }
    let groups = elements.filter_map(|group| group.value.member(HOOKS));
    groups.map(|handlers| handlers.value.entries().len()).sum()
}

fn handler_of<'a>(root: &'a Node, own: &Own) -> Option<&'a Node> {
    let list = root.member(HOOKS)?.value.entries().get(own.event)?;
    let element = &list.value.entries().get(own.group)?.value;
    match own.handler {
        None => Some(element),
        Some(handler) => Some(&element.member(HOOKS)?.value.entries().get(handler)?.value),
    }
}

/// The text without one of our handlers, and without what held nothing else: its group, the list of
/// its event, and the member of all hooks; except where those were there before us.
fn without(text: &str, root: &Node, own: &Own, original: Option<(&Node, &str)>) -> String {
    let Some(hooks) = root.member(HOOKS) else { return text.to_owned() };
    let list = &hooks.value.entries()[own.event];
    let group = &list.value.entries()[own.group];
    let hooks_before = original.and_then(|(root, _)| root.member(HOOKS));
    let list_before = hooks_before.and_then(|hooks| hooks.value.member(&list.key));
    let emptied = |before: Option<&json::Entry>| match (before, original) {
        (Some(entry), Some((_, text))) if entry.value.entries().is_empty() => {
            text[entry.value.span.start + 1..entry.value.span.end - 1].to_owned()
        }
        _ => String::new(),
    };
    if let Some(handler) = own.handler
        && let Some(handlers) = group.value.member(HOOKS)
        && handlers.value.entries().len() > 1
    {
        return edit::removed(text, &handlers.value, handler, "");
    }
    if list.value.entries().len() > 1 || list_before.is_some() {
        return edit::removed(text, &list.value, own.group, &emptied(list_before));
    }
    if hooks.value.entries().len() > 1 || hooks_before.is_some() {
        return edit::removed(text, &hooks.value, own.event, &emptied(hooks_before));
    }
    let index = root.entries().iter().rposition(|entry| entry.key == HOOKS).unwrap_or_default();
    let inside = original.filter(|(root, _)| root.entries().is_empty());
    let inside = inside.map(|(root, text)| &text[root.span.start + 1..root.span.end - 1]);
    edit::removed(text, root, index, inside.unwrap_or_default())
}
