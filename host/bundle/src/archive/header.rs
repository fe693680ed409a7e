//! One 512-byte header: its kind, its path, its size, and every reason not to believe it.

use tar::{EntryType, Header};

use super::{BLOCK_BYTES, is_zero};
use crate::error::BundleError;
use crate::text::quotable_bytes;

pub(super) type Block = [u8; BLOCK_BYTES];

/// What a bundle's archive may be made of. Everything else is refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    /// Extended header for the next entry, in pax form.
    PaxLocal,
    /// Extended header for all entries that follow, in pax form.
    PaxGlobal,
    /// Long path for the next entry, in GNU form.
    GnuLongName,
}

#[derive(Clone, Debug)]
pub(super) struct RawHeader {
    pub(super) kind: EntryKind,
    /// As in the header: with its prefix, and perhaps cut short.
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
}

/// What a block has where names are, for a message about it.
pub(super) fn name(block: &Block) -> Option<String> {
    let name = until_nul(&Header::from_byte_slice(block).as_old().name);
    (!name.is_empty()).then(|| quotable_bytes(name))
}

/// Reads and checks a block that is not all zero.
pub(super) fn read(block: &Block) -> Result<RawHeader, BundleError> {
    let header = Header::from_byte_slice(block);
    check_sum(header)?;
    let old = header.as_old();
    let path = match (header.as_ustar(), header.as_gnu()) {
        // star and the tar of npm keep times in the last bytes of the prefix, behind a zero.
        (Some(ustar), _) => {
            let prefix = until_nul(&ustar.prefix);
            let name = until_nul(&ustar.name);
            if prefix.is_empty() {
                name.to_vec()
            } else {
                [prefix, b"/", name].concat()
            }
        }
        // GNU keeps times and sparse maps where ustar has the prefix.
        (None, Some(gnu)) => until_nul(&gnu.name).to_vec(),
        (None, None) if is_without_prefix(block) => until_nul(&old.name).to_vec(),
        (None, None) => return Err(BundleError::HeaderUnknown),
    };
    let shown = || quotable_bytes(&path);
    let mut kind = kind(header.entry_type()).map_err(|refusal| refusal.at(shown()))?;
    // Before ustar a directory was told by the end of its name.
    let is_ancient = header.as_ustar().is_none() && header.as_gnu().is_none();
    if is_ancient && kind == EntryKind::File && path.ends_with(b"/") {
        kind = EntryKind::Directory;
    }
    if let Some(gnu) = header.as_gnu() {
        let map = gnu
            .sparse
            .iter()
            .any(|hole| hole.offset != [0; 12] || hole.numbytes != [0; 12]);
        // A sparse map on an entry that says it is a plain file: some readers would expand it.
        if map || gnu.isextended != [0] || gnu.realsize != [0; 12] {
            return Err(BundleError::Sparse { path: shown() });
        }
    }
    let size = number(&old.size).ok_or_else(|| BundleError::HeaderField {
        path: shown(),
        field: "size",
    })?;
    Ok(RawHeader { kind, path, size })
}

/// Whether every reader takes the name for the whole path, although the magic is none that we
/// know by heart: a header of the time before ustar, or one without a version, as JTar writes
/// it, with nothing where ustar has the prefix.
fn is_without_prefix(block: &Block) -> bool {
    const MAGIC: std::ops::Range<usize> = 257..265;
    const PREFIX: usize = 345;
    let magic = block.get(MAGIC).unwrap_or_default();
    (is_zero(magic) || magic == b"ustar\0\0\0") && block.get(PREFIX..).is_some_and(is_zero)
}

fn check_sum(header: &Header) -> Result<(), BundleError> {
    let field = &header.as_old().cksum;
    let expected = number(field).ok_or_else(|| BundleError::HeaderField {
        path: String::new(),
        field: "checksum",
    })?;
    // The sum is taken with the checksum field itself full of spaces.
    let all: u64 = header.as_bytes().iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = field.iter().map(|byte| u64::from(*byte)).sum();
    let got = all - own + 8 * u64::from(b' ');
    // Some writers add up signed bytes, as the first ones did; the sum says nothing about what
    // the header means.
    let high = |bytes: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii()).count() as u64;
    let negative = 256 * (high(header.as_bytes()) - high(field));
    if expected == got || got.checked_sub(negative) == Some(expected) {
        Ok(())
    } else {
        Err(BundleError::Checksum { expected, got })
    }
}

