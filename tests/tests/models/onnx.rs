//! Models from ONNX files: one made here, and known ones where the cache of models has them.

use std::path::{Path, PathBuf};

use belljar::embedded::Runtime;
use belljar_tests::{Client, TestBundle};
use serde_json::{Value, json};

use crate::cached::cached;
use crate::kit::{SHARED, reference};
use crate::made_onnx::{self, Dim, Graph, node, value};

/// The limits of a model of some tens of megabytes.
const LIMITS: &str = "memory = \"256 MiB\"\nfuel = 50_000_000_000\n\
                      load_fuel = 50_000_000_000\ndeadline = \"120 s\"";

fn bundle(name: &str, file: &[u8]) -> Vec<u8> {
    let runtime = Runtime::of("onnx").unwrap().component().unwrap();
    TestBundle::new(name, "1.0.0", &runtime)
        .with_asset("model.onnx", file)
        .with_limits(LIMITS)
        .tar()
}

/// Why a file is refused.
async fn refusal(name: &str, file: &[u8]) -> String {
    let answer = SHARED.admin().upload(bundle(name, file)).await;
    answer.expect_status(422).text()
}

/// What one request gives, in the protocol's words.
async fn infer(client: &Client, model: &str, inputs: Value) -> Value {
    let path = format!("/v2/models/{model}/infer");
    let answer = client.post(&path, &json!({"inputs": inputs})).await;
    answer.expect_status(200).json()
}

/// One model for all that a request can be: a matrix with a batch of any size, each kind of
/// datatype given back, and two inputs that have to fit each other.
fn many_things() -> Graph {
    use made_onnx::{BOOL, FLOAT, FLOAT16, INT8, INT64, UINT8};
    let mut graph = made_onnx::linear();
    let copies = made_onnx::identities(&[UINT8, INT8, INT64, BOOL, FLOAT16]);
    graph.nodes.extend(copies.nodes);
    graph.inputs.extend(copies.inputs);
    graph.outputs.extend(copies.outputs);
    graph.nodes.push(node("Add", "sum", &["a", "in10"], &["c"]));
    graph.inputs.push(value("a", FLOAT, &[Dim::Named("a")]));
    graph.outputs.push(value("c", FLOAT, &[Dim::Open]));
    graph
}

fn inputs() -> Value {
    json!([
        {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 0, 0, 0, 1, 0]},
        {"name": "in2", "shape": [2], "datatype": "UINT8", "data": [0, 255]},
        {"name": "in3", "shape": [2], "datatype": "INT8", "data": [-128, 127]},
        {"name": "in7", "shape": [2], "datatype": "INT64", "data": [-2_147_483_648i64, 2_147_483_647]},
        {"name": "in9", "shape": [3], "datatype": "BOOL", "data": [true, false, true]},
        {"name": "in10", "shape": [2], "datatype": "FP16", "data": [0.5, -2.0]},
        {"name": "a", "shape": [1], "datatype": "FP32", "data": [1.0]},
    ])
}

#[tokio::test]
async fn a_file_becomes_a_model_of_its_inputs_and_outputs() {
    let (admin, client) = (SHARED.admin(), SHARED.anonymous());
    let archive = bundle("many", &many_things().file());
    let _ = admin.upload(archive).await.expect_status(201);

    let shown = client.get("/v2/models/many").await.expect_status(200);
    let shown = shown.json();
    let find = |list: &str, name: &str| {
        let all = shown[list].as_array().unwrap();
        all.iter()
            .find(|port| port["name"] == name)
            .unwrap()
            .clone()
    };
    let port = |name: &str, datatype: &str, shape: Value| json!({"name": name, "datatype": datatype, "shape": shape});
    assert_eq!(find("inputs", "x"), port("x", "FP32", json!([-1, 3])));
    assert_eq!(find("outputs", "y"), port("y", "FP32", json!([-1, 2])));
    for (number, datatype) in [
        (2, "UINT8"),
        (3, "INT8"),
        (7, "INT64"),
        (9, "BOOL"),
        (10, "FP16"),
    ] {
        let name = format!("in{number}");
        assert_eq!(find("inputs", &name), port(&name, datatype, json!([-1])));
    }

    let given = infer(&client, "many", inputs()).await;
    let outputs = given["outputs"].as_array().unwrap();
    let output = |name: &str| {
        outputs
            .iter()
            .find(|output| output["name"] == name)
            .unwrap()
    };
    assert_eq!(output("y")["shape"], json!([2, 2]));
    assert_eq!(output("y")["data"], json!([1.5, 1.5, 3.5, 3.5]));
    assert_eq!(output("c")["data"], json!([1.5, -1.0]));
    for input in inputs().as_array().unwrap() {
        let name = input["name"].as_str().unwrap();
        if let Some(number) = name.strip_prefix("in") {
            let output = output(&format!("out{number}"));
            assert_eq!(output["data"], input["data"], "{name}");
            assert_eq!(output["datatype"], input["datatype"], "{name}");
        }
    }

    // In nested lists, of which the model says what they are made of.
    let short = json!({"model": "many", "outputs": ["y"], "inputs": {
        "x": [[0, 0, 1]], "in2": [1], "in3": [1], "in7": [1], "in9": [true], "in10": [1.0],
        "a": [0.0]}});
    let answer = client
        .post("/infer", &short)
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["outputs"], json!({"y": [[5.5, 5.5]]}));

    // What does not fit is the caller's fault, and is named.
    let with = async |index: usize, change: Value, outputs: Value| {
        let mut inputs = inputs();
        for (key, value) in change.as_object().unwrap() {
            inputs[index][key] = value.clone();
        }
        let body = json!({"inputs": inputs, "outputs": outputs});
        let answer = client.post("/v2/models/many/infer", &body).await;
        answer.expect_status(400).text()
    };
    let all = json!([]);
    let said = with(0, json!({"shape": [3, 2]}), all.clone()).await;
    assert!(said.contains("x") && said.contains("[3, 2]"), "{said}");
    let said = with(0, json!({"datatype": "INT32"}), all.clone()).await;
    assert!(said.contains("INT32") && said.contains("FP32"), "{said}");
    let said = with(3, json!({"data": [1, 1i64 << 31]}), all.clone()).await;
    assert!(said.contains("`in7` has the value 2147483648"), "{said}");
    let said = with(0, json!({}), json!([{"name": "nope"}])).await;
    assert!(said.contains("no such output"), "{said}");
    let said = with(6, json!({"shape": [3], "data": [1, 2, 3]}), all).await;
    assert!(said.contains("sum"), "the node is named: {said}");
}

