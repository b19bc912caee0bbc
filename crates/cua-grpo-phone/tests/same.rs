//! Equal seeds and actions give equal bytes; a fork is exact; nothing panics.

use cua_grpo_phone::{Key, Phone, draw::icons, draw::paint::Paint, state::Display, xml};

/// A small generator for actions.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Does something at random: mostly touches of what is there.
fn act(phone: &mut Phone, dice: &mut Dice) {
    const KEYS: [Key; 14] = [
        Key::Back,
        Key::Back,
        Key::Home,
        Key::Overview,
        Key::Power,
        Key::VolumeUp,
        Key::Enter,
        Key::Backspace,
        Key::Tab,
        Key::Paste,
        Key::Copy,
        Key::Notifications,
        Key::Left,
        Key::Char('q'),
    ];
    const APPS: [&str; 6] = [
        "settings",
        "google.android.deskclock",
        "google.android.keep",
        "google.android.calendar",
        "google.android.contacts",
        "chrome",
    ];
    let (w, h) = (phone.state().display.width as u64, phone.state().display.height as u64);
    let point = |dice: &mut Dice| (dice.below(w) as f32, dice.below(h) as f32);
    match dice.below(20) {
        0..10 => {
            let nodes = phone.nodes();
            let live: Vec<_> = nodes
                .iter()
                .filter(|node| node.clickable() || node.slide.is_some())
                .collect();
            let place = if live.is_empty() {
                point(dice)
            } else {
                live[dice.below(live.len() as u64) as usize].rect.center()
            };
            phone.tap(place.0, place.1);
        }
        10 | 11 => {
            let (x, y) = point(dice);
            phone.tap(x, y);
        }
        12 => {
            let (x, y) = point(dice);
            phone.long_press(x, y);
        }
        13..16 => {
            let (from, to) = (point(dice), point(dice));
            phone.swipe(from, to, 100 + dice.below(900) as i64);
        }
        16 => phone.key(KEYS[dice.below(KEYS.len() as u64) as usize]),
        17 => drop(phone.type_text("Ab 12\u{e9}", dice.below(2) == 0)),
        18 => phone.advance(dice.below(4000) as i64),
        _ => {
            let app = APPS[dice.below(APPS.len() as u64) as usize];
            phone.shell(&format!("monkey -p com.{app} -c android.intent.category.LAUNCHER 1"));
        }
    }
    if !phone.state().awake {
        phone.key(Key::Wake);
    }
}

#[test]
fn equal_seeds_and_actions_give_equal_bytes() {
    let play = |seed: u64| {
        let mut phone = Phone::new(seed, Display::HALF);
        let mut dice = Dice(seed + 1);
        let mut frames = Vec::new();
        for step in 0..60 {
            act(&mut phone, &mut dice);
            if step % 20 == 19 {
                frames.push(phone.frame());
            }
        }
        (frames, phone.state().hash())
    };
    let (first, second, other) = (play(4), play(4), play(5));
    assert_eq!(first.1, second.1);
    assert!(first.0 == second.0, "equal actions drew other pixels");
    assert_ne!(first.1, other.1);
}

#[test]
fn a_fork_goes_on_exactly_and_alone() {
    let mut phone = Phone::new(9, Display::HALF);
    let mut dice = Dice(3);
    (0..40).for_each(|_| act(&mut phone, &mut dice));
    let before = phone.state().clone();
    let mut fork = phone.fork();
    let rest = dice.0;
    (0..40).for_each(|_| act(&mut phone, &mut dice));
    assert_eq!(*fork.state(), before, "what the phone does changes no fork");
    let mut again = Dice(rest);
    (0..40).for_each(|_| act(&mut fork, &mut again));
    assert_eq!(fork.state().hash(), phone.state().hash());
    assert!(fork.frame() == phone.frame());
}

#[test]
fn random_touches_never_panic_and_draw_known_icons() {
    // CUA_MONKEYS=200 plays more of them.
    let monkeys = std::env::var("CUA_MONKEYS").ok().and_then(|count| count.parse().ok());
    for seed in 0..monkeys.unwrap_or(6) {
        let mut phone = Phone::new(seed, Display::HALF);
        let mut dice = Dice(seed * 7 + 2);
        for step in 0..150 {
            act(&mut phone, &mut dice);
            let scene = phone.scene();
            for (_, paint) in &scene.paints {
                if let Paint::Icon { name, .. } = paint {
                    assert!(icons::icon(name).is_some(), "there is no icon {name:?}");
                }
            }
            assert!(scene.modal <= scene.nodes.len());
            if step % 30 == 0 {
                phone.frame();
                let text = xml::dump(phone.state(), &scene);
                assert_eq!(
                    text.matches("<node").count(),
                    text.matches("</node>").count() + text.matches(" />").count()
                );
            }
        }
    }
}

#[test]
fn an_unchanged_frame_is_the_same_picture() {
    let mut phone = Phone::new(1, Display::HALF);
    let first = phone.frame();
    assert!(std::sync::Arc::ptr_eq(&first.rgba, &phone.frame().rgba));
    // Time that changes nothing on the screen draws nothing anew either.
    phone.advance(10);
    assert!(std::sync::Arc::ptr_eq(&first.rgba, &phone.frame().rgba));
    phone.advance(60_000);
    assert!(
        !std::sync::Arc::ptr_eq(&first.rgba, &phone.frame().rgba),
        "the clock goes on"
    );
}

#[test]
fn boxes_that_are_touched_are_the_ones_that_are_drawn() {
    // Every switch that a list draws lies in the box of its node, to the pixel, at any size and density.
    for display in [
        Display::HALF,
        Display::PIXEL,
        Display {
            width: 720,
            height: 1280,
            density: 300,
        },
    ] {
        let mut phone = Phone::new(1, display);
        phone.shell("am start -a android.settings.DISPLAY_SETTINGS");
        let scene = phone.scene();
        let switches: Vec<_> = scene
            .nodes
            .iter()
            .filter(|node| node.class == "android.widget.Switch")
            // One that is half scrolled away has its middle elsewhere.
            .filter(|node| node.rect.bottom() < display.height as f32 - 25.0 * display.scale())
            .collect();
        assert!(!switches.is_empty());
        for node in switches {
            let drawn = scene.paints.iter().any(|(clip, paint)| match paint {
                Paint::Fill { rect, radii, .. } if radii[0] > 0.0 => {
                    let seen = rect.clip(clip.rect);
                    let (x, y) = (
                        seen.center().0 - node.rect.center().0,
                        seen.center().1 - node.rect.center().1,
                    );
                    x.abs() < 1.0 && y.abs() < 1.0
                }
                _ => false,
            });
            assert!(drawn, "{node:?} has no switch drawn in its middle");
            assert!(node.rect.right() <= display.width as f32 && node.rect.bottom() <= display.height as f32);
        }
    }
}
