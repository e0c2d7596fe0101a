//! What values look like when tmux prints them, and that a scan brings them back.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use testkit::wait;
use tmux::{
    ids::PaneId,
    rows::{ClientRow, PaneBrief, PaneGlance, PanePulse, PaneRow, ServerRow, SessionRow},
    scan::{Scan, is_empty_server},
    version::Release,
};

use crate::lab::Lab;

fn pane_rows(lab: &Lab) -> Vec<PaneRow> {
    lab.scan_forked(&Scan::all(lab.nonce())).expect("a scan is answered whole").rows
}

fn row_of(lab: &Lab, pane: &str) -> PaneRow {
    let id: PaneId = pane.parse().unwrap();
    pane_rows(lab).into_iter().find(|row| row.brief.pane == id).expect("the pane is listed")
}

/// Waits until every pane runs its `sleep`: meanwhile tmux shows the shell, or itself, and for the
/// moment of an exec no path at all.
fn settle(lab: &Lab) {
    let settled = |row: &PaneRow| row.command == "sleep" && !row.path.is_empty();
    wait::until("every pane sleeps", || pane_rows(lab).iter().all(settled).then_some(()));
}

#[test]
fn both_ways_of_asking_give_the_same_rows() {
    let lab = Lab::new();
    lab.tmux().session("o\u{308}ther 日本", "exec sleep 1000");
    let (_hub, mut control) = lab.connect();
    settle(&lab);
    let forked = lab.scan_forked(&Scan::<PaneRow>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<PaneRow>::all(lab.nonce())), forked);
    let forked = lab.scan_forked(&Scan::<PaneBrief>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<PaneBrief>::all(lab.nonce())), forked);
    let briefs = forked.rows;
    let glances = lab.scan_forked(&Scan::<PaneGlance>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<PaneGlance>::all(lab.nonce())), glances);
    assert!(glances.rows.iter().map(|row| &row.brief).eq(&briefs));
    let forked = lab.scan_forked(&Scan::<PanePulse>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<PanePulse>::all(lab.nonce())), forked);
    let agree = |(pulse, brief): (&PanePulse, &PaneBrief)| {
        (pulse.pane, pulse.pid, pulse.window_activity)
            == (brief.pane, brief.pid, brief.window_activity)
    };
    assert!(forked.rows.iter().zip(&briefs).all(agree));
    let forked = lab.scan_forked(&Scan::<SessionRow>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<SessionRow>::all(lab.nonce())), forked);
    let forked = lab.scan_forked(&Scan::<ClientRow>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<ClientRow>::all(lab.nonce())), forked);
    let forked = lab.scan_forked(&Scan::<ServerRow>::all(lab.nonce())).unwrap();
    assert_eq!(control.scan(&Scan::<ServerRow>::all(lab.nonce())), forked);
    assert_eq!(forked.server.pid, lab.tmux().pid());
}

#[test]
fn a_scan_tells_what_a_pane_is() {
    let lab = Lab::new();
    let pane = lab.tmux().window("user", "build", "exec sleep 1000");
    settle(&lab);
    let row = row_of(&lab, &pane);
    let shown = lab.tmux().show(
        &pane,
        "#{pane_pid} #{pane_tty} #{pane_width} #{pane_height} #{window_index} #{window_activity}",
    );
    let brief = &row.brief;
    assert_eq!(
        shown,
        format!(
            "{} {} {} {} {} {}",
            brief.pid.unwrap(),
            row.tty,
            brief.width,
            brief.height,
            brief.window_index,
            brief.window_activity
        )
    );
    assert_eq!((row.session_name.as_str(), row.window_name.as_str()), ("user", "build"));
    assert_eq!(row.command, "sleep");
    assert_eq!(row.path, lab.env().path("home").as_os_str().as_bytes());
    assert!(!brief.dead && !brief.bell && !row.in_mode && !row.alternate_on && !row.zoomed);
}

#[test]
fn a_pane_that_is_gone_is_missing_and_the_others_are_there() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let pane: PaneId = lab.tmux().window("user", "w", "exec sleep 1000").parse().unwrap();
    settle(&lab);
    let scan = Scan::panes(lab.nonce(), vec![PaneId(4711), pane]);
    let rows = control.scan(&scan).rows;
    assert_eq!(rows.iter().map(|row| row.brief.pane).collect::<Vec<_>>(), [pane]);
    assert_eq!(lab.scan_forked(&scan).unwrap().rows, rows);
}

#[test]
fn a_server_without_sessions_answers_with_no_rows() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-s", "exit-empty", "off"]);
    lab.tmux().ok(&["kill-session", "-t", "=user:"]);
    for batch in [
        Scan::<PaneRow>::all(lab.nonce()).batch(),
        Scan::<PaneBrief>::all(lab.nonce()).batch(),
        Scan::<ClientRow>::all(lab.nonce()).batch(),
    ] {
        let forked = lab.fork(&batch);
        assert!(!forked.ok && is_empty_server(&forked.complaint), "{forked:?}");
    }
    assert_eq!(lab.scan_forked(&Scan::<SessionRow>::all(lab.nonce())).unwrap().rows, []);
    let server = lab.scan_forked(&Scan::<ServerRow>::all(lab.nonce())).unwrap();
    assert_eq!(server.rows.len(), 1);
}

