//! Tiny models with random weights against a plain computation in twice the precision.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod made;

use belljar_guest::embeddings::Input;
use belljar_guest::{Error, assets};
use embedder::runtime::Runtime;
use made::{Files, HEADS, INNER, Kind, LAYERS, Spec, Tensor, WIDTH};

/// Makes the files the assets of this thread, in place of all others.
fn provide(files: &Files) {
    // There is no way to take an asset back, so that a test has one bundle, or others with the same
    // names.
    for (name, bytes) in files {
        assets::provide(name.clone(), bytes.clone());
    }
}

fn runtime(files: &Files) -> Runtime {
    provide(files);
    Runtime::read().unwrap()
}

fn texts(texts: &[&str]) -> Vec<Input> {
    texts
        .iter()
        .map(|text| Input::Text((*text).to_owned()))
        .collect()
}

/// A model as plain numbers.
struct Plain<'a> {
    spec: Spec,
    tensors: &'a [Tensor],
}

impl Plain<'_> {
    fn numbers(&self, name: &str) -> Vec<f64> {
        let prefixes = ["", "bert.", "distilbert."].map(|prefix| format!("{prefix}{name}"));
        let found = self
            .tensors
            .iter()
            .find(|tensor| prefixes.contains(&tensor.name));
        found
            .unwrap()
            .numbers
            .iter()
            .map(|x| f64::from(*x))
            .collect()
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.numbers(&format!("{name}.weight"));
        let bias = self.numbers(&format!("{name}.bias"));
        let rows = weight.chunks_exact(x.len()).zip(bias);
        rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias)
            .collect()
    }

    fn norm(&self, name: &str, x: &mut [f64]) {
        let weight = self.numbers(&format!("{name}.weight"));
        let bias = self.numbers(&format!("{name}.bias"));
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
            *x = (*x - mean) / (variance + 1e-12).sqrt() * weight + bias;
        }
    }

    /// What stands for each token after the last layer.
    fn states(&self, tokens: &[u32], kinds: &[u32]) -> Vec<Vec<f64>> {
        let row = |name: &str, index: usize| {
            self.numbers(name)[index * WIDTH..(index + 1) * WIDTH].to_vec()
        };
        let add = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
        let mut stream: Vec<Vec<f64>> = Vec::new();
        for (position, (&token, &kind)) in tokens.iter().zip(kinds).enumerate() {
            let mut x = add(
                &row("embeddings.word_embeddings.weight", token as usize),
                &row("embeddings.position_embeddings.weight", position),
            );
            if !self.spec.is_distil {
                x = add(
                    &x,
                    &row("embeddings.token_type_embeddings.weight", kind as usize),
                );
            }
            self.norm("embeddings.LayerNorm", &mut x);
            stream.push(x);
        }
        for layer in 0..LAYERS {
            let [query, key, value, output, attention, up, down, last] =
                made::names(self.spec.is_distil)
                    .map(|part| format!("{}{layer}.{part}", made::stem(&self.spec)));
            let each = |name: &str| {
                stream
                    .iter()
                    .map(|x| self.linear(name, x))
                    .collect::<Vec<_>>()
            };
            let (queries, keys, values) = (each(&query), each(&key), each(&value));
            let mut next = Vec::new();
            for (query, x) in queries.iter().zip(&stream) {
                let mut attended = Vec::new();
                for head in 0..HEADS {
                    let part = head * WIDTH / HEADS..(head + 1) * WIDTH / HEADS;
                    let scores: Vec<f64> = keys
                        .iter()
                        .map(|key| {
                            let pairs = query[part.clone()].iter().zip(&key[part.clone()]);
                            let dot: f64 = pairs.map(|(a, b)| a * b).sum();
                            (dot / (part.len() as f64).sqrt()).exp()
                        })
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    attended.extend(part.map(|at| {
                        let weighted = scores.iter().zip(&values).map(|(s, v)| s / sum * v[at]);
                        weighted.sum::<f64>()
                    }));
                }
                let mut x = add(x, &self.linear(&output, &attended));
                self.norm(&attention, &mut x);
                let mut inner = self.linear(&up, &x);
                assert_eq!(inner.len(), INNER);
                for x in &mut inner {
                    *x *= 0.5 * (1.0 + erf(*x / 2f64.sqrt()));
                }
                let mut x = add(&x, &self.linear(&down, &inner));
                self.norm(&last, &mut x);
                next.push(x);
            }
            stream = next;
        }
        stream
    }

    /// The mean of the states, with the length one.
    fn vector(&self, tokens: &[u32]) -> Vec<f64> {
        let states = self.states(tokens, &vec![0; tokens.len()]);
        let sums = (0..WIDTH).map(|at| states.iter().map(|state| state[at]).sum::<f64>());
        unit(sums.collect())
    }
}

