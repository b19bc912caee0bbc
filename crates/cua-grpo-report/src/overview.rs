//! The head of the report: what was run and when, first beside last evaluation, totals, success by template.

use crate::html::{duration, escape, thousands};
use crate::invocation::Invocation;
use crate::text::distances;
use cua_grpo_train::compare::{first_and_last, lost, requested, task_set};
use cua_grpo_train::episodes::EpisodeRecord;
use cua_grpo_train::interval::words;
use cua_grpo_train::metrics::{Conduct, EvalEvent, TemplateCount, TrainEvent};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Dates and commands of the run's starts.
pub(super) fn started(starts: &[Invocation]) -> String {
    if starts.is_empty() {
        return "<p class=\"sub\">No record of when and how it was started.</p>".into();
    }
    let rows = starts.iter().map(|start| {
        let date = start.started.replacen('T', " ", 1).replacen('Z', " UTC", 1);
        let what = match start.step {
            0 => "started".to_owned(),
            step => format!("went on after step {step}"),
        };
        format!(
            "<p class=\"sub\">{what} {} by cua-grpo {}: <code>{}</code></p>",
            escape(&date),
            escape(&start.version),
            escape(&start.line())
        )
    });
    rows.collect()
}

/// The first and the last evaluation that can be compared, with their figures on the instances that both have; the last
/// alone where nothing can be compared with it.
pub(super) fn compared(evals: &[&EvalEvent]) -> Option<(EvalEvent, EvalEvent)> {
    let last = *evals.last()?;
    Some(match first_and_last(evals.iter().copied()) {
        Some((first, last, _)) => (first, last),
        None => (last.clone(), last.clone()),
    })
}

/// What a reader must know about the comparison: lost episodes, other task sets.
fn warnings(first: &EvalEvent, evals: &[&EvalEvent]) -> String {
    let mut html = String::new();
    if let Some(last) = evals.last().filter(|last| lost(last) > 0) {
        let (lost, asked) = (lost(last), requested(last));
        let _ = write!(
            html,
            "<p class=\"note\">Incomplete: {lost} of {asked} episodes of the last evaluation were lost to faults. Compared \
             are the instances that both evaluations have.</p>"
        );
    }
    let others = evals.iter().filter(|eval| task_set(eval) != task_set(first)).count();
    if others > 0 {
        let _ = write!(
            html,
            "<p class=\"note\">{others} of {} evaluations are on another task set (other instances, or played under other \
             conditions) and are compared with none of these.</p>",
            evals.len()
        );
    }
    html
}

/// Evaluations that have failed: they are in no chart and no table.
pub(super) fn failures(failed: &[&EvalEvent]) -> String {
    let (Some(last), count) = (failed.last(), failed.len()) else {
        return String::new();
    };
    let why = escape(last.failed.as_deref().unwrap_or_default());
    format!(
        "<p class=\"note\">{count} failed and in no chart; the last, after step {}: {why}</p>",
        last.step
    )
}

/// First beside last evaluation.
pub(super) fn hero(evals: &[&EvalEvent]) -> String {
    let Some((first, last)) = compared(evals) else {
        return "<p class=\"empty\">No evaluation yet.</p>".into();
    };
    let bar = |label: &str, class: &str, eval: &EvalEvent| row(label, class, eval.success_rate, eval.interval());
    let gain = 100.0 * (last.success_rate - first.success_rate);
    let alone = first.step == last.step;
    let verdict = match (alone, evals.len()) {
        (true, 1) => "one evaluation so far".to_owned(),
        (true, _) => "nothing to compare with yet".to_owned(),
        _ => format!("{gain:+.1} points"),
    };
    let before = if alone {
        String::new()
    } else {
        bar(&format!("step {}", first.step), "before", &first)
    };
    format!(
        "<div class=\"gain\"><strong>{verdict}</strong><span>tasks solved, {} episodes on instances never trained on</span>\
         </div><div class=\"bars\">{}{}{}<p class=\"note\">The range is the 95 % Wilson interval of the rate.</p>{}</div>",
        last.episodes,
        before,
        bar(&format!("step {}", last.step), "after", &last),
        apart(&first, &last) + &beside(&first, &last),
        warnings(&first, evals),
    )
}

/// A bar with its rate and interval.
fn row(label: &str, class: &str, rate: f64, interval: Option<(f64, f64)>) -> String {
    let percent = 100.0 * rate;
    let width = percent.clamp(0.0, 100.0);
    format!(
        "<div class=\"row\"><span>{label}</span><div class=\"track\"><div class=\"fill {class}\" \
         style=\"width:{width:.2}%\"></div>{}</div><b>{percent:.1}%</b><small>{}</small></div>",
        whisker(interval),
        words(interval)
    )
}

