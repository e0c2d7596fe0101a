//! A terminal of a test's own, with a program in it: what a person would see and hear.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::env::TestEnv;
use crate::tmux::Tmux;

/// A program on a pseudo-terminal. Dropping it kills it.
pub struct Terminal {
    child: Child,
    keyboard: File,
    printed: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Attaches a client to a session of a tmux server.
    pub fn attach(server: &Tmux<'_>, session: &str) -> Self {
        Self::open(server.command(&["attach-session", "-t", session]))
    }

    /// Starts a program on a terminal of its own.
    pub fn open(mut command: Command) -> Self {
        let (master, path) = open_terminal();
        let slave = File::options().read(true).write(true).open(path).expect("it opens");
        let shared = || Stdio::from(slave.try_clone().expect("a descriptor is left"));
        command.env("TERM", "xterm").stdin(shared()).stdout(shared()).stderr(shared());
        let child = command.spawn().expect("the program starts");
        let keyboard = File::from(master.try_clone().expect("a descriptor is left"));
        Self { child, keyboard, printed: listen(master) }
    }

    /// Starts `qd` as the leader of a session whose terminal this is, so that what it starts can ask
    /// there and gets what is pressed.
    pub fn of_a_person(env: &TestEnv, arguments: &[&str]) -> Self {
        env.reinstall("setsid");
        let mut command = env.command("setsid");
        command.arg("--ctty").arg(env.qd_program()).args(arguments);
        Self::open(command)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the program ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it was started here")
    }

    /// Types, as a person would.
    pub fn type_text(&self, text: &str) {
        (&self.keyboard).write_all(text.as_bytes()).expect("the terminal is there");
    }

    /// All that was printed so far, escape sequences included.
    pub fn printed(&self) -> String {
        let printed = self.printed.lock().expect("no thread panics with it");
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// How often it rang.
    pub fn bells(&self) -> usize {
        let printed = self.printed.lock().expect("no thread panics with it");
        bells(&printed)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended with its server.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Our end of a new terminal, and the name of the other.
fn open_terminal() -> (OwnedFd, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a terminal is left");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    (master, name.into_string().expect("its name is text"))
}

/// Takes terminals of these names as soon as nobody has them any more.
pub struct TerminalTaker(thread::JoinHandle<()>);

impl TerminalTaker {
    /// Returns when whatever comes free is given away next: the kernel gives the lowest number.
    pub fn of(mut wanted: BTreeSet<String>) -> Self {
        let number = |name: &str| name.rsplit('/').next().and_then(|it| it.parse::<u32>().ok());
        let highest = wanted.iter().filter_map(|it| number(it)).max();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            while !wanted.is_empty() {
                let (terminal, name) = open_terminal();
                if wanted.remove(&name) || number(&name) < highest {
                    held.push(terminal);
                } else {
                    ready.send(()).ok();
                }
            }
        });
        is_ready.recv().expect("some number is higher");
        Self(thread)
    }

    /// Waits until it has them all.
    pub fn took_all(self) {
        self.0.join().expect("it fails at nothing");
    }
}

/// Collects what is printed until nobody can print any more.
fn listen(master: OwnedFd) -> Arc<Mutex<Vec<u8>>> {
    let printed = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&printed);
    thread::spawn(move || {
        let mut master = File::from(master);
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = master.read(&mut chunk) {
            heard.lock().expect("no thread panics with it").extend(&chunk[..count]);
        }
    });
    printed
}

/// The bells in a stream, apart from those that end a command to the terminal.
fn bells(printed: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some(byte) = printed.get(at) {
        if printed[at..].starts_with(b"\x1b]") {
            let rest = &printed[at..];
            let end = rest.iter().position(|it| matches!(it, b'\x07' | b'\\'));
            at += end.unwrap_or(rest.len());
        } else if *byte == b'\x07' {
            count += 1;
        }
        at += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::bells;

    #[test]
    fn a_bell_that_ends_a_title_is_none() {
        assert_eq!(bells(b"a\x07b\x1b]0;title\x07\x1b[31m\x07"), 2);
        assert_eq!(bells(b"\x1b]11;?\x1b\\\x07"), 1);
        assert_eq!(bells(b"\x1b]0;cut"), 0);
    }
}
