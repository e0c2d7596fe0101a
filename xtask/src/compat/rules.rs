//! The rules of compatibility, on JSON schemas and OpenAPI documents.
//!
//! | | an answer may | a request may |
//! | --- | --- | --- |
//! | fields | gain some | gain some that may be left out |
//! | nulls | lose them | gain them |
//! | words of an enum | gain some | gain some |
//! | bounds | change | become wider |
//! | types | stay; a number may become whole | stay; a whole number may become any |
//!
//! Readers ignore fields and words they do not know, so gaining is safe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

/// A promise that is not kept.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Breach {
    /// Where, as a path of names.
    place: String,
    /// What is different.
    problem: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Who writes what a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Answer,
    Request,
}

/// Compares two schemas of what the daemon writes.
pub(super) fn compare_answers(old: &Value, new: &Value) -> Vec<Breach> {
    compare(old, new, Side::Answer)
}

/// Compares two schemas of what a client writes.
pub(super) fn compare_requests(old: &Value, new: &Value) -> Vec<Breach> {
    compare(old, new, Side::Request)
}

fn compare(old: &Value, new: &Value, side: Side) -> Vec<Breach> {
    let mut comparison = Comparison::new(old, new);
    comparison.schemas(side, "", old, new);
    comparison.finish()
}

