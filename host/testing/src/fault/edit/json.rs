//! Faults within the JSON of an answer: no answers in it, and arguments of tools that are no JSON.

use super::Fault;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Calls of tools whose arguments are broken by now, by their answer and their place in it.
#[derive(Debug, Default)]
pub(super) struct Broken(BTreeSet<(u64, u64)>);

/// What has become of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edited {
    /// It is as it was.
    Same,
    /// It is another.
    Other(String),
    /// It is left out.
    Gone,
}

/// What no JSON of an object begins with.
const BREAKS: char = '{';

/// An event with these faults.
pub(super) fn edit_event(event: &str, fault: &Fault, broken: &mut Broken) -> Edited {
    let Some((before, data)) = event.split_once("data: ") else {
        return Edited::Same;
    };
    let data = data.trim_end_matches('\n');
    let Ok(Value::Object(mut data)) = serde_json::from_str(data) else {
        return Edited::Same;
    };
    let mut is_other = false;
    if fault.empty_choices {
        match empty_event(&mut data) {
            Edited::Gone => return Edited::Gone,
            Edited::Same => {}
            Edited::Other(_) => is_other = true,
        }
    }
    if fault.bad_arguments {
        is_other |= broken.break_event(&mut data);
    }
    match is_other {
        true => Edited::Other(format!("{before}data: {}\n\n", Value::Object(data))),
        false => Edited::Same,
    }
}

/// An answer in one piece with these faults; none where nothing changes.
pub(super) fn edit_whole(body: &str, fault: &Fault) -> Option<String> {
    let Ok(Value::Object(mut body)) = serde_json::from_str(body) else {
        return None;
    };
    let mut is_other = false;
    if fault.empty_choices {
        is_other |= empty(&mut body);
    }
    if fault.bad_arguments {
        is_other |= break_all(&mut body);
    }
    is_other.then(|| Value::Object(body).to_string())
}

/// Empties every list of answers of an answer.
fn empty(body: &mut Map<String, Value>) -> bool {
    let mut is_other = false;
    for name in ["choices", "output", "content"] {
        if let Some(Value::Array(answers)) = body.get_mut(name) {
            answers.clear();
            is_other = true;
        }
    }
    is_other
}

fn empty_event(data: &mut Map<String, Value>) -> Edited {
    let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
    let is_about_answers = kind.starts_with("content_block")
        || kind
            .strip_prefix("response.")
            .is_some_and(|rest| rest.contains('.') || rest.contains('_') && rest != "in_progress");
    if is_about_answers {
        return Edited::Gone;
    }
    let mut is_other = empty(data);
    if let Some(Value::Object(response)) = data.get_mut("response") {
        is_other |= empty(response);
    }
    match is_other {
        true => Edited::Other(String::new()),
        false => Edited::Same,
    }
}

/// Breaks all `arguments` below, however deep they stand.
fn break_all(object: &mut Map<String, Value>) -> bool {
    let mut is_other = false;
    for (name, value) in object.iter_mut() {
        is_other |= match value {
            Value::String(text) if name == "arguments" && !text.is_empty() => {
                text.insert(0, BREAKS);
                true
            }
            Value::Object(object) => break_all(object),
            Value::Array(list) => {
                let objects = list.iter_mut().filter_map(Value::as_object_mut);
                objects.fold(false, |other, object| break_all(object) | other)
            }
            _ => false,
        };
    }
    is_other
}

impl Broken {
    /// Breaks the first piece of each call's arguments.
    fn break_event(&mut self, data: &mut Map<String, Value>) -> bool {
        let number = |object: &Map<String, Value>, name: &str| {
            object.get(name).and_then(Value::as_u64).unwrap_or_default()
        };
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "response.function_call_arguments.delta" {
            let place = (number(data, "output_index"), 0);
            return self.break_first(place, data.get_mut("delta"));
        }
        if kind == "content_block_delta" {
            let place = (number(data, "index"), 0);
            let delta = data.get_mut("delta").and_then(Value::as_object_mut);
            let piece = delta.and_then(|delta| delta.get_mut("partial_json"));
            return self.break_first(place, piece);
        }
        let Some(Value::Array(choices)) = data.get_mut("choices") else {
            // Events that have whole calls in them.
            return break_all(data);
        };
        let mut is_other = false;
        for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
            let answer = number(choice, "index");
            let delta = choice.get_mut("delta").and_then(Value::as_object_mut);
            let calls = delta.and_then(|delta| delta.get_mut("tool_calls"));
            let Some(Value::Array(calls)) = calls else {
                continue;
            };
            for call in calls.iter_mut().filter_map(Value::as_object_mut) {
                let place = (answer, number(call, "index"));
                let function = call.get_mut("function").and_then(Value::as_object_mut);
                let piece = function.and_then(|function| function.get_mut("arguments"));
                is_other |= self.break_first(place, piece);
            }
        }
        is_other
    }

    fn break_first(&mut self, place: (u64, u64), piece: Option<&mut Value>) -> bool {
        match piece {
            Some(Value::String(text)) if !text.is_empty() && self.0.insert(place) => {
                text.insert(0, BREAKS);
                true
            }
            _ => false,
        }
    }
}
