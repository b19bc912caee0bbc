//! Leases boxes: never more than the quota, every box labelled, terminated on release, on drop and by a sweep.

mod config;
mod guard;
mod inner;
mod lease;
mod room;

pub use config::{Closed, PoolConfig, PoolStats};
pub use guard::PoolGuard;
pub use lease::BoxLease;

use crate::client::{BoxFilter, GboxClient};
use crate::error::GboxError;
use crate::patience::Queue;
use crate::retry::{Remedy, Safety, remedy};
use crate::sweep::{LEASE_LABEL, Swept, boxes_of_run, end_boxes, sweep_from_outside};
use crate::wire::{BoxObject, BoxStatus};
use inner::Inner;
use lease::Claim;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How long boxes whose end was acknowledged may still be listed.
const LONGEST_LOOK: Duration = Duration::from_secs(3);

/// A pool of boxes. Cheap to clone: clones share the quota.
#[derive(Debug, Clone)]
pub struct BoxPool {
    inner: Arc<Inner>,
}

impl BoxPool {
    /// An empty pool; boxes are created when they are leased.
    ///
    /// # Errors
    /// [`GboxError::Config`] when the quota is 0, or the label empty.
    pub fn new(client: GboxClient, config: PoolConfig) -> Result<Self, GboxError> {
        config.check()?;
        Ok(Self {
            inner: Arc::new(Inner::new(client, config)),
        })
    }

    /// The client behind the pool.
    pub fn client(&self) -> &GboxClient {
        &self.inner.client
    }

    /// What the pool is to be.
    pub fn config(&self) -> &PoolConfig {
        &self.inner.config
    }

    /// What was done so far.
    pub fn stats(&self) -> PoolStats {
        self.inner.stats()
    }

    /// Ends the boxes of this pool when it is dropped without [`BoxPool::close`].
    pub fn guard(&self) -> PoolGuard {
        PoolGuard { pool: self.clone() }
    }

