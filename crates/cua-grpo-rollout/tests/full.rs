//! A source of environments that has fewer places than the engine asks for: slots wait their turn, and nothing is lost.
//!
//! Mutations tried: what finds no place counted as a fault, what finds none put behind the slots that still wait, waves as large
//! as before after one that was too large: each fails a test here.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use async_trait::async_trait;
use common::{Oracle, config, requests};
use cua_grpo_core::testing::{ByteRenderer, ScriptedEnvironment};
use cua_grpo_core::*;
use cua_grpo_rollout::{CancellationToken, Collection, EngineError, RolloutConfig, RolloutEngine};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// So many environments may be up at once.
struct House {
    places: usize,
    up: AtomicUsize,
    most: AtomicUsize,
    refused: AtomicUsize,
    /// Slots in the order in which they came up.
    came: Mutex<Vec<usize>>,
}

struct Guest {
    inner: ScriptedEnvironment,
    house: Arc<House>,
    slot: usize,
    up: bool,
}

#[async_trait]
impl Environment for Guest {
    async fn start(&mut self) -> Result<Observation, Fault> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let enter = |up: usize| (up < self.house.places).then_some(up + 1);
        match self.house.up.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter) {
            Ok(before) => _ = self.house.most.fetch_max(before + 1, Ordering::SeqCst),
            Err(_) => {
                self.house.refused.fetch_add(1, Ordering::SeqCst);
                return Err(Fault::new(FaultKind::Full, "start", "no place"));
            }
        }
        self.up = true;
        self.house.came.lock().unwrap().push(self.slot);
        self.inner.start().await
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.inner.step(reply).await
    }

    async fn finish(&mut self, ending: Ending) -> Result<Facts, Fault> {
        if std::mem::take(&mut self.up) {
            self.house.up.fetch_sub(1, Ordering::SeqCst);
        }
        self.inner.finish(ending).await
    }
}

struct Door(Arc<House>);

#[async_trait]
impl EnvironmentFactory for Door {
    async fn create(&self, _task: &Task, slot: usize) -> Result<Box<dyn Environment>, Fault> {
        Ok(Box::new(Guest {
            inner: ScriptedEnvironment::new("sesame"),
            house: self.0.clone(),
            slot,
            up: false,
        }))
    }
}

fn engine(places: usize, config: RolloutConfig) -> (RolloutEngine, Arc<House>) {
    let house = Arc::new(House {
        places,
        up: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
        came: Mutex::default(),
    });
    let oracle = Oracle {
        journal: Arc::default(),
        mute: false,
        endless: false,
    };
    let (door, renderer, reward) = (
        Arc::new(Door(house.clone())),
        Arc::new(ByteRenderer),
        Arc::new(VerifiedSuccess),
    );
    let engine = RolloutEngine::new(door, renderer, Arc::new(oracle), reward, config).unwrap();
    (engine, house)
}

async fn collect(places: usize, config: RolloutConfig) -> (Collection, Arc<House>) {
    let (engine, house) = engine(places, config);
    let collection = engine
        .collect(requests(3, 8), 5, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(house.up.load(Ordering::SeqCst), 0);
    (collection, house)
}

fn rows(collection: &Collection) -> Vec<&Row> {
    let episodes = collection.groups.iter().flat_map(|group| &group.episodes);
    episodes.map(|episode| &episode.row).collect()
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_place_waits_and_is_no_fault() {
    for lockstep in [true, false] {
        let (want, _) = collect(100, config(lockstep)).await;
        for places in [1, 5, 15] {
            let config = RolloutConfig {
                // Even one fault too many would lose its slot.
                max_retries: 0,
                ..config(lockstep)
            };
            let (collection, house) = collect(places, config).await;
            let stats = &collection.stats;
            assert_eq!(
                (stats.episodes, stats.lost, stats.faults.total()),
                (24, 0, 0),
                "{places} {lockstep}"
            );
            assert_eq!(house.most.load(Ordering::SeqCst), places, "all places are used");
            assert!(house.refused.load(Ordering::SeqCst) > 0);
            assert_eq!(rows(&collection), rows(&want), "the same tokens, whoever waited");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waves_are_no_larger_than_the_places_and_keep_their_order() {
    let (_, house) = collect(6, config(true)).await;
    let came = house.came.lock().unwrap().clone();
    // A wave of 16 found 6 places; the ten others were the first of the next waves, which asked for no more.
    assert_eq!(house.refused.load(Ordering::SeqCst), 10);
    let mut waves: Vec<Vec<usize>> = came.chunks(6).map(<[usize]>::to_vec).collect();
    waves.iter_mut().for_each(|wave| wave.sort_unstable());
    let left: Vec<usize> = (0..16).filter(|slot| !waves[0].contains(slot)).collect();
    assert_eq!(waves[1], left[..6]);
    assert_eq!(waves[2][..4], left[6..]);
    assert_eq!(waves[3], [18, 19, 20, 21, 22, 23]);
}

#[tokio::test(start_paused = true)]
async fn places_that_never_come_are_waited_for_until_the_end_is_asked_for() {
    for lockstep in [true, false] {
        let (engine, _) = engine(0, config(lockstep));
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            stop.cancel();
        });
        let error = engine.collect(requests(1, 4), 0, cancel).await.unwrap_err();
        assert!(matches!(error, EngineError::Cancelled { finished: 0, .. }), "{error}");
    }
}
