//! Deaths at every point, and what is there afterwards.

use super::*;
use crate::files::ops::play::{Fate, play};
use std::cell::Cell;

thread_local! {
    static EXCHANGES: Cell<bool> = const { Cell::new(true) };
}

pub(super) fn exchanges() -> bool {
    EXCHANGES.with(Cell::get)
}

/// Lets `act` die before its file operation number `points`; false when it came to its end before.
pub fn dies_after<T>(points: usize, act: impl FnOnce() -> Result<T>) -> bool {
    let (outcome, played) = play(Fate::Death, points, act);
    if !played.reached {
        assert!(outcome.is_ok(), "failed without a death: {:?}", outcome.err());
    }
    played.reached && outcome.is_err()
}

/// A pipe at `path`.
#[cfg(unix)]
pub fn pipe(path: &Path) -> PathBuf {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
    path.to_path_buf()
}

/// What is no file of a run, in words and with a path in `home`; new ones with each call.
#[cfg(unix)]
pub fn strange(home: &Path) -> Vec<(&'static str, PathBuf)> {
    use std::os::unix::fs::symlink;
    let number = std::fs::read_dir(home).unwrap().count();
    let folder = home.join(format!("strange-{number}"));
    std::fs::create_dir_all(folder.join("folder")).unwrap();
    std::fs::write(folder.join("file"), "file").unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap());
    for (name, to) in [
        ("inside", folder.join("file")),
        ("outside", "/etc/hostname".into()),
        ("nowhere", folder.join("none")),
        ("device", "/dev/zero".into()),
    ] {
        symlink(to, folder.join(name)).unwrap();
    }
    pipe(&folder.join("pipe"));
    [
        ("a folder", "folder"),
        ("a socket", "socket"),
        ("a pipe", "pipe"),
        ("a link", "inside"),
        ("a link", "outside"),
        ("a link", "nowhere"),
        ("a link", "device"),
    ]
    .map(|(what, name)| (what, folder.join(name)))
    .to_vec()
}

#[cfg(unix)]
#[test]
fn links_modes_and_devices_that_the_user_names_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let home = tempfile::tempdir().unwrap();
    let [file, link] = ["file", "link"].map(|name| home.path().join(name));
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    replace(&link, b"new").unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    // A socket stands for all that is no file: opening it fails, and it is still there.
    let socket = home.path().join("socket");
    let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(replace(&socket, b"new").is_err());
    assert!(socket.metadata().unwrap().file_type().is_socket());
}

#[cfg(unix)]
#[test]
fn files_of_a_run_are_not_written_through_links_and_pipes() {
    let home = tempfile::tempdir().unwrap();
    for (what, path) in strange(home.path()) {
        let error = format!("{:#}", write(&path, b"new").unwrap_err());
        assert!(
            error.contains(&format!("found {what}; move it away")),
            "{what}: {error}"
        );
        // Where it comes there after the look, its name is replaced, and what stands behind it stays.
        let file = path.with_file_name("file");
        let replaced = replace_file(&path, b"new");
        assert_eq!(replaced.is_ok(), what != "a folder", "{what}: {replaced:?}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "file");
        assert!(
            what == "a folder" || path.symlink_metadata().unwrap().is_file(),
            "{what}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_folder_is_shared_without_what_is_no_file() {
    let home = tempfile::tempdir().unwrap();
    let paths = strange(home.path());
    let from = paths[0].1.parent().unwrap();
    std::os::unix::fs::symlink(".", from.join("again")).unwrap();
    let to = home.path().join("to");
    link_folder(from, &to).unwrap();
    sync_tree(from).unwrap();
    let names = std::fs::read_dir(&to).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file", "folder"]);
}

fn fill(text: &'static str) -> impl Fn(&Path) -> Result<()> {
    move |folder| {
        std::fs::write(folder.join("a"), text)?;
        Ok(std::fs::write(folder.join("b"), text)?)
    }
}

fn replaced_with_deaths(fewest: usize) {
    for points in 0.. {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("best_model");
        replace_folder(&folder, fill("old")).unwrap();
        let died = dies_after(points, || replace_folder(&folder, fill("new")));
        sweep(home.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("a"), read("b"), "after {points} points");
        let left = std::fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 1, "after {points} points");
        if !died {
            assert_eq!(read("a"), "new");
            assert!(points >= fewest, "{points}");
            break;
        }
    }
}

#[test]
fn a_folder_is_its_old_or_its_new_version_after_a_death_at_any_point() {
    replaced_with_deaths(1);
    EXCHANGES.with(|exchanges| exchanges.set(false));
    replaced_with_deaths(4);
}

#[test]
fn a_file_is_its_old_or_its_new_content_after_a_death_at_any_point() {
    for points in 0.. {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.yaml");
        write(&path, b"old").unwrap();
        let died = dies_after(points, || write(&path, b"new"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text == "new" || (died && text == "old"), "{text} after {points} points");
        if !died {
            break;
        }
    }
}

#[test]
fn linked_files_keep_what_they_were_when_the_first_folder_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (
        home.path().join("best_model"),
        home.path().join("checkpoint/best_model"),
    );
    replace_folder(&first, fill("old")).unwrap();
    link_folder(&first, &second).unwrap();
    replace_folder(&first, fill("new")).unwrap();
    assert_eq!(std::fs::read_to_string(second.join("a")).unwrap(), "old");
}

#[test]
fn texts_are_copied_and_weights_are_shared() {
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    std::fs::create_dir_all(from.join("inner")).unwrap();
    std::fs::write(from.join("inner/config.yaml"), "a: 1").unwrap();
    std::fs::write(from.join("weights"), vec![0; 1 << 20]).unwrap();
    link_folder(&from, &to).unwrap();
    std::fs::write(from.join("inner/config.yaml"), "a: 2").unwrap();
    assert_eq!(std::fs::read_to_string(to.join("inner/config.yaml")).unwrap(), "a: 1");
    assert_eq!(std::fs::read(to.join("weights")).unwrap().len(), 1 << 20);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |folder: &Path| folder.join("weights").metadata().unwrap().ino();
        assert_eq!(number(&from), number(&to));
    }
}
