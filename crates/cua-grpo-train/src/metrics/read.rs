//! Reading `metrics.jsonl`: its events, and what of it cannot be as a run writes it.

use super::agree::agree;
use super::error::MetricsError;
use super::event::Line;
use crate::files::{Limit, io, lines};
use crate::layout::{METRICS, MOST_STEPS};
use serde_json::{Number, Value};
use std::path::Path;

/// Largest count of a line: sums over all lines of a file of any size fit then.
const MOST: u64 = 1 << 40;
/// Largest figure that is no count: those of a run are sums of f32, or means of them.
const LARGEST: f64 = 1e45;
/// Most lines of a file: a step and an evaluation a second for a week and a half.
const MOST_LINES: usize = 2_000_000;

/// All events of a run folder, in order. A torn last line is left out, one that lacks its line break
/// alone is not; no file means no events.
///
/// # Errors
/// When the file cannot be read, a line is no event, or lines contradict each other: some were doubled, moved or edited.
pub fn read_metrics(run_dir: &Path) -> Result<Vec<Line>, MetricsError> {
    Ok(parse(&run_dir.join(METRICS))?
        .into_iter()
        .map(|read| read.event)
        .collect())
}

/// Lines that follow each other and were written on one timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The timeline.
    pub timeline: String,
    /// Number of the first line, from 1.
    pub line: usize,
    /// The last step that was written.
    pub step: usize,
}

/// Which timelines wrote the lines of a run folder, in order. A line of an older version that tells none is of the
/// timeline of the line before it; those before the first one that tells any are left out.
///
/// # Errors
/// As [`read_metrics`].
pub fn timelines(run_dir: &Path) -> Result<Vec<Stretch>, MetricsError> {
    let mut found: Vec<Stretch> = Vec::new();
    for Read { event, line, .. } in parse(&run_dir.join(METRICS))? {
        let timeline = event.timeline();
        match found.last_mut() {
            Some(last) if timeline.is_none_or(|timeline| timeline == last.timeline) => last.step = event.step(),
            _ => found.extend(timeline.map(|timeline| Stretch {
                timeline: timeline.to_owned(),
                line,
                step: event.step(),
            })),
        }
    }
    Ok(found)
}

/// An event of the file.
pub(super) struct Read {
    pub(super) event: Line,
    /// Number of its line, from 1.
    line: usize,
    /// Bytes of the file up to the end of the line.
    pub(super) end: usize,
    /// The line has its line break: the last one may lack it, whole as it is.
    pub(super) closed: bool,
}

/// The events of the file.
pub(super) fn parse(path: &Path) -> Result<Vec<Read>, MetricsError> {
    let file = match lines(path, Limit::LOG) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("read", path)(error).into()),
    };
    let mut events: Vec<Read> = Vec::new();
    let (mut end, mut order, mut marks) = (0, Order::default(), Marks::default());
    for (index, bytes) in file.enumerate() {
        let line = index + 1;
        let wrong = |message: String| MetricsError::Line {
            path: path.into(),
            line,
            message,
        };
        let bytes = match bytes {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(wrong(error.to_string())),
            bytes => bytes.map_err(io("read", path))?,
        };
        end += bytes.len();
        let closed = bytes.ends_with(b"\n");
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        if line > MOST_LINES {
            return Err(wrong(format!("expected at most {MOST_LINES} lines, found more")));
        }
        let event = match event(&bytes) {
            Ok(event) => event,
            Err(_) if !closed => break, // torn: the run was killed while writing it
            Err(message) => return Err(wrong(format!("expected an event as JSON, got {message}"))),
        };
        let checked = agree(&event).and_then(|()| order.take(&event));
        checked.and_then(|()| marks.take(&event)).map_err(wrong)?;
        events.push(Read {
            event,
            line,
            end,
            closed,
        });
    }
    Ok(events)
}

fn event(line: &[u8]) -> Result<Line, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if let Some((key, figure)) = beyond("", &value) {
        return Err(format!("`{key}` {figure}, which cannot be"));
    }
    let event: Line = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if event.step() > MOST_STEPS {
        return Err(format!("step {}, which cannot be", event.step()));
    }
    Ok(match event {
        Line::Train(train) => Line::Train(train.without_made_up_figures()),
        eval @ Line::Eval(_) => eval,
    })
}

