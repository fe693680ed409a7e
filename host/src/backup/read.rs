//! Reads a backup, whoever has written it: the checks of `belljar_bundle` on streams, headers and
//! paths, and the backup's own list on everything else. What is not on the list, or not in its turn,
//! or not of its size, is refused before its content is kept.

use std::io::{self, Read};

use belljar_bundle::{Archive, ArchiveLimits, AssetName, Entry, Hasher};

use super::BackupError;
use super::manifest::{
    FILES_MAX, MANIFEST_BYTES_MAX, MANIFEST_NAME, Manifest, Member, TRAILER_NAME, trailer,
};

/// Bytes that a compressed backup may unpack to for each of its own. A tar of models compresses by
/// far less; without a bound a few kilobytes could fill a disk.
const RATIO_MAX: u32 = 1_000;
/// Bytes of a backup, which is more than any file system holds.
const BYTES_MAX: u64 = 1 << 60;
/// Bytes of the last record.
const TRAILER_BYTES_MAX: u64 = 4 << 10;
/// Read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Where the files of a backup go while it is read.
pub(super) trait Receiver {
    /// The list is known, and nothing else has been read.
    fn begin(&mut self, manifest: &Manifest, members: &[Member]) -> Result<(), BackupError>;
    /// A file begins.
    fn open(&mut self, member: &Member) -> Result<(), BackupError>;
    /// The next bytes of it.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Reads a backup to its end and keeps nothing of it but its list.
///
/// # Errors
///
/// For everything that is not as it says, and when it cannot be read.
pub fn check(body: impl Read) -> Result<Manifest, BackupError> {
    struct Nowhere;
    impl Receiver for Nowhere {
        fn begin(&mut self, _: &Manifest, _: &[Member]) -> Result<(), BackupError> {
            Ok(())
        }
        fn open(&mut self, _: &Member) -> Result<(), BackupError> {
            Ok(())
        }
        fn take(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }
    read(body, &mut Nowhere)
}

/// Reads a backup to its end.
pub(super) fn read(body: impl Read, receiver: &mut dyn Receiver) -> Result<Manifest, BackupError> {
    let limits = limits();
    let mut archive = Archive::new(body, &limits)?;
    let first = archive.next_file()?;
    let first = first.ok_or_else(|| BackupError::NotABackup("it is empty".to_owned()))?;
    if first.name.as_str() != MANIFEST_NAME {
        let reason = format!("it does not begin with {MANIFEST_NAME}");
        return Err(BackupError::NotABackup(reason));
    }
    let text = whole(&mut archive, &first, MANIFEST_BYTES_MAX)?;
    let (manifest, members) = Manifest::read(&text)?;
    receiver.begin(&manifest, &members)?;
    let mut piece = vec![0; PIECE_BYTES];
    for member in &members {
        let entry = archive.next_file()?;
        let path = member.path();
        let entry = in_turn(entry, &path)?;
        if entry.size != member.bytes {
            return Err(BackupError::OutOfPlace {
                found: format!("{path} of {} bytes", entry.size),
                expected: format!("{path} of {} bytes", member.bytes),
            });
        }
        receiver.open(member)?;
        let mut hasher = Hasher::new();
        loop {
            let count = archive.read(&mut piece)?;
            if count == 0 {
                break;
            }
            let bytes = piece.get(..count).unwrap_or_default();
            hasher.update(bytes);
            receiver.take(bytes).map_err(BackupError::file(&path))?;
        }
        if hasher.finish() != member.sha256 {
            return Err(BackupError::Altered { path });
        }
    }
    let last = archive.next_file()?;
    let last = in_turn(last, TRAILER_NAME)?;
    if whole(&mut archive, &last, TRAILER_BYTES_MAX)? != trailer(&text).into_bytes() {
        return Err(BackupError::Trailer);
    }
    match archive.next_file()? {
        None => Ok(manifest),
        Some(entry) => Err(BackupError::OutOfPlace {
            found: entry.name.to_string(),
            expected: "the end".to_owned(),
        }),
    }
}

/// The entry whose turn it is.
fn in_turn(entry: Option<Entry>, expected: &str) -> Result<Entry, BackupError> {
    let out_of_place = |found: String| BackupError::OutOfPlace {
        found,
        expected: expected.to_owned(),
    };
    let entry = entry.ok_or_else(|| out_of_place("the end".to_owned()))?;
    if entry.name.as_str() == expected {
        Ok(entry)
    } else {
        Err(out_of_place(entry.name.to_string()))
    }
}

/// The content of an entry that is held in memory.
fn whole<R: Read>(
    archive: &mut Archive<'_, R>,
    entry: &Entry,
    bytes_max: u64,
) -> Result<Vec<u8>, BackupError> {
    if entry.size > bytes_max {
        let reason = format!("{} has more than {bytes_max} bytes", entry.name);
        return Err(BackupError::NotABackup(reason));
    }
    let mut content = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = archive.read(&mut piece)?;
        if count == 0 {
            return Ok(content);
        }
        content.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

/// What is bounded elsewhere (the list says how large each file is, and whoever keeps it looks
/// whether there is room) is as large as it likes here.
fn limits() -> ArchiveLimits {
    ArchiveLimits {
        compressed_bytes_max: BYTES_MAX,
        unpacked_bytes_max: BYTES_MAX,
        ratio_max: RATIO_MAX,
        // Each file may bring folders, of which there are 256 and a few.
        entries_max: u32::try_from(2 * FILES_MAX).unwrap_or(u32::MAX),
        entry_bytes_max: BYTES_MAX,
        component_bytes_max: BYTES_MAX,
        manifest_bytes_max: MANIFEST_BYTES_MAX,
        path_bytes_max: AssetName::BYTES_MAX,
        path_depth_max: AssetName::DEPTH_MAX,
    }
}
