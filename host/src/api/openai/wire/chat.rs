//! `POST /v1/chat/completions`: the request.

use super::audio::{AudioOptions, speech};
use super::content::{self, Message};
use super::effort::Thinking;
use super::format::{Format, check_speaks_of_json};
use super::members::{NamesModel, Others};
use super::sampling::{alternatives, biases, top_k};
use super::service::{
    Prediction, WebSearchOptions, check_metadata, check_prediction, check_retention,
    check_web_search, tier,
};
use super::stored_options::StoredOptions;
use super::tools::{self, Function, NamedChoice, Tool, ToolChoiceOption};
use crate::api::check::{
    Plain, StringOrList, StringOrObject, at_most, not_empty, parameters, within,
};
use crate::api::check::{PlainValue, StringOrStrings};
use crate::api::openai::sound::SpeechStyle;
use crate::api::texts::KeptRequest;
use crate::generation::OutputLimits;
use crate::http;
use crate::http::error::ApiError;
use crate::inference::{CacheUse, Mark, Places, TextCall};
use belljar_sandbox::wit::text::{self, ResponseFormat};
use belljar_sandbox::wit::types::{Parameter, Value};
use belljar_screen::FieldKind;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Stop strings of one request, and bytes of each.
const STOPS_MAX: usize = 4;
const STOP_BYTES_MAX: usize = 256;

/// A request for a chat completion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    /// 0 and -1 are for all tokens, as with the servers that have this member.
    #[schema(minimum = -1)]
    top_k: Option<i64>,
    #[schema(minimum = 0, maximum = 1)]
    min_p: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    presence_penalty: Option<f64>,
    /// From token id to a bias from -100 to 100.
    logit_bias: Option<BTreeMap<String, f64>>,
    /// How many answers.
    #[schema(minimum = 1)]
    n: Option<u32>,
    /// A string, or a list of up to 4 of them.
    #[schema(value_type = Option<StringOrStrings>)]
    stop: Option<StringOrList<String>>,
    #[schema(minimum = 1)]
    max_tokens: Option<u64>,
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u64>,
    logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<u8>,
    seed: Option<i64>,
    #[schema(min_items = 1, max_items = 128)]
    tools: Option<Vec<Tool>>,
    #[schema(value_type = Option<ToolChoiceOption>)]
    tool_choice: Option<StringOrObject<NamedChoice>>,
    parallel_tool_calls: Option<bool>,
    #[schema(min_items = 1, max_items = 128)]
    functions: Option<Vec<Function>>,
    #[schema(value_type = Option<ToolChoiceOption>)]
    function_call: Option<StringOrObject<NamedChoice>>,
    response_format: Option<Format>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    reasoning_effort: Option<String>,
    /// `low`, `medium` or `high`; passed on to the model.
    verbosity: Option<String>,
    /// Options that only this model knows: booleans, numbers and strings.
    #[schema(value_type = Option<HashMap<String, PlainValue>>)]
    parameters: Option<BTreeMap<String, Plain>>,
    metadata: Option<BTreeMap<String, String>>,
    /// Whether the completion is kept, with its messages and `metadata`.
    store: Option<bool>,
    /// Of `text` and `audio`: whether the answer is spoken.
    modalities: Option<Vec<String>>,
    /// How it is spoken.
    audio: Option<AudioOptions>,
    /// `auto`, `default`, `flex`, `scale`, `priority` or `fast`; the answer repeats it.
    service_tier: Option<String>,
    // What follows is taken and changes nothing here: it is about OpenAI's own service.
    user: Option<String>,
    safety_identifier: Option<String>,
    prompt_cache_key: Option<String>,
    /// `in_memory` or `24h`.
    prompt_cache_retention: Option<String>,
    prediction: Option<Prediction>,
    web_search_options: Option<WebSearchOptions>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "the screening is the server's own")]
    moderation: Option<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "nothing is cached")]
    prompt_cache_options: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// What the server allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenLimits {
    /// Tokens of an answer where the caller does not say.
    pub(crate) default: u32,
    /// The most that a caller may ask for.
    pub(crate) max: u32,
    /// Answers to one request.
    pub(crate) choices_max: u32,
}

