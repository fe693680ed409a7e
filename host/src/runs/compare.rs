//! What two runs of the same gave, side by side.

use super::{KeptCall, Outcome, RunsError, Transcript};
use belljar_sandbox::Given;
use belljar_sandbox::wit::text::Content;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Differences that are listed.
const DIFFERENCES_MAX: usize = 32;
/// Characters of a text in a difference.
const TEXT_MAX: usize = 200;

/// Whether two runs are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They gave the same bytes, in the same way, for the same fuel.
    Match,
    /// They did not.
    Mismatch,
    /// One of them ended as it did because of the time, the load or its caller, or went on from
    /// what the model had kept of earlier requests.
    CannotTell,
}

impl Verdict {
    /// The name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::CannotTell => "cannot-tell",
        }
    }

    /// Compares a run with the one that was made again. Fuel is the same where the version is.
    #[must_use]
    pub fn of(before: &Transcript, resumed: bool, after: &Transcript, same_version: bool) -> Self {
        let same_fuel = before.fuel() == after.fuel() || !same_version;
        let same =
            before.output_digest() == after.output_digest() && before.outcome() == after.outcome();
        if same && same_fuel {
            return Self::Match;
        }
        let open = |outcome: Outcome| outcome.is_of_circumstances();
        if resumed || open(before.outcome()) || open(after.outcome()) {
            Self::CannotTell
        } else {
            Self::Mismatch
        }
    }
}

/// A place at which two runs differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The place, as a JSON pointer into the calls of a run.
    pub path: String,
    /// What the run gave that is on record.
    pub before: Value,
    /// What it gives now.
    pub after: Value,
}

impl KeptCall {
    /// What was given, for people and programs: a text is put together of its parts.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn answer(&self) -> Result<Value, RunsError> {
        let mut answer = Map::new();
        for given in self.given()? {
            match given {
                Given::Chunks(chunks) => {
                    for chunk in chunks {
                        add(&mut answer, chunk.content);
                    }
                }
                Given::Usage(usage) => {
                    answer.insert("usage".to_owned(), json!(usage));
                }
                given => {
                    let given = serde_json::to_value(given)
                        .map_err(|error| RunsError::Damaged(error.to_string()))?;
                    if let Value::Object(members) = given {
                        answer.extend(members);
                    }
                }
            }
        }
        Ok(Value::Object(answer))
    }
}

/// Puts a piece of a text to those before it.
fn add(answer: &mut Map<String, Value>, content: Content) {
    let mut append = |member: &str, text: &str| {
        let before = answer.entry(member).or_insert_with(|| json!(""));
        if let Value::String(before) = before {
            before.push_str(text);
        }
    };
    match content {
        Content::Text(fragment) => append("text", &fragment.text),
        Content::Reasoning(text) => append("reasoning", &text),
        Content::Refusal(text) => append("refusal", &text),
        Content::ToolCall(call) => {
            let calls = answer.entry("tool_calls").or_insert_with(|| json!([]));
            if let Value::Array(calls) = calls {
                calls.push(json!(call));
            }
        }
        Content::Finish(reason) => {
            answer.insert("finish".to_owned(), json!(reason));
        }
    }
}

/// Where two transcripts differ in what was given: the first places of them.
///
/// # Errors
///
/// When one of them cannot be read.
pub fn differences(before: &Transcript, after: &Transcript) -> Result<Vec<Difference>, RunsError> {
    let told = |transcript: &Transcript| -> Result<Value, RunsError> {
        let calls = transcript.calls().iter().map(|call| {
            let outcome = call.outcome.name();
            Ok(json!({"outcome": outcome, "answer": call.answer()?}))
        });
        calls.collect::<Result<Vec<_>, _>>().map(Value::Array)
    };
    let mut found = Vec::new();
    compare(String::new(), &told(before)?, &told(after)?, &mut found);
    Ok(found)
}

fn compare(path: String, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after || found.len() >= DIFFERENCES_MAX {
        return;
    }
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let more = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(more) {
                let of = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                let name = key.replace('~', "~0").replace('/', "~1");
                compare(format!("{path}/{name}"), &of(one), &of(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for index in 0..one.len().max(other.len()) {
                let of = |array: &[Value]| array.get(index).cloned().unwrap_or_default();
                compare(format!("{path}/{index}"), &of(one), &of(other), found);
            }
        }
        (before, after) => found.push(Difference {
            path,
            before: short(before),
            after: short(after),
        }),
    }
}

/// A value that is not longer than is read.
fn short(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return value.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() <= TEXT_MAX {
        return json!(text);
    }
    let cut: String = text.chars().take(TEXT_MAX).collect();
    json!(format!("{cut}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_that_differ() {
        let one = json!({"a": [1, 2], "b": {"c/d": "x".repeat(300)}, "e": 1});
        let other = json!({"a": [1, 3, 4], "b": {"c/d": "y"}, "f": true});
        let mut found = Vec::new();
        compare(String::new(), &one, &other, &mut found);
        let paths: Vec<_> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["/a/1", "/a/2", "/b/c~1d", "/e", "/f"]);
        assert_eq!(found[0].before, 2);
        assert_eq!(found[1].before, Value::Null);
        assert_eq!(found[2].before.as_str().unwrap().chars().count(), 201);
    }
}
