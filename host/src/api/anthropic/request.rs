//! The request for a message.

use super::cache_marks::Marks;
use super::content::{self, Block, CacheMark, ContentDescription, InputMessage, Turn};
use super::thinking::{Thinking, reasoning_effort};
use crate::api::check::{Plain, PlainValue, StringOrList, at_most, not_empty, parameters, within};
use crate::api::openai::wire::{Others, TokenLimits, check_name, marks, object};
use crate::api::prompt::PromptSize;
use crate::api::schema::{self, Rules};
use crate::generation::OutputLimits;
use crate::http::error::ApiError;
use crate::inference::{CacheUse, Places, PromptPlace, TextCall};
use belljar_sandbox::wit::text::{self, JsonSchema, Prompt, ResponseFormat, ToolChoice};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Stop sequences of one request, and bytes of each.
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 256;
/// Tools of one request.
const TOOLS_MAX: usize = 128;

/// A request for a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    #[schema(min_items = 1)]
    messages: Vec<InputMessage>,
    #[schema(minimum = 1)]
    max_tokens: u64,
    #[schema(value_type = Option<ContentDescription>)]
    system: Option<StringOrList<Block>>,
    metadata: Option<Metadata>,
    stop_sequences: Option<Vec<String>>,
    stream: Option<bool>,
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f64>,
    top_k: Option<u32>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<Choice>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
    output_format: Option<Format>,
    /// Options that only this model knows: booleans, numbers and strings.
    #[schema(value_type = Option<HashMap<String, PlainValue>>)]
    parameters: Option<BTreeMap<String, Plain>>,
    // What follows is about Anthropic's own service: taken, and without effect here.
    #[expect(dead_code, reason = "only its type is checked")]
    service_tier: Option<String>,
    /// Whether the whole conversation is to be found in the cache by the next request.
    #[schema(value_type = Option<Object>)]
    cache_control: Option<CacheMark>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "there are no containers")]
    container: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "the caller keeps its own context")]
    context_management: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "models here have no network")]
    mcp_servers: Option<Box<RawValue>>,
    #[expect(dead_code, reason = "there is one place, this one")]
    inference_geo: Option<String>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "nothing is cached on request")]
    diagnostics: Option<Box<RawValue>>,
    #[expect(dead_code, reason = "there is one speed, the model's")]
    speed: Option<String>,
    #[expect(dead_code, reason = "callers are told apart by their keys")]
    user_profile_id: Option<String>,
    #[expect(dead_code, reason = "there is one workspace, this one")]
    workspace_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "only the raw member is taken")]
    betas: Option<Box<RawValue>>,
}

/// A request to count the tokens of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    #[schema(min_items = 1)]
    messages: Vec<InputMessage>,
    #[schema(value_type = Option<ContentDescription>)]
    system: Option<StringOrList<Block>>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<Choice>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
    output_format: Option<Format>,
    // What follows is taken, and without effect here.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "a count uses no cache")]
    cache_control: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "the caller keeps its own context")]
    context_management: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "models here have no network")]
    mcp_servers: Option<Box<RawValue>>,
    #[expect(dead_code, reason = "there is one speed, the model's")]
    speed: Option<String>,
    #[expect(dead_code, reason = "callers are told apart by their keys")]
    user_profile_id: Option<String>,
    #[expect(dead_code, reason = "there is one workspace, this one")]
    workspace_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MessageMetadata)]
struct Metadata {
    user_id: Option<String>,
}

/// A tool. One without a schema is known to the model by its type.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AnthropicTool)]
struct Tool {
    /// `custom`, or the type of a tool that Anthropic defines.
    r#type: Option<String>,
    name: Option<String>,
    description: Option<String>,
    /// A JSON Schema of an object.
    #[schema(value_type = Option<Object>)]
    input_schema: Option<Box<RawValue>>,
    strict: Option<bool>,
    /// Whether the tools up to here are to be found in the cache by the next request.
    #[schema(value_type = Option<Object>)]
    cache_control: Option<CacheMark>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AnthropicToolChoice)]
struct Choice {
    /// `auto`, `any`, `tool` or `none`.
    r#type: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct OutputConfig {
    /// `low`, `medium`, `high`, `xhigh` or `max`.
    effort: Option<String>,
    format: Option<Format>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MessageFormat)]
