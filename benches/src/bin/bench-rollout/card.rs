//! A card that only takes its time: prefill, decoding of all conversations together, and updates, at measured speeds.

use async_trait::async_trait;
use cua_grpo_core::testing::STOP;
use cua_grpo_core::{
    Completion, Fault, FaultKind, PolicyVersion, Prompt, Sampler, SamplerSession, SamplingParams, StopReason, TokenId,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

/// Tokens of a prompt: a screenshot of 1,110 and some words.
pub const PROMPT: usize = 1160;
/// Tokens of a reply, from and to.
const REPLY: [u64; 2] = [64, 192];
/// Turns of an episode, from and to; the last is a report.
const TURNS: [u64; 2] = [3, 5];
/// Prompt tokens a second. Speeds are those of an H200 with an 8B model in bf16, see docs/PERFORMANCE.md.
const PREFILL: f64 = 32_700.0;
/// Seconds of a step of decoding: so much, and so much for each conversation.
const DECODE: [f64; 2] = [4.1e-3, 64e-6];
/// Tokens a second of an update.
const TRAIN: f64 = 10_400.0;
/// Steps between two looks at who has come.
const CHUNK: usize = 8;

struct Ask {
    /// What a session asks first, and where it is noted that this is in the cache.
    opening: Option<(Vec<TokenId>, Arc<OnceLock<Opening>>)>,
    tokens: usize,
    word: &'static str,
    reply: oneshot::Sender<Completion>,
}

/// A first prompt and the weights that computed it.
type Key = (Vec<TokenId>, PolicyVersion);

/// A first prompt that is in the cache for as long as its session is open.
struct Opening {
    state: Arc<State>,
    key: Key,
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut openings = self.state.openings();
        if let Some(sessions) = openings.get_mut(&self.key) {
            *sessions -= 1;
        }
        openings.retain(|_, sessions| *sessions > 0);
    }
}

/// What the card is doing, for all who use it.
#[derive(Default)]
struct State {
    /// How many sessions have each first prompt in the cache.
    openings: Mutex<HashMap<Key, usize>>,
    version: AtomicU64,
    open: AtomicUsize,
    updating: AtomicBool,
    sampling: AtomicBool,
    busy: Mutex<f64>,
}

/// Some cards that sample and train.
#[derive(Clone)]
pub struct Card {
    state: Arc<State>,
    asks: mpsc::UnboundedSender<Ask>,
    cards: f64,
}

impl Card {
    /// Starts `cards`. In `lockstep` a batch begins when every open conversation asks, and nobody comes in between.
    pub fn start(cards: usize, lockstep: bool) -> Self {
        let (asks, receiver) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let cards = cards as f64;
        tokio::spawn(decode(state.clone(), receiver, cards, lockstep));
        Self { state, asks, cards }
    }

    /// An update on so many tokens, which takes as long as the card needs, twice as long while it samples as well. The
    /// version counts one up at its end.
    pub async fn update(&self, tokens: usize) {
        let mut left = tokens as f64 / (TRAIN * self.cards);
        self.state.updating.store(true, Ordering::SeqCst);
        while left > 0.0 {
            let share = if self.state.sampling.load(Ordering::SeqCst) {
                0.5
            } else {
                1.0
            };
            let slice = (left / share).min(0.1);
            sleep(Duration::from_secs_f64(slice)).await;
            left -= slice * share;
            self.used(slice * share);
        }
        self.state.updating.store(false, Ordering::SeqCst);
        self.state.version.fetch_add(1, Ordering::SeqCst);
    }

    /// Seconds that the card worked so far.
    pub fn busy(&self) -> f64 {
        *self.state.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self, seconds: f64) {
        self.state.used(seconds);
    }
}

impl State {
    fn used(&self, seconds: f64) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) += seconds;
    }

    fn openings(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tokens that are fed for a request. Of a first prompt that another session has in the cache it is the last one.
    fn fed(self: &Arc<Self>, ask: &Ask) -> usize {
        let Some((prompt, opening)) = &ask.opening else {
            return PROMPT;
        };
        let key = (prompt.clone(), self.version.load(Ordering::SeqCst));
        let known = {
            let mut openings = self.openings();
            let sessions = openings.entry(key.clone()).or_default();
            *sessions += 1;
            *sessions > 1
        };
        let state = self.clone();
        opening.get_or_init(|| Opening { state, key });
        if known { 1 } else { PROMPT }
    }

    /// Does what takes `seconds` alone.
    async fn work(&self, seconds: f64) {
        let share = if self.updating.load(Ordering::SeqCst) { 0.5 } else { 1.0 };
        sleep(Duration::from_secs_f64(seconds / share)).await;
        self.used(seconds);
    }
}

