//! What each body of JSON pays for being checked, beside what reading it costs.

#![allow(missing_docs, reason = "the macros write functions without")]

use std::hint::black_box;

use belljar_screen::json::{Bounds, check};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    array_items_max: usize::MAX,
    string_bytes_max: usize::MAX,
    keys_max: 1024,
    key_bytes_max: 512,
    duplicate_keys: false,
    control_characters: false,
    lists_are_data: true,
};

fn numbers() -> String {
    let numbers: Vec<String> = (0..200_000_u32)
        .map(|n| format!("{:.6}", f64::from(n.wrapping_mul(2_654_435_761)) / 4e9))
        .collect();
    format!("[{}]", numbers.join(","))
}

fn rows() -> String {
    let row = |n: u32| format!("[{},{},{}]", n % 256, (n / 3) % 256, (n / 7) % 256);
    let rows: Vec<String> = (0..100_000).map(row).collect();
    format!("[{}]", rows.join(","))
}

fn checks(bench: &mut Criterion) {
    let chat = serde_json::json!({"model": "fake", "max_tokens": 32, "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "How do I sort two hundred e-mails by topic?"},
    ]})
    .to_string();
    let echo = r#"{"model":"echo","inputs":{"x":[[1,2],[3,4]]}}"#.to_owned();
    let prose = format!(
        "[{:?}]",
        "All work and no play, \u{e9}t\u{e9}. ".repeat(40_000)
    );
    let mut group = bench.benchmark_group("json");
    for (name, text) in [
        ("echo", echo),
        ("chat", chat),
        ("prose", prose),
        ("numbers", numbers()),
        ("rows", rows()),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{name}/check"), |bench| {
            bench.iter(|| check(black_box(text.as_bytes()), &BOUNDS));
        });
        group.bench_function(format!("{name}/read"), |bench| {
            bench.iter(|| serde_json::from_str::<serde::de::IgnoredAny>(black_box(&text)));
        });
        if name == "numbers" {
            group.bench_function(format!("{name}/read as f32"), |bench| {
                bench.iter(|| serde_json::from_str::<Vec<f32>>(black_box(&text)));
            });
        }
        if name == "rows" {
            group.bench_function(format!("{name}/read as f32"), |bench| {
                bench.iter(|| serde_json::from_str::<Vec<[f32; 3]>>(black_box(&text)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, checks);
criterion_main!(benches);
