//! The tokens of prompts, as the public APIs count them: the texts by their encoding, and around
//! them what the APIs document or have been measured to add.

use super::PromptPlace;
use super::media_tokens::{area_tokens, audio_tokens, file_tokens, image_tokens};
use belljar_sandbox::wit::text::{
    Message, Part, Prompt, RawPrompt, Request, ResponseFormat, Role, Tool,
};
use belljar_testing::scheduler::BLOCK_STEP;
use belljar_tokens::Encoding;
use serde_json::Value;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

/// Tokens around a call of a tool.
const CALL: u32 = 3;
/// Tokens around the tools as a whole, the properties of one, and each of those.
const TOOLS: u32 = 12;
const PROPERTIES: u32 = 3;
const PROPERTY: u32 = 3;
const CHOICE: u32 = 3;

/// Tokens from which on a prompt can be found in the cache, and the steps in which it is.
pub(super) const CACHED_MIN: u32 = 1_024;
pub(super) const CACHED_STEP: u32 = 128;

/// Blocks of a prompt that are told apart: those of a million tokens, which is more than models
/// read. A prompt may have more, and each would cost every request its room.
const BLOCKS_MAX: usize = 65_536;

// What is a step of the cache is one of blocks, too.
const _: () = assert!(CACHED_STEP.is_multiple_of(BLOCK_STEP));

/// What hashes of prompts begin with: nobody can make two prompts that have one.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));

/// The tokens of one prompt.
#[derive(Clone, Debug, Default)]
pub struct PromptTokens {
    /// How many there are.
    pub(super) count: u32,
    /// Those of them that are sound.
    pub(super) audio: u32,
    /// Hashes of its beginnings, of [`CACHED_MIN`] tokens and each [`CACHED_STEP`] more.
    pub(super) beginnings: Vec<u64>,
    /// How many tokens there are up to the end of the tools and of each message, and the hash of
    /// those.
    pub(super) ends: Vec<(u32, u64)>,
    /// Hashes of its beginnings, of each [`BLOCK_STEP`] tokens more, as a KV cache has them.
    pub(super) blocks: Vec<u64>,
}

/// The numbers of the tokens of a prompt, as chat models read it. What is no text (the form of
/// tools, pictures, sound) has a special token in its place, as often as it counts.
pub(super) fn prompt_ids(
    encoding: Encoding,
    tools: &[Tool],
    prompt: &Prompt,
    announces_answer: bool,
) -> Vec<u32> {
    let mut counter = Counter::new(encoding);
    counter.ids = Some(Vec::new());
    counter.tools(tools);
    counter.prompt(prompt, announces_answer);
    counter.ids.unwrap_or_default()
}

/// The tokens of a prompt with what goes with each prompt of its request.
pub(super) fn prompt_tokens(
    encoding: Encoding,
    request: &Request,
    prompt: &Prompt,
    place: PromptPlace,
) -> PromptTokens {
    let mut counter = Counter::new(encoding);
    counter.counts_by_area = place == PromptPlace::Conversation;
    counter.tools(&request.tools);
    if let ResponseFormat::JsonSchema(format) = &request.response_format {
        counter.text(&format.schema);
    }
    counter.end();
    counter.prompt(prompt, true);
    counter.tokens
}

/// How many tokens a text is.
pub(super) fn text_tokens(encoding: Encoding, text: &str) -> u32 {
    saturating(encoding.count(text))
}

