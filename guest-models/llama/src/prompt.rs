//! From a request to the tokens that the model continues.

use belljar_guest::text::{
    Message, Part, Prompt, RawPrompt, ReasoningEffort, Request, Role, ToolChoice,
};
use belljar_guest::{Error, Source};
use serde_json::{Map, Value as Json, json};

use crate::options::{Form, Options};
use crate::runtime::Runtime;
use crate::tokenizer::Marks;
use crate::tools;

/// The tokens of a prompt, and whether they end within the thoughts of the answer.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<u32>,
    pub(crate) in_thoughts: bool,
}

/// What stands around thoughts in the text of models that think.
pub(crate) const THOUGHTS: [&str; 2] = ["<think>", "</think>"];

pub(crate) fn tokens(
    runtime: &Runtime,
    request: &Request,
    options: &Options,
) -> Result<Tokens, Error> {
    let mut in_thoughts = false;
    let tokens = match &request.prompt {
        Prompt::Messages(messages) => {
            let text = chat(runtime, request, messages, options)?;
            in_thoughts = text.trim_end().ends_with(THOUGHTS[0]);
            encode(runtime, &text)?
        }
        Prompt::Text(raw) => bare(runtime, raw)?,
        Prompt::Tokens(tokens) => {
            let count = runtime.model.vocabulary();
            if let Some(wrong) = tokens.iter().find(|&&token| token as usize >= count) {
                return Err(Error::invalid_input(format!(
                    "{wrong} is no token; there are {count}"
                )));
            }
            tokens.clone()
        }
    };
    Ok(Tokens {
        tokens,
        in_thoughts,
    })
}

/// The tokens of a text in which the marks of the model are found, with what begins a text.
fn encode(runtime: &Runtime, text: &str) -> Result<Vec<u32>, Error> {
    let vocabulary = &runtime.tokenizer.vocabulary;
    let mut tokens = runtime
        .tokenizer
        .encode(text, Marks::Found)
        .map_err(|error| Error::invalid_input(error.to_string()))?;
    if vocabulary.adds_begin
        && let Some(begin) = vocabulary.begin
        && tokens.first() != Some(&begin)
    {
        tokens.insert(0, begin);
    }
    Ok(tokens)
}

fn bare(runtime: &Runtime, raw: &RawPrompt) -> Result<Vec<u32>, Error> {
    let vocabulary = &runtime.tokenizer.vocabulary;
    let mut tokens = match &raw.suffix {
        None => encode(runtime, &raw.text)?,
        Some(suffix) => {
            let Some([before, after, middle]) = vocabulary.gap else {
                return Err(Error::unsupported("this model does not fill gaps"));
            };
            let mut tokens = vec![before];
            for (text, mark) in [(&raw.text, after), (suffix, middle)] {
                let part = runtime.tokenizer.encode(text, Marks::Text);
                tokens.extend(part.map_err(|error| Error::invalid_input(error.to_string()))?);
                tokens.push(mark);
            }
            tokens
        }
    };
    // Something has to be there for the model to go on from.
    if tokens.is_empty() {
        let ends = vocabulary.ends_of_text.first().copied();
        tokens.extend(vocabulary.begin.or(ends));
    }
    Ok(tokens)
}

