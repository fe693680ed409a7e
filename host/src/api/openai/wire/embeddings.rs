//! `POST /v1/embeddings`: the request and the answer.

use super::chat::marks;
use super::members::NamesModel;
use crate::api::check::at_most;
use crate::http::error::ApiError;
use crate::http::json::write_string;
use crate::inference::{Embedded, EmbeddingCall};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar_sandbox::wit::embeddings::Input;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use std::fmt;
use utoipa::ToSchema;

/// Inputs of one request.
const INPUTS_MAX: usize = 2_048;
/// Numbers of one vector that a caller may ask for.
const DIMENSIONS_MAX: u32 = 65_536;

/// A request for vectors.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddingsRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    /// A string, a list of strings, a list of token ids, or a list of such lists.
    #[schema(value_type = EmbeddingInput)]
    input: Inputs,
    /// `float` or `base64`.
    encoding_format: Option<String>,
    /// How long the vectors are to be.
    #[schema(minimum = 1, maximum = 65536)]
    dimensions: Option<u32>,
    /// Taken, and changes nothing here.
    user: Option<String>,
}

/// The inputs, as they are described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum EmbeddingInput {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

/// Vectors, as they are described; they are written by hand.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct EmbeddingList {
    /// `list`.
    object: String,
    data: Vec<EmbeddingView>,
    model: String,
    usage: EmbeddingUsage,
}

#[derive(ToSchema)]
#[schema(as = Embedding)]
#[expect(dead_code, reason = "only its description is used")]
struct EmbeddingView {
    /// `embedding`.
    object: String,
    index: u32,
    embedding: EmbeddingVector,
}

/// Numbers, or their bytes in base64.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum EmbeddingVector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct EmbeddingUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VectorStyle {
    /// Lists of numbers.
    Floats,
    /// The bytes of little-endian numbers of four bytes, in base64.
    Base64,
}

impl NamesModel for EmbeddingsRequest {
    fn name_model(&mut self, model: String) {
        self.model = model;
    }
}

/// The vectors of well-known models: how long they are, and whether they can be shorter.
const WELL_KNOWN: [(&str, u32, bool); 3] = [
    ("text-embedding-3-large", 3_072, true),
    ("text-embedding-3-small", 1_536, true),
    ("text-embedding-ada-002", 1_536, false),
];

impl EmbeddingsRequest {
    /// Asks for vectors as long as those of the model whose name a stand-in answers to.
    pub(crate) fn standing_in(mut self) -> Result<Self, ApiError> {
        let known = WELL_KNOWN.iter().find(|(name, ..)| *name == self.model);
        let Some(&(_, usual, may_be_shorter)) = known else {
            return Ok(self);
        };
        let wrong = |message| Err(ApiError::invalid_argument("dimensions", message));
        match self.dimensions {
            None => self.dimensions = Some(usual),
            Some(_) if !may_be_shorter => {
                return wrong("this model does not support specifying dimensions".to_owned());
            }
            Some(asked) if asked > usual => {
                return wrong(format!("expected a number from 1 to {usual}"));
            }
            Some(_) => {}
        }
        Ok(self)
    }

    /// Checks every field.
    pub(crate) fn read(self) -> Result<(EmbeddingCall, VectorStyle), ApiError> {
        let Self {
            input: Inputs { inputs, is_list },
            encoding_format,
            dimensions,
            user,
            model,
        } = self;
        let style = match encoding_format.as_deref() {
            None | Some("float") => VectorStyle::Floats,
            Some("base64") => VectorStyle::Base64,
            Some(_) => {
                return Err(ApiError::invalid_argument(
                    "encoding_format",
                    "expected `float` or `base64`",
                ));
            }
        };
        if let Some(dimensions) = dimensions
            && !(1..=DIMENSIONS_MAX).contains(&dimensions)
        {
            let message = format!("expected a number from 1 to {DIMENSIONS_MAX}");
            return Err(ApiError::invalid_argument("dimensions", message));
        }
        if inputs.is_empty() {
            return Err(ApiError::invalid_argument(
                "input",
                "expected at least one input",
            ));
        }
        at_most("input", inputs.len(), INPUTS_MAX, "inputs")?;
        let mut prompt_tokens_max = 0_u32;
        for (index, input) in inputs.iter().enumerate() {
            let length = match input {
                Input::Text(text) => text.len(),
                Input::Tokens(tokens) => tokens.len(),
            };
            if length == 0 {
                let place = if is_list {
                    format!("input[{index}]")
                } else {
                    "input".to_owned()
                };
                return Err(ApiError::invalid_argument(place, "is empty"));
            }
            // Besides a token a byte, models add marks of their own to each input.
            let most = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(8);
            prompt_tokens_max = prompt_tokens_max.saturating_add(most);
        }
        let call = EmbeddingCall {
            model,
            inputs,
            dimensions,
            prompt_tokens_max,
            // By the four bytes that a token has on average.
            prompt_tokens_estimate: prompt_tokens_max.div_ceil(4),
            marks: marks(None, [("user", user)]),
        };
        Ok((call, style))
    }
}

