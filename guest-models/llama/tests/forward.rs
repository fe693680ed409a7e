//! Logits of tiny models, of each type of tensor and each architecture, against a plain
//! computation in twice the precision.
#![allow(clippy::unwrap_used, reason = "a test")]

mod made;

use std::collections::HashMap;

use belljar_guest::kernels::Matrix;
use llama::forward::Model;
use llama::gguf::Gguf;
use made::{HEAD, HEADS, INNER, KV_HEADS, Kind, Spec, WIDTH};

const TOKENS: [u32; 9] = [72, 101, 108, 108, 111, 32, 116, 104, 262];

/// A row-major matrix.
type Numbers = Vec<f64>;

/// All tensors of a file, unpacked.
fn unpacked(file: &Gguf<'_>) -> HashMap<String, Numbers> {
    let mut all = HashMap::new();
    for name in file.tensor_names() {
        let tensor = file.tensor(name).unwrap();
        let (rows, columns) = (tensor.rows, tensor.columns);
        let matrix = Matrix::new(tensor.format, rows, columns, file.bytes_of(tensor)).unwrap();
        let mut numbers = Vec::new();
        let mut row = vec![0.0; columns];
        for index in 0..rows {
            assert!(matrix.write_row(index, &mut row));
            numbers.extend(row.iter().map(|&x| f64::from(x)));
        }
        all.insert(name.to_owned(), numbers);
    }
    all
}

fn product(matrix: &[f64], x: &[f64]) -> Numbers {
    let rows = matrix.chunks_exact(x.len());
    rows.map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum())
        .collect()
}

