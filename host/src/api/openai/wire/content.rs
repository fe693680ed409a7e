//! Messages and their parts.

use super::tools::{FunctionCall, ToolCall};
use super::turns;
use crate::api::check::{StringOrList, StringOrObject, at_most, not_empty};
use crate::api::prompt::{PromptSize, decode, source};
use crate::http::error::ApiError;
use belljar_sandbox::wit::text::{self, Role};
use belljar_sandbox::wit::types::{Media, Source};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Messages of one request.
const MESSAGES_MAX: usize = 8_192;
/// Parts of one message.
const PARTS_MAX: usize = 1_024;

/// One message. Fields that are not named here are ignored: clients send back whole answers.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
pub(super) struct Message {
    /// `system`, `developer`, `user`, `assistant`, `tool` or `function`.
    role: String,
    #[schema(value_type = Option<MessageContent>)]
    content: Option<StringOrList<Part>>,
    name: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    tool_call_id: Option<String>,
    function_call: Option<FunctionCall>,
    /// A spoken answer of an earlier turn, which is kept nowhere.
    #[schema(value_type = Option<Object>)]
    audio: Option<IgnoredAny>,
}

/// A text, or parts, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum MessageContent {
    Text(String),
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = MessagePart)]
struct Part {
    /// `text`, `image_url`, `input_audio`, `file` or `refusal`; the member of that name goes with it.
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ImageReference>)]
    image_url: Option<StringOrObject<ImageUrl>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_audio: Option<InputAudio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<InputFile>,
}

/// An address, or an object with one, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum ImageReference {
    Url(String),
    Image(ImageUrl),
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct ImageUrl {
    /// An `https`, `http` or `data` URL.
    url: String,
    /// `auto`, `low`, `high` or `original`.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct InputAudio {
    /// In base64.
    data: String,
    /// `wav` or `mp3`.
    format: String,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct InputFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

/// A message as it is kept with its completion.
#[derive(Serialize)]
struct StoredMessage<'m> {
    role: &'m str,
    /// Null where the content is parts.
    content: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_parts: Option<&'m [Part]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<&'m [ToolCall]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<&'m FunctionCall>,
}

/// Messages as they are kept with their completion: a list in JSON.
pub(super) fn stored(messages: &[Message]) -> String {
    let messages = messages.iter().map(|message| {
        let (content, content_parts) = match &message.content {
            Some(StringOrList::Text(text)) => (Some(text.as_str()), None),
            Some(StringOrList::List(parts)) => (None, Some(parts.as_slice())),
            None => (None, None),
        };
        StoredMessage {
            role: &message.role,
            content,
            content_parts,
            name: message.name.as_deref(),
            refusal: message.refusal.as_deref(),
            tool_calls: message.tool_calls.as_deref(),
            tool_call_id: message.tool_call_id.as_deref(),
            function_call: message.function_call.as_ref(),
        }
    });
    let messages: Vec<_> = messages.collect();
    // Strings are written as JSON whatever they hold.
    serde_json::to_string(&messages).unwrap_or_default()
}

/// Checks all messages. Also says how large they are.
pub(super) fn messages(
    messages: Vec<Message>,
) -> Result<(Vec<text::Message>, PromptSize), ApiError> {
    not_empty("messages", Some(&messages))?;
    at_most("messages", messages.len(), MESSAGES_MAX, "messages")?;
    let mut size = PromptSize::default();
    let messages = messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| message.read(index, &mut size))
        .collect::<Result<Vec<_>, _>>()?;
    turns::check(&messages)?;
    Ok((messages, size))
}

