//! Figures as lines of text: of a step, of an evaluation that lacks episodes, the table at the end of a run, and durations.

use cua_grpo_train::compare::{lost, requested};
use cua_grpo_train::instances::Distance;
use cua_grpo_train::metrics::{EvalEvent, TrainEvent};
use std::time::Duration;

/// The table at the end: the first evaluation beside the last, on the instances that neither has lost. An evaluation is
/// not compared with itself: alone it is a line.
pub fn before_after(before: &EvalEvent, after: &EvalEvent) -> String {
    if before.step == after.step {
        return format!(
            "  after step {}: {:.1} % of {} unseen instances solved, {:.1} % claimed; there is no earlier evaluation to \
             compare it with\n",
            after.step,
            100.0 * after.success_rate,
            after.episodes,
            100.0 * after.claimed_success_rate,
        ) + &by_distance(after)
            + &conduct(after);
    }
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let points = |from: f64, to: f64| format!("{:+.1} points", 100.0 * (to - from));
    let (claimed_before, claimed_after) = (before.claimed_success_rate, after.claimed_success_rate);
    let solved = [
        "tasks solved".into(),
        percent(before.success_rate),
        percent(after.success_rate),
        points(before.success_rate, after.success_rate),
    ];
    let pairs = distances(before)
        .into_iter()
        .flatten()
        .zip(distances(after).into_iter().flatten());
    let apart = pairs.filter_map(|((name, before), (_, after))| {
        let (from, to) = (before.rate()?, after.rate()?);
        let shown = |rate: f64, distance: Distance| format!("{} ({})", percent(rate), distance.interval());
        let name = format!("  {name} ({})", after.episodes);
        Some([name, shown(from, before), shown(to, after), points(from, to)])
    });
    let rows = [
        [
            "success claimed".into(),
            percent(claimed_before),
            percent(claimed_after),
            points(claimed_before, claimed_after),
        ],
        [
            "mean reward".into(),
            format!("{:.3}", before.reward_mean),
            format!("{:.3}", after.reward_mean),
            format!("{:+.3}", after.reward_mean - before.reward_mean),
        ],
        [
            "turns an episode".into(),
            format!("{:.1}", before.turns_mean),
            format!("{:.1}", after.turns_mean),
            format!("{:+.1}", after.turns_mean - before.turns_mean),
        ],
    ];
    let pass = after.attempts.and_then(|k| {
        let of = |event: &EvalEvent| event.pass_at.get(&k.to_string()).copied();
        let (from, to) = (of(before)?, of(after)?);
        Some([format!("pass@{k}"), percent(from), percent(to), points(from, to)])
    });
    let how = match after.attempts {
        None => "greedy".to_owned(),
        Some(attempts) => format!("{attempts} attempts at each"),
    };
    let head = [
        match requested(after).saturating_sub(after.episodes) {
            0 => format!("{} unseen instances, {how}", instances(after)),
            _ => format!(
                "{} of {} episodes on unseen instances, {how} (the others lost to faults)",
                after.episodes,
                requested(after)
            ),
        },
        format!("before (step {})", before.step),
        format!("after (step {})", after.step),
        "change".into(),
    ];
    let first = [head, solved].into_iter().chain(apart).chain(pass);
    let all: Vec<[String; 4]> = first.chain(rows).chain(beside(before, after)).collect();
    let width = |column: usize| {
        all.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for (index, row) in all.iter().enumerate() {
        let [a, b, c, d] = row;
        let line = format!(
            "  {a:<0$}   {b:>1$}   {c:>2$}   {d:>3$}\n",
            widths[0], widths[1], widths[2], widths[3]
        );
        text += &line;
        if index == 0 {
            text += &format!("  {}\n", "─".repeat(widths.iter().sum::<usize>() + 9));
        }
    }
    text
}

/// Rows of what episodes did beside their tasks, where both evaluations have it.
fn beside(before: &EvalEvent, after: &EvalEvent) -> Vec<[String; 4]> {
    let (Some(from), Some(to)) = (&before.conduct, &after.conduct) else {
        return Vec::new();
    };
    let count = |name: &str, from: usize, to: usize| {
        let change = to as i64 - from as i64;
        [name.to_owned(), from.to_string(), to.to_string(), format!("{change:+}")]
    };
    let mut rows = vec![
        count("false completes", from.false_completes, to.false_completes),
        count(
            "unreported successes",
            from.unreported_successes,
            to.unreported_successes,
        ),
    ];
    if let (Some(from), Some(to)) = (from.side_effects, to.side_effects) {
        rows.push(count("episodes with side effects", from, to));
    }
    if let (Some(from), Some(to)) = (from.turns_over_expert, to.turns_over_expert) {
        let words = |ratio: f64| format!("{ratio:.2}");
        let name = "turns over the expert's, when solved".to_owned();
        rows.push([name, words(from), words(to), format!("{:+.2}", to - from)]);
    }
    rows
}

/// Instances whose attempts an evaluation has.
fn instances(event: &EvalEvent) -> usize {
    event.episodes.div_ceil(event.attempts.unwrap_or(1))
}

/// What the three kinds of unseen tasks are called, from near to far.
pub(crate) const DISTANCES: [&str; 3] = [
    "unseen instances of trained templates",
    "unseen templates",
    "unseen apps",
];

/// Unseen instances of templates that are trained on, unseen templates and unseen apps, with their names; none in files of
/// older versions.
pub(crate) fn distances(event: &EvalEvent) -> Option<[(&'static str, Distance); 3]> {
    let [near, far, farthest] = DISTANCES;
    Some([
        (near, event.unseen_instances?),
        (far, event.unseen_templates.unwrap_or_default()),
        (farthest, event.unseen_apps.unwrap_or_default()),
    ])
}

/// A line for each distance, with its 95 % interval; those of which nothing is played are named on one.
pub fn by_distance(event: &EvalEvent) -> String {
    let (mut text, mut none) = (String::new(), Vec::new());
    for (name, distance) in distances(event).into_iter().flatten() {
        let Some(rate) = distance.rate() else {
            none.push(name);
            continue;
        };
        let pass = match (distance.pass_at_k, event.attempts) {
            (Some(pass), Some(k)) => format!(", pass@{k} {:.1} %", 100.0 * pass),
            _ => String::new(),
        };
        text += &format!(
            "  {name}: {:.1} % of {} solved ({}, 95 % interval){pass}\n",
            100.0 * rate,
            distance.episodes,
            distance.interval()
        );
    }
    if !none.is_empty() {
        text += &format!("  {}: none played\n", none.join(", "));
    }
    text
}

/// A line of what episodes did beside their tasks; empty in files of older versions.
pub fn conduct(event: &EvalEvent) -> String {
    let Some(conduct) = &event.conduct else {
        return String::new();
    };
    let effects = match conduct.side_effects {
        None => "side effects not known".to_owned(),
        Some(count) => format!("side effects in {count} of {}", conduct.side_effects_known),
    };
    let turns = match conduct.turns_over_expert {
        None => String::new(),
        Some(ratio) => format!(", turns {ratio:.2} times the expert's when solved"),
    };
    let judge = |share| format!(", judge agrees with the state in {:.1} %", 100.0 * share);
    let judge = conduct.judge_agreement.map(judge).unwrap_or_default();
    format!(
        "  {} false completes, {} unreported successes, {effects}{turns}{judge}\n",
        conduct.false_completes, conduct.unreported_successes
    )
}

/// The figures of a step on one line.
pub fn figures(event: &TrainEvent) -> String {
    let mut parts = vec![
        format!("reward {:.3}", event.reward_mean),
        format!("success {:.0} %", 100.0 * event.success_rate),
    ];
    parts.extend(event.loss.map(|loss| format!("loss {loss:.4}")));
    parts.extend(event.kl.map(|kl| format!("KL {kl:.4}")));
    parts.extend(event.ratio_mean.map(|ratio| format!("ratio {ratio:.3}")));
    parts.push(groups(event));
    parts.extend(event.tokens_per_s().map(|rate| format!("{rate:.0} tok/s")));
    parts.join("  ")
}

/// Groups that were trained on, out of those rolled out: `groups 3/8`, `groups 0/2: no update`.
fn groups(event: &TrainEvent) -> String {
    let lost = match event.groups_lost {
        None | Some(0) => String::new(),
        Some(lost) if event.episodes_dropped > Some(0) => format!(" ({lost} lost to faults or age)"),
        Some(lost) => format!(" ({lost} lost to faults)"),
    };
    let none = match (event.updates, event.updates_skipped) {
        (_, 1..) => ": update skipped",
        (Some(0), 0) => ": no update",
        _ => "",
    };
    format!("groups {}/{}{lost}{none}", event.groups_kept, event.groups())
}

/// What a line about an evaluation ends with when episodes of it were lost.
pub fn incomplete(event: &EvalEvent) -> String {
    match lost(event) {
        0 => String::new(),
        lost => format!("; incomplete: {lost} of {} lost to faults", requested(event)),
    }
}

/// A duration to one or two units: `12 s`, `3 min`, `2 h 5 min`, `4 d 6 h`.
pub fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..=89 => format!("{} s", seconds.max(1)),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        5400..=172_799 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_train::metrics::Conduct;

    #[test]
    fn the_table_tells_the_gain_in_points() {
        let before = EvalEvent {
            episodes: 64,
            success_rate: 0.25,
            ..Default::default()
        };
        let alone = before_after(&before, &before);
        assert!(
            alone.contains("after step 0: 25.0 % of 64") && !alone.contains("points") && alone.lines().count() == 1,
            "{alone}"
        );
        let after = EvalEvent {
            step: 40,
            episodes: 64,
            success_rate: 0.625,
            reward_mean: 0.6,
            ..Default::default()
        };
        let table = before_after(&before, &after);
        assert!(
            table.contains("25.0 %") && table.contains("62.5 %") && table.contains("+37.5 points"),
            "{table}"
        );
        let widths: Vec<_> = table.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
    }

    #[test]
    fn unseen_templates_have_a_line_of_their_own_where_there_are_any() {
        let eval = |step, near, far| EvalEvent {
            step,
            episodes: 20,
            success_rate: (near + far) as f64 / 20.0,
            unseen_instances: Some(Distance::new(near, 15)),
            unseen_templates: Some(Distance::new(far, 5)),
            ..Default::default()
        };
        let (before, after) = (eval(0, 3, 1), eval(9, 12, 2));
        let lines = by_distance(&after);
        assert_eq!(
            lines,
            "  unseen instances of trained templates: 80.0 % of 15 solved (55 % to 93 %, 95 % interval)\n  unseen templates: \
             40.0 % of 5 solved (12 % to 77 %, 95 % interval)\n  unseen apps: none played\n"
        );
        let table = before_after(&before, &after);
        for words in [
            "+60.0 points",
            "unseen templates (5)",
            "20.0 % (4 % to 62 %)",
            "+20.0 points",
        ] {
            assert!(table.contains(words), "{words}: {table}");
        }
        assert!(before_after(&after, &after).ends_with(&lines));
        assert_eq!(by_distance(&EvalEvent::default()), "", "a file of an older version");
        let none = EvalEvent {
            unseen_instances: Some(Distance::new(0, 0)),
            ..after
        };
        assert!(by_distance(&none).ends_with("trained templates, unseen apps: none played\n"));
    }

    #[test]
    fn apps_attempts_and_conduct_are_told() {
        let distance = Distance {
            pass_at_k: Some(0.6),
            ..Distance::new(2, 10)
        };
        let after = EvalEvent {
            step: 9,
            episodes: 10,
            requested: Some(10),
            attempts: Some(2),
            pass_at: [("1".to_owned(), 0.2), ("2".to_owned(), 0.6)].into(),
            unseen_instances: Some(Distance::new(5, 10)),
            unseen_templates: Some(Distance::new(3, 10)),
            unseen_apps: Some(distance),
            conduct: Some(Conduct {
                false_completes: 3,
                unreported_successes: 1,
                side_effects: Some(2),
                side_effects_known: 10,
                turns_over_expert: Some(1.5),
                judge_agreement: Some(0.875),
                ..Default::default()
            }),
            ..Default::default()
        };
        let line = "unseen apps: 20.0 % of 10 solved (6 % to 51 %, 95 % interval), pass@2 60.0 %";
        assert!(by_distance(&after).contains(line), "{}", by_distance(&after));
        assert_eq!(by_distance(&after).lines().count(), 3);
        let words = "3 false completes, 1 unreported successes, side effects in 2 of 10, turns 1.50 times the expert's";
        assert!(conduct(&after).contains(words), "{}", conduct(&after));
        assert!(conduct(&after).contains("judge agrees with the state in 87.5 %"));
        let before = EvalEvent {
            step: 0,
            pass_at: [("1".to_owned(), 0.1), ("2".to_owned(), 0.2)].into(),
            conduct: Some(Conduct::default()),
            ..after.clone()
        };
        let table = before_after(&before, &after);
        for words in [
            "5 unseen instances, 2 attempts at each",
            "unseen apps (10)",
            "pass@2",
            "+40.0 points",
            "+3",
        ] {
            assert!(table.contains(words), "{words}: {table}");
        }
        assert!(!table.contains("side effects"), "nobody could tell before: {table}");
    }

    #[test]
    fn a_step_prints_the_ratio_with_three_decimals() {
        let event = TrainEvent {
            reward_mean: 0.5,
            success_rate: 0.5,
            updates: Some(1),
            loss: Some(-0.01),
            kl: Some(0.002),
            ratio_mean: Some(0.99999),
            groups_kept: 3,
            groups_filtered: 5,
            groups_lost: Some(0),
            tokens_sampled: 300,
            rollout_s: 2.0,
            ..Default::default()
        };
        let expected = "reward 0.500  success 50 %  loss -0.0100  KL 0.0020  ratio 1.000  groups 3/8  150 tok/s";
        assert_eq!(figures(&event), expected);
        // A step of a stream hardly waits for its batch.
        let beside = TrainEvent {
            rollout_s: 1e-6,
            step_s: Some(10.0),
            sampler_busy_s: Some(4.0),
            ..event.clone()
        };
        assert!(figures(&beside).ends_with("  30 tok/s"), "{}", figures(&beside));
        let replayed = TrainEvent {
            sampler_busy_s: Some(0.0),
            ..beside
        };
        assert!(figures(&replayed).ends_with("  groups 3/8"), "{}", figures(&replayed));
    }

    #[test]
    fn a_step_without_an_update_shows_no_loss_and_no_ratio() {
        let event = TrainEvent {
            updates: Some(0),
            groups_filtered: 1,
            groups_lost: Some(1),
            ..Default::default()
        };
        let expected = "reward 0.000  success 0 %  groups 0/2 (1 lost to faults): no update";
        assert_eq!(figures(&event), expected);
        let flat = TrainEvent {
            updates: Some(0),
            groups_filtered: 2,
            groups_lost: Some(0),
            ..Default::default()
        };
        let skipped = TrainEvent {
            updates: Some(0),
            updates_skipped: 1,
            groups_kept: 2,
            ..Default::default()
        };
        assert!(figures(&skipped).ends_with("  groups 2/2: update skipped"));
        assert!(
            figures(&flat).ends_with("  groups 0/2: no update"),
            "{}",
            figures(&flat)
        );
    }

    #[test]
    fn durations_are_rough() {
        let texts = [1, 89, 90, 600, 5399, 5400, 100_000, 1_000_000].map(|s| rough(Duration::from_secs(s)));
        let expected = [
            "1 s",
            "89 s",
            "2 min",
            "10 min",
            "90 min",
            "1 h 30 min",
            "27 h 46 min",
            "11 d 13 h",
        ];
        assert_eq!(texts, expected);
    }
}
