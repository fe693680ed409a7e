//! Memory stays bounded whatever is sent. One test, so that nothing else in the process counts.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{Read, repeat};

use belljar_bundle::hostile::{Entry, Tar, begin, good, gzip, manifest, zstd};
use belljar_bundle::{ArchiveLimits, Hasher, SignaturePolicy, check};

const MIB: u64 = 1 << 20;
const WASM: &[u8] = b"\0asm\x0d\0\x01\0 a component";

/// The most memory that the process has had since the last reset, in bytes.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// How much the peak grows by receiving a body.
fn growth(body: impl Read, limits: &ArchiveLimits) -> (u64, Result<u64, &'static str>) {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak_bytes();
    let result = check(body, limits, &SignaturePolicy::default())
        .map(|checked| checked.unpacked_bytes())
        .map_err(|error| error.code());
    (peak_bytes() - before, result)
}

#[test]
fn memory_is_bounded() {
    let limits = ArchiveLimits::default();

    // A large good bundle, never in memory as a whole.
    let size = 96 * MIB;
    let mut hasher = Hasher::new();
    std::io::copy(&mut repeat(7).take(size), &mut hasher).unwrap();
    let text = format!("{}big = \"{}\"\n", manifest(WASM, &[], ""), hasher.finish());
    let head = Tar::new()
        .file("model.toml", text)
        .file("model.wasm", WASM)
        .entry(Entry::file("big", []).sized(size))
        .cut();
    let body = head
        .as_slice()
        .chain(repeat(7).take(size))
        .chain(repeat(0).take(1024));
    let (grown, result) = growth(body, &limits);
    println!("96 MiB asset: {} KiB, {result:?}", grown / 1024);
    assert!(result.is_ok(), "{result:?}");
    assert!(grown < 2 * MIB, "{grown}");

    // What a sender could hope to make large instead.
    let zeros = vec![0; 64 << 20];
    let bomb = good(WASM, &[("a", &zeros)]);
    let (gzip_bomb, zstd_bomb) = (gzip(&bomb), zstd(&bomb));
    drop((zeros, bomb));
    let paths = (0..2000).fold(begin(WASM, &[]), |tar, n| {
        tar.directory(format!("{n}/{}/{}", "x".repeat(45), "y".repeat(45)))
    });
    let extensions = (0..500).fold(begin(WASM, &[]), |tar, n| {
        tar.entry(Entry::pax(&[("comment", &[b'x'; 60_000])]))
            .directory(format!("d{n}"))
    });
    let keys: String = (0..30_000).map(|n| format!("k{n}=1\n")).collect();
    let list = format!("x = [{}]", "0,".repeat(120_000));
    let tables = "[[a]]\n".repeat(40_000);
    for (what, body, most_mib) in [
        ("a gzip bomb", gzip_bomb, 2),
        ("a zstd bomb", zstd_bomb, 12),
        ("many paths", paths.end(), 2),
        ("many extensions", extensions.end(), 2),
        (
            "a manifest of keys",
            Tar::new().file("model.toml", keys).end(),
            48,
        ),
        (
            "a manifest of a list",
            Tar::new().file("model.toml", list).end(),
            48,
        ),
        (
            "a manifest of tables",
            Tar::new().file("model.toml", tables).end(),
            48,
        ),
    ] {
        let (grown, result) = growth(body.as_slice(), &limits);
        println!("{what}: {} KiB, {result:?}", grown / 1024);
        assert!(grown < most_mib * MIB, "{what}: {grown}");
    }
}
