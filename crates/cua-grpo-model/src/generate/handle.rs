//! The generator on its thread, behind a handle that implements the sampler seam.

use super::engine::Generator;
use super::state::Request;
use crate::batch::ImageCache;
use crate::{ModelError, Qwen3Vl};
use async_trait::async_trait;
use cua_grpo_core::{Completion, Fault, FaultKind, PolicyVersion, Prompt, Sampler, SamplerSession, SamplingParams};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// Tokens that the others draw before somebody is admitted who came alone.
const PATIENCE: usize = 4;

/// When a batch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// When every open session asks: batches, and so results, do not depend on time.
    Lockstep,
    /// Always: a session that asks joins the others at the next token, and leaves when its reply is finished.
    Eager,
}

/// What happens to replies that are under way when new weights come, and to what the old weights put into the cache of
/// open conversations: it stays, unless it is filled again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUpdate {
    /// They go on with the new weights: tokens of one reply have several versions. (A card's decoder takes new weights
    /// when the next session joins.)
    #[default]
    Keep,
    /// They are finished by the old weights; whoever asks meanwhile waits. Each reply has one version, and the batch runs
    /// empty at each update.
    Finish,
    /// As [`OnUpdate::Finish`]; then all that was said in a conversation is fed to the new weights before its next reply.
    /// Each reply is what its version would say to the whole conversation. The next turn of a conversation costs the forward
    /// pass of all before it.
    Refill,
}

impl OnUpdate {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Keep, Self::Finish, Self::Refill];
}

enum Command {
    Open {
        session: u64,
        slot: usize,
    },
    Close {
        session: u64,
    },
    Forget {
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
    images: Arc<ImageCache>,
}

impl ModelSampler {
    /// Starts the thread; replies that are under way go on with new weights.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(generator: Generator, version: PolicyVersion, batching: Batching) -> std::io::Result<Self> {
        Self::start_with(generator, version, batching, OnUpdate::default())
    }

    /// Starts the thread. `on_update` says what new weights mean to replies that are under way; in lockstep there are none
    /// between two batches.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start_with(
        generator: Generator,
        version: PolicyVersion,
        batching: Batching,
        on_update: OnUpdate,
    ) -> std::io::Result<Self> {
        let (commands, receiver) = mpsc::channel();
        let images = generator.images().clone();
        std::thread::Builder::new()
            .name("cua-grpo-sampler".to_owned())
            .spawn(move || Worker::new(generator, batching, on_update).run(&receiver))?;
        Ok(Self {
            commands,
            next_session: Arc::default(),
            version: Arc::new(AtomicU64::new(version)),
            images,
        })
    }

    /// Publishes new weights: a pointer swap between two batches in lockstep, between two tokens otherwise.
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
            images: self.images.clone(),
        })
    }

    fn version(&self) -> PolicyVersion {
        self.version.load(Ordering::SeqCst)
    }
}

struct Session {
    commands: mpsc::Sender<Command>,
    session: u64,
    images: Arc<ImageCache>,
}

#[async_trait]
impl SamplerSession for Session {
    async fn sample(&mut self, prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault> {
        if !prompt.images.is_empty() {
            // Pictures of several conversations are read beside each other; the thread finds their pixels in the cache, and
            // tells what is wrong with one.
            let (cache, images) = (self.images.clone(), prompt.images.clone());
            let read = move || images.iter().for_each(|image| _ = cache.pixels(image));
            let _ = tokio::task::spawn_blocking(read).await;
        }
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

    fn forget(&mut self) {
        // A closed channel shows at the next request, with a fault.
        let _ = self.commands.send(Command::Forget { session: self.session });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close { session: self.session });
    }
}

type Reply = oneshot::Sender<Result<Completion, Fault>>;

/// The thread's state: who is open, who waits, whose reply is under way.
struct Worker {
    generator: Generator,
    batching: Batching,
    on_update: OnUpdate,
    /// Open sessions and their place in the batch.
    open: BTreeMap<u64, usize>,
    waiting: Vec<(Request, Reply)>,
    drawing: BTreeMap<u64, Reply>,
    /// Tokens that were drawn since somebody was admitted.
    since: usize,
    /// Weights that wait until no reply is under way.
    next: Option<(Box<Qwen3Vl>, PolicyVersion)>,
}

impl Worker {
    fn new(generator: Generator, batching: Batching, on_update: OnUpdate) -> Self {
        Self {
            generator,
            batching,
            on_update,
            open: BTreeMap::new(),
            waiting: Vec::new(),
            drawing: BTreeMap::new(),
            since: 0,
            next: None,
        }
    }

