//! Structured: a good bundle with any entries in it, by the builder of hostile archives, so that
//! checksums are right and the fuzzer reaches the rules behind them. The oracle is another
//! reader: whatever we take, the `tar` crate must see the same files in it.
#![no_main]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use belljar_bundle::hostile::{self, Tar};
use belljar_bundle::{ArchiveLimits, Digest, SignaturePolicy, Store};
use libfuzzer_sys::fuzz_target;

static STORE: LazyLock<Store> = LazyLock::new(|| Store::temporary().expect("a temporary store"));
const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

#[derive(Arbitrary, Debug)]
struct Entry {
    name: Vec<u8>,
    prefix: Vec<u8>,
    kind: Kind,
    content: Vec<u8>,
    gnu: bool,
    size: Option<u16>,
    patch: Option<(u16, [u8; 4])>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    File,
    Directory,
    LongName,
    Pax(Vec<(Key, Vec<u8>)>),
    PaxRaw,
    Other(u8),
}

#[derive(Arbitrary, Debug)]
enum Key {
    Path,
    Size,
    Other(String),
}

#[derive(Arbitrary, Debug)]
struct Archive {
    before: Vec<Entry>,
    after: Vec<Entry>,
    end: u8,
}

fn build(entry: &Entry) -> hostile::Entry {
    let plain = hostile::Entry::file(&entry.name, entry.content.clone());
    let mut built = match &entry.kind {
        Kind::File => plain,
        Kind::Directory => hostile::Entry {
            kind: b'5',
            ..plain
        },
        Kind::LongName => hostile::Entry::long_name(&entry.content),
        Kind::PaxRaw => hostile::Entry {
            kind: b'x',
            ..plain
        },
        Kind::Other(kind) => hostile::Entry {
            kind: *kind,
            ..plain
        },
        Kind::Pax(records) => {
            let content = records.iter().flat_map(|(key, value)| match key {
                Key::Path => hostile::record("path", value),
                Key::Size => hostile::record("size", value),
                Key::Other(key) => hostile::record(key, value),
            });
            hostile::Entry {
                content: content.collect(),
                ..hostile::Entry::pax(&[])
            }
        }
    };
    built.prefix = entry.prefix.clone();
    if entry.gnu {
        built.magic = hostile::GNU;
        built.prefix.clear();
    }
    if let Some(size) = entry.size {
        built = built.sized(u64::from(size));
    }
    if let Some((at, bytes)) = entry.patch {
        built = built.patched(usize::from(at) % 512, bytes);
    }
    built
}

/// What macOS puts beside files, which is no part of a bundle.
fn is_passed_over(path: &str) -> bool {
    let file = path.rsplit('/').next().expect("a last part");
    file.starts_with("._") || file == ".DS_Store" || path.split('/').any(|part| part == "__MACOSX")
}

fuzz_target!(|archive: Archive| {
    let assets: &[(&str, &[u8])] = &[("a", b"x")];
    let tar = archive
        .before
        .iter()
        .map(build)
        .fold(Tar::new(), Tar::entry);
    let tar = tar.raw(hostile::begin(WASM, assets).cut());
    let tar = archive.after.iter().map(build).fold(tar, Tar::entry);
    let bytes = tar.raw(vec![0; usize::from(archive.end % 4) * 512]).cut();
    let limits = ArchiveLimits::for_testing();
    let checked = match STORE.unpack(&bytes[..], &limits, &SignaturePolicy::default()) {
        Ok(checked) => checked,
        Err(error) => return assert!(!error.is_host_fault(), "{error}"),
    };
    let ours: BTreeMap<String, Digest> = checked
        .manifest()
        .files()
        .map(|(name, digest)| (name.to_string(), digest))
        .collect();
    let mut theirs = BTreeMap::new();
    for entry in tar::Archive::new(&bytes[..]).entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = entry
            .path()
            .expect("a path")
            .to_str()
            .expect("UTF-8")
            .to_owned();
        // A header from before ustar tells a directory by the end of its name.
        let header = entry.header();
        let ancient = header.as_ustar().is_none() && header.as_gnu().is_none();
        let kind = header.entry_type();
        if kind.is_dir()
            || kind.is_pax_global_extensions()
            || (ancient && path.ends_with('/'))
            || is_passed_over(&path)
        {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        assert!(theirs.insert(path, Digest::of(&content)).is_none());
    }
    theirs.remove("model.toml");
    assert_eq!(ours, theirs);
});
