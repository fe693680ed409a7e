//! What a rule answers with: as it was written, and as it is for one request.

use super::request::RuleRequest;
use super::text::Captured;
use crate::data_set::DataSet;
use crate::fault::Fault;
use crate::template::{Template, TemplateError, Templates};
use minijinja::Value as TemplateValue;
use minijinja::value::Serde;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptedAnswer {
    /// The rule that it is of.
    pub rule: String,
    /// Who says what.
    pub content: ScriptedContent,
    /// What goes wrong with it.
    pub fault: Option<Fault>,
    /// Its pace, in the syntax of latencies.
    pub latency: Option<String>,
    /// How long after the request it begins.
    pub delay: Duration,
}

/// Who answers, and what is said.
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptedContent {
    /// The rule, with a text.
    Said(Said),
    /// The rule, with a vector for each text.
    Embedding(Vec<f32>),
    /// The model.
    Generated,
    /// Nobody: there is a fault in place of an answer.
    Nothing,
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What is thought before.
    pub reasoning: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// What is said in place of an answer.
    pub refusal: Option<String>,
    /// Calls of tools.
    pub tool_calls: Vec<SaidCall>,
    /// Why it ends, where the rule says so.
    pub finish: Option<SaidFinish>,
    /// What it says that it used.
    pub usage: SaidUsage,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaidCall {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: JSON, if the rule's author wanted that.
    pub arguments: String,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaidFinish {
    /// All was said.
    Stop,
    /// There was no room for more.
    Length,
    /// Tools are called.
    ToolCalls,
    /// The rest was withheld.
    ContentFilter,
}

impl SaidFinish {
    /// The names in a rule file.
    pub(super) const NAMES: &'static [(&'static str, Self)] = &[
        ("stop", Self::Stop),
        ("length", Self::Length),
        ("tool_calls", Self::ToolCalls),
        ("content_filter", Self::ContentFilter),
    ];
}

/// Tokens that an answer says that it used, in place of what is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaidUsage {
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u32>,
    /// Tokens of the answer.
    pub completion_tokens: Option<u32>,
    /// Of those, tokens of reasoning.
    pub reasoning_tokens: Option<u32>,
    /// Tokens of the prompt that were in the cache.
    pub cached_tokens: Option<u32>,
}

/// An answer as it was written.
#[derive(Clone, Debug)]
pub(crate) struct AnswerSpec {
    pub(crate) kind: AnswerKind,
    pub(crate) reasoning: Option<Template>,
    pub(crate) refusal: Option<Template>,
    pub(crate) tool_calls: Vec<CallSpec>,
    pub(crate) fault: Option<Fault>,
    pub(crate) latency: Option<String>,
    pub(crate) delay: Duration,
    pub(crate) finish: Option<SaidFinish>,
    pub(crate) usage: SaidUsage,
}

#[derive(Clone, Debug)]
pub(crate) enum AnswerKind {
    /// No text: what stands beside it is all.
    Nothing,
    Text(Template),
    Json(JsonSpec),
    Echo,
    Generated,
    Embedding(Vec<f32>),
    Sequence {
        answers: Vec<AnswerSpec>,
        repeat: Repeat,
    },
    DataSet(Box<DataSet<AnswerSpec>>),
}

/// What comes after the end of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Last,
    Cycle,
}