impl Message {
    fn read(self, index: usize, size: &mut PromptSize) -> Result<text::Message, ApiError> {
        let place = |field: &str| format!("messages[{index}].{field}");
        let role = match self.role.as_str() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // The name that answers of functions had before they were tools.
            "tool" | "function" => Role::Tool,
            _ => {
                let message =
                    "expected `system`, `developer`, `user`, `assistant`, `tool` or `function`";
                return Err(ApiError::invalid_argument(place("role"), message));
            }
        };
        size.add_message();
        let mut content = match self.content {
            Some(StringOrList::Text(text)) => {
                size.add_text(&text);
                vec![text::Part::Text(text)]
            }
            Some(StringOrList::List(parts)) => {
                at_most(&place("content"), parts.len(), PARTS_MAX, "parts")?;
                if parts.is_empty() {
                    return Err(ApiError::invalid_argument(
                        place("content"),
                        "expected at least one part",
                    ));
                }
                parts
                    .into_iter()
                    .enumerate()
                    .map(|(part, content)| {
                        content.read(role, &format!("messages[{index}].content[{part}]"), size)
                    })
                    .collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        if let Some(refusal) = self.refusal {
            size.add_text(&refusal);
            content.push(text::Part::Refusal(refusal));
        }
        let tool_calls = self.tool_calls.unwrap_or_default().into_iter().enumerate();
        let mut tool_calls = tool_calls
            .map(|(call, tool_call)| {
                tool_call.read(&format!("messages[{index}].tool_calls[{call}]"))
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        if let Some(function) = self.function_call {
            tool_calls.push(function.read(&place("function_call"))?);
        }
        for tool_call in &tool_calls {
            size.add_text(&tool_call.name);
            size.add_text(&tool_call.arguments);
        }
        if role != Role::Assistant && !tool_calls.is_empty() {
            return Err(ApiError::invalid_argument(
                place("tool_calls"),
                "only the assistant calls tools",
            ));
        }
        if content.is_empty() && tool_calls.is_empty() && self.audio.is_none() {
            return Err(ApiError::missing_argument(place("content")));
        }
        // Answers of functions, as they were before tools, are told apart by name.
        if self.role == "tool" && self.tool_call_id.is_none() {
            return Err(ApiError::missing_argument(place("tool_call_id")));
        }
        if self.role == "function" && self.name.is_none() {
            return Err(ApiError::missing_argument(place("name")));
        }
        let tool_call_id = self.tool_call_id.filter(|_| role == Role::Tool);
        Ok(text::Message {
            role,
            name: self.name,
            content,
            tool_calls,
            tool_call_id,
        })
    }
}

impl Part {
    fn read(self, role: Role, place: &str, size: &mut PromptSize) -> Result<text::Part, ApiError> {
        let missing = |field: &str| ApiError::missing_argument(format!("{place}.{field}"));
        let media = |size: &mut PromptSize| {
            size.add_media();
            if role == Role::User {
                Ok(())
            } else {
                Err(ApiError::invalid_argument(
                    place,
                    "only messages of the user hold this kind of part",
                ))
            }
        };
        match self.r#type.as_str() {
            "text" => {
                let text = self.text.ok_or_else(|| missing("text"))?;
                size.add_text(&text);
                Ok(text::Part::Text(text))
            }
            "refusal" => {
                let refusal = self.refusal.ok_or_else(|| missing("refusal"))?;
                size.add_text(&refusal);
                Ok(text::Part::Refusal(refusal))
            }
            "image_url" => {
                media(size)?;
                let (url, detail) = match self.image_url.ok_or_else(|| missing("image_url"))? {
                    StringOrObject::Text(url) => (url, None),
                    StringOrObject::Object(ImageUrl { url, detail }) => (url, detail),
                };
                if let Some(detail) = &detail
                    && !matches!(detail.as_str(), "auto" | "low" | "high" | "original")
                {
                    let place = format!("{place}.image_url.detail");
                    return Err(ApiError::invalid_argument(
                        place,
                        "expected `auto`, `low`, `high` or `original`",
                    ));
                }
                let source = source(url, &format!("{place}.image_url.url"))?;
                Ok(text::Part::Image(text::Image { source, detail }))
            }
            "input_audio" => {
                media(size)?;
                let InputAudio { data, format } =
                    self.input_audio.ok_or_else(|| missing("input_audio"))?;
                let mime = match format.as_str() {
                    "wav" => "audio/wav",
                    "mp3" => "audio/mpeg",
                    _ => {
                        let place = format!("{place}.input_audio.format");
                        return Err(ApiError::invalid_argument(place, "expected `wav` or `mp3`"));
                    }
                };
                let data = decode(&data, &format!("{place}.input_audio.data"))?;
                Ok(text::Part::Audio(Source::Inline(Media {
                    mime: mime.to_owned(),
                    data,
                })))
            }
            "file" => {
                media(size)?;
                let InputFile {
                    file_data,
                    file_id,
                    filename,
                } = self.file.ok_or_else(|| missing("file"))?;
                if file_id.is_some() {
                    let place = format!("{place}.file.file_id");
                    return Err(ApiError::invalid_argument(
                        place,
                        "there are no stored files; send `file_data`",
                    ));
                }
                let place = format!("{place}.file.file_data");
                let file_data =
                    file_data.ok_or_else(|| ApiError::missing_argument(place.clone()))?;
                let source = if file_data.starts_with("data:") {
                    source(file_data, &place)?
                } else {
                    Source::Inline(Media {
                        mime: String::new(),
                        data: decode(&file_data, &place)?,
                    })
                };
                Ok(text::Part::File(text::File {
                    name: filename,
                    source,
                }))
            }
            _ => Err(ApiError::invalid_argument(
                format!("{place}.type"),
                "expected `text`, `image_url`, `input_audio`, `file` or `refusal`",
            )),
        }
    }
}
