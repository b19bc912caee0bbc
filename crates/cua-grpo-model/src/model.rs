//! Qwen3-VL as a whole: both towers, the head, and named access to every weight.

use crate::nn::{
    Dropout, Initializer, LinearVisitor, LinearVisitorMut, ParamMut, ParamVisitor, ParamVisitorMut, Weight, join,
};
use crate::text::{DecoderInput, KvCache, TextDecoder};
use crate::vision::VisionTower;
use crate::{ModelConfig, ModelError};
use burn::tensor::{DType, Device, Distribution, Int, Tensor};
use cua_grpo_core::derive_seed;
use cua_grpo_kernels::Nf4;

/// The model. Its tensors are constants unless [`Qwen3Vl::trainable`] made some of them leaves of a gradient.
#[derive(Debug, Clone)]
pub struct Qwen3Vl {
    /// The configuration it was built from.
    pub config: ModelConfig,
    /// The vision tower.
    pub visual: VisionTower,
    /// The text decoder.
    pub language_model: TextDecoder,
    /// `[vocab, hidden]`; `None` when the head is the embedding.
    lm_head: Option<Tensor<2>>,
}

/// Which weights a training run changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainable {
    /// The adapter only; the base gets no gradients.
    Adapter,
    /// Every weight.
    Everything,
}

impl Qwen3Vl {
    /// A model with random weights.
    pub fn init(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        Self::build(config, &mut Initializer::new(seed, device))
    }

    /// Fills a model with random weights in `dtype` that are drawn on the device itself: for measurements, because the
    /// values differ from device to device. Weights in four bits stay as they are.
    pub fn randomise(&mut self, dtype: DType) {
        let device = self.device();
        self.visit_mut(&mut |name, param| match param {
            ParamMut::Vector(tensor) => *tensor = tensor.clone().cast(dtype),
            ParamMut::Matrix(tensor) => {
                let [rows, width] = tensor.dims();
                let table = name.ends_with("embed_tokens.weight") || name.ends_with("pos_embed.weight");
                let std = if table { 0.02 } else { (width as f64).powf(-0.5) };
                *tensor = Tensor::random([rows, width], Distribution::Normal(0.0, std), (&device, dtype));
            }
        });
    }

    /// Replaces the weights of all linear maps by random codes of four bits, of about the same size: for measurements.
    pub fn randomise_in_four_bits(&mut self) {
        let device = self.device();
        self.visit_linear_mut(&mut |_, linear| {
            let [out, width] = linear.dims();
            let count = out * width;
            let bytes = Distribution::Uniform(0.0, 256.0);
            let codes = Tensor::<1, Int>::random([count.div_ceil(2)], bytes, (&device, DType::I32)).cast(DType::U8);
            let scale = 2.0 / (width as f32).sqrt();
            let absmax = Tensor::<1>::full([count.div_ceil(64)], scale, (&device, DType::F32));
            linear.weight = Weight::Nf4(Nf4 {
                codes,
                absmax,
                shape: [out, width],
            });
        });
    }

    /// Casts what is not in `dtype` yet (norms, biases, the position table): the CUDA kernels compute in one type.
    pub fn cast(&mut self, dtype: DType) {
        self.visit_mut(&mut |_, param| match param {
            ParamMut::Vector(tensor) if tensor.dtype() != dtype => *tensor = tensor.clone().cast(dtype),
            ParamMut::Matrix(tensor) if tensor.dtype() != dtype => *tensor = tensor.clone().cast(dtype),
            ParamMut::Vector(_) | ParamMut::Matrix(_) => {}
        });
    }

    /// A model whose matrices have shapes but no storage: every tensor is still to be read. For loading, and to look at
    /// the shapes of a model of any size.
    pub fn unread(config: &ModelConfig, device: &Device) -> Self {
        Self::build(config, &mut Initializer::placeholder(device))
    }

    fn build(config: &ModelConfig, init: &mut Initializer) -> Self {
        let visual = VisionTower::init(&config.vision, init);
        let language_model = TextDecoder::init(&config.text, init);
        let head =
            (!config.tie_word_embeddings).then(|| init.normal([config.text.vocab_size, config.text.hidden_size], 0.02));
        Self {
            config: config.clone(),
            visual,
            language_model,
            lm_head: head,
        }
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.language_model.embed_tokens.device().without_autodiff()
    }

    /// Hidden states after the final norm `[batch * time, hidden]`.
    pub fn hidden(&self, input: DecoderInput, cache: Option<&mut dyn KvCache>) -> Tensor<2> {
        self.language_model.forward(input, cache)
    }

    /// The weight of the output head `[vocab, hidden]`.
    pub fn head(&self) -> Tensor<2> {
        self.lm_head
            .clone()
            .unwrap_or_else(|| self.language_model.embed_tokens.clone())
    }

    /// Visits every base tensor under its checkpoint name, but for the weights in four bits ([`Qwen3Vl::visit_nf4`]).
    pub fn visit(&self, visitor: &mut ParamVisitor<'_>) {
        self.clone().visit_mut(&mut |name, param| visitor(name, param.as_ref()));
    }

