//! Scripted doubles of the seams, for tests of the layers above and below them (feature `testing`).

pub mod fuzz;

use crate::{
    ActionRecord, Completion, Ending, Environment, Facts, Fault, FaultKind, Message, Observation, PolicyVersion,
    Prompt, Renderer, Sampler, SamplerSession, SamplingParams, Step, StopReason, TokenId,
};
use async_trait::async_trait;

/// Renders text as its bytes (ids 0..256) and closes each message with id 256; images become one id 257 each.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByteRenderer;

/// The stop token of [`ByteRenderer`].
pub const STOP: TokenId = 256;
/// The image-pad token of [`ByteRenderer`].
pub const IMAGE_PAD: TokenId = 257;

impl Renderer for ByteRenderer {
    fn render(&self, _history: &[Message], new: &[Message], closed: bool) -> Result<Prompt, Fault> {
        let mut prompt = Prompt::default();
        if !closed {
            prompt.tokens.push(STOP);
        }
        for message in new {
            prompt.tokens.extend(message.joined_text().bytes().map(TokenId::from));
            for image in message.images() {
                prompt.tokens.push(IMAGE_PAD);
                prompt.images.push(image.clone());
            }
            prompt.tokens.push(STOP);
        }
        Ok(prompt)
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        let bytes: Vec<u8> = tokens.iter().filter_map(|&token| u8::try_from(token).ok()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn encode_reply(&self, reply: &str) -> Vec<TokenId> {
        reply.bytes().map(TokenId::from).chain([STOP]).collect()
    }
}

/// Says what a function of (slot, turn) tells it to say, with log-prob -0.5 a token.
pub struct ScriptedSampler<F> {
    script: std::sync::Arc<F>,
    version: PolicyVersion,
}

impl<F: Fn(usize, usize) -> Result<String, Fault> + Send + Sync + 'static> ScriptedSampler<F> {
    /// A sampler that follows `script`.
    pub fn new(script: F) -> Self {
        Self {
            script: std::sync::Arc::new(script),
            version: 0,
        }
    }
}

impl<F: Fn(usize, usize) -> Result<String, Fault> + Send + Sync + 'static> Sampler for ScriptedSampler<F> {
    fn open(&self, slot: usize) -> Box<dyn SamplerSession> {
        Box::new(ScriptedSession {
            script: self.script.clone(),
            version: self.version,
            slot,
            turn: 0,
        })
    }

    fn version(&self) -> PolicyVersion {
        self.version
    }
}

struct ScriptedSession<F> {
    script: std::sync::Arc<F>,
    version: PolicyVersion,
    slot: usize,
    turn: usize,
}

#[async_trait]
impl<F: Fn(usize, usize) -> Result<String, Fault> + Send + Sync> SamplerSession for ScriptedSession<F> {
    async fn sample(&mut self, _prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault> {
        let mut tokens = ByteRenderer.encode_reply(&(self.script)(self.slot, self.turn)?);
        self.turn += 1;
        let stop = if tokens.len() > params.max_new_tokens {
            StopReason::MaxTokens
        } else {
            StopReason::Stop
        };
        tokens.truncate(params.max_new_tokens);
        let logprobs = vec![-0.5; tokens.len()];
        Completion::new(tokens, logprobs, self.version, stop)
            .map_err(|error| Fault::from_error(FaultKind::Sampler, "sample", error))
    }

    /// The script knows turns, not tokens.
    fn forget(&mut self) {}
}

/// A world that is done when the policy says the secret word; `stop` ends the episode.
#[derive(Debug, Clone)]
pub struct ScriptedEnvironment {
    secret: String,
    facts: Facts,
    finished: bool,
}

impl ScriptedEnvironment {
    /// A world whose goal is to say `secret`.
    pub fn new(secret: impl Into<String>) -> Self {
        Self {
            secret: secret.into(),
            facts: Facts::default(),
            finished: false,
        }
    }

    fn look(&self) -> Observation {
        Observation::text(format!("turn {}", self.facts.turns))
    }
}

#[async_trait]
impl Environment for ScriptedEnvironment {
    async fn start(&mut self) -> Result<Observation, Fault> {
        Ok(self.look())
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        assert!(!self.finished, "step after finish: a defect of the engine");
        self.facts.turns += 1;
        self.facts.verified |= reply == self.secret;
        let step = Step::new(ActionRecord::new(reply));
        if reply == "stop" {
            self.facts.claimed = Some(true);
            return Ok(step);
        }
        Ok(step.with_observation(self.look()))
    }

    async fn finish(&mut self, _ending: Ending) -> Result<Facts, Fault> {
        assert!(!std::mem::replace(&mut self.finished, true), "finish is called once");
        Ok(self.facts.clone())
    }
}