/// Unseen instances, templates and apps apart, before and after; those of which nothing is played are named.
fn apart(first: &EvalEvent, last: &EvalEvent) -> String {
    let mut html = String::new();
    let alone = first.step == last.step;
    let firsts = distances(first).into_iter().flatten();
    for ((name, before), (_, after)) in firsts.zip(distances(last).into_iter().flatten()) {
        if after.episodes == 0 {
            let _ = write!(html, "<p class=\"note\">{name}: none played</p>");
            continue;
        }
        let _ = write!(html, "<p class=\"note\">{name} ({} episodes)</p>", after.episodes);
        for (event, distance, class) in [(first, before, "before"), (last, after, "after")] {
            if let Some(rate) = distance.rate().filter(|_| !alone || class == "after") {
                html += &row(
                    &format!("step {}", event.step),
                    class,
                    rate,
                    distance.low.zip(distance.high),
                );
            }
        }
    }
    html
}

/// What episodes did beside their tasks, and pass@k, as a table; empty where nothing of it is known.
fn beside(first: &EvalEvent, last: &EvalEvent) -> String {
    let events: Vec<&EvalEvent> = match first.step == last.step {
        true => vec![last],
        false => vec![first, last],
    };
    let count = |known: Option<usize>| known.map_or_else(|| "not known".to_owned(), |count| count.to_string());
    let of = |value: &dyn Fn(&Conduct) -> String| -> Option<Vec<String>> {
        let cells = events.iter().map(|event| event.conduct.as_ref().map(value));
        cells.collect()
    };
    let turns = |conduct: &Conduct| {
        let ratio = conduct.turns_over_expert;
        ratio.map_or_else(|| "not known".to_owned(), |ratio| format!("{ratio:.2}"))
    };
    let agreement = |conduct: &Conduct| match (conduct.judge_agreement, conduct.judged) {
        (Some(share), Some(judged)) => format!("{:.1} % of {judged}", 100.0 * share),
        _ => "not asked".to_owned(),
    };
    let mut rows: Vec<(String, Option<Vec<String>>)> = vec![
        (
            "claimed, and not so".into(),
            of(&|conduct| conduct.false_completes.to_string()),
        ),
        (
            "solved, and not claimed".into(),
            of(&|conduct| conduct.unreported_successes.to_string()),
        ),
        (
            "changed what nobody asked for".into(),
            of(&|conduct| count(conduct.side_effects)),
        ),
        ("turns over the expert's, when solved".into(), of(&turns)),
    ];
    if last.conduct.is_some_and(|conduct| conduct.judged.is_some()) {
        rows.push(("the judge sees as the state shows".into(), of(&agreement)));
        rows.push((
            "the judge takes for done, and are not".into(),
            of(&|conduct| count(conduct.judge_false_successes)),
        ));
    }
    let mut known: Vec<&String> = last.pass_at.keys().collect();
    known.sort_by_key(|k| k.len());
    for k in known {
        let cells = events
            .iter()
            .map(|event| Some(format!("{:.1} %", 100.0 * event.pass_at.get(k)?)));
        rows.push((format!("pass@{k}"), cells.collect()));
    }
    let rows = rows.into_iter().filter_map(|(name, cells)| {
        let cells: String = cells?.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        Some(format!("<tr><td>{name}</td>{cells}</tr>"))
    });
    let rows: String = rows.collect();
    if rows.is_empty() {
        return rows;
    }
    let head: String = events
        .iter()
        .map(|event| format!("<th>step {}</th>", event.step))
        .collect();
    format!(
        "<table class=\"templates\"><thead><tr><th>episodes that</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
}

/// The interval drawn over a bar.
fn whisker(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(String::new, |(low, high)| {
        let (left, width) = (100.0 * low, 100.0 * (high - low));
        format!("<i class=\"whisker\" style=\"left:{left:.2}%;width:{width:.2}%\"></i>")
    })
}

/// Totals of the run.
pub(super) fn tiles(trains: &[&TrainEvent], evals: &[&EvalEvent]) -> String {
    let sum = |value: fn(&TrainEvent) -> usize| trains.iter().map(|train| value(train)).sum::<usize>();
    let (rollout, train): (f64, f64) = (
        trains.iter().map(|train| train.rollout_s).sum(),
        trains.iter().map(|train| train.train_s).sum(),
    );
    let seconds = rollout + train + evals.iter().map(|eval| eval.eval_s).sum::<f64>();
    let sampled = sum(|train| train.tokens_sampled);
    let speed = if rollout > 0.0 { sampled as f64 / rollout } else { 0.0 };
    let (kept, filtered) = (sum(|train| train.groups_kept), sum(|train| train.groups_filtered));
    let lost = sum(|train| train.groups_lost.unwrap_or(0));
    let faults = sum(|train| train.faults) + evals.iter().map(|eval| eval.faults).sum::<usize>();
    let claimed = evals.last().map_or_else(
        || "–".into(),
        |eval| format!("{:.1} %", 100.0 * eval.claimed_success_rate),
    );
    let tiles = [
        (
            "steps",
            thousands(trains.len()),
            format!("{} in all", duration(seconds)),
        ),
        (
            "episodes",
            thousands(sum(|train| train.episodes)),
            format!("{faults} attempts lost to faults"),
        ),
        (
            "groups kept",
            thousands(kept),
            format!("{filtered} flat, {lost} lost to faults"),
        ),
        ("tokens sampled", thousands(sampled), format!("{speed:.0} a second")),
        ("claimed at the end", claimed, "success, as the policy says".into()),
    ];
    let tile = |(name, value, note): &(&str, String, String)| {
        format!(
            "<div class=\"tile\"><span>{name}</span><b>{}</b><small>{}</small></div>",
            escape(value),
            escape(note)
        )
    };
    tiles.iter().map(tile).collect()
}

/// Outcomes by template.
pub(super) type Templates = BTreeMap<String, TemplateCount>;

/// A column of the table of templates.
pub(super) struct Column {
    /// The step of the evaluation.
    pub step: usize,
    pub counts: Templates,
    /// Attempts at each instance, where there are several.
    pub attempts: Option<usize>,
}

/// Counts the outcomes of saved episodes: what there is of evaluations whose line has no counts.
pub(super) fn count_saved<'a>(episodes: impl IntoIterator<Item = &'a EpisodeRecord>) -> Templates {
    let mut counts = Templates::new();
    for episode in episodes {
        let count = counts.entry(episode.template.clone()).or_default();
        count.solved += usize::from(episode.success);
        count.episodes += 1;
    }
    counts
}

