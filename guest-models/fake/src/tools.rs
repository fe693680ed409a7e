//! Which tools are called, how often, and with what.

mod mentions;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use belljar_guest::Error;
use belljar_guest::text::{Prompt, Request, Role, Tool, ToolChoice};

use crate::entities::Entities;
use crate::fill::Filler;
use crate::json::Json;
use crate::lark::Grammar;
use crate::meaning::Key;
use crate::random::Random;
use crate::reading::Reading;
use crate::schema::{self, Purpose, Sources};
use mentions::Mention;

/// A call with its arguments as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The keyword of a schema that has a grammar in the syntax of Lark.
const GRAMMAR: &str = "x-lark";
/// How many calls one turn may hold.
const CALLS_MAX: usize = 8;

/// The calls that this turn makes: none where the model answers in words.
///
/// Where the choice is the model's, it calls the tools that what the user said last speaks of,
/// and answers in words once a tool has answered; so a caller can steer it. A tool is called once
/// for each of several things.
pub(crate) fn calls(
    request: &Request,
    reading: &Reading,
    random: &mut Random,
) -> Result<Vec<Call>, Error> {
    if request.tools.is_empty() && request.tool_choice == ToolChoice::Automatic {
        return Ok(Vec::new());
    }
    let whole = |tool| Mention { tool, at: 0 };
    let entities = Entities::of_request(request);
    let chosen: Vec<Mention<'_>> = match &request.tool_choice {
        ToolChoice::Forbidden => return Ok(Vec::new()),
        ToolChoice::Automatic if has_tool_answer(request) => return Ok(Vec::new()),
        ToolChoice::Named(name) => {
            let named = request.tools.iter().find(|tool| tool.name == *name);
            let unknown = || format!("`tool_choice`: there is no tool `{name}`");
            let named = named.ok_or_else(|| Error::invalid_input(unknown()))?;
            Vec::from([whole(named)])
        }
        ToolChoice::Automatic => {
            let mentioned = mentions::of(&request.tools, &entities.said);
            if mentioned.is_empty() {
                again(request, &entities.said)
                    .map(whole)
                    .into_iter()
                    .collect()
            } else {
                mentioned
            }
        }
        ToolChoice::Required => {
            let mentioned = mentions::of(&request.tools, &entities.said);
            if mentioned.is_empty() {
                let any = random.one_of(&request.tools).map(whole);
                any.into_iter().collect()
            } else {
                mentioned
            }
        }
    };
    if chosen.is_empty() && request.tool_choice == ToolChoice::Required {
        return Err(Error::invalid_input(
            "`tool_choice`: a tool must be called, and there are none",
        ));
    }
    let most = if request.parallel_tool_calls {
        CALLS_MAX
    } else {
        1
    };
    let mut calls = Vec::new();
    for mention in &chosen {
        let mut filler = Filler::new(&entities);
        if chosen.len() > 1 {
            // Each tool gets what is said behind its own word, as far as something is.
            let next = chosen
                .iter()
                .map(|other| other.at)
                .filter(|&at| at > mention.at)
                .min();
            let is_first = chosen.iter().all(|other| other.at >= mention.at);
            let from = if is_first { 0 } else { mention.at };
            filler.keep_within(from, next.unwrap_or(usize::MAX));
        }
        let schema = parameters(mention.tool)?;
        for filler in each(&schema, filler) {
            if calls.len() < most {
                calls.push(call(mention.tool, &schema, filler, reading, random)?);
            }
        }
    }
    Ok(calls)
}

/// The schema of a tool's arguments; none where it takes none.
fn parameters(tool: &Tool) -> Result<Option<Json>, Error> {
    let Some(text) = tool.parameters.as_deref() else {
        return Ok(None);
    };
    let schema = Json::parse(text).ok_or_else(|| {
        Error::invalid_input(format!(
            "`tools`: the parameters of `{}` are not JSON",
            tool.name
        ))
    })?;
    Ok(Some(schema))
}

