//! How the slots of a collection become episodes: each on its own, or in lockstep.

use crate::attempts::FULL;
use crate::episode::{Collector, Lost, Slot};
use crate::ledger::Ledger;
use crate::stats::Span;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Every slot on its own: as soon as there is a place it starts, plays, and tries again after faults.
pub(crate) async fn free(run: &Arc<Collector>, slots: Vec<Slot>, ledger: &mut Ledger) {
    let places = Arc::new(Semaphore::new(run.config.concurrency));
    let mut episodes = JoinSet::new();
    for mut slot in slots {
        let (run, places) = (run.clone(), places.clone());
        episodes.spawn(async move {
            let place = tokio::select! {
                biased;
                () = slot.stop.cancelled() => None,
                place = places.acquire() => place.ok(),
            };
            let outcome = match place {
                None => Err(Lost::Cancelled),
                Some(_place) => run.episode(&mut slot).await,
            };
            (slot, outcome)
        });
    }
    while let Some(joined) = episodes.join_next().await {
        if let Some((slot, outcome)) = ledger.joined(joined) {
            ledger.enter(slot, outcome);
        }
    }
}

/// Slots in waves of `concurrency`: all start, then sessions are opened in slot order, then all play. What is lost
/// while playing is put before the slots that still wait, and so is what found no place; later waves are no larger than the
/// one that did. So the composition of every wave depends on faults and places alone.
pub(crate) async fn lockstep(run: &Arc<Collector>, slots: Vec<Slot>, ledger: &mut Ledger) {
    let mut waiting = VecDeque::from(slots);
    let mut at_once = run.config.concurrency;
    while !waiting.is_empty() && !run.stop.is_cancelled() {
        let wave: Vec<Slot> = waiting.drain(..waiting.len().min(at_once)).collect();
        let mut starts = JoinSet::new();
        for mut slot in wave {
            let run = run.clone();
            starts.spawn(async move {
                let _place = run.board.measure(Span::Place);
                let started = run.start_or_give_up(&mut slot).await;
                (slot, started)
            });
        }
        let (mut ready, mut crowded) = (BTreeMap::new(), BTreeMap::new());
        while let Some(joined) = starts.join_next().await {
            match ledger.joined(joined) {
                Some((slot, Ok(started))) => _ = ready.insert(slot.index, (slot, started)),
                Some((slot, Err(Lost::Full(_)))) => _ = crowded.insert(slot.index, slot),
                Some((slot, Err(loss))) => ledger.enter(slot, Err(loss)),
                None => {}
            }
        }
        if !crowded.is_empty() {
            at_once = ready.len().max(1);
            if ready.is_empty() {
                // What holds the places ends elsewhere. Whoever asks for the end is heard above.
                let _ = run.pause(&run.stop, FULL).await;
            }
        }
        let sessions: Vec<_> = ready
            .into_values()
            .map(|(slot, started)| {
                let session = (!run.stop.is_cancelled()).then(|| run.open(&slot));
                (slot, started, session)
            })
            .collect();
        let mut plays = JoinSet::new();
        for (mut slot, started, session) in sessions {
            let run = run.clone();
            plays.spawn(async move {
                let _place = run.board.measure(Span::Place);
                let outcome = match session {
                    Some(session) => run.play(&slot, started, session).await,
                    None => {
                        run.abandon(started).await;
                        Err(Lost::Cancelled)
                    }
                };
                let again = matches!(&outcome, Err(Lost::Fault(fault)) if run.try_again(&mut slot, fault, true));
                (slot, outcome, again)
            });
        }
        let mut again = BTreeMap::new();
        while let Some(joined) = plays.join_next().await {
            match ledger.joined(joined) {
                Some((slot, _, true)) => _ = again.insert(slot.index, slot),
                Some((slot, outcome, false)) => ledger.enter(slot, outcome),
                None => {}
            }
        }
        again.append(&mut crowded);
        for slot in again.into_values().rev() {
            waiting.push_front(slot);
        }
    }
}