    /// Asks the service for nothing much: a wrong key or address shows before the run, not in its middle. An address
    /// where nobody answers is not waited for, as it may be mistyped; a service that is busy is.
    ///
    /// # Errors
    /// 401, and failures of the network.
    pub async fn preflight(&self) -> Result<(), GboxError> {
        let client = &self.inner.client;
        let filter = BoxFilter::default();
        let asked = client.brief(2 * client.config().timeout).list_boxes(&filter, 1).await;
        match asked {
            Err(error) if error.status().is_some() && remedy(Safety::Reading, &error) == Remedy::Wait => {
                client.list_boxes(&filter, 1).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    /// Waits for a free place and creates a box with these environment variables and further labels. A create that may
    /// have left a box is made good by its label before another one is sent; a service that creates none is waited for.
    ///
    /// # Errors
    /// [`GboxError::Full`] when the service gives no more boxes than this pool has already: who asks may be who holds them. What
    /// [`GboxClient::create_android`] says once no further try is allowed.
    pub async fn lease(
        &self,
        envs: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    ) -> Result<BoxLease, GboxError> {
        let inner = &self.inner;
        let held = inner.held().len();
        if let Some(places) = inner.room.full(held) {
            return Err(GboxError::Full { places });
        }
        let mut permit = self.place().await?;
        let policy = *inner.client.policy();
        let (mut retry, mut refused, mut waiting, mut failed) = (0, 0, None, None);
        loop {
            let claim = Claim::new(inner.clone(), permit);
            let error = match self.create(&claim, &envs, &labels).await {
                Ok(object) => return Ok(BoxLease::new(claim, object)),
                Err(error) => error,
            };
            let since = *failed.get_or_insert_with(Instant::now);
            let wait = match remedy(Safety::Creating, &error) {
                Remedy::None => Err(error.clone()),
                Remedy::Again => {
                    retry += 1;
                    policy.wait(&error, retry).ok_or_else(|| error.clone())
                }
                Remedy::Wait => {
                    let waiting = waiting.get_or_insert_with(|| inner.client.patience().wait(Queue::Creating, since));
                    waiting.next(&policy, error.clone())
                }
            };
            permit = match self.make_good(claim, &error).await {
                Some(permit) => permit,
                // What is left works on in the background, and keeps its place until it is done.
                None if wait.is_ok() => self.place().await?,
                None => return Err(self.given_up(error)),
            };
            refused += u32::from(error.status() == Some(429));
            self.check_room(refused)?;
            match wait {
                Err(error) => return Err(self.given_up(error)),
                Ok(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => inner.client.note_retry(),
                    () = inner.client.ended() => return Err(self.given_up(error)),
                },
            }
        }
    }

    /// Whether a create that was `refused` so often for want of room could succeed before a box of this pool ends. One refusal
    /// may be of too many requests.
    fn check_room(&self, refused: u32) -> Result<(), GboxError> {
        let (inner, places) = (&self.inner, self.inner.born());
        if refused < 2 || places == 0 {
            return Ok(());
        }
        if inner.room.learn(places) {
            tracing::warn!(
                "the service gives {places} phones at once, {} were to be used: the rest waits for one of them",
                inner.config.quota
            );
        }
        Err(GboxError::Full { places })
    }

    fn given_up(&self, error: GboxError) -> GboxError {
        self.inner.counters.create_faults.fetch_add(1, Ordering::Relaxed);
        error
    }

    /// A free place. Places of boxes that cannot be ended stay taken, so an outage is waited for here too, and as long.
    async fn place(&self) -> Result<OwnedSemaphorePermit, GboxError> {
        let closed = || GboxError::Config("the pool is closed: lease before close".to_owned());
        let operation = || "wait for a box".to_owned();
        let client = &self.inner.client;
        let acquired = self.inner.slots.clone().acquire_owned();
        tokio::select! {
            biased;
            acquired = acquired => acquired.map_err(|_| closed()),
            () = client.ended() => Err(GboxError::Ended { operation: operation() }),
            waited = client.patience().exhausted(client.policy().outage_budget) => {
                let last = Box::new(GboxError::TimedOut { operation: operation(), limit: waited });
                Err(GboxError::GaveUp { waited, last })
            }
        }
    }

    /// One try to have a running box.
    async fn create(
        &self,
        claim: &Claim,
        envs: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> Result<BoxObject, GboxError> {
        let inner = &self.inner;
        let object = inner.create(&claim.lease, envs.clone(), labels.clone()).await?;
        inner.take(&claim.lease, &object)?;
        if object.status == BoxStatus::Running {
            return Ok(object);
        }
        inner.until_running(object).await
    }

    /// Ends what a failed create may have left; its place comes back when nothing can be left.
    async fn make_good(&self, claim: Claim, error: &GboxError) -> Option<OwnedSemaphorePermit> {
        let inner = &self.inner;
        let limit = inner.release_limit();
        let id = inner.held().get(&claim.lease).and_then(|held| held.id.clone());
        if let Some(id) = id {
            let terminated = tokio::time::timeout(limit, inner.terminate(&claim.lease, &id)).await;
            return terminated.unwrap_or(false).then(|| claim.vacated())?;
        }
        if error.is_ambiguous() && !inner.settle(&claim.lease, limit).await {
            return None;
        }
        let permit = claim.vacated();
        if error.status() == Some(429) {
            // The quota may be used up by boxes of ours that came late. If they cannot be listed, the next try will tell.
            let _ = inner.end_strays(&inner.client.brief(limit)).await;
        }
        permit
    }

    /// Terminates boxes with the label of this pool that none of its leases holds, e.g. those of an earlier process, and
    /// tells how many there were.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn sweep(&self) -> Result<usize, GboxError> {
        self.inner.end_strays(&self.inner.client).await
    }

    /// The end is asked for: calls under way may go on for [`PoolConfig::grace`], then they and all others fail, and
    /// nothing is waited for any more. What ends boxes goes on, briefly.
    pub fn end(&self) {
        self.inner.client.end(self.inner.config.grace);
    }

    /// Refuses new leases, waits until every box of this pool is terminated, and sweeps what is left of the run; all
    /// that within [`PoolConfig::close_timeout`], or twice [`PoolConfig::grace`] once the end was asked for.
    ///
    /// Leases that are held elsewhere must be released or dropped before, or their boxes are ended under them.
    pub async fn close(&self) -> Closed {
        let (client, config) = (&self.inner.client, &self.inner.config);
        if !client.ending() {
            tokio::select! {
                closed = self.close_within(config.close_timeout) => return closed,
                () = client.asked_to_end() => {}
            }
        }
        // Also where the end is asked for while boxes are being ended.
        self.close_within(2 * config.grace).await
    }

    /// [`BoxPool::close`] with the time that it may take.
    async fn close_within(&self, limit: Duration) -> Closed {
        let inner = &self.inner;
        let config = &inner.config;
        let deadline = Instant::now() + limit;
        let quota = u32::try_from(config.quota).unwrap_or(u32::MAX);
        // All places back means that all terminations, also those spawned by drops, are over.
        let all = tokio::time::timeout(limit / 2, inner.slots.acquire_many(quota)).await;
        inner.slots.close();
        drop(all);
        let mut closed = Closed::default();
        let mut pause = Duration::from_millis(50);
        let still = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let look = self.look_around(&mut closed, left);
            let still = tokio::time::timeout(left, look).await.unwrap_or_else(|_| {
                let operation = "sweep boxes".to_owned();
                closed.unknown = Some(GboxError::TimedOut { operation, limit });
                0
            });
            // Where the service acknowledges the ends of all that is left, another try would change nothing.
            let in_vain = still > 0 && still == closed.left.len() && !closed.unborn;
            if in_vain || closed.is_clean() || Instant::now() + pause >= deadline {
                break still;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        };
        let faults = &inner.counters.terminate_faults;
        faults.fetch_add(still as u64, Ordering::Relaxed);
        if closed.unknown.is_some() {
            closed.left = inner.held().values().filter_map(|held| held.id.clone()).collect();
        }
        closed
    }

    /// Ends what is left of the run, and notes what cannot be ended; how many boxes are still there although their end was
    /// acknowledged.
    async fn look_around(&self, closed: &mut Closed, limit: Duration) -> usize {
        let inner = &self.inner;
        let client = inner.client.brief(limit.div_f64(2.5));
        let found = match boxes_of_run(&client, &inner.config.label).await {
            Ok(found) => found,
            Err(error) => {
                closed.unknown = Some(error);
                return 0;
            }
        };
        closed.unknown = None;
        let patience = LONGEST_LOOK.min(limit / 5);
        let swept = end_boxes(&client, found.clone(), patience).await;
        for id in &swept.ended {
            let lease = found.iter().find(|listed| listed.id == *id);
            let lease = lease.and_then(|listed| listed.labels.get(LEASE_LABEL));
            match lease.filter(|lease| inner.held().contains_key(*lease)) {
                Some(lease) => inner.gone(lease),
                // It was counted when its end was acknowledged.
                None if inner.was_given(id) => {}
                None => _ = inner.counters.terminated.fetch_add(1, Ordering::Relaxed),
            }
        }
        closed.swept += swept.ended.len();
        let lied = |error: &GboxError| matches!(error, GboxError::StillThere { .. });
        let still = swept.left.iter().filter(|(_, error)| lied(error)).count();
        closed.left = swept.left.into_iter().map(|(id, _)| id).collect();
        // A box that no list shows is gone; one that nobody knows by its id may still come up.
        let mut held = inner.held();
        held.retain(|_, held| held.id.as_ref().is_none_or(|id| closed.left.contains(id)));
        closed.unborn = held.values().any(|held| held.id.is_none());
        still
    }

    /// Sweeps the run on a thread and a connection of its own, for a program that is not able to do it in order. It takes
    /// `limit` at most.
    ///
    /// # Errors
    /// When boxes cannot be listed.
    pub fn sweep_from_outside(&self, limit: Duration) -> Result<Swept, GboxError> {
        sweep_from_outside(self.client(), &self.inner.config.label, limit)
    }
}
