//! The phone itself: determinism, touches, dialogs, lists and text.
#![allow(clippy::unwrap_used)]

use cua_grpo_sim::{App, HEIGHT, Key, NodeKind, Page, Phone, ROW, Screen, TIMEOUTS, Toggle, VISIBLE_ROWS, WIDTH};
use std::time::Instant;

/// A phone brought home, its greeting dismissed.
fn fresh(seed: u64) -> Phone {
    let mut phone = Phone::new(seed);
    if phone.startup().is_some() {
        phone.key(Key::Back);
    }
    phone.key(Key::Home);
    phone
}

/// A phone that shows a page of the settings.
fn on_page(seed: u64, page: Page) -> Phone {
    let mut phone = fresh(seed);
    let output = phone.shell(&format!("am start -n 'com.android.settings/.{}'", page.activity()));
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    assert_eq!(phone.screen(), Screen::SettingsPage(page));
    phone
}

fn tap(phone: &mut Phone, description: &str) {
    let (x, y) = phone
        .resolve(description)
        .unwrap_or_else(|| panic!("{description} in {:?}", phone.nodes()));
    phone.tap(f64::from(x), f64::from(y));
}

#[test]
fn equal_seeds_and_actions_give_equal_pixels() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..40 {
        let (mut one, mut two) = (Phone::new(seed), Phone::new(seed));
        for step in 0..12_u64 {
            assert_eq!(one.screenshot_png().unwrap(), two.screenshot_png().unwrap());
            let (x, y) = ((step * 53 % 192) as f64, (step * 97 % 384) as f64);
            one.tap(x, y);
            two.tap(x, y);
        }
        seen.insert(Phone::new(seed).screenshot_png().unwrap());
    }
    assert!(
        seen.len() > 35,
        "only {} different first screens of 40 seeds",
        seen.len()
    );
}

#[test]
fn the_state_of_a_phone_tells_what_its_screen_does_not() {
    let (mut one, two) = (fresh(3), fresh(3));
    assert_eq!(one.state(), two.state());
    assert_ne!(one.state(), fresh(4).state());
    let output = one.shell("settings put system screen_off_timeout 123000");
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    assert_eq!(one.screenshot_png().unwrap(), two.screenshot_png().unwrap());
    assert_ne!(one.state(), two.state(), "a setting that the launcher does not show");
}

#[test]
fn the_picture_is_lossless_and_quick() {
    let phone = on_page(5, Page::Display);
    let png = phone.screenshot_png().unwrap();
    assert_eq!(image::load_from_memory(&png).unwrap().into_rgb8(), phone.render());
    let phones: Vec<Phone> = Page::ALL
        .into_iter()
        .map(|page| on_page(page as u64, page))
        .chain([fresh(1)])
        .collect();
    let (start, rounds) = (Instant::now(), 20);
    let mut bytes = 0;
    for phone in phones.iter().cycle().take(phones.len() * rounds) {
        bytes += phone.screenshot_png().unwrap().len();
    }
    let count = (phones.len() * rounds) as f64;
    let milliseconds = 1000.0 * start.elapsed().as_secs_f64() / count;
    eprintln!(
        "{milliseconds:.3} ms and {:.0} bytes a screenshot",
        bytes as f64 / count
    );
    // About 1 ms on an idle core; the bound leaves room for a busy machine.
    assert!(milliseconds < 20.0, "{milliseconds} ms a screenshot");
}

#[test]
fn rows_and_buttons_are_aligned_to_the_grid_of_patches() {
    let rows = Page::ALL.into_iter().map(|page| on_page(page as u64, page));
    for phone in rows.chain((0..20).map(Phone::new)) {
        for node in phone
            .nodes()
            .iter()
            .filter(|node| !matches!(node.kind, NodeKind::Key | NodeKind::Slider))
        {
            let bounds = node.bounds;
            assert_eq!((bounds.y % ROW, bounds.h % ROW), (0, 0), "{node:?}");
            assert!(
                bounds.x >= 0 && bounds.x + bounds.w <= WIDTH && bounds.y + bounds.h <= HEIGHT,
                "{node:?}"
            );
        }
    }
}