/// How the answer is to be written.
#[derive(Clone, Debug)]
pub(crate) struct ChatStyle {
    /// Whether it is a stream.
    pub(crate) is_stream: bool,
    /// Whether a stream ends with the usage.
    pub(crate) include_usage: bool,
    /// Whether log-probabilities are wanted.
    pub(crate) logprobs: bool,
    /// Whether calls are answered in the older way, as `function_call`.
    pub(crate) is_legacy: bool,
    /// The tools whose calls are written as those of custom tools.
    pub(crate) custom_tools: Vec<String>,
    /// Whether thoughts are left out.
    pub(crate) thinks_silently: bool,
    /// What is kept of the request, where it is to be.
    pub(crate) kept: Option<KeptRequest>,
    /// The tier that the answer names.
    pub(super) service_tier: &'static str,
    /// How the answer is spoken, where it is.
    pub(super) speech: Option<SpeechStyle>,
}

impl ChatStyle {
    /// About how many bytes the sound of an answer has.
    pub(crate) fn sound_bytes_max(&self) -> usize {
        self.speech.map_or(0, SpeechStyle::bytes_max)
    }
}

impl From<&http::Config> for TokenLimits {
    fn from(config: &http::Config) -> Self {
        Self {
            default: config.tokens_default,
            max: config.tokens_max,
            choices_max: config.choices_max,
        }
    }
}

impl NamesModel for ChatRequest {
    fn name_model(&mut self, model: String) {
        self.model = model;
    }
}

