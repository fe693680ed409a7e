//! What JSON leaves unsaid, and what it cannot say.

use super::*;

#[test]
fn null_is_as_if_it_were_not_there() {
    let plain = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}"#;
    let expect = TensorRequest::from_json(plain.as_bytes(), None).unwrap();
    for body in [
        r#"{"id":null,"model":null,"parameters":null,"outputs":null,"model_version":null,
            "inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],"parameters":null}]}"#,
        r#"{"parameters":{"binary_data_output":null,"a":null},"outputs":[],
            "inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],
            "parameters":{"content_type":null,"binary_data_size":null}}]}"#,
    ] {
        let read = TensorRequest::from_json(body.as_bytes(), None).unwrap();
        assert_eq!(format!("{read:?}"), format!("{expect:?}"), "{body}");
    }
    let own = r#"{"id":null,"model":null,"model_version":null,"outputs":null,"parameters":null,
        "inputs":{"x":{"datatype":"FP32","shape":null,"data":[1],"parameters":null}}}"#;
    let read = TensorRequest::from_json(own.as_bytes(), None).unwrap();
    assert_eq!((read.id, read.inputs[0].shape.as_slice()), (None, &[1][..]));
    let binary = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":null,
        "parameters":{"binary_data_size":4}}],
        "outputs":[{"name":"x","parameters":null},{"name":"y","parameters":{"binary_data":null}}]}"#;
    let read = TensorRequest::from_json(binary.as_bytes(), Some(&[0; 4])).unwrap();
    assert!(read.outputs.iter().all(|output| output.binary.is_none()));
    check_refused(
        r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":null}]}"#,
        Some("inputs[0].data"),
        "missing",
    );
}

#[test]
fn what_json_cannot_say() {
    let tensor = |datatype, shape: &[u64], data: &[u8]| tensors::Response {
        outputs: vec![Tensor {
            name: "y".to_owned(),
            datatype,
            shape: shape.to_vec(),
            data: data.to_vec(),
        }],
        parameters: vec![],
    };
    // Infinity, minus infinity and NaN of each type.
    for (datatype, odd) in [
        (Datatype::Fp16, [0x7c00_u64, 0xfc00, 0x7e00]),
        (Datatype::Bf16, [0x7f80, 0xff80, 0x7fc0]),
        (Datatype::Fp32, [0x7f80_0000, 0xff80_0000, 0x7fc0_0000]),
        (
            Datatype::Fp64,
            [
                f64::INFINITY.to_bits(),
                f64::NEG_INFINITY.to_bits(),
                f64::NAN.to_bits(),
            ],
        ),
    ] {
        let size = belljar_sandbox::tensor::element_bytes(datatype).unwrap();
        for bits in odd {
            let one = &bits.to_le_bytes()[..size];
            let data = [&[0; 8][..size], one].concat();
            let response = tensor(datatype, &[2], &data);
            for form in [Form::Nested, Form::Explicit, Form::Oip] {
                let Err(FormatError::NotRepresentable { message }) =
                    answer(&response, form, Format::Json)
                else {
                    panic!("{datatype:?} {bits:x} has a JSON");
                };
                assert!(
                    message.contains("`y`") && message.contains("binary"),
                    "{message}"
                );
            }
            assert!(answer(&response, Form::Nested, Format::Msgpack).is_ok());
            assert!(answer(&response, Form::Oip, Format::OipBinary).is_ok());
            assert!(answer(&response, Form::Nested, Format::Safetensors).is_ok());
        }
    }
    let odd_parameter = tensors::Response {
        outputs: vec![],
        parameters: vec![types::Parameter {
            name: "score".to_owned(),
            value: types::Value::Number(f64::INFINITY),
        }],
    };
    for form in [Form::Nested, Form::Oip] {
        assert!(matches!(
            answer(&odd_parameter, form, Format::Json),
            Err(FormatError::NotRepresentable { message }) if message.contains("`score`")
        ));
    }
    let not_text = tensor(Datatype::Bytes, &[1], b"\x01\0\0\0\xff");
    assert!(matches!(
        answer(&not_text, Form::Nested, Format::Json),
        Err(FormatError::NotRepresentable { .. })
    ));
    assert!(answer(&not_text, Form::Nested, Format::Msgpack).is_ok());
    assert!(matches!(
        answer(&not_text, Form::Nested, Format::Safetensors),
        Err(FormatError::NotRepresentable { .. })
    ));
    for shape in [&[4_000_000_000, 0][..], &[u64::MAX, 2, 0]] {
        let hollow = tensor(Datatype::Fp32, shape, b"");
        for format in [Format::Json, Format::Msgpack] {
            assert!(matches!(
                answer(&hollow, Form::Nested, format),
                Err(FormatError::NotRepresentable { .. })
            ));
            assert!(answer(&hollow, Form::Explicit, format).is_ok());
        }
    }
}
