//! From rows of tokens and images to what the decoder reads: padding, positions, places of visual tokens.

use crate::nn::ints;
use crate::processor::{ImageProcessorConfig, PadIds, Pixels, PositionState};
use crate::text::{DecoderInput, KvCache, VisualIndex, row_tables};
use crate::{ModelConfig, ModelError, Qwen3Vl};
use burn::tensor::{Device, Int, Tensor, TensorData};
use cua_grpo_core::{Image, Row, TokenId};
use cua_grpo_kernels::{self as kernels, HIDDEN, Mask};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Turns encoded images into pixels, and remembers those used last. Equal files share their pixels: the policy and the
/// reference read the same images, and so do the attempts at one task.
pub struct ImageCache {
    config: ImageProcessorConfig,
    entries: Mutex<Entries>,
    capacity: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Entries {
    by_file: HashMap<Arc<[u8]>, Entry>,
    /// Counts the uses of all entries.
    uses: u64,
    /// Of the pixels of all entries.
    bytes: usize,
}

struct Entry {
    pixels: Arc<Pixels>,
    /// When it was used last.
    used: u64,
}

impl Entries {
    fn get(&mut self, file: &[u8]) -> Option<Arc<Pixels>> {
        self.uses += 1;
        let entry = self.by_file.get_mut(file)?;
        entry.used = self.uses;
        Some(entry.pixels.clone())
    }

    /// Takes an entry in; past `capacity` entries or `most_bytes`, the ones go that were not used for longest.
    fn insert(&mut self, file: Arc<[u8]>, pixels: Arc<Pixels>, (capacity, most_bytes): (usize, usize)) {
        let bytes = bytes_of(&pixels);
        while self.by_file.len() >= capacity.max(1) || self.bytes.saturating_add(bytes) > most_bytes {
            let oldest = self.by_file.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(file, _)| file.clone()) else {
                break;
            };
            let gone = self.by_file.remove(&oldest);
            self.bytes -= gone.map_or(0, |entry| bytes_of(&entry.pixels));
        }
        let used = self.uses;
        self.bytes += bytes;
        let before = self.by_file.insert(file, Entry { pixels, used });
        self.bytes -= before.map_or(0, |entry| bytes_of(&entry.pixels));
    }
}

fn bytes_of(pixels: &Pixels) -> usize {
    size_of_val(&*pixels.values)
}

impl ImageCache {
    /// A cache of at most `capacity` images, and of one at least.
    pub fn new(config: ImageProcessorConfig, capacity: usize) -> Self {
        Self {
            config,
            entries: Mutex::default(),
            capacity,
            most_bytes: usize::MAX,
        }
    }

    /// The same cache with at most `bytes` of pixels, and one image at least.
    #[must_use]
    pub fn within(self, bytes: usize) -> Self {
        Self {
            most_bytes: bytes,
            ..self
        }
    }

    /// The pixels of the images of each row. Images are read beside each other.
    ///
    /// # Errors
    /// As [`ImageCache::pixels`].
    pub fn of_rows(&self, rows: &[&Row]) -> Result<Vec<Vec<Arc<Pixels>>>, ModelError> {
        let read = |row: &&Row| row.images().par_iter().map(|image| self.pixels(image)).collect();
        rows.par_iter().map(read).collect()
    }

    /// The pixels of `image`.
    ///
    /// # Errors
    /// When the image does not decode or its shape is refused.
    pub fn pixels(&self, image: &Image) -> Result<Arc<Pixels>, ModelError> {
        let lock = || self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pixels) = lock().get(&image.bytes) {
            return Ok(pixels);
        }
        let pixels = self.config.process(&image.bytes).map_err(|error| ModelError::Input {
            operation: "preprocess image",
            expected: "a PNG or JPEG picture".to_owned(),
            got: error.to_string(),
        })?;
        let pixels = Arc::new(pixels);
        lock().insert(image.bytes.clone(), pixels.clone(), (self.capacity, self.most_bytes));
        Ok(pixels)
    }
}

/// New tokens of one row, with the pixels of their images.
#[derive(Debug, Clone, Default)]
pub struct RowInput {
    /// Token ids.
    pub tokens: Vec<TokenId>,
    /// Pixels of the images and clips among the tokens, in order.
    pub pixels: Vec<Arc<Pixels>>,
    /// Whether the policy sampled each token. A policy may sample a pad token: that one stands for itself, as text, and
    /// is told apart from the pads of pictures by this mark. Marks are read only where a row has more pads than its
    /// pictures fill.
    pub sampled: Vec<bool>,
}

impl RowInput {
    /// Tokens that were given, with their pictures.
    pub fn given(tokens: Vec<TokenId>, pixels: Vec<Arc<Pixels>>) -> Self {
        let sampled = vec![false; tokens.len()];
        Self {
            tokens,
            pixels,
            sampled,
        }
    }

