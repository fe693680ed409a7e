//! Finds secrets of belljar in a stream of bytes, in bounded memory: as they are, in UTF-16, and in
//! base64.

use std::io::{self, Read};

use memchr::memchr_iter;
use memchr::memmem::Finder;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};

use crate::auth::{KEY_PREFIX, SIGNING_SECRET_PREFIX};

/// Hex digits of a secret behind its prefix.
const DIGITS: usize = 64;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes behind the beginning of a secret in which all of it stands, in any of the forms: base64 in
/// lines is the longest.
const REACH_BYTES: usize = 512;

/// How a secret was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    Plain,
    Utf16,
    Base64,
}

/// A secret that was found. Nothing of it is here but its prefix and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// From 1, by the line ends before it.
    pub(super) line: u64,
    /// From the beginning, in bytes.
    pub(super) offset: u64,
    pub(super) prefix: &'static str,
    pub(super) form: Form,
    pub(super) sha256: [u8; 32],
}

/// The beginning of a secret in one form.
struct Needle {
    finder: Finder<'static>,
    prefix: &'static str,
    form: Form,
    /// Of base64: bits of the prefix's text before the needle's first character.
    skipped_bits: usize,
}

/// What looks for secrets.
pub(super) struct Search {
    needles: Vec<Needle>,
}

impl Search {
    pub(super) fn new() -> Self {
        let mut needles = Vec::new();
        for prefix in [KEY_PREFIX, SIGNING_SECRET_PREFIX] {
            let mut add = |bytes: &[u8], form, skipped_bits| {
                needles.push(Needle {
                    finder: Finder::new(bytes).into_owned(),
                    prefix,
                    form,
                    skipped_bits,
                });
            };
            add(prefix.as_bytes(), Form::Plain, 0);
            // Without the last byte it is that of both orders of bytes.
            let wide: Vec<u8> = prefix.bytes().flat_map(|byte| [byte, 0]).collect();
            add(wide.strip_suffix(&[0]).unwrap_or(&wide), Form::Utf16, 0);
            for before in 0..3 {
                let (text, skipped_bits) = in_base64(prefix, before);
                add(text.as_bytes(), Form::Base64, skipped_bits);
            }
        }
        Self { needles }
    }

    /// Reads to the end, and gives what it finds, in order within each piece that was read.
    pub(super) fn read(
        &self,
        mut source: impl Read,
        mut found: impl FnMut(Finding),
    ) -> io::Result<()> {
        let mut buffer = Zeroizing::new(Vec::with_capacity(PIECE_BYTES + REACH_BYTES));
        let (mut offset, mut lines) = (0_u64, 0_u64);
        loop {
            let taken = source
                .by_ref()
                .take(PIECE_BYTES as u64)
                .read_to_end(&mut buffer)?;
            // What begins near the end is looked at when more of it is there.
            let looked_at = match taken {
                0 => buffer.len(),
                _ => buffer.len().saturating_sub(REACH_BYTES),
            };
            let mut here = self.look(&buffer, looked_at);
            here.sort_by_key(|(at, _)| *at);
            let (mut counted, mut line) = (0, lines);
            for (at, (prefix, form, sha256)) in here {
                line += count_lines(buffer.get(counted..at).unwrap_or_default());
                counted = at;
                found(Finding {
                    line: line + 1,
                    offset: offset + at as u64,
                    prefix,
                    form,
                    sha256,
                });
            }
            if taken == 0 {
                return Ok(());
            }
            lines += count_lines(buffer.get(..looked_at).unwrap_or_default());
            offset += looked_at as u64;
            buffer.drain(..looked_at);
        }
    }

    /// The secrets that begin in the first so many bytes.
    fn look(&self, buffer: &[u8], looked_at: usize) -> Vec<(usize, Hit)> {
        let mut hits = Vec::new();
        for needle in &self.needles {
            for at in needle.finder.find_iter(buffer) {
                if at >= looked_at {
                    break;
                }
                let rest = buffer.get(at..).unwrap_or_default();
                if let Some(sha256) = needle.secret(rest) {
                    hits.push((at, (needle.prefix, needle.form, sha256)));
                }
            }
        }
        hits
    }
}

