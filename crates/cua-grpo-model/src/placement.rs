//! What runs where: the one place that chooses by device and number format.
//!
//! | choice | CPU | card |
//! |---|---|---|
//! | arithmetic | f32, whatever the weights are stored in | in the format of the weights ([`Placement::load`]) |
//! | training of adapters | the whole graph is kept | by blocks, which are computed again ([`by_blocks`]) |
//! | rows of a batch | padded to the longest | one after the other in bf16 ([`Qwen3Vl::packs_rows`]) |
//! | projections of one input | apart | side by side in memory, multiplied as one |
//! | decoding | layer by layer, a cache for each conversation | by a graph, for what the graph computes; else layer by layer ([`Decoding`]) |
//!
//! What a kernel does on a device is the business of `cua-grpo-kernels`, not of this file.

use crate::checkpoint::{LoadOptions, Nf4Options, WeightDtype, load_within};
use crate::memory::machine::Available;
use crate::model::{Qwen3Vl, Trainable};
use crate::{ModelConfig, ModelError, TextConfig};
use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceSpec {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by number; needs the cargo feature `cuda`.
    Cuda(usize),
}

impl DeviceSpec {
    /// How a device may be written.
    pub const EXPECTED: &'static str = "cpu, cuda or cuda:N";

    /// Opens the device. `None` for a card in a build without the feature `cuda`.
    pub fn open(self) -> Option<Device> {
        match self {
            Self::Cpu => Some(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Some(Device::cuda(index)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => None,
        }
    }
}

impl std::str::FromStr for DeviceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("device `{text}`: expected {}", Self::EXPECTED);
        match text.to_lowercase().split_once(':') {
            None if text.eq_ignore_ascii_case("cpu") => Ok(Self::Cpu),
            None if text.eq_ignore_ascii_case("cuda") => Ok(Self::Cuda(0)),
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for DeviceSpec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceSpec> for String {
    fn from(device: DeviceSpec) -> Self {
        device.to_string()
    }
}

impl std::fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Where a model lies, and in what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Where tensors live.
    pub device: DeviceSpec,
    /// Number format of the matrices.
    pub dtype: WeightDtype,
    /// Linear maps are held in four bits (NF4 with double quantisation, as QLoRA setups have it).
    pub four_bits: bool,
}

impl Placement {
    /// How the weights of a checkpoint are held.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            dtype: self.dtype,
            nf4: self.four_bits.then(Nf4Options::default),
        }
    }

    /// The model of the folder `dir` on `device`, which is [`Placement::device`] opened, without adapter.
    ///
    /// # Errors
    /// As [`crate::checkpoint::load_model`]; a card is asked for its memory, too.
    pub fn load(&self, dir: &Path, device: &Device) -> Result<Qwen3Vl, ModelError> {
        self.check(&ModelConfig::load(dir)?)?;
        let available = Available::of_device(self.device).ok();
        let mut model = load_within(dir, &self.load_options(), device, available.as_ref())?;
        if is_card(device) {
            // On a card everything is computed in one type; on the CPU narrow types only save memory.
            model.cast(self.dtype.burn());
        }
        model.settle();
        Ok(model)
    }

