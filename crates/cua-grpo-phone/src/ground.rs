//! Grounding: from a description in words to the point on the screen that it means.

use crate::{
    phone::Phone,
    state::{Display, LAUNCHER},
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
    /// Its number among the nodes.
    index: usize,
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
                    index: owner,
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
        let index = self.found(&scene, description)?;
        Some(scene.nodes[index].rect.center())
    }

    /// Whether something on the screen is called exactly so, capitals and signs aside.
    pub fn shows(&self, name: &str) -> bool {
        let (scene, wanted) = (self.scene(), words(name));
        let front = scene.nodes.get(scene.modal..).unwrap_or_default();
        let is = |text: &str| !text.is_empty() && words(text) == wanted;
        front.iter().any(|node| is(&node.text) || is(&node.desc))
    }

    /// Whether what a description means is on, and where a touch turns it over: the middle of its own switch, if a touch
    /// beside that does something else. `None` where it is not on the screen, or nothing that is on or off.
    pub fn switch(&self, description: &str) -> Option<(bool, (f32, f32))> {
        let scene = self.scene();
        let target = self.found(&scene, description)?;
        let within = |index: usize| {
            let mut up = Some(index);
            while let Some(at) = up {
                if at == target {
                    return true;
                }
                up = scene.nodes[at].parent;
            }
            // Switches stand beside what they are for, in one row.
            let (own, row) = (scene.nodes[index].rect.center(), scene.nodes[target].rect);
            (row.y..row.bottom()).contains(&own.1)
        };
        let own = |index: &usize| scene.nodes[*index].checkable && within(*index);
        let index = Some(target)
            .filter(own)
            .or_else(|| (scene.modal..scene.nodes.len()).find(own))?;
        let node = &scene.nodes[index];
        let touched = if node.clickable() { index } else { target };
        Some((node.checked, scene.nodes[touched].rect.center()))
    }

    /// Where a slider is that a description means: left and right end, and its height on the screen.
    pub fn slider(&self, description: &str) -> Option<(f32, f32, f32)> {
        let scene = self.scene();
        let node = &scene.nodes[self.found(&scene, description)?];
        node.slide.as_ref()?;
        Some((node.rect.x, node.rect.right(), node.rect.center().1))
    }

    /// Whether the list in front can be scrolled to what is above and below.
    pub fn can_scroll(&self) -> (bool, bool) {
        let scene = self.scene();
        let front = scene.nodes.get(scene.modal..).unwrap_or_default();
        let lists = front.iter().filter_map(|node| Some((node.rect, node.scroll.as_ref()?)));
        let largest = lists
            .filter(|(_, scroll)| scroll.max > 0.5)
            .max_by(|(a, _), (b, _)| (a.w * a.h).total_cmp(&(b.w * b.h)));
        largest.map_or((false, false), |(_, scroll)| {
            (scroll.offset > 0.5, scroll.offset < scroll.max - 0.5)
        })
    }

    fn found(&self, scene: &Scene, description: &str) -> Option<usize> {
        let Display { width, height, .. } = self.state().display;
        scene.found(description, (width, height))
    }
}

impl Scene {
    /// [`Phone::find`] on what a screen of so many pixels showed.
    pub fn find(&self, description: &str, size: (u32, u32)) -> Option<(f32, f32)> {
        Some(self.nodes[self.found(description, size)?].rect.center())
    }

    fn found(&self, description: &str, (width, height): (u32, u32)) -> Option<usize> {
        let (width, height) = (f64::from(width), f64::from(height));
        let all = words(description);
        let told: Vec<String> = all
            .iter()
            .filter(|word| !EMPTY.contains(&word.as_str()))
            .cloned()
            .collect();
        let mut best: Vec<(f64, &Node, usize)> = Vec::new();
        let targets = targets(self);
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
            best.push((score, target.node, target.index));
        }
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (score, node, index) = *best.first()?;
        let rivals = best.iter().skip(1).take_while(|(other, ..)| score - other < CLOSE);
        // Two icons of one app are the same too: the drawer shows apps that were used last a second time.
        let icon = |other: &Node| &*other.package == LAUNCHER && !node.text.is_empty() && other.text == node.text;
        let same = |other: &Node| other.rect.contains(node.rect.center().0, node.rect.center().1) || icon(other);
        if rivals.into_iter().any(|(_, other, _)| !same(other)) {
            return None;
        }
        Some(index)
    }
}
