//! Draws a contact sheet of screens: `cargo run -p cua-grpo-sim --example screens -- sheet.png`.

use cua_grpo_sim::{Key, NodeKind, Phone};
use image::{RgbImage, imageops};

fn tap(phone: &mut Phone, label: &str) {
    let node = phone
        .nodes()
        .into_iter()
        .find(|node| node.label == label && node.kind != NodeKind::Title);
    if let Some((x, y)) = node.map(|node| node.bounds.centre()) {
        phone.tap(f64::from(x), f64::from(y));
    }
}

/// Touches each label in turn on a phone that has been brought home and greeted.
fn screen(seed: u64, path: &[&str]) -> RgbImage {
    let mut phone = Phone::new(seed);
    if path.first() != Some(&"as born") {
        phone.key(Key::Back);
        phone.key(Key::Home);
        phone.key(Key::Home);
    }
    for label in path {
        match *label {
            "swipe" => phone.swipe((160.0, 200.0), (20.0, 200.0)),
            "scroll" => phone.scroll(96.0, 200.0, 0.0, 300.0),
            "type" => phone.type_text("Buy milk and bread today", false),
            label if !phone.nodes().iter().any(|node| node.label == label) => {
                phone.swipe((160.0, 200.0), (20.0, 200.0));
                phone.scroll(96.0, 200.0, 0.0, 300.0);
                tap(&mut phone, label);
            }
            label => tap(&mut phone, label),
        }
    }
    phone.render()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args()
        .nth(1)
        .ok_or("give the name of the file to write, e.g. sheet.png")?;
    let greeted = (0..)
        .find(|&seed| Phone::new(seed).startup().is_some())
        .unwrap_or_default();
    let shots: [(u64, &[&str]); 18] = [
        (1, &[]),
        (2, &["swipe"]),
        (3, &["as born"]),
        (greeted, &["as born"]),
        (1, &["Settings"]),
        (2, &["Settings", "scroll"]),
        (3, &["Settings", "Network & internet"]),
        (4, &["Settings", "Network & internet"]),
        (5, &["Settings", "Display"]),
        (6, &["Settings", "Display", "Screen timeout"]),
        (7, &["Settings", "Sound"]),
        (8, &["Settings", "Battery"]),
        (9, &["Settings", "Location"]),
        (10, &["Settings", "About"]),
        (11, &["Clock"]),
        (12, &["Notes"]),
        (13, &["Notes", "New note", "type"]),
        (14, &["Maps"]),
    ];
    let (width, height, columns) = (200, 392, 6);
    let rows = shots.len().div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(
        width * columns as u32,
        height * rows as u32,
        image::Rgb([128, 128, 128]),
    );
    for (index, (seed, path)) in shots.into_iter().enumerate() {
        let (x, y) = (
            (index % columns) as i64 * i64::from(width),
            (index / columns) as i64 * i64::from(height),
        );
        imageops::replace(&mut sheet, &screen(seed, path), x, y);
    }
    sheet.save(file)?;
    Ok(())
}
