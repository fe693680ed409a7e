//! What each text pays for being screened.

#![allow(missing_docs, reason = "the macros write functions without")]

use std::hint::black_box;

use belljar_screen::{FieldKind, Screener};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A message as people send it.
const MESSAGE: &str = "Hi! I have a list of about two hundred customer e-mails and would like \
    to sort them by topic. What would be a good way to start, and how many topics should I plan \
    for? Some of them are in French, if that matters.";

/// A message with code in it.
const CODE: &str = "Can you explain this?\n\n```sql\nSELECT name, count(*) FROM orders WHERE \
    status = 'open' OR total > 100 GROUP BY name ORDER BY 2 DESC;\n```\n\nI do not see why it \
    returns two rows for `O'Brien`.";

fn screens(bench: &mut Criterion) {
    let screener = Screener::default();
    let mut group = bench.benchmark_group("screen");
    let attack = "%2527%2520or%25201%253D1--%2520";
    for (name, text) in [("message", MESSAGE), ("code", CODE), ("attack", attack)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bench| {
            bench.iter(|| screener.screen(FieldKind::Prompt, black_box(text)));
        });
    }
    group.finish();
}

criterion_group!(benches, screens);
criterion_main!(benches);
