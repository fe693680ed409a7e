//! Extended headers: pax records and GNU long names. They may add to the header they belong to,
//! and never contradict it: readers that know extensions and readers that do not must see the
//! same files.

use super::header::{EntryKind, RawHeader};
use crate::error::BundleError;
use crate::text::quotable_bytes;

/// The width of a header's `name` field.
const HEADER_NAME_BYTES: usize = 100;

/// A path that its header has cut short must still show this many bytes of it: the whole field,
/// but for a character that would not fit.
const CUT_PATH_BYTES_MIN: usize = HEADER_NAME_BYTES - 4;

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
            // The path ends with a zero byte, which the size counts.
            let path = content.strip_suffix(&[0]).unwrap_or(content);
            self.gnu_path = Some(path.to_vec());
            return Ok(());
        }
        if self.pax_seen {
            return Err(BundleError::ExtensionRepeated);
        }
        self.pax_seen = true;
        let mut rest = content;
        while !rest.is_empty() {
            let record = record(rest)?;
            self.add_record(record.key, record.value)?;
            rest = record.rest;
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
            // Each of these changes what the content is, or in which charset the path is. Times,
            // owners, comments and vendors' attributes change nothing that we keep.
            b"linkpath" | b"hdrcharset" | b"SCHILY.realsize" => Err(BundleError::PaxRefused {
                key: quotable_bytes(key),
            }),
            _ if key.starts_with(b"GNU.") => Err(BundleError::PaxRefused {
                key: quotable_bytes(key),
            }),
            _ => Ok(()),
        }
    }

    /// The entry's path: of all places that say it, after checking that they agree.
    pub(super) fn path<'a>(&'a self, header: &'a RawHeader) -> Result<&'a [u8], BundleError> {
        let disagree = |path: &[u8]| BundleError::HeadersDisagree {
            path: quotable_bytes(path),
            field: "path",
        };
        let long = match (&self.pax_path, &self.gnu_path) {
            (None, None) => return Ok(&header.path),
            (Some(pax), Some(gnu)) if pax != gnu => return Err(disagree(pax)),
            (Some(long), _) | (None, Some(long)) => long,
        };
        if is_short_form(&header.path, long) {
            Ok(long)
        } else {
            Err(disagree(long))
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
            }),
        }
    }
}

/// Whether a writer that means `long` could have put `short` into the header: the same, or cut
/// off, after having replaced (Python) or dropped (Go) what is not ASCII, or with folders in the
/// middle left out (bsdtar).
fn is_short_form(short: &[u8], long: &[u8]) -> bool {
    let cut = |full: &[u8]| {
        full == short || (short.len() >= CUT_PATH_BYTES_MIN && full.starts_with(short))
    };
    if cut(long) || is_without_middle(short, long) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(long) else {
        return false;
    };
    let replaced: String = text
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    let dropped: String = text.chars().filter(char::is_ascii).collect();
    cut(replaced.as_bytes()) || cut(dropped.as_bytes())
}

/// Whether `short` is `long` without some folders between the first one and the file's name.
fn is_without_middle(short: &[u8], long: &[u8]) -> bool {
    // What fits into the field is never shortened.
    if long.len() <= HEADER_NAME_BYTES {
        return false;
    }
    (0..short.len())
        .filter(|at| short.get(*at) == Some(&b'/'))
        .any(|at| {
            let (lead, tail) = short.split_at_checked(at + 1).unwrap_or((short, &[]));
            let name = [b"/", tail].concat();
            !tail.is_empty() && long.starts_with(lead) && long.ends_with(&name)
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

    #[test]
    fn short_forms() {
        let long = "d/".to_owned() + &"x".repeat(150);
        assert!(is_short_form(&long.as_bytes()[..100], long.as_bytes()));
        assert!(!is_short_form(&long.as_bytes()[..50], long.as_bytes()));
        assert!(is_short_form(b"na?ve", "naïve".as_bytes()));
        assert!(is_short_form(b"nave", "naïve".as_bytes()));
        assert!(!is_short_form(b"evil", b"good"));
        assert!(!is_short_form(b"", b"good"));
        let deep = format!("{}/{}/file", "a".repeat(60), "b".repeat(60));
        assert!(is_short_form(
            format!("{}/file", "a".repeat(60)).as_bytes(),
            deep.as_bytes()
        ));
        assert!(!is_short_form(
            format!("{}/ile", "a".repeat(60)).as_bytes(),
            deep.as_bytes()
        ));
        assert!(!is_short_form(
            format!("{}/", "a".repeat(60)).as_bytes(),
            deep.as_bytes()
        ));
        assert!(!is_short_form(b"c/file", deep.as_bytes()));
        assert!(!is_short_form(b"a/c", b"a/b/c"));
    }
}
