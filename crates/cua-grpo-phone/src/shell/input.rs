//! `input`, `wm`, `uiautomator`.

use super::{line::ShellOutput, replies::thrown};
use crate::{
    Key, Phone,
    state::{Table, data::File},
    xml,
};

/// `input tap|swipe|draganddrop|text|keyevent|…`: silent, and it waits as long as the touch takes.
pub fn input(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    const SOURCES: [&str; 6] = ["touchscreen", "keyboard", "mouse", "trackball", "dpad", "stylus"];
    let words = match arguments {
        [source, rest @ ..] if SOURCES.contains(source) => rest,
        other => other,
    };
    let [verb, rest @ ..] = words else {
        return ShellOutput::default();
    };
    let mut numbers = Vec::new();
    if matches!(*verb, "tap" | "swipe" | "draganddrop" | "roll") {
        for word in rest {
            match word.parse::<f32>() {
                Ok(number) => numbers.push(number),
                Err(_) => {
                    return thrown(
                        verb,
                        &format!("java.lang.NumberFormatException: For input string: \"{word}\""),
                    );
                }
            }
        }
    }
    match (*verb, numbers.as_slice()) {
        ("tap", [x, y]) => phone.tap(*x, *y),
        ("swipe", [x, y, a, b]) => phone.swipe((*x, *y), (*a, *b), 300),
        ("swipe", [x, y, a, b, ms]) => phone.swipe((*x, *y), (*a, *b), *ms as i64),
        ("draganddrop", [x, y, a, b, ..]) => {
            phone.long_press(*x, *y);
            phone.swipe((*x, *y), (*a, *b), numbers.get(4).map_or(300, |ms| *ms as i64));
        }
        ("tap" | "swipe" | "draganddrop", _) => {
            return thrown(
                verb,
                &format!("java.lang.IllegalArgumentException: Invalid arguments for command: {verb}"),
            );
        }
        ("text", _) => {
            let text = rest.join(" ").replace("%s", " ");
            if let Some(letter) = text.chars().find(|letter| !letter.is_ascii()) {
                return thrown(
                    "text",
                    &format!("java.lang.NullPointerException: no key for {letter:?}"),
                );
            }
            phone.type_text(&text, false);
        }
        ("keyevent", _) => {
            for word in rest.iter().filter(|word| !word.starts_with("--")) {
                match key(word) {
                    Some(Key::Power) if rest.contains(&"--longpress") => {
                        phone.state_mut().say("Power off, Restart, Emergency")
                    }
                    Some(key) => phone.key(key),
                    None => {
                        return thrown(
                            "keyevent",
                            &format!("java.lang.IllegalArgumentException: Unknown keycode: {word}"),
                        );
                    }
                }
            }
        }
        ("keycombination", _) => {
            let control = rest.iter().any(|word| matches!(key_number(word), Some(113 | 114)));
            match rest.last().and_then(|word| key_number(word)) {
                Some(29) if control => phone.state_mut().select_all(),
                Some(31) if control => phone.key(Key::Copy),
                Some(52) if control => phone.key(Key::Cut),
                Some(50) if control => phone.key(Key::Paste),
                _ => {}
            }
        }
        _ => {}
    }
    ShellOutput::default()
}

/// The number of a key code, given as a number or a name.
fn key_number(word: &str) -> Option<u32> {
    if let Ok(number) = word.parse() {
        return Some(number);
    }
    let name = word.strip_prefix("KEYCODE_").unwrap_or(word);
    const NAMES: [(&str, u32); 48] = [
        ("HOME", 3),
        ("BACK", 4),
        ("CALL", 5),
        ("ENDCALL", 6),
        ("STAR", 17),
        ("POUND", 18),
        ("DPAD_UP", 19),
        ("DPAD_DOWN", 20),
        ("DPAD_LEFT", 21),
        ("DPAD_RIGHT", 22),
        ("DPAD_CENTER", 23),
        ("VOLUME_UP", 24),
        ("VOLUME_DOWN", 25),
        ("POWER", 26),
        ("CAMERA", 27),
        ("CLEAR", 28),
        ("COMMA", 55),
        ("PERIOD", 56),
        ("TAB", 61),
        ("SPACE", 62),
        ("ENVELOPE", 65),
        ("ENTER", 66),
        ("DEL", 67),
        ("GRAVE", 68),
        ("MINUS", 69),
        ("EQUALS", 70),
        ("LEFT_BRACKET", 71),
        ("RIGHT_BRACKET", 72),
        ("BACKSLASH", 73),
        ("SEMICOLON", 74),
        ("APOSTROPHE", 75),
        ("SLASH", 76),
        ("AT", 77),
        ("PLUS", 81),
        ("MENU", 82),
        ("NOTIFICATION", 83),
        ("SEARCH", 84),
        ("ESCAPE", 111),
        ("FORWARD_DEL", 112),
        ("CTRL_LEFT", 113),
        ("CTRL_RIGHT", 114),
        ("MOVE_HOME", 122),
        ("MOVE_END", 123),
        ("VOLUME_MUTE", 164),
        ("APP_SWITCH", 187),
        ("SLEEP", 223),
        ("WAKEUP", 224),
        ("SETTINGS", 176),
    ];
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    match name {
        "CUT" => Some(277),
        "COPY" => Some(278),
        "PASTE" => Some(279),
        _ => match name.as_bytes() {
            [digit @ b'0'..=b'9'] => Some(u32::from(digit - b'0') + 7),
            [letter @ b'A'..=b'Z'] => Some(u32::from(letter - b'A') + 29),
            _ => None,
        },
    }
}

