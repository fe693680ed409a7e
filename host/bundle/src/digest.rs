//! [`Digest`]: what names a piece of content, and the hasher that makes one.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::str::FromStr;

use sha2::Digest as _;
use thiserror::Error;

use crate::text::{quotable, serde_as_text};

/// Bytes that are read at once where a whole file is hashed.
const PIECE_BYTES: usize = 256 << 10;

/// A SHA-256 digest, written `sha256:` and 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest of all that a reader gives, and how many bytes that is.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of_reader(reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new();
        let bytes = io::copy(
            &mut BufReader::with_capacity(PIECE_BYTES, reader),
            &mut hasher,
        )?;
        Ok((hasher.finish(), bytes))
    }

    /// A digest that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 digits without the prefix, as used in file names.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first ten digits of it, which tell contents apart where nobody means to deceive.
    pub fn short_hex(&self) -> String {
        let [first, second, third, fourth, fifth, ..] = self.0;
        hex::encode([first, second, third, fourth, fifth])
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let Some(digits) = text.strip_prefix("sha256:") else {
            return Err(DigestError::Prefix {
                text: quotable(text),
            });
        };
        // Lowercase only: one digest, one spelling, so that texts can be compared.
        if digits.len() != 64
            || digits
                .bytes()
                .any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(DigestError::Digits {
                text: quotable(text),
            });
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestError::Digits {
            text: quotable(text),
        })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Digest);

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DigestError {
    /// The algorithm is missing or is another one.
    #[error("\"{text}\" does not begin with \"sha256:\"")]
    Prefix {
        /// The text, made safe to print.
        text: String,
    },
    /// Not 64 lowercase hexadecimal digits.
    #[error("\"{text}\" does not have 64 lowercase hexadecimal digits after \"sha256:\"")]
    Digits {
        /// The text, made safe to print.
        text: String,
    },
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything taken in.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_a_reader_gives_is_hashed_and_counted_to_its_end() {
        for length in [0, 1, PIECE_BYTES, 2 * PIECE_BYTES + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (digest, count) = Digest::of_reader(&*bytes).unwrap();
            assert_eq!((digest, count), (Digest::of(&bytes), length as u64));
        }
    }

    #[test]
    fn text_and_back() {
        let digest = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        let upper = text.to_uppercase();
        for bad in ["", "sha256:", "sha512:00", &text[7..], &text[..70], &upper] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?}");
        }
    }
}
