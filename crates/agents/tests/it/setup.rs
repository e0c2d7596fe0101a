//! Hooks in people's settings: put in and taken out, with every other byte as it was.

use agents::adapter::Adapter;
use agents::launch::{Launch, Place};
use agents::registry::Registry;
use agents::setup::{Before, Refusal, SettingsFile, Setup, Standing};
use proptest::prelude::*;

const QD: &str = "/home/u/bin/qd";

fn setup_of(agent: &str) -> &'static Setup {
    Registry::built_in().get(agent).and_then(Adapter::setup).unwrap()
}

/// The files of an agent, with these texts.
fn files(setup: &Setup, texts: &[Option<&str>]) -> Vec<SettingsFile> {
    let text = |at: usize| texts.get(at).copied().flatten().map(str::to_owned);
    let file = |(at, name): (usize, &&str)| SettingsFile {
        path: format!("/home/u/x/{name}"),
        text: text(at),
    };
    setup.files().iter().enumerate().map(file).collect()
}

fn with(files: &[SettingsFile], texts: Vec<Option<String>>) -> Vec<SettingsFile> {
    let pair = |(file, text): (&SettingsFile, Option<String>)| SettingsFile {
        path: file.path.clone(),
        text,
    };
    files.iter().zip(texts).map(pair).collect()
}

fn merged(setup: &Setup, before: &[SettingsFile]) -> Result<Vec<SettingsFile>, Refusal> {
    let texts = setup.merge(before, QD)?;
    Ok(with(before, texts.into_iter().map(Some).collect()))
}

fn known(files: &[SettingsFile]) -> Vec<Before> {
    let before = |file: &SettingsFile| match &file.text {
        Some(text) => Before::Text(text.clone()),
        None => Before::Absent,
    };
    files.iter().map(before).collect()
}

fn standing(setup: &Setup, files: &[SettingsFile]) -> Standing {
    setup.standing(files, QD).unwrap()
}

/// All that holds of any settings that are taken.
#[track_caller]
fn check(agent: &str, texts: &[Option<&str>]) -> Vec<SettingsFile> {
    let setup = setup_of(agent);
    let before = files(setup, texts);
    let once = merged(setup, &before).unwrap();
    let found = standing(setup, &once);
    assert!(found.is_complete() && found.trusted, "{agent}: {found:?}");
    assert_eq!(found.foreign, standing(setup, &before).foreign, "others' hooks are still there");
    assert_eq!(merged(setup, &once).unwrap(), once, "{agent}: the second time changes nothing");
    let undone = setup.remove(&once, &known(&before)).unwrap();
    assert_eq!(with(&before, undone), before, "{agent}: undone, it is as it was");
    once
}

const SHAPES: &[&str] = &[
    "{}",
    "{}\n",
    "{ }",
    "{\n}\n",
    "",
    "\n",
    "\u{feff}{\r\n\t\"theme\": \"dark\"\r\n}\r\n",
    "{\"model\":\"x\",\"hooks\":{}}",
    "{\"model\":\"x\",\"hooks\":{ }}",
    "{\n  \"hooks\": {\n    \"Stop\": []\n  }\n}\n",
    "{\n  \"hooks\": {\n    \"Stop\": [ // mine\n    ],\n  },\n}\n",
    "{\n    // where it runs\n    \"a\": [1,2,\n 3], /* b */ \"c\": null // d\n}",
    "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"say done\"}]}]}}",
    "{\n \"hooks\": {\n  \"Stop\": [\n   {\n    \"matcher\": \"*\",\n    \"hooks\": [\n     {\"type\": \
     \"command\", \"command\": \"a\"},\n     {\"type\": \"command\", \"command\": \"b\"}\n    ]\n   \
     }\n  ]\n },\n \"z\": {\"hooks\": 1}\n}\n",
    "{\"a\": \"\\ud800\", \"a\": 1e999}",
];

#[test]
fn settings_of_every_shape_are_taken_and_given_back_byte_for_byte() {
    for agent in ["claude", "codex", "gemini", "copilot", "cursor"] {
        check(agent, &[None]);
        for shape in SHAPES {
            check(agent, &[Some(shape)]);
        }
    }
    check("opencode", &[None]);
}

const TRUSTS: &[&str] = &[
    "",
    "model = \"x\"",
    "model = \"x\"\r\n[projects.\"/a\"]\r\ntrust_level = \"trusted\"\r\n",
    "# none\n\n[hooks.state]\n\n[hooks.state.\"/other:stop:0:0\"]\ntrusted_hash = \"sha256:1\"\n\n\n",
    "[hooks]\n[tui]\ntheme = 'x'\n\n",
];

#[test]
fn the_trust_of_the_user_is_added_to_and_taken_away_alone() {
    for text in TRUSTS {
        let once = check("codex", &[Some("{}"), Some(text)]);
        let trust = once[1].text.as_deref().unwrap();
        assert!(trust.starts_with(text), "{trust}");
        assert!(trust.contains("[hooks.state.\"/home/u/x/hooks.json:stop:0:0\"]"), "{trust}");
    }
}