    fn run(mut self, commands: &mpsc::Receiver<Command>) {
        self.serve(commands);
        // A card keeps the memory that a thread used for that thread, which ends here.
        let device = self.generator.device();
        drop(self.generator);
        device.memory_cleanup();
    }

    /// Until nobody can send a command any more.
    fn serve(&mut self, commands: &mpsc::Receiver<Command>) {
        loop {
            if self.drawing.is_empty() {
                let Ok(command) = commands.recv() else {
                    return;
                };
                self.apply(command);
            }
            while let Ok(command) = commands.try_recv() {
                self.apply(command);
            }
            match self.batching {
                Batching::Lockstep if self.waiting.len() == self.open.len() => {
                    self.admit();
                    while !self.drawing.is_empty() {
                        self.advance();
                    }
                }
                Batching::Lockstep => {}
                Batching::Eager => {
                    self.swap();
                    if self.next.is_none() && self.is_time_to_admit() {
                        self.admit();
                        self.since = 0;
                    }
                    self.advance();
                    self.since += 1;
                    self.swap();
                }
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
                self.drawing.remove(&session);
                self.generator.close(session);
            }
            Command::Forget { session } => self.generator.forget(session),
            Command::Sample { request, reply } => self.waiting.push((request, reply)),
            Command::SetModel { model, version } => match self.on_update {
                OnUpdate::Finish | OnUpdate::Refill if !self.drawing.is_empty() => self.next = Some((model, version)),
                _ => self.take(*model, version),
            },
        }
    }

    /// Takes weights that waited, once nobody draws.
    fn swap(&mut self) {
        if self.drawing.is_empty()
            && let Some((model, version)) = self.next.take()
        {
            self.take(*model, version);
        }
    }

    /// Samples with new weights from here on.
    fn take(&mut self, model: Qwen3Vl, version: PolicyVersion) {
        self.generator.set_model(model, version);
        if self.on_update == OnUpdate::Refill {
            self.generator.refill();
        }
    }

    /// Whether those who wait are many for those who draw, or have waited for some tokens: to be fed together costs less.
    fn is_time_to_admit(&self) -> bool {
        self.waiting.len() * 4 >= self.drawing.len() || self.since >= PATIENCE
    }

    /// Lets those who wait draw.
    fn admit(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|(request, _)| (self.open.get(&request.session).copied(), request.session));
        // A request that cannot be sampled fails alone.
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for (request, reply) in waiting {
            match self.generator.check(&request) {
                Ok(()) => {
                    replies.push((request.session, reply));
                    requests.push(request);
                }
                Err(error) => drop(reply.send(Err(fault(error)))),
            }
        }
        if requests.is_empty() {
            return;
        }
        match self.generator.admit(&requests) {
            Ok(()) => {
                self.drawing.extend(replies);
                self.collect();
            }
            Err(error) => {
                let fault = fault(error);
                for (_, reply) in replies {
                    let _ = reply.send(Err(fault.clone()));
                }
            }
        }
    }

    /// Draws on for all whose reply is under way.
    fn advance(&mut self) {
        if self.drawing.is_empty() {
            return;
        }
        match self.generator.advance() {
            Ok(()) => self.collect(),
            Err(error) => self.fail(error),
        }
    }

    /// Hands out what is finished. In lockstep nothing is, before all is: the sums of those who go on depend on who is
    /// there.
    fn collect(&mut self) {
        let finished = match self.generator.finished() {
            Ok(finished) => finished,
            Err(error) => return self.fail(error),
        };
        if self.batching == Batching::Lockstep && finished.len() < self.drawing.len() {
            return;
        }
        for session in finished {
            let released = self.generator.release(session).map_err(fault);
            let outcome = released.and_then(|completion| match completion.flaw() {
                Some(flaw) => Err(Fault::new(FaultKind::Sampler, "sample", flaw)),
                None => Ok(completion),
            });
            if let Some(reply) = self.drawing.remove(&session) {
                // The caller may have given up meanwhile.
                let _ = reply.send(outcome);
            }
        }
    }

    /// Nobody's reply can be finished.
    fn fail(&mut self, error: ModelError) {
        let fault = fault(error);
        for (session, reply) in std::mem::take(&mut self.drawing) {
            // What was drawn is lost; a session that goes on says what is wrong with it then.
            let _ = self.generator.release(session);
            let _ = reply.send(Err(fault.clone()));
        }
    }
}

fn fault(error: ModelError) -> Fault {
    Fault::from_error(FaultKind::Sampler, "sample", error)
}
