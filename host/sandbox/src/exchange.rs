//! What one run was asked and what it gave, in a form that can be kept and asked again.

use crate::wit::{
    embeddings, moderation, ranking,
    tensors::{self, Datatype},
    text,
    types::Parameter,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What a run was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// `tensors`.
    Infer {
        /// The tensors.
        inputs: Vec<KeptTensor>,
        /// The outputs that are wanted.
        outputs: Vec<String>,
        /// Free options.
        parameters: Vec<Parameter>,
    },
    /// `embeddings`.
    Embed {
        /// What is to be embedded.
        inputs: Vec<embeddings::Input>,
        /// Numbers of each vector, where the caller says.
        dimensions: Option<u32>,
    },
    /// `moderation`.
    Classify {
        /// What is to be judged.
        inputs: Vec<moderation::Input>,
    },
    /// `ranking`.
    Rank {
        /// What is asked.
        query: String,
        /// What may answer it.
        documents: Vec<String>,
    },
    /// `tokenizer`, from text to tokens.
    Encode {
        /// The text.
        text: String,
    },
    /// `tokenizer`, from tokens to texts.
    Decode {
        /// The tokens.
        tokens: Vec<u32>,
    },
    /// `text`.
    Generate(Box<text::Request>),
}

/// What a run gave: all of it, or a part of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// Tensors.
    Tensors {
        /// The tensors.
        outputs: Vec<KeptTensor>,
        /// Free options.
        parameters: Vec<Parameter>,
    },
    /// Vectors.
    Vectors(embeddings::Response),
    /// Judgements.
    Verdicts(Vec<moderation::Verdict>),
    /// Ranks.
    Scores(ranking::Response),
    /// Tokens of a text.
    Tokens(Vec<u32>),
    /// Texts of tokens.
    Texts(Vec<Vec<u8>>),
    /// What one call of the guest's `next` gave.
    Chunks(Vec<text::Chunk>),
    /// What the model says that a text has used.
    Usage(text::Usage),
}

impl Asked {
    /// The capability that was asked.
    #[must_use]
    pub const fn capability(&self) -> &'static str {
        match self {
            Self::Infer { .. } => "tensors",
            Self::Embed { .. } => "embeddings",
            Self::Classify { .. } => "moderation",
            Self::Rank { .. } => "ranking",
            Self::Encode { .. } | Self::Decode { .. } => "tokenizer",
            Self::Generate(_) => "text",
        }
    }
}

impl From<&tensors::Request> for Asked {
    fn from(request: &tensors::Request) -> Self {
        Self::Infer {
            inputs: request.inputs.iter().map(KeptTensor::from).collect(),
            outputs: request.outputs.clone(),
            parameters: request.parameters.clone(),
        }
    }
}

impl From<&tensors::Response> for Given {
    fn from(response: &tensors::Response) -> Self {
        Self::Tensors {
            outputs: response.outputs.iter().map(KeptTensor::from).collect(),
            parameters: response.parameters.clone(),
        }
    }
}

/// A tensor whose bytes are kept as bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTensor {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its elements; in base64 where people read it.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub data: Bytes,
}

impl From<&tensors::Tensor> for KeptTensor {
    fn from(tensor: &tensors::Tensor) -> Self {
        Self {
            name: tensor.name.clone(),
            datatype: tensor.datatype,
            shape: tensor.shape.clone(),
            data: Bytes::copy_from_slice(&tensor.data),
        }
    }
}

impl From<KeptTensor> for tensors::Tensor {
    fn from(tensor: KeptTensor) -> Self {
        Self {
            name: tensor.name,
            datatype: tensor.datatype,
            shape: tensor.shape,
            data: tensor.data.into(),
        }
    }
}

fn write_bytes<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if deserializer.is_human_readable() {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        Ok(bytes.into())
    } else {
        Bytes::deserialize(deserializer)
    }
}
