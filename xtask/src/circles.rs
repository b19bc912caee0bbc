//! Import circles between the files of a crate: files that can only be read, moved or tested together.
//!
//! A file depends on another when a path in it leads there, in a `use` or in code. A `pub use` hands a name on and is no
//! dependency: who imports the name depends on the file that defines it. Tests inside of files do not count.

use crate::paths::{Paths, read};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where circles are let be, by the beginnings of file names, with the reason. None may reach beyond one entry.
const ALLOWED: &[(&[&str], &str)] = &[
    (
        &["crates/cua-grpo-sim/src/"],
        "the phone and its screens were one file; apps are to be a type of their own",
    ),
    (
        &[
            "crates/cua-grpo-model/src/processor/template/python.rs",
            "crates/cua-grpo-model/src/processor/template/value.rs",
        ],
        "the text of a list is made of the texts of its items, which may be lists",
    ),
];

/// The circles under `source`, the folder of a crate root: the files of each, by their names in it.
pub fn find(source: &Path, root_file: &str) -> Result<Vec<BTreeSet<String>>, String> {
    let files = read(source, root_file)?;
    Ok(circles(&graph(&files)))
}

/// Whether somebody has looked at this circle of files, named from the root of the repository, and let it be.
pub fn allowed(circle: &[String]) -> bool {
    allowed_by(ALLOWED, circle)
}

fn allowed_by(list: &[(&[&str], &str)], circle: &[String]) -> bool {
    let starts = |file: &String, names: &[&str]| names.iter().any(|name| file.starts_with(name));
    list.iter()
        .any(|(names, _)| circle.iter().all(|file| starts(file, names)))
}

/// Which file depends on which.
fn graph(files: &BTreeMap<Vec<String>, Paths>) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph = BTreeMap::new();
    for paths in files.values() {
        let targets = paths
            .used
            .iter()
            .filter_map(|(from, path)| target(files, from, path, 0));
        let targets = targets.filter(|file| *file != paths.file).collect();
        graph.insert(paths.file.clone(), targets);
    }
    graph
}

/// The file that a path of the module `from` leads to; `None` for other crates and the standard library.
fn target(files: &BTreeMap<Vec<String>, Paths>, from: &[String], path: &[String], depth: usize) -> Option<String> {
    let mut module: Vec<String> = from.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            module.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while let Some((first, more)) = rest.split_first()
                && first == "super"
            {
                module.pop()?;
                rest = more;
            }
        }
        first => {
            let child: Vec<String> = module.iter().cloned().chain([first.to_owned()]).collect();
            let inside = files.contains_key(&child)
                || home(files, &module)?
                    .handed_on
                    .contains_key(&(module.clone(), first.to_owned()));
            if !inside {
                return None;
            }
        }
    }
    while let Some((name, more)) = rest.split_first() {
        let child: Vec<String> = module.iter().cloned().chain([name.clone()]).collect();
        if files.contains_key(&child) {
            (module, rest) = (child, more);
            continue;
        }
        let paths = home(files, &module)?;
        if let Some(onward) = paths
            .handed_on
            .get(&(module.clone(), name.clone()))
            .filter(|_| depth < 8)
        {
            let onward: Vec<String> = onward.iter().chain(more).cloned().collect();
            return target(files, &module, &onward, depth + 1);
        }
        break;
    }
    Some(home(files, &module)?.file.clone())
}

/// The file in which a module stands, which may be written inside of another.
fn home<'a>(files: &'a BTreeMap<Vec<String>, Paths>, module: &[String]) -> Option<&'a Paths> {
    (0..=module.len()).rev().find_map(|length| files.get(&module[..length]))
}

/// Sets of files that reach each other, each of more than one file.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph.keys().map(|file| (file, reach(graph, file))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for file in graph.keys() {
        if found.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let back = |other: &&&String| reached.get(**other).is_some_and(|files| files.contains(file));
        let circle: BTreeSet<String> = reached[file]
            .iter()
            .filter(back)
            .map(|other| (*other).clone())
            .collect();
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// Every file that `start` depends on, at once or through others.
fn reach<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, start: &String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = graph.get(start).into_iter().flatten().collect();
    while let Some(file) = open.pop() {
        if seen.insert(file) {
            open.extend(graph.get(file).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = find(folder.path(), "lib.rs").unwrap();
        found.into_iter().map(|circle| circle.into_iter().collect()).collect()
    }

    #[test]
    fn a_circle_of_uses_is_found() {
        let found = crate_of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::{self, B as Other};"),
            ("b.rs", "use super::c::C; pub struct B;"),
            ("c.rs", "pub struct C; fn f() { crate::a::g::<u8>(1) }"),
        ]);
        assert_eq!(found, [["a.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn names_that_are_handed_on_lead_to_where_they_are_defined() {
        let clean = [
            ("lib.rs", "mod a; mod b; pub use b::inner::{Thing as Named};"),
            ("a.rs", "use crate::Named;"),
            ("b/mod.rs", "pub(crate) mod inner; pub use self::inner::Thing;"),
            ("b/inner.rs", "pub struct Thing;"),
        ];
        assert!(crate_of(&clean).is_empty());
        let mut circle = clean;
        circle[3].1 = "pub struct Thing(super::super::a::A);";
        assert_eq!(crate_of(&circle), [["a.rs", "b/inner.rs"]]);
    }

    #[test]
    fn a_parent_that_uses_its_child_makes_a_circle_with_it() {
        let found = crate_of(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; fn f() { b::g() } pub const N: u8 = 1;"),
            ("a/b.rs", "use super::N; pub fn g() {}"),
        ]);
        assert_eq!(found, [["a/b.rs", "a/mod.rs"]]);
    }

    #[test]
    fn tests_strings_comments_and_other_crates_do_not_count() {
        let found = crate_of(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "use crate::b::B; pub mod inside { use super::x; } fn x<'a>(c: char) -> bool { c == '\"' }",
            ),
            (
                "b.rs",
                "//! crate::a::f()\nuse std::a; pub struct B; const S: &str = \"crate::a\";\n#[cfg(test)]\nmod tests { use crate::a; }",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn what_a_type_captures_is_no_import() {
        let found = crate_of(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "fn f<'a>() -> impl Iterator<Item = u8> + use<'a> { let x = crate::b::g(); x.into_iter() }",
            ),
            ("b.rs", "pub fn g() -> Vec<u8> { vec![] }"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_circle_is_allowed_by_name_and_not_when_it_grows() {
        let list: &[(&[&str], &str)] = &[(&["a/x.rs", "a/y/"], "they parse one grammar")];
        let circle = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>();
        assert!(allowed_by(list, &circle(&["a/x.rs", "a/y/z.rs"])));
        assert!(!allowed_by(list, &circle(&["a/x.rs", "b/y/z.rs"])));
        assert!(!allowed_by(list, &circle(&["a/w.rs", "a/x.rs", "a/y/z.rs"])));
    }
}
