//! A daemon that is asked over TCP, with a token: named by `QD_URL`, and known by `QD_TOKEN_FILE` or
//! `QD_TOKEN`. Never by an argument: whoever lists processes sees those.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use api::ErrorCode;

use crate::error::ClientError;

/// The largest file in which a token is looked for.
const TOKEN_FILE_BYTES_MAX: u64 = 4_096;

/// Where to ask, and what to show there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub(crate) address: SocketAddr,
    /// The host as it is named, which is how it is asked for.
    pub(crate) host: String,
    pub(crate) token: Token,
}

/// A secret: it can be sent, and is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// What goes into the header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Remote {
    /// What the environment names, if it names any.
    pub fn find(env: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, ClientError> {
        let named = |name: &str| env(name).filter(|value| !value.is_empty());
        let Some(url) = named("QD_URL") else { return Ok(None) };
        let url = url.into_string().map_err(|_| unreadable("QD_URL is not UTF-8"))?;
        let (address, host) = parse(&url).ok_or_else(|| not_an_address(&url))?;
        let token = match (named("QD_TOKEN_FILE"), named("QD_TOKEN")) {
            (Some(_), Some(_)) => {
                let message = "both QD_TOKEN_FILE and QD_TOKEN are set";
                return Err(unreadable(message).with_hint("Leave one of them out."));
            }
            (Some(file), None) => kept(&PathBuf::from(file))?,
            (None, Some(token)) => {
                token.into_string().map_err(|_| unreadable("QD_TOKEN is not UTF-8"))?
            }
            (None, None) => {
                let message = "QD_URL is set, and neither QD_TOKEN_FILE nor QD_TOKEN";
                return Err(ClientError::new(ErrorCode::Unauthenticated, message));
            }
        };
        let token = token.trim().to_owned();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unreadable("the token is not one"));
        }
        Ok(Some(Self { address, host, token: Token(token) }))
    }

    /// What the environment of this process names.
    pub fn of_this_process() -> Result<Option<Self>, ClientError> {
        Self::find(|variable| std::env::var_os(variable))
    }
}

/// The address of `http://HOST:PORT`. Nothing here is encrypted, so it is this machine or nobody.
fn parse(url: &str) -> Option<(SocketAddr, String)> {
    let host = url.strip_prefix("http://")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let address = match host.strip_prefix("localhost:") {
        Some(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?),
        None => host.parse().ok()?,
    };
    (address.ip().is_loopback() && address.port() != 0).then(|| (address, host.to_owned()))
}

/// The token in a file that nobody else can read.
fn kept(path: &Path) -> Result<String, ClientError> {
    let failed = |error: std::io::Error| {
        unreadable(&format!("{}, which QD_TOKEN_FILE names: {error}", path.display()))
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let message = format!("{} is open to others (mode {:o})", path.display(), mode & 0o777);
        return Err(ClientError::new(ErrorCode::Forbidden, message)
            .with_hint(format!("chmod go= '{}', and make a new token.", path.display())));
    }
    let mut text = String::new();
    file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn not_an_address(url: &str) -> ClientError {
    // Somebody may have put a secret there.
    let shown = url.split('@').next_back().unwrap_or_default();
    unreadable(&format!("QD_URL is no address of this machine: `{shown}`"))
        .with_hint("Write it like http://127.0.0.1:7433; from elsewhere come in by `ssh -L`.")
}

fn unreadable(message: &str) -> ClientError {
    ClientError::new(ErrorCode::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Result<Option<Remote>, ClientError> {
        Remote::find(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn without_an_address_a_token_means_nothing() {
        assert_eq!(find(&[("QD_TOKEN", "qdt_1")]), Ok(None));
        assert_eq!(find(&[("QD_URL", ""), ("QD_TOKEN", "qdt_1")]), Ok(None));
    }

    #[test]
    fn only_this_machine_is_asked() {
        let address = |url: &str| {
            let found = find(&[("QD_URL", url), ("QD_TOKEN", "qdt_1")]);
            found.map(|it| it.unwrap().address.to_string()).map_err(|error| error.code)
        };
        assert_eq!(address("http://127.0.0.1:7433").as_deref(), Ok("127.0.0.1:7433"));
        assert_eq!(address("http://localhost:7433/").as_deref(), Ok("127.0.0.1:7433"));
        assert_eq!(address("http://[::1]:7433").as_deref(), Ok("[::1]:7433"));
        for bad in [
            "127.0.0.1:7433",
            "https://127.0.0.1:7433",
            "http://127.0.0.1",
            "http://192.168.1.5:7433",
            "http://evil.example:7433",
            "http://user:word@127.0.0.1:7433",
            "http://127.0.0.1:7433/v1",
            "http://127.0.0.1:0",
        ] {
            assert_eq!(address(bad), Err(ErrorCode::BadRequest), "{bad}");
        }
    }

    #[test]
    fn s_06_a_token_is_in_no_message() {
        let secret = "qdt_0123456789";
        let remote = find(&[("QD_URL", "http://127.0.0.1:1"), ("QD_TOKEN", secret)]).unwrap();
        assert!(!format!("{remote:?}").contains(secret));
        let url = format!("http://{secret}@127.0.0.1:1");
        let error = find(&[("QD_URL", &url), ("QD_TOKEN", secret)]).unwrap_err();
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }

    #[test]
    fn a_file_with_a_token_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "qdt_1\n").unwrap();
        let with = |mode: u32| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let url = ("QD_URL", "http://127.0.0.1:1");
            find(&[url, ("QD_TOKEN_FILE", path.to_str().unwrap())])
        };
        assert_eq!(with(0o600).unwrap().unwrap().token, Token("qdt_1".to_owned()));
        assert_eq!(with(0o640).unwrap_err().code, ErrorCode::Forbidden);
        fs::remove_file(&path).unwrap();
        let gone =
            find(&[("QD_URL", "http://127.0.0.1:1"), ("QD_TOKEN_FILE", path.to_str().unwrap())]);
        assert_eq!(gone.unwrap_err().code, ErrorCode::BadRequest);
    }
}
