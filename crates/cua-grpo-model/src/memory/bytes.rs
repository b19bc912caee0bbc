//! Bytes by component, each formula with the code that it mirrors. Sizes that are constants of that code are taken from it.
//!
//! Symbols: `L` decoder layers, `h` hidden size, `q` and `kv` widths of queries and of keys, `I` width of the MLP, `V`
//! vocabulary; `B` conversations at once, `C` tokens of a context, `T` padded tokens of a micro-batch, `n` adapter weights;
//! `s` bytes of an activation (4 on the CPU, where arithmetic is f32 whatever the weights are stored in).
//!
//! | component | bytes | mirrors |
//! |---|---|---|
//! | weights | matrices in `dtype`, linear maps `1/2 + 4/64` a weight in four bits, the small rest 4 | `checkpoint::LoadOptions`, `kernels::Nf4` |
//! | adapter | `4 n` | `lora::attach` |
//! | gradient and optimiser | `4 n (2 + 4)`: moments; gradient, its clipped copy, flat weights, new weights | `learner::Learner::update`, `algo::AdamW` |
//! | KV cache | `2 kv C B s (L + 1)`, `L` those with attention: one layer is joined at a time, on the CPU one grows; of every recurrent layer, and once more, its state in f32 and the window of its convolution | `text::LayerCache::settle`, `kernels::KeyValues`, `text::DeltaState` |
//! | prompt | one layer over `B` prompts: `P (2h + 2q + 4kv + 3I) s`, scores `3 heads P C s`, on the CPU `64 heads C s`, on a card in bf16 none, and the vision tower | `text::TextLayer::forward`, `kernels::attention` with a bias, `kernels::attention_cached` |
//! | logits of sampling | `3 B V 4` | `generate::Generator::logits` |
//! | activations | `T s` times `4h + 4q + 3kv + 3I` and the ranks, what the backward pass reads of a layer: of all layers and once more for its gradients; with recomputation `2h` of every layer (of one, where inputs wait in the host's memory) and two layers | the `Saved` types of `kernels` |
//! | vision activations | the same with `10h + 2I` over 4 patches a token where the vision tower has adapters, else one block | `vision::VisionBlock::forward` |
//! | logits of training | one chunk of at most 2048 trained tokens, `V (4 + 4)` a row, on a card `V (4 + 2)` | `kernels::token_scores` |
//!
//! `trainer score` needs the weights, one layer and 3 chunks of logits. On a model of the 2B sizes with random weights the
//! plan was 1 % below the peak resident memory of the process for 64 tokens in bf16 (4368 MiB) and in four bits (1853
//! MiB), and for 320 tokens in bf16 (4664 MiB).
//!
//! Two phases follow each other, sampling and updating; weights, adapter and moments stay. What is asked for is the
//! larger phase; of a run that plays episodes while it updates, both together.

use super::ModelSizes;
use crate::checkpoint::WeightDtype;
use crate::model::Trainable;
use crate::placement::{DeviceSpec, Placement};
use crate::score::{CHUNK_ROWS, SEQUENCE_LOGITS};
use cua_grpo_kernels::BLOCK;
use serde::Serialize;

/// Copies of a chunk of logits that are alive at once while it is normalised (measured: 2.3).
const LOGIT_COPIES: u64 = 3;

/// What the process holds beside tensors: code, buffers of the files, what the allocator keeps (measured: 170 MiB).
const PROCESS: u64 = 128 << 20;

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Conversations that are sampled together.
    pub batch: u64,
    /// Tokens of a context.
    pub context: u64,
    /// Tokens that one turn adds to a conversation.
    pub turn: u64,
    /// Padded tokens of one forward pass of training.
    pub micro_batch: u64,
    /// Trained tokens among them.
    pub trained: u64,
    /// Episodes are played while the policy is updated, so both phases are alive at once.
    pub beside: bool,
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Format of the matrices.
    pub dtype: WeightDtype,
    /// Linear maps are in four bits.
    pub four_bits: bool,
    /// Arithmetic is on the CPU, in f32.
    pub cpu: bool,
    /// The backward pass computes each layer again from its input.
    pub recompute: bool,
    /// Those inputs wait in the memory of the host.
    pub offload: bool,
}

/// When a component is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// All the time.
    Always,
    /// While episodes are played.
    Sampling,
    /// While the adapter is updated.
    Updating,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// What it is.
    pub name: &'static str,
    /// When it is there.
    pub phase: Phase,
    /// Bytes.
    pub bytes: u64,
}

