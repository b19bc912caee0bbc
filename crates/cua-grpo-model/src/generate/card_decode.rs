//! The tokens of a turn on a card: the caches of the batch go into a decoder, its graph samples, the new columns come back.
//!
//! The first token of each row was drawn on the host, as everywhere. The others are drawn on the card, from a stream of
//! random numbers that depends on the row's seed and step alone.

use super::engine::{Generator, Output, Request};
use crate::ModelError;
use burn::tensor::{DType, Device, Tensor};
use cua_grpo_core::StopReason;
use cua_grpo_kernels::cuda::{CudaError, Decoder, RowStart};

/// Steps between two looks at whether every row is finished.
const STEPS: usize = 16;

fn card(error: CudaError) -> ModelError {
    ModelError::Card(error.to_string())
}

impl Generator {
    /// Whether the decoder of the card runs this model: dense layers in bf16, heads of 64 or 128.
    pub(super) fn has_decoder(&self) -> bool {
        let (model, text) = (&self.model, &self.model.config.text);
        let heads = matches!(text.head_dim, 64 | 128) && text.num_attention_heads / text.num_key_value_heads <= 16;
        let bf16 = model.language_model.embed_tokens.dtype() == DType::BF16;
        model.device() != Device::flex() && bf16 && heads && text.moe.is_none()
    }

