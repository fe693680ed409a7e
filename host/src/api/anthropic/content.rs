//! Messages and their blocks, and the way from them to messages as models get them: what a tool
//! answered is a message of its own there.

use crate::api::check::{StringOrList, StringOrObject, at_most};
use crate::api::openai::wire::{check_name, object};
use crate::api::prompt::{PromptSize, decode, source};
use crate::http::error::ApiError;
use belljar_sandbox::wit::text::{self, Part, Role, ToolCall};
use belljar_sandbox::wit::types::{Media, Source};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Messages of one request, and blocks of one message.
const MESSAGES_MAX: usize = 100_000;
const BLOCKS_MAX: usize = 1_024;

/// One message of the caller or of the model.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AnthropicInputMessage)]
pub(super) struct InputMessage {
    /// `user` or `assistant`; after the first also `system`.
    role: String,
    #[schema(value_type = ContentDescription)]
    content: StringOrList<Block>,
}

/// A text, or blocks, as it is described.
#[derive(ToSchema)]
#[schema(as = AnthropicContent)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum ContentDescription {
    Text(String),
    Blocks(Vec<Block>),
}

/// One block of a message. Members that are not named here are passed over: clients send back
/// whole answers.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AnthropicInputBlock)]
pub(super) struct Block {
    /// `text`, `image`, `document`, `search_result`, `tool_use`, `tool_result`, `thinking` or
    /// `redacted_thinking`.
    r#type: String,
    text: Option<String>,
    #[schema(value_type = Option<Object>)]
    source: Option<BlockSource>,
    title: Option<String>,
    context: Option<String>,
    id: Option<String>,
    name: Option<String>,
    #[schema(value_type = Option<Object>)]
    input: Option<Box<RawValue>>,
    tool_use_id: Option<String>,
    /// Of `tool_result` and `search_result`.
    #[schema(value_type = Option<Object>)]
    content: Option<StringOrList<Self>>,
    is_error: Option<bool>,
    /// Whether the conversation up to here is to be found in the cache by the next request.
    #[schema(value_type = Option<Object>)]
    cache_control: Option<CacheMark>,
}

/// Where the bytes of a block are. A search result has an address in its place, which nobody needs.
#[derive(Debug)]
enum BlockSource {
    Address,
    Bytes(Bytes),
}

#[derive(Debug, Deserialize)]
struct Bytes {
    r#type: String,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
    content: Option<StringOrList<Block>>,
}

impl<'de> Deserialize<'de> for BlockSource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match StringOrObject::deserialize(deserializer)? {
            StringOrObject::Text(_) => Self::Address,
            StringOrObject::Object(bytes) => Self::Bytes(bytes),
        })
    }
}

/// A mark: what stands before it is to be found in the cache by the next request.
#[derive(Debug, Deserialize)]
pub(super) struct CacheMark {
    /// `5m` or `1h`.
    ttl: Option<String>,
}

impl CacheMark {
    pub(super) fn is_for_an_hour(&self) -> bool {
        self.ttl.as_deref() == Some("1h")
    }
}

/// A message as a model gets it, and where it stands in the request.
pub(super) struct Turn {
    pub(super) message: text::Message,
    pub(super) place: String,
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

/// The system prompt.
pub(super) fn system(
    system: Option<StringOrList<Block>>,
    size: &mut PromptSize,
) -> Result<Vec<Turn>, ApiError> {
    let Some(system) = system else {
        return Ok(Vec::new());
    };
    let content = texts(system, "system", size)?;
    if content.is_empty() {
        return Ok(Vec::new());
    }
    size.add_message();
    let message = message(Role::System, content);
    let place = "system".to_owned();
    Ok(vec![Turn { message, place }])
}

/// The parts of what must be text.
fn texts(
    content: StringOrList<Block>,
    place: &str,
    size: &mut PromptSize,
) -> Result<Vec<Part>, ApiError> {
    match content {
        StringOrList::Text(text) if text.is_empty() => Ok(Vec::new()),
        StringOrList::Text(text) => {
            size.add_text(&text);
            Ok(vec![Part::Text(text)])
        }
        StringOrList::List(blocks) => {
            at_most(place, blocks.len(), BLOCKS_MAX, "blocks")?;
            let blocks = blocks.into_iter().enumerate();
            let parts = blocks.map(|(index, block)| {
                let place = format!("{place}[{index}]");
                if block.r#type != "text" {
                    let message = "expected `text`";
                    return Err(ApiError::invalid_argument(format!("{place}.type"), message));
                }
                block.into_text(&place, size)
            });
            parts.collect()
        }
    }
}

