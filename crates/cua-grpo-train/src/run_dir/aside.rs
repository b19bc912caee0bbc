//! What a run that goes on from a checkpoint keeps, and what it sets aside: nothing of another timeline stays in place,
//! nothing is deleted.

use super::identity::Identity;
use crate::checkpoint::{TrainingState, step_of};
use crate::episodes::Saved;
use crate::error::TrainError;
use crate::files::{
    CHECKSUMS, Limit, is_mendable, lines, link_folder, make_folders, move_folder, read_bytes, replace_folder, verify,
    write,
};
use crate::layout::{ABANDONED, BEST, CHECKPOINTS, CONFIG, FINAL, REPORT, TRAIN_LOG, best_of, list};
use crate::metrics::{METRICS, belongs, read_metrics};
use crate::resume::ResumePoint;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What stays of a run that goes on from a checkpoint.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The step of the checkpoint.
    pub step: usize,
    /// Whether the evaluation at that step was made before.
    pub evaluated: bool,
    /// The checkpoint; `None` when the run begins anew.
    checkpoint: Option<PathBuf>,
}

/// What a line of the log of training episodes says of itself.
#[derive(Deserialize)]
struct Logged {
    step: usize,
    /// The timeline; older versions tell none.
    run: Option<String>,
}

impl Kept {
    /// What stays of the run of `point`.
    pub fn of(point: &ResumePoint, state: &TrainingState) -> Self {
        Self {
            step: point.step,
            evaluated: state.evaluated,
            checkpoint: point.checkpoint.clone(),
        }
    }

    /// Whether the evaluation after `step` stays.
    pub fn has_evaluation(&self, step: usize) -> bool {
        step < self.step || (step == self.step && self.evaluated)
    }

    /// Whether the saved episodes of `step` stay.
    pub fn has_episodes(&self, saved: Saved, step: usize) -> bool {
        match saved {
            Saved::Eval => self.has_evaluation(step),
            Saved::Train | Saved::Record => step <= self.step,
        }
    }

    /// The lines of the log of training episodes that stay in the run `identity`. Those of another run are left out, with a
    /// warning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn train_lines(&self, path: &Path, identity: &Identity) -> Result<Vec<u8>> {
        let log = match lines(path, Limit::LOG) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            log => log.map_err(unreadable(path))?,
        };
        let (mut kept, mut others) = (Vec::new(), 0);
        for line in log {
            let line = line.map_err(unreadable(path))?;
            let Ok(Logged { step, run }) = serde_json::from_slice(&line) else {
                continue; // torn by a death
            };
            if step > self.step {
                continue;
            }
            if identity.has(run.as_deref(), step) {
                kept.extend_from_slice(line.trim_ascii_end());
                kept.push(b'\n');
            } else {
                others += 1;
            }
        }
        if others > 0 {
            tracing::warn!(
                "{others} lines of {} are left out: another run wrote them",
                path.display()
            );
        }
        Ok(kept)
    }

    /// Sets aside what is not kept of the run `identity`, and puts the best model of the checkpoint's time in its place; the folder that
    /// received the rest comes back, `None` when there was none.
    ///
    /// The order makes a death harmless: later checkpoints go first, the newest of them first of all, so what is left is
    /// always a run with metrics up to its newest checkpoint or beyond it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_the_rest_aside(&self, run: &Path, identity: &Identity) -> Result<Option<PathBuf>> {
        let mut later = list(run)?;
        later.retain(|(step, _)| *step > self.step);
        let events = read_metrics(run)?;
        let cut = events.iter().any(|event| !belongs(event, self.step, self.evaluated));
        let log = run.join(TRAIN_LOG);
        let lines = self.train_lines(&log, identity)?;
        let mut aside = None;
        if cut || !later.is_empty() {
            let folder = free_name(&run.join(ABANDONED), self.step);
            make_folders(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            // A run of its own, with all that was done on the timeline that ends here.
            identity.forked(usize::MAX).write(&folder)?;
            for name in [CONFIG, METRICS] {
                copy(&run.join(name), &folder.join(name))?;
            }
            if log.exists() {
                copy(&log, &folder.join(TRAIN_LOG))?;
            }
            let best = run.join(BEST);
            if best.is_dir() {
                replace_folder(&folder.join(BEST), |partial| link_folder(&best, partial))?;
            }
            for (_, checkpoint) in later.iter().rev() {
                let name = checkpoint.file_name().unwrap_or_default();
                move_folder(checkpoint, &folder.join(CHECKPOINTS).join(name))?;
            }
            for saved in Saved::ALL {
                for (step, episodes) in saved.folders(run) {
                    if !self.has_episodes(saved, step) {
                        move_folder(&episodes, &saved.folder(&folder, step))?;
                    }
                }
            }
            let last = run.join(FINAL);
            if last.is_dir() && step_of(&last).is_none_or(|step| step > self.step) {
                move_folder(&last, &folder.join(FINAL))?;
            }
            let report = run.join(REPORT);
            if report.exists() {
                move_folder(&report, &folder.join(REPORT))?;
            }
            aside = Some(folder);
        }
        self.restore_best(run)?;
        if log.exists() {
            write(&log, &lines)?;
        }
        Ok(aside)
    }

    /// Gives the run the best model of the checkpoint's time.
    fn restore_best(&self, run: &Path) -> Result<()> {
        let best = run.join(BEST);
        match self.checkpoint.as_deref().map(best_of) {
            // The run begins anew, so it has no best model; the one that is there was linked aside.
            None if best.is_dir() => crate::files::discard(&best),
            Some(Some(saved)) if !same(&saved, &best) => replace_folder(&best, |partial| link_folder(&saved, partial)),
            _ => Ok(()),
        }
    }
}

