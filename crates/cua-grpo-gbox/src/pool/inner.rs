//! What all clones and leases of a pool share: the client, the free places, and which boxes may live.

use super::config::{PoolConfig, PoolStats};
use super::room::Room;
use crate::client::GboxClient;
use crate::error::GboxError;
use crate::sweep::{LEASE_LABEL, RUN_LABEL, boxes_of_run, boxes_with, terminate};
use crate::wire::{BoxObject, BoxStatus, CreateBox, CreateBoxConfig, duration_text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Waits between looks for the box of a create whose answer is not known: it may come up late.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(8)];
/// Longest wait between two tries to end a box.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub created: AtomicU64,
    pub terminated: AtomicU64,
    pub create_faults: AtomicU64,
    pub terminate_faults: AtomicU64,
    pub unsure: AtomicU64,
}

/// A box that may live.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Its id, once it is known.
    pub id: Option<String>,
    /// When it has ended by itself.
    pub expired: Instant,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub client: GboxClient,
    pub config: PoolConfig,
    pub slots: Arc<Semaphore>,
    pub counters: Counters,
    /// By the label of the lease.
    held: Mutex<BTreeMap<String, Held>>,
    /// Ids of all boxes that there ever were.
    given: Mutex<BTreeSet<String>>,
    pub room: Room,
}