/// The key of a code.
pub fn key(word: &str) -> Option<Key> {
    Some(match key_number(word)? {
        3 => Key::Home,
        4 | 111 => Key::Back,
        5 => Key::Call,
        6 => Key::EndCall,
        number @ 7..=16 => Key::Char(char::from(b'0' + (number - 7) as u8)),
        17 => Key::Char('*'),
        18 => Key::Char('#'),
        21 => Key::Left,
        22 => Key::Right,
        23 | 66 | 160 => Key::Enter,
        24 => Key::VolumeUp,
        25 => Key::VolumeDown,
        26 => Key::Power,
        27 => Key::Camera,
        number @ 29..=54 => Key::Char(char::from(b'a' + (number - 29) as u8)),
        55 => Key::Char(','),
        56 => Key::Char('.'),
        61 => Key::Tab,
        62 => Key::Char(' '),
        67 => Key::Backspace,
        69 => Key::Char('-'),
        70 => Key::Char('='),
        74 => Key::Char(';'),
        75 => Key::Char('\''),
        76 => Key::Char('/'),
        77 => Key::Char('@'),
        81 => Key::Char('+'),
        83 => Key::Notifications,
        112 => Key::Delete,
        122 => Key::Start,
        123 => Key::End,
        164 => Key::Mute,
        187 => Key::Overview,
        223 => Key::Sleep,
        224 => Key::Wake,
        277 => Key::Cut,
        278 => Key::Copy,
        279 => Key::Paste,
        _ => Key::Other,
    })
}

/// `wm size|density|user-rotation|dismiss-keyguard`.
pub fn wm(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let state = phone.state_mut();
    match arguments {
        ["size"] => {
            let (p, d) = (state.physical, state.display);
            let mut out = format!("Physical size: {}x{}\n", p.width, p.height);
            if (p.width, p.height) != (d.width, d.height) {
                out.push_str(&format!("Override size: {}x{}\n", d.width, d.height));
            }
            ShellOutput::ok(out)
        }
        ["size", "reset"] => {
            (state.display.width, state.display.height) = (state.physical.width, state.physical.height);
            ShellOutput::default()
        }
        ["size", text] => {
            let size = text
                .split_once('x')
                .and_then(|(w, h)| Some((w.parse::<u32>().ok()?, h.parse::<u32>().ok()?)));
            match size {
                Some((width @ 200..=4096, height @ 200..=4096)) => {
                    (state.display.width, state.display.height) = (width, height);
                    ShellOutput::default()
                }
                Some(_) => ShellOutput::fail(255, "Error: width and height must be between 200 and 4096"),
                None => ShellOutput::fail(255, "Error: bad size, expected WxH"),
            }
        }
        ["density"] => {
            let mut out = format!("Physical density: {}\n", state.physical.density);
            if state.physical.density != state.display.density {
                out.push_str(&format!("Override density: {}\n", state.display.density));
            }
            ShellOutput::ok(out)
        }
        ["density", "reset"] => {
            state.display.density = state.physical.density;
            ShellOutput::default()
        }
        ["density", text] => match text.parse::<u32>() {
            Ok(density) if density < 72 => ShellOutput::fail(255, "Error: density must be >= 72"),
            Ok(density) => {
                state.display.density = density.min(1000);
                ShellOutput::default()
            }
            Err(_) => ShellOutput::fail(255, format!("Error: bad number {text}")),
        },
        ["user-rotation", "lock", rest @ ..] => {
            state.settings.put(Table::System, "accelerometer_rotation", "0");
            state
                .settings
                .put(Table::System, "user_rotation", rest.first().copied().unwrap_or("0"));
            ShellOutput::default()
        }
        ["user-rotation", "free"] => {
            state.settings.put(Table::System, "accelerometer_rotation", "1");
            ShellOutput::default()
        }
        ["dismiss-keyguard"] => {
            state.wake();
            if state.locked {
                state.unlock();
            }
            ShellOutput::default()
        }
        _ => ShellOutput::fail(255, "Window manager (window) commands:"),
    }
}

/// `uiautomator dump [--compressed] [PATH]`.
pub fn uiautomator(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let ["dump", rest @ ..] = arguments else {
        return ShellOutput::fail(1, "Usage: uiautomator <subcommand> [options]");
    };
    if phone.state().fling.is_some() {
        return ShellOutput::ok("ERROR: could not get idle state.\n");
    }
    let path = rest
        .iter()
        .find(|word| !word.starts_with("--"))
        .copied()
        .unwrap_or("/sdcard/window_dump.xml");
    let text = xml::dump(phone.state(), &phone.scene());
    if path.starts_with("/dev/") {
        return ShellOutput::ok(format!("{text}UI hierchary dumped to: {path}\n"));
    }
    let state = phone.state_mut();
    let file = File::new(text.into_bytes(), state.now);
    state.files.insert(super::files::full(path), file);
    ShellOutput::ok(format!("UI hierchary dumped to: {path}\n"))
}
