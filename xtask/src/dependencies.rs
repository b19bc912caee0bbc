//! What may depend on what: arrows between our crates, licences, duplicate versions. From `cargo metadata`.

use crate::{command, licence};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Our crates with the arrows that `docs/ARCHITECTURE.md` draws. `trainer`, `benches` and `examples` may use all.
const ARROWS: &[(&str, &[&str])] = &[
    ("cua-grpo-core", &[]),
    ("cua-grpo-algo", &["cua-grpo-core"]),
    ("cua-grpo-kernels", &[]),
    ("cua-grpo-model", &["cua-grpo-core", "cua-grpo-kernels"]),
    ("cua-grpo-android", &["cua-grpo-core"]),
    ("cua-grpo-gbox", &["cua-grpo-core", "cua-grpo-android"]),
    ("cua-grpo-judge", &["cua-grpo-core"]),
    ("cua-grpo-phone", &[]),
    (
        "cua-grpo-sim",
        &["cua-grpo-core", "cua-grpo-android", "cua-grpo-gbox", "cua-grpo-phone"],
    ),
    ("cua-grpo-rollout", &["cua-grpo-algo", "cua-grpo-core"]),
    (
        "cua-grpo-train",
        &[
            "cua-grpo-algo",
            "cua-grpo-android",
            "cua-grpo-core",
            "cua-grpo-model",
            "cua-grpo-rollout",
        ],
    ),
    ("cua-grpo-report", &["cua-grpo-core", "cua-grpo-train"]),
    ("xtask", &[]),
];

/// Crates that may see tensors.
const TENSORS: &[&str] = &[
    "cua-grpo-algo",
    "cua-grpo-kernels",
    "cua-grpo-model",
    "cua-grpo-train",
    "trainer",
    "benches",
];

/// What other projects have to build to depend on the vocabulary.
const CORE: &[&str] = &["async-trait", "serde", "serde_json", "thiserror"];

/// Packages that name a licence file in place of a licence, looked at by hand: `cfg_block` is under Apache-2.0.
const LICENCE_EXCEPTIONS: &[&str] = &["cfg_block"];

/// What was found.
#[derive(Default)]
pub struct Findings {
    /// Violations.
    pub errors: Vec<String>,
    /// Names with more than one version, which is no violation.
    pub duplicates: Vec<String>,
    /// Number of packages looked at, ours included.
    pub packages: usize,
}

/// Asks cargo and checks.
pub fn check() -> Result<Findings, String> {
    let text = command::output(&command::cargo(), &["metadata", "--format-version", "1", "--quiet"])?;
    let metadata = serde_json::from_str(&text).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
    Ok(inspect(&metadata))
}

fn inspect(metadata: &Value) -> Findings {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut findings = Findings {
        packages: packages.len(),
        ..Findings::default()
    };
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        versions
            .entry(name)
            .or_default()
            .insert(package["version"].as_str().unwrap_or_default());
        if package["source"].is_null() {
            arrows(name, package, &mut findings.errors);
            if name.starts_with("cua-grpo-") {
                published(name, package, &mut findings.errors);
            }
        }
        let expression = package["license"].as_str().unwrap_or_default();
        if !licence::allowed(expression) && !LICENCE_EXCEPTIONS.contains(&name) {
            findings.errors.push(format!(
                "licence of {name}: `{expression}` is not on the list of xtask/src/licence.rs"
            ));
        }
    }
    let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    let show = |(name, versions): (&str, BTreeSet<&str>)| {
        format!("{name} {}", versions.into_iter().collect::<Vec<_>>().join(" + "))
    };
    findings.duplicates = several.map(show).collect();
    findings
}

/// What a library crate needs to be published, and read about.
fn published(name: &str, package: &Value, errors: &mut Vec<String>) {
    let empty = |key: &str| match &package[key] {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    };
    for key in ["description", "readme", "keywords", "rust_version"] {
        if empty(key) {
            errors.push(format!("{name}: Cargo.toml has no `{key}`"));
        }
    }
    if package["publish"].is_array() {
        errors.push(format!(
            "{name}: `publish` is restricted, but other projects may depend on it"
        ));
    }
}

