//! Where values come from, and how messages call it.

use super::dotenv::Dotenv;
use crate::files::{Limit, read_bytes};
use cua_grpo_model::plain_text::decode;
use std::path::{Path, PathBuf};

/// What kind of place a value is from, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginKind {
    /// Nobody set it.
    Default,
    /// The file that is compiled in.
    BuiltIn,
    /// A file of the user.
    File,
    /// The environment or `.env`.
    Variable,
    /// The command line.
    Flag,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The kind of place.
    pub kind: OriginKind,
    /// The place: a path, a variable, a flag.
    pub name: String,
}

impl Origin {
    /// The place `name`.
    pub fn new(kind: OriginKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// Nobody's.
    pub fn default_value() -> Self {
        Self::new(OriginKind::Default, "the default")
    }

    /// The place with its kind, for lists of who chose what: `file my.yaml`, `flag --device`, `default`.
    pub fn chosen_by(&self) -> String {
        match self.kind {
            OriginKind::Default => "default".into(),
            OriginKind::File => format!("file {}", self.name),
            OriginKind::Flag => format!("flag {}", self.name),
            OriginKind::BuiltIn | OriginKind::Variable => self.to_string(),
        }
    }

    /// Whether the user chose the value.
    pub fn is_chosen(&self) -> bool {
        self.kind >= OriginKind::File
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            OriginKind::BuiltIn => write!(f, "built-in {}", self.name),
            OriginKind::Variable => write!(f, "environment variable {}", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The `.env` file that sets it, when it is not of the environment itself.
    pub dotenv: Option<PathBuf>,
}

impl Variable {
    /// A variable of the environment itself.
    pub fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            dotenv: None,
        }
    }

    /// How messages call it.
    pub fn origin(&self) -> Origin {
        let name = match &self.dotenv {
            Some(path) => format!("{} of {}", self.name, path.display()),
            None => self.name.clone(),
        };
        Origin::new(OriginKind::Variable, name)
    }
}

/// The variables of this process, and those that `.env` adds. A variable whose value in the environment is that of
/// `.env` counts as `.env`'s, because the process takes it over at its start (`main.rs`).
pub fn process_variables() -> Vec<Variable> {
    let mut variables: Vec<Variable> = std::env::vars_os()
        .filter_map(|(name, value)| Some(Variable::new(name.to_str()?, value.to_str()?)))
        .collect();
    let Some((path, added)) = std::env::current_dir().ok().and_then(|folder| dotenv(&folder)) else {
        return variables;
    };
    for (name, value) in added.values {
        let dotenv = Some(path.clone());
        match variables.iter_mut().find(|variable| variable.name == name) {
            Some(variable) if variable.value == value => variable.dotenv = dotenv,
            Some(_) => (),
            None => variables.push(Variable { name, value, dotenv }),
        }
    }
    variables
}

/// The nearest `.env` in `folder` and the folders above it, and what it says; the environment of this process is what
/// its references refer to.
pub fn dotenv(folder: &Path) -> Option<(PathBuf, Dotenv)> {
    let path = folder
        .ancestors()
        .map(|folder| folder.join(".env"))
        .find(|path| path.is_file())?;
    let variable = |name: &str| std::env::var(name).ok();
    let read = match read_bytes(&path, Limit::SMALL) {
        Ok(bytes) => match text_of(&bytes) {
            Ok(text) => super::dotenv::parse(&text, &variable),
            Err(why) => Dotenv::failed(why),
        },
        Err(error) => Dotenv::failed(error.to_string()),
    };
    Some((path, read))
}

/// The text of a file of variables: UTF-16 where its mark says so, as PowerShell writes it. Letters of another encoding
/// are read as unknown ones, for they may stand in a comment.
fn text_of(bytes: &[u8]) -> Result<String, String> {
    let text = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => decode(bytes)?,
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    match text.contains('\0') {
        true => Err("it holds zero bytes, as UTF-16 does; save it as UTF-8".into()),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_of_a_file_of_variables_is_left_out_is_told() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".env");
        std::fs::write(&path, "A=1\n'\nB=2\n").unwrap();
        let (found, read) = dotenv(home.path()).unwrap();
        let names: Vec<&str> = read.values.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((found.as_path(), &names[..]), (path.as_path(), &["A", "B"][..]));
        let line = format!("{}: line 2 is no NAME=value and was left out", path.display());
        assert_eq!(read.warnings(&path), [line]);
        // UTF-16, as PowerShell's `>` writes it, with a mark and without.
        let wide = |mark: &str| -> Vec<u8> {
            let text = format!("{mark}A=1\r\nBATCH_SIZE=3\r\n");
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        };
        std::fs::write(&path, wide("\u{feff}")).unwrap();
        let (_, read) = dotenv(home.path()).unwrap();
        assert_eq!(read.values[1], ("BATCH_SIZE".to_owned(), "3".to_owned()));
        assert_eq!(read.warnings(&path), Vec::<String>::new());
        std::fs::write(&path, wide("")).unwrap();
        let (_, read) = dotenv(home.path()).unwrap();
        let line = format!(
            "{} cannot be read and was left out: it holds zero bytes, as UTF-16 does; save it as UTF-8",
            path.display()
        );
        assert_eq!(read.warnings(&path), [line]);
        // A hole of 3 GB is not read.
        std::fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
        let (_, read) = dotenv(home.path()).unwrap();
        assert!(read.values.is_empty());
        let [line] = &read.warnings(&path)[..] else {
            panic!("one line: {read:?}");
        };
        assert!(
            line.contains(".env cannot be read") && line.contains("at most 1048576 bytes"),
            "{line}"
        );
    }
}
