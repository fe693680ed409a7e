//! Opens the files of a project folder: regular ones only, and none that a link outside takes the
//! place of. A project may be anybody's; a link in it to a key of who packs it must not end in a
//! bundle that is given away.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Opens a regular file of the folder.
pub(super) fn open(folder: &Path, relative: &str) -> io::Result<File> {
    open_regular(&check(folder, relative)?)
}

/// Opens a file if it is a regular one. Others are not even opened: a pipe would wait for a
/// writer for ever.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let refused = || io::Error::other("it is not a regular file");
    if !fs::metadata(path)?.is_file() {
        return Err(refused());
    }
    let file = File::open(path)?;
    // It may have been replaced in between.
    if !file.metadata()?.is_file() {
        return Err(refused());
    }
    Ok(file)
}

/// Where the path leads, which must be inside the folder. A path that says itself how far it goes
/// up, as `../target/…` of a workspace does, may lead anywhere inside of that.
pub(super) fn check(folder: &Path, relative: &str) -> io::Result<PathBuf> {
    let full = fs::canonicalize(folder.join(relative))?;
    let mut root = fs::canonicalize(folder)?;
    let ups = Path::new(relative)
        .components()
        .take_while(|part| matches!(part, Component::ParentDir));
    for _ in ups {
        root.pop();
    }
    if Path::new(relative).is_absolute() || full.starts_with(&root) {
        return Ok(full);
    }
    Err(io::Error::other(
        "a link leads out of the project: copy what it leads to into the folder",
    ))
}
