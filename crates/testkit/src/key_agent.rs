//! A real `ssh-agent` of a test's own, on a socket of its own.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::{TestEnv, process, wait};

/// A running agent. Dropping it ends it, and leaves its socket behind, as a kill does.
#[derive(Debug)]
pub struct KeyAgent {
    child: Child,
    socket: PathBuf,
}

impl KeyAgent {
    /// Starts one without keys. What an earlier one left there is taken away.
    pub fn start(env: &TestEnv, name: &str) -> Self {
        let socket = env.path(name);
        std::fs::remove_file(&socket).ok();
        let child = process::command("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("where there is an sshd there is an ssh-agent");
        wait::until("the agent listens", || UnixStream::connect(&socket).ok());
        Self { child, socket }
    }

    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Gives it a key.
    pub fn add(&self, key: &Path) {
        let mut command = process::command("ssh-add");
        command.env("SSH_AUTH_SOCK", &self.socket).arg("-q").arg(key);
        let added = command.stdin(Stdio::null()).status();
        assert!(added.is_ok_and(|status| status.success()), "ssh-add adds a key");
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