/// Conversations come and go at any token, or as one batch.
async fn decode(state: Arc<State>, mut asks: mpsc::UnboundedReceiver<Ask>, cards: f64, lockstep: bool) {
    let mut drawing: Vec<(usize, Vec<PolicyVersion>, Ask)> = Vec::new();
    let mut waiting: Vec<Ask> = Vec::new();
    loop {
        let lacking = lockstep && waiting.len() < state.open.load(Ordering::SeqCst);
        if drawing.is_empty() && (waiting.is_empty() || lacking) {
            state.sampling.store(false, Ordering::SeqCst);
            // Sessions that close do not ask: look again now and then.
            let patience = Instant::now() + Duration::from_millis(20);
            let asked = if waiting.is_empty() {
                asks.recv().await.map(Some)
            } else {
                tokio::time::timeout_at(patience, asks.recv())
                    .await
                    .map_or(Some(None), |asked| asked.map(Some))
            };
            match asked {
                None => return,
                Some(asked) => waiting.extend(asked),
            }
        }
        while let Ok(ask) = asks.try_recv() {
            waiting.push(ask);
        }
        let ready = !lockstep || (drawing.is_empty() && waiting.len() >= state.open.load(Ordering::SeqCst));
        state.sampling.store(true, Ordering::SeqCst);
        if ready && !waiting.is_empty() {
            let tokens: usize = waiting.iter().map(|ask| state.fed(ask)).sum();
            state.work(tokens as f64 / (PREFILL * cards)).await;
            drawing.extend(waiting.drain(..).map(|ask| (ask.tokens, Vec::new(), ask)));
        }
        if drawing.is_empty() {
            continue;
        }
        let rows = (drawing.len() as f64 / cards).ceil();
        state.work(CHUNK as f64 * (DECODE[0] + DECODE[1] * rows)).await;
        let version = state.version.load(Ordering::SeqCst);
        for (left, versions, _) in &mut drawing {
            let drawn = CHUNK.min(*left);
            versions.extend(std::iter::repeat_n(version, drawn));
            *left -= drawn;
        }
        if lockstep && drawing.iter().any(|(left, ..)| *left > 0) {
            continue;
        }
        let (ended, going) = drawing.drain(..).partition(|(left, ..)| *left == 0);
        drawing = going;
        for (_, versions, ask) in ended {
            if let Some(completion) = completion(ask.word, versions) {
                // Whoever asked may be gone.
                let _ = ask.reply.send(completion);
            }
        }
    }
}

/// A reply that begins with a word.
fn completion(word: &str, versions: Vec<PolicyVersion>) -> Option<Completion> {
    let mut tokens: Vec<TokenId> = word.bytes().map(TokenId::from).collect();
    tokens.resize(versions.len(), STOP);
    let logprobs = vec![-0.5; tokens.len()];
    let completion = Completion::new(tokens, logprobs, 0, StopReason::Stop).ok()?;
    completion.with_versions(versions).ok()
}

impl Sampler for Card {
    fn open(&self, _slot: usize) -> Box<dyn SamplerSession> {
        self.state.open.fetch_add(1, Ordering::SeqCst);
        Box::new(Session {
            card: self.clone(),
            opening: Arc::default(),
            turn: 0,
            turns: None,
        })
    }

    fn version(&self) -> PolicyVersion {
        self.state.version.load(Ordering::SeqCst)
    }
}

struct Session {
    card: Card,
    opening: Arc<OnceLock<Opening>>,
    turn: u64,
    turns: Option<u64>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.card.state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl SamplerSession for Session {
    async fn sample(&mut self, prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault> {
        let within = |[low, high]: [u64; 2], number: u64| low + number % (high - low + 1);
        let turns = *self.turns.get_or_insert(within(TURNS, params.seed >> 32));
        self.turn += 1;
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            opening: (self.turn == 1).then(|| (prompt.tokens.clone(), self.opening.clone())),
            tokens: within(REPLY, params.seed) as usize,
            word: if self.turn == turns { "done" } else { "tap" },
            reply,
        };
        let gone = |_| Fault::new(FaultKind::Sampler, "sample", "the card has ended");
        self.card.asks.send(ask).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))
    }

    fn forget(&mut self) {}
}
