//! Grounding: from a description in words to the point on the screen that it means.

use crate::{
    phone::Phone,
    ui::{Node, Scene},
};
use std::collections::BTreeSet;

/// Words that tell nothing by themselves.
const EMPTY: [&str; 14] = [
    "the", "a", "an", "of", "to", "for", "in", "on", "at", "with", "labeled", "labelled", "named", "app",
];
/// The least score that counts as found: half of the words are shared.
const ENOUGH: f64 = 0.5;
/// Scores that are closer than this are the same.
const CLOSE: f64 = 0.02;

/// What a word says of the kind of thing that is meant.
fn is_kind(node: &Node, word: &str) -> Option<bool> {
    let class = node.class;
    Some(match word {
        "switch" | "toggle" => class.ends_with("Switch") || class.ends_with("CompoundButton"),
        "checkbox" => class.ends_with("CheckBox"),
        "radio" => class.ends_with("RadioButton") || class.ends_with("CheckedTextView"),
        "button" => class.contains("Button"),
        "key" => class.ends_with("Key"),
        "slider" | "seekbar" => class.ends_with("SeekBar"),
        "field" | "input" | "textbox" | "box" | "bar" => class.ends_with("EditText"),
        "icon" | "image" => class.contains("Image") || node.desc == node.text,
        "tab" | "tile" | "row" | "item" | "option" | "entry" => node.clickable(),
        _ => return None,
    })
}

/// Where a word says that it is: how far a point lies there, from 0 to 1.
fn is_there(word: &str, x: f64, y: f64) -> Option<f64> {
    Some(match word {
        "top" | "upper" | "first" => 1.0 - y,
        "bottom" | "lower" | "last" => y,
        "left" => 1.0 - x,
        "right" => x,
        "center" | "middle" | "centre" => 1.0 - (x - 0.5).abs() - (y - 0.5).abs(),
        _ => return None,
    })
}

/// Lower-case words; a hyphen joins, so that `Wi-Fi` is one word.
fn words(text: &str) -> Vec<String> {
    let joined = text.to_lowercase().replace(['-', '\u{2019}', '\''], "");
    let split = joined.split(|letter: char| !(letter.is_alphanumeric() || "+%?!\u{d7}\u{f7}".contains(letter)));
    split.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Twice the shared words over the words of both. Two words of the description may be one of the label: `wi fi`.
fn overlap(label: &BTreeSet<String>, wanted: &[String]) -> f64 {
    let mut left: BTreeSet<&String> = label.iter().collect();
    let (mut shared, mut index) = (0.0, 0);
    while let Some(word) = wanted.get(index) {
        let pair = wanted.get(index + 1).map(|next| format!("{word}{next}"));
        if left.remove(word) {
            shared += 1.0;
        } else if pair.is_some_and(|pair| left.remove(&pair)) {
            shared += 1.5;
            index += 1;
        }
        index += 1;
    }
    let total = label.len() + wanted.len();
    if total == 0 { 0.0 } else { 2.0 * shared / total as f64 }
}

/// What can be touched, with the texts that stand for it: its own, then its children's.
struct Target<'a> {
    node: &'a Node,
    texts: Vec<&'a str>,
}

fn targets(scene: &Scene) -> Vec<Target<'_>> {
    let live = |node: &Node| !node.disabled && (node.clickable() || node.slide.is_some() || node.long.is_some());
    let mut owners: Vec<Option<usize>> = vec![None; scene.nodes.len()];
    let mut list: Vec<Target> = Vec::new();
    let mut place: Vec<Option<usize>> = vec![None; scene.nodes.len()];
    for (index, node) in scene.nodes.iter().enumerate() {
        owners[index] = if live(node) {
            Some(index)
        } else {
            node.parent.and_then(|parent| owners[parent])
        };
        if index < scene.modal {
            continue;
        }
        let own = [node.text.as_str(), node.desc.as_str()];
        let texts = own.into_iter().filter(|text| !text.is_empty());
        // A text that belongs to nothing can be touched all the same.
        let owner = owners[index].filter(|owner| *owner >= scene.modal).unwrap_or(index);
        // What covers the whole screen takes touches beside things; it is never meant.
        let first = scene.nodes.first().map_or(0.0, |node| node.rect.h);
        let owner = if scene.nodes[owner].rect.h >= first * 0.95 && owner != index {
            index
        } else {
            owner
        };
        match place[owner] {
            Some(known) => list[known].texts.extend(texts),
            None => {
                place[owner] = Some(list.len());
                list.push(Target {
                    node: &scene.nodes[owner],
                    texts: texts.collect(),
                });
            }
        }
    }
    list
}

impl Phone {
    /// Where something is that is described in words, e.g. `the Wi-Fi switch`, in pixels: the middle of what a touch
    /// there reaches.
    ///
    /// `None` where nothing on the screen fits, or several things fit equally well.
    pub fn find(&self, description: &str) -> Option<(f32, f32)> {
        let scene = self.scene();
        let (width, height) = (
            f64::from(self.state().display.width),
            f64::from(self.state().display.height),
        );
        let all = words(description);
        let told: Vec<String> = all
            .iter()
            .filter(|word| !EMPTY.contains(&word.as_str()))
            .cloned()
            .collect();
        let mut best: Vec<(f64, &Node)> = Vec::new();
        let targets = targets(&scene);
        for target in &targets {
            let (x, y) = target.node.rect.center();
            let (x, y) = (f64::from(x) / width, f64::from(y) / height);
            let score = target.texts.iter().enumerate().map(|(index, text)| {
                let label: BTreeSet<String> = words(text).into_iter().collect();
                // Words of kind and place count as such only where the label does not have them itself.
                let plain = |word: &&String| {
                    label.contains(*word) || (is_kind(target.node, word).is_none() && is_there(word, x, y).is_none())
                };
                let wanted: Vec<String> = told.iter().filter(plain).cloned().collect();
                let label: BTreeSet<String> = label
                    .into_iter()
                    .filter(|word| !EMPTY.contains(&word.as_str()))
                    .collect();
                // A summary stands for its row less than the title does.
                overlap(&label, &wanted) * if index == 0 { 1.0 } else { 0.9 }
            });
            let mut score = score.fold(0.0, f64::max);
            if score < ENOUGH {
                continue;
            }
            for word in &told {
                let kind = is_kind(target.node, word).map_or(0.0, |fits| if fits { 0.06 } else { -0.03 });
                score += kind + is_there(word, x, y).unwrap_or(0.0) * 0.05;
            }
            score += if target.node.clickable() || target.node.slide.is_some() {
                0.04
            } else {
                0.0
            };
            best.push((score, target.node));
        }
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (score, node) = *best.first()?;
        let rivals = best.iter().skip(1).take_while(|(other, _)| score - other < CLOSE);
        let same = |other: &Node| other.rect.contains(node.rect.center().0, node.rect.center().1);
        if rivals.into_iter().any(|(_, other)| !same(other)) {
            return None;
        }
        Some(node.rect.center())
    }
}