/// A figure that cannot be: a count or a number that is too large, a share that is none, a negative time; with the key
/// that it stands under.
fn beyond(key: &str, value: &Value) -> Option<(String, Number)> {
    match value {
        Value::Number(number) => {
            let figure = number.as_f64().unwrap_or_default();
            let share = ["success_rate", "claimed_success_rate"].contains(&key) || key.ends_with("_fraction");
            let wrong = number.as_u64().is_some_and(|count| count > MOST)
                || figure.abs() > LARGEST
                // A mean of shares may be off by its rounding.
                || (share && !(-1e-3..=1.001).contains(&figure))
                || (key.ends_with("_s") && figure < 0.0);
            wrong.then(|| (key.to_owned(), number.clone()))
        }
        Value::Array(values) => values.iter().find_map(|value| beyond(key, value)),
        Value::Object(map) => map.iter().find_map(|(key, value)| beyond(key, value)),
        _ => None,
    }
}

/// Who wrote the lines: older versions told it in the first line of a timeline, newer ones in every line.
#[derive(Debug, Default)]
struct Marks {
    /// The timeline of the line before.
    now: Option<String>,
    /// Lines after the first of a timeline have told theirs.
    each: bool,
}

impl Marks {
    /// Takes the next line.
    ///
    /// # Errors
    /// Words that say that it does not tell whose it is, where it has to.
    fn take(&mut self, event: &Line) -> Result<(), String> {
        match event.timeline() {
            Some(timeline) if self.now.as_deref() == Some(timeline) => self.each = true,
            Some(timeline) => self.now = Some(timeline.to_owned()),
            None if self.each => {
                let step = event.step();
                return Err(format!(
                    "the line of step {step} does not say which run wrote it (`run`), as the lines before it do: it was \
                     added or edited"
                ));
            }
            None => {}
        }
        Ok(())
    }
}

/// The order in which a run writes: steps that only grow, and after a step at most one evaluation of it. Lines may lack,
/// which is told elsewhere.
#[derive(Debug, Default)]
struct Order {
    /// The last step that was trained.
    trained: Option<usize>,
    /// The last step that was evaluated.
    evaluated: Option<usize>,
}

