//! Training beside rollouts: the engine's stream of groups, the sampler and the learner of a run, and phones that only
//! take their time. Rollouts alone, updates alone, and both at once.

use crate::limits;
use crate::workload::Workload;
use anyhow::{Result, bail, ensure};
use benches::phones::{Numbered, Phones};
use cua_grpo_algo::AdamWConfig;
use cua_grpo_core::{Fault, Group, Message, Prompt, Renderer, TokenId, VerifiedSuccess};
use cua_grpo_model::generate::{Batching, Generator, ModelSampler, OnUpdate};
use cua_grpo_model::{Policy, Qwen3Vl, Trainable};
use cua_grpo_rollout::{Batches, CancellationToken, RolloutConfig, RolloutEngine, StreamConfig, TaskCursor};
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::learner::Learner;
use cua_grpo_train::learner_thread::LearnerThread;
use cua_grpo_train::publish::{Publish, Snapshot};
use cua_grpo_train::step::{Updates, select};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

/// Episodes of a group.
const GROUP: usize = 8;
const LEARNING_RATE: f64 = 1e-5;
/// Most tokens of a forward and backward pass.
const MICRO_BATCH: usize = 8192;

/// Gives each message the tokens of a prompt with a screenshot: equal messages have equal ones. The first one of a
/// conversation has the text of instructions and tools, those after it that of an answer.
struct Screens {
    what: Arc<Workload>,
    /// Text tokens of a message after the first.
    later: usize,
}

impl Renderer for Screens {
    fn render(&self, history: &[Message], new: &[Message], _: bool) -> Result<Prompt, Fault> {
        let mut hasher = DefaultHasher::new();
        format!("{new:?}").hash(&mut hasher);
        let number = (hasher.finish() >> 16) as usize;
        let text = if history.is_empty() { self.what.text } else { self.later };
        Ok(Prompt::new(self.what.tokens(text, number)).with_images(vec![self.what.image.clone()]))
    }

    fn decode(&self, _: &[TokenId]) -> String {
        "tap".to_owned()
    }

    fn encode_reply(&self, _: &str) -> Vec<TokenId> {
        Vec::new()
    }
}

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Phase {
    /// Rollouts alone.
    Rollouts,
    /// Updates alone, with groups of the rollouts.
    Updates,
    /// Both at once.
    Both,
}

/// Seconds of a step, and the groups of the last one.
struct Played {
    /// Steps that were measured.
    steps: usize,
    step_s: f64,
    update_s: f64,
    groups: Vec<Group>,
    tokens: f64,
}

/// How rollouts go.
pub struct Pace {
    pub turns: usize,
    /// Text tokens of a turn's message after the first.
    pub turn_text: usize,
    pub new_tokens: usize,
    /// Most updates between sampling and training.
    pub max_staleness: u64,
    /// Most steps that are measured.
    pub steps: usize,
    /// Seconds of the measured steps after which no other one begins.
    pub most_seconds: f64,
    pub phases: Vec<Phase>,
    /// How much faster phones are than rented ones.
    pub haste: f64,
}

/// What all measurements share.
struct Bench<'a> {
    pace: &'a Pace,
    what: &'a Arc<Workload>,
    config: TrainConfig,
    phones: usize,
}

/// Measures rollouts alone, updates alone, and both at once, for so many phones each.
pub fn measure(model: &Qwen3Vl, what: &Arc<Workload>, phones: &[usize], pace: &Pace) -> Result<()> {
    for &phones in phones {
        if phones % GROUP != 0 {
            bail!("--batch {phones}: expected phones for whole groups of {GROUP}");
        }
        let config = TrainConfig {
            max_staleness: pace.max_staleness as usize,
            micro_batch_tokens: MICRO_BATCH,
            ..TrainConfig::default()
        };
        let bench = Bench {
            pace,
            what,
            config,
            phones,
        };
        bench.run(model)?;
    }
    Ok(())
}

