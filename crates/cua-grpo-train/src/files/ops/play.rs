//! Deaths, faults and losses of power that a test plays, and the disk that is left after the last.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// An operation on files.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Make(PathBuf),
    Create(PathBuf),
    Put(PathBuf, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Remove(PathBuf),
    Link(PathBuf, PathBuf),
}

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process ends before it; all later ones fail too.
    Death,
    /// As death, but a write has written half.
    Tear,
    /// It fails, and all others are done.
    Fault,
}

/// What was played.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// The chosen operation was reached.
    pub(crate) reached: bool,
    /// What was done, in order.
    pub(crate) done: Vec<Op>,
}

struct Play {
    left: usize,
    fate: Fate,
    played: Played,
}

thread_local! {
    static PLAY: RefCell<Option<Play>> = const { RefCell::new(None) };
}

/// Does `act`, with `fate` at the operation `number`, counted from 0.
pub(crate) fn play<T>(fate: Fate, number: usize, act: impl FnOnce() -> T) -> (T, Played) {
    let play = Play {
        left: number,
        fate,
        played: Played::default(),
    };
    PLAY.with(|cell| cell.replace(Some(play)));
    let outcome = act();
    let play = PLAY.with(RefCell::take);
    (outcome, play.map(|play| play.played).unwrap_or_default())
}

/// What a process that has ended would say.
pub(crate) fn dead() -> Error {
    Error::other("died here")
}

/// Whether `op` is done: an error where the process has ended, or it fails.
pub(super) fn at(_op: &Op) -> Result<()> {
    match next() {
        None => Ok(()),
        Some(Fate::Fault) => Err(Error::other("no space left: played")),
        Some(_) => Err(dead()),
    }
}

/// As [`at`] for a write: how much of it is written where it is cut short.
pub(super) fn torn(path: &Path, bytes: &[u8]) -> Result<Option<usize>> {
    match next() {
        Some(Fate::Tear) if !bytes.is_empty() => {
            let part = bytes.len() / 2;
            note(Op::Put(path.into(), bytes[..part].to_vec()));
            Ok(Some(part))
        }
        None => Ok(None),
        Some(Fate::Fault) => Err(Error::other("no space left: played")),
        Some(_) => Err(dead()),
    }
}

/// Notes what was done.
pub(super) fn note(op: Op) {
    PLAY.with_borrow_mut(|play| {
        if let Some(play) = play {
            play.played.done.push(op);
        }
    });
}

/// The fate of the next operation; `None` when it is done.
fn next() -> Option<Fate> {
    PLAY.with_borrow_mut(|play| {
        let play = play.as_mut()?;
        if play.played.reached {
            // After the first one: a fault is over, a death is not, and its write is torn once.
            return (play.fate != Fate::Fault).then_some(Fate::Death);
        }
        if play.left == 0 {
            play.played.reached = true;
            return Some(play.fate);
        }
        play.left -= 1;
        None
    })
}

/// A file or folder as the system shows it, and as the disk has it.
#[derive(Debug, Clone, Default)]
struct Node {
    folder: bool,
    bytes: Vec<u8>,
    names: BTreeMap<OsString, usize>,
    kept_bytes: Vec<u8>,
    kept_names: BTreeMap<OsString, usize>,
}

/// A disk that has what was synced, and of the rest what it happens to have.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
}

impl Disk {
    /// A disk whose folder `root` is there and empty, after the operations `done` in it.
    pub(crate) fn after(root: &Path, done: &[Op]) -> Self {
        let folder = Node {
            folder: true,
            ..Node::default()
        };
        let mut disk = Self {
            root: root.into(),
            nodes: vec![folder],
        };
        for op in done {
            disk.take(op);
        }
        disk
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut node = 0;
        for name in path.strip_prefix(&self.root).ok()? {
            node = *self.nodes[node].names.get(name)?;
        }
        Some(node)
    }

    fn names(&mut self, path: &Path) -> (&mut BTreeMap<OsString, usize>, OsString) {
        let parent = self
            .find(path.parent().unwrap())
            .unwrap_or_else(|| panic!("no folder for {path:?}"));
        (&mut self.nodes[parent].names, path.file_name().unwrap().to_owned())
    }

    fn put(&mut self, path: &Path, node: Option<usize>) {
        let (names, name) = self.names(path);
        match node {
            Some(node) => names.insert(name, node),
            None => names.remove(&name),
        };
    }

    fn add(&mut self, path: &Path, folder: bool) {
        self.nodes.push(Node {
            folder,
            ..Node::default()
        });
        self.put(path, Some(self.nodes.len() - 1));
    }

    fn take(&mut self, op: &Op) {
        match op {
            Op::Make(path) => self.add(path, true),
            Op::Create(path) => match self.find(path) {
                Some(node) => self.nodes[node].bytes.clear(),
                None => self.add(path, false),
            },
            Op::Put(path, bytes) => {
                if let Some(node) = self.find(path) {
                    self.nodes[node].bytes.extend(bytes);
                }
            }
            Op::Cut(path, length) => {
                if let Some(node) = self.find(path) {
                    self.nodes[node].bytes.truncate(*length as usize);
                }
            }
            Op::Sync(path) => {
                if let Some(node) = self.find(path) {
                    self.nodes[node].kept_bytes = self.nodes[node].bytes.clone();
                }
            }
            Op::SyncFolder(path) => {
                if let Some(node) = self.find(path) {
                    self.nodes[node].kept_names = self.nodes[node].names.clone();
                }
            }
            Op::Rename(from, to) => {
                let node = self.find(from);
                self.put(from, None);
                self.put(to, node);
            }
            Op::Exchange(one, other) => {
                let (first, second) = (self.find(one), self.find(other));
                self.put(one, second);
                self.put(other, first);
            }
            Op::Remove(path) => self.put(path, None),
            Op::Link(from, to) => {
                let node = self.find(from);
                self.put(to, node);
            }
        }
    }

    /// Writes into `to` what the disk has after a loss of power: of each file and folder what was synced, or what the
    /// system showed last where `lucky` says so for its number.
    pub(crate) fn restore(&self, to: &Path, lucky: &dyn Fn(usize) -> bool) {
        self.restore_node(0, to, lucky);
    }

    fn restore_node(&self, number: usize, to: &Path, lucky: &dyn Fn(usize) -> bool) {
        let node = &self.nodes[number];
        if !node.folder {
            std::fs::write(to, if lucky(number) { &node.bytes } else { &node.kept_bytes }).unwrap();
            return;
        }
        std::fs::create_dir_all(to).unwrap();
        for (name, inner) in if lucky(number) { &node.names } else { &node.kept_names } {
            self.restore_node(*inner, &to.join(name), lucky);
        }
    }
}