impl Order {
    /// Takes the next line.
    ///
    /// # Errors
    /// Words that say what it contradicts.
    fn take(&mut self, event: &Line) -> Result<(), String> {
        let (step, what, before) = match event {
            Line::Train(event) => (event.step, "step", self.trained.replace(event.step)),
            Line::Eval(event) => (
                event.step,
                "the evaluation after step",
                self.evaluated.replace(event.step),
            ),
        };
        let advice = "lines were doubled, moved or edited";
        match before {
            Some(before) if before == step => return Err(format!("{what} {step} stands there twice: {advice}")),
            Some(before) if before > step => return Err(format!("{what} {step} comes after {before}: {advice}")),
            _ => {}
        }
        let late = match event {
            Line::Train(_) => self.evaluated.is_some_and(|evaluated| evaluated >= step),
            Line::Eval(_) => self.trained.is_some_and(|trained| trained > step),
        };
        if late {
            return Err(format!("{what} {step} comes after what a run does later: {advice}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TrainEvent;

    fn read(words: &str) -> Result<usize, String> {
        let run = tempfile::tempdir().unwrap();
        let line = |word: &str| serde_json::to_string(&Line::short(word)).unwrap() + "\n";
        let text: String = words.split_whitespace().map(line).collect();
        std::fs::write(run.path().join(METRICS), text).unwrap();
        read_metrics(run.path())
            .map(|events| events.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn lines_that_contradict_each_other_are_refused_by_number() {
        for (words, line, why) in [
            ("e0 1 1", 3, "step 1 stands there twice"),
            ("e0 e0 1", 2, "after step 0 stands there twice"),
            ("e0 1 3 2", 4, "step 2 comes after 3"),
            ("e0 1 e1 2 e2 e1", 6, "step 1 comes after 2"),
            ("e0 1 e3 2", 4, "step 2 comes after what a run does later"),
            ("e0 1 2 e1", 4, "step 1 comes after what a run does later"),
            ("1 e0", 2, "step 0 comes after what a run does later"),
            ("e0 1000000001", 2, "step 1000000001, which cannot be"),
        ] {
            let text = read(words).unwrap_err();
            assert!(
                text.contains(&format!("line {line}")) && text.contains(why),
                "{words}: {text}"
            );
        }
        for words in ["", "e0", "e0 1 e1 2 e2", "1 2 3 e3", "e0 1 5 e5 9", "e3", "e0 e2 3"] {
            assert_eq!(read(words), Ok(words.split_whitespace().count()), "{words}");
        }
    }

    #[test]
    fn every_line_tells_who_wrote_it_and_files_of_older_versions_are_read() {
        let run = tempfile::tempdir().unwrap();
        let text = |words: &str| -> String {
            let line = |word: &str| match word.split_once(':') {
                Some((word, timeline)) => Line::short(word).on(timeline),
                None => Line::short(word),
            };
            let lines = words.split_whitespace().map(line);
            lines.map(|line| serde_json::to_string(&line).unwrap() + "\n").collect()
        };
        let read = |words: &str| {
            std::fs::write(run.path().join(METRICS), text(words)).unwrap();
            let found = timelines(run.path()).map_err(|error| error.to_string())?;
            let shown = found
                .iter()
                .map(|part| format!("{}@{}-{}", part.timeline, part.line, part.step));
            Ok::<_, String>(shown.collect::<Vec<_>>().join(" "))
        };
        for (words, stretches) in [
            ("e0 1 2", ""),
            ("e0:a 1 2 e2", "a@1-2"),
            ("e0 1 2:a 3:a", "a@3-3"),
            ("e0:a 1:a 2:a", "a@1-2"),
            ("e0:a 1:a 2:b 3:b", "a@1-1 b@3-3"),
            ("e0:a 1:a 2:b 3:a", "a@1-1 b@3-2 a@4-3"),
            ("e0:a 1 2:a 3:a", "a@1-3"),
            ("e0:a 1 2:b 3 4:b 5:b", "a@1-1 b@3-5"),
        ] {
            assert_eq!(read(words).as_deref(), Ok(stretches), "{words}");
        }
        for (words, line) in [("e0:a 1:a 2", 3), ("e0:a 1 2:a 3:a e3", 5), ("e0:a 1:a 2:b 3", 4)] {
            let text = read(words).unwrap_err();
            assert!(
                text.contains(&format!("line {line}")) && text.contains("which run wrote it"),
                "{words}: {text}"
            );
        }
    }

    #[test]
    fn figures_that_cannot_be_and_files_without_an_end_are_refused_by_the_number_of_the_line() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join(METRICS);
        let lines = ["e0", "1"].map(|word| serde_json::to_string(&Line::short(word)).unwrap());
        let refused = |line: usize, key: &str, value: &str| {
            let mut changed = lines.clone();
            let mut event: serde_json::Map<_, _> = serde_json::from_str(&lines[line - 1]).unwrap();
            event.insert(key.into(), serde_json::from_str(value).unwrap());
            changed[line - 1] = serde_json::to_string(&event).unwrap();
            std::fs::write(&path, changed.join("\n") + "\n").unwrap();
            let text = read_metrics(run.path()).unwrap_err().to_string();
            assert!(text.contains(&format!("line {line}")), "{key} {value}: {text}");
        };
        for (key, value) in [
            ("success_rate", "1e308"),
            ("success_rate", "1.5"),
            ("success_rate", "-0.5"),
            ("claimed_success_rate", "2"),
            ("reward_mean", "-1e308"),
            ("eval_s", "-1"),
            ("episodes", "-1"),
            ("episodes", "1e308"),
            ("step", "18446744073709551615"),
            ("step", "-1"),
            ("step", "1.5"),
            ("turns_mean", "1e300"),
        ] {
            refused(1, key, value);
        }
        for (key, value) in [
            ("clip_fraction", "1.5"),
            ("tokens_sampled", "-3"),
            ("grad_norm", "1e308"),
            ("each_update", r#"[{"loss": 1e308}]"#),
            ("rollout_s", "-2.5"),
        ] {
            refused(2, key, value);
        }
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert_eq!(read_metrics(run.path()).unwrap().len(), 2);
        // A hole of 3 GB, as a file system may leave it, and as a file that somebody made.
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_len(3 << 30).unwrap();
        let began = std::time::Instant::now();
        let text = read_metrics(run.path()).unwrap_err().to_string();
        assert!(text.contains("line 3") && text.contains("at most"), "{text}");
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn counts_at_the_end_of_their_range_are_no_figures() {
        let run = tempfile::tempdir().unwrap();
        let event = serde_json::to_value(Line::Train(TrainEvent {
            step: 1,
            ..Default::default()
        }));
        let event = event.unwrap();
        let counts = event.as_object().unwrap().iter().filter(|(_, value)| value.is_u64());
        let mut tried = 0;
        for (key, _) in counts {
            for count in [u64::MAX, MOST + 1] {
                let mut other = event.clone();
                other[key] = count.into();
                std::fs::write(run.path().join(METRICS), format!("{other}\n")).unwrap();
                let text = read_metrics(run.path()).unwrap_err().to_string();
                assert!(text.contains("line 1") && text.contains("cannot be"), "{key}: {text}");
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried}");
    }
}
