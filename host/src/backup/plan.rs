//! All that will be in an archive, known before its first byte is written, and the writing of it.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::path::PathBuf;

use belljar_bundle::{Digest, StoredBundle};

use super::BackupError;
use super::manifest::{FILES_MAX, MANIFEST_NAME, Manifest, Member, TRAILER_NAME, trailer};

/// Where the content of a file is.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// The beginning of an open file, which may have been removed or grow.
    Open(File),
    /// A file that is held in place, and is opened when its turn has come.
    Path(PathBuf),
}

/// The moment of a server that an archive will hold. While it lives, everything in it stays.
#[derive(Debug)]
pub struct Plan {
    manifest: Manifest,
    /// The text of the manifest, whose digest ends the archive.
    text: Vec<u8>,
    members: Vec<(Member, Content)>,
    /// Keeps their files from being deleted.
    _bundles: Vec<StoredBundle>,
}

/// A record of a tar begins on such a boundary.
const BLOCK_BYTES: u64 = 512;

impl Plan {
    pub(super) fn new(
        manifest: impl FnOnce(&[Member]) -> Manifest,
        members: Vec<(Member, Content)>,
        bundles: Vec<StoredBundle>,
    ) -> Result<Self, BackupError> {
        if members.len() > FILES_MAX {
            return Err(BackupError::TooManyFiles {
                files: members.len(),
                limit: FILES_MAX,
            });
        }
        let listed: Vec<Member> = members.iter().map(|(member, _)| member.clone()).collect();
        let manifest = manifest(&listed);
        Ok(Self {
            text: manifest.to_bytes(),
            manifest,
            members,
            _bundles: bundles,
        })
    }

    /// What the archive says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Bytes of the whole archive.
    #[must_use]
    pub fn archive_bytes(&self) -> u64 {
        let trailer = trailer(&self.text).len() as u64;
        let sizes = self.members.iter().map(|(member, _)| member.bytes);
        let records = sizes.chain([self.text.len() as u64, trailer]);
        let records = records.map(|bytes| {
            bytes
                .div_ceil(BLOCK_BYTES)
                .saturating_add(1)
                .saturating_mul(BLOCK_BYTES)
        });
        // Two empty blocks are the end.
        records.fold(2 * BLOCK_BYTES, u64::saturating_add)
    }

    /// Writes the archive.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or has become shorter, and when `out` takes no more.
    pub fn write(self, out: &mut dyn Write) -> Result<(), BackupError> {
        let mut tar = tar::Builder::new(out);
        append(
            &mut tar,
            MANIFEST_NAME,
            self.text.len() as u64,
            &mut &*self.text,
        )?;
        for (member, content) in self.members {
            let path = member.path();
            match content {
                Content::Bytes(bytes) => append(&mut tar, &path, member.bytes, &mut &*bytes)?,
                Content::Open(file) => append(&mut tar, &path, member.bytes, &mut &file)?,
                Content::Path(place) => {
                    let file = File::open(&place).map_err(BackupError::file(&place))?;
                    append(&mut tar, &path, member.bytes, &mut &file)?;
                }
            }
        }
        let trailer = trailer(&self.text);
        append(
            &mut tar,
            TRAILER_NAME,
            trailer.len() as u64,
            &mut trailer.as_bytes(),
        )?;
        let out = tar.into_inner().map_err(BackupError::file("the archive"))?;
        out.flush().map_err(BackupError::file("the archive"))
    }
}

/// One file, whose header says nothing of the machine.
fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    bytes: u64,
    content: &mut dyn Read,
) -> Result<(), BackupError> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut content = Exactly {
        inner: content,
        left: bytes,
    };
    tar.append_data(&mut header, name, &mut content)
        .map_err(BackupError::file(name))
}

/// As many bytes as the header says: a log that has grown is cut there, and a file that has become
/// shorter ends the archive.
struct Exactly<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let wanted = wanted.min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return Err(io::Error::other("it has become shorter"));
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// The digest of the beginning of a file, which is then to be read again from there.
pub(super) fn digest_of(file: &File, bytes: u64) -> io::Result<Digest> {
    let mut file = file;
    let (digest, _) = Digest::of_reader(Exactly {
        inner: &mut file,
        left: bytes,
    })?;
    file.rewind()?;
    Ok(digest)
}
