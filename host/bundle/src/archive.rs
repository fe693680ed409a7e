//! Walks a tar entry by entry and lets through only what a bundle may hold.
//!
//! The blocks are read here and not by `tar::Archive`, because that resolves pax and GNU
//! extensions by itself, takes a missing end marker for an end and stops at it without looking
//! at what follows: the very places where two readers can be made to see two different
//! archives. The `tar` crate gives the layout of the headers.

mod apple;
mod header;
mod pax;
mod stand_in;

use std::io::Read;

use crate::decode::Decoded;
use crate::error::{BundleError, Place};
use crate::limits::ArchiveLimits;
use crate::path::{AssetName, Collision, PathSet, shown, without_decoration};
use crate::text::quotable_bytes;
use header::{Block, EntryKind, RawHeader};
use pax::Extensions;

pub(crate) use apple::is_companion;

pub(crate) const BLOCK_BYTES: usize = 512;

/// `tar` fills its last record with zeros. A record is 10 KiB, and 256 KiB with the largest
/// blocking factor that anybody uses for what is not a tape.
const END_PADDING_BYTES_MAX: u64 = 256 << 10;

/// An extended header holds a path and a few times; access lists and labels make it larger.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;

/// One regular file. Its content is read with [`Archive::read`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its path.
    pub name: AssetName,
    /// In bytes. The content has exactly this size, or reading it fails.
    pub size: u64,
}

/// An archive on its way in: a tar of plain files and folders, held to every rule of this package
/// about streams, headers, paths and sizes, and to none about what is in a bundle.
pub struct Archive<'a, R: Read> {
    stream: Decoded<R>,
    limits: &'a ArchiveLimits,
    paths: PathSet,
    /// Whether there was an entry for the root directory.
    root_seen: bool,
    /// The name of the current file, and what is left of it.
    current: Option<AssetName>,
    content_left: u64,
    padding_left: usize,
    /// What is being read, for a refusal.
    place: Place,
    stand_ins: Vec<StandIn>,
}

/// A file whose header has a name of its own, which only fills the field.
pub(crate) struct StandIn {
    /// In the header.
    pub(crate) name: AssetName,
    /// The name that its extension gives it.
    pub(crate) file: AssetName,
    pub(crate) place: Place,
}

impl<'a, R: Read> Archive<'a, R> {
    /// Begins to read an archive.
    ///
    /// # Errors
    /// When the first bytes are of no archive that is read here, or cannot be read.
    pub fn new(body: R, limits: &'a ArchiveLimits) -> Result<Self, BundleError> {
        Ok(Self {
            stream: Decoded::new(body, limits)?,
            limits,
            paths: PathSet::default(),
            root_seen: false,
            current: None,
            content_left: 0,
            padding_left: 0,
            place: Place::default(),
            stand_ins: Vec::new(),
        })
    }