/// Compares two OpenAPI documents, route by route.
pub(super) fn compare_documents(old: &Value, new: &Value) -> Vec<Breach> {
    let mut comparison = Comparison::new(old, new);
    for (path, methods) in fields(&old["paths"]) {
        for (method, operation) in fields(methods) {
            let place = format!("{} {path}", method.to_ascii_uppercase());
            match new["paths"][path].get(method) {
                Some(now) => comparison.operations(&place, operation, now),
                None => comparison.breach(&place, "the route is gone"),
            }
        }
    }
    comparison.finish()
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// Pairs of definitions that were compared, or are just being compared.
    seen: BTreeSet<(Side, String, String)>,
    breaches: BTreeSet<Breach>,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, seen: BTreeSet::new(), breaches: BTreeSet::new() }
    }

    fn finish(self) -> Vec<Breach> {
        self.breaches.into_iter().collect()
    }

    fn breach(&mut self, place: &str, problem: impl Into<String>) {
        let place = if place.is_empty() { "(root)" } else { place };
        self.breaches.insert(Breach { place: place.to_owned(), problem: problem.into() });
    }

    fn operations(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        self.parameters(place, old, new);
        match (old.get("requestBody"), new.get("requestBody")) {
            (Some(old), Some(new)) => {
                self.contents(Side::Request, &format!("{place} request"), old, new);
            }
            (Some(_), None) => self.breach(place, "no body is taken any more"),
            (None, Some(new)) if new["required"] == true => {
                self.breach(place, "a body is required now");
            }
            (None, _) => {}
        }
        for (status, response) in fields(&old["responses"]) {
            if !status.starts_with('2') {
                continue;
            }
            match new["responses"].get(status) {
                Some(now) => {
                    self.contents(Side::Answer, &format!("{place} {status}"), response, now);
                }
                None => self.breach(place, format!("no longer answers {status}")),
            }
        }
        let (before, now) = (error_codes(self.old, old), error_codes(self.new, new));
        for (code, status) in before {
            if let Some(other) = now.get(code).filter(|it| **it != status) {
                self.breach(place, format!("{code} has the status {other} instead of {status}"));
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let (before, now) = (parameters(self.old, old), parameters(self.new, new));
        for (name, parameter) in &before {
            let place = format!("{place} ?{name}");
            match now.get(name) {
                Some(now) => {
                    if now["required"] == true && parameter["required"] != true {
                        self.breach(&place, "is required now");
                    }
                    self.schemas(Side::Request, &place, &parameter["schema"], &now["schema"]);
                }
                None => self.breach(&place, "is no longer taken"),
            }
        }
        for (name, parameter) in &now {
            if parameter["required"] == true && !before.contains_key(name) {
                self.breach(&format!("{place} ?{name}"), "is required now");
            }
        }
    }

    fn contents(&mut self, side: Side, place: &str, old: &'a Value, new: &'a Value) {
        for (media, content) in fields(&old["content"]) {
            match new["content"].get(media) {
                Some(now) => self.schemas(side, place, &content["schema"], &now["schema"]),
                None => self.breach(place, format!("is no longer there as {media}")),
            }
        }
    }

    fn schemas(&mut self, side: Side, place: &str, old: &'a Value, new: &'a Value) {
        if let (Some(a), Some(b)) = (plain_reference(old), plain_reference(new))
            && !self.seen.insert((side, a.to_owned(), b.to_owned()))
        {
            return;
        }
        let (old, new) = (Shape::of(self.old, old), Shape::of(self.new, new));
        match side {
            Side::Answer if new.nullable && !old.nullable => self.breach(place, "may be null now"),
            Side::Request if old.nullable && !new.nullable => {
                self.breach(place, "may no longer be null");
            }
            Side::Answer | Side::Request => {}
        }
        let (before, now) = (old.variants, new.variants);
        for (tag, variant) in &before {
            let only = before.len() == 1 && now.len() == 1;
            let other = if only { now.values().next() } else { now.get(tag) };
            let place = if only { place.to_owned() } else { format!("{place}<{tag}>") };
            match other {
                Some(other) => self.bodies(side, &place, variant, other),
                None => self.breach(&place, "the variant is gone"),
            }
        }
    }

    fn bodies(&mut self, side: Side, place: &str, old: &Body<'a>, new: &Body<'a>) {
        if !types_fit(side, &old.kinds, &new.kinds) {
            let (old, new) = (listed(&old.kinds), listed(&new.kinds));
            self.breach(place, format!("the type is {new} instead of {old}"));
            return;
        }
        self.words(side, place, old, new);
        self.constraints(side, place, old, new);
        for (name, schema) in &old.properties {
            let inner = format!("{place}.{name}");
            match new.properties.get(name) {
                Some(now) => self.schemas(side, &inner, schema, now),
                None if side == Side::Answer => self.breach(&inner, "the field is gone"),
                None if new.closed => self.breach(&inner, "the field is no longer taken"),
                None => {}
            }
        }
        match side {
            Side::Answer => {
                for name in old.required.difference(&new.required) {
                    self.breach(&format!("{place}.{name}"), "may be left out now");
                }
            }
            Side::Request => {
                for name in new.required.difference(&old.required) {
                    self.breach(&format!("{place}.{name}"), "is required now");
                }
                if new.closed && !old.closed {
                    self.breach(place, "takes no unknown fields any more");
                }
            }
        }
        if let (Some(old), Some(new)) = (old.items, new.items) {
            self.schemas(side, &format!("{place}[]"), old, new);
        }
        if let (Some(old), Some(new)) = (old.values, new.values) {
            self.schemas(side, &format!("{place}{{}}"), old, new);
        }
    }

    fn words(&mut self, side: Side, place: &str, old: &Body<'a>, new: &Body<'a>) {
        match (side, &old.words, &new.words) {
            (_, None, None) | (Side::Answer, None, Some(_)) | (Side::Request, Some(_), None) => {}
            (Side::Answer, Some(_), None) => self.breach(place, "is no longer a list of words"),
            (Side::Request, None, Some(_)) => self.breach(place, "takes only some words now"),
            (Side::Answer, Some(old), Some(new)) => {
                if old.is_disjoint(new) {
                    self.breach(place, format!("is {} now", listed(new)));
                }
            }
            (Side::Request, Some(old), Some(new)) => {
                for word in old.difference(new) {
                    self.breach(place, format!("no longer takes `{word}`"));
                }
            }
        }
    }

    fn constraints(&mut self, side: Side, place: &str, old: &Body<'a>, new: &Body<'a>) {
        for name in ["format", "pattern"] {
            let (before, now) = (old.constraint(name), new.constraint(name));
            let kept = match side {
                Side::Answer => before.is_none() || before == now,
                Side::Request => now.is_none() || before == now,
            };
            if !kept {
                self.breach(place, format!("has another {name}"));
            }
        }
        if side == Side::Answer {
            return;
        }
        for (name, upper) in BOUNDS {
            let number = |body: &Body<'a>| body.constraint(name).and_then(Value::as_f64);
            let tighter = match (number(old), number(new)) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(old), Some(new)) if *upper => new < old,
                (Some(old), Some(new)) => new > old,
            };
            if tighter {
                self.breach(place, format!("has a tighter {name}"));
            }
        }
    }
}

/// The bounds a schema may have, and whether each is an upper one.
const BOUNDS: &[(&str, bool)] = &[
    ("minimum", false),
    ("maximum", true),
    ("minLength", false),
    ("maxLength", true),
    ("minItems", false),
    ("maxItems", true),
];

/// A schema with its alternatives told apart.
struct Shape<'a> {
    nullable: bool,
    /// Each alternative under a tag that outlives a reordering.
    variants: BTreeMap<String, Body<'a>>,
}

impl<'a> Shape<'a> {
    fn of(root: &'a Value, schema: &'a Value) -> Self {
        let mut shape = Self { nullable: false, variants: BTreeMap::new() };
        shape.add(root, schema);
        shape
    }

