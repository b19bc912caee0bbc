//! The update: gradients of many micro-batches, one clipped AdamW step, on whichever tensors are trained.

use anyhow::{Result, anyhow};
use burn::tensor::{DType, Tensor};
use cua_grpo_algo::{AdamW, AdamWConfig, AlgoError, FlatLayout, clip_grad_norm};
use cua_grpo_model::nn::{Param, ParamMut};
use cua_grpo_model::score::ScoreTape;
use cua_grpo_model::{Policy, Trainable, placement};

/// A policy and the optimiser of its trainable tensors.
pub struct Learner {
    /// The policy; its tensors are constants between updates.
    pub policy: Policy,
    /// The optimiser.
    pub adamw: AdamW,
    which: Trainable,
    max_grad_norm: f64,
    /// What is trained, in f32, where the policy computes in a narrower format.
    masters: Option<Tensor<1>>,
}

impl Learner {
    /// An optimiser for the tensors of `policy` that `which` names.
    pub fn new(policy: Policy, which: Trainable, config: AdamWConfig, max_grad_norm: f64) -> Result<Self> {
        let mut parameters = Vec::new();
        policy.model().visit_trainable(which, &mut |name, param| {
            parameters.push((name.to_owned(), vec![flat(&param).dims()[0]]));
        });
        let device = policy.model().device();
        let adamw = AdamW::new(config, FlatLayout::new(parameters)?, &device);
        Ok(Self {
            policy,
            adamw,
            which,
            max_grad_norm,
            masters: None,
        })
    }

    /// The policy computes in `format` from now on. What is trained stays in f32 beside it, and is rounded after each update
    /// (mixed precision with master weights, Micikevicius et al. 2018).
    ///
    /// # Errors
    /// When the tensors of the policy are not those that it was made with.
    pub fn computing_in(mut self, format: DType) -> Result<Self> {
        self.masters = Some(self.parameters()?.cast(DType::F32));
        self.policy.model_mut().cast(format);
        Ok(self)
    }

    /// What is trained, as one flat tensor.
    fn parameters(&self) -> Result<Tensor<1>> {
        let mut parameters = Vec::new();
        self.policy
            .model()
            .visit_trainable(self.which, &mut |_, param| parameters.push(flat(&param)));
        Ok(self.adamw.layout().flatten(parameters)?)
    }

    /// A copy of the policy whose trainable tensors collect gradients.
    pub fn differentiable(&self) -> Policy {
        self.policy.trainable(self.which)
    }

    /// The gradient of `loss` for `differentiable` (made by [`Learner::differentiable`]), as one flat tensor.
    pub fn gradient(&self, differentiable: &Policy, loss: &Tensor<1>) -> Result<Tensor<1>> {
        let gradients = loss.backward();
        let mut parts = Vec::new();
        differentiable.model().visit_trainable(self.which, &mut |_, param| {
            parts.push(match param {
                Param::Vector(tensor) => tensor.grad(&gradients).map(|gradient| wide(&gradient)),
                Param::Matrix(tensor) => tensor.grad(&gradients).map(|gradient| wide(&gradient)),
            });
        });
        let device = self.policy.model().device();
        Ok(self.adamw.layout().flatten_gradients(parts, &device)?)
    }

    /// Whether training keeps only the input of each block and computes the block again, as [`placement::by_blocks`] says.
    pub fn by_blocks(&self) -> bool {
        placement::by_blocks(self.policy.model(), self.which)
    }

    /// The gradient for `differentiable` from that of the log-probs, and of the entropies where the scores have one, by
    /// blocks, as one flat tensor.
    pub fn gradient_by_blocks(
        &self,
        differentiable: &mut Policy,
        tape: ScoreTape,
        logprobs: Tensor<2>,
        entropies: Option<Tensor<2>>,
    ) -> Result<Tensor<1>> {
        let mut gradients = tape.backward_with(differentiable.model_mut(), logprobs, entropies);
        let mut parts = Vec::new();
        differentiable.model().visit_trainable(self.which, &mut |name, _| {
            parts.push(gradients.take(name).map(|gradient| wide(&gradient)));
        });
        let device = self.policy.model().device();
        Ok(self.adamw.layout().flatten_gradients(parts, &device)?)
    }

    /// One update; returns the norm of the gradient before clipping. `None`: the norm is not finite, and nothing is
    /// changed.
    ///
    /// # Errors
    /// When the gradient is not one of this learner's.
    pub fn update(&mut self, gradient: Tensor<1>, learning_rate: f64) -> Result<Option<f64>> {
        let limit = if self.max_grad_norm > 0.0 {
            self.max_grad_norm
        } else {
            f64::INFINITY
        };
        let (gradient, norm) = match clip_grad_norm(gradient, limit) {
            Err(AlgoError::NotFinite { .. }) => return Ok(None),
            clipped => clipped?,
        };
        let parameters = match &self.masters {
            Some(masters) => masters.clone(),
            None => self.parameters()?,
        };
        let updated = self.adamw.update(parameters, gradient, learning_rate)?;
        if let Some(masters) = &mut self.masters {
            masters.clone_from(&updated);
        }
        let mut updated = self.adamw.layout().split::<1>(updated)?.into_iter();
        let mut complete = true;
        self.policy
            .model_mut()
            .visit_trainable_mut(self.which, &mut |_, param| match (param, updated.next()) {
                (ParamMut::Vector(tensor), Some(new)) => *tensor = new.cast(tensor.dtype()),
                (ParamMut::Matrix(tensor), Some(new)) => {
                    let shape = tensor.dims();
                    *tensor = new.reshape(shape).cast(tensor.dtype());
                }
                (_, None) => complete = false,
            });
        if complete {
            Ok(Some(norm))
        } else {
            Err(anyhow!("the update lacks tensors of the policy: this is a bug"))
        }
    }
}

fn flat(param: &Param<'_>) -> Tensor<1> {
    match param {
        Param::Vector(tensor) => (*tensor).clone(),
        Param::Matrix(tensor) => flat_tensor(tensor),
    }
}

/// A gradient as it is added up.
fn wide<const D: usize>(gradient: &Tensor<D>) -> Tensor<1> {
    flat_tensor(gradient).cast(DType::F32)
}

fn flat_tensor<const D: usize>(tensor: &Tensor<D>) -> Tensor<1> {
    let count = tensor.dims().iter().product::<usize>();
    tensor.clone().reshape([count])
}
