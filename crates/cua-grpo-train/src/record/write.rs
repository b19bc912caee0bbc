//! Writing the record of a step.

use super::lines::{EpisodeLine, GroupLine, LINES, Line, PICTURE, ROWS, RowLine, StepRecord, TurnLine};
use crate::files::{ops, seal};
use anyhow::{Context, Result};
use cua_grpo_core::{Episode, Image, Row, Turn};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The files of a step, in memory.
pub(super) struct Encoded {
    lines: Vec<u8>,
    rows: Vec<u8>,
}

/// Writes a record into `folder`, which is there, with its checksums.
///
/// # Errors
/// When a file cannot be written, or a number of the record is not finite.
pub fn write_record(folder: &Path, record: &StepRecord) -> Result<()> {
    Encoded::of(record)?.write(folder)
}

impl Encoded {
    pub(super) fn of(record: &StepRecord) -> Result<Self> {
        let mut head = record.head.clone();
        head.groups = record.groups.len();
        let (mut lines, mut columns) = (Vec::new(), Columns::default());
        columns.mass.push(head.stats.kept_mass_sum);
        let mut push = |line: &Line| -> Result<()> {
            serde_json::to_writer(&mut lines, line)?;
            lines.push(b'\n');
            Ok(())
        };
        push(&Line::Step(head))?;
        for (cursor, group) in record.cursors.iter().zip(&*record.groups) {
            push(&Line::Group(GroupLine {
                cursor: *cursor,
                task: group.task.clone(),
                faults: group.faults.clone(),
                episodes: group.episodes.len(),
            }))?;
            for episode in &group.episodes {
                push(&Line::Episode(columns.episode(episode)))?;
            }
        }
        let rows = columns.encode()?;
        Ok(Self { lines, rows })
    }

    /// Bytes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        (self.lines.len() + self.rows.len()) as u64
    }

    /// Writes the files into `folder`, which is there.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        for (name, bytes) in [(LINES, &self.lines), (ROWS, &self.rows)] {
            let path = folder.join(name);
            ops::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        seal(folder)
    }
}

/// The numbers of all tokens, row after row, and the pictures.
#[derive(Default)]
struct Columns {
    tokens: Vec<u8>,
    trained: Vec<u8>,
    logprobs: Vec<u8>,
    kept_mass: Vec<u8>,
    versions: Vec<u8>,
    /// The sum of the kept mass of all that was sampled.
    mass: Vec<f64>,
    pictures: BTreeMap<String, Image>,
    /// Hashes by the place of the bytes in memory, which `pictures` holds.
    known: HashMap<usize, String>,
}

impl Columns {
    fn episode(&mut self, episode: &Episode) -> EpisodeLine {
        let RowLine { tokens, pictures } = self.row(&episode.row);
        let later_rows = episode.later_rows.iter().map(|row| self.row(row)).collect();
        let turns = episode.turns.iter().map(|turn| self.turn(turn)).collect();
        EpisodeLine {
            attempt: episode.attempt,
            ending: episode.ending,
            facts: episode.facts.clone(),
            reward: episode.reward,
            temperature: episode.row.temperature(),
            tokens,
            turns,
            pictures,
            later_rows,
            last_screenshot: episode.last_screenshot.as_ref().map(|image| self.picture(image)),
            seconds: episode.seconds,
        }
    }

    fn turn(&mut self, turn: &Turn) -> TurnLine {
        TurnLine {
            screenshot: turn.screenshot.as_ref().map(|image| self.picture(image)),
            state: turn.state,
            reply: turn.reply.clone(),
            action: turn.action.clone(),
            row: turn.row,
            tokens: turn.tokens.clone(),
            stop: turn.stop,
        }
    }

    fn row(&mut self, row: &Row) -> RowLine {
        let bytes = row.tokens().iter().flat_map(|id| id.to_le_bytes());
        self.tokens.extend(bytes);
        let marks = row.trained().iter().zip(row.sampled());
        self.trained.extend(marks.map(|mark| match mark {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        }));
        let bytes = row.logprobs().iter().flat_map(|value| value.to_le_bytes());
        self.logprobs.extend(bytes);
        let bytes = row.kept_mass().iter().flat_map(|value| value.to_le_bytes());
        self.kept_mass.extend(bytes);
        let bytes = row.versions().iter().flat_map(|version| version.to_le_bytes());
        self.versions.extend(bytes);
        RowLine {
            tokens: row.len(),
            pictures: row.images().iter().map(|image| self.picture(image)).collect(),
        }
    }

    /// The hash of a picture, which is kept once.
    fn picture(&mut self, image: &Image) -> String {
        let place = image.bytes.as_ptr() as usize;
        if let Some(hash) = self.known.get(&place) {
            return hash.clone();
        }
        let hash = format!("{:x}", Sha256::digest(&image.bytes));
        let held = self.pictures.entry(hash.clone()).or_insert_with(|| image.clone());
        // Only what is held keeps its place.
        if held.bytes.as_ptr() as usize == place {
            self.known.insert(place, hash.clone());
        }
        hash
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let mass: Vec<u8> = self.mass.iter().flat_map(|value| value.to_le_bytes()).collect();
        let count = self.trained.len();
        let mut views = vec![
            (
                "tokens".to_owned(),
                TensorView::new(Dtype::U32, vec![count], &self.tokens)?,
            ),
            (
                "trained".to_owned(),
                TensorView::new(Dtype::U8, vec![count], &self.trained)?,
            ),
            (
                "logprobs".to_owned(),
                TensorView::new(Dtype::F32, vec![count], &self.logprobs)?,
            ),
            (
                "kept_mass".to_owned(),
                TensorView::new(Dtype::F32, vec![count], &self.kept_mass)?,
            ),
            (
                "versions".to_owned(),
                TensorView::new(Dtype::U64, vec![count], &self.versions)?,
            ),
            ("kept_mass_sum".to_owned(), TensorView::new(Dtype::F64, vec![1], &mass)?),
        ];
        for (hash, image) in &self.pictures {
            let view = TensorView::new(Dtype::U8, vec![image.bytes.len()], &image.bytes)?;
            views.push((format!("{PICTURE}{hash}"), view));
        }
        Ok(safetensors::serialize(views, None)?)
    }
}
