//! Commands of the shell for files, as toybox has them.

use super::{File, FileError, file_name as name, shell::Session};
use crate::{shell::ShellOutput, time::iso_ms};
use std::fmt::Write as _;

type Outcome = Result<String, String>;

/// Runs a command for files; `None` when it is none.
pub(super) fn run(session: &mut Session<'_>, name: &str, arguments: &[&str], input: &str) -> Option<ShellOutput> {
    let (flags, paths) = flags(arguments);
    let outcome = match name {
        "pwd" => Ok(format!("{}\n", session.folder)),
        "cd" => cd(session, &paths),
        "ls" => return Some(ls(session, &flags, &paths)),
        "cat" => return Some(cat(session, &paths, input)),
        "head" | "tail" => part(session, name == "tail", arguments, input),
        "wc" => count(session, &flags, &paths, input),
        "mkdir" => each(session, &paths, |session, path| {
            let path = session.path(path)?;
            session.device.files_mut().make_folder(&path, flags.contains('p'))
        }),
        "rmdir" => each(session, &paths, |session, path| {
            let path = session.path(path)?;
            session.device.files_mut().remove_empty(&path)
        }),
        "rm" => each(session, &paths, |session, path| rm(session, &flags, path)),
        // Times and numbers are the phone's own commands' matter.
        "touch" if arguments.contains(&"-d") => return None,
        "test" if matches!(arguments, [_, sign, _] if sign.starts_with('-')) => return None,
        "touch" => each(session, &paths, |session, path| {
            let path = session.path(path)?;
            match session.device.files().get(&path) {
                Some(entry) if entry.is_folder() => Ok(()),
                // Written anew with what is in it: only the time changes.
                Some(_) => session.device.files_mut().append(&path, b""),
                None => session.device.files_mut().write(&path, b""),
            }
        }),
        "cp" => carry(session, &paths, flags.contains(['r', 'R', 'a']), false),
        "mv" => carry(session, &paths, true, true),
        "stat" => stat(session, arguments),
        "test" | "[" => return Some(test(session, name, arguments)),
        _ => return None,
    };
    Some(match outcome {
        Ok(text) => ShellOutput::ok(text),
        Err(message) => ShellOutput::fail(1, format!("{name}: {message}")),
    })
}

/// The letters behind `-`, and everything else.
fn flags<'a>(arguments: &[&'a str]) -> (String, Vec<&'a str>) {
    let mut letters = String::new();
    let mut rest = Vec::new();
    let mut open = true;
    for argument in arguments {
        match argument.strip_prefix('-') {
            Some("-") if open => open = false,
            Some(flags) if open && !flags.is_empty() => letters.push_str(flags),
            _ => rest.push(*argument),
        }
    }
    (letters, rest)
}

