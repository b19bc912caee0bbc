//! Training episodes: what the policy replied while it learnt, a few of the steps of the run.

use crate::episodes::{OfRun, Pictures, badge, claim, others, played};
use crate::error::ReportError;
use crate::html::escape;
use cua_grpo_train::episodes::Saved;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Most steps that are shown.
const STEPS: usize = 12;
/// Bytes of pictures.
const ROOM: usize = 16 << 20;

/// The section of training episodes; `steps` are those of the metrics: folders of others belong to another timeline.
pub(super) fn training(run: &OfRun<'_>, steps: &BTreeSet<usize>) -> Result<String, ReportError> {
    let folders = Saved::Train.folders(run.path);
    let folders: Vec<usize> = folders
        .into_iter()
        .map(|(step, _)| step)
        .filter(|step| steps.contains(step))
        .collect();
    if folders.is_empty() {
        return Ok(
            "<p class=\"empty\">No training episodes were saved (key <code>save_train_episodes</code>).</p>".into(),
        );
    }
    let saved = folders.len();
    let shown: Vec<_> = spread(saved, STEPS).into_iter().map(|index| folders[index]).collect();
    let mut html = format!(
        "<p class=\"lead\">Of each step the episode with the largest advantage; {} of {saved} steps are shown, all are in \
         <code>episodes/</code>.</p>",
        shown.len()
    );
    let mut pictures = Pictures::new(run.path, ROOM);
    let (mut cards, mut strangers) = (String::new(), 0);
    for step in shown {
        let found = run.load(Saved::Train, step)?;
        strangers += found.others;
        for (folder, episode) in found.own {
            let advantage = match episode.advantage {
                Some(advantage) => format!("advantage {advantage:+.2}"),
                None => "not trained on".to_owned(),
            };
            let _ = write!(
                cards,
                "<details class=\"episode sample\"><summary><b>step {step}</b> {}{} <span>{}</span> <small>{} · \
                 {advantage}</small></summary>{}</details>",
                badge(&episode),
                claim(&episode),
                escape(&episode.instruction),
                escape(&episode.task),
                played("as sampled", &folder, &episode, &mut pictures)?
            );
        }
    }
    html += &others(strangers);
    html += &pictures.note();
    Ok(html + &cards)
}

/// Up to `most` of the numbers below `count`, evenly spread, the first and the last among them.
fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|index| index * (count - 1) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_holds_both_ends_and_no_number_twice() {
        assert_eq!(spread(3, 12), [0, 1, 2]);
        assert_eq!(spread(12, 12).len(), 12);
        for count in [13, 40, 200] {
            let numbers = spread(count, 12);
            assert_eq!((numbers.len(), numbers[0], numbers[11]), (12, 0, count - 1));
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        }
    }
}
