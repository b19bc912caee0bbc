//! `am`, `pm`, `monkey`.

use super::{line::ShellOutput, replies::flag};
use crate::{
    Phone,
    app::Intent,
    apps,
    state::{LAUNCHER, Place, State},
};

/// Package and full class of a component.
fn component(text: &str) -> Option<(String, String)> {
    let (package, class) = text.split_once('/')?;
    let class = if class.starts_with('.') {
        format!("{package}{class}")
    } else {
        class.to_owned()
    };
    Some((package.to_owned(), class))
}

/// Package and class as they are printed: a class inside its package is shortened.
pub fn short(package: &str, class: &str) -> String {
    match class.strip_prefix(package) {
        Some(rest) if rest.starts_with('.') => format!("{package}/{rest}"),
        _ => format!("{package}/{class}"),
    }
}

/// `am start|force-stop|kill|broadcast|get-current-user`.
pub fn am(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    match arguments {
        ["start" | "start-activity", rest @ ..] => start(phone, rest),
        ["force-stop" | "kill", rest @ ..] => {
            if let Some(package) = rest.last() {
                phone.state_mut().stop(package);
            }
            ShellOutput::default()
        }
        ["kill-all"] => ShellOutput::default(),
        ["get-current-user"] => ShellOutput::ok("0\n"),
        ["broadcast", rest @ ..] => {
            let action = flag(rest, "-a").unwrap_or_default();
            if action.ends_with("CLOSE_SYSTEM_DIALOGS") {
                phone.state_mut().leave_over();
            }
            ShellOutput::ok(format!(
                "Broadcasting: Intent {{ act={action} flg=0x400000 }}\nBroadcast completed: result=0\n"
            ))
        }
        ["start-foreground-service" | "startservice", ..] => ShellOutput::ok("Error: Not found; no service started.\n"),
        [other, ..] => ShellOutput::fail(255, format!("Unknown command: {other}")),
        [] => ShellOutput::fail(255, "Activity manager (activity) commands:"),
    }
}

fn start(phone: &mut Phone, rest: &[&str]) -> ShellOutput {
    let mut intent = Intent::default();
    let (mut target, mut wait, mut stop) = (None, false, false);
    let mut category = "";
    let mut index = 0;
    while let Some(word) = rest.get(index).copied() {
        let next = rest.get(index + 1).copied().unwrap_or_default();
        let mut used = 1;
        match word {
            "-n" => target = component(next),
            "-a" => intent.action = next.to_owned(),
            "-d" => intent.data = next.to_owned(),
            "-c" => category = next,
            "-p" => target = Some((next.to_owned(), String::new())),
            "-t" | "-f" | "--user" | "--display" => {}
            "-e" | "--es" | "--ei" | "--ez" | "--el" | "--ef" | "--eia" | "--eu" => {
                let value = rest.get(index + 2).copied().unwrap_or_default();
                intent.extras.push((next.to_owned(), value.to_owned()));
                used = 2;
            }
            "-W" => {
                wait = true;
                used = 0;
            }
            "-S" => {
                stop = true;
                used = 0;
            }
            flag if flag.starts_with('-') => used = 0,
            other => {
                used = 0;
                match component(other) {
                    Some(found) if !other.contains("://") => target = Some(found),
                    _ if other.contains(':') => intent.data = other.to_owned(),
                    _ => target = Some((other.to_owned(), String::new())),
                }
            }
        }
        index += 1 + used;
    }
    let shown = describe(&intent, target.as_ref(), category);
    let mut out = format!("Starting: Intent {{ {shown} }}\n");
    let state = phone.state_mut();
    if let Some((package, class)) = &target {
        intent.class.clone_from(class);
        if stop {
            state.stop(package);
        }
    }
    match open(state, &intent, target.as_ref(), category) {
        Ok((component, brought)) => {
            if brought {
                out.push_str("Warning: Activity not started, its current task has been brought to the front\n");
            }
            if wait {
                let launch = if brought { "HOT" } else { "COLD" };
                out.push_str(&format!(
                    "Status: ok\nLaunchState: {launch}\nActivity: {component}\nTotalTime: 212\nWaitTime: 218\nComplete\n"
                ));
            }
            ShellOutput::ok(out)
        }
        Err(message) => ShellOutput {
            stdout: out,
            stderr: message.replace("{ }", &format!("{{ {shown} }}")),
            exit_code: 0,
        },
    }
}