type Hit = (&'static str, Form, [u8; 32]);

impl Needle {
    /// The hash of the secret that begins with the needle, if one does.
    fn secret(&self, rest: &[u8]) -> Option<[u8; 32]> {
        let length = self.prefix.len() + DIGITS;
        let text: Zeroizing<Vec<u8>> = Zeroizing::new(match self.form {
            Form::Plain => rest.get(..length)?.to_vec(),
            Form::Utf16 => {
                let wide = rest.get(..2 * length - 1)?;
                let is_wide = wide.iter().skip(1).step_by(2).all(|byte| *byte == 0);
                is_wide.then(|| wide.iter().step_by(2).copied().collect())?
            }
            Form::Base64 => self.decoded(rest)?,
        });
        let digits = text.strip_prefix(self.prefix.as_bytes())?;
        let is_secret = digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit);
        is_secret.then(|| Sha256::digest(&*text).into())
    }

    /// The text of a secret in base64, in whichever alphabet, with or without line ends in it.
    fn decoded(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let length = self.prefix.len() + DIGITS;
        let sextets = rest
            .iter()
            .take(REACH_BYTES)
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_while(|byte| sextet(*byte));
        // The needle begins in the midst of a byte of the prefix, which is known.
        let known = self.skipped_bits.div_ceil(8);
        let mut drop_bits = known * 8 - self.skipped_bits;
        let mut text = Vec::with_capacity(length);
        text.extend_from_slice(self.prefix.as_bytes().get(..known)?);
        let (mut bits, mut count) = (0_u32, 0_usize);
        for sextet in sextets {
            bits = (bits << 6) | sextet;
            count += 6;
            if drop_bits > 0 {
                let dropped = drop_bits.min(count);
                (count, drop_bits) = (count - dropped, drop_bits - dropped);
            }
            if count >= 8 {
                count -= 8;
                text.push((bits >> count) as u8);
                bits &= (1 << count) - 1;
            }
            if text.len() == length {
                return Some(text);
            }
        }
        None
    }
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// The characters of base64 that are the same whatever stands around a text with so many bytes
/// before it in its group of three, and how many bits of the text come before them.
fn in_base64(text: &str, before: usize) -> (String, usize) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let start = before * 8;
    let end = start + text.len() * 8;
    let bit = |at: usize| -> usize {
        let at = at - start;
        let byte = text.as_bytes().get(at / 8).copied().unwrap_or_default();
        usize::from(byte >> (7 - at % 8) & 1)
    };
    let first = start.div_ceil(6);
    let characters = (first..end / 6).map(|character| {
        let value = (0..6).fold(0, |value, at| value << 1 | bit(character * 6 + at));
        char::from(ALPHABET.get(value).copied().unwrap_or(b'A'))
    });
    (characters.collect(), first * 6 - start)
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn secret(prefix: &str, digit: char) -> String {
        format!("{prefix}{}", digit.to_string().repeat(DIGITS))
    }

    fn search(bytes: &[u8]) -> Vec<Finding> {
        let mut found = Vec::new();
        Search::new().read(bytes, |one| found.push(one)).unwrap();
        found
    }

    /// A source that gives little at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.1);
            (&mut self.0).read(buffer.get_mut(..count).unwrap())
        }
    }

    #[test]
    fn both_kinds_are_found_with_their_lines() {
        let (key, signs) = (secret(KEY_PREFIX, 'a'), secret(SIGNING_SECRET_PREFIX, 'F'));
        let text = format!("a\nkey = \"{key}\"\n\n{signs}, and {key}");
        let found = search(text.as_bytes());
        let places: Vec<_> = found.iter().map(|one| (one.line, one.prefix)).collect();
        assert_eq!(
            places,
            [(2, KEY_PREFIX), (4, SIGNING_SECRET_PREFIX), (4, KEY_PREFIX)]
        );
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        assert_eq!((found[0].sha256, found[2].sha256), (hash, hash));
        assert_eq!(found[0].offset, 9);
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        let short = secret(KEY_PREFIX, 'a');
        for text in [
            "",
            KEY_PREFIX,
            &short[..short.len() - 1],
            &short.replace('a', "g"),
            "sk-belljar-wrong-wrong-wrong",
            &short.to_uppercase(),
        ] {
            assert_eq!(search(text.as_bytes()), [], "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_in_utf_16_in_both_orders() {
        let key = secret(KEY_PREFIX, '0');
        let text = format!("\u{fc}\nk={key}\n");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            let found = search(&bytes);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].form, found[0].line), (Form::Utf16, 2));
            let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
            assert_eq!(found[0].sha256, hash);
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_stands_in_its_group() {
        for prefix in [KEY_PREFIX, SIGNING_SECRET_PREFIX] {
            for before in ["", "u", "us", "user:", "user: "] {
                let key = secret(prefix, '7');
                let text = format!("{before}{key}{before}");
                let lines: Vec<String> = STANDARD
                    .encode(&text)
                    .as_bytes()
                    .chunks(76)
                    .map(|line| String::from_utf8(line.to_vec()).unwrap())
                    .collect();
                for encoded in [
                    STANDARD.encode(&text),
                    URL_SAFE_NO_PAD.encode(&text),
                    lines.join("\r\n"),
                ] {
                    let found = search(format!("x: \"{encoded}\"").as_bytes());
                    assert_eq!(found.len(), 1, "{before}: {encoded}");
                    assert_eq!((found[0].form, found[0].prefix), (Form::Base64, prefix));
                    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
                    assert_eq!(found[0].sha256, hash);
                }
            }
        }
    }

    #[test]
    fn a_file_of_many_pieces_is_searched_as_one() {
        let key = secret(KEY_PREFIX, 'b');
        for at in [
            PIECE_BYTES - REACH_BYTES - 1,
            PIECE_BYTES - 40,
            PIECE_BYTES,
            3 * PIECE_BYTES - 74,
        ] {
            let mut bytes = vec![b'\n'; at];
            bytes.extend_from_slice(key.as_bytes());
            bytes.resize(4 * PIECE_BYTES, b'.');
            let mut found = Vec::new();
            let slow = Slow(&bytes, 100_000);
            Search::new().read(slow, |one| found.push(one)).unwrap();
            assert_eq!(found.len(), 1, "{at}");
            assert_eq!((found[0].offset, found[0].line), (at as u64, at as u64 + 1));
        }
        // At the very end.
        let bytes = [vec![b'.'; PIECE_BYTES], key.into_bytes()].concat();
        assert_eq!(search(&bytes).len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            search(&bytes);
            let prefixed = [KEY_PREFIX.as_bytes(), b"c2stYmVsbGphci", &bytes].concat();
            search(&prefixed);
        }
    }
}