#[test]
fn a_foreign_hook_before_ours_moves_the_place_that_is_trusted() {
    let foreign = "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"a\"}]}]}}";
    let once = check("codex", &[Some(foreign), None]);
    let trust = once[1].text.as_deref().unwrap();
    assert!(trust.contains("hooks.json:stop:1:0\"]") && !trust.contains(":stop:0:0"), "{trust}");
}

#[test]
fn a_hook_that_its_user_switched_off_stays_off() {
    let setup = setup_of("codex");
    let off = "[hooks.state.\"/home/u/x/hooks.json:stop:0:0\"]\nenabled = false\n";
    let once = merged(setup, &files(setup, &[None, Some(off)])).unwrap();
    assert!(once[1].text.as_deref().unwrap().starts_with(off));
    assert!(!standing(setup, &once).trusted);
}

#[test]
fn what_the_user_added_meanwhile_stays() {
    let setup = setup_of("claude");
    let before = files(setup, &[Some("{\n  \"model\": \"x\"\n}\n")]);
    let once = merged(setup, &before).unwrap();
    let mine = "{ \"hooks\": [{ \"type\": \"command\", \"command\": \"mine\" }] }";
    let text = once[0].text.as_deref().unwrap();
    let text = text.replace("\"Stop\": [", &format!("\"Stop\": [\n      {mine},"));
    let text = text.replace("\"model\": \"x\"", "\"model\": \"y\"");
    let changed = with(&before, vec![Some(text)]);
    assert_eq!(standing(setup, &changed).foreign, 1);
    let undone = setup.remove(&changed, &known(&before)).unwrap();
    let expected = format!(
        "{{\n  \"model\": \"y\",\n  \"hooks\": {{\n    \"Stop\": [\n      {mine}\n    ]\n  }}\n}}\n"
    );
    assert_eq!(undone[0].as_deref(), Some(expected.as_str()));
}

#[test]
fn an_older_line_is_replaced_in_its_place() {
    let setup = setup_of("claude");
    let before = files(setup, &[Some("{\"a\":1}")]);
    let once = merged(setup, &before).unwrap();
    let text = once[0].text.as_deref().unwrap();
    let old = text.replace("qd-hook-1", "qd-hook-0").replace("/home/u/bin/qd", "/old/place/qd");
    let old = with(&before, vec![Some(old)]);
    let found = standing(setup, &old);
    assert_eq!((found.in_place, found.missing), (0, 0));
    assert!(found.stale > 0 && !found.is_complete(), "{found:?}");
    assert_eq!(found.lines[0].program, "/old/place/qd");
    assert_eq!(merged(setup, &old).unwrap(), once);
    let undone = setup.remove(&old, &known(&before)).unwrap();
    assert_eq!(undone[0].as_deref(), Some("{\"a\":1}"));
}

#[test]
fn without_knowing_the_file_from_before_only_our_entries_go() {
    let setup = setup_of("claude");
    for text in ["{\"a\":1}", "{\n  \"a\": 1\n}\n"] {
        let before = files(setup, &[Some(text)]);
        let once = merged(setup, &before).unwrap();
        let undone = setup.remove(&once, &[Before::Unknown]).unwrap();
        assert_eq!(undone[0].as_deref(), Some(text));
    }
    let once = merged(setup, &files(setup, &[None])).unwrap();
    let undone = setup.remove(&once, &[Before::Unknown]).unwrap();
    assert_eq!(undone[0].as_deref(), Some("{}\n"), "it may have been the user's");
}

#[test]
fn settings_that_cannot_be_understood_are_refused_with_their_place() {
    let refused = |agent: &str, texts: &[Option<&str>]| {
        let setup = setup_of(agent);
        let refusal = setup.merge(&files(setup, texts), QD).unwrap_err();
        (refusal.file, refusal.line, refusal.column)
    };
    assert_eq!(refused("claude", &[Some("{\n  \"a\": 1,,\n}")]), (0, 2, 10));
    assert_eq!(refused("claude", &[Some("[]")]), (0, 1, 1));
    assert_eq!(refused("gemini", &[Some("{\"hooks\": null}")]), (0, 1, 11));
    assert_eq!(refused("claude", &[Some("{\"hooks\": {\"Stop\": {}}}")]), (0, 1, 20));
    assert_eq!(refused("codex", &[None, Some("a = 1\nb = \n")]).0, 1);
    assert_eq!(refused("codex", &[None, Some("hooks = { state = {} }\n")]).0, 1);
    assert_eq!(refused("opencode", &[Some("export const Mine = 1\n")]), (0, 1, 1));
}