fn describe(intent: &Intent, target: Option<&(String, String)>, category: &str) -> String {
    let mut parts = Vec::new();
    if !intent.action.is_empty() {
        parts.push(format!("act={}", intent.action));
    }
    if !category.is_empty() {
        parts.push(format!("cat=[{category}]"));
    }
    if !intent.data.is_empty() {
        parts.push(format!("dat={}", intent.data));
    }
    match target {
        Some((package, class)) if !class.is_empty() => parts.push(format!("cmp={}", short(package, class))),
        Some((package, _)) => parts.push(format!("pkg={package}")),
        None => {}
    }
    if !intent.extras.is_empty() {
        parts.push("(has extras)".to_owned());
    }
    parts.join(" ")
}

/// Opens what an intent names; gives its component, and whether it was there already.
fn open(
    state: &mut State,
    intent: &Intent,
    target: Option<&(String, String)>,
    category: &str,
) -> Result<(String, bool), String> {
    let package = match target {
        Some((package, class)) => {
            let known = state.packages.get(package).filter(|known| !known.activity.is_empty());
            let Some(known) = known else {
                return Err(format!(
                    "Error type 3\nError: Activity class {{{package}/{class}}} does not exist.\n"
                ));
            };
            if class.is_empty()
                || known.activity == *class
                || (class.ends_with(".homepage.SettingsHomepageActivity") && intent.data.is_empty())
            {
                // An intent to the first page that says no more brings the task as it is.
                let activity = known.activity.clone();
                let page = apps::app(package).and_then(|app| app.intent(state, intent));
                return Ok(match page {
                    Some(place) => show(state, package, place),
                    None => bring(state, package, &activity),
                });
            }
            if known.classes.contains(class) {
                return Ok(show(state, package, Place::new(class, "")));
            }
            package.clone()
        }
        None if category.ends_with(".HOME") => {
            state.home();
            return Ok((
                short(LAUNCHER, "com.google.android.apps.nexuslauncher.NexusLauncherActivity"),
                true,
            ));
        }
        None => resolver(state, intent).ok_or("Error: Activity not started, unable to resolve Intent { }\n")?,
    };
    let page = apps::app(&package).and_then(|app| app.intent(state, intent));
    let Some(place) = page else {
        if target.is_some() {
            let class = &intent.class;
            return Err(format!(
                "Error type 3\nError: Activity class {{{package}/{class}}} does not exist.\n"
            ));
        }
        let activity = state.packages.get(&package).map(|known| known.activity.clone());
        return Ok(bring(state, &package, &activity.unwrap_or_default()));
    };
    Ok(show(state, &package, place))
}

fn show(state: &mut State, package: &str, place: Place) -> (String, bool) {
    let component = short(package, &place.class);
    if !state.awake {
        state.wake();
    }
    state.start(package, place);
    (component, false)
}

fn bring(state: &mut State, package: &str, activity: &str) -> (String, bool) {
    let there = state.tasks.iter().any(|task| task.package == package);
    state.launch(package);
    (short(package, activity), there)
}

/// The package that answers an action without a component.
fn resolver(state: &State, intent: &Intent) -> Option<String> {
    let role = |name: &str| state.roles.get(name).cloned();
    let action = intent.action.rsplit('.').next().unwrap_or_default();
    if intent.data.starts_with("tel:") || action == "DIAL" {
        return role("DIALER");
    }
    if intent.data.starts_with("sms") {
        return role("SMS");
    }
    if intent.data.starts_with("http") {
        return role("BROWSER");
    }
    match action {
        "SET_ALARM" | "SHOW_ALARMS" | "SET_TIMER" | "SHOW_TIMERS" => Some("com.google.android.deskclock".to_owned()),
        "STILL_IMAGE_CAMERA" | "IMAGE_CAPTURE" | "VIDEO_CAMERA" => Some("com.google.android.GoogleCamera".to_owned()),
        "INSERT" if intent.extra("beginTime").is_some() || intent.data.contains("calendar") => {
            Some("com.google.android.calendar".to_owned())
        }
        "INSERT" => Some("com.google.android.contacts".to_owned()),
        "SETTINGS" => Some("com.android.settings".to_owned()),
        other if other.ends_with("SETTINGS") || other == "SET_WALLPAPER" => {
            let settings = apps::app("com.android.settings")?;
            // Asked of a copy, because some intents change the state.
            settings
                .intent(&mut state.clone(), intent)
                .map(|_| "com.android.settings".to_owned())
        }
        _ => None,
    }
}