impl Bench<'_> {
    fn run(&self, model: &Qwen3Vl) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let policy = Policy::new(model.clone(), self.what.images.clone());
        let learner = Learner::new(policy, Trainable::Adapter, AdamWConfig::default(), 1.0)?;
        let learner = LearnerThread::start(learner)?;
        let measured = |phase| self.pace.phases.contains(&phase);
        let play = |name, learner| runtime.block_on(self.play(name, model, learner));
        let alone = measured(Phase::Rollouts)
            .then(|| play("rollouts alone", None))
            .transpose()?;
        let mut update_s = None;
        if measured(Phase::Updates) {
            let Some(alone) = &alone else {
                bail!("--phases updates: they learn from the groups of rollouts; name rollouts too");
            };
            let groups = Arc::new(alone.groups.clone());
            // The first one compiles.
            for warm in [false, true, true] {
                let seconds = runtime.block_on(self.update(&learner, &groups, 0, None))?;
                eprintln!("async   updates alone: {seconds:.2} s");
                if warm {
                    update_s = Some(update_s.map_or(seconds, |least: f64| least.min(seconds)));
                }
            }
        }
        let both = measured(Phase::Both)
            .then(|| play("both", Some(&learner)))
            .transpose()?;
        self.tell(model, alone.as_ref(), update_s, both.as_ref());
        Ok(())
    }

    /// Prints what was measured; null is what was not.
    fn tell(&self, model: &Qwen3Vl, alone: Option<&Played>, update_s: Option<f64>, both: Option<&Played>) {
        let used = limits::used_gib(&model.device());
        let ratio = alone
            .zip(update_s)
            .zip(both)
            .map(|((alone, update_s), both)| both.step_s / alone.step_s.max(update_s));
        let shown = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.2}"));
        eprintln!(
            "async   {:>3} phones, staleness {}: a step of rollouts alone {} s, of updates alone {} s, of both {} s ({} of the \
             longer; its update {} s)  {used:>6.1} GiB",
            self.phones,
            self.pace.max_staleness,
            shown(alone.map(|alone| alone.step_s)),
            shown(update_s),
            shown(both.map(|both| both.step_s)),
            shown(ratio),
            shown(both.map(|both| both.update_s)),
        );
        println!(
            "{}",
            serde_json::json!({"mode": "async", "preset": self.what.preset, "phones": self.phones,
                "max_staleness": self.pace.max_staleness, "turns": self.pace.turns,
                "rollout_steps": alone.map(|alone| alone.steps), "rollout_step_s": alone.map(|alone| alone.step_s),
                "rollout_tok_s": alone.map(|alone| alone.tokens), "update_step_s": update_s,
                "steps": both.map(|both| both.steps), "step_s": both.map(|both| both.step_s),
                "update_beside_s": both.map(|both| both.update_s), "ratio": ratio,
                "tok_s": both.map(|both| both.tokens), "used_gib": used})
        );
    }

    fn sampler(&self, model: &Qwen3Vl) -> Result<ModelSampler> {
        let (what, pace) = (self.what, self.pace);
        let later = pace.turns.saturating_sub(1) * what.tokens_of(pace.turn_text);
        let context = what.tokens_of(what.text) + later + pace.turns * pace.new_tokens + 1;
        let generator = Generator::new(model.clone(), 0, what.images.clone(), Vec::new(), context);
        Ok(ModelSampler::start_with(generator, 0, Batching::Eager, OnUpdate::Keep)?)
    }

    /// Plays steps of groups, alone or with the updates of `learner` beside them.
    async fn play(&self, name: &str, model: &Qwen3Vl, learner: Option<&LearnerThread>) -> Result<Played> {
        let sampler = self.sampler(model)?;
        let config = RolloutConfig {
            concurrency: self.phones,
            lockstep: false,
            max_turns: self.pace.turns,
            max_new_tokens: self.pace.new_tokens,
            max_context_tokens: usize::MAX >> 1,
            max_retries: 5,
            seed: 1,
            ..RolloutConfig::default()
        };
        let engine = RolloutEngine::new(
            Arc::new(Phones::new(1, self.pace.haste)),
            Arc::new(Screens {
                what: self.what.clone(),
                later: self.pace.turn_text,
            }),
            Arc::new(sampler.clone()),
            Arc::new(VerifiedSuccess),
            config,
        )?;
        // A stream begins with empty hands: what the first step waits for is no step's time.
        let warm_up = 1;
        let steps = warm_up + self.pace.steps;
        let stream = StreamConfig {
            batches: Batches {
                groups: self.phones / GROUP,
                group_size: GROUP,
            },
            max_staleness: self.pace.max_staleness,
            steps: (steps + warm_up) as u64,
        };
        let cursor = TaskCursor::new(Arc::new(Numbered), 0);
        let mut stream = engine.stream(cursor, BTreeSet::new(), stream, &CancellationToken::new())?;
        let (mut since, mut update_s, mut tokens) = (Instant::now(), 0.0, 0);
        let mut last = Vec::new();
        let mut measured = 0;
        for step in 0..steps {
            if step == warm_up {
                (since, update_s, tokens) = (Instant::now(), 0.0, 0);
            }
            let begun = Instant::now();
            let batch = stream.batch(0, |_| true).await?;
            let waited = begun.elapsed().as_secs_f64();
            let groups: Arc<Vec<Group>> = Arc::new(batch.groups.into_iter().map(|(_, group)| group).collect());
            let version = step as u64;
            match learner {
                None => sampler.set_model(model.clone(), version + 1),
                Some(learner) => update_s += self.update(learner, &groups, version, Some(&sampler)).await?,
            }
            tokens += batch.stats.tokens_sampled;
            eprintln!(
                "async   {name}: step {} of {steps}, {:.2} s, of which {waited:.2} s waiting for groups",
                step + 1,
                begun.elapsed().as_secs_f64()
            );
            stream.stepped();
            last = Arc::unwrap_or_clone(groups);
            measured = (step + 1).saturating_sub(warm_up);
            if measured > 0 && since.elapsed().as_secs_f64() > self.pace.most_seconds {
                break;
            }
        }
        let seconds = since.elapsed().as_secs_f64();
        stream.close().await;
        let count = measured.max(1) as f64;
        Ok(Played {
            steps: measured,
            step_s: seconds / count,
            update_s: update_s / count,
            groups: last,
            tokens: tokens as f64 / seconds,
        })
    }

    /// Makes the updates of a step, publishes them, and gives the seconds that took.
    async fn update(
        &self,
        learner: &LearnerThread,
        groups: &Arc<Vec<Group>>,
        version: u64,
        sampler: Option<&ModelSampler>,
    ) -> Result<f64> {
        let (config, groups, sampler) = (self.config.clone(), groups.clone(), sampler.cloned());
        let start = Instant::now();
        let made: Result<usize> = learner
            .work(move |learner| {
                let selection = select(&config, &groups)?;
                let mut updates = Updates::new(&config, &selection).at_version(version);
                for _ in 0..updates.count() {
                    updates.make(learner, LEARNING_RATE)?;
                }
                let (policy, version) = (&learner.policy, version + 1);
                if let Some(sampler) = &sampler {
                    sampler.publish(Snapshot { policy, version })?;
                }
                learner.policy.model().device().sync()?;
                Ok(updates.figures.len())
            })
            .await?;
        ensure!(made? > 0, "no group was kept, or the gradient is not finite");
        Ok(start.elapsed().as_secs_f64())
    }
}
