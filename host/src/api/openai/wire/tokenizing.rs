//! `POST /tokenize` and `POST /detokenize`: the requests and the answers, as vLLM has them.

use super::content::{self, Message};
use super::tools::{self, Tool};
use crate::api::check::at_most;
use crate::api::prompt::PromptSize;
use crate::http::error::ApiError;
use crate::inference::{DetokenizeCall, TokenizeCall, Tokenized};
use belljar_sandbox::wit::text::{Prompt, RawPrompt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tokens of one request.
const TOKENS_MAX: usize = 1 << 20;

/// A request for the tokens of a text or of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenizeRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    /// A text; either this or `messages`.
    prompt: Option<String>,
    /// A conversation.
    messages: Option<Vec<Message>>,
    tools: Option<Vec<Tool>>,
    /// Whether the conversation ends with what announces an answer. It does, unless this is false.
    add_generation_prompt: Option<bool>,
    /// Whether the texts of the tokens are wanted.
    return_token_strs: Option<bool>,
    /// Taken, and changes nothing here: the encodings have no marks around a text.
    #[expect(dead_code, reason = "only its type is checked")]
    add_special_tokens: Option<bool>,
}

/// The tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokenization {
    count: usize,
    /// The most tokens that the model has room for; null where that is not known.
    max_model_len: Option<u32>,
    tokens: Vec<u32>,
    /// What each token stands for; null where that is not wanted. Where one is a part of a
    /// character, it has marks in its place.
    token_strs: Option<Vec<String>>,
}

/// A request for the text of tokens.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetokenizeRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    tokens: Vec<u32>,
}

/// The text of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Detokenization {
    prompt: String,
}

impl TokenizeRequest {
    /// Checks every field. Also says whether the texts of the tokens are wanted.
    pub(crate) fn read(self) -> Result<(TokenizeCall, bool), ApiError> {
        let mut size = PromptSize::default();
        let prompt = match (self.prompt, self.messages) {
            (Some(text), None) => Prompt::Text(RawPrompt { text, suffix: None }),
            (None, Some(messages)) => Prompt::Messages(content::messages(messages)?.0),
            (Some(_), Some(_)) => {
                let message = "is only allowed without `prompt`";
                return Err(ApiError::invalid_argument("messages", message));
            }
            (None, None) => return Err(ApiError::missing_argument("prompt".to_owned())),
        };
        let (tools, _) = tools::tools(self.tools, None, &mut size)?;
        let call = TokenizeCall {
            model: self.model,
            prompt,
            tools,
            announces_answer: self.add_generation_prompt.unwrap_or(true),
        };
        Ok((call, self.return_token_strs.unwrap_or(false)))
    }
}

impl DetokenizeRequest {
    /// Checks every field.
    pub(crate) fn read(self) -> Result<DetokenizeCall, ApiError> {
        at_most("tokens", self.tokens.len(), TOKENS_MAX, "tokens")?;
        Ok(DetokenizeCall {
            model: self.model,
            tokens: self.tokens,
        })
    }
}

impl From<Tokenized> for Tokenization {
    fn from(tokenized: Tokenized) -> Self {
        let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Self {
            count: tokenized.tokens.len(),
            max_model_len: tokenized.context,
            tokens: tokenized.tokens,
            token_strs: tokenized
                .texts
                .map(|texts| texts.into_iter().map(text).collect()),
        }
    }
}

impl From<Vec<u8>> for Detokenization {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            prompt: String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }
}
