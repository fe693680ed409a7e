//! Models made in code, and what they answer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod made;

use belljar_guest::tensors::{Bf16, Datatype, F16, Request, Response, Tensor, TensorView};
use belljar_guest::{Error, assets};
use made::{Attribute, Dim, Graph, node, value};
use onnx::runtime::Runtime;

fn runtime(graph: &Graph) -> Runtime {
    assets::provide("model.onnx", graph.file());
    Runtime::read("model.onnx").unwrap()
}

fn ask(runtime: &Runtime, inputs: Vec<Tensor>) -> Result<Response, Error> {
    runtime.infer(&Request {
        inputs,
        outputs: vec![],
        parameters: vec![],
    })
}

fn refusal(result: Result<Response, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidInput(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_of_any_size_is_computed() {
    let runtime = runtime(&made::linear());
    let metadata = runtime.metadata();
    assert_eq!(metadata.inputs[0].shape, [-1, 3]);
    assert_eq!(metadata.outputs[0].shape, [-1, 2]);
    assert_eq!(metadata.inputs[0].datatype, Datatype::Fp32);
    for batch in [1, 2, 7] {
        let numbers: Vec<f32> = (0..3 * batch).map(|i| i as f32).collect();
        let answer = ask(
            &runtime,
            vec![Tensor::from_slice("x", [batch, 3], &numbers)],
        )
        .unwrap();
        let y = TensorView::<f32>::try_from(&answer.outputs[0]).unwrap();
        assert_eq!(y.shape(), [batch, 2]);
        for (row, y) in numbers.chunks(3).zip(y.chunks(2)) {
            let [a, b, c] = *row else { panic!("three") };
            assert_eq!(y[0], a + 3.0 * b + 5.0 * c + 0.5);
            assert_eq!(y[1], 2.0 * a + 4.0 * b + 6.0 * c - 0.5);
        }
    }
}

#[test]
fn each_datatype_comes_back_as_it_went_in() {
    use made::{BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT8, INT32, INT64, UINT8, UINT16};
    let all = [
        FLOAT, UINT8, INT8, UINT16, INT32, INT64, BOOL, FLOAT16, DOUBLE, BFLOAT16,
    ];
    let runtime = runtime(&made::identities(&all));
    let inputs = vec![
        Tensor::from_slice("in1", [2], &[1.5f32, -2.0]),
        Tensor::from_slice("in2", [2], &[0u8, 255]),
        Tensor::from_slice("in3", [2], &[-128i8, 127]),
        Tensor::from_slice("in4", [2], &[0u16, 65535]),
        Tensor::from_slice("in6", [2], &[i32::MIN, i32::MAX]),
        Tensor::from_slice("in7", [2], &[i64::from(i32::MIN), i64::from(i32::MAX)]),
        Tensor::from_bools("in9", [2], &[true, false]),
        Tensor::from_slice("in10", [2], &[F16(0x3c01), F16(0xfbff)]),
        Tensor::from_slice("in11", [2], &[0.25f64, f64::from(-1e30f32)]),
        Tensor::from_slice("in16", [2], &[Bf16(0x3f81), Bf16(0xc000)]),
    ];
    let answer = ask(&runtime, inputs.clone()).unwrap();
    assert_eq!(answer.outputs.len(), inputs.len());
    for (input, output) in inputs.iter().zip(&answer.outputs) {
        assert_eq!(input.name.replace("in", "out"), output.name);
        assert_eq!(input.datatype, output.datatype, "{}", input.name);
        assert_eq!(input.data, output.data, "{}", input.name);
    }
    // Only what is asked for is given.
    let named = runtime.infer(&Request {
        inputs,
        outputs: vec!["out9".to_owned()],
        parameters: vec![],
    });
    let outputs = named.unwrap().outputs;
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].name, "out9");
}