fn unit(vector: Vec<f64>) -> Vec<f64> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

/// The error function by Simpson's rule over its integral.
fn erf(x: f64) -> f64 {
    const PARTS: u32 = 2000;
    let step = x / f64::from(PARTS);
    let sum: f64 = (0..=PARTS)
        .map(|part| {
            let weight = match part {
                0 | PARTS => 1.0,
                _ if part % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * (-(f64::from(part) * step).powi(2)).exp()
        })
        .sum();
    sum * step / 3.0 * 2.0 / std::f64::consts::PI.sqrt()
}

fn assert_close(found: &[f32], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let off = (f64::from(*found) - expected).abs();
        assert!(off < bound, "{found} for {expected}");
    }
}

#[test]
fn vectors_are_those_of_a_plain_computation() {
    for kind in [Kind::F32, Kind::F16, Kind::Bf16] {
        for (is_distil, is_prefixed) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let spec = Spec {
                is_distil,
                is_prefixed,
                kind,
                seed: 3,
                ..Spec::default()
            };
            let runtime = runtime(&made::tiny(&spec));
            let tensors = made::tensors(&spec);
            let plain = Plain {
                spec,
                tensors: &tensors,
            };
            let inputs = texts(&["the bell in the jar", "", "a thing!"]);
            let answer = runtime.embed(&inputs, None).unwrap();
            let tokens: [&[u32]; 3] = [&[2, 5, 6, 8, 5, 7, 3], &[2, 3], &[2, 17, 13, 15, 3]];
            assert_eq!(answer.prompt_tokens, 14);
            for (found, tokens) in answer.vectors.iter().zip(tokens) {
                assert_close(found, &plain.vector(tokens), 2e-6);
            }
        }
    }
}

#[test]
fn rounded_weights_are_near() {
    let spec = Spec::default();
    let mut files = made::tiny(&spec);
    files.insert(
        "embedder.json".to_owned(),
        b"{\"precision\":\"int8\"}".to_vec(),
    );
    let runtime = runtime(&files);
    let tensors = made::tensors(&spec);
    let plain = Plain {
        spec,
        tensors: &tensors,
    };
    let answer = runtime
        .embed(&texts(&["the bell in the jar"]), None)
        .unwrap();
    let expected = plain.vector(&[2, 5, 6, 8, 5, 7, 3]);
    let pairs = answer.vectors[0].iter().zip(&expected);
    let cosine: f64 = pairs.map(|(a, b)| f64::from(*a) * b).sum();
    assert!(cosine > 0.999, "{cosine}");
}

#[test]
fn a_text_has_the_same_bits_alone_and_among_others() {
    let runtime = runtime(&made::tiny(&Spec::default()));
    let all: Vec<String> = (0..90).map(|n| "the bell jar ".repeat(n % 15)).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let together = runtime.embed(&texts(&all), None).unwrap().vectors;
    for (text, expected) in all.iter().zip(&together) {
        let alone = runtime.embed(&texts(&[text]), None).unwrap().vectors;
        assert_eq!(alone[0], *expected);
    }
}

