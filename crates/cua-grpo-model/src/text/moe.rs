//! The mixture of experts in place of the MLP of a sparse decoder layer (Qwen3-VL-MoE, specification section 9), and the
//! expert beside it that every token goes through (Qwen3.5-MoE).
//!
//! Tokens are sorted by expert on the host, so that each expert with tokens runs one matrix product over them. Reading
//! the router's probabilities back costs one synchronisation a layer. Padding is routed as tokens are: each token's
//! output depends on itself alone.

use super::TextMlp;
use crate::nn::{Activation, Initializer, Linear, LinearConfig, LinearVisitorMut, ParamVisitorMut, ints, join};
use crate::{MoeConfig, TextConfig};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{DType, Tensor};

/// One gated MLP of the mixture.
#[derive(Debug, Clone)]
struct Expert {
    /// `[2 * width, hidden]`: the gate, then the up projection.
    gate_up_proj: Linear,
    /// `[hidden, width]`
    down_proj: Linear,
}

/// The expert that every token goes through, by the share that its gate gives.
#[derive(Debug, Clone)]
struct SharedExpert {
    mlp: TextMlp,
    /// `[1, hidden]`
    gate: Linear,
}

/// Router and experts. Adapters attach to the shared expert alone: PEFT sees experts and router as parameters, not as
/// linear modules.
#[derive(Debug, Clone)]
pub struct SparseMlp {
    /// The router `[experts, hidden]`.
    gate: Linear,
    experts: Vec<Expert>,
    experts_per_token: usize,
    act: Activation,
    shared: Option<Box<SharedExpert>>,
}

impl SparseMlp {
    pub(crate) fn init(config: &TextConfig, moe: &MoeConfig, init: &mut Initializer) -> Self {
        let (hidden, width) = (config.hidden_size, moe.moe_intermediate_size);
        Self {
            gate: LinearConfig::new(hidden, moe.num_experts, false).init(init),
            experts: (0..moe.num_experts)
                .map(|_| Expert {
                    gate_up_proj: LinearConfig::new(hidden, 2 * width, false).init(init),
                    down_proj: LinearConfig::new(width, hidden, false).init(init),
                })
                .collect(),
            experts_per_token: moe.num_experts_per_tok,
            act: config.hidden_act,
            shared: moe.shared_expert_intermediate_size.map(|width| {
                Box::new(SharedExpert {
                    mlp: TextMlp::init(config, width, init),
                    gate: LinearConfig::new(hidden, 1, false).init(init),
                })
            }),
        }
    }

    /// The sum of the chosen experts' outputs, weighted by the router's probabilities, which are scaled to sum 1 over the
    /// chosen. The choice itself has no gradient; the probabilities have.
    ///
    /// # Shapes
    /// - x, output: `[tokens, hidden]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [tokens, hidden] = x.dims();
        let count = self.experts_per_token;
        let device = x.device().without_autodiff();
        let probabilities = softmax(self.gate.forward(x.clone().cast(DType::F32)), 1);
        let routes = Routes::choose(&cua_grpo_kernels::host(probabilities.clone()), tokens, count);