fn arrows(name: &str, package: &Value, errors: &mut Vec<String>) {
    let dependencies = package["dependencies"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let shipped = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    for dependency in shipped.filter_map(|dependency| dependency["name"].as_str()) {
        let ours = dependency.starts_with("cua-grpo-") || dependency == "trainer";
        let allowed = ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        if ours && (dependency == "trainer" || allowed.is_some_and(|allowed| !allowed.contains(&dependency))) {
            errors.push(format!(
                "{name} depends on {dependency}: no such arrow in docs/ARCHITECTURE.md"
            ));
        }
        let tensors = dependency == "burn" || dependency.starts_with("burn-") || dependency.starts_with("cubecl");
        if tensors && !TENSORS.contains(&name) {
            errors.push(format!(
                "{name} depends on {dependency}: only {} see tensors",
                TENSORS.join(", ")
            ));
        }
        if name == "cua-grpo-core" && !CORE.contains(&dependency) {
            errors.push(format!(
                "{name} depends on {dependency}: the vocabulary may use only {}",
                CORE.join(", ")
            ));
        }
    }
    if name.starts_with("cua-grpo-") && !ARROWS.iter().any(|(known, _)| *known == name) {
        errors.push(format!(
            "{name} is not in the arrows of xtask/src/dependencies.rs: add it there and to the docs"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, licence: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let list = dependencies
            .iter()
            .map(|(name, kind)| json!({"name": name, "kind": kind}))
            .collect::<Vec<_>>();
        json!({"name": name, "version": "1.0.0", "source": null, "license": licence, "dependencies": list,
            "description": "d", "readme": "README.md", "keywords": ["k"], "rust_version": "1.95", "publish": null})
    }

    #[test]
    fn a_library_crate_that_cannot_be_published_is_found() {
        let good = package("cua-grpo-core", "MIT", &[]);
        assert_eq!(
            inspect(&json!({"packages": [good.clone()]})).errors,
            Vec::<String>::new()
        );
        let mut bad = good;
        bad["publish"] = json!([]);
        bad["readme"] = Value::Null;
        bad["keywords"] = json!([]);
        let errors = inspect(&json!({"packages": [bad]})).errors;
        let starts = ["no `readme`", "no `keywords`", "`publish` is restricted"];
        assert_eq!(errors.len(), starts.len(), "{errors:#?}");
        for (error, words) in errors.iter().zip(starts) {
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn forbidden_arrows_and_licences_are_found() {
        let bad = json!({"packages": [
            package("cua-grpo-model", "MIT", &[("cua-grpo-gbox", None), ("cua-grpo-core", None), ("burn", None)]),
            package("cua-grpo-rollout", "MIT", &[("burn", None), ("cua-grpo-gbox", Some("dev"))]),
            package("cua-grpo-core", "MIT", &[("tokio", None), ("tokio", Some("dev"))]),
            package("cua-grpo-new", "MIT", &[]),
            package("benches", "GPL-3.0", &[("trainer", None), ("burn", None)]),
            json!({"name": "serde", "version": "1.0.0", "source": "registry", "license": "MIT"}),
            json!({"name": "serde", "version": "0.9.0", "source": "registry", "license": "MIT"}),
        ]});
        let findings = inspect(&bad);
        let starts = [
            "cua-grpo-model depends on cua-grpo-gbox",
            "cua-grpo-rollout depends on burn",
            "cua-grpo-core depends on tokio",
            "cua-grpo-new is not in the arrows",
            "benches depends on trainer",
            "licence of benches: `GPL-3.0`",
        ];
        assert_eq!(findings.errors.len(), starts.len(), "{:#?}", findings.errors);
        for (error, start) in findings.errors.iter().zip(starts) {
            assert!(error.starts_with(start), "{error}");
        }
        assert_eq!(findings.duplicates, ["serde 0.9.0 + 1.0.0"]);
    }
}
