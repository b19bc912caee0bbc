//! Instances of the built-in templates, and the set-up that leaves something to do.

use super::templates::spoken;
use super::{Goal, GoalList, Step, TaskState, Template};
use crate::PhoneKind;
use cua_grpo_core::Task;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// The instance of `template` on a phone that follows from `seed`.
pub(super) fn instance(template: &Template, seed: u64, phone: PhoneKind) -> Task {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let goals = (template.goals)(&mut rng);
    let wording = template.instructions.choose(&mut rng).copied().unwrap_or_default();
    let setup = set_up(&goals, phone, &mut rng);
    let tags = [
        ("goal", GoalList(goals.clone()).to_string()),
        ("category", template.category.to_owned()),
        ("difficulty", template.difficulty.to_owned()),
    ];
    let state = TaskState {
        setup,
        precheck: Vec::new(),
        checks: goals.iter().map(|goal| goal.check(phone)).collect(),
        expert: expert(&goals, phone),
        ..Default::default()
    };
    let task = Task::new(format!("{}/{seed}", template.id), instruction(wording, &goals))
        .with_seed(seed)
        .with_max_turns(template.max_turns);
    let tagged = tags
        .into_iter()
        .fold(task, |task, (name, value)| task.with_tag(name, value));
    state.into_task(with_apps(tagged, &goals, &[]))
}

/// `task` with the names of the apps that its goals and `others` are about, as the tag `apps`.
pub(super) fn with_apps(task: Task, goals: &[Goal], others: &[String]) -> Task {
    let of_goals = goals.iter().filter_map(Goal::app).map(|app| app.key().to_owned());
    let apps: BTreeSet<String> = of_goals.chain(others.iter().cloned()).collect();
    match apps.is_empty() {
        true => task,
        false => task.with_tag("apps", apps.into_iter().collect::<Vec<_>>().join(" ")),
    }
}

/// Commands that leave at least one goal to do: all of them half of the time, else a random part.
pub(super) fn set_up(goals: &[Goal], phone: PhoneKind, rng: &mut ChaCha8Rng) -> Vec<String> {
    let kept = if goals.len() > 1 && rng.random_bool(0.5) {
        Some(rng.random_range(0..goals.len()))
    } else {
        None
    };
    let mut commands = Vec::new();
    for (i, goal) in goals.iter().enumerate() {
        let done = kept == Some(i);
        let set = goal.set(done, phone, rng).or_else(|| goal.set(false, phone, rng));
        commands.extend(set.unwrap_or_default());
    }
    commands
}

/// The steps to goals, one after another. On the small phone the demonstrator reads the goals themselves.
pub(super) fn expert(goals: &[Goal], phone: PhoneKind) -> Vec<String> {
    match phone {
        PhoneKind::Small => Vec::new(),
        PhoneKind::Pixel => goals
            .iter()
            .flat_map(Goal::steps)
            .map(|step: Step| step.to_string())
            .collect(),
    }
}

fn instruction(wording: &str, goals: &[Goal]) -> String {
    let mut text = wording.to_owned();
    let names = [("{a}", "{name}"), ("{b}", "{name2}")];
    for (goal, (word, name)) in goals.iter().zip(names) {
        if let Goal::Toggle { toggle, .. } = goal {
            text = text.replace(name, spoken(*toggle));
        }
        if let Goal::Alarm { time, .. } = goal {
            text = text.replace("{time}", time);
        }
        text = text.replace(word, &goal.word());
    }
    text
}
