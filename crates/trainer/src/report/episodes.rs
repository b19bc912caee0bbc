//! Cards of episodes: each turn's screenshot with the tap or swipe drawn on it, and what was replied.

use super::html::{data_uri, escape, image_size};
use super::record::{EpisodeRecord, TurnRecord};
use super::write::{ReportError, io};
use cua_grpo_core::Ending;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Pictures beyond this many bytes are left out, and counted.
const IMAGE_BUDGET: usize = 48 << 20;

/// The cards of one evaluation.
pub(super) struct Cards {
    /// HTML.
    pub(super) html: String,
    /// Episodes that succeeded.
    pub(super) solved: usize,
    /// Episodes that succeeded and did not before training.
    pub(super) new: usize,
    /// Pictures left out for want of room.
    pub(super) left_out: usize,
}

/// Renders `episodes`; `before` has the outcome of each task at the first evaluation.
pub(super) fn cards(
    episodes: &[(PathBuf, EpisodeRecord)],
    before: &BTreeMap<String, bool>,
) -> Result<Cards, ReportError> {
    let mut cards = Cards {
        html: String::new(),
        solved: 0,
        new: 0,
        left_out: 0,
    };
    let mut budget = IMAGE_BUDGET;
    for (folder, episode) in episodes {
        let new = episode.success && before.get(&episode.task) == Some(&false);
        cards.solved += usize::from(episode.success);
        cards.new += usize::from(new);
        let state = if episode.success { "solved" } else { "failed" };
        let _ = write!(
            cards.html,
            "<article class=\"episode\" data-state=\"{state}\" data-new=\"{new}\"><header>\
             <span class=\"badge {state}\">{state}</span>{}{}<h3>{}</h3><p class=\"meta\">{}</p></header>\
             <div class=\"turns\">",
            if new {
                "<span class=\"badge new\">newly solved</span>"
            } else {
                ""
            },
            claim(episode),
            escape(&episode.instruction),
            escape(&meta(episode)),
        );
        for (number, turn) in episode.turns.iter().enumerate() {
            let picture = picture(folder, turn, &mut budget, &mut cards.left_out)?;
            let _ = write!(cards.html, "<figure class=\"turn\">{picture}<figcaption>");
            let _ = write!(
                cards.html,
                "<span class=\"number\">{}</span>{}",
                number + 1,
                escape(&turn.summary)
            );
            if let Some(error) = &turn.error {
                let _ = write!(cards.html, "<span class=\"error\">{}</span>", escape(error));
            }
            let reply = escape(turn.reply.trim());
            let _ = write!(
                cards.html,
                "<details><summary>reply</summary><pre>{reply}</pre></details></figcaption></figure>"
            );
        }
        cards.html += "</div></article>";
    }
    Ok(cards)
}

fn claim(episode: &EpisodeRecord) -> &'static str {
    match (episode.claimed, episode.success) {
        (Some(true), false) => "<span class=\"badge false\">claimed success</span>",
        (Some(false), true) => "<span class=\"badge false\">claimed failure</span>",
        _ => "",
    }
}

fn meta(episode: &EpisodeRecord) -> String {
    let ending = match episode.ending {
        Ending::Reported => "reported its end",
        Ending::MaxTurns => "ran out of turns",
        Ending::MaxTokens => "ran out of context",
        Ending::Fault => "lost to a fault",
    };
    let turns = episode.turns.len();
    let plural = if turns == 1 { "" } else { "s" };
    format!(
        "{} · {turns} turn{plural} · {ending} · reward {}",
        episode.task, episode.reward
    )
}

/// The screenshot with the touch drawn on it.
fn picture(folder: &Path, turn: &TurnRecord, budget: &mut usize, left_out: &mut usize) -> Result<String, ReportError> {
    let Some(name) = &turn.screenshot else {
        return Ok("<div class=\"blank\">no screenshot</div>".into());
    };
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(io("read", &path))?;
    let Some((width, height)) = image_size(&bytes) else {
        return Err(ReportError::Record {
            path,
            message: "not a PNG or JPEG".into(),
        });
    };
    if bytes.len() > *budget {
        *left_out += 1;
        return Ok("<div class=\"blank\">screenshot left out</div>".into());
    }
    *budget -= bytes.len();
    let alt = format!("Screen before: {}", turn.summary);
    Ok(format!(
        "<div class=\"screen\"><img loading=\"lazy\" width=\"{width}\" height=\"{height}\" alt=\"{}\" src=\"{}\">\
         <svg viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">{}</svg></div>",
        escape(&alt),
        data_uri(&bytes),
        touch(&turn.points, f64::from(width))
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
