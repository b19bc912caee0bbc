//! Doubles with a memory: environments that record their life, and a sampler that records what it was asked.

#![allow(clippy::unwrap_used, dead_code, reason = "doubles of several test binaries")]

use async_trait::async_trait;
use cua_grpo_core::testing::{ByteRenderer, ScriptedEnvironment};
use cua_grpo_core::*;
use cua_grpo_rollout::{GroupRequest, RolloutConfig, RolloutEngine};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Everything that happened, in order.
#[derive(Default)]
pub struct Journal {
    pub lines: Mutex<Vec<String>>,
    pub live: AtomicUsize,
    pub most_live: AtomicUsize,
    pub sessions: AtomicUsize,
    /// Slots whose conversation fails.
    pub deaf: Mutex<BTreeSet<usize>>,
}

impl Journal {
    pub fn say(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    pub fn lines(&self, prefix: &str) -> Vec<String> {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.starts_with(prefix))
            .cloned()
            .collect()
    }

    pub fn count(&self, prefix: &str) -> usize {
        self.lines(prefix).len()
    }
}

/// Where an environment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Create,
    Start,
    Step,
    Finish,
    Sample,
    /// The first step panics.
    Panic,
    /// The first step never ends.
    Hang,
}

/// Tells for the n-th environment created (from 0) where it fails and how slow it is.
pub type Plan = Arc<dyn Fn(usize) -> (Option<Failure>, Duration) + Send + Sync>;

pub struct World {
    pub journal: Arc<Journal>,
    pub plan: Plan,
    created: AtomicUsize,
}

impl World {
    pub fn new(plan: impl Fn(usize) -> (Option<Failure>, Duration) + Send + Sync + 'static) -> Self {
        Self {
            journal: Arc::new(Journal::default()),
            plan: Arc::new(plan),
            created: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl EnvironmentFactory for World {
    async fn create(&self, _task: &Task, slot: usize) -> Result<Box<dyn Environment>, Fault> {
        let number = self.created.fetch_add(1, Ordering::SeqCst);
        let (failure, latency) = (self.plan)(number);
        if failure == Some(Failure::Create) {
            return Err(Fault::new(FaultKind::Environment, "create", "planned"));
        }
        let mut deaf = self.journal.deaf.lock().unwrap();
        if failure == Some(Failure::Sample) {
            deaf.insert(slot);
        } else {
            deaf.remove(&slot);
        }
        drop(deaf);
        let live = self.journal.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.journal.most_live.fetch_max(live, Ordering::SeqCst);
        self.journal.say(format!("created {number}"));
        let inner = ScriptedEnvironment::new("sesame");
        Ok(Box::new(Recorded {
            inner,
            number,
            failure,
            latency,
            journal: self.journal.clone(),
        }))
    }
}

struct Recorded {
    inner: ScriptedEnvironment,
    number: usize,
    failure: Option<Failure>,
    latency: Duration,
    journal: Arc<Journal>,
}

#[async_trait]
impl Environment for Recorded {
    async fn start(&mut self) -> Result<Observation, Fault> {
        tokio::time::sleep(self.latency).await;
        if self.failure == Some(Failure::Start) {
            return Err(Fault::new(FaultKind::Setup, "start", "planned"));
        }
        self.journal.say(format!("started {}", self.number));
        self.inner.start().await
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        tokio::time::sleep(self.latency).await;
        self.journal.say(format!(
            "stepped {} with {} sessions",
            self.number,
            self.journal.sessions.load(Ordering::SeqCst)
        ));
        assert!(self.failure != Some(Failure::Panic), "planned");
        if self.failure == Some(Failure::Hang) {
            std::future::pending::<()>().await;
        }
        if self.failure == Some(Failure::Step) {
            return Err(Fault::new(FaultKind::Environment, "step", "planned"));
        }
        self.inner.step(reply).await
    }

    async fn finish(&mut self, ending: Ending) -> Result<Facts, Fault> {
        self.journal.live.fetch_sub(1, Ordering::SeqCst);
        self.journal.say(format!("finished {} {ending:?}", self.number));
        let facts = self.inner.finish(ending).await?;
        if self.failure == Some(Failure::Finish) {
            return Err(Fault::new(FaultKind::Validator, "finish", "planned"));
        }
        Ok(facts)
    }
}

/// Says `sesame` when its first seed is even, `wrong` when odd, then `stop`; records what it was asked.
pub struct Oracle {
    pub journal: Arc<Journal>,
    /// Never answers.
    pub mute: bool,
    /// Never says `stop`.
    pub endless: bool,
}

impl Sampler for Oracle {
    fn open(&self, slot: usize) -> Box<dyn SamplerSession> {
        self.journal.say(format!("opened {}", slot));
        self.journal.sessions.fetch_add(1, Ordering::SeqCst);
        Box::new(Voice {
            journal: self.journal.clone(),
            mute: self.mute,
            endless: self.endless,
            slot,
            broken: self.journal.deaf.lock().unwrap().contains(&slot),
            turn: 0,
        })
    }

    fn version(&self) -> PolicyVersion {
        7
    }
}

struct Voice {
    journal: Arc<Journal>,
    mute: bool,
    endless: bool,
    slot: usize,
    broken: bool,
    turn: usize,
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.journal.sessions.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl SamplerSession for Voice {
    async fn sample(&mut self, _prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault> {
        self.journal
            .say(format!("asked {} {} {}", self.slot, self.turn, params.seed));
        if self.mute {
            std::future::pending::<()>().await;
        }
        if self.broken {
            return Err(Fault::new(FaultKind::Sampler, "sample", "planned"));
        }
        let word = match (self.turn, params.seed % 2) {
            (0, 0) => "sesame",
            (0, _) => "wrong",
            _ if self.endless => "again",
            _ => "stop",
        };
        self.turn += 1;
        let mut tokens = ByteRenderer.encode_reply(word);
        let stop = if tokens.len() > params.max_new_tokens {
            StopReason::MaxTokens
        } else {
            StopReason::Stop
        };
        tokens.truncate(params.max_new_tokens);
        let (logprobs, kept_mass) = (vec![-0.5; tokens.len()], vec![0.9; tokens.len()]);
        let completion = Completion::new(tokens, logprobs, 7, stop).unwrap();
        Ok(completion.with_kept_mass(kept_mass).unwrap())
    }

    fn forget(&mut self) {}
}

pub fn task(id: &str) -> Task {
    Task::new(id, "say the word")
}

pub fn requests(groups: usize, group_size: usize) -> Vec<GroupRequest> {
    (0..groups)
        .map(|group| GroupRequest {
            task: task(&format!("test/{group}")),
            group_size,
        })
        .collect()
}

pub fn config(lockstep: bool) -> RolloutConfig {
    let (concurrency, retry_delay) = (16, Duration::ZERO);
    RolloutConfig {
        lockstep,
        concurrency,
        retry_delay,
        max_turns: 4,
        ..RolloutConfig::default()
    }
}

/// An engine over `world` with an [`Oracle`], and their journal.
pub fn engine(world: World, config: RolloutConfig) -> (RolloutEngine, Arc<Journal>) {
    let journal = world.journal.clone();
    let oracle = Oracle {
        journal: journal.clone(),
        mute: false,
        endless: false,
    };
    (engine_with(world, oracle, config), journal)
}

pub fn engine_with(world: World, oracle: Oracle, config: RolloutConfig) -> RolloutEngine {
    let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(VerifiedSuccess));
    RolloutEngine::new(Arc::new(world), renderer, Arc::new(oracle), reward, config).unwrap()
}

pub const INSTANT: Duration = Duration::ZERO;
