//! Which evaluations can be compared: those of one task set, on the instances that neither has lost.

use crate::config::{PhoneKind, SuccessRequires, TrainConfig, WeightDtype};
use crate::instances::Instances;
use crate::metrics::EvalEvent;
use cua_grpo_core::{Novelty, TaskSource};
use cua_grpo_model::placement::DeviceSpec;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What an evaluation on the first of `tasks` is made of, for comparison. Equal texts mean the same task instances under
/// the same conditions: also when a template is worded anew, or another is added, it is another set.
pub fn task_set_of(config: &TrainConfig, tasks: &dyn TaskSource) -> String {
    let instance = |cursor| {
        let task = tasks.task(cursor);
        serde_json::json!([task.instruction, task.seed, task.max_turns, task.payload])
    };
    let instances: Vec<Value> = (0..config.eval_episodes as u64).map(instance).collect();
    let mut made_of = serde_json::json!([
        config.eval_seed,
        config.eval_episodes,
        config.templates,
        config.max_turns,
        config.max_new_tokens,
        config.context_limit(),
        config.target,
        config.prompt_style,
        config.simulated(),
        instances,
    ]);
    // The same weights answer otherwise in another arithmetic. That of the quickstart is not named, so that sets keep their
    // names.
    let arithmetic = (config.dtype, config.load_in_4bit, config.device == DeviceSpec::Cpu);
    if let (Value::Array(parts), true) = (&mut made_of, arithmetic != (WeightDtype::F32, false, true)) {
        let (dtype, four_bits, cpu) = arithmetic;
        parts.push(serde_json::json!([dtype, four_bits, cpu]));
    }
    let apart = |kind: Novelty| -> Vec<u64> {
        let all = 0..config.eval_episodes as u64;
        all.filter(|&cursor| tasks.task(cursor).novelty() == kind).collect()
    };
    let (held_out, apps) = (apart(Novelty::Template), apart(Novelty::App));
    // What is as it was before a key came is not named either.
    let state_alone = config.success_requires == SuccessRequires::State;
    let sampled = (config.eval_attempts > 1)
        .then(|| serde_json::json!([config.eval_attempts, config.temperature, config.top_p, config.top_k]));
    if let Value::Array(parts) = &mut made_of {
        let mut name = |named: bool, part: Value| parts.extend(named.then_some(part));
        name(!held_out.is_empty(), serde_json::json!({ "held_out": held_out }));
        name(!apps.is_empty(), serde_json::json!({ "held_out_apps": apps }));
        name(!state_alone, serde_json::json!({ "success": config.success_requires }));
        name(sampled.is_some(), serde_json::json!({ "attempts": sampled }));
        let phone = config.phone;
        name(phone != PhoneKind::Small, serde_json::json!({ "phone": phone }));
        // Pictures of another size are other pictures.
        let pixels = config.pixels();
        let limits = serde_json::json!({ "pixels": [pixels.min_pixels, pixels.max_pixels] });
        name(!pixels.is_own(), limits);
        let keep = config.keep_screenshots;
        name(keep > 0, serde_json::json!({ "keep_screenshots": keep }));
    }
    let mut text = format!("{:x}", Sha256::digest(made_of.to_string()));
    text.truncate(12);
    text
}

/// Writes what is compared into the event of an evaluation.
pub fn describe(event: &mut EvalEvent, task_set: &str, instances: Instances) {
    event.requested = Some(instances.len() * instances.each());
    event.task_set = Some(task_set.into());
    measure(event, &instances, 0..instances.len());
    event.instances = Some(instances);
}

