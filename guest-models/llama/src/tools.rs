//! Calls of tools: how a model is told of tools, what a call looks like in its text, and the way
//! back from that text to calls.

use belljar_guest::Error;
use belljar_guest::text::{Request, Tool, ToolChoice};
use serde_json::{Value as Json, json};

use crate::constraint::{literal, with_fixed_spaces};
use crate::template::{Template, python_json};

/// How a model writes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Between tags, as the models of Qwen and Nous Research do.
    Tags,
    /// As an object that is all of the answer, as the models of Meta do.
    Object,
}

impl Dialect {
    /// That of a template; tags where it knows no tools.
    pub(crate) fn of(template: &Template) -> Self {
        let source = template.source();
        let is_object = source.contains("python_tag") && !source.contains("<tool_call>");
        if is_object { Self::Object } else { Self::Tags }
    }

    /// What makes a text a call.
    pub(crate) fn trigger(self) -> &'static str {
        match self {
            Self::Tags => "<tool_call>",
            Self::Object => "{\"name\": \"",
        }
    }

    /// Whether the trigger counts at the beginning of an answer only.
    pub(crate) fn begins_answer(self) -> bool {
        self == Self::Object
    }

    /// What stands before a name, after the name, and after the arguments.
    fn frame(self) -> [&'static str; 3] {
        match self {
            Self::Tags => [
                "<tool_call>\n{\"name\": \"",
                "\", \"arguments\": ",
                "}\n</tool_call>",
            ],
            Self::Object => ["{\"name\": \"", "\", \"parameters\": ", "}"],
        }
    }

    /// What stands between two calls.
    fn between(self) -> &'static str {
        match self {
            Self::Tags => "\n",
            Self::Object => "; ",
        }
    }
}

/// The tools that a request lets the model call.
pub(crate) fn callable(request: &Request) -> Result<Vec<&Tool>, Error> {
    let found: Vec<&Tool> = match &request.tool_choice {
        ToolChoice::Forbidden => Vec::new(),
        ToolChoice::Automatic | ToolChoice::Required => request.tools.iter().collect(),
        ToolChoice::Named(name) => {
            let named = request.tools.iter().filter(|tool| tool.name == *name);
            named.collect()
        }
    };
    let needs_one = matches!(
        request.tool_choice,
        ToolChoice::Required | ToolChoice::Named(_)
    );
    if needs_one && found.is_empty() {
        return Err(Error::invalid_input("there is no such tool to call"));
    }
    Ok(found)
}

/// The grammar of one call, or of several; without the trigger where that has been written.
pub(crate) fn grammar(
    tools: &[&Tool],
    dialect: Dialect,
    several: bool,
    is_triggered: bool,
) -> Result<String, Error> {
    let [before, middle, after] = dialect.frame();
    let rest = before.strip_prefix(dialect.trigger()).unwrap_or(before);
    let mut lines = Vec::new();
    let more = if several {
        format!(
            " ({} {} call)*",
            literal(dialect.between()),
            literal(before)
        )
    } else {
        String::new()
    };
    let start = if is_triggered { rest } else { before };
    // An empty literal is none.
    let start = if start.is_empty() {
        String::new()
    } else {
        literal(start)
    };
    lines.push(format!("start: {start} call{more}"));
    let calls: Vec<String> = (0..tools.len())
        .map(|index| format!("call_{index}"))
        .collect();
    lines.push(format!("call: {}", calls.join(" | ")));
    for (index, tool) in tools.iter().enumerate() {
        let schema = with_fixed_spaces(arguments_schema(tool)?, tool.strict);
        lines.push(format!(
            "call_{index}: {} arguments_{index} {}",
            literal(&format!("{}{middle}", tool.name)),
            literal(after)
        ));
        lines.push(format!("arguments_{index}: %json {schema}"));
    }
    Ok(lines.join("\n"))
}

fn arguments_schema(tool: &Tool) -> Result<Json, Error> {
    let Some(parameters) = &tool.parameters else {
        return Ok(json!({"type": "object"}));
    };
    let mut schema: Json = serde_json::from_str(parameters).map_err(|_| {
        Error::invalid_input(format!("the schema of tool `{}` is no JSON", tool.name))
    })?;
    if let Json::Object(map) = &mut schema {
        let says_what = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
        if !says_what.iter().any(|key| map.contains_key(*key)) {
            map.insert("type".to_owned(), "object".into());
        }
    } else {
        schema = json!({"type": "object"});
    }
    Ok(schema)
}

/// Tools as templates expect them: as they are in a request.
pub(crate) fn described(tools: &[Tool]) -> Json {
    tools.iter().map(describe).collect()
}