/// Before the first request, and with all that is missing.
#[tokio::test]
async fn a_file_that_cannot_be_served_is_refused_at_upload_by_name() {
    let whole = made_onnx::linear().file();
    let cut = refusal("cut", whole.get(..whole.len() - 7).unwrap()).await;
    assert!(cut.contains("the file is cut off"), "{cut}");
    let mut graph = made_onnx::linear();
    graph
        .nodes
        .push(node("Frobnicate", "first", &["x"], &["f"]));
    graph
        .nodes
        .push(node("Transmogrify", "second", &["x"], &["t"]));
    let said = refusal("odd", &graph.file()).await;
    let names = ["`first` (Frobnicate)", "`second` (Transmogrify)"];
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
}

/// A known model's file and what others compute with it; says what is missing.
fn known(file: &str, facts: &[&str]) -> Option<(Vec<u8>, Vec<PathBuf>)> {
    let found = cached(file);
    let facts: Option<Vec<PathBuf>> = facts.iter().map(|name| reference(name)).collect();
    if found.is_none() {
        eprintln!("skipped: {file} is not in the cache of models");
    } else if facts.is_none() {
        eprintln!("skipped: BELLJAR_REFERENCE has not all that {file} is compared to");
    }
    Some((std::fs::read(found?).unwrap(), facts?))
}

fn facts(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn data<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap();
    &outputs
        .iter()
        .find(|output| output["name"] == name)
        .unwrap()["data"]
}