fn chat(
    runtime: &Runtime,
    request: &Request,
    messages: &[Message],
    options: &Options,
) -> Result<String, Error> {
    let template = runtime.template.as_ref().ok_or_else(|| {
        Error::unsupported("this model has no chat template; it continues bare text")
    })?;
    let has_tools = !request.tools.is_empty() && request.tool_choice != ToolChoice::Forbidden;
    let mut written: Vec<Json> = Vec::new();
    let (last, others) = match messages.split_last() {
        Some((last, others)) if options.continues_last && last.role == Role::Assistant => {
            (Some(last), others)
        }
        _ => (None, messages),
    };
    for message in others {
        written.push(self::message(runtime, message, template.knows_tools)?);
    }
    if has_tools && !template.knows_tools {
        tell_of_tools(runtime, &mut written, &tools::instructions(&request.tools));
    }
    let vocabulary = &runtime.tokenizer.vocabulary;
    let mut variables = Map::new();
    variables.insert("messages".to_owned(), Json::Array(written));
    let begins = options.begins_answer || last.is_some();
    variables.insert("add_generation_prompt".to_owned(), begins.into());
    variables.insert(
        "bos_token".to_owned(),
        vocabulary.name(vocabulary.begin).into(),
    );
    let end = vocabulary.ends_of_text.first().copied();
    variables.insert("eos_token".to_owned(), vocabulary.name(end).into());
    if has_tools && template.knows_tools {
        let mut described = tools::described(&request.tools);
        guard(runtime, &mut described);
        variables.insert("tools".to_owned(), described);
    }
    // An answer that has a form has no room for thoughts before it.
    let thinks = options.form == Form::Free
        && !matches!(
            request.reasoning_effort,
            Some(ReasoningEffort::None | ReasoningEffort::Minimal)
        );
    variables.insert("enable_thinking".to_owned(), thinks.into());
    for (name, value) in &options.template {
        let mut value = value.clone();
        guard(runtime, &mut value);
        variables.insert(name.clone(), value);
    }
    let mut text = template
        .render(&Json::Object(variables))
        .map_err(Error::InvalidInput)?;
    if let Some(last) = last {
        text.push_str(&runtime.tokenizer.without_marks(&content(last)?));
    }
    Ok(text)
}

/// A message as templates expect it, without marks of the model in what somebody wrote.
fn message(runtime: &Runtime, message: &Message, knows_tools: bool) -> Result<Json, Error> {
    let role = match message.role {
        // The templates of these models know no other word for it.
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut text = content(message)?;
    let mut calls = Vec::new();
    for call in &message.tool_calls {
        if knows_tools {
            let arguments = serde_json::from_str::<Json>(&call.arguments);
            calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": arguments.unwrap_or_else(|_| call.arguments.clone().into()),
                },
            }));
        } else {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&tools::written(&call.name, &call.arguments));
        }
    }
    let mut written = json!({"role": role, "content": text});
    if let Json::Object(map) = &mut written {
        if !calls.is_empty() {
            map.insert("tool_calls".to_owned(), calls.into());
        }
        for (key, value) in [
            ("name", &message.name),
            ("tool_call_id", &message.tool_call_id),
        ] {
            if let Some(value) = value {
                map.insert(key.to_owned(), value.clone().into());
            }
        }
    }
    guard(runtime, &mut written);
    Ok(written)
}

/// The text of a message.
fn content(message: &Message) -> Result<String, Error> {
    let mut whole = String::new();
    for part in &message.content {
        match part {
            Part::Text(text) | Part::Refusal(text) => whole.push_str(text),
            Part::File(file) => match &file.source {
                Source::Inline(media) => match std::str::from_utf8(&media.data) {
                    Ok(text) => whole.push_str(text),
                    Err(_) => return Err(Error::unsupported("this model reads text only")),
                },
                Source::Url(_) => return Err(Error::unsupported("this model opens no addresses")),
            },
            Part::Image(_) => return Err(Error::unsupported("this model sees no images")),
            Part::Audio(_) => return Err(Error::unsupported("this model hears no sounds")),
        }
    }
    Ok(whole)
}

/// Takes the names of marks out of every text, so that nobody's words end a turn or begin one.
fn guard(runtime: &Runtime, value: &mut Json) {
    match value {
        Json::String(text) => {
            if let std::borrow::Cow::Owned(guarded) = runtime.tokenizer.without_marks(text) {
                *text = guarded;
            }
        }
        Json::Array(values) => values.iter_mut().for_each(|value| guard(runtime, value)),
        Json::Object(map) => map.values_mut().for_each(|value| guard(runtime, value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Adds the description of tools to the message of the system, which is made where there is none.
fn tell_of_tools(runtime: &Runtime, messages: &mut Vec<Json>, text: &str) {
    let text = runtime.tokenizer.without_marks(text);
    let first = messages
        .first_mut()
        .filter(|first| first["role"] == "system");
    match first.and_then(|first| first.get_mut("content")) {
        Some(Json::String(content)) => {
            content.push_str("\n\n");
            content.push_str(&text);
        }
        _ => messages.insert(0, json!({"role": "system", "content": text})),
    }
}
