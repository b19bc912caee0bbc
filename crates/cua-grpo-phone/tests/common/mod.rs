//! What tests of the phone share.

use cua_grpo_phone::Phone;

/// Taps what has exactly these words, in front.
#[track_caller]
pub fn tap(phone: &mut Phone, words: &str) {
    let scene = phone.scene();
    let found = scene.nodes[scene.modal..]
        .iter()
        .rev()
        .find(|node| (node.text == words || node.desc == words) && node.clickable());
    let (x, y) = found
        .unwrap_or_else(|| panic!("no {words:?} on the screen"))
        .rect
        .center();
    phone.tap(x, y);
}