    fn add(&mut self, root: &'a Value, schema: &'a Value) {
        let schema = resolve(root, schema);
        let options = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        if let Some(options) = options {
            options.iter().for_each(|option| self.add(root, option));
            return;
        }
        let mut body = Body::default();
        body.gather(root, schema);
        self.nullable |= body.kinds.remove("null");
        if !body.kinds.is_empty() || schema["type"].is_null() {
            let tag = body.tag();
            self.variants.insert(tag, body);
        }
    }
}

/// One alternative of a schema, with what it inherits by `$ref` and `allOf`.
#[derive(Default)]
struct Body<'a> {
    kinds: BTreeSet<String>,
    words: Option<BTreeSet<String>>,
    properties: BTreeMap<&'a str, &'a Value>,
    required: BTreeSet<&'a str>,
    closed: bool,
    items: Option<&'a Value>,
    values: Option<&'a Value>,
    constraints: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Body<'a> {
    fn gather(&mut self, root: &'a Value, schema: &'a Value) {
        if schema.get("$ref").is_some() {
            self.gather(root, follow(root, schema));
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(root, part);
        }
        self.kinds.extend(strings(&schema["type"]).map(str::to_owned));
        let words = schema["enum"].as_array().cloned();
        let words = words.or_else(|| schema.get("const").map(|word| vec![word.clone()]));
        if let Some(words) = words {
            self.words = Some(words.iter().map(word).collect());
        }
        self.properties.extend(fields(&schema["properties"]));
        self.required.extend(strings(&schema["required"]));
        self.closed |= schema["additionalProperties"] == false;
        self.items = self.items.or_else(|| schema.get("items"));
        self.values = self
            .values
            .or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()));
        for name in ["format", "pattern"].iter().chain(BOUNDS.iter().map(|(name, _)| name)) {
            if let Some(constraint) = schema.get(*name) {
                self.constraints.insert(name, constraint);
            }
        }
    }

    fn constraint(&self, name: &str) -> Option<&'a Value> {
        self.constraints.get(name).copied()
    }

    /// What tells an alternative from the others: the constant of its tag
    /// field and, for frames, what its items are; else its type.
    fn tag(&self) -> String {
        let constant = |name: &str| self.properties.get(name).and_then(|it| it["const"].as_str());
        let tag = constant("type").or_else(|| constant("op"));
        let items = ["items", "changes"].iter().find_map(|name| self.properties.get(name));
        let items = items.and_then(|list| plain_reference(&list["items"]));
        match (tag, items) {
            (Some(tag), Some(items)) => {
                format!("{tag} of {}", items.rsplit('/').next().unwrap_or_default())
            }
            (Some(tag), None) => tag.to_owned(),
            (None, _) => listed(&self.kinds),
        }
    }
}

/// Whether a value of the one kind is still what the other side expects.
fn types_fit(side: Side, old: &BTreeSet<String>, new: &BTreeSet<String>) -> bool {
    let (written, expected) = match side {
        Side::Answer => (new, old),
        Side::Request => (old, new),
    };
    if expected.is_empty() {
        return true;
    }
    let fits = |kind: &String| {
        expected.contains(kind) || (kind == "integer" && expected.contains("number"))
    };
    !written.is_empty() && written.iter().all(fits)
}

/// The parameters of an operation, by name.
fn parameters<'a>(root: &'a Value, operation: &'a Value) -> BTreeMap<&'a str, &'a Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let resolved = all.map(|parameter| resolve(root, parameter));
    resolved.filter_map(|it| it["name"].as_str().map(|name| (name, it))).collect()
}

/// The error codes of an operation, with the status of each.
fn error_codes<'a>(root: &'a Value, operation: &'a Value) -> BTreeMap<&'a str, &'a str> {
    let responses = fields(&operation["responses"]);
    let codes = responses.flat_map(|(status, response)| {
        let codes = strings(&resolve(root, response)["x-error-codes"]);
        codes.map(move |code| (code, status))
    });
    codes.collect()
}

/// The fields of an object, or nothing.
fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// The texts of a list, or the one text.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().chain(list)
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn listed(words: &BTreeSet<String>) -> String {
    if words.is_empty() {
        return "anything".to_owned();
    }
    words.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
}

/// The reference of a schema that consists of nothing else that matters.
fn plain_reference(schema: &Value) -> Option<&str> {
    let alone = schema.get("properties").is_none() && schema.get("allOf").is_none();
    schema["$ref"].as_str().filter(|_| alone)
}

fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    pointer.and_then(|it| root.pointer(it)).unwrap_or(&Value::Null)
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match plain_reference(schema) {
        // The root of a document may hold definitions beside its reference.
        Some(_) => resolve(root, follow(root, schema)),
        None => schema,
    }
}

#[cfg(test)]
mod tests;
