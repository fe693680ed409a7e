//! Extended headers: pax records and GNU long names. They may add to the header they belong to,
//! and never contradict it: readers that know extensions and readers that do not must see the
//! same files.

use super::header::{EntryKind, RawHeader};
use super::stand_in::{Likeness, likeness};
use crate::error::BundleError;
use crate::text::quotable_bytes;

/// The largest size that a header can say in octal: 8 GiB - 1.
const OCTAL_SIZE_MAX: u64 = 0o77_777_777_777;

/// What the extended headers before an entry say about it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pax_seen: bool,
    pax_path: Option<Vec<u8>>,
    pax_size: Option<u64>,
    gnu_path: Option<Vec<u8>>,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        !self.pax_seen && self.gnu_path.is_none()
    }

    /// Takes in the content of one extended header.
    pub(super) fn add(&mut self, kind: EntryKind, content: &[u8]) -> Result<(), BundleError> {
        if kind == EntryKind::GnuLongName {
            if self.gnu_path.is_some() {
                return Err(BundleError::ExtensionRepeated);
            }
            // The path ends with a zero byte, which the size counts; some writers count the
            // padding as well.
            let end = content.iter().rposition(|byte| *byte != 0);
            let path = content.get(..end.map_or(0, |end| end + 1));
            self.gnu_path = Some(path.unwrap_or_default().to_vec());
            return Ok(());
        }
        if self.pax_seen {
            return Err(BundleError::ExtensionRepeated);
        }
        self.pax_seen = true;
        for record in records(content) {
            let record = record?;
            self.add_record(record.key, record.value)?;
        }
        Ok(())
    }

    fn add_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), BundleError> {
        let repeated = BundleError::PaxMalformed {
            reason: "a record is there twice",
        };
        match key {
            b"path" if self.pax_path.is_some() => Err(repeated),
            b"path" => {
                self.pax_path = Some(value.to_vec());
                Ok(())
            }
            b"size" if self.pax_size.is_some() => Err(repeated),
            b"size" => {
                let reason = "the size is not a decimal number";
                let size = decimal(value).ok_or(BundleError::PaxMalformed { reason })?;
                self.pax_size = Some(size);
                Ok(())
            }
            _ if is_decisive(key, value) => Err(BundleError::PaxRefused {
                key: quotable_bytes(key),
            }),
            _ => Ok(()),
        }
    }

    /// The entry's path: of all places that say it, after checking that they agree.
    pub(super) fn path<'a>(&'a self, header: &'a RawHeader) -> Result<EntryPath<'a>, BundleError> {
        let disagree = |path: &[u8]| BundleError::HeadersDisagree {
            path: quotable_bytes(path),
            field: "path",
            header: quotable_bytes(&header.path),
        };
        let long = match (&self.pax_path, &self.gnu_path) {
            (None, None) => {
                return Ok(EntryPath {
                    path: &header.path,
                    stand_in: None,
                });
            }
            (Some(pax), Some(gnu)) if pax != gnu => return Err(disagree(pax)),
            (Some(long), _) | (None, Some(long)) => long,
        };
        match likeness(&header.path, long) {
            Likeness::Form => Ok(EntryPath {
                path: long,
                stand_in: None,
            }),
            Likeness::StandIn => Ok(EntryPath {
                path: long,
                stand_in: Some(&header.path),
            }),
            Likeness::Other => Err(disagree(long)),
        }
    }

    /// The entry's size, after checking that header and extension agree.
    pub(super) fn size(&self, header: &RawHeader, path: &[u8]) -> Result<u64, BundleError> {
        match self.pax_size {
            None => Ok(header.size),
            Some(size) if size == header.size => Ok(size),
            // What octal cannot say is written as 0 or as the largest octal number.
            Some(size) if size > OCTAL_SIZE_MAX && matches!(header.size, 0 | OCTAL_SIZE_MAX) => {
                Ok(size)
            }
            Some(_) => Err(BundleError::HeadersDisagree {
                path: quotable_bytes(path),
                field: "size",
                header: header.size.to_string(),
            }),
        }
    }
}

