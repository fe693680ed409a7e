//! What a caller of the runtime for sentence encoders and rerankers sees.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belljar::embedded::Runtime;
use belljar_tests::TestBundle;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::cached::cached;
use crate::kit::SHARED;
use crate::made_encoder::{self as made, Files, Spec};

/// A bundle of the runtime and files, for a model of so many MiB.
fn bundle(name: &str, files: &Files, memory_mib: usize) -> TestBundle {
    let component = Runtime::of("safetensors").unwrap().component().unwrap();
    let bundle = TestBundle::new(name, "1.0.0", &component);
    let bundle = files
        .iter()
        .fold(bundle, |bundle, (name, file)| bundle.with_asset(name, file));
    bundle.with_limits(&format!(
        "memory = \"{memory_mib} MiB\"\nload_fuel = 20_000_000_000\ndeadline = \"60 s\""
    ))
}

async fn upload(name: &str, files: &Files) {
    let archive = bundle(name, files, 64).tar();
    let _ = SHARED.admin().upload(archive).await.expect_status(201);
}

/// Three models for all tests: one of vectors, one of rounded weights, and a reranker.
async fn ready() {
    static READY: OnceCell<()> = OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let files = made::tiny(&Spec::default());
            upload("vectors", &files).await;
            let mut rounded = files;
            let options = "{\"precision\":\"int8\",\"too_long\":\"cut\"}";
            rounded.insert("embedder.json".to_owned(), options.into());
            upload("rounded", &rounded).await;
            let ranker = Spec {
                is_ranker: true,
                ..Spec::default()
            };
            upload("ranker", &made::tiny(&ranker)).await;
        })
        .await;
}

async fn post(path: &str, body: &Value, status: u16) -> Value {
    ready().await;
    let answer = SHARED.anonymous().post(path, body).await;
    answer.expect_status(status).json()
}

async fn vectors(body: &Value) -> Vec<Vec<f64>> {
    let answer = post("/v1/embeddings", body, 200).await;
    let data = answer["data"].as_array().unwrap();
    data.iter()
        .map(|item| serde_json::from_value(item["embedding"].clone()).unwrap())
        .collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::test]
async fn vectors_have_the_length_one_and_count_their_tokens() {
    let body = json!({"model": "vectors", "input": "the bell in the jar"});
    let answer = post("/v1/embeddings", &body, 200).await;
    let vector: Vec<f64> = serde_json::from_value(answer["data"][0]["embedding"].clone()).unwrap();
    assert_eq!(vector.len(), made::WIDTH);
    let length: f64 = vector.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    // Five words and the marks around them.
    assert_eq!(answer["usage"]["prompt_tokens"], 7);
}

