//! Items of a conversation, as callers send them and as they are stored, and the way from them to
//! messages as models get them.

use crate::api::check::{StringOrList, at_most};
use crate::api::openai::objects::{id_of, identified, message_of};
use crate::api::openai::wire::check_name;
use crate::api::prompt::{PromptSize, decode, source};
use crate::http::error::ApiError;
use crate::http::json::describe;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar_sandbox::wit::text::{self, Part, Role, ToolCall};
use belljar_sandbox::wit::types::{Media, Source};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Items of one request with all that it goes on from, and parts of one item.
const ITEMS_MAX: usize = 8_192;
const PARTS_MAX: usize = 1_024;

/// An item. Members that are not named here are passed over: clients send back whole answers.
#[derive(Debug, Deserialize)]
struct Item {
    r#type: Option<String>,
    id: Option<String>,
    role: Option<String>,
    content: Option<StringOrList<ContentPart>>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    input: Option<String>,
    output: Option<StringOrList<ContentPart>>,
    encrypted_content: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ContentPart {
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    file_id: Option<String>,
    detail: Option<String>,
    input_audio: Option<InputAudio>,
    filename: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct InputAudio {
    data: String,
    format: String,
}

/// A message as a model gets it, and where it stands in the request.
pub(super) struct Turn {
    pub(super) message: text::Message,
    pub(super) place: String,
}

/// Items that the model has no use for: what it thought, and what tools of OpenAI's service did.
const PASSED_OVER: [&str; 24] = [
    "reasoning",
    "web_search_call",
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "code_interpreter_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "configuration_update",
    "compaction_trigger",
    "program",
    "program_output",
];

/// The input of a request as a list of items, each an object with an id and a type. The rest of
/// an item is kept as it came: as a tree it would be many times as large.
pub(super) fn normalized(
    input: StringOrList<Box<RawValue>>,
) -> Result<Vec<Box<RawValue>>, ApiError> {
    let items = match input {
        StringOrList::Text(text) => return Ok(vec![message_of("user", &text, None)]),
        StringOrList::List(items) => items,
    };
    at_most("input", items.len(), ITEMS_MAX, "items")?;
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| identified(item, &format!("input[{index}]")))
        .collect()
}

/// The messages that items make up. The first `before` of them come from what the request goes on
/// from, and the rest stands in its `input`.
pub(super) fn turns(
    items: &[Box<RawValue>],
    before: usize,
    size: &mut PromptSize,
) -> Result<Vec<Turn>, ApiError> {
    at_most("input", items.len(), ITEMS_MAX, "items")?;
    let mut turns: Vec<Turn> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = match index.checked_sub(before) {
            Some(index) => format!("input[{index}]"),
            None => format!("previous[{index}]"),
        };
        let parsed: Item = serde_json::from_str(item.get())
            .map_err(|error| ApiError::invalid_argument(&place, describe(&error)))?;
        if parsed.r#type.as_deref() == Some("item_reference") {
            let id = parsed.id.unwrap_or_default();
            let mut known = items.iter().take(index);
            if !known.any(|item| id_of(item).as_ref() == Some(&id)) {
                let message = "refers to an item that is not part of this conversation";
                return Err(ApiError::invalid_argument(format!("{place}.id"), message));
            }
            continue;
        }
        parsed.read(place, &mut turns, size)?;
    }
    check_answered(&turns)?;
    Ok(turns)
}

/// Refuses answers without their call, and calls without their answer: a model could only guess.
fn check_answered(turns: &[Turn]) -> Result<(), ApiError> {
    let mut open: Vec<(&str, &str)> = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for turn in turns {
        for call in &turn.message.tool_calls {
            open.push((&call.id, &turn.place));
            known.push(&call.id);
        }
        if let Some(id) = &turn.message.tool_call_id {
            if !known.contains(&id.as_str()) {
                let message = "there is no tool call with this `call_id`";
                return Err(ApiError::invalid_argument(
                    format!("{}.call_id", turn.place),
                    message,
                ));
            }
            open.retain(|(other, _)| other != id);
        }
    }
    match open.first() {
        Some((_, place)) => Err(ApiError::invalid_argument(
            *place,
            "there is no output for this tool call",
        )),
        None => Ok(()),
    }
}

