//! `cargo xtask sdk-check`: the official SDKs of the service, unmodified, call every method of an Android box on the
//! simulator, with each of its phones. Their versions are pinned, and they lie in a cache under the target directory.

use crate::command::{self, Outcome, cargo, root};
use crate::fetched;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The newest versions of the registries.
const PYTHON_SDK: &str = "gbox-sdk==0.1.0a41";
const NODE_SDK: &str = "gbox-sdk@0.1.1";
/// The phones of the simulator.
const PHONES: [&str; 2] = ["small", "pixel"];

/// What calls of a language came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    /// Each with what went wrong.
    failed: Vec<String>,
    /// What the simulator has not, each with the reason.
    absent: Vec<String>,
}

/// Who is called, and with what.
struct Language {
    name: &'static str,
    sdk: &'static str,
    /// The program, and the folder in which it is run.
    program: PathBuf,
    folder: PathBuf,
    script: &'static str,
}

/// The task.
pub fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err(format!(
            "sdk-check: expected no argument, got `{}`",
            arguments.join(" ")
        ));
    }
    check(&set_up()?)
}

/// The check as a part of the whole, see [`fetched::in_ci`].
pub fn in_ci() -> Outcome {
    fetched::in_ci("sdk-check", "SDK_CHECK", set_up(), |languages| check(&languages))
}

fn set_up() -> Result<Vec<Language>, String> {
    let cache = fetched::cache("sdk-check")?;
    Ok(vec![python(&cache)?, node(&cache)?])
}

/// The Python SDK in an environment of its own.
fn python(cache: &Path) -> Result<Language, String> {
    let folder = fetched::python("sdk-check", cache, PYTHON_SDK)?;
    Ok(Language {
        name: "Python",
        sdk: PYTHON_SDK,
        program: folder.join("bin/python"),
        folder,
        script: "xtask/sdk/check.py",
    })
}

/// The JavaScript SDK in a project of its own.
fn node(cache: &Path) -> Result<Language, String> {
    let has = |name: &str| command::output(name, &["--version"]).is_ok();
    if !has("node") || !has("npm") {
        fetched::install("sdk-check", &["nodejs", "npm"])?;
    }
    let folder = cache.join(NODE_SDK.replace('@', "-node-"));
    if !folder.join("ready").exists() {
        fetched::clear(&folder)?;
        let wrong = |error: std::io::Error| format!("sdk-check: cannot write {}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(wrong)?;
        std::fs::write(folder.join("package.json"), "{\"private\":true}\n").map_err(wrong)?;
        let prefix = folder.display().to_string();
        let npm = [
            "install",
            "--prefix",
            &prefix,
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--silent",
            NODE_SDK,
        ];
        command::output("npm", &npm)
            .map_err(|error| format!("sdk-check: {NODE_SDK} cannot be had from the npm registry: {error}"))?;
        fetched::mark(&folder)?;
    }
    Ok(Language {
        name: "JavaScript",
        sdk: NODE_SDK,
        program: "node".into(),
        folder,
        script: "xtask/sdk/check.mjs",
    })
}

/// A simulator that ends with its standard input, and at the latest when this is dropped.
struct Simulator {
    child: Child,
    address: String,
}

impl Simulator {
    fn start(phone: &str) -> Result<Self, String> {
        let build = ["build", "--quiet", "--package", "cua-grpo-sim", "--example", "serve"];
        command::run(&cargo(), &build, &[])?;
        let program = fetched::target().join("debug/examples/serve");
        let wrong = |error: std::io::Error| format!("sdk-check: cannot start {}: {error}", program.display());
        let child = Command::new(&program)
            .arg(phone)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(wrong)?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address).map_err(wrong)?;
        }
        let address = address.trim().to_owned();
        let simulator = Self { child, address };
        if simulator.address.is_empty() {
            return Err("sdk-check: the simulator did not say where it listens".to_owned());
        }
        Ok(simulator)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Its end is waited for, so that nothing of it is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check(languages: &[Language]) -> Outcome {
    let mut rows = Vec::new();
    for phone in PHONES {
        let simulator = Simulator::start(phone)?;
        for language in languages {
            rows.push((language, phone, call(language, &simulator.address, phone)?));
        }
    }
    eprintln!(
        "{:<12} {:<24} {:<6} {:>6} {:>6} {:>11}",
        "language", "SDK", "phone", "passed", "failed", "not offered"
    );
    for (language, phone, tally) in &rows {
        let (failed, absent) = (tally.failed.len(), tally.absent.len());
        eprintln!(
            "{:<12} {:<24} {phone:<6} {:>6} {failed:>6} {absent:>11}",
            language.name, language.sdk, tally.passed
        );
    }
    for (language, phone, tally) in &rows {
        for line in &tally.absent {
            eprintln!("not offered: {}, {phone}: {line}", language.name);
        }
        for line in &tally.failed {
            eprintln!("failed: {}, {phone}: {line}", language.name);
        }
    }
    let sum = |count: fn(&Tally) -> usize| rows.iter().map(|(.., tally)| count(tally)).sum::<usize>();
    let (passed, failed) = (sum(|tally| tally.passed), sum(|tally| tally.failed.len()));
    let absent = sum(|tally| tally.absent.len());
    eprintln!("sdk-check: {passed} passed, {failed} failed, {absent} skipped");
    if failed > 0 {
        return Err(format!("sdk-check: {failed} calls of the official SDKs failed"));
    }
    Ok(())
}

/// Runs the script of a language and reads what it says.
fn call(language: &Language, address: &str, phone: &str) -> Result<Tally, String> {
    let script = root().join(language.script);
    let result = Command::new(&language.program)
        .arg(&script)
        .arg(address)
        .arg(phone)
        .current_dir(&language.folder)
        // Proxies and a key of whoever runs this are not for the simulator.
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("GBOX_API_KEY")
        .env_remove("GBOX_CLIENT_BASE_URL")
        .stderr(Stdio::inherit())
        .output();
    let output = result.map_err(|error| format!("sdk-check: {} cannot be run: {error}", language.program.display()))?;
    let mut tally = read(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() && tally.failed.is_empty() {
        tally
            .failed
            .push(format!("{} ended early ({})", language.script, output.status));
    }
    if tally.passed == 0 && tally.failed.is_empty() {
        tally.failed.push(format!("{} called nothing", language.script));
    }
    Ok(tally)
}

/// Reads the lines of a script.
fn read(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        if line.starts_with("PASSED ") {
            tally.passed += 1;
        } else if let Some(failed) = line.strip_prefix("FAILED ") {
            tally.failed.push(failed.to_owned());
        } else if let Some(absent) = line.strip_prefix("ABSENT ") {
            tally.absent.push(absent.to_owned());
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_scripts_are_counted() {
        let tally = read("PASSED a\nFAILED b: no route\nsomething else\nPASSED c\nABSENT d: no such thing\n");
        let wanted = Tally {
            passed: 2,
            failed: vec!["b: no route".to_owned()],
            absent: vec!["d: no such thing".to_owned()],
        };
        assert_eq!(tally, wanted);
    }

    #[test]
    fn a_script_that_ends_early_has_failed() {
        let language = Language {
            name: "none",
            sdk: "none",
            program: "false".into(),
            folder: root(),
            script: "xtask/sdk/check.py",
        };
        assert_eq!(call(&language, "nowhere", "small").unwrap().failed.len(), 1);
        let language = Language {
            program: "true".into(),
            ..language
        };
        assert!(call(&language, "nowhere", "small").unwrap().failed[0].contains("called nothing"));
    }
}
