//! Files of a wheel, which is a zip archive: as much of the format as wheels have (PKWARE's
//! APPNOTE 6.3, sections 4.3 and 4.5), for an archive whose digest is known. What a file has is
//! shown by its own digest, so that no checksum of the archive is asked.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use anyhow::{Context as _, Result, bail};
use flate2::read::DeflateDecoder;

/// Bytes of the record at the end of an archive, without its comment.
const END_BYTES: usize = 22;
/// Bytes of a comment.
const COMMENT_BYTES_MAX: u64 = u16::MAX as u64;
/// Bytes of the list of files.
const DIRECTORY_BYTES_MAX: u32 = 64 << 20;
/// Bytes of an entry of the list before its name, and of the head of a file.
const ENTRY_BYTES: usize = 46;
const HEAD_BYTES: usize = 30;

const END_MARK: u32 = 0x0605_4b50;
const ENTRY_MARK: u32 = 0x0201_4b50;
const HEAD_MARK: u32 = 0x0403_4b50;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The bit of an entry that is encrypted.
const ENCRYPTED: u16 = 1;

/// A wheel, with the list of its files.
pub(super) struct Wheel {
    file: File,
    directory: Vec<u8>,
}

impl Wheel {
    /// Reads the list of files.
    ///
    /// # Errors
    ///
    /// When the file is no archive, or a larger one than wheels are.
    pub(super) fn open(mut file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        let tail = length.min(END_BYTES as u64 + COMMENT_BYTES_MAX);
        let end = part(&mut file, length - tail, tail)?;
        let mark = END_MARK.to_le_bytes();
        let mut windows = end.windows(END_BYTES).rev();
        let end = windows.find(|window| window.starts_with(&mark));
        let end = end.context("it has no end of an archive")?;
        let (bytes, at) = (u32_at(end, 12)?, u32_at(end, 16)?);
        if bytes > DIRECTORY_BYTES_MAX || at == u32::MAX {
            bail!("its list of files is larger than that of a wheel");
        }
        let directory = part(&mut file, at.into(), bytes.into())?;
        Ok(Self { file, directory })
    }

    /// A reader of a file in it.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or it is packed as those of wheels are not.
    pub(super) fn reader(&mut self, name: &str) -> Result<Box<dyn Read + '_>> {
        let Some(entry) = find(&self.directory, name)? else {
            bail!("it is not there");
        };
        if u16_at(entry, 8)? & ENCRYPTED != 0 {
            bail!("it is encrypted");
        }
        let (method, bytes, at) = (u16_at(entry, 10)?, u32_at(entry, 20)?, u32_at(entry, 42)?);
        let head = part(&mut self.file, at.into(), HEAD_BYTES as u64)?;
        if u32_at(&head, 0)? != HEAD_MARK {
            bail!("the list of files does not lead to it");
        }
        let names = u64::from(u16_at(&head, 26)?) + u64::from(u16_at(&head, 28)?);
        let start = u64::from(at) + HEAD_BYTES as u64 + names;
        self.file.seek(SeekFrom::Start(start))?;
        let packed = BufReader::new(&self.file).take(bytes.into());
        match method {
            STORED => Ok(Box::new(packed)),
            DEFLATED => Ok(Box::new(DeflateDecoder::new(packed))),
            other => bail!("it is packed by the method {other}"),
        }
    }
}

/// The entry of a file in the list.
fn find<'a>(directory: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let mut rest = directory;
    while !rest.is_empty() {
        if u32_at(rest, 0)? != ENTRY_MARK {
            bail!("the list of files is torn");
        }
        let name_bytes = usize::from(u16_at(rest, 28)?);
        let more = usize::from(u16_at(rest, 30)?) + usize::from(u16_at(rest, 32)?);
        let found = rest.get(ENTRY_BYTES..ENTRY_BYTES + name_bytes);
        if found == Some(name.as_bytes()) {
            return Ok(Some(rest));
        }
        rest = rest
            .get(ENTRY_BYTES + name_bytes + more..)
            .unwrap_or_default();
    }
    Ok(None)
}

fn part(file: &mut File, at: u64, bytes: u64) -> Result<Vec<u8>> {
    let mut part = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    let read = file.take(bytes).read_to_end(&mut part)?;
    if read as u64 != bytes {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(part)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u16::from_le_bytes(*number.context("it is torn")?))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_le_bytes(*number.context("it is torn")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;

    /// An archive as other programs write it, of one deflated and one stored file.
    fn archive() -> Vec<u8> {
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(b"first first first").unwrap();
        let files = [
            ("a/first", DEFLATED, deflated.finish().unwrap()),
            ("second", STORED, b"second".to_vec()),
        ];
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, method, packed) in &files {
            let at = u32::try_from(out.len()).unwrap();
            let name_bytes = u16::try_from(name.len()).unwrap();
            let bytes = u32::try_from(packed.len()).unwrap();
            let mut head = [0; HEAD_BYTES];
            head[..4].copy_from_slice(&HEAD_MARK.to_le_bytes());
            head[26..28].copy_from_slice(&name_bytes.to_le_bytes());
            let mut entry = [0; ENTRY_BYTES];
            entry[..4].copy_from_slice(&ENTRY_MARK.to_le_bytes());
            entry[10..12].copy_from_slice(&method.to_le_bytes());
            entry[20..24].copy_from_slice(&bytes.to_le_bytes());
            entry[28..30].copy_from_slice(&name_bytes.to_le_bytes());
            entry[42..46].copy_from_slice(&at.to_le_bytes());
            for part in [&head[..], name.as_bytes(), packed] {
                out.extend_from_slice(part);
            }
            directory.extend_from_slice(&entry);
            directory.extend_from_slice(name.as_bytes());
        }
        let at = u32::try_from(out.len()).unwrap();
        let mut end = [0; END_BYTES];
        end[..4].copy_from_slice(&END_MARK.to_le_bytes());
        end[12..16].copy_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
        end[16..20].copy_from_slice(&at.to_le_bytes());
        out.extend(directory);
        out.extend(end);
        out.extend(b"a comment");
        out
    }

    fn read(archive: &[u8], name: &str) -> Result<Vec<u8>> {
        let mut file = tempfile::tempfile()?;
        file.write_all(archive)?;
        let mut content = Vec::new();
        Wheel::open(file)?.reader(name)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn files_are_taken_out_by_their_names() {
        assert_eq!(read(&archive(), "a/first").unwrap(), b"first first first");
        assert_eq!(read(&archive(), "second").unwrap(), b"second");
        assert!(read(&archive(), "first").is_err());
        assert!(read(b"", "first").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_end_in_a_panic(at in 0usize..220, bytes in any::<[u8; 4]>(), length in 0usize..220) {
            let mut archive = archive();
            let at = at.min(archive.len() - 4);
            archive[at..at + 4].copy_from_slice(&bytes);
            archive.truncate(length);
            let _ = read(&archive, "a/first");
            let _ = read(&archive, "second");
        }
    }
}
