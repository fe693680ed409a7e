//! Bundles made in code: tiny models with random weights, and the files that sentence encoders have
//! beside them. The tests of the server take this file in as well; it needs the standard library
//! only.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses a part of it"
)]

#[allow(
    clippy::duplicate_mod,
    reason = "a program that makes models of several kinds takes it in once for each"
)]
#[path = "../../../made/random.rs"]
mod random;

use std::collections::BTreeMap;

pub(crate) use random::Random;

/// The files of a bundle, by their names.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) const WIDTH: usize = 64;
pub(crate) const INNER: usize = 96;
pub(crate) const LAYERS: usize = 2;
pub(crate) const HEADS: usize = 4;
pub(crate) const POSITIONS: usize = 48;
pub(crate) const TYPES: usize = 2;

/// Tokens by their numbers. The last rows of a model stand for none.
pub(crate) const TOKENS: [&str; 24] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "bell", "jar", "in", "##ing", "##s", "r",
    "##ing,", "thing", ".", "!", "'", "a", "\u{6771}", "\u{4eac}", "uni", "##code", "[", "]",
];
pub(crate) const ROWS: usize = 30;
pub(crate) const UNKNOWN: u32 = 1;
pub(crate) const FIRST: u32 = 2;
pub(crate) const LAST: u32 = 3;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) is_distil: bool,
    /// A cross-encoder.
    pub(crate) is_ranker: bool,
    /// Whether names have the prefix of the classes with a head.
    pub(crate) is_prefixed: bool,
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            is_distil: false,
            is_ranker: false,
            is_prefixed: false,
            kind: Kind::F32,
            seed: 1,
        }
    }
}

/// Types of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    F16,
    Bf16,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }
}

/// A tensor: its name, its type, its dimensions, and its elements as they are once stored.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) numbers: Vec<f32>,
}

/// What takes a tensor: its name, its shape, the size of its elements and their middle.
type Add<'a> = dyn FnMut(String, &[usize], f32, f32) + 'a;

/// The tensors of a model.
pub(crate) fn tensors(spec: &Spec) -> Vec<Tensor> {
    let mut random = Random(spec.seed);
    let prefix = match (spec.is_prefixed || spec.is_ranker, spec.is_distil) {
        (false, _) => "",
        (true, false) => "bert.",
        (true, true) => "distilbert.",
    };
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize], size: f32, middle: f32| {
        all.push(tensor(name, spec.kind, shape, size, middle, &mut random));
    };
    let linear = |add: &mut Add<'_>, name: String, rows, columns| {
        add(format!("{name}.weight"), &[rows, columns], 0.4, 0.0);
        add(format!("{name}.bias"), &[rows], 0.2, 0.0);
    };
    let norm = |add: &mut Add<'_>, name: String| {
        add(format!("{name}.weight"), &[WIDTH], 0.3, 1.0);
        add(format!("{name}.bias"), &[WIDTH], 0.2, 0.0);
    };
    let embeddings = format!("{prefix}embeddings");
    add(
        format!("{embeddings}.word_embeddings.weight"),
        &[ROWS, WIDTH],
        1.0,
        0.0,
    );
    add(
        format!("{embeddings}.position_embeddings.weight"),
        &[POSITIONS, WIDTH],
        0.5,
        0.0,
    );
    if !spec.is_distil {
        add(
            format!("{embeddings}.token_type_embeddings.weight"),
            &[TYPES, WIDTH],
            0.5,
            0.0,
        );
    }
    norm(&mut add, format!("{embeddings}.LayerNorm"));
    for index in 0..LAYERS {
        let names =
            names(spec.is_distil).map(|part| format!("{prefix}{}{index}.{part}", stem(spec)));
        let [query, key, value, output, attention, up, down, last] = names;
        for name in [query, key, value, output] {
            linear(&mut add, name, WIDTH, WIDTH);
        }
        norm(&mut add, attention);
        linear(&mut add, up, INNER, WIDTH);
        linear(&mut add, down, WIDTH, INNER);
        norm(&mut add, last);
    }
    if spec.is_ranker {
        let dense = if spec.is_distil {
            "pre_classifier"
        } else {
            "bert.pooler.dense"
        };
        linear(&mut add, dense.to_owned(), WIDTH, WIDTH);
        linear(&mut add, "classifier".to_owned(), 1, WIDTH);
    }
    all
}

/// What stands before the number of a layer.
pub(crate) fn stem(spec: &Spec) -> &'static str {
    if spec.is_distil {
        "transformer.layer."
    } else {
        "encoder.layer."
    }
}

/// The parts of a layer: query, key, value, output, norm, up, down, norm.
pub(crate) fn names(is_distil: bool) -> [&'static str; 8] {
    if is_distil {
        [
            "attention.q_lin",
            "attention.k_lin",
            "attention.v_lin",
            "attention.out_lin",
            "sa_layer_norm",
            "ffn.lin1",
            "ffn.lin2",
            "output_layer_norm",
        ]
    } else {
        [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "attention.output.LayerNorm",
            "intermediate.dense",
            "output.dense",
            "output.LayerNorm",
        ]
    }
}