#[test]
fn a_dead_pane_keeps_its_place_and_tells_how_it_ended() {
    let lab = Lab::new();
    lab.tmux().ok(&["set-option", "-g", "remain-on-exit", "on"]);
    let exited = lab.tmux().window("user", "exits", "exit 7");
    let killed = lab.tmux().window("user", "dies", "kill -KILL $$");
    let status = wait::until("both are dead", || {
        let (exited, killed) = (row_of(&lab, &exited), row_of(&lab, &killed));
        let known = exited.dead_status.is_some() && killed.dead_signal.is_some();
        // Until another child of the server ends, some releases may keep a status to themselves.
        lab.tmux().ok(&["run-shell", "-b", "true"]);
        (exited.brief.dead && killed.brief.dead && known).then_some((exited, killed))
    });
    assert_eq!((status.0.dead_status, status.0.dead_signal), (Some(7), None));
    assert_eq!(status.1.dead_signal.as_deref(), Some("9"));
}

#[test]
fn a_pane_of_a_linked_window_has_a_row_for_each_session() {
    let lab = Lab::new();
    lab.tmux().session("other", "exec sleep 1000");
    let pane = lab.tmux().window("user", "shared", "exec sleep 1000");
    lab.tmux().ok(&["link-window", "-s", &pane, "-t", "=other:"]);
    let id: PaneId = pane.parse().unwrap();
    let rows = pane_rows(&lab);
    let places: Vec<_> = rows.iter().filter(|row| row.brief.pane == id).collect();
    let [one, two] = places.as_slice() else { panic!("{places:?}") };
    assert_eq!(one.brief.window, two.brief.window);
    assert_ne!(one.brief.session, two.brief.session);
}

/// Directories are the one value that may hold any byte but NUL and `/`.
#[test]
fn a_directory_of_any_name_comes_back_byte_for_byte() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let names: [&[u8]; 9] = [
        b"plain",
        b"a\nb",
        b"a\n%end 1795275446 1 1\n%exit\nb",
        b"\t tab \t",
        b"\x1b[31m\x07\x01\r",
        b"\xff\xfe invalid",
        b"#(touch pwned)#{pane_id}%H",
        b"$HOME ~ `x` \\n \\033",
        "日本 \u{1f600} e\u{301}".as_bytes(),
    ];
    for name in names {
        let path = lab.env().path("home").join(OsStr::from_bytes(name));
        fs::create_dir(&path).unwrap();
        let moved = lab.env().path("here");
        fs::write(&moved, path.as_os_str().as_bytes()).unwrap();
        let script = format!(
            "cd \"$(cat {}; echo .)\" || cd \"$(cat {0})\"; exec sleep 1000",
            moved.display()
        );
        let pane = lab.tmux().window("user", "w", &script);
        let scan = Scan::panes(lab.nonce(), vec![pane.parse().unwrap()]);
        wait::until("the pane is in its directory", || {
            (control.scan(&scan).rows[0].path == path.as_os_str().as_bytes()).then_some(())
        });
        assert_eq!(lab.scan_forked(&scan).unwrap().rows[0].path, path.as_os_str().as_bytes());
    }
}

/// What the user's command printed; nothing where tmux refuses it.
fn accepted(lab: &Lab, arguments: &[&str]) -> Option<String> {
    let output = lab.tmux().run(arguments);
    (output.code() == Some(0)).then(|| output.stdout.trim().to_owned())
}

const NEW_PANE: [&str; 4] = ["-d", "-P", "-F", "#{pane_id}"];

fn named_session(lab: &Lab, name: &str) -> Option<String> {
    let new = [&["new-session"], &NEW_PANE[..], &["-s", name, "exec sleep 1000"]].concat();
    accepted(lab, &new).map(|pane| row_of(lab, &pane).session_name)
}

fn named_window(lab: &Lab, name: &str) -> Option<String> {
    let place = ["-t", "=user:", "-n", name, "exec sleep 1000"];
    let new = [&["new-window"], &NEW_PANE[..], &place].concat();
    accepted(lab, &new).map(|pane| row_of(lab, &pane).window_name)
}

fn renamed_window(lab: &Lab, pane: &str, name: &str) -> Option<String> {
    accepted(lab, &["rename-window", "-t", pane, name]).map(|_| row_of(lab, pane).window_name)
}