impl Repeat {
    pub(super) const NAMES: &'static [(&'static str, Self)] =
        &[("last", Self::Last), ("cycle", Self::Cycle)];

    /// The place in a sequence of the answer to a request before which there were so many.
    pub(crate) fn place(self, before: u64, answers: usize) -> usize {
        let last = answers.saturating_sub(1);
        match self {
            Self::Last => usize::try_from(before).unwrap_or(usize::MAX).min(last),
            Self::Cycle => {
                let place = before.checked_rem(answers as u64).unwrap_or(0);
                usize::try_from(place).unwrap_or(last)
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CallSpec {
    pub(crate) name: Template,
    pub(crate) arguments: ArgumentsSpec,
    pub(crate) id: Option<Template>,
}

#[derive(Clone, Debug)]
pub(crate) enum ArgumentsSpec {
    /// As they go out.
    Text(Template),
    Json(JsonSpec),
}

/// JSON whose texts are templates.
#[derive(Clone, Debug)]
pub(crate) enum JsonSpec {
    Plain(Value),
    Text(Template),
    List(Vec<JsonSpec>),
    Object(Vec<(String, JsonSpec)>),
}

/// A request that a rule matches, and what there is to be said of it.
pub(crate) struct Matched<'m> {
    pub(crate) request: RuleRequest<'m>,
    pub(crate) rule: &'m str,
    pub(crate) captured: &'m Captured,
    /// Requests that the rule has matched before.
    pub(crate) before: u64,
}

impl Matched<'_> {
    /// What templates can name. The whole body is copied for those only that name it.
    fn values(&self, names_body: bool) -> TemplateValue {
        let request = &self.request;
        let text = |text: Option<&str>| TemplateValue::from(text.unwrap_or_default());
        let headers: BTreeMap<&str, &str> = request.headers().collect();
        let body = match names_body {
            true => TemplateValue::from(Serde(request.body)),
            false => TemplateValue::UNDEFINED,
        };
        let last = request.messages.last().map(|message| message.text.as_str());
        minijinja::context! {
            last_user => text(request.last_user()),
            last => text(last),
            system => request.system().unwrap_or_default(),
            tool_result => text(request.last_tool_result()),
            turn => request.turn(),
            count => self.before.saturating_add(1),
            model => request.model,
            path => request.path,
            world => request.world,
            rule => self.rule,
            captured => TemplateValue::from(Serde(self.captured)),
            tools => TemplateValue::from(Serde(request.tools)),
            messages => TemplateValue::from(Serde(request.messages)),
            headers => TemplateValue::from(Serde(headers)),
            body => body,
        }
    }
}

/// Names that templates can use, and what they are.
pub const TEMPLATE_NAMES: &[(&str, &str)] = &[
    ("last_user", "what the user said last"),
    ("last", "the text of the last message"),
    ("system", "what system and developer say"),
    ("tool_result", "the result of a tool that came last"),
    ("turn", "which turn of the assistant's this is, from 1"),
    (
        "count",
        "which request this is of those that the rule has matched, from 1, in each world",
    ),
    ("model", "the model that was asked for"),
    ("path", "the path of the request"),
    ("world", "the world of the request"),
    ("rule", "the name of the rule"),
    (
        "captured",
        "what named groups of expressions have found: `captured.city`",
    ),
    ("tools", "names of the tools that are offered"),
    (
        "messages",
        "the conversation, a list of `role` and `text`, and `name`, `tool_calls` and `tool_call_id` where there are such",
    ),
    (
        "headers",
        "headers by name, but for those that hold secrets",
    ),
    ("body", "the body as the client sent it"),
];

impl AnswerSpec {
    /// An answer that is nothing else than this.
    pub(crate) fn saying(kind: AnswerKind) -> Self {
        Self {
            kind,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            fault: None,
            latency: None,
            delay: Duration::ZERO,
            finish: None,
            usage: SaidUsage::default(),
        }
    }

    /// The answer to one request.
    pub(crate) fn to(
        &self,
        matched: &Matched<'_>,
        templates: &Templates,
    ) -> Result<ScriptedAnswer, TemplateError> {
        let make = |template: &Template| templates.render(template, |body| matched.values(body));
        let json = |spec: &JsonSpec| spec.render(&make).map(|value| value.to_string());
        let optional = |template: &Option<Template>| template.as_ref().map(make).transpose();
        let text = match &self.kind {
            AnswerKind::Sequence { answers, repeat } => {
                let place = repeat.place(matched.before, answers.len());
                // There is one at least, which who reads the file sees to.
                return match answers.get(place) {
                    Some(answer) => answer.to(matched, templates),
                    None => Ok(self.with(ScriptedContent::Nothing, matched)),
                };
            }
            AnswerKind::DataSet(data) => {
                return match data.answer(&matched.request) {
                    Some(answer) => answer.to(matched, templates),
                    None => Ok(self.with(ScriptedContent::Nothing, matched)),
                };
            }
            AnswerKind::Generated => return Ok(self.with(ScriptedContent::Generated, matched)),
            AnswerKind::Embedding(vector) => {
                return Ok(self.with(ScriptedContent::Embedding(vector.clone()), matched));
            }
            AnswerKind::Text(template) => Some(make(template)?),
            AnswerKind::Json(spec) => Some(json(spec)?),
            AnswerKind::Echo => Some(matched.request.last_user().unwrap_or_default().to_owned()),
            AnswerKind::Nothing => None,
        };
        let mut tool_calls = Vec::with_capacity(self.tool_calls.len());
        for (index, call) in self.tool_calls.iter().enumerate() {
            tool_calls.push(SaidCall {
                id: optional(&call.id)?.unwrap_or_else(|| call_id(matched, index)),
                name: make(&call.name)?,
                arguments: match &call.arguments {
                    ArgumentsSpec::Text(template) => make(template)?,
                    ArgumentsSpec::Json(spec) => json(spec)?,
                },
            });
        }
        let said = Said {
            reasoning: optional(&self.reasoning)?,
            text,
            refusal: optional(&self.refusal)?,
            tool_calls,
            finish: self.finish,
            usage: self.usage,
        };
        let says_nothing = Said {
            finish: None,
            usage: SaidUsage::default(),
            ..said.clone()
        } == Said::default();
        // What is only cut or slowed has to be there first: the model makes it.
        let is_instead = |fault: &Fault| fault.before.is_some();
        let content = match (says_nothing, &self.fault) {
            (false, _) => ScriptedContent::Said(said),
            (true, Some(fault)) if is_instead(fault) => ScriptedContent::Nothing,
            (true, _) => ScriptedContent::Generated,
        };
        Ok(self.with(content, matched))
    }

    fn with(&self, content: ScriptedContent, matched: &Matched<'_>) -> ScriptedAnswer {
        ScriptedAnswer {
            rule: matched.rule.to_owned(),
            content,
            fault: self.fault.clone(),
            latency: self.latency.clone(),
            delay: self.delay,
        }
    }
}

/// The id of a call that has none in the rule: the same for the same requests, and another for
/// each call.
fn call_id(matched: &Matched<'_>, index: usize) -> String {
    let mut id = String::from("call_");
    // FNV-1a: it has to tell calls apart, and nothing else.
    let parts = [matched.request.world, matched.rule];
    let hash = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let _ = write!(id, "{hash:016x}{:04x}{index:04x}", matched.before & 0xffff);
    id
}

impl JsonSpec {
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn render(
        &self,
        make: &impl Fn(&Template) -> Result<String, TemplateError>,
    ) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(make(template)?),
            Self::List(items) => {
                let items = items.iter().map(|item| item.render(make));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let members = members.iter();
                let members = members.map(|(key, spec)| Ok((key.clone(), spec.render(make)?)));
                Value::Object(members.collect::<Result<Map<_, _>, _>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_stays_at_its_end_or_begins_anew() {
        let places = |repeat: Repeat| (0..7).map(|n| repeat.place(n, 3)).collect::<Vec<_>>();
        assert_eq!(places(Repeat::Last), [0, 1, 2, 2, 2, 2, 2]);
        assert_eq!(places(Repeat::Cycle), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(Repeat::Last.place(u64::MAX, 3), 2);
        assert_eq!(Repeat::Cycle.place(u64::MAX, 0), 0);
    }
}
