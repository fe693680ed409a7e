//! The file of the audit log: appended to and never rewritten, rotated by size, the chain going
//! on across files, restarts and torn lines.
//!
//! Beside the log lies its checkpoint, the file `audit.head`: how far the log has come, and from
//! where its files still go. The chain alone cannot show that its end is missing; the checkpoint
//! can.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::chain::{self, Link};
use super::{Actor, Event, EventKind};

/// Bytes at the end of a file in which its last line is looked for. Lines are far shorter.
const TAIL_BYTES: u64 = 256 << 10;

/// The place that the log has come to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Checkpoint {
    /// The last line that was synced.
    pub(super) last: Link,
    /// The last line of the last file that rotation has removed; the first line there is follows.
    pub(super) base: Link,
}

impl Checkpoint {
    /// The checkpoint, if there is one that can be read.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Writes it whole or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut staging = path.as_os_str().to_owned();
        staging.push(".new");
        let staging = PathBuf::from(staging);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&staging)?;
        serde_json::to_writer(&file, self)?;
        file.write_all(b"\n")?;
        file.sync_data()?;
        fs::rename(&staging, path)
    }
}

/// The files that rotation has put aside, the oldest first.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (folder, prefix) = place(path)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix.to_str()?))
            .and_then(|number| number.strip_prefix('.'))
            .filter(|number| number.len() == NUMBER_DIGITS);
        if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Digits of the number in the name of a file put aside: that of its last line.
const NUMBER_DIGITS: usize = 12;

fn place(path: &Path) -> io::Result<(&Path, OsString)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the path has no file name"))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")), name.to_owned()))
}

/// The end of a file.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The last line that is one.
    pub(super) last: Option<Link>,
    /// The bytes behind it that are no line, with or without a line end.
    pub(super) torn: Vec<Vec<u8>>,
    /// Whether the file ends in the middle of a line.
    pub(super) is_open: bool,
}

impl Tail {
    pub(super) fn read(file: &mut File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let start = length.saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(length - start).read_to_end(&mut bytes)?;
        let mut tail = Self {
            is_open: bytes.last().is_some_and(|byte| *byte != b'\n'),
            ..Self::default()
        };
        for line in bytes.rsplit(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            if let Some(parsed) = chain::parse(line) {
                tail.last = Some(parsed.link);
                break;
            }
            tail.torn.push(line.to_vec());
        }
        tail.torn.reverse();
        Ok(tail)
    }
}

/// The open log.
#[derive(Debug)]
pub(super) struct ChainedFile {
    path: PathBuf,
    checkpoint_path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    files_max: usize,
    checkpoint: Checkpoint,
}

impl ChainedFile {
    /// Opens the log where it was left. Also gives what has to be noted in it first: a line that
    /// a crash has torn, or an end that is missing.
    pub(super) fn open(
        path: &Path,
        checkpoint_path: &Path,
        bytes_max: u64,
        files_max: usize,
    ) -> io::Result<(Self, Vec<Event>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let mut events = Vec::new();
        let mut tail = Tail::read(&mut file)?;
        if tail.is_open {
            // Closed and not cut off: the file is only ever appended to.
            file.write_all(b"\n")?;
        }
        for torn in &tail.torn {
            let about = [
                ("bytes", json!(torn.len())),
                ("sha256", json!(chain::hash(torn))),
            ];
            events.push(Event::new(
                EventKind::AuditTornLine,
                Actor::default(),
                &about,
            ));
        }
        if tail.last.is_none()
            && let Some(before) = rotated(path)?.last()
        {
            tail.last = Tail::read(&mut File::open(before)?)?.last;
        }
        let checkpoint = Checkpoint::read(checkpoint_path);
        let base = checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.base.clone());
        let found = tail.last.or_else(|| base.clone());
        let found = found.unwrap_or_else(Link::genesis);
        let last = match checkpoint.map(|checkpoint| checkpoint.last) {
            Some(checkpoint)
                if checkpoint.sequence > found.sequence
                    || (checkpoint.sequence == found.sequence && checkpoint.hash != found.hash) =>
            {
                // The chain goes on from where it was, so that the hole stays to be seen.
                let about = [
                    ("expected_sequence", json!(checkpoint.sequence)),
                    ("found_sequence", json!(found.sequence)),
                ];
                events.push(Event::new(
                    EventKind::AuditLinesMissing,
                    Actor::default(),
                    &about,
                ));
                checkpoint
            }
            _ => found,
        };
        let bytes = file.metadata()?.len();
        let log = Self {
            path: path.to_owned(),
            checkpoint_path: checkpoint_path.to_owned(),
            file,
            bytes,
            bytes_max,
            files_max,
            checkpoint: Checkpoint {
                base: base.unwrap_or_else(Link::genesis),
                last,
            },
        };
        Ok((log, events))
    }

    /// The last line.
    pub(super) fn link(&self) -> &Link {
        &self.checkpoint.last
    }

    /// Appends lines, each with its line end, of which `link` is the last. On disk when it
    /// returns.
    pub(super) fn append(&mut self, lines: &[u8], link: Link) -> io::Result<()> {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.bytes = self.bytes.saturating_add(length);
        self.checkpoint.last = link;
        self.checkpoint.write(&self.checkpoint_path)
    }

    /// Puts the current file aside, begins another, and removes what is too old.
    fn rotate(&mut self) -> io::Result<()> {
        let number = self.checkpoint.last.sequence;
        let mut aside = self.path.as_os_str().to_owned();
        aside.push(format!(".{number:0NUMBER_DIGITS$}"));
        fs::rename(&self.path, &aside)?;
        self.file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        self.bytes = 0;
        let (folder, _) = place(&self.path)?;
        File::open(folder)?.sync_all()?;
        let mut aside = rotated(&self.path)?;
        aside.truncate(aside.len().saturating_sub(self.files_max));
        for old in aside {
            // The checkpoint first: a file that is gone must not look like one that was taken
            // away.
            if let Some(link) = Tail::read(&mut File::open(&old)?)?.last {
                self.checkpoint.base = link;
                self.checkpoint.write(&self.checkpoint_path)?;
            }
            fs::remove_file(old)?;
        }
        Ok(())
    }
}