/// Any JSON, as any hand may have written it.
fn json() -> impl Strategy<Value = String> {
    let blank = || {
        prop_oneof![
            4 => Just(String::new()),
            2 => Just(" ".to_owned()),
            2 => Just("\n  ".to_owned()),
            1 => Just("\r\n\t".to_owned()),
            1 => Just(" // note }]\n".to_owned()),
            1 => Just("/* , \" */".to_owned()),
        ]
    };
    let word = prop_oneof![
        Just("\"hooks\"".to_owned()),
        Just("\"Stop\"".to_owned()),
        Just("\"PreToolUse\"".to_owned()),
        "\"[a-z\\\\/{}\\[\\],é]{0,4}\"".prop_filter("an escape", |it| !it.contains('\\')),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-1.5e3".to_owned()),
        Just("true".to_owned()),
        word.clone(),
    ];
    let padded = move |inner: BoxedStrategy<String>| {
        (blank(), inner, blank()).prop_map(|(before, it, after)| format!("{before}{it}{after}"))
    };
    let joined = |open: &'static str, close: &'static str| {
        move |(items, blank, comma): (Vec<String>, String, bool)| {
            let comma = if comma && !items.is_empty() { "," } else { "" };
            format!("{open}{}{comma}{blank}{close}", items.join(","))
        }
    };
    let blanks = move || blank();
    let object = move |inner: BoxedStrategy<String>| {
        let member = (word.clone(), inner).prop_map(|(key, value)| format!("{key}:{value}"));
        let members = prop::collection::vec(padded(member.boxed()), 0..4);
        (members, blanks(), any::<bool>()).prop_map(joined("{", "}")).boxed()
    };
    let any_value = {
        let object = object.clone();
        leaf.prop_recursive(3, 24, 4, move |inner| {
            let list = prop::collection::vec(padded(inner.clone().boxed()), 0..4);
            let list = (list, blanks(), any::<bool>()).prop_map(joined("[", "]"));
            prop_oneof![object(inner.boxed()), list]
        })
    };
    (any::<bool>(), object(any_value.boxed()), blank())
        .prop_map(|(mark, it, end)| format!("{}{it}{end}", if mark { "\u{feff}" } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_settings_are_taken_once_and_given_back_or_refused(text in json()) {
        for agent in ["claude", "cursor"] {
            let setup = setup_of(agent);
            let before = files(setup, &[Some(&text)]);
            let Ok(once) = merged(setup, &before) else { continue };
            prop_assert!(standing(setup, &once).is_complete());
            prop_assert_eq!(&merged(setup, &once).unwrap(), &once);
            let undone = setup.remove(&once, &known(&before)).unwrap();
            prop_assert_eq!(undone[0].as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn any_text_is_taken_or_refused_without_a_panic(text in "[\\[\\]{}\",:/*a\\\\ \n\u{feff}é0]{0,40}") {
        for agent in ["claude", "codex", "copilot", "opencode"] {
            let setup = setup_of(agent);
            for files in [files(setup, &[Some(&text)]), files(setup, &[None, Some(&text)])] {
                drop(merged(setup, &files));
                drop(setup.remove(&files, &known(&files)));
            }
        }
    }
}

/// What a start is made of, in one text.
fn started(agent: &str) -> (Launch, String) {
    let registry = Registry::built_in();
    let place = Place { program: QD, folder: "/run/start", settings: Some("{\"mine\": 1}") };
    let launch = registry.get(agent).unwrap().launch(&place).unwrap();
    let files = launch.files.iter().map(|(_, text)| text.as_str());
    let arguments = launch.arguments.iter().map(String::as_str);
    let all = arguments.chain(files).collect::<Vec<_>>().join("\n");
    (launch, all)
}

#[test]
fn one_start_runs_the_same_hooks_as_the_settings_would() {
    for agent in ["claude", "codex", "gemini", "copilot"] {
        let setup = setup_of(agent);
        let once = merged(setup, &files(setup, &[])).unwrap();
        let (launch, all) = started(agent);
        assert_eq!(launch.program, setup.programs[0]);
        for line in standing(setup, &once).lines {
            let line = serde_json::Value::from(line.render()).to_string();
            assert!(all.contains(&line), "{agent}: {line}");
        }
    }
}

#[test]
fn files_of_a_start_are_named_where_they_will_be() {
    let (claude, _) = started("claude");
    assert_eq!(claude.arguments, ["--settings", "/run/start/settings.json"]);
    assert_eq!(claude.files[0].0, "settings.json");
    let (gemini, _) = started("gemini");
    assert_eq!(gemini.environment, [("GEMINI_CLI_HOME", "/run/start".to_owned())]);
    let (copilot, _) = started("copilot");
    assert_eq!(copilot.arguments, ["--plugin-dir", "/run/start"]);
}

#[test]
fn a_start_with_settings_on_the_command_line_brings_its_trust_along() {
    let (launch, _) = started("codex");
    let trust = launch.arguments.last().unwrap();
    let (key, value) = trust.split_once('=').unwrap();
    assert_eq!(key, "hooks.state");
    let table: toml::Table = toml::from_str(&format!("state={value}")).unwrap();
    let state = table["state"].as_table().unwrap();
    assert_eq!(
        state.len(),
        launch.arguments.iter().filter(|it| it.starts_with("hooks.")).count() - 1
    );
    assert!(state.contains_key("/<session-flags>/config.toml:stop:0:0"));
}
