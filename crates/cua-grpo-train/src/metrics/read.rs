//! Reading `metrics.jsonl`: its events, and what of it cannot be as a run writes it.

use super::error::MetricsError;
use super::event::Line;
use crate::files::{Limit, io, read_bytes};
use crate::layout::{METRICS, MOST_STEPS};
use serde_json::Value;
use std::path::Path;

/// Largest count of a line: sums over all lines of a file of any size fit then.
const MOST: u64 = 1 << 40;

/// All events of a run folder, in order. A torn last line is left out; no file means no events.
///
/// # Errors
/// When the file cannot be read, a line is no event, or lines contradict each other: some were doubled, moved or edited.
pub fn read_metrics(run_dir: &Path) -> Result<Vec<Line>, MetricsError> {
    Ok(parse(&run_dir.join(METRICS))?
        .into_iter()
        .map(|(event, _)| event)
        .collect())
}

/// The timelines that the lines of a run folder tell, in order, each with the last step that was written on it. Lines of
/// older versions tell none.
///
/// # Errors
/// As [`read_metrics`].
pub fn timelines(run_dir: &Path) -> Result<Vec<(String, usize)>, MetricsError> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for event in read_metrics(run_dir)? {
        match (event.timeline(), found.last_mut()) {
            (Some(timeline), _) => found.push((timeline.to_owned(), event.step())),
            (None, Some((_, last))) => *last = event.step(),
            (None, None) => {}
        }
    }
    Ok(found)
}

/// Events with the byte offset after their line.
pub(super) fn parse(path: &Path) -> Result<Vec<(Line, usize)>, MetricsError> {
    let bytes = match read_bytes(path, Limit::LOG) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("read", path)(error).into()),
    };
    let mut events: Vec<(Line, usize)> = Vec::new();
    let (mut end, mut order) = (0, Order::default());
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        end += line.len();
        if !line.ends_with(b"\n") {
            break; // torn: the run was killed while writing it
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |message: String| MetricsError::Line {
            path: path.into(),
            line: index + 1,
            message,
        };
        let event = event(line).map_err(|message| wrong(format!("expected an event as JSON, got {message}")))?;
        order.take(&event).map_err(wrong)?;
        events.push((event, end));
    }
    Ok(events)
}

fn event(line: &[u8]) -> Result<Line, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if let Some((key, count)) = beyond(&value) {
        return Err(format!("`{key}` {count}, which cannot be"));
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

/// A count that is larger than any can be, with the key that it stands under.
fn beyond(value: &Value) -> Option<(String, u64)> {
    match value {
        Value::Number(number) => {
            let count = number.as_u64().filter(|count| *count > MOST)?;
            Some((String::new(), count))
        }
        Value::Array(values) => values.iter().find_map(beyond),
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let (inner, count) = beyond(value)?;
            Some((if inner.is_empty() { key.clone() } else { inner }, count))
        }),
        _ => None,
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
