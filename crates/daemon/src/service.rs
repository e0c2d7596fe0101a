//! Starting with the user's session: a systemd user unit, or a launchd agent on macOS.

use std::io;
use std::path::{Path, PathBuf};

/// A file that makes the user's service manager start the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub manager: Manager,
    pub file: PathBuf,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    Systemd,
    Launchd,
}

/// Why the service cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the path {} cannot stand in a service file", .0.display())]
    Path(PathBuf),
    #[error("HOME is not set")]
    NoHome,
    #[error("{} was not made by qd", .0.display())]
    Foreign(PathBuf),
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Marks a file as ours, so that nothing else is ever replaced or removed.
const MARK: &str = "Made by `qd daemon install`; `qd daemon uninstall` removes it.";

impl Service {
    /// The service for this program and these places.
    pub fn new(
        program: &Path,
        env: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, ServiceError> {
        let program = plain(program)?;
        let passed = passed(&env)?;
        let user = PathBuf::from(env("HOME").ok_or(ServiceError::NoHome)?);
        if cfg!(target_os = "macos") {
            return Ok(Self {
                manager: Manager::Launchd,
                file: user.join("Library/LaunchAgents/dev.quarterdeck.qd.plist"),
                text: launchd(program, &passed),
            });
        }
        let config = env("XDG_CONFIG_HOME").map_or_else(|| user.join(".config"), PathBuf::from);
        Ok(Self {
            manager: Manager::Systemd,
            file: config.join("systemd/user/quarterdeck.service"),
            text: systemd(program, &passed),
        })
    }

    /// Writes the file. What somebody else wrote there is left alone.
    pub fn install(&self) -> Result<(), ServiceError> {
        self.must_be_ours()?;
        let write = || {
            if let Some(folder) = self.file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&self.file, &self.text)
        };
        write().map_err(|source| ServiceError::Write { path: self.file.clone(), source })
    }

    /// Removes the file; says whether there was one.
    pub fn uninstall(&self) -> Result<bool, ServiceError> {
        self.must_be_ours()?;
        match std::fs::remove_file(&self.file) {
            Ok(()) => Ok(true),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ServiceError::Write { path: self.file.clone(), source }),
        }
    }

    /// The commands that make the service manager notice, as a person would type them.
    pub fn next_steps(&self) -> Vec<String> {
        match self.manager {
            Manager::Systemd => vec![
                "systemctl --user daemon-reload".to_owned(),
                "systemctl --user enable --now quarterdeck.service".to_owned(),
                // Without it the service ends with the last login.
                "loginctl enable-linger".to_owned(),
            ],
            Manager::Launchd => vec![format!("launchctl load -w {}", self.file.display())],
        }
    }

    fn must_be_ours(&self) -> Result<(), ServiceError> {
        match std::fs::read_to_string(&self.file) {
            Ok(text) if !text.contains(MARK) => Err(ServiceError::Foreign(self.file.clone())),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// A path that needs no quoting in either kind of file.
fn plain(path: &Path) -> Result<&str, ServiceError> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+@ ".contains(c);
    path.to_str()
        .filter(|text| text.starts_with('/') && text.chars().all(harmless))
        .ok_or_else(|| ServiceError::Path(path.to_owned()))
}

/// What the service has to be told of this environment, so that it lives at the same places and
/// means the same tmux server by the default one.
const PASSED: &[&str] =
    &["QD_HOME", "QD_CONFIG", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMUX_TMPDIR"];

fn passed(
    env: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> Result<Vec<(&'static str, String)>, ServiceError> {
    let set = |name: &&'static str| Some((*name, env(name).filter(|it| !it.is_empty())?));
    let told = |(name, value)| Ok((name, plain(Path::new(&value))?.to_owned()));
    PASSED.iter().filter_map(set).map(told).collect()
}

fn systemd(program: &str, passed: &[(&str, String)]) -> String {
    let environment: String =
        passed.iter().map(|(name, it)| format!("Environment=\"{name}={it}\"\n")).collect();
    format!(
        "# {MARK}\n\
         [Unit]\n\
         Description=Quarterdeck, the deck from which you command coding agents\n\
         StartLimitIntervalSec=60\n\
         StartLimitBurst=5\n\
         \n\
         [Service]\n\
         ExecStart=\"{program}\" daemon run\n\
         {environment}\
         KillMode=process\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n"
    )
}

fn launchd(program: &str, passed: &[(&str, String)]) -> String {
    let pairs = passed.iter().map(|(name, it)| format!("<key>{name}</key><string>{it}</string>"));
    let pairs: String = pairs.collect();
    let environment = if pairs.is_empty() {
        String::new()
    } else {
        format!("  <key>EnvironmentVariables</key>\n  <dict>{pairs}</dict>\n")
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!-- {MARK} -->\n\
         <plist version=\"1.0\">\n\
         <dict>\n\
         \x20 <key>Label</key><string>dev.quarterdeck.qd</string>\n\
         \x20 <key>ProgramArguments</key>\n\
         \x20 <array><string>{program}</string><string>daemon</string><string>run</string></array>\n\
         {environment}\
         \x20 <key>RunAtLoad</key><true/>\n\
         \x20 <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n\
         </dict>\n\
         </plist>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(home: &Path) -> Service {
        let user = home.to_owned();
        let env = move |name: &str| match name {
            "HOME" => Some(user.clone().into_os_string()),
            "QD_HOME" => Some("/q".into()),
            "TMUX_TMPDIR" => Some("/run/tmux".into()),
            _ => None,
        };
        Service::new(Path::new("/opt/qd"), env).unwrap()
    }

    #[test]
    fn a_service_is_installed_and_removed_exactly() {
        let home = tempfile::tempdir().unwrap();
        let service = service(home.path());
        service.install().unwrap();
        service.install().unwrap();
        let text = std::fs::read_to_string(&service.file).unwrap();
        for told in ["/opt/qd", "QD_HOME", "/q", "TMUX_TMPDIR", "/run/tmux"] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert!(service.uninstall().unwrap());
        assert!(!service.uninstall().unwrap(), "there is none any more");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let service = service(home.path());
        std::fs::create_dir_all(service.file.parent().unwrap()).unwrap();
        std::fs::write(&service.file, "mine").unwrap();
        assert!(matches!(service.install(), Err(ServiceError::Foreign(_))));
        assert!(matches!(service.uninstall(), Err(ServiceError::Foreign(_))));
        assert_eq!(std::fs::read_to_string(&service.file).unwrap(), "mine");
    }

    #[test]
    fn a_path_that_could_break_out_of_the_file_is_refused() {
        for bad in ["relative", "/a\"b", "/a\nb", "/a%b", "/a$b", "/a<b"] {
            assert!(plain(Path::new(bad)).is_err(), "{bad:?}");
        }
    }
}
