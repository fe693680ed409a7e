//! The request for a response.

use super::items::{self, Turn};
use super::output::OutputStyle;
use super::tools::{choice, tools};
use crate::api::check::{Plain, PlainValue, StringOrList, StringOrObject, parameters, within};
use crate::api::openai::objects::raw;
use crate::api::openai::wire::{
    Others, Sifted, Thinking, TokenLimits, check_metadata, check_speaks_of_json, marks, object,
};
use crate::api::prompt::PromptSize;
use crate::api::schema::{self, Rules};
use crate::generation::OutputLimits;
use crate::http::error::ApiError;
use crate::http::json::describe;
use crate::inference::{CacheUse, Places, PromptPlace, TextCall};
use belljar_sandbox::wit::text::{self, JsonSchema, Message, Part, Prompt, ResponseFormat, Role};
use belljar_sandbox::wit::types::{Parameter, Value as OptionValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Alternatives to each token.
const TOP_LOGPROBS_MAX: u8 = 20;

/// A request for a response.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponseRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    /// A text, or a list of items.
    #[schema(value_type = Option<ResponseInput>)]
    pub(super) input: Option<StringOrList<Box<RawValue>>>,
    instructions: Option<String>,
    /// The response that this one goes on from.
    pub(super) previous_response_id: Option<String>,
    /// The conversation that this one is part of: its id, or an object with one.
    #[schema(value_type = Option<ConversationReference>)]
    conversation: Option<StringOrObject<ConversationId>>,
    pub(super) stream: Option<bool>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "events are never padded here")]
    stream_options: Option<Box<RawValue>>,
    /// Whether the response is kept, to be read or gone on from. It is, unless this is false.
    store: Option<bool>,
    /// Whether to answer at once and work on.
    background: Option<bool>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<u64>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<u8>,
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Box<RawValue>>>,
    /// `none`, `auto`, `required`, or an object that names a tool or lists those allowed.
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Box<RawValue>>,
    parallel_tool_calls: Option<bool>,
    text: Option<TextOptions>,
    reasoning: Option<Reasoning>,
    /// What else is to be part of the answer, such as `message.output_text.logprobs`.
    include: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
    /// `auto` or `disabled`: whether the oldest items are left out where there is no room for all.
    truncation: Option<String>,
    user: Option<String>,
    safety_identifier: Option<String>,
    prompt_cache_key: Option<String>,
    #[expect(dead_code, reason = "only its type is checked")]
    prompt_cache_retention: Option<String>,
    /// Must be null: prompts are not stored here.
    #[schema(value_type = Option<Object>)]
    prompt: Option<Box<RawValue>>,
    // What follows is about OpenAI's own service: taken, and without effect here.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "there are no programs to ask for")]
    access_programs: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "work in the background has no windows here")]
    background_options: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "the caller keeps its own context")]
    context_management: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "text is what is generated")]
    image: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "the screening is the server's own")]
    moderation: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "nothing is cached")]
    prompt_cache_options: Option<Box<RawValue>>,
    service_tier: Option<String>,
    /// Options that only this model knows: booleans, numbers and strings.
    #[schema(value_type = Option<HashMap<String, PlainValue>>)]
    parameters: Option<BTreeMap<String, Plain>>,
}

/// The input, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum ResponseInput {
    Text(String),
    #[schema(value_type = Vec<Object>)]
    Items(Vec<Value>),
}

/// A conversation, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum ConversationReference {
    Id(String),
    Conversation(ConversationId),
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct ConversationId {
    id: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ResponseTextOptions)]
struct TextOptions {
    #[schema(value_type = Option<Object>)]
    format: Option<Box<RawValue>>,
    /// `low`, `medium` or `high`.
    verbosity: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Format {
    r#type: String,
    name: Option<String>,
    schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ResponseReasoning)]
struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    effort: Option<String>,
    /// `auto`, `concise` or `detailed`: whether thoughts are told.
    summary: Option<String>,
    generate_summary: Option<String>,
}

