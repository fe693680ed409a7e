//! The nodes that are computed by the runtime itself, against plain loops.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod made;

use belljar_guest::assets;
use belljar_guest::tensors::{Request, Tensor, TensorView};
use made::{Attribute, Dim, FLOAT, Graph, floats, node, value};
use onnx::runtime::Runtime;

/// Numbers without a pattern, small enough that sums of products are exact.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 60) as f32 - 8.0
    };
    (0..count).map(|_| next()).collect()
}

fn answer(graph: &Graph, input: Tensor) -> (Vec<u64>, Vec<f32>) {
    assets::provide("model.onnx", graph.file());
    let request = Request {
        inputs: vec![input],
        outputs: vec![],
        parameters: vec![],
    };
    let answer = Runtime::read("model.onnx")
        .unwrap()
        .infer(&request)
        .unwrap();
    let output = TensorView::<f32>::try_from(&answer.outputs[0]).unwrap();
    (output.shape().to_vec(), output.into_vec())
}

fn open(count: usize) -> Vec<Dim> {
    vec![Dim::Open; count]
}

#[test]
fn matrices_of_all_sizes_are_multiplied() {
    for (rows, depth, columns) in [
        (1, 70, 64),
        (2, 64, 65),
        (7, 300, 33),
        (9, 1, 4097),
        (520, 61, 70),
    ] {
        let (x, w) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
        let graph = Graph {
            // Around it something that the library does.
            nodes: vec![
                node("Neg", "before", &["x"], &["nx"]),
                node("MatMul", "multiply", &["nx", "w"], &["xw"]),
                node("Neg", "behind", &["xw"], &["y"]),
            ],
            tensors: vec![floats("w", &[depth as i64, columns as i64], &w)],
            inputs: vec![value("x", FLOAT, &open(3))],
            outputs: vec![value("y", FLOAT, &open(3))],
        };
        let input = Tensor::from_slice("x", [1, rows as u64, depth as u64], &x);
        let (shape, given) = answer(&graph, input);
        assert_eq!(shape, [1, rows as u64, columns as u64]);
        for row in 0..rows {
            for column in 0..columns {
                let products = (0..depth).map(|k| x[row * depth + k] * w[k * columns + column]);
                let expected: f32 = products.sum();
                assert_eq!(given[row * columns + column], expected, "{row}, {column}");
            }
        }
    }
}

/// What a convolution is told beside its weights.
#[derive(Clone, Copy, Debug)]
struct Form {
    channels: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Above, before, below, behind.
    pads: [usize; 4],
}

const OUT: usize = 37;

/// By the definition, one number at a time.
fn convolved(form: Form, x: &[f32], w: &[f32], bias: &[f32]) -> (Vec<u64>, Vec<f32>) {
    let out = |axis: usize| {
        let padded = form.size[axis] + form.pads[axis] + form.pads[2 + axis];
        (padded - form.dilations[axis] * (form.kernel[axis] - 1) - 1) / form.strides[axis] + 1
    };
    let (rows, columns) = (out(0), out(1));
    let mut all = vec![];
    for (o, &bias) in bias.iter().enumerate() {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |at| (row, at))) {
            let mut sum = bias;
            for c in 0..form.channels {
                for ky in 0..form.kernel[0] {
                    for kx in 0..form.kernel[1] {
                        let y = (row * form.strides[0] + ky * form.dilations[0])
                            .checked_sub(form.pads[0]);
                        let x_at = (column * form.strides[1] + kx * form.dilations[1])
                            .checked_sub(form.pads[1]);
                        let (Some(y), Some(x_at)) = (y, x_at) else {
                            continue;
                        };
                        if y < form.size[0] && x_at < form.size[1] {
                            let from = (c * form.size[0] + y) * form.size[1] + x_at;
                            let weight = (o * form.channels + c) * form.kernel[0] + ky;
                            sum += x[from] * w[weight * form.kernel[1] + kx];
                        }
                    }
                }
            }
            all.push(sum);
        }
    }
    (vec![1, OUT as u64, rows as u64, columns as u64], all)
}

/// The numbers by the definition, bit for bit; but where steps are of one along a side of three to
/// six taps, fewer products are computed, which round: in the sixth digit of the largest.
fn assert_computed(given: &(Vec<u64>, Vec<f32>), expected: &(Vec<u64>, Vec<f32>), form: &Form) {
    let taps = form.kernel[0].max(form.kernel[1]);
    if form.strides != [1; 2] || form.dilations != [1; 2] || !(3..=6).contains(&taps) {
        assert_eq!(given, expected, "{form:?}");
        return;
    }
    assert_eq!(given.0, expected.0, "{form:?}");
    assert_eq!(given.1.len(), expected.1.len(), "{form:?}");
    let numbers = expected.1.iter();
    let largest = numbers.fold(0.0, |most: f32, one| most.max(one.abs()));
    for (at, (given, expected)) in given.1.iter().zip(&expected.1).enumerate() {
        let error = (given - expected).abs();
        assert!(
            error <= 4e-6 * largest,
            "{form:?}, {at}: {given}, {expected}"
        );
    }
}

