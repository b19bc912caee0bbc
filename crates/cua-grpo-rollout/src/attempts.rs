//! Attempts at an episode, until one ends or the retries are used up.

use crate::episode::{Collector, Lost, Slot, Started};
use crate::stats::{ProgressEvent, Span};
use cua_grpo_core::{Episode, Fault};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Wait before it is looked again whether there is a place.
pub(crate) const FULL: Duration = Duration::from_millis(250);

impl Collector {
    /// An episode of `slot`, with retries; `Err(Lost::Fault)` when they are used up.
    pub(crate) async fn episode(&self, slot: &mut Slot) -> Result<Episode, Lost> {
        let _place = self.board.measure(Span::Place);
        loop {
            let started = self.start_or_give_up(slot).await?;
            let session = self.open(slot);
            match self.play(slot, started, session).await {
                Err(Lost::Fault(fault)) if self.try_again(slot, &fault, true) => {}
                outcome => return outcome,
            }
        }
    }

    /// A started environment for `slot`, with retries; `Err(Lost::Fault)` when they are used up. Where there is no place, one is
    /// waited for, but in lockstep: the others of a wave hold theirs until the whole wave plays.
    pub(crate) async fn start_or_give_up(&self, slot: &mut Slot) -> Result<Started, Lost> {
        loop {
            self.wait_before_retry(slot).await?;
            match self.start(slot).await {
                Err(Lost::Fault(fault)) if self.try_again(slot, &fault, false) => {}
                Err(Lost::Full(_)) if !self.config.lockstep => self.pause(&slot.stop, FULL).await?,
                outcome => return outcome,
            }
        }
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// [`Lost::Cancelled`] when `stop` is cancelled before.
    pub(crate) async fn pause(&self, stop: &CancellationToken, time: Duration) -> Result<(), Lost> {
        tokio::select! {
            () = stop.cancelled() => Err(Lost::Cancelled),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Counts a fault and says whether the slot is tried again.
    pub(crate) fn try_again(&self, slot: &mut Slot, fault: &Fault, played: bool) -> bool {
        slot.faults += 1;
        slot.plays += u64::from(played);
        let retried = slot.faults <= self.config.max_retries;
        self.fault(slot, fault, retried);
        retried
    }

    /// Counts a fault.
    pub(crate) fn fault(&self, slot: &Slot, fault: &Fault, retried: bool) {
        tracing::warn!(slot = slot.index, task = %slot.task.id, %fault, retried, "an attempt was lost");
        let task = slot.task.id.clone();
        self.board.event(ProgressEvent::Fault {
            slot: slot.index,
            task,
            fault: fault.clone(),
            retried,
        });
    }

    async fn wait_before_retry(&self, slot: &Slot) -> Result<(), Lost> {
        if slot.stop.is_cancelled() {
            return Err(Lost::Cancelled);
        }
        let Some(doublings) = slot.faults.checked_sub(1) else {
            return Ok(());
        };
        let delay = self.config.retry_delay.saturating_mul(1 << doublings.min(10));
        self.pause(&slot.stop, delay).await
    }
}
