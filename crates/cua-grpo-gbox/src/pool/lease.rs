//! A place in a pool with what may live in it, and a running box that is held.

use super::inner::{Held, Inner};
use crate::client::GboxClient;
use crate::wire::BoxObject;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// A place that is taken. Dropped, it ends in the background what may live in it, and is free again after that.
#[derive(Debug)]
pub(super) struct Claim {
    inner: Arc<Inner>,
    /// Label of the lease.
    pub lease: String,
    /// `None` once nothing can live here any more.
    permit: Option<OwnedSemaphorePermit>,
    /// A first try to terminate the box has failed.
    failed: bool,
    runtime: Handle,
}

impl Claim {
    /// A place for a box that is to be created.
    pub fn new(inner: Arc<Inner>, permit: OwnedSemaphorePermit) -> Self {
        let lease = uuid::Uuid::new_v4().to_string();
        let held = Held {
            id: None,
            expired: inner.expiry(),
        };
        inner.held().insert(lease.clone(), held);
        Self {
            inner,
            lease,
            permit: Some(permit),
            failed: false,
            runtime: Handle::current(),
        }
    }

    /// Nothing lives here: the place, free.
    pub fn vacated(mut self) -> Option<OwnedSemaphorePermit> {
        self.inner.held().remove(&self.lease);
        self.permit.take()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let (inner, lease, failed) = (self.inner.clone(), self.lease.clone(), self.failed);
        self.runtime.spawn(inner.until_gone(lease, failed, permit));
    }
}

/// A running box that is yours until you release or drop it.
#[derive(Debug)]
pub struct BoxLease {
    claim: Claim,
    object: BoxObject,
}

impl BoxLease {
    pub(super) fn new(claim: Claim, object: BoxObject) -> Self {
        Self { claim, object }
    }

    /// Id of the box.
    pub fn id(&self) -> &str {
        &self.object.id
    }

    /// The box as it was when it was leased.
    pub fn object(&self) -> &BoxObject {
        &self.object
    }

    /// The client to talk to it.
    pub fn client(&self) -> &GboxClient {
        &self.claim.inner.client
    }

    /// Counts an action of which nobody knows whether it was done.
    pub(crate) fn note_unsure(&self) {
        self.claim.inner.counters.unsure.fetch_add(1, Ordering::Relaxed);
    }

    /// Terminates the box and frees its place. False when it may still live after
    /// [`PoolConfig::release_timeout`](crate::PoolConfig::release_timeout): it is then terminated in the background, as it
    /// is when this future is dropped half-way, and its place is free after that.
    pub async fn release(mut self) -> bool {
        let inner = self.claim.inner.clone();
        let limit = inner.release_limit();
        let terminated = tokio::time::timeout(limit, inner.terminate(&self.claim.lease, &self.object.id)).await;
        let gone = terminated.unwrap_or(false);
        match gone {
            true => self.claim.permit = None,
            false => self.claim.failed = true,
        }
        gone
    }
}
