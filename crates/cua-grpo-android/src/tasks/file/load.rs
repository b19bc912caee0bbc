//! Finding and reading files of tasks.

use super::error::TaskFileError;
use super::extra::HeldOut;
use super::fields::is_name;
use super::read::templates;
use super::template::FileTemplate;
use super::yaml::Wrong;
use crate::PhoneKind;
use crate::names::App;
use crate::tasks::instance::uses;
use std::collections::BTreeSet;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of one file.
const LARGEST: u64 = 1 << 20;
/// Files of one folder.
const MOST_FILES: usize = 256;
/// Templates of all files.
const MOST_TEMPLATES: usize = 2_000;

/// The templates of files, or of the `*.yaml` and `*.yml` files of folders, in the order of `paths`, those of a folder by
/// name. `taken` says where an id is in use already.
///
/// # Errors
/// [`TaskFileError`] that names file, line and column of the first mistake.
pub fn load<P: AsRef<Path>>(
    paths: &[P],
    taken: impl Fn(&str) -> Option<String>,
) -> Result<(Vec<FileTemplate>, BTreeSet<String>), TaskFileError> {
    let mut all: Vec<FileTemplate> = Vec::new();
    let mut apart: Vec<(PathBuf, HeldOut)> = Vec::new();
    for path in paths {
        for file in files(path.as_ref())? {
            let text = read(&file).map_err(|reason| TaskFileError::Read {
                path: file.clone(),
                reason,
            })?;
            let (read, held) = templates(&file, &text).map_err(|wrong| TaskFileError::at(&file, wrong))?;
            apart.extend(held.into_iter().map(|held| (file.clone(), held)));
            for template in read {
                let other = all.iter().find(|other| other.id == template.id);
                let other = other.map(|other| format!("{}:{}", other.path.display(), other.line));
                if let Some(place) = other.or_else(|| taken(&template.id)) {
                    return Err(TaskFileError::At {
                        path: file.clone(),
                        line: template.line,
                        column: template.at.column,
                        what: format!("the id `{}` is taken by {place}; choose another", template.id),
                    });
                }
                all.push(template);
            }
            if all.len() > MOST_TEMPLATES {
                return Err(TaskFileError::count(
                    &file,
                    format!("more than {MOST_TEMPLATES} templates in all"),
                ));
            }
        }
    }
    let names = hold_out(&mut all, &apart)?;
    Ok((all, names))
}

/// Instances that tell whether a template can be played without an app.
const TOLD: u64 = 64;

/// Marks the templates that are all in the apps `apart`, and gives the names of these.
fn hold_out(all: &mut [FileTemplate], apart: &[(PathBuf, HeldOut)]) -> Result<BTreeSet<String>, TaskFileError> {
    let names: BTreeSet<String> = apart.iter().map(|(_, held)| held.app.clone()).collect();
    if names.is_empty() {
        return Ok(names);
    }
    for (path, HeldOut { app, at }) in apart {
        let known = App::ALL.iter().any(|known| known.key() == app) || all.iter().any(|one| one.apps.contains(app));
        if !known {
            let what = format!("no template uses the app `{app}`: its name stands under `apps` of a template");
            return Err(TaskFileError::at(path, Wrong::new(*at, what)));
        }
    }
    for template in all {
        if !template.names_apps {
            let what = "which apps it uses is not known, and some are held out; name them: `apps: [clock]`";
            return Err(TaskFileError::at(&template.path, Wrong::new(template.at, what)));
        }
        template.held_out_app = (0..TOLD).all(|seed| uses(&template.instance(seed, PhoneKind::default()), &names));
    }
    Ok(names)
}

/// The file itself, or the YAML files of a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>, TaskFileError> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let entries = std::fs::read_dir(path).map_err(|reason| TaskFileError::Read {
        path: path.into(),
        reason,
    })?;
    let yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let found = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(yaml);
    let mut files: Vec<PathBuf> = found.take(MOST_FILES + 1).collect();
    files.sort();
    match files.len() {
        0 => Err(TaskFileError::count(
            path,
            "the folder has no *.yaml file; `trainer tasks new` writes one",
        )),
        1..=MOST_FILES => Ok(files),
        _ => Err(TaskFileError::count(path, format!("more than {MOST_FILES} files"))),
    }
}

/// The text of a regular file of a bounded size.
fn read(path: &Path) -> std::io::Result<String> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidData, message);
    let large = || wrong(format!("expected at most {LARGEST} bytes, found more"));
    let regular = |data: &Metadata| match data.is_file() {
        false => Err(wrong("expected a file, found a pipe or a device".into())),
        true if data.len() > LARGEST => Err(large()),
        true => Ok(()),
    };
    // What is no file is not opened; it may be exchanged after the look.
    regular(&path.metadata()?)?;
    let file = open(path)?;
    let data = file.metadata()?;
    regular(&data)?;
    // It may grow while it is read. What the kernel makes up (`/proc/kmsg`) says that it is empty, and may have no end.
    let most = if data.len() == 0 { 0 } else { LARGEST + 1 };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(large());
    }
    let text = String::from_utf8(bytes).map_err(|error| wrong(format!("expected text ({error})")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Opens a file to read; a pipe that has taken its place is not waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options.read(true).open(path)
}

/// Writes a commented file with two templates for a kind of phone to begin with, whose ids begin with the file's name.
///
/// # Errors
/// [`TaskFileError::Write`] when the file is there already, or cannot be made.
pub fn scaffold(path: &Path, phone: PhoneKind) -> Result<(), TaskFileError> {
    let unwritable = |reason| TaskFileError::Write {
        path: path.into(),
        reason,
    };
    let mut file = File::create_new(path).map_err(unwritable)?;
    file.write_all(scaffold_text(path, phone).as_bytes())
        .map_err(unwritable)
}

fn scaffold_text(path: &Path, phone: PhoneKind) -> String {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let clean: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(40)
        .collect();
    let prefix = if is_name(&clean) { clean } else { format!("my_{clean}") };
    let text = match phone {
        PhoneKind::Small => include_str!("scaffold.yaml"),
        PhoneKind::Pixel => include_str!("scaffold_pixel.yaml"),
    };
    text.replace("PREFIX", &prefix)
}
