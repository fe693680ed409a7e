//! Builds archives byte by byte, good ones and bad ones, for the tests and fuzz targets of this
//! package and of others (feature `hostile`). Nothing here is used by the server.
//!
//! A builder does what it is told: it writes a wrong checksum, leaves the end marker out, or
//! says one thing in a header and another in its extension.

use std::io::Write as _;

use crate::digest::Digest;

const BLOCK: usize = 512;

/// A tar in the making.
#[derive(Clone, Debug, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// One header, field by field, with the content that follows it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The `name` field, cut at 100 bytes.
    pub name: Vec<u8>,
    /// The `prefix` field of a ustar header, cut at 155 bytes.
    pub prefix: Vec<u8>,
    /// The `typeflag`: `b'0'` is a regular file.
    pub kind: u8,
    /// The `linkname` field.
    pub link: Vec<u8>,
    /// The `size` field, if it is not to be the size of the content.
    pub size: Option<Vec<u8>>,
    /// The `magic` and `version` fields.
    pub magic: [u8; 8],
    /// Bytes that overwrite the finished header from an offset on, before the checksum.
    pub patches: Vec<(usize, Vec<u8>)>,
    /// What is added to the right checksum.
    pub checksum_error: u32,
    /// What follows, padded to whole blocks.
    pub content: Vec<u8>,
    /// The byte to pad with.
    pub padding: u8,
}

/// Magic and version of a POSIX header.
pub const USTAR: [u8; 8] = *b"ustar\x0000";
/// Magic and version of a GNU header.
pub const GNU: [u8; 8] = *b"ustar  \0";

impl Entry {
    /// A regular file with a ustar header.
    pub fn file(name: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            prefix: Vec::new(),
            kind: b'0',
            link: Vec::new(),
            size: None,
            magic: USTAR,
            patches: Vec::new(),
            checksum_error: 0,
            content: content.into(),
            padding: 0,
        }
    }

    /// An entry of any type without content.
    pub fn of_kind(kind: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            kind,
            ..Self::file(name, [])
        }
    }

    /// A pax header with these records.
    pub fn pax(records: &[(&str, &[u8])]) -> Self {
        let content: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        Self {
            kind: b'x',
            ..Self::file("PaxHeaders/0", content)
        }
    }

    /// A GNU long name for the entry that follows.
    pub fn long_name(path: impl AsRef<[u8]>) -> Self {
        let content = [path.as_ref(), &[0]].concat();
        Self {
            kind: b'L',
            magic: GNU,
            ..Self::file("././@LongLink", content)
        }
    }

    /// The same entry with bytes of its header overwritten; the checksum fits them.
    #[must_use]
    pub fn patched(mut self, offset: usize, bytes: impl Into<Vec<u8>>) -> Self {
        self.patches.push((offset, bytes.into()));
        self
    }

    /// The same entry with a size field that says something else than the content.
    #[must_use]
    pub fn sized(mut self, size: u64) -> Self {
        self.size = Some(format!("{size:011o}\0").into_bytes());
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut header = [0; BLOCK];
        put(&mut header, 0, &self.name, 100);
        put(&mut header, 100, b"0000644\0", 8);
        put(&mut header, 108, b"0000000\0", 8);
        put(&mut header, 116, b"0000000\0", 8);
        let size = format!("{:011o}\0", self.content.len()).into_bytes();
        put(&mut header, 124, self.size.as_ref().unwrap_or(&size), 12);
        put(&mut header, 136, b"00000000000\0", 12);
        put(&mut header, 156, &[self.kind], 1);
        put(&mut header, 157, &self.link, 100);
        put(&mut header, 257, &self.magic, 8);
        put(&mut header, 345, &self.prefix, 155);
        for (offset, bytes) in &self.patches {
            put(&mut header, *offset, bytes, BLOCK);
        }
        if !self.patches.iter().any(|(offset, _)| *offset == 148) {
            put(&mut header, 148, b"        ", 8);
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            let sum = sum + self.checksum_error;
            put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes(), 8);
        }
        let mut bytes = header.to_vec();
        bytes.extend(&self.content);
        let whole = bytes.len().next_multiple_of(BLOCK);
        bytes.resize(whole, self.padding);
        bytes
    }
}

/// One pax record.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    // The length counts its own digits.
    let mut length = body + 1;
    while body + length.to_string().len() > length {
        length += 1;
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn put(header: &mut [u8; BLOCK], offset: usize, bytes: &[u8], room: usize) {
    for (to, from) in header.iter_mut().skip(offset).zip(bytes.iter().take(room)) {
        *to = *from;
    }
}

impl Tar {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.bytes.extend(entry.to_bytes());
        self
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, name: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(Entry::file(name, content))
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(Entry::of_kind(b'5', name))
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// The bytes so far, with the two zero blocks that end an archive.
    pub fn end(self) -> Vec<u8> {
        self.raw([0; 2 * BLOCK]).bytes
    }

    /// The bytes so far, without an end.
    pub fn cut(self) -> Vec<u8> {
        self.bytes
    }
}

/// A manifest for a component `model.wasm` and assets of that content, with `more` put in before
/// the tables.
pub fn manifest(component: &[u8], assets: &[(&str, &[u8])], more: &str) -> String {
    let mut text = format!(
        "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"model.wasm\"\n{more}\n"
    );
    text.push_str("[digests]\n");
    text.push_str(&format!("\"model.wasm\" = \"{}\"\n", Digest::of(component)));
    text.push_str("[assets]\n");
    for (name, content) in assets {
        text.push_str(&format!("{name:?} = \"{}\"\n", Digest::of(content)));
    }
    text
}

/// A tar that begins as a good bundle does: its manifest, and its component.
pub fn begin(component: &[u8], assets: &[(&str, &[u8])]) -> Tar {
    Tar::new()
        .file("model.toml", manifest(component, assets, ""))
        .file("model.wasm", component)
}

/// A complete good bundle.
pub fn good(component: &[u8], assets: &[(&str, &[u8])]) -> Vec<u8> {
    assets
        .iter()
        .fold(begin(component, assets), |tar, (name, content)| {
            tar.file(name, *content)
        })
        .end()
}

/// The bytes as a gzip stream.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail; an empty result would fail the test that asked for it.
    if encoder.write_all(bytes).is_err() {
        return Vec::new();
    }
    encoder.finish().unwrap_or_default()
}

/// The bytes as a zstd stream.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap_or_default()
}

/// A zstd frame that demands a window of 2^`window_log` bytes, from 10 on, and holds nothing.
pub fn zstd_frame_with_window(window_log: u8) -> Vec<u8> {
    // Magic, a descriptor without a content size, the window, and a last block that is empty.
    let window = window_log.saturating_sub(10) << 3;
    [
        &[0x28, 0xb5, 0x2f, 0xfd, 0x00, window][..],
        &[0x01, 0x00, 0x00],
    ]
    .concat()
}

/// A zstd frame that decoders are told to skip.
pub fn skippable_zstd_frame(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    [&[0x50, 0x2a, 0x4d, 0x18][..], &length, content].concat()
}
