//! Cards of episodes: each turn's screenshot with the tap or swipe drawn on it, what was replied, why it failed; the same
//! instance before and after training side by side.

use crate::error::ReportError;
use crate::html::{data_uri, escape, image_size};
use cua_grpo_core::Ending;
use cua_grpo_train::episodes::{
    EpisodeError, EpisodeRecord, OwnEpisodes, Saved as Kind, TurnRecord, load_picture, own_episodes,
};
use cua_grpo_train::run_dir::Identity;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// An episode with the folder of its pictures.
pub(super) type Saved = (PathBuf, EpisodeRecord);

/// A run folder, and which run it holds where it tells.
#[derive(Debug)]
pub(super) struct OfRun<'a> {
    /// The folder.
    pub(super) path: &'a Path,
    /// The run.
    pub(super) identity: Option<Identity>,
}

impl OfRun<'_> {
    /// The saved episodes of a step that are the run's own.
    pub(super) fn load(&self, saved: Kind, step: usize) -> Result<OwnEpisodes, EpisodeError> {
        own_episodes(self.path, self.identity.as_ref(), saved, step)
    }
}

/// How many saved episodes are left out because they are not the run's, in words; empty where none is.
pub(super) fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(
            "<p class=\"note\">{count} saved episodes are left out: they were written by another run, or for another \
             step.</p>"
        ),
    }
}

/// Pictures that still have room in the report, and those that had none.
#[derive(Debug)]
pub(super) struct Pictures {
    /// The run folder, in which all of them lie.
    run_dir: PathBuf,
    room: usize,
    /// Pictures left out for want of room.
    pub(super) left_out: usize,
}

impl Pictures {
    /// Room for so many bytes of pictures of the run in `run_dir`.
    pub(super) fn new(run_dir: &Path, room: usize) -> Self {
        Self {
            run_dir: run_dir.into(),
            room,
            left_out: 0,
        }
    }

    /// How many were left out, in words; empty when all are there.
    pub(super) fn note(&self) -> String {
        match self.left_out {
            0 => String::new(),
            count => format!("<p class=\"empty\">{count} screenshots are left out to keep this file small.</p>"),
        }
    }
}

/// The cards of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Cards {
    /// HTML.
    pub(super) html: String,
    /// Episodes that succeeded.
    pub(super) solved: usize,
    /// Episodes that succeeded and did not before training.
    pub(super) new: usize,
    /// Episodes that succeeded before training and do not now.
    pub(super) unlearnt: usize,
}

/// Renders the last evaluation's `episodes`, each beside that of the same instance in the first evaluation, if there
/// is another. `steps` are those of both.
pub(super) fn cards(
    episodes: &[Saved],
    before: &BTreeMap<String, Saved>,
    steps: (usize, usize),
    pictures: &mut Pictures,
) -> Result<Cards, ReportError> {
    let mut cards = Cards::default();
    for (folder, episode) in episodes {
        let earlier = before.get(&episode.task);
        let new = episode.success && earlier.is_some_and(|(_, earlier)| !earlier.success);
        let unlearnt = !episode.success && earlier.is_some_and(|(_, earlier)| earlier.success);
        cards.solved += usize::from(episode.success);
        cards.new += usize::from(new);
        cards.unlearnt += usize::from(unlearnt);
        let change = match (new, unlearnt) {
            (true, _) => "<span class=\"badge new\">newly solved</span>",
            (_, true) => "<span class=\"badge new\">no longer solved</span>",
            _ => "",
        };
        let _ = write!(
            cards.html,
            "<article class=\"episode\" data-state=\"{}\" data-new=\"{new}\" data-unlearnt=\"{unlearnt}\"><header>\
             {}{change}{}<h3>{}</h3><p class=\"meta\">{}</p></header><div class=\"pair\">",
            state(episode),
            badge(episode),
            claim(episode),
            escape(&episode.instruction),
            escape(&episode.task),
        );
        if let Some((folder, earlier)) = earlier {
            let title = format!("before, step {}", steps.0);
            cards.html += &played(&title, folder, earlier, pictures)?;
        }
        let title = match earlier {
            Some(_) => format!("after, step {}", steps.1),
            None => format!("step {}", steps.1),
        };
        cards.html += &played(&title, folder, episode, pictures)?;
        cards.html += "</div></article>";
    }
    Ok(cards)
}