    /// The next regular file, or `None` at the end of the archive, when the whole stream has
    /// been read. Directories are checked and passed over.
    ///
    /// # Errors
    /// For what breaks a rule, for what is cut off, and when the body cannot be read.
    pub fn next_file(&mut self) -> Result<Option<Entry>, BundleError> {
        self.skip_content()?;
        self.place.entry += 1;
        self.place.name = None;
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.next_header()? else {
                if !extensions.is_empty() {
                    return Err(BundleError::ExtensionDangling);
                }
                return Ok(None);
            };
            match header.kind {
                EntryKind::PaxLocal | EntryKind::GnuLongName => {
                    let content = self.read_extension(&header)?;
                    extensions.add(header.kind, &content)?;
                }
                EntryKind::PaxGlobal => {
                    if !extensions.is_empty() {
                        return Err(BundleError::ExtensionDangling);
                    }
                    let content = self.read_extension(&header)?;
                    pax::check_global(&content)?;
                }
                EntryKind::File | EntryKind::Directory => {
                    let extensions = std::mem::take(&mut extensions);
                    if let Some(entry) = self.begin_entry(&header, &extensions)? {
                        return Ok(Some(entry));
                    }
                    self.place.entry += 1;
                    self.place.name = None;
                }
            }
        }
    }

    /// Reads content of the current file; 0 at its end.
    ///
    /// # Errors
    /// When the archive ends before the file does, or the body cannot be read.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let wanted = usize::try_from(self.content_left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted) else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.stream.read(buffer)?;
        if count == 0 {
            return Err(BundleError::Truncated {
                inside: "a file's content",
            });
        }
        self.content_left = self.content_left.saturating_sub(count as u64);
        if self.content_left == 0 {
            self.check_padding()?;
        }
        Ok(count)
    }

    /// Bytes as sent, so far; all of them once the walk has ended.
    pub(crate) fn compressed_bytes(&self) -> u64 {
        self.stream.compressed_bytes()
    }

    /// Bytes of the tar, so far; all of them once the walk has ended.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.stream.unpacked_bytes()
    }

    /// The entry that was read last, and where its header is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The files whose headers have names of their own. Those must not be the names of others;
    /// which names there are is known when the manifest is.
    pub(crate) fn stand_ins(&self) -> &[StandIn] {
        &self.stand_ins
    }

    fn skip_content(&mut self) -> Result<(), BundleError> {
        let mut buffer = [0; 4096];
        while self.read(&mut buffer)? > 0 {}
        self.current = None;
        Ok(())
    }

    /// The next header, or `None` once the end marker has been read and nothing follows it.
    fn next_header(&mut self) -> Result<Option<RawHeader>, BundleError> {
        let mut block: Block = [0; BLOCK_BYTES];
        self.place.offset = self.stream.unpacked_bytes();
        match self.stream.read_full(&mut block)? {
            0 => return Err(BundleError::EndMarkerMissing),
            BLOCK_BYTES => {}
            _ => return Err(BundleError::Truncated { inside: "a header" }),
        }
        if is_zero(&block) {
            return self.expect_end().map(|()| None);
        }
        // The name of the field, until an extension gives a better one.
        self.place.name = header::name(&block);
        header::read(&block).map(Some)
    }

    /// One zero block has been read: another one must follow, and then nothing but zeros.
    fn expect_end(&mut self) -> Result<(), BundleError> {
        let mut block: Block = [0; BLOCK_BYTES];
        match self.stream.read_full(&mut block)? {
            BLOCK_BYTES => {}
            _ => return Err(BundleError::EndMarkerMissing),
        }
        if !is_zero(&block) {
            return Err(BundleError::LoneZeroBlock);
        }
        let mut padding: u64 = 0;
        loop {
            let count = self.stream.read(&mut block)?;
            if count == 0 {
                return Ok(());
            }
            // A whole second archive could hide here, seen only by tools that read on.
            if !is_zero(block.get(..count).unwrap_or_default()) {
                return Err(BundleError::TrailingGarbage);
            }
            padding = padding.saturating_add(count as u64);
            if padding > END_PADDING_BYTES_MAX {
                return Err(BundleError::PaddingTooLong {
                    limit: END_PADDING_BYTES_MAX,
                });
            }
        }
    }

    fn read_extension(&mut self, header: &RawHeader) -> Result<Vec<u8>, BundleError> {
        if header.size > EXTENSION_BYTES_MAX {
            return Err(BundleError::ExtensionTooLarge {
                limit: EXTENSION_BYTES_MAX,
            });
        }
        self.begin_content(header.size);
        let mut content = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = self.read(&mut buffer)?;
            if count == 0 {
                return Ok(content);
            }
            content.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Checks an entry with everything that was said about it. `None` for a directory.
    fn begin_entry(
        &mut self,
        header: &RawHeader,
        extensions: &Extensions,
    ) -> Result<Option<Entry>, BundleError> {
        let pax::EntryPath { path, stand_in } = extensions.path(header)?;
        self.place.name = Some(quotable_bytes(path));
        let size = extensions.size(header, path)?;
        let directory = header.kind == EntryKind::Directory;
        let bare = without_decoration(path, directory);
        if directory {
            if size != 0 {
                let path = quotable_bytes(path);
                return Err(BundleError::DirectoryWithContent { path, bytes: size });
            }
            if bare.is_empty() && path.starts_with(b".") {
                return self.root_directory().map(|()| None);
            }
        }
        let name = AssetName::from_bytes(bare, self.limits.path_bounds())?;
        let added = if directory {
            self.paths.add_directory(name.as_str())
        } else {
            self.paths.add_file(name.as_str())
        };
        added.map_err(|collision| collision.at(&name))?;
        self.count_entries()?;
        if let Some(stand_in) = stand_in {
            // What is no name of ours cannot be one that the manifest has.
            let bare = without_decoration(stand_in, directory);
            if let Ok(stand_in) = AssetName::from_bytes(bare, self.limits.path_bounds()) {
                self.stand_ins.push(StandIn {
                    name: stand_in,
                    file: name.clone(),
                    place: self.place.clone(),
                });
            }
        }
        if directory {
            return Ok(None);
        }
        if size > self.limits.entry_bytes_max {
            let limit = self.limits.entry_bytes_max;
            return Err(BundleError::EntryTooLarge {
                path: shown(&name),
                bytes: size,
                limit,
            });
        }
        self.begin_content(size);
        self.current = Some(name.clone());
        Ok(Some(Entry { name, size }))
    }

    /// `tar c .` writes an entry for the folder itself.
    fn root_directory(&mut self) -> Result<(), BundleError> {
        if self.root_seen {
            return Err(BundleError::PathDuplicate {
                path: ".".to_owned(),
            });
        }
        self.root_seen = true;
        self.count_entries()
    }

    fn count_entries(&self) -> Result<(), BundleError> {
        let count = self.paths.len() + usize::from(self.root_seen);
        if count > self.limits.entries_max as usize {
            return Err(BundleError::TooManyEntries {
                limit: self.limits.entries_max,
            });
        }
        Ok(())
    }

    fn begin_content(&mut self, size: u64) {
        self.content_left = size;
        let over = (size % BLOCK_BYTES as u64) as usize;
        self.padding_left = if over == 0 { 0 } else { BLOCK_BYTES - over };
    }

    /// Reads the zeros between the end of a file and the next block.
    fn check_padding(&mut self) -> Result<(), BundleError> {
        let mut block: Block = [0; BLOCK_BYTES];
        let wanted = std::mem::take(&mut self.padding_left);
        let padding = block.get_mut(..wanted).unwrap_or_default();
        if self.stream.read_full(padding)? != wanted {
            return Err(BundleError::Truncated {
                inside: "the padding of a file",
            });
        }
        if !is_zero(padding) {
            let path = self.current.as_ref().map(shown);
            let path = path.unwrap_or_else(|| "an extended header".to_owned());
            return Err(BundleError::PaddingNotZero { path });
        }
        Ok(())
    }
}

impl Collision {
    /// The error for a path that has collided.
    pub(crate) fn at(self, name: &AssetName) -> BundleError {
        let path = shown(name);
        match self {
            Self::Same => BundleError::PathDuplicate { path },
            Self::Folded => BundleError::PathCollision { path },
            Self::FileAndDirectory => BundleError::PathFileAndDirectory { path },
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