        let indices = |values| ints(values, &device);
        let mut outputs = Vec::new();
        for (expert, rows) in self.experts.iter().zip(routes.tokens_of_expert) {
            if !rows.is_empty() {
                outputs.push(expert.forward(x.clone().select(0, indices(rows)), self.act));
            }
        }
        // Back to the order of the tokens, each with its experts from the most probable on.
        let outputs = Tensor::cat(outputs, 0)
            .select(0, indices(routes.row_of_choice))
            .reshape([tokens, count, hidden]);
        let chosen = indices(routes.expert_of_choice).reshape([tokens, count]);
        let weights = probabilities.gather(1, chosen);
        let weights = weights.clone() / weights.sum_dim(1);
        let weights = weights.cast(x.dtype()).unsqueeze_dim::<3>(2);
        let mixed = (outputs * weights).sum_dim(1).reshape([tokens, hidden]);
        match &self.shared {
            None => mixed,
            Some(shared) => mixed + shared.forward(x),
        }
    }

    /// Experts are visited one by one: `experts.gate_up_proj.3.weight` is part 3 of the checkpoint's
    /// `experts.gate_up_proj`.
    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.gate.visit_mut(&join(path, "gate"), visitor);
        for (number, expert) in self.experts.iter_mut().enumerate() {
            let path = join(path, &format!("experts.gate_up_proj.{number}"));
            expert.gate_up_proj.visit_mut(&path, visitor);
        }
        for (number, expert) in self.experts.iter_mut().enumerate() {
            let path = join(path, &format!("experts.down_proj.{number}"));
            expert.down_proj.visit_mut(&path, visitor);
        }
        if let Some(shared) = &mut self.shared {
            shared.mlp.visit_mut(&join(path, "shared_expert"), visitor);
            shared.gate.visit_mut(&join(path, "shared_expert_gate"), visitor);
        }
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        if let Some(shared) = &mut self.shared {
            shared.mlp.visit_linear_mut(&join(path, "shared_expert"), visitor);
            shared.gate.visit_linear_mut(&join(path, "shared_expert_gate"), visitor);
        }
    }
}

impl SharedExpert {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let share = sigmoid(self.gate.forward(x.clone()));
        self.mlp.down_proj.forward(self.mlp.inner(x)) * share
    }
}

impl Expert {
    fn forward(&self, x: Tensor<2>, act: Activation) -> Tensor<2> {
        let both = self.gate_up_proj.forward(x);
        let width = both.dims()[1] / 2;
        let (gate, up) = (both.clone().narrow(1, 0, width), both.narrow(1, width, width));
        self.down_proj.forward(act.gated(gate, up))
    }
}

/// Which tokens go to which expert.
struct Routes {
    /// For each expert, the tokens that chose it, in order.
    tokens_of_expert: Vec<Vec<i64>>,
    /// For each token its experts, the most probable first: `[tokens * count]`.
    expert_of_choice: Vec<i64>,
    /// For each entry of `expert_of_choice` its row when the outputs of all experts stand one after the other.
    row_of_choice: Vec<i64>,
}

