//! What a model of this family is made of, by the metadata of its file.

use crate::gguf::{Gguf, GgufError, Value};

/// Architectures, by the name in `general.architecture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama and those that are the same but for their sizes, Mistral and SmolLM2 among them.
    Llama,
    /// Qwen 2 and 2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen 3: queries and keys are normalised.
    Qwen3,
    /// SmolLM 3: each fourth layer has no positions.
    SmolLm3,
}

impl Architecture {
    const ALL: [(&'static str, Self); 4] = [
        ("llama", Self::Llama),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
        ("smollm3", Self::SmolLm3),
    ];

    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, found)| found)
    }
}

/// Which two elements of a head are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// Each with its neighbour.
    Interleaved,
    /// Each with the one half of the turned elements further.
    Halves,
}

/// Sizes and constants of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The name of its architecture.
    pub architecture: Architecture,
    /// How many layers it has.
    pub layers: usize,
    /// How many elements stand for a token between layers.
    pub width: usize,
    /// How many elements a layer is wide inside.
    pub inner_width: usize,
    /// How many heads ask.
    pub heads: usize,
    /// How many heads answer; each does for as many of those that ask.
    pub kv_heads: usize,
    /// How many elements a head has.
    pub head: usize,
    /// How many elements of a head are turned by the position.
    pub rope: usize,
    /// What the slowest turn is the inverse of, nearly.
    pub rope_base: f64,
    /// What positions are divided by.
    pub rope_divisor: f64,
    /// Which elements are turned together.
    pub pairs: Pairs,
    /// What is added to a mean square before its root.
    pub epsilon: f32,
    /// How many tokens it can see.
    pub context: usize,
}

/// Bounds that no model in use comes near, so that no product of sizes overflows.
const LAYERS_MAX: usize = 512;
const WIDTH_MAX: usize = 1 << 17;
const HEADS_MAX: usize = 1024;
const CONTEXT_MAX: usize = 1 << 24;

impl Shape {
    /// Reads the metadata.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] for a key that is missing, out of bounds, or asks for what is not
    /// supported.
    pub fn read(file: &Gguf<'_>) -> Result<Self, GgufError> {
        const ARCHITECTURE: &str = "general.architecture";
        let name = file
            .text(ARCHITECTURE)?
            .ok_or_else(|| GgufError::key(ARCHITECTURE, "is missing"))?;
        let architecture = Architecture::named(name).ok_or_else(|| {
            let names = Architecture::ALL.map(|(name, _)| name).join(", ");
            GgufError::key(
                ARCHITECTURE,
                format!("is `{name}`, which is not supported; these are: {names}"),
            )
        })?;
        let keys = Keys { file, name };
        keys.refuse_others()?;

        let layers = keys.size("block_count", LAYERS_MAX)?;
        let width = keys.size("embedding_length", WIDTH_MAX)?;
        let inner_width = keys.size("feed_forward_length", WIDTH_MAX)?;
        let heads = keys.size("attention.head_count", HEADS_MAX)?;
        let kv_heads = keys
            .optional_size("attention.head_count_kv", HEADS_MAX)?
            .unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            return Err(keys.wrong(
                "attention.head_count_kv",
                format!("is {kv_heads}, and {heads} heads cannot share as many"),
            ));
        }
        let head = match keys.optional_size("attention.key_length", WIDTH_MAX)? {
            Some(head) => head,
            None if width.is_multiple_of(heads) => width / heads,
            None => {
                return Err(keys.wrong(
                    "attention.head_count",
                    format!("is {heads}, which does not divide the width of {width}"),
                ));
            }
        };
        let values = keys.optional_size("attention.value_length", WIDTH_MAX)?;
        if values.is_some_and(|values| values != head) {
            return Err(keys.wrong(
                "attention.value_length",
                "differs from that of keys, which is not supported",
            ));
        }
        let rope = keys
            .optional_size("rope.dimension_count", WIDTH_MAX)?
            .unwrap_or(head);
        if rope > head || !rope.is_multiple_of(2) {
            return Err(keys.wrong(
                "rope.dimension_count",
                format!("is {rope}, and should be even and at most {head}"),
            ));
        }
        let epsilon = keys
            .number("attention.layer_norm_rms_epsilon")?
            .unwrap_or(1e-5);
        let rope_base = keys.number("rope.freq_base")?.unwrap_or(10_000.0);
        if rope_base <= 0.0 || epsilon < 0.0 {
            return Err(keys.wrong("rope.freq_base", "should be above zero"));
        }
        Ok(Self {
            architecture,
            layers,
            width,
            inner_width,
            heads,
            kv_heads,
            head,
            rope,
            rope_base,
            rope_divisor: keys.rope_divisor()?,
            pairs: match architecture {
                Architecture::Llama | Architecture::SmolLm3 => Pairs::Interleaved,
                Architecture::Qwen2 | Architecture::Qwen3 => Pairs::Halves,
            },
            epsilon: epsilon as f32,
            context: keys.size("context_length", CONTEXT_MAX)?,
        })
    }

    /// Whether the positions of tokens count in a layer.
    pub fn turns(&self, layer: usize) -> bool {
        self.architecture != Architecture::SmolLm3 || !(layer + 1).is_multiple_of(4)
    }

    /// How many elements all heads that ask have together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head
    }

    /// How many elements all heads that answer have together.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head
    }
}

/// The keys of an architecture.
struct Keys<'a> {
    file: &'a Gguf<'a>,
    name: &'a str,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn wrong(&self, key: &str, problem: impl Into<String>) -> GgufError {
        GgufError::key(self.full(key), problem)
    }

    fn optional_size(&self, key: &str, max: usize) -> Result<Option<usize>, GgufError> {
        let found = self.file.integer(&self.full(key), max)?;
        if found == Some(0) {
            return Err(self.wrong(key, "is zero"));
        }
        Ok(found)
    }

    fn size(&self, key: &str, max: usize) -> Result<usize, GgufError> {
        self.optional_size(key, max)?
            .ok_or_else(|| self.wrong(key, "is missing"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.file.number(&self.full(key))
    }

    /// Refuses what would change every answer and is not computed here.
    fn refuse_others(&self) -> Result<(), GgufError> {
        for key in ["expert_count", "attention.sliding_window", "logit_scale"] {
            let found = self.file.value(&self.full(key));
            let is_none = match found {
                None => true,
                Some(Value::Integer(number)) => number == 0,
                Some(Value::Number(number)) => number == 0.0,
                Some(_) => false,
            };
            if !is_none {
                return Err(self.wrong(key, "is set, which is not supported"));
            }
        }
        Ok(())
    }

    fn rope_divisor(&self) -> Result<f64, GgufError> {
        const TYPE: &str = "rope.scaling.type";
        const FACTOR: &str = "rope.scaling.factor";
        match self.file.text(&self.full(TYPE))? {
            None | Some("none") => Ok(1.0),
            Some("linear") => match self.number(FACTOR)? {
                Some(factor) if factor > 0.0 => Ok(factor),
                _ => Err(self.wrong(FACTOR, "should be above zero")),
            },
            Some(other) => Err(self.wrong(
                TYPE,
                format!("is `{other}`, which is not supported; `none` and `linear` are"),
            )),
        }
    }
}
