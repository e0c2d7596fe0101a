//! `.`: the pane in which the command itself runs.

use std::ffi::OsString;

use api::ErrorCode;
use api::filters::Filters;
use api::list::ListQuery;
use api::panes::PaneItem;
use api::reference::PaneId;
use client::Client;

use crate::failure::Failure;

/// What stands for it on the command line.
pub(crate) const DOT: &str = ".";

/// What tmux tells the programs in its panes.
#[derive(Debug, PartialEq, Eq)]
struct Here {
    server_pid: u32,
    pane: PaneId,
}

/// The pane of this very terminal, among those that the daemon watches.
pub(crate) async fn pane(client: &mut Client) -> Result<PaneItem, Failure> {
    let here = here(|name| std::env::var_os(name))?;
    let targets = client.targets().await?.read()?;
    let is_ours = |pid: Option<u32>| pid == Some(here.server_pid);
    let target = targets.items.into_iter().find(|it| is_ours(it.server.as_ref().map(|it| it.pid)));
    let Some(target) = target else {
        let message = "the tmux server of this terminal is not watched";
        return Err(Failure::new(ErrorCode::RefNotFound, message)
            .with_hint("`qd doctor` shows the command that adds it."));
    };
    let filters = Filters { target: vec![target.name], ..Filters::default() };
    let query = ListQuery { filters, ..ListQuery::default() };
    let panes = client.panes(&query).await?.read()?;
    let found = panes.items.into_iter().find(|it| it.identity.pane_id == here.pane.to_string());
    found.ok_or_else(|| {
        let message = format!("this terminal's pane {} is not listed", here.pane);
        Failure::new(ErrorCode::RefNotFound, message)
            .with_hint("It was made just now, or its target is down: see `qd target list`.")
    })
}

/// The tmux server that this terminal is in.
pub(crate) fn server_pid() -> Option<u32> {
    here(|name| std::env::var_os(name)).ok().map(|here| here.server_pid)
}

fn here(variable: impl Fn(&str) -> Option<OsString>) -> Result<Here, Failure> {
    let text = |name| variable(name).and_then(|value| value.into_string().ok());
    // `TMUX` is socket, pid of the server and session; a socket may hold commas.
    let server_pid = text("TMUX").and_then(|it| it.rsplit(',').nth(1)?.parse().ok());
    let pane = text("TMUX_PANE").and_then(|it| it.parse().ok());
    let (Some(server_pid), Some(pane)) = (server_pid, pane) else {
        let message = "`.` is the pane in which `qd` runs, and this terminal is not in tmux";
        return Err(Failure::new(ErrorCode::RefInvalid, message)
            .with_hint("Name the pane, such as %12; `qd list panes` shows them."));
    };
    Ok(Here { server_pid, pane })
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
