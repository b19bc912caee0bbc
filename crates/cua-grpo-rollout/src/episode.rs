//! One attempt: an environment is started, the policy and it take turns, it is finished, the reward is asked.

use crate::RolloutConfig;
use crate::caught::caught;
use crate::context::{Context, Next};
use crate::stats::{Board, ProgressEvent, Span};
use cua_grpo_core::{
    ActionRecord, Completion, Ending, Environment, EnvironmentFactory, Episode, Facts, Fault, FaultKind, Image,
    Message, Observation, Prompt, Renderer, Reward, Row, Sampler, SamplerSession, SamplingParams, StopReason, Task,
    Turn,
};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The four seams that an episode needs.
#[derive(Clone)]
pub(crate) struct Seams {
    pub factory: Arc<dyn EnvironmentFactory>,
    pub renderer: Arc<dyn Renderer>,
    pub sampler: Arc<dyn Sampler>,
    pub reward: Arc<dyn Reward>,
}

/// A place for one episode.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Number among all that are collected together.
    pub index: usize,
    /// Number of the group.
    pub group: u64,
    /// Number within the group.
    pub attempt: u64,
    pub task: Arc<Task>,
    /// The random stream of the attempt.
    pub stream: [u64; 2],
    /// Cancelled with the collection, or once the group has enough episodes.
    pub stop: CancellationToken,
    /// Faults so far.
    pub faults: usize,
    /// How many of them came after the environment had started; part of the seed. A device that does not come up
    /// thus leaves the seeds alone, and an attempt that was lost midway is not repeated token by token.
    pub plays: u64,
}

/// Why an attempt has no episode.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Another attempt may go better.
    Fault(Fault),
    /// There is no place before another environment ends; it is no attempt.
    Full(Fault),
    /// Another attempt would meet the same.
    ForGood(Fault),
    Cancelled,
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// An environment that is up and has shown what it looks like.
pub(crate) struct Started {
    environment: Box<dyn Environment>,
    observation: Observation,
    since: Instant,
}

/// One collection: what its episodes share.
pub(crate) struct Collector {
    pub seams: Seams,
    pub config: RolloutConfig,
    /// Cancelled by the caller, or because of a defect of the engine.
    pub stop: CancellationToken,
    pub board: Board,
}

/// The conversation so far.
struct Talk {
    context: Context,
    /// Rows that ended where the context was cut back.
    ended: Vec<Row>,
    /// The row that grows.
    row: Row,
    turns: Vec<Turn>,
    /// The picture that came after the last action.
    last: Option<Image>,
}

impl Talk {
    fn new(config: &RolloutConfig) -> Self {
        Self {
            context: Context::new(config.keep_screenshots),
            ended: Vec::new(),
            row: Row::new(config.logprob_temperature()),
            turns: Vec::new(),
            last: None,
        }
    }

    /// Appends what was asked and the reply to it: to a new row where the context was cut back.
    fn push(&mut self, next: Next, text: String, reply: &Completion) -> Result<Range<usize>, Fault> {
        if next.begins_anew() {
            let row = Row::new(self.row.temperature());
            self.ended.push(std::mem::replace(&mut self.row, row));
        }
        self.row.push_prompt(next.prompt());
        let tokens = self.row.push_completion(reply);
        let tokens = tokens.map_err(|error| Fault::from_error(FaultKind::Sampler, "sample", error))?;
        self.context.push(next, text, reply);
        Ok(tokens)
    }
}

impl Collector {
    /// Makes and starts an environment. It is finished here when it does not start.
    pub async fn start(&self, slot: &Slot) -> Result<Started, Lost> {
        let since = Instant::now();
        let mut environment = caught("create environment", self.seams.factory.create(&slot.task, slot.index)).await?;
        let limit = self.config.episode_timeout;
        let started = within(limit, "start environment", "episode_timeout", environment.start()).await;
        self.board
            .update(|stats| stats.start_seconds += since.elapsed().as_secs_f64());
        match started {
            Ok(observation) => Ok(Started {
                environment,
                observation,
                since,
            }),
            Err(fault) => {
                self.release(environment).await;
                Err(match fault.kind {
                    FaultKind::Full => Lost::Full(fault),
                    _ => Lost::Fault(fault),
                })
            }
        }
    }

