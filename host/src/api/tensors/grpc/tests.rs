//! What the library of the protocol writes is read here, and what is written here is read by it.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::api::tensors::fit::fit;
use belljar_sandbox::wit::tensors::Tensor;
use prost::Message as _;
use wire::infer_parameter::ParameterChoice;
use wire::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use wire::{InferParameter, InferTensorContents, ModelInferRequest};

fn request(inputs: Vec<InferInputTensor>) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "m".to_owned(),
        inputs,
        ..ModelInferRequest::default()
    }
}

fn tensor(
    datatype: &str,
    shape: &[i64],
    contents: Option<InferTensorContents>,
) -> InferInputTensor {
    InferInputTensor {
        name: "x".to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        contents,
        ..InferInputTensor::default()
    }
}

fn read_whole(request: &ModelInferRequest) -> Result<Vec<Tensor>, FormatError> {
    let read = read(&request.encode_to_vec())?;
    fit(read, None).map(|request| request.into_request().inputs)
}

/// The message, and the place before it.
fn refused(request: &ModelInferRequest) -> String {
    refused_bytes(&request.encode_to_vec())
}

fn refused_bytes(message: &[u8]) -> String {
    let read = read(message).and_then(|read| fit(read, None));
    match read.map(|_| ()).unwrap_err() {
        FormatError::Invalid { param, message } => {
            format!("{}: {message}", param.unwrap_or_default())
        }
        FormatError::NotRepresentable { message } => message,
    }
}

