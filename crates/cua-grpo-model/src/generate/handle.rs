//! The generator on its thread, behind a handle that implements the sampler seam.

use super::engine::Generator;
use super::state::Request;
use crate::{ModelError, Qwen3Vl};
use async_trait::async_trait;
use cua_grpo_core::{Completion, Fault, FaultKind, PolicyVersion, Prompt, Sampler, SamplerSession, SamplingParams};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// When a batch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// When every open session asks: batches, and so results, do not depend on time.
    Lockstep,
    /// As soon as the generator is idle and any session asks.
    Eager,
}

enum Command {
    Open {
        session: u64,
        slot: usize,
    },
    Close {
        session: u64,
    },
    Sample {
        request: Request,
        reply: oneshot::Sender<Result<Completion, Fault>>,
    },
    SetModel {
        model: Box<Qwen3Vl>,
        version: PolicyVersion,
    },
}

/// A policy that samples on its own thread. Clones share the thread; it ends when the last of them is dropped.
#[derive(Clone)]
pub struct ModelSampler {
    commands: mpsc::Sender<Command>,
    next_session: Arc<AtomicU64>,
    version: Arc<AtomicU64>,
}

impl ModelSampler {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(generator: Generator, version: PolicyVersion, batching: Batching) -> std::io::Result<Self> {
        let (commands, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("cua-grpo-sampler".to_owned())
            .spawn(move || Worker::new(generator, batching).run(&receiver))?;
        Ok(Self {
            commands,
            next_session: Arc::default(),
            version: Arc::new(AtomicU64::new(version)),
        })
    }

    /// Publishes new weights: a pointer swap between two batches.
    pub fn set_model(&self, model: Qwen3Vl, version: PolicyVersion) {
        self.version.store(version, Ordering::SeqCst);
        // A closed channel shows at the next request, with a fault.
        let _ = self.commands.send(Command::SetModel {
            model: Box::new(model),
            version,
        });
    }
}

impl Sampler for ModelSampler {
    fn open(&self, slot: usize) -> Box<dyn SamplerSession> {
        let session = self.next_session.fetch_add(1, Ordering::SeqCst);
        let _ = self.commands.send(Command::Open { session, slot });
        Box::new(Session {
            commands: self.commands.clone(),
            session,
        })
    }

    fn version(&self) -> PolicyVersion {
        self.version.load(Ordering::SeqCst)
    }
}

struct Session {
    commands: mpsc::Sender<Command>,
    session: u64,
}

#[async_trait]
impl SamplerSession for Session {
    async fn sample(&mut self, prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            session: self.session,
            prompt: prompt.clone(),
            params: params.clone(),
        };
        let gone = || Fault::new(FaultKind::Sampler, "sample", "the sampler's thread has ended");
        self.commands
            .send(Command::Sample { request, reply })
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close { session: self.session });
    }
}

/// The thread's state: who is open, who waits.
struct Worker {
    generator: Generator,
    batching: Batching,
    /// Open sessions and their place in the batch.
    open: BTreeMap<u64, usize>,
    waiting: Vec<(Request, oneshot::Sender<Result<Completion, Fault>>)>,
}

impl Worker {
    fn new(generator: Generator, batching: Batching) -> Self {
        Self {
            generator,
            batching,
            open: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    fn run(mut self, commands: &mpsc::Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            self.apply(command);
            while let Ok(command) = commands.try_recv() {
                self.apply(command);
            }
            let ready = match self.batching {
                Batching::Lockstep => self.waiting.len() == self.open.len(),
                Batching::Eager => true,
            };
            if ready && !self.waiting.is_empty() {
                self.run_batch();
            }
        }
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Open { session, slot } => {
                self.open.insert(session, slot);
                self.generator.open(session);
            }
            Command::Close { session } => {
                self.open.remove(&session);
                self.waiting.retain(|(request, _)| request.session != session);
                self.generator.close(session);
            }
            Command::Sample { request, reply } => self.waiting.push((request, reply)),
            Command::SetModel { model, version } => self.generator.set_model(*model, version),
        }
    }

    fn run_batch(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|(request, _)| (self.open.get(&request.session).copied(), request.session));
        let fault = |error: ModelError| Fault::from_error(FaultKind::Sampler, "sample", error);
        // A request that cannot be sampled fails alone.
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for (request, reply) in waiting {
            match self.generator.check(&request) {
                Ok(()) => {
                    requests.push(request);
                    replies.push(reply);
                }
                Err(error) => drop(reply.send(Err(fault(error)))),
            }
        }
        if requests.is_empty() {
            return;
        }
        match self.generator.generate(&requests) {
            Ok(completions) => {
                for (reply, completion) in replies.into_iter().zip(completions) {
                    let flaw = completion.flaw();
                    let outcome = flaw.map(|flaw| Fault::new(FaultKind::Sampler, "sample", flaw));
                    // The caller may have given up meanwhile.
                    let _ = reply.send(outcome.map_or(Ok(completion), Err));
                }
            }
            Err(error) => {
                let fault = fault(error);
                for reply in replies {
                    let _ = reply.send(Err(fault.clone()));
                }
            }
        }
    }
}