    /// Finishes an environment whose episode is given up.
    async fn release(&self, mut environment: Box<dyn Environment>) {
        if let Err(fault) = self.finish(&mut *environment, Ending::Fault).await {
            tracing::warn!(%fault, "an environment could not be released");
            self.board.update(|stats| stats.release_faults += 1);
        }
    }

    async fn finish(&self, environment: &mut dyn Environment, ending: Ending) -> Result<Facts, Fault> {
        let limit = self.config.turn_timeout;
        within(limit, "finish environment", "turn_timeout", environment.finish(ending)).await
    }

    /// Finishes an environment that will not be played.
    pub async fn abandon(&self, started: Started) {
        self.release(started.environment).await;
    }

    /// Opens the conversation of a slot whose environment is up.
    pub fn open(&self, slot: &Slot) -> Box<dyn SamplerSession> {
        self.seams.sampler.open(slot.index)
    }

    /// Plays a started environment to its end and finishes it. The reward comes later, with the whole group.
    pub async fn play(&self, slot: &Slot, started: Started, session: Box<dyn SamplerSession>) -> Result<Episode, Lost> {
        let Started {
            mut environment,
            observation,
            since,
        } = started;
        let mut talk = Talk::new(&self.config);
        let turns = self.turns(slot, environment.as_mut(), observation, session, &mut talk);
        let ending = match caught("play", turns).await {
            Ok(ending) => ending,
            Err(loss) => {
                self.release(environment).await;
                return Err(loss);
            }
        };
        let facts = self.finish(&mut *environment, ending).await?;
        let seconds = since.elapsed().as_secs_f64();
        let mut rows = talk.ended.into_iter().chain([talk.row]);
        let first = rows.next().unwrap_or_else(|| unreachable!("there is a row that grows"));
        Ok(Episode::new(slot.attempt, ending, facts, first)
            .with_later_rows(rows.collect())
            .with_turns(talk.turns)
            .with_last_screenshot(talk.last)
            .with_seconds(seconds))
    }

