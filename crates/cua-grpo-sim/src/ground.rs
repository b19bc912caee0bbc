//! Grounding: from a description in words to a point on the screen.

use crate::{
    phone::Phone,
    widget::{NodeKind, UiNode},
};
use std::collections::BTreeSet;

/// Words that say what sort of thing is meant, or where, but not which one.
const STOP_WORDS: [&str; 20] = [
    "button",
    "icon",
    "switch",
    "toggle",
    "row",
    "app",
    "option",
    "item",
    "label",
    "color",
    "colour",
    "location:",
    "shape",
    "size",
    "the",
    "at",
    "in",
    "of",
    "to",
    "on",
];
/// The word that stands for the dialog shown, as in `dialog button`.
const DIALOG: &str = "dialog";
/// The least overlap (twice the shared words, over the words of both) that counts as found.
const ENOUGH: f64 = 0.5;

/// Lower-case words; hyphens join, so that `Wi-Fi` is one word.
fn words(text: &str) -> Vec<String> {
    let joined = text.to_lowercase().replace('-', "");
    let split = joined.split(|letter: char| !(letter.is_alphanumeric() || letter == ':'));
    split.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn description_words(text: &str) -> (BTreeSet<String>, Vec<String>) {
    let all = words(text);
    let pairs = all.windows(2).map(|pair| pair.concat()).collect();
    let telling: BTreeSet<String> = all
        .iter()
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .cloned()
        .collect();
    if telling.is_empty() {
        (all.into_iter().collect(), pairs)
    } else {
        (telling, pairs)
    }
}

fn overlap(label: &str, description: &BTreeSet<String>, pairs: &[String]) -> f64 {
    let all: BTreeSet<String> = words(label).into_iter().collect();
    let telling: BTreeSet<String> = all
        .iter()
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .cloned()
        .collect();
    let label = if telling.is_empty() { all } else { telling };
    if label.is_empty() || description.is_empty() {
        return 0.0;
    }
    let direct = label.intersection(description).count();
    // `wi fi` and `auto rotate` are written apart by some; each such pair stands for one word.
    let apart = label
        .iter()
        .filter(|word| !description.contains(*word) && pairs.contains(word))
        .count();
    2.0 * (direct + apart) as f64 / (label.len() + description.len() - apart) as f64
}

/// The node that a description means: the one whose label shares most words with it, interactive ones first.
///
/// `None` when nothing is close enough or several are equally close.
pub(crate) fn find<'a>(nodes: &'a [UiNode], description: &str) -> Option<&'a UiNode> {
    let (telling, pairs) = description_words(description);
    if telling.iter().map(String::as_str).eq([DIALOG]) {
        // A dialog's button, whatever is written on it.
        let mut buttons = nodes.iter().filter(|node| node.kind == NodeKind::Button);
        return buttons.next().filter(|_| buttons.next().is_none());
    }
    let mut best: Option<(&UiNode, f64)> = None;
    let mut tied = false;
    for node in nodes {
        let share = overlap(&node.label, &telling, &pairs);
        // Interactive nodes win ties against text; the keyboard is meant only when it is named in full.
        let bonus = match node.kind {
            NodeKind::Key if share < 1.0 => continue,
            kind if kind.is_interactive() => 0.01,
            _ => 0.0,
        };
        let (score, enough) = (share + bonus, share >= ENOUGH);
        match best {
            _ if !enough => {}
            Some((_, top)) if score < top => {}
            Some((_, top)) if score == top => tied = true,
            _ => (best, tied) = (Some((node, score)), false),
        }
    }
    best.filter(|_| !tied).map(|(node, _)| node)
}

impl Phone {
    /// The point that a description such as `Wi-Fi` or `the Bluetooth switch` means on the screen shown now.
    ///
    /// Matching ignores case and compares words with the labels of [`Phone::nodes`]. `None` when the thing is unknown,
    /// not visible, or several things fit equally well.
    pub fn resolve(&self, description: &str) -> Option<(i32, i32)> {
        find(&self.nodes(), description).map(|node| node.bounds.centre())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::Rect;

    fn screen(labels: &[(&str, NodeKind)]) -> Vec<UiNode> {
        let node = |(index, &(label, kind)): (usize, &(&str, NodeKind))| UiNode {
            label: label.to_owned(),
            kind,
            bounds: Rect::new(0, 32 * index as i32, 192, 32),
            checked: None,
        };
        labels.iter().enumerate().map(node).collect()
    }

    #[test]
    fn a_dialog_button_is_found_without_reading_it() {
        let dialog = screen(&[("Storage is full", NodeKind::Text), ("Dismiss", NodeKind::Button)]);
        assert_eq!(
            find(&dialog, "dialog button").map(|node| node.label.as_str()),
            Some("Dismiss")
        );
        assert!(find(&screen(&[("Wi-Fi", NodeKind::Switch)]), "dialog button").is_none());
        let two = screen(&[("Yes", NodeKind::Button), ("No", NodeKind::Button)]);
        assert!(find(&two, "dialog button").is_none(), "which of two is not said");
    }

    #[test]
    fn descriptions_find_the_row_that_a_person_would_take() {
        let nodes = screen(&[
            ("Network & internet", NodeKind::Title),
            ("Wi-Fi", NodeKind::Switch),
            ("Airplane mode", NodeKind::Switch),
            ("Mobile data", NodeKind::Switch),
            ("Auto-rotate", NodeKind::Switch),
            ("1 minute", NodeKind::Radio),
            ("10 minutes", NodeKind::Radio),
            ("2 minutes", NodeKind::Radio),
            ("07:30", NodeKind::Switch),
            ("Brightness", NodeKind::Text),
            ("Brightness slider low", NodeKind::Slider),
            ("Brightness slider high", NodeKind::Slider),
        ]);
        let table = [
            ("Wi-Fi", Some(1)),
            ("wifi", Some(1)),
            ("the wi fi switch", Some(1)),
            ("Airplane mode toggle", Some(2)),
            ("airplane", Some(2)),
            ("mobile data, color blue", Some(3)),
            ("auto rotate", Some(4)),
            ("1 minute", Some(5)),
            ("10 minutes option", Some(6)),
            ("minutes", None),
            ("07:30", Some(8)),
            ("brightness", Some(9)),
            ("brightness slider low", Some(10)),
            ("brightness slider", None),
            ("network", Some(0)),
            ("Bluetooth", None),
            ("", None),
            ("the switch", None),
        ];
        for (description, row) in table {
            let found = find(&nodes, description).map(|node| node.bounds.y / 32);
            assert_eq!(found, row, "{description:?}");
        }
    }

    #[test]
    fn interactive_things_win_against_text_of_the_same_name() {
        let nodes = screen(&[("Location", NodeKind::Title), ("Location", NodeKind::Row)]);
        assert_eq!(find(&nodes, "location").map(|node| node.kind), Some(NodeKind::Row));
    }
}
