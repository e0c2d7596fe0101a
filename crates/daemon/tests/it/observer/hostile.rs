//! Names that try to be something else.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::on_every_reach;
use super::scene::{Reach, Setting, env};

on_every_reach!(
    a_directory_of_any_name_is_shown_as_it_is,
    names_and_titles_of_any_kind_stand_in_their_own_field,
    nothing_in_a_name_is_ever_run,
);

/// Directories that look like tmux's own framing, like separators, or like commands.
const DIRECTORIES: [&str; 9] = [
    "two\nlines",
    "a\ttab",
    "x\n%end 1 2 1",
    "x\n%begin 1 2 1\n%error 1 2 1",
    "\n%exit",
    "100%#{pid}",
    "f#(touch ran)",
    "quote\"'\\;",
    "日本 é",
];

fn a_directory_of_any_name_is_shown_as_it_is(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec sh");
    let scene = Setting::new(reach).observe(&env);
    scene.lists(&first);
    for (number, name) in DIRECTORIES.iter().enumerate() {
        let folder = env.path("home").join(OsStr::from_bytes(name.as_bytes()));
        fs::create_dir(&folder).unwrap();
        // The program goes there by itself, so the name is in no command of tmux.
        let mark = format!("here{number}");
        std::os::unix::fs::symlink(&folder, env.path("home").join(&mark)).unwrap();
        let pane = tmux.window("work", &mark, &format!("cd -P {mark}; exec cat"));
        let seen = scene.pane_where(&pane, name, |it| it.path == folder.to_str().unwrap());
        assert_eq!(seen.window_name, mark);
    }
    let files = fs::read_dir(env.path("home")).unwrap().count();
    assert_eq!(files, 2 * DIRECTORIES.len(), "nothing was run");
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
    scene.lists(&first);
}

fn names_and_titles_of_any_kind_stand_in_their_own_field(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let long = "n".repeat(1_000);
    let pane = tmux.session("work", "exec sh");
    let scene = Setting::new(reach).observe(&env);
    scene.lists(&pane);
    // From 3.7 on tmux refuses names with line breaks and tabs itself.
    let hostile = ["a/b % c é\n%end 1 2 1", "a/b % c é %end 1 2 1"];
    let renamed = |name: &str| tmux.run(&["rename-session", "-t", &pane, name]).code() == Some(0);
    assert!(hostile.into_iter().any(renamed));
    let shown = tmux.show(&pane, "#{session_name}");
    scene.pane_where(&pane, "session", |it| it.session_name == shown);
    let hostile = ["x\n%end 1 2 1\ny\tz", "x %end 1 2 1 y z"];
    let made = hostile.into_iter().find_map(|name| {
        let new = ["new-window", "-d", "-P", "-F", "#{pane_id}", "-t", ":", "-n", name, "exec cat"];
        let made = tmux.run(&new);
        (made.code() == Some(0)).then(|| (made.stdout.trim().to_owned(), name))
    });
    let (window, name) = made.unwrap();
    scene.pane_where(&window, "window", |it| it.window_name == name);
    tmux.ok(&["rename-window", "-t", &window, &long]);
    scene.pane_where(&window, "long name", |it| it.window_name == long);
    tmux.ok(&["select-pane", "-t", &pane, "-T", "##(touch ran) #[fg=red] %end 1 2 1"]);
    let shown = tmux.show(&pane, "#{pane_title}");
    assert!(shown.ends_with("(touch ran) #[fg=red] %end 1 2 1"), "{shown}");
    scene.pane_where(&pane, "title", |it| it.title == shown);
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
}

fn nothing_in_a_name_is_ever_run(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let mark = env.path("home/ran");
    let name = format!("#(touch {})", mark.display());
    let pane = tmux.session("work", "exec sh");
    let scene = Setting::new(reach).observe(&env);
    scene.lists(&pane);
    tmux.type_line(&pane, &format!("printf '\\033]2;{name}\\007'"));
    // From 3.7 on tmux takes the sting out of it itself: `_(touch ...)`.
    let end = name.trim_start_matches('#');
    scene.pane_where(&pane, "title", |it| it.title.ends_with(end));
    tmux.ok(&["rename-session", "-t", "=work", &name.replace('#', "##")]);
    scene.pane_where(&pane, "session", |it| it.session_name.contains("(touch "));
    for _ in 0..2 {
        let before = scene.said().topologies;
        scene.rescan();
        scene.until("looked again", |said| (said.topologies > before).then_some(()));
    }
    assert!(!mark.exists());
}