    /// The turns of an episode. The session is dropped on the way out, or earlier once nothing more is asked of it.
    async fn turns(
        &self,
        slot: &Slot,
        environment: &mut dyn Environment,
        first: Observation,
        session: Box<dyn SamplerSession>,
        talk: &mut Talk,
    ) -> Result<Ending, Lost> {
        let mut session = Some(session);
        let (mut new, mut state) = (first.messages, first.state);
        let limit = self.config.turns(slot.task.max_turns);
        let deadline = self.config.episode_timeout.map(|time| Instant::now() + time);
        for turn in 0..limit {
            if slot.stop.is_cancelled() {
                return Err(Lost::Cancelled);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Ending::MaxTime);
            }
            let screenshot = new.iter().flat_map(Message::images).last().cloned();
            let next = self.render(talk, new).await?;
            let prompt = next.prompt();
            let before = if next.begins_anew() { 0 } else { talk.row.len() };
            let used = before + prompt.tokens.len();
            let room = self.config.max_context_tokens.saturating_sub(used);
            if room == 0 && turn == 0 {
                let limit = self.config.max_context_tokens;
                return Err(Lost::ForGood(Fault::new(
                    FaultKind::Renderer,
                    "first prompt",
                    format!(
                        "the first prompt has {used} tokens and max_context_tokens is {limit}; raise max_context_tokens \
                         or make the screenshots smaller"
                    ),
                )));
            }
            let Some(asked) = session.as_mut().filter(|_| room > 0) else {
                return Ok(Ending::MaxTokens);
            };
            let room = room.min(self.config.max_new_tokens);
            let params = self.config.sampling(slot.stream, slot.plays, turn, room);
            if next.begins_anew() {
                asked.forget();
            }
            let completion = tokio::select! {
                biased;
                sampled = self.sample(asked.as_mut(), prompt, &params) => sampled?,
                () = slot.stop.cancelled() => return Err(Lost::Cancelled),
                () = until(deadline) => return Ok(Ending::MaxTime),
            };
            // Nothing more is asked after the last turn or in a full context: free the sampler before the step.
            if turn + 1 == limit || completion.stop == StopReason::ContextFull {
                session = None;
            }

            let reply = self.seams.renderer.decode(&completion.tokens);
            let tokens = talk.push(next, reply.clone(), &completion)?;
            let since = Instant::now();
            let limit_of_step = self.config.turn_timeout;
            let step = within(limit_of_step, "step", "turn_timeout", environment.step(&reply)).await?;
            self.board
                .update(|stats| stats.step_seconds += since.elapsed().as_secs_f64());
            self.board.event(ProgressEvent::Turn {
                slot: slot.index,
                task: slot.task.id.clone(),
                turn,
                action: describe(&step.action),
            });

            let turn = Turn::new(reply, step.action, tokens, completion.stop).with_row(talk.ended.len());
            talk.turns.push(turn.with_screenshot(screenshot).with_state(state));
            talk.last = None;
            match step.observation {
                None => return Ok(Ending::Reported),
                Some(observation) => (new, state) = (observation.messages, observation.state),
            }
            talk.last = new.iter().flat_map(Message::images).last().cloned();
        }
        Ok(Ending::MaxTurns)
    }

    /// Renders off the runtime's threads: images are decoded and resized here.
    async fn render(&self, talk: &mut Talk, new: Vec<Message>) -> Result<Next, Lost> {
        let renderer = self.seams.renderer.clone();
        let mut context = std::mem::take(&mut talk.context);
        let rendered = tokio::task::spawn_blocking(move || (context.next(&*renderer, new), context)).await;
        let (next, context) = rendered.map_err(|error| Fault::from_error(FaultKind::Renderer, "render", error))?;
        talk.context = context;
        Ok(next?)
    }

    /// Samples one reply.
    async fn sample(
        &self,
        session: &mut dyn SamplerSession,
        prompt: &Prompt,
        params: &SamplingParams,
    ) -> Result<Completion, Lost> {
        let since = Instant::now();
        let asking = self.board.measure(Span::Asking);
        let completion = session.sample(prompt, params).await?;
        drop(asking);
        self.board.update(|stats| {
            stats.sample_seconds += since.elapsed().as_secs_f64();
            stats.tokens_sampled += completion.tokens.len();
            let masses = completion.kept_mass.iter().filter(|mass| mass.is_finite());
            stats.kept_mass_sum += masses.map(|&mass| f64::from(mass)).sum::<f64>();
        });
        match completion.flaw() {
            Some(flaw) => Err(Fault::new(FaultKind::Sampler, "sample", flaw).into()),
            None => Ok(completion),
        }
    }
}

fn describe(action: &ActionRecord) -> String {
    match &action.error {
        None => action.summary.clone(),
        Some(error) => format!("{} ({error})", action.summary),
    }
}

/// Runs a call of an environment: a panic is a fault, and so is more time than `limit`, which the key `bound` says.
async fn within<T>(
    limit: Option<Duration>,
    operation: &'static str,
    bound: &'static str,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let call = caught(operation, call);
    let Some(limit) = limit else {
        return call.await;
    };
    let late = |_| {
        let message = format!("no answer within {} s ({bound})", limit.as_secs_f64());
        Fault::new(FaultKind::Environment, operation, message)
    };
    tokio::time::timeout(limit, call).await.map_err(late)?
}

/// Waits for a deadline, for ever where there is none.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
