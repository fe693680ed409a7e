//! How fast a bundle comes in: MB/s of tar for plain, gzip and zstd, through every check, hashed
//! and written to the staging area; a commit with and without new content; and packing.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench fails by panicking"
)]

use std::hint::black_box;
use std::io;

use belljar_bundle::hostile::{gzip, zstd};
use belljar_bundle::pack::{Content, Parts, pack_parts};
use belljar_bundle::{ArchiveLimits, Digest, SignaturePolicy, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Of which half is random, as quantised weights nearly are, and half repeats.
const ASSET_BYTES: usize = 32 << 20;

fn content() -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(ASSET_BYTES);
    while bytes.len() < ASSET_BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend_from_slice(&(state ^ (state >> 31)).to_le_bytes());
        bytes.extend_from_slice(b"repeated");
    }
    bytes
}

fn parts() -> Parts {
    let component = Content::Bytes(b"\0asm\x0d\0\x01\0".repeat(1000));
    let mut parts = Parts::new("m".parse().unwrap(), "1.0.0".parse().unwrap(), component);
    parts.assets = vec![("weights.bin".parse().unwrap(), Content::Bytes(content()))];
    parts
}

fn archive(criterion: &mut Criterion) {
    let parts = parts();
    let mut plain = Vec::new();
    pack_parts(&parts, None, &mut plain).unwrap();
    let (limits, policy) = (ArchiveLimits::default(), SignaturePolicy::default());
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let unpack = |bytes: &[u8]| store.unpack(black_box(bytes), &limits, &policy).unwrap();

    let mut group = criterion.benchmark_group("archive");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(plain.len() as u64));
    // What no unpacker can be faster than: the digest alone.
    group.bench_function("sha256", |bencher| {
        bencher.iter(|| Digest::of(black_box(&plain)))
    });
    for (name, bytes) in [
        ("gzip", gzip(&plain)),
        ("zstd", zstd(&plain)),
        ("plain", plain.clone()),
    ] {
        group.bench_function(format!("unpack_{name}"), |bencher| {
            bencher.iter(|| unpack(&bytes))
        });
    }
    unpack(&plain).commit().unwrap();
    group.bench_function("unpack_and_commit_again", |bencher| {
        bencher.iter(|| unpack(&plain).commit().unwrap());
    });
    group.bench_function("pack", |bencher| {
        bencher.iter(|| pack_parts(black_box(&parts), None, io::sink()).unwrap());
    });
    group.finish();

    // The least that an upload costs, whatever its size.
    let mut small = Vec::new();
    let least = Parts {
        assets: Vec::new(),
        ..parts
    };
    pack_parts(&least, None, &mut small).unwrap();
    criterion.bench_function("unpack_small", |bencher| bencher.iter(|| unpack(&small)));
}

criterion_group!(benches, archive);
criterion_main!(benches);
