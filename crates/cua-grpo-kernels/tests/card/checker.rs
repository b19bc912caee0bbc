//! Where the tests run, what they draw, and how they compare.

use crate::common::Numbers;
use burn::tensor::{DType, Device, Tensor, TensorData};
use cua_grpo_kernels as kernels;
use std::sync::{Mutex, PoisonError};

/// Largest relative error of a bf16 kernel.
const BF16: f64 = 6e-3;
/// Largest relative error of an f32 kernel.
const F32: f64 = 2e-5;

/// One test at a time has the card.
static CARD: Mutex<()> = Mutex::new(());

/// Where the tests run: on the CPU, and on a card where there is one.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::flex()];
    devices.extend(card());
    devices
}

#[cfg(feature = "cuda")]
fn card() -> Option<Device> {
    use std::io::Write as _;
    static TOLD: std::sync::Once = std::sync::Once::new();
    if kernels::cuda::cards() == 0 {
        // Past the capture of the test harness: whoever asked for the card is told that there is none.
        TOLD.call_once(|| drop(writeln!(std::io::stderr(), "no CUDA card: only the CPU is tested")));
        return None;
    }
    Some(Device::cuda(0))
}

#[cfg(not(feature = "cuda"))]
fn card() -> Option<Device> {
    None
}

/// Runs a check on every device, in the formats that it computes in: on the CPU bf16 only saves memory.
pub fn everywhere(check: fn(&mut Checker)) {
    let _alone = CARD.lock().unwrap_or_else(PoisonError::into_inner);
    for device in devices() {
        let formats: &[DType] = match device == Device::flex() {
            true => &[DType::F32],
            false => &[DType::F32, DType::BF16],
        };
        for &dtype in formats {
            let mut checker = Checker {
                numbers: Numbers(5),
                device: device.clone(),
                dtype,
                compared: 0,
                wrong: Vec::new(),
            };
            check(&mut checker);
            let Checker { compared, wrong, .. } = checker;
            assert!(
                compared > 0 && wrong.is_empty(),
                "on {device:?} in {dtype:?}, {} of {compared} are too far off: {wrong:#?}",
                wrong.len()
            );
        }
    }
}

/// Draws inputs, compares, and keeps what is too far off.
pub struct Checker {
    numbers: Numbers,
    pub device: Device,
    pub dtype: DType,
    compared: usize,
    wrong: Vec<String>,
}

/// The same numbers on the device and on the CPU.
#[derive(Clone)]
pub struct Pair<const D: usize> {
    pub card: Tensor<D>,
    pub host: Tensor<D>,
}

impl Checker {
    pub fn draw<const D: usize>(&mut self, shape: [usize; D], scale: f32) -> Pair<D> {
        let count = shape.iter().product();
        // Nearly normal, of deviation `scale`: the sum of four uniform numbers in -1..1.
        let values: Vec<f32> = (0..count)
            .map(|_| (0..4).map(|_| self.numbers.next() / 2.0).sum::<f32>() * 0.866 * scale)
            .collect();
        let card = Tensor::<D>::from_data(TensorData::new(values, shape), &self.device).cast(self.dtype);
        let data = card.clone().into_data().convert::<f32>();
        let host = Tensor::from_data(data, &Device::flex());
        Pair { card, host }
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let share = f64::from(self.numbers.next() + 2.0) / 4.0;
        ((share * end as f64) as usize).min(end - 1)
    }

    /// As [`Checker::compare`], to the last bit (a zero has no sign).
    pub fn same<const D: usize>(&mut self, name: &str, got: Tensor<D>, want: Tensor<D>) {
        let (got, want) = (kernels::host(got), kernels::host(want));
        let apart = got.iter().zip(&want).filter(|(got, want)| got != want).count();
        self.compared += 1;
        if apart > 0 || got.len() != want.len() {
            self.wrong.push(format!("{name}: {apart} of {} differ", want.len()));
        }
    }

    pub fn compare<const D: usize>(&mut self, name: &str, got: Tensor<D>, want: Tensor<D>) {
        let (got, want) = (kernels::host(got), kernels::host(want));
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
        let apart = square(&mut got.iter().zip(&want).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        let size = square(&mut want.iter().map(|x| f64::from(*x)));
        let error = (apart / size.max(1e-30)).sqrt();
        let bound = if self.dtype == DType::F32 { F32 } else { BF16 };
        self.compared += 1;
        // NaN is no error below the bound.
        let good = error < bound && got.len() == want.len();
        println!("{name:<56} {error:.2e}");
        if !good {
            self.wrong.push(format!("{name}: {error:.2e}"));
        }
    }

    /// Compares a function and the gradients of its inputs.
    pub fn with_gradients<const N: usize, const D: usize>(
        &mut self,
        name: &str,
        inputs: [Pair<D>; N],
        fused: impl Fn([Tensor<D>; N]) -> Tensor<D>,
        plain: impl Fn([Tensor<D>; N]) -> Tensor<D>,
    ) {
        let leaf = |tensor: Tensor<D>| tensor.autodiff().require_grad();
        let card = inputs.clone().map(|pair| leaf(pair.card));
        let host = inputs.map(|pair| leaf(pair.host));
        let (got, want) = (fused(card.clone()), plain(host.clone()));
        let weights = self.draw(want.dims(), 1.0);
        self.compare(name, got.clone(), want.clone());
        let (got, want) = (
            (got.clone() * weights.card.cast(got.dtype())).sum().backward(),
            (want * weights.host).sum().backward(),
        );
        for (number, (card, host)) in card.into_iter().zip(host).enumerate() {
            let (card, host) = (card.grad(&got).unwrap(), host.grad(&want).unwrap());
            self.compare(&format!("{name}, gradient {number}"), card, host);
        }
    }
}
