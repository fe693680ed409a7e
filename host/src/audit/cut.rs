//! The log as it is at one moment, for a copy of it that verifies by itself.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::file::rotated;

/// The log up to one place of its chain. Its files stay readable when rotation removes them.
#[derive(Debug)]
pub struct AuditCut {
    /// The files put aside, the oldest first, and the current one at the end; none where no file is
    /// written.
    pub files: Vec<CutFile>,
    /// The checkpoint that belongs to it, if there is one.
    pub head: Option<Vec<u8>>,
}

/// A file of the log, up to a length.
#[derive(Debug)]
pub struct CutFile {
    /// The number of a file put aside; none for the current one.
    pub number: Option<String>,
    /// The file.
    pub file: File,
    /// The bytes of it that belong to the cut.
    pub bytes: u64,
}

/// Cuts the log in `path`. Nothing may be writing it meanwhile.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn cut(path: &Path, checkpoint: &Path) -> io::Result<AuditCut> {
    let head = if_there(fs::read(checkpoint))?;
    let mut files = Vec::new();
    // A file put aside is named after the log, with the number behind it.
    for aside in if_there(rotated(path))?.into_iter().flatten() {
        let number = aside.extension().and_then(|number| number.to_str());
        files.push(CutFile::open(&aside, number.map(str::to_owned))?);
    }
    match if_there(CutFile::open(path, None))? {
        Some(file) => files.push(file),
        None => files.clear(),
    }
    Ok(AuditCut { files, head })
}

fn if_there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

impl CutFile {
    fn open(path: &Path, number: Option<String>) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            number,
            file,
            bytes,
        })
    }
}
