//! What a decoder keeps on the card besides weights and cache: activations of one step, and the state of each row.

use super::limits::{LOW, MOST_STOP_IDS, groups, lora_scratch, wide_scratch};
use super::model::DecodeModel;
use crate::cuda::error::CudaError;
use crate::cuda::section::{Address, Section, try_section};
use crate::cuda::tensor::empty;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// How a row samples and where it stands, before its first token is drawn.
#[derive(Debug, Clone, Copy)]
pub struct RowStart {
    /// Tokens in the cache.
    pub length: usize,
    /// Position of the last of them (the largest of its three axes).
    pub position: i64,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// 0 keeps all tokens.
    pub top_k: usize,
    /// 1 keeps all tokens.
    pub top_p: f32,
    /// Key of the random numbers.
    pub seed: u64,
    /// Tokens drawn for this reply before: the random numbers go on behind them, and so does the history.
    pub drawn: usize,
    /// Most tokens to sample now.
    pub max_new_tokens: usize,
}

/// What was sampled.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Tokens of each row: behind the ones that were drawn before, whose places hold anything.
    pub tokens: Vec<Vec<u32>>,
    /// Log-prob of each token under what it was drawn from (after temperature, top-k and top-p).
    pub kept_logprobs: Vec<Vec<f32>>,
    /// Under the whole softmax at the sampling temperature.
    pub logprobs: Vec<Vec<f32>>,
    /// Under the whole softmax at temperature 1.
    pub plain_logprobs: Vec<Vec<f32>>,
    /// Share of the mass that was kept.
    pub kept_mass: Vec<Vec<f32>>,
    /// 0 going on, 1 a stop id, 2 enough tokens, 3 the cache is full.
    pub finished: Vec<i32>,
}

/// Sizes that launches need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub rows: usize,
    pub hidden: usize,
    pub mlp: usize,
    pub vocab: usize,
    pub max_len: usize,
    pub history: usize,
    pub splits: usize,
}

/// All buffers, by address. The tensors that own them are kept beside.
pub(super) struct Buffers {
    pub sizes: Sizes,
    pub x: Address,
    pub normed: Address,
    pub delta: Address,
    pub qkv: Address,
    pub q: Address,
    pub attended: Address,
    pub gate_up: Address,
    pub gated: Address,
    pub logits: Address,
    pub partial: Address,
    pub counters: Address,
    pub lora: Address,
    pub low: Address,
    pub ready: Address,
    pub parts: Address,
    pub frequencies: Address,
    // One entry a row (three of `position`).
    pub ids: Address,
    pub column: Address,
    pub lens: Address,
    pub position: Address,
    pub step: Address,
    pub finished: Address,
    pub limit: Address,
    pub token: Address,
    pub temperature: Address,
    pub top_k: Address,
    pub top_p: Address,
    pub seed: Address,
    pub scores: [Address; 4],
    pub active: Address,
    pub stop_ids: Address,
    pub tokens: Address,
    pub score_history: Address,
    pub pad: i32,
    /// The memory that all addresses point into.
    _owner: CubeTensor,
}

/// Hands out parts of one buffer, each at a multiple of 256 bytes.
struct Plan(usize);

impl Plan {
    fn take(&mut self, bytes: usize) -> usize {
        let place = self.0;
        self.0 += bytes.next_multiple_of(256);
        place
    }
}

impl Buffers {
    pub fn new(
        like: &CubeTensor,
        model: &DecodeModel,
        rows: usize,
        max_len: usize,
        history: usize,
    ) -> Result<Self, CudaError> {
        let [vocab, hidden] = model.embedding.dims();
        let Some(first) = model.layers.first() else {
            return Err(CudaError::new("decoder: expected at least one layer", 0));
        };
        let mlp = first.gate_up[0].shape()[0];
        // Two waves of blocks over the card; more than eight parts cost more to combine than they gain.
        let card = try_section(&like.client, |cx| Ok(cx.gpu.card))?;
        let splits = (2 * card.multiprocessors / (model.kv_heads * rows)).clamp(1, 8);
        let sizes = Sizes {
            rows,
            hidden,
            mlp,
            vocab,
            max_len,
            history,
            splits,
        };
        let (heads, width) = (model.heads, model.head_dim);
        let mut plan = Plan(0);
        let wide = (heads + 2 * model.kv_heads) * width;
        let shrink = lora_scratch(mlp.max(hidden).max(heads * width)) * 4;
        let places = [
            rows * hidden * 2,
            rows * hidden * 2,
            rows * hidden * 2,
            rows * wide * 2,
            rows * heads * width * 2,
            rows * heads * width * 2,
            rows * 2 * mlp * 2,
            rows * mlp * 2,
            rows * vocab * 4,
            rows * heads * splits * (width + 2) * 4,
            rows * model.kv_heads * 4,
            if model.has_adapter() { shrink } else { 0 },
            width / 2 * 4,
            LOW * 4,
            groups(model) * 4,
            wide_scratch(&card, model, rows) * 4,
        ]
        .map(|bytes| plan.take(bytes));
        let state = [4, 4, 4, 12, 4, 4, 4, 4, 4, 4, 4, 8, 4, 4, 4, 4].map(|bytes| plan.take(bytes * rows));
        let last = [4, MOST_STOP_IDS * 4, rows * history * 4, 4 * rows * history * 4].map(|bytes| plan.take(bytes));
        let owner = empty(like, [plan.0], DType::U8);
        let base = try_section(&like.client, |cx| {
            let base = cx.address(&owner)?;
            cx.zero(base, plan.0)?;
            let inverse: Vec<f32> = (0..width / 2)
                .map(|j| model.rope_theta.powf(-2.0 * j as f64 / width as f64) as f32)
                .collect();
            cx.upload(base + places[12] as u64, &inverse)?;
            Ok(base)
        })?;
        let at = |place: usize| base + place as u64;
        Ok(Self {
            sizes,
            x: at(places[0]),
            normed: at(places[1]),
            delta: at(places[2]),
            qkv: at(places[3]),
            q: at(places[4]),
            attended: at(places[5]),
            gate_up: at(places[6]),
            gated: at(places[7]),
            logits: at(places[8]),
            partial: at(places[9]),
            counters: at(places[10]),
            lora: at(places[11]),
            frequencies: at(places[12]),
            low: at(places[13]),
            ready: at(places[14]),
            parts: at(places[15]),
            ids: at(state[0]),
            column: at(state[1]),
            lens: at(state[2]),
            position: at(state[3]),
            step: at(state[4]),
            finished: at(state[5]),
            limit: at(state[6]),
            token: at(state[7]),
            temperature: at(state[8]),
            top_k: at(state[9]),
            top_p: at(state[10]),
            seed: at(state[11]),
            scores: [at(state[12]), at(state[13]), at(state[14]), at(state[15])],
            active: at(last[0]),
            stop_ids: at(last[1]),
            tokens: at(last[2]),
            score_history: at(last[3]),
            pad: 0,
            _owner: owner,
        })
    }