#[test]
fn convolutions_of_all_forms_are_computed() {
    let plain = Form {
        channels: 16,
        size: [9, 21],
        kernel: [3, 3],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [0; 4],
    };
    for form in [
        plain,
        Form {
            pads: [1, 1, 1, 1],
            ..plain
        },
        Form {
            strides: [2, 3],
            pads: [0, 2, 1, 0],
            ..plain
        },
        Form {
            dilations: [2, 4],
            pads: [2, 0, 0, 5],
            ..plain
        },
        Form {
            channels: 128,
            kernel: [1, 1],
            ..plain
        },
        Form {
            channels: 40,
            size: [30, 1],
            kernel: [5, 1],
            ..plain
        },
        Form {
            channels: 130,
            size: [2, 2],
            kernel: [2, 2],
            ..plain
        },
        Form {
            channels: 20,
            size: [11, 14],
            kernel: [2, 6],
            pads: [1, 0, 0, 3],
            ..plain
        },
        Form {
            kernel: [4, 3],
            ..plain
        },
    ] {
        let count = form.channels * form.kernel[0] * form.kernel[1];
        let x = numbers(form.channels * form.size[0] * form.size[1], 3);
        let (w, bias) = (numbers(OUT * count, 4), numbers(OUT, 5));
        let ints = |all: &[usize]| Attribute::Ints(all.iter().map(|&one| one as i64).collect());
        let sizes = [OUT, form.channels, form.kernel[0], form.kernel[1]].map(|size| size as i64);
        let graph = Graph {
            nodes: vec![
                node("Conv", "convolve", &["x", "w", "b"], &["y"])
                    .with("strides", ints(&form.strides))
                    .with("dilations", ints(&form.dilations))
                    .with("pads", ints(&form.pads)),
            ],
            tensors: vec![floats("w", &sizes, &w), floats("b", &[OUT as i64], &bias)],
            inputs: vec![value("x", FLOAT, &open(4))],
            outputs: vec![value("y", FLOAT, &open(4))],
        };
        let shape = [
            1,
            form.channels as u64,
            form.size[0] as u64,
            form.size[1] as u64,
        ];
        let given = answer(&graph, Tensor::from_slice("x", shape, &x));
        assert_computed(&given, &convolved(form, &x, &w, &bias), &form);
        // Over one dimension it is the same as over two of which the first is one.
        if form.kernel[0] == 1 {
            continue;
        }
        let flat = Form {
            size: [1, form.size[1] + 9],
            kernel: [1, form.kernel[0] * form.kernel[1]],
            strides: [1, form.strides[1]],
            dilations: [1, 1],
            pads: [0, form.pads[1], 0, form.pads[3]],
            ..form
        };
        let x = numbers(form.channels * flat.size[1], 6);
        let sizes = [OUT, form.channels, flat.kernel[1]].map(|size| size as i64);
        let graph = Graph {
            nodes: vec![
                node("Conv", "convolve", &["x", "w", "b"], &["y"])
                    .with("strides", ints(&flat.strides[1..]))
                    .with("pads", ints(&[flat.pads[1], flat.pads[3]])),
            ],
            tensors: vec![floats("w", &sizes, &w), floats("b", &[OUT as i64], &bias)],
            inputs: vec![value("x", FLOAT, &open(3))],
            outputs: vec![value("y", FLOAT, &open(3))],
        };
        let shape = [1, form.channels as u64, flat.size[1] as u64];
        let (shape, given) = answer(&graph, Tensor::from_slice("x", shape, &x));
        let (mut expected_shape, expected) = convolved(flat, &x, &w, &bias);
        expected_shape.remove(2);
        assert_computed(&(shape, given), &(expected_shape, expected), &flat);
    }
}