    /// The tokens of a row that was padded on either side, as transformers makes batches: those whose `attention` is
    /// false are left out. Rows of a [`Batch`] have no padding of their own; a pad token among them is a token.
    ///
    /// # Errors
    /// When `attention` has another length than `tokens`, or hides tokens between others.
    pub fn unpadded(tokens: &[TokenId], attention: &[bool], pixels: Vec<Arc<Pixels>>) -> Result<Self, ModelError> {
        let wrong = |expected: String, got: String| ModelError::Input {
            operation: "strip padding",
            expected,
            got,
        };
        if tokens.len() != attention.len() {
            return Err(wrong(
                format!("a mask of {} entries, one a token", tokens.len()),
                format!("{} entries", attention.len()),
            ));
        }
        let seen = attention.iter().filter(|&&seen| seen).count();
        let start = attention.iter().position(|&seen| seen).unwrap_or(0);
        if let Some(hole) = attention[start..start + seen].iter().position(|&seen| !seen) {
            return Err(wrong(
                "padding at the ends of the row only".to_owned(),
                format!("a hidden token {} between others", start + hole),
            ));
        }
        Ok(Self::given(tokens[start..start + seen].to_vec(), pixels))
    }

    /// Tokens that the policy sampled.
    pub fn sampled(tokens: Vec<TokenId>) -> Self {
        let sampled = vec![true; tokens.len()];
        Self {
            tokens,
            pixels: Vec::new(),
            sampled,
        }
    }

    /// Lays the tokens out behind `state`.
    ///
    /// # Errors
    /// When pad tokens and pictures disagree.
    pub(crate) fn place(&self, config: &ModelConfig, mut state: PositionState) -> Result<Placed, ModelError> {
        let pads = PadIds {
            image: config.image_token_id,
            video: config.video_token_id,
            merge: config.vision.spatial_merge_size,
        };
        let is_pad = |token: TokenId| token == pads.image || token == pads.video;
        let filled: usize = self.pixels.iter().map(|pixels| pixels.grid.tokens(pads.merge)).sum();
        let surplus = self.tokens.iter().filter(|&&token| is_pad(token)).count() != filled;
        // Sampled pads are text: any token that is no pad stands for them.
        let text = config.vision_end_token_id;
        let marks = self.sampled.iter().copied().chain(std::iter::repeat(false));
        let tokens = self.tokens.iter().zip(marks);
        let tokens: Vec<TokenId> = tokens
            .map(|(&token, sampled)| {
                if surplus && sampled && is_pad(token) {
                    text
                } else {
                    token
                }
            })
            .collect();
        // The first pad of a run tells an image from a clip: a short clip has one temporal patch, as images do.
        let kinds: Vec<TokenId> = tokens.iter().copied().filter(|&token| is_pad(token)).collect();
        let (mut images, mut videos, mut at) = (Vec::new(), Vec::new(), 0);
        for pixels in &self.pixels {
            let list = if kinds.get(at) == Some(&pads.video) {
                &mut videos
            } else {
                &mut images
            };
            list.push(pixels.grid);
            at += pixels.grid.tokens(pads.merge);
        }
        let axes = state
            .extend(&tokens, &images, &videos, pads)
            .map_err(|error| ModelError::Input {
                operation: "place tokens",
                expected: "one run of pad tokens an image".to_owned(),
                got: error.to_string(),
            })?;
        Ok(Placed {
            visual: tokens.into_iter().map(is_pad).collect(),
            axes,
            state,
        })
    }
}

/// Where the tokens of one row stand.
pub(crate) struct Placed {
    /// Whether a row of the vision tower takes the token's place.
    pub(crate) visual: Vec<bool>,
    /// Positions `[3][tokens]`.
    pub(crate) axes: [Vec<i64>; 3],
    /// Where the next token stands.
    pub(crate) state: PositionState,
}

/// What the rows have in front of the new tokens: the columns of a cache.
#[derive(Debug, Clone, Default)]
pub struct Prefix {
    /// For each row, whether it may look at each of the cache's columns. Empty without a cache.
    pub visible: Vec<Vec<bool>>,
    /// For each row, where its next token stands. Empty without a cache.
    pub positions: Vec<PositionState>,
}

/// A padded batch, ready for the model.
pub struct Batch {
    /// Everything but the vision features.
    pub input: DecoderInput,
    /// Places of the visual tokens; `None` without images.
    pub visual: Option<VisualIndex>,
    /// All images of the batch, row by row.
    pub pixels: Vec<Arc<Pixels>>,
    /// Columns of the batch: the longest row, or all tokens of a packed batch.
    pub time: usize,
    /// The first token of each row, in the flattened batch.
    pub starts: Vec<usize>,
    /// Position states after the new tokens.
    pub positions: Vec<PositionState>,
}

impl Batch {
    /// Right-pads `rows` to equal length.
    ///
    /// # Errors
    /// When images and pad tokens of a row disagree.
    pub fn assemble(model: &Qwen3Vl, rows: &[RowInput], prefix: &Prefix) -> Result<Self, ModelError> {
        let time = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let starts = (0..rows.len()).map(|number| number * time).collect();
        Self::lay_out(model, rows, prefix, [rows.len(), time], starts)
    }

