//! The files of a folder, one by one, in the order of their names. Links are not followed.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What is found on the way.
pub(super) enum Met {
    /// A file to be read, from its beginning.
    File(PathBuf, File),
    /// Something that is left alone, and why.
    Left(PathBuf, LeftAlone),
}

/// Why something is not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LeftAlone {
    /// It is packed.
    Archive,
    /// It is a folder of git's objects, which are packed.
    GitObjects,
    /// It is a link.
    Link,
    /// It is a socket, a pipe or a device.
    Special,
    /// It lies too deep.
    TooDeep,
    /// It cannot be read.
    Unreadable,
}

impl LeftAlone {
    /// What a person is told, for how many there are.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Archive => "archives or packed files: unpack them to have them looked into",
            Self::GitObjects => {
                "folders of git objects, which are packed: \
                 `git log -p --all | belljar keys scan -` looks into them"
            }
            Self::Link => "links, which are not followed",
            Self::Special => "sockets, pipes or devices",
            Self::TooDeep => "folders that lie too deep",
            Self::Unreadable => "files or folders that cannot be read",
        }
    }
}

/// Folders within each other.
const DEPTH_MAX: usize = 256;

/// How packed files begin.
const PACKED: [&[u8]; 8] = [
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
];

/// Goes through a file, or through a folder and those in it.
pub(super) fn walk(root: &Path, meet: &mut impl FnMut(Met) -> io::Result<()>) -> io::Result<()> {
    // A link is followed where it is what was asked for.
    if fs::metadata(root)?.is_dir() {
        walk_folder(root, meet)
    } else {
        meet_file(root.to_owned(), meet)
    }
}

fn walk_folder(root: &Path, meet: &mut impl FnMut(Met) -> io::Result<()>) -> io::Result<()> {
    // Each level is the rest of a folder, the last one first.
    let mut levels = vec![sorted(root)?];
    while let Some(level) = levels.last_mut() {
        let Some(path) = level.pop() else {
            levels.pop();
            continue;
        };
        let Ok(facts) = fs::symlink_metadata(&path) else {
            meet(Met::Left(path, LeftAlone::Unreadable))?;
            continue;
        };
        let kind = facts.file_type();
        if kind.is_symlink() {
            meet(Met::Left(path, LeftAlone::Link))?;
        } else if kind.is_file() {
            meet_file(path, meet)?;
        } else if !kind.is_dir() {
            meet(Met::Left(path, LeftAlone::Special))?;
        } else if path.ends_with(".git/objects") {
            meet(Met::Left(path, LeftAlone::GitObjects))?;
        } else if levels.len() >= DEPTH_MAX {
            meet(Met::Left(path, LeftAlone::TooDeep))?;
        } else {
            match sorted(&path) {
                Ok(level) => levels.push(level),
                Err(_) => meet(Met::Left(path, LeftAlone::Unreadable))?,
            }
        }
    }
    Ok(())
}

/// What is in a folder, the last name first.
fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.sort_unstable_by(|one, other| other.cmp(one));
    Ok(paths)
}

fn meet_file(path: PathBuf, meet: &mut impl FnMut(Met) -> io::Result<()>) -> io::Result<()> {
    match open(&path) {
        Ok(Some(file)) => meet(Met::File(path, file)),
        Ok(None) => meet(Met::Left(path, LeftAlone::Archive)),
        Err(_) => meet(Met::Left(path, LeftAlone::Unreadable)),
    }
}

/// A file from its beginning; none where it is packed.
fn open(path: &Path) -> io::Result<Option<File>> {
    use std::io::Seek as _;
    let mut file = File::open(path)?;
    let mut start = Vec::with_capacity(8);
    file.by_ref().take(8).read_to_end(&mut start)?;
    if PACKED.iter().any(|magic| start.starts_with(magic)) {
        return Ok(None);
    }
    file.rewind()?;
    Ok(Some(file))
}
