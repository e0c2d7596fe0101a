//! What a control client sees of a server's life, scene by scene. Each is a test of its own and,
//! when asked to record, leaves its transcript for [`crate::replay`].

use testkit::{Signal, process};
use tmux::{
    control::{Message, Reply},
    hub::Hub,
    ids::{PaneId, SessionId, WindowId},
    notification::Notification as N,
    rows::{ClientRow, OriginRow, PaneBrief, PanePulse, PaneRow, ServerRow, SessionRow},
    scan::Scan,
    version::Release,
};

use crate::lab::{Control, Lab};

/// A lab, and a control client that has proved itself.
struct Scene {
    lab: Lab,
    hub: Hub,
    control: Control,
}

impl Scene {
    fn open() -> Scene {
        let lab = Lab::new();
        let (hub, mut control) = lab.connect();
        let greeting = control.scan(&Hub::handshake(lab.nonce()));
        hub.verify(&greeting).expect("the client is ours");
        control.ask(&hub.end_with_client()).expect("the option exists");
        Scene { lab, hub, control }
    }

    /// Something the user does, noted in the transcript.
    fn user(&mut self, arguments: &[&str]) -> String {
        self.control.transcript.remark(&arguments.join(" "));
        self.lab.tmux().ok(arguments)
    }

    fn panes(&mut self) -> Vec<PaneRow> {
        let scan = Scan::all(self.lab.nonce());
        self.control.scan(&scan).rows
    }

    fn wait_for(&mut self, note: &N) {
        self.control.wait_for(&format!("{note:?}"), |seen| seen == note);
    }

    /// Writes a line of our own making and gives the replies it brings.
    fn raw(&mut self, line: &str, replies: usize) -> Vec<Reply> {
        self.control.write(format!("{line}\n").as_bytes());
        let mut found = Vec::new();
        while found.len() < replies {
            match self.control.next().expect("the client answers before it ends") {
                Message::Reply(reply) => found.push(reply),
                other @ (Message::Notification(_) | Message::Stray(_)) => {
                    self.control.others.push(other);
                }
            }
        }
        found
    }

    fn close(mut self, name: &str) {
        self.control.close();
        self.control.exit();
        self.control.transcript.save(name);
    }
}

fn ids(rows: &[PaneRow]) -> Vec<String> {
    rows.iter().map(|row| row.brief.pane.to_string()).collect()
}

#[test]
fn handshake() {
    let mut scene = Scene::open();
    let nonce = scene.lab.nonce();
    let server = scene.control.scan(&Scan::<ServerRow>::all(nonce));
    assert_eq!(server.server.pid, scene.lab.tmux().pid());
    let nonce = scene.lab.nonce();
    assert_eq!(scene.control.scan(&Scan::<ClientRow>::all(nonce)).rows.len(), 1);
    let nonce = scene.lab.nonce();
    assert_eq!(scene.control.scan(&Scan::<OriginRow>::all(nonce)).rows.len(), 2);
    let nonce = scene.lab.nonce();
    assert_eq!(scene.control.scan(&Scan::<SessionRow>::all(nonce)).rows.len(), 2);
    scene.close("handshake");
}

