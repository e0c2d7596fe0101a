//! S-15: nothing of a name, a path or a title is ever executed, and the text arrives as it was.
//!
//! Each text goes through a control line and through the arguments of a forked `tmux`.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use testkit::wait;
use tmux::{
    arg::{Arg, OwnName},
    command::{Batch, Command, Verb},
    rows::PaneRow,
    scan::Scan,
    version::{Release, Version},
};

use crate::{
    lab::{Control, Lab},
    printed::printed,
};

/// The file that a text must never bring about.
const TRAP: &str = "pwned";

/// Texts that mean something to tmux, to its option parser, or to a shell. `cd` goes to this
/// world's home; tmux itself may run a command anywhere.
const HOSTILE: [&[u8]; 60] = [
    b"#(cd;touch pwned)",
    b"##(cd;touch pwned)",
    b"###(cd;touch pwned)",
    b"####(cd;touch pwned)",
    b"x#(cd;touch pwned)y",
    b"#(cd;touch pwned)#(cd;touch pwned)",
    b"#[#(cd;touch pwned)]",
    b"#[fg=red]#(cd;touch pwned)",
    b"##[#(cd;touch pwned)",
    b"#{E:#(cd;touch pwned)}",
    b"#{E:@x}",
    b"#{l:#(cd;touch pwned)}",
    b"#{?1,#(cd;touch pwned),}",
    b"#{T:#(cd;touch pwned)}",
    b"#{s/a/b/:#(cd;touch pwned)}",
    b"#{pane_id}",
    b"#{session_name}",
    b"#S #W #P #H #T #D #F #I",
    b"#,#}#{",
    b"#",
    b"##",
    b"a#",
    b"#\n(cd;touch pwned)",
    b"%H:%M:%S %Y",
    b"%%",
    b"%",
    b"%begin 1 2 1",
    b"%end 1795275446 1 1",
    b";",
    b";;",
    b"a;",
    b"a;b",
    b"a\\;",
    b"\\",
    b"a\\",
    b"a ; run-shell 'cd;touch pwned'",
    b"a\nrun-shell 'cd;touch pwned'",
    b"\n",
    b"\n\n",
    b"a\r\nb",
    b"-t",
    b"-x 1",
    b"--",
    b"-",
    b"=user",
    b"=",
    b"{marked}",
    b"{last}",
    b"@1",
    b"%1",
    b"$1",
    b"~",
    b"~root/x",
    b"$HOME ${HOME} $(cd;touch pwned) `cd;touch pwned`",
    b"\"quoted\" 'single'",
    b"{ a } { b }",
    b"\\033[31m\x1b[31m\x07\x7f",
    b"\xff\xfe\x80",
    "\u{1f600} 日本 e\u{301} \u{202e}rtl".as_bytes(),
    b"FOO=bar",
];

/// Runs the same batch over the control connection and by a forked `tmux`.
fn both(lab: &Lab, control: &mut Control, batch: &Batch) -> [Vec<u8>; 2] {
    let answered = control.ask(batch).unwrap_or_else(|error| panic!("{error}: {batch:?}"));
    let forked = lab.fork(batch);
    assert!(forked.ok, "{}: {batch:?}", forked.complaint);
    [answered, forked.output]
}

/// A positional `--` must come before the option's name, or it is taken for the value.
fn stored(text: &[u8]) -> Batch {
    let text = Arg::verbatim(text).unwrap();
    let set = Command::new(Verb::SetOption).flag("-g").end_of_flags();
    let show = Command::new(Verb::ShowOptions).flag("-gv").flag("@text");
    Batch::from(set.flag("@text").arg(text)).then(show)
}

/// Whether a trap was sprung anywhere in this world.
fn is_sprung(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        entry.file_name() == TRAP || is_folder && is_sprung(&entry.path())
    })
}

/// The last words of a test: a shell that tmux started has had its time.
fn assert_not_sprung(lab: &Lab) {
    lab.tmux().ok(&["run-shell", "true"]);
    assert!(!is_sprung(lab.env().root()), "a text was executed");
}

