//! GGUF files made in code: tiny models with random weights, of every type and architecture. The
//! tests of the server take this file in as well; it needs the standard library only.
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

pub(crate) use random::Random;

/// A value of the metadata.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Thirty-two bits.
    U32(u32),
    /// Thirty-two bits.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(Vec<u8>),
    /// Several texts.
    Texts(Vec<Vec<u8>>),
    /// Several numbers of 32 bits.
    I32s(Vec<i32>),
    /// Several numbers of 32 bits.
    F32s(Vec<f32>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

/// A tensor: its name, its dimensions (the length of a row first), its type and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<u64>,
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// A file in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) keys: Vec<(String, Value)>,
    pub(crate) tensors: Vec<Tensor>,
}

const ALIGNMENT: usize = 32;

impl File {
    /// Adds a key, in place of one of that name.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.keys.retain(|(other, _)| other != name);
        self.keys.push((name.to_owned(), value.into()));
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (name, value) in &self.keys {
            text(&mut out, name.as_bytes());
            write(&mut out, value);
        }
        let mut offset = 0usize;
        for tensor in &self.tensors {
            text(&mut out, tensor.name.as_bytes());
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            for size in &tensor.dimensions {
                out.extend(size.to_le_bytes());
            }
            out.extend((tensor.kind as u32).to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.bytes.len()).next_multiple_of(ALIGNMENT);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            out.extend(&tensor.bytes);
        }
        out
    }
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}

fn write(out: &mut Vec<u8>, value: &Value) {
    let mut kind = |number: u32| out.extend(number.to_le_bytes());
    match value {
        Value::U32(number) => {
            kind(4);
            out.extend(number.to_le_bytes());
        }
        Value::F32(number) => {
            kind(6);
            out.extend(number.to_le_bytes());
        }
        Value::Bool(value) => {
            kind(7);
            out.push(u8::from(*value));
        }
        Value::Text(bytes) => {
            kind(8);
            text(out, bytes);
        }
        Value::Texts(texts) => {
            kind(9);
            kind(8);
            out.extend((texts.len() as u64).to_le_bytes());
            for bytes in texts {
                text(out, bytes);
            }
        }
        Value::I32s(numbers) => {
            kind(9);
            kind(5);
            out.extend((numbers.len() as u64).to_le_bytes());
            numbers
                .iter()
                .for_each(|number| out.extend(number.to_le_bytes()));
        }
        Value::F32s(numbers) => {
            kind(9);
            kind(6);
            out.extend((numbers.len() as u64).to_le_bytes());
            numbers
                .iter()
                .for_each(|number| out.extend(number.to_le_bytes()));
        }
    }
}

/// Types of tensors, as GGUF numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q4K = 12,
    Q5K = 13,
    Q6K = 14,
    Bf16 = 30,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Elements and bytes of a block.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    /// Where the scales of a block are, and how large a scale makes elements of about a tenth.
    fn scales(self) -> &'static [(usize, f32)] {
        match self {
            Self::Q4_0 => &[(0, 0.015)],
            Self::Q4_1 => &[(0, 0.015), (2, -0.11)],
            Self::Q5_0 => &[(0, 0.008)],
            Self::Q5_1 => &[(0, 0.008), (2, -0.12)],
            Self::Q8_0 => &[(0, 0.001)],
            Self::Q4K => &[(0, 0.0005), (2, 0.003)],
            Self::Q5K => &[(0, 0.00025), (2, 0.003)],
            Self::Q6K => &[(208, 0.00006)],
            Self::F32 | Self::F16 | Self::Bf16 => &[],
        }
    }
}

/// A binary16 near a number that is not too small for one to be exact.
fn half(number: f32) -> u16 {
    let bits = number.to_bits();
    let exponent = (bits >> 23 & 0xff) as i32 - 112;
    let sign = (bits >> 16 & 0x8000) as u16;
    if exponent <= 0 {
        return sign | (number.abs() * 16_777_216.0) as u16;
    }
    sign | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16
}

/// A tensor of random elements from about -`size` to `size`.
pub(crate) fn tensor(
    name: &str,
    rows: usize,
    columns: usize,
    kind: Kind,
    size: f32,
    random: &mut Random,
) -> Tensor {
    let (elements, block_bytes) = kind.block();
    let mut bytes = Vec::new();
    for _ in 0..rows * columns / elements {
        match kind {
            Kind::F32 => bytes.extend((random.number() * size).to_le_bytes()),
            Kind::F16 => bytes.extend(half(random.number() * size).to_le_bytes()),
            Kind::Bf16 => bytes.extend(&(random.number() * size).to_le_bytes()[2..]),
            _ => {
                let start = bytes.len();
                bytes.extend((0..block_bytes).map(|_| random.bits() as u8));
                for &(at, scale) in kind.scales() {
                    let scale = half(scale * size * 10.0);
                    bytes[start + at..start + at + 2].copy_from_slice(&scale.to_le_bytes());
                }
            }
        }
    }
    let dimensions = if rows == 1 {
        vec![columns as u64]
    } else {
        vec![columns as u64, rows as u64]
    };
    Tensor {
        name: name.to_owned(),
        dimensions,
        kind,
        bytes,
    }
}

