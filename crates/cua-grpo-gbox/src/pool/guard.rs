//! The end of a pool that nobody closes in order: a panic, an error on the way out.

use super::BoxPool;
use crate::sweep::RUN_LABEL;
use std::time::Duration;

/// Longest sweep of a guard.
const LIMIT: Duration = Duration::from_secs(6);

/// Sweeps the boxes of a pool when it is dropped before [`BoxPool::close`] was called, on a thread of its own; it works
/// in a panic too.
#[derive(Debug)]
pub struct PoolGuard {
    pub(super) pool: BoxPool,
}

impl Drop for PoolGuard {
    fn drop(&mut self) {
        if self.pool.inner.slots.is_closed() || self.pool.inner.is_untouched() {
            return;
        }
        let label = &self.pool.inner.config.label;
        match self.pool.sweep_from_outside(LIMIT) {
            Ok(swept) if swept.left.is_empty() => {
                tracing::warn!("{} boxes of this run were ended on the way out", swept.ended.len());
            }
            Ok(swept) => {
                let ids: Vec<&str> = swept.left.iter().map(|(id, _)| id.as_str()).collect();
                tracing::error!(
                    "boxes may be left, with the label {RUN_LABEL}={label}: {}",
                    ids.join(", ")
                );
            }
            Err(error) => tracing::error!("boxes may be left, with the label {RUN_LABEL}={label}: {error}"),
        }
    }
}
