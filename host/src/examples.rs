//! What a bundle says that its model answers: the files `tests/*.toml`, each with requests and what
//! has to come of them. Knows no model; who runs them brings what they were answered.

mod compare;

use belljar_bundle::{ByteSize, Fuel};
use serde::Deserialize;
use serde_json::Value;

pub use compare::Difference;

/// Examples of one bundle.
pub const EXAMPLES_MAX: usize = 1_000;

/// A request, and what has to come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it is called in reports.
    #[serde(default)]
    pub name: Option<String>,
    /// A message to a text model, or a text for an embedding model.
    #[serde(default)]
    prompt: Option<String>,
    /// Tensors by their names, or the whole body of a request.
    #[serde(default)]
    input: Option<Value>,
    /// The same as JSON, where TOML cannot say it (a null).
    #[serde(default)]
    input_json: Option<String>,
    /// The whole text of the answer.
    #[serde(default)]
    text: Option<String>,
    /// Texts that are in it.
    #[serde(default)]
    contains: Vec<String>,
    /// What is in the answer: of tensors the outputs by their names, else its JSON. Members of objects
    /// that are not named here may be anything.
    #[serde(default)]
    output: Option<Value>,
    /// The same as JSON.
    #[serde(default)]
    output_json: Option<String>,
    /// How far numbers of `output` may be away, absolutely.
    #[serde(default)]
    tolerance: f64,
    /// The code of the error that the answer is.
    #[serde(default)]
    error: Option<String>,
    /// The most fuel that it may take.
    #[serde(default)]
    fuel_max: Option<Fuel>,
    /// The most memory that it may take.
    #[serde(default)]
    memory_max: Option<ByteSize>,
}

/// The question of an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// A text.
    Prompt(String),
    /// Tensors, or a body.
    Body(Value),
}

/// What an example was answered, and what that took.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// The answer as it came: text, or JSON.
    pub text: String,
    /// The code of the error that came in place of one.
    pub error: Option<(String, String)>,
    /// Units of fuel.
    pub fuel: u64,
    /// Bytes of linear memory.
    pub memory_bytes: u64,
}

