//! What a pool is to be, and what it has done.

use crate::error::GboxError;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many boxes, for how long, and how long their end may take.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolConfig {
    /// Most boxes at once. Default 4.
    pub quota: usize,
    /// Names the run in the label [`RUN_LABEL`](crate::RUN_LABEL). Boxes of an earlier process with the same label are
    /// this pool's to end. Default `run-` and a random part.
    pub label: String,
    /// Life of a box that nobody terminates. Default 15 minutes.
    pub expires_in: Duration,
    /// How long a box may take to boot. Default 60 s, at most 5 minutes.
    pub boot_timeout: Duration,
    /// `virtual` or `physical`; the service's choice when absent (default).
    pub device_type: Option<String>,
    /// How long a release waits for its box to be gone; what is left is done in the background, and the place of the box
    /// stays taken until then. Default 10 s.
    pub release_timeout: Duration,
    /// How long closing the pool may take. Default 30 s.
    pub close_timeout: Duration,
    /// How long calls may go on once the end is asked for ([`BoxPool::end`](crate::BoxPool::end)); so long a release may
    /// take then, too, and closing the pool twice as long. Default 2 s.
    pub grace: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            quota: 4,
            label: format!("run-{}", uuid::Uuid::new_v4()),
            expires_in: Duration::from_secs(15 * 60),
            boot_timeout: Duration::from_secs(60),
            device_type: None,
            release_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(2),
        }
    }
}

impl PoolConfig {
    pub(super) fn check(&self) -> Result<(), GboxError> {
        if self.quota == 0 || self.quota > Semaphore::MAX_PERMITS {
            return Err(GboxError::Config(format!(
                "expected a quota of at least one box, got {}",
                self.quota
            )));
        }
        if self.label.is_empty() {
            return Err(GboxError::Config(
                "expected a label that names the run, got an empty one".to_owned(),
            ));
        }
        Ok(())
    }
}

/// What a pool did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Boxes created.
    pub created: u64,
    /// Boxes terminated by release, drop or sweep.
    pub terminated: u64,
    /// Creates that failed and were given up.
    pub create_faults: u64,
    /// Boxes whose first termination failed, which is tried again until the box is gone or has expired; and those that are
    /// there at the end of the pool although their end was acknowledged.
    pub terminate_faults: u64,
    /// Actions whose answer was lost, so that nobody knows whether they were done: they were not sent again.
    pub unsure: u64,
}

/// What closing a pool left.
#[derive(Debug, Default)]
pub struct Closed {
    /// Boxes that the sweep found and ended.
    pub swept: usize,
    /// Ids of boxes that may live.
    pub left: Vec<String>,
    /// A box may come up that a create has left, whose id nobody was told.
    pub unborn: bool,
    /// Why it is not known which boxes live.
    pub unknown: Option<GboxError>,
}

impl Closed {
    /// Whether all boxes are known to be gone.
    pub fn is_clean(&self) -> bool {
        self.left.is_empty() && !self.unborn && self.unknown.is_none()
    }
}
