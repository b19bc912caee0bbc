//! What was lost to faults, as figures of a line of `metrics.jsonl`, and how much of it is too much.

use anyhow::Result;
use cua_grpo_core::Group;
use cua_grpo_rollout::RolloutStats;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Faults and boxes of one step or evaluation. Without faults as many boxes are created and terminated as there are
/// episodes, and all other figures are 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultFigures {
    /// Episodes given up after the last attempt.
    pub lost: usize,
    /// Attempts for which a device could not be had, was lost, or did not answer.
    pub faults_environment: usize,
    /// Attempts whose initial state could not be established.
    pub faults_setup: usize,
    /// Attempts whose end could not be validated.
    pub faults_validator: usize,
    /// Attempts that the sampler failed.
    pub faults_sampler: usize,
    /// Attempts whose messages could not be turned into tokens.
    pub faults_renderer: usize,
    /// Times that the reward failed.
    pub faults_reward: usize,
    /// Faults of kinds that another project has added.
    pub faults_other: usize,
    /// Environments whose release after a fault or cancellation failed as well.
    pub release_faults: usize,
    /// Boxes created.
    pub boxes_created: u64,
    /// Boxes terminated.
    pub boxes_terminated: u64,
    /// Creates that failed.
    pub box_create_faults: u64,
    /// Boxes whose first termination failed: it is tried again until they are gone.
    pub box_terminate_faults: u64,
    /// Actions whose answer was lost: they were not sent again, the screen was looked at instead.
    pub actions_unsure: u64,
    /// Times that calls waited for a service that took no requests.
    pub outages: u64,
    /// Wall-clock seconds of them.
    pub outage_s: f64,
    /// Requests that were sent again after a transient failure.
    pub request_retries: u64,
}

/// What was done with devices up to a moment. Where there are none to count, all is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceCounts {
    /// Devices created.
    pub created: u64,
    /// Devices given back.
    pub terminated: u64,
    /// Creates that failed.
    pub create_faults: u64,
    /// Terminations that failed.
    pub terminate_faults: u64,
    /// Actions of which nobody knows whether they were done.
    pub unsure: u64,
    /// Times that a service was waited for.
    pub outages: u64,
    /// How long, all together.
    pub outage: Duration,
    /// Requests that were sent again.
    pub retries: u64,
}

impl DeviceCounts {
    /// What was done after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            created: self.created.saturating_sub(before.created),
            terminated: self.terminated.saturating_sub(before.terminated),
            create_faults: self.create_faults.saturating_sub(before.create_faults),
            terminate_faults: self.terminate_faults.saturating_sub(before.terminate_faults),
            unsure: self.unsure.saturating_sub(before.unsure),
            outages: self.outages.saturating_sub(before.outages),
            outage: self.outage.saturating_sub(before.outage),
            retries: self.retries.saturating_sub(before.retries),
        }
    }

    /// Adds what was done after these.
    pub fn add(&mut self, later: Self) {
        self.created += later.created;
        self.terminated += later.terminated;
        self.create_faults += later.create_faults;
        self.terminate_faults += later.terminate_faults;
        self.unsure += later.unsure;
        self.outages += later.outages;
        self.outage += later.outage;
        self.retries += later.retries;
    }
}

/// Tells the counts of now.
pub type Counter = Arc<dyn Fn() -> DeviceCounts + Send + Sync>;

impl FaultFigures {
    /// The figures of a collection that began with the counts `before` and ended with those of `now`.
    pub fn of(stats: &RolloutStats, before: DeviceCounts, now: DeviceCounts) -> Self {
        let spent = now.since(before);
        Self {
            lost: stats.lost,
            faults_environment: stats.faults.environment,
            faults_setup: stats.faults.setup,
            faults_validator: stats.faults.validator,
            faults_sampler: stats.faults.sampler,
            faults_renderer: stats.faults.renderer,
            faults_reward: stats.faults.reward,
            faults_other: stats.faults.other.values().sum(),
            release_faults: stats.release_faults,
            boxes_created: spent.created,
            boxes_terminated: spent.terminated,
            box_create_faults: spent.create_faults,
            box_terminate_faults: spent.terminate_faults,
            actions_unsure: spent.unsure,
            outages: spent.outages,
            outage_s: spent.outage.as_secs_f64(),
            request_retries: spent.retries,
        }
    }
}

/// More was lost than the configuration allows: what was reached is saved, and the command fails.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TooMany(pub String);

/// The first fault of an episode that was given up, in words.
pub fn first_fault(groups: &[Group]) -> Option<String> {
    groups
        .iter()
        .flat_map(|group| &group.faults)
        .next()
        .map(ToString::to_string)
}

/// Refuses figures that too many lost episodes stand behind.
///
/// # Errors
/// When more than `share` of the `asked` episodes, or all of them, were `lost`.
pub fn check_lost(what: &str, lost: usize, asked: usize, share: f64, first: Option<&str>) -> Result<()> {
    if lost == 0 || (lost < asked && lost as f64 <= share * asked as f64) {
        return Ok(());
    }
    Err(TooMany(format!(
        "{what}: {lost} of {asked} episodes were lost to faults, and max_lost_share allows a share of {share}; the first: {}",
        first.unwrap_or("not recorded")
    ))
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_share_is_an_error_and_so_is_everything() {
        let check = |lost, asked, share| check_lost("step 3", lost, asked, share, Some("no box"));
        for (lost, asked, share, fine) in [
            (0, 64, 0.0, true),
            (16, 64, 0.25, true),
            (17, 64, 0.25, false),
            (1, 64, 0.0, false),
            (63, 64, 1.0, true),
            (64, 64, 1.0, false),
        ] {
            assert_eq!(check(lost, asked, share).is_ok(), fine, "{lost} of {asked} at {share}");
        }
        let text = check(60, 64, 0.25).unwrap_err().to_string();
        for word in ["step 3", "60 of 64", "max_lost_share", "0.25", "no box"] {
            assert!(text.contains(word), "{word} in {text}");
        }
        // What helps is said by the fault itself: a refused box by the client of the service, a sampler by itself.
        assert!(text.ends_with("the first: no box"), "{text}");
    }
}
