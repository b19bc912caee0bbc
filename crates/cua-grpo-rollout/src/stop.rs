//! Cancellation: a flag that many tasks can wait for.

use tokio::sync::watch;

/// Turns true when a collection is to end. A dropped sender means that it is never cancelled.
pub type CancelToken = watch::Receiver<bool>;

/// A token that is never cancelled.
pub fn never_cancelled() -> CancelToken {
    watch::channel(false).1
}

/// The caller's token and the engine's own: a collection that fails stops its other episodes.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    caller: CancelToken,
    own: CancelToken,
}

impl Stop {
    pub(crate) fn new(caller: CancelToken) -> (watch::Sender<bool>, Self) {
        let (sender, own) = watch::channel(false);
        (sender, Self { caller, own })
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.caller.borrow() || *self.own.borrow()
    }

    /// Waits until one of the flags is set.
    pub(crate) async fn wait(&self) {
        let (mut caller, mut own) = (self.caller.clone(), self.own.clone());
        tokio::select! {
            () = flag(&mut caller) => {}
            () = flag(&mut own) => {}
        }
    }
}

async fn flag(token: &mut CancelToken) {
    if token.wait_for(|&set| set).await.is_err() {
        std::future::pending::<()>().await;
    }
}