    /// Every row at the last column of the cache, so that a step can run.
    pub fn reset(&mut self, cx: &mut Section<'_>) -> Result<(), CudaError> {
        let start = RowStart {
            length: self.sizes.max_len,
            position: 0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 0,
            drawn: 0,
            max_new_tokens: self.sizes.history,
        };
        self.upload(cx, &vec![start; self.sizes.rows], &[], 0)
    }

    pub fn upload(
        &mut self,
        cx: &mut Section<'_>,
        starts: &[RowStart],
        stop_ids: &[i32],
        pad: i32,
    ) -> Result<(), CudaError> {
        let Sizes { rows, history, .. } = self.sizes;
        if starts.len() != rows || stop_ids.len() > MOST_STOP_IDS {
            let found = format!("{} rows, {} stop ids", starts.len(), stop_ids.len());
            let expected = format!("decoder: expected {rows} rows and at most {MOST_STOP_IDS} stop ids");
            return Err(CudaError::new(expected, found));
        }
        let ints = |of: fn(&RowStart) -> i64| -> Vec<i32> { starts.iter().map(|start| of(start) as i32).collect() };
        // Sampling moves a row on by one: the last prompt token is where it stands now.
        cx.upload(self.column, &ints(|start| start.length as i64 - 1))?;
        cx.upload(self.lens, &ints(|start| start.length as i64))?;
        cx.upload(self.position, &ints(|start| start.position).repeat(3))?;
        cx.upload(self.top_k, &ints(|start| start.top_k as i64))?;
        let limits: Vec<i32> = starts
            .iter()
            .map(|start| (start.drawn + start.max_new_tokens).min(history) as i32)
            .collect();
        cx.upload(self.limit, &limits)?;
        cx.upload(
            self.temperature,
            &starts.iter().map(|start| start.temperature).collect::<Vec<f32>>(),
        )?;
        cx.upload(
            self.top_p,
            &starts.iter().map(|start| start.top_p).collect::<Vec<f32>>(),
        )?;
        cx.upload(self.seed, &starts.iter().map(|start| start.seed).collect::<Vec<u64>>())?;
        cx.upload(self.step, &ints(|start| start.drawn as i64))?;
        let nothing = starts
            .iter()
            .zip(&limits)
            .map(|(start, &limit)| limit <= start.drawn as i32);
        let finished: Vec<i32> = nothing.map(|nothing| if nothing { 2 } else { 0 }).collect();
        cx.upload(self.finished, &finished)?;
        let active = finished.iter().filter(|&&finished| finished == 0).count();
        cx.upload(self.active, &[active as i32])?;
        let mut padded = stop_ids.to_vec();
        padded.resize(MOST_STOP_IDS, -1);
        cx.upload(self.stop_ids, &padded)?;
        // The graph holds this by value: it is captured for the first run's, and must not change.
        self.pad = pad;
        Ok(())
    }

    pub fn active(&self, cx: &mut Section<'_>) -> Result<usize, CudaError> {
        Ok(cx.download::<i32>(self.active, 1)?[0] as usize)
    }

    pub fn finished(&self, cx: &mut Section<'_>) -> Result<Vec<i32>, CudaError> {
        cx.download::<i32>(self.finished, self.sizes.rows)
    }

    pub fn history(&self, cx: &mut Section<'_>) -> Result<History, CudaError> {
        let Sizes { rows, history, .. } = self.sizes;
        let steps = cx.download::<i32>(self.step, rows)?;
        let tokens = cx.download::<i32>(self.tokens, rows * history)?;
        let scores = cx.download::<f32>(self.score_history, 4 * rows * history)?;
        let of = |number: usize| -> Vec<Vec<f32>> {
            let part = scores[number * rows * history..].chunks_exact(history);
            part.zip(&steps)
                .map(|(row, &steps)| row[..steps as usize].to_vec())
                .collect()
        };
        let tokens = tokens.chunks_exact(history).zip(&steps);
        Ok(History {
            tokens: tokens
                .map(|(row, &steps)| row[..steps as usize].iter().map(|&token| token as u32).collect())
                .collect(),
            kept_logprobs: of(0),
            logprobs: of(1),
            plain_logprobs: of(2),
            kept_mass: of(3),
            finished: self.finished(cx)?,
        })
    }
}
