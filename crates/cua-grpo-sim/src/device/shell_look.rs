//! Commands of the shell for the screen and for what the box is: pictures, the layout, sizes, touches, properties.

use super::shell::Session;
use crate::{shell::ShellOutput, time::iso};
use cua_grpo_android::PhoneKind;
use std::time::SystemTime;

/// What `getprop` knows.
const PROPERTIES: [(&str, &str); 9] = [
    ("ro.build.version.release", "13"),
    ("ro.build.version.sdk", "33"),
    ("ro.product.brand", "cua-grpo"),
    ("ro.product.cpu.abi", "x86_64"),
    ("ro.product.manufacturer", "cua-grpo"),
    ("ro.product.model", "Simulated phone"),
    ("ro.serialno", "simulator"),
    ("ro.sf.lcd_density", "160"),
    ("sys.boot_completed", "1"),
];

/// Runs a command for the screen; `None` when it is none, or one that the phone itself carries out.
pub(super) fn run(session: &mut Session<'_>, name: &str, arguments: &[&str]) -> Option<ShellOutput> {
    let full = session.device.phone.kind() == PhoneKind::Pixel;
    Some(match (name, arguments) {
        // All else the full phone has itself.
        (name, _) if full && name != "screencap" => return None,
        ("screencap", [.., path]) if !path.starts_with('-') => screencap(session, path),
        ("screencap", _) => ShellOutput::fail(1, "screencap: expected -p PATH, since output is text here"),
        ("uiautomator", ["dump"]) => dump(session, "/sdcard/window_dump.xml"),
        ("uiautomator", ["dump", path]) => dump(session, path),
        ("wm", ["size"]) => {
            let (width, height) = session.device.geometry().unscaled().picture();
            let drawn = crate::device::Geometry::default();
            let over = if (width, height) == (drawn.width, drawn.height) {
                String::new()
            } else {
                format!("Override size: {width}x{height}\n")
            };
            ShellOutput::ok(format!("Physical size: {}x{}\n{over}", drawn.width, drawn.height))
        }
        ("wm", ["density"]) => ShellOutput::ok("Physical density: 160\n"),
        ("input", ["tap", x, y]) => {
            let (Some(x), Some(y)) = (pixel(x), pixel(y)) else {
                return Some(ShellOutput::fail(255, "input: expected tap X Y"));
            };
            let at = session.device.geometry().unscaled().to_phone((x, y));
            session.device.phone.tap(at.0, at.1);
            ShellOutput::default()
        }
        ("input", ["swipe" | "draganddrop", points @ ..]) => swipe(session, points),
        ("input", ["text", text]) => {
            // A blank is written as %s there.
            session.device.phone.type_text(&text.replace("%s", " "), false);
            ShellOutput::default()
        }
        ("getprop", []) => {
            let line = |(key, value): &(&str, &str)| format!("[{key}]: [{value}]\n");
            ShellOutput::ok(PROPERTIES.iter().map(line).collect::<String>())
        }
        ("getprop", [key]) => {
            let value = PROPERTIES
                .iter()
                .find(|(known, _)| known == key)
                .map_or("", |(_, value)| value);
            ShellOutput::ok(format!("{value}\n"))
        }
        ("date", _) => ShellOutput::ok(date(arguments)),
        ("id", _) => ShellOutput::ok("uid=2000(shell) gid=2000(shell) groups=2000(shell)\n"),
        ("whoami", _) => ShellOutput::ok("shell\n"),
        ("uname", _) => ShellOutput::ok("Linux\n"),
        _ => return None,
    })
}

fn pixel(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.abs() <= 100_000.0)
}

fn swipe(session: &mut Session<'_>, points: &[&str]) -> ShellOutput {
    let numbers: Option<Vec<f64>> = points.iter().map(|text| pixel(text)).collect();
    let screen = session.device.geometry().unscaled();
    match numbers.as_deref() {
        Some([x, y, to_x, to_y] | [x, y, to_x, to_y, _]) => {
            let (from, to) = (screen.to_phone((*x, *y)), screen.to_phone((*to_x, *to_y)));
            session.device.phone.swipe(from, to, 300);
            ShellOutput::default()
        }
        _ => ShellOutput::fail(255, "input: expected swipe X1 Y1 X2 Y2 [MILLISECONDS]"),
    }
}

fn write(session: &mut Session<'_>, path: &str, bytes: impl AsRef<[u8]>, said: String) -> ShellOutput {
    let written = session
        .path(path)
        .and_then(|path| session.device.files_mut().write(&path, bytes));
    match written {
        Ok(()) => ShellOutput::ok(said),
        Err(error) => ShellOutput::fail(1, error),
    }
}

fn screencap(session: &mut Session<'_>, path: &str) -> ShellOutput {
    match session.device.picture().unscaled().png() {
        Ok(png) => write(session, path, png, String::new()),
        Err(error) => ShellOutput::fail(1, format!("screencap: {error}")),
    }
}

fn dump(session: &mut Session<'_>, path: &str) -> ShellOutput {
    let layout = session.device.layout();
    let said = format!("UI hierchary dumped to: {path}\n");
    write(session, path, layout, said)
}

/// The time of this machine; the phone shows a fixed one. `+FORMAT` with `%s`, `%Y-%m-%d` and `%H:%M:%S`.
fn date(arguments: &[&str]) -> String {
    let now = SystemTime::now();
    let text = iso(now);
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(format) = arguments.iter().find_map(|argument| argument.strip_prefix('+')) else {
        return format!("{} {} UTC\n", &text[..10], &text[11..19]);
    };
    let parts = [
        ("%s", seconds.to_string()),
        ("%F", text[..10].to_owned()),
        ("%T", text[11..19].to_owned()),
        ("%Y", text[..4].to_owned()),
        ("%m", text[5..7].to_owned()),
        ("%d", text[8..10].to_owned()),
        ("%H", text[11..13].to_owned()),
        ("%M", text[14..16].to_owned()),
        ("%S", text[17..19].to_owned()),
    ];
    let filled = parts
        .iter()
        .fold(format.to_owned(), |text, (sign, value)| text.replace(sign, value));
    filled + "\n"
}