/// What is said of a response whatever becomes of it: what was asked for.
pub(super) type Echo = Vec<(&'static str, Box<RawValue>)>;

/// A request that has been read.
pub(super) struct ReadResponse {
    pub(super) call: TextCall,
    pub(super) style: OutputStyle,
    pub(super) echo: Echo,
    /// The items of this request, with ids.
    pub(super) input: Vec<Box<RawValue>>,
}

impl Sifted<ResponseRequest> {
    /// The same request, to be answered with as little as there can be, and not kept.
    pub(super) fn asking_for_one_token(mut self) -> Self {
        self.known.max_output_tokens = Some(1);
        self.known.store = Some(false);
        self.known.background = None;
        self
    }
}

impl ResponseRequest {
    /// Asks for words about these items, and for nothing else.
    pub(super) fn sums_up(&mut self, input: Vec<Box<RawValue>>) {
        self.input = Some(StringOrList::List(input));
        self.text = None;
        self.tools = None;
        self.tool_choice = None;
    }

    /// Whether the response is to be kept.
    pub(super) fn stores(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Whether to answer at once and work on.
    pub(super) fn is_background(&self) -> bool {
        self.background.unwrap_or(false)
    }

    /// The conversation that the response is part of.
    pub(super) fn conversation(&self) -> Option<&str> {
        match &self.conversation {
            Some(StringOrObject::Text(id) | StringOrObject::Object(ConversationId { id })) => {
                Some(id)
            }
            None => None,
        }
    }

    /// Refuses what goes on from two things at once, and what works on without being kept.
    pub(super) fn check_state(&self) -> Result<(), ApiError> {
        if self.previous_response_id.is_some() && self.conversation.is_some() {
            return Err(ApiError::invalid_request(
                "mutually_exclusive_parameters",
                "Mutually exclusive parameters: Ensure you are only providing one of: \
                 'previous_response_id' or 'conversation'.",
            )
            .at("conversation".to_owned()));
        }
        if self
            .prompt
            .as_ref()
            .is_some_and(|prompt| prompt.get() != "null")
        {
            let message = "there are no stored prompts; send `instructions` and `input`";
            return Err(ApiError::invalid_argument("prompt", message));
        }
        if self.is_background() && !self.stores() {
            let message = "`background` needs `store` to be true";
            return Err(ApiError::invalid_argument("store", message));
        }
        Ok(())
    }

    /// Checks every field. `before` are the items that the request goes on from, `others` the
    /// members that it has besides.
    pub(super) fn read(
        self,
        before: Vec<Box<RawValue>>,
        others: Others,
        limits: TokenLimits,
    ) -> Result<ReadResponse, ApiError> {
        let echo = self.echo();
        let input = self.input.map_or(Ok(Vec::new()), items::normalized)?;
        if input.is_empty() && before.is_empty() {
            return Err(ApiError::missing_argument("input".to_owned()));
        }
        let mut size = PromptSize::default();
        let from = before.len();
        let mut all = before;
        all.extend(input.iter().cloned());
        let mut turns = Vec::new();
        if let Some(instructions) = self.instructions {
            size.add_text(&instructions);
            size.add_message();
            turns.push(Turn {
                message: Message {
                    role: Role::System,
                    name: None,
                    content: vec![Part::Text(instructions)],
                    tool_calls: Vec::new(),
                    tool_call_id: None,
                },
                place: "instructions".to_owned(),
            });
        }
        turns.extend(items::turns(&all, from, &mut size)?);
        let (messages, places): (Vec<_>, Vec<_>) = turns
            .into_iter()
            .map(|Turn { message, place }| (message, place))
            .unzip();
        if messages.is_empty() {
            let message = "expected an item that says something";
            return Err(ApiError::invalid_argument("input", message));
        }
        let (tools, custom_tools) = tools(self.tools.unwrap_or_default(), &mut size)?;
        let (tool_choice, tools) = choice(self.tool_choice, tools)?;
        let tokens_are_default = self.max_output_tokens.is_none();
        let max_tokens = match self.max_output_tokens {
            Some(asked) => limits.tokens("max_output_tokens", asked)?,
            None => limits.default.min(limits.max),
        };
        check_metadata(self.metadata.as_ref())?;
        let truncates = self.truncation.as_deref() == Some("auto");
        if !matches!(self.truncation.as_deref(), None | Some("auto" | "disabled")) {
            let message = "expected `auto` or `disabled`";
            return Err(ApiError::invalid_argument("truncation", message));
        }
        let (format, verbosity) = match self.text {
            Some(TextOptions { format, verbosity }) => (format, verbosity),
            None => (None, None),
        };
        let include = self.include.unwrap_or_default();
        let wants_logprobs = include
            .iter()
            .any(|name| name == "message.output_text.logprobs");
        let encrypts = include
            .iter()
            .any(|name| name == "reasoning.encrypted_content");
        let top = self.top_logprobs;
        if top.is_some_and(|top| top > TOP_LOGPROBS_MAX) {
            let message = format!("expected a number from 0 to {TOP_LOGPROBS_MAX}");
            return Err(ApiError::invalid_argument("top_logprobs", message));
        }
        let logprobs = wants_logprobs || top.is_some_and(|top| top > 0);
        let (effort, summary) = match self.reasoning {
            Some(reasoning) => (
                reasoning.effort,
                reasoning.summary.or(reasoning.generate_summary),
            ),
            None => (None, None),
        };
        if !matches!(
            summary.as_deref(),
            None | Some("auto" | "concise" | "detailed")
        ) {
            let message = "expected `auto`, `concise` or `detailed`";
            return Err(ApiError::invalid_argument("reasoning.summary", message));
        }
        let sampling = text::Sampling {
            temperature: within("temperature", self.temperature, 0.0, 2.0)?,
            // Callers write 0 for "the likeliest only"; the contract wants more than nothing.
            top_p: within("top_p", self.top_p, 0.0, 1.0)?.map(|top_p| top_p.max(1e-6)),
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            logprobs: logprobs.then(|| top.unwrap_or(0)),
        };
        let mut parameters = parameters(self.parameters, others.into_options())?;
        if let Some(verbosity) = verbosity {
            if !matches!(verbosity.as_str(), "low" | "medium" | "high") {
                let message = "expected `low`, `medium` or `high`";
                return Err(ApiError::invalid_argument("text.verbosity", message));
            }
            parameters.push(Parameter {
                name: "verbosity".to_owned(),
                value: OptionValue::Text(verbosity),
            });
        }
        let response_format = format
            .as_deref()
            .map_or(Ok(ResponseFormat::Text), read_format)?;
        let places_of_form = ["input", "text.format"];
        check_speaks_of_json(&self.model, &response_format, &messages, places_of_form)?;
        let mut thinking = Thinking::new(&self.model, effort.as_deref(), "reasoning.effort")?;
        // Who asks for a summary wants to hear of the thoughts.
        thinking.is_silent &= summary.is_none();
        let request = text::Request {
            prompt: Prompt::Messages(messages),
            max_tokens,
            stop: Vec::new(),
            sampling,
            tools,
            tool_choice,
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            response_format,
            reasoning_effort: thinking.effort,
            choice: 0,
            parameters,
        };
        let identifiers = [
            ("user", self.user),
            ("safety_identifier", self.safety_identifier),
            ("prompt_cache_key", self.prompt_cache_key),
        ];
        let call = TextCall {
            model: self.model,
            request,
            further_prompts: Vec::new(),
            places: Places {
                messages: places,
                tool: "",
                format: "text.format",
                prompt: PromptPlace::Input,
                max_tokens: "max_output_tokens",
                ..Places::default()
            },
            limits: OutputLimits {
                max_tokens,
                stop: Vec::new(),
                prompt_tokens_max: size.tokens_max(),
                prompt_tokens_estimate: size.tokens_estimate(),
                encoding: None,
                bias: None,
            },
            prompt_tokens_estimate: size.tokens_estimate(),
            choices: 1,
            tokens_are_default,
            names_stop: false,
            truncates,
            cache: CacheUse::Automatic,
            few_tokens: Vec::new(),
            marks: marks(self.metadata, identifiers),
        };
        let style = OutputStyle {
            has_summary: summary.is_some(),
            thinks_silently: thinking.is_silent,
            encrypts,
            logprobs,
            custom_tools,
        };
        Ok(ReadResponse {
            call,
            style,
            echo,
            input,
        })
    }

    /// What the response says of the request.
    fn echo(&self) -> Echo {
        let given =
            |value: &Option<Box<RawValue>>| value.clone().filter(|value| value.get() != "null");
        let or =
            |value: Option<Box<RawValue>>, default: Value| value.unwrap_or_else(|| raw(&default));
        let format = self.text.as_ref().and_then(|text| given(&text.format));
        let verbosity = self
            .text
            .as_ref()
            .and_then(|text| text.verbosity.as_deref());
        let text = TextEcho {
            format: or(format, json!({"type": "text"})),
            verbosity: verbosity.unwrap_or("medium"),
        };
        let reasoning = self.reasoning.as_ref();
        let effort = reasoning.and_then(|reasoning| reasoning.effort.as_deref());
        let summary = reasoning.and_then(|reasoning| {
            let older = reasoning.generate_summary.as_deref();
            reasoning.summary.as_deref().or(older)
        });
        let tier = match self.service_tier.as_deref() {
            None | Some("auto") => "default",
            Some(tier) => tier,
        };
        let mut members = vec![
            ("background", raw(&self.is_background())),
            ("instructions", raw(&self.instructions)),
            ("max_output_tokens", raw(&self.max_output_tokens)),
            ("max_tool_calls", raw(&self.max_tool_calls)),
            ("metadata", raw(&self.metadata.clone().unwrap_or_default())),
            ("model", raw(&self.model)),
            (
                "parallel_tool_calls",
                raw(&self.parallel_tool_calls.unwrap_or(true)),
            ),
            ("previous_response_id", raw(&self.previous_response_id)),
            ("prompt_cache_key", raw(&self.prompt_cache_key)),
            (
                "reasoning",
                raw(&json!({"effort": effort, "summary": summary})),
            ),
            ("safety_identifier", raw(&self.safety_identifier)),
            ("service_tier", raw(tier)),
            ("store", raw(&self.stores())),
            ("temperature", raw(&self.temperature.unwrap_or(1.0))),
            ("text", raw(&text)),
            ("tool_choice", or(given(&self.tool_choice), json!("auto"))),
            ("tools", raw(&self.tools.as_deref().unwrap_or_default())),
            ("top_logprobs", raw(&self.top_logprobs.unwrap_or(0))),
            ("top_p", raw(&self.top_p.unwrap_or(1.0))),
            (
                "truncation",
                raw(self.truncation.as_deref().unwrap_or("disabled")),
            ),
            ("user", raw(&self.user)),
        ];
        if let Some(id) = self.conversation() {
            members.push(("conversation", raw(&json!({"id": id}))));
        }
        members
    }
}

#[derive(Serialize)]
struct TextEcho<'r> {
    format: Box<RawValue>,
    verbosity: &'r str,
}

fn read_format(format: &RawValue) -> Result<ResponseFormat, ApiError> {
    let place = |member: &str| format!("text.format.{member}");
    let format: Format = serde_json::from_str(format.get())
        .map_err(|error| ApiError::invalid_argument("text.format", describe(&error)))?;
    match format.r#type.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::JsonObject),
        "json_schema" => {
            let name = format
                .name
                .ok_or_else(|| ApiError::missing_argument(place("name")))?;
            let schema = format
                .schema
                .ok_or_else(|| ApiError::missing_argument(place("schema")))?;
            let schema = object(&schema, &place("schema"))?;
            let strict = format.strict.unwrap_or(false);
            let rules = Rules {
                is_of_object: strict,
                is_strict: strict,
            };
            if let Some(fault) = schema::fault(&schema, rules) {
                let message = format!("invalid schema: {fault}");
                return Err(ApiError::invalid_argument(place("schema"), message));
            }
            Ok(ResponseFormat::JsonSchema(JsonSchema {
                name,
                schema,
                strict,
            }))
        }
        _ => {
            let message = "expected `text`, `json_object` or `json_schema`";
            Err(ApiError::invalid_argument(place("type"), message))
        }
    }
}
