//! The shell of the phone: the few commands that tasks and validators use, in the syntax of a POSIX shell.

use crate::{phone::Phone, shell_commands::run};
pub use cua_grpo_phone::shell::ShellOutput;
pub(crate) use cua_grpo_phone::shell::{Commands, execute};
use std::collections::BTreeMap;

impl Commands for Phone {
    fn run(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
        run(self, name, arguments, input)
    }

    fn write(&mut self, path: &str, _: &str, _: bool) -> Result<(), String> {
        Err(format!("can't create {path}: Read-only file system"))
    }
}

impl Phone {
    /// Runs a command line: words with quotes and `$NAME`, joined by `|`, `||`, `&&` and `;`.
    ///
    /// Output goes elsewhere with `>/dev/null`, `2>/dev/null`, `2>&1` and `1>&2`; `#` begins a remark.
    ///
    /// Known are `settings`, `dumpsys window|activity`, `am start -n`, `input keyevent`, `content query|insert|update`,
    /// `grep` and `echo`; any other command leaves 127, as a shell does for what it cannot find.
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
