//! What tools have answered, in words.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Message, Part, Prompt, Request, Role};

use crate::json::{self, Json};
use crate::language::Language;
use crate::voices::Voice;
use crate::words;

/// How many results are taken up, how many values of each, and how many bytes of a text.
const RESULTS_MAX: usize = 8;
const VALUES_MAX: usize = 12;
const TEXT_BYTES: usize = 400;
/// How deep values may lie to be taken up.
const DEPTH_MAX: u32 = 3;

/// What one call gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Finding {
    /// What the call was about: the texts among its arguments.
    pub(crate) about: String,
    /// The values that came back, each with its name in words; a text by itself has none.
    pub(crate) values: Vec<(String, String)>,
    /// Whether the tool says that it failed.
    pub(crate) failed: bool,
}

/// What the tools say that the conversation ends with; none where it does not end with one.
pub(crate) fn of_request(request: &Request) -> Vec<Finding> {
    let Prompt::Messages(messages) = &request.prompt else {
        return Vec::new();
    };
    let answers = messages
        .iter()
        .rev()
        .take_while(|message| message.role == Role::Tool)
        .count();
    let start = messages.len() - answers;
    let before = messages.get(..start).unwrap_or_default();
    messages
        .iter()
        .skip(start)
        .take(RESULTS_MAX)
        .map(|message| finding(message, before))
        .collect()
}

fn finding(answer: &Message, before: &[Message]) -> Finding {
    let mut text = String::new();
    for part in &answer.content {
        if let Part::Text(part) = part {
            text.push_str(part);
        }
    }
    let call = before
        .iter()
        .rev()
        .flat_map(|message| &message.tool_calls)
        .find(|call| Some(&call.id) == answer.tool_call_id.as_ref());
    let mut finding = Finding::default();
    if let Some(Json::Object(arguments)) = call.and_then(|call| Json::parse(&call.arguments)) {
        let mut texts = arguments.iter().filter_map(|(_, value)| value.text());
        if let Some(first) = texts.find(|text| text.len() <= 60) {
            finding.about.push_str(first);
        }
    }
    match Json::parse(&text) {
        Some(value @ (Json::Object(_) | Json::List(_))) => {
            finding.failed = ["error", "errors", "exception"]
                .iter()
                .any(|key| value.get(key).is_some_and(|error| *error != Json::Null));
            collect(&value, "", 0, &mut finding.values);
        }
        Some(Json::Text(inner)) => finding.values.push((String::new(), cut(&inner).into())),
        _ => finding
            .values
            .push((String::new(), cut(text.trim()).into())),
    }
    finding
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES))
        .unwrap_or(text)
}

fn collect(value: &Json, name: &str, depth: u32, values: &mut Vec<(String, String)>) {
    if values.len() >= VALUES_MAX {
        return;
    }
    let named = |key: &str| {
        let words = words::of_name(key).join(" ");
        if name.is_empty() || matches!(name, "result" | "data" | "results") {
            words
        } else {
            [name, &words].join(" ")
        }
    };
    match value {
        Json::Object(entries) if depth < DEPTH_MAX => {
            for (key, value) in entries {
                collect(value, &named(key), depth + 1, values);
            }
        }
        Json::List(list) if list.iter().all(is_plain) && !list.is_empty() => {
            let texts: Vec<String> = list.iter().take(VALUES_MAX).map(plain).collect();
            values.push((name.into(), texts.join(", ")));
        }
        Json::List(list) if depth < DEPTH_MAX => {
            for item in list {
                collect(item, name, depth + 1, values);
            }
        }
        Json::Null | Json::Object(_) | Json::List(_) => {}
        value => values.push((name.into(), plain(value))),
    }
}

fn is_plain(value: &Json) -> bool {
    !matches!(value, Json::Object(_) | Json::List(_) | Json::Null)
}