/// Writes the figures by distance and by number of attempts on the instances `among`.
fn measure(event: &mut EvalEvent, instances: &Instances, among: impl Iterator<Item = usize> + Clone) {
    let [near, templates, apps] = instances.distances(among.clone()).map(Some);
    (event.unseen_instances, event.unseen_templates, event.unseen_apps) = (near, templates, apps);
    event.attempts = instances.attempts.as_ref().map(|attempts| attempts.each);
    let all = event.attempts.unwrap_or_default();
    let powers = std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|k| *k < all);
    let each = powers
        .chain(event.attempts)
        .map(|k| Some((k.to_string(), instances.pass_at(k, among.clone())?)));
    event.pass_at = each.flatten().collect();
}

/// Episodes that were asked for.
pub fn requested(event: &EvalEvent) -> usize {
    event.requested.unwrap_or(event.episodes)
}

/// Episodes that were asked for and lost to faults: such an evaluation is incomplete.
pub fn lost(event: &EvalEvent) -> usize {
    requested(event).saturating_sub(event.episodes)
}

/// The task set of an evaluation; `None` in files of older versions.
pub fn task_set(event: &EvalEvent) -> Option<&str> {
    event.task_set.as_deref()
}

/// The first and the last evaluation that can be compared, each with its figures on the instances that neither has lost,
/// and their number. The last is the last of all; `None` when there is no evaluation, or no instance in common.
pub fn first_and_last<'a>(evals: impl IntoIterator<Item = &'a EvalEvent>) -> Option<(EvalEvent, EvalEvent, usize)> {
    let evals: Vec<&EvalEvent> = evals.into_iter().collect();
    let last = *evals.last()?;
    let first = *evals.iter().find(|eval| task_set(eval) == task_set(last))?;
    on_common_instances(first, last)
}