#[test]
fn contents_of_every_datatype_are_read_as_their_bytes() {
    let empty = InferTensorContents::default;
    let cases = [
        (
            "BOOL",
            InferTensorContents {
                bool_contents: vec![true, false],
                ..empty()
            },
            vec![1, 0],
        ),
        (
            "INT8",
            InferTensorContents {
                int_contents: vec![-128, 127],
                ..empty()
            },
            vec![0x80, 0x7f],
        ),
        (
            "INT16",
            InferTensorContents {
                int_contents: vec![-2, 258],
                ..empty()
            },
            vec![0xfe, 0xff, 2, 1],
        ),
        (
            "INT32",
            InferTensorContents {
                int_contents: vec![i32::MIN, 1],
                ..empty()
            },
            vec![0, 0, 0, 0x80, 1, 0, 0, 0],
        ),
        (
            "INT64",
            InferTensorContents {
                int64_contents: vec![-1, 1],
                ..empty()
            },
            vec![
                255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (
            "UINT8",
            InferTensorContents {
                uint_contents: vec![0, 255],
                ..empty()
            },
            vec![0, 255],
        ),
        (
            "UINT16",
            InferTensorContents {
                uint_contents: vec![65_535, 1],
                ..empty()
            },
            vec![255, 255, 1, 0],
        ),
        (
            "UINT32",
            InferTensorContents {
                uint_contents: vec![u32::MAX, 1],
                ..empty()
            },
            vec![255, 255, 255, 255, 1, 0, 0, 0],
        ),
        (
            "UINT64",
            InferTensorContents {
                uint64_contents: vec![u64::MAX, 1],
                ..empty()
            },
            vec![
                255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (
            "FP32",
            InferTensorContents {
                fp32_contents: vec![1.5, f32::INFINITY],
                ..empty()
            },
            [1.5_f32.to_le_bytes(), f32::INFINITY.to_le_bytes()].concat(),
        ),
        (
            "FP64",
            InferTensorContents {
                fp64_contents: vec![1.5, -2.0],
                ..empty()
            },
            [1.5_f64.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat(),
        ),
        (
            "BYTES",
            InferTensorContents {
                bytes_contents: vec![b"ab".as_slice().into(), b"".as_slice().into()],
                ..empty()
            },
            vec![2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0],
        ),
    ];
    for (datatype, contents, expect) in cases {
        let read = read_whole(&request(vec![tensor(datatype, &[2], Some(contents))])).unwrap();
        assert_eq!(datatype_name(read[0].datatype), datatype);
        assert_eq!(read[0].data, expect, "{datatype}");
    }
}

#[test]
fn raw_contents_are_given_to_inputs_in_their_order() {
    let mut sent = request(vec![
        tensor("FP16", &[2], None),
        InferInputTensor {
            name: "y".to_owned(),
            ..tensor("BYTES", &[1], None)
        },
    ]);
    sent.raw_input_contents = vec![vec![1, 2, 3, 4].into(), vec![1, 0, 0, 0, b'a'].into()];
    let read = read_whole(&sent).unwrap();
    assert_eq!(
        (&*read[0].data, &*read[1].data),
        (&[1, 2, 3, 4][..], &[1, 0, 0, 0, b'a'][..])
    );
    sent.raw_input_contents.pop();
    assert!(refused(&sent).contains("has 1 items, and there are 2 inputs"));
    sent.raw_input_contents.push(vec![9, 0, 0, 0, b'a'].into());
    assert!(refused(&sent).starts_with("inputs.y"), "{}", refused(&sent));
    sent.raw_input_contents[0] = vec![1, 2, 3].into();
    assert!(refused(&sent).starts_with("inputs.x"), "{}", refused(&sent));
}

#[test]
fn what_does_not_fit_is_refused_by_its_place() {
    let ints = |ints: &[i32]| InferTensorContents {
        int_contents: ints.to_vec(),
        ..InferTensorContents::default()
    };
    for (datatype, shape, contents, expect) in [
        (
            "INT8",
            &[2][..],
            ints(&[1, 128]),
            "inputs.x[1]: does not fit INT8",
        ),
        (
            "INT32",
            &[3],
            ints(&[1, 2]),
            "inputs.x: has 2 elements, and `shape` says [3]",
        ),
        (
            "FP32",
            &[1],
            ints(&[1]),
            "inputs.x: is FP32, whose elements stand in fp32_contents",
        ),
        (
            "FP16",
            &[1],
            ints(&[1]),
            "inputs.x: is FP16, whose elements stand in raw_input_contents",
        ),
        (
            "FLOAT",
            &[1],
            ints(&[1]),
            "inputs.x: has an unknown datatype; there are BOOL",
        ),
        (
            "INT32",
            &[-1],
            ints(&[1]),
            "inputs: a shape has a negative dimension",
        ),
        (
            "INT32",
            &[1; 17],
            ints(&[1]),
            "inputs: a shape has more than 16 dimensions",
        ),
    ] {
        let found = refused(&request(vec![tensor(datatype, shape, Some(contents))]));
        assert!(found.starts_with(expect), "{found}");
    }
    let mut both = request(vec![tensor("INT32", &[1], Some(ints(&[1])))]);
    both.raw_input_contents = vec![vec![1, 0, 0, 0].into()];
    assert!(refused(&both).contains("raw_input_contents are there as well"));
    let many = vec![tensor("INT32", &[1], Some(ints(&[1]))); TENSORS_MAX + 1];
    assert_eq!(refused(&request(many)), "inputs: has more than 1024 items");
    let nameless = ModelInferRequest {
        model_version: "1.0.0".to_owned(),
        ..Default::default()
    };
    assert_eq!(refused(&nameless), "model_name: is missing");
    let mut shared = tensor("INT32", &[1], None);
    let region = InferParameter {
        parameter_choice: Some(ParameterChoice::StringParam("r".to_owned())),
    };
    shared.parameters.insert(SHARED_MEMORY.to_owned(), region);
    assert!(refused(&request(vec![shared])).contains("shared memory is not offered"));
}

#[test]
fn a_cut_message_is_refused_wherever_it_is_cut() {
    let contents = InferTensorContents {
        fp32_contents: vec![1.0, 2.0],
        ..Default::default()
    };
    let mut sent = request(vec![tensor("FP32", &[2], Some(contents))]);
    sent.id = "an id".to_owned();
    sent.outputs.push(InferRequestedOutputTensor {
        name: "x".to_owned(),
        ..Default::default()
    });
    let whole = sent.encode_to_vec();
    assert!(read(&whole).is_ok());
    let mut refused = 0;
    for length in 0..whole.len() {
        refused += usize::from(read(&whole[..length]).is_err());
    }
    // Between two fields a shorter message is a whole one, too.
    assert!(refused >= whole.len() - 4, "{refused} of {}", whole.len());
}

#[test]
fn options_have_the_types_that_they_were_sent_with() {
    let choices = [
        ("a", ParameterChoice::BoolParam(true), Value::Boolean(true)),
        ("b", ParameterChoice::Int64Param(-3), Value::Integer(-3)),
        (
            "c",
            ParameterChoice::StringParam("t".to_owned()),
            Value::Text("t".to_owned()),
        ),
        ("d", ParameterChoice::DoubleParam(0.5), Value::Number(0.5)),
        ("e", ParameterChoice::Uint64Param(7), Value::Integer(7)),
    ];
    let mut sent = request(Vec::new());
    for (name, choice, _) in choices.clone() {
        let value = InferParameter {
            parameter_choice: Some(choice),
        };
        sent.parameters.insert(name.to_owned(), value);
    }
    sent.parameters
        .insert("nothing".to_owned(), InferParameter::default());
    let found = read(&sent.encode_to_vec()).unwrap().parameters;
    assert_eq!(found.len(), choices.len());
    for (found, (name, _, value)) in found.iter().zip(choices) {
        assert_eq!(found.name, name);
        assert_eq!(format!("{:?}", found.value), format!("{value:?}"));
    }
    let too_large = ParameterChoice::Uint64Param(u64::MAX);
    let value = InferParameter {
        parameter_choice: Some(too_large),
    };
    sent.parameters.insert("e".to_owned(), value);
    assert!(refused(&sent).starts_with("parameters.e: is too large"));
    let entry = [0x22, 7, 0x0a, 1, b'a', 0x12, 2, 0x08, 1];
    let twice = [&[0x0a, 1, b'm'][..], &entry, &entry].concat();
    assert_eq!(refused_bytes(&twice), "parameters: has an option twice");
}

#[test]
fn an_answer_is_read_back() {
    let response = Response {
        outputs: vec![Tensor {
            name: "y".to_owned(),
            datatype: Datatype::Int16,
            shape: vec![1, 2],
            data: vec![1, 0, 2, 0],
        }],
        parameters: vec![Parameter {
            name: "p".to_owned(),
            value: Value::Integer(4),
        }],
    };
    let written = write(("m", "1.0.0"), Some("id"), response).encode_to_vec();
    let found = wire::ModelInferResponse::decode(&*written).unwrap();
    assert_eq!(
        (&*found.model_name, &*found.model_version, &*found.id),
        ("m", "1.0.0", "id")
    );
    let [output] = &found.outputs[..] else {
        unreachable!("one output was written")
    };
    assert_eq!(
        (&*output.name, &*output.datatype, &output.shape[..]),
        ("y", "INT16", &[1, 2][..])
    );
    assert_eq!(found.raw_output_contents, [vec![1, 0, 2, 0]]);
    assert_eq!(
        found.parameters["p"].parameter_choice,
        Some(ParameterChoice::Int64Param(4))
    );
}
