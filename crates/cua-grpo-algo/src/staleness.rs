//! The staleness law: how many rollouts may start, so that none is trained on too long after it was sampled.
//!
//! From AReaL: with `eta` the bound of staleness in versions, `v` the published version, `B` the episodes that one
//! update consumes, `accepted` the episodes accepted since the start of the run and `running` those under way,
//!
//! `capacity = min(max(1, max_concurrent) - running, (eta + v + 1) B - (accepted + running))`.
//!
//! `eta` = 0 is synchronous training. An episode that is dropped leaves `running` and so frees its place.

/// The bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalenessLimit {
    /// How many versions old an episode may be when it is trained on.
    pub max_staleness: u64,
    /// Episodes that one update consumes.
    pub batch: u64,
    /// Episodes that may be under way at a time.
    pub max_concurrent: u64,
}

/// How many episodes may be started now; negative when there are too many already.
pub fn capacity(limit: StalenessLimit, version: u64, accepted: u64, running: u64) -> i64 {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let concurrent = signed(limit.max_concurrent.max(1)) - signed(running);
    let ahead = limit
        .max_staleness
        .saturating_add(version)
        .saturating_add(1)
        .saturating_mul(limit.batch);
    concurrent.min(signed(ahead) - signed(accepted.saturating_add(running)))
}
