//! The reward.

use crate::client::{Client, JudgeConfig};
use crate::error::JudgeError;
use crate::question::{Shown, body, is_visible};
use async_trait::async_trait;
use cua_grpo_core::{Episode, Facts, Fault, FaultKind, Measured, Reward, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A model behind a service that says of each episode whether its task is done. Cheap to clone: all share its limit of
/// questions at once.
#[derive(Debug, Clone)]
pub struct Judge {
    client: Client,
    model: Arc<str>,
    shown: Shown,
    places: Arc<Semaphore>,
}

impl Judge {
    /// The judge of `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`JudgeError::Config`] when the address cannot be used.
    pub fn new(config: JudgeConfig) -> Result<Self, JudgeError> {
        Ok(Self {
            client: Client::new(&config)?,
            model: config.model.into(),
            shown: config.shown,
            places: Arc::new(Semaphore::new(config.at_once.clamp(1, Semaphore::MAX_PERMITS))),
        })
    }

    /// What the judge says of one episode.
    async fn verdict(self, body: Vec<u8>) -> Result<bool, Fault> {
        let fault = |error: JudgeError| Fault::from_error(FaultKind::Reward, "ask judge", error);
        let closed = |_| Fault::new(FaultKind::Reward, "ask judge", "the judge is gone");
        let _place = self.places.clone().acquire_owned().await.map_err(closed)?;
        self.client.ask(&body).await.map_err(fault)
    }
}

#[async_trait]
impl Reward for Judge {
    async fn measure(&self, task: &Task, episodes: &[Episode]) -> Measured {
        let mut extra = vec![BTreeMap::new(); episodes.len()];
        let (mut asked, mut fault) = (JoinSet::new(), None);
        for (number, episode) in episodes.iter().enumerate() {
            if episode.facts.judged().is_some() {
                continue; // A fault of another episode does not have it asked twice.
            }
            if !is_visible(episode, self.shown) {
                let message = "the episode has no screenshot that the judge could be shown";
                fault = Some(Fault::new(FaultKind::Reward, "ask judge", message));
                continue;
            }
            let body = body(&self.model, task, episode, self.shown).to_string().into_bytes();
            let judge = self.clone();
            asked.spawn(async move { (number, judge.verdict(body).await) });
        }
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((number, Ok(done))) => {
                    if let Some(extra) = extra.get_mut(number) {
                        extra.insert(Facts::JUDGE.to_owned(), f64::from(u8::from(done)));
                    }
                }
                Ok((_, Err(failed))) => fault = Some(failed),
                Err(error) => fault = Some(Fault::new(FaultKind::Reward, "ask judge", error.to_string())),
            }
        }
        Measured::new(extra).with_fault(fault)
    }

    /// What was said when the episodes were measured; not a number where nothing was.
    async fn score(&self, _task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        let said = |episode: &Episode| episode.facts.judged().map_or(f32::NAN, |said| said as f32);
        Ok(episodes.iter().map(said).collect())
    }
}
