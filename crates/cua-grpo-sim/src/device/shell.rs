//! The shell of a box: what the phone's shell knows, and commands for files, packages, apps and the screen, on one state.

use super::{Device, resolve, shell_apps, shell_files, shell_look};
use crate::shell::{Commands, ShellOutput, execute};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// The exit code of what ran out of time.
const TIMED_OUT: i32 = 124;

/// A command line and where it runs.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    pub line: &'a str,
    /// Values of `$NAME`.
    pub variables: &'a BTreeMap<String, String>,
    /// Where relative paths begin.
    pub folder: &'a str,
    /// How long it may sleep.
    pub budget: Duration,
}

/// A line that is being run.
pub(super) struct Session<'a> {
    pub device: &'a mut Device,
    pub folder: String,
    pub waited: Duration,
    budget: Duration,
}

impl Session<'_> {
    /// A path that was given to a command.
    pub fn path(&self, path: &str) -> Result<String, super::FileError> {
        resolve(&self.folder, path)
    }

    /// Arguments of a command that the phone itself carries out, which knows no folder that it runs in.
    fn at_root<'a>(&self, name: &str, arguments: &[&'a str]) -> Vec<Cow<'a, str>> {
        let paths = match name {
            "find" => 1,
            "md5sum" | "sha256sum" => usize::MAX,
            _ => 0,
        };
        let resolved = arguments.iter().enumerate().map(|(index, argument)| {
            let path = (index < paths && !argument.starts_with('-')).then(|| self.path(argument).ok());
            path.flatten().map_or(Cow::Borrowed(*argument), Cow::Owned)
        });
        resolved.collect()
    }

    fn sleep(&mut self, arguments: &[&str]) -> ShellOutput {
        let [text] = *arguments else {
            return ShellOutput::fail(1, "sleep: expected seconds");
        };
        let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
            Some(number) => (number, &text[number.len()..]),
            None => (text, "s"),
        };
        let seconds = match unit {
            "m" => 60.0,
            "h" => 3600.0,
            _ => 1.0,
        };
        match number.parse::<f64>() {
            Ok(count) if (0.0..1e9).contains(&count) => {
                let slept = Duration::from_secs_f64(count * seconds);
                self.waited += slept;
                let slept = slept.min(self.budget);
                self.device
                    .phone
                    .wait(i64::try_from(slept.as_millis()).unwrap_or_default());
                ShellOutput::default()
            }
            _ => ShellOutput::fail(1, format!("sleep: expected seconds, got {text:?}")),
        }
    }
}

impl Commands for Session<'_> {
    fn run(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
        if self.is_over() {
            return ShellOutput::default();
        }
        match name {
            "sleep" => return self.sleep(arguments),
            "true" | ":" => return ShellOutput::default(),
            "false" => {
                return ShellOutput {
                    exit_code: 1,
                    ..ShellOutput::default()
                };
            }
            _ => {}
        }
        let output = shell_files::run(self, name, arguments, input)
            .or_else(|| shell_apps::run(self, name, arguments))
            .or_else(|| shell_look::run(self, name, arguments));
        let output = output.unwrap_or_else(|| {
            let arguments = self.at_root(name, arguments);
            let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
            self.device.phone.command(name, &arguments, input)
        });
        self.device.note_front();
        output
    }

    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), String> {
        let path = self.path(path).map_err(|error| error.to_string())?;
        let outcome = if append {
            self.device.files_mut().append(&path, text.as_bytes())
        } else {
            self.device.files_mut().write(&path, text)
        };
        outcome.map_err(|error| format!("can't create {error}"))
    }

    fn is_over(&self) -> bool {
        self.waited > self.budget
    }
}

