//! What a request asks for beyond its prompt: options that the contract names, and those that
//! other servers of the same interface have.

use std::time::{SystemTime, UNIX_EPOCH};

use belljar_guest::text::{Request, ResponseFormat};
use belljar_guest::{Error, Value};
use serde_json::Value as Json;

use crate::sampler::Choice;

/// What the answer has to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// Anything.
    Free,
    /// JSON that follows a schema.
    Schema(Json),
    /// A text that a regular expression describes, all of it.
    Expression(String),
    /// A grammar in the syntax of Lark.
    Grammar(String),
}

/// Options that are no matter of the sampler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) form: Form,
    /// Whether the marks that end a text are passed over.
    pub(crate) ignores_end: bool,
    /// Tokens before which no mark ends the text.
    pub(crate) min_tokens: u32,
    /// More tokens that end the text.
    pub(crate) stop_tokens: Vec<u32>,
    /// Whether the last message is one of the assistant that goes on.
    pub(crate) continues_last: bool,
    /// Whether the prompt ends with what comes before an answer.
    pub(crate) begins_answer: bool,
    /// More variables for the template.
    pub(crate) template: serde_json::Map<String, Json>,
}

impl Options {
    pub(crate) fn read(request: &Request) -> Result<Self, Error> {
        let template = match json(request, "chat_template_kwargs")? {
            None => serde_json::Map::new(),
            Some(Json::Object(map)) => map,
            Some(_) => return Err(wrong("chat_template_kwargs", "should be an object")),
        };
        Ok(Self {
            form: form(request)?,
            ignores_end: boolean(request, "ignore_eos")?.unwrap_or(false),
            min_tokens: integer(request, "min_tokens")?.unwrap_or(0),
            stop_tokens: stop_tokens(request)?,
            continues_last: boolean(request, "continue_final_message")?.unwrap_or(false),
            begins_answer: boolean(request, "add_generation_prompt")?.unwrap_or(true),
            template,
        })
    }
}

/// How the request wants tokens chosen.
pub(crate) fn choice(request: &Request) -> Result<Choice, Error> {
    let sampling = &request.sampling;
    let usual = Choice::default();
    let repetition = number(request, "repetition_penalty")?
        .or(number(request, "repeat_penalty")?)
        .unwrap_or(1.0);
    if repetition <= 0.0 {
        return Err(wrong("repetition_penalty", "should be above zero"));
    }
    let typical = number(request, "typical_p")?.unwrap_or(1.0);
    if !(typical > 0.0 && typical <= 1.0) {
        return Err(wrong("typical_p", "should be above zero and at most 1"));
    }
    Ok(Choice {
        temperature: sampling.temperature.unwrap_or(usual.temperature),
        top_p: sampling.top_p.unwrap_or(usual.top_p),
        top_k: sampling.top_k.unwrap_or(0) as usize,
        min_p: sampling.min_p.unwrap_or(usual.min_p),
        typical_p: typical,
        repetition_penalty: repetition,
        frequency_penalty: sampling.frequency_penalty.unwrap_or(0.0),
        presence_penalty: sampling.presence_penalty.unwrap_or(0.0),
        bias: sampling.logit_bias.clone(),
        seed: seed(sampling.seed, request.choice),
    })
}

/// Equal seeds give equal answers, and several answers to one request differ.
fn seed(asked: Option<u64>, choice: u32) -> u64 {
    let seed = asked.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let by_clock = now.map_or(0, |since| since.as_nanos() as u64);
        // The hasher's keys are random where the clock is coarse.
        use std::hash::{BuildHasher, Hasher, RandomState};
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(by_clock);
        hasher.finish()
    });
    seed.wrapping_add(u64::from(choice).wrapping_mul(0x9fb2_1c65_1e98_df25))
}

