//! Reads a whole audit log and says whether it is whole.
//!
//! Finds lines that were changed, removed, reordered or cut off at the end. It cannot find that
//! somebody has written the whole log *and* its checkpoint anew: for that, compare the last hash
//! with one that was sent elsewhere, for example by the syslog sink.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::EventKind;
use super::chain::{self, Link, Parsed};
use super::file::{Checkpoint, rotated};

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Lines that were checked.
    pub lines: u64,
    /// Files they are in.
    pub files: usize,
    /// The number of the first line; above 1 where rotation has removed older ones.
    pub first_sequence: u64,
    /// The number of the last line.
    pub last_sequence: u64,
    /// The hash of the last line, to be kept elsewhere.
    pub last_hash: String,
    /// Whether there is a checkpoint to compare with: without one, a cut at the end is not
    /// found. Named after its file, `audit.head`.
    pub head_checked: bool,
}

/// A defect of the log, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainDefect {
    /// The content of a line does not have its hash.
    #[error("{place}: the line was changed: its content does not have its hash")]
    Changed {
        /// The file and the line.
        place: LinePosition,
    },
    /// A line is not one.
    #[error("{place}: this is no line of an audit log")]
    Malformed {
        /// The file and the line.
        place: LinePosition,
    },
    /// A line does not follow the one before it.
    #[error(
        "{place}: line number {found} stands where number {expected} belongs: lines were removed \
         or reordered"
    )]
    OutOfPlace {
        /// The file and the line.
        place: LinePosition,
        /// The number that it has.
        found: u64,
        /// The number that belongs there.
        expected: u64,
    },
    /// A line does not hold on to the one before it.
    #[error("{place}: the line does not follow from the one before it: one of them was replaced")]
    Unchained {
        /// The file and the line.
        place: LinePosition,
    },
    /// The end is missing.
    #[error("the log ends with number {found}, and had come to {expected}: its end was cut off")]
    CutOff {
        /// The last number that is there.
        found: u64,
        /// The last number there was.
        expected: u64,
    },
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePosition {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u64,
}

impl std::fmt::Display for LinePosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// The log is not whole, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log is not whole.
    #[error(transparent)]
    Broken(#[from] ChainDefect),
    /// The log cannot be read.
    #[error("the audit log {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The number of times that a log is read to which a server is writing: files may be put aside
/// meanwhile.
const ATTEMPTS: u32 = 3;

/// Checks the log in `path` with all files put aside, against its checkpoint. Works while a
/// server writes.
///
/// # Errors
///
/// When the log is not whole, with the first place where it shows.
pub fn verify(path: &Path, checkpoint: &Path) -> Result<Verified, VerifyError> {
    let mut attempt = 1;
    loop {
        match verify_once(path, checkpoint) {
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

fn verify_once(path: &Path, checkpoint: &Path) -> Result<Verified, VerifyError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| VerifyError::Unreadable { path, source }
    };
    // Before the log: what it had come to then has to be there.
    let checkpoint = Checkpoint::read(checkpoint);
    let mut files = rotated(path).map_err(unreadable(path))?;
    files.push(path.to_owned());
    let mut check = ChainCheck::new(checkpoint);
    for path in &files {
        let file = File::open(path).map_err(unreadable(path))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            if read.map_err(unreadable(path))? == 0 {
                break;
            }
            number += 1;
            let place = LinePosition {
                file: path.clone(),
                line: number,
            };
            check.step(&line, place)?;
        }
    }
    Ok(check.end(files.len())?)
}

/// The place that the check has come to.
struct ChainCheck {
    checkpoint: Option<Checkpoint>,
    before: Option<Link>,
    first_sequence: u64,
    lines: u64,
    /// Lines that are none, until the event that accounts for them.
    torn: Vec<(String, LinePosition)>,
    /// Whether the last line that was read has no end: the server is writing it.
    is_open: bool,
}

impl ChainCheck {
    fn new(checkpoint: Option<Checkpoint>) -> Self {
        Self {
            checkpoint,
            before: None,
            first_sequence: 0,
            lines: 0,
            torn: Vec::new(),
            is_open: false,
        }
    }

    fn step(&mut self, line: &[u8], place: LinePosition) -> Result<(), ChainDefect> {
        self.is_open = !line.ends_with(b"\n");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        let Some(parsed) = chain::parse(line) else {
            self.torn.push((chain::hash(line), place));
            return Ok(());
        };
        if !parsed.is_intact {
            return Err(ChainDefect::Changed { place });
        }
        self.account_for_torn(&parsed)?;
        self.check_place(&parsed, place)?;
        self.lines += 1;
        if self.lines == 1 {
            self.first_sequence = parsed.link.sequence;
        }
        self.before = Some(parsed.link);
        Ok(())
    }

    /// A line that a crash has torn is followed by the event that says so.
    fn account_for_torn(&mut self, parsed: &Parsed) -> Result<(), ChainDefect> {
        if self.torn.is_empty() {
            return Ok(());
        }
        let (hash, place) = self.torn.remove(0);
        let accounted = parsed.event == EventKind::AuditTornLine.name()
            && parsed
                .about
                .get("sha256")
                .and_then(|sha256| sha256.as_str())
                == Some(&hash);
        if accounted {
            Ok(())
        } else {
            Err(ChainDefect::Malformed { place })
        }
    }

    fn check_place(&self, parsed: &Parsed, place: LinePosition) -> Result<(), ChainDefect> {
        let found = parsed.link.sequence;
        let before = match (&self.before, &self.checkpoint) {
            (Some(before), _) => before.clone(),
            // Files that rotation has not got round to remove begin further back.
            (None, Some(checkpoint)) if found > checkpoint.base.sequence => checkpoint.base.clone(),
            (None, _) if found == 1 => Link::genesis(),
            (None, _) => return Ok(()),
        };
        let expected = before.sequence.saturating_add(1);
        if found != expected {
            return Err(ChainDefect::OutOfPlace {
                place,
                found,
                expected,
            });
        }
        let checkpoint_here = self
            .checkpoint
            .as_ref()
            .filter(|checkpoint| checkpoint.last.sequence == found);
        if parsed.previous != before.hash
            || checkpoint_here.is_some_and(|checkpoint| checkpoint.last != parsed.link)
        {
            return Err(ChainDefect::Unchained { place });
        }
        Ok(())
    }

    fn end(mut self, files: usize) -> Result<Verified, ChainDefect> {
        if self.is_open {
            self.torn.pop();
        }
        if let Some((_, place)) = self.torn.into_iter().next() {
            return Err(ChainDefect::Malformed { place });
        }
        let last = self.before.unwrap_or_else(Link::genesis);
        if let Some(checkpoint) = &self.checkpoint
            && checkpoint.last.sequence > last.sequence
        {
            return Err(ChainDefect::CutOff {
                found: last.sequence,
                expected: checkpoint.last.sequence,
            });
        }
        Ok(Verified {
            lines: self.lines,
            files,
            first_sequence: self.first_sequence,
            last_sequence: last.sequence,
            last_hash: last.hash,
            head_checked: self.checkpoint.is_some(),
        })
    }
}
