//! Characters beyond the embedded fonts are drawn by fonts that are added.

use cua_grpo_phone::{
    Phone,
    draw::text::{FontError, add_font},
    state::{Display, data::Note},
};

/// The picture of a phone whose only note is this text.
fn picture(text: &str) -> Vec<u8> {
    let mut phone = Phone::new(1, Display::HALF);
    phone.state_mut().notes = vec![Note {
        id: 1,
        title: text.to_owned(),
        ..Note::default()
    }];
    phone.state_mut().launch("com.google.android.keep");
    phone.frame().rgba.to_vec()
}

#[test]
fn a_font_for_chinese_can_be_added() {
    assert_eq!(add_font(b"no font".to_vec()), Err(FontError));
    // Without it all four are the sign for what is missing.
    let (first, second) = (picture("\u{4e2d}\u{6587}"), picture("\u{8bbe}\u{7f6e}"));
    assert!(first == second);
    add_font(include_bytes!("fonts/NotoSansSC-four.ttf").to_vec()).expect("it is a font");
    let (now, other) = (picture("\u{4e2d}\u{6587}"), picture("\u{8bbe}\u{7f6e}"));
    assert!(now != first && now != other);
}
