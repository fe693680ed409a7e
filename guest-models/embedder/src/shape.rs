//! The sizes and constants of a model, by its `config.json`.

use crate::error::LoadError;
use crate::json::{Object, small_file};

/// The file that says them.
pub const FILE: &str = "config.json";

const WIDTH_MAX: usize = 1 << 14;
const LAYERS_MAX: usize = 256;
const POSITIONS_MAX: usize = 1 << 16;
const TYPES_MAX: usize = 64;
/// The most tokens that a vocabulary may have.
pub const VOCABULARY_MAX: usize = 1 << 20;

/// The sizes and constants of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Which names its tensors have.
    pub architecture: Architecture,
    /// What it answers.
    pub head: Head,
    /// Elements of what stands for a token between layers.
    pub width: usize,
    /// Elements within a layer.
    pub inner_width: usize,
    /// How many layers there are.
    pub layers: usize,
    /// Heads of a layer, each of `width / heads` elements.
    pub heads: usize,
    /// How many tokens there are.
    pub vocabulary: usize,
    /// The most tokens of a text.
    pub positions: usize,
    /// Which parts of a text are told apart; none where they are not.
    pub types: usize,
    /// What is between the two matrices of a layer.
    pub activation: Activation,
    /// What normalisations add to the variance.
    pub epsilon: f32,
}

/// Which names the tensors of a model have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Devlin et al., 2018.
    Bert,
    /// Sanh et al., 2019.
    DistilBert,
}

/// What a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A vector for each text.
    Vectors,
    /// How well two texts fit each other, as a number of any size.
    Logit,
    /// How well two texts fit each other, from 0 to 1.
    Probability,
}

/// A function between the two matrices of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// By the error function.
    Gelu,
    /// By a hyperbolic tangent.
    GeluTanh,
    /// Nothing below zero.
    Relu,
}

impl Shape {
    /// Reads the sizes of a bundle's model.
    ///
    /// # Errors
    ///
    /// [`LoadError`], with the name of what is wrong or not supported.
    pub fn read() -> Result<Self, LoadError> {
        let value =
            small_file(FILE)?.ok_or_else(|| LoadError::file(FILE, "is missing in this bundle"))?;
        Self::of(Object {
            file: FILE,
            value: &value,
        })
    }

    fn of(config: Object<'_>) -> Result<Self, LoadError> {
        let architecture = match config.text("model_type")? {
            Some("bert") => Architecture::Bert,
            Some("distilbert") => Architecture::DistilBert,
            Some(other) => {
                let problem = format!("is `{other}`, which is not supported; bert, distilbert are");
                return Err(config.wrong("model_type", problem));
            }
            None => return Err(config.wrong("model_type", "is missing")),
        };
        for (name, wanted) in [("position_embedding_type", "absolute")] {
            match config.text(name)? {
                None => {}
                Some(found) if found == wanted => {}
                Some(other) => {
                    let problem = format!("is `{other}`, which is not supported; `{wanted}` is");
                    return Err(config.wrong(name, problem));
                }
            }
        }
        for name in ["is_decoder", "add_cross_attention", "sinusoidal_pos_embds"] {
            if config.flag(name)? {
                return Err(config.wrong(name, "is set, which is not supported"));
            }
        }
        let names = Names::of(architecture);
        let width = config.size(names.width, WIDTH_MAX)?;
        let heads = config.size(names.heads, WIDTH_MAX)?;
        if !width.is_multiple_of(heads) {
            let problem = format!("is {heads}, which does not divide the width of {width}");
            return Err(config.wrong(names.heads, problem));
        }
        let types = match architecture {
            Architecture::Bert => config.optional_size("type_vocab_size", 0, TYPES_MAX)?,
            Architecture::DistilBert => None,
        };
        Ok(Self {
            architecture,
            head: head(config)?,
            width,
            inner_width: config.size(names.inner_width, WIDTH_MAX)?,
            layers: config.size(names.layers, LAYERS_MAX)?,
            heads,
            vocabulary: config.size("vocab_size", VOCABULARY_MAX)?,
            positions: config.size("max_position_embeddings", POSITIONS_MAX)?,
            types: types.unwrap_or(match architecture {
                Architecture::Bert => 2,
                Architecture::DistilBert => 0,
            }),
            activation: activation(config, names.activation)?,
            epsilon: config.number("layer_norm_eps")?.unwrap_or(1e-12) as f32,
        })
    }

    /// Elements of a head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }
}

/// What the members of the file are called.
struct Names {
    width: &'static str,
    inner_width: &'static str,
    layers: &'static str,
    heads: &'static str,
    activation: &'static str,
}

impl Names {
    fn of(architecture: Architecture) -> Self {
        match architecture {
            Architecture::Bert => Self {
                width: "hidden_size",
                inner_width: "intermediate_size",
                layers: "num_hidden_layers",
                heads: "num_attention_heads",
                activation: "hidden_act",
            },
            Architecture::DistilBert => Self {
                width: "dim",
                inner_width: "hidden_dim",
                layers: "n_layers",
                heads: "n_heads",
                activation: "activation",
            },
        }
    }
}

fn activation(config: Object<'_>, name: &str) -> Result<Activation, LoadError> {
    match config.text(name)? {
        None | Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
        Some("relu") => Ok(Activation::Relu),
        Some(other) => Err(config.wrong(
            name,
            format!(
                "is `{other}`, which is not supported; gelu, gelu_new, gelu_pytorch_tanh, relu are"
            ),
        )),
    }
}

/// What a model answers, by the class that it was saved from.
fn head(config: Object<'_>) -> Result<Head, LoadError> {
    const NAME: &str = "architectures";
    let class = config
        .value(NAME)
        .and_then(|list| list.get(0))
        .and_then(|class| class.as_str())
        .unwrap_or("BertModel");
    match class {
        "BertModel"
        | "BertForMaskedLM"
        | "BertForPreTraining"
        | "DistilBertModel"
        | "DistilBertForMaskedLM" => Ok(Head::Vectors),
        "BertForSequenceClassification" | "DistilBertForSequenceClassification" => {
            let labels = labels(config)?;
            if labels != 1 {
                return Err(config.wrong(
                    "num_labels",
                    format!("is {labels}; a reranker has one label"),
                ));
            }
            Ok(if is_logit(config) {
                Head::Logit
            } else {
                Head::Probability
            })
        }
        other => Err(config.wrong(NAME, format!("has `{other}`, which is not supported"))),
    }
}

/// How many labels a model tells apart. Two, unless the file says it.
fn labels(config: Object<'_>) -> Result<usize, LoadError> {
    if let Some(labels) = config.optional_size("num_labels", 1, VOCABULARY_MAX)? {
        return Ok(labels);
    }
    let names = config.value("id2label").and_then(|names| names.as_object());
    Ok(names.map_or(2, |names| names.len()))
}

/// Whether the numbers of a cross-encoder are meant as they are. Without a word of it they go
/// through a sigmoid, as in the library that they are trained with.
fn is_logit(config: Object<'_>) -> bool {
    let new = config
        .value("sentence_transformers")
        .and_then(|settings| settings.get("activation_fn"));
    let old = config.value("sbert_ce_default_activation_function");
    let name = new.or(old).and_then(|name| name.as_str());
    name.is_some_and(|name| name.ends_with("Identity"))
}