/// Whether the adapter folder `other` holds the files of `one`, by their lists of checksums, as they were written.
fn same(one: &Path, other: &Path) -> bool {
    let list = |folder: &Path| read_bytes(&folder.join(CHECKSUMS), Limit::SMALL).ok();
    // A damaged one would go into every later checkpoint.
    list(one).is_some_and(|sums| list(other) == Some(sums)) && verify(other).is_ok()
}

/// Why a file that goes aside, or stays, cannot be read, and what to do: for `map_err`.
fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> anyhow::Error {
    move |reason| {
        let text = format!(
            "cannot read {}: {reason}; mend the file, or move it away",
            path.display()
        );
        if is_mendable(&reason) {
            TrainError::Usage(text).into()
        } else {
            anyhow::Error::new(reason).context(text)
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = match read_bytes(from, Limit::LOG) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.map_err(unreadable(from))?,
    };
    if let Some(folder) = to.parent() {
        make_folders(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    write(to, &bytes)
}

/// `after-step-N`, or `after-step-N-2`, ... where that is taken.
fn free_name(parent: &Path, step: usize) -> PathBuf {
    let name = |number: usize| match number {
        1 => parent.join(format!("after-step-{step}")),
        _ => parent.join(format!("after-step-{step}-{number}")),
    };
    let mut number = 1;
    while name(number).exists() {
        number += 1;
    }
    name(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::dies_after;
    use crate::files::{seal, sweep};
    use crate::layout::{FILES, STATE};
    use crate::metrics::{EvalEvent, Line, MetricsWriter, TrainEvent};
    use crate::provenance::{Base, Provenance};

    fn provenance(step: usize, folder: &Path) {
        let base = Base {
            name: "starter".into(),
            path: None,
            fingerprint: "f".into(),
            files: Default::default(),
        };
        let run = None;
        Provenance { step, run, base }.write(folder).unwrap();
    }

    /// A finished run of six steps with a checkpoint every two; the best model is that of step 5.
    fn run() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let run = home.path();
        std::fs::create_dir_all(run.join("episodes/eval-0")).unwrap();
        std::fs::write(run.join(CONFIG), "seed: 1\n").unwrap();
        std::fs::write(run.join(REPORT), "report").unwrap();
        let mut metrics = MetricsWriter::create(run).unwrap();
        let eval = |step| {
            Line::Eval(EvalEvent {
                step,
                ..Default::default()
            })
        };
        metrics.write(&eval(0)).unwrap();
        let mut log = String::new();
        for step in 1..=6 {
            let train = TrainEvent {
                step,
                ..Default::default()
            };
            metrics.write(&Line::Train(train)).unwrap();
            metrics.write(&eval(step)).unwrap();
            log += &format!("{{\"step\":{step}}}\n");
            std::fs::create_dir_all(run.join(format!("episodes/eval-{step}/000"))).unwrap();
            let adapter = |name: &str, best: usize, folder: &Path| {
                for file in FILES {
                    std::fs::write(folder.join(file), format!("{name} {best}")).unwrap();
                }
                let state = TrainingState {
                    global_step: best,
                    ..Default::default()
                };
                std::fs::write(folder.join(STATE), serde_json::to_string(&state)?)?;
                provenance(best, folder);
                seal(folder)
            };
            if step % 2 == 0 {
                let checkpoint = run.join(format!("{CHECKPOINTS}/checkpoint-{step}"));
                std::fs::create_dir_all(checkpoint.join(BEST)).unwrap();
                adapter("best", step - 1, &checkpoint.join(BEST)).unwrap();
                adapter("checkpoint", step, &checkpoint).unwrap();
            }
            for (name, best) in [(BEST, 5), (FINAL, 6)].iter().filter(|_| step == 6) {
                std::fs::create_dir_all(run.join(name)).unwrap();
                adapter("best", *best, &run.join(name)).unwrap();
            }
        }
        std::fs::write(run.join(TRAIN_LOG), log).unwrap();
        home
    }

    fn steps(run: &Path) -> Vec<usize> {
        list(run).unwrap().into_iter().map(|(step, _)| step).collect()
    }

    /// Begins at `point` as a resumed run does.
    fn begin(run: &Path, point: ResumePoint) -> Result<Option<PathBuf>> {
        let state = TrainingState {
            evaluated: true,
            ..Default::default()
        };
        let kept = Kept::of(&point, &state);
        let aside = kept.set_the_rest_aside(run, &Identity::new())?;
        MetricsWriter::resume(run, kept.step, kept.evaluated)?;
        Ok(aside)
    }

    #[test]
    fn a_fork_keeps_what_belongs_to_it_and_loses_nothing() {
        let home = run();
        let run = home.path();
        let point = ResumePoint::find(&run.join(CHECKPOINTS).join("checkpoint-2")).unwrap();
        let aside = begin(run, point).unwrap().unwrap();
        assert_eq!(aside, run.join("abandoned/after-step-2"));
        assert_eq!((steps(run), steps(&aside)), (vec![2], vec![4, 6]));
        assert_eq!(
            step_of(&run.join(BEST)),
            Some(1),
            "the best model of the checkpoint's time"
        );
        assert_eq!(step_of(&aside.join(BEST)), Some(5));
        assert!(!run.join(FINAL).exists() && !run.join(REPORT).exists());
        assert!(aside.join(FINAL).is_dir() && aside.join(REPORT).is_file() && aside.join(CONFIG).is_file());
        let evaluations = |run: &Path| {
            Saved::Eval
                .folders(run)
                .into_iter()
                .map(|(step, _)| step)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (evaluations(run), evaluations(&aside)),
            (vec![0, 1, 2], vec![3, 4, 5, 6])
        );
        assert_eq!(std::fs::read_to_string(run.join(TRAIN_LOG)).unwrap().lines().count(), 2);
        assert_eq!(
            std::fs::read_to_string(aside.join(TRAIN_LOG)).unwrap().lines().count(),
            6
        );
        assert_eq!(
            (read_metrics(run).unwrap().len(), read_metrics(&aside).unwrap().len()),
            (5, 13)
        );
        // A best model that was damaged comes back from the checkpoint.
        std::fs::write(run.join(BEST).join("optimizer.safetensors"), "cut").unwrap();
        // A run that goes on from its newest checkpoint, with nothing behind it, sets nothing aside.
        let point = ResumePoint::find(run).unwrap();
        assert_eq!(begin(run, point).unwrap(), None);
        verify(&run.join(BEST)).unwrap();
    }

    #[test]
    fn lines_of_another_run_in_the_log_are_left_out_and_older_ones_stay() {
        let home = run();
        let log = home.path().join(TRAIN_LOG);
        let kept = |step| {
            let point = ResumePoint::find(&home.path().join(format!("{CHECKPOINTS}/checkpoint-{step}"))).unwrap();
            Kept::of(&point, &TrainingState::default())
        };
        let (own, other) = (Identity::new(), Identity::new());
        let line = |step, run: &Identity| format!("{{\"step\":{step},\"run\":\"{}\"}}\n", run.timeline);
        let old = "{\"step\":1}\n".to_owned();
        let text = old.clone() + &line(2, &own) + &line(2, &other) + &line(3, &own) + "{\"ste";
        std::fs::write(&log, text).unwrap();
        assert_eq!(
            String::from_utf8(kept(2).train_lines(&log, &own).unwrap()).unwrap(),
            old.clone() + &line(2, &own)
        );
        // A fork has the lines of the run that it comes from, up to its step.
        let fork = own.forked(2);
        assert_eq!(
            String::from_utf8(kept(2).train_lines(&log, &fork).unwrap()).unwrap(),
            old + &line(2, &own)
        );
        let file = std::fs::File::options().append(true).open(&log).unwrap();
        file.set_len(3 << 30).unwrap();
        let error = TrainError::from(kept(2).train_lines(&log, &own).unwrap_err());
        assert!(
            error.is_mendable() && error.to_string().contains("train.jsonl"),
            "{error}"
        );
    }

    #[test]
    fn a_death_at_any_point_of_a_fork_leaves_a_run_that_goes_on() {
        for points in 0.. {
            let home = run();
            let run = home.path();
            let point = ResumePoint::find(&run.join(CHECKPOINTS).join("checkpoint-2")).unwrap();
            let died = dies_after(points, || begin(run, point));
            for folder in [
                run.to_path_buf(),
                run.join(CHECKPOINTS),
                run.join(crate::layout::EPISODES),
            ] {
                sweep(&folder).unwrap();
            }
            // Whatever is the newest now, it is whole, and the metrics reach to it.
            let (found, notes) = ResumePoint::find(run).unwrap().verified().unwrap();
            assert!(
                notes.is_empty() && [2, 4, 6].contains(&found.step),
                "{points}: {found:?}"
            );
            let events = read_metrics(run).unwrap();
            assert!(events.iter().any(|event| event.step() == found.step), "{points}");
            let step = found.step;
            begin(run, found).unwrap();
            assert_eq!(step_of(&run.join(BEST)), Some(step - 1), "{points}");
            assert_eq!(read_metrics(run).unwrap().len(), 1 + 2 * step, "{points}");
            let log = std::fs::read_to_string(run.join(TRAIN_LOG)).unwrap();
            assert_eq!(log.lines().count(), step, "{points}");
            // Every checkpoint is somewhere, whole.
            let mut everywhere = steps(run);
            for entry in std::fs::read_dir(run.join(ABANDONED)).into_iter().flatten() {
                everywhere.extend(steps(&entry.unwrap().path()));
            }
            everywhere.sort_unstable();
            assert_eq!(everywhere, [2, 4, 6], "{points}");
            if !died {
                assert!(points > 10 && step == 2, "{points}");
                break;
            }
        }
    }
}
