//! Files, properties, the clock, and the small tools of a shell.

use super::{line::ShellOutput, tools};
use crate::{
    Phone,
    state::{State, data::File, time::Civil},
};

/// Runs a small tool; 127 for what is not there.
pub fn run(phone: &mut Phone, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
    match name {
        "echo" => ShellOutput::ok(arguments.join(" ") + "\n"),
        "true" | ":" | "sync" => ShellOutput::default(),
        "false" => ShellOutput::fail(1, ""),
        "test" => tools::test(arguments),
        "getprop" => tools::getprop(phone.state(), arguments),
        "setprop" => {
            if let [key, value] = arguments {
                phone.state_mut().props.insert((*key).to_owned(), (*value).to_owned());
            }
            ShellOutput::default()
        }
        "date" => tools::date(phone.state(), arguments),
        "sleep" => {
            let seconds = arguments
                .first()
                .and_then(|text| text.parse::<f64>().ok())
                .unwrap_or(0.0);
            phone.advance((seconds.clamp(0.0, 600.0) * 1000.0) as i64);
            ShellOutput::default()
        }
        "whoami" => ShellOutput::ok("shell\n"),
        "id" => ShellOutput::ok("uid=2000(shell) gid=2000(shell) groups=2000(shell)\n"),
        "uptime" => {
            let state = phone.state();
            let up = (state.now - state.booted) / 60_000;
            ShellOutput::ok(format!(
                " up {}:{:02},  0 users,  load average: 0.31, 0.28, 0.22\n",
                up / 60,
                up % 60
            ))
        }
        "grep" => tools::grep(arguments, input),
        "wc" => tools::wc(arguments, input),
        "head" | "tail" => tools::ends(name == "head", arguments, input),
        "sort" => {
            let mut lines: Vec<&str> = input.lines().collect();
            lines.sort_unstable();
            ShellOutput::ok(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        }
        "tr" | "sed" | "awk" | "cut" | "xargs" => ShellOutput::fail(1, format!("{name}: not supported here")),
        "ls" => ls(phone.state(), arguments),
        "cat" => cat(phone.state(), arguments, input),
        "find" => find(phone.state(), arguments),
        "stat" => stat(phone.state(), arguments),
        "md5sum" | "sha256sum" => digest(phone.state(), name, arguments),
        "mkdir" | "rm" | "rmdir" | "mv" | "cp" | "touch" => change(phone.state_mut(), name, arguments),
        other => ShellOutput::fail(127, format!("/system/bin/sh: {other}: inaccessible or not found")),
    }
}

/// Writes what was redirected into a file.
pub fn write(state: &mut State, path: &str, text: &str, append: bool) -> Result<(), String> {
    let path = full(path);
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let ready = state.files.get(above).is_some_and(|folder| folder.content.is_none());
    let known = state.files.get(&path);
    if !ready || known.is_some_and(|file| file.content.is_none()) {
        return Err(format!("can't create {path}: No such file or directory"));
    }
    let mut content = known
        .and_then(|file| file.content.as_deref())
        .filter(|_| append)
        .map_or_else(Vec::new, <[u8]>::to_vec);
    content.extend_from_slice(text.as_bytes());
    state.files.insert(path, File::new(content, state.now));
    Ok(())
}

/// A path as the phone keeps it: `/storage/emulated/0` is `/sdcard`.
pub fn full(path: &str) -> String {
    let path = path
        .replacen("/storage/emulated/0", "/sdcard", 1)
        .replacen("/storage/self/primary", "/sdcard", 1);
    let path = path.replacen("/mnt/sdcard", "/sdcard", 1);
    if path.len() > 1 {
        path.trim_end_matches('/').to_owned()
    } else {
        path
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn children<'a>(state: &'a State, folder: &str) -> Vec<(&'a String, &'a File)> {
    let inside = format!("{folder}/");
    let own = |path: &str| path.strip_prefix(&inside).is_some_and(|rest| !rest.contains('/'));
    state.files.iter().filter(|(path, _)| own(path)).collect()
}

fn paths(arguments: &[&str]) -> Vec<String> {
    arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .map(|path| full(path))
        .collect()
}

fn gone(tool: &str, path: &str) -> ShellOutput {
    ShellOutput::fail(1, format!("{tool}: {path}: No such file or directory"))
}

fn line(state: &State, path: &str, file: &File, long: bool) -> String {
    if !long {
        return format!("{}\n", name(path));
    }
    let at = Civil::new(state.local(file.changed)).iso();
    let (mode, links) = if file.content.is_some() {
        ("-rw-rw----", 1)
    } else {
        ("drwxrws---", 2)
    };
    format!(
        "{mode} {links} u0_a210 media_rw {:>9} {} {}\n",
        file.size,
        &at[..16],
        name(path)
    )
}

fn ls(state: &State, arguments: &[&str]) -> ShellOutput {
    let long = arguments.iter().any(|word| word.starts_with('-') && word.contains('l'));
    let mut list = paths(arguments);
    if list.is_empty() {
        list.push("/sdcard".to_owned());
    }
    let mut out = String::new();
    for path in list {
        match state.files.get(&path) {
            None => return gone("ls", &path),
            Some(file) if file.content.is_some() => out.push_str(&line(state, &path, file, long)),
            Some(_) => children(state, &path)
                .iter()
                .for_each(|(path, file)| out.push_str(&line(state, path, file, long))),
        }
    }
    ShellOutput::ok(out)
}

fn cat(state: &State, arguments: &[&str], input: &str) -> ShellOutput {
    let list = paths(arguments);
    if list.is_empty() {
        return ShellOutput::ok(input);
    }
    let mut out = String::new();
    for path in list {
        match state.files.get(&path).map(|file| &file.content) {
            Some(Some(content)) => out.push_str(&String::from_utf8_lossy(content)),
            Some(None) => return ShellOutput::fail(1, format!("cat: {path}: Is a directory")),
            None => return gone("cat", &path),
        }
    }
    ShellOutput::ok(out)
}

fn find(state: &State, arguments: &[&str]) -> ShellOutput {
    let root = paths(&arguments[..arguments.len().min(1)])
        .pop()
        .unwrap_or_else(|| "/sdcard".to_owned());
    if !state.files.contains_key(&root) {
        return gone("find", &root);
    }
    let wanted = super::replies::flag(arguments, "-name")
        .or(super::replies::flag(arguments, "-iname"))
        .unwrap_or("*")
        .to_lowercase();
    let kind = super::replies::flag(arguments, "-type");
    let inside = format!("{root}/");
    let fits = |path: &str, file: &File| {
        let kind = match kind {
            Some("f") => file.content.is_some(),
            Some("d") => file.content.is_none(),
            _ => true,
        };
        kind && (path == root || path.starts_with(&inside)) && glob(&wanted, &name(path).to_lowercase())
    };
    let found = state.files.iter().filter(|(path, file)| fits(path, file));
    ShellOutput::ok(found.map(|(path, _)| format!("{path}\n")).collect::<String>())
}

/// Whether a name fits a pattern with `*` and `?`.
fn glob(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    loop {
        let rest = pattern.clone();
        match pattern.next() {
            None => return name.next().is_none(),
            Some('*') => {
                let after = pattern.as_str();
                return name
                    .as_str()
                    .char_indices()
                    .map(|(at, _)| at)
                    .chain([name.as_str().len()])
                    .any(|at| glob(after, &name.as_str()[at..]));
            }
            Some('?') if name.next().is_some() => {}
            Some(letter) if name.next() == Some(letter) => {}
            _ => {
                let _ = rest;
                return false;
            }
        }
    }
}

fn stat(state: &State, arguments: &[&str]) -> ShellOutput {
    let format = super::replies::flag(arguments, "-c");
    let Some(path) = arguments
        .iter()
        .rev()
        .find(|word| !word.starts_with('-'))
        .map(|path| full(path))
    else {
        return ShellOutput::fail(1, "stat: Needs 1 argument");
    };
    let Some(file) = state.files.get(&path) else {
        return ShellOutput::fail(1, format!("stat: '{path}': No such file or directory"));
    };
    let kind = if file.content.is_some() {
        "regular file"
    } else {
        "directory"
    };
    match format {
        Some(format) => ShellOutput::ok(format!(
            "{}\n",
            format
                .replace("%s", &file.size.to_string())
                .replace("%n", &path)
                .replace("%Y", &(file.changed / 1000).to_string())
                .replace("%F", kind)
        )),
        None => ShellOutput::ok(format!(
            "  File: {path}\n  Size: {}\t {kind}\nModify: {}\n",
            file.size,
            Civil::new(file.changed).iso()
        )),
    }
}

/// A number of the content that stands for its digest: equal contents have equal ones.
fn digest(state: &State, tool: &str, arguments: &[&str]) -> ShellOutput {
    use sha2::{Digest, Sha256};
    let mut out = String::new();
    for path in paths(arguments) {
        let Some(File {
            content: Some(content),
            picture,
            ..
        }) = state.files.get(&path)
        else {
            return gone(tool, &path);
        };
        let mut hash = Sha256::new();
        hash.update(&content[..]);
        if let Some(picture) = picture {
            hash.update(picture.to_le_bytes());
        }
        let bytes = hash.finalize();
        let length = if tool == "md5sum" { 16 } else { 32 };
        let text: String = bytes.iter().take(length).map(|byte| format!("{byte:02x}")).collect();
        out.push_str(&format!("{text}  {path}\n"));
    }
    ShellOutput::ok(out)
}

fn change(state: &mut State, tool: &str, arguments: &[&str]) -> ShellOutput {
    let list = paths(arguments);
    let forced = arguments.iter().any(|word| word.starts_with('-') && word.contains('f'));
    match (tool, list.as_slice()) {
        ("mkdir", [_, ..]) => {
            let deep = arguments.contains(&"-p");
            for path in &list {
                if deep {
                    let parts: Vec<usize> = path
                        .match_indices('/')
                        .map(|(at, _)| at)
                        .skip(1)
                        .chain([path.len()])
                        .collect();
                    for end in parts {
                        state.make_folder(&path[..end]);
                    }
                } else if !state.make_folder(path) {
                    return ShellOutput::fail(1, format!("mkdir: '{path}': File exists or no folder above it"));
                }
            }
        }
        ("touch", [_, ..]) => {
            let when = super::replies::flag(arguments, "-d");
            let now = match when.map(|text| tools::moment(text).map(|local| local - state.local(0))) {
                Some(None) => return ShellOutput::fail(1, format!("touch: bad '{}'", when.unwrap_or_default())),
                Some(Some(when)) => when,
                None => state.now,
            };
            for path in list.iter().filter(|path| when != Some(path.as_str())) {
                let above = path.rsplit_once('/').map_or("", |(above, _)| above);
                if !state.files.contains_key(above) {
                    return gone("touch", path);
                }
                let empty = File::new(Vec::new(), now);
                state.files.entry(path.clone()).or_insert(empty).changed = now;
            }
        }
        ("rm" | "rmdir", [_, ..]) => {
            let deep = arguments
                .iter()
                .any(|word| word.starts_with('-') && (word.contains('r') || word.contains('R')));
            for path in &list {
                match state.files.get(path) {
                    None if forced => {}
                    None => return gone(tool, path),
                    Some(file) if file.content.is_none() && !deep && tool == "rm" => {
                        return ShellOutput::fail(1, format!("rm: {path}: is directory"));
                    }
                    Some(_) if path == "/sdcard" => {
                        return ShellOutput::fail(1, format!("rm: {path}: Permission denied"));
                    }
                    Some(_) => drop(state.delete_file(path)),
                }
            }
        }
        ("mv" | "cp", [from @ .., to]) if !from.is_empty() => {
            for path in from {
                if !state.files.contains_key(path) {
                    return gone(tool, path);
                }
                let folder = state.files.get(to).is_some_and(|file| file.content.is_none());
                let target = if folder {
                    format!("{to}/{}", name(path))
                } else {
                    to.clone()
                };
                if path != &target && state.files.get(&target).is_some_and(|file| file.content.is_some()) {
                    state.files.remove(&target);
                }
                if !state.move_file(path, &target, tool == "cp") {
                    return ShellOutput::fail(1, format!("{tool}: '{path}' to '{target}': cannot be done"));
                }
            }
        }
        _ => return ShellOutput::fail(1, format!("{tool}: Needs 1 argument")),
    }
    ShellOutput::default()
}