fn describe(tool: &Tool) -> Json {
    let parameters = tool.parameters.as_deref();
    let parameters = parameters.and_then(|text| serde_json::from_str::<Json>(text).ok());
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description.as_deref().unwrap_or_default(),
            "parameters": parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        },
    })
}

/// What a model is told of tools whose template says nothing of them.
pub(crate) fn instructions(tools: &[Tool]) -> String {
    let lines: Vec<String> = tools
        .iter()
        .map(|tool| python_json(&describe(tool)))
        .collect();
    format!(
        "You can call these functions, one JSON description a line:\n{}\n\nTo call one, answer \
         with its name and arguments as JSON between tags:\n<tool_call>\n{{\"name\": <name>, \
         \"arguments\": <arguments>}}\n</tool_call>",
        lines.join("\n")
    )
}

/// A call in the text of an assistant, for templates that know none.
pub(crate) fn written(name: &str, arguments: &str) -> String {
    let [before, middle, after] = Dialect::Tags.frame();
    format!("{before}{name}{middle}{arguments}{after}")
}

/// What happened in the text of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A call begins.
    Call(String),
    /// More of its arguments.
    Arguments(String),
}

/// Reads calls from a text that follows their grammar, as it comes.
#[derive(Debug)]
pub(crate) struct CallReader {
    dialect: Dialect,
    state: State,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a name: what is left of the text until it.
    Before,
    Middle,
    Arguments {
        depth: usize,
        in_text: bool,
        is_escaped: bool,
    },
    /// After the arguments.
    After,
}

impl CallReader {
    /// A reader of a text whose trigger has been read.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            state: State::Before,
            bytes: dialect.trigger().as_bytes().to_vec(),
        }
    }

    /// A reader of a text that begins with a call.
    pub(crate) fn from_start(dialect: Dialect) -> Self {
        Self {
            bytes: Vec::new(),
            ..Self::new(dialect)
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        while self.step(&mut events) {}
        events
    }

    /// Goes to the next state; whether there is anything left to read in it.
    fn step(&mut self, events: &mut Vec<Event>) -> bool {
        let [before, middle, after] = self.dialect.frame();
        match self.state {
            State::Before => {
                // A name has no quotes in it, so the first one after the opening ends it.
                let name = self.bytes.get(before.len()..).unwrap_or_default();
                let Some(end) = name.iter().position(|&byte| byte == b'"') else {
                    return false;
                };
                let name = name.get(..end).unwrap_or_default();
                events.push(Event::Call(String::from_utf8_lossy(name).into_owned()));
                self.skip(before.len() + end);
                self.state = State::Middle;
                true
            }
            State::Middle => {
                if self.bytes.len() < middle.len() {
                    return false;
                }
                self.skip(middle.len());
                self.state = State::Arguments {
                    depth: 0,
                    in_text: false,
                    is_escaped: false,
                };
                true
            }
            State::Arguments { .. } => self.arguments(events),
            State::After => {
                let needed = after.len() + self.dialect.between().len();
                if self.bytes.len() < needed {
                    return false;
                }
                self.skip(needed);
                self.state = State::Before;
                true
            }
        }
    }

    fn arguments(&mut self, events: &mut Vec<Event>) -> bool {
        let State::Arguments {
            mut depth,
            mut in_text,
            mut is_escaped,
        } = self.state
        else {
            return false;
        };
        let mut end = 0;
        let mut is_over = false;
        for &byte in &self.bytes {
            if in_text {
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' => is_escaped = true,
                    b'"' => in_text = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => in_text = true,
                    b'{' | b'[' => depth += 1,
                    // The end of the object around a value that is neither object nor array.
                    b'}' if depth == 0 => {
                        is_over = true;
                        break;
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        is_over = depth == 0;
                    }
                    _ => {}
                }
            }
            end += 1;
            if is_over {
                break;
            }
        }
        // Cut at whole characters; the grammar lets no invalid ones through.
        let ready = self.bytes.get(..end).unwrap_or_default();
        let whole = match std::str::from_utf8(ready) {
            Ok(text) => text,
            Err(error) => ready
                .get(..error.valid_up_to())
                .and_then(|valid| std::str::from_utf8(valid).ok())
                .unwrap_or_default(),
        };
        let taken = whole.len();
        if taken > 0 {
            events.push(Event::Arguments(whole.to_owned()));
        }
        if is_over {
            self.state = State::After;
        } else {
            // Bytes of an unfinished character are read again; they change no state.
            self.state = State::Arguments {
                depth,
                in_text,
                is_escaped,
            };
        }
        self.skip(taken);
        is_over
    }

    fn skip(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
    }
}

#[cfg(test)]
mod tests;
