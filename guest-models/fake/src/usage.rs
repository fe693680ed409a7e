//! How many tokens a prompt has, by the same rule as its answer.

use belljar_guest::Source;
use belljar_guest::text::{Message, Part, Prompt, Request};

use crate::tokens;

/// What each message costs beside its content, and each answer's beginning, as documented for
/// the chat models that clients expect.
const MESSAGE_TOKENS: u32 = 3;
const ANSWER_TOKENS: u32 = 3;
const IMAGE_TOKENS_LOW: u32 = 85;
const IMAGE_TOKENS: u32 = 255;
/// What media costs, in bytes a token.
const MEDIA_BYTES: usize = 1024;

pub(crate) fn prompt_tokens(request: &Request) -> u32 {
    let prompt = match &request.prompt {
        Prompt::Messages(messages) => messages
            .iter()
            .map(message_tokens)
            .fold(ANSWER_TOKENS, u32::saturating_add),
        Prompt::Text(raw) => {
            let suffix = raw.suffix.as_deref().map_or(0, tokens::count);
            tokens::count(&raw.text).saturating_add(suffix)
        }
        Prompt::Tokens(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
    };
    request.tools.iter().fold(prompt, |sum, tool| {
        let texts = [
            Some(tool.name.as_str()),
            tool.description.as_deref(),
            tool.parameters.as_deref(),
        ];
        texts
            .into_iter()
            .flatten()
            .map(tokens::count)
            .fold(sum, u32::saturating_add)
    })
}

fn message_tokens(message: &Message) -> u32 {
    let content = message
        .content
        .iter()
        .map(part_tokens)
        .fold(0, u32::saturating_add);
    let name = message
        .name
        .as_deref()
        .map_or(0, |name| tokens::count(name) + 1);
    let calls = message.tool_calls.iter().fold(0u32, |sum, call| {
        sum.saturating_add(tokens::count(&call.name))
            .saturating_add(tokens::count(&call.arguments))
    });
    [MESSAGE_TOKENS, content, name, calls]
        .into_iter()
        .fold(0, u32::saturating_add)
}

fn part_tokens(part: &Part) -> u32 {
    let media = |source: &Source| match source {
        Source::Inline(media) => {
            u32::try_from(media.data.len() / MEDIA_BYTES + 1).unwrap_or(u32::MAX)
        }
        Source::Url(_) => IMAGE_TOKENS,
    };
    match part {
        Part::Text(text) | Part::Refusal(text) => tokens::count(text),
        Part::Image(image) if image.detail.as_deref() == Some("low") => IMAGE_TOKENS_LOW,
        Part::Image(_) => IMAGE_TOKENS,
        Part::Audio(source) => media(source),
        Part::File(file) => match &file.source {
            Source::Inline(inline) => match core::str::from_utf8(&inline.data) {
                Ok(text) => tokens::count(text),
                Err(_) => media(&file.source),
            },
            Source::Url(_) => IMAGE_TOKENS,
        },
    }
}