    /// Visits every weight in four bits under its checkpoint name.
    pub fn visit_nf4(&self, visitor: &mut dyn FnMut(&str, &Nf4)) {
        self.clone().visit_nf4_mut(&mut |name, weight| visitor(name, weight));
    }

    /// Visits every linear map that an adapter may attach to, under its module path.
    pub fn visit_linear(&self, visitor: &mut LinearVisitor<'_>) {
        self.clone().visit_linear_mut(&mut |path, linear| visitor(path, linear));
    }

    /// Visits the tensors that a training run changes, in the order of [`Qwen3Vl::visit_trainable_mut`].
    pub fn visit_trainable(&self, which: Trainable, visitor: &mut ParamVisitor<'_>) {
        self.clone()
            .visit_trainable_mut(which, &mut |name, param| visitor(name, param.as_ref()));
    }

    /// Visits every base tensor under its checkpoint name, to change it, but for the weights in four bits.
    pub fn visit_mut(&mut self, visitor: &mut ParamVisitorMut<'_>) {
        self.visual.visit_mut("model.visual", visitor);
        self.language_model.visit_mut("model.language_model", visitor);
        if let Some(head) = &mut self.lm_head {
            visitor("lm_head.weight", ParamMut::Matrix(head));
        }
    }

    /// Visits every weight in four bits under its checkpoint name, to change it.
    pub fn visit_nf4_mut(&mut self, visitor: &mut dyn FnMut(&str, &mut Nf4)) {
        self.visit_linear_mut(&mut |path, linear| {
            if let Weight::Nf4(weight) = &mut linear.weight {
                visitor(&join(path, "weight"), weight);
            }
        });
    }

    /// Visits every linear map that an adapter may attach to, under its module path, to change it.
    pub fn visit_linear_mut(&mut self, visitor: &mut LinearVisitorMut<'_>) {
        self.visual.visit_linear_mut("model.visual", visitor);
        self.language_model.visit_linear_mut("model.language_model", visitor);
    }

    /// Visits the tensors that a training run changes, in a fixed order: adapter factors under
    /// `MODULE.lora_A.weight` and `MODULE.lora_B.weight`, base tensors under their checkpoint names.
    pub fn visit_trainable_mut(&mut self, which: Trainable, visitor: &mut ParamVisitorMut<'_>) {
        match which {
            Trainable::Everything => self.visit_mut(visitor),
            Trainable::Adapter => self.visit_linear_mut(&mut |path, linear| {
                if let Some(pair) = &mut linear.lora {
                    visitor(&format!("{path}.lora_A.weight"), ParamMut::Matrix(&mut pair.a));
                    visitor(&format!("{path}.lora_B.weight"), ParamMut::Matrix(&mut pair.b));
                }
            }),
        }
    }

    /// A copy (weights are shared, not copied) whose trainable tensors are leaves of a gradient.
    #[must_use]
    pub fn trainable(&self, which: Trainable) -> Self {
        let mut copy = self.clone();
        copy.visit_trainable_mut(which, &mut |_, param| match param {
            ParamMut::Vector(tensor) => *tensor = tensor.clone().without_autodiff().autodiff().require_grad(),
            ParamMut::Matrix(tensor) => *tensor = tensor.clone().without_autodiff().autodiff().require_grad(),
        });
        copy
    }

    /// A copy without its adapter: the reference policy.
    #[must_use]
    pub fn without_adapter(&self) -> Self {
        let mut copy = self.clone();
        copy.visit_linear_mut(&mut |_, linear| linear.lora = None);
        copy
    }

    /// A copy (weights are shared, not copied) whose adapter drops `rate` of its inputs: for the forward passes of an
    /// update alone. The masks follow from `seed`, the module and the place in the batch; a rate of 0 drops nothing.
    #[must_use]
    pub fn with_dropout(&self, rate: f64, seed: u64) -> Self {
        let mut copy = self.clone();
        let mut number = 0;
        copy.visit_linear_mut(&mut |_, linear| {
            if let Some(pair) = &mut linear.lora {
                pair.dropout = (rate > 0.0).then(|| Dropout {
                    rate,
                    seed: derive_seed(&[seed, number]),
                });
            }
            number += 1;
        });
        copy
    }

    /// Folds the adapter into the weights.
    pub fn merge(&mut self) {
        self.visit_linear_mut(&mut |_, linear| linear.merge());
    }

    /// Number of weights, the adapter not counted.
    pub fn num_params(&self) -> usize {
        let mut count = 0;
        self.visit(&mut |_, param| count += param.count());
        self.visit_nf4(&mut |_, weight| count += weight.dims().iter().product::<usize>());
        count
    }

    /// Checks that ids fit the vocabulary.
    ///
    /// # Errors
    /// Names the first id that does not.
    pub fn check_tokens(&self, tokens: &[u32]) -> Result<(), ModelError> {
        let vocab = self.config.text.vocab_size;
        match tokens.iter().find(|&&token| token as usize >= vocab) {
            None => Ok(()),
            Some(token) => Err(ModelError::Input {
                operation: "embed tokens",
                expected: format!("ids below {vocab}"),
                got: format!("id {token}; is the tokenizer that of another model?"),
            }),
        }
    }
}
