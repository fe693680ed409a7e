//! The answers of a rule, and data sets, as they are read.

use super::answer::{
    AnswerKind, AnswerSpec, ArgumentsSpec, CallSpec, JsonSpec, Repeat, SaidFinish, SaidUsage,
};
use super::keys;
use super::problems::Place;
use super::read::{Fields, Reader};
use super::tree::{Node, NodeValue, of_json};
use crate::data_set::{DATA_SET_BYTES_MAX, DATA_SET_LINES_MAX, DataSet, LineRequest};
use crate::fault::Fault;
use crate::quantity;
use std::time::Duration;

/// Answers in one sequence.
pub const SEQUENCE_MAX: usize = 1_000;

/// Calls of tools in one answer.
pub const TOOL_CALLS_MAX: usize = 64;

/// Numbers in one vector.
pub const EMBEDDING_MAX: usize = 8_192;

/// Keys of which an answer has one at most.
const KINDS: &[&str] = &[
    "text",
    "json",
    "echo",
    "generated",
    "sequence",
    "data_set",
    "data",
    "embedding",
];

/// Keys that go with a text, and with nothing that comes from elsewhere.
const OF_TEXTS: &[&str] = &[
    "reasoning",
    "refusal",
    "tool_calls",
    "finish_reason",
    "usage",
];

