//! Files that lie, are cut off, or ask for what is not supported: each is refused with the name of
//! what is wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod made;

use belljar_guest::assets;
use made::{Attribute, Dim, Graph, Message, Tensor, floats, node, value};
use onnx::check::{CHAIN_MAX, GRAPHS_MAX};
use onnx::runtime::Runtime;

fn read(bytes: Vec<u8>) -> Result<Runtime, String> {
    assets::provide("model.onnx", bytes);
    Runtime::read("model.onnx")
}

fn refusal(bytes: Vec<u8>) -> String {
    read(bytes).map(drop).unwrap_err()
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = made::linear().file();
    for length in 0..bytes.len() {
        assert!(read(bytes[..length].to_vec()).is_err(), "{length}");
    }
    assert!(read(bytes).is_ok());
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused() {
    let mut bytes = made::linear().file();
    for at in 0..bytes.len() {
        for change in [0x01, 0x08, 0x80, 0xff] {
            bytes[at] ^= change;
            drop(read(bytes.clone()));
            bytes[at] ^= change;
        }
    }
}

proptest::proptest! {
    /// Whatever the reader, the checks and the library make of it, none of them panics.
    #[test]
    fn pieces_of_a_file_in_other_places_are_read_or_refused(
        from in 0usize..400,
        to in 0usize..400,
        length in 0usize..60,
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..6),
    ) {
        let mut bytes = made::linear().file();
        let (from, to) = (from % bytes.len(), to % bytes.len());
        let piece: Vec<u8> = bytes[from..].iter().take(length).copied().collect();
        bytes.splice(to..to, piece.into_iter().chain(noise));
        drop(read(bytes));
    }
}

#[test]
fn other_bytes_are_no_model() {
    assert!(refusal(b"GGUF....".to_vec()).contains("no ONNX model"));
    assert!(refusal(vec![]).contains("it has no graph"));
    assert!(refusal(vec![0xff; 64]).contains("no ONNX model"));
}

#[test]
fn numbers_that_lie_are_named() {
    let with = |dims: Vec<i64>, data: Vec<u8>| {
        let mut graph = made::linear();
        graph.tensors[0].dims = dims;
        graph.tensors[0].data = data;
        refusal(graph.file())
    };
    for dims in [
        vec![1 << 60],
        vec![1 << 31, 1 << 31, 1 << 31],
        vec![1 << 40, 1 << 40],
        vec![-1],
        vec![i64::MIN, 2],
    ] {
        let said = with(dims.clone(), vec![]);
        let expected = format!("tensor `w` has the shape {dims:?}, which no tensor can have");
        assert_eq!(said, expected);
    }
    let said = with(vec![3, 2], vec![0; 23]);
    assert!(
        said.contains("`w` has the shape [3, 2], which takes 24 bytes"),
        "{said}"
    );
    // Data in a field for its type is counted by the decoder.
    let tensor = Message::default()
        .number(1, 1 << 20)
        .number(2, 1)
        .text(8, "w")
        .float(4, 1.0);
    let mut graph = made::linear();
    graph.tensors.remove(0);
    let said = refusal(made::file(&graph.message().message(5, &tensor)));
    assert!(
        said.contains("`w` has the shape [1048576], and the file is smaller"),
        "{said}"
    );

    // A length that reaches over the end of what it lies in.
    let mut graph = made::linear().message();
    graph.0.extend([1 << 3 | 2, 0x7f, 0]);
    assert!(refusal(made::file(&graph)).contains("announces 127 bytes"));
    let mut graph = made::linear().message();
    graph.0.extend([
        1 << 3 | 2,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        1,
    ]);
    assert!(refusal(made::file(&graph)).contains("announces 18446744073709551615 bytes"));
}

#[test]
fn what_goes_round_in_a_cycle_is_named() {
    let mut graph = made::linear();
    graph.nodes[0].inputs[0] = "y".to_owned();
    let said = refusal(graph.file());
    assert!(said.contains("cycle") && said.contains("`multiply`") && said.contains("`add`"));
    // Through a graph within a node.
    let inner = Graph {
        nodes: vec![node("Identity", "inner", &["late"], &["early"])],
        outputs: vec![value("early", made::FLOAT, &[Dim::Open])],
        ..Graph::default()
    };
    let graph = Graph {
        nodes: vec![
            node("If", "choose", &["up"], &["middle"])
                .with("then_branch", Attribute::Graph(inner.clone()))
                .with("else_branch", Attribute::Graph(inner)),
            node("Identity", "outer", &["middle"], &["late"]),
        ],
        inputs: vec![value("up", made::BOOL, &[])],
        outputs: vec![value("late", made::FLOAT, &[Dim::Open])],
        ..Graph::default()
    };
    let said = refusal(graph.file());
    assert!(said.contains("cycle") && said.contains("`choose`") && said.contains("`outer`"));
}

