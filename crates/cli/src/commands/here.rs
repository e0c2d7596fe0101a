//! `.`: the pane in which the command itself runs.

use std::ffi::OsString;

use api::ErrorCode;
use api::filters::Filters;
use api::list::ListQuery;
use api::panes::PaneItem;
use api::reference::PaneId;
use api::target_name::TargetName;
use api::targets::{TargetItem, TmuxServer};
use api::words::TargetKind;
use client::Client;

use crate::failure::Failure;

/// What stands for it on the command line.
pub(crate) const DOT: &str = ".";
/// What tmux tells the programs in its panes.
#[derive(Debug, PartialEq, Eq)]
struct Here {
    socket: String,
    server_pid: u32,
    pane: PaneId,
}

impl Here {
    fn is_on(&self, server: &TmuxServer) -> bool {
        server.pid == self.server_pid && server.socket == self.socket
    }

    /// Whether a target leads there whose server was not seen yet: by the path of its socket, or by
    /// the name, which is all that `-L` takes.
    fn may_be(&self, target: &TargetItem) -> bool {
        let (leads, socket) = (target.connection_ref.as_str(), self.socket.as_str());
        let name = socket.rsplit('/').next();
        target.server.is_none() && (leads == socket || Some(leads) == name)
    }
}

/// The pane of this very terminal, among those that the daemon watches.
pub(crate) async fn pane(client: &mut Client) -> Result<PaneItem, Failure> {
    let here = here(|name| std::env::var_os(name))?;
    let target = target_of(client, &here).await?.ok_or_else(unwatched)?;
    let filters = Filters { target: vec![target], ..Filters::default() };
    let query = ListQuery { filters, ..ListQuery::default() };
    let panes = client.panes(&query).await?.read()?;
    let found = panes.items.into_iter().find(|it| it.identity.pane_id == here.pane.to_string());
    // Another server may have come to be seen there meanwhile, with a pane of the same number.
    if found.is_some() && target_of(client, &here).await?.is_none() {
        return Err(unwatched());
    }
    found.ok_or_else(|| {
        let message = format!("this terminal's pane {} is not listed", here.pane);
        Failure::new(ErrorCode::RefNotFound, message)
            .with_hint("It was made just now, or its target is down: see `qd target list`.")
    })
}

/// The target that is meant by a pane of which nothing but the id is told: that of this terminal. `None`
/// leaves it to the default, which cannot mean this terminal's own pane.
pub(crate) async fn target_for(
    client: &mut Client,
    pane: &str,
) -> Result<Option<TargetName>, Failure> {
    let Ok(here) = here(|name| std::env::var_os(name)) else { return Ok(None) };
    match target_of(client, &here).await? {
        Some(target) => Ok(Some(target)),
        None if pane == here.pane.to_string() => Err(unwatched()),
        None => Ok(None),
    }
}

/// The target whose server this is: a local one, because elsewhere the same numbers mean other processes.
/// One whose server was not seen yet is known by its socket.
async fn target_of(client: &mut Client, here: &Here) -> Result<Option<TargetName>, Failure> {
    let targets = client.targets().await?.read()?.items;
    let local = || targets.iter().filter(|it| it.kind == TargetKind::Local);
    let is_it = |it: &&TargetItem| it.server.as_ref().is_some_and(|it| here.is_on(it));
    let found = local().find(is_it).or_else(|| local().find(|it| here.may_be(it)));
    Ok(found.map(|it| it.name.clone()))
}

fn unwatched() -> Failure {
    Failure::new(ErrorCode::RefNotFound, "the tmux server of this terminal is not watched")
        .with_hint("`qd doctor` shows the command that adds it.")
}

/// The tmux server that this terminal is in.
pub(crate) fn server_pid() -> Option<u32> {
    here(|name| std::env::var_os(name)).ok().map(|here| here.server_pid)
}

fn here(variable: impl Fn(&str) -> Option<OsString>) -> Result<Here, Failure> {
    let text = |name| variable(name).and_then(|value| value.into_string().ok());
    // `TMUX` is socket, pid of the server and session; a socket may hold commas.
    let server = text("TMUX").and_then(|it| {
        let mut parts = it.rsplitn(3, ',').skip(1);
        let pid = parts.next()?.parse().ok()?;
        Some((parts.next()?.to_owned(), pid))
    });
    let pane = text("TMUX_PANE").and_then(|it| it.parse().ok());
    let (Some((socket, server_pid)), Some(pane)) = (server, pane) else {
        let message = "`.` is the pane in which `qd` runs, and this terminal is not in tmux";
        return Err(Failure::new(ErrorCode::RefInvalid, message)
            .with_hint("Name the pane, such as %12; `qd list panes` shows them."));
    };
    Ok(Here { socket, server_pid, pane })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Option<Here> {
        here(|name| Some(variables.iter().find(|(key, _)| *key == name)?.1.into())).ok()
    }

    #[test]
    fn the_pane_is_the_one_that_tmux_names() {
        let found = find(&[("TMUX", "/tmp/a,b/default,4711,0"), ("TMUX_PANE", "%12")]).unwrap();
        assert_eq!((found.server_pid, found.pane.to_string()), (4711, "%12".to_owned()));
        assert_eq!(found.socket, "/tmp/a,b/default");
    }

    #[test]
    fn outside_tmux_there_is_none() {
        for variables in [
            &[][..],
            &[("TMUX", "/tmp/x,1,0")],
            &[("TMUX_PANE", "%1")],
            &[("TMUX", ""), ("TMUX_PANE", "%1")],
            &[("TMUX", "x,y,z"), ("TMUX_PANE", "%1")],
        ] {
            assert_eq!(find(variables), None, "{variables:?}");
        }
    }
}
