//! What values look like when tmux prints them, and that a scan brings them back.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use testkit::wait;
use tmux::{
    ids::PaneId,
    rows::{ClientRow, PaneBrief, PaneGlance, PanePulse, PaneRow, ServerRow, SessionRow},
    scan::{Scan, is_empty_server},
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

/// 3.3a keeps session names in a printed form: control bytes as `\033`, tab and newline as `\t` and
/// `\n`, `$` before a letter as `\$`; `:` and `.` become `_`. A window name given to `new-window`
/// is kept raw, newline and all, until the window is renamed. Titles never hold a control byte: a program's title loses them,
/// and `select-pane -T` refuses the whole title.
#[test]
fn names_and_titles_of_any_kind_come_back_as_tmux_keeps_them() {
    let lab = Lab::new();
    let name = "a\tb\nc\u{1b}[1m $HOME x:y.z/%H 日本";
    let pane = lab.tmux().session(name, "exec sleep 1000");
    let row = row_of(&lab, &pane);
    assert_eq!(row.session_name, "a\\tb\\nc\\033[1m \\$HOME x_y_z/%H 日本");

    let pane = lab.tmux().window("user", "a\tb\n%end 1 2 1\nc\u{1b}[1m 日本", "exec sleep 1000");
    assert_eq!(row_of(&lab, &pane).window_name, "a\tb\n%end 1 2 1\nc\u{1b}[1m 日本");

    lab.tmux().ok(&["rename-window", "-t", &pane, "a\tb\nc\u{1b}[1m $HOME 日本"]);
    assert_eq!(row_of(&lab, &pane).window_name, "a\\tb\\nc\\033[1m \\$HOME 日本");

    lab.tmux().ok(&["select-pane", "-t", &pane, "-T", "a 日本 ##(x) $HOME %H"]);
    assert_eq!(row_of(&lab, &pane).title, "a 日本 #(x) $HOME %H");
    lab.tmux().ok(&["select-pane", "-t", &pane, "-T", "a\tb\nc"]);
    assert_eq!(row_of(&lab, &pane).title, "a 日本 #(x) $HOME %H");

    let script = "printf '\\033]2;x\\ty %%end 1 2 1\\001z\\007'; exec sleep 1000";
    let pane = lab.tmux().window("user", "titled", script);
    wait::until("the program has set its title", || {
        (row_of(&lab, &pane).title == "xy %end 1 2 1z").then_some(())
    });
}

#[test]
fn a_command_of_any_name_comes_back() {
    let lab = Lab::new();
    let pane = lab.tmux().window(
        "user",
        "w",
        "exec bash -c 'exec -a $'\"'\"'c\\nd\\te'\"'\"' sleep 1000'",
    );
    wait::until("the program has its name", || {
        (row_of(&lab, &pane).command == "c\nd\te").then_some(())
    });
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