#[test]
fn a_tap_flips_each_switch_and_the_picture_follows() {
    for page in Page::ALL {
        for toggle in page.toggles() {
            let mut phone = on_page(11, page);
            for _ in 0..2 {
                let (was, picture) = (phone.settings.is_on(toggle), phone.render());
                tap(&mut phone, toggle.label());
                assert_eq!(phone.settings.is_on(toggle), !was, "{toggle:?}");
                let node = phone
                    .nodes()
                    .into_iter()
                    .find(|node| node.label == toggle.label())
                    .unwrap();
                assert_eq!((node.kind, node.checked), (NodeKind::Switch, Some(!was)));
                assert_ne!(phone.render(), picture, "{toggle:?}");
            }
        }
    }
    assert_eq!(
        Page::ALL.iter().map(|page| page.toggles().count()).sum::<usize>(),
        Toggle::ALL.len()
    );
}

#[test]
fn the_slider_follows_taps_and_drags() {
    let mut phone = on_page(2, Page::Display);
    for (name, range) in [("low", 0..=85), ("medium", 86..=170), ("high", 171..=255)] {
        tap(&mut phone, &format!("brightness slider {name}"));
        assert!(
            range.contains(&phone.settings.brightness()),
            "{name}: {}",
            phone.settings.brightness()
        );
    }
    let (x, y) = phone.resolve("brightness slider high").unwrap();
    phone.swipe((f64::from(x), f64::from(y)), (0.0, f64::from(y)));
    assert_eq!(phone.shell("settings get system screen_brightness").stdout, "0\n");
}

#[test]
fn the_timeout_is_chosen_in_a_dialog() {
    let mut phone = on_page(3, Page::Display);
    for (ms, words, _) in TIMEOUTS {
        tap(&mut phone, "Screen timeout");
        assert!(phone.is_choosing_timeout() && phone.resolve("Dark theme").is_none());
        tap(&mut phone, words);
        assert_eq!(
            phone.shell("settings get system screen_off_timeout").stdout,
            format!("{ms}\n")
        );
        assert!(!phone.is_choosing_timeout());
    }
    for leave in ["Cancel", "Back", "outside"] {
        tap(&mut phone, "Screen timeout");
        if leave == "outside" {
            phone.tap(1.0, 40.0)
        } else {
            tap(&mut phone, leave)
        }
        assert!(
            !phone.is_choosing_timeout() && phone.screen() == Screen::SettingsPage(Page::Display),
            "{leave}"
        );
        assert_eq!(phone.settings.timeout_ms(), TIMEOUTS[5].0);
    }
}

#[test]
fn a_greeting_blocks_all_else() {
    let greeted: Vec<u64> = (0..400).filter(|&seed| Phone::new(seed).startup().is_some()).collect();
    assert!((70..130).contains(&greeted.len()), "{} of 400", greeted.len());
    for &seed in &greeted[..20] {
        let mut phone = Phone::new(seed);
        phone.shell("am start -n 'com.android.settings/.Settings$NetworkDashboardActivity'");
        let before = phone.clone();
        for y in (0..HEIGHT - ROW).step_by(16) {
            phone.tap(20.0, f64::from(y));
        }
        phone.scroll(96.0, 200.0, 0.0, 200.0);
        phone.type_text("x", false);
        assert_eq!(phone, before, "nothing but the dialog reacts");
        let focus = "dumpsys window | grep mCurrentFocus";
        assert!(!phone.shell(focus).stdout.contains("com.android.settings"));
        let button = phone.startup().unwrap().button.clone();
        tap(&mut phone, &button);
        assert!(phone.startup().is_none());
        assert!(phone.shell(focus).stdout.contains("com.android.settings"));
    }
}

