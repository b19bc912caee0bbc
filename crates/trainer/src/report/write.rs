//! Puts the report together from what the run folder holds.

use super::chart::{Chart, Series, smooth};
use super::episodes::cards;
use super::html::{duration, escape, thousands};
use super::record::{eval_folders, load_episodes};
use crate::metrics::{EvalEvent, Event, METRICS, MetricsError, TrainEvent, read_metrics};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Name of the report in a run folder.
pub const REPORT: &str = "report.html";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The metrics could not be read.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Nothing to report.
    #[error("report of `{}`: expected a run folder with events in {METRICS}, found none. Give the folder named by --output-dir", path.display())]
    Empty {
        /// What was given.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A saved episode is broken.
    #[error("cannot use `{}`: {message}. Remove that episode's folder to leave it out", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ReportError {
    let path = path.to_path_buf();
    move |source| ReportError::Io {
        operation,
        path,
        source,
    }
}

/// Writes `report.html` into the run folder and returns its path. The file needs no server and no network.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let events = read_metrics(run_dir)?;
    if events.is_empty() {
        return Err(ReportError::Empty { path: run_dir.into() });
    }
    let trains: Vec<&TrainEvent> = events
        .iter()
        .filter_map(|event| {
            if let Event::Train(train) = event {
                Some(train)
            } else {
                None
            }
        })
        .collect();
    let evals: Vec<&EvalEvent> = events
        .iter()
        .filter_map(|event| {
            if let Event::Eval(eval) = event {
                Some(eval)
            } else {
                None
            }
        })
        .collect();
    let name = run_dir
        .file_name()
        .map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
    let config =
        std::fs::read_to_string(run_dir.join("config.yaml")).unwrap_or_else(|_| "config.yaml is missing".into());
    let mut html = include_str!("assets/report.html").to_owned();
    for (mark, text) in [
        ("STYLE", include_str!("assets/report.css").to_owned()),
        ("SCRIPT", include_str!("assets/report.js").to_owned()),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
        ("TITLE", escape(&name)),
        (
            "MODEL",
            escape(value_of(&config, "model_name").unwrap_or("unknown model")),
        ),
        ("HERO", hero(&evals)),
        ("TILES", tiles(&trains, &evals)),
        ("CHARTS", charts(&trains, &evals)),
        ("CONFIG", escape(config.trim())),
        ("EPISODES", episodes(run_dir)?), // last: nothing in it is taken for a mark
    ] {
        html = html.replacen(&format!("<!--{mark}-->"), &text, if mark == "TITLE" { 2 } else { 1 });
    }
    let path = run_dir.join(REPORT);
    let part = run_dir.join(format!("{REPORT}.part"));
    std::fs::write(&part, html).map_err(io("write", &part))?;
    std::fs::rename(&part, &path).map_err(io("write", &path))?;
    Ok(path)
}

fn value_of<'a>(yaml: &'a str, key: &str) -> Option<&'a str> {
    yaml.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

/// First beside last evaluation.
fn hero(evals: &[&EvalEvent]) -> String {
    let (Some(first), Some(last)) = (evals.first(), evals.last()) else {
        return "<p class=\"empty\">No evaluation yet.</p>".into();
    };
    let bar = |label: &str, class: &str, eval: &EvalEvent| {
        let percent = 100.0 * eval.success_rate;
        let width = percent.clamp(0.0, 100.0);
        format!(
            "<div class=\"row\"><span>{label}</span><div class=\"track\"><div class=\"fill {class}\" \
             style=\"width:{width:.2}%\"></div></div><b>{percent:.1}%</b></div>"
        )
    };
    let gain = 100.0 * (last.success_rate - first.success_rate);
    let verdict = if first.step == last.step {
        "one evaluation so far".to_owned()
    } else {
        format!("{gain:+.1} points")
    };
    format!(
        "<div class=\"gain\"><strong>{verdict}</strong><span>tasks solved, greedy, {} instances never trained on</span>\
         </div><div class=\"bars\">{}{}</div>",
        last.episodes,
        bar(&format!("step {}", first.step), "before", first),
        bar(&format!("step {}", last.step), "after", last),
    )
}

