//! Random inputs, and the comparison of a fused operation with its reference: values and all gradients.

#![allow(dead_code, clippy::unwrap_used, clippy::type_complexity)] // Each test file uses a part.

use burn::tensor::{Device, Tensor, TensorData};
use cua_grpo_kernels::Lora;

/// SplitMix64, as numbers in -2..2.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one.
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 22) as f32 - 2.0
    }

    /// A tensor of them.
    pub fn tensor<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| self.next()).collect();
        Tensor::from_data(TensorData::new(data, shape), device)
    }
}

/// An update of a weight.
pub fn lora(a: Tensor<2>, b: Tensor<2>, scaling: f64) -> Lora {
    Lora { a, b, scaling }
}

/// The devices that the fused bodies serve.
pub fn plain() -> Device {
    Device::flex()
}

/// The values of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// Compares against the largest expected value, so that a zero among large numbers is no trap.
pub fn close(name: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{name}: length");
    let scale = expected.iter().fold(1.0f32, |scale, value| scale.max(value.abs()));
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / scale;
        assert!(
            error <= tolerance,
            "{name}[{index}]: got {got}, expected {expected}, relative error {error:e}"
        );
    }
}

/// Values and gradients of `f` at `inputs`, of which those that are `tracked` need gradients.
pub fn run<const D: usize, const N: usize>(
    inputs: &[Tensor<D>; N],
    tracked: [bool; N],
    weights: u64,
    f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    let mut index = 0;
    let leaves = inputs.clone().map(|input| {
        index += 1;
        let lifted: Tensor<D> = Tensor::from_data(input.into_data(), &plain().autodiff());
        if tracked[index - 1] {
            lifted.require_grad()
        } else {
            lifted.without_autodiff()
        }
    });
    let out = f(leaves.clone());
    let pull = Numbers(weights).tensor(out.dims(), &plain());
    let grads = tracked
        .iter()
        .any(|&tracked| tracked)
        .then(|| (out.clone() * pull).sum().backward());
    let gradients = leaves.iter().zip(tracked).map(|(leaf, tracked)| {
        tracked.then(|| {
            values(
                leaf.grad(grads.as_ref().unwrap())
                    .expect("a tracked input has a gradient"),
            )
        })
    });
    let gradients = gradients.collect();
    (values(out), gradients)
}

/// Checks `f` against `g`: on plain tensors, and on autodiff with each combination of tracked inputs.
pub fn compare<const D: usize, const N: usize>(
    name: &str,
    inputs: [Tensor<D>; N],
    f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
    g: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
) {
    close(name, &values(f(inputs.clone())), &values(g(inputs.clone())), 1e-5);
    for mask in 1u32..1 << N {
        let tracked = std::array::from_fn(|index| mask >> index & 1 == 1);
        let (out, gradients) = run(&inputs, tracked, 7, f);
        let (expected, expected_gradients) = run(&inputs, tracked, 7, g);
        close(name, &out, &expected, 1e-5);
        for (index, (got, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
            if let (Some(got), Some(expected)) = (got, expected) {
                close(&format!("{name}, gradient {index} of {tracked:?}"), got, expected, 1e-4);
            }
        }
    }
}
