//! Starts and stops the simulator, and reaches into its phones.

use super::{
    api,
    config::{MishapShare, SimConfig},
    serve::serve,
    state::SimState,
};
use crate::{handset::Handset, phone::Phone};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {reason}; choose an address of this machine that is free, e.g. 127.0.0.1 with port 0, which takes a free port"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimStats {
    /// Requests received.
    pub requests: u64,
    /// Requests answered 503 on purpose.
    pub refused: u64,
    /// Boxes that died on purpose.
    pub deaths: u64,
    /// Requests that change a phone: actions, and shell commands that are no question.
    pub deeds: u64,
    /// Deeds that were asked for again although the one before may have been done, without a look at the screen between.
    pub repeated: u64,
    /// Boxes that run or boot now.
    pub live_boxes: usize,
}

/// Reaches the phones of a simulator; cheap to clone and usable from any thread.
#[derive(Debug, Clone)]
pub struct PhoneAccess {
    state: Arc<SimState>,
}

impl PhoneAccess {
    /// Does something with the small phone of a box. `None` when there is no such box, or it has another phone.
    pub fn with_phone<R>(&self, box_id: &str, work: impl FnOnce(&mut Phone) -> R) -> Option<R> {
        self.state.peek(box_id, |device| device.phone.small_mut().map(work))?
    }

    /// The same with a phone of either kind.
    pub fn with_handset<R>(&self, box_id: &str, work: impl FnOnce(&mut Handset) -> R) -> Option<R> {
        self.state.peek(box_id, |device| work(&mut device.phone))
    }
}

/// A running simulator. Dropping it stops it at once.
#[derive(Debug)]
pub struct SimServer {
    state: Arc<SimState>,
    address: SocketAddr,
    base_url: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl SimServer {
    /// Listens and serves in the background of the current tokio runtime.
    ///
    /// # Errors
    /// [`SimError::Bind`] when the address is taken or not ours.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let bind = config.bind;
        let fail = |reason| SimError::Bind { address: bind, reason };
        let listener = TcpListener::bind(bind).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let limits = config.limits;
        let state = Arc::new(SimState::new(config));
        let app = api::router(state.clone());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, app, limits, stopped));
        let base_url = format!("http://{address}/api/v1");
        Ok(Self {
            state,
            address,
            base_url,
            stop,
            task,
        })
    }

    /// Where clients find the API, e.g. `http://127.0.0.1:4127/api/v1`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to the phones, for scripted policies.
    pub fn phones(&self) -> PhoneAccess {
        PhoneAccess {
            state: self.state.clone(),
        }
    }

    /// See [`PhoneAccess::with_phone`].
    pub fn with_phone<R>(&self, box_id: &str, work: impl FnOnce(&mut Phone) -> R) -> Option<R> {
        self.state.peek(box_id, |device| device.phone.small_mut().map(work))?
    }

    /// Counts since the start.
    pub fn stats(&self) -> SimStats {
        SimStats {
            requests: self.state.requests.load(Ordering::Relaxed),
            refused: self.state.refused.load(Ordering::Relaxed),
            deaths: self.state.deaths.load(Ordering::Relaxed),
            deeds: self.state.deeds.load(Ordering::Relaxed),
            repeated: self.state.repeated.load(Ordering::Relaxed),
            live_boxes: self.state.live(),
        }
    }

    /// Changes what goes wrong with requests from now on; those under way are let be.
    pub fn set_mishaps(&self, mishaps: impl IntoIterator<Item = MishapShare>) {
        self.state.set_mishaps(mishaps.into_iter().collect());
    }

    /// Stops listening, lets requests in progress finish for up to two seconds, and ends.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        // Whatever still runs after the timeout is aborted by the drop that follows.
        let _ = tokio::time::timeout(Duration::from_secs(2), &mut self.task).await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
