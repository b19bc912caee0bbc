//! Properties, the clock, and tools that read a text.

use super::line::ShellOutput;
use crate::state::{State, time::Civil};

pub fn getprop(state: &State, arguments: &[&str]) -> ShellOutput {
    match arguments {
        [] => ShellOutput::ok(
            state
                .props
                .iter()
                .map(|(key, value)| format!("[{key}]: [{value}]\n"))
                .collect::<String>(),
        ),
        [key] => ShellOutput::ok(format!("{}\n", state.props.get(*key).map_or("", String::as_str))),
        [key, default, ..] => ShellOutput::ok(format!("{}\n", state.props.get(*key).map_or(*default, String::as_str))),
    }
}

pub fn date(state: &State, arguments: &[&str]) -> ShellOutput {
    let at = state.civil();
    match arguments {
        [] => {
            let zone = if state.zone() == "GMT" {
                "GMT".to_owned()
            } else {
                crate::state::time::zone_gmt(state.zone())
            };
            let (day, month) = (&at.weekday_name()[..3], &at.month_name()[..3]);
            ShellOutput::ok(format!(
                "{day} {month} {:2} {:02}:{:02}:{:02} {zone} {}\n",
                at.day, at.hour, at.minute, at.second, at.year
            ))
        }
        [format] if format.starts_with('+') => ShellOutput::ok(format!("{}\n", strftime(state, at, &format[1..]))),
        _ => ShellOutput::fail(1, "date: cannot set date: Operation not permitted"),
    }
}

fn strftime(state: &State, at: Civil, format: &str) -> String {
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('Y') => out.push_str(&at.year.to_string()),
            Some('m') => out.push_str(&format!("{:02}", at.month)),
            Some('d') => out.push_str(&format!("{:02}", at.day)),
            Some('H') => out.push_str(&format!("{:02}", at.hour)),
            Some('M') => out.push_str(&format!("{:02}", at.minute)),
            Some('S') => out.push_str(&format!("{:02}", at.second)),
            Some('s') => out.push_str(&(state.now / 1000).to_string()),
            Some('A') => out.push_str(at.weekday_name()),
            Some('a') => out.push_str(&at.weekday_name()[..3]),
            Some('B') => out.push_str(at.month_name()),
            Some('F') => out.push_str(&at.iso()[..10]),
            Some('T') => out.push_str(&at.iso()[11..]),
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

pub fn grep(arguments: &[&str], input: &str) -> ShellOutput {
    let flags: String = arguments
        .iter()
        .filter(|word| word.starts_with('-'))
        .map(|word| &word[1..])
        .collect();
    let [pattern, ..] = arguments
        .iter()
        .copied()
        .filter(|word| !word.starts_with('-'))
        .collect::<Vec<_>>()[..]
    else {
        return ShellOutput::fail(2, "grep: no REGEX");
    };
    let fold = flags.contains('i');
    // Alternatives are the only signs that are read; the rest is taken as it stands.
    let pattern = if fold {
        pattern.to_lowercase()
    } else {
        pattern.to_owned()
    };
    let parts: Vec<&str> = if flags.contains('E') {
        pattern.split('|').collect()
    } else {
        pattern.split("\\|").collect()
    };
    let holds = |line: &&str| {
        let line = if fold { line.to_lowercase() } else { (*line).to_owned() };
        parts.iter().any(|part| line.contains(part)) != flags.contains('v')
    };
    let found: Vec<&str> = input.lines().filter(holds).collect();
    let stdout = match () {
        () if flags.contains('q') => String::new(),
        () if flags.contains('c') => format!("{}\n", found.len()),
        () => found.iter().map(|line| format!("{line}\n")).collect(),
    };
    ShellOutput {
        stdout,
        stderr: String::new(),
        exit_code: i32::from(found.is_empty()),
    }
}

pub fn wc(arguments: &[&str], input: &str) -> ShellOutput {
    let (lines, words, bytes) = (input.lines().count(), input.split_whitespace().count(), input.len());
    ShellOutput::ok(match arguments {
        ["-l"] => format!("{lines}\n"),
        ["-w"] => format!("{words}\n"),
        ["-c"] => format!("{bytes}\n"),
        _ => format!("{lines:8}{words:8}{bytes:8}\n"),
    })
}

pub fn ends(first: bool, arguments: &[&str], input: &str) -> ShellOutput {
    let count = match arguments {
        ["-n", count, ..] => count.parse().unwrap_or(10),
        [count, ..] => count
            .trim_start_matches("-n")
            .trim_start_matches('-')
            .parse()
            .unwrap_or(10),
        [] => 10,
    };
    let lines: Vec<&str> = input.lines().collect();
    let part = if first {
        &lines[..count.min(lines.len())]
    } else {
        &lines[lines.len().saturating_sub(count)..]
    };
    ShellOutput::ok(part.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// `test A = B`, `test 1 -lt 2`, `test -n TEXT`.
pub fn test(arguments: &[&str]) -> ShellOutput {
    let number = |text: &str| text.parse::<i64>().ok();
    let holds = match arguments {
        ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [a, "=" | "==", b] => a == b,
        [a, "!=", b] => a != b,
        [a, sign, b] => match (number(a), *sign, number(b)) {
            (Some(a), "-eq", Some(b)) => a == b,
            (Some(a), "-ne", Some(b)) => a != b,
            (Some(a), "-lt", Some(b)) => a < b,
            (Some(a), "-le", Some(b)) => a <= b,
            (Some(a), "-gt", Some(b)) => a > b,
            (Some(a), "-ge", Some(b)) => a >= b,
            _ => return ShellOutput::fail(2, format!("test: {a} {sign} {b}: unexpected operator/operand")),
        },
        _ => return ShellOutput::fail(2, "test: expected TEXT = TEXT or NUMBER -lt NUMBER"),
    };
    ShellOutput {
        exit_code: i32::from(!holds),
        ..ShellOutput::default()
    }
}

/// The milliseconds of `2025-05-20T10:00:00`.
pub fn moment(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', ' '])?;
    let parts = |text: &str, sign: char| {
        text.split(sign)
            .map(|part| part.parse::<u32>().ok())
            .collect::<Option<Vec<_>>>()
    };
    match (&parts(day, '-')?[..], &parts(time, ':')?[..]) {
        ([year, month @ 1..=12, date @ 1..=31], [hour @ 0..=23, minute @ 0..=59, ..]) => {
            Some(Civil::ms(i64::from(*year), *month, *date, *hour, *minute))
        }
        _ => None,
    }
}