/// A file that holds no examples.
#[derive(Debug, thiserror::Error)]
pub enum InvalidExamples {
    /// It is not TOML, or has other members than an example has.
    #[error("{file}: {reason}")]
    Syntax {
        /// Its name in the bundle.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// An example asks nothing, twice, or for nothing.
    #[error("{file}: example {number}: {reason}")]
    Example {
        /// The file's name in the bundle.
        file: String,
        /// Which of its examples, from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleFile {
    example: Vec<Example>,
}

/// Reads a file of examples.
///
/// # Errors
///
/// When it is none.
pub fn read(file: &str, text: &str) -> Result<Vec<Example>, InvalidExamples> {
    let syntax = |reason: String| InvalidExamples::Syntax {
        file: file.to_owned(),
        reason,
    };
    let read: ExampleFile = toml::from_str(text).map_err(|error| syntax(error.to_string()))?;
    if read.example.len() > EXAMPLES_MAX {
        return Err(syntax(format!("it has more than {EXAMPLES_MAX} examples")));
    }
    let mut examples = read.example;
    for (index, example) in examples.iter_mut().enumerate() {
        example
            .settle()
            .map_err(|reason| InvalidExamples::Example {
                file: file.to_owned(),
                number: index + 1,
                reason,
            })?;
    }
    Ok(examples)
}

impl Example {
    /// Reads what is JSON, and sees that there is one question and something to hold its answer to.
    fn settle(&mut self) -> Result<(), String> {
        for (json, value, name) in [
            (&mut self.input_json, &mut self.input, "input"),
            (&mut self.output_json, &mut self.output, "output"),
        ] {
            if let Some(json) = json.take() {
                if value.is_some() {
                    return Err(format!("`{name}` and `{name}_json` are one too many"));
                }
                let read = serde_json::from_str(&json);
                *value = Some(read.map_err(|error| format!("`{name}_json`: {error}"))?);
            }
        }
        match (&self.prompt, &self.input) {
            (Some(_), None) => {}
            (None, Some(input)) if input.is_object() => {}
            (None, Some(_)) => return Err("`input` is no table".to_owned()),
            _ => return Err("an example has one of `prompt`, `input` and `input_json`".to_owned()),
        }
        let is_answer = self.text.is_some() || !self.contains.is_empty() || self.output.is_some();
        if self.error.is_some() && is_answer {
            return Err("an answer is an error, or has `text`, `contains` and `output`".to_owned());
        }
        let has_bounds = self.fuel_max.is_some() || self.memory_max.is_some();
        if !is_answer && self.error.is_none() && !has_bounds {
            return Err(
                "nothing is asked of the answer: `text`, `contains`, `output`, `error`, `fuel_max` \
                 or `memory_max`"
                    .to_owned(),
            );
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err("`tolerance` is a number from 0".to_owned());
        }
        Ok(())
    }

    /// What the model is asked.
    #[must_use]
    pub fn question(&self) -> Question {
        match (&self.prompt, &self.input) {
            (Some(prompt), _) => Question::Prompt(prompt.clone()),
            (None, Some(input)) => Question::Body(input.clone()),
            // One of the two is there: that was seen to when it was read.
            (None, None) => Question::Body(Value::Null),
        }
    }

    /// What the answer should have been and is not; none where it is all that.
    #[must_use]
    pub fn differences(&self, answered: &Answered) -> Vec<Difference> {
        let mut found = Vec::new();
        match (&self.error, &answered.error) {
            (None, None) => self.compare(&answered.text, &mut found),
            (Some(code), Some((got, _))) if code == got => {}
            (Some(code), Some((got, message))) => found.push(Difference::new(
                "error",
                format!("is {got} ({message}), and not {code}"),
            )),
            (Some(code), None) => {
                found.push(Difference::new("error", format!("is none, and not {code}")));
            }
            (None, Some((code, message))) => {
                found.push(Difference::new(
                    "error",
                    format!("there is one: {message} ({code})"),
                ));
            }
        }
        let bound = |most: u64, used: u64| (used > most).then(|| format!("is {used}, over {most}"));
        if let Some(more) = self.fuel_max.and_then(|most| bound(most.0, answered.fuel)) {
            found.push(Difference::new("fuel", more));
        }
        let memory = self.memory_max.map(ByteSize::as_u64);
        if let Some(more) = memory.and_then(|most| bound(most, answered.memory_bytes)) {
            found.push(Difference::new("memory", more));
        }
        found
    }

    fn compare(&self, text: &str, found: &mut Vec<Difference>) {
        // What is printed ends with a line.
        let text = text.strip_suffix('\n').unwrap_or(text);
        if let Some(wanted) = &self.text
            && wanted != text
        {
            found.push(Difference::of_texts("text", text, wanted));
        }
        for part in self.contains.iter().filter(|part| !text.contains(*part)) {
            let is = format!("does not contain {part:?}: {}", compare::shown(text));
            found.push(Difference::new("text", is));
        }
        let Some(wanted) = &self.output else {
            return;
        };
        let Ok(answer) = serde_json::from_str::<Value>(text) else {
            let is = format!("is no JSON: {}", compare::shown(text));
            found.push(Difference::new("output", is));
            return;
        };
        let got = match answer.get("outputs") {
            Some(outputs) if wanted.get("outputs").is_none() => outputs,
            _ => &answer,
        };
        compare::values("output", got, wanted, self.tolerance, found);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(text: &str) -> Example {
        read("tests/a.toml", &format!("[[example]]\n{text}"))
            .unwrap()
            .remove(0)
    }

    fn answered(text: &str) -> Answered {
        Answered {
            text: text.to_owned(),
            fuel: 100,
            memory_bytes: 1 << 20,
            ..Answered::default()
        }
    }

    fn told(example: &Example, answered: &Answered) -> String {
        let differences = example.differences(answered);
        let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
        lines.join("; ")
    }

    #[test]
    fn outputs_are_held_to_what_is_named_within_the_tolerance() {
        let example = one("input = {x = [1, 2]}\noutput = {y = [1.5, 2]}\ntolerance = 0.1");
        assert_eq!(
            example.question(),
            Question::Body(serde_json::json!({"x": [1, 2]}))
        );
        let good = r#"{"model":"m","outputs":{"y":[1.55,2.0],"z":[7]}}"#;
        assert_eq!(told(&example, &answered(good)), "");
        let bad = r#"{"outputs":{"y":[1.7,2]}}"#;
        assert_eq!(
            told(&example, &answered(bad)),
            "output.y[0] is 1.7, and not 1.5 (within 0.1)"
        );
    }

    #[test]
    fn texts_errors_and_bounds_are_held_to_as_well() {
        let text = one("prompt = \"hi\"\ntext = \"Hello.\"");
        assert_eq!(told(&text, &answered("Hello.\n")), "");
        assert!(told(&text, &answered("Hello!")).starts_with("text is"));
        let part = one("prompt = \"hi\"\ncontains = [\"ell\", \"o.\"]");
        assert_eq!(told(&part, &answered("Hello.")), "");
        assert!(told(&part, &answered("Hello!")).contains("\"o.\""));
        let refused = Answered {
            error: Some(("invalid_input".to_owned(), "no".to_owned())),
            ..answered("")
        };
        let error = one("prompt = \"hi\"\nerror = \"invalid_input\"");
        assert_eq!(told(&error, &refused), "");
        assert_eq!(
            told(&error, &answered("x")),
            "error is none, and not invalid_input"
        );
        assert!(told(&text, &refused).contains("there is one: no (invalid_input)"));
        let bounds = one("prompt = \"hi\"\nfuel_max = 99\nmemory_max = \"1 MiB\"");
        assert_eq!(told(&bounds, &answered("x")), "fuel is 100, over 99");
    }

    #[test]
    fn what_is_no_example_is_named_with_its_place() {
        for (text, part) in [
            ("prompt = \"a\"", "nothing is asked"),
            ("text = \"a\"", "one of `prompt`"),
            (
                "prompt = \"a\"\ninput = {}\ntext = \"a\"",
                "one of `prompt`",
            ),
            ("input = 3\nfuel_max = 1", "no table"),
            ("input_json = '{'\nfuel_max = 1", "input_json"),
            ("prompt = \"a\"\ntext = \"a\"\nerror = \"b\"", "is an error"),
            ("prompt = \"a\"\ntext = \"a\"\ntolerance = -1", "tolerance"),
            ("prompt = \"a\"\nfuel = 1", "unknown field"),
        ] {
            let error = read("tests/a.toml", &format!("[[example]]\n{text}")).unwrap_err();
            let told = error.to_string();
            assert!(
                told.starts_with("tests/a.toml") && told.contains(part),
                "{told}"
            );
        }
    }
}