#[test]
fn lists_scroll_by_rows_within_their_ends() {
    let mut phone = fresh(4);
    phone.shell("am start -n com.android.settings/.Settings");
    let rows = |phone: &Phone| -> Vec<String> {
        phone
            .nodes()
            .into_iter()
            .filter(|node| node.kind == NodeKind::Row)
            .map(|node| node.label)
            .collect()
    };
    let top = rows(&phone);
    assert_eq!((top.len(), phone.can_scroll()), (VISIBLE_ROWS, (false, true)));
    phone.scroll(96.0, 200.0, 0.0, 40.0);
    assert_eq!(rows(&phone)[..VISIBLE_ROWS - 1], top[1..], "one row up");
    phone.scroll(96.0, 200.0, 0.0, 5000.0);
    let bottom = rows(&phone);
    assert_eq!(phone.can_scroll(), (true, false));
    let all: std::collections::BTreeSet<&String> = top.iter().chain(&bottom).collect();
    assert_eq!(all.len(), Page::ALL.len(), "two screens show every row");
    phone.swipe((96.0, 100.0), (96.0, 380.0));
    assert_eq!(rows(&phone), top, "a finger that moves down brings back the top");
    phone.scroll(96.0, 200.0, 0.0, -500.0);
    assert_eq!(phone.can_scroll(), (false, true));
}

#[test]
fn the_launcher_has_every_app_on_two_pages() {
    for seed in 0..20 {
        let mut phone = fresh(seed);
        phone.key(Key::Home);
        assert_eq!(phone.launcher_page(), 0);
        for app in App::ALL {
            if phone.resolve(app.label()).is_none() {
                phone.swipe((96.0, 192.0), (20.0, 192.0));
                assert_eq!(phone.launcher_page(), 1);
            }
            tap(&mut phone, app.label());
            assert_eq!(phone.screen().app(), Some(app));
            let focus = phone.shell("dumpsys window | grep mCurrentFocus || dumpsys activity | grep mResumedActivity");
            assert!(
                focus.stdout.contains(&format!(" u0 {}/", app.package())),
                "{}",
                focus.stdout
            );
            assert_eq!(focus.stdout.lines().count(), 1);
            phone.key(Key::Home);
            phone.key(Key::Home);
        }
    }
}

#[test]
fn back_retraces_the_way() {
    let mut phone = on_page(6, Page::Sound);
    phone.key(Key::Back);
    assert_eq!(phone.screen(), Screen::Settings);
    phone.key(Key::Back);
    assert_eq!(phone.screen(), Screen::Launcher);
    phone.key(Key::Back);
    assert_eq!(phone.screen(), Screen::Launcher);
}

#[test]
fn a_note_is_typed_and_saved() {
    let mut phone = fresh(8);
    phone.shell("am start -n com.android.notes/.Notes");
    phone.type_text("lost", false);
    tap(&mut phone, "New note");
    phone.type_text("Buy milk", false);
    tap(&mut phone, "key s");
    phone.key(Key::Backspace);
    assert_eq!(phone.draft(), "Buy milk");
    tap(&mut phone, "Save");
    assert_eq!(phone.notes().last().unwrap(), "Buy milk");
    assert!(
        phone
            .shell("content query --uri content://notes")
            .stdout
            .contains(" text=Buy milk\n")
    );
    tap(&mut phone, "New note");
    assert_eq!(phone.draft(), "", "a new note is empty");
    phone.key(Key::Enter);
    phone.type_text("x", false);
    assert_eq!(phone.draft(), "", "without focus nothing is typed");
    tap(&mut phone, "Note text");
    phone.type_text("x", false);
    assert_eq!(phone.draft(), "x");
    let count = phone.notes().len();
    phone.key(Key::Back);
    assert_eq!(
        (phone.notes().len(), phone.screen()),
        (count, Screen::Notes),
        "back discards"
    );
}
