//! The listener over TCP: there while the settings want one, and at the address that they name.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use api::settings::parse_address;
use tokio::task::JoinSet;

use crate::http::app::{App, Outside};
use crate::http::server::Server;

/// How long requests under way may take once nothing is listened on any more.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves tokens while that is wanted.
pub(crate) struct Listening {
    app: Arc<App>,
    /// The server in use, and its address as the settings write it.
    open: Option<(String, Server)>,
    /// Servers whose address is no longer wanted.
    leaving: JoinSet<()>,
}

impl Listening {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, open: None, leaving: JoinSet::new() }
    }

    /// Sees to it that it is as wanted: at this address, or nowhere if it is empty. What could not
    /// be had is tried again whenever this is asked.
    pub(crate) fn settle(&mut self, wanted: &str) {
        if self.open.as_ref().is_some_and(|(address, _)| address == wanted) {
            return;
        }
        if let Some((address, server)) = self.open.take() {
            tracing::info!(address, "tokens are served there no more");
            self.leaving.spawn(server.stop(DRAIN_TIMEOUT));
        }
        while self.leaving.try_join_next().is_some() {}
        let before = self.app.outside();
        let outside = if wanted.is_empty() { Outside::default() } else { self.open(wanted) };
        match &outside.problem {
            Some(problem) if before.problem.as_ref() != Some(problem) => {
                tracing::error!(problem, "tokens are not served");
            }
            Some(_) | None => {}
        }
        self.app.set_outside(outside);
    }

    fn open(&mut self, wanted: &str) -> Outside {
        let shut = |problem: String| Outside { address: None, problem: Some(problem) };
        // The settings hold no other; what is listened on is looked at where it is done all the same.
        let Some(address) = parse_address(wanted) else {
            return shut(format!("`{wanted}` is no address of this machine alone"));
        };
        let started = TcpListener::bind(address)
            .and_then(|listener| Server::start_tcp(Arc::clone(&self.app), listener));
        match started {
            Ok(server) => {
                tracing::info!(%address, "tokens are served over TCP");
                self.open = Some((wanted.to_owned(), server));
                Outside { address: Some(address), problem: None }
            }
            Err(error) => shut(format!("{address} cannot be listened on: {error}")),
        }
    }

    /// Ends all of it, and lets go of the daemon.
    pub(crate) async fn stop(self, drain: Duration) {
        let Self { app, open, mut leaving } = self;
        drop(app);
        if let Some((_, server)) = open {
            server.stop(drain).await;
        }
        while leaving.join_next().await.is_some() {}
    }
}