/// The table of success by template: a column for the first evaluation, one for the last.
pub(super) fn templates(columns: &[Column]) -> String {
    let mut names: Vec<&String> = columns.iter().flat_map(|column| column.counts.keys()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return "<p class=\"empty\">No evaluation has counts by template.</p>".into();
    }
    let mut html = "<table class=\"templates\"><thead><tr><th>template</th>".to_owned();
    for (index, Column { step, .. }) in columns.iter().enumerate() {
        let word = if index == 0 {
            "first evaluation"
        } else {
            "last evaluation"
        };
        let _ = write!(html, "<th>{word}, step {step}</th>");
    }
    html += "</tr></thead><tbody>";
    for name in names {
        let _ = write!(html, "<tr><td>{}</td>", escape(name));
        for (index, column) in columns.iter().enumerate() {
            let count = column.counts.get(name).copied().unwrap_or_default();
            html += &cell(count, column.attempts, index + 1 == columns.len());
        }
        html += "</tr>";
    }
    let solved = match columns.iter().any(|column| column.attempts.is_some()) {
        true => {
            "Solved attempts, several at each instance, and the 95 % Wilson interval of the rate, for which the instances count"
        }
        false => "Solved instances, and the 95 % Wilson interval of the rate",
    };
    let wide = "with few instances it is wide, and a change within it may be chance";
    html + &format!("</tbody></table><p class=\"note\">{solved}: {wide}.</p>")
}

fn cell(count: TemplateCount, attempts: Option<usize>, last: bool) -> String {
    if count.episodes == 0 {
        return "<td><span class=\"interval\">not played</span></td>".into();
    }
    let width = 100.0 * count.solved as f64 / count.episodes as f64;
    let class = if last { "after" } else { "before" };
    format!(
        "<td><span class=\"count\">{} of {}</span><span class=\"track\"><i class=\"fill {class}\" \
         style=\"width:{width:.2}%\"></i>{}</span><span class=\"interval\">{}</span></td>",
        count.solved,
        count.episodes,
        whisker(count.interval(attempts)),
        words(count.interval(attempts))
    )
}