#[test]
fn pooling_norm_and_length_are_those_of_the_files_beside_the_weights() {
    let spec = Spec::default();
    let tensors = made::tensors(&spec);
    let plain = Plain {
        spec,
        tensors: &tensors,
    };
    let mut files = made::tiny(&spec);
    let pooling = format!(
        "{{\"word_embedding_dimension\":{WIDTH},\"pooling_mode_cls_token\":true,\
         \"pooling_mode_mean_tokens\":false}}"
    );
    files.insert("1_Pooling/config.json".to_owned(), pooling.into_bytes());
    let modules = "[{\"idx\":0,\"type\":\"sentence_transformers.models.Transformer\"},\
                   {\"idx\":1,\"type\":\"sentence_transformers.models.Pooling\"}]";
    files.insert("modules.json".to_owned(), modules.into());
    let length = "{\"max_seq_length\":5,\"do_lower_case\":false}";
    files.insert("sentence_bert_config.json".to_owned(), length.into());
    let runtime = runtime(&files);
    let answer = runtime.embed(&texts(&["the bell"]), None).unwrap();
    let states = plain.states(&[2, 5, 6, 3], &[0; 4]);
    assert_close(&answer.vectors[0], &states[0], 2e-5);
    let error = runtime
        .embed(&texts(&["the bell in a jar"]), None)
        .unwrap_err();
    assert_eq!(
        error,
        Error::invalid_input("input 0 has 5 tokens, and this model sees 3")
    );
}

#[test]
fn a_cross_encoder_tells_what_a_plain_computation_does() {
    for is_distil in [false, true] {
        let spec = Spec {
            is_distil,
            is_ranker: true,
            ..Spec::default()
        };
        let mut files = made::tiny(&spec);
        let tensors = made::tensors(&spec);
        let plain = Plain {
            spec,
            tensors: &tensors,
        };
        let kinds = [0, 0, 0, 0, 1, 1, 1, 1];
        let states = plain.states(&[2, 5, 6, 3, 8, 5, 7, 3], &kinds);
        let dense = if is_distil {
            "pre_classifier"
        } else {
            "pooler.dense"
        };
        let bent: Vec<f64> = plain
            .linear(dense, &states[0])
            .into_iter()
            .map(|x| if is_distil { x.max(0.0) } else { x.tanh() })
            .collect();
        let logit = plain.linear("classifier", &bent)[0];

        let rank = |files: &Files| {
            let documents = ["in the jar".to_owned(), "a thing".to_owned()];
            let answer = runtime(files).rank("the bell", &documents).unwrap();
            assert_eq!(answer.prompt_tokens, 8 + 7);
            assert!(answer.scores[0].relevance >= answer.scores[1].relevance);
            let found = answer.scores.iter().find(|score| score.index == 0);
            f64::from(found.unwrap().relevance)
        };
        let probability = 1.0 / (1.0 + (-logit).exp());
        assert!((rank(&files) - probability).abs() < 1e-5);
        let identity =
            "{\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.linear.Identity\"},";
        let config = made::config(&spec).replacen('{', identity, 1);
        files.insert("config.json".to_owned(), config.into_bytes());
        assert!((rank(&files) - logit).abs() < 1e-4);

        let refused = runtime(&files).embed(&texts(&["a"]), None).unwrap_err();
        assert!(matches!(refused, Error::Unsupported(_)));
    }
}

#[test]
fn tokens_stand_for_their_text_with_or_without_marks() {
    let runtime = runtime(&made::tiny(&Spec::default()));
    let embed = |input: Input| runtime.embed(&[input], None).unwrap().vectors;
    let expected = embed(Input::Text("the bell".to_owned()));
    assert_eq!(embed(Input::Tokens(vec![5, 6])), expected);
    assert_eq!(embed(Input::Tokens(vec![2, 5, 6, 3])), expected);
    let error = runtime
        .embed(&[Input::Tokens(vec![5, 24])], None)
        .unwrap_err();
    assert_eq!(
        error,
        Error::invalid_input("input 0: 24 is no token of this model")
    );
}
