#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod unsaid;

use super::*;
use belljar_sandbox::CheckedRequest;
use serde_json::json;
use tensors::{Datatype, MetadataInfo, Tensor, TensorInfo};

fn fit(
    inference: TensorRequest,
    metadata: Option<&MetadataInfo>,
) -> Result<tensors::Request, FormatError> {
    fit::fit(inference, metadata).map(CheckedRequest::into_request)
}

fn read(body: &str) -> Result<tensors::Request, FormatError> {
    fit(TensorRequest::from_json(body.as_bytes(), None)?, None)
}

fn one(body: &str) -> Tensor {
    let mut request = read(body).unwrap();
    assert_eq!(request.inputs.len(), 1);
    request.inputs.remove(0)
}

#[track_caller]
fn check_refused(body: &str, expect_param: Option<&str>, expect_message: &str) {
    match read(body) {
        Err(FormatError::Invalid { param, message }) => {
            assert_eq!(param.as_deref(), expect_param, "{message}");
            assert!(message.contains(expect_message), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nested_lists_give_shape_and_datatype() {
    let check = |x: &str, datatype, shape: &[u64], data: Vec<u8>| {
        let tensor = one(&format!(r#"{{"model":"m","inputs":{{"x":{x}}}}}"#));
        assert_eq!(
            (tensor.name.as_str(), tensor.datatype),
            ("x", datatype),
            "{x}"
        );
        assert_eq!(tensor.shape, shape, "{x}");
        assert_eq!(tensor.data, data, "{x}");
    };
    let ints = |numbers: &[i64]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let floats = |numbers: &[f64]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<_>>()
    };
    check(
        "[[1,2],[3,-4]]",
        Datatype::Int64,
        &[2, 2],
        ints(&[1, 2, 3, -4]),
    );
    check(
        "[[1,2.5],[3,4]]",
        Datatype::Fp64,
        &[2, 2],
        floats(&[1.0, 2.5, 3.0, 4.0]),
    );
    check(
        "[1,18446744073709551615]",
        Datatype::Uint64,
        &[2],
        [ints(&[1]), vec![255; 8]].concat(),
    );
    check("7", Datatype::Int64, &[], ints(&[7]));
    check("[true,false]", Datatype::Boolean, &[2], vec![1, 0]);
    check(
        r#"["ab",""]"#,
        Datatype::Bytes,
        &[2],
        b"\x02\0\0\0ab\0\0\0\0".to_vec(),
    );
    check("[]", Datatype::Fp64, &[0], vec![]);
    check("[[],[]]", Datatype::Fp64, &[2, 0], vec![]);
    check("[[[1]],[[2]]]", Datatype::Int64, &[2, 1, 1], ints(&[1, 2]));
    check(
        r#"{"datatype":"FP32","shape":[2],"data":[1,2.5]}"#,
        Datatype::Fp32,
        &[2],
        [1.0_f32.to_le_bytes(), 2.5_f32.to_le_bytes()].concat(),
    );
    check(
        r#"{"data":[1,0],"shape":[1,2],"datatype":"UINT8"}"#,
        Datatype::Uint8,
        &[1, 2],
        vec![1, 0],
    );
    check(
        r#"{"data":[[1],[0]],"datatype":"BOOL"}"#,
        Datatype::Boolean,
        &[2, 1],
        vec![1, 0],
    );
    check(
        r#"{"data":[1.0],"shape":[1],"datatype":"FP16"}"#,
        Datatype::Fp16,
        &[1],
        vec![0, 0x3c],
    );
}

#[test]
fn slips_are_refused_with_their_place() {
    let x = |x: &str| format!(r#"{{"inputs":{{"x":{x}}}}}"#);
    check_refused(
        &x("[[1,2],[3]]"),
        Some("inputs.x[1]"),
        "has 1 elements where its neighbours have 2",
    );
    check_refused(
        &x("[[1,2],3]"),
        Some("inputs.x[1]"),
        "one element where its neighbours are lists",
    );
    check_refused(&x("[1,[2]]"), Some("inputs.x[1]"), "is a list");
    check_refused(&x("[[],1]"), Some("inputs.x[1]"), "one element");
    check_refused(&x("[1,null]"), Some("inputs.x[1]"), "null");
    check_refused(&x("[1,true]"), Some("inputs.x[1]"), "boolean");
    check_refused(&x(r#"["a",1]"#), Some("inputs.x[1]"), "number");
    check_refused(&x("[[1,{}]]"), Some("inputs.x[0][1]"), "object");
    check_refused(
        &x("[-1,18446744073709551615]"),
        Some("inputs.x[1]"),
        "fits no integer type",
    );
    check_refused(
        &x(&"[".repeat(17)),
        Some(&format!("inputs.x{}", "[0]".repeat(16))),
        "dimensions",
    );
    let explicit = |rest: &str| x(&format!("{{{rest}}}"));
    check_refused(
        &explicit(r#""datatype":"UINT8","shape":[2],"data":[1,300]"#),
        Some("inputs.x.data[1]"),
        "UINT8",
    );
    check_refused(
        &explicit(r#""data":[1,300],"shape":[2],"datatype":"UINT8""#),
        Some("inputs.x.data[1]"),
        "UINT8",
    );
    check_refused(
        &explicit(r#""datatype":"INT8","shape":[1],"data":[1.5]"#),
        Some("inputs.x.data[0]"),
        "INT8",
    );
    check_refused(
        &explicit(r#""datatype":"FP32","shape":[1],"data":[1e300]"#),
        Some("inputs.x.data[0]"),
        "FP32",
    );
    check_refused(
        &explicit(r#""datatype":"FP32","shape":[3],"data":[1,2]"#),
        Some("inputs.x.data"),
        "2 elements",
    );
    check_refused(
        &explicit(r#""datatype":"FP32","shape":[2,2],"data":[[1],[2],[3],[4]]"#),
        Some("inputs.x.data"),
        "shape",
    );
    check_refused(
        &explicit(r#""datatype":"FP32","shape":[-1],"data":[1]"#),
        Some("inputs.x.shape[0]"),
        "negative",
    );
    check_refused(
        &explicit(r#""datatype":"F32","shape":[1],"data":[1]"#),
        Some("inputs.x.datatype"),
        "FP32",
    );
    check_refused(
        &explicit(r#""shape":[1],"data":[1]"#),
        Some("inputs.x.datatype"),
        "missing",
    );
    check_refused(
        &explicit(r#""datatype":"FP32","shape":[1]"#),
        Some("inputs.x.data"),
        "missing",
    );
    check_refused(r#"{"model":"m"}"#, Some("inputs"), "missing");
    check_refused(r#"{"inputs":{},"inputs":{}}"#, Some("inputs"), "twice");
    check_refused(
        r#"{"inputs":{"x":1,"x":2}}"#,
        Some("inputs.x"),
        "two tensors",
    );
    check_refused(r#"{"inputs":{},"input":1}"#, Some("input"), "unknown field");
    check_refused(r#"{"inputs":{},"model":1}"#, Some("model"), "string");
    check_refused(
        r#"{"inputs":{},"parameters":{"a":[1]}}"#,
        Some("parameters.a"),
        "boolean",
    );
    check_refused(r#"{"inputs":[1]}"#, Some("inputs[0]"), "object");
    check_refused(r#"{"inputs":{}} x"#, None, "trailing characters");
    check_refused(r#"{"inputs":{"x":[1,"#, None, "EOF");
    check_refused(r#"{"inputs":{"x":1e400}}"#, None, "out of range");
    check_refused("[]", None, "expected an object with `inputs`");
}

#[test]
fn the_open_inference_protocol_is_read_and_written() {
    let body = r#"{"id":"7","parameters":{"binary_data_output":true,"k":5},
        "inputs":[{"name":"a","shape":[2],"datatype":"INT32","data":[1,2]},
                  {"name":"b","datatype":"FP32","shape":[1,1],"parameters":{"binary_data_size":4}}],
        "outputs":[{"name":"y","parameters":{"binary_data":false}},{"name":"z"}],"extra":1}"#;
    let inference =
        TensorRequest::from_json(body.as_bytes(), Some(&1.5_f32.to_le_bytes())).unwrap();
    assert_eq!(
        (inference.form, inference.binary_outputs),
        (Form::Oip, Some(true))
    );
    assert_eq!(inference.outputs[0].binary, Some(false));
    let wanted = inference.outputs.clone();
    let request = fit(inference, None).unwrap();
    assert_eq!(request.inputs[1].data, 1.5_f32.to_le_bytes());
    assert_eq!(request.outputs, ["y", "z"]);
    assert_eq!(request.parameters.len(), 1);

    let tensor = |name: &str| Tensor {
        name: name.to_owned(),
        datatype: Datatype::Uint8,
        shape: vec![2],
        data: vec![1, 2],
    };
    let response = tensors::Response {
        outputs: vec![tensor("y"), tensor("z")],
        parameters: vec![],
    };
    let answer = Answer {
        model: "m",
        version: "1.0.0",
        id: Some("7"),
        response: &response,
        form: Form::Oip,
        wanted: &wanted,
        binary_outputs: Some(true),
        binary_allowed: true,
    };
    let Written { body, json_bytes } = answer.write(Format::Json).unwrap();
    let (head, tail) = body.split_at(json_bytes.unwrap());
    assert_eq!(tail, [1, 2]);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(head).unwrap(),
        json!({"model_name":"m","model_version":"1.0.0","id":"7","outputs":[
            {"name":"y","datatype":"UINT8","shape":[2],"data":[1,2]},
            {"name":"z","datatype":"UINT8","shape":[2],"parameters":{"binary_data_size":2}}]})
    );
}

#[test]
fn binary_tails_must_belong_to_tensors() {
    let body = r#"{"inputs":[{"name":"a","shape":[4],"datatype":"UINT8","parameters":{"binary_data_size":4}}]}"#;
    let read = |tail| TensorRequest::from_json(body.as_bytes(), tail);
    assert!(read(None).is_err());
    assert!(read(Some(&b"abc"[..])).is_err());
    assert!(read(Some(&b"abcde"[..])).is_err());
    assert!(read(Some(&b"abcd"[..])).is_ok());
    let short = r#"{"inputs":[{"name":"a","shape":[5],"datatype":"UINT8","parameters":{"binary_data_size":4}}]}"#;
    let inference = TensorRequest::from_json(short.as_bytes(), Some(b"abcd")).unwrap();
    assert!(fit(inference, None).is_err());
}

fn echo(request: tensors::Request) -> tensors::Response {
    tensors::Response {
        outputs: request.inputs,
        parameters: request.parameters,
    }
}

fn answer(
    response: &tensors::Response,
    form: Form,
    format: Format,
) -> Result<Vec<u8>, FormatError> {
    let wanted = &[];
    let answer = Answer {
        model: "m",
        version: "1.0.0",
        id: None,
        response,
        form,
        wanted,
        binary_outputs: None,
        binary_allowed: true,
    };
    answer.write(format).map(|written| written.body)
}

#[test]
fn json_comes_back_as_it_went_in() {
    for inputs in [
        r#"{"x":[[1,2],[3,4]],"y":[1.5,-0.1],"z":"text","b":[true]}"#,
        r#"{"x":{"datatype":"INT8","shape":[1,2],"data":[1,-2]}}"#,
        r#"{"x":[[],[]]}"#,
        r#"{"x":[18446744073709551615]}"#,
        r#"{"x":[5e-324,1.7976931348623157e308,0.30000000000000004]}"#,
    ] {
        let inference =
            TensorRequest::from_json(format!(r#"{{"inputs":{inputs}}}"#).as_bytes(), None).unwrap();
        let form = inference.form;
        let response = echo(fit(inference, None).unwrap());
        let body = answer(&response, form, Format::Json).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expect: serde_json::Value = serde_json::from_str(inputs).unwrap();
        assert_eq!(
            body,
            json!({"model":"m","version":"1.0.0","outputs":expect})
        );
    }
}

#[test]
fn msgpack_goes_both_ways() {
    let body = rmp_serde::to_vec_named(&json!({"model":"m","inputs":{"x":[[1,2],[3,4]],"s":"t"}}))
        .unwrap();
    let inference = TensorRequest::from_msgpack(&body).unwrap();
    assert_eq!(
        (inference.model.as_deref(), inference.form),
        (Some("m"), Form::Nested)
    );
    let response = echo(fit(inference, None).unwrap());
    let written = answer(&response, Form::Nested, Format::Msgpack).unwrap();
    let value: serde_json::Value = rmp_serde::from_slice(&written).unwrap();
    assert_eq!(value["outputs"]["x"], json!([[1, 2], [3, 4]]));

    let mut longer = body.clone();
    longer.push(0);
    assert!(TensorRequest::from_msgpack(&longer).is_err());
    for cut in 0..body.len() {
        assert!(TensorRequest::from_msgpack(&body[..cut]).is_err(), "{cut}");
    }
}

/// What `msgpack.packb({"model": "m", "inputs": {"x": array}}, default=msgpack_numpy.encode)`
/// writes for a 1×2 array of the type given.
fn numpy(kind: &str, data: &[u8]) -> Vec<u8> {
    let mut body = b"\x82\xa5model\xa1m\xa6inputs\x81\xa1x\x85\xc4\x02nd\xc3\xc4\x04type".to_vec();
    body.push(0xa0 | u8::try_from(kind.len()).unwrap());
    body.extend_from_slice(kind.as_bytes());
    body.extend_from_slice(b"\xc4\x04kind\xc4\x00\xc4\x05shape\x92\x01\x02\xc4\x04data\xc4");
    body.push(u8::try_from(data.len()).unwrap());
    body.extend_from_slice(data);
    body
}

#[test]
fn arrays_of_msgpack_numpy_go_both_ways() {
    let data = [1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat();
    let inference = TensorRequest::from_msgpack(&numpy("<f4", &data)).unwrap();
    assert_eq!(inference.form, Form::Numpy);
    let response = echo(fit(inference, None).unwrap());
    assert_eq!(response.outputs[0].shape, [1, 2]);
    let written = answer(&response, Form::Numpy, Format::Msgpack).unwrap();
    let packed = numpy("<f4", &data);
    let array = &packed[packed
        .windows(2)
        .position(|pair| pair == b"\x85\xc4")
        .unwrap()..];
    assert!(
        written.windows(array.len()).any(|window| window == array),
        "{written:?}"
    );

    let scalar = b"\x81\xa6inputs\x81\xa1x\x83\xc4\x02nd\xc2\xc4\x04type\xa3<f4\xc4\x04data\xc4\x04\0\0\x80\x3f";
    let scalar = fit(TensorRequest::from_msgpack(scalar).unwrap(), None).unwrap();
    assert_eq!(
        (scalar.inputs[0].shape.len(), scalar.inputs[0].data.len()),
        (0, 4)
    );

    let big: Vec<u8> = [1.0_f32.to_be_bytes(), 2.0_f32.to_be_bytes()].concat();
    let swapped = fit(
        TensorRequest::from_msgpack(&numpy(">f4", &big)).unwrap(),
        None,
    )
    .unwrap();
    assert_eq!(swapped.inputs[0].data, data);
    assert!(TensorRequest::from_msgpack(&numpy("<U4", &data)).is_err());
    let short = TensorRequest::from_msgpack(&numpy("<f8", &data)).unwrap();
    assert!(fit(short, None).is_err());
}

#[test]
fn safetensors_goes_both_ways() {
    let response = tensors::Response {
        outputs: vec![
            Tensor {
                name: "a".to_owned(),
                datatype: Datatype::Bf16,
                shape: vec![1, 2],
                data: vec![1, 2, 3, 4],
            },
            Tensor {
                name: "b".to_owned(),
                datatype: Datatype::Uint8,
                shape: vec![],
                data: vec![9],
            },
        ],
        parameters: vec![],
    };
    let written = answer(&response, Form::Explicit, Format::Safetensors).unwrap();
    let inference = TensorRequest::from_safetensors(&written).unwrap();
    assert_eq!(inference.model.as_deref(), Some("m@1.0.0"));
    assert_eq!(fit(inference, None).unwrap().inputs, response.outputs);
    for cut in 0..written.len() {
        assert!(
            TensorRequest::from_safetensors(&written[..cut]).is_err(),
            "{cut}"
        );
    }
}

#[test]
fn a_model_that_declares_its_inputs_gets_them_so() {
    let info = |name: &str, datatype, shape: &[i64]| TensorInfo {
        name: name.to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    let metadata = MetadataInfo {
        inputs: vec![info("x", Datatype::Fp32, &[-1, 2])],
        outputs: vec![info("y", Datatype::Fp32, &[1])],
    };
    let fit = |body: &str| {
        fit(
            TensorRequest::from_json(body.as_bytes(), None)?,
            Some(&metadata),
        )
    };
    let request = fit(r#"{"inputs":{"x":[[1,2]]}}"#).unwrap();
    assert_eq!(request.inputs[0].datatype, Datatype::Fp32);
    assert_eq!(
        request.inputs[0].data,
        [1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat()
    );
    for (body, expect) in [
        (r#"{"inputs":{"x":[[1,2,3]]}}"#, "shape"),
        (r#"{"inputs":{"x":[1,2]}}"#, "shape"),
        (r#"{"inputs":{"x":[["a","b"]]}}"#, "string"),
        (r#"{"inputs":{"x":[[1,1e300]]}}"#, "FP32"),
        (r#"{"inputs":{"z":[[1,2]]}}"#, "no such input"),
        (r#"{"inputs":{"x":[[1,2]],"z":1}}"#, "no such input"),
        (r#"{"inputs":{}}"#, "no tensors"),
        (
            r#"{"inputs":{"x":{"datatype":"FP64","shape":[1,2],"data":[1,2]}}}"#,
            "FP64",
        ),
        (
            r#"{"inputs":{"x":[[1,2]]},"outputs":["q"]}"#,
            "no such output",
        ),
    ] {
        let refused = fit(body).unwrap_err();
        assert!(refused.to_string().contains(expect), "{body}: {refused}");
    }
}

proptest::proptest! {
    #[test]
    fn no_body_makes_the_readers_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = TensorRequest::from_json(&body, None);
        let _ = TensorRequest::from_msgpack(&body);
        let _ = TensorRequest::from_safetensors(&body);
    }

    #[test]
    fn numbers_survive_json(numbers in proptest::collection::vec(proptest::num::f64::NORMAL, 1..20)) {
        let body = serde_json::to_vec(&json!({"inputs":{"x":numbers}})).unwrap();
        let response = echo(fit(TensorRequest::from_json(&body, None).unwrap(), None).unwrap());
        let written = answer(&response, Form::Nested, Format::Json).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let back: Vec<f64> = serde_json::from_value(value["outputs"]["x"].clone()).unwrap();
        proptest::prop_assert_eq!(back, numbers);
    }
}