struct Format {
    /// `json_schema`.
    r#type: String,
    #[schema(value_type = Option<Object>)]
    schema: Option<Box<RawValue>>,
}

/// How an answer is to be written.
#[derive(Clone)]
pub(crate) struct Style {
    /// About how many tokens the prompt has.
    pub(super) prompt_tokens_estimate: u64,
    /// Whether thoughts are signed and not shown.
    pub(super) omits_thoughts: bool,
    /// Whether what is marked stays in the cache for an hour.
    pub(super) caches_for_an_hour: bool,
}

/// What a request and a count of its tokens have in common.
struct Conversation {
    messages: Vec<InputMessage>,
    system: Option<StringOrList<Block>>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<Choice>,
    format: Option<Format>,
    /// The mark of all of it for the cache.
    mark: Option<CacheMark>,
}

/// A conversation as the model gets it.
struct ReadConversation {
    messages: Vec<text::Message>,
    places: Vec<String>,
    tools: Vec<text::Tool>,
    tool_choice: ToolChoice,
    parallel_tool_calls: bool,
    response_format: ResponseFormat,
    size: PromptSize,
    cache: CacheUse,
    caches_for_an_hour: bool,
}

impl MessagesRequest {
    /// Whether the answer is to be a stream.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Checks every field. `others` are the members that the request has besides.
    pub(super) fn read(
        self,
        others: Others,
        limits: TokenLimits,
    ) -> Result<(TextCall, Style), ApiError> {
        let max_tokens = limits.tokens("max_tokens", self.max_tokens)?;
        let stop = stops(self.stop_sequences)?;
        let (effort, format) = match self.output_config {
            Some(OutputConfig { effort, format }) => (effort, format),
            None => (None, None),
        };
        let omits_thoughts = self.thinking.as_ref().is_some_and(Thinking::is_omitted);
        let reasoning_effort = reasoning_effort(self.thinking, effort, self.max_tokens)?;
        let read = Conversation {
            messages: self.messages,
            system: self.system,
            tools: self.tools,
            tool_choice: self.tool_choice,
            format: format.or(self.output_format),
            mark: self.cache_control,
        }
        .read()?;
        let user = self.metadata.and_then(|metadata| metadata.user_id);
        let sampling = text::Sampling {
            temperature: within("temperature", self.temperature, 0.0, 1.0)?,
            // Callers write 0 for "the likeliest only"; the contract wants more than nothing.
            top_p: within("top_p", self.top_p, 0.0, 1.0)?.map(|top_p| top_p.max(1e-6)),
            top_k: self.top_k,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            logprobs: None,
        };
        let parameters = parameters(self.parameters, others.into_options())?;
        let style = Style {
            prompt_tokens_estimate: read.size.tokens_estimate().into(),
            omits_thoughts,
            caches_for_an_hour: read.caches_for_an_hour,
        };
        let mut call = read.call(self.model, max_tokens, sampling, parameters);
        call.request.reasoning_effort = reasoning_effort;
        call.request.stop.clone_from(&stop);
        call.limits.stop = stop;
        call.marks = marks(None, [("metadata.user_id", user)]);
        Ok((call, style))
    }
}

impl CountRequest {
    /// Checks every field, and asks for as little of an answer as there can be.
    pub(super) fn read(self, others: Others) -> Result<TextCall, ApiError> {
        let format = self.output_config.and_then(|config| config.format);
        let read = Conversation {
            messages: self.messages,
            system: self.system,
            tools: self.tools,
            tool_choice: self.tool_choice,
            format: format.or(self.output_format),
            mark: None,
        }
        .read()?;
        reasoning_effort(self.thinking, None, u64::MAX)?;
        let sampling = text::Sampling {
            temperature: Some(0.0),
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            logprobs: None,
        };
        let parameters = parameters(None, others.into_options())?;
        Ok(read.call(self.model, 1, sampling, parameters))
    }
}

