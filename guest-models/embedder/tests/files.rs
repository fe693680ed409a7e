//! Files that lie, are cut off, or ask for what is not supported: each is refused with the name of
//! what is wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod made;

use belljar_guest::assets;
use embedder::runtime::Runtime;
use embedder::safetensors::{Safetensors, SafetensorsError, header_bytes};
use made::{Files, Spec};

fn refusal(files: &Files) -> String {
    // Assets belong to a thread, and each bundle has its own.
    let files = files.clone();
    let reading = std::thread::spawn(move || {
        for (name, bytes) in files {
            assets::provide(name, bytes);
        }
        Runtime::read().map(drop)
    });
    match reading.join().unwrap() {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_sound_bundle_is_read() {
    assert_eq!(refusal(&made::tiny(&Spec::default())), "");
}

#[test]
fn hostile_files_are_refused_by_name() {
    for (name, files, said) in made::hostile() {
        let found = refusal(&files);
        assert!(found.contains(said), "{name}: {found}");
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        let mut files = made::tiny(&Spec::default());
        files.remove(name);
        assert_eq!(
            refusal(&files),
            format!("asset `{name}` is missing in this bundle")
        );
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let with = |file: &str, from: &str, to: &str| {
        let mut files = made::tiny(&Spec::default());
        made::change(&mut files, file, from, to);
        refusal(&files)
    };
    let said = with("config.json", "\"bert\"", "\"xlm-roberta\"");
    assert_eq!(
        said,
        "asset `config.json`: `model_type` is `xlm-roberta`, which is not supported; \
         bert, distilbert are"
    );
    let said = with("config.json", "BertModel", "BertForTokenClassification");
    assert!(
        said.contains("`architectures` has `BertForTokenClassification`"),
        "{said}"
    );
    let said = with("config.json", "\"gelu\"", "\"silu\"");
    assert!(said.contains("`hidden_act` is `silu`"), "{said}");
    let said = with("config.json", "\"hidden_size\":64", "\"hidden_size\":66");
    assert!(
        said.contains("`num_attention_heads` is 4, which does not divide"),
        "{said}"
    );
    let said = with(
        "config.json",
        "\"num_hidden_layers\":2",
        "\"num_hidden_layers\":3",
    );
    assert!(
        said.contains("tensor `encoder.layer.2.attention.self.query.weight` is missing"),
        "{said}"
    );
    let said = with(
        "config.json",
        "\"num_hidden_layers\":2",
        "\"num_hidden_layers\":1",
    );
    assert!(
        said.contains("`encoder.layer.1.") && said.contains("is no part of"),
        "{said}"
    );
    let said = with("config.json", "\"vocab_size\":30", "\"vocab_size\":31");
    assert!(
        said.contains("has the shape [30, 64], and by the configuration it is [31, 64]"),
        "{said}"
    );
    let said = with("config.json", "\"vocab_size\":30", "\"vocab_size\":20");
    assert!(said.contains("is not below the 20 of the model"), "{said}");
    let said = with("config.json", "\"hidden_size\":64", "\"hidden_size\":1e30");
    assert!(
        said.contains("`hidden_size` is 1e+30, and should be from 1 to"),
        "{said}"
    );
    let said = with(
        "config.json",
        "{\"architectures\"",
        "{\"position_embedding_type\":\"relative_key\",\"architectures\"",
    );
    assert!(
        said.contains("`position_embedding_type` is `relative_key`"),
        "{said}"
    );
    let said = with("tokenizer.json", "BertPreTokenizer", "Metaspace");
    assert!(
        said.contains("`pre_tokenizer.type` is `Metaspace`"),
        "{said}"
    );
    let said = with("tokenizer.json", "\"TemplateProcessing\"", "\"ByteLevel\"");
    assert!(
        said.contains("`post_processor.type` is `ByteLevel`"),
        "{said}"
    );
    let said = with("tokenizer.json", "\"ids\":[3]", "\"ids\":[29]");
    assert!(
        said.contains("has the mark 29, which is no token"),
        "{said}"
    );
    let said = with("tokenizer.json", "\"special\":true", "\"special\":false");
    assert!(
        said.contains("`added_tokens.0` is `[PAD]`, which is no mark"),
        "{said}"
    );

    let ranker = Spec {
        is_ranker: true,
        ..Spec::default()
    };
    let mut files = made::tiny(&ranker);
    made::change(
        &mut files,
        "config.json",
        "\"0\":",
        "\"1\":\"other\",\"0\":",
    );
    assert!(refusal(&files).contains("`num_labels` is 2; a reranker has one label"));

    let beside = |name: &str, text: &str| {
        let mut files = made::tiny(&Spec::default());
        files.insert(name.to_owned(), text.into());
        refusal(&files)
    };
    let said = beside(
        "modules.json",
        "[{\"type\":\"sentence_transformers.models.Dense\"}]",
    );
    assert!(
        said.contains("`0.type` is `sentence_transformers.models.Dense`"),
        "{said}"
    );
    let said = beside(
        "1_Pooling/config.json",
        "{\"pooling_mode_max_tokens\":true}",
    );
    assert!(said.contains("`pooling_mode` is `max_tokens`"), "{said}");
    let said = beside(
        "1_Pooling/config.json",
        "{\"word_embedding_dimension\":384}",
    );
    assert!(said.contains("is 384, and the model has 64"), "{said}");
    let said = beside("sentence_bert_config.json", "{\"max_seq_length\":2}");
    assert!(
        said.contains("has room for 2 tokens, and the marks of a text alone are 2"),
        "{said}"
    );
    let said = beside("embedder.json", "{\"precision\":\"int4\"}");
    assert!(
        said.contains("`precision` should be \"f32\" or \"int8\""),
        "{said}"
    );
    let said = beside("embedder.json", "{\"quick\":true}");
    assert!(said.contains("`quick` is"), "{said}");
}

#[test]
fn a_tokenizer_of_any_length_is_refused_in_words() {
    let mut files = made::tiny(&Spec::default());
    files.insert("tokenizer.json".to_owned(), vec![b' '; (32 << 20) + 1]);
    let said = refusal(&files);
    assert!(
        said.contains("has 33554433 bytes; at most 33554432 are read"),
        "{said}"
    );
    // Millions of members that nobody asks for take no memory.
    let many = "\"a\":1,".repeat(1 << 20);
    let mut files = made::tiny(&Spec::default());
    made::change(
        &mut files,
        "tokenizer.json",
        "{\"version\"",
        &format!("{{{many}\"version\""),
    );
    assert_eq!(refusal(&files), "");
    let mut files = made::tiny(&Spec::default());
    let many: String = (0..=1 << 20).map(|id| format!("\"t{id}\":{id},")).collect();
    made::change(
        &mut files,
        "tokenizer.json",
        "\"vocab\":{",
        &format!("\"vocab\":{{{many}"),
    );
    let said = refusal(&files);
    assert!(
        said.contains("there are more than 1048576 tokens"),
        "{said}"
    );
}

#[test]
fn a_header_cut_off_anywhere_is_refused() {
    let file = made::safetensors(&made::tensors(&Spec::default()));
    let length = header_bytes(&file, file.len() as u64).unwrap() as usize;
    for cut in 0..length {
        assert!(
            Safetensors::read(&file[8..8 + cut], file.len() as u64).is_err(),
            "{cut}"
        );
    }
    assert!(Safetensors::read(&file[8..8 + length], file.len() as u64).is_ok());
    for cut in 0..8 {
        let error = header_bytes(&file[..cut], cut as u64).unwrap_err();
        assert!(matches!(error, SafetensorsError::Truncated { .. }));
    }
}

#[test]
fn a_header_with_any_byte_changed_is_read_or_refused() {
    let file = made::safetensors(&made::tensors(&Spec::default()));
    let length = header_bytes(&file, file.len() as u64).unwrap() as usize;
    let mut header = file[8..8 + length.min(3000)].to_vec();
    header.truncate(header.iter().rposition(|byte| *byte == b'}').unwrap() + 1);
    header.push(b'}');
    for at in 0..header.len() {
        for change in [0x01, 0x02, 0x10, 0x80] {
            header[at] ^= change;
            drop(Safetensors::read(&header, file.len() as u64));
            header[at] ^= change;
        }
    }
}

#[test]
fn numbers_that_lie_are_named() {
    let read = |entry: &str, bytes: u64| {
        let header = format!("{{\"x\":{entry}}}");
        let error = Safetensors::read(header.as_bytes(), 8 + header.len() as u64 + bytes);
        error.unwrap_err().to_string()
    };
    let said = read(
        "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[18446744073709551615,7]}",
        8,
    );
    assert_eq!(
        said,
        "tensor `x` has 8 bytes by its shape, and lies from 18446744073709551615 to 7"
    );
    let said = read(
        "{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[18446744073709551600,18446744073709551608]}",
        8,
    );
    assert_eq!(said, "tensor `x` lies past the end of any file");
    let said = read(
        "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}",
        7,
    );
    assert!(said.starts_with("tensor `x` ends at"), "{said}");
    let said = read(
        "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}",
        12,
    );
    assert!(said.starts_with("4 bytes from"), "{said}");
    let said = read("{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}", 1);
    assert_eq!(said, "tensor `x` is of the type F4, which is not known");
    let said = read(
        "{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}",
        1,
    );
    assert_eq!(said, "tensor `x` has 9 dimensions; at most 8 are read");
    let said = read(
        "{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}",
        1,
    );
    assert_eq!(said, "tensor `x` has no `shape` of whole numbers");
    let said = read("1,\"x\":2", 0);
    assert!(said.contains("tensor `x` is there twice"), "{said}");
}
