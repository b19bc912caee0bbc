//! Leases boxes: never more than the quota, every box labelled, terminated on release, on drop and by a sweep.

use crate::client::{BoxFilter, GboxClient};
use crate::error::GboxError;
use crate::wire::{BoxObject, BoxStatus, CreateBox, CreateBoxConfig, duration_text};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Label that names the run.
pub const RUN_LABEL: &str = "cua-grpo-run";
/// Label that names one lease, unique for ever.
pub const LEASE_LABEL: &str = "cua-grpo-lease";

/// How many boxes, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolConfig {
    /// Most boxes at once. Default 4.
    pub quota: usize,
    /// Names the run in the label [`RUN_LABEL`]. Default `run-` and a random part.
    pub run_label: String,
    /// Life of a box that nobody terminates. Default 15 minutes.
    pub expires_in: Duration,
    /// How long a box may take to boot. Default 60 s, at most 5 minutes.
    pub boot_timeout: Duration,
    /// `virtual` or `physical`; the service's choice when absent (default).
    pub device_type: Option<String>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            quota: 4,
            run_label: format!("run-{}", uuid::Uuid::new_v4()),
            expires_in: Duration::from_secs(15 * 60),
            boot_timeout: Duration::from_secs(60),
            device_type: None,
        }
    }
}

/// What a pool did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Boxes created.
    pub created: u64,
    /// Boxes terminated by release, drop or sweep.
    pub terminated: u64,
    /// Creates that failed.
    pub create_faults: u64,
    /// Terminations that failed: the box lives until it expires, or until a sweep.
    pub terminate_faults: u64,
}

#[derive(Debug, Default)]
struct Counters {
    created: AtomicU64,
    terminated: AtomicU64,
    create_faults: AtomicU64,
    terminate_faults: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    client: GboxClient,
    config: PoolConfig,
    slots: Arc<Semaphore>,
    counters: Counters,
}

/// A pool of boxes. Cheap to clone: clones share the quota.
#[derive(Debug, Clone)]
pub struct BoxPool {
    inner: Arc<Inner>,
}

impl BoxPool {
    /// An empty pool; boxes are created when they are leased.
    ///
    /// # Errors
    /// [`GboxError::Config`] when the quota is 0.
    pub fn new(client: GboxClient, config: PoolConfig) -> Result<Self, GboxError> {
        if config.quota == 0 || config.quota > Semaphore::MAX_PERMITS {
            return Err(GboxError::Config(format!(
                "expected a quota of at least one box, got {}",
                config.quota
            )));
        }
        let slots = Arc::new(Semaphore::new(config.quota));
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                config,
                slots,
                counters: Counters::default(),
            }),
        })
    }

    /// The client behind the pool.
    pub fn client(&self) -> &GboxClient {
        &self.inner.client
    }

    /// The label of this run; hand it to [`BoxPool::sweep`] of a later run after a crash.
    pub fn run_label(&self) -> &str {
        &self.inner.config.run_label
    }

    /// What was done so far.
    pub fn stats(&self) -> PoolStats {
        let counters = &self.inner.counters;
        PoolStats {
            created: counters.created.load(Ordering::Relaxed),
            terminated: counters.terminated.load(Ordering::Relaxed),
            create_faults: counters.create_faults.load(Ordering::Relaxed),
            terminate_faults: counters.terminate_faults.load(Ordering::Relaxed),
        }
    }

    /// Asks the service for nothing much: a wrong key or address shows before the run, not in its middle.
    ///
    /// # Errors
    /// 401, and failures of the network.
    pub async fn preflight(&self) -> Result<(), GboxError> {
        self.inner.client.list_boxes(&BoxFilter::default(), 1).await.map(|_| ())
    }

    /// Waits for a free slot and creates a box with these environment variables and further labels.
    ///
    /// # Errors
    /// What [`GboxClient::create_android`] says. A box that a failed create may have left is looked for and
    /// terminated before the error is handed on.
    pub async fn lease(
        &self,
        envs: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    ) -> Result<BoxLease, GboxError> {
        let acquired = self.inner.slots.clone().acquire_owned().await;
        let permit = acquired.map_err(|_| GboxError::Config("the pool is closed: lease before close".to_owned()))?;
        let lease_id = uuid::Uuid::new_v4().to_string();
        match self.inner.create(&lease_id, envs, labels).await {
            Ok(object) => {
                self.inner.counters.created.fetch_add(1, Ordering::Relaxed);
                Ok(BoxLease {
                    inner: self.inner.clone(),
                    object,
                    permit: Some(permit),
                    runtime: Handle::current(),
                })
            }
            Err(error) => {
                self.inner.counters.create_faults.fetch_add(1, Ordering::Relaxed);
                if error.is_ambiguous() {
                    match self.inner.sweep(LEASE_LABEL, &lease_id).await {
                        Ok(count) => tracing::warn!(%error, count, "terminated what a failed create left"),
                        Err(sweep) => tracing::error!(%error, %sweep, "a failed create may have left a box"),
                    }
                }
                Err(error)
            }
        }
    }

    /// Terminates the boxes of the run with this label that still live, and tells how many there were.
    ///
    /// # Errors
    /// When they cannot be listed; a single termination that fails is counted, and the rest goes on.
    pub async fn sweep(&self, run_label: &str) -> Result<usize, GboxError> {
        self.inner.sweep(RUN_LABEL, run_label).await
    }

    /// Refuses new leases, waits until every box of this pool is terminated, and sweeps what is left of the run.
    ///
    /// Leases that are held elsewhere must be released or dropped, or this waits for them.
    ///
    /// # Errors
    /// As [`BoxPool::sweep`].
    pub async fn close(&self) -> Result<usize, GboxError> {
        let quota = u32::try_from(self.inner.config.quota).unwrap_or(u32::MAX);
        // All slots back means that all terminations, also those spawned by drops, are over.
        let all = self.inner.slots.acquire_many(quota).await;
        self.inner.slots.close();
        drop(all);
        self.sweep(self.run_label()).await
    }
}