impl Routes {
    /// The `count` most probable experts of each token; of equal ones the first.
    fn choose(probabilities: &[f32], tokens: usize, count: usize) -> Self {
        let experts = probabilities.len() / tokens.max(1);
        let mut tokens_of_expert = vec![Vec::new(); experts];
        let mut expert_of_choice = Vec::with_capacity(tokens * count);
        // Row within the expert's own tokens, for now.
        let mut row_of_choice = Vec::with_capacity(tokens * count);
        let mut order: Vec<usize> = Vec::with_capacity(experts);
        for (token, row) in probabilities.chunks_exact(experts.max(1)).enumerate() {
            order.clear();
            order.extend(0..experts);
            order.sort_by(|&left, &right| row[right].total_cmp(&row[left]));
            for &expert in order.iter().take(count) {
                expert_of_choice.push(expert as i64);
                row_of_choice.push(tokens_of_expert[expert].len() as i64);
                tokens_of_expert[expert].push(token as i64);
            }
        }
        let mut start = 0;
        let starts: Vec<i64> = tokens_of_expert
            .iter()
            .map(|tokens| {
                let first = start;
                start += tokens.len() as i64;
                first
            })
            .collect();
        for (row, &expert) in row_of_choice.iter_mut().zip(&expert_of_choice) {
            *row += starts[expert as usize];
        }
        Self {
            tokens_of_expert,
            expert_of_choice,
            row_of_choice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ParamMut;

    #[test]
    fn routes_sort_tokens_by_expert() {
        let probabilities = [
            [0.1, 0.6, 0.1, 0.2], //
            [0.5, 0.2, 0.2, 0.1],
            [0.0, 0.3, 0.6, 0.1],
        ];
        let routes = Routes::choose(&probabilities.concat(), 3, 2);
        assert_eq!(routes.expert_of_choice, [1, 3, 0, 1, 2, 1]);
        assert_eq!(routes.tokens_of_expert, [vec![1], vec![0, 1, 2], vec![2], vec![0]]);
        assert_eq!(routes.row_of_choice, [1, 5, 0, 2, 4, 3]);
    }

    /// Rows of a matrix, by the name that it is visited under.
    fn matrix(mlp: &mut SparseMlp, name: &str) -> Vec<Vec<f32>> {
        let mut found = Vec::new();
        mlp.visit_mut("", &mut |path, param| {
            if let (true, ParamMut::Matrix(tensor)) = (path == name, param) {
                let width = tensor.dims()[1];
                let values = cua_grpo_kernels::host(tensor.clone());
                found = values.chunks(width).map(<[f32]>::to_vec).collect();
            }
        });
        assert!(!found.is_empty(), "{name}");
        found
    }

    /// Token by token and expert by expert, from the weights alone.
    #[test]
    fn the_shared_expert_is_added_by_its_share() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qwen35");
        let mut config = crate::ModelConfig::load(dir.as_ref()).unwrap().text;
        config.hidden_size = 6;
        let moe = MoeConfig {
            num_experts: 4,
            num_experts_per_tok: 2,
            moe_intermediate_size: 5,
            decoder_sparse_step: 1,
            mlp_only_layers: Vec::new(),
            shared_expert_intermediate_size: Some(7),
        };
        let device = burn::tensor::Device::flex();
        let mut mlp = SparseMlp::init(&config, &moe, &mut Initializer::new(3, &device));
        let mut of = |name: &str| matrix(&mut mlp, &format!("{name}.weight"));
        let (router, share) = (of("gate"), of("shared_expert_gate"));
        let experts: Vec<_> = (0..4)
            .map(|expert| {
                let both = of(&format!("experts.gate_up_proj.{expert}"));
                [
                    both[..5].to_vec(),
                    both[5..].to_vec(),
                    of(&format!("experts.down_proj.{expert}")),
                ]
            })
            .collect();
        let shared = ["gate", "up", "down"].map(|part| of(&format!("shared_expert.{part}_proj")));
        let map = |matrix: &[Vec<f32>], x: &[f32]| -> Vec<f32> {
            matrix
                .iter()
                .map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum())
                .collect()
        };
        let gated = |[gate, up, down]: &[Vec<Vec<f32>>; 3], x: &[f32]| {
            let wide: Vec<f32> = map(gate, x)
                .iter()
                .zip(map(up, x))
                .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                .collect();
            map(down, &wide)
        };
        let x: Vec<f32> = (0..18).map(|at| ((at * 7 % 11) as f32 - 5.0) / 4.0).collect();
        let mut want = Vec::new();
        for x in x.chunks(6) {
            let scores = map(&router, x);
            let mut order = [0, 1, 2, 3];
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let chosen = &order[..2];
            let total: f32 = chosen.iter().map(|&expert| scores[expert].exp()).sum();
            let factor = 1.0 / (1.0 + (-map(&share, x)[0]).exp());
            let mut sum: Vec<f32> = gated(&shared, x).iter().map(|value| value * factor).collect();
            for &expert in chosen {
                for (sum, value) in sum.iter_mut().zip(gated(&experts[expert], x)) {
                    *sum += value * scores[expert].exp() / total;
                }
            }
            want.extend(sum);
        }
        let got = mlp.forward(Tensor::from_data(burn::tensor::TensorData::new(x, [3, 6]), &device));
        for (got, want) in cua_grpo_kernels::host(got).iter().zip(&want) {
            assert!((got - want).abs() < 1e-5, "got {got}, expected {want}");
        }
    }
}