/// An entry's path, and what its own header says instead, if that is only a stand-in for it.
pub(super) struct EntryPath<'a> {
    pub(super) path: &'a [u8],
    pub(super) stand_in: Option<&'a [u8]>,
}

/// Checks a header for all entries that follow. Comments, times, owners and vendors' records say
/// nothing about what a file is; a path or a size for all of them is used by some readers and
/// not by others.
pub(super) fn check_global(content: &[u8]) -> Result<(), BundleError> {
    for record in records(content) {
        let Record { key, value, .. } = record?;
        if matches!(key, b"path" | b"size") || is_decisive(key, value) {
            return Err(BundleError::PaxGlobal {
                key: quotable_bytes(key),
            });
        }
    }
    Ok(())
}

/// Whether a record changes what the content is, or in which charset the path is. Times, owners,
/// comments, labels and vendors' attributes change nothing that we keep, and paths must be UTF-8
/// whatever they are marked as.
fn is_decisive(key: &[u8], value: &[u8]) -> bool {
    const CHARSETS: [&[u8]; 2] = [b"BINARY", b"ISO-IR 10646 2000 UTF-8"];
    match key {
        b"linkpath" | b"SCHILY.realsize" => true,
        b"hdrcharset" => !CHARSETS.contains(&value),
        _ => key.starts_with(b"GNU."),
    }
}

/// The records of a pax header, up to the first that cannot be read.
fn records(content: &[u8]) -> impl Iterator<Item = Result<Record<'_>, BundleError>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = record(rest);
        rest = record.as_ref().map_or(&[], |record| record.rest);
        Some(record)
    })
}

/// One record, and what comes after it.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

/// Splits the first record off: `length key=value\n`, where the length counts all of it. Values
/// may hold any byte, so the length decides and not the line feed.
fn record(content: &[u8]) -> Result<Record<'_>, BundleError> {
    let malformed = |reason| BundleError::PaxMalformed { reason };
    let space = content
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or_else(|| malformed("a record has no length"))?;
    let length = content
        .get(..space)
        .and_then(decimal)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| malformed("a record's length is not a decimal number"))?;
    let (whole, rest) = content
        .split_at_checked(length)
        .ok_or_else(|| malformed("a record is longer than its header"))?;
    let body = whole
        .get(space + 1..)
        .and_then(|body| body.strip_suffix(b"\n"))
        .ok_or_else(|| malformed("a record does not end where its length says"))?;
    let equals = body
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or_else(|| malformed("a record has no '='"))?;
    let (key, value) = body.split_at(equals);
    if key.is_empty() || std::str::from_utf8(key).is_err() {
        return Err(malformed("a record's key is empty or not UTF-8"));
    }
    Ok(Record {
        key,
        value: value.get(1..).unwrap_or_default(),
        rest,
    })
}

/// Digits only, and no more than fit: no sign, no space, no leading zero.
fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty()
        && digits.len() <= 19
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits.first() != Some(&b'0'));
    if !plain {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
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

    #[test]
    fn records_are_split_by_length() {
        let content = b"12 key=a\nb=\n6 x=y\n";
        let Record { key, value, rest } = record(content).unwrap();
        assert_eq!(
            (key, value, rest),
            (&b"key"[..], &b"a\nb="[..], &b"6 x=y\n"[..])
        );
        for bad in [
            &b"x"[..],
            b" k=v\n",
            b"0 k=v\n",
            b"7 k=v\n",
            b"5 k=v\n",
            b"6 kvv\n",
            b"6 =vv\n",
            b"06 k=v\n",
            b"-6 k=v\n",
            b"99999999999999999999999 k=v\n",
            b"2 ",
        ] {
            assert!(record(bad).is_err(), "{bad:?}");
        }
    }
}
