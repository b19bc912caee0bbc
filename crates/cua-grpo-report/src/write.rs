//! Puts the report together from what the run folder holds.

use crate::episodes::{OfRun, Pictures, Saved, cards, others};
use crate::error::ReportError;
use crate::figures::charts;
use crate::html::escape;
use crate::invocation::read_invocations;
use crate::overview::{Column, compared, count_saved, failures, hero, started, templates, tiles};
use crate::training::training;
use cua_grpo_train::adapter::other_configuration;
use cua_grpo_train::episodes::Saved as Kind;
use cua_grpo_train::files::{Limit, io, read_within, replace, replace_own};
use cua_grpo_train::layout::{CONFIG, REPORT};
use cua_grpo_train::metrics::{EvalEvent, Line, TrainEvent, read_metrics};
use cua_grpo_train::run_dir::{Identity, check_metrics};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Bytes of pictures of evaluations; more are left out, and counted.
const IMAGE_ROOM: usize = 48 << 20;

/// Writes `report.html` into the run folder, or the report to `output`, and returns its path. The file needs no server and
/// no network.
///
/// # Errors
/// When there is nothing to report, something of the run cannot be read, or the report cannot be written.
pub fn write_report(run_dir: &Path, output: Option<&Path>) -> Result<PathBuf, ReportError> {
    check_metrics(run_dir).map_err(Box::new)?;
    let run = OfRun {
        path: run_dir,
        identity: Identity::read(run_dir).map_err(Box::new)?,
    };
    let events = read_metrics(run_dir)?;
    let config = read_config(run_dir)?;
    // A run that was stopped before its first figures has a report too: it says what was started.
    if events.is_empty() && config.is_none() {
        return Err(ReportError::Empty { path: run_dir.into() });
    }
    let config = config.unwrap_or_else(|| "config.yaml is missing".into());
    let trains: Vec<&TrainEvent> = events
        .iter()
        .filter_map(|event| {
            if let Line::Train(train) = event {
                Some(train)
            } else {
                None
            }
        })
        .collect();
    let (failed, evals): (Vec<&EvalEvent>, Vec<&EvalEvent>) = events
        .iter()
        .filter_map(|event| if let Line::Eval(eval) = event { Some(eval) } else { None })
        .partition(|eval| eval.failed.is_some());
    let name = run_dir
        .file_name()
        .map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
    let evaluated = evaluated(&run, &evals)?;
    let steps: BTreeSet<usize> = trains.iter().map(|train| train.step).collect();
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
        ("HERO", hero(&evals) + &failures(&failed)),
        ("TILES", tiles(&trains, &evals)),
        ("CHARTS", charts(&trains, &evals)),
        ("CONFIG", escape(config.trim())),
        ("EDITED", edited(run_dir)),
        ("STARTED", started(&read_invocations(run_dir)?)),
        ("TEMPLATES", evaluated.templates),
        // Last, longest first: nothing in them is taken for a mark.
        ("TRAINING", training(&run, &steps)?),
        ("EPISODES", evaluated.episodes),
    ] {
        html = html.replacen(&format!("<!--{mark}-->"), &text, if mark == "TITLE" { 2 } else { 1 });
    }
    let path = output.map_or_else(|| run_dir.join(REPORT), Path::to_path_buf);
    // What the user names may be a link or a pipe; what stands in a run folder is the run's own.
    let replace = if output.is_some() { replace } else { replace_own };
    replace(&path, html.as_bytes()).map_err(|reason| ReportError::Unwritable {
        path: path.clone(),
        reason,
    })?;
    Ok(path)
}

/// The text of the run's configuration; `None` where there is none.
fn read_config(run_dir: &Path) -> Result<Option<String>, ReportError> {
    let path = run_dir.join(CONFIG);
    match read_within(run_dir, &path, Limit::SMALL) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", &path)(error).into()),
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// Where the configuration of the folder is not the one that its policy was saved with.
fn edited(run_dir: &Path) -> String {
    let lines = other_configuration(run_dir).into_iter();
    lines
        .map(|line| format!("<p class=\"note\">{}</p>", escape(&line)))
        .collect()
}

fn value_of<'a>(yaml: &'a str, key: &str) -> Option<&'a str> {
    yaml.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

/// The episodes of the last evaluation beside those of the first, and the table of templates.
struct Evaluated {
    templates: String,
    episodes: String,
}

fn evaluated(run: &OfRun<'_>, evals: &[&EvalEvent]) -> Result<Evaluated, ReportError> {
    let Some((first, last)) = compared(evals) else {
        return Ok(Evaluated {
            templates: templates(&[]),
            episodes: "<p class=\"empty\">No evaluation yet.</p>".into(),
        });
    };
    // Folders of steps that no line has belong to another timeline.
    let mut strangers = 0;
    let mut load = |event: &EvalEvent| -> Result<Vec<Saved>, ReportError> {
        let found = run.load(Kind::Eval, event.step)?;
        strangers += found.others;
        Ok(found.own)
    };
    let episodes = load(&last)?;
    let before = if first.step == last.step {
        Vec::new()
    } else {
        load(&first)?
    };
    let counts = |event: &EvalEvent, saved: &[Saved]| {
        if event.templates.is_empty() {
            count_saved(saved.iter().map(|(_, episode)| episode))
        } else {
            event.templates.clone()
        }
    };
    let column = |event: &EvalEvent, saved: &[Saved]| Column {
        step: event.step,
        counts: counts(event, saved),
        attempts: event.attempts,
    };
    let mut columns = vec![column(&last, &episodes)];
    if first.step != last.step {
        columns.insert(0, column(&first, &before));
    }
    let before = before.into_iter().map(|saved| (saved.1.task.clone(), saved)).collect();
    Ok(Evaluated {
        templates: templates(&columns),
        episodes: others(strangers) + &shown(run.path, &episodes, &before, (first.step, last.step))?,
    })
}

fn shown(
    run_dir: &Path,
    episodes: &[Saved],
    before: &BTreeMap<String, Saved>,
    steps: (usize, usize),
) -> Result<String, ReportError> {
    if episodes.is_empty() {
        return Ok("<p class=\"empty\">No episodes were saved (key <code>save_episodes</code>).</p>".into());
    }
    let mut pictures = Pictures::new(run_dir, IMAGE_ROOM);
    let cards = cards(episodes, before, steps, &mut pictures)?;
    let total = episodes.len();
    let mut html = format!(
        "<p class=\"lead\">The first {total} episodes of the evaluation after step {}{}.</p>{}",
        steps.1,
        if before.is_empty() {
            String::new()
        } else {
            format!(", each beside that of the same instance after step {}", steps.0)
        },
        pictures.note()
    );
    html += "<div class=\"filter\" role=\"group\" aria-label=\"Filter\">";
    for (key, label, count) in [
        ("all", "all", total),
        ("solved", "solved", cards.solved),
        ("failed", "failed", total - cards.solved),
        ("new", "newly solved", cards.new),
        ("unlearnt", "no longer solved", cards.unlearnt),
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