impl Inner {
    async fn create(
        &self,
        lease_id: &str,
        envs: BTreeMap<String, String>,
        mut labels: BTreeMap<String, String>,
    ) -> Result<BoxObject, GboxError> {
        labels.insert(RUN_LABEL.to_owned(), self.config.run_label.clone());
        labels.insert(LEASE_LABEL.to_owned(), lease_id.to_owned());
        let config = CreateBoxConfig {
            device_type: self.config.device_type.clone(),
            envs,
            labels,
            expires_in: Some(duration_text(self.config.expires_in)),
            keep_alive: None,
        };
        let timeout = Some(duration_text(self.config.boot_timeout));
        let object = self
            .client
            .create_android(&CreateBox {
                config: Some(config),
                timeout,
                wait: Some(true),
            })
            .await?;
        match self.until_running(object).await {
            Ok(object) => Ok(object),
            Err((id, error)) => {
                self.terminate(&id).await;
                Err(error)
            }
        }
    }

    /// Polls a box that still boots; on failure the id of the box comes along.
    async fn until_running(&self, mut object: BoxObject) -> Result<BoxObject, (String, GboxError)> {
        let deadline = tokio::time::Instant::now() + self.config.boot_timeout;
        while object.status == BoxStatus::Pending && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(500)).await;
            object = self
                .client
                .get_box(&object.id)
                .await
                .map_err(|error| (object.id.clone(), error))?;
        }
        if object.status == BoxStatus::Running {
            return Ok(object);
        }
        let error = GboxError::NotRunning {
            operation: "create box".to_owned(),
            box_id: object.id.clone(),
            status: object.status.as_str().to_owned(),
            reason: object.reason.unwrap_or_else(|| "no reason given".to_owned()),
        };
        Err((object.id, error))
    }

    async fn terminate(&self, id: &str) -> bool {
        match self.client.terminate(id, false).await {
            Ok(()) => {
                self.counters.terminated.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(error) => {
                self.counters.terminate_faults.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, box_id = id, "a box could not be terminated; it lives until it expires");
                false
            }
        }
    }

    async fn sweep(&self, label: &str, value: &str) -> Result<usize, GboxError> {
        let filter = BoxFilter {
            statuses: vec![BoxStatus::Pending, BoxStatus::Running],
            labels: BTreeMap::from([(label.to_owned(), value.to_owned())]),
        };
        let mut leaked = Vec::new();
        for page in 1.. {
            let list = self.client.list_boxes(&filter, page).await?;
            let last = list.data.len() < list.page_size.max(1) as usize;
            // The labels are compared here too: a service that ignores the filter must not cost other people's boxes.
            let ours = |object: &BoxObject| object.config.labels.get(label).is_some_and(|found| found == value);
            leaked.extend(list.data.into_iter().filter(ours).map(|object| object.id));
            if last {
                break;
            }
        }
        let mut count = 0;
        for id in leaked {
            count += usize::from(self.terminate(&id).await);
        }
        Ok(count)
    }
}

/// A running box that is yours until you release or drop it.
#[derive(Debug)]
pub struct BoxLease {
    inner: Arc<Inner>,
    object: BoxObject,
    /// `None` once the box is released.
    permit: Option<OwnedSemaphorePermit>,
    runtime: Handle,
}

impl BoxLease {
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
        &self.inner.client
    }

    /// Terminates the box and frees its slot. False when the termination failed (counted in [`PoolStats`]).
    ///
    /// When this future is dropped half-way, the box is terminated in the background.
    pub async fn release(mut self) -> bool {
        let done = self.inner.terminate(&self.object.id).await;
        self.permit = None;
        done
    }
}

impl Drop for BoxLease {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let (inner, id) = (self.inner.clone(), self.object.id.clone());
        self.runtime.spawn(async move {
            inner.terminate(&id).await;
            drop(permit);
        });
    }
}
