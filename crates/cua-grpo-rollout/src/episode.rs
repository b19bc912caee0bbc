//! One attempt: an environment is started, the policy and it take turns, it is finished, the reward is asked.

use crate::config::SeedPath;
use crate::stats::{Board, ProgressEvent};
use crate::{EngineError, RolloutConfig};
use cua_grpo_core::{
    ActionRecord, Completion, Ending, Environment, EnvironmentFactory, Episode, Fault, FaultKind, Image, Message,
    Observation, Prompt, Renderer, Reward, Role, Row, Sampler, SamplerSession, SamplingParams, StopReason, Task, Turn,
};
use std::sync::Arc;
use std::time::Instant;
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
    /// Number in the collection.
    pub index: usize,
    /// Number of the group.
    pub group: usize,
    /// Number within the group.
    pub attempt: u64,
    pub task: Arc<Task>,
    /// Faults so far.
    pub faults: usize,
    /// How many of them came after the environment had started; part of the seed. A device that does not come up
    /// thus leaves the seeds alone, and an attempt that was lost midway is not repeated token by token.
    pub plays: u64,
}

/// Why an attempt has no episode.
#[derive(Debug)]
pub(crate) enum Lost {
    Fault(Fault),
    Fatal(EngineError),
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
    pub salt: u64,
    /// Cancelled by the caller, or because an episode ended everything.
    pub stop: CancellationToken,
    pub board: Board,
}

/// The conversation so far.
struct Talk {
    history: Vec<Message>,
    row: Row,
    turns: Vec<Turn>,
    /// The last reply lacks its stop token.
    open: bool,
    /// The picture that came after the last action.
    last: Option<Image>,
}

impl Talk {
    fn new(temperature: f32) -> Self {
        Self {
            history: Vec::new(),
            row: Row::new(temperature),
            turns: Vec::new(),
            open: false,
            last: None,
        }
    }
}

impl Collector {
    /// Makes and starts an environment. It is finished here when it does not start.
    pub async fn start(&self, slot: &Slot) -> Result<Started, Lost> {
        let since = Instant::now();
        let mut environment = self.seams.factory.create(&slot.task, slot.index).await?;
        let started = environment.start().await;
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
                Err(fault.into())
            }
        }
    }

    /// Finishes an environment whose episode is given up.
    async fn release(&self, mut environment: Box<dyn Environment>) {
        if let Err(fault) = environment.finish(Ending::Fault).await {
            tracing::warn!(%fault, "an environment could not be released");
            self.board.update(|stats| stats.release_faults += 1);
        }
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
        let mut talk = Talk::new(self.config.logprob_temperature());
        let ending = match self
            .turns(slot, environment.as_mut(), observation, session, &mut talk)
            .await
        {
            Ok(ending) => ending,
            Err(loss) => {
                self.release(environment).await;
                return Err(loss);
            }
        };
        let facts = environment.finish(ending).await?;
        let seconds = since.elapsed().as_secs_f64();
        Ok(Episode::new(slot.attempt, ending, facts, talk.row)
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
        let mut new = first.messages;
        let limit = self.config.turns(slot.task.max_turns);
        for turn in 0..limit {
            if self.stop.is_cancelled() {
                return Err(Lost::Cancelled);
            }
            let prompt = self.render(talk, &new).await?;
            let used = talk.row.len() + prompt.tokens.len();
            let room = self.config.max_context_tokens.saturating_sub(used);
            if room == 0 && turn == 0 {
                let limit = self.config.max_context_tokens;
                return Err(Lost::Fatal(EngineError::PromptTooLong {
                    task: slot.task.id.clone(),
                    got: used,
                    limit,
                }));
            }
            let Some(asked) = session.as_mut().filter(|_| room > 0) else {
                return Ok(Ending::MaxTokens);
            };
            let call = SeedPath {
                salt: self.salt,
                slot: slot.index,
                play: slot.plays,
                turn,
            };
            let params = self.config.sampling(call, room.min(self.config.max_new_tokens));
            let completion = self.sample(asked.as_mut(), &prompt, &params).await?;
            // Nothing more is asked after the last turn or in a full context: free the sampler before the step.
            if turn + 1 == limit || completion.stop == StopReason::ContextFull {
                session = None;
            }

            talk.row.push_prompt(&prompt);
            let tokens = talk
                .row
                .push_completion(&completion)
                .map_err(|error| Fault::from_error(FaultKind::Sampler, "sample", error))?;
            let reply = self.seams.renderer.decode(&completion.tokens);
            let since = Instant::now();
            let step = environment.step(&reply).await?;
            self.board
                .update(|stats| stats.step_seconds += since.elapsed().as_secs_f64());
            self.board.event(ProgressEvent::Turn {
                slot: slot.index,
                task: slot.task.id.clone(),
                turn,
                action: describe(&step.action),
            });

            let screenshot = new.iter().flat_map(Message::images).last().cloned();
            talk.history.append(&mut new);
            talk.history.push(Message::text(Role::Assistant, reply.clone()));
            talk.open = completion.stop != StopReason::Stop;
            let turn = Turn::new(reply, step.action, tokens, completion.stop);
            talk.turns.push(turn.with_screenshot(screenshot));
            talk.last = None;
            match step.observation {
                None => return Ok(Ending::Reported),
                Some(observation) => new = observation.messages,
            }
            talk.last = new.iter().flat_map(Message::images).last().cloned();
        }
        Ok(Ending::MaxTurns)
    }

    /// Renders off the runtime's threads: images are decoded and resized here.
    async fn render(&self, talk: &mut Talk, new: &[Message]) -> Result<Prompt, Lost> {
        let renderer = self.seams.renderer.clone();
        let (history, new, closed) = (std::mem::take(&mut talk.history), new.to_vec(), !talk.open);
        let rendered = tokio::task::spawn_blocking(move || (renderer.render(&history, &new, closed), history)).await;
        let (prompt, history) = rendered.map_err(|error| {
            Lost::Fatal(EngineError::Panicked {
                message: error.to_string(),
            })
        })?;
        talk.history = history;
        Ok(prompt?)
    }

    /// Samples one reply, unless the collection is stopped first.
    async fn sample(
        &self,
        session: &mut dyn SamplerSession,
        prompt: &Prompt,
        params: &SamplingParams,
    ) -> Result<Completion, Lost> {
        let since = Instant::now();
        let completion = tokio::select! {
            completion = session.sample(prompt, params) => completion?,
            () = self.stop.cancelled() => return Err(Lost::Cancelled),
        };
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