fn tiles(trains: &[&TrainEvent], evals: &[&EvalEvent]) -> String {
    let sum = |value: fn(&TrainEvent) -> usize| trains.iter().map(|train| value(train)).sum::<usize>();
    let (rollout, train): (f64, f64) = (
        trains.iter().map(|train| train.rollout_s).sum(),
        trains.iter().map(|train| train.train_s).sum(),
    );
    let seconds = rollout + train + evals.iter().map(|eval| eval.eval_s).sum::<f64>();
    let sampled = sum(|train| train.tokens_sampled);
    let speed = if rollout > 0.0 { sampled as f64 / rollout } else { 0.0 };
    let (kept, filtered) = (sum(|train| train.groups_kept), sum(|train| train.groups_filtered));
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
            format!("{faults} lost to faults"),
        ),
        ("groups kept", thousands(kept), format!("{filtered} without contrast")),
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

fn charts(trains: &[&TrainEvent], evals: &[&EvalEvent]) -> String {
    let train = |value: fn(&TrainEvent) -> f64| -> Vec<(f64, f64)> {
        trains.iter().map(|train| (train.step as f64, value(train))).collect()
    };
    let eval = |value: fn(&EvalEvent) -> f64| -> Vec<(f64, f64)> {
        evals.iter().map(|eval| (eval.step as f64, value(eval))).collect()
    };
    let reward = train(|train| train.reward_mean);
    let single = |name: &'static str, points| {
        vec![Series {
            name,
            class: "smooth",
            points,
            dots: false,
        }]
    };
    let charts = [
        Chart {
            title: "Reward in training",
            note: "Mean over the episodes of a step; the bold line is a moving average.",
            percent: false,
            reference: None,
            series: vec![
                Series {
                    name: "each step",
                    class: "train",
                    points: reward.clone(),
                    dots: false,
                },
                Series {
                    name: "average",
                    class: "smooth",
                    points: smooth(&reward, 0.8),
                    dots: false,
                },
            ],
        },
        Chart {
            title: "Success on unseen tasks",
            note: "Verified on the device's state. Claims above the verified curve are a warning of reward hacking.",
            percent: true,
            reference: None,
            series: vec![
                Series {
                    name: "claimed",
                    class: "claimed",
                    points: eval(|eval| eval.claimed_success_rate),
                    dots: true,
                },
                Series {
                    name: "verified",
                    class: "eval",
                    points: eval(|eval| eval.success_rate),
                    dots: true,
                },
            ],
        },
        Chart {
            title: "KL from the reference",
            note: "Nats a token (k3), against the same weights with the adapter off.",
            percent: false,
            reference: None,
            series: single("k3", train(|train| train.kl)),
        },
        Chart {
            title: "Ratio of trainer to sampler",
            note: "1 at staleness 0: what is trained is exactly what was sampled.",
            percent: false,
            reference: Some(1.0),
            series: single("mean", train(|train| train.ratio_mean)),
        },
    ];
    charts.iter().map(Chart::render).collect()
}

fn episodes(run_dir: &Path) -> Result<String, ReportError> {
    let folders = eval_folders(run_dir);
    let Some((step, folder)) = folders.last() else {
        return Ok("<p class=\"empty\">No episodes were saved (key <code>save_episodes</code>).</p>".into());
    };
    let mut before = BTreeMap::new();
    if let Some((first, folder)) = folders.first()
        && first != step
    {
        before.extend(
            load_episodes(folder)?
                .into_iter()
                .map(|(_, episode)| (episode.task, episode.success)),
        );
    }
    let episodes = load_episodes(folder)?;
    let cards = cards(&episodes, &before)?;
    let total = episodes.len();
    let mut html = format!("<p class=\"lead\">The first {total} episodes of the evaluation after step {step}.</p>");
    if cards.left_out > 0 {
        let _ = write!(
            html,
            "<p class=\"empty\">{} screenshots are left out to keep this file small.</p>",
            cards.left_out
        );
    }
    html += "<div class=\"filter\" role=\"group\" aria-label=\"Filter\">";
    let (solved, failed) = (cards.solved, total - cards.solved);
    for (key, label, count) in [
        ("all", "all", total),
        ("solved", "solved", solved),
        ("failed", "failed", failed),
        ("new", "newly solved", cards.new),
    ] {
        let pressed = key == "all";
        let _ = write!(
            html,
            "<button data-filter=\"{key}\" aria-pressed=\"{pressed}\">{label} <b>{count}</b></button>"
        );
    }
    html += "</div>";
    Ok(html + &cards.html)
}