/// `pm list|clear|grant|revoke|path|…`.
pub fn pm(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let words: Vec<&str> = arguments
        .iter()
        .copied()
        .filter(|word| *word != "--user" && *word != "0")
        .collect();
    let state = phone.state_mut();
    match words.as_slice() {
        ["list", "packages", rest @ ..] => {
            let wanted = rest
                .iter()
                .copied()
                .find(|word| !word.starts_with('-'))
                .unwrap_or_default();
            let mut out = String::new();
            for (name, package) in &state.packages {
                if !name.contains(wanted)
                    || (rest.contains(&"-3") && package.system)
                    || (rest.contains(&"-s") && !package.system)
                {
                    continue;
                }
                if rest.contains(&"-f") {
                    out.push_str(&format!("package:{}={name}\n", package.apk));
                } else {
                    out.push_str(&format!("package:{name}\n"));
                }
            }
            ShellOutput::ok(out)
        }
        ["clear", package] => ShellOutput::ok(if state.forget(package) { "Success\n" } else { "Failed\n" }),
        [verb @ ("grant" | "revoke"), package, permission] => {
            let word = permission.rsplit('.').next().unwrap_or_default();
            if !state.packages.contains_key(*package) {
                return super::replies::thrown(
                    verb,
                    &format!("java.lang.IllegalArgumentException: Unknown package: {package}"),
                );
            }
            if state.allow(package, word, Some(*verb == "grant")) {
                ShellOutput::default()
            } else {
                super::replies::thrown(
                    verb,
                    &format!(
                        "java.lang.SecurityException: Package {package} has not requested permission {permission}"
                    ),
                )
            }
        }
        ["path", package] => match state.packages.get(*package) {
            Some(known) => ShellOutput::ok(format!("package:{}\n", known.apk)),
            None => ShellOutput::fail(1, ""),
        },
        ["disable-user" | "disable" | "enable" | "uninstall" | "install", ..] => {
            ShellOutput::fail(255, "Error: apps of this phone are part of its system")
        }
        // `package` leads here with these, so they must not lead back.
        ["list" | "clear" | "grant" | "revoke" | "path", ..] => ShellOutput::fail(255, "Error: wrong arguments"),
        rest => package(phone, rest),
    }
}

/// `cmd package resolve-activity|set-home-activity`, and the words of `pm`.
pub fn package(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    match arguments {
        ["resolve-activity", rest @ ..] => {
            let intent = Intent {
                action: flag(rest, "-a").unwrap_or_default().to_owned(),
                data: flag(rest, "-d").unwrap_or_default().to_owned(),
                ..Intent::default()
            };
            let state = phone.state();
            let named = rest.last().copied().filter(|word| state.packages.contains_key(*word));
            let home = flag(rest, "-c").is_some_and(|category| category.ends_with(".HOME"));
            let package = match named {
                Some(package) => Some(package.to_owned()),
                None if home => Some(LAUNCHER.to_owned()),
                None => resolver(state, &intent),
            };
            let found = package.and_then(|package| Some((state.packages.get(&package)?.activity.clone(), package)));
            match found {
                Some((activity, package)) => ShellOutput::ok(format!(
                    "priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=true\n{}\n",
                    short(&package, &activity)
                )),
                None => ShellOutput::ok("No activity found\n"),
            }
        }
        ["set-home-activity", ..] => ShellOutput::ok("Success\n"),
        ["list" | "clear" | "grant" | "revoke" | "path", ..] => pm(phone, arguments),
        [other, ..] => ShellOutput::fail(255, format!("Unknown command: {other}")),
        [] => ShellOutput::fail(255, "Package manager (package) commands:"),
    }
}

/// `monkey -p PKG -c android.intent.category.LAUNCHER 1`.
pub fn monkey(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let package = flag(arguments, "-p").unwrap_or_default();
    let state = phone.state_mut();
    if state
        .packages
        .get(package)
        .is_none_or(|package| package.activity.is_empty())
    {
        return ShellOutput::fail(252, "** No activities found to run, monkey aborted.");
    }
    state.launch(package);
    // It ends by turning auto-rotate on, as on a device.
    state.turn(crate::state::Toggle::AutoRotate, true);
    ShellOutput::ok(
        "Events injected: 1\n## Network stats: elapsed time=12ms (0ms mobile, 0ms wifi, 12ms not connected)\n",
    )
}
