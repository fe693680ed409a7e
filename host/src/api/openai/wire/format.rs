//! The form that an answer is to have: text, any JSON, or JSON that follows a schema.

use super::tools;
use crate::api::schema::{self, Rules};
use crate::http::error::ApiError;
use belljar_sandbox::wit::text::{JsonSchema, Message, Part, ResponseFormat};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The form that an answer is to have.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ResponseFormat)]
pub(super) struct Format {
    /// `text`, `json_object` or `json_schema`.
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<Schema>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ResponseSchema)]
struct Schema {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Refuses any JSON under a name of OpenAI's where nothing in the conversation speaks of JSON, as
/// OpenAI does: its models would write spaces without an end.
pub(crate) fn check_speaks_of_json(
    model: &str,
    format: &ResponseFormat,
    messages: &[Message],
    [place, member]: [&str; 2],
) -> Result<(), ApiError> {
    let name = model.strip_prefix("openai/").unwrap_or(model);
    let mut families = ["gpt-", "chatgpt-", "o1", "o3", "o4", "codex-"].into_iter();
    if *format != ResponseFormat::JsonObject || !families.any(|family| name.starts_with(family)) {
        return Ok(());
    }
    let speaks_of_it = |part: &Part| match part {
        Part::Text(text) => text
            .as_bytes()
            .windows(4)
            .any(|word| word.eq_ignore_ascii_case(b"json")),
        _ => false,
    };
    let mut parts = messages.iter().flat_map(|message| &message.content);
    if parts.any(speaks_of_it) {
        return Ok(());
    }
    let message = format!(
        "'{place}' must contain the word 'json' in some form, to use '{member}' of type \
         'json_object'."
    );
    Err(ApiError::invalid_request("invalid_request", message).at(place.to_owned()))
}

impl Format {
    /// Checks the form.
    pub(super) fn read(self) -> Result<ResponseFormat, ApiError> {
        match (self.r#type.as_str(), self.json_schema) {
            ("text", _) => Ok(ResponseFormat::Text),
            ("json_object", _) => Ok(ResponseFormat::JsonObject),
            (
                "json_schema",
                Some(Schema {
                    name,
                    schema,
                    strict,
                }),
            ) => {
                tools::check_name(&name, "response_format.json_schema.name")?;
                let place = "response_format.json_schema.schema";
                let schema = schema.ok_or_else(|| ApiError::missing_argument(place.to_owned()))?;
                let schema = tools::object(&schema, place)?;
                let strict = strict.unwrap_or(false);
                let rules = Rules {
                    is_of_object: strict,
                    is_strict: strict,
                };
                if let Some(fault) = schema::fault(&schema, rules) {
                    let message = format!("invalid schema: {fault}");
                    return Err(ApiError::invalid_argument("response_format", message));
                }
                Ok(ResponseFormat::JsonSchema(JsonSchema {
                    name,
                    schema,
                    strict,
                }))
            }
            ("json_schema", None) => Err(ApiError::missing_argument(
                "response_format.json_schema".to_owned(),
            )),
            _ => {
                let message = "expected `text`, `json_object` or `json_schema`";
                Err(ApiError::invalid_argument("response_format.type", message))
            }
        }
    }
}