impl ChatRequest {
    /// Checks every field. `others` are the members that the request has besides.
    pub(crate) fn read(
        self,
        others: Others,
        limits: TokenLimits,
    ) -> Result<(TextCall, ChatStyle), ApiError> {
        self.check_what_is_not_used()?;
        let stores = self.store.unwrap_or(false);
        let kept = stores.then(|| KeptRequest {
            input: content::stored(&self.messages),
            options: StoredOptions {
                tool_choice: self.tool_choice.as_ref(),
                seed: self.seed,
                top_p: self.top_p.unwrap_or(1.0),
                temperature: self.temperature.unwrap_or(1.0),
                presence_penalty: self.presence_penalty.unwrap_or(0.0),
                frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
                input_user: self.user.as_deref(),
                tools: self.tools.as_deref(),
                response_format: self.response_format.as_ref(),
                metadata: self.metadata.as_ref(),
            }
            .written(),
        });
        let service_tier = tier(self.service_tier.as_deref())?;
        let marks = marks(
            self.metadata,
            [
                ("user", self.user),
                ("safety_identifier", self.safety_identifier),
                ("prompt_cache_key", self.prompt_cache_key),
            ],
        );
        let is_stream = self.stream.unwrap_or(false);
        if self.stream_options.is_some() && !is_stream {
            let message = "is only allowed when `stream` is true";
            return Err(ApiError::invalid_argument("stream_options", message));
        }
        let include_usage = self
            .stream_options
            .is_some_and(|options| options.include_usage.unwrap_or(false));
        let choices = self.n.unwrap_or(1);
        if !(1..=limits.choices_max).contains(&choices) {
            let message = format!("expected a number from 1 to {}", limits.choices_max);
            return Err(ApiError::invalid_argument("n", message));
        }
        let speech = speech(self.modalities.as_ref(), self.audio, choices, is_stream)?;
        not_empty("tools", self.tools.as_ref())?;
        not_empty("functions", self.functions.as_ref())?;
        let tokens_are_default = self.max_completion_tokens.is_none() && self.max_tokens.is_none();
        let max_tokens_member = if self.max_completion_tokens.is_some() {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        let max_tokens = max_tokens(self.max_completion_tokens, self.max_tokens, limits)?;
        let stop = stops(self.stop)?;
        let logprobs = self.logprobs.unwrap_or(false);
        let sampling = text::Sampling {
            temperature: within("temperature", self.temperature, 0.0, 2.0)?,
            // Callers write 0 for "the likeliest only"; the contract wants more than nothing.
            top_p: within("top_p", self.top_p, 0.0, 1.0)?.map(|top_p| top_p.max(1e-6)),
            top_k: top_k(self.top_k)?,
            min_p: within("min_p", self.min_p, 0.0, 1.0)?,
            frequency_penalty: within("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?,
            presence_penalty: within("presence_penalty", self.presence_penalty, -2.0, 2.0)?,
            logit_bias: biases(self.logit_bias)?,
            seed: self.seed.map(i64::cast_unsigned),
            logprobs: alternatives(logprobs, self.top_logprobs)?,
        };
        let (messages, mut size) = content::messages(self.messages)?;
        let is_legacy = self.functions.is_some() && self.tools.is_none();
        let (mut tools, custom_tools) = tools::tools(self.tools, self.functions, &mut size)?;
        if tools.is_empty() && self.parallel_tool_calls.is_some() {
            let message = "is only allowed when there are tools";
            return Err(ApiError::invalid_argument("parallel_tool_calls", message));
        }
        let tool_choice = match (self.tool_choice, self.function_call) {
            (None, Some(choice)) => tools::choice(Some(choice), "function_call", &mut tools)?,
            (choice, _) => tools::choice(choice, "tool_choice", &mut tools)?,
        };
        let response_format = self
            .response_format
            .map_or(Ok(ResponseFormat::Text), Format::read)?;
        let places = ["messages", "response_format"];
        check_speaks_of_json(&self.model, &response_format, &messages, places)?;
        let mut parameters = parameters(self.parameters, others.options)?;
        if let Some(verbosity) = self.verbosity {
            parameters.push(Parameter {
                name: "verbosity".to_owned(),
                value: Value::Text(verbosity),
            });
        }
        let asked = self.reasoning_effort.as_deref();
        let thinking = Thinking::new(&self.model, asked, "reasoning_effort")?;
        let request = text::Request {
            prompt: text::Prompt::Messages(messages),
            max_tokens,
            stop: stop.clone(),
            sampling,
            tools,
            tool_choice,
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true) && !is_legacy,
            response_format,
            reasoning_effort: thinking.effort,
            choice: 0,
            parameters,
        };
        let limits = OutputLimits {
            max_tokens,
            stop,
            prompt_tokens_max: size.tokens_max(),
            prompt_tokens_estimate: size.tokens_estimate(),
            encoding: None,
            bias: None,
        };
        let call = TextCall {
            model: self.model,
            request,
            further_prompts: Vec::new(),
            places: Places {
                max_tokens: max_tokens_member,
                ..Places::default()
            },
            limits,
            prompt_tokens_estimate: size.tokens_estimate(),
            choices,
            tokens_are_default,
            names_stop: false,
            truncates: false,
            cache: CacheUse::Automatic,
            few_tokens: Vec::new(),
            marks,
        };
        let style = ChatStyle {
            is_stream,
            include_usage,
            logprobs,
            is_legacy,
            custom_tools,
            thinks_silently: thinking.is_silent,
            kept,
            service_tier,
            speech,
        };
        Ok((call, style))
    }

    /// Fields of OpenAI's own service: taken as it documents them.
    fn check_what_is_not_used(&self) -> Result<(), ApiError> {
        check_metadata(self.metadata.as_ref())?;
        check_prediction(self.prediction.as_ref())?;
        check_web_search(self.web_search_options.as_ref())?;
        check_retention(self.prompt_cache_retention.as_deref())?;
        if let Some(verbosity) = &self.verbosity
            && !matches!(verbosity.as_str(), "low" | "medium" | "high")
        {
            return Err(ApiError::invalid_argument(
                "verbosity",
                "expected `low`, `medium` or `high`",
            ));
        }
        Ok(())
    }
}

/// The caller's own marks, as texts to be screened.
pub(crate) fn marks<const N: usize>(
    metadata: Option<BTreeMap<String, String>>,
    identifiers: [(&'static str, Option<String>); N],
) -> Vec<Mark> {
    let entries = metadata.into_iter().flatten().enumerate();
    // Keys are the caller's words, too, so an entry is named by its place.
    let entries = entries.flat_map(|(index, (key, value))| {
        [key, value].map(|text| Mark {
            field: format!("metadata[{index}]"),
            kind: FieldKind::Identifier,
            text,
        })
    });
    let identifiers = identifiers.into_iter().filter_map(|(field, text)| {
        text.map(|text| Mark {
            field: field.to_owned(),
            kind: FieldKind::Identifier,
            text,
        })
    });
    entries.chain(identifiers).collect()
}

fn max_tokens(
    newer: Option<u64>,
    older: Option<u64>,
    limits: TokenLimits,
) -> Result<u32, ApiError> {
    let (param, asked) = match (newer, older) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid_request(
                "invalid_parameter_combination",
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            )
            .at("max_tokens".to_owned()));
        }
        (Some(asked), None) => ("max_completion_tokens", asked),
        (None, Some(asked)) => ("max_tokens", asked),
        (None, None) => return Ok(limits.default.min(limits.max)),
    };
    limits.tokens(param, asked)
}