fn tensor(
    name: String,
    kind: Kind,
    shape: &[usize],
    size: f32,
    middle: f32,
    random: &mut Random,
) -> Tensor {
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    for _ in 0..shape.iter().product() {
        let number = middle + random.number() * size;
        let number = match kind {
            Kind::F32 => {
                bytes.extend(number.to_le_bytes());
                number
            }
            Kind::Bf16 => {
                let [_, _, third, fourth] = number.to_le_bytes();
                bytes.extend([third, fourth]);
                f32::from_le_bytes([0, 0, third, fourth])
            }
            Kind::F16 => {
                // A step of the smallest normal binary16 divides every number here.
                let bits = number.to_bits();
                let exponent = (bits >> 23 & 0xff) as i32 - 112;
                let kept = if exponent > 0 { bits & !0x1fff } else { 0 };
                let half = (kept >> 16 & 0x8000) as u16
                    | if kept << 1 == 0 {
                        0
                    } else {
                        (exponent as u16) << 10 | (kept >> 13 & 0x3ff) as u16
                    };
                bytes.extend(half.to_le_bytes());
                f32::from_bits(kept)
            }
        };
        numbers.push(number);
    }
    Tensor {
        name,
        kind: kind.name().to_owned(),
        shape: shape.to_vec(),
        bytes,
        numbers,
    }
}

/// A safetensors file of tensors.
pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut at = 0;
    for tensor in tensors {
        let Tensor {
            name,
            kind,
            shape,
            bytes,
            ..
        } = tensor;
        let end = at + bytes.len();
        header.push_str(&format!(
            ",\"{name}\":{{\"dtype\":\"{kind}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}"
        ));
        at = end;
    }
    header.push('}');
    let data: Vec<u8> = tensors
        .iter()
        .flat_map(|tensor| tensor.bytes.clone())
        .collect();
    with_header(&header, &data)
}

/// A safetensors file of a header and what comes after it.
pub(crate) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// The configuration of a model.
pub(crate) fn config(spec: &Spec) -> String {
    let class = match (spec.is_distil, spec.is_ranker) {
        (false, false) => "BertModel",
        (false, true) => "BertForSequenceClassification",
        (true, false) => "DistilBertModel",
        (true, true) => "DistilBertForSequenceClassification",
    };
    let sizes = if spec.is_distil {
        format!(
            "\"model_type\":\"distilbert\",\"dim\":{WIDTH},\"hidden_dim\":{INNER},\
             \"n_layers\":{LAYERS},\"n_heads\":{HEADS},\"activation\":\"gelu\""
        )
    } else {
        format!(
            "\"model_type\":\"bert\",\"hidden_size\":{WIDTH},\"intermediate_size\":{INNER},\
             \"num_hidden_layers\":{LAYERS},\"num_attention_heads\":{HEADS},\
             \"hidden_act\":\"gelu\",\"type_vocab_size\":{TYPES},\"layer_norm_eps\":1e-12"
        )
    };
    format!(
        "{{\"architectures\":[\"{class}\"],{sizes},\"id2label\":{{\"0\":\"LABEL_0\"}},\
         \"max_position_embeddings\":{POSITIONS},\"vocab_size\":{ROWS}}}"
    )
}

/// The tokenizer of all models here.
pub(crate) fn tokenizer() -> String {
    let each = |list: &[&str], entry: &dyn Fn(usize, &str) -> String| {
        let entries = list.iter().enumerate().map(|(id, token)| entry(id, token));
        entries.collect::<Vec<_>>().join(",")
    };
    let vocabulary = each(&TOKENS, &|id, token| format!("\"{token}\":{id}"));
    let added = each(&TOKENS[..5], &|id, token| {
        format!("{{\"id\":{id},\"content\":\"{token}\",\"special\":true,\"normalized\":false}}")
    });
    let mark = |name: &str, kind: u32| {
        format!("{{\"SpecialToken\":{{\"id\":\"{name}\",\"type_id\":{kind}}}}}")
    };
    let text = |name: &str, kind: u32| {
        format!("{{\"Sequence\":{{\"id\":\"{name}\",\"type_id\":{kind}}}}}")
    };
    let single = [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)].join(",");
    let pair = [single.clone(), text("B", 1), mark("[SEP]", 1)].join(",");
    format!(
        "{{\"version\":\"1.0\",\"truncation\":{{\"max_length\":8}},\"padding\":null,\
         \"added_tokens\":[{added}],\
         \"normalizer\":{{\"type\":\"BertNormalizer\",\"clean_text\":true,\
         \"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true}},\
         \"pre_tokenizer\":{{\"type\":\"BertPreTokenizer\"}},\
         \"post_processor\":{{\"type\":\"TemplateProcessing\",\"single\":[{single}],\
         \"pair\":[{pair}],\"special_tokens\":{{\
         \"[CLS]\":{{\"id\":\"[CLS]\",\"ids\":[{FIRST}],\"tokens\":[\"[CLS]\"]}},\
         \"[SEP]\":{{\"id\":\"[SEP]\",\"ids\":[{LAST}],\"tokens\":[\"[SEP]\"]}}}}}},\
         \"decoder\":{{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}},\
         \"model\":{{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\
         \"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\
         \"vocab\":{{{vocabulary}}}}}}}"
    )
}