/// A value as text.
pub(crate) fn plain(value: &Json) -> String {
    let mut out = String::new();
    match value {
        Json::Text(text) => out.push_str(cut(text)),
        Json::Boolean(true) => out.push_str("yes"),
        Json::Boolean(false) => out.push_str("no"),
        Json::Number(number) => json::write_number(&mut out, *number),
        Json::Long(digits) => out.push_str(digits),
        Json::List(list) => {
            let texts: Vec<String> = list.iter().map(plain).collect();
            out.push_str(&texts.join(", "));
        }
        Json::Null | Json::Object(_) => {}
    }
    out
}

/// The findings as an answer.
pub(crate) fn said(findings: &[Finding], language: Language, voice: &Voice) -> String {
    if language == Language::English {
        return in_english(findings);
    }
    // In other languages as a list, in which no grammar changes what came back.
    let (open, close) = voice.quotes;
    let mut out = String::new();
    for finding in findings {
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        let about = if finding.about.is_empty() {
            voice.subject
        } else {
            &finding.about
        };
        let lead = if finding.failed {
            voice.failed
        } else {
            voice.found
        };
        out.push_str(&lead.replace("{t}", &[open, about, close].concat()));
        out.push(':');
        if let [(name, value)] = finding.values.as_slice()
            && name.is_empty()
        {
            out.push(' ');
            out.push_str(value);
            continue;
        }
        for (name, value) in &finding.values {
            out.push_str("\n- ");
            if !name.is_empty() {
                out.extend([name.as_str(), ": "]);
            }
            out.push_str(value);
        }
    }
    out
}

/// The findings as an answer in English.
fn in_english(findings: &[Finding]) -> String {
    let mut out = String::new();
    for (index, finding) in findings.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let about = &finding.about;
        match (finding.failed, about.is_empty()) {
            (true, true) => out.push_str("That did not work: "),
            (true, false) => out.extend(["The lookup for ", about, " did not work: "]),
            (false, true) => out.push_str("Here is what I found: "),
            (false, false) if index == 0 => out.extend(["Here is what I found for ", about, ": "]),
            (false, false) => out.extend(["For ", about, ": "]),
        }
        if finding.values.is_empty() {
            out.push_str("nothing");
        }
        let last = finding.values.len().saturating_sub(1);
        for (at, (name, value)) in finding.values.iter().enumerate() {
            if at > 0 {
                out.push_str(match (at == last, last) {
                    (true, 1) => " and ",
                    (true, _) => ", and ",
                    _ => ", ",
                });
            }
            if !name.is_empty() {
                let is_list = value.contains(", ");
                out.extend([
                    "the ",
                    name.as_str(),
                    if is_list { " are " } else { " is " },
                ]);
            }
            out.push_str(value);
        }
        if !out.ends_with(['.', '!', '?']) {
            out.push('.');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let mut values = Vec::new();
        collect(&Json::parse(text).unwrap(), "", 0, &mut values);
        values
    }

    #[test]
    fn values_keep_their_names() {
        let found = values(
            r#"{"temperature_c":18,"wind":{"speed":5.5},"tags":["a","b"],"none":null,"ok":true}"#,
        );
        let expect = [
            ("temperature c", "18"),
            ("wind speed", "5.5"),
            ("tags", "a, b"),
            ("ok", "yes"),
        ];
        let expect: Vec<(String, String)> = expect
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        assert_eq!(found, expect);
    }

    #[test]
    fn findings_read_as_a_sentence() {
        let finding = |about: &str, values: &[(&str, &str)], failed| Finding {
            about: about.into(),
            values: values
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            failed,
        };
        assert_eq!(
            in_english(&[
                finding("Paris", &[("temperature", "18"), ("sky", "clear")], false),
                finding("Rome", &[("", "Sunny, 25°C")], false),
            ]),
            "Here is what I found for Paris: the temperature is 18 and the sky is clear. For Rome: Sunny, 25°C."
        );
        assert_eq!(
            in_english(&[finding("", &[("error", "no such city")], true)]),
            "That did not work: the error is no such city."
        );
    }
}