/// All messages of a conversation.
pub(super) fn turns(
    messages: Vec<InputMessage>,
    size: &mut PromptSize,
) -> Result<Vec<Turn>, ApiError> {
    at_most("messages", messages.len(), MESSAGES_MAX, "messages")?;
    let mut turns = Vec::with_capacity(messages.len());
    let mut calls: Vec<String> = Vec::new();
    let count = messages.len();
    for (index, message) in messages.into_iter().enumerate() {
        let place = format!("messages[{index}]");
        let open = std::mem::take(&mut calls);
        match message.role.as_str() {
            "user" => message.read_of_user(&place, &open, &mut turns, size)?,
            "assistant" if index == 0 && count == 1 => {
                let message = "a conversation begins with a message of the user";
                return Err(ApiError::invalid_argument(format!("{place}.role"), message));
            }
            "assistant" => {
                check_answered(&open, &place)?;
                calls = message.read_of_assistant(&place, &mut turns, size)?;
            }
            // What a program says between the turns.
            "system" if index > 0 => {
                check_answered(&open, &place)?;
                let content = texts(message.content, &format!("{place}.content"), size)?;
                size.add_message();
                let message = self::message(Role::System, content);
                turns.push(Turn { message, place });
            }
            "system" => {
                let message = "a conversation begins with a message of the user; a system prompt \
                    stands in `system`";
                return Err(ApiError::invalid_argument(format!("{place}.role"), message));
            }
            _ => {
                let message = "expected `user`, `assistant` or `system`";
                return Err(ApiError::invalid_argument(format!("{place}.role"), message));
            }
        }
    }
    check_answered(&calls, &format!("messages[{count}]"))?;
    check_begun(turns.last())?;
    Ok(turns)
}