#[tokio::test]
async fn an_input_has_the_same_vector_alone_in_a_list_as_tokens_and_in_base64() {
    // The second is a text that has no tokens.
    let texts = [
        "the bell",
        "\u{200b}",
        "things in the jar. a bell!",
        "the bell",
    ];
    let together = vectors(&json!({"model": "vectors", "input": texts})).await;
    assert_eq!(together.len(), 4);
    assert_eq!(together[0], together[3]);
    assert_ne!(together[0], together[2]);
    for (text, expected) in texts.iter().zip(&together) {
        let alone = vectors(&json!({"model": "vectors", "input": [text]})).await;
        assert_eq!(alone[0], *expected);
        let cut = post(
            "/tokenize",
            &json!({"model": "vectors", "prompt": text}),
            200,
        )
        .await;
        if cut["count"] == 0 {
            continue;
        }
        let tokens = vectors(&json!({"model": "vectors", "input": cut["tokens"]})).await;
        assert_eq!(tokens[0], *expected);
    }
    let body = json!({"model": "vectors", "input": texts[0], "encoding_format": "base64"});
    let answer = post("/v1/embeddings", &body, 200).await;
    let bytes = STANDARD
        .decode(answer["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let expected: Vec<f32> = together[0].iter().map(|x| *x as f32).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn a_long_list_is_answered_in_its_order() {
    let texts: Vec<String> = (0..150).map(|n| "bell ".repeat(1 + n % 37)).collect();
    let together = vectors(&json!({"model": "vectors", "input": texts})).await;
    assert_eq!(together.len(), 150);
    for n in 0..37 {
        assert_eq!(together[n], together[n + 37]);
        assert_eq!(together[n], together[n + 74]);
    }
}

#[tokio::test]
async fn rounded_weights_give_nearly_the_same_vectors() {
    let texts = ["the bell in the jar", "a thing"];
    let exact = vectors(&json!({"model": "vectors", "input": texts})).await;
    let rounded = vectors(&json!({"model": "rounded", "input": texts})).await;
    for (exact, rounded) in exact.iter().zip(&rounded) {
        assert_ne!(exact, rounded);
        assert!(cosine(exact, rounded) > 0.99, "{}", cosine(exact, rounded));
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_both_numbers_or_cut() {
    let input = "bell ".repeat(made::POSITIONS);
    let body = json!({"model": "vectors", "input": ["a", input]});
    let refused = post("/v1/embeddings", &body, 400).await.to_string();
    let said = format!(
        "input 1 has {} tokens, and this model sees {}",
        made::POSITIONS,
        made::POSITIONS - 2
    );
    assert!(refused.contains(&said), "{refused}");
    let body = json!({"model": "ranker", "query": "a", "documents": [input]});
    let refused = post("/v1/rerank", &body, 400).await.to_string();
    assert!(
        refused.contains("document 0, beside the query, has 48 tokens"),
        "{refused}"
    );
    let whole = vectors(&json!({"model": "rounded", "input": input})).await;
    let cut = "bell ".repeat(made::POSITIONS - 2);
    assert_eq!(
        whole,
        vectors(&json!({"model": "rounded", "input": cut})).await
    );
}

#[tokio::test]
async fn other_lengths_of_vectors_and_strange_tokens_are_the_callers_fault() {
    let body = json!({"model": "vectors", "input": "a", "dimensions": 7});
    let refused = post("/v1/embeddings", &body, 400).await.to_string();
    assert!(
        refused.contains("vectors of 64 dimensions only, not of 7"),
        "{refused}"
    );
    let body = json!({"model": "vectors", "input": "a", "dimensions": made::WIDTH});
    assert_eq!(vectors(&body).await.len(), 1);
    let refused = post(
        "/v1/embeddings",
        &json!({"model": "vectors", "input": ""}),
        400,
    )
    .await;
    assert_eq!(refused["error"]["code"], "invalid_value", "{refused}");
    let body = json!({"model": "vectors", "input": [[5, 29]]});
    let refused = post("/v1/embeddings", &body, 400).await.to_string();
    assert!(
        refused.contains("29 is no token of this model"),
        "{refused}"
    );
}

#[tokio::test]
async fn ranking_of_vectors_goes_by_their_cosine() {
    let documents = ["a thing", "in the jar", "the bell!"];
    let body = json!({"model": "vectors", "query": "the bell", "documents": documents});
    let answer = post("/v1/rerank", &body, 200).await;
    let all = vectors(&json!({"model": "vectors", "input": ["the bell", documents[0], documents[1], documents[2]]})).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    let mut before = f64::INFINITY;
    for result in results {
        let index = result["index"].as_u64().unwrap() as usize;
        let score = result["relevance_score"].as_f64().unwrap();
        assert!((score - cosine(&all[0], &all[index + 1])).abs() < 1e-5);
        assert!(score <= before);
        before = score;
    }
    assert_eq!(answer["usage"]["total_tokens"], 4 + 4 + 5 + 5);
}

#[tokio::test]
async fn a_reranker_ranks_and_scores_and_has_no_vectors() {
    let documents = ["a thing", "in the jar", "the bell!", "a thing"];
    let body = json!({"model": "ranker", "query": "the bell", "documents": documents});
    let answer = post("/v1/rerank", &body, 200).await;
    let results = answer["results"].as_array().unwrap();
    let score_of = |index: usize| {
        let found = results.iter().find(|result| result["index"] == index);
        found.unwrap()["relevance_score"].as_f64().unwrap()
    };
    assert_eq!(score_of(0).to_bits(), score_of(3).to_bits());
    assert!((0..4).all(|index| (0.0..=1.0).contains(&score_of(index))));
    let body = json!({"model": "ranker", "text_1": "the bell", "text_2": documents});
    let scored = post("/v1/score", &body, 200).await;
    for (index, item) in scored["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            item["score"].as_f64().unwrap().to_bits(),
            score_of(index).to_bits()
        );
    }
    let body = json!({"model": "ranker", "input": "a"});
    let refused = post("/v1/embeddings", &body, 400).await;
    assert_eq!(
        refused["error"]["code"], "unsupported_by_model",
        "{refused}"
    );
}

#[tokio::test]
async fn tokens_are_those_of_the_file_and_marks_in_a_text_are_text() {
    let text = "Uni\u{301}codes \u{6771}\u{4eac}, [SEP] thing\u{200b}s!";
    let body = json!({"model": "vectors", "prompt": text});
    let answer = post("/tokenize", &body, 200).await;
    // "[SEP]" is two brackets around a word that nobody knows, as is the comma.
    assert_eq!(
        answer["tokens"],
        json!([20, 21, 10, 18, 19, 1, 22, 1, 23, 13, 10, 15])
    );
    let body = json!({"model": "vectors", "tokens": [5, 13, 10, 15, 3]});
    let answer = post("/detokenize", &body, 200).await;
    assert_eq!(answer["prompt"], "the things ! [SEP]");
}

/// Each is refused at upload with words that say what is wrong, and none by a trap.
#[tokio::test]
async fn a_file_that_is_no_model_is_refused_at_upload_by_name() {
    // The others are refused in the same way, and are in the tests of the guest itself.
    let over_http = ["cut", "many", "deep", "high-number"];
    for (name, files, said) in made::hostile() {
        if over_http.contains(&name) {
            let answer = SHARED.admin().upload(bundle(name, &files, 64).tar()).await;
            let text = answer.expect_status(422).text();
            assert!(text.contains(said), "{name}: {text}");
        }
    }
}

/// A known model says what other programs have it say.
#[tokio::test]
async fn minilm_knows_what_is_alike() {
    const NAME: &str = "minilm-0.1.0";
    let names = [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "1_Pooling/config.json",
        "modules.json",
        "sentence_bert_config.json",
    ];
    let paths = names.map(|name| cached(&format!("{NAME}/{name}")));
    let Some(paths) = paths.into_iter().collect::<Option<Vec<_>>>() else {
        eprintln!("skipped: {NAME} is not in the cache of models");
        return;
    };
    let files = names.map(str::to_owned).into_iter().zip(paths);
    let files = files
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    let archive = bundle("minilm", &files, 192).tar();
    let _ = SHARED.admin().upload(archive).await.expect_status(201);
    let texts = [
        "The new movie is awesome",
        "The new movie is so great",
        "The cat sits outside",
    ];
    let vectors = vectors(&json!({"model": "minilm", "input": texts})).await;
    assert!((cosine(&vectors[0], &vectors[1]) - 0.8939).abs() < 1e-4);
    assert!(cosine(&vectors[0], &vectors[2]) < 0.1);
    let body = json!({"model": "minilm", "query": texts[0], "documents": [texts[2], texts[1]]});
    let answer = post("/v1/rerank", &body, 200).await;
    assert_eq!(answer["results"][0]["index"], 1);
}