impl Conversation {
    fn read(self) -> Result<ReadConversation, ApiError> {
        not_empty("messages", Some(&self.messages))?;
        let mut size = PromptSize::default();
        let is_hour = CacheMark::is_for_an_hour;
        let caches_for_an_hour = self.mark.as_ref().is_some_and(is_hour)
            || self
                .messages
                .iter()
                .any(|message| message.has_mark(is_hour))
            || self
                .system
                .as_ref()
                .is_some_and(|system| content::has_mark(system, is_hour))
            || self
                .tools
                .iter()
                .flatten()
                .any(|tool| tool.cache_control.as_ref().is_some_and(is_hour));
        let any = |_: &CacheMark| true;
        let marks = Marks {
            all: self.mark.is_some(),
            message: self
                .messages
                .iter()
                .rposition(|message| message.has_mark(any)),
            system: self
                .system
                .as_ref()
                .is_some_and(|system| content::has_mark(system, any)),
            tools: self
                .tools
                .iter()
                .flatten()
                .any(|tool| tool.cache_control.is_some()),
        };
        let mut turns = content::system(self.system, &mut size)?;
        turns.extend(content::turns(self.messages, &mut size)?);
        let cache = marks.in_turns(&turns);
        let (messages, places) = turns
            .into_iter()
            .map(|Turn { message, place }| (message, place))
            .unzip();
        let tools = tools(self.tools, &mut size)?;
        let parallel = self
            .tool_choice
            .as_ref()
            .and_then(|choice| choice.disable_parallel_tool_use);
        Ok(ReadConversation {
            messages,
            places,
            tool_choice: choice(self.tool_choice, &tools)?,
            parallel_tool_calls: !parallel.unwrap_or(false),
            tools,
            response_format: self.format.map_or(Ok(ResponseFormat::Text), Format::read)?,
            size,
            cache,
            caches_for_an_hour,
        })
    }
}

impl ReadConversation {
    /// The call that asks a model to go on.
    fn call(
        self,
        model: String,
        max_tokens: u32,
        sampling: text::Sampling,
        parameters: Vec<belljar_sandbox::wit::types::Parameter>,
    ) -> TextCall {
        TextCall {
            model,
            request: text::Request {
                prompt: Prompt::Messages(self.messages),
                max_tokens,
                stop: Vec::new(),
                sampling,
                tools: self.tools,
                tool_choice: self.tool_choice,
                parallel_tool_calls: self.parallel_tool_calls,
                response_format: self.response_format,
                reasoning_effort: None,
                choice: 0,
                parameters,
            },
            further_prompts: Vec::new(),
            places: Places {
                messages: self.places,
                tool: "",
                schema: "input_schema",
                format: "output_config.format",
                stop: "stop_sequences",
                prompt: PromptPlace::Conversation,
                max_tokens: "max_tokens",
            },
            limits: OutputLimits {
                max_tokens,
                stop: Vec::new(),
                prompt_tokens_max: self.size.tokens_max(),
                prompt_tokens_estimate: self.size.tokens_estimate(),
                encoding: None,
                bias: None,
            },
            prompt_tokens_estimate: self.size.tokens_estimate(),
            choices: 1,
            tokens_are_default: false,
            names_stop: true,
            truncates: false,
            cache: self.cache,
            few_tokens: Vec::new(),
            marks: Vec::new(),
        }
    }
}

fn stops(stops: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let stops = stops.unwrap_or_default();
    at_most("stop_sequences", stops.len(), STOPS_MAX, "strings")?;
    for (index, stop) in stops.iter().enumerate() {
        let place = || format!("stop_sequences[{index}]");
        if !(1..=STOP_BYTES_MAX).contains(&stop.len()) {
            let message = format!("expected 1 to {STOP_BYTES_MAX} bytes");
            return Err(ApiError::invalid_argument(place(), message));
        }
        if stop.trim().is_empty() {
            let message = "each stop sequence must contain non-whitespace";
            return Err(ApiError::invalid_argument(place(), message));
        }
    }
    Ok(stops)
}

/// Types of tools that run in Anthropic's service, by how they begin; here they are not there.
const OF_THE_SERVICE: [&str; 6] = [
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "tool_search_",
    "mcp_toolset",
    "advisor_",
];
/// Types of tools that the caller runs and the model knows without a schema.
const KNOWN_TO_MODELS: [&str; 5] = ["bash_", "text_editor_", "computer_", "memory_", "browser_"];

