//! What follows a spool for as long as it is wanted.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A follower at work.
#[derive(Debug)]
pub(crate) struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    /// Begins what goes on until it is told to stop.
    pub(super) fn begin<F>(follow: impl FnOnce(Arc<Notify>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(follow(Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Ends it after what it has in hand, with its place saved.
    pub(crate) async fn stop(self) {
        self.stop.notify_one();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "what follows a spool broke off");
        }
    }
}