#[test]
fn churn() {
    let mut scene = Scene::open();
    assert_eq!(ids(&scene.panes()), ["%1", "%0"]);

    scene.user(&["new-window", "-d", "-t", "=user:", "-n", "w", "exec sleep 1000"]);
    scene.wait_for(&N::UnlinkedWindowAdd { window: WindowId(2) });
    scene.user(&["new-session", "-d", "-s", "other", "exec sleep 1000"]);
    scene.wait_for(&N::SessionsChanged);
    // A split, a respawn and the end of one of several panes raise nothing: only a scan sees them.
    scene.user(&["split-window", "-d", "-t", "%2", "exec sleep 1000"]);
    scene.user(&["respawn-pane", "-k", "-t", "%0", "exec sleep 1001"]);
    assert_eq!(ids(&scene.panes()), ["%1", "%3", "%0", "%2", "%4"]);
    scene.user(&["kill-pane", "-t", "%4"]);
    assert_eq!(ids(&scene.panes()), ["%1", "%3", "%0", "%2"]);

    scene.user(&["select-window", "-t", "=user:w"]);
    let (session, window) = (SessionId(0), WindowId(2));
    scene.wait_for(&N::SessionWindowChanged { session, window });
    scene.user(&["copy-mode", "-t", "%2"]);
    scene.wait_for(&N::PaneModeChanged { pane: PaneId(2) });
    assert!(scene.panes().iter().any(|row| row.in_mode && row.brief.pane == PaneId(2)));
    scene.user(&["kill-window", "-t", "@2"]);
    scene.wait_for(&N::UnlinkedWindowClose { window });
    scene.user(&["kill-session", "-t", "=other"]);
    scene.wait_for(&N::SessionsChanged);
    assert_eq!(ids(&scene.panes()), ["%1", "%0"]);
    let nonce = scene.lab.nonce();
    assert_eq!(scene.control.scan(&Scan::<PaneBrief>::all(nonce)).rows.len(), 2);
    let nonce = scene.lab.nonce();
    assert_eq!(scene.control.scan(&Scan::<PanePulse>::all(nonce)).rows.len(), 2);
    scene.close("churn");
}

#[test]
fn rename() {
    let mut scene = Scene::open();
    let before = scene.panes();
    scene.user(&["rename-session", "-t", "$0", "two words %end 1 2 1"]);
    let name = b"two words %end 1 2 1".to_vec();
    scene.wait_for(&N::SessionRenamed { session: SessionId(0), name });
    scene.user(&["rename-window", "-t", "@0", "日本 \u{1f600}"]);
    let name = "日本 \u{1f600}".as_bytes().to_vec();
    scene.wait_for(&N::UnlinkedWindowRenamed { window: WindowId(0), name });
    // A title raises nothing.
    scene.user(&["select-pane", "-t", "%0", "-T", "a title"]);
    let after = scene.panes();
    assert_eq!(ids(&before), ids(&after));
    let row = after.iter().find(|row| row.brief.pane == PaneId(0)).unwrap();
    assert_eq!(row.session_name, "two words %end 1 2 1");
    assert_eq!((row.window_name.as_str(), row.title.as_str()), ("日本 \u{1f600}", "a title"));
    scene.close("rename");
}

#[test]
fn kicked() {
    let mut scene = Scene::open();
    scene.user(&["kill-session", "-t", "=_qd-lab-1"]);
    assert_eq!(scene.control.exit(), None);
    scene.control.transcript.save("kicked");
}

#[test]
fn server_killed() {
    let mut scene = Scene::open();
    scene.user(&["kill-server"]);
    assert_eq!(scene.control.exit(), None);
    scene.control.transcript.save("server_killed");
}

#[test]
fn server_crashed() {
    let mut scene = Scene::open();
    scene.control.transcript.remark("kill -9 of the server");
    process::signal(scene.lab.tmux().pid(), Signal::KILL);
    assert_eq!(scene.control.exit().unwrap(), b"server exited unexpectedly");
    scene.control.transcript.save("server_crashed");
}