/// What a tiny model is like.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) architecture: &'static str,
    pub(crate) kind: Kind,
    pub(crate) layers: usize,
    pub(crate) is_tied: bool,
    pub(crate) seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            architecture: "llama",
            kind: Kind::F32,
            layers: 2,
            is_tied: true,
            seed: 1,
        }
    }
}

pub(crate) const WIDTH: usize = 256;
pub(crate) const INNER: usize = 512;
pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const HEAD: usize = 64;
pub(crate) const CONTEXT: usize = 4096;

/// A tiny model with random weights, whose tokens are bytes, a few pairs of them, and marks.
pub(crate) fn tiny(spec: &Spec) -> File {
    let mut file = File::default();
    let mut random = Random(spec.seed);
    let name = spec.architecture;
    file.set("general.architecture", name);
    for (key, number) in [
        ("block_count", spec.layers),
        ("context_length", CONTEXT),
        ("embedding_length", WIDTH),
        ("feed_forward_length", INNER),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KV_HEADS),
        ("rope.dimension_count", HEAD),
    ] {
        file.set(&format!("{name}.{key}"), Value::U32(number as u32));
    }
    file.set(&format!("{name}.rope.freq_base"), Value::F32(10_000.0));
    file.set(
        &format!("{name}.attention.layer_norm_rms_epsilon"),
        Value::F32(1e-5),
    );
    let vocabulary = byte_tokens(&mut file);

    let mut add = |name: &str, rows: usize, columns: usize, kind: Kind, size: f32| {
        let tensor = tensor(name, rows, columns, kind, size, &mut random);
        file.tensors.push(tensor);
    };
    add("token_embd.weight", vocabulary, WIDTH, spec.kind, 1.0);
    if !spec.is_tied {
        add("output.weight", vocabulary, WIDTH, spec.kind, 0.3);
    }
    add("output_norm.weight", 1, WIDTH, Kind::F32, 1.0);
    for layer in 0..spec.layers {
        let mut add = |part: &str, rows: usize, columns: usize, kind: Kind| {
            add(&format!("blk.{layer}.{part}"), rows, columns, kind, 0.1);
        };
        add("attn_norm.weight", 1, WIDTH, Kind::F32);
        add("attn_q.weight", HEADS * HEAD, WIDTH, spec.kind);
        add("attn_k.weight", KV_HEADS * HEAD, WIDTH, spec.kind);
        add("attn_v.weight", KV_HEADS * HEAD, WIDTH, spec.kind);
        add("attn_output.weight", WIDTH, HEADS * HEAD, spec.kind);
        add("ffn_norm.weight", 1, WIDTH, Kind::F32);
        add("ffn_gate.weight", INNER, WIDTH, spec.kind);
        add("ffn_up.weight", INNER, WIDTH, spec.kind);
        add("ffn_down.weight", WIDTH, INNER, spec.kind);
        match name {
            "qwen2" => {
                add("attn_q.bias", 1, HEADS * HEAD, Kind::F32);
                add("attn_k.bias", 1, KV_HEADS * HEAD, Kind::F32);
                add("attn_v.bias", 1, KV_HEADS * HEAD, Kind::F32);
            }
            "qwen3" => {
                add("attn_q_norm.weight", 1, HEAD, Kind::F32);
                add("attn_k_norm.weight", 1, HEAD, Kind::F32);
            }
            _ => {}
        }
    }
    file
}

/// Writes a vocabulary of 256 bytes, four pairs and three marks; how many tokens those are.
fn byte_tokens(file: &mut File) -> usize {
    let spelled = |byte: u8| -> String {
        let is_shown = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let hidden = (0..byte).filter(|b| !matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff));
        let code = if is_shown {
            u32::from(byte)
        } else {
            0x100 + hidden.count() as u32
        };
        char::from_u32(code).unwrap().to_string()
    };
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| spelled(byte).into_bytes()).collect();
    let pairs = ["t h", "th e", "\u{120} the", "i n"];
    tokens.extend(pairs.iter().map(|pair| pair.replace(' ', "").into_bytes()));
    let mut kinds = vec![1; tokens.len()];
    let first_mark = tokens.len() as u32;
    for mark in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] {
        tokens.push(mark.as_bytes().to_vec());
        kinds.push(3);
    }
    let count = tokens.len();
    file.set("tokenizer.ggml.model", "gpt2");
    file.set("tokenizer.ggml.pre", "smollm");
    file.set("tokenizer.ggml.tokens", Value::Texts(tokens));
    file.set("tokenizer.ggml.token_type", Value::I32s(kinds));
    file.set(
        "tokenizer.ggml.merges",
        Value::Texts(pairs.iter().map(|pair| pair.as_bytes().to_vec()).collect()),
    );
    file.set("tokenizer.ggml.bos_token_id", Value::U32(first_mark));
    file.set("tokenizer.ggml.eos_token_id", Value::U32(first_mark + 2));
    file.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    count
}