impl Device {
    /// Runs a command line; gives how long it takes too, which the caller is to wait.
    pub fn shell(&mut self, script: &Script<'_>) -> (ShellOutput, Duration) {
        match self.files().get(script.folder) {
            Some(entry) if entry.is_folder() => {}
            _ => {
                let message = format!("sh: cd: {}: No such file or directory", script.folder);
                return (ShellOutput::fail(1, message), Duration::ZERO);
            }
        }
        let mut session = Session {
            device: self,
            folder: script.folder.to_owned(),
            waited: Duration::ZERO,
            budget: script.budget,
        };
        let mut output = execute(&mut session, script.line, script.variables);
        if session.is_over() {
            output.exit_code = TIMED_OUT;
        }
        let waited = session.waited.min(script.budget);
        (output, waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::WORKING_FOLDER;

    /// Runs lines one after another on a box, and compares exit code and output.
    fn check(device: &mut Device, table: &[(&str, i32, &str)]) {
        for (line, exit_code, stdout) in table {
            let (output, _) = device.shell(&Script {
                line,
                variables: &BTreeMap::from([("1".to_owned(), "one".to_owned())]),
                folder: WORKING_FOLDER,
                budget: Duration::from_secs(5),
            });
            assert_eq!(output.exit_code, *exit_code, "{line}: {output:?}");
            assert_eq!(output.stdout, *stdout, "{line}: {output:?}");
        }
    }

    #[test]
    fn files_live_as_on_a_phone() {
        let mut device = Device::small(1);
        check(
            &mut device,
            &[
                ("pwd; cd /sdcard; pwd", 0, "/data/local/tmp\n/sdcard\n"),
                ("echo $1 > a.txt && echo two >> a.txt; cat a.txt", 0, "one\ntwo\n"),
                ("ls; ls /sdcard/../data/local/tmp | wc -l", 0, "a.txt\n1\n"),
                ("cat none 2>/dev/null || echo no", 0, "no\n"),
                (
                    "cat none 2>&1",
                    1,
                    "cat: /data/local/tmp/none: No such file or directory\n",
                ),
                (
                    "mkdir -p x/y; cp a.txt x/y/; mv x/y/a.txt x/b.txt; ls x",
                    0,
                    "b.txt\ny\n",
                ),
                ("head -n 1 x/b.txt; tail -1 x/b.txt; wc -c < /dev/null", 2, ""),
                ("rmdir x", 1, ""),
                ("rm x", 1, ""),
                ("rm -rf x; [ -d x ] || test -f a.txt && echo ok", 0, "ok\n"),
                ("rm a.txt; ls", 0, ""),
                ("cat /sdcard/none | grep x # a remark", 1, ""),
                ("echo hi > /sdcard", 1, ""),
                ("rm -rf / 2>/dev/null; ls -d /sdcard", 0, "/sdcard\n"),
            ],
        );
        assert_eq!(device.state(), device.phone.number(), "nothing is left");
    }

    #[test]
    fn time_runs_out() {
        let mut device = Device::small(1);
        let mut run = |line| {
            let variables = BTreeMap::new();
            device.shell(&Script {
                line,
                variables: &variables,
                folder: "/",
                budget: Duration::from_secs(2),
            })
        };
        let (output, waited) = run("echo a; sleep 1.5; echo b");
        assert_eq!(
            (output.stdout.as_str(), output.exit_code, waited),
            ("a\nb\n", 0, Duration::from_millis(1500))
        );
        let (output, waited) = run("echo a; sleep 1m; echo b");
        assert_eq!(
            (output.stdout.as_str(), output.exit_code, waited),
            ("a\n", 124, Duration::from_secs(2))
        );
    }

    #[test]
    fn apps_are_managed() {
        let mut device = Device::small(1);
        let package = super::super::from_url("https://example.com/org.own.apk").expect("a package");
        device.install(package, "PK".as_bytes().into()).expect("installed");
        check(
            &mut device,
            &[
                ("pm list packages -3", 0, "package:org.own\n"),
                ("cmd package list packages own", 0, "package:org.own\n"),
                (
                    "pm path org.own; ls /data/app",
                    0,
                    "package:/data/app/org.own-1/base.apk\norg.own-1\n",
                ),
                (
                    "monkey -p org.own -c android.intent.category.LAUNCHER 1 >/dev/null",
                    0,
                    "",
                ),
                (
                    "dumpsys window | grep mCurrentFocus",
                    0,
                    "  mCurrentFocus=Window{a1b2c3 u0 org.own/org.own.MainActivity}\n",
                ),
                ("am force-stop org.own; pidof org.own", 1, ""),
                (
                    "am start -n org.own/.MainActivity > /dev/null; pidof org.own > /dev/null",
                    0,
                    "",
                ),
                ("am start -n org.own/.None 2>/dev/null >/dev/null", 1, ""),
                (
                    "cp /data/app/org.own-1/base.apk /sdcard/com.own.two.apk; pm install /sdcard/com.own.two.apk",
                    0,
                    "Success\n",
                ),
                (
                    "pm uninstall org.own; pm list packages -3",
                    0,
                    "Success\npackage:com.own.two\n",
                ),
                ("pm uninstall com.android.settings", 1, ""),
                (
                    "am start -a android.intent.action.VIEW -d https://example.com/x > /dev/null",
                    0,
                    "",
                ),
                (
                    "wm size; settings get system user_rotation",
                    0,
                    "Physical size: 192x384\nnull\n",
                ),
            ],
        );
        assert_eq!(
            device
                .phone
                .small()
                .and_then(|phone| Some(phone.guest()?.label.as_str())),
            Some("example.com")
        );
    }
}