impl Item {
    fn read(
        self,
        place: String,
        turns: &mut Vec<Turn>,
        size: &mut PromptSize,
    ) -> Result<(), ApiError> {
        let missing = |member: &str| ApiError::missing_argument(format!("{place}.{member}"));
        let kind = self.r#type.unwrap_or_else(|| "message".to_owned());
        match kind.as_str() {
            "message" => {
                let role = match self.role.as_deref() {
                    Some("user") => Role::User,
                    Some("assistant") => Role::Assistant,
                    Some("system") => Role::System,
                    Some("developer") => Role::Developer,
                    Some(_) => {
                        let message = "expected `user`, `assistant`, `system` or `developer`";
                        return Err(ApiError::invalid_argument(format!("{place}.role"), message));
                    }
                    None => return Err(missing("role")),
                };
                let content = self.content.ok_or_else(|| missing("content"))?;
                let content = parts(content, &format!("{place}.content"), size)?;
                size.add_message();
                let message = message(role, content);
                turns.push(Turn { message, place });
            }
            "function_call" | "custom_tool_call" => {
                let id = self.call_id.filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| missing("call_id"))?;
                let name = self.name.ok_or_else(|| missing("name"))?;
                check_name(&name, &format!("{place}.name"))?;
                let arguments = if kind == "function_call" {
                    self.arguments.ok_or_else(|| missing("arguments"))?
                } else {
                    self.input.ok_or_else(|| missing("input"))?
                };
                size.add_text(&name);
                size.add_text(&arguments);
                let call = ToolCall {
                    id,
                    name,
                    arguments,
                };
                // Calls of one turn are one message.
                if let Some(last) = turns.last_mut()
                    && last.message.role == Role::Assistant
                {
                    last.message.tool_calls.push(call);
                } else {
                    size.add_message();
                    let mut message = message(Role::Assistant, Vec::new());
                    message.tool_calls.push(call);
                    turns.push(Turn { message, place });
                }
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = self.call_id.filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| missing("call_id"))?;
                let output = self.output.ok_or_else(|| missing("output"))?;
                let content = parts(output, &format!("{place}.output"), size)?;
                size.add_message();
                let message = text::Message {
                    tool_call_id: Some(id),
                    ..message(Role::Tool, content)
                };
                turns.push(Turn { message, place });
            }
            "compaction" => {
                let place = format!("{place}.encrypted_content");
                let content = self.encrypted_content;
                let content = content.ok_or_else(|| ApiError::missing_argument(place.clone()))?;
                let Some(summary) = opened(&content) else {
                    let message = "is not what `/v1/responses/compact` gave";
                    return Err(ApiError::invalid_argument(place, message));
                };
                size.add_text(&summary);
                size.add_message();
                let message = message(Role::Assistant, vec![Part::Text(summary)]);
                turns.push(Turn { message, place });
            }
            other if PASSED_OVER.contains(&other) => {}
            _ => {
                let message = "expected `message`, `function_call`, `function_call_output`, \
                    `custom_tool_call`, `custom_tool_call_output`, `reasoning` or `item_reference`";
                return Err(ApiError::invalid_argument(format!("{place}.type"), message));
            }
        }
        Ok(())
    }
}

/// A text as the `encrypted_content` of an item `compaction`.
pub(super) fn sealed(text: &str) -> String {
    STANDARD.encode(text)
}

/// The text that an item `compaction` stands for.
fn opened(content: &str) -> Option<String> {
    let bytes = STANDARD.decode(content).ok()?;
    String::from_utf8(bytes).ok()
}

fn message(role: Role, content: Vec<Part>) -> text::Message {
    text::Message {
        role,
        name: None,
        content,
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

fn parts(
    content: StringOrList<ContentPart>,
    place: &str,
    size: &mut PromptSize,
) -> Result<Vec<Part>, ApiError> {
    match content {
        StringOrList::Text(text) => {
            size.add_text(&text);
            Ok(vec![Part::Text(text)])
        }
        StringOrList::List(parts) => {
            at_most(place, parts.len(), PARTS_MAX, "parts")?;
            let parts = parts.into_iter().enumerate();
            parts
                .map(|(index, part)| part.read(&format!("{place}[{index}]"), size))
                .collect()
        }
    }
}

impl ContentPart {
    fn read(self, place: &str, size: &mut PromptSize) -> Result<Part, ApiError> {
        let missing = |member: &str| ApiError::missing_argument(format!("{place}.{member}"));
        let no_files = || {
            let message = "there are no stored files; send the content itself";
            ApiError::invalid_argument(format!("{place}.file_id"), message)
        };
        match self.r#type.as_str() {
            "input_text" | "output_text" | "text" | "summary_text" => {
                let text = self.text.ok_or_else(|| missing("text"))?;
                size.add_text(&text);
                Ok(Part::Text(text))
            }
            "refusal" => {
                let refusal = self.refusal.ok_or_else(|| missing("refusal"))?;
                size.add_text(&refusal);
                Ok(Part::Refusal(refusal))
            }
            "input_image" => {
                size.add_media();
                let url = match (self.image_url, self.file_id) {
                    (Some(url), _) => url,
                    (None, Some(_)) => return Err(no_files()),
                    (None, None) => return Err(missing("image_url")),
                };
                let source = source(url, &format!("{place}.image_url"))?;
                let detail = self.detail;
                Ok(Part::Image(text::Image { source, detail }))
            }
            "input_audio" => {
                size.add_media();
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
                let mime = mime.to_owned();
                Ok(Part::Audio(Source::Inline(Media { mime, data })))
            }
            "input_file" => {
                size.add_media();
                let name = self.filename;
                let source = match (self.file_data, self.file_url, self.file_id) {
                    (Some(data), _, _) if data.starts_with("data:") => {
                        source(data, &format!("{place}.file_data"))?
                    }
                    (Some(data), _, _) => Source::Inline(Media {
                        mime: String::new(),
                        data: decode(&data, &format!("{place}.file_data"))?,
                    }),
                    (None, Some(url), _) => source(url, &format!("{place}.file_url"))?,
                    (None, None, Some(_)) => return Err(no_files()),
                    (None, None, None) => return Err(missing("file_data")),
                };
                Ok(Part::File(text::File { name, source }))
            }
            _ => Err(ApiError::invalid_argument(
                format!("{place}.type"),
                "expected `input_text`, `input_image`, `input_file`, `input_audio`, `output_text` \
                 or `refusal`",
            )),
        }
    }
}
