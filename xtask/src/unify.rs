//! One build for all entries: `cargo test -p X` and `cargo run -p X` take foreign crates with the features that
//! `cargo test --workspace` gives them, so that nothing foreign is built twice. `workspace-hack/Cargo.toml` asks for
//! these features; it is written here, from what cargo says that each selection would build.

use crate::command::{self, Outcome, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Binaries and what is built for them; of all other members the tests are built.
const RUN: &[&str] = &["trainer", "benches"];

/// Members that share nothing: everybody builds `xtask` first, so it waits for no foreign crate that it does not use.
const ALONE: &[&str] = &["xtask", "workspace-hack"];

const MANIFEST: &str = "workspace-hack/Cargo.toml";

/// What a manifest begins with; the dependencies come after it.
const HEAD: &str = "\
# Written by `cargo xtask unify`: foreign crates whose features differ between `cargo test --workspace` and one crate
# alone, with the features that they have there. `cargo xtask tidy` says when this is out of date.
[package]
name = \"workspace-hack\"
description = \"Features of foreign crates, so that all selections of our crates share one build of them.\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
repository.workspace = true
publish = false

[lints]
workspace = true
";

/// A foreign crate as it is built: name and version, and whether for build scripts and macros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    package: String,
    host: bool,
}

/// The features of each foreign crate of a selection.
type Features = BTreeMap<Built, BTreeSet<String>>;

/// A selection of our crates: the command that a user types, and the features that foreign crates have in it.
struct Entry {
    shown: String,
    features: Features,
}

/// Selections that build a foreign crate with other features than the tests of the workspace do, in words.
///
/// # Errors
/// When cargo cannot tell.
pub fn check() -> Result<Vec<String>, String> {
    let Some(triple) = linux()? else {
        return Ok(Vec::new());
    };
    let whole = whole(&triple)?;
    let entries = entries(&triple)?;
    let told = entries.iter().filter_map(|entry| {
        let names: Vec<String> = differing(&entry.features, &whole.features)
            .into_iter()
            .map(|built| built.package)
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "`{}` builds other features than `{}` of {}: run `cargo xtask unify`",
                entry.shown,
                whole.shown,
                names.join(", ")
            )
        })
    });
    Ok(told.collect())
}

/// The task: writes the manifest.
///
/// # Errors
/// When this is no Linux machine, where the list is made, or cargo cannot tell.
pub fn run() -> Outcome {
    let triple = linux()?.ok_or("cargo xtask unify: the list is made on Linux, where it holds")?;
    let path = root().join(MANIFEST);
    let write = |text: &str| std::fs::write(&path, text).map_err(|error| format!("cannot write {MANIFEST}: {error}"));
    let before = std::fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    let written = settle(&triple, &write);
    if written.is_err() {
        write(&before)?;
    }
    written?;
    eprintln!("unify: {MANIFEST} is written; all selections share one build");
    Ok(())
}

/// Writes the list from nothing, until nothing differs: what the list asks for has dependencies of its own.
fn settle(triple: &str, write: &impl Fn(&str) -> Outcome) -> Outcome {
    let mut wanted = BTreeSet::new();
    write(HEAD)?;
    loop {
        let whole = whole(triple)?;
        let before = wanted.len();
        for entry in entries(triple)? {
            wanted.extend(differing(&entry.features, &whole.features));
        }
        if wanted.len() == before {
            break;
        }
        write(&manifest(&whole.features, &wanted))?;
    }
    let left = check()?;
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// The triple of this machine where the list holds.
fn linux() -> Result<Option<String>, String> {
    let about = command::output("rustc", &["-vV"])?;
    let triple = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.filter(|triple| triple.contains("linux")).map(str::to_owned))
}

fn whole(triple: &str) -> Result<Entry, String> {
    entry("cargo test --workspace", &["--workspace"], "normal,build,dev", triple)
}

fn entries(triple: &str) -> Result<Vec<Entry>, String> {
    let text = command::output(
        &command::cargo(),
        &["metadata", "--format-version", "1", "--no-deps", "--quiet"],
    )?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
    let members = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut entries = Vec::new();
    for name in members.iter().filter_map(|member| member["name"].as_str()) {
        if ALONE.contains(&name) {
            continue;
        }
        let test = format!("cargo test -p {name}");
        entries.push(entry(&test, &["-p", name], "normal,build,dev", triple)?);
        if RUN.contains(&name) {
            let run = format!("cargo run -p {name}");
            entries.push(entry(&run, &["-p", name], "normal,build", triple)?);
        }
    }
    Ok(entries)
}

fn entry(shown: &str, selection: &[&str], edges: &str, triple: &str) -> Result<Entry, String> {
    let mut arguments = vec!["tree", "--quiet", "--charset", "ascii", "--format", "{p}|{f}"];
    // With a target, cargo tells what is built for it from what is built for macros.
    arguments.extend(["--target", triple, "--edges", edges]);
    arguments.extend(selection);
    let text = command::output(&command::cargo(), &arguments)?;
    Ok(Entry {
        shown: shown.to_owned(),
        features: read_tree(&text),
    })
}

