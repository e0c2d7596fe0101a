//! S-15: nothing of a name, a path or a title is ever executed, and the text arrives as it was.

use std::{fs, os::unix::ffi::OsStrExt, path::Path};

use testkit::wait;
use tmux::{
    arg::Arg,
    command::{Batch, Command, Verb},
};

use crate::lab::{Control, Lab};

/// Sixty texts that mean something to tmux, to its option parser, or to a shell. `@` is replaced by
/// the path of a file that must never come to be.
fn hostile_texts(trap: &Path) -> Vec<Vec<u8>> {
    let texts: [&[u8]; 60] = [
        b"#(touch @)",
        b"##(touch @)",
        b"###(touch @)",
        b"####(touch @)",
        b"x#(touch @)y",
        b"#(touch @)#(touch @)",
        b"#[#(touch @)]",
        b"#[fg=red]#(touch @)",
        b"##[#(touch @)",
        b"#{E:#(touch @)}",
        b"#{E:@x}",
        b"#{l:#(touch @)}",
        b"#{?1,#(touch @),}",
        b"#{T:#(touch @)}",
        b"#{s/a/b/:#(touch @)}",
        b"#{pane_id}",
        b"#{session_name}",
        b"#S #W #P #H #T #D #F #I",
        b"#,#}#{",
        b"#",
        b"##",
        b"a#",
        b"#\n(touch @)",
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
        b"a ; run-shell 'touch @'",
        b"a\nrun-shell 'touch @'",
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
        b"$HOME ${HOME} $(touch @) `touch @`",
        b"\"quoted\" 'single'",
        b"{ a } { b }",
        b"\\033[31m\x1b[31m\x07\x7f",
        b"\xff\xfe\x80",
        "\u{1f600} 日本 e\u{301} \u{202e}rtl".as_bytes(),
        b"FOO=bar",
    ];
    let trap = trap.as_os_str().as_bytes();
    texts
        .iter()
        .map(|text| text.split(|&byte| byte == b'@').collect::<Vec<_>>().join(trap))
        .collect()
}

/// Runs the same batch over the control connection and by a forked `tmux`.
fn both(lab: &Lab, control: &mut Control, batch: &Batch) -> [Vec<u8>; 2] {
    let answered = control.ask(batch).unwrap_or_else(|error| panic!("{error}: {batch:?}"));
    let forked = lab.fork(batch);
    assert!(forked.ok, "{}: {batch:?}", forked.complaint);
    [answered, forked.output]
}

fn set(option: &'static str, text: &[u8]) -> Command {
    let text = Arg::verbatim(text).unwrap();
    Command::new(Verb::SetOption).flag("-g").flag(option).end_of_flags().arg(text)
}

/// A positional `--` must come before the option's name, or it is taken for the value.
fn stored(text: &[u8]) -> Batch {
    let text = Arg::verbatim(text).unwrap();
    let set = Command::new(Verb::SetOption).flag("-g").end_of_flags();
    let show = Command::new(Verb::ShowOptions).flag("-gv").flag("@text");
    Batch::from(set.flag("@text").arg(text)).then(show)
}

#[test]
fn every_text_arrives_where_it_is_taken_as_it_is() {
    let lab = Lab::new();
    let trap = lab.env().path("trap");
    let (_hub, mut control) = lab.connect();
    for text in hostile_texts(&trap) {
        for output in both(&lab, &mut control, &stored(&text)) {
            assert_eq!(output, [text.as_slice(), b"\n"].concat(), "{text:?}");
        }
    }
    assert!(!trap.exists());
}