    /// That a model of this form runs there.
    ///
    /// # Errors
    /// [`ModelError::Config`] for a card, where there are no recurrent layers yet.
    pub fn check(&self, config: &ModelConfig) -> Result<(), ModelError> {
        match self.device {
            DeviceSpec::Cuda(_) if config.text.hybrid.is_some() => Err(ModelError::Config(
                "device: expected cpu; the recurrent layers of Qwen3.5 do not run on a card yet".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// As [`by_blocks`], before the device is opened.
    pub fn by_blocks(&self, which: Trainable) -> bool {
        blocks(self.device != DeviceSpec::Cpu, which)
    }
}

/// Whether `device` is a card, with autodiff on it or without.
pub fn is_card(device: &Device) -> bool {
    device.clone().without_autodiff() != Device::flex()
}

/// Whether training keeps only the input of each block and computes the block again
/// ([`crate::score::score_rows_by_blocks`]): on a card, where memory is short and the forward pass is cheap, and for
/// adapters.
pub fn by_blocks(model: &Qwen3Vl, which: Trainable) -> bool {
    blocks(is_card(&model.device()), which)
}

fn blocks(card: bool, which: Trainable) -> bool {
    card && which == Trainable::Adapter
}

impl Qwen3Vl {
    /// Whether rows are scored one after the other, without padding: where attention has a kernel for that, in bf16 on a
    /// card. Elsewhere rows are padded to the longest.
    pub fn packs_rows(&self) -> bool {
        is_card(&self.device()) && self.language_model.embed_tokens.dtype() == DType::BF16
    }

    /// Lays the weights out as the model's device multiplies them fastest; values and names stay. Nothing on a CPU.
    pub fn settle(&mut self) {
        #[cfg(feature = "cuda")]
        if is_card(&self.device()) {
            self.join_projections();
        }
    }
}

/// What decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoding {
    /// Layer by layer, on any device, over one cache for all.
    Layers,
    /// Layer by layer on the CPU, over a cache for each conversation.
    Conversations,
    /// The graph of a card, which draws tokens there.
    Graph,
}

impl Decoding {
    /// What decodes for `model`: the graph for plain dense layers in bf16 with heads of 64 or 128, on a card of compute
    /// capability 8.0 or newer.
    /// `plain`: tokens are drawn without rules, which only the host knows.
    pub fn of(model: &Qwen3Vl, plain: bool) -> Self {
        let device = model.device();
        let format = model.language_model.embed_tokens.dtype();
        if plain && is_card(&device) && graph_takes(&model.config.text, format) && graph_runs(&device) {
            Self::Graph
        } else if !is_card(&device) {
            Self::Conversations
        } else {
            Self::Layers
        }
    }
}

/// Whether the graph computes a decoder of this form, on a card that runs it.
fn graph_takes(text: &TextConfig, format: DType) -> bool {
    let heads = matches!(text.head_dim, 64 | 128) && text.num_attention_heads / text.num_key_value_heads <= 16;
    heads && format == DType::BF16 && text.beyond_the_graph().is_none()
}

#[cfg(feature = "cuda")]
fn graph_runs(device: &Device) -> bool {
    cua_grpo_kernels::cuda::decodes(device)
}

#[cfg(not(feature = "cuda"))]
fn graph_runs(_: &Device) -> bool {
    false
}

#[cfg(test)]
mod tests {
    //! Mutations tried: blocks for whole models; the graph in f32; the graph for a mixture.

    use super::*;

    #[test]
    fn devices_are_read_and_written_the_same() {
        for (text, device) in [
            ("cpu", DeviceSpec::Cpu),
            ("CUDA", DeviceSpec::Cuda(0)),
            ("cuda:3", DeviceSpec::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        let error = "gpu".parse::<DeviceSpec>().unwrap_err();
        assert_eq!(error, "device `gpu`: expected cpu, cuda or cuda:N");
        assert_eq!(DeviceSpec::Cpu.open(), Some(Device::flex()));
        assert_eq!(DeviceSpec::Cuda(0).open().is_some(), cfg!(feature = "cuda"));
    }

    #[test]
    fn adapters_are_trained_by_blocks_on_a_card_only() {
        let on = |device| Placement {
            device,
            dtype: WeightDtype::Bf16,
            four_bits: true,
        };
        let [cpu, card] = [DeviceSpec::Cpu, DeviceSpec::Cuda(0)].map(on);
        assert!(card.by_blocks(Trainable::Adapter) && !card.by_blocks(Trainable::Everything));
        assert!(!cpu.by_blocks(Trainable::Adapter) && !cpu.by_blocks(Trainable::Everything));
        assert_eq!(
            card.load_options(),
            LoadOptions::quantised(WeightDtype::Bf16, Nf4Options::default())
        );
        assert!(!is_card(&Device::flex()) && !is_card(&Device::flex().autodiff()));
    }

    #[test]
    fn recurrent_layers_are_refused_on_a_card() {
        let on = |device| Placement {
            device,
            dtype: WeightDtype::F32,
            four_bits: false,
        };
        let [plain, hybrid] = ["4b", "qwen35-4b"].map(|name| ModelConfig::preset(name).unwrap());
        let error = on(DeviceSpec::Cuda(0)).check(&hybrid).unwrap_err().to_string();
        assert!(error.contains("device: expected cpu"), "{error}");
        for (device, config) in [(DeviceSpec::Cpu, &hybrid), (DeviceSpec::Cuda(0), &plain)] {
            on(device).check(config).unwrap();
        }
    }

    #[test]
    fn the_graph_takes_dense_decoders_in_bf16() {
        let takes = |name: &str, format| graph_takes(&ModelConfig::preset(name).unwrap().text, format);
        for name in ["2b", "4b", "8b", "32b"] {
            assert!(takes(name, DType::BF16) && !takes(name, DType::F32), "{name}");
        }
        assert!(!takes("30b-a3b", DType::BF16));
        let mut odd = ModelConfig::preset("2b").unwrap().text;
        odd.head_dim = 80;
        assert!(!graph_takes(&odd, DType::BF16));
    }
}
