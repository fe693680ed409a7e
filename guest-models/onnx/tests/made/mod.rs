//! ONNX files made in code: the messages of the format, as far as tests need them.
//!
//! It writes what it is told, sound or not, so that a test can lie in any field. The tests of the
//! server take this file in as well; it needs the standard library only.
#![allow(dead_code, reason = "each test program uses a part of it")]

/// The numbers of the format's datatypes.
pub(crate) const FLOAT: u64 = 1;
pub(crate) const UINT8: u64 = 2;
pub(crate) const INT8: u64 = 3;
pub(crate) const INT32: u64 = 6;
pub(crate) const INT64: u64 = 7;
pub(crate) const STRING: u64 = 8;
pub(crate) const BOOL: u64 = 9;
pub(crate) const FLOAT16: u64 = 10;
pub(crate) const DOUBLE: u64 = 11;
pub(crate) const UINT16: u64 = 4;
pub(crate) const BFLOAT16: u64 = 16;

/// A message in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        varint(&mut self.0, field << 3);
        varint(&mut self.0, value);
        self
    }

    pub(crate) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        varint(&mut self.0, field << 3 | 2);
        varint(&mut self.0, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(crate) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    pub(crate) fn float(mut self, field: u64, value: f32) -> Self {
        varint(&mut self.0, field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A dimension of an input or output.
#[derive(Clone, Debug)]
pub(crate) enum Dim {
    Of(i64),
    Named(&'static str),
    Open,
}

/// An input or output of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) datatype: u64,
    /// None for a value of unknown rank.
    pub(crate) shape: Option<Vec<Dim>>,
}

pub(crate) fn value(name: &str, datatype: u64, shape: &[Dim]) -> Value {
    Value {
        name: name.to_owned(),
        datatype,
        shape: Some(shape.to_vec()),
    }
}

impl Value {
    fn message(&self) -> Message {
        let mut tensor = Message::default().number(1, self.datatype);
        if let Some(dims) = &self.shape {
            let shape = dims.iter().fold(Message::default(), |shape, dim| {
                let dim = match dim {
                    Dim::Of(size) => Message::default().number(1, *size as u64),
                    Dim::Named(name) => Message::default().text(2, name),
                    Dim::Open => Message::default(),
                };
                shape.message(1, &dim)
            });
            tensor = tensor.message(2, &shape);
        }
        let kind = Message::default().message(1, &tensor);
        Message::default().text(1, &self.name).message(2, &kind)
    }
}

/// A tensor with its data as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) datatype: u64,
    pub(crate) dims: Vec<i64>,
    pub(crate) data: Vec<u8>,
}

impl Tensor {
    pub(crate) fn message(&self) -> Message {
        let dims = self.dims.iter();
        let header = dims.fold(Message::default(), |all, &dim| all.number(1, dim as u64));
        let header = header.number(2, self.datatype).text(8, &self.name);
        header.bytes(9, &self.data)
    }
}

pub(crate) fn floats(name: &str, dims: &[i64], numbers: &[f32]) -> Tensor {
    Tensor {
        name: name.to_owned(),
        datatype: FLOAT,
        dims: dims.to_vec(),
        data: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

pub(crate) fn integers(name: &str, dims: &[i64], numbers: &[i64]) -> Tensor {
    Tensor {
        name: name.to_owned(),
        datatype: INT64,
        dims: dims.to_vec(),
        data: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// What a node has beside its inputs.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
    Tensor(Tensor),
    Graph(Graph),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
}

pub(crate) fn node(kind: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Node {
        kind: kind.to_owned(),
        name: name.to_owned(),
        inputs: owned(inputs),
        outputs: owned(outputs),
        ..Node::default()
    }
}

impl Node {
    pub(crate) fn with(mut self, name: &'static str, attribute: Attribute) -> Self {
        self.attributes.push((name, attribute));
        self
    }

    fn message(&self) -> Message {
        let mut all = Message::default();
        for name in &self.inputs {
            all = all.text(1, name);
        }
        for name in &self.outputs {
            all = all.text(2, name);
        }
        all = all.text(3, &self.name).text(4, &self.kind);
        for (name, attribute) in &self.attributes {
            let named = Message::default().text(1, name);
            let attribute = match attribute {
                Attribute::Float(value) => named.float(2, *value).number(20, 1),
                Attribute::Int(value) => named.number(3, *value as u64).number(20, 2),
                Attribute::Text(text) => named.text(4, text).number(20, 3),
                Attribute::Tensor(tensor) => named.message(5, &tensor.message()).number(20, 4),
                Attribute::Graph(graph) => named.message(6, &graph.message()).number(20, 5),
                Attribute::Ints(values) => {
                    let all = values.iter();
                    all.fold(named, |all, &value| all.number(8, value as u64))
                        .number(20, 7)
                }
            };
            all = all.message(5, &attribute);
        }
        if !self.domain.is_empty() {
            all = all.text(7, &self.domain);
        }
        all
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<Value>,
}

impl Graph {
    pub(crate) fn message(&self) -> Message {
        let mut all = Message::default();
        for node in &self.nodes {
            all = all.message(1, &node.message());
        }
        all = all.text(2, "made");
        for tensor in &self.tensors {
            all = all.message(5, &tensor.message());
        }
        for value in &self.inputs {
            all = all.message(11, &value.message());
        }
        for value in &self.outputs {
            all = all.message(12, &value.message());
        }
        all
    }

    /// The bytes of a file with this graph.
    pub(crate) fn file(&self) -> Vec<u8> {
        file(&self.message())
    }
}

/// The bytes of a file with any graph.
pub(crate) fn file(graph: &Message) -> Vec<u8> {
    let operators = Message::default().text(1, "").number(2, 17);
    let header = Message::default().number(1, 8).text(2, "belljar");
    header.message(8, &operators).message(7, graph).0
}

/// `y = x · w + b`, with a batch of any size, three numbers in and two out.
pub(crate) fn linear() -> Graph {
    Graph {
        nodes: vec![
            node("MatMul", "multiply", &["x", "w"], &["xw"]),
            node("Add", "add", &["xw", "b"], &["y"]),
        ],
        tensors: vec![
            floats("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            floats("b", &[2], &[0.5, -0.5]),
        ],
        inputs: vec![value("x", FLOAT, &[Dim::Named("batch"), Dim::Of(3)])],
        outputs: vec![value("y", FLOAT, &[Dim::Named("batch"), Dim::Of(2)])],
    }
}

/// Gives each input back, in one node of its own: of each datatype `datatypes` one, named by its
/// number.
pub(crate) fn identities(datatypes: &[u64]) -> Graph {
    let mut graph = Graph::default();
    for datatype in datatypes {
        let (from, to) = (format!("in{datatype}"), format!("out{datatype}"));
        let name = format!("copy{datatype}");
        graph.nodes.push(node("Identity", &name, &[&from], &[&to]));
        graph.inputs.push(value(&from, *datatype, &[Dim::Open]));
        graph.outputs.push(value(&to, *datatype, &[Dim::Open]));
    }
    graph
}