/// The name of a session is kept in a printed form; the table in [`tmux::rows`] has all forms.
#[test]
fn a_session_name_comes_back_as_tmux_keeps_it() {
    let lab = Lab::new();
    let release = lab.version().release();
    let controls = named_session(&lab, "a\tb\nc\u{1b}[1m 日本");
    let text = named_session(&lab, "x:y.z $HOME \\q/%H 日本");
    if release >= Release::new(3, 7, 0) {
        assert_eq!(controls, None);
        assert_eq!(text.unwrap(), "x:y.z $HOME \\\\q/%H 日本");
    } else {
        assert_eq!(controls.unwrap(), "a\\tb\\nc\\033[1m 日本");
        let dollar = if release < Release::new(3, 5, 0) { "\\$" } else { "$" };
        assert_eq!(text.unwrap(), format!("x_y_z {dollar}HOME \\\\q/%H 日本"));
    }
}

#[test]
fn a_window_name_comes_back_as_tmux_keeps_it() {
    let lab = Lab::new();
    let release = lab.version().release();
    let hostile = "a\tb\n%end 1 2 1\nc\u{1b}[1m 日本";
    let text = "$HOME \\q 日本";
    if release >= Release::new(3, 7, 0) {
        assert_eq!(named_window(&lab, hostile), None);
        assert_eq!(named_window(&lab, text).unwrap(), "$HOME \\\\q 日本");
    } else {
        assert_eq!(named_window(&lab, hostile).unwrap(), hostile);
        assert_eq!(named_window(&lab, text).unwrap(), text);
    }
    let pane = lab.tmux().window("user", "w", "exec sleep 1000");
    let dollar = if release < Release::new(3, 5, 0) { "\\$" } else { "$" };
    assert_eq!(renamed_window(&lab, &pane, text).unwrap(), format!("{dollar}HOME \\\\q 日本"));
    let printed = "a\\tb\\n%end 1 2 1\\nc\\033[1m 日本".to_owned();
    let expected = (release < Release::new(3, 7, 0)).then_some(printed);
    assert_eq!(renamed_window(&lab, &pane, hostile), expected);
}

/// A title never holds a control byte: a program's loses them, and that of `select-pane -T` is
/// refused whole.
#[test]
fn a_title_comes_back_as_tmux_keeps_it() {
    let lab = Lab::new();
    let is_strict = lab.version().release() >= Release::new(3, 7, 0);
    let backslash = if is_strict { "\\\\" } else { "\\" };
    let pane = lab.tmux().window("user", "w", "exec sleep 1000");
    lab.tmux().ok(&["select-pane", "-t", &pane, "-T", "a 日本 ##(x) $HOME \\q %H"]);
    let expected = format!("a 日本 #(x) $HOME {backslash}q %H");
    assert_eq!(row_of(&lab, &pane).title, expected);
    // Whether tmux complains of it differs.
    accepted(&lab, &["select-pane", "-t", &pane, "-T", "a\tb\nc"]);
    assert_eq!(row_of(&lab, &pane).title, expected);

    let script = "printf '\\033]2;x\\ty %%end 1 2 1\\001z #(x)\\007'; exec sleep 1000";
    let pane = lab.tmux().window("user", "titled", script);
    let expected = if is_strict { "xy %end 1 2 1z _(x)" } else { "xy %end 1 2 1z #(x)" };
    wait::until("the program has set its title", || {
        (row_of(&lab, &pane).title == expected).then_some(())
    });
}

/// The name of what runs in the pane once it is no shell any more and no `sleep`.
fn command_of(lab: &Lab, name: &str) -> String {
    let script = format!("exec bash -c 'exec -a $'\"'\"'{name}'\"'\"' sleep 1000'");
    let pane = lab.tmux().window("user", "w", &script);
    wait::until("the program has its name", || {
        let command = row_of(lab, &pane).command;
        (!["bash", "sh", "tmux"].contains(&command.as_str())).then_some(command)
    })
}

#[test]
fn a_command_of_any_name_comes_back() {
    let lab = Lab::new();
    assert_eq!(command_of(&lab, "é/q"), "é/q");
    let is_strict = lab.version().release() >= Release::new(3, 7, 0);
    let expected = if is_strict { "" } else { "c\nd\te" };
    assert_eq!(command_of(&lab, "c\\nd\\te"), expected);
}

#[test]
fn names_of_a_thousand_characters_come_back_whole() {
    let lab = Lab::new();
    let name = "é".repeat(1000);
    let pane = lab.tmux().session(&name, "exec sleep 1000");
    lab.tmux().ok(&["rename-window", "-t", &pane, &name]);
    lab.tmux().ok(&["select-pane", "-t", &pane, "-T", &name]);
    let row = row_of(&lab, &pane);
    assert_eq!(row.session_name, name);
    assert_eq!(row.window_name, name);
    assert_eq!(row.title, name);
}

#[test]
fn a_scan_of_many_panes_is_one_answer() {
    let lab = Lab::new();
    let (_hub, mut control) = lab.connect();
    let before = control.scan(&Scan::<PaneRow>::all(lab.nonce())).rows.len();
    for _ in 0..40 {
        lab.tmux().window("user", &"w".repeat(200), "exec sleep 1000");
    }
    let rows = control.scan(&Scan::<PaneRow>::all(lab.nonce())).rows;
    assert_eq!(rows.len(), before + 40);
}