#[test]
fn what_is_missing_or_there_twice_is_named() {
    let changed = |change: fn(&mut Graph)| {
        let mut graph = made::linear();
        change(&mut graph);
        refusal(graph.file())
    };
    let said = changed(|graph| drop(graph.tensors.remove(0)));
    assert_eq!(
        said,
        "node `multiply` (MatMul) takes `w`, which nothing gives"
    );
    let said = changed(|graph| graph.outputs[0].name = "z".to_owned());
    assert_eq!(said, "output `z` is given by no node");
    let said = changed(|graph| graph.nodes.push(node("Neg", "", &["x"], &["y"])));
    assert!(said.contains("`y` is given twice, the second time by node Neg, which gives `y`"));
    let said = changed(|graph| graph.tensors.push(floats("w", &[1], &[1.0])));
    assert_eq!(said, "tensor `w` is there twice");
    let said = changed(|graph| graph.inputs.push(graph.inputs[0].clone()));
    assert_eq!(said, "input `x` is there twice");
    let said = changed(|graph| graph.outputs.push(graph.outputs[0].clone()));
    assert_eq!(said, "output `y` is there twice");
    let said = changed(|graph| graph.outputs.clear());
    assert_eq!(said, "the graph has no output");
    let said = changed(|graph| graph.inputs[0].datatype = made::STRING);
    assert!(
        said.contains("input `x` is of the datatype STRING"),
        "{said}"
    );
    let external = Message::default()
        .number(1, 1)
        .number(2, 1)
        .text(8, "e")
        .number(14, 1);
    let said = refusal(made::file(&made::linear().message().message(5, &external)));
    assert!(said.contains("tensor `e` lies in another file"), "{said}");
}

#[test]
fn tensors_in_other_files_lie_within_them() {
    assets::provide("weights.bin", vec![0; 16]);
    let said = |entries: &[(&str, &str)]| {
        let tensor = Message::default().number(1, 2).number(2, 1).text(8, "e");
        let tensor = entries.iter().fold(tensor, |tensor, (key, value)| {
            tensor.message(13, &Message::default().text(1, key).text(2, value))
        });
        refusal(made::file(
            &made::linear().message().message(5, &tensor.number(14, 1)),
        ))
    };
    for name in ["other.bin", "../weights.bin", "/etc/hosts", ""] {
        let said = said(&[("location", name)]);
        assert!(said.contains("the bundle has no such asset"), "{said}");
    }
    for (offset, length) in [("12", "8"), ("17", "0"), ("18446744073709551615", "8")] {
        let said = said(&[
            ("location", "weights.bin"),
            ("offset", offset),
            ("length", length),
        ]);
        assert!(said.contains("of `weights.bin`, which has 16"), "{said}");
    }
    let of = ("location", "weights.bin");
    assert!(said(&[of, ("offset", "-1")]).contains("has the offset `-1`"));
    assert!(said(&[of, ("length", "1e3")]).contains("has the length `1e3`"));
    assert!(said(&[of]).contains("takes 8 bytes, and has 16 bytes of data"));
}

/// The decoder would look for the end of such a number for ever.
#[test]
fn numbers_without_an_end_are_refused() {
    for field in [1, 5, 7] {
        let tensor = Message::default().number(1, 2).number(2, 7).text(8, "e");
        let tensor = tensor.bytes(field, &[0xff; 12]);
        let said = refusal(made::file(&made::linear().message().message(5, &tensor)));
        assert!(said.contains("no ONNX model"), "{field}: {said}");
    }
}

#[test]
fn versions_of_operators_that_never_were_are_named() {
    for version in [0, 1001, 1 << 40, u64::MAX] {
        let operators = Message::default().text(1, "").number(2, version);
        let header = Message::default().number(1, 8).message(8, &operators);
        let said = refusal(header.message(7, &made::linear().message()).0);
        let expected = format!("version {} of the operators", version as i64);
        assert!(said.contains(&expected), "{said}");
    }
}

