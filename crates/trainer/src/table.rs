//! The table at the end of a run: the first evaluation beside the last.

use cua_grpo_train::compare::requested;
use cua_grpo_train::metrics::EvalEvent;

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
        );
    }
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let points = |from: f64, to: f64| format!("{:+.1} points", 100.0 * (to - from));
    let (claimed_before, claimed_after) = (before.claimed_success_rate, after.claimed_success_rate);
    let rows = [
        [
            "tasks solved".into(),
            percent(before.success_rate),
            percent(after.success_rate),
            points(before.success_rate, after.success_rate),
        ],
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
    let head = [
        match requested(after).saturating_sub(after.episodes) {
            0 => format!("{} unseen instances, greedy", after.episodes),
            _ => format!(
                "{} of {} unseen instances, greedy (the others lost to faults)",
                after.episodes,
                requested(after)
            ),
        },
        format!("before (step {})", before.step),
        format!("after (step {})", after.step),
        "change".into(),
    ];
    let all: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