impl Reader<'_> {
    /// An answer. `may_choose` is whether it can be a sequence or a data set, whose answers cannot.
    pub(super) fn answer(&mut self, node: &Node, may_choose: bool) -> Option<AnswerSpec> {
        let fields = self.table(node, &keys::ANSWER)?;
        let kinds: Vec<&str> = KINDS
            .iter()
            .copied()
            .filter(|it| fields.at(it).is_some())
            .collect();
        if let [one, other, ..] = kinds.as_slice() {
            return self.problem(node, format!("`{one}` and `{other}` exclude one another"));
        }
        let kind = kinds.first().copied();
        let chooses = matches!(kind, Some("sequence" | "data_set" | "data"));
        if chooses && !may_choose {
            let kind = kind.unwrap_or_default();
            return self.problem(
                node,
                format!("`{kind}` cannot stand in a sequence or a data set"),
            );
        }
        let texts = OF_TEXTS.iter().find(|it| fields.at(it).is_some());
        let has_no_text = chooses || matches!(kind, Some("generated" | "embedding"));
        if let (Some(key), true, Some(kind)) = (texts, has_no_text, kind) {
            return self.problem(node, format!("`{key}` and `{kind}` exclude one another"));
        }
        for key in ["fault", "latency", "delay"] {
            if chooses && fields.at(key).is_some() {
                let kind = kind.unwrap_or_default();
                let words = format!("`{key}` belongs to the answers of `{kind}`");
                return self.problem(node, words);
            }
        }
        if fields.at("repeat").is_some() && kind != Some("sequence") {
            return self.problem(node, "`repeat` goes with `sequence`, which is not there");
        }
        if fields.is_empty() {
            return self.problem(node, "this answers nothing");
        }
        // What is wrong with one member keeps no other from being looked at.
        let kind = self.kind(fields, kind);
        let is_understood = kind.is_some();
        let spec = AnswerSpec {
            kind: kind.unwrap_or(AnswerKind::Nothing),
            reasoning: self.optional(fields, "reasoning", Self::template),
            refusal: self.optional(fields, "refusal", Self::template),
            tool_calls: self.tool_calls(fields),
            fault: self.optional(fields, "fault", Self::fault),
            latency: self.optional(fields, "latency", Self::latency),
            delay: self
                .optional(fields, "delay", Self::time)
                .unwrap_or_default(),
            finish: self.optional(fields, "finish_reason", |reader, node| {
                reader.one_of(node, SaidFinish::NAMES)
            }),
            usage: self
                .optional(fields, "usage", Self::usage)
                .unwrap_or_default(),
        };
        if !is_understood {
            return None;
        }
        let answers = spec.fault.is_some()
            || spec.reasoning.is_some()
            || spec.refusal.is_some()
            || !spec.tool_calls.is_empty()
            || !matches!(spec.kind, AnswerKind::Nothing);
        if !answers && self.problems.is_empty() {
            let words = "this answers nothing: expected `text`, `tool_calls`, `json`, `echo`, \
                         `generated`, `fault`, `sequence`, `data_set`, `data` or `embedding`";
            return self.problem(node, words);
        }
        Some(spec)
    }

    fn optional<T>(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        fields.find(key).and_then(|node| read(self, node))
    }

    fn kind(&mut self, fields: Fields<'_>, kind: Option<&str>) -> Option<AnswerKind> {
        let Some(kind) = kind else {
            return Some(AnswerKind::Nothing);
        };
        let node = fields.find(kind)?;
        Some(match kind {
            "text" => AnswerKind::Text(self.template(node)?),
            "json" => AnswerKind::Json(self.json(node)?),
            "echo" | "generated" => match (self.switch(node)?, kind) {
                (true, "echo") => AnswerKind::Echo,
                (true, _) => AnswerKind::Generated,
                (false, _) => return self.problem(node, "expected `true`"),
            },
            "embedding" => AnswerKind::Embedding(self.embedding(node)?),
            "sequence" => {
                let repeat = self.optional(fields, "repeat", Self::repeat);
                let mut answers = Vec::new();
                for item in self.list(node, "answers", SEQUENCE_MAX) {
                    answers.extend(self.answer(item, false));
                }
                if answers.is_empty() {
                    return self.problem(node, "a sequence needs an answer");
                }
                AnswerKind::Sequence {
                    answers,
                    repeat: repeat.unwrap_or(Repeat::Last),
                }
            }
            "data" => {
                let text = self.text(node)?;
                AnswerKind::DataSet(Box::new(self.data_set(node, &text, None)))
            }
            _ => {
                let name = self.text(node)?;
                let text = match (self.around.data_set)(&name) {
                    Ok(text) => text,
                    Err(words) => return self.problem(node, words),
                };
                AnswerKind::DataSet(Box::new(self.data_set(node, &text, Some(name))))
            }
        })
    }

    fn tool_calls(&mut self, fields: Fields<'_>) -> Vec<CallSpec> {
        let Some(node) = fields.find("tool_calls") else {
            return Vec::new();
        };
        let items = self.list(node, "calls of tools", TOOL_CALLS_MAX);
        items
            .iter()
            .filter_map(|item| self.tool_call(item))
            .collect()
    }

    fn tool_call(&mut self, node: &Node) -> Option<CallSpec> {
        let fields = self.table(node, &keys::TOOL_CALL)?;
        let name = match fields.find("name") {
            Some(node) => self.template(node),
            None => self.problem(node, "a call of a tool needs a `name`"),
        };
        let arguments = match fields.find("arguments") {
            None => ArgumentsSpec::Json(JsonSpec::Plain(serde_json::json!({}))),
            Some(node) => match node.value {
                NodeValue::Text(_) => ArgumentsSpec::Text(self.template(node)?),
                NodeValue::Table(_) => ArgumentsSpec::Json(self.json(node)?),
                _ => return self.wrong_type(node, "a table, or a text"),
            },
        };
        let id = self.optional(fields, "id", Self::template);
        let name = name?;
        Some(CallSpec {
            name,
            arguments,
            id,
        })
    }

    /// JSON whose texts are templates; what has none in it is kept as it is.
    fn json(&mut self, node: &Node) -> Option<JsonSpec> {
        use crate::template::Template;
        Some(match &node.value {
            NodeValue::Text(text) => match self.template(node)? {
                Template::Plain(_) => JsonSpec::Plain(text.clone().into()),
                template => JsonSpec::Text(template),
            },
            NodeValue::List(items) => {
                let items: Option<Vec<_>> = items.iter().map(|item| self.json(item)).collect();
                let items = items?;
                match items.iter().all(JsonSpec::is_plain) {
                    true => JsonSpec::Plain(node.to_json()),
                    false => JsonSpec::List(items),
                }
            }
            NodeValue::Table(members) => {
                let members = members.iter();
                let members = members.map(|it| Some((it.key.clone(), self.json(&it.node)?)));
                let members = members.collect::<Option<Vec<_>>>()?;
                match members.iter().all(|(_, spec)| spec.is_plain()) {
                    true => JsonSpec::Plain(node.to_json()),
                    false => JsonSpec::Object(members),
                }
            }
            _ => JsonSpec::Plain(node.to_json()),
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a vector goes out with 32 bits a number, as all of them do"
    )]
    fn embedding(&mut self, node: &Node) -> Option<Vec<f32>> {
        let mut numbers = Vec::new();
        for item in self.list(node, "numbers", EMBEDDING_MAX) {
            numbers.push(match item.value {
                NodeValue::Integer(value) => value as f32,
                NodeValue::Float(value) if (value as f32).is_finite() => value as f32,
                _ => return self.wrong_type(item, "a number of 32 bits"),
            });
        }
        match numbers.is_empty() {
            true => self.problem(node, "a vector needs a number"),
            false => Some(numbers),
        }
    }

    fn fault(&mut self, node: &Node) -> Option<Fault> {
        let text = self.text(node)?;
        match text.parse() {
            Ok(fault) => Some(fault),
            Err(error) => self.problem(node, format!("{error}")),
        }
    }

    fn latency(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        match (self.around.latency)(&text) {
            Ok(()) => Some(text),
            Err(words) => self.problem(node, words),
        }
    }

    fn time(&mut self, node: &Node) -> Option<Duration> {
        let text = self.text(node)?;
        match quantity::time(&text) {
            Ok(time) => Some(time),
            Err(error) => self.problem(node, error.to_string()),
        }
    }

    fn usage(&mut self, node: &Node) -> Option<SaidUsage> {
        let fields = self.table(node, &keys::USAGE)?;
        let mut tokens = |key: &str| {
            let node = fields.find(key)?;
            let tokens = self.natural(node, u64::from(u32::MAX))?;
            u32::try_from(tokens).ok()
        };
        Some(SaidUsage {
            prompt_tokens: tokens("prompt_tokens"),
            completion_tokens: tokens("completion_tokens"),
            reasoning_tokens: tokens("reasoning_tokens"),
            cached_tokens: tokens("cached_tokens"),
        })
    }

    /// A data set. Places in one that is a file are those of that file, and in one that stands in
    /// the rule file those of its text.
    fn data_set(&mut self, node: &Node, text: &str, file: Option<String>) -> DataSet<AnswerSpec> {
        let mut data = DataSet::new();
        if text.len() > DATA_SET_BYTES_MAX {
            let words = format!(
                "a data set of {} bytes; the most is {DATA_SET_BYTES_MAX}",
                text.len()
            );
            self.problem::<()>(node, words);
            return data;
        }
        let file = file.unwrap_or_else(|| "data".to_owned());
        let outside = (self.file.replace(file), self.is_literal);
        self.is_literal = true;
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        let mut count = 0;
        for (index, line) in lines {
            let number = index + 1;
            let at = Place {
                line: number,
                column: None,
            };
            count += 1;
            if count > DATA_SET_LINES_MAX {
                let none = of_json(serde_json::Value::Null, at);
                let words = format!("more than {DATA_SET_LINES_MAX} lines in a data set");
                self.problem::<()>(&none, words);
                break;
            }
            match serde_json::from_str(line) {
                Ok(value) => {
                    let node = of_json(value, at);
                    if let Some((request, answer)) = self.line(&node) {
                        data.add(number, request, answer);
                    }
                }
                Err(error) => {
                    let at = Place {
                        column: Some(error.column()),
                        ..at
                    };
                    let none = of_json(serde_json::Value::Null, at);
                    let words = error.to_string();
                    let words = words.split(" at line ").next().unwrap_or_default();
                    self.problem::<()>(&none, format!("this is no JSON: {words}"));
                }
            }
        }
        (self.file, self.is_literal) = outside;
        if count == 0 {
            self.problem::<()>(node, "a data set needs a line");
        }
        data
    }

    fn line(&mut self, node: &Node) -> Option<(LineRequest, AnswerSpec)> {
        let fields = self.table_or(node, &keys::LINE, "an object")?;
        if let Some(messages) = fields.find("messages") {
            if fields.at("request").is_some() || fields.at("answer").is_some() {
                return self.problem(node, "`messages` stands alone");
            }
            return self.conversation(messages);
        }
        let (Some(request), Some(answer)) = (fields.find("request"), fields.find("answer")) else {
            return self.problem(node, "a line needs `request` and `answer`, or `messages`");
        };
        let request = match &request.value {
            NodeValue::Text(text) => LineRequest::Text(text.clone()),
            NodeValue::Table(_) => LineRequest::Body(request.to_json()),
            _ => return self.wrong_type(request, "a text, or an object"),
        };
        let answer = match &answer.value {
            NodeValue::Text(_) => AnswerSpec::saying(AnswerKind::Text(self.template(answer)?)),
            NodeValue::Table(_) => self.answer(answer, false)?,
            _ => return self.wrong_type(answer, "a text, or an object"),
        };
        Some((request, answer))
    }

    /// A conversation, whose last message is the answer.
    fn conversation(&mut self, node: &Node) -> Option<(LineRequest, AnswerSpec)> {
        let mut messages = Vec::new();
        for item in self.list(node, "messages", usize::MAX) {
            let NodeValue::Table(members) = &item.value else {
                return self.wrong_type(item, "an object");
            };
            let text = |key: &str| {
                let member = members.iter().find(|member| member.key == key)?;
                match &member.node.value {
                    NodeValue::Text(text) => Some(text.clone()),
                    _ => None,
                }
            };
            let (Some(role), Some(content)) = (text("role"), text("content")) else {
                return self.problem(item, "a message needs `role` and `content`, both texts");
            };
            messages.push((role, content));
        }
        match messages.pop() {
            Some((role, content)) if role == "assistant" && !messages.is_empty() => {
                let template = crate::template::Template::Plain(content);
                let answer = AnswerSpec::saying(AnswerKind::Text(template));
                Some((LineRequest::Messages(messages), answer))
            }
            _ => self.problem(node, "the last of some messages is the assistant's"),
        }
    }
}
