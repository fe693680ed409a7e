//! A real model, where it is in the cache: `examples/models/minilm fetch` brings it there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "../../made/cached.rs"]
mod cached;

use std::path::PathBuf;

use belljar_guest::assets;
use belljar_guest::embeddings::Input;
use cached::cached;
use embedder::runtime::Runtime;

const NAME: &str = "minilm-0.1.0";
const FILES: [&str; 7] = [
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];

/// Tokens of texts, the first numbers of their vectors, and cosines, as a computation in f32 over
/// the same weights has them.
#[test]
fn minilm_says_what_its_weights_say() {
    let is_whole = |folder: &PathBuf| FILES.iter().all(|name| folder.join(name).is_file());
    let Some(folder) = cached(NAME).filter(is_whole) else {
        eprintln!("skipped: {NAME} is not in the cache of models");
        return;
    };
    for (options, bound) in [("{}", 1e-4), ("{\"precision\":\"int8\"}", 1e-2)] {
        for name in FILES {
            assets::provide(name, std::fs::read(folder.join(name)).unwrap());
        }
        assets::provide("embedder.json", options);
        let runtime = Runtime::read().unwrap();
        let texts = [
            "This is an example sentence",
            "Each sentence is converted",
            "The cat sits outside",
            "A man is playing guitar",
            "The new movie is awesome",
            "The new movie is so great",
        ];
        assert_eq!(runtime.encode(texts[0]), [2023, 2003, 2019, 2742, 6251]);
        let inputs = texts.map(|text| Input::Text(text.to_owned()));
        let vectors = runtime.embed(&inputs, None).unwrap().vectors;
        assert_eq!(vectors[0].len(), 384);
        assert!(
            (vectors[0][0] - 0.067_657).abs() < bound,
            "{}",
            vectors[0][0]
        );
        let cosine = |a: usize, b: usize| -> f32 {
            vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum()
        };
        let expected = [
            (0, 1, 0.40456),
            (2, 3, 0.03633),
            (4, 5, 0.89390),
            (0, 4, 0.01582),
            (1, 2, -0.01792),
        ];
        for (a, b, expected) in expected {
            let off = (cosine(a, b) - expected).abs();
            assert!(
                off < bound,
                "{options}: {a} and {b} are {off} off {expected}"
            );
        }
    }
}
