//! Reading the record of a step, which may be anyone's: every size is bounded, and what does not fit together is damage.

use super::lines::{EpisodeLine, FORMAT, GroupLine, Head, LINES, Line, PICTURE, READ, ROWS, StepRecord, TurnLine};
use crate::error::TrainError;
use crate::files::{CHECKSUMS, Limit, read_bytes, verify};
use cua_grpo_core::{Completion, Episode, Group, Image, Prompt, Row, StopReason, Turn};
use cua_grpo_model::checkpoint::TensorFiles;
use safetensors::Dtype;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Most bytes of the lines of a step.
const MOST_LINES: u64 = 1 << 30;
/// Most bytes of its tensors.
const MOST_ROWS: u64 = 4 << 30;

/// Reads a record: the folder `episodes/record-STEP` of a run.
///
/// # Errors
/// [`TrainError::Usage`] that says what is wrong with it.
pub fn read_step(folder: &Path) -> Result<StepRecord, TrainError> {
    let damaged = |why: String| damaged(folder, &why);
    if !folder.join(CHECKSUMS).is_file() {
        return Err(damaged(format!("{CHECKSUMS} is not there")));
    }
    verify(folder).map_err(|damage| damaged(damage.to_string()))?;
    let mut lines = lines(folder)?.into_iter();
    let mut head = head(folder, lines.next())?;
    let mut rows = Rows::open(&folder.join(ROWS)).map_err(damaged)?;
    head.stats.kept_mass_sum = rows.mass;
    // A replay plays nothing: the times are those of the run that was recorded.
    (head.stats.busy_seconds, head.stats.sampler_seconds, head.stats.seconds) = (0.0, 0.0, 0.0);
    let (mut cursors, mut groups) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        let Line::Group(line) = line else {
            return Err(damaged(format!("{LINES}: expected a group")));
        };
        cursors.push(line.cursor);
        groups.push(group(line, &mut lines, &mut rows).map_err(damaged)?);
    }
    if groups.len() != head.groups || rows.start != rows.tokens.len() {
        return Err(damaged(format!("{LINES} and {ROWS} do not fit together")));
    }
    Ok(StepRecord {
        head,
        cursors,
        groups: Arc::new(groups),
    })
}

/// Reads what a record is of, without its groups.
///
/// # Errors
/// [`TrainError::Usage`] that says what is wrong with it.
pub fn read_head(folder: &Path) -> Result<Head, TrainError> {
    head(folder, lines(folder)?.into_iter().next())
}

fn damaged(folder: &Path, why: &str) -> TrainError {
    let folder = folder.display();
    TrainError::Usage(format!(
        "the record {folder} is damaged: {why}. Give the run its folder back; a replay cannot leave a step out"
    ))
}

fn lines(folder: &Path) -> Result<Vec<Line>, TrainError> {
    let wrong = |why: String| damaged(folder, &format!("{LINES}: {why}"));
    let bytes = read_bytes(&folder.join(LINES), Limit::new(MOST_LINES)).map_err(|error| wrong(error.to_string()))?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = lines.enumerate().map(|(number, line)| {
        serde_json::from_slice(line).map_err(|error| wrong(format!("line {}: {error}", number + 1)))
    });
    read.collect()
}

fn head(folder: &Path, line: Option<Line>) -> Result<Head, TrainError> {
    match line {
        Some(Line::Step(head)) if READ.contains(&head.format) => Ok(head),
        Some(Line::Step(head)) => Err(TrainError::Usage(format!(
            "the record {} has format {}, and this version reads up to {FORMAT}; replay it with the version that wrote it",
            folder.display(),
            head.format
        ))),
        _ => Err(damaged(folder, &format!("{LINES}: the first line is no step"))),
    }
}

fn group(line: GroupLine, lines: &mut impl Iterator<Item = Line>, rows: &mut Rows) -> Result<Group, String> {
    let (mut episodes, task) = (Vec::new(), &line.task.id);
    for _ in 0..line.episodes {
        let Some(Line::Episode(line)) = lines.next() else {
            return Err(format!("{LINES}: task {task} lacks an episode"));
        };
        let attempt = line.attempt;
        let wrong = |why| format!("task {task} episode {attempt}: {why}");
        episodes.push(episode(line, rows).map_err(wrong)?);
    }
    Ok(Group::new(line.task).with_episodes(episodes).with_faults(line.faults))
}

fn episode(line: EpisodeLine, rows: &mut Rows) -> Result<Episode, String> {
    let row = rows.next(line.tokens, line.temperature, &line.pictures)?;
    let later = line.later_rows.iter();
    let later: Vec<Row> = later
        .map(|row| rows.next(row.tokens, line.temperature, &row.pictures))
        .collect::<Result<_, _>>()?;
    let mut turns = Vec::new();
    for turn in line.turns {
        let own = if turn.row == 0 {
            Some(&row)
        } else {
            later.get(turn.row - 1)
        };
        let own = own.ok_or_else(|| format!("a turn in row {} of {}", turn.row, later.len() + 1))?;
        turns.push(self::turn(turn, own, rows)?);
    }
    let last = line.last_screenshot.map(|hash| rows.picture(&hash)).transpose()?;
    Ok(Episode::new(line.attempt, line.ending, line.facts, row)
        .with_later_rows(later)
        .with_turns(turns)
        .with_last_screenshot(last)
        .with_reward(line.reward)
        .with_seconds(line.seconds))
}