fn state(episode: &EpisodeRecord) -> &'static str {
    if episode.success { "solved" } else { "failed" }
}

/// Whether the episode succeeded.
pub(super) fn badge(episode: &EpisodeRecord) -> String {
    let state = state(episode);
    format!("<span class=\"badge {state}\">{state}</span>")
}

/// A claim that is not what the device says.
pub(super) fn claim(episode: &EpisodeRecord) -> &'static str {
    match (episode.claimed, episode.success) {
        (Some(true), false) => "<span class=\"badge false\">claimed success</span>",
        (Some(false), true) => "<span class=\"badge false\">claimed failure</span>",
        _ => "",
    }
}

/// How an episode went, in a few words.
pub(super) fn meta(episode: &EpisodeRecord) -> String {
    let ending = match episode.ending {
        Ending::Reported => "reported its end",
        Ending::MaxTurns => "ran out of turns",
        Ending::MaxTokens => "ran out of context",
        Ending::MaxTime => "ran out of time",
        Ending::Fault => "lost to a fault",
    };
    let turns = episode.turns.len();
    let plural = if turns == 1 { "" } else { "s" };
    format!("{turns} turn{plural} · {ending} · reward {}", episode.reward)
}

/// One playing of an instance: how it ended, why it failed, its turns, and the screen after the last action.
pub(super) fn played(
    title: &str,
    folder: &Path,
    episode: &EpisodeRecord,
    pictures: &mut Pictures,
) -> Result<String, ReportError> {
    let mut html = format!(
        "<section class=\"played {}\"><h4>{}{}</h4><p class=\"meta\">{}</p>{}<div class=\"turns\">",
        state(episode),
        escape(title),
        badge(episode),
        escape(&meta(episode)),
        why(episode),
    );
    let mut row = 0;
    for (number, turn) in episode.turns.iter().enumerate() {
        let cut = std::mem::replace(&mut row, turn.row) < turn.row;
        let alt = format!("Screen before: {}", turn.summary);
        let picture = picture(folder, turn.screenshot.as_deref(), &turn.points, &alt, pictures)?;
        let reported = episode.ending == Ending::Reported && number + 1 == episode.turns.len();
        let _ = write!(
            html,
            "<figure class=\"turn\">{picture}<figcaption><span class=\"number\">{}</span>{}{}{}{}</figcaption></figure>",
            number + 1,
            escape(&turn.summary),
            if cut {
                "<span class=\"final\">from here on without the older screenshots</span>"
            } else {
                ""
            },
            if reported && episode.last_screenshot.is_none() {
                "<span class=\"final\">the screen at the end</span>"
            } else {
                ""
            },
            details(turn),
        );
    }
    if let Some(name) = &episode.last_screenshot {
        let picture = picture(folder, Some(name), &[], "Screen after the last action", pictures)?;
        let _ = write!(
            html,
            "<figure class=\"turn last\">{picture}<figcaption><span class=\"final\">the screen at the end, after the \
             last action</span></figcaption></figure>"
        );
    }
    Ok(html + "</div></section>")
}

/// What went wrong in a turn, and the reply itself.
fn details(turn: &TurnRecord) -> String {
    let mut html = String::new();
    if let Some(error) = &turn.error {
        let _ = write!(html, "<span class=\"error\">{}</span>", escape(error));
    }
    if turn.truncated {
        html += "<span class=\"error\">the reply was cut off</span>";
    }
    let reply = escape(turn.reply.trim());
    let _ = write!(html, "<details><summary>reply</summary><pre>{reply}</pre></details>");
    html
}

