//! The form that an answer is to have: text, any JSON, or JSON that follows a schema.

use super::tools;
use crate::api::schema::{self, Rules};
use crate::http::error::ApiError;
use belljar_sandbox::wit::text::{JsonSchema, ResponseFormat};
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