fn saturating(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

struct Counter {
    encoding: Encoding,
    hash: u64,
    tokens: PromptTokens,
    /// The numbers of all tokens, where they are wanted.
    ids: Option<Vec<u32>>,
    /// Whether pictures count by their area, as Anthropic's API has it.
    counts_by_area: bool,
    marks: Marks,
}

/// The special tokens that chat models read between texts.
struct Marks {
    start: u32,
    separator: u32,
    end: u32,
    /// What stands for all else that is no text.
    other: u32,
}

impl Counter {
    fn new(encoding: Encoding) -> Self {
        let special = |name| encoding.special_token(name).unwrap_or_default();
        Self {
            encoding,
            hash: *SEED,
            tokens: PromptTokens::default(),
            ids: None,
            counts_by_area: false,
            marks: Marks {
                start: special("<|im_start|>"),
                separator: special("<|im_sep|>"),
                end: special("<|im_end|>"),
                other: special("<|endofprompt|>"),
            },
        }
    }

    /// The prompt, and what announces an answer to a conversation.
    fn prompt(&mut self, prompt: &Prompt, announces_answer: bool) {
        match prompt {
            Prompt::Messages(messages) => {
                for message in messages {
                    self.message(message);
                    self.end();
                }
                if announces_answer {
                    self.token(self.marks.start);
                    self.text("assistant");
                    self.token(self.marks.separator);
                }
            }
            Prompt::Text(RawPrompt { text, suffix }) => {
                self.text(text);
                self.text(suffix.as_deref().unwrap_or_default());
            }
            Prompt::Tokens(tokens) => tokens.iter().for_each(|token| self.token(*token)),
        }
    }

    fn token(&mut self, token: u32) {
        // One step of the hash that the Rust compiler uses; it costs less than the token did.
        let mixed = self.hash.rotate_left(5) ^ u64::from(token);
        self.hash = mixed.wrapping_mul(0x517c_c1b7_2722_0a95);
        let count = self.tokens.count.saturating_add(1);
        self.tokens.count = count;
        if count.is_multiple_of(BLOCK_STEP) {
            if self.tokens.blocks.len() < BLOCKS_MAX {
                self.tokens.blocks.push(self.hash);
            }
            if count >= CACHED_MIN && count.is_multiple_of(CACHED_STEP) {
                self.tokens.beginnings.push(self.hash);
            }
        }
        if let Some(ids) = &mut self.ids {
            ids.push(token);
        }
    }

    /// Tokens that no text has.
    fn others(&mut self, count: u32) {
        for _ in 0..count {
            self.token(self.marks.other);
        }
    }

    fn text(&mut self, text: &str) {
        let encoding = self.encoding;
        encoding.each(text, |token| self.token(token));
    }

    /// Something that can be found in the cache ends here.
    fn end(&mut self) {
        self.tokens.ends.push((self.tokens.count, self.hash));
    }

    fn message(&mut self, message: &Message) {
        // As it is documented: three tokens and the role, and one more with a name.
        self.token(self.marks.start);
        self.text(match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        });
        if let Some(name) = &message.name {
            self.text(":");
            self.text(name);
        }
        self.token(self.marks.separator);
        for part in &message.content {
            match part {
                Part::Text(text) | Part::Refusal(text) => self.text(text),
                Part::Image(image) if self.counts_by_area => self.others(area_tokens(image)),
                Part::Image(image) => self.others(image_tokens(image)),
                Part::Audio(source) => {
                    let count = audio_tokens(source);
                    self.tokens.audio = self.tokens.audio.saturating_add(count);
                    self.others(count);
                }
                Part::File(file) => self.others(file_tokens(self.encoding, file)),
            }
        }
        for call in &message.tool_calls {
            self.others(CALL);
            self.text(&call.name);
            self.text(&call.arguments);
        }
        self.token(self.marks.end);
    }

    /// The declarations of tools, which the APIs write in a form of their own before the model
    /// reads them.
    fn tools(&mut self, tools: &[Tool]) {
        if tools.is_empty() {
            return;
        }
        let each = match self.encoding {
            Encoding::O200kBase => 7,
            Encoding::Cl100kBase => 10,
        };
        for tool in tools {
            self.others(each);
            let description = tool.description.as_deref().unwrap_or_default();
            self.line(&[&tool.name, description]);
            let parameters = tool.parameters.as_deref().unwrap_or_default();
            match serde_json::from_str(parameters) {
                Ok(schema) => self.properties(&schema),
                // Free forms of tools.
                Err(_) => self.text(parameters),
            }
        }
        self.others(TOOLS);
    }

    /// The properties of an object, those of the objects in it included.
    fn properties(&mut self, schema: &Value) {
        let properties = schema.get("properties").and_then(Value::as_object);
        if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
            self.others(PROPERTIES);
            for (name, property) in properties {
                match property.get("enum").and_then(Value::as_array) {
                    Some(choices) => {
                        for choice in choices {
                            self.others(CHOICE);
                            match choice.as_str() {
                                Some(choice) => self.text(choice),
                                None => self.text(&choice.to_string()),
                            }
                        }
                    }
                    None => self.others(PROPERTY),
                }
                let of = |member: &str| property.get(member).and_then(Value::as_str);
                let kind = of("type").unwrap_or_default();
                self.line(&[name, kind, of("description").unwrap_or_default()]);
                self.properties(property);
            }
        }
        if let Some(items) = schema.get("items") {
            self.properties(items);
        }
    }

    /// What is written in one line, without the full stop at its end.
    fn line(&mut self, parts: &[&str]) {
        let line = parts.join(":");
        self.text(line.strip_suffix('.').unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_sandbox::wit::text::{Sampling, ToolChoice};

    fn message(role: Role, name: Option<&str>, text: &str) -> Message {
        Message {
            role,
            name: name.map(str::to_owned),
            content: vec![Part::Text(text.to_owned())],
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    fn count(encoding: Encoding, tools: Vec<Tool>, messages: Vec<Message>) -> PromptTokens {
        let request = Request {
            prompt: Prompt::Tokens(Vec::new()),
            max_tokens: 1,
            stop: Vec::new(),
            sampling: Sampling {
                temperature: None,
                top_p: None,
                top_k: None,
                min_p: None,
                frequency_penalty: None,
                presence_penalty: None,
                logit_bias: Vec::new(),
                seed: None,
                logprobs: None,
            },
            tools,
            tool_choice: ToolChoice::Automatic,
            parallel_tool_calls: true,
            response_format: ResponseFormat::Text,
            reasoning_effort: None,
            choice: 0,
            parameters: Vec::new(),
        };
        let prompt = Prompt::Messages(messages);
        prompt_tokens(encoding, &request, &prompt, PromptPlace::Messages)
    }

    /// The conversation and the figures of OpenAI's page on counting tokens.
    #[test]
    fn the_conversation_that_openai_documents_has_the_tokens_that_it_documents() {
        let system = |name, text| message(Role::System, name, text);
        let messages = vec![
            system(
                None,
                "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
            ),
            system(
                Some("example_user"),
                "New synergies will help drive top-line growth.",
            ),
            system(
                Some("example_assistant"),
                "Things working well together will increase revenue.",
            ),
            system(
                Some("example_user"),
                "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
            ),
            system(
                Some("example_assistant"),
                "Let's talk later when we're less busy about how to do better.",
            ),
            message(
                Role::User,
                None,
                "This late pivot means we don't have time to boil the ocean for the client deliverable.",
            ),
        ];
        let tokens = |encoding| count(encoding, Vec::new(), messages.clone()).count;
        assert_eq!(tokens(Encoding::Cl100kBase), 129);
        assert_eq!(tokens(Encoding::O200kBase), 124);
    }

    /// The tool and the figures of the same page.
    #[test]
    fn the_tool_that_openai_documents_has_the_tokens_that_it_documents() {
        let parameters = r#"{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},"unit":{"type":"string","description":"The unit of temperature to return","enum":["celsius","fahrenheit"]}},"required":["location"]}"#;
        let tools = vec![Tool {
            name: "get_current_weather".to_owned(),
            description: Some("Get the current weather in a given location".to_owned()),
            parameters: Some(parameters.to_owned()),
            strict: false,
        }];
        let messages = vec![
            message(
                Role::System,
                None,
                "You are a helpful assistant that can answer to questions about the weather.",
            ),
            message(
                Role::User,
                None,
                "What's the weather like in San Francisco?",
            ),
        ];
        let tokens = |encoding| count(encoding, tools.clone(), messages.clone()).count;
        assert_eq!(tokens(Encoding::Cl100kBase), 105);
        assert_eq!(tokens(Encoding::O200kBase), 101);
    }

    #[test]
    fn prompts_that_begin_alike_have_the_hashes_of_their_beginnings_in_common() {
        let of = |end: &str| {
            let long = "hello world ".repeat(1_000);
            let messages = vec![message(Role::User, None, &format!("{long}{end}"))];
            count(Encoding::O200kBase, Vec::new(), messages)
        };
        let (one, other) = (of("one"), of("two"));
        assert!(one.count > 2_000);
        assert_eq!(
            one.beginnings.len(),
            (one.count - CACHED_MIN) as usize / 128 + 1
        );
        assert_eq!(one.beginnings, other.beginnings);
        assert_ne!(one.ends, other.ends);
    }
}