/// The inputs, in whichever of the four shapes they came.
#[derive(Debug)]
struct Inputs {
    inputs: Vec<Input>,
    is_list: bool,
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a string, a list of strings, a list of token ids, or a list of lists of token ids",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Inputs, E> {
        Ok(Inputs {
            inputs: vec![Input::Text(text.to_owned())],
            is_list: false,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inputs, A::Error> {
        let mut inputs = Vec::new();
        let mut tokens: Option<Vec<u32>> = None;
        let mixed = || de::Error::custom("expected inputs of one kind");
        while let Some(item) = seq.next_element::<Item>()? {
            match item {
                Item::Token(token) if inputs.is_empty() => {
                    tokens.get_or_insert_default().push(token)
                }
                Item::Input(input) if tokens.is_none() => {
                    inputs.push(input);
                    // One more than allowed is enough to refuse the list.
                    if inputs.len() > INPUTS_MAX {
                        return Err(de::Error::custom("expected at most 2048 inputs"));
                    }
                }
                Item::Token(_) | Item::Input(_) => return Err(mixed()),
            }
        }
        Ok(match tokens {
            Some(tokens) => Inputs {
                inputs: vec![Input::Tokens(tokens)],
                is_list: false,
            },
            None => Inputs {
                inputs,
                is_list: true,
            },
        })
    }
}

/// One element of the list: a token id, a string or a list of token ids.
enum Item {
    Token(u32),
    Input(Input),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a token id or a list of token ids")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Input(Input::Text(text.to_owned())))
            }

            fn visit_u64<E: de::Error>(self, token: u64) -> Result<Item, E> {
                u32::try_from(token)
                    .map(Item::Token)
                    .map_err(|_| E::custom("is too large for a token id"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = seq.next_element::<u32>()? {
                    tokens.push(token);
                }
                Ok(Item::Input(Input::Tokens(tokens)))
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

/// Writes the answer. Vectors are the bulk of it, so they are written by hand.
pub(crate) fn write_embeddings(model: &str, embedded: &Embedded, style: VectorStyle) -> Vec<u8> {
    let Embedded {
        vectors,
        prompt_tokens,
    } = embedded;
    let numbers = vectors.iter().map(Vec::len).sum::<usize>();
    // Bytes of one number as it is usually written.
    let each = match style {
        VectorStyle::Base64 => 6,
        VectorStyle::Floats => 13,
    };
    let mut out = Vec::with_capacity(256 + numbers.saturating_mul(each));
    out.extend_from_slice(br#"{"object":"list","data":["#);
    let mut integer = itoa::Buffer::new();
    let mut float = zmij::Buffer::new();
    for (index, vector) in vectors.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"object":"embedding","index":"#);
        out.extend_from_slice(integer.format(index).as_bytes());
        out.extend_from_slice(br#","embedding":"#);
        if style == VectorStyle::Base64 {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        } else {
            out.push(b'[');
            for (index, number) in vector.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                // The sandbox has refused vectors with NaN or infinity in them.
                out.extend_from_slice(float.format_finite(*number).as_bytes());
            }
            out.push(b']');
        }
        out.push(b'}');
    }
    out.extend_from_slice(br#"],"model":"#);
    write_string(&mut out, model);
    out.extend_from_slice(br#","usage":{"prompt_tokens":"#);
    out.extend_from_slice(integer.format(*prompt_tokens).as_bytes());
    out.extend_from_slice(br#","total_tokens":"#);
    out.extend_from_slice(integer.format(*prompt_tokens).as_bytes());
    out.extend_from_slice(b"}}");
    out
}