/// Refuses the beginning of an answer that ends with a space: with which the model's own first
/// token would begin.
fn check_begun(last: Option<&Turn>) -> Result<(), ApiError> {
    let Some(Turn { message, place }) = last else {
        return Ok(());
    };
    let ends_with_space = match message.content.last() {
        Some(Part::Text(text)) => text.ends_with(char::is_whitespace),
        _ => false,
    };
    if message.role == Role::Assistant && message.tool_calls.is_empty() && ends_with_space {
        return Err(ApiError::invalid_argument(
            format!("{place}.content"),
            "final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(())
}

/// Refuses calls that nobody has answered.
fn check_answered(calls: &[String], place: &str) -> Result<(), ApiError> {
    if calls.is_empty() {
        return Ok(());
    }
    let message = "`tool_use` ids were found without `tool_result` blocks immediately after; each \
        `tool_use` block must have a `tool_result` block in the next message";
    Err(ApiError::invalid_argument(place, message))
}

/// Whether one of these blocks has a mark for the cache that is wanted.
pub(super) fn has_mark(
    content: &StringOrList<Block>,
    is_wanted: impl Fn(&CacheMark) -> bool + Copy,
) -> bool {
    match content {
        StringOrList::Text(_) => false,
        StringOrList::List(blocks) => blocks.iter().any(|block| {
            let within = block.content.as_ref();
            block.cache_control.as_ref().is_some_and(is_wanted)
                || within.is_some_and(|within| has_mark(within, is_wanted))
        }),
    }
}

impl InputMessage {
    /// Whether the message has a mark for the cache that is wanted.
    pub(super) fn has_mark(&self, is_wanted: impl Fn(&CacheMark) -> bool + Copy) -> bool {
        has_mark(&self.content, is_wanted)
    }

    /// Reads a message of the user: first what tools answered, each a message of its own, then
    /// what the user says.
    fn read_of_user(
        self,
        place: &str,
        calls: &[String],
        turns: &mut Vec<Turn>,
        size: &mut PromptSize,
    ) -> Result<(), ApiError> {
        let place_of = |index: usize| format!("{place}.content[{index}]");
        let blocks = match self.content {
            StringOrList::Text(text) => {
                check_answered(calls, place)?;
                size.add_message();
                size.add_text(&text);
                not_blank(&text, &format!("{place}.content"))?;
                let message = message(Role::User, vec![Part::Text(text)]);
                let place = place.to_owned();
                turns.push(Turn { message, place });
                return Ok(());
            }
            StringOrList::List(blocks) => blocks,
        };
        at_most(place, blocks.len(), BLOCKS_MAX, "blocks")?;
        if blocks.is_empty() {
            let message = "expected at least one block";
            return Err(ApiError::invalid_argument(
                format!("{place}.content"),
                message,
            ));
        }
        let mut parts = Vec::new();
        let mut open: Vec<&String> = calls.iter().collect();
        for (index, block) in blocks.into_iter().enumerate() {
            let place = place_of(index);
            if block.r#type != "tool_result" {
                parts.extend(block.into_parts(&place, size)?);
                continue;
            }
            let missing = || ApiError::missing_argument(format!("{place}.tool_use_id"));
            let id = block.tool_use_id.ok_or_else(missing)?;
            if !calls.contains(&id) {
                let message = "unexpected `tool_use_id`: each `tool_result` block must have a \
                    corresponding `tool_use` block in the previous message";
                return Err(ApiError::invalid_argument(
                    format!("{place}.tool_use_id"),
                    message,
                ));
            }
            open.retain(|open| **open != id);
            let mut content = match block.content {
                None => Vec::new(),
                Some(StringOrList::Text(text)) => {
                    size.add_text(&text);
                    vec![Part::Text(text)]
                }
                Some(StringOrList::List(blocks)) => {
                    at_most(&place, blocks.len(), BLOCKS_MAX, "blocks")?;
                    let mut content = Vec::new();
                    for (at, block) in blocks.into_iter().enumerate() {
                        content.extend(block.into_parts(&format!("{place}.content[{at}]"), size)?);
                    }
                    content
                }
            };
            if content.is_empty() {
                content.push(Part::Text(String::new()));
            }
            if block.is_error.unwrap_or(false) {
                content.insert(0, Part::Text("Error: ".to_owned()));
            }
            size.add_message();
            let message = text::Message {
                tool_call_id: Some(id),
                ..message(Role::Tool, content)
            };
            turns.push(Turn { message, place });
        }
        let open: Vec<String> = open.into_iter().cloned().collect();
        check_answered(&open, place)?;
        if !parts.is_empty() {
            size.add_message();
            let message = message(Role::User, parts);
            let place = place.to_owned();
            turns.push(Turn { message, place });
        }
        Ok(())
    }

    /// Reads a message of the model. Gives the ids of the calls in it.
    fn read_of_assistant(
        self,
        place: &str,
        turns: &mut Vec<Turn>,
        size: &mut PromptSize,
    ) -> Result<Vec<String>, ApiError> {
        size.add_message();
        let mut content = Vec::new();
        let mut tool_calls: Vec<ToolCall> = Vec::new();
        match self.content {
            StringOrList::Text(text) => {
                size.add_text(&text);
                content.push(Part::Text(text));
            }
            StringOrList::List(blocks) => {
                at_most(place, blocks.len(), BLOCKS_MAX, "blocks")?;
                for (index, block) in blocks.into_iter().enumerate() {
                    let place = format!("{place}.content[{index}]");
                    match block.r#type.as_str() {
                        "text" => content.push(block.into_text(&place, size)?),
                        "tool_use" => tool_calls.push(block.into_call(&place, size)?),
                        // What the model thought is its own, and it does not get it back; what
                        // tools of Anthropic's service did has no counterpart here.
                        "thinking" | "redacted_thinking" | "server_tool_use"
                        | "container_upload" => {}
                        kind if kind.ends_with("_tool_result") => {}
                        _ => {
                            let message = "expected `text`, `tool_use`, `thinking` or \
                                `redacted_thinking`";
                            return Err(ApiError::invalid_argument(
                                format!("{place}.type"),
                                message,
                            ));
                        }
                    }
                }
            }
        }
        let ids = tool_calls.iter().map(|call| call.id.clone()).collect();
        if content.is_empty() && tool_calls.is_empty() {
            content.push(Part::Text(String::new()));
        }
        let message = text::Message {
            tool_calls,
            ..message(Role::Assistant, content)
        };
        let place = place.to_owned();
        turns.push(Turn { message, place });
        Ok(ids)
    }
}

fn not_blank(text: &str, place: &str) -> Result<(), ApiError> {
    if text.is_empty() {
        let message = "text content blocks must be non-empty";
        return Err(ApiError::invalid_argument(place, message));
    }
    Ok(())
}

impl Block {
    fn into_text(self, place: &str, size: &mut PromptSize) -> Result<Part, ApiError> {
        let place = format!("{place}.text");
        let text = self
            .text
            .ok_or_else(|| ApiError::missing_argument(place.clone()))?;
        not_blank(&text, &place)?;
        size.add_text(&text);
        Ok(Part::Text(text))
    }

    fn into_call(self, place: &str, size: &mut PromptSize) -> Result<ToolCall, ApiError> {
        let missing = |member: &str| ApiError::missing_argument(format!("{place}.{member}"));
        let id = self.id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| missing("id"))?;
        let name = self.name.ok_or_else(|| missing("name"))?;
        check_name(&name, &format!("{place}.name"))?;
        let input = self.input.ok_or_else(|| missing("input"))?;
        let arguments = object(&input, &format!("{place}.input"))?;
        size.add_text(&name);
        size.add_text(&arguments);
        Ok(ToolCall {
            id,
            name,
            arguments,
        })
    }

    /// The parts of a block of the user, or of what a tool answered.
    fn into_parts(self, place: &str, size: &mut PromptSize) -> Result<Vec<Part>, ApiError> {
        match self.r#type.as_str() {
            "text" => self.into_text(place, size).map(|part| vec![part]),
            "image" => {
                size.add_media();
                let source = self.into_source(place)?;
                let detail = None;
                Ok(vec![Part::Image(text::Image { source, detail })])
            }
            "document" => self.into_document(place, size),
            "search_result" => {
                let mut parts = Vec::new();
                if let Some(title) = self.title {
                    size.add_text(&title);
                    parts.push(Part::Text(title));
                }
                let content = self
                    .content
                    .unwrap_or_else(|| StringOrList::List(Vec::new()));
                parts.extend(texts(content, &format!("{place}.content"), size)?);
                Ok(parts)
            }
            _ => Err(ApiError::invalid_argument(
                format!("{place}.type"),
                "expected `text`, `image`, `document`, `search_result` or `tool_result`",
            )),
        }
    }

    fn into_document(self, place: &str, size: &mut PromptSize) -> Result<Vec<Part>, ApiError> {
        let mut parts = Vec::new();
        if let Some(context) = &self.context {
            size.add_text(context);
            parts.push(Part::Text(context.clone()));
        }
        let is_of = |kind: &str| matches!(&self.source, Some(BlockSource::Bytes(bytes)) if bytes.r#type == kind);
        let (is_text, is_content) = (is_of("text"), is_of("content"));
        let name = self.title.clone();
        match self.source {
            Some(BlockSource::Bytes(Bytes {
                data: Some(data), ..
            })) if is_text => {
                size.add_text(&data);
                parts.push(Part::Text(data));
            }
            Some(BlockSource::Bytes(Bytes {
                content: Some(content),
                ..
            })) if is_content => {
                parts.extend(texts(content, &format!("{place}.source.content"), size)?);
            }
            _ => {
                size.add_media();
                let source = self.into_source(place)?;
                parts.push(Part::File(text::File { name, source }));
            }
        }
        Ok(parts)
    }

    fn into_source(self, place: &str) -> Result<Source, ApiError> {
        let place = format!("{place}.source");
        let missing = |member: &str| ApiError::missing_argument(format!("{place}{member}"));
        let bytes = match self.source {
            Some(BlockSource::Bytes(bytes)) => bytes,
            Some(BlockSource::Address) => {
                return Err(ApiError::invalid_argument(place, "expected an object"));
            }
            None => return Err(missing("")),
        };
        match bytes.r#type.as_str() {
            "base64" => {
                let mime = bytes.media_type.ok_or_else(|| missing(".media_type"))?;
                let data = bytes.data.ok_or_else(|| missing(".data"))?;
                let data = decode(&data, &format!("{place}.data"))?;
                Ok(Source::Inline(Media { mime, data }))
            }
            "url" => {
                let url = bytes.url.ok_or_else(|| missing(".url"))?;
                source(url, &format!("{place}.url"))
            }
            "file" => Err(ApiError::invalid_argument(
                format!("{place}.type"),
                "there are no stored files; send `base64` or `url`",
            )),
            _ => Err(ApiError::invalid_argument(
                format!("{place}.type"),
                "expected `base64`, `url`, `text` or `content`",
            )),
        }
    }
}