impl Inner {
    pub fn new(client: GboxClient, config: PoolConfig) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(config.quota)),
            client,
            config,
            counters: Counters::default(),
            held: Mutex::default(),
            given: Mutex::default(),
            room: Room::default(),
        }
    }

    pub fn stats(&self) -> PoolStats {
        let counters = &self.counters;
        PoolStats {
            created: counters.created.load(Ordering::Relaxed),
            terminated: counters.terminated.load(Ordering::Relaxed),
            create_faults: counters.create_faults.load(Ordering::Relaxed),
            terminate_faults: counters.terminate_faults.load(Ordering::Relaxed),
            unsure: counters.unsure.load(Ordering::Relaxed),
        }
    }

    pub fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the box was one of this pool.
    pub fn was_given(&self, id: &str) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.contains(id)
    }

    /// Takes the box that a create of `lease` was answered with, where it is the one that was asked for.
    ///
    /// # Errors
    /// [`GboxError::Twice`] and [`GboxError::Foreign`]: what is not taken is never ended as the box of `lease`.
    pub fn take(&self, lease: &str, object: &BoxObject) -> Result<(), GboxError> {
        let box_id = object.id.clone();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.contains(&box_id) {
            return Err(GboxError::Twice { box_id });
        }
        if object.config.labels.get(LEASE_LABEL).is_none_or(|label| label != lease) {
            return Err(GboxError::Foreign { box_id });
        }
        given.insert(box_id.clone());
        if let Some(held) = self.held().get_mut(lease) {
            held.id = Some(box_id);
        }
        self.counters.created.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Boxes that are up.
    pub fn born(&self) -> usize {
        self.held().values().filter(|held| held.id.is_some()).count()
    }

    /// Whether no box was ever asked for.
    pub fn is_untouched(&self) -> bool {
        self.counters.created.load(Ordering::Relaxed) == 0 && self.held().is_empty()
    }

    /// When a box that is created now has ended by itself, with some room for the clocks of both sides.
    pub fn expiry(&self) -> Instant {
        Instant::now() + self.config.boot_timeout + self.config.expires_in + Duration::from_secs(30)
    }

    /// A client for the end of boxes: patient, unless the end was asked for.
    fn closing_client(&self) -> GboxClient {
        if self.client.ending() {
            self.client.brief(self.config.grace)
        } else {
            self.client.clone()
        }
    }

    pub async fn create(
        &self,
        lease: &str,
        envs: BTreeMap<String, String>,
        mut labels: BTreeMap<String, String>,
    ) -> Result<BoxObject, GboxError> {
        labels.insert(RUN_LABEL.to_owned(), self.config.label.clone());
        labels.insert(LEASE_LABEL.to_owned(), lease.to_owned());
        let config = CreateBoxConfig {
            device_type: self.config.device_type.clone(),
            envs,
            labels,
            expires_in: Some(duration_text(self.config.expires_in)),
            keep_alive: None,
            snapshot_name: None,
        };
        let timeout = Some(duration_text(self.config.boot_timeout));
        self.client
            .create_android(&CreateBox {
                config: Some(config),
                timeout,
                wait: Some(true),
            })
            .await
    }

    /// Polls a box that still boots.
    pub async fn until_running(&self, mut object: BoxObject) -> Result<BoxObject, GboxError> {
        let deadline = Instant::now() + self.config.boot_timeout;
        while object.status == BoxStatus::Pending && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(500)).await;
            object = self.client.get_box(&object.id).await?;
        }
        if object.status == BoxStatus::Running {
            return Ok(object);
        }
        Err(GboxError::NotRunning {
            operation: "create box".to_owned(),
            status: object.status.as_str().to_owned(),
            reason: object.reason.as_deref().map_or_else(
                || "no reason given".to_owned(),
                |reason| crate::printable::printable(reason, crate::printable::MOST_SHOWN),
            ),
            box_id: object.id,
        })
    }

    /// Ends what the create of `lease` may have left. True when nothing is left as far as the service tells.
    pub async fn settle(&self, lease: &str, limit: Duration) -> bool {
        let client = self.client.brief(limit);
        let Ok(mut found) = boxes_with(&client, LEASE_LABEL, lease).await else {
            return false;
        };
        {
            let held = self.held();
            let elsewhere = |id: &String| {
                held.iter()
                    .any(|(other, held)| other != lease && held.id.as_ref() == Some(id))
            };
            found.retain(|listed| !elsewhere(&listed.id));
        }
        if found.is_empty() {
            return true;
        }
        let count = found.len();
        let swept = terminate(&client, found.into_iter().map(|listed| listed.id)).await;
        let ended = swept.ended.len();
        self.counters.created.fetch_add(ended as u64, Ordering::Relaxed);
        self.note_terminated(ended);
        if ended == count {
            self.held().remove(lease);
        }
        ended == count
    }

    /// How long the end of one box is waited for.
    pub fn release_limit(&self) -> Duration {
        match self.client.ending() {
            true => self.config.grace,
            false => self.config.release_timeout,
        }
    }

    /// Ends boxes of this run that nobody holds: creates that came late, an earlier process with the same label.
    ///
    /// # Errors
    /// When boxes cannot be listed.
    pub async fn end_strays(&self, client: &GboxClient) -> Result<usize, GboxError> {
        let mut boxes = boxes_of_run(client, &self.config.label).await?;
        {
            let held = self.held();
            let is_held = |lease: &String| held.contains_key(lease);
            boxes.retain(|listed| !listed.labels.get(LEASE_LABEL).is_some_and(is_held));
            boxes.retain(|listed| held.values().all(|held| held.id.as_ref() != Some(&listed.id)));
        }
        let swept = terminate(client, boxes.into_iter().map(|listed| listed.id)).await;
        self.note_terminated(swept.ended.len());
        Ok(swept.ended.len())
    }

    fn note_terminated(&self, count: usize) {
        self.counters.terminated.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Takes a box that is gone off the list; whoever takes it counts it, for a sweep may have been faster.
    pub fn gone(&self, lease: &str) {
        if self.held().remove(lease).is_some() {
            self.note_terminated(1);
        }
    }

    /// Terminates the box of `lease`, once. True when it is gone.
    pub async fn terminate(&self, lease: &str, id: &str) -> bool {
        match self.closing_client().terminate(id, false).await {
            Ok(()) => {
                self.gone(lease);
                true
            }
            Err(error) => {
                tracing::warn!(%error, box_id = id, "a box could not be terminated; it is tried again");
                false
            }
        }
    }

    /// Works in the background until the box of `lease` is gone; its place is free only then. `failed`: a first try to
    /// terminate it has failed.
    pub async fn until_gone(self: Arc<Self>, lease: String, failed: bool, permit: OwnedSemaphorePermit) {
        let held = self.held().get(&lease).cloned();
        match held {
            None => {}
            Some(Held { id: Some(id), expired }) => self.until_terminated(&lease, &id, expired, failed).await,
            Some(Held { id: None, expired }) => self.until_settled(&lease, expired).await,
        }
        self.held().remove(&lease);
        drop(permit);
    }

    async fn until_terminated(&self, lease: &str, id: &str, expired: Instant, failed: bool) {
        if !failed && self.terminate(lease, id).await {
            return;
        }
        self.counters.terminate_faults.fetch_add(1, Ordering::Relaxed);
        let mut wait = Duration::from_millis(500);
        while Instant::now() < expired {
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(LONGEST_WAIT);
            // A sweep may have ended it.
            if !self.held().contains_key(lease) || self.terminate(lease, id).await {
                return;
            }
        }
        tracing::warn!(box_id = id, "a box could not be terminated, and has expired by now");
    }

    async fn until_settled(&self, lease: &str, expired: Instant) {
        let mut looks = 0;
        while looks < LOOKS.len() && Instant::now() < expired {
            tokio::time::sleep(LOOKS[looks]).await;
            // A look that fails is none.
            looks = match self.settle(lease, self.release_limit()).await {
                true => looks + 1,
                false => looks.max(1),
            };
            if !self.held().contains_key(lease) {
                return;
            }
        }
    }
}
