//! From groups to advantages by key: turns, replies that were cut off, shaping, several rewards.

use crate::made::{configured, group};
use cua_grpo_core::{
    ActionRecord, Completion, Ending, Episode, Facts, Group, Image, Prompt, Row, StopReason, Task, Turn,
};
use cua_grpo_train::step::{Credit, select};

/// An episode whose turns each saw a screenshot of one byte, and replied with so many tokens.
fn episode(attempt: u64, reward: f32, turns: &[(u8, usize, StopReason)]) -> Episode {
    let mut row = Row::new(1.0);
    let mut told = Vec::new();
    for &(screen, tokens, stop) in turns {
        row.push_prompt(&Prompt::new(vec![1, 2]));
        let reply = Completion::new(vec![7; tokens], vec![-1.0; tokens], 0, stop).unwrap();
        let range = row.push_completion(&reply).unwrap();
        let turn = Turn::new("", ActionRecord::new(""), range, stop);
        told.push(turn.with_screenshot(Some(Image::new(vec![screen]))));
    }
    let facts = Facts::new(reward > 0.5).with_turns(turns.len());
    Episode::new(attempt, Ending::Reported, facts, row)
        .with_turns(told)
        .with_reward(reward)
}

fn groups(episodes: Vec<Episode>) -> [Group; 1] {
    [Group::new(Task::new("test/0", "")).with_episodes(episodes)]
}

fn credit(keys: &[&str], groups: &[Group]) -> Credit {
    let config = configured(&[&["scale_rewards=none"], keys].concat()).unwrap();
    select(&config, groups).unwrap().credit
}

fn close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{got:?}");
    let near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near, "got {got:?}, expected {expected:?}");
}

const STOP: StopReason = StopReason::Stop;

#[test]
fn a_turn_has_an_advantage_of_its_own_at_each_of_its_tokens() {
    let all = groups(vec![
        episode(0, 1.0, &[(1, 2, STOP), (2, 1, STOP)]),
        episode(1, 0.0, &[(1, 1, STOP)]),
    ]);
    let plain = credit(&[], &all);
    close(&plain.rows, &[0.5, -0.5]);
    assert_eq!(plain.tokens, None, "one a row");
    // Returns 0.5, 1 and 0: their mean is 0.5.
    let turns = credit(&["step_credit=discounted", "gamma=0.5"], &all);
    let tokens = turns.tokens.unwrap();
    close(&tokens[0], &[0.0, 0.0, 0.5]);
    close(&tokens[1], &[-0.5]);
    close(&turns.rows, &[0.5 / 3.0, -0.5]);
    // Turns that saw screen 1: returns 0.5 and 0. Screen 2 was seen once.
    let anchors = credit(&["step_credit=gigpo", "gamma=0.5", "step_advantage_weight=2"], &all);
    let tokens = anchors.tokens.unwrap();
    close(&tokens[0], &[0.5 + 0.5, 0.5 + 0.5, 0.5]);
    close(&tokens[1], &[-0.5 - 0.5]);
}

#[test]
fn a_state_that_the_environment_tells_goes_before_the_screenshot() {
    let mut all = groups(vec![episode(0, 1.0, &[(1, 1, STOP)]), episode(1, 0.0, &[(1, 1, STOP)])]);
    let anchored = |all: &[Group]| credit(&["step_credit=gigpo"], all).tokens.unwrap();
    close(&anchored(&all)[0], &[1.0]);
    for (number, one) in all[0].episodes.iter_mut().enumerate() {
        one.turns[0].state = Some(number as u64);
    }
    close(&anchored(&all)[0], &[0.5]);
}

#[test]
fn whitened_advantages_have_mean_0_over_tokens() {
    let all = groups(vec![episode(0, 1.0, &[(1, 3, STOP)]), episode(1, 0.0, &[(1, 1, STOP)])]);
    let tokens = credit(&["whiten_advantages=true"], &all).tokens.unwrap().concat();
    assert_eq!(tokens.len(), 4);
    assert!(
        tokens.iter().sum::<f32>().abs() < 1e-5 && tokens[0] > 0.0 && tokens[3] < -1.0,
        "{tokens:?}"
    );
}

#[test]
fn replies_that_were_cut_off_leave_the_loss_or_cost_something() {
    let cut = StopReason::MaxTokens;
    let all = groups(vec![
        episode(0, 1.0, &[(1, 2, STOP), (2, 4, cut)]),
        episode(1, 0.0, &[(1, 1, STOP)]),
    ]);
    let config = configured(&["mask_truncated_completions=true"]).unwrap();
    let selection = select(&config, &all).unwrap();
    let entering = selection.entering.as_ref().unwrap();
    assert_eq!(entering[0], [true, true, false, false, false, false]);
    assert_eq!((selection.tokens_of(0), selection.tokens_of(1)), (2, 1));
    // The longest reply has 4 of 4 tokens: it costs the whole penalty of 0.5.
    let soft = credit(&["max_new_tokens=4", "overlong_buffer=2", "overlong_penalty=0.5"], &all);
    close(&soft.rows, &[0.25, -0.25]);
}

#[test]
fn a_longer_success_is_paid_less_where_that_is_asked_for() {
    let all = groups(vec![
        episode(0, 1.0, &[(1, 1, STOP)]),
        episode(1, 1.0, &[(1, 1, STOP), (2, 1, STOP)]),
    ]);
    let flat = configured(&["scale_rewards=none"]).unwrap();
    assert_eq!(select(&flat, &all).unwrap().filtered, 1);
    // 1 and 1 - (2 - 1) / 2.
    close(&credit(&["shortest_path_alpha=1"], &all).rows, &[0.25, -0.25]);
}

#[test]
fn several_rewards_are_normalised_before_or_after_they_are_added() {
    let mut all = group(&[0.0; 4]);
    for (number, episode) in all.episodes.iter_mut().enumerate() {
        episode.facts = Facts::new(number == 0).with_turns(1 + number);
        episode.reward = episode.facts.turns as f32; // Not what GDPO looks at.
    }
    let keys = [
        "rewards={verified: 1, efficiency: 0.5}",
        "multi_objective_aggregation=normalize_then_sum",
    ];
    let groups = [all];
    let got = select(&configured(&keys).unwrap(), &groups).unwrap().credit.rows;
    // verified: 1, 0, 0, 0; efficiency: 1 - 0.02, then 0.1 - 0.02 a turn. Standard deviations with 3 in the denominator.
    let normal = |values: [f64; 4]| {
        let mean = values.iter().sum::<f64>() / 4.0;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
        values.map(|v| (v - mean) / (std + 1e-4))
    };
    let (verified, efficiency) = (normal([1.0, 0.0, 0.0, 0.0]), normal([0.98, 0.06, 0.04, 0.02]));
    let sums: [f64; 4] = std::array::from_fn(|index| verified[index] + 0.5 * efficiency[index]);
    close(&got, &normal(sums).map(|value| value as f32));
}