fn form(request: &Request) -> Result<Form, Error> {
    match &request.response_format {
        ResponseFormat::JsonObject => {
            return Ok(Form::Schema(serde_json::json!({"type": "object"})));
        }
        ResponseFormat::JsonSchema(schema) => {
            let read = serde_json::from_str(&schema.schema);
            let schema =
                read.map_err(|_| wrong("response_format", "has a schema that is no JSON"))?;
            return Ok(Form::Schema(schema));
        }
        ResponseFormat::Text => {}
    }
    let mut found = json(request, "guided_json")?.map(|schema| ("json", schema));
    for (name, kind) in [
        ("guided_regex", "regex"),
        ("guided_choice", "choice"),
        ("guided_grammar", "grammar"),
    ] {
        if found.is_none() {
            found = json(request, name)?.map(|value| (kind, value));
        }
    }
    if found.is_none()
        && let Some(Json::Object(map)) = json(request, "structured_outputs")?
    {
        found = ["json", "regex", "choice", "grammar"]
            .into_iter()
            .find_map(|kind| Some((kind, map.get(kind)?.clone())));
    }
    match found {
        None => Ok(Form::Free),
        Some(("json", Json::String(schema))) => serde_json::from_str(&schema)
            .map(Form::Schema)
            .map_err(|_| wrong("guided_json", "is no JSON")),
        Some(("json", schema)) => Ok(Form::Schema(schema)),
        Some(("regex", Json::String(expression))) => Ok(Form::Expression(expression)),
        Some(("grammar", Json::String(grammar))) => Ok(Form::Grammar(grammar)),
        Some(("choice", Json::Array(choices))) => {
            let texts: Option<Vec<String>> = choices
                .iter()
                .map(|choice| choice.as_str().map(escaped))
                .collect();
            let texts = texts.filter(|texts| !texts.is_empty());
            let texts = texts.ok_or_else(|| wrong("guided_choice", "should be a list of texts"))?;
            Ok(Form::Expression(texts.join("|")))
        }
        Some((kind, _)) => Err(wrong(&format!("guided_{kind}"), "is of another type")),
    }
}

/// An expression for exactly this text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

fn stop_tokens(request: &Request) -> Result<Vec<u32>, Error> {
    const NAME: &str = "stop_token_ids";
    let Some(Json::Array(values)) = json(request, NAME)? else {
        return Ok(Vec::new());
    };
    let tokens: Option<Vec<u32>> = values
        .iter()
        .map(|value| value.as_u64().and_then(|token| u32::try_from(token).ok()))
        .collect();
    tokens.ok_or_else(|| wrong(NAME, "should be a list of token ids"))
}

/// An option that is a text, or JSON that arrives as one.
fn json(request: &Request, name: &str) -> Result<Option<Json>, Error> {
    match request.parameter(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(match serde_json::from_str(text) {
            Ok(json @ (Json::Object(_) | Json::Array(_))) => json,
            _ => Json::String(text.clone()),
        })),
        Some(_) => Err(wrong(name, "is of another type")),
    }
}

fn boolean(request: &Request, name: &str) -> Result<Option<bool>, Error> {
    match request.parameter(name) {
        None => Ok(None),
        Some(Value::Boolean(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong(name, "should be true or false")),
    }
}

fn integer(request: &Request, name: &str) -> Result<Option<u32>, Error> {
    match request.parameter(name) {
        None => Ok(None),
        Some(Value::Integer(value)) => u32::try_from(*value)
            .map(Some)
            .map_err(|_| wrong(name, "should be a whole number from 0 on")),
        Some(_) => Err(wrong(name, "should be a whole number")),
    }
}

fn number(request: &Request, name: &str) -> Result<Option<f32>, Error> {
    match request.parameter(name) {
        None => Ok(None),
        Some(Value::Integer(value)) => Ok(Some(*value as f32)),
        Some(Value::Number(value)) if value.is_finite() => Ok(Some(*value as f32)),
        Some(_) => Err(wrong(name, "should be a number")),
    }
}

fn wrong(name: &str, problem: &str) -> Error {
    Error::invalid_input(format!("`{name}` {problem}"))
}