#[test]
fn every_text_arrives_where_it_is_taken_as_it_is() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let version = lab.version();
    for text in HOSTILE {
        for output in both(&lab, &mut control, &stored(text)) {
            assert_eq!(output, printed(&version, &[text, b"\n"].concat()), "{text:?}");
        }
    }
    assert_not_sprung(&lab);
}

#[test]
fn every_byte_but_nul_arrives() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let version = lab.version();
    let all: Vec<u8> = (1..=u8::MAX).collect();
    let backslashed: Vec<u8> = all.iter().flat_map(|&byte| [b'\\', byte, byte]).collect();
    let reversed: Vec<u8> = all.iter().rev().copied().collect();
    for text in [all, backslashed, reversed] {
        for output in both(&lab, &mut control, &stored(&text)) {
            assert_eq!(output, printed(&version, &[&text[..], b"\n"].concat()));
        }
    }
}

/// A new session in `folder`, whose window is called `name`.
fn session(folder: &Path, name: &[u8]) -> Batch {
    let folder = Arg::expanded(folder.as_os_str().as_bytes()).unwrap();
    let new = Command::new(Verb::NewSession)
        .flag("-d")
        .option("-s", Arg::own_name(&OwnName::new("x-", "1").unwrap()))
        .option("-n", Arg::expanded(name).unwrap())
        .option("-c", folder);
    Batch::from(new.flag("sleep").flag("1000"))
}

fn end_session() -> Batch {
    let name = OwnName::new("x-", "1").unwrap();
    Batch::from(Command::new(Verb::KillSession).option("-t", Arg::exactly(&name)))
}

fn find(lab: &Lab) -> PaneRow {
    let rows = lab.scan_forked(&Scan::<PaneRow>::all(lab.nonce())).unwrap().rows;
    rows.into_iter().find(|row| row.session_name == "x-1").expect("the session was made")
}

#[test]
fn every_text_is_a_directory_that_a_session_can_start_in() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    for text in HOSTILE {
        let name: Vec<u8> = text.iter().copied().filter(|&byte| byte != b'/').collect();
        let folder = lab.env().path("home").join(OsStr::from_bytes(&[b"d", &name[..]].concat()));
        fs::create_dir_all(&folder).unwrap();
        let batch = session(&folder, b"w");
        let expected = folder.as_os_str().as_bytes();

        control.ask(&batch).unwrap();
        wait::until("the pane is in its directory", || (find(&lab).path == expected).then_some(()));
        control.ask(&end_session()).unwrap();

        assert!(lab.fork(&batch).ok);
        wait::until("the pane is in its directory", || (find(&lab).path == expected).then_some(()));
        assert!(lab.fork(&end_session()).ok);
    }
    assert_not_sprung(&lab);
}

/// The name that a window gets by `new-session -n`; `None` where tmux refuses it.
fn window_name(version: &Version, text: &str) -> Option<String> {
    if version.release() < Release::new(3, 7, 0) {
        return Some(text.to_owned());
    }
    (!text.contains(|it: char| it.is_ascii_control())).then(|| text.replace('\\', "\\\\"))
}

#[test]
fn every_text_that_is_utf8_is_the_name_of_a_window_or_refused() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let version = lab.version();
    for text in HOSTILE {
        let Ok(name) = std::str::from_utf8(text) else { continue };
        let batch = session(&lab.env().path("home"), text);
        let Some(expected) = window_name(&version, name) else {
            let refused = control.ask(&batch).unwrap_err();
            assert!(refused.reason.starts_with("invalid window name"), "{refused}");
            assert!(!lab.fork(&batch).ok);
            continue;
        };
        control.ask(&batch).unwrap();
        assert_eq!(find(&lab).window_name, expected);
        control.ask(&end_session()).unwrap();
        assert!(lab.fork(&batch).ok);
        assert_eq!(find(&lab).window_name, expected);
        control.ask(&end_session()).unwrap();
    }
    assert_not_sprung(&lab);
}

/// By the client that stays: what a format started ends with the client that asked.
#[test]
fn the_trap_is_sprung_by_text_that_was_not_made_inert() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    control.write(format!("new-session -d -s x-1 -c \"/#(cd;touch {TRAP})\"\n").as_bytes());
    wait::until("the text was executed", || is_sprung(lab.env().root()).then_some(()));
}
