//! Volume and battery commands.

use super::{
    line::ShellOutput,
    replies::{flag, missing, thrown, word},
};
use crate::{
    Phone,
    state::{State, Stream},
};

/// `volume --stream N --set I|--get`.
pub fn volume(phone: &mut Phone, rest: &[&str]) -> ShellOutput {
    let number = flag(rest, "--stream").and_then(|text| text.parse().ok()).unwrap_or(3);
    let Some((stream, name)) = Stream::of(number) else {
        return ShellOutput::fail(255, format!("Error: invalid stream {number}"));
    };
    let (least, most) = stream.range();
    let mut out = format!("[V] will control stream={number} ({name})\n");
    let state = phone.state_mut();
    if let Some(text) = flag(rest, "--set") {
        match text.parse::<i64>() {
            Ok(value) if (least..=most).contains(&value) => {
                state.set_volume(stream, value);
                out.push_str(&format!("[V] will set volume to index={value}\n"));
            }
            Ok(value) => {
                return ShellOutput::ok(format!(
                    "{out}[V] Error: invalid volume index {value}, expected [{least}..{most}]\n"
                ));
            }
            Err(_) => {
                return thrown(
                    "volume",
                    &format!("java.lang.NumberFormatException: For input string: \"{text}\""),
                );
            }
        }
    } else if let Some(how) = flag(rest, "--adj") {
        let now = state.volume(stream);
        state.set_volume(
            stream,
            match how {
                "raise" => now + 1,
                "lower" => now - 1,
                _ => now,
            },
        );
        out.push_str(&format!("[V] will adjust volume direction={how}\n"));
    }
    if rest.contains(&"--get") {
        out.push_str(&format!(
            "[V] will get volume\n[V] volume is {} in range [{least}..{most}]\n",
            state.volume(stream)
        ));
    }
    ShellOutput::ok(out)
}

pub fn audio(state: &mut State, rest: &[&str]) -> ShellOutput {
    let stream = |text: &str| text.parse().ok().and_then(Stream::of).map(|(stream, _)| stream);
    match rest {
        ["set-volume", number, value] => match (stream(number), value.parse()) {
            (Some(stream), Ok(value)) => {
                state.set_volume(stream, value);
                ShellOutput::ok(format!("calling AudioManager.setStreamVolume({number}, {value}, 0)\n"))
            }
            _ => thrown("set-volume", "java.lang.IllegalArgumentException: Bad stream type"),
        },
        ["get-stream-volume", number] => match stream(number) {
            Some(stream) => ShellOutput::ok(format!(
                "calling AudioManager.getStreamVolume({number})\nAudioManager.getStreamVolume({number}) -> {}\n",
                state.volume(stream)
            )),
            None => thrown(
                "get-stream-volume",
                "java.lang.IllegalArgumentException: Bad stream type",
            ),
        },
        ["set-ringer-mode", mode] => {
            match *mode {
                "NORMAL" if state.volume(Stream::Ring) == 0 => state.set_volume(Stream::Ring, 4),
                "NORMAL" => {}
                _ => state.set_volume(Stream::Ring, 0),
            }
            ShellOutput::default()
        }
        _ => missing(rest),
    }
}

/// `battery unplug|reset|set`.
pub fn battery(state: &mut State, rest: &[&str]) -> ShellOutput {
    match rest {
        ["unplug", ..] => {
            state.battery.plugged = false;
            state.battery.held = true;
        }
        ["reset", ..] => {
            state.battery.plugged = true;
            state.battery.held = false;
            state.settings.put(crate::state::Table::Global, "low_power", "0");
        }
        ["set", "level", level] => match level.parse::<u32>() {
            Ok(level) => {
                state.battery.level = level.min(100);
                state.battery.held = true;
            }
            Err(_) => return ShellOutput::fail(255, format!("Bad value: {level}")),
        },
        ["set", "ac" | "usb" | "wireless", on] => {
            state.battery.plugged = *on != "0";
            state.battery.held = true;
        }
        ["get", "level"] => return word(&state.battery.level.to_string()),
        _ => return missing(rest),
    }
    ShellOutput::default()
}