impl Memory {
    /// How values of a model at `placement` are stored while its adapter is trained.
    pub fn of(placement: &Placement) -> Self {
        Self {
            dtype: placement.dtype,
            four_bits: placement.four_bits,
            cpu: placement.device == DeviceSpec::Cpu,
            recompute: placement.by_blocks(Trainable::Adapter),
            offload: false,
        }
    }

    /// The same with the inputs of blocks in the memory of the host, where blocks are computed again on a card.
    #[must_use]
    pub fn offloading(self, wanted: bool) -> Self {
        Self {
            offload: wanted && self.recompute && !self.cpu,
            ..self
        }
    }

    /// Bytes of pinned memory of the host while the adapter is updated.
    pub fn host(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        if !self.offload {
            return 0;
        }
        let here = Self {
            offload: false,
            ..*self
        };
        let saved = |memory: &Self| memory.text_saved(sizes, load) + memory.vision_saved(sizes, load);
        saved(&here) - saved(self)
    }

    /// Bytes of what the process holds beside tensors, where that lies in the same memory as they do.
    pub fn process(&self) -> u64 {
        if self.cpu { PROCESS } else { 0 }
    }

    /// Bytes of an activation.
    fn activation(&self) -> u64 {
        let dtype = if self.cpu { WeightDtype::F32 } else { self.dtype };
        dtype.size() as u64
    }

    /// Bytes of the frozen weights.
    pub fn weights(&self, sizes: &ModelSizes) -> u64 {
        let matrix = self.dtype.size() as u64;
        let linear = if self.four_bits {
            sizes.linear / 2 + sizes.linear.div_ceil(BLOCK as u64) * 4
        } else {
            sizes.linear * matrix
        };
        linear + sizes.tables() * matrix + sizes.small * 4
    }

    /// Bytes beside the weights while [`crate::score::score_sequence`] scores `tokens` tokens, all of them of pictures at worst.
    pub fn scoring(&self, sizes: &ModelSizes, tokens: u64) -> u64 {
        let vocab = sizes.config.text.vocab_size as u64;
        let rows = tokens.min((SEQUENCE_LOGITS as u64 / vocab).max(1));
        self.layer_transient(sizes) * tokens + LOGIT_COPIES * rows * vocab * 4
    }

    /// Every component of a training run.
    pub fn components(&self, sizes: &ModelSizes, load: &Load) -> Vec<Component> {
        let line = |name, phase, bytes| Component { name, phase, bytes };
        vec![
            line("weights", Phase::Always, self.weights(sizes)),
            line("adapter", Phase::Always, 4 * sizes.adapter),
            line("optimiser moments", Phase::Always, 8 * sizes.adapter),
            line("KV cache", Phase::Sampling, self.cache(sizes, load)),
            line("prompt", Phase::Sampling, self.prompt(sizes, load)),
            line(
                "logits of sampling",
                Phase::Sampling,
                3 * 4 * load.batch * sizes.config.text.vocab_size as u64,
            ),
            line("gradient and update", Phase::Updating, 16 * sizes.adapter),
            line("activations", Phase::Updating, self.text_saved(sizes, load)),
            line("vision activations", Phase::Updating, self.vision_saved(sizes, load)),
            line("logits of training", Phase::Updating, self.training_logits(sizes, load)),
        ]
    }

    /// Bytes that are alive in `phase`, where episodes are played beside training those of both.
    pub fn during(&self, phase: Phase, sizes: &ModelSizes, load: &Load) -> u64 {
        let components = self.components(sizes, load).into_iter();
        let alive = components.filter(|line| load.beside || line.phase == phase || line.phase == Phase::Always);
        alive.map(|line| line.bytes).sum()
    }

    /// Bytes of the larger of the two phases.
    pub fn peak(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        let of = |phase| self.during(phase, sizes, load);
        of(Phase::Sampling).max(of(Phase::Updating))
    }

    /// Keys and values of every layer, and those of the layer that is being joined; the states of recurrent ones likewise.
    pub(super) fn cache(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        let text = &sizes.config.text;
        let layer = 2 * (text.num_key_value_heads * text.head_dim) as u64 * load.context * load.batch;
        let keys = layer * self.activation() * (text.attention_layers() as u64 + 1);
        let Some(hybrid) = &text.hybrid else { return keys };
        let [memory, window] = hybrid.state().map(|count| count as u64 * load.batch);
        let recurrent = (text.num_hidden_layers - text.attention_layers()) as u64;
        keys + (4 * memory + self.activation() * window) * (recurrent + 1)
    }