    /// Puts `rows` one after the other, without padding: a batch of one row with segments, which no cache takes.
    ///
    /// # Errors
    /// When images and pad tokens of a row disagree.
    pub fn pack(model: &Qwen3Vl, rows: &[RowInput]) -> Result<Self, ModelError> {
        let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
        let mut total = 0;
        let starts = lengths.iter().map(|length| {
            total += length;
            total - length
        });
        let starts = starts.collect();
        let mut batch = Self::lay_out(model, rows, &Prefix::default(), [1, total], starts)?;
        batch.input.mask = Mask::Segments(lengths);
        Ok(batch)
    }

    /// Row `i` begins at token `starts[i]` of `[count, time]`.
    fn lay_out(
        model: &Qwen3Vl,
        rows: &[RowInput],
        prefix: &Prefix,
        [count, time]: [usize; 2],
        starts: Vec<usize>,
    ) -> Result<Self, ModelError> {
        let config = &model.config;
        let device = model.device();
        let mut tokens = vec![0i64; count * time];
        let mut positions = [(); 3].map(|()| vec![0i64; count * time]);
        let mut splice: Vec<i64> = (0..(count * time) as i64).collect();
        let mut add = vec![0i64; count * time];
        let mut places = Vec::new();
        let mut pixels = Vec::new();
        let mut visual_rows = 0i64;
        let mut states = Vec::with_capacity(rows.len());
        for (number, (row, &start)) in rows.iter().zip(&starts).enumerate() {
            let placed = row.place(config, prefix.positions.get(number).copied().unwrap_or_default())?;
            states.push(placed.state);
            for (all, axis) in positions.iter_mut().zip(&placed.axes) {
                all[start..start + axis.len()].copy_from_slice(axis);
            }
            for (offset, (&token, visual)) in row.tokens.iter().zip(placed.visual).enumerate() {
                tokens[start + offset] = i64::from(token);
                if visual {
                    splice[start + offset] = (count * time) as i64 + visual_rows;
                    visual_rows += 1;
                    add[start + offset] = visual_rows;
                    places.push((start + offset) as i64);
                }
            }
            pixels.extend(row.pixels.iter().cloned());
        }
        let mask = if prefix.visible.is_empty() {
            Mask::Causal
        } else {
            Mask::Bias(prefix_bias(&prefix.visible, rows, time, &device))
        };
        let rope = row_tables(&config.text, &positions, &starts, count, &device);
        // The released models turn in the type they compute in.
        let rope = rope.cast(kernels::compute_dtype(&model.language_model.embed_tokens));
        Ok(Self {
            input: DecoderInput {
                tokens: ints(tokens, &device),
                rope,
                mask,
                lengths: rows.iter().map(|row| row.tokens.len()).collect(),
                vision: None,
                wanted: None,
            },
            visual: (visual_rows > 0).then(|| VisualIndex {
                splice: ints(splice, &device),
                add: ints(add, &device),
                places: ints(places, &device),
            }),
            pixels,
            time,
            starts,
            positions: states,
        })
    }

    /// Runs the vision tower (where there are images) and the decoder.
    ///
    /// # Shapes
    /// - output: `[rows * time, hidden]`
    pub fn hidden(&self, model: &Qwen3Vl, cache: Option<&mut dyn KvCache>) -> Tensor<2> {
        self.run(model, cache, None)
    }

    /// As [`Batch::hidden`], of the tokens `wanted` of the flattened batch alone.
    ///
    /// # Shapes
    /// - wanted: `[n]`; output: `[n, hidden]`
    pub fn hidden_at(&self, model: &Qwen3Vl, cache: Option<&mut dyn KvCache>, wanted: Tensor<1, Int>) -> Tensor<2> {
        self.run(model, cache, Some(wanted))
    }

    fn run(&self, model: &Qwen3Vl, cache: Option<&mut dyn KvCache>, wanted: Option<Tensor<1, Int>>) -> Tensor<2> {
        let mut input = DecoderInput {
            wanted,
            ..self.input.clone()
        };
        if let Some(index) = &self.visual {
            let images: Vec<&Pixels> = self.pixels.iter().map(AsRef::as_ref).collect();
            input.vision = Some((model.visual.forward(&images), index.clone()));
        }
        model.hidden(input, cache)
    }
}

/// Bias `[rows, 1, time, columns + time]`: visible cache columns, then the new tokens of the row up to the query.
fn prefix_bias(visible: &[Vec<bool>], rows: &[RowInput], time: usize, device: &Device) -> Tensor<4> {
    let columns = visible.first().map_or(0, Vec::len);
    let width = columns + time;
    let mut data = vec![HIDDEN; rows.len() * time * width];
    for (number, (seen, row)) in visible.iter().zip(rows).enumerate() {
        let cached: Vec<f32> = seen.iter().map(|&seen| if seen { 0.0 } else { HIDDEN }).collect();
        for query in 0..time {
            let start = (number * time + query) * width;
            data[start..start + columns].copy_from_slice(&cached);
            let new = (query + 1).min(row.tokens.len());
            data[start + columns..start + columns + new].fill(0.0);
        }
    }
    Tensor::from_data(TensorData::new(data, [rows.len(), 1, time, width]), device)
}
