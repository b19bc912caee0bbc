//! What the user sees during a run: a bar on a terminal, plain lines elsewhere, and a table at the end.

use cua_grpo_gbox::GboxClient;
use cua_grpo_report::{by_distance, conduct, figures, incomplete, rough};
use cua_grpo_rollout::{Progress as Rollout, ProgressEvent};
use cua_grpo_train::metrics::{EvalEvent, TrainEvent};
use cua_grpo_train::sink::{Event, Sink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The bar: the place that changes takes what is left of the line and is cut there, so that the bar never wraps.
const TEMPLATE: &str = "{spinner:.cyan} step {pos}/{len} {bar:16.cyan/dim} {prefix:.dim}{wide_msg}";

/// Shows a run on standard error. Cheap to clone; clones show the same run.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    first_step: usize,
    last_step: usize,
    verbose: bool,
    /// What is done now, and what is waited for meanwhile.
    message: Arc<Mutex<[String; 2]>>,
}

impl Progress {
    /// A run from after `first_step` to `last_step`.
    pub fn new(first_step: usize, last_step: usize) -> Self {
        let fancy = std::io::stderr().is_terminal();
        let target = if fancy {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let progress = Self::on(target, first_step, last_step);
        crate::output::attach(&progress.bar);
        if fancy {
            progress.bar.enable_steady_tick(Duration::from_millis(120));
        }
        progress
    }

    /// A run that is shown on `target`.
    fn on(target: ProgressDrawTarget, first_step: usize, last_step: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(last_step as u64), target);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_position(first_step as u64);
        Self {
            bar,
            started: Instant::now(),
            first_step,
            last_step,
            verbose: false,
            message: Arc::default(),
        }
    }

    /// The same, which shows beside what is done that `client` waits for its service.
    #[must_use]
    pub fn watching(self, client: GboxClient) -> Self {
        let shown = self.clone();
        tokio::spawn(async move {
            while !shown.bar.is_finished() {
                let waits = client.waits().map_or(String::new(), |waits| format!("{waits}; "));
                shown.say(1, waits);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        self
    }

    /// The same with a line for each turn and episode, or without.
    #[must_use]
    pub fn verbose(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// A line of its own, above the bar.
    pub fn line(&self, text: impl AsRef<str>) {
        crate::output::say(text);
    }

    /// What is being done now, beside the bar; not shown where there is no terminal.
    pub fn phase(&self, text: impl Into<String>) {
        self.say(0, text.into());
    }

    fn say(&self, place: usize, text: String) {
        let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        if message[place] != text {
            message[place] = text;
            self.bar.set_message(format!("{}{}", message[1], message[0]));
        }
    }

    /// Episodes finished so far of the current rollout or evaluation; `what` stands before each line.
    pub fn episodes(&self, what: &str, before: &str, now: &Rollout) {
        let stats = &now.stats;
        self.count(what, [stats.episodes, stats.slots, stats.successes]);
        match &now.event {
            ProgressEvent::Episode {
                task, verified, turns, ..
            } if self.verbose => {
                let how = if *verified { "solved" } else { "not solved" };
                self.line(format!("{before}{task}  {how}  {turns} turns"));
            }
            ProgressEvent::Turn { task, turn, action, .. } if self.verbose => {
                self.line(format!("{before}{task}  turn {}: {action}", turn + 1));
            }
            _ => {}
        }
    }

    /// A training step is done: a line with its figures stays, and how long the rest will take is on the bar, or on the
    /// line where there is no bar.
    pub fn step(&self, event: &TrainEvent) {
        let done = event.step.saturating_sub(self.first_step).max(1);
        let left = self.last_step.saturating_sub(event.step);
        let eta = self.started.elapsed().mul_f64(left as f64 / done as f64);
        let eta = if left == 0 {
            "done".to_owned()
        } else {
            format!("{} left", rough(eta))
        };
        self.bar.set_position(event.step as u64);
        self.bar.set_prefix(format!("{eta}  "));
        let mut line = format!("step {}/{}  {}", event.step, self.last_step, figures(event));
        if self.bar.is_hidden() {
            line.push_str(&format!("  {eta}"));
        }
        self.line(line);
    }

    /// An evaluation is done.
    pub fn eval(&self, event: &EvalEvent) {
        if event.failed.is_some() {
            return; // It is told as a warning.
        }
        let claimed = 100.0 * event.claimed_success_rate;
        self.line(format!(
            "eval after step {}: {:.1} % of {} unseen instances solved ({claimed:.1} % claimed), {:.1} s{}",
            event.step,
            100.0 * event.success_rate,
            event.episodes,
            event.eval_s,
            incomplete(event),
        ));
        let (near, beside) = (by_distance(event), conduct(event));
        near.lines().chain(beside.lines()).for_each(|line| self.line(line));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress {
    fn count(&self, what: &str, [done, total, solved]: [usize; 3]) {
        self.phase(format!("{what} {done}/{total}, {solved} solved"));
    }
}

impl Sink for Progress {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::Note(text) => self.line(text),
            Event::Warning(text) => crate::output::warn(text),
            Event::Phase(text) => self.phase(*text),
            Event::Episodes { what, progress } => self.episodes(what, &format!("{what}: "), progress),
            Event::Step(step) => self.step(step),
            Event::Eval(eval) => self.eval(eval),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;

    /// A terminal of some width that keeps what is written.
    #[derive(Debug, Clone)]
    struct Paper(u16, Arc<Mutex<Vec<String>>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            self.0
        }

        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.1.lock().unwrap().push(text.to_owned());
            Ok(())
        }

        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Signs that take a place, without the codes of colours.
    fn places(text: &str) -> usize {
        let mut coded = false;
        let mut seen = |letter: &char| match (*letter, coded) {
            ('\u{1b}', _) => {
                coded = true;
                false
            }
            ('m', true) => {
                coded = false;
                false
            }
            _ => !coded,
        };
        text.chars().filter(|letter| seen(letter)).count()
    }

    #[test]
    fn the_bar_never_wraps() {
        for width in [60, 80, 100, 120] {
            let paper = Paper(width, Arc::default());
            let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
            let progress = Progress::on(target, 0, 10_000);
            progress.step(&TrainEvent {
                step: 1234,
                ..Default::default()
            });
            for what in [
                "step 1235: rollout",
                "evaluation after step 1230, as long as a line can ever be, and longer",
            ] {
                progress.count(what, [63_000, 65_536, 60_001]);
                progress.bar.force_draw();
            }
            progress.say(1, "waiting for the service (since 12 s, until 588 s from now); ".into());
            progress.bar.force_draw();
            let written = paper.1.lock().unwrap();
            let most = written.iter().map(|text| places(text)).max().unwrap();
            assert!(most <= usize::from(width), "{most} places of {width}: {written:?}");
            let last = written.iter().rfind(|text| text.contains("step")).unwrap();
            assert!(last.contains("step 1234/10000") && last.contains("left"), "{last}");
            assert!(last.contains("waiting for") || width == 60, "{last}");
        }
    }
}
