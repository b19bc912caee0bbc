//! What `metrics.jsonl` tells of the time before a run goes on: an evaluation that the checkpoint does not know of yet,
//! and lines that are lost.

use crate::metrics::{EvalEvent, Line, METRICS, MetricsError, read_metrics};
use std::collections::BTreeSet;
use std::path::Path;

/// The time up to a checkpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The evaluation of the checkpoint's weights that was made after it was saved, as at the end of a run.
    pub closing: Option<EvalEvent>,
    /// What has no line, in words: the file was lost or cut.
    pub lacks: Option<String>,
}

impl History {
    /// Reads the metrics of `run` up to the checkpoint of `step`; `evaluated` tells that its evaluation was made before
    /// it was saved, `evaluates` that the run makes any.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no event.
    pub(super) fn read(run: &Path, step: usize, evaluated: bool, evaluates: bool) -> Result<Self, MetricsError> {
        let mut history = Self::of(&read_metrics(run)?, step, evaluated, evaluates);
        history.lacks = history.lacks.map(|lacks| {
            format!(
                "{} was lost or cut: it has no line of {lacks}",
                run.join(METRICS).display()
            )
        });
        Ok(history)
    }

    fn of(events: &[Line], step: usize, evaluated: bool, evaluates: bool) -> Self {
        let mut steps = BTreeSet::new();
        let (mut baseline, mut last) = (false, None);
        for event in events {
            match event {
                Line::Train(train) => {
                    steps.insert(train.step);
                }
                Line::Eval(eval) => {
                    baseline |= eval.step == 0;
                    last = Some(eval).filter(|eval| eval.step == step).or(last);
                }
            }
        }
        let mut lacks = Vec::new();
        let lost: Vec<usize> = (1..=step).filter(|step| !steps.contains(step)).collect();
        match lost[..] {
            [] => {}
            [one] => lacks.push(format!("step {one}")),
            [first, .., last] if last - first + 1 == lost.len() => lacks.push(format!("steps {first} to {last}")),
            [first, .., last] => lacks.push(format!("{} of the steps {first} to {last}", lost.len())),
        }
        if evaluates && !baseline {
            lacks.push("the evaluation before the first step".into());
        }
        if evaluates && evaluated && last.is_none() && step > 0 {
            lacks.push(format!("the evaluation after step {step}"));
        }
        Self {
            // One that failed says nothing of the weights, and is made again.
            closing: last.filter(|last| !evaluated && last.failed.is_none()).cloned(),
            lacks: (!lacks.is_empty()).then(|| lacks.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Line> {
        text.split_whitespace().map(Line::short).collect()
    }

    #[test]
    fn an_evaluation_after_the_checkpoint_was_saved_is_found() {
        let closing = |text: &str, step, evaluated| {
            let found = History::of(&events(text), step, evaluated, true).closing;
            found.map(|eval| eval.step)
        };
        assert_eq!(closing("e0 1 2 e2", 2, false), Some(2));
        assert_eq!(closing("e0 1 2 e2", 2, true), None, "the checkpoint knows it");
        assert_eq!(closing("e0 1 2 e2 3", 2, false), Some(2));
        assert_eq!(closing("e0 1 2", 2, false), None);
        assert_eq!(closing("e0 1 e1 2 3 e3", 2, false), None);
    }

    #[test]
    fn what_is_lost_is_told() {
        let lacks = |text: &str, step, evaluated| History::of(&events(text), step, evaluated, true).lacks;
        assert_eq!(lacks("e0 1 2 e2", 2, true), None);
        assert_eq!(lacks("e0 1 2", 2, false), None);
        assert_eq!(lacks("e0 1 2 3 4", 2, false), None, "a fork");
        assert_eq!(
            lacks("", 3, true).unwrap(),
            "steps 1 to 3, the evaluation before the first step, the evaluation after step 3"
        );
        assert_eq!(lacks("e0 1", 2, false).unwrap(), "step 2");
        assert_eq!(lacks("e0 1 e1 3 5 e5", 5, true).unwrap(), "2 of the steps 2 to 4");
        assert_eq!(lacks("e0 1 2", 2, true).unwrap(), "the evaluation after step 2");
        // A replay makes no evaluations.
        assert_eq!(History::of(&events("1 2"), 2, true, false).lacks, None);
        assert_eq!(History::of(&events("1"), 2, true, false).lacks.unwrap(), "step 2");
    }
}
