//! What an episode keeps for logs and reports: the screen after the last action, and which replies were cut off.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use async_trait::async_trait;
use common::*;
use cua_grpo_core::testing::{ByteRenderer, ScriptedSampler};
use cua_grpo_core::{
    ActionRecord, Chunk, Ending, Environment, Episode, Facts, Fault, Image, Message, Observation, Role, Step,
    StopReason, Task, VerifiedSuccess,
};
use cua_grpo_rollout::{CancellationToken, RolloutConfig, RolloutEngine};
use std::sync::Arc;

/// Shows the number of the turn as a picture of one byte; `stop` ends it.
struct Counter(u8);

impl Counter {
    fn look(&self) -> Observation {
        let content = vec![Chunk::Image(Image::new([self.0].as_slice()))];
        Observation::new(vec![Message::new(Role::User, content)])
    }
}

#[async_trait]
impl Environment for Counter {
    async fn start(&mut self) -> Result<Observation, Fault> {
        Ok(self.look())
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        self.0 += 1;
        let step = Step::new(ActionRecord::default());
        Ok(match reply {
            "stop" => step,
            _ => step.with_observation(self.look()),
        })
    }

    async fn finish(&mut self, _ending: Ending) -> Result<Facts, Fault> {
        Ok(Facts::default())
    }
}

/// The episode that `replies` and limits give.
async fn play(replies: &'static [&'static str], config: RolloutConfig) -> Episode {
    let factory = |_: &Task| -> Result<Box<dyn Environment>, Fault> { Ok(Box::new(Counter(0))) };
    let sampler = ScriptedSampler::new(move |_, turn| Ok(replies[turn % replies.len()].to_owned()));
    let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(VerifiedSuccess));
    let engine = RolloutEngine::new(Arc::new(factory), renderer, Arc::new(sampler), reward, config).unwrap();
    let mut collection = engine
        .collect(requests(1, 1), 0, CancellationToken::new())
        .await
        .unwrap();
    collection.groups.remove(0).episodes.remove(0)
}

fn pictures(episode: &Episode) -> (Vec<u8>, Option<u8>) {
    let seen = episode
        .turns
        .iter()
        .map(|turn| turn.screenshot.as_ref().unwrap().bytes[0]);
    let last = episode.last_screenshot.as_ref().map(|image| image.bytes[0]);
    (seen.collect(), last)
}

#[tokio::test]
async fn the_screen_after_the_last_action_is_kept_where_there_is_one() {
    let limits = RolloutConfig {
        max_turns: 3,
        ..config(true)
    };
    let episode = play(&["go"], limits.clone()).await;
    assert_eq!(episode.ending, Ending::MaxTurns);
    assert_eq!(pictures(&episode), (vec![0, 1, 2], Some(3)));

    let episode = play(&["go", "stop"], limits.clone()).await;
    assert_eq!(episode.ending, Ending::Reported);
    assert_eq!(pictures(&episode), (vec![0, 1], None), "nothing follows a report");

    // A prompt is a picture and a stop token, a reply three tokens: the second reply fills the context.
    let full = RolloutConfig {
        max_context_tokens: 10,
        ..limits
    };
    let episode = play(&["go"], full).await;
    assert_eq!(episode.ending, Ending::MaxTokens);
    assert_eq!(pictures(&episode), (vec![0, 1], Some(2)));
}

#[tokio::test]
async fn a_reply_that_was_cut_off_says_so() {
    let limits = RolloutConfig {
        max_turns: 2,
        max_new_tokens: 4,
        ..config(true)
    };
    let episode = play(&["go", "onwards"], limits).await;
    let stops: Vec<StopReason> = episode.turns.iter().map(|turn| turn.stop).collect();
    assert_eq!(stops, [StopReason::Stop, StopReason::MaxTokens]);
    assert_eq!(episode.turns[1].reply, "onwa");
}
