//! The learner on a thread of its own: updates neither hold up the runtime nor wait for it.

use crate::learner::Learner;
use anyhow::{Context, Result};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Learner) + Send>;

/// Bytes of the thread's stack: what autodiff drops is as deep as the model.
const STACK: usize = 32 << 20;

/// A learner and the thread that works with it. The thread ends when this is dropped.
pub struct LearnerThread {
    learner: Arc<Mutex<Learner>>,
    jobs: mpsc::Sender<Job>,
}

impl LearnerThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(learner: Learner) -> Result<Self> {
        let learner = Arc::new(Mutex::new(learner));
        let (jobs, receiver) = mpsc::channel::<Job>();
        let shared = learner.clone();
        std::thread::Builder::new()
            .name("cua-grpo-learner".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                for job in receiver {
                    job(&mut lock(&shared));
                }
            })
            .context("cannot start the thread of the learner")?;
        Ok(Self { learner, jobs })
    }

    /// The learner, where it is at rest: this waits for a job that is under way.
    pub fn lock(&self) -> MutexGuard<'_, Learner> {
        lock(&self.learner)
    }

    /// Lets the thread do `work`, after what it was given before.
    ///
    /// # Errors
    /// When the work, or earlier work, panicked.
    pub async fn work<T: Send + 'static>(&self, work: impl FnOnce(&mut Learner) -> T + Send + 'static) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |learner| {
            // Whoever asked may have given up.
            let _ = reply.send(work(learner));
        });
        let gone = "the thread of the learner has ended: an update panicked, which is a defect";
        self.jobs.send(job).ok().context(gone)?;
        answer.await.context(gone)
    }
}

/// A learner whose thread panicked is not worked with again; it may be saved as it is.
fn lock(learner: &Mutex<Learner>) -> MutexGuard<'_, Learner> {
    learner.lock().unwrap_or_else(PoisonError::into_inner)
}