#[test]
fn hostile() {
    let mut scene = Scene::open();
    let folder = scene.lab.env().path("home/a\n%end 1 2 1\n%exit\n\tb\\033 $HOME\r\u{1b}");
    std::fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    scene.user(&["new-window", "-d", "-t", "=user:", "-c", &folder, "-n", "w", "exec sleep 1000"]);
    let long = "é".repeat(1000);
    scene.user(&["new-session", "-d", "-s", &long, "exec sleep 1000"]);
    let rows = scene.panes();
    let row = |id| rows.iter().find(|row| row.brief.pane == PaneId(id)).expect("it is listed");
    assert_eq!(row(2).path, folder.as_bytes());
    assert_eq!(row(3).session_name, long);
    // A name that holds a newline is refused since 3.7.
    if scene.lab.version().release() < Release::new(3, 7, 0) {
        let name = "x\n%begin 1 2 1\n%error 1 2 1\n\ty";
        scene.user(&["new-window", "-d", "-t", "=user:", "-n", name, "exec sleep 1000"]);
        scene.user(&["new-session", "-d", "-s", "a\tb\nc\u{1b}[31m", "exec sleep 1000"]);
        let rows = scene.panes();
        let row = |id| rows.iter().find(|row| row.brief.pane == PaneId(id)).expect("it is listed");
        assert_eq!(row(4).window_name, name);
        assert_eq!(row(5).session_name, "a\\tb\\nc\\033[31m");
    }
    scene.close("hostile");
}

#[test]
fn blocks() {
    let mut scene = Scene::open();
    // One line, several blocks, all ours.
    let replies = scene.raw("display-message -p a ; display-message -p b ; list-commands", 3);
    assert!(replies.iter().all(|reply| reply.is_ours() && !reply.error));
    assert_eq!((replies[0].text(), replies[1].text()), ("a".into(), "b".into()));
    assert!(replies[2].lines().count() > 50);

    // An error ends its line: what follows in it is never run.
    let replies = scene.raw("display-message -p a ; kill-pane -t %99 ; kill-server", 2);
    assert_eq!(replies.iter().map(|reply| reply.error).collect::<Vec<_>>(), [false, true]);
    let replies = scene.raw("display-message -p still-here", 1);
    assert_eq!(replies[0].text(), "still-here");
    let replies = scene.raw("no-such-command", 1);
    assert!(replies[0].error && replies[0].is_ours(), "{replies:?}");
    let replies = scene.raw("kill-pane {", 1);
    assert!(replies[0].error, "{replies:?}");

    // A body may look like a guard of another block.
    let replies =
        scene.raw("display-message -p \"%%end 1 2 1\" ; display-message -p \"%%exit\"", 2);
    assert_eq!((replies[0].text(), replies[1].text()), ("%end 1 2 1".into(), "%exit".into()));

    // Each command that `if-shell -F` chooses has a block of its own.
    let replies = scene.raw("if-shell -F 1 'display-message -p yes' 'display-message -p no'", 2);
    assert_eq!((replies[0].text(), replies[1].text()), (String::new(), "yes".into()));
    scene.close("blocks");
}

#[test]
fn hooks() {
    let mut scene = Scene::open();
    scene.user(&["set-hook", "-g", "after-list-sessions", "display-message -p 'from a hook'"]);
    let nonce = scene.lab.nonce();
    let rows = scene.control.scan(&Scan::<SessionRow>::all(nonce)).rows;
    assert_eq!(rows.len(), 2, "the block of a hook is not taken for ours");
    let nonce = scene.lab.nonce();
    scene.control.scan(&Scan::<ServerRow>::all(nonce));
    scene.close("hooks");
}

#[test]
fn strays() {
    let mut scene = Scene::open();
    // The block of a command that waits is closed at once; what it prints comes later, outside.
    let replies = scene.raw("load-buffer /nonexistent/file", 1);
    assert!(!replies[0].error, "{replies:?}");
    let stray = loop {
        match scene.control.next().expect("the complaint comes") {
            Message::Stray(line) => break line,
            Message::Notification(_) | Message::Reply(_) => {}
        }
    };
    let stray = String::from_utf8_lossy(&stray);
    assert!(stray.contains("/nonexistent/file") && stray.contains("No such file"), "{stray:?}");
    scene.close("strays");
}

#[test]
fn detached() {
    let mut scene = Scene::open();
    // An empty line detaches.
    let hub = scene.hub.clone();
    scene.control.write(b"\n");
    assert_eq!(scene.control.exit(), None);
    scene.control.transcript.save("detached");
    assert!(!scene.lab.tmux().sessions().contains(&hub.name().to_owned()));
}