fn turn(line: TurnLine, row: &Row, rows: &mut Rows) -> Result<Turn, String> {
    let Range { start, end } = line.tokens;
    if start > end || end > row.len() {
        return Err(format!("a turn of the tokens {start} to {end} of {}", row.len()));
    }
    let screenshot = line.screenshot.map(|hash| rows.picture(&hash)).transpose()?;
    Ok(Turn::new(line.reply, line.action, start..end, line.stop)
        .with_row(line.row)
        .with_screenshot(screenshot)
        .with_state(line.state))
}

/// The tensors of a step; rows are taken in their order.
struct Rows {
    files: TensorFiles,
    tokens: Vec<u32>,
    trained: Vec<u8>,
    logprobs: Vec<f32>,
    kept_mass: Vec<f32>,
    versions: Vec<u64>,
    mass: f64,
    /// Where the next row begins.
    start: usize,
    /// Pictures that were read: equal ones share their bytes.
    pictures: HashMap<String, Image>,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, String> {
        let size = path.metadata().map_err(|error| format!("{ROWS}: {error}"))?;
        if size.len() > MOST_ROWS {
            return Err(format!("{ROWS}: expected at most {MOST_ROWS} bytes, found more"));
        }
        let files = TensorFiles::open_files(vec![path.to_path_buf()]).map_err(|error| error.to_string())?;
        let trained = column(&files, "trained", Dtype::U8)?;
        let rows = Self {
            tokens: numbers(&files, "tokens", Dtype::U32, u32::from_le_bytes)?,
            logprobs: numbers(&files, "logprobs", Dtype::F32, f32::from_le_bytes)?,
            kept_mass: numbers(&files, "kept_mass", Dtype::F32, f32::from_le_bytes)?,
            versions: numbers(&files, "versions", Dtype::U64, u64::from_le_bytes)?,
            mass: numbers(&files, "kept_mass_sum", Dtype::F64, f64::from_le_bytes)?
                .first()
                .copied()
                .ok_or("kept_mass_sum is empty")?,
            trained,
            start: 0,
            pictures: HashMap::new(),
            files,
        };
        let count = rows.tokens.len();
        let lengths = [
            rows.trained.len(),
            rows.logprobs.len(),
            rows.kept_mass.len(),
            rows.versions.len(),
        ];
        match lengths.iter().all(|length| *length == count) {
            true => Ok(rows),
            false => Err(format!("{ROWS}: columns of {lengths:?} numbers for {count} tokens")),
        }
    }

    /// The next row, of `count` tokens.
    fn next(&mut self, count: usize, temperature: f32, pictures: &[String]) -> Result<Row, String> {
        let end = self.start.checked_add(count).filter(|end| *end <= self.tokens.len());
        let end = end.ok_or_else(|| format!("{ROWS} has no {count} tokens for its row"))?;
        let mut row = Row::new(temperature);
        let images: Vec<Image> = pictures
            .iter()
            .map(|hash| self.picture(hash))
            .collect::<Result<_, _>>()?;
        row.push_prompt(&Prompt::new(Vec::new()).with_images(images));
        while self.start < end {
            let trained = self.trained[self.start];
            let run = self.trained[self.start..end]
                .iter()
                .take_while(|other| **other == trained)
                .count();
            let part = self.start..self.start + run;
            self.start = part.end;
            let tokens = self.tokens[part.clone()].to_vec();
            if trained != 1 {
                let mut prompt = Prompt::default();
                match trained {
                    0 => prompt.tokens = tokens,
                    _ => prompt.push_sampled(&tokens),
                }
                row.push_prompt(&prompt);
                continue;
            }
            let reply = Completion::new(tokens, self.logprobs[part.clone()].to_vec(), 0, StopReason::Stop)
                .and_then(|reply| reply.with_kept_mass(self.kept_mass[part.clone()].to_vec()))
                .and_then(|reply| reply.with_versions(self.versions[part].to_vec()));
            let pushed = reply.and_then(|reply| row.push_completion(&reply));
            pushed.map_err(|error| error.to_string())?;
        }
        Ok(row)
    }

    fn picture(&mut self, hash: &str) -> Result<Image, String> {
        if let Some(image) = self.pictures.get(hash) {
            return Ok(image.clone());
        }
        let bytes = self
            .files
            .read_bytes(&format!("{PICTURE}{hash}"))
            .map_err(|error| error.to_string())?;
        let image = Image::new(bytes);
        self.pictures.insert(hash.to_owned(), image.clone());
        Ok(image)
    }
}

/// The bytes of a column of this type.
fn column(files: &TensorFiles, name: &str, dtype: Dtype) -> Result<Vec<u8>, String> {
    match files.info(name) {
        Some((found, [_])) if found == dtype => files.read_bytes(name).map_err(|error| error.to_string()),
        found => Err(format!(
            "{ROWS}: expected a column `{name}` of {dtype:?}, found {found:?}"
        )),
    }
}

fn numbers<T, const N: usize>(
    files: &TensorFiles,
    name: &str,
    dtype: Dtype,
    read: fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    let bytes = column(files, name, dtype)?;
    let (numbers, _) = bytes.as_chunks::<N>();
    Ok(numbers.iter().map(|number| read(*number)).collect())
}