fn numbers(data: &Value) -> Vec<f64> {
    let list = data.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

fn greatest(numbers: &[f64]) -> usize {
    (0..numbers.len())
        .max_by(|&a, &b| numbers[a].total_cmp(&numbers[b]))
        .unwrap()
}

/// The first and the last 1 024 bytes of a file, without space around, and 256 where there are
/// none: what Magika sees of it.
fn seen_by_magika(bytes: &[u8]) -> Vec<u16> {
    const HALF: usize = 1024;
    let widened = |bytes: &[u8]| bytes.iter().copied().map(u16::from).collect::<Vec<u16>>();
    let (from, to) = (bytes.trim_ascii_start(), bytes.trim_ascii_end());
    let mut head = widened(&from[..from.len().min(HALF)]);
    head.resize(HALF, 256);
    let tail = widened(&to[to.len().saturating_sub(HALF)..]);
    let mut all = head;
    all.resize(2 * HALF - tail.len(), 256);
    all.extend(tail);
    all
}

#[tokio::test]
async fn magika_knows_the_kinds_of_files() {
    use base64::Engine as _;
    let Some((file, paths)) = known("magika-standard_v3_3.onnx", &["magika.json"]) else {
        return;
    };
    let _ = SHARED
        .admin()
        .upload(bundle("magika", &file))
        .await
        .expect_status(201);
    let client = SHARED.anonymous();
    for case in facts(&paths[0]).as_array().unwrap() {
        let bytes = case["bytes_b64"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(bytes)
            .unwrap();
        let seen = seen_by_magika(&bytes);
        let input = json!({"name": "bytes", "shape": [1, 2048], "datatype": "INT32", "data": seen});
        let given = infer(&client, "magika", json!([input])).await;
        let scores = numbers(data(&given, "target_label"));
        for expected in case["top3"].as_array().unwrap() {
            let index = usize::try_from(expected[1].as_u64().unwrap()).unwrap();
            let expected = expected[2].as_f64().unwrap();
            // The file takes a variance as the difference of two sums, which rounding moves.
            assert!(
                (scores[index] - expected).abs() < 1e-3,
                "{}: {}",
                case["sample"],
                scores[index]
            );
        }
        assert_eq!(json!(greatest(&scores)), case["top3"][0][1]);
    }
}

/// Its state is a tensor that goes in and comes out.
#[tokio::test]
async fn silero_hears_who_speaks() {
    const FRAME: usize = 512;
    const CONTEXT: usize = 64;
    const FRAMES: usize = 40;
    let Some((file, paths)) = known("silero_vad.onnx", &["silero.json", "vad_16k.wav"]) else {
        return;
    };
    let _ = SHARED
        .admin()
        .upload(bundle("silero", &file))
        .await
        .expect_status(201);
    let client = SHARED.anonymous();
    // Sixteen bits a sample behind a header of 44 bytes.
    let sound = std::fs::read(&paths[1]).unwrap();
    let (samples, _) = sound[44..].as_chunks::<2>();
    let samples: Vec<f32> = samples
        .iter()
        .map(|&sample| f32::from(i16::from_le_bytes(sample)) / 32768.0)
        .collect();
    let expected = numbers(&facts(&paths[0])["probs"]);
    let mut state = json!(vec![0.0; 256]);
    let mut heard = vec![0.0; CONTEXT];
    for (frame, expected) in samples.chunks_exact(FRAME).zip(&expected).take(FRAMES) {
        heard.extend_from_slice(frame);
        let inputs = json!([
            {"name": "input", "shape": [1, heard.len()], "datatype": "FP32", "data": heard},
            {"name": "state", "shape": [2, 1, 128], "datatype": "FP32", "data": state},
            {"name": "sr", "shape": [], "datatype": "INT64", "data": [16000]},
        ]);
        let given = infer(&client, "silero", inputs).await;
        let speaks = numbers(data(&given, "output"))[0];
        assert!((speaks - expected).abs() < 2e-3, "{speaks} and {expected}");
        state = data(&given, "stateN").clone();
        heard.drain(..FRAME);
    }
}

/// A picture of grey points: its width and height, and the points row by row. As far as the one
/// that is read needs: eight bits a point, not interlaced.
fn grey(png: &[u8]) -> (usize, usize, Vec<u8>) {
    let (mut packed, mut size, mut rest) = (Vec::new(), (0, 0), &png[8..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, content) = (&after[..4], &after[4..4 + length]);
        let number = |at: usize| u32::from_be_bytes(*content[at..].first_chunk().unwrap());
        match kind {
            b"IHDR" => size = (number(0) as usize, number(4) as usize),
            b"IDAT" => packed.extend_from_slice(content),
            _ => {}
        }
        rest = &after[8 + length..];
    }
    let mut rows = Vec::new();
    let mut unpacked = flate2::read::ZlibDecoder::new(&packed[..]);
    std::io::Read::read_to_end(&mut unpacked, &mut rows).unwrap();
    let (width, height) = size;
    let mut points: Vec<u8> = Vec::new();
    for (y, row) in rows.chunks(width + 1).enumerate() {
        for x in 0..width {
            let at = |back: usize, up: usize| {
                let inside = x >= back && y >= up;
                i32::from(if inside {
                    points[(y - up) * width + x - back]
                } else {
                    0
                })
            };
            let (left, above, corner) = (at(1, 0), at(0, 1), at(1, 1));
            let nearest = {
                let guess = left + above - corner;
                *[left, above, corner]
                    .iter()
                    .min_by_key(|&&one| (guess - one).abs())
                    .unwrap()
            };
            let predicted = [0, left, above, (left + above) / 2, nearest][usize::from(row[0])];
            points.push(row[x + 1].wrapping_add(predicted as u8));
        }
    }
    (width, height, points)
}

#[tokio::test]
async fn a_line_of_text_is_recognised() {
    let file = "PP-OCRv6_rec_small.onnx";
    let Some((file, paths)) = known(file, &["ocr_rec.json", "ocr_line.png"]) else {
        return;
    };
    let _ = SHARED
        .admin()
        .upload(bundle("lines", &file))
        .await
        .expect_status(201);
    let expected = facts(&paths[0]);
    let (width, height, points) = grey(&std::fs::read(&paths[1]).unwrap());
    let plane: Vec<f32> = points
        .iter()
        .map(|&v| (f32::from(v) / 255.0 - 0.5) / 0.5)
        .collect();
    let planes = plane.repeat(3);
    let input = json!({"name": "x", "shape": [1, 3, height, width], "datatype": "FP32",
        "data": planes});
    let given = infer(&SHARED.anonymous(), "lines", json!([input])).await;
    let output = &given["outputs"][0];
    let kinds = expected["shape_out"][1].as_u64().unwrap();
    assert_eq!(output["shape"], json!([1, expected["shape_out"][0], kinds]));
    let scores = numbers(&output["data"]);
    let best: Vec<usize> = scores
        .chunks(usize::try_from(kinds).unwrap())
        .map(greatest)
        .collect();
    assert_eq!(json!(best), expected["argmax"]);
}