    /// Finishes every output that [`Generator::prefill`] began.
    ///
    /// # Errors
    /// When the card refuses: too little memory for the caches, say.
    pub(super) fn decode_on_card(&mut self, requests: &[Request], outputs: &mut [Output]) -> Result<(), ModelError> {
        let left: Vec<usize> = requests
            .iter()
            .zip(&*outputs)
            .map(|(r, output)| self.left(r, output))
            .collect();
        let most = left.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return Ok(());
        }
        let rows = requests.len();
        let seen: Vec<Vec<usize>> = self.visible[..rows]
            .iter()
            .map(|row| (0..row.len()).filter(|&column| row[column]).collect())
            .collect();
        let longest = seen.iter().map(Vec::len).max().unwrap_or(0);
        let max_len = (longest + most + 1).next_multiple_of(64);
        let mut decoder = Decoder::new(self.model.decode_model()?, rows, max_len, most).map_err(card)?;
        self.fill(&mut decoder, &seen).map_err(card)?;
        let (mut starts, mut firsts) = (Vec::new(), Vec::new());
        for (row, (request, output)) in requests.iter().zip(&*outputs).enumerate() {
            let conversation = self.conversations.get(&request.session);
            let params = &request.params;
            starts.push(RowStart {
                length: seen[row].len() + 1,
                position: conversation.map_or(0, |conversation| conversation.positions.next),
                temperature: params.temperature,
                top_k: params.top_k,
                top_p: params.top_p,
                seed: params.seed,
                max_new_tokens: left[row],
            });
            firsts.push(output.completion.tokens.last().map_or(0, |&token| token as i32));
        }
        let stops: Vec<i32> = self.stop_tokens.iter().map(|&token| token as i32).collect();
        decoder.resume(&starts, &stops, 0, &firsts).map_err(card)?;
        let mut steps = most;
        while steps > 0 {
            decoder.run(steps.min(STEPS)).map_err(card)?;
            steps -= steps.min(STEPS);
            if decoder.active().map_err(card)? == 0 {
                break;
            }
        }
        let history = decoder.history().map_err(card)?;
        for (row, (request, output)) in requests.iter().zip(outputs.iter_mut()).enumerate() {
            let completion = &mut output.completion;
            for (index, &token) in history.tokens[row].iter().enumerate() {
                if let Some(observer) = &mut self.observer {
                    observer(request.session, token);
                }
                completion.tokens.push(token);
                completion.logprobs.push(history.logprobs[row][index]);
                completion.kept_mass.push(history.kept_mass[row][index]);
                completion.versions.push(self.version);
            }
            if !output.done {
                completion.stop = match history.finished[row] {
                    1 => StopReason::Stop,
                    _ if completion.tokens.len() >= request.params.max_new_tokens => StopReason::MaxTokens,
                    _ => StopReason::ContextFull,
                };
                output.done = true;
            }
        }
        let counts: Vec<usize> = history.tokens.iter().map(Vec::len).collect();
        self.take_back(&decoder, requests, &seen, &counts);
        Ok(())
    }

    /// Tokens that a row may still sample.
    fn left(&self, request: &Request, output: &Output) -> usize {
        if output.done {
            return 0;
        }
        let sampled = output.completion.tokens.len();
        let length = self
            .conversations
            .get(&request.session)
            .map_or(0, |conversation| conversation.length);
        let room = self
            .max_context
            .saturating_sub(length + request.prompt.tokens.len() + sampled);
        request.params.max_new_tokens.saturating_sub(sampled).min(room)
    }

    /// Copies the columns that each row sees, one after the other.
    fn fill(&mut self, decoder: &mut Decoder, seen: &[Vec<usize>]) -> Result<(), CudaError> {
        let rows: Vec<i32> = (0..seen.len() as i32).collect();
        let counts: Vec<i32> = seen.iter().map(|columns| columns.len() as i32).collect();
        let longest = seen.iter().map(Vec::len).max().unwrap_or(0);
        let columns = self.visible.first().map_or(0, Vec::len);
        let places = seen.iter().enumerate().flat_map(|(row, seen)| {
            let column = |index: usize| seen.get(index).copied().unwrap_or(0);
            (0..longest)
                .map(move |index| (row * columns + column(index)) as i64)
                .collect::<Vec<_>>()
        });
        let places = self.ints(places.collect());
        for (number, layer) in self.cache.iter_mut().enumerate() {
            layer.settle();
            let Some((k, v)) = layer.newest() else { continue };
            let compact = |tensor: &Tensor<4>| pick(tensor, &places, seen.len());
            decoder.store(number, [&compact(k), &compact(v)], &rows, &vec![0; seen.len()], &counts)?;
        }
        Ok(())
    }

    /// Appends the columns that the decoder added; a row hides those beyond its own.
    fn take_back(&mut self, decoder: &Decoder, requests: &[Request], seen: &[Vec<usize>], counts: &[usize]) {
        let (rows, time) = (seen.len(), counts.iter().copied().max().unwrap_or(0));
        let max_len = decoder.max_len();
        let places = seen.iter().enumerate().flat_map(|(row, seen)| {
            let start = seen.len();
            (0..time).map(move |index| (row * max_len + (start + index).min(max_len - 1)) as i64)
        });
        let places = self.ints(places.collect());
        let idle = self.visible.len() - rows;
        for (number, layer) in self.cache.iter_mut().enumerate() {
            let [k, v] = decoder.keys_and_values(number);
            let fresh = |tensor: &Tensor<4>| {
                let fresh = pick(tensor, &places, rows);
                let [_, heads, _, width] = fresh.dims();
                let unused = Tensor::zeros([idle, heads, time, width], (&fresh.device(), fresh.dtype()));
                if idle == 0 {
                    fresh
                } else {
                    Tensor::cat(vec![fresh, unused], 0)
                }
            };
            layer.append(fresh(k), fresh(v));
        }
        for (row, visible) in self.visible.iter_mut().enumerate() {
            let count = counts.get(row).copied().unwrap_or(0);
            let length = visible.len();
            visible.resize(length + count, true);
            visible.resize(length + time, false);
        }
        for (request, &count) in requests.iter().zip(counts) {
            if let Some(conversation) = self.conversations.get_mut(&request.session) {
                conversation.positions.next += count as i64;
            }
        }
    }
}

/// Columns `places` (row times columns plus column, `rows` equal runs) of `[batch, heads, columns, width]`, as
/// `[rows, heads, columns of a run, width]`.
fn pick(tensor: &Tensor<4>, places: &Tensor<1, burn::tensor::Int>, rows: usize) -> Tensor<4> {
    let [batch, heads, columns, width] = tensor.dims();
    let flat = tensor.clone().swap_dims(1, 2).reshape([batch * columns, heads * width]);
    let count = places.dims()[0] / rows;
    let picked = flat.select(0, places.clone()).reshape([rows, count, heads, width]);
    picked.swap_dims(1, 2)
}
