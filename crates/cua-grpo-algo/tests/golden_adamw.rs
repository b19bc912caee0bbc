//! AdamW and clipping against torch: 100 adapters for one update, one projection for two.

#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor, TensorData};
use cua_grpo_algo::{AdamW, AdamWConfig, AlgoError, FlatLayout, clip_grad_norm};
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("fixtures/adamw.safetensors");
const CONFIG: AdamWConfig = AdamWConfig {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.1,
};
const RATE: f64 = 0.01;

struct Golden(SafeTensors<'static>);

impl Golden {
    fn load() -> Self {
        Self(SafeTensors::deserialize(GOLDEN).unwrap())
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .0
            .names()
            .iter()
            .filter_map(|n| n.strip_prefix(prefix))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let data = self.0.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    }

    fn tensor(&self, name: &str) -> Tensor<2> {
        let shape = self.0.tensor(name).unwrap().shape().to_vec();
        matrix(self.values(name), [shape[0], shape[1]])
    }
}

fn matrix(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn worst(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().unwrap()
}

#[test]
fn the_first_update_of_all_adapters_is_that_of_torch() {
    let golden = Golden::load();
    let names = golden.names("init.");
    assert_eq!(names.len(), 100);
    let take = |prefix: &str| {
        names
            .iter()
            .map(|name| golden.tensor(&format!("{prefix}{name}")))
            .collect::<Vec<_>>()
    };
    let parameters: Vec<_> = names.iter().cloned().zip(take("init.")).collect();
    let layout = FlatLayout::of(&parameters).unwrap();
    let mut optimiser = AdamW::new(CONFIG, layout, &Device::flex());
    let gradients: Vec<_> = take("grad.").into_iter().map(Some).collect();
    let (updated, norm) = optimiser
        .update_tensors(take("init."), gradients.clone(), RATE, 1.0)
        .unwrap();
    assert!((norm - 19.813_415_527).abs() < 1e-4, "norm {norm}");
    let kept = golden.names("step1.");
    let checked: Vec<_> = names
        .iter()
        .zip(updated)
        .filter(|(name, _)| kept.contains(name))
        .collect();
    assert!(checked.len() > 60, "{}", checked.len());
    for (name, tensor) in checked {
        // The first update is nearly lr * sign(g): where g is about 0 after clipping its size is rounding.
        let clear: Vec<bool> = golden
            .values(&format!("grad.{name}"))
            .iter()
            .map(|g| g.abs() > 2e-5)
            .collect();
        let keep = |values: Vec<f32>| {
            values
                .into_iter()
                .zip(&clear)
                .filter(|(_, c)| **c)
                .map(|(v, _)| v)
                .collect::<Vec<_>>()
        };
        let error = worst(&keep(host(tensor)), &keep(golden.values(&format!("step1.{name}"))));
        assert!(error < 2e-6, "{name}: off by {error}");
    }
    let state = optimiser.export().unwrap();
    assert_eq!((state.step, state.moments.len()), (1, 100));
    for name in golden
        .names("step1.")
        .iter()
        .filter_map(|name| name.strip_suffix(".exp_avg_sq"))
    {
        let moments = &state.moments[name];
        assert!(
            worst(&moments.first, &golden.values(&format!("step1.{name}.exp_avg"))) < 1e-7,
            "{name}"
        );
        assert!(
            worst(&moments.second, &golden.values(&format!("step1.{name}.exp_avg_sq"))) < 1e-8,
            "{name}"
        );
    }
}

#[test]
fn two_updates_are_those_of_torch_also_across_a_saved_state() {
    let golden = Golden::load();
    for side in ["lora_A", "lora_B"] {
        let name = format!("model.language_model.layers.0.self_attn.q_proj.{side}");
        let at = |prefix: &str, suffix: &str| golden.values(&format!("{prefix}{name}{suffix}"));
        // Clipped gradients follow from the means: m1 = 0.1 g1 and m2 = 0.9 m1 + 0.1 g2.
        let (m1, m2) = (at("step1.", ".exp_avg"), at("step2.", ".exp_avg"));
        let first: Vec<f32> = m1.iter().map(|m| m / 0.1).collect();
        let second: Vec<f32> = m1.iter().zip(&m2).map(|(m1, m2)| (m2 - 0.9 * m1) / 0.1).collect();
        let start = golden.tensor(&format!("init.{name}"));
        let shape = start.dims();
        let layout = FlatLayout::new(vec![(name.clone(), shape.to_vec())]).unwrap();
        let mut optimiser = AdamW::new(CONFIG, layout.clone(), &Device::flex());
        let one = |optimiser: &mut AdamW, parameter: Tensor<2>, gradient: Vec<f32>| {
            let gradients = vec![Some(matrix(gradient, shape))];
            optimiser
                .update_tensors(vec![parameter], gradients, RATE, 1e9)
                .unwrap()
                .0
                .remove(0)
        };
        let after_one = one(&mut optimiser, start, first);
        assert!(worst(&host(after_one.clone()), &at("step1.", "")) < 1e-6, "{side}");

        let saved = optimiser.export().unwrap();
        let mut restored = AdamW::new(CONFIG, layout, &Device::flex());
        restored.import(&saved).unwrap();
        let after_two = one(&mut restored, after_one, second);
        assert!(worst(&host(after_two), &at("step2.", "")) < 1e-6, "{side}");
        let moments = restored.export().unwrap().moments.remove(&name).unwrap();
        assert!(worst(&moments.second, &at("step2.", ".exp_avg_sq")) < 1e-8, "{side}");
        assert_eq!(restored.steps(), 2);
    }
}

#[test]
fn a_gradient_is_scaled_to_the_norm_or_left_alone_or_refused() {
    let vector =
        |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex());
    let (clipped, norm) = clip_grad_norm(vector(&[3.0, 4.0]), 1.0).unwrap();
    assert_eq!(norm, 5.0);
    assert!(worst(&host(clipped), &[0.6, 0.8]) < 1e-6);
    let (kept, norm) = clip_grad_norm(vector(&[0.3, 0.4]), 1.0).unwrap();
    assert!((norm - 0.5).abs() < 1e-7);
    assert_eq!(host(kept), [0.3, 0.4]);
    let error = clip_grad_norm(vector(&[f32::NAN, 0.0]), 1.0).unwrap_err();
    assert!(matches!(error, AlgoError::NotFinite { .. }), "{error}");
}

#[test]
fn a_missing_gradient_is_zero_and_a_foreign_state_is_refused() {
    let device = Device::flex();
    let layout = FlatLayout::new(vec![("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![2, 1])]).unwrap();
    let mut optimiser = AdamW::new(
        AdamWConfig {
            weight_decay: 0.0,
            ..CONFIG
        },
        layout,
        &device,
    );
    let parameters = vec![matrix(vec![1.0, 2.0], [1, 2]), matrix(vec![3.0, 4.0], [2, 1])];
    let gradients = vec![None, Some(matrix(vec![1.0, -1.0], [2, 1]))];
    let (updated, _) = optimiser.update_tensors(parameters, gradients, RATE, 1e9).unwrap();
    let updated: Vec<Vec<f32>> = updated.into_iter().map(host).collect();
    assert_eq!(updated[0], [1.0, 2.0]);
    assert!(worst(&updated[1], &[2.99, 4.01]) < 1e-6, "{updated:?}");

    let mut state = optimiser.export().unwrap();
    state.moments.remove("a");
    assert!(
        optimiser
            .import(&state)
            .unwrap_err()
            .to_string()
            .contains("a state without a")
    );
    state.moments.insert("a".to_owned(), Default::default());
    assert!(matches!(optimiser.import(&state), Err(AlgoError::Shape { .. })));
    assert!(FlatLayout::new(vec![("a".to_owned(), vec![1]), ("a".to_owned(), vec![1])]).is_err());
}