enum Refusal {
    Kind(&'static str),
    Sparse,
}

impl Refusal {
    fn at(self, path: String) -> BundleError {
        match self {
            Self::Kind(kind) => BundleError::EntryKind { path, kind },
            Self::Sparse => BundleError::Sparse { path },
        }
    }
}

fn kind(entry_type: EntryType) -> Result<EntryKind, Refusal> {
    match entry_type.as_byte() {
        b'0' | 0 => Ok(EntryKind::File),
        b'5' => Ok(EntryKind::Directory),
        b'x' => Ok(EntryKind::PaxLocal),
        b'L' => Ok(EntryKind::GnuLongName),
        b'g' => Ok(EntryKind::PaxGlobal),
        b'S' => Err(Refusal::Sparse),
        b'1' => Err(Refusal::Kind("a hard link")),
        b'2' => Err(Refusal::Kind("a symbolic link")),
        b'3' => Err(Refusal::Kind("a character device")),
        b'4' => Err(Refusal::Kind("a block device")),
        b'6' => Err(Refusal::Kind("a FIFO")),
        b'7' => Err(Refusal::Kind("a contiguous file")),
        b'K' => Err(Refusal::Kind("a GNU long link name")),
        b'M' => Err(Refusal::Kind("a part of a multi-volume archive")),
        b'V' => Err(Refusal::Kind("a volume label")),
        b'D' => Err(Refusal::Kind("a GNU dump directory")),
        b'X' => Err(Refusal::Kind("a Solaris extended header")),
        _ => Err(Refusal::Kind("an entry of unknown type")),
    }
}

/// A number field: octal digits, with spaces or zero bytes around them, or GNU's binary form
/// for what octal cannot hold. `None` for anything else: readers differ in what they make of a
/// sign, of other characters and of an overflow.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first()? {
        // 0x80 announces a big-endian number in the other bytes; 0xff would be a negative one.
        (0x80, rest) => rest.iter().try_fold(0_u64, |value, byte| {
            Some(value.checked_mul(256)? | u64::from(*byte))
        }),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|byte| *byte != b' ')?;
    let digits = field.get(start..)?;
    let end = digits
        .iter()
        .position(|byte| matches!(byte, b' ' | 0))
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// The text of a field, which ends at its first zero byte for every reader: writers leave there
/// what the field held before, or keep values of their own behind it.
fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test fails by panicking"
    )]
    use super::*;

    /// A header for a file of that name, with that checksum.
    fn header(name: &[u8], sum: u64) -> Block {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().cksum = *format!("{sum:06o}\0 ").as_bytes().first_chunk().unwrap();
        *header.as_bytes()
    }

    #[test]
    fn a_sum_of_signed_bytes_is_a_sum_too() {
        let name = "data/ü.txt".as_bytes();
        let Err(BundleError::Checksum { got, .. }) = read(&header(name, 0)) else {
            panic!("0 is not the sum")
        };
        assert!(read(&header(name, got)).is_ok());
        // Two of the bytes are over 127.
        assert!(read(&header(name, got - 512)).is_ok());
        for wrong in [got - 256, got - 511, got + 512, got + 1] {
            assert!(read(&header(name, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"00000000017\0"), Some(15));
        assert_eq!(number(b"   17 \0\0\0\0\0\0"), Some(15));
        assert_eq!(number(b"77777777777 "), Some(0o77_777_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        for bad in [
            &b"\0\0\0\0\0\0\0\0\0\0\0\0"[..],
            b"            ",
            b"-0000000001\0",
            b"+0000000001\0",
            b"00000000018\0",
            b"0x0000000f0\0",
            b"000\x000000017\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x80\x01\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }
}
