//! AdamW with decoupled weight decay, and clipping by the global norm, both as in `torch`.
//!
//! Update `t` (from 1), with learning rate `lr` and decay `wd` (Loshchilov and Hutter, "Decoupled weight decay
//! regularization"):
//!
//! ```text
//! p <- p (1 - lr wd)        m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
//! p <- p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//! ```
//!
//! All parameters are one flat tensor ([`FlatLayout`]): a dozen operations an update, however many adapters there are.
//! Departure from torch: a parameter without a gradient is updated as if its gradient were 0, and `t` is common.

use super::{AdamWConfig, AdamWState, FlatLayout, Moments};
use crate::AlgoError;
use crate::tensor::{expect_shape, read};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;

/// The optimiser of one flat tensor of parameters.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    layout: FlatLayout,
    step: u64,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl AdamW {
    /// An optimiser that has not made an update yet, with its moments on `device`.
    pub fn new(config: AdamWConfig, layout: FlatLayout, device: &Device) -> Self {
        let device = device.clone().inner();
        let zeros = Tensor::zeros([layout.len()], &device);
        Self {
            config,
            layout,
            step: 0,
            first: zeros.clone(),
            second: zeros,
        }
    }

    /// The layout of the parameters.
    pub fn layout(&self) -> &FlatLayout {
        &self.layout
    }

    /// Updates so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// One update of the flat `parameters`, which are returned without gradient.
    ///
    /// # Errors
    /// [`AlgoError::Shape`] when `parameters` or `gradient` is not of shape `[layout.len()]`.
    pub fn update(
        &mut self,
        parameters: Tensor<1>,
        gradient: Tensor<1>,
        learning_rate: f64,
    ) -> Result<Tensor<1>, AlgoError> {
        let shape = [self.layout.len()];
        expect_shape("adamw", "parameters", &parameters, shape)?;
        expect_shape("adamw", "gradient", &gradient, shape)?;
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        } = self.config;
        let (parameters, gradient) = (parameters.inner(), gradient.inner());
        self.step += 1;
        let updates = self.step as f64;
        self.first = self.first.clone() * beta1 + gradient.clone() * (1.0 - beta1);
        self.second = self.second.clone() * beta2 + gradient.square() * (1.0 - beta2);
        let root = self.second.clone().sqrt() / (1.0 - beta2.powf(updates)).sqrt() + epsilon;
        let rate = learning_rate / (1.0 - beta1.powf(updates));
        Ok(parameters * (1.0 - learning_rate * weight_decay) - self.first.clone() / root * rate)
    }

    /// One update of parameters in their own shapes: gradients are clipped to a global norm of `max_norm` first.
    ///
    /// Returns the new parameters, without gradient, and the norm before clipping. A norm that is not finite is an
    /// error, and nothing is updated.
    ///
    /// # Errors
    /// [`AlgoError`] when a shape does not fit the layout or the norm is not finite.
    pub fn update_tensors<const D: usize>(
        &mut self,
        parameters: Vec<Tensor<D>>,
        gradients: Vec<Option<Tensor<D>>>,
        learning_rate: f64,
        max_norm: f64,
    ) -> Result<(Vec<Tensor<D>>, f64), AlgoError> {
        let gradient = self.layout.flatten_gradients(gradients, &self.first.device())?;
        let (gradient, norm) = clip_grad_norm(gradient, max_norm)?;
        let parameters = self.layout.flatten(parameters)?;
        let updated = self.update(parameters, gradient, learning_rate)?;
        Ok((self.layout.split(updated)?, norm))
    }

    /// Copies the state to the host.
    ///
    /// # Errors
    /// [`AlgoError::Read`] when the device cannot be read.
    pub fn export(&self) -> Result<AdamWState, AlgoError> {
        let first = read("export adamw", self.first.clone())?;
        let second = read("export adamw", self.second.clone())?;
        let mut moments = BTreeMap::new();
        let mut start = 0;
        for (name, size) in self.layout.names().iter().zip(self.layout.sizes()) {
            let range = start..start + size;
            let own = Moments {
                first: first[range.clone()].to_vec(),
                second: second[range].to_vec(),
            };
            moments.insert(name.clone(), own);
            start += size;
        }
        Ok(AdamWState {
            step: self.step,
            moments,
        })
    }

    /// Takes up a saved state.
    ///
    /// # Errors
    /// [`AlgoError`] when a parameter is missing from `state`, is unknown to the layout, or has another size.
    pub fn import(&mut self, state: &AdamWState) -> Result<(), AlgoError> {
        let operation = "import adamw";
        if let Some(name) = state.moments.keys().find(|name| !self.layout.names().contains(name)) {
            return Err(AlgoError::Value {
                operation,
                what: "parameters of the layout",
                got: name.clone(),
            });
        }
        let (mut first, mut second) = (
            Vec::with_capacity(self.layout.len()),
            Vec::with_capacity(self.layout.len()),
        );
        for (name, size) in self.layout.names().iter().zip(self.layout.sizes()) {
            let own = state.moments.get(name).ok_or_else(|| {
                let got = format!("a state without {name}");
                AlgoError::Value {
                    operation,
                    what: "moments of every parameter",
                    got,
                }
            })?;
            for (values, all) in [(&own.first, &mut first), (&own.second, &mut second)] {
                if values.len() != size {
                    let (expected, got) = (vec![size], vec![values.len()]);
                    return Err(AlgoError::Shape {
                        operation,
                        what: name.clone(),
                        expected,
                        got,
                    });
                }
                all.extend_from_slice(values);
            }
        }
        let device = self.first.device();
        let shape = [self.layout.len()];
        self.first = Tensor::from_data(TensorData::new(first, shape), &device);
        self.second = Tensor::from_data(TensorData::new(second, shape), &device);
        self.step = state.step;
        Ok(())
    }
}

/// Scales `gradient` so that its norm is at most `max_norm`, and returns it with the norm it had.
///
/// As `torch.nn.utils.clip_grad_norm_`: the factor is `min(1, max_norm / (norm + 1e-6))`.
///
/// # Errors
/// [`AlgoError::NotFinite`] when the norm is not finite, [`AlgoError::Read`] when the device cannot be read.
pub fn clip_grad_norm(gradient: Tensor<1>, max_norm: f64) -> Result<(Tensor<1>, f64), AlgoError> {
    let operation = "clip gradient";
    let squares = read(operation, gradient.clone().square().sum())?;
    let norm = squares.iter().map(|&square| f64::from(square)).sum::<f64>().sqrt();
    if !norm.is_finite() {
        return Err(AlgoError::NotFinite {
            operation,
            what: "the norm of the gradient",
        });
    }
    let factor = (max_norm / (norm + 1e-6)).min(1.0);
    Ok((gradient * factor, norm))
}
