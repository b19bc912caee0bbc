//! Gradients that are asked for by hand equal those that autodiff finds. With `scaling` left out of `t`, or B taken for
//! A, in `linear_gradients` the first test fails; a cotangent that gives ones fails the second.

use burn::tensor::{Device, Distribution, Int, Tensor, activation};
use cua_grpo_kernels::{Lora, Nf4, Weight, cotangent, linear, linear_gradients, quantise, token_scores_with_entropy};

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn leaf(tensor: &Tensor<2>) -> Tensor<2> {
    tensor.clone().autodiff().require_grad()
}

fn apart(got: &Tensor<2>, want: Tensor<2>) -> f32 {
    let size = want.clone().abs().max().into_scalar::<f32>();
    (got.clone() - want).abs().max().into_scalar::<f32>() / size
}

#[test]
fn of_a_linear_map_without_its_output() {
    Device::flex().seed(1);
    for (rows, out, width, rank) in [(1, 3, 5, 2), (17, 64, 48, 8)] {
        let (x, grad, w) = (random([rows, width]), random([rows, out]), random([out, width]));
        let (a, b) = (random([rank, width]), random([out, rank]));
        let values = cua_grpo_kernels::host(w.clone());
        let (codes, absmax) = quantise(&values);
        let four = Nf4::new(codes, absmax, [out, width], &Device::flex()).expect("as many as the shape needs");
        for weight in [Weight::Dense(w.clone()), Weight::Nf4(four.clone())] {
            let (px, pa, pb) = (leaf(&x), leaf(&a), leaf(&b));
            let lora = |a: &Tensor<2>, b: &Tensor<2>| Lora {
                a: a.clone(),
                b: b.clone(),
                scaling: 0.5,
            };
            let updated = linear(px.clone(), &weight, None, Some(&lora(&pa, &pb)));
            let found = (updated * Tensor::from_inner(grad.clone())).sum().backward();
            let got = linear_gradients(x.clone(), grad.clone(), &weight, Some(&lora(&a, &b)));
            let [da, db] = got.factors.expect("there is an update");
            for (got, leaf) in [(&got.x, &px), (&da, &pa), (&db, &pb)] {
                assert!(apart(got, leaf.grad(&found).expect("a leaf")) < 1e-5);
            }

            let plain = linear(px.clone(), &weight, None, None);
            let found = (plain * Tensor::from_inner(grad.clone())).sum().backward();
            let got = linear_gradients(x.clone(), grad.clone(), &weight, None);
            assert!(got.factors.is_none());
            assert!(apart(&got.x, px.grad(&found).expect("a leaf")) < 1e-5);
        }
    }
}

#[test]
fn of_a_cotangent_are_what_it_was_given() {
    Device::flex().seed(2);
    let (x, grad, other) = (random([4, 6]), random([4, 6]), random([4, 6]));
    let px = leaf(&x);
    let numbers =
        cotangent(px.clone() * 3.0, grad.clone()) + cotangent(px.clone().transpose(), other.clone().transpose());
    let found = numbers.backward();
    assert!(apart(&px.grad(&found).expect("a leaf"), grad * 3.0 + other) < 1e-6);
}

#[test]
fn of_entropies_follow_from_the_probabilities() {
    Device::flex().seed(3);
    let (hidden, weight, temperature) = (random([5, 4]), random([7, 4]), 0.7_f32);
    let targets = Tensor::<1, Int>::from_ints([0, 6, 3, 3, 1], &Device::flex());
    let (plogprob, pentropy) = (random([5]), random([5]));
    let px = leaf(&hidden);
    let scores = token_scores_with_entropy(px.clone(), weight.clone(), targets.clone(), temperature, 2);
    let loss = (scores.logprobs * Tensor::from_inner(plogprob.clone())).sum()
        + (scores.entropies * Tensor::from_inner(pentropy.clone())).sum();
    let got = px.grad(&loss.backward()).expect("a leaf");

    // d log p_t / dz = onehot - p; dH / dz = -p (log p + H).
    let table = activation::log_softmax(hidden.matmul(weight.clone().transpose()) / temperature, 1);
    let p = table.clone().exp();
    let entropy = (p.clone() * table.clone()).sum_dim(1).neg();
    let hot = targets.one_hot::<2>(7).float();
    let of_logprob = (hot - p.clone()) * plogprob.unsqueeze_dim(1);
    let of_entropy = (p * (table + entropy)).neg() * pentropy.unsqueeze_dim(1);
    let want = (of_logprob + of_entropy).matmul(weight) / temperature;
    assert!(apart(&got, want) < 1e-5);
}