/// Each channel by itself, and zeros as many as keep the size.
#[test]
fn channels_by_themselves_and_sizes_that_stay_are_computed() {
    const CHANNELS: usize = 20;
    let (x, w) = (numbers(CHANNELS * 7 * 10, 9), numbers(CHANNELS * 3 * 2, 10));
    for (mode, pads, stride) in [
        ("SAME_UPPER", [1, 0, 1, 1], 1),
        ("SAME_LOWER", [1, 1, 1, 0], 1),
        ("VALID", [0; 4], 1),
        ("SAME_UPPER", [1, 0, 1, 0], 2),
    ] {
        let mut expected = vec![];
        let mut shape = vec![];
        for (channel, w) in w.chunks(6).enumerate() {
            let form = Form {
                channels: 1,
                size: [7, 10],
                kernel: [3, 2],
                strides: [stride, stride],
                dilations: [1, 1],
                pads,
            };
            let plane = &x[channel * 70..][..70];
            let weights = w.repeat(OUT);
            let (one, all) = convolved(form, plane, &weights, &[1.0; OUT]);
            expected.extend(&all[..all.len() / OUT]);
            shape = vec![1, CHANNELS as u64, one[2], one[3]];
        }
        let graph = Graph {
            nodes: vec![
                node("Conv", "convolve", &["x", "w", "b"], &["y"])
                    .with("group", Attribute::Int(CHANNELS as i64))
                    .with("strides", Attribute::Ints(vec![stride as i64; 2]))
                    .with("auto_pad", Attribute::Text(mode)),
            ],
            tensors: vec![
                floats("w", &[CHANNELS as i64, 1, 3, 2], &w),
                floats("b", &[CHANNELS as i64], &[1.0; CHANNELS]),
            ],
            inputs: vec![value("x", FLOAT, &open(4))],
            outputs: vec![value("y", FLOAT, &open(4))],
        };
        let input = Tensor::from_slice("x", [1, CHANNELS as u64, 7, 10], &x);
        assert_eq!(answer(&graph, input), (shape, expected), "{mode}");
    }
}

/// `MatMul` of zeros and ones is the rows of a table; a number that is none of its rows is none.
#[test]
fn rows_of_a_table_are_looked_up() {
    const KINDS: usize = 100;
    const COLUMNS: usize = 48;
    let table = numbers(KINDS * COLUMNS, 7);
    let graph = Graph {
        nodes: vec![
            node("Equal", "same", &["x", "kinds"], &["is"]),
            node("Cast", "numbers", &["is"], &["ones"]).with("to", Attribute::Int(1)),
            node("MatMul", "look", &["ones", "w"], &["y"]),
        ],
        tensors: vec![
            made::Tensor {
                name: "kinds".to_owned(),
                datatype: made::INT32,
                dims: vec![1, 1, KINDS as i64],
                data: (0..KINDS as i32).flat_map(i32::to_le_bytes).collect(),
            },
            floats("w", &[KINDS as i64, COLUMNS as i64], &table),
        ],
        inputs: vec![value("x", made::INT32, &open(3))],
        outputs: vec![value("y", FLOAT, &open(3))],
    };
    let chosen = [3i32, 99, 0, -1, 100, 17];
    let narrow = Tensor::from_slice("x", [1, 6, 1], &chosen);
    let wide: Vec<i32> = chosen.iter().flat_map(|&kind| [kind; KINDS]).collect();
    let wide = Tensor::from_slice("x", [1, 6, KINDS as u64], &wide);
    for input in [narrow, wide] {
        let (shape, given) = answer(&graph, input);
        assert_eq!(shape, [1, 6, COLUMNS as u64]);
        for (row, &kind) in given.chunks(COLUMNS).zip(&chosen) {
            match usize::try_from(kind).ok().filter(|&kind| kind < KINDS) {
                Some(kind) => assert_eq!(row, &table[kind * COLUMNS..][..COLUMNS]),
                None => assert_eq!(row, [0.0; COLUMNS]),
            }
        }
    }
}

/// The weights of a product are nowhere but where it is computed, and sizes that do not go with
/// them are named with the node.
#[test]
fn a_product_that_cannot_be_names_its_node() {
    let graph = Graph {
        nodes: vec![node("MatMul", "multiply", &["x", "w"], &["y"])],
        tensors: vec![floats("w", &[64, 64], &numbers(64 * 64, 8))],
        inputs: vec![value("x", FLOAT, &open(2))],
        outputs: vec![value("y", FLOAT, &open(2))],
    };
    assets::provide("model.onnx", graph.file());
    let runtime = Runtime::read("model.onnx").unwrap();
    let ask = |shape: [u64; 2]| {
        let count = (shape[0] * shape[1]) as usize;
        runtime.infer(&Request {
            inputs: vec![Tensor::from_slice("x", shape, &vec![0f32; count])],
            outputs: vec![],
            parameters: vec![],
        })
    };
    let said = ask([2, 63]).unwrap_err().to_string();
    assert!(
        said.contains("`multiply` (MatMul)") && said.contains("[2, 63]"),
        "{said}"
    );
    assert_eq!(ask([0, 64]).unwrap().outputs[0].shape, [0, 64]);
}
