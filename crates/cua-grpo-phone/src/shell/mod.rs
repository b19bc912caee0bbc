//! The shell: the commands of Android that read and write the state.

mod activity;
mod arithmetic;
mod cmd;
mod content;
mod dump;
mod files;
mod input;
mod line;
mod notes;
mod people;
mod replies;
mod settings;
mod sound;
mod stores;
mod tables;
mod tools;

pub use line::{Commands, ShellOutput, execute};

use crate::Phone;
use std::collections::BTreeMap;

impl Phone {
    /// Runs a command line: words with quotes and `$NAME`, joined by `|`, `||`, `&&` and `;`; output goes to
    /// files by `>` and `>>`.
    ///
    /// Outputs and exit codes are those of Android 13 to 15. A command that is not there leaves 127.
    pub fn shell(&mut self, line: &str) -> ShellOutput {
        self.shell_with(line, &BTreeMap::new())
    }

    /// [`Phone::shell`] with environment variables for `$NAME`.
    ///
    /// A line of more than 128 KiB with the values of its variables, or of more than 1,000 commands, is not run. Output
    /// ends at 1 MiB.
    pub fn shell_with(&mut self, line: &str, variables: &BTreeMap<String, String>) -> ShellOutput {
        execute(self, line, variables)
    }
}

impl Commands for Phone {
    fn run(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
        run(self, name, arguments, input)
    }

    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), String> {
        files::write(self.state_mut(), path, text, append)
    }
}

fn run(phone: &mut Phone, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
    match name {
        "settings" => settings::settings(phone, arguments),
        "svc" => settings::svc(phone, arguments),
        "cmd" => cmd::cmd(phone, arguments),
        "locksettings" => settings::lock(phone, arguments),
        "ime" => settings::ime(phone, arguments),
        "media" => match arguments {
            ["volume", rest @ ..] => sound::volume(phone, rest),
            _ => ShellOutput::fail(1, "usage: media [subcommand] [options]"),
        },
        "am" => activity::am(phone, arguments),
        "pm" => activity::pm(phone, arguments),
        "monkey" => activity::monkey(phone, arguments),
        "dumpsys" => dump::dumpsys(phone, arguments),
        "input" => input::input(phone, arguments),
        "wm" => input::wm(phone, arguments),
        "uiautomator" => input::uiautomator(phone, arguments),
        "content" => content::content(phone, arguments),
        other => files::run(phone, other, arguments, input),
    }
}
