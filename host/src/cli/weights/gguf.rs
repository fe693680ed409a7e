//! What a GGUF file says of its sizes: enough to tell what the tokens of a request take. The
//! runtime in its sandbox reads the rest, and refuses what cannot be run.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Keys that are looked at.
const KEYS_MAX: u64 = 1 << 16;
/// Elements of a list of texts, which is passed over one by one.
const TEXTS_MAX: u64 = 1 << 24;
/// Bytes of a text that is kept.
const TEXT_BYTES_MAX: u64 = 256;
/// Lists in lists.
const DEPTH_MAX: u32 = 2;
/// Bytes of a number in the memory of a request: one of 32 bits.
const ELEMENT_BYTES: u64 = 4;

/// The sizes of a model that matter to the limits of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Tokens that the model sees.
    pub(super) context: u64,
    /// Bytes that a token takes until the answer is whole: a key and a value of each head that
    /// answers in each layer.
    pub(super) cache_bytes: u64,
    /// For people.
    pub(super) name: Option<String>,
    /// For people.
    pub(super) license: Option<String>,
}

/// A value of the metadata, as far as it is looked at.
enum Value {
    Number(u64),
    Text(String),
    Other,
}

impl Sizes {
    /// The sizes in the metadata of a file; none where it has none that can be read.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        Self::from(&mut BufReader::new(file)).ok().flatten()
    }

    fn from(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        if number::<4>(file)? != u64::from(u32::from_le_bytes(*b"GGUF")) {
            return Ok(None);
        }
        let version = number::<4>(file)?;
        let _tensors = number::<8>(file)?;
        let keys = number::<8>(file)?;
        if !matches!(version, 2 | 3) || keys > KEYS_MAX {
            return Ok(None);
        }
        let mut found = Vec::new();
        for _ in 0..keys {
            let name = text(file)?;
            let kind = number::<4>(file)?;
            found.push((name, value(file, kind, 0)?));
        }
        Ok(Self::of(&found))
    }

    fn of(found: &[(String, Value)]) -> Option<Self> {
        let value = |name: &str| found.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        let words = |name: &str| match value(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let architecture = words("general.architecture")?;
        let size = |name: &str| match value(&format!("{architecture}.{name}")) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        };
        let heads = size("attention.head_count")?;
        let kv_heads = size("attention.head_count_kv").unwrap_or(heads);
        let head = size("attention.key_length");
        let head = head.or_else(|| size("embedding_length")?.checked_div(heads))?;
        let elements = size("block_count")?
            .checked_mul(kv_heads)?
            .checked_mul(head)?;
        Some(Self {
            context: size("context_length")?,
            cache_bytes: elements.checked_mul(2)?.checked_mul(ELEMENT_BYTES)?,
            name: words("general.name"),
            license: words("general.license"),
        })
    }
}

/// A number of so many bytes.
fn number<const BYTES: usize>(file: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    if let Some(own) = bytes.get_mut(..BYTES) {
        file.read_exact(own)?;
    }
    Ok(u64::from_le_bytes(bytes))
}

/// A text, which is cut where it is long.
fn text(file: &mut (impl Read + Seek)) -> io::Result<String> {
    let length = number::<8>(file)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(length.min(TEXT_BYTES_MAX))
        .read_to_end(&mut bytes)?;
    skip(file, length.saturating_sub(TEXT_BYTES_MAX))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn value(file: &mut (impl Read + Seek), kind: u64, depth: u32) -> io::Result<Value> {
    Ok(match kind {
        // Unsigned and signed numbers in turns, a byte wide to four; no size is below zero.
        0 | 1 | 7 => Value::Number(number::<1>(file)?),
        2 | 3 => Value::Number(number::<2>(file)?),
        4 | 5 => Value::Number(number::<4>(file)?),
        10 | 11 => Value::Number(number::<8>(file)?),
        8 => Value::Text(text(file)?),
        9 => {
            let kind = number::<4>(file)?;
            let count = number::<8>(file)?;
            match width(kind) {
                Some(bytes) => skip(file, count.saturating_mul(bytes))?,
                None if count <= TEXTS_MAX && depth < DEPTH_MAX => {
                    for _ in 0..count {
                        value(file, kind, depth + 1)?;
                    }
                }
                None => return Err(io::ErrorKind::InvalidData.into()),
            }
            Value::Other
        }
        _ => {
            let bytes = width(kind).ok_or(io::ErrorKind::InvalidData)?;
            skip(file, bytes)?;
            Value::Other
        }
    })
}

/// Bytes of a value of this kind; none for texts and lists.
fn width(kind: u64) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn skip(file: &mut impl Seek, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        // What is read ahead would be read again.
        return Ok(());
    }
    let bytes = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    // The end of the file is found by the next read.
    file.seek(SeekFrom::Current(bytes)).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn put(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }

    fn file(sizes: &[(&str, u32)]) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend(0u64.to_le_bytes());
        out.extend((sizes.len() as u64 + 3).to_le_bytes());
        put(&mut out, "tokens");
        out.extend(9u32.to_le_bytes());
        out.extend(8u32.to_le_bytes());
        out.extend(2u64.to_le_bytes());
        put(&mut out, "a");
        put(&mut out, "bc");
        put(&mut out, "scores");
        out.extend(9u32.to_le_bytes());
        out.extend(6u32.to_le_bytes());
        out.extend(1u64.to_le_bytes());
        out.extend(1f32.to_le_bytes());
        put(&mut out, "general.architecture");
        out.extend(8u32.to_le_bytes());
        put(&mut out, "llama");
        for (name, size) in sizes {
            put(&mut out, &format!("llama.{name}"));
            out.extend(4u32.to_le_bytes());
            out.extend(size.to_le_bytes());
        }
        out
    }

    /// SmolLM2 135M: 45 KiB a token.
    const SMOLLM2: [(&str, u32); 5] = [
        ("context_length", 8192),
        ("block_count", 30),
        ("embedding_length", 576),
        ("attention.head_count", 9),
        ("attention.head_count_kv", 3),
    ];

    #[test]
    fn a_token_takes_a_key_and_a_value_of_each_head_in_each_layer() {
        let sizes = Sizes::from(&mut Cursor::new(file(&SMOLLM2)))
            .unwrap()
            .unwrap();
        assert_eq!((sizes.context, sizes.cache_bytes), (8192, 45 << 10));
    }

    #[test]
    fn what_says_no_sizes_has_none() {
        for missing in 0..SMOLLM2.len() - 1 {
            let mut sizes = SMOLLM2.to_vec();
            sizes.remove(missing);
            let read = Sizes::from(&mut Cursor::new(file(&sizes))).unwrap();
            assert_eq!(read, None, "{missing}");
        }
        assert_eq!(
            Sizes::from(&mut Cursor::new(b"PK\x03\x04xx")).unwrap(),
            None
        );
    }

    proptest! {
        #[test]
        fn no_bytes_end_in_a_panic(at in 4usize..200, bytes in any::<[u8; 8]>(), length in 0usize..400) {
            let mut file = file(&SMOLLM2);
            file.splice(at.min(file.len())..(at + 8).min(file.len()), bytes);
            file.truncate(length);
            let _ = Sizes::from(&mut Cursor::new(file));
        }
    }
}