impl TokenLimits {
    /// The number of tokens that a member asks for.
    pub(crate) fn tokens(self, param: &str, asked: u64) -> Result<u32, ApiError> {
        u32::try_from(asked)
            .ok()
            .filter(|asked| (1..=self.max).contains(asked))
            .ok_or_else(|| {
                let message = format!("expected a number from 1 to {}", self.max);
                ApiError::invalid_argument(param, message)
            })
    }
}

pub(super) fn stops(stop: Option<StringOrList<String>>) -> Result<Vec<String>, ApiError> {
    let stops = match stop {
        None => return Ok(Vec::new()),
        Some(StringOrList::Text(stop)) => vec![stop],
        Some(StringOrList::List(stops)) => stops,
    };
    at_most("stop", stops.len(), STOPS_MAX, "strings")?;
    for (index, stop) in stops.iter().enumerate() {
        if !(1..=STOP_BYTES_MAX).contains(&stop.len()) {
            let message = format!("expected 1 to {STOP_BYTES_MAX} bytes");
            return Err(ApiError::invalid_argument(
                format!("stop[{index}]"),
                message,
            ));
        }
    }
    Ok(stops)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::http::json;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    const LIMITS: TokenLimits = TokenLimits {
        default: 100,
        max: 1_000,
        choices_max: 4,
    };

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            "[a-z_]{0,12}".prop_map(Json::from),
            prop::sample::select(vec![
                "text",
                "user",
                "function",
                "auto",
                "json_schema",
                "data:;base64,AA=="
            ])
            .prop_map(Json::from),
        ];
        let key = prop::sample::select(vec![
            "type",
            "role",
            "content",
            "text",
            "name",
            "function",
            "parameters",
            "url",
            "image_url",
            "json_schema",
            "schema",
            "tool_calls",
            "arguments",
            "id",
            "include_usage",
            "7",
        ]);
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    const FIELDS: [&str; 24] = [
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "presence_penalty",
        "logit_bias",
        "n",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "logprobs",
        "top_logprobs",
        "seed",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "response_format",
        "reasoning_effort",
        "parameters",
        "metadata",
    ];

    proptest! {
        #[test]
        fn any_value_in_any_field_is_taken_or_refused_as_the_callers(
            fields in prop::collection::btree_map(prop::sample::select(FIELDS.to_vec()), any_json(), 0..4),
        ) {
            let mut body = serde_json::json!({"model":"m","messages":[{"role":"user","content":"x"}]});
            for (field, value) in fields {
                body[field] = value;
            }
            let body = serde_json::to_vec(&body).unwrap().into();
            let request = json::parse::<ChatRequest>(&body);
            match request.and_then(|request| request.read(Others::default(), LIMITS)) {
                Ok((call, _)) => {
                    prop_assert!((1..=LIMITS.max).contains(&call.limits.max_tokens));
                    prop_assert!((1..=LIMITS.choices_max).contains(&call.choices));
                    prop_assert!(call.limits.stop.len() <= STOPS_MAX);
                }
                Err(refusal) => prop_assert!(refusal.detail().is_none(), "{refusal:?}"),
            }
        }
    }

    #[test]
    fn a_schema_keeps_the_order_of_its_fields() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}],
            "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"z":1,"a":2}}}}"#;
        let request: ChatRequest = json::parse(&bytes::Bytes::from_static(body)).unwrap();
        let ResponseFormat::JsonSchema(schema) = request
            .read(Others::default(), LIMITS)
            .unwrap()
            .0
            .request
            .response_format
        else {
            unreachable!("it is a schema")
        };
        assert_eq!(schema.schema, r#"{"z":1,"a":2}"#);
    }
}
