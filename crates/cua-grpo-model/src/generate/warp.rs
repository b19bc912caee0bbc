//! Drawing a token by the rules of a `generation_config.json`: the warpers of transformers, one after the other, in f64.

use super::rules::{LogitRules, Moment};
use super::sampling::Draw;
use cua_grpo_core::{SamplingParams, TokenId};
use rand::Rng;

/// Tokens that top-h looks at.
const TOP_H_TOKENS: usize = 100;

/// What tokens may be drawn from `logits` (`[vocab]`) at `moment`, likeliest first, each with its probability: temperature
/// (1 when greedy, where nothing is cut), and `rules`. Empty when they leave no token.
pub fn distribution(
    logits: &[f32],
    rules: &LogitRules,
    moment: &Moment<'_>,
    params: &SamplingParams,
) -> Vec<(TokenId, f64)> {
    let greedy = params.temperature <= 0.0;
    let temperature = if greedy { 1.0 } else { f64::from(params.temperature) };
    let mut changed = logits.to_vec();
    rules.apply(&mut changed, moment);
    let may = changed.iter().zip(0..).filter(|(logit, _)| **logit > f32::NEG_INFINITY);
    let mut kept: Kept = may
        .map(|(&logit, token)| (token, f64::from(logit) / temperature))
        .collect();
    kept.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    if !greedy {
        cut(&mut kept, rules, params);
    }
    let weights = probabilities(&kept);
    kept.iter()
        .zip(weights)
        .map(|(&(token, _), weight)| (token, weight))
        .collect()
}

/// Draws a token from `logits` (`[vocab]`) as [`super::draw`] does, with `rules` between. `None` when they leave no token.
///
/// Log-prob and kept mass are those of the model's own distribution at the sampling temperature, before the rules.
pub fn draw_by_rules(
    logits: &[f32],
    rules: &LogitRules,
    moment: &Moment<'_>,
    params: &SamplingParams,
    rng: &mut impl Rng,
) -> Option<Draw> {
    let kept = distribution(logits, rules, moment, params);
    let greedy = params.temperature <= 0.0;
    let (mut token, _) = *kept.first()?;
    if !greedy {
        let mut left = rng.random::<f64>();
        let drawn = kept.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        token = drawn.or(kept.last()).map_or(token, |(token, _)| *token);
    }
    let temperature = if greedy { 1.0 } else { f64::from(params.temperature) };
    let own = softmax(logits.iter().map(|&logit| f64::from(logit) / temperature));
    let mass: f64 = kept.iter().map(|(token, _)| own[*token as usize]).sum();
    Some(Draw {
        token,
        logprob: own[token as usize].ln() as f32,
        kept_mass: if greedy { 1.0 } else { mass as f32 },
    })
}

/// Tokens and their scores, likeliest first.
type Kept = Vec<(TokenId, f64)>;

/// Cuts tokens off, by one warper after the other; `kept` is sorted, likeliest first.
fn cut(kept: &mut Kept, rules: &LogitRules, params: &SamplingParams) {
    if let Some(share) = rules.top_h {
        kept.truncate(TOP_H_TOKENS);
        let parts: Vec<f64> = probabilities(kept)
            .into_iter()
            .map(|p| if p > 0.0 { -p * p.ln() } else { 0.0 })
            .collect();
        let most = parts.iter().sum::<f64>() * share;
        let mut sum = 0.0;
        let within = parts.iter().take_while(|part| {
            sum += **part;
            sum <= most
        });
        let count = within.count();
        kept.truncate(count.max(1));
    }
    if params.top_k > 0 {
        kept.truncate(params.top_k);
    }
    if params.top_p < 1.0 {
        let mut sum = 0.0;
        let enough = probabilities(kept).into_iter().position(|p| {
            sum += p;
            sum >= f64::from(params.top_p)
        });
        kept.truncate(enough.map_or(kept.len(), |last| last + 1));
    }
    if rules.min_p > 0.0 {
        let all = probabilities(kept);
        let least = all.first().copied().unwrap_or(0.0) * rules.min_p;
        keep(kept, |place| all[place] >= least);
    }
    if rules.typical_p < 1.0 {
        typical(kept, rules.typical_p);
    }
    if rules.epsilon_cutoff > 0.0 {
        let all = probabilities(kept);
        keep(kept, |place| all[place] >= rules.epsilon_cutoff);
    }
    if rules.eta_cutoff > 0.0 {
        let all = probabilities(kept);
        let least = rules.eta_cutoff.min(rules.eta_cutoff.sqrt() * (-entropy(&all)).exp());
        keep(kept, |place| all[place] >= least);
    }
}

/// Keeps the tokens whose surprise is nearest to the entropy, until they have the mass.
fn typical(kept: &mut Kept, mass: f64) {
    let all = probabilities(kept);
    let entropy = entropy(&all);
    let distance: Vec<f64> = all.iter().map(|p| (-p.ln() - entropy).abs()).collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&left, &right| distance[left].total_cmp(&distance[right]));
    let mut sum = 0.0;
    let below = order.iter().take_while(|&&place| {
        sum += all[place];
        sum < mass
    });
    let last = below.count().min(order.len().saturating_sub(1));
    let Some(furthest) = order.get(last).map(|&place| distance[place]) else {
        return;
    };
    let nearest = order[0];
    let mut place = 0;
    kept.retain(|_| {
        place += 1;
        distance[place - 1] <= furthest || place - 1 == nearest
    });
}

/// Keeps the first token, and those of the others that `fits`.
fn keep(kept: &mut Kept, fits: impl Fn(usize) -> bool) {
    let mut place = 0;
    kept.retain(|_| {
        place += 1;
        place == 1 || fits(place - 1)
    });
}

fn probabilities(kept: &[(TokenId, f64)]) -> Vec<f64> {
    softmax(kept.iter().map(|(_, score)| *score))
}

fn entropy(probabilities: &[f64]) -> f64 {
    let parts = probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln());
    parts.sum()
}

fn softmax(scores: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let top = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.map(|score| (score - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}