/// The three files that a bundle has to have.
pub(crate) fn tiny(spec: &Spec) -> Files {
    Files::from([
        ("model.safetensors".to_owned(), safetensors(&tensors(spec))),
        ("config.json".to_owned(), config(spec).into_bytes()),
        ("tokenizer.json".to_owned(), tokenizer().into_bytes()),
    ])
}

/// Puts a text in the place of another in a file.
pub(crate) fn change(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).unwrap();
    assert!(text.contains(from), "{name} does not have {from}");
    files.insert(name.to_owned(), text.replace(from, to).into_bytes());
}

/// Files that are wrong, each with a part of what is said of it.
pub(crate) fn hostile() -> Vec<(&'static str, Files, &'static str)> {
    let sound = || tiny(&Spec::default());
    let weights = |file: Vec<u8>| {
        let mut files = sound();
        files.insert("model.safetensors".to_owned(), file);
        files
    };
    let tokenizer_with = |from: &str, to: &str| {
        let mut files = sound();
        change(&mut files, "tokenizer.json", from, to);
        files
    };
    let header = |from: &str, to: &str| {
        let file = safetensors(&tensors(&Spec::default()));
        let (prefix, rest) = file.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*prefix) as usize);
        let header = std::str::from_utf8(header).unwrap();
        assert!(header.contains(from), "{from}");
        weights(with_header(&header.replacen(from, to, 1), data))
    };
    let whole = safetensors(&tensors(&Spec::default()));
    let first = "\"shape\":[30, 64],\"data_offsets\":[0,7680]";
    let mut deep = sound();
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    change(
        &mut deep,
        "tokenizer.json",
        "\"normalizer\":{",
        &format!("\"normalizer\":{nested},\"other\":{{"),
    );
    vec![
        (
            "cut",
            weights(whole[..whole.len() - 1].to_vec()),
            "and the file has",
        ),
        (
            "cut-early",
            weights(whole[..100].to_vec()),
            "ends within its header",
        ),
        ("empty", weights(Vec::new()), "ends within its header"),
        (
            "more",
            weights([whole.clone(), vec![0]].concat()),
            "belong to no tensor",
        ),
        (
            "long-header",
            weights([&(1u64 << 40).to_le_bytes()[..], b"{}"].concat()),
            "its header has 1099511627776 bytes",
        ),
        (
            "countless",
            header(
                first,
                "\"shape\":[1152921504606846976,1152921504606846976],\"data_offsets\":[0,7680]",
            ),
            "has more elements than can be counted",
        ),
        (
            "many",
            header(
                first,
                "\"shape\":[1152921504606846976],\"data_offsets\":[0,7680]",
            ),
            "by its shape, and lies from 0 to 7680",
        ),
        (
            "lying",
            header(first, "\"shape\":[30, 64],\"data_offsets\":[0,7676]"),
            "has 7680 bytes by its shape",
        ),
        (
            "overlapping",
            header(
                "\"data_offsets\":[7680,19968]",
                "\"data_offsets\":[7676,19964]",
            ),
            "overlaps with `embeddings.word_embeddings.weight`",
        ),
        (
            "other-type",
            header("\"dtype\":\"F32\"", "\"dtype\":\"I32\""),
            "is of the type I32, which is not supported",
        ),
        (
            "no-json",
            weights(with_header("{\"a\":", b"")),
            "the header is not what it should be",
        ),
        (
            "missing",
            header(
                "\"embeddings.LayerNorm.bias\"",
                "\"embeddings.LayerNorm.beta\"",
            ),
            "tensor `embeddings.LayerNorm.bias` is missing",
        ),
        (
            "deep",
            deep,
            "`normalizer` cannot be read: recursion limit exceeded",
        ),
        (
            "other-model",
            tokenizer_with(
                "\"model\":{\"type\":\"WordPiece\"",
                "\"model\":{\"type\":\"BPE\"",
            ),
            "`model.type` is `BPE`, which is not supported",
        ),
        (
            "other-normalizer",
            tokenizer_with("\"BertNormalizer\"", "\"Precompiled\""),
            "`normalizer.type` is `Precompiled`, which is not supported",
        ),
        (
            "high-number",
            tokenizer_with("\"##code\":21", "\"##code\":4000000000000"),
            "has the token `##code`, whose number 4000000000000 is not below the 30 of the model",
        ),
        (
            "same-number",
            tokenizer_with("\"##code\":21", "\"##code\":20"),
            "has the token `uni`, and another with its number 20",
        ),
        (
            "no-unknown",
            tokenizer_with("\"unk_token\":\"[UNK]\"", "\"unk_token\":\"<unk>\""),
            "`model.unk_token` is `<unk>`",
        ),
        (
            "no-vocabulary",
            tokenizer_with("\"vocab\":", "\"words\":"),
            "`model.vocab` is missing",
        ),
    ]
}
