//! What a stream was busy with in the time of a step, on a clock that does not wait.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use async_trait::async_trait;
use common::*;
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{
    Completion, Fault, PolicyVersion, Prompt, Renderer, Sampler, SamplerSession, SamplingParams, StopReason, Task,
    TaskSource, VerifiedSuccess,
};
use cua_grpo_rollout::{Batches, CancellationToken, RolloutEngine, StreamConfig, TaskCursor};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

struct Numbered;

impl TaskSource for Numbered {
    fn task(&self, cursor: u64) -> Task {
        task(&format!("test/{cursor}")).with_seed(cursor)
    }
}

/// Takes seven seconds for a reply.
struct Slow;

impl Sampler for Slow {
    fn open(&self, _slot: usize) -> Box<dyn SamplerSession> {
        Box::new(Self)
    }

    fn version(&self) -> PolicyVersion {
        0
    }
}

#[async_trait]
impl SamplerSession for Slow {
    async fn sample(&mut self, _prompt: &Prompt, _params: &SamplingParams) -> Result<Completion, Fault> {
        tokio::time::sleep(Duration::from_secs(7)).await;
        let tokens = ByteRenderer.encode_reply("stop");
        Ok(Completion::new(tokens.clone(), vec![-0.5; tokens.len()], 0, StopReason::Stop).unwrap())
    }

    fn forget(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn a_step_is_not_busy_for_longer_than_it_lasts() {
    let places = config(false).concurrency;
    let engine = RolloutEngine::new(
        Arc::new(World::new(|_| (None, Duration::from_secs(1)))),
        Arc::new(ByteRenderer),
        Arc::new(Slow),
        Arc::new(VerifiedSuccess),
        config(false),
    )
    .unwrap();
    let steps = 6;
    let pace = StreamConfig {
        batches: Batches {
            groups: 3,
            group_size: 4,
        },
        max_staleness: 2,
        steps,
    };
    let cursor = TaskCursor::new(Arc::new(Numbered), 0);
    let cancel = CancellationToken::new();
    let mut stream = engine.stream(cursor, BTreeSet::new(), pace, &cancel).unwrap();
    let (mut beyond, mut all, begun) = (0, 0.0, stream.busy());
    // The first updates are long, the others short: what is played beside a long one is taken by a short step.
    for step in 0..steps {
        let (started, before) = (Instant::now(), stream.busy());
        let batch = stream.batch(0, |_| true).await.unwrap();
        tokio::time::sleep(Duration::from_secs(if step < 2 { 20 } else { 1 })).await;
        stream.stepped();
        let (seconds, busy) = (started.elapsed().as_secs_f64(), stream.busy().since(before));
        assert!(
            (0.0..=seconds + 1e-9).contains(&busy.sampler),
            "{busy:?} in {seconds} s"
        );
        assert!(
            (0.0..=places as f64 * seconds + 1e-9).contains(&busy.places),
            "{busy:?} in {seconds} s"
        );
        beyond += usize::from(batch.stats.sampler_seconds > seconds);
        all += busy.places;
    }
    assert!(beyond > 0, "the time between two batches is another one");
    assert!(
        (stream.busy().since(begun).places - all).abs() < 1e-6,
        "nothing is lost between steps"
    );
    assert!(all > 0.0);
    stream.close().await;
}
