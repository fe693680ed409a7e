//! Which tools are called, and with what.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Error;
use belljar_guest::text::{Prompt, Request, Role, Tool, ToolChoice};

use crate::entities::Entities;
use crate::fill::Filler;
use crate::json::Json;
use crate::random::Random;
use crate::schema::{self, Purpose, Sources};
use crate::topics;

/// A call with its arguments as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// How many calls one turn may hold.
const CALLS_MAX: usize = 8;
/// The shortest word of a tool's name that can tie it to the prompt.
const WORD_MIN: usize = 3;

/// The calls that this turn makes: none where the model answers in words.
///
/// Where the choice is the model's, it calls the tools whose names share a word with what the
/// user said last, and answers in words once a tool has answered; so a caller can steer it.
pub(crate) fn calls(
    request: &Request,
    topics: &[String],
    random: &mut Random,
) -> Result<Vec<Call>, Error> {
    let chosen: Vec<&Tool> = match &request.tool_choice {
        ToolChoice::Forbidden => Vec::new(),
        ToolChoice::Named(name) => {
            let named = request.tools.iter().find(|tool| tool.name == *name);
            Vec::from([named.ok_or_else(|| {
                Error::invalid_input(format!("`tool_choice`: there is no tool `{name}`"))
            })?])
        }
        ToolChoice::Automatic if has_tool_answer(request) => Vec::new(),
        ToolChoice::Automatic => mentioned(request),
        ToolChoice::Required => {
            let mentioned = mentioned(request);
            if mentioned.is_empty() {
                random.one_of(&request.tools).into_iter().collect()
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
    let entities = if chosen.is_empty() {
        Entities::default()
    } else {
        Entities::of_request(request)
    };
    let most = if request.parallel_tool_calls {
        CALLS_MAX
    } else {
        1
    };
    chosen
        .into_iter()
        .take(most)
        .map(|tool| call(tool, &entities, topics, random))
        .collect()
}

fn call(
    tool: &Tool,
    entities: &Entities,
    topics: &[String],
    random: &mut Random,
) -> Result<Call, Error> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::from("call_");
    for _ in 0..24 {
        id.push(random.one_of(DIGITS).copied().map_or('0', char::from));
    }
    let mut arguments = String::new();
    match tool.parameters.as_deref() {
        None => arguments.push_str("{}"),
        Some(text) => {
            let schema = Json::parse(text).ok_or_else(|| {
                Error::invalid_input(format!(
                    "`tools`: the parameters of `{}` are not JSON",
                    tool.name
                ))
            })?;
            let sources = Sources {
                name: &tool.name,
                filler: Filler::new(entities),
                topics,
                purpose: Purpose::Arguments,
                random,
            };
            let value = schema::value(&schema, sources)
                .map_err(|error| schema::within(error, "`tools`"))?;
            let value = match value {
                object @ Json::Object(_) => object,
                // Arguments are always an object; a schema such as `{}` allows that too.
                _ => Json::Object(Vec::new()),
            };
            value.write(&mut arguments);
        }
    }
    Ok(Call {
        id,
        name: tool.name.clone(),
        arguments,
    })
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

/// The tools whose names share a word with what the user said last.
fn mentioned(request: &Request) -> Vec<&Tool> {
    if request.tools.is_empty() {
        return Vec::new();
    }
    let mut said = String::new();
    topics::for_each_user_text(request, |text| {
        said.push_str(&text.to_ascii_lowercase());
        said.push(' ');
    });
    let says = |word: &str| {
        said.split(|letter: char| !letter.is_alphanumeric())
            .any(|spoken| {
                // `forecasts` speaks of `forecast`.
                spoken == word || spoken.strip_suffix('s') == Some(word)
            })
    };
    request
        .tools
        .iter()
        .filter(|tool| words(&tool.name).iter().any(|word| says(word)))
        .collect()
}

/// The words of a name such as `get_weather`, `get-weather` or `getWeather`, in lower case.
fn words(name: &str) -> Vec<String> {
    const SAY_NOTHING: [&str; 8] = ["and", "for", "from", "get", "run", "set", "the", "with"];
    let mut words = Vec::from([String::new()]);
    let mut last_was_lower = false;
    for letter in name.chars() {
        let begins = letter.is_ascii_uppercase() && last_was_lower;
        last_was_lower = letter.is_ascii_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.retain(|word| word.len() >= WORD_MIN && !SAY_NOTHING.contains(&word.as_str()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(words("get_weather"), ["weather"]);
        assert_eq!(words("sendEmail-toTeam"), ["send", "email", "team"]);
        assert_eq!(words("HTTPFetch"), ["httpfetch"]);
    }
}