fn norm(x: &[f64], weights: &[f64]) -> Numbers {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let root = (mean + f64::from(1e-5f32)).sqrt();
    x.iter().zip(weights).map(|(x, w)| x / root * w).collect()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn turn(head: &mut [f64], position: usize, is_interleaved: bool) {
    let half = head.len() / 2;
    for pair in 0..half {
        let angle = position as f64 * 10_000f64.powf(-(2.0 * pair as f64) / head.len() as f64);
        let (a, b) = if is_interleaved {
            (2 * pair, 2 * pair + 1)
        } else {
            (pair, pair + half)
        };
        let (x, y) = (head[a], head[b]);
        head[a] = x * angle.cos() - y * angle.sin();
        head[b] = x * angle.sin() + y * angle.cos();
    }
}

/// The logits after the last token.
fn reference(w: &HashMap<String, Numbers>, spec: &Spec) -> Numbers {
    let is_interleaved = matches!(spec.architecture, "llama" | "smollm3");
    let mut keys = vec![Vec::new(); spec.layers];
    let mut values = vec![Vec::new(); spec.layers];
    let mut last = Vec::new();
    for (position, token) in TOKENS.into_iter().enumerate() {
        let start = token as usize * WIDTH;
        let mut x = w["token_embd.weight"][start..start + WIDTH].to_vec();
        for layer in 0..spec.layers {
            let get = |part: &str| &w[&format!("blk.{layer}.{part}")];
            let input = norm(&x, get("attn_norm.weight"));
            let project = |part: &str| {
                let mut y = product(get(&format!("attn_{part}.weight")), &input);
                if let Some(bias) = w.get(&format!("blk.{layer}.attn_{part}.bias")) {
                    add(&mut y, bias);
                }
                let mut heads: Vec<Numbers> = y.chunks_exact(HEAD).map(<[f64]>::to_vec).collect();
                for head in &mut heads {
                    if let Some(weights) = w.get(&format!("blk.{layer}.attn_{part}_norm.weight")) {
                        *head = norm(head, weights);
                    }
                    let turns = spec.architecture != "smollm3" || (layer + 1) % 4 != 0;
                    if part != "v" && turns {
                        turn(head, position, is_interleaved);
                    }
                }
                heads
            };
            let queries = project("q");
            keys[layer].push(project("k"));
            values[layer].push(project("v"));
            let mut attended = Vec::new();
            for (head, query) in queries.iter().enumerate() {
                let answering = head / (HEADS / KV_HEADS);
                let scores = keys[layer].iter().map(|key| {
                    let dot: f64 = key[answering].iter().zip(query).map(|(k, q)| k * q).sum();
                    (dot / (HEAD as f64).sqrt()).exp()
                });
                let scores: Numbers = scores.collect();
                let sum: f64 = scores.iter().sum();
                let mut output = vec![0.0; HEAD];
                for (score, value) in scores.iter().zip(&values[layer]) {
                    let part: Numbers = value[answering].iter().map(|v| v * score / sum).collect();
                    add(&mut output, &part);
                }
                attended.extend(output);
            }
            add(&mut x, &product(get("attn_output.weight"), &attended));
            let input = norm(&x, get("ffn_norm.weight"));
            let gate = product(get("ffn_gate.weight"), &input);
            let up = product(get("ffn_up.weight"), &input);
            assert_eq!(gate.len(), INNER);
            let inner: Numbers = gate
                .iter()
                .zip(&up)
                .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                .collect();
            add(&mut x, &product(get("ffn_down.weight"), &inner));
        }
        last = x;
    }
    let output = w.get("output.weight").unwrap_or(&w["token_embd.weight"]);
    product(output, &norm(&last, &w["output_norm.weight"]))
}

/// Compares a model with the reference; `bound` is the greatest difference, in parts of the
/// spread of the logits.
fn compare(spec: &Spec, bound: f64) {
    let bytes = made::tiny(spec).bytes();
    let file = Gguf::read(&bytes).unwrap();
    let model = Model::read(&file).unwrap();
    let mut session = model.session();
    model.extend(&mut session, &TOKENS).unwrap();
    let expected = reference(&unpacked(&file), spec);
    let spread = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
    let worst = session
        .logits()
        .iter()
        .zip(&expected)
        .map(|(found, expected)| (f64::from(*found) - expected).abs() / spread)
        .fold(0.0, f64::max);
    assert!(spread > 0.01, "{spec:?}: the logits tell nothing apart");
    assert!(worst < bound, "{spec:?}: {worst} of the spread {spread}");

    // Token by token, and in two pieces, the bits are the same.
    let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for pieces in [1, 4] {
        let mut other = model.session();
        for piece in TOKENS.chunks(pieces) {
            model.extend(&mut other, piece).unwrap();
        }
        assert_eq!(bits(session.logits()), bits(other.logits()), "{spec:?}");
    }
}

#[test]
fn every_type_of_tensor_gives_the_logits_of_a_plain_loop() {
    for kind in Kind::ALL {
        let is_exact = matches!(kind, Kind::F32 | Kind::F16 | Kind::Bf16);
        let spec = Spec {
            kind,
            ..Spec::default()
        };
        compare(&spec, if is_exact { 1e-4 } else { 0.1 });
    }
}

#[test]
fn every_architecture_gives_the_logits_of_a_plain_loop() {
    for (architecture, layers) in [("llama", 2), ("qwen2", 2), ("qwen3", 2), ("smollm3", 5)] {
        for is_tied in [false, true] {
            let spec = Spec {
                architecture,
                layers,
                is_tied,
                ..Spec::default()
            };
            compare(&spec, 1e-4);
        }
    }
}

#[test]
fn a_text_over_many_pages_has_the_same_bits_in_one_pass_and_token_by_token() {
    let bytes = made::tiny(&Spec {
        kind: Kind::Q4_1,
        ..Spec::default()
    })
    .bytes();
    let file = Gguf::read(&bytes).unwrap();
    let model = Model::read(&file).unwrap();
    let tokens: Vec<u32> = (0..150).map(|at| at * 7 % 256).collect();
    let (mut whole, mut single) = (model.session(), model.session());
    model.extend(&mut whole, &tokens).unwrap();
    for token in &tokens {
        model.extend(&mut single, &[*token]).unwrap();
    }
    let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(whole.logits()), bits(single.logits()));
    assert_eq!(whole.tokens(), 150);
}