    /// The new tokens of all conversations in one layer, with the scores against the whole context.
    fn prompt(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        let tokens = load.turn * load.batch;
        let scores = sizes.config.text.num_attention_heads as u64 * load.context * self.activation();
        let alive = match (self.cpu, self.dtype) {
            // One block of queries at a time.
            (true, _) => 64,
            // The kernels of a card keep scores in registers.
            (false, WeightDtype::Bf16) => 0,
            (false, _) => 3 * tokens,
        };
        tokens * self.layer_transient(sizes) + alive * scores
    }

    /// Bytes a token while one layer (or vision block, 4 patches a token) is computed without gradient.
    fn layer_transient(&self, sizes: &ModelSizes) -> u64 {
        let (text, vision) = (widths(sizes), vision_widths(sizes));
        let layer = 2 * text.hidden + 2 * text.query + 4 * text.key_value + 3 * text.mlp;
        let block = 4 * (2 * vision.hidden + 5 * vision.hidden + 2 * vision.mlp);
        layer.max(block) * self.activation()
    }

    /// What the backward pass of the decoder reads, and the gradients of one layer.
    fn text_saved(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        let w = widths(sizes);
        let layer = 4 * w.hidden + 4 * w.query + 3 * w.key_value + 3 * w.mlp + sizes.layer_ranks;
        let layers = sizes.config.text.num_hidden_layers as u64;
        load.micro_batch * self.saved(layers, layer, w.hidden) * self.activation()
    }

    /// The same of the vision tower; one block when nothing is trained there.
    fn vision_saved(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        let w = vision_widths(sizes);
        let block = 10 * w.hidden + 2 * w.mlp;
        let blocks = sizes.config.vision.depth as u64;
        let values = if sizes.vision_adapter {
            self.saved(blocks, block, w.hidden)
        } else {
            block
        };
        let patches = load.micro_batch * (sizes.config.vision.spatial_merge_size as u64).pow(2);
        patches * values * self.activation()
    }

    /// Values a row that `layers` layers keep, of which each has `layer` and halves with inputs of `input`.
    fn saved(&self, layers: u64, layer: u64, input: u64) -> u64 {
        if self.offload {
            2 * input + 2 * layer
        } else if self.recompute {
            2 * layers * input + 2 * layer
        } else {
            (layers + 1) * layer
        }
    }

    /// A chunk of distributions over the vocabulary, which is computed again in the backward pass: its logits in f32, and
    /// their gradient, on a card in the type of the weights.
    fn training_logits(&self, sizes: &ModelSizes, load: &Load) -> u64 {
        let row = 4 * sizes.config.text.vocab_size as u64;
        let gradient = if self.cpu { row } else { row / 2 };
        load.trained.min(CHUNK_ROWS as u64) * (row + gradient)
    }
}

/// Widths of a decoder layer.
struct Widths {
    hidden: u64,
    query: u64,
    key_value: u64,
    mlp: u64,
}

fn widths(sizes: &ModelSizes) -> Widths {
    let text = &sizes.config.text;
    let mlp = match &text.moe {
        Some(moe) => moe.moe_intermediate_size * moe.num_experts_per_tok,
        None => text.intermediate_size,
    };
    // What a recurrent layer projects, as queries that are as wide.
    let recurrent = text
        .hybrid
        .as_ref()
        .map_or(0, |hybrid| hybrid.channels() + hybrid.value_width());
    let query = text.num_attention_heads * text.head_dim;
    Widths {
        hidden: text.hidden_size as u64,
        query: query.max(recurrent) as u64,
        key_value: (text.num_key_value_heads * text.head_dim) as u64,
        mlp: mlp as u64,
    }
}

fn vision_widths(sizes: &ModelSizes) -> Widths {
    let vision = &sizes.config.vision;
    let hidden = vision.hidden_size as u64;
    Widths {
        hidden,
        query: hidden,
        key_value: hidden,
        mlp: vision.intermediate_size as u64,
    }
}

#[cfg(test)]
mod tests {
    //! Mutations tried: the scale of four bits left out, activations of the CPU in two bytes, phases added up.

    use super::*;
    use crate::ModelConfig;

    fn sizes(name: &str) -> ModelSizes {
        ModelSizes::of(&ModelConfig::preset(name).unwrap(), None).unwrap()
    }

    const CPU: Memory = Memory {
        dtype: WeightDtype::Bf16,
        four_bits: false,
        cpu: true,
        recompute: false,
        offload: false,
    };

    const LOAD: Load = Load {
        batch: 2,
        context: 4096,
        turn: 409,
        micro_batch: 4096,
        trained: 1024,
        beside: false,
    };

