//! Files that lie, are cut off, or ask for what is not supported: each is refused with the name of
//! what is wrong.
#![allow(clippy::unwrap_used, reason = "a test")]

mod made;

use llama::gguf::{Gguf, GgufError};
use llama::runtime::Runtime;
use made::{File, Spec, Value};

fn refusal(file: &File) -> String {
    let bytes = file.bytes().leak();
    Runtime::read(bytes).map(drop).unwrap_err()
}

#[test]
fn a_sound_file_is_read() {
    let file = made::tiny(&Spec::default());
    assert!(Runtime::read(file.bytes().leak()).is_ok());
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = made::tiny(&Spec::default()).bytes();
    let step = 997;
    for length in (0..4096).chain((4096..bytes.len()).step_by(step)) {
        assert!(Gguf::read(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused() {
    let mut bytes = made::tiny(&Spec::default()).bytes();
    for at in 0..6000 {
        for change in [0x01, 0x80, 0xff] {
            bytes[at] ^= change;
            drop(Gguf::read(&bytes).map(|file| file.tensor_names().count()));
            bytes[at] ^= change;
        }
    }
}

#[test]
fn other_bytes_and_versions_are_refused() {
    assert_eq!(Gguf::read(b"GGML....").unwrap_err(), GgufError::NotGguf);
    let mut bytes = made::tiny(&Spec::default()).bytes();
    bytes[4] = 1;
    assert_eq!(Gguf::read(&bytes).unwrap_err(), GgufError::Version(1));
}

#[test]
fn numbers_that_lie_are_named_with_their_bounds() {
    let mut bytes = made::tiny(&Spec::default()).bytes();
    bytes[8..16].copy_from_slice(&(1u64 << 60).to_le_bytes());
    let error = Gguf::read(&bytes).unwrap_err().to_string();
    assert!(error.contains("1152921504606846976 tensors"), "{error}");

    let mut file = made::tiny(&Spec::default());
    file.tensors[0].dimensions = vec![1 << 60, 1 << 60];
    assert!(refusal(&file).starts_with("tensor `token_embd.weight` has more elements"));

    let mut file = made::tiny(&Spec::default());
    file.tensors[0].dimensions = vec![1 << 40];
    assert!(refusal(&file).contains("`token_embd.weight`"));

    let mut file = made::tiny(&Spec::default());
    file.tensors[0].dimensions = vec![0, 3];
    assert_eq!(refusal(&file), "tensor `token_embd.weight` is empty");

    let mut file = made::tiny(&Spec::default());
    file.tensors[0].dimensions = vec![1; 5];
    assert!(refusal(&file).contains("has 5 dimensions"));
}

#[test]
fn what_is_there_twice_or_overlaps_is_named() {
    let mut file = made::tiny(&Spec::default());
    let key = file.keys[0].clone();
    file.keys.push(key);
    assert_eq!(refusal(&file), "key `general.architecture` is there twice");

    let mut file = made::tiny(&Spec::default());
    let tensor = file.tensors[1].clone();
    file.tensors.push(tensor);
    assert_eq!(refusal(&file), "tensor `output_norm.weight` is there twice");

    // Longer than the bytes until the next one.
    let mut file = made::tiny(&Spec::default());
    file.tensors[0].dimensions[1] += 1;
    let said = refusal(&file);
    assert!(said.contains("overlaps with `token_embd.weight`"), "{said}");
}

#[test]
fn what_is_not_supported_is_named() {
    let refused = |key: &str, value: Value| {
        let mut file = made::tiny(&Spec::default());
        file.set(key, value);
        refusal(&file)
    };
    let said = refused("general.architecture", "gpt-neox".into());
    assert!(said.contains("`gpt-neox`") && said.contains("llama, qwen2, qwen3, smollm3"));
    let said = refused("llama.expert_count", Value::U32(8));
    assert!(said.starts_with("key `llama.expert_count` is set"));
    let said = refused("llama.rope.scaling.type", "yarn".into());
    assert!(said.contains("`yarn`"));
    let said = refused("tokenizer.ggml.model", "bert".into());
    assert!(said.contains("`bert`"));
    let said = refused("tokenizer.ggml.pre", "poro-chat".into());
    assert!(said.contains("`poro-chat`"));
    let said = refused("llama.block_count", Value::U32(0));
    assert_eq!(said, "key `llama.block_count` is zero");
    let said = refused("llama.block_count", Value::U32(3));
    assert_eq!(said, "tensor `blk.2.attn_norm.weight` is missing");
    let said = refused("llama.attention.head_count_kv", Value::U32(3));
    assert!(said.contains("`llama.attention.head_count_kv` is 3"));
    let said = refused("general.alignment", Value::U32(33));
    assert!(said.contains("power of two"));
    let said = refused("tokenizer.chat_template", "{% if %}".into());
    assert!(said.contains("chat template"));

    let mut file = made::tiny(&Spec::default());
    file.tensors[1].name = "output_norm.bias".to_owned();
    assert_eq!(refusal(&file), "tensor `output_norm.weight` is missing");
    let mut file = made::tiny(&Spec::default());
    let mut more = file.tensors[1].clone();
    more.name = "blk.0.ffn_gate_exps.weight".to_owned();
    file.tensors.push(more);
    assert!(refusal(&file).contains("`blk.0.ffn_gate_exps.weight` is no part"));

    let bytes = made::tiny(&Spec::default()).bytes();
    let name = b"output_norm.weight";
    let at = bytes
        .windows(name.len())
        .position(|part| part == name)
        .unwrap();
    let mut changed = bytes;
    // After the name: the number of dimensions, one dimension, the type.
    changed[at + name.len() + 12] = 10;
    let said = Gguf::read(&changed).unwrap_err().to_string();
    assert!(
        said.contains("`output_norm.weight` is of the type Q2_K"),
        "{said}"
    );
}