fn on_common_instances(first: &EvalEvent, last: &EvalEvent) -> Option<(EvalEvent, EvalEvent, usize)> {
    if lost(first) == 0 && lost(last) == 0 {
        return Some((first.clone(), last.clone(), last.episodes));
    }
    let (before, after) = (first.instances.as_ref()?, last.instances.as_ref()?);
    let common: Vec<usize> = (0..before.len().min(after.len()))
        .filter(|&index| before.has(index) && after.has(index))
        .collect();
    if common.is_empty() || before.each() != after.each() {
        return None;
    }
    let restricted = |event: &EvalEvent, instances: &Instances| {
        let mean =
            |value: &dyn Fn(usize) -> f64| common.iter().map(|&index| value(index)).sum::<f64>() / common.len() as f64;
        let [solved, claimed, ended] = instances.totals(common.iter().copied());
        let share = |count: usize| count as f64 / ended.max(1) as f64;
        let turns = mean(&|index| instances.turns[index].unwrap_or_default() as f64);
        let mut restricted = EvalEvent {
            episodes: ended,
            success_rate: share(solved),
            claimed_success_rate: share(claimed),
            reward_mean: mean(&|index| instances.reward[index].unwrap_or_default()),
            turns_mean: turns / instances.each() as f64,
            // It is not kept by instance.
            conduct: None,
            ..event.clone()
        };
        measure(&mut restricted, instances, common.iter().copied());
        restricted
    };
    Some((restricted(first, before), restricted(last, after), common.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(step: usize, set: &str, solved: &str) -> EvalEvent {
        let all: Vec<Option<bool>> = solved
            .chars()
            .map(|sign| (sign != '-').then_some(sign == '1'))
            .collect();
        let ended = all.iter().flatten().count();
        let mut event = EvalEvent {
            step,
            episodes: ended,
            success_rate: all.iter().flatten().filter(|solved| **solved).count() as f64 / ended.max(1) as f64,
            ..Default::default()
        };
        let instances = Instances {
            solved: solved.into(),
            claimed: solved.into(),
            reward: all
                .iter()
                .map(|solved| solved.map(|solved| f64::from(u8::from(solved))))
                .collect(),
            held_out: None,
            attempts: None,
            turns: all
                .iter()
                .enumerate()
                .map(|(index, ended)| ended.map(|_| index + 1))
                .collect(),
        };
        describe(&mut event, set, instances);
        event
    }

    #[test]
    fn a_lost_episode_takes_its_instance_out_of_both_sides() {
        // The lost ones are those that the policy solves: without them a policy that stayed the same would seem worse.
        let (before, after) = (eval(0, "a", "1100"), eval(9, "a", "-100"));
        assert_eq!((requested(&after), lost(&after), lost(&before)), (4, 1, 0));
        let (before, after, common) = first_and_last([&before, &after]).unwrap();
        assert_eq!(common, 3);
        assert_eq!((before.success_rate, after.success_rate), (1.0 / 3.0, 1.0 / 3.0));
        assert_eq!((before.reward_mean, after.reward_mean), (1.0 / 3.0, 1.0 / 3.0));
        assert_eq!((before.turns_mean, after.turns_mean), (3.0, 3.0));
        assert_eq!((before.episodes, after.step), (3, 9));
    }

    #[test]
    fn held_out_templates_are_compared_on_common_instances_too() {
        let with = |step, solved| {
            let mut event = eval(step, "a", solved);
            let mut instances = event.instances.take().unwrap();
            instances.held_out = Some("0011".into());
            describe(&mut event, "a", instances);
            event
        };
        let (before, after) = (with(0, "1010"), with(9, "-011"));
        assert_eq!(before.choosing_rate(), 0.5);
        let rates = |event: &EvalEvent| {
            [event.unseen_instances, event.unseen_templates].map(|distance| distance.unwrap().rate())
        };
        assert_eq!(rates(&after), [Some(0.0), Some(1.0)]);
        let (before, after, _) = first_and_last([&before, &after]).unwrap();
        assert_eq!(
            rates(&before),
            [Some(0.0), Some(0.5)],
            "the lost instance is out on both sides"
        );
        assert_eq!((rates(&after), after.choosing_rate()), ([Some(0.0), Some(1.0)], 0.0));
        assert_eq!(eval(0, "a", "10").unseen_templates.unwrap().rate(), None);
    }

    #[test]
    fn evaluations_with_nothing_in_common_are_not_compared() {
        assert!(first_and_last([&eval(0, "a", "1-"), &eval(9, "a", "-1")]).is_none());
        assert!(first_and_last(std::iter::empty::<&EvalEvent>()).is_none());
        let (other, before, after) = (eval(0, "a", "11"), eval(5, "b", "00"), eval(9, "b", "01"));
        let (first, last, _) = first_and_last([&other, &before, &after]).unwrap();
        assert_eq!((first.step, last.step), (5, 9));
        assert_eq!((first.success_rate, last.success_rate), (0.0, 0.5));
    }

    /// Tasks in words of its own.
    struct Say(&'static str);

    impl TaskSource for Say {
        fn task(&self, cursor: u64) -> cua_grpo_core::Task {
            cua_grpo_core::Task::new(format!("test/{cursor}"), format!("{} {cursor}", self.0))
        }
    }

    /// The same, held out from training.
    struct Apart;

    impl TaskSource for Apart {
        fn task(&self, cursor: u64) -> cua_grpo_core::Task {
            Say("do").task(cursor).with_held_out()
        }
    }

    /// The same, in an app that is held out.
    struct OtherApp;

    impl TaskSource for OtherApp {
        fn task(&self, cursor: u64) -> cua_grpo_core::Task {
            Say("do").task(cursor).with_held_out_app()
        }
    }

    #[test]
    fn several_attempts_are_compared_on_common_instances_by_all_of_them() {
        let with = |step, counts: [[usize; 3]; 3]| {
            let mut event = eval(step, "a", "1-1");
            let mut instances = event.instances.take().unwrap();
            instances.solved = counts
                .iter()
                .map(|[_, _, ended]| if *ended == 2 { '1' } else { '-' })
                .collect();
            (instances.reward, instances.turns) = (vec![Some(0.5); 3], vec![Some(6); 3]);
            let counts = counts.to_vec();
            instances.attempts = Some(crate::instances::Attempts { each: 2, counts });
            event.episodes = instances.totals(0..3)[2];
            describe(&mut event, "a", instances);
            event
        };
        let before = with(0, [[1, 2, 2], [2, 2, 2], [0, 0, 2]]);
        let after = with(9, [[2, 2, 2], [0, 0, 1], [1, 1, 2]]);
        assert_eq!((requested(&after), lost(&after), after.attempts), (6, 1, Some(2)));
        assert_eq!(
            before.pass_at,
            [("1".to_owned(), 0.5), ("2".to_owned(), 2.0 / 3.0)].into()
        );
        let (before, after, common) = first_and_last([&before, &after]).unwrap();
        assert_eq!((common, before.episodes, after.episodes), (2, 4, 4));
        assert_eq!((before.success_rate, after.success_rate), (0.25, 0.75));
        assert_eq!((before.claimed_success_rate, before.turns_mean), (0.5, 3.0));
        assert_eq!((before.pass_at["2"], after.pass_at["2"]), (0.5, 1.0));
        assert_eq!(after.unseen_instances.unwrap().pass_at_k, Some(1.0));
    }

    #[test]
    fn whatever_changes_instances_or_conditions_makes_another_task_set() {
        let base = TrainConfig {
            dtype: WeightDtype::F32,
            load_in_4bit: false,
            ..Default::default()
        };
        let changes: [&dyn Fn(&mut TrainConfig); 16] = [
            &|config| config.eval_seed += 1,
            &|config| config.eval_episodes += 1,
            &|config| config.templates = vec!["wifi".into()],
            &|config| config.max_turns += 1,
            &|config| config.max_new_tokens -= 1,
            &|config| config.max_seq_length -= 1,
            &|config| config.target = crate::config::TargetStyle::Coordinate,
            &|config| config.gbox_base_url = "https://example.org".into(),
            &|config| config.dtype = WeightDtype::Bf16,
            &|config| config.load_in_4bit = true,
            &|config| config.success_requires = SuccessRequires::State,
            &|config| config.eval_attempts = 4,
            &|config| config.device = DeviceSpec::Cuda(0),
            &|config| config.max_pixels = Some(9216),
            &|config| config.min_pixels = Some(9216),
            &|config| config.phone = PhoneKind::Pixel,
        ];
        let mut names = vec![task_set_of(&base, &Say("do"))];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            let name = task_set_of(&other, &Say("do"));
            assert!(!names.contains(&name), "{names:?}");
            names.push(name);
        }
        assert_ne!(task_set_of(&base, &Say("do")), task_set_of(&base, &Say("please do")));
        assert_ne!(task_set_of(&base, &Say("do")), task_set_of(&base, &Apart));
        assert_ne!(task_set_of(&base, &Apart), task_set_of(&base, &OtherApp));
        let mut same = base.clone();
        (same.seed, same.learning_rate, same.concurrency) = (1, 1.0, 1);
        // 0 is the model's own, as null is.
        same.max_pixels = Some(0);
        let on = |card| TrainConfig {
            device: DeviceSpec::Cuda(card),
            ..base.clone()
        };
        assert_eq!(task_set_of(&on(0), &Say("do")), task_set_of(&on(1), &Say("do")));
        assert_eq!(task_set_of(&base, &Say("do")), task_set_of(&same, &Say("do")));
    }

    #[test]
    fn events_of_older_versions_are_complete_and_of_one_set() {
        let old = |step, rate| EvalEvent {
            step,
            episodes: 4,
            success_rate: rate,
            ..Default::default()
        };
        let (first, last, common) = first_and_last([&old(0, 0.25), &old(9, 0.5)]).unwrap();
        assert_eq!((first.success_rate, last.success_rate, common), (0.25, 0.5, 4));
        assert_eq!(lost(&old(0, 0.0)), 0);
    }
}