#[test]
fn what_does_not_fit_is_named() {
    let model = runtime(&made::identities(&[made::INT64]));
    let ask_with = |numbers: &[i64]| {
        let shape = [numbers.len() as u64];
        refusal(ask(&model, vec![Tensor::from_slice("in7", shape, numbers)]))
    };
    let said = ask_with(&[1, 1 << 31]);
    assert!(said.contains("`in7` has the value 2147483648"), "{said}");
    let said = ask_with(&[-(1 << 40)]);
    assert!(
        said.contains("`in7` has the value -1099511627776"),
        "{said}"
    );

    let model = runtime(&made::linear());
    let wrong = |tensor| refusal(ask(&model, vec![tensor]));
    let said = wrong(Tensor::from_slice("x", [1, 3], &[1i32, 2, 3]));
    assert_eq!(said, "input `x` is INT32, and this model wants FP32");
    let said = wrong(Tensor::from_slice("x", [3], &[1f32, 2.0, 3.0]));
    assert_eq!(
        said,
        "input `x` has the shape [3], and this model wants [-1, 3]"
    );
    let said = wrong(Tensor::from_slice("x", [1, 2], &[1f32, 2.0]));
    assert!(said.contains("`x` has the shape [1, 2]"));
    let said = wrong(Tensor::from_slice("z", [1, 2], &[1f32, 2.0]));
    assert_eq!(said, "`z` is no input of this model, which has: `x`");
    assert_eq!(refusal(ask(&model, vec![])), "input `x` is missing");
    let said = refusal(model.infer(&Request {
        inputs: vec![Tensor::from_slice("x", [1, 3], &[1f32, 2.0, 3.0])],
        outputs: vec!["z".to_owned()],
        parameters: vec![],
    }));
    assert_eq!(said, "`z` is no output of this model, which has: `y`");
}

/// Two inputs whose sizes the file does not tie to each other.
#[test]
fn what_an_operator_cannot_compute_names_its_node() {
    let shape = [Dim::Named("a")];
    let model = runtime(&Graph {
        nodes: vec![node("Add", "sum", &["a", "b"], &["c"])],
        inputs: vec![
            value("a", made::FLOAT, &shape),
            value("b", made::FLOAT, &[Dim::Named("b")]),
        ],
        outputs: vec![value("c", made::FLOAT, &[Dim::Open])],
        ..Graph::default()
    });
    let said = refusal(ask(
        &model,
        vec![
            Tensor::from_slice("a", [2], &[1f32, 2.0]),
            Tensor::from_slice("b", [3], &[1f32, 2.0, 3.0]),
        ],
    ));
    assert!(said.contains("\"sum\""), "{said}");
}

/// Weights in each form in which a file can have them, each large enough to be one.
#[test]
fn weights_are_what_the_file_says_in_whatever_form() {
    use made::{BFLOAT16, DOUBLE, FLOAT, FLOAT16, Message, file};
    const COUNT: i64 = 1024;
    let numbers: Vec<f32> = (0..COUNT).map(|i| (i % 17) as f32 - 8.0).collect();
    let with = |tensor: Message| {
        let node = node("Add", "add", &["x", "w"], &["y"]);
        let graph = Graph {
            nodes: vec![node],
            inputs: vec![value("x", FLOAT, &[Dim::Of(COUNT)])],
            outputs: vec![value("y", FLOAT, &[Dim::Of(COUNT)])],
            ..Graph::default()
        };
        assets::provide("model.onnx", file(&graph.message().message(5, &tensor)));
        let runtime = Runtime::read("model.onnx").unwrap();
        let zeros = Tensor::from_slice("x", [COUNT as u64], &[0f32; COUNT as usize]);
        let answer = ask(&runtime, vec![zeros]).unwrap();
        let y = TensorView::<f32>::try_from(&answer.outputs[0]).unwrap();
        assert_eq!(*y, *numbers);
    };
    let header = |datatype| {
        let dims = Message::default().number(1, COUNT as u64);
        dims.number(2, datatype).text(8, "w")
    };
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    with(header(FLOAT).bytes(9, &bytes));
    with(header(FLOAT).bytes(4, &bytes));
    with(
        numbers
            .iter()
            .fold(header(FLOAT), |all, &x| all.float(4, x)),
    );
    let halves = numbers
        .iter()
        .flat_map(|&x| F16::from_f32(x).0.to_le_bytes());
    with(header(FLOAT16).bytes(9, &halves.collect::<Vec<u8>>()));
    let brains = numbers
        .iter()
        .flat_map(|&x| Bf16::from_f32(x).0.to_le_bytes());
    with(header(BFLOAT16).bytes(9, &brains.collect::<Vec<u8>>()));
    let doubles = numbers.iter().flat_map(|&x| f64::from(x).to_le_bytes());
    with(header(DOUBLE).bytes(9, &doubles.collect::<Vec<u8>>()));
    // In a file beside it, behind something else.
    let mut beside = vec![9; 12];
    beside.extend(&bytes);
    assets::provide("model.onnx.data", beside);
    let entry = |key: &str, value: &str| Message::default().text(1, key).text(2, value);
    let external = header(FLOAT)
        .message(13, &entry("location", "model.onnx.data"))
        .message(13, &entry("offset", "12"))
        .message(13, &entry("length", &bytes.len().to_string()))
        .number(14, 1);
    with(external);
}