/// All of them, wherever they are: not the first alone.
#[test]
fn operators_that_are_not_there_are_all_named() {
    let mut graph = made::linear();
    let odd = |kind: &str, name: &str, gives: &str| node(kind, name, &["x"], &[gives]);
    graph.nodes.push(odd("Frobnicate", "first", "f"));
    let mut second = odd("Transmogrify", "second", "t");
    second.domain = "org.example".to_owned();
    graph.nodes.push(second);
    let inner = Graph {
        nodes: vec![odd("Discombobulate", "third", "d")],
        outputs: vec![value("d", made::FLOAT, &[])],
        ..Graph::default()
    };
    graph.nodes.push(
        node("If", "choose", &["up"], &["c"])
            .with("then_branch", Attribute::Graph(inner.clone()))
            .with("else_branch", Attribute::Graph(inner)),
    );
    graph.inputs.push(value("up", made::BOOL, &[]));
    let said = refusal(graph.file());
    for name in [
        "`first` (Frobnicate)",
        "`second` (Transmogrify)",
        "`third` (Discombobulate)",
        "org.example",
    ] {
        assert!(said.contains(name), "{said}");
    }
    assert!(!said.contains("`multiply`"), "{said}");
}

fn chain(length: usize) -> Graph {
    let mut graph = Graph {
        inputs: vec![value("v0", made::FLOAT, &[Dim::Open])],
        outputs: vec![value(&format!("v{length}"), made::FLOAT, &[Dim::Open])],
        ..Graph::default()
    };
    for index in 0..length {
        let (from, to) = (format!("v{index}"), format!("v{}", index + 1));
        graph
            .nodes
            .push(node("Neg", &format!("n{index}"), &[&from], &[&to]));
    }
    graph
}

#[test]
fn long_rows_and_deep_graphs_have_their_limits() {
    let said = refusal(chain(CHAIN_MAX + 1).file());
    assert!(
        said.contains(&format!("more than {CHAIN_MAX} nodes wait")),
        "{said}"
    );
    let deep = |depth: usize| {
        (1..depth).fold(made::linear(), |inner, _| Graph {
            nodes: vec![
                node("If", "choose", &["up"], &["y"])
                    .with("then_branch", Attribute::Graph(inner.clone()))
                    .with(
                        "else_branch",
                        Attribute::Graph(Graph {
                            inputs: vec![],
                            ..made::linear()
                        }),
                    ),
            ],
            inputs: vec![
                value("x", made::FLOAT, &[Dim::Open, Dim::Of(3)]),
                value("up", made::BOOL, &[]),
            ],
            outputs: vec![value("y", made::FLOAT, &[Dim::Open, Dim::Of(2)])],
            ..Graph::default()
        })
    };
    let said = refusal(deep(GRAPHS_MAX + 1).file());
    assert!(said.contains("graphs lie in each other"), "{said}");
    // Messages of a type within a type: nothing that a model has.
    let nested = (0..1000).fold(Message::default(), |inner, _| {
        Message::default().message(4, &Message::default().message(1, &inner))
    });
    let input = Message::default().text(1, "x").message(2, &nested);
    let said = refusal(made::file(&made::linear().message().message(11, &input)));
    assert!(said.contains("nests deeper"), "{said}");
}

/// An attribute's numbers may be packed or not: writers differ.
#[test]
fn packed_attributes_are_read() {
    let permutation = |attribute: Message| {
        let node = Message::default()
            .text(1, "x")
            .text(2, "y")
            .text(4, "Transpose");
        let graph = Graph {
            inputs: vec![value(
                "x",
                made::FLOAT,
                &[Dim::Of(2), Dim::Of(3), Dim::Of(4)],
            )],
            outputs: vec![value("y", made::FLOAT, &[Dim::Open, Dim::Open, Dim::Open])],
            ..Graph::default()
        };
        let node = node.message(5, &attribute);
        let runtime = read(made::file(&graph.message().message(1, &node))).unwrap();
        let x = belljar_guest::tensors::Tensor::from_slice("x", [2, 3, 4], &[0f32; 24]);
        let request = belljar_guest::tensors::Request {
            inputs: vec![x],
            outputs: vec![],
            parameters: vec![],
        };
        runtime.infer(&request).unwrap().outputs[0].shape.clone()
    };
    let named = || Message::default().text(1, "perm").number(20, 7);
    assert_eq!(permutation(named().bytes(8, &[1, 2, 0])), [3, 4, 2]);
    assert_eq!(
        permutation(named().number(8, 1).number(8, 2).number(8, 0)),
        [3, 4, 2]
    );
}

#[test]
fn tensors_of_types_that_are_not_there_are_named() {
    let mut graph = made::linear();
    graph.tensors.push(Tensor {
        name: "quarter".to_owned(),
        datatype: 21,
        dims: vec![4],
        data: vec![0; 2],
    });
    graph.nodes[1].inputs[1] = "quarter".to_owned();
    let said = refusal(graph.file());
    assert!(said.contains("quarter") && said.contains("UINT4"), "{said}");
}