/// Why an episode failed, each check with what it expected and found; and what it changed without being asked.
fn why(episode: &EpisodeRecord) -> String {
    let changed = episode.side_effects.iter().flatten();
    let changed: String = changed
        .map(|line| {
            format!(
                "<li class=\"broken\"><b>not asked for</b> <code>{}</code></li>",
                escape(line)
            )
        })
        .collect();
    let failed = !episode.success && !episode.checks.is_empty();
    if !failed && changed.is_empty() {
        return String::new();
    }
    if !failed {
        return format!("<ul class=\"why\">{changed}</ul>");
    }
    let mut html = "<ul class=\"why\">".to_owned();
    for check in &episode.checks {
        let (class, word) = if check.held {
            ("held", "held")
        } else {
            ("broken", "not met")
        };
        let found = if check.found.is_empty() {
            "nothing".to_owned()
        } else {
            format!("<code>{}</code>", escape(&check.found))
        };
        let _ = write!(
            html,
            "<li class=\"{class}\"><b>{word}</b> <code>{}</code>: expected <code>{}</code>, found {found}</li>",
            escape(&check.check),
            escape(&check.expected),
        );
    }
    html + &changed + "</ul>"
}

/// A screenshot with the touch drawn on it.
fn picture(
    folder: &Path,
    name: Option<&str>,
    points: &[(f64, f64)],
    alt: &str,
    pictures: &mut Pictures,
) -> Result<String, ReportError> {
    let Some(name) = name else {
        return Ok("<div class=\"blank\">no screenshot</div>".into());
    };
    let path = folder.join(name);
    let bytes = load_picture(&pictures.run_dir, folder, name)?;
    let Some((width, height)) = image_size(&bytes) else {
        return Err(ReportError::Record {
            path,
            message: "not a PNG or JPEG".into(),
        });
    };
    if bytes.len() > pictures.room {
        pictures.left_out += 1;
        return Ok("<div class=\"blank\">screenshot left out</div>".into());
    }
    pictures.room -= bytes.len();
    Ok(format!(
        "<div class=\"screen\"><img loading=\"lazy\" width=\"{width}\" height=\"{height}\" alt=\"{}\" src=\"{}\">\
         <svg viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">{}</svg></div>",
        escape(alt),
        data_uri(&bytes),
        touch(points, f64::from(width))
    ))
}

fn touch(points: &[(f64, f64)], width: f64) -> String {
    let radius = width * 0.055;
    let stroke = width * 0.016;
    match points {
        [] => String::new(),
        [(x, y)] => format!(
            "<circle class=\"halo\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" stroke-width=\"{:.1}\"/>\
             <circle class=\"tap\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" stroke-width=\"{stroke:.1}\"/>",
            2.0 * stroke
        ),
        [(x1, y1), .., (x2, y2)] => {
            let length = (x2 - x1).hypot(y2 - y1).max(1.0);
            let (dx, dy) = ((x2 - x1) / length * radius, (y2 - y1) / length * radius);
            let head = format!(
                "M{:.1} {:.1}L{x2:.1} {y2:.1}L{:.1} {:.1}",
                x2 - dx - 0.6 * dy,
                y2 - dy + 0.6 * dx,
                x2 - dx + 0.6 * dy,
                y2 - dy - 0.6 * dx
            );
            let line = format!("M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}{head}");
            format!(
                "<path class=\"halo\" d=\"{line}\" stroke-width=\"{:.1}\"/>\
                 <path class=\"swipe\" d=\"{line}\" stroke-width=\"{:.1}\"/>\
                 <circle class=\"start\" cx=\"{x1:.1}\" cy=\"{y1:.1}\" r=\"{:.1}\"/>",
                2.4 * stroke,
                1.2 * stroke,
                0.4 * radius
            )
        }
    }
}