/// A file may list its nodes in any order, and a tensor of an input's name is its default.
#[test]
fn nodes_in_any_order_and_defaults_of_inputs_are_taken() {
    let mut graph = made::linear();
    graph.nodes.reverse();
    graph.inputs.push(value("b", made::FLOAT, &[Dim::Of(2)]));
    let runtime = runtime(&graph);
    assert_eq!(runtime.metadata().inputs.len(), 1);
    let answer = ask(
        &runtime,
        vec![Tensor::from_slice("x", [1, 3], &[1f32, 0.0, 0.0])],
    )
    .unwrap();
    let y = TensorView::<f32>::try_from(&answer.outputs[0]).unwrap();
    assert_eq!(*y, [1.5, 1.5]);
}

/// Both branches take what is outside of them.
#[test]
fn a_condition_takes_the_branch_that_its_input_says() {
    let branch = |kind: &str, gives: &str| Graph {
        nodes: vec![node(kind, kind, &["x", "one"], &[gives])],
        outputs: vec![value(gives, made::FLOAT, &[Dim::Open])],
        ..Graph::default()
    };
    let runtime = runtime(&Graph {
        nodes: vec![
            node("If", "choose", &["up"], &["y"])
                .with("then_branch", Attribute::Graph(branch("Add", "more")))
                .with("else_branch", Attribute::Graph(branch("Sub", "less"))),
        ],
        tensors: vec![made::floats("one", &[1], &[1.0])],
        inputs: vec![
            value("x", made::FLOAT, &[Dim::Open]),
            value("up", made::BOOL, &[]),
        ],
        outputs: vec![value("y", made::FLOAT, &[Dim::Open])],
    });
    for (up, expected) in [(true, 6.0), (false, 4.0)] {
        let x = Tensor::from_slice("x", [1], &[5f32]);
        let answer = ask(&runtime, vec![x, Tensor::from_bools("up", [], &[up])]).unwrap();
        let y = TensorView::<f32>::try_from(&answer.outputs[0]).unwrap();
        assert_eq!(*y, [expected]);
    }
}

/// Without a number of dimensions nothing is declared, and requests of any are computed.
#[test]
fn an_input_of_unknown_rank_takes_any() {
    let mut graph = made::identities(&[made::FLOAT]);
    graph.inputs[0].shape = None;
    let runtime = runtime(&graph);
    assert!(runtime.metadata().inputs.is_empty());
    assert_eq!(runtime.metadata().outputs.len(), 1);
    let x = Tensor::from_slice("in1", [1, 2], &[1f32, 2.0]);
    assert_eq!(ask(&runtime, vec![x]).unwrap().outputs[0].shape, [1, 2]);
}
