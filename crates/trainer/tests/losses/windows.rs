//! Episodes whose context was cut back: several rows, each token trained on in one of them. Where a cut changes nothing of
//! the context, it changes no figure of an update.

use crate::made::configured;
use crate::updates::learner;
use cua_grpo_core::{
    ActionRecord, Completion, Ending, Episode, Facts, Group, Prompt, Row, StopReason, Task, TokenId, Turn,
};
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::metrics::UpdateFigures;
use cua_grpo_train::step::{Selection, Update, Updates, select};

/// Prompt and reply of each turn of an episode.
fn turns(number: u32) -> Vec<([TokenId; 2], Vec<TokenId>)> {
    let turn = |turn: u32| {
        let token = |index| 40 + 3 * index + 7 * number + 11 * turn;
        let reply = (0..2 + (number + turn) % 3).map(token);
        ([30 + turn, 31 + number], reply.collect())
    };
    (0..5).map(turn).collect()
}

/// An episode with a new row from each of `cuts` on: it begins with all that was said before, as it was said.
fn episode(number: u32, reward: f32, cuts: &[usize]) -> Episode {
    let (mut rows, mut told, mut said) = (vec![Row::new(1.0)], Vec::new(), Prompt::default());
    for (index, (prompt, reply)) in turns(number).into_iter().enumerate() {
        let mut given = Prompt::new(prompt.to_vec());
        said.push(&given);
        if cuts.contains(&index) {
            rows.push(Row::new(1.0));
            given = said.clone();
        }
        let number_of_row = rows.len() - 1;
        let row = rows.last_mut().unwrap();
        row.push_prompt(&given);
        let stop = if index == 3 {
            StopReason::MaxTokens
        } else {
            StopReason::Stop
        };
        let logprobs = (0..reply.len()).map(|at| -2.5 - 0.1 * (at + index) as f32).collect();
        let completion = Completion::new(reply.clone(), logprobs, 0, stop).unwrap();
        let tokens = row.push_completion(&completion).unwrap();
        said.push_sampled(&reply);
        let turn = Turn::new("", ActionRecord::new(""), tokens, stop);
        told.push(turn.with_row(number_of_row).with_state(Some(index as u64)));
    }
    let first = rows.remove(0);
    Episode::new(u64::from(number), Ending::MaxTurns, Facts::default(), first)
        .with_later_rows(rows)
        .with_turns(told)
        .with_reward(reward)
}

/// The same group without a cut, and with some.
fn groups() -> [[Group; 1]; 2] {
    let group = |cuts: [&[usize]; 3]| {
        let rewards = [1.0, 0.0, 0.25];
        let episodes = (0..3).map(|number| episode(number, rewards[number as usize], cuts[number as usize]));
        [Group::new(Task::new("test/0", "").with_max_turns(5)).with_episodes(episodes.collect())]
    };
    [group([&[]; 3]), group([&[2, 4], &[], &[1]])]
}

fn figures(config: &TrainConfig, selection: &Selection<'_>) -> Vec<UpdateFigures> {
    let mut updates = Updates::new(config, selection);
    let mut learner = learner(config);
    for _ in 0..updates.count() {
        assert_eq!(updates.make(&mut learner, 0.0).unwrap(), Update::Made);
    }
    updates.figures
}

#[test]
fn a_cut_that_changes_no_context_changes_no_figure() {
    let [whole, cut] = groups();
    for keys in [
        &[][..],
        &["loss_type=dapo"],
        &["loss_type=dr_grpo"],
        &["loss_type=cispo"],
        &["loss_type=sapo"],
        &["mask_truncated_completions=true"],
        &["step_credit=gigpo", "gamma=0.5"],
        &["step_credit=discounted", "gamma=0.5", "whiten_advantages=true"],
        &["beta=0.2", "kl_in_reward=true", "kl_estimator=k1"],
        &["recompute_logprob=true", "importance_sampling_mode=token_truncate"],
        &["top_entropy_quantile=0.5", "entropy_coef=0.1"],
    ] {
        let config = configured(&[&["temperature=1", "beta=0.1", "micro_batch_tokens=64"], keys].concat()).unwrap();
        let [one, several] = [&whole, &cut].map(|groups| select(&config, groups).unwrap());
        assert_eq!((one.rows.len(), several.rows.len(), several.episodes.len()), (3, 6, 3));
        let [one, several] = [one, several].map(|selection| figures(&config, &selection)[0]);
        for value in [
            |one: &UpdateFigures| one.loss,
            |one: &UpdateFigures| one.kl,
            |one: &UpdateFigures| one.ratio_mean,
            |one: &UpdateFigures| one.grad_norm,
            |one: &UpdateFigures| one.entropy,
            |one: &UpdateFigures| one.sampler_gap,
            |one: &UpdateFigures| one.sampler_gap_max,
            |one: &UpdateFigures| one.masked_fraction,
        ] {
            let (got, expected) = (value(&several).unwrap_or(0.0), value(&one).unwrap_or(0.0));
            assert!(
                (got - expected).abs() < 2e-5 * expected.abs().max(1.0),
                "{keys:?}: {several:?} {one:?}"
            );
        }
    }
}

#[test]
fn rows_share_the_advantage_of_their_episode_and_turns_keep_their_own() {
    let [whole, cut] = groups();
    let config = configured(&["scale_rewards=none"]).unwrap();
    let [one, several] = [&whole, &cut].map(|groups| select(&config, groups).unwrap());
    let each = &one.credit.rows;
    assert_eq!(
        several.credit.rows,
        [each[0], each[0], each[0], each[1], each[2], each[2]]
    );
    assert_eq!(one.shares(), None);
    let shares = several.shares().unwrap();
    assert!(
        (shares[..3].iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares[3] == 1.0,
        "{shares:?}"
    );
    let tokens = |selection: &Selection<'_>| -> Vec<f32> { selection.credit.tokens.clone().unwrap().concat() };
    let config = configured(&["step_credit=discounted", "gamma=0.5"]).unwrap();
    let [one, several] = [&whole, &cut].map(|groups| select(&config, groups).unwrap());
    assert_eq!(tokens(&one), tokens(&several));
    // What a step learnt from is told once for each episode, with what all of it counted for.
    let told = |selection: &Selection<'_>, groups| -> Vec<(u64, f32)> {
        let told = selection.telling(groups, 9).into_iter();
        told.map(|(_, episode, advantage)| (episode.attempt, advantage.unwrap()))
            .collect()
    };
    let (one, several) = (told(&one, &whole), told(&several, &cut));
    assert_eq!(several.len(), 3);
    for (one, several) in one.iter().zip(&several) {
        assert!(
            one.0 == several.0 && (one.1 - several.1).abs() < 1e-6,
            "{one:?} {several:?}"
        );
    }
    let config = configured(&["mask_truncated_completions=true"]).unwrap();
    let [one, several] = [&whole, &cut].map(|groups| select(&config, groups).unwrap().entering.unwrap().concat());
    assert_eq!(one, several);
}
