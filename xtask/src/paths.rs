//! The paths that the files of a crate use, by reading their words: enough to see which file names which.

use std::collections::BTreeMap;
use std::path::Path;

/// What one file names.
pub struct Paths {
    /// Its name in the folder of the crate root.
    pub file: String,
    /// Paths that it uses, each with the module in which it stands.
    pub used: Vec<(Vec<String>, Vec<String>)>,
    /// Names that a module hands on by `pub use`, and where they lead.
    pub handed_on: BTreeMap<(Vec<String>, String), Vec<String>>,
}

/// Reads a crate root and the files below it, by module.
pub fn read(source: &Path, root_file: &str) -> Result<BTreeMap<Vec<String>, Paths>, String> {
    let mut files = BTreeMap::new();
    read_module(source, Path::new(root_file), Vec::new(), &mut files)?;
    Ok(files)
}

fn read_module(
    source: &Path,
    file: &Path,
    module: Vec<String>,
    files: &mut BTreeMap<Vec<String>, Paths>,
) -> Result<(), String> {
    let path = source.join(file);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut reader = Reader {
        words: words(&text),
        at: 0,
        paths: Paths {
            file: file.display().to_string(),
            used: Vec::new(),
            handed_on: BTreeMap::new(),
        },
        children: Vec::new(),
    };
    reader.module(&module);
    let Reader { paths, children, .. } = reader;
    files.insert(module.clone(), paths);
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let owns_folder = module.is_empty() || stem == "mod";
    let parent = file.parent().unwrap_or(Path::new(""));
    let folder = if owns_folder {
        parent.to_path_buf()
    } else {
        parent.join(stem)
    };
    for child in children {
        let places = [folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs")];
        if let Some(place) = places.iter().find(|place| source.join(place).exists()) {
            let module = module.iter().cloned().chain([child]).collect();
            read_module(source, place, module, files)?;
        }
    }
    Ok(())
}

/// Identifiers, and each other character that is not white space; comments, strings, characters and lifetimes are left out.
fn words(text: &str) -> Vec<String> {
    let bytes: Vec<char> = text.chars().collect();
    let (mut words, mut at) = (Vec::new(), 0);
    let skip_to = |from: usize, end: &[char]| {
        let found = (from..bytes.len()).find(|&at| bytes[at..].starts_with(end));
        found.map_or(bytes.len(), |at| at + end.len())
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let c = rest[0];
        if rest.starts_with(&['/', '/']) {
            at = skip_to(at, &['\n']);
        } else if rest.starts_with(&['/', '*']) {
            at = skip_to(at + 2, &['*', '/']);
        } else if c == '"' {
            at += 1;
            while at < bytes.len() && bytes[at] != '"' {
                at += if bytes[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == 'r' && raw_hashes(rest).is_some() {
            let hashes = raw_hashes(rest).unwrap_or_default();
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            at = skip_to(at + hashes + 2, &end);
        } else if c == '\'' {
            let character = rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'');
            at += 1;
            if character {
                at += if bytes[at] == '\\' { 2 } else { 1 };
                at = skip_to(at, &['\'']);
            }
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            words.push(rest[..length].iter().collect());
            at += length;
        } else {
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
            at += 1;
        }
    }
    words
}

/// Hashes of a raw string that begins here.
fn raw_hashes(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some(hashes)
}

struct Reader {
    words: Vec<String>,
    at: usize,
    paths: Paths,
    /// Modules that have a file of their own.
    children: Vec<String>,
}

impl Reader {
    fn word(&self, ahead: usize) -> &str {
        self.words.get(self.at + ahead).map_or("", String::as_str)
    }

    fn looks_at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.word(ahead) == *word)
    }

    /// Reads to the end of a module: its brace, or the end of the file.
    fn module(&mut self, module: &[String]) {
        let (mut depth, mut public) = (0usize, false);
        while self.at < self.words.len() {
            if self.looks_at(&["#", "[", "cfg", "(", "test", ")", "]"]) {
                self.at += 7;
                self.skip_item();
                continue;
            }
            match self.word(0) {
                "{" => depth += 1,
                "}" if depth == 0 => return,
                "}" => depth -= 1,
                "pub" => {
                    public = true;
                    self.at += 1;
                    if self.word(0) == "(" {
                        while !matches!(self.word(0), ")" | "") {
                            self.at += 1;
                        }
                        self.at += 1;
                    }
                    continue;
                }
                "mod" if self.word(2) == ";" => {
                    let name = self.word(1).to_owned();
                    // Inside of an inline module a file lies in a folder of that name; this repository has none.
                    self.children.push(name);
                    self.at += 2;
                }
                "mod" if self.word(2) == "{" => {
                    let inner: Vec<String> = module.iter().cloned().chain([self.word(1).to_owned()]).collect();
                    self.at += 3;
                    self.module(&inner);
                }
                // `use<'a>` in a bound says what a type captures.
                "use" if self.word(1) != "<" => {
                    self.at += 1;
                    let mut found = Vec::new();
                    self.tree(&[], &mut found);
                    for (path, name) in found {
                        if public {
                            self.paths.handed_on.insert((module.to_vec(), name), path);
                        } else {
                            self.paths.used.push((module.to_vec(), path));
                        }
                    }
                }
                word if self.word(1) == ":" && self.word(2) == ":" && is_name(word) => {
                    let mut path = vec![word.to_owned()];
                    while self.word(1) == ":" && self.word(2) == ":" && is_name(self.word(3)) {
                        self.at += 3;
                        path.push(self.word(0).to_owned());
                    }
                    self.paths.used.push((module.to_vec(), path));
                }
                _ => {}
            }
            public = false;
            self.at += 1;
        }
    }

    /// Skips what an attribute belongs to.
    fn skip_item(&mut self) {
        let mut depth = 0usize;
        while self.at < self.words.len() {
            match self.word(0) {
                "{" => depth += 1,
                "}" if depth <= 1 => {
                    self.at += 1;
                    return;
                }
                "}" => depth -= 1,
                ";" if depth == 0 => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Reads a tree of a `use`, up to what ends it: the paths, and the names that they get.
    fn tree(&mut self, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
        let mut path = before.to_vec();
        loop {
            match self.word(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.word(0), "}" | ";" | "") {
                        self.tree(&path, found);
                        if self.word(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                ":" => self.at += 1,
                "as" => {
                    let name = self.word(1).to_owned();
                    self.at += 2;
                    found.push((path, name));
                    return;
                }
                "self" if !before.is_empty() || !path.is_empty() => self.at += 1,
                "," | "}" | ";" | "" => {
                    let name = path.last().cloned().unwrap_or_default();
                    found.push((path, name));
                    return;
                }
                word => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
            }
        }
    }
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
}