    #[test]
    fn weights_are_two_bytes_or_half_a_byte_and_a_scale() {
        let sizes = sizes("8b");
        let total = sizes.count.total();
        let dense = CPU.weights(&sizes);
        assert_eq!(dense, 2 * total + 2 * sizes.small);
        let four = Memory { four_bits: true, ..CPU }.weights(&sizes);
        assert_eq!(dense - four, sizes.linear * 2 - sizes.linear / 2 - sizes.linear / 16);
        let single = Memory {
            dtype: WeightDtype::F32,
            ..CPU
        }
        .weights(&sizes);
        assert_eq!(single, 4 * total);
    }

    #[test]
    fn the_cache_of_the_8b_is_that_of_the_literature() {
        // 36 layers x 8 heads x 128 x 2 (k, v) x 2 bytes = 147456 bytes a token on a GPU in bf16, plus one layer.
        let gpu = Memory { cpu: false, ..CPU };
        let bytes = gpu.cache(
            &sizes("8b"),
            &Load {
                batch: 1,
                context: 1,
                ..LOAD
            },
        );
        assert_eq!(bytes, 147_456 / 36 * 37);
    }

    #[test]
    fn states_cost_the_same_at_any_length() {
        // 24 layers of 32 x 128 x 128 x 4 bytes and 3 x 8192 x 2 of the convolution; 8 of 2 x 4 x 256 x 2 a token.
        let gpu = Memory { cpu: false, ..CPU };
        let of = |context| {
            gpu.cache(
                &sizes("qwen35-4b"),
                &Load {
                    batch: 1,
                    context,
                    ..LOAD
                },
            )
        };
        assert_eq!(of(0), 25 * ((2 << 20) + 3 * 8192 * 2));
        assert_eq!(of(1000) - of(0), 1000 * 9 * 4096);
    }

    #[test]
    fn one_chunk_of_logits_is_held_however_many_tokens_are_trained() {
        let sizes = sizes("8b");
        let on_cpu = |trained| CPU.training_logits(&sizes, &Load { trained, ..LOAD });
        assert_eq!((on_cpu(100), on_cpu(50_000)), (100 * 151_936 * 8, 2048 * 151_936 * 8));
        let card = Memory { cpu: false, ..CPU };
        let of = |trained| card.training_logits(&sizes, &Load { trained, ..LOAD });
        assert_eq!(of(100), 100 * 151_936 * 6);
        assert_eq!((of(2048), of(50_000)), (2048 * 151_936 * 6, 2048 * 151_936 * 6));
    }

    #[test]
    fn recomputation_keeps_the_inputs_of_the_halves_of_layers() {
        let sizes = sizes("8b");
        let again = Memory { recompute: true, ..CPU };
        let (all, inputs) = (CPU.text_saved(&sizes, &LOAD), again.text_saved(&sizes, &LOAD));
        let layer = 4 * 4096 + 4 * 4096 + 3 * 1024 + 3 * 12288;
        assert_eq!(all, 4096 * 37 * layer * 4);
        assert_eq!(inputs, 4096 * (2 * 36 * 4096 + 2 * layer) * 4);
        assert_eq!(again.offloading(true), again, "a CPU has one memory");
        let card = Memory { cpu: false, ..again };
        let away = card.offloading(true);
        let text = card.text_saved(&sizes, &LOAD) - away.text_saved(&sizes, &LOAD);
        assert_eq!(text, 4096 * 2 * 35 * 4096 * 2);
        let vision = card.vision_saved(&sizes, &LOAD) - away.vision_saved(&sizes, &LOAD);
        assert_eq!(away.host(&sizes, &LOAD), text + vision);
        assert_eq!(card.host(&sizes, &LOAD), 0);
    }

    #[test]
    fn the_peak_is_the_larger_phase_and_grows_with_the_load() {
        let sizes = sizes("2b");
        let components = CPU.components(&sizes, &LOAD);
        let all: u64 = components.iter().map(|line| line.bytes).sum();
        let peak = CPU.peak(&sizes, &LOAD);
        assert!(peak < all && peak > CPU.weights(&sizes));
        let beside = Load { beside: true, ..LOAD };
        assert_eq!(CPU.peak(&sizes, &beside), all, "both phases at once");
        for more in [
            Load {
                context: 1 << 20,
                ..LOAD
            },
            Load { batch: 1 << 12, ..LOAD },
            Load {
                micro_batch: 1 << 16,
                ..LOAD
            },
            Load {
                trained: 1 << 20,
                ..LOAD
            },
        ] {
            assert!(CPU.peak(&sizes, &more) > peak, "{more:?}");
        }
    }
}
