//! House rules that the compiler does not know; also run as a test.

use crate::command::{Outcome, root};
use crate::{circles, dependencies, unify};
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 450;
/// The trainer makes objects and shows what happens; what it would do besides belongs to a library.
const MOST_TRAINER_LINES: usize = 4500;
const FOLDERS: &[&str] = &["crates", "benches", "examples", "workspace-hack", "xtask"];

/// The task: tells what is wrong and which crates come in several versions.
pub fn run() -> Outcome {
    let mut errors = sources()?;
    let files = errors.1;
    errors.0.extend(import_circles()?);
    let findings = dependencies::check()?;
    errors.0.extend(findings.errors);
    errors.0.extend(unify::check()?);
    if !findings.duplicates.is_empty() {
        eprintln!(
            "note: in more than one version (all platforms): {}",
            findings.duplicates.join(", ")
        );
    }
    for error in &errors.0 {
        eprintln!("tidy: {error}");
    }
    let count = errors.0.len();
    if count > 0 {
        return Err(format!(
            "tidy found {count} violation{}",
            if count == 1 { "" } else { "s" }
        ));
    }
    let (packages, twice) = (findings.packages, findings.duplicates.len());
    eprintln!("tidy: {files} files and {packages} packages are in order ({twice} crates in more than one version)");
    Ok(())
}

/// Violations in source files, and the number of files.
fn sources() -> Result<(Vec<String>, usize), String> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root().join(folder), &mut files)?;
    }
    files.sort();
    let mut errors = Vec::new();
    let mut trainer = 0;
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let name = file.strip_prefix(root()).unwrap_or(file).display().to_string();
        if name.starts_with("crates/trainer/src/") {
            trainer += text.lines().count();
        }
        errors.extend(
            file_rules(&name, &text)
                .into_iter()
                .map(|error| format!("{name}: {error}")),
        );
    }
    errors.extend(thin(trainer));
    Ok((errors, files.len()))
}

/// A violation when the trainer is no thin one.
fn thin(lines: usize) -> Option<String> {
    (lines >= MOST_TRAINER_LINES).then(|| {
        format!("crates/trainer/src: {lines} lines, fewer than {MOST_TRAINER_LINES}: move what is no binary's work into a library")
    })
}

/// Circles between files that nobody has let be.
fn import_circles() -> Result<Vec<String>, String> {
    let mut errors = Vec::new();
    for (source, root_file) in crate_roots()? {
        let name = source.strip_prefix(root()).unwrap_or(&source).display().to_string();
        for circle in circles::find(&source, root_file)? {
            let files: Vec<String> = circle.into_iter().map(|file| format!("{name}/{file}")).collect();
            if !circles::allowed(&files) {
                errors.push(format!(
                    "files that depend on each other in a circle: {}: let one of them import nothing of the others",
                    files.join(", ")
                ));
            }
        }
    }
    Ok(errors)
}

/// The folders of our crate roots, each with its root file.
fn crate_roots() -> Result<Vec<(PathBuf, &'static str)>, String> {
    let mut folders = vec![root().join("xtask/src"), root().join("examples/src")];
    for parent in ["crates", "benches/src/bin"] {
        let parent = root().join(parent);
        let entries =
            std::fs::read_dir(&parent).map_err(|error| format!("cannot list {}: {error}", parent.display()))?;
        let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
        folders.extend(
            entries
                .filter(|path| path.is_dir())
                .flat_map(|path| [path.join("src"), path]),
        );
    }
    folders.sort();
    let roots = folders.into_iter().flat_map(|folder| {
        let found = ["lib.rs", "main.rs"]
            .into_iter()
            .filter(|file| folder.join(file).exists());
        found.map(|file| (folder.clone(), file)).collect::<Vec<_>>()
    });
    Ok(roots.collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry
            .map_err(|error| format!("cannot list {}: {error}", folder.display()))?
            .path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn file_rules(name: &str, text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if !text.starts_with("//! ") {
        errors.push("open the file with a `//!` sentence that says what it is for".into());
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        errors.push(format!("{lines} lines, at most {MOST_LINES}: split it by subject"));
    }
    for (number, line) in text.lines().enumerate() {
        // What is shown and handed on as the source would stand twice in a chain of causes.
        if line.trim_start().starts_with("#[error(") && line.contains("{source}") {
            errors.push(format!(
                "line {}: a message shows its cause or has it as source, not both; call the field `reason`",
                number + 1
            ));
        }
    }
    let library = name.starts_with("crates/cua-grpo-") && name.contains("/src/");
    if library {
        let shipped = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        for (number, line) in shipped.enumerate() {
            let code = line.trim_start();
            let prints = ["println!(", "print!(", "eprintln!(", "eprint!("];
            if !code.starts_with("//") && prints.iter().any(|print| code.contains(print)) {
                errors.push(format!("line {}: a library does not print; use `tracing`", number + 1));
            }
            let installs = ["tracing_subscriber::", "set_global_default("];
            if !code.starts_with("//") && installs.iter().any(|install| code.contains(install)) {
                errors.push(format!(
                    "line {}: a library installs no subscriber; the binary does",
                    number + 1
                ));
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let (errors, files) = sources().unwrap();
        assert!(files > 10, "the walk found {files} files");
        assert!(errors.is_empty(), "{errors:#?}");
        assert!(crate_roots().unwrap().len() > 8);
        let circles = import_circles().unwrap();
        assert!(circles.is_empty(), "{circles:#?}");
        let findings = dependencies::check().unwrap();
        assert!(findings.errors.is_empty(), "{:#?}", findings.errors);
        let twice = unify::check().unwrap();
        assert!(twice.is_empty(), "{twice:#?}");
    }

    #[test]
    fn each_rule_can_be_broken() {
        let good = "//! Good.\n\n/// println!(\nfn f() {}\n#[cfg(test)]\nmod tests { fn g() { println!(); } }\n";
        assert!(file_rules("crates/cua-grpo-x/src/lib.rs", good).is_empty());
        assert_eq!(
            file_rules("crates/cua-grpo-x/src/lib.rs", "use a;\nfn f() { println!(\"\"); }").len(),
            2
        );
        assert!(thin(MOST_TRAINER_LINES).is_some() && thin(MOST_TRAINER_LINES - 1).is_none());
        let installs = "//! A.\nfn f() { tracing_subscriber::fmt().init(); }";
        assert_eq!(file_rules("crates/cua-grpo-x/src/lib.rs", installs).len(), 1);
        assert!(file_rules("crates/trainer/src/main.rs", "//! A.\nfn f() { println!(\"\"); }").is_empty());
        let twice = "//! A.\n    #[error(\"no: {source}\")]\n";
        assert_eq!(file_rules("crates/trainer/src/a.rs", twice).len(), 1);
        assert_eq!(
            file_rules("xtask/src/a.rs", &format!("//! A.{}", "\n".repeat(MOST_LINES + 1))).len(),
            1
        );
    }
}
