//! What it costs to count a text: a usual message, a long one, and a megabyte of one letter.

use belljar_tokens::{Cuts, Cutter, Encoding};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// A message as people write them, of a hundred bytes.
const MESSAGE: &str = "Please plan a weekend in Paris for two adults and two children, with museums and a \
                       boat trip.";

fn count(criterion: &mut Criterion) {
    let long = MESSAGE.repeat(10_000);
    let letters = "a".repeat(1 << 20);
    let half = "a".repeat(1 << 19);
    for encoding in Encoding::ALL {
        let mut group = criterion.benchmark_group(encoding.name());
        for (name, text) in [
            ("message", MESSAGE),
            ("a megabyte of messages", &long),
            ("half a megabyte of a", &half),
            ("a megabyte of a", &letters),
        ] {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| encoding.count(black_box(text)));
            });
        }
        group.throughput(Throughput::Bytes(MESSAGE.len() as u64));
        group.bench_function("message, as it is written", |bencher| {
            bencher.iter(|| {
                let mut cuts = Cuts::default();
                let mut cutter = Cutter::new(encoding);
                for word in black_box(MESSAGE).split_inclusive(' ') {
                    cutter.push(word, &mut cuts);
                }
                cutter.finish(&mut cuts);
                cuts.ends.len()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, count);
criterion_main!(benches);
