//! What a run tells while it goes on, and the seam for whoever listens: a progress bar, a report, a tracker.
//!
//! The lines of `metrics.jsonl` are one sink among others ([`MetricsWriter`](crate::metrics::MetricsWriter)).

use crate::metrics::{EvalEvent, TrainEvent};
use anyhow::Result;
use cua_grpo_rollout::Progress;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A sentence for the user.
    Note(&'a str),
    /// A sentence about something that is wrong and does not end the run.
    Warning(&'a str),
    /// The folder belongs to this run from here on: a sink may write there.
    Begun {
        /// The run folder.
        run_dir: &'a Path,
        /// Steps done before.
        step: usize,
    },
    /// What the run does now, in words.
    Phase(&'a str),
    /// An episode, or a turn of one, ended.
    Episodes {
        /// What they are played for: `step 3: rollout`.
        what: &'a str,
        /// How many are done, and what ended.
        progress: &'a Progress,
    },
    /// A training step is done.
    Step(&'a TrainEvent),
    /// An evaluation is done, and its episodes are saved.
    Eval(&'a EvalEvent),
    /// Something was written that a report should show: episodes of an evaluation, the end, what a failure left.
    Written {
        /// The run folder.
        run_dir: &'a Path,
    },
    /// The run is over; nothing comes after it.
    Ended {
        /// The run folder.
        run_dir: &'a Path,
        /// How; `None` when it failed.
        outcome: Option<Outcome>,
    },
}

/// A sentence that is said once there is someone to hear it: what a run begins with is known before its sinks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// As [`Event::Note`].
    Plain(String),
    /// As [`Event::Warning`].
    Warning(String),
}

impl Note {
    /// The event.
    pub fn event(&self) -> Event<'_> {
        match self {
            Self::Plain(text) => Event::Note(text),
            Self::Warning(text) => Event::Warning(text),
        }
    }

    /// The sentence.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Warning(text) => text,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It reached its last step, or what it was to reach; its policy is in `final`.
    Finished,
    /// It had no step to do; its folder is as it was.
    Idle,
    /// Its end was asked for; what was reached is saved.
    Interrupted,
}

/// Listens to a run. Calls come one after the other and hold the run up, so they should be quick.
pub trait Sink: Send {
    /// Takes note of `event`.
    ///
    /// # Errors
    /// Ends the run, which saves before. A sink that the run can do without keeps its errors to itself.
    fn event(&mut self, event: &Event<'_>) -> Result<()>;
}

/// Several sinks as one. Clones tell the same sinks.
#[derive(Clone, Default)]
pub struct Sinks(Arc<Mutex<Vec<Box<dyn Sink>>>>);

impl Sinks {
    /// The sinks, in the order in which they are told.
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self(Arc::new(Mutex::new(sinks)))
    }

    /// Tells all of them.
    ///
    /// # Errors
    /// The first error; the sinks after it are told as well.
    pub fn tell(&self, event: &Event<'_>) -> Result<()> {
        let mut sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        for sink in sinks.iter_mut() {
            let told = sink.event(event);
            outcome = outcome.and(told);
        }
        outcome
    }
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sinks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the notes, and fails where it is told to.
    struct Ears(Arc<Mutex<Vec<String>>>, &'static str);

    impl Sink for Ears {
        fn event(&mut self, event: &Event<'_>) -> Result<()> {
            if let Event::Note(text) = event {
                self.0.lock().unwrap().push((*text).to_owned());
                anyhow::ensure!(*text != self.1, "no more {text}");
            }
            Ok(())
        }
    }

    #[test]
    fn every_sink_is_told_and_the_first_error_comes_back() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = |fails| Box::new(Ears(heard.clone(), fails)) as Box<dyn Sink>;
        let sinks = Sinks::new(vec![ears("b"), ears("never")]);
        sinks.tell(&Event::Note("a")).unwrap();
        sinks.tell(&Event::Phase("nothing to hear")).unwrap();
        let error = sinks.clone().tell(&Event::Note("b")).unwrap_err();
        assert_eq!(error.to_string(), "no more b");
        assert_eq!(*heard.lock().unwrap(), ["a", "a", "b", "b"]);
    }
}