/// Reads lines such as `|   |-- name v1.2.3 (proc-macro)|feature,feature (*)`.
fn read_tree(text: &str) -> Features {
    let mut features = Features::new();
    // Of each ancestor whether it is built for the host, and of each depth whether build dependencies are listed.
    let (mut hosts, mut build) = (Vec::<bool>::new(), Vec::<bool>::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let body = line.trim_start_matches(['|', '`', '-', ' ']);
        let depth = (line.len() - body.len()) / 4;
        if body.starts_with('[') {
            build.resize(depth + 1, false);
            build.push(body.starts_with("[build"));
            continue;
        }
        build.truncate(depth + 1);
        let (package, list) = body.split_once('|').unwrap_or((body, ""));
        hosts.truncate(depth);
        let host = hosts.last().copied().unwrap_or(false)
            || build.get(depth).copied().unwrap_or(false)
            || package.contains("(proc-macro)");
        hosts.push(host);
        // Our own crates have the place of their sources in brackets.
        if package.contains("(/") {
            continue;
        }
        let package = package.split(" (").next().unwrap_or(package).to_owned();
        let list = list.trim_end_matches(" (*)");
        let names = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        features.entry(Built { package, host }).or_default().extend(names);
    }
    features
}

fn differing(some: &Features, whole: &Features) -> BTreeSet<Built> {
    let other = some
        .iter()
        .filter(|(built, features)| whole.get(built) != Some(features));
    other.map(|(built, _)| built.clone()).collect()
}

fn manifest(whole: &Features, wanted: &BTreeSet<Built>) -> String {
    let mut text = HEAD.to_owned();
    for (host, section) in [(false, "dependencies"), (true, "build-dependencies")] {
        let packages: Vec<(&str, &str, &BTreeSet<String>)> = wanted
            .iter()
            .filter(|built| built.host == host)
            .filter_map(|built| {
                let (name, version) = built.package.split_once(" v")?;
                Some((name, version, whole.get(built)?))
            })
            .collect();
        if packages.is_empty() {
            continue;
        }
        let _ = write!(text, "\n[target.'cfg(target_os = \"linux\")'.{section}]\n");
        for (name, version, features) in &packages {
            let mut parts = version.split('.');
            let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
            let compatible = if major == "0" {
                format!("0.{minor}")
            } else {
                major.to_owned()
            };
            let several = packages.iter().filter(|(other, ..)| other == name).count() > 1;
            let key = if several {
                format!("{name}-{}", compatible.replace('.', "_"))
            } else {
                (*name).to_owned()
            };
            let renamed = if several {
                format!("package = \"{name}\", ")
            } else {
                String::new()
            };
            let list: Vec<String> = features.iter().map(|feature| format!("\"{feature}\"")).collect();
            let list = list.join(", ");
            let _ = writeln!(
                text,
                "{key} = {{ {renamed}version = \"{compatible}\", default-features = false, features = [{list}] }}"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
ours v0.1.0 (/somewhere/ours)|
|-- serde v1.0.2|derive,std
|   `-- serde_derive v1.0.2 (proc-macro)|
|       `-- syn v2.0.1|full
|-- rand v0.9.0|
|   [build-dependencies]
|   `-- cc v1.0.0|
|       `-- serde v1.0.2|std
[dev-dependencies]
`-- syn v2.0.1|parsing (*)
";

    fn built(package: &str, host: bool) -> Built {
        let package = package.to_owned();
        Built { package, host }
    }

    #[test]
    fn a_tree_tells_the_host_from_the_target() {
        let features = read_tree(TREE);
        let list = |package: &str, host: bool| {
            let found = features.get(&built(package, host));
            found.map(|names| names.iter().cloned().collect::<Vec<_>>().join(","))
        };
        assert_eq!(list("serde v1.0.2", false).as_deref(), Some("derive,std"));
        assert_eq!(list("serde v1.0.2", true).as_deref(), Some("std"));
        assert_eq!(list("syn v2.0.1", true).as_deref(), Some("full"));
        assert_eq!(list("syn v2.0.1", false).as_deref(), Some("parsing"));
        assert_eq!(
            (list("cc v1.0.0", true).as_deref(), list("cc v1.0.0", false)),
            (Some(""), None)
        );
        assert_eq!(features.len(), 7, "none of ours: {features:?}");
    }

    #[test]
    fn what_differs_is_asked_for_with_the_features_of_the_workspace() {
        let whole = read_tree("a v1.2.3|x,y\n`-- a v2.0.0|z\n`-- b v0.3.1|\n`-- m v1.0.0 (proc-macro)|q\n");
        assert!(differing(&whole, &whole).is_empty());
        let part = read_tree("a v1.2.3|x\n`-- a v2.0.0|\n`-- m v1.0.0 (proc-macro)|\n`-- b v0.3.1|\n");
        let wanted = differing(&part, &whole);
        let text = manifest(&whole, &wanted);
        let lines: Vec<&str> = text.strip_prefix(HEAD).unwrap().trim().lines().collect();
        let linux = "[target.'cfg(target_os = \"linux\")'";
        assert_eq!(
            lines,
            [
                &format!("{linux}.dependencies]"),
                "a-1 = { package = \"a\", version = \"1\", default-features = false, features = [\"x\", \"y\"] }",
                "a-2 = { package = \"a\", version = \"2\", default-features = false, features = [\"z\"] }",
                "",
                &format!("{linux}.build-dependencies]"),
                "m = { version = \"1\", default-features = false, features = [\"q\"] }",
            ]
        );
    }
}