/// What each call of a tool is filled from: one of several things each, where the prompt has
/// several for one argument, and all of it otherwise.
fn each<'a>(schema: &Option<Json>, filler: Filler<'a>) -> Vec<Filler<'a>> {
    let properties = schema.as_ref().and_then(|schema| schema.get("properties"));
    let properties = properties.and_then(Json::object).unwrap_or_default();
    let mut several: Vec<Vec<usize>> = Vec::new();
    for (name, property) in properties {
        let is_number = match property.get("type").and_then(Json::text) {
            Some("string") => false,
            Some("integer" | "number") => true,
            _ => continue,
        };
        if property.get("enum").is_some() {
            continue;
        }
        let things = filler.count(&Key::new(name, &[], ""), is_number);
        if !things.is_empty() {
            several.push(things);
        }
    }
    // Two arguments that the same things suit share them: a way from here to there is one call.
    let things = several.iter().find(|things| {
        let others = several
            .iter()
            .filter(|others| others.iter().any(|other| things.contains(other)));
        things.len() > 1 && others.count() == 1 && filler.are_alike(things)
    });
    match things {
        Some(things) => things
            .iter()
            .map(|&thing| filler.only(thing, things))
            .collect(),
        None => Vec::from([filler]),
    }
}

fn call(
    tool: &Tool,
    schema: &Option<Json>,
    filler: Filler<'_>,
    reading: &Reading,
    random: &mut Random,
) -> Result<Call, Error> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::from("call_");
    for _ in 0..24 {
        id.push(random.one_of(DIGITS).copied().map_or('0', char::from));
    }
    let mut arguments = String::new();
    let grammar = schema.as_ref().and_then(|schema| schema.get(GRAMMAR));
    let grammar = grammar.and_then(Json::text);
    match schema {
        None => arguments.push_str("{}"),
        Some(_) if let Some(grammar) = grammar => {
            let wrong = |what| {
                Error::invalid_input(format!("`tools`: the grammar of `{}`: {what}", tool.name))
            };
            let said = words_and_numbers(filler.said(), reading);
            let grammar = Grammar::parse(grammar).map_err(|fault| wrong(fault.to_string()))?;
            let text = grammar.text(&said, random);
            arguments = text.ok_or_else(|| wrong("its texts are too long".into()))?;
        }
        Some(schema) => {
            let is_free = schema.get("type").and_then(Json::text) == Some("string");
            let sources = Sources {
                // A text of free form is what the prompt asks for.
                name: if is_free { "query" } else { &tool.name },
                filler,
                reading,
                purpose: Purpose::Arguments,
                random,
            };
            let value =
                schema::value(schema, sources).map_err(|error| schema::within(error, "`tools`"))?;
            let value = match value {
                // The input of a tool of free form is a text as it is.
                Json::Text(text) if is_free => {
                    arguments = text;
                    Json::Null
                }
                object @ Json::Object(_) => object,
                // Arguments are always an object; a schema such as `{}` allows that too.
                _ => Json::Object(Vec::new()),
            };
            if value != Json::Null {
                value.write(&mut arguments);
            }
        }
    }
    Ok(Call {
        id,
        name: tool.name.clone(),
        arguments,
    })
}

/// What a text of a grammar can take up of what was said: first numbers, then words.
fn words_and_numbers(said: &str, reading: &Reading) -> Vec<String> {
    let is_end = |character: char| !character.is_alphanumeric();
    let words = said
        .split_whitespace()
        .map(|word| word.trim_matches(is_end));
    let numbers = words.filter(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    numbers
        .map(String::from)
        .chain(reading.topic_words())
        .collect()
}

/// The tool that was called last, where what is said goes on from that: `And in Milan?`.
fn again<'r>(request: &'r Request, said: &str) -> Option<&'r Tool> {
    const SHORT_BYTES: usize = 64;
    const LEADS: [&str; 9] = [
        "and ",
        "what about ",
        "how about ",
        "now ",
        "also ",
        "und ",
        "et ",
        "y ",
        "e ",
    ];
    let lower = crate::words::lowered(said);
    let goes_on = said.len() <= SHORT_BYTES && LEADS.iter().any(|lead| lower.starts_with(lead));
    let Prompt::Messages(messages) = &request.prompt else {
        return None;
    };
    let mut calls = messages
        .iter()
        .rev()
        .flat_map(|message| &message.tool_calls);
    let called = calls.next().filter(|_| goes_on)?;
    request.tools.iter().find(|tool| tool.name == called.name)
}

/// Whether the conversation ends with what a tool answered.
fn has_tool_answer(request: &Request) -> bool {
    match &request.prompt {
        Prompt::Messages(messages) => messages
            .last()
            .is_some_and(|message| message.role == Role::Tool),
        _ => false,
    }
}