fn tools(tools: Option<Vec<Tool>>, size: &mut PromptSize) -> Result<Vec<text::Tool>, ApiError> {
    let tools = tools.unwrap_or_default();
    at_most("tools", tools.len(), TOOLS_MAX, "tools")?;
    let mut all: Vec<text::Tool> = Vec::with_capacity(tools.len());
    for (index, tool) in tools.into_iter().enumerate() {
        let place = |member: &str| format!("tools[{index}].{member}");
        let kind = tool.r#type.as_deref().unwrap_or("custom");
        let is_one_of = |kinds: &[&str]| kinds.iter().any(|begin| kind.starts_with(begin));
        if is_one_of(&OF_THE_SERVICE) {
            continue;
        }
        let is_known = is_one_of(&KNOWN_TO_MODELS);
        if kind != "custom" && !is_known {
            let message = "expected `custom`, or the type of a tool of Anthropic's";
            return Err(ApiError::invalid_argument(place("type"), message));
        }
        // A set of tools that models know goes by its type.
        let name = tool.name.or_else(|| is_known.then(|| kind.to_owned()));
        let name = name.ok_or_else(|| ApiError::missing_argument(place("name")))?;
        check_name(&name, &place("name"))?;
        if all.iter().any(|other| other.name == name) {
            let message = "tool names must be unique";
            return Err(ApiError::invalid_argument(place("name"), message));
        }
        let strict = tool.strict.unwrap_or(false);
        let schema = match tool.input_schema {
            Some(schema) => Some(object(&schema, &place("input_schema"))?),
            None if is_known => None,
            None => return Err(ApiError::missing_argument(place("input_schema"))),
        };
        let rules = Rules {
            is_of_object: true,
            is_strict: strict,
        };
        if let Some(schema) = &schema
            && let Some(fault) = schema::fault(schema, rules)
        {
            let message = format!("invalid schema: {fault}");
            return Err(ApiError::invalid_argument(place("input_schema"), message));
        }
        size.add_text(&name);
        size.add_text(tool.description.as_deref().unwrap_or_default());
        size.add_text(schema.as_deref().unwrap_or_default());
        all.push(text::Tool {
            name,
            description: tool.description,
            parameters: schema,
            strict,
        });
    }
    Ok(all)
}

fn choice(choice: Option<Choice>, tools: &[text::Tool]) -> Result<ToolChoice, ApiError> {
    let Some(Choice { r#type, name, .. }) = choice else {
        return Ok(ToolChoice::Automatic);
    };
    let needs_tools = |choice: ToolChoice| {
        if tools.is_empty() {
            let message = "may only be specified while providing tools";
            return Err(ApiError::invalid_argument("tool_choice", message));
        }
        Ok(choice)
    };
    match r#type.as_str() {
        "auto" => Ok(ToolChoice::Automatic),
        "none" => Ok(ToolChoice::Forbidden),
        "any" => needs_tools(ToolChoice::Required),
        "tool" => {
            let place = "tool_choice.name";
            let name = name.ok_or_else(|| ApiError::missing_argument(place.to_owned()))?;
            if !tools.iter().any(|tool| tool.name == name) {
                let message = "names a tool that is not among the tools";
                return Err(ApiError::invalid_argument(place, message));
            }
            Ok(ToolChoice::Named(name))
        }
        _ => Err(ApiError::invalid_argument(
            "tool_choice.type",
            "expected `auto`, `any`, `tool` or `none`",
        )),
    }
}

impl Format {
    fn read(self) -> Result<ResponseFormat, ApiError> {
        let place = |member: &str| format!("output_config.format.{member}");
        if self.r#type != "json_schema" {
            let message = "expected `json_schema`";
            return Err(ApiError::invalid_argument(place("type"), message));
        }
        let schema = self
            .schema
            .ok_or_else(|| ApiError::missing_argument(place("schema")))?;
        let schema = object(&schema, &place("schema"))?;
        let rules = Rules {
            is_of_object: false,
            is_strict: false,
        };
        if let Some(fault) = schema::fault(&schema, rules) {
            let message = format!("invalid schema: {fault}");
            return Err(ApiError::invalid_argument(place("schema"), message));
        }
        Ok(ResponseFormat::JsonSchema(JsonSchema {
            name: "output".to_owned(),
            schema,
            strict: true,
        }))
    }
}
