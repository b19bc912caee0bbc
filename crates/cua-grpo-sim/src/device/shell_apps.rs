//! Commands of the shell for packages and apps: `pm`, `cmd package`, `am`, `monkey` and who runs.

use super::{
    apk, file_name,
    packages::{BROWSER, Package},
    shell::Session,
};
use crate::shell::ShellOutput;
use cua_grpo_android::PhoneKind;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Runs a command for apps; `None` when it is none, or one that the phone itself carries out.
pub(super) fn run(session: &mut Session<'_>, name: &str, arguments: &[&str]) -> Option<ShellOutput> {
    let full = session.device.phone.kind() == PhoneKind::Pixel;
    match (name, arguments) {
        // Of these the full phone has its own, but it cannot read package files.
        ("pm", ["install" | "uninstall", ..]) | ("cmd", ["package", "install" | "uninstall", ..]) if full => {
            Some(manager(
                session,
                match arguments {
                    ["package", rest @ ..] => rest,
                    own => own,
                },
            ))
        }
        ("pm" | "cmd" | "am" | "monkey", _) if full => None,
        ("pm", arguments) | ("cmd", ["package", arguments @ ..]) => Some(manager(session, arguments)),
        ("am", ["force-stop" | "kill", package]) => Some(outcome(session.device.close(package), "")),
        ("am", ["kill-all"]) => {
            for package in session.device.running_apps() {
                // Only what runs is ended, and all that runs is installed.
                let _ = session.device.close(&package);
            }
            Some(ShellOutput::default())
        }
        ("am", ["start" | "start-activity", arguments @ ..]) => start(session, arguments),
        ("monkey", arguments) => Some(monkey(session, arguments)),
        ("pidof", [package]) => Some(match pid(session, package) {
            Some(pid) => ShellOutput::ok(format!("{pid}\n")),
            None => ShellOutput {
                exit_code: 1,
                ..ShellOutput::default()
            },
        }),
        ("ps", _) => {
            let all = session.device.packages();
            let running = all.iter().filter_map(|package| {
                let pid = pid(session, &package.name)?;
                Some(format!("u0_a{:<8} {pid:>6} S {}\n", pid % 500, package.name))
            });
            Some(ShellOutput::ok(format!(
                "USER            PID S NAME\n{}",
                running.collect::<String>()
            )))
        }
        _ => None,
    }
}

fn outcome(outcome: Result<(), String>, success: &str) -> ShellOutput {
    match outcome {
        Ok(()) => ShellOutput::ok(success),
        Err(message) => ShellOutput::fail(1, message),
    }
}

/// A number for a package that runs; always the same.
fn pid(session: &Session<'_>, name: &str) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    session.device.is_running(name).then(|| 1000 + hasher.finish() % 30_000)
}

fn manager(session: &mut Session<'_>, arguments: &[&str]) -> ShellOutput {
    let device = &mut session.device;
    match *arguments {
        ["list", "packages", ref rest @ ..] => list(session, rest),
        ["path", name] => match device.package(name) {
            Some(package) => ShellOutput::ok(format!("package:{}\n", package.apk)),
            None => ShellOutput {
                exit_code: 1,
                ..ShellOutput::default()
            },
        },
        ["install", .., path] => {
            let installed = session.path(path).and_then(|path| {
                let bytes = session.device.read_file(&path)?;
                Ok((path, bytes))
            });
            match installed {
                Ok((path, bytes)) => {
                    let package = apk::from_bytes(file_name(&path), &bytes);
                    let done = package.and_then(|package| session.device.install(package, bytes));
                    outcome(done, "Success\n")
                }
                Err(error) => ShellOutput::fail(1, format!("Failure [INSTALL_FAILED_INVALID_URI: {error}]")),
            }
        }
        ["uninstall", "-k", name] => outcome(device.uninstall(name, true), "Success\n"),
        ["uninstall", name] => outcome(device.uninstall(name, false), "Success\n"),
        ["resolve-activity", "--brief", .., name] => {
            let package = device.package(name);
            let first = package
                .as_ref()
                .and_then(|package| Some((package, package.launcher()?)));
            match first {
                Some((package, activity)) => {
                    ShellOutput::ok(format!("{}/{}\n", package.name, activity.short(&package.name)))
                }
                None => ShellOutput::ok("No activity found\n"),
            }
        }
        _ => ShellOutput::fail(
            1,
            "pm: expected list packages|path|install|uninstall|resolve-activity --brief, with their arguments",
        ),
    }
}

fn list(session: &Session<'_>, arguments: &[&str]) -> ShellOutput {
    let flag = |flag: &str| arguments.contains(&flag);
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or(&"");
    let shown = |package: &Package| {
        let kind = (!flag("-3") || !package.system) && (!flag("-s") || package.system);
        kind && package.name.contains(*filter)
    };
    let line = |package: &Package| match flag("-f") {
        true => format!("package:{}={}\n", package.apk, package.name),
        false => format!("package:{}\n", package.name),
    };
    let all = session.device.packages();
    let shown = all.iter().map(AsRef::as_ref).filter(|package| shown(package));
    ShellOutput::ok(shown.map(line).collect::<String>())
}

/// The value behind an option.
fn after<'a>(arguments: &[&'a str], option: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| *argument == option)?;
    arguments.get(at + 1).copied()
}

/// `am start`: a component, the page of an address, or the launcher's activity of a package.
fn start(session: &mut Session<'_>, arguments: &[&str]) -> Option<ShellOutput> {
    let device = &mut session.device;
    if let Some(component) = after(arguments, "-n") {
        let (package, activity) = component.split_once('/')?;
        let own = device.package(package).is_some_and(|package| !package.system);
        if !own && package != BROWSER {
            // The phone knows its own components, and what to say of others.
            let plain = ["start", "-n", component];
            return Some(device.phone.command("am", &plain, ""));
        }
        let started = format!("Starting: Intent {{ cmp={component} }}\n");
        return Some(match device.open(package, Some(activity)) {
            Ok(()) => ShellOutput::ok(started),
            Err(_) => ShellOutput {
                stdout: started,
                ..ShellOutput::fail(
                    1,
                    format!("Error type 3\nError: Activity class {{{component}}} does not exist."),
                )
            },
        });
    }
    if let Some(url) = after(arguments, "-d") {
        return Some(match device.browser.open(url) {
            Ok(_) => {
                device.show_tab();
                ShellOutput::ok(format!(
                    "Starting: Intent {{ act=android.intent.action.VIEW dat={url} }}\n"
                ))
            }
            Err(message) => ShellOutput::fail(1, format!("Error: {message}")),
        });
    }
    let package = after(arguments, "-p").or_else(|| arguments.last().copied())?;
    let known = device.package(package).is_some();
    known.then(|| outcome(device.open(package, None), "Starting: Intent\n"))
}

/// Only as apps are commonly started with it: `monkey -p PACKAGE [-c CATEGORY] 1`.
fn monkey(session: &mut Session<'_>, arguments: &[&str]) -> ShellOutput {
    let (Some(package), Some(&"1")) = (after(arguments, "-p"), arguments.last()) else {
        return ShellOutput::fail(1, "monkey: expected -p PACKAGE -c android.intent.category.LAUNCHER 1");
    };
    match session.device.open(package, None) {
        Ok(()) => ShellOutput::ok("Events injected: 1\n"),
        Err(_) => ShellOutput::fail(252, "** No activities found to run, monkey aborted."),
    }
}