fn each(
    session: &mut Session<'_>,
    paths: &[&str],
    mut work: impl FnMut(&mut Session<'_>, &str) -> Result<(), FileError>,
) -> Outcome {
    if paths.is_empty() {
        return Err("expected a path".to_owned());
    }
    for path in paths {
        work(session, path).map_err(|error| error.to_string())?;
    }
    Ok(String::new())
}

fn cd(session: &mut Session<'_>, paths: &[&str]) -> Outcome {
    let path = session
        .path(paths.first().unwrap_or(&"/"))
        .map_err(|error| error.to_string())?;
    match session.device.files().get(&path) {
        Some(entry) if entry.is_folder() => session.folder = path,
        Some(_) => return Err(FileError::NoFolder(path).to_string()),
        None => return Err(FileError::Missing(path).to_string()),
    }
    Ok(String::new())
}

fn line(long: bool, shown: &str, entry: &File) -> String {
    if !long {
        return format!("{shown}\n");
    }
    let when = iso_ms(entry.changed);
    let (day, minute) = (&when[..10], &when[11..16]);
    format!(
        "{} 1 root sdcard_rw {:>8} {day} {minute} {shown}\n",
        entry.mode(),
        entry.length()
    )
}

fn ls(session: &Session<'_>, flags: &str, paths: &[&str]) -> ShellOutput {
    let here = [session.folder.as_str()];
    let asked = if paths.is_empty() { &here[..] } else { paths };
    let long = flags.contains('l');
    let mut output = ShellOutput::default();
    for path in asked {
        let listed = session.path(path).and_then(|full| {
            let files = session.device.files();
            let entry = files.get(&full).ok_or_else(|| FileError::Missing((*path).to_owned()))?;
            if flags.contains('d') || !entry.is_folder() {
                return Ok(line(long, path, entry));
            }
            let mut text = if asked.len() > 1 {
                format!("{path}:\n")
            } else {
                String::new()
            };
            if long {
                let blocks: u64 = files
                    .list(&full, 1)?
                    .iter()
                    .map(|(_, entry)| entry.length().div_ceil(1024))
                    .sum();
                let _ = writeln!(text, "total {blocks}");
            }
            let shown = files.list(&full, 1)?;
            let shown = shown
                .iter()
                .filter(|(path, _)| flags.contains(['a', 'A']) || !name(path).starts_with('.'));
            text.extend(shown.map(|(path, entry)| line(long, name(path), entry)));
            Ok(text)
        });
        match listed {
            Ok(text) => output.stdout.push_str(&text),
            Err(error) => {
                let _ = writeln!(output.stderr, "ls: {error}");
                output.exit_code = 1;
            }
        }
    }
    output
}

fn text(session: &Session<'_>, path: &str) -> Result<String, FileError> {
    let bytes = session.device.read_file(&session.path(path)?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cat(session: &Session<'_>, paths: &[&str], input: &str) -> ShellOutput {
    let mut output = ShellOutput::default();
    if paths.is_empty() {
        output.stdout = input.to_owned();
    }
    for path in paths {
        match text(session, path) {
            Ok(text) => output.stdout.push_str(&text),
            Err(error) => {
                let _ = writeln!(output.stderr, "cat: {error}");
                output.exit_code = 1;
            }
        }
    }
    output
}

/// The first or last lines: `-n COUNT`, `-COUNT`, else ten.
fn part(session: &Session<'_>, last: bool, arguments: &[&str], input: &str) -> Outcome {
    let (mut count, mut path) = (10, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let number = match argument.strip_prefix('-') {
            Some("n") => rest.next().copied(),
            Some(number) => Some(number),
            None => {
                path = Some(*argument);
                continue;
            }
        };
        let parsed = number.and_then(|number| number.parse().ok());
        count = parsed.ok_or("expected -n COUNT")?;
    }
    let whole = match path {
        Some(path) => text(session, path).map_err(|error| error.to_string())?,
        None => input.to_owned(),
    };
    let lines: Vec<&str> = whole.lines().collect();
    let kept = if last {
        &lines[lines.len().saturating_sub(count)..]
    } else {
        &lines[..count.min(lines.len())]
    };
    Ok(kept.iter().map(|line| format!("{line}\n")).collect())
}

fn count(session: &Session<'_>, flags: &str, paths: &[&str], input: &str) -> Outcome {
    let (whole, shown) = match paths.first() {
        Some(path) => (
            text(session, path).map_err(|error| error.to_string())?,
            format!(" {path}"),
        ),
        None => (input.to_owned(), String::new()),
    };
    let (lines, words, bytes) = (
        whole.matches('\n').count(),
        whole.split_whitespace().count(),
        whole.len(),
    );
    Ok(match flags {
        "l" => format!("{lines}{shown}\n"),
        "w" => format!("{words}{shown}\n"),
        "c" => format!("{bytes}{shown}\n"),
        _ => format!("{lines} {words} {bytes}{shown}\n"),
    })
}

fn rm(session: &mut Session<'_>, flags: &str, path: &str) -> Result<(), FileError> {
    let path = session.path(path)?;
    match session.device.files().get(&path) {
        None if flags.contains('f') => return Ok(()),
        Some(entry) if entry.is_folder() && !flags.contains(['r', 'R']) => return Err(FileError::IsFolder(path)),
        _ => {}
    }
    session.device.files_mut().remove(&path)
}

/// Copies or moves; into a folder that is there, else to the name given.
fn carry(session: &mut Session<'_>, paths: &[&str], folders: bool, moves: bool) -> Outcome {
    let [sources @ .., target] = paths else {
        return Err("expected SOURCE and TARGET".to_owned());
    };
    if sources.is_empty() {
        return Err("expected SOURCE and TARGET".to_owned());
    }
    let one = |session: &mut Session<'_>, source: &str| {
        let (old, mut new) = (session.path(source)?, session.path(target)?);
        let files = session.device.files();
        if files.get(&new).is_some_and(File::is_folder) {
            new = format!("{}/{}", new.trim_end_matches('/'), name(&old));
        } else if sources.len() > 1 {
            return Err(FileError::NoFolder(new));
        }
        match files.get(&old) {
            Some(entry) if entry.is_folder() && !folders => return Err(FileError::IsFolder(old)),
            Some(_) => {}
            None => return Err(FileError::Missing(old)),
        }
        if old == new {
            return Err(FileError::Exists(new));
        }
        // A file in the way is replaced; a folder is not.
        let in_the_way = files.get(&new).is_some_and(|entry| !entry.is_folder());
        let mut files = session.device.files_mut();
        if in_the_way {
            files.remove(&new)?;
        }
        if moves {
            files.rename(&old, &new)
        } else {
            files.copy(&old, &new)
        }
    };
    for source in sources {
        one(session, source).map_err(|error| error.to_string())?;
    }
    Ok(String::new())
}

/// Size, kind and time; `-c FORMAT` with `%s`, `%n`, `%F` and `%Y`.
fn stat(session: &Session<'_>, arguments: &[&str]) -> Outcome {
    let (format, path) = match *arguments {
        ["-c", format, path] => (format, path),
        [path] => ("  File: %n\n  Size: %s  %F\nModify: %y", path),
        _ => return Err("expected [-c FORMAT] PATH".to_owned()),
    };
    let full = session.path(path).map_err(|error| error.to_string())?;
    let entry = session
        .device
        .files()
        .get(&full)
        .ok_or_else(|| FileError::Missing(full.clone()).to_string())?;
    let kind = if entry.is_folder() { "directory" } else { "regular file" };
    let seconds = entry.changed / 1000;
    let filled = format
        .replace("%s", &entry.length().to_string())
        .replace("%n", path)
        .replace("%F", kind)
        .replace("%Y", &seconds.to_string())
        .replace("%y", &iso_ms(entry.changed));
    Ok(filled + "\n")
}

/// `test`: `-e`, `-f`, `-d`, `-s`, `-n`, `-z`, and texts that are equal or not.
fn test(session: &Session<'_>, name: &str, arguments: &[&str]) -> ShellOutput {
    let arguments = match (name, arguments) {
        ("[", [inner @ .., "]"]) => inner,
        ("[", _) => return ShellOutput::fail(2, "[: missing ]"),
        _ => arguments,
    };
    let entry = |path: &str| {
        session
            .path(path)
            .ok()
            .and_then(|path| session.device.files().get(&path))
    };
    let holds = |words: &[&str]| match *words {
        ["-e", path] => entry(path).is_some(),
        ["-f", path] => entry(path).is_some_and(|entry| !entry.is_folder()),
        ["-d", path] => entry(path).is_some_and(File::is_folder),
        ["-s", path] => entry(path).is_some_and(|entry| entry.length() > 0),
        ["-n", text] | [text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [one, "=" | "==", other] => one == other,
        [one, "!=", other] => one != other,
        _ => false,
    };
    let truth = match arguments {
        ["!", rest @ ..] => !holds(rest),
        words => holds(words),
    };
    ShellOutput {
        exit_code: i32::from(!truth),
        ..ShellOutput::default()
    }
}
