//! A real `sshd` of a test's own: its own keys, its own port on the loopback, its own configuration.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::process::Signal;
use crate::{KeyAgent, TestEnv, process, wait};

/// Where distributions put it.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// A running server. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    folder: PathBuf,
}

fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|it| fs::metadata(it).is_ok())
}

/// Starts one that is configured, and waits until it listens.
fn listening(program: &str, folder: &Path, port: u16) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log"));
    let child = process::command(program)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("config"))
        .stdin(Stdio::null())
        .stderr(log.expect("a file can be written"))
        .spawn()
        .expect("sshd starts");
    wait::until("sshd listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    child
}

impl Sshd {
    /// Whether one can be started.
    #[must_use]
    pub fn is_installed() -> bool {
        program().is_some()
    }

    /// Starts one, unless none is installed.
    #[must_use]
    pub fn start(env: &TestEnv, name: &str) -> Option<Self> {
        Self::start_with(env, name, "")
    }

    /// The same with further lines in its configuration.
    #[must_use]
    pub fn start_with(env: &TestEnv, name: &str, more: &str) -> Option<Self> {
        let program = program()?;
        let folder = env.path(name);
        fs::create_dir(&folder).expect("a folder can be made");
        for key in ["host", "user"] {
            let made = process::command("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(key))
                .status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
        }
        // Nobody else takes a port that the kernel has just given away.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let port = port.expect("there is a free port").port();
        // Whoever logs in finds the tmux that the tests were told to use, else the machine's.
        let path = std::env::var_os("QD_TEST_TMUX")
            .map(|_| format!(" PATH={}:/usr/local/bin:/usr/bin:/bin", env.path("bin").display()));
        let path = path.unwrap_or_default();
        let at = |file: &str| folder.join(file).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nAcceptEnv LC_*\n\
             SetEnv HOME={}{path}\n{more}\n",
            at("host"),
            at("user.pub"),
            env.path("home").display(),
        );
        fs::write(folder.join("config"), config).expect("a file can be written");
        if rustix::process::geteuid().is_root() {
            // Where it separates its privileges; it does not make the folder itself.
            fs::create_dir_all("/run/sshd").ok();
        }
        Some(Self { child: listening(program, &folder, port), port, folder })
    }

    /// Ends it and its connections: nobody listens there any more.
    pub fn leave(&mut self) {
        self.signal_connections(Signal::KILL);
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Listens again after it left, at the same port.
    pub fn come_back(&mut self) {
        let program = program().expect("it was there before");
        self.child = listening(program, &self.folder, self.port);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The options with which its user gets in, and with which its key is known.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let at = |file: &str| self.folder.join(file).display().to_string();
        vec![
            format!("IdentityFile={}", at("user")),
            "IdentitiesOnly=yes".to_owned(),
            format!("UserKnownHostsFile={}", at("known_hosts")),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
        ]
    }

    /// From now on only this agent has the key that lets its user in.
    pub fn entrust(&self, agent: &KeyAgent) {
        let key = self.folder.join("user");
        let kept = self.folder.join("kept");
        if !kept.exists() {
            fs::rename(key, &kept).expect("it has a key");
        }
        agent.add(&kept);
    }

    /// From now on its user's key is of use only to whoever knows this.
    pub fn lock_key(&self, passphrase: &str) {
        let locked = process::command("ssh-keygen")
            .args(["-q", "-p", "-P", "", "-N", passphrase, "-f"])
            .arg(self.folder.join("user"))
            .stdout(Stdio::null())
            .status();
        assert!(locked.is_ok_and(|status| status.success()), "ssh-keygen locks a key");
    }

    /// Makes its key known.
    pub fn introduce(&self) {
        self.introduce_at(&[self.port]);
    }

    /// Makes its key known, where it is reached by these ports.
    pub fn introduce_at(&self, ports: &[u16]) {
        let key = fs::read_to_string(self.folder.join("host.pub")).expect("it has a key");
        let lines: String = ports.iter().map(|port| format!("[127.0.0.1]:{port} {key}")).collect();
        fs::write(self.folder.join("known_hosts"), lines).expect("a file can be written");
    }

    /// Makes another key known in its place.
    pub fn introduce_another(&self) {
        let key = fs::read_to_string(self.folder.join("user.pub")).expect("there is another key");
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        fs::write(self.folder.join("known_hosts"), line).expect("a file can be written");
    }

    /// Whether its key is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        fs::metadata(self.folder.join("known_hosts")).is_ok()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The processes that serve its connections.
    #[must_use]
    pub fn connections(&self) -> Vec<u32> {
        process::children(self.child.id())
    }

    /// Signals every process that serves a connection.
    pub fn signal_connections(&self, signal: Signal) {
        for pid in self.connections() {
            process::signal(pid, signal);
        }
    }

    /// Lets nothing through any more, on connections that are there and on new ones.
    pub fn freeze(&self) {
        process::signal(self.child.id(), Signal::STOP);
        self.signal_connections(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal_connections(Signal::CONT);
        process::signal(self.child.id(), Signal::CONT);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.leave();
    }
}
